/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For unit tests of TLS: our end of a connection to a server of tls-server.h.
 */
#ifndef TESTS_TLS_CLIENT_H
#define TESTS_TLS_CLIENT_H

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tls-server.h"
#include "transport/tls.h"

static struct identity ca, other_ca, usual;

struct bench {
	struct loop *loop;
	struct tls_context *context;
	struct transport_step *step;
	struct transport *t;
	struct server server;
	struct timer watchdog;
	int status, received, sent; /* what was told last, or NOTHING */
	bool done, closed, inside;  /* inside: a function of the transport */
	char why[512];
};

#define NOTHING 1000000000

static inline void late(struct timer *timer)
{
	(void)timer;
	tls_need(false, "nothing happens any more");
}

/* Something was told: the test looks at it before the loop sleeps. */
static inline void told(struct bench *b)
{
	assert_false(b->inside);
	loop_hurry(b->loop);
}

static inline void received(struct transport *t, int res)
{
	struct bench *b = t->context;

	told(b);
	b->received = res;
}

static inline void sent(struct transport *t, int res)
{
	struct bench *b = t->context;

	told(b);
	b->sent = res;
}

static inline void closed(struct transport *t)
{
	struct bench *b = t->context;

	told(b);
	b->closed = true;
	b->t = NULL;
}

static const struct transport_user user = { received, sent, closed };

static inline void done(struct transport_step *step, struct transport *t,
			int status, const char *why)
{
	struct bench *b = step->owner;

	told(b);
	assert_false(b->done);
	b->done = true;
	b->status = status;
	snprintf(b->why, sizeof(b->why), "%s", why ? why : "");
	b->t = t;
	if (!t)
		return;
	t->user = &user;
	t->context = b;
	assert_true(t->copies);
}

static inline void turn(struct bench *b)
{
	assert_int_equal(loop_turn(b->loop), 0);
}

static inline void recv_all(struct bench *b, void *buf, size_t len, bool exact)
{
	b->received = NOTHING;
	b->inside = true;
	transport_recv(b->t, buf, len, exact);
	b->inside = false;
	while (b->received == NOTHING)
		turn(b);
}

/* As the users do: the outcome is asked for once. */
static inline void send_all(struct bench *b, const void *data, size_t len)
{
	struct iovec iov = { (void *)data, len };

	while (iov.iov_len) {
		b->sent = NOTHING;
		b->inside = true;
		transport_send(b->t, &iov, 1);
		b->inside = false;
		loop_hurry(b->loop);
		while (b->sent == NOTHING)
			turn(b);
		assert_true(b->sent > 0 && (size_t)b->sent <= iov.iov_len);
		iov.iov_base = (char *)iov.iov_base + b->sent;
		iov.iov_len -= (size_t)b->sent;
	}
}

static inline void start(struct bench *b, const struct tls_options *options,
			 const struct identity *id)
{
	struct transport *t;
	int fd;

	assert_int_equal(tls_context_create(options, &b->context, b->why,
					    sizeof(b->why)),
			 0);
	assert_int_equal(loop_create(&b->loop), 0);
	timer_init(&b->watchdog, late);
	timer_start(b->loop, &b->watchdog, 30000);
	fd = server_start(&b->server, id);
	assert_int_equal(transport_over_fds(b->loop, fd, fd, "server", &t), 0);
	b->inside = true;
	assert_int_equal(tls_start(b->context, t, done, b, &b->step), 0);
	b->inside = false;
}

static inline void shake(struct bench *b, const struct tls_options *options,
			 const struct identity *id)
{
	start(b, options, id);
	while (!b->done)
		turn(b);
}

static inline void end(struct bench *b)
{
	if (b->t) {
		b->inside = true;
		transport_close(b->t);
		b->inside = false;
		while (!b->closed)
			turn(b);
	}
	server_join(&b->server);
	timer_stop(&b->watchdog);
	loop_destroy(b->loop);
	tls_context_destroy(b->context);
}

/* Sends back what comes, and says good-bye when the client has. */
static inline void echo(struct server *s)
{
	char buf[16384];
	ssize_t n;

	if (server_shake(s) < 0)
		return;
	while ((n = server_read(s, buf, sizeof(buf))) > 0)
		if (!server_write(s, buf, (size_t)n))
			return;
	if (!n)
		gnutls_bye(s->session, GNUTLS_SHUT_WR);
	s->result = (int)n;
}

static inline struct tls_options for_host(const char *host)
{
	return (struct tls_options){ .ca = (char *)ca.crt_pem.data,
				     .host = host };
}

static const unsigned char loopback[] = { 127, 0, 0, 1 };

static inline int set_up(void **state)
{
	static const struct rdn other[] = {
		{ GNUTLS_OID_X520_COMMON_NAME, "other" }, { 0 }
	};
	static const struct rdn first[] = {
		{ GNUTLS_OID_X520_COMMON_NAME, "ca" }, { 0 }
	};

	(void)state;
	signal(SIGPIPE, SIG_IGN); /* the server's threads */
	identity_make(&ca, NULL,
		      &(struct wanted){ .subject = first, .ca = true });
	identity_make(&other_ca, NULL,
		      &(struct wanted){ .subject = other, .ca = true });
	identity_make(&usual, &ca,
		      &(struct wanted){ .name = "vm.example", .ip = loopback });
	return 0;
}

static inline int tear_down(void **state)
{
	(void)state;
	identity_free(&ca);
	identity_free(&other_ca);
	identity_free(&usual);
	return 0;
}

#endif
