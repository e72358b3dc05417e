// SPDX-License-Identifier: GPL-2.0-or-later
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "transport/tls_session.h"
#include "transport/tls_subject.h"

/* How long a good-bye, or an alert, may wait for room in the socket. */
#define BYE_MS 20

struct tls_link {
	struct transport transport;
	struct transport *inner; /* owned */
	struct tls_start *start; /* the handshake is not yet over */
	bool closing;
	bool receiving, sending; /* in inner */
	int in_error;		 /* of inner, when all that came is read */
	struct task work;	 /* received may not run inside recv */
	struct timer bye;

	/* What the user wants, one of each at a time. */
	bool recv_busy, recv_exact;
	uint8_t *recv_buf;
	size_t recv_len, recv_got;
	bool send_busy;
	int send_error;
	size_t send_done; /* bytes encrypted */
	struct task report;
	struct iovec iov[TRANSPORT_IOV];
	struct tls_cursor at;

	struct tls_session session; /* the last: large, and not cleared */
};

struct tls_start {
	struct transport_step step;
	struct tls_link *link;
	int status; /* why it has failed is in link->session.why */
};

static struct tls_link *link_of(struct transport *t)
{
	return container_of(t, struct tls_link, transport);
}

/* --- The context --------------------------------------------------------------------- */

static int load_text(struct tls_context *c, const char *ca, char *why,
		     size_t size)
{
	gnutls_datum_t pem = { (unsigned char *)ca, (unsigned int)strlen(ca) };
	int n = gnutls_certificate_set_x509_trust_mem(c->credentials, &pem,
						      GNUTLS_X509_FMT_PEM);

	if (n > 0)
		return 0;
	snprintf(why, size,
		 "the CA certificate that was given is not one in PEM");
	return -EINVAL;
}

static int load_file(struct tls_context *c, const char *path, char *why,
		     size_t size)
{
	gnutls_datum_t pem;
	int n;

	errno = 0;
	n = gnutls_load_file(path, &pem);
	if (n < 0) {
		n = errno ? -errno : -EIO;
		snprintf(why, size, "cannot read CA certificates from %s: %s",
			 path, strerror(-n));
		return n;
	}
	n = gnutls_certificate_set_x509_trust_mem(c->credentials, &pem,
						  GNUTLS_X509_FMT_PEM);
	gnutls_free(pem.data);
	if (n > 0)
		return 0;
	snprintf(why, size, "%s has no CA certificate in PEM", path);
	return -EINVAL;
}

static int load_trust(struct tls_context *c, const struct tls_options *o,
		      char *why, size_t size)
{
	if (o->ca)
		return load_text(c, o->ca, why, size);
	if (o->ca_file)
		return load_file(c, o->ca_file, why, size);
	/* None at all is seen when a server's is not found among them. */
	(void)gnutls_certificate_set_x509_system_trust(c->credentials);
	return 0;
}

