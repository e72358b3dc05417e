/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transport that does what the test says: what is received the test gives,
 * what is sent it keeps until the test says that it has left.
 */
#ifndef TESTS_FAKE_TRANSPORT_H
#define TESTS_FAKE_TRANSPORT_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "transport/transport.h"

struct fake_transport {
	struct transport transport;
	uint8_t *recv_buf; /* lent to us; NULL: nothing is being received */
	size_t recv_len;
	bool sending;
	struct iovec iov[TRANSPORT_IOV]; /* lent to us while sending */
	unsigned int n_iov;
	bool closing;
	/* All that has left, in order; fake_transport_fini() frees it. */
	uint8_t *out;
	size_t out_len;
};

static inline struct fake_transport *fake_transport_of(struct transport *t)
{
	return container_of(t, struct fake_transport, transport);
}

static inline void fake_transport_recv(struct transport *t, void *buf,
				       size_t len, bool exact)
{
	struct fake_transport *f = fake_transport_of(t);

	(void)exact;
	assert(!f->recv_buf && !f->closing && len);
	f->recv_buf = buf;
	f->recv_len = len;
}

static inline void fake_transport_send(struct transport *t,
				       const struct iovec *iov, unsigned int n)
{
	struct fake_transport *f = fake_transport_of(t);

	assert(!f->sending && !f->closing && n && n <= TRANSPORT_IOV);
	f->sending = true;
	memcpy(f->iov, iov, n * sizeof(*iov));
	f->n_iov = n;
}

static inline void fake_transport_close(struct transport *t)
{
	fake_transport_of(t)->closing = true;
}

static inline void fake_transport_init(struct fake_transport *f,
				       struct loop *loop)
{
	static const struct transport_ops ops = {
		.recv = fake_transport_recv,
		.send = fake_transport_send,
		.close = fake_transport_close,
	};

	*f = (struct fake_transport){ .transport = { .ops = &ops,
						     .loop = loop,
						     .fd = -1,
						     .peer = "fake" } };
}

static inline void fake_transport_fini(struct fake_transport *f)
{
	free(f->out);
	f->out = NULL;
}

/* Bytes that are being sent now. */
static inline size_t fake_transport_sending(const struct fake_transport *f)
{
	size_t len = 0;

	for (unsigned int i = 0; f->sending && i < f->n_iov; i++)
		len += f->iov[i].iov_len;
	return len;
}

/* At most len bytes of what is being sent leave. */
static inline void fake_transport_sent(struct fake_transport *f, size_t len)
{
	size_t left = MIN(len, fake_transport_sending(f)), n = left;

	assert(f->sending && left);
	f->out = realloc(f->out, f->out_len + left);
	assert(f->out);
	for (unsigned int i = 0; i < f->n_iov && left; i++) {
		size_t part = MIN(left, f->iov[i].iov_len);

		memcpy(f->out + f->out_len, f->iov[i].iov_base, part);
		f->out_len += part;
		left -= part;
	}
	f->sending = false;
	f->transport.user->sent(&f->transport, (int)n);
}

/* Bytes come from the other side; false: nobody receives (any more). */
static inline bool fake_transport_arrive(struct fake_transport *f,
					 const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		uint8_t *into = f->recv_buf;
		size_t n = MIN(len, f->recv_len);

		if (!into || f->closing)
			return false;
		memcpy(into, p, n);
		f->recv_buf = NULL;
		f->transport.user->received(&f->transport, (int)n);
		p += n;
		len -= n;
	}
	return true;
}

/* The other side has ended; or -errno. */
static inline void fake_transport_end(struct fake_transport *f, int res)
{
	f->recv_buf = NULL;
	f->transport.user->received(&f->transport, res);
}

/* After close: lends nothing any more. */
static inline void fake_transport_closed(struct fake_transport *f)
{
	f->recv_buf = NULL;
	f->sending = false;
	f->transport.user->closed(&f->transport);
}

#endif
