/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sessions: what two ends of a protocol say to each other, without I/O. Bytes
 * come in by session_space() and session_filled(), bytes go out by user->send.
 * A link (link.h) gives a session a transport; a test or a fuzzer gives it
 * bytes.
 */
#ifndef PEER_SESSION_H
#define PEER_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/log.h"
#include "core/loop.h"
#include "peer/parser.h"

struct session;

/* What a protocol implements. */
struct session_ops {
	/* Once, when user and context are set: what there is to say first. */
	void (*start)(struct session *s);
	/* user->full() may say no again. NULL: nothing comes by itself. */
	void (*drained)(struct session *s);
	/* Parts from the peer in order and lets it know; ends with
	 * user->detached. */
	void (*detach)(struct session *s);
	/* See session_close(). */
	void (*close)(struct session *s);
	/* After closed, when nobody has memory of the parser any more. */
	void (*destroy)(struct session *s);
};

/* What who runs a session implements. */
struct session_user {
	/* head (copied by the callee, at most OUTQ_HEAD bytes), then len bytes
	 * at off of buf, whose reference goes to the callee (may be NULL). */
	void (*send)(struct session *s, const void *head, size_t head_len,
		     struct buf *buf, uint32_t off, uint32_t len);
	/* So much waits to be sent that what comes by itself has to wait: for
	 * drained. */
	bool (*full)(struct session *s);
	/* The stream cannot be understood any further; why has been logged.
	 * The user calls close, not from within. */
	void (*failed)(struct session *s);
	/* After detach: nothing is left to be said. */
	void (*detached)(struct session *s);
	/* After close: nothing is in flight any more. */
	void (*closed)(struct session *s);
};

struct session {
	const struct session_ops *ops;
	const struct session_user *user; /* set by who runs it */
	void *context;			 /* the user's */
	struct loop *loop;		 /* borrows */
	struct bufpool *pool;		 /* borrows */
	struct parser *parser;		 /* the protocol's: of what comes */
	struct log_limit *complaints;	 /* borrows: about peers */
	char peer[128];			 /* for log lines */
	bool greeted; /* the peer speaks the protocol, as far as can be seen */
	bool closing; /* session_close() was called */
	bool failed;  /* user->failed has run */
};

/* --- For who runs it ---------------------------------------------------------- */

static inline void session_start(struct session *s)
{
	s->ops->start(s);
}

/* Where the next bytes go, and that they are there: see parser.h. */
static inline void *session_space(struct session *s, size_t *len, bool *exact)
{
	return parser_space(s->parser, len, exact);
}

static inline void session_filled(struct session *s, size_t n)
{
	parser_filled(s->parser, n);
}

static inline void session_drained(struct session *s)
{
	if (s->ops->drained)
		s->ops->drained(s);
}

static inline void session_detach(struct session *s)
{
	s->ops->detach(s);
}

/*
 * Nothing is sent any more; ends with user->closed, possibly from within.
 * Memory from session_space() may be lent to the kernel still: it stays.
 */
static inline void session_close(struct session *s)
{
	if (s->closing)
		return;
	s->closing = true;
	parser_stop(s->parser);
	s->ops->close(s);
}

/* --- For the protocol ----------------------------------------------------------- */

/* Borrows all, but copies peer; s is zero. */
static inline void session_init(struct session *s,
				const struct session_ops *ops,
				struct parser *parser, struct loop *loop,
				struct bufpool *pool,
				struct log_limit *complaints, const char *peer)
{
	s->ops = ops;
	s->parser = parser;
	s->loop = loop;
	s->pool = pool;
	s->complaints = complaints;
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
}

/* As user->send, while there is any sense in it. */
static inline void session_send(struct session *s, const void *head,
				size_t head_len, struct buf *buf, uint32_t off,
				uint32_t len)
{
	if (s->closing || s->failed)
		buf_put(buf);
	else
		s->user->send(s, head, head_len, buf, off, len);
}

/* Gives the stream up; why has been logged. Once. */
static inline void session_fail(struct session *s)
{
	if (s->failed)
		return;
	s->failed = true;
	parser_stop(s->parser);
	s->user->failed(s);
}

#endif