/* Who we are. */
static int load_identity(struct tls_context *c, const struct tls_options *o,
			 char *why, size_t size)
{
	int ret;

	if (!o->cert_file)
		return 0;
	if (access(o->cert_file, R_OK) || access(o->key_file, R_OK)) {
		ret = -errno;
		snprintf(why, size, "cannot read %s: %s",
			 access(o->cert_file, R_OK) ? o->cert_file
						    : o->key_file,
			 strerror(-ret));
		return ret;
	}
	ret = gnutls_certificate_set_x509_key_file2(
		c->credentials, o->cert_file, o->key_file, GNUTLS_X509_FMT_PEM,
		NULL, 0);
	if (ret >= 0)
		return 0;
	if (ret == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
		snprintf(why, size, "the key in %s is not that of %s",
			 o->key_file, o->cert_file);
	else
		snprintf(why, size,
			 "%s and %s are no certificate and key in PEM: %s",
			 o->cert_file, o->key_file, gnutls_strerror(ret));
	return -EINVAL;
}

static int copy_names(struct tls_context *c, const struct tls_options *o,
		      char *why, size_t size)
{
	const char *wrong = o->subject ? tls_subject_check(o->subject) : NULL;

	if (wrong) {
		snprintf(why, size, "%s: %s", wrong, o->subject);
		return -EINVAL;
	}
	c->subject = o->subject ? strdup(o->subject) : NULL;
	c->host = o->host ? strdup(o->host) : NULL;
	if ((o->subject && !c->subject) || (o->host && !c->host)) {
		snprintf(why, size, "out of memory");
		return -ENOMEM;
	}
	return 0;
}

int tls_context_create(const struct tls_options *options,
		       struct tls_context **context, char *why, size_t size)
{
	struct tls_context *c = calloc(1, sizeof(*c));
	int ret = -ENOMEM;

	snprintf(why, size, "out of memory");
	if (!c)
		return ret;
	if (gnutls_certificate_allocate_credentials(&c->credentials) < 0)
		goto fail;
	/* What the administrator forbids stays forbidden. */
	if (gnutls_priority_init2(&c->priority,
				  "-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", NULL,
				  GNUTLS_PRIORITY_INIT_DEF_APPEND) < 0) {
		snprintf(why, size,
			 "this system's gnutls has no TLS 1.2 or 1.3");
		ret = -EPROTO;
		goto fail;
	}
	c->server = options->server;
	ret = load_trust(c, options, why, size);
	if (!ret)
		ret = load_identity(c, options, why, size);
	if (!ret)
		ret = copy_names(c, options, why, size);
	if (ret < 0)
		goto fail;
	*context = c;
	return 0;

fail:
	tls_context_destroy(c);
	return ret;
}

void tls_context_destroy(struct tls_context *c)
{
	if (!c)
		return;
	if (c->priority)
		gnutls_priority_deinit(c->priority);
	if (c->credentials)
		gnutls_certificate_free_credentials(c->credentials);
	free(c->subject);
	free(c->host);
	free(c);
}

/* --- Below: ciphertext -------------------------------------------------------------------- */

static void receive(struct tls_link *link)
{
	struct tls_session *s = &link->session;

	if (link->receiving || link->closing)
		return;
	/* All of it has been taken: gnutls keeps parts of records itself. */
	s->in_off = s->in_len = 0;
	link->receiving = true;
	transport_recv(link->inner, s->in, sizeof(s->in), false);
}

/* What is encrypted leaves. Success may be told lazily: who waits hurries. */
static void flush(struct tls_link *link)
{
	struct tls_session *s = &link->session;
	struct iovec iov = { s->out + s->out_off, s->out_len - s->out_off };

	if (link->sending || !iov.iov_len)
		return;
	link->sending = true;
	transport_send(link->inner, &iov, 1);
}

static void close_inner(struct tls_link *link)
{
	timer_stop(&link->bye);
	task_cancel(&link->work);
	task_cancel(&link->report);
	transport_close(link->inner);
}

static void bye_late(struct timer *timer)
{
	close_inner(container_of(timer, struct tls_link, bye));
}

/* What is encrypted may still leave, if there is room for it. */
static void close_link(struct tls_link *link)
{
	link->closing = true;
	if (!tls_session_has_out(&link->session)) {
		close_inner(link);
		return;
	}
	flush(link);
	loop_hurry(link->transport.loop);
	timer_start(link->transport.loop, &link->bye, BYE_MS);
}

/* --- The handshake --------------------------------------------------------------------------- */

static void fail_start(struct tls_link *link, int status)
{
	link->start->status = status;
	close_link(link);
}

static void shake(struct tls_link *link)
{
	struct tls_start *start = link->start;
	int ret = link->in_error;

	if (ret)
		snprintf(link->session.why, sizeof(link->session.why), "%s",
			 strerror(-ret));
	else
		ret = tls_session_handshake(&link->session);
	if (ret == -EAGAIN) {
		flush(link);
		receive(link);
	} else if (ret < 0) {
		fail_start(link, ret);
	} else {
		flush(link);
		link->start = NULL;
		start->step.done(&start->step, &link->transport, 0, NULL);
		free(start);
	}
}

static void cancel(struct transport_step *step)
{
	struct tls_start *start = container_of(step, struct tls_start, step);
	struct tls_link *link = start->link;

	if (link->closing)
		return;
	snprintf(link->session.why, sizeof(link->session.why), "cancelled");
	start->status = -ECANCELED;
	link->closing = true;
	close_inner(link);
}

/* --- Receiving ------------------------------------------------------------------------------- */

static void read_on(struct tls_link *link)
{
	ssize_t ret = 1;

	while (link->recv_got < link->recv_len) {
		ret = tls_session_read(&link->session,
				       link->recv_buf + link->recv_got,
				       link->recv_len - link->recv_got);
		if (ret <= 0)
			break;
		link->recv_got += (size_t)ret;
	}
	flush(link); /* gnutls may have answered something */
	if (ret == -EAGAIN && link->in_error)
		ret = link->in_error;
	if (ret == -EAGAIN && (!link->recv_got || link->recv_exact)) {
		receive(link);
		return;
	}
	/* An end, or an error, comes again when it is asked for again. */
	link->recv_busy = false;
	link->transport.user->received(&link->transport,
				       link->recv_got ? (int)link->recv_got
						      : (int)ret);
}

static void work(struct task *task)
{
	struct tls_link *link = container_of(task, struct tls_link, work);

	if (link->start)
		shake(link);
	else if (link->recv_busy)
		read_on(link);
}

static void inner_received(struct transport *inner, int res)
{
	struct tls_link *link = inner->context;

	link->receiving = false;
	if (link->closing)
		return;
	if (res > 0)
		link->session.in_len = (size_t)res;
	else if (res == 0)
		link->session.in_ended = true;
	else
		link->in_error = res;
	work(&link->work);
}

static void tls_recv(struct transport *t, void *buf, size_t len, bool exact)
{
	struct tls_link *link = link_of(t);

	link->recv_busy = true;
	link->recv_buf = buf;
	/* A length is an int in what is told. */
	link->recv_len = MIN(len, (size_t)1 << 30);
	link->recv_exact = exact;
	link->recv_got = 0;
	loop_post(t->loop, &link->work);
}

/* --- Sending ----------------------------------------------------------------------------------- */

/* The next slice, if there is room. */
static void write_on(struct tls_link *link)
{
	ssize_t ret;

	if (!link->send_busy || !link->at.n || link->send_error)
		return;
	ret = tls_session_write(&link->session, &link->at);
	if (ret < 0)
		link->send_error = (int)ret;
	else
		link->send_done += (size_t)ret;
	flush(link);
}

static void report_sent(struct task *task)
{
	struct tls_link *link = container_of(task, struct tls_link, report);
	int res = link->send_error ? link->send_error : (int)link->send_done;

	link->send_busy = false;
	link->transport.user->sent(&link->transport, res);
}

static void inner_sent(struct transport *inner, int res)
{
	struct tls_link *link = inner->context;

	link->sending = false;
	if (res > 0)
		tls_session_sent(&link->session, (size_t)res);
	if (link->closing) {
		if (res < 0 || !tls_session_has_out(&link->session))
			close_inner(link);
		else
			flush(link);
		return;
	}
	if (res < 0)
		link->send_error = res;
	else if (tls_session_has_out(&link->session))
		flush(link);
	else
		write_on(link);
	if (link->sending) {
		/* Somebody may wait for the end of this; his hurry is over. */
		loop_hurry(inner->loop);
		return;
	}
	if (link->send_busy)
		report_sent(&link->report);
}

static void tls_send(struct transport *t, const struct iovec *iov,
		     unsigned int n)
{
	struct tls_link *link = link_of(t);
	bool waits = link->sending;

	memcpy(link->iov, iov, n * sizeof(*iov));
	link->at = (struct tls_cursor){ link->iov, n, 0 };
	link->send_busy = true;
	link->send_done = 0;
	write_on(link);
	if (waits || link->at.n)
		loop_hurry(t->loop);
	if (!link->sending)
		loop_post(t->loop, &link->report); /* it has failed */
}

/* --- The end ------------------------------------------------------------------------------------ */

static void tls_close(struct transport *t)
{
	struct tls_link *link = link_of(t);

	task_cancel(&link->work);
	task_cancel(&link->report);
	tls_session_bye(&link->session);
	close_link(link);
}

static const char *tls_why(const struct transport *t, int res)
{
	const char *why =
		container_of(t, struct tls_link, transport)->session.why;

	return *why ? why : strerror(-res);
}

static void free_link(struct tls_link *link)
{
	tls_session_fini(&link->session);
	free(link);
}

static void inner_closed(struct transport *inner)
{
	struct tls_link *link = inner->context;
	struct tls_start *start = link->start;

	if (start)
		start->step.done(&start->step, NULL, start->status,
				 link->session.why);
	else if (link->transport.user)
		link->transport.user->closed(&link->transport);
	free(start);
	free_link(link);
}

static const struct transport_user inner_user = {
	.received = inner_received,
	.sent = inner_sent,
	.closed = inner_closed,
};

static const struct transport_ops tls_ops = {
	.recv = tls_recv,
	.send = tls_send,
	.close = tls_close,
	.why = tls_why,
};

int tls_start(struct tls_context *context, struct transport *t,
	      void (*done)(struct transport_step *, struct transport *, int,
			   const char *),
	      void *owner, struct transport_step **step)
{
	struct tls_link *link = malloc(sizeof(*link));
	struct tls_start *start = calloc(1, sizeof(*start));

	if (!link || !start)
		goto fail;
	memset(link, 0, offsetof(struct tls_link, session));
	if (tls_session_init(&link->session, context) < 0)
		goto fail;
	link->transport = *t; /* the same socket, the same peer */
	link->transport.ops = &tls_ops;
	link->transport.user = NULL;
	link->transport.copies = true;
	link->inner = t;
	t->user = &inner_user;
	t->context = link;
	link->start = start;
	task_init(&link->work, work);
	task_init(&link->report, report_sent);
	timer_init(&link->bye, bye_late);
	start->step = (struct transport_step){ done, owner, cancel };
	start->link = link;
	loop_post(t->loop, &link->work);
	*step = &start->step;
	return 0;

fail:
	free(link);
	free(start);
	return -ENOMEM;
}
