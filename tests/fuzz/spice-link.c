// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile SPICE server while a link is made: any bytes, in any pieces (the
 * first byte says how many come at once, and by its highest bit whether TLS is
 * below). It ends, well or badly, once; what follows is read through the security
 * layer, if SASL has agreed on one.
 */
#include <stdlib.h>

#include "../lib/fake-transport.h"
#include "spice/link.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libsasl2's, for nonces: with these, a server's answers may be right. */
void sasl_rand(void *pool, char *buf, unsigned int len);

void sasl_rand(void *pool, char *buf, unsigned int len)
{
	(void)pool;
	memset(buf, 0x55, len);
}

/* libdigestmd5 forgets some of its own, and what it has of OpenSSL's. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libcrypto.so\nleak:libdigestmd5\n";
}

struct fuzz {
	struct fake_transport wire;
	struct transport *linked;
	uint8_t in[4096];
	bool closed;
	unsigned int done; /* calls */
	int status;
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void turn(struct fuzz *f)
{
	loop_hurry(f->wire.transport.loop);
	require(!loop_turn(f->wire.transport.loop));
}

static void done(struct transport_step *step, struct transport *t, int status,
		 const char *why)
{
	struct fuzz *f = step->owner;

	f->done++;
	f->status = status;
	f->linked = t;
	require(!status == !!t);
	require(!status == !why);
	require(status || !spice_link_result(step)->error);
}

static void received(struct transport *t, int res)
{
	struct fuzz *f = t->context;

	require(res && res <= (int)sizeof(f->in));
	if (res > 0)
		transport_recv(t, f->in, sizeof(f->in), false);
}

static void closed(struct transport *t)
{
	struct fuzz *f = t->context;

	f->closed = true;
}

/* The link has been made: its user reads, and goes. */
static void use(struct fuzz *f, const uint8_t *data, size_t size)
{
	static const struct transport_user user = {
		.received = received,
		.closed = closed,
	};

	if (f->linked == &f->wire.transport)
		return;
	f->linked->user = &user;
	f->linked->context = f;
	transport_recv(f->linked, f->in, sizeof(f->in), false);
	turn(f);
	for (size_t at = 0; at < size && f->wire.recv_buf;) {
		size_t n = MIN(size - at, f->wire.recv_len);

		fake_transport_arrive(&f->wire, data + at, n);
		turn(f);
		at += n;
	}
	transport_close(f->linked);
	fake_transport_closed(&f->wire);
	require(f->closed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct spice_credentials credentials = {
		.password = "secret",
		.username = "user",
		.host = "host",
		.secured = size && *data & 0x80,
	};
	const struct spice_link request = { .type = SPICE_CHANNEL_MAIN };
	struct transport_step *step;
	struct fuzz f = { 0 };
	struct loop *loop;
	size_t at = 1;

	if (!size)
		return 0;
	require(!loop_create(&loop));
	fake_transport_init(&f.wire, loop);
	require(!spice_link_start(&f.wire.transport, &request, &credentials,
				  done, &f, &step));
	while (at < size && !f.done && !f.wire.closing) {
		size_t n = *data & 0x7f;

		n = MIN(size - at, n ? n : SIZE_MAX);

		if (f.wire.sending)
			fake_transport_sent(&f.wire, SIZE_MAX);
		if (!f.wire.recv_buf)
			turn(&f);
		if (!f.wire.recv_buf)
			break;
		n = MIN(n, f.wire.recv_len);
		fake_transport_arrive(&f.wire, data + at, n);
		at += n;
	}
	if (!f.done && !f.wire.closing)
		step->cancel(step);
	if (f.wire.closing)
		fake_transport_closed(&f.wire);
	require(f.done == 1);
	if (f.linked)
		use(&f, data + at, size - at);
	fake_transport_fini(&f.wire);
	loop_destroy(loop);
	return 0;
}
