// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile SPICE server at a channel: any bytes, in any pieces, to a user that
 * receives in pieces of any size, or not at all, and sends meanwhile.
 *
 *	byte 0	bit 0: main channel, else vmc; bit 1: full headers; bit 2: LZ4
 *		always; bit 3: the user wants exact pieces
 *	byte 1	bytes that come at once; 0: all
 *	byte 2	the user's pieces, times 257; 0: it does not receive
 *	rest	what the server sends
 *
 * Asserted: what leaves is well-formed, memory is bounded, closing always ends.
 */
#include <stdlib.h>

#include "../lib/fake-transport.h"
#include "spice/main_channel.h"
#include "spice/vmc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Packed, unpacked, and what is being sent. */
#define MAX_LENT (2 * (size_t)SPICE_MAX_UNPACKED + (8u << 20))

struct fuzz {
	struct loop *loop;
	struct bufpool pool;
	struct fake_transport wire;
	bool mini;
	struct transport *vmc;
	struct main_channel *main;
	uint8_t into[65536];
	size_t piece;
	bool exact, ended, closed;
	struct iovec iov; /* the user's, not yet sent */
	uint8_t out[5000];
};

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void receive(struct fuzz *f)
{
	if (f->piece && !f->ended)
		transport_recv(f->vmc, f->into, f->piece, f->exact);
}

static void user_received(struct transport *t, int res)
{
	struct fuzz *f = t->context;

	require(!f->closed && !f->ended);
	require(res <= (int)f->piece);
	if (res <= 0)
		f->ended = true;
	receive(f);
}

static void user_sent(struct transport *t, int res)
{
	struct fuzz *f = t->context;

	require(!f->closed && res);
	if (res < 0)
		return;
	require((size_t)res <= f->iov.iov_len);
	f->iov.iov_base = (uint8_t *)f->iov.iov_base + res;
	f->iov.iov_len -= (size_t)res;
	if (f->iov.iov_len)
		transport_send(t, &f->iov, 1);
}

static void user_closed(struct transport *t)
{
	struct fuzz *f = t->context;

	require(!f->closed);
	f->closed = true;
}

static const struct transport_user user = {
	.received = user_received,
	.sent = user_sent,
	.closed = user_closed,
};

static void channels(struct main_channel *m, const struct spice_msg *list)
{
	(void)m;
	require(list->channels.n <= SPICE_MAX_CHANNELS);
}

static void moved(struct main_channel *m, const struct spice_destination *to)
{
	(void)m;
	require(to->host[0] && (to->port || to->tls_port));
}

static void ended(struct main_channel *m, int status, const char *why)
{
	struct fuzz *f = m->owner;

	(void)status;
	require(why && !f->ended);
	f->ended = true;
}

static void closed(struct main_channel *m)
{
	struct fuzz *f = m->owner;

	f->closed = true;
}

static const struct main_channel_ops main_ops = {
	.channels = channels,
	.moved = moved,
	.ended = ended,
	.closed = closed,
};

static void turn(struct fuzz *f)
{
	loop_hurry(f->loop);
	require(!loop_turn(f->loop));
	require(f->pool.lent <= MAX_LENT);
}

/* Every message that has left is one, and of a kind that a client has. */
static void check_sent(struct fuzz *f)
{
	size_t head = spice_header_size(f->mini), at = 0;

	while (f->wire.out_len - at >= head) {
		struct spice_header header = spice_decode_header(
			span_of(f->wire.out + at, head), f->mini);

		require(header.size <= SPICE_MAX_DATA + SPICE_PACKED_HEAD);
		require(header.type <= SPICE_MSGC_FLUSH_MARK ||
			(header.type >= 101 && header.type <= 104));
		at += head + header.size;
		if (at > f->wire.out_len)
			return;
	}
}

static void run(struct fuzz *f, uint8_t flags, const uint8_t *data, size_t size,
		size_t chunk)
{
	while (size) {
		size_t n = MIN(size, chunk);

		if (!fake_transport_arrive(&f->wire, data, n))
			break;
		data += n;
		size -= n;
		turn(f);
		if (f->wire.sending && !(flags & 16))
			fake_transport_sent(&f->wire, chunk);
	}
	for (int i = 0; i < 50 && f->wire.sending; i++) {
		fake_transport_sent(&f->wire, SIZE_MAX);
		turn(f);
	}
	check_sent(f);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	log_level = LOG_LEVEL_ERR;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz fuzz;
	struct fuzz *f = &fuzz;
	struct spice_channel_link link = { .type = SPICE_CHANNEL_USBREDIR,
					   .caps = SPICE_VMC_CAP_LZ4 };

	if (size < 3)
		return 0;
	*f = (struct fuzz){ .mini = !(data[0] & 2),
			    .exact = data[0] & 8,
			    .piece = MIN((size_t)data[2] * 257,
					 sizeof(f->into)) };
	require(!loop_create(&f->loop));
	bufpool_init(&f->pool);
	fake_transport_init(&f->wire, f->loop);
	link.mini = f->mini;
	if (data[0] & 1) {
		link.type = SPICE_CHANNEL_MAIN;
		require(!main_channel_create(&f->wire.transport, &link,
					     &main_ops, f, &f->main));
	} else {
		require(!vmc_create(&f->wire.transport, &link,
				    data[0] & 4 ? SPICE_LZ4_ALWAYS
						: SPICE_LZ4_NEVER,
				    &f->pool, &f->vmc));
		f->vmc->user = &user;
		f->vmc->context = f;
		receive(f);
		f->iov = (struct iovec){ f->out, sizeof(f->out) };
		transport_send(f->vmc, &f->iov, 1);
	}
	turn(f);
	run(f, data[0], data + 3, size - 3, data[1] ? data[1] : SIZE_MAX);
	turn(f);
	if (f->main)
		main_channel_close(f->main);
	else
		transport_close(f->vmc);
	turn(f);
	require(f->wire.closing);
	fake_transport_closed(&f->wire);
	require(f->closed && !f->pool.lent);
	fake_transport_fini(&f->wire);
	bufpool_fini(&f->pool);
	loop_destroy(f->loop);
	return 0;
}
