// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/link.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "spice/sasl.h"
#include "spice/ticket.h"

/* What is sent or received at one go. */
#define BUFFER MAX(SPICE_LINK_MAX, SPICE_SASL_MAX)

struct link {
	struct transport_step step;
	struct transport *transport; /* owned; NULL after it closed */
	const struct spice_credentials *credentials;
	struct spice_link_result result;
	struct spice_sasl *sasl; /* owned; NULL: the ticket is enough */
	int status;
	const char *why;
	bool ending;

	/* The function that goes on when in_size bytes are there. */
	void (*next)(struct link *l, struct span in);
	uint8_t in[BUFFER], out[BUFFER];
	size_t in_have, in_size;
	struct iovec iov; /* what is still to be sent */
	bool waiting;	  /* next, for that: it writes to out */
	/* Runs when that has left; NULL: nothing */
	void (*after)(struct link *l);
	uint8_t key[SPICE_PUBLIC_KEY]; /* the server's */
};

static struct link *link_of(struct transport_step *step)
{
	return container_of(step, struct link, step);
}

/* --- The end ------------------------------------------------------------------------ */

static void release(struct link *l)
{
	spice_sasl_destroy(l->sasl);
	explicit_bzero(l->out, sizeof(l->out));
	free(l);
}

static void fail(struct link *l, int status, const char *why)
{
	if (l->ending)
		return;
	l->ending = true;
	l->status = status;
	l->why = why;
	transport_close(l->transport);
}

static void closed(struct transport *t)
{
	struct link *l = t->context;

	l->step.done(&l->step, NULL, l->status, l->why);
	release(l);
}

/* --- Bytes -------------------------------------------------------------------------- */

/* Then next runs with exactly size bytes: nothing behind them is ours. */
static void expect(struct link *l, size_t size,
		   void (*next)(struct link *, struct span))
{
	assert(size && size <= sizeof(l->in));
	l->next = next;
	l->in_have = 0;
	l->in_size = size;
	transport_recv(l->transport, l->in, size, true);
}

static void hung_up(struct link *l, int res)
{
	/* That is how spice-server says no in SASL. */
	if (l->sasl && spice_sasl_judged(l->sasl) &&
	    (!res || res == -ECONNRESET || res == -EPIPE))
		fail(l, -EACCES, "the user name or the password is wrong");
	else if (res)
		fail(l, res, transport_why(l->transport, res));
	else
		fail(l, -ECONNRESET,
		     l->sasl ? "the server closed the connection in the midst of SASL"
			     : "the server closed the connection while it was being set up");
}

static void received(struct transport *t, int res)
{
	struct link *l = t->context;

	if (l->ending)
		return;
	if (res <= 0) {
		hung_up(l, res);
		return;
	}
	l->in_have += (size_t)res;
	if (l->in_have < l->in_size)
		transport_recv(t, l->in + l->in_have, l->in_size - l->in_have,
			       true);
	else if (l->iov.iov_len)
		l->waiting = true;
	else
		l->next(l, span_of(l->in, l->in_size));
}

static void send_out(struct link *l, size_t len)
{
	assert(!l->iov.iov_len);
	l->iov = (struct iovec){ l->out, len };
	transport_send(l->transport, &l->iov, 1);
	loop_hurry(l->transport->loop);
}

static void sent(struct transport *t, int res)
{
	struct link *l = t->context;

	if (l->ending)
		return;
	if (res < 0) {
		hung_up(l, res);
		return;
	}
	l->iov.iov_base = (uint8_t *)l->iov.iov_base + res;
	l->iov.iov_len -= (size_t)res;
	if (l->iov.iov_len) {
		transport_send(t, &l->iov, 1);
		loop_hurry(t->loop);
	} else if (l->after) {
		void (*after)(struct link *) = l->after;

		l->after = NULL;
		after(l);
	} else if (l->waiting) {
		l->waiting = false;
		l->next(l, span_of(l->in, l->in_size));
	}
}

static const struct transport_user user = {
	.received = received,
	.sent = sent,
	.closed = closed,
};

/* --- The course of it ------------------------------------------------------------------- */

static const char *error_text(uint32_t error)
{
	switch (error) {
	case SPICE_LINK_INVALID_MAGIC:
	case SPICE_LINK_INVALID_DATA:
		return "the server does not understand us";
	case SPICE_LINK_VERSION_MISMATCH:
		return "the server speaks another version of SPICE";
	case SPICE_LINK_NEED_SECURED:
		return "the server wants TLS here: give its TLS port by --tls-port";
	case SPICE_LINK_NEED_UNSECURED:
		return "the server wants no TLS here: leave --tls-port out";
	case SPICE_LINK_PERMISSION_DENIED:
		return "the password is wrong, or has expired";
	case SPICE_LINK_BAD_CONNECTION_ID:
		return "the server does not know the session any more";
	case SPICE_LINK_CHANNEL_NOT_AVAILABLE:
		return "the server does not have this channel";
	default:
		return "the server refused without a reason";
	}
}

static void refuse(struct link *l, uint32_t error)
{
	l->result.error = MIN(error, SPICE_LINK_CHANNEL_NOT_AVAILABLE);
	fail(l, error == SPICE_LINK_PERMISSION_DENIED ? -EACCES : -ECONNREFUSED,
	     error_text(error));
}

static void succeed(struct link *l)
{
	struct transport *t = l->transport;

	t->user = NULL;
	t->context = NULL;
	l->step.done(&l->step, t, 0, NULL);
	release(l);
}

