// SPDX-License-Identifier: GPL-2.0-or-later
#ifdef HAVE_SASL

#include "spice/sasl_layer.h"

#include <assert.h>
#include <sasl/sasl.h>
#include <stdlib.h>

/* What is sent at one go; the longest piece of it, and by what one may grow. */
#define SLICE 131072
#define MAX_PIECE 32768
#define GROWTH 2048
/* libsasl2 decrypts what came all at once, into memory of its own. */
#define RECEIVE 65536

struct layer {
	struct transport transport;
	struct transport *inner; /* owned */
	struct spice_sasl *sasl; /* owned; conn is a part of it */
	sasl_conn_t *conn;

	/* Receiving: in is lent to inner while receiving. */
	bool receiving;
	int in_status; /* 1, or with what inner ended: 0, -errno */
	const char *plain;
	size_t plain_len; /* what is left of it; conn lends it */
	bool recv_busy, recv_exact;
	uint8_t *recv_buf;
	size_t recv_len, recv_got;
	struct task work; /* received may not run inside recv */

	/* Sending: out is lent to inner. */
	size_t piece_max;
	struct iovec iov; /* what of it has still to leave */
	size_t out_len;
	size_t taken; /* bytes of the user's that are in out */
	int send_error;
	struct task report;

	uint8_t piece[MAX_PIECE], in[RECEIVE], out[SLICE];
};

static struct layer *layer_of(struct transport *t)
{
	return container_of(t, struct layer, transport);
}

/* --- Receiving ------------------------------------------------------------------------- */

static void take_plain(struct layer *l)
{
	size_t n = MIN(l->recv_len - l->recv_got, l->plain_len);

	if (!n)
		return;
	memcpy(l->recv_buf + l->recv_got, l->plain, n);
	l->recv_got += n;
	l->plain += n;
	l->plain_len -= n;
}

static void read_on(struct layer *l)
{
	bool enough;

	take_plain(l);
	enough = l->recv_got == l->recv_len || (l->recv_got && !l->recv_exact);
	if (!enough && l->in_status > 0) {
		if (!l->receiving) {
			l->receiving = true;
			transport_recv(l->inner, l->in, sizeof(l->in), false);
		}
		return;
	}
	/* An end, or an error, comes again when it is asked for again. */
	l->recv_busy = false;
	l->transport.user->received(
		&l->transport, l->recv_got ? (int)l->recv_got : l->in_status);
}

static void work(struct task *task)
{
	struct layer *l = container_of(task, struct layer, work);

	if (l->recv_busy)
		read_on(l);
}

static void decode(struct layer *l, size_t len)
{
	unsigned int plain_len = 0;
	const char *plain = NULL;

	/* All of the last has been taken: read_on() asks for more only then. */
	assert(!l->plain_len);
	if (sasl_decode(l->conn, (const char *)l->in, (unsigned int)len, &plain,
			&plain_len) != SASL_OK) {
		l->in_status = -EBADMSG;
		return;
	}
	l->plain = plain;
	l->plain_len = plain ? plain_len : 0;
}

static void inner_received(struct transport *inner, int res)
{
	struct layer *l = inner->context;

	l->receiving = false;
	if (res > 0)
		decode(l, (size_t)res);
	else
		l->in_status = res;
	work(&l->work);
}

static void layer_recv(struct transport *t, void *buf, size_t len, bool exact)
{
	struct layer *l = layer_of(t);

	l->recv_busy = true;
	l->recv_buf = buf;
	/* A length is an int in what is told. */
	l->recv_len = MIN(len, (size_t)1 << 30);
	l->recv_exact = exact;
	l->recv_got = 0;
	loop_post(t->loop, &l->work);
}

/* --- Sending ----------------------------------------------------------------------------- */

struct cursor {
	const struct iovec *iov;
	unsigned int n;
	size_t off; /* in the first */
};

static size_t gather(struct cursor *c, uint8_t *to, size_t size)
{
	size_t len = 0;

	while (c->n && len < size) {
		size_t n = MIN(c->iov->iov_len - c->off, size - len);

		if (n)
			memcpy(to + len, (uint8_t *)c->iov->iov_base + c->off,
			       n);
		len += n;
		c->off += n;
		if (c->off == c->iov->iov_len) {
			c->iov++;
			c->n--;
			c->off = 0;
		}
	}
	return len;
}