/* May there be such a channel, for who we are? */
static void on_outcome(struct link *l, struct span in)
{
	uint32_t error = (uint32_t)span_le(&in, 4);

	if (error)
		refuse(l, error);
	else
		succeed(l);
}

static void send_ticket(struct link *l)
{
	struct spice_rsa key;
	int ret;

	if (strlen(l->credentials->password) > SPICE_MAX_PASSWORD) {
		fail(l, -EACCES, "the password is too long for this server");
		return;
	}
	ret = spice_decode_public_key(span_of(l->key, sizeof(l->key)), &key);
	if (!ret)
		ret = spice_ticket(&key, l->credentials->password, l->out);
	if (ret < 0) {
		fail(l, ret, "the server's key for the password is malformed");
		return;
	}
	send_out(l, SPICE_RSA);
	expect(l, 4, on_outcome);
}

/* In a segment of its own, as Wireshark wants to see it; then comes next. */
static void select_method(struct link *l, uint32_t method,
			  void (*next)(struct link *))
{
	struct span_writer w = span_writer_of(l->out, sizeof(l->out));

	span_put_le(&w, method, 4);
	l->after = next;
	send_out(l, w.len);
}

/* --- SASL: lengths and what they count, in turns ----------------------------------------- */

static void on_sasl(struct link *l, struct span in);

/* SASL's own; the outcome is the first that its security layer encrypts. */
static void on_verdict(struct link *l, struct span in)
{
	struct transport *t = l->transport;
	int ret;

	if (span_le(&in, 4)) {
		fail(l, -EACCES, "the server does not accept what SASL did");
		return;
	}
	t->user = NULL;
	t->context = NULL;
	ret = spice_sasl_layer(l->sasl, t, &t);
	if (!ret)
		l->sasl = NULL;
	l->transport = t;
	t->user = &user;
	t->context = l;
	if (ret < 0)
		fail(l, ret, strerror(-ret));
	else
		expect(l, 4, on_outcome);
}

static void go_on_with_sasl(struct link *l, int ret)
{
	struct span_writer w = span_writer_of(l->out, sizeof(l->out));
	size_t expected = 0;

	if (!ret)
		ret = spice_sasl_output(l->sasl, &w, &expected);
	if (ret < 0) {
		fail(l, ret, spice_sasl_why(l->sasl));
		return;
	}
	if (w.len)
		send_out(l, w.len);
	if (expected)
		expect(l, expected, on_sasl);
	else
		expect(l, 4, on_verdict);
}

static void on_sasl(struct link *l, struct span in)
{
	go_on_with_sasl(l, spice_sasl_input(l->sasl, in));
}

static void start_sasl(struct link *l)
{
	int ret = spice_sasl_create(l->credentials, &l->sasl);

	/* Trying again will not help. */
	if (ret == -EOPNOTSUPP)
		fail(l, -EPROTO,
		     "the server wants SASL, for which this ryll-bridge was not built");
	else if (ret < 0)
		fail(l, ret,
		     ret == -EPROTO ? "libsasl2 does not start"
				    : strerror(-ret));
	else
		go_on_with_sasl(l, 0);
}

/* --- Link ------------------------------------------------------------------------------- */

static void on_reply(struct link *l, struct span in)
{
	struct spice_link_reply reply;

	if (spice_decode_link_reply(in, &reply) < 0) {
		fail(l, -EPROTO, "the server's answer is malformed");
		return;
	}
	if (reply.error) {
		refuse(l, reply.error);
		return;
	}
	l->result.caps = reply.channel;
	l->result.mini = reply.common & SPICE_COMMON_CAP_MINI_HEADER;
	memcpy(l->key, reply.public_key, sizeof(l->key));
	/* A server that has SASL takes nothing else. */
	if (!(reply.common & SPICE_COMMON_CAP_AUTH_SELECTION))
		send_ticket(l);
	else if (reply.common & SPICE_COMMON_CAP_AUTH_SASL)
		select_method(l, SPICE_AUTH_SASL, start_sasl);
	else
		select_method(l, SPICE_AUTH_SPICE, send_ticket);
}

static void on_header(struct link *l, struct span in)
{
	uint32_t size;
	int ret = spice_decode_link_header(in, &size);

	if (ret == -EPROTONOSUPPORT)
		refuse(l, SPICE_LINK_VERSION_MISMATCH);
	else if (ret < 0)
		fail(l, -EPROTO,
		     "no SPICE server answers there (is it the TLS port?)");
	else
		expect(l, size, on_reply);
}

/* --- Life --------------------------------------------------------------------------------- */

static void cancel(struct transport_step *step)
{
	fail(link_of(step), -ECANCELED, strerror(ECANCELED));
}

const struct spice_link_result *
spice_link_result(const struct transport_step *step)
{
	return &container_of(step, const struct link, step)->result;
}

int spice_link_start(struct transport *t, const struct spice_link *request,
		     const struct spice_credentials *credentials,
		     void (*done)(struct transport_step *, struct transport *,
				  int, const char *),
		     void *owner, struct transport_step **step)
{
	struct link *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	l->step = (struct transport_step){ done, owner, cancel };
	l->transport = t;
	l->credentials = credentials;
	t->user = &user;
	t->context = l;
	spice_encode_link(request, l->out);
	send_out(l, SPICE_LINK_REQUEST);
	expect(l, SPICE_LINK_HEADER, on_header);
	*step = &l->step;
	return 0;
}