static int encode(struct layer *l, size_t len)
{
	unsigned int n = 0;
	const char *coded = NULL;

	if (sasl_encode(l->conn, (const char *)l->piece, (unsigned int)len,
			&coded, &n) != SASL_OK ||
	    n > sizeof(l->out) - l->out_len)
		return -EPROTO;
	if (n)
		memcpy(l->out + l->out_len, coded, n);
	l->out_len += n;
	return 0;
}

static void report_sent(struct task *task)
{
	struct layer *l = container_of(task, struct layer, report);

	l->transport.user->sent(&l->transport,
				l->send_error ? l->send_error : (int)l->taken);
}

static void inner_sent(struct transport *inner, int res)
{
	struct layer *l = inner->context;

	if (res < 0) {
		l->send_error = res;
	} else {
		l->iov.iov_base = (uint8_t *)l->iov.iov_base + res;
		l->iov.iov_len -= (size_t)res;
	}
	if (!l->send_error && l->iov.iov_len) {
		transport_send(inner, &l->iov, 1);
		/* Somebody may wait for the end of this; his hurry is over. */
		loop_hurry(inner->loop);
		return;
	}
	report_sent(&l->report);
}

static void layer_send(struct transport *t, const struct iovec *iov,
		       unsigned int n)
{
	struct layer *l = layer_of(t);
	struct cursor c = { iov, n, 0 };

	l->out_len = l->taken = 0;
	while (!l->send_error &&
	       sizeof(l->out) - l->out_len >= l->piece_max + GROWTH) {
		size_t len = gather(&c, l->piece, l->piece_max);

		if (!len)
			break;
		l->send_error = encode(l, len);
		l->taken += len;
	}
	if (l->send_error || !l->out_len) {
		loop_post(t->loop, &l->report);
		return;
	}
	l->iov = (struct iovec){ l->out, l->out_len };
	transport_send(l->inner, &l->iov, 1);
	/* What did not fit waits for the end of this. */
	if (c.n)
		loop_hurry(t->loop);
}

/* --- Life ---------------------------------------------------------------------------------- */

/* All that was reported as sent has left. */
static void layer_close(struct transport *t)
{
	struct layer *l = layer_of(t);

	task_cancel(&l->work);
	task_cancel(&l->report);
	transport_close(l->inner);
}

static void inner_closed(struct transport *inner)
{
	struct layer *l = inner->context;

	if (l->transport.user)
		l->transport.user->closed(&l->transport);
	spice_sasl_destroy(l->sasl);
	explicit_bzero(l->piece, sizeof(l->piece));
	free(l);
}

static const struct transport_user inner_user = {
	.received = inner_received,
	.sent = inner_sent,
	.closed = inner_closed,
};

static const struct transport_ops layer_ops = {
	.recv = layer_recv,
	.send = layer_send,
	.close = layer_close,
};

int spice_sasl_layer_create(struct transport *t, struct spice_sasl *s,
			    struct sasl_conn *conn, struct transport **layered)
{
	const void *max = NULL;
	struct layer *l;

	if (sasl_getprop(conn, SASL_MAXOUTBUF, &max) != SASL_OK)
		return -EPROTO;
	l = malloc(sizeof(*l));
	if (!l)
		return -ENOMEM;
	memset(l, 0, offsetof(struct layer, piece));
	l->transport = *t; /* the same socket, the same peer */
	l->transport.ops = &layer_ops;
	l->transport.user = NULL;
	l->transport.copies = true;
	l->inner = t;
	l->sasl = s;
	l->conn = conn;
	l->in_status = 1;
	/* 0: it does not say. */
	l->piece_max = *(const unsigned int *)max;
	if (!l->piece_max || l->piece_max > MAX_PIECE)
		l->piece_max = MAX_PIECE;
	task_init(&l->work, work);
	task_init(&l->report, report_sent);
	t->user = &inner_user;
	t->context = l;
	*layered = &l->transport;
	return 0;
}

#endif
