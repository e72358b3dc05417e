/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Transports: ordered byte pipes, all used alike. One receive and one send at
 * a time each.
 */
#ifndef TRANSPORT_TRANSPORT_H
#define TRANSPORT_TRANSPORT_H

#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

#include "base/err.h"
#include "core/loop.h"

struct transport;

struct transport_user {
	/* res bytes are there; 0: the peer has closed; or -errno. */
	void (*received)(struct transport *t, int res);
	/* res > 0 bytes have left, perhaps not all; or -errno. */
	void (*sent)(struct transport *t, int res);
	/* After transport_close(): t is freed, memory is not lent any more. */
	void (*closed)(struct transport *t);
};

struct transport_ops {
	void (*recv)(struct transport *t, void *buf, size_t len, bool exact);
	void (*send)(struct transport *t, const struct iovec *iov,
		     unsigned int n);
	void (*close)(struct transport *t);
	/* See transport_why(). NULL: the number is all there is to know. */
	const char *(*why)(const struct transport *t, int res);
};

struct transport {
	const struct transport_ops *ops;
	struct loop *loop; /* borrows */
	/* Set by who uses it; a transport that is closed unused needs none. */
	const struct transport_user *user;
	void *context; /* the user's */
	int fd;	       /* of the socket below, to ask it things; -1: none */
	/*
	 * It reads itself what it sends, while a socket has the kernel do it: who
	 * lends memory of a file that may become shorter gets no -EFAULT, but
	 * SIGBUS. Do not: see outq->own.
	 */
	bool copies;
	char peer[128]; /* who is at the other end, for log lines */
};

/*
 * Receives into buf (lent until received). exact: do not report before all
 * len bytes are there, if that saves anything.
 */
static inline void transport_recv(struct transport *t, void *buf, size_t len,
				  bool exact)
{
	t->ops->recv(t, buf, len, exact);
}

/* iov, and what it points at, are lent until sent. At most TRANSPORT_IOV. */
#define TRANSPORT_IOV 16
static inline void transport_send(struct transport *t, const struct iovec *iov,
				  unsigned int n)
{
	t->ops->send(t, iov, n);
}

/* In words: the -errno that received or sent was given. */
static inline const char *transport_why(const struct transport *t, int res)
{
	return t->ops->why ? t->ops->why(t, res) : strerror(-res);
}

/* Takes t. Ends with closed; received and sent do not come any more. */
static inline void transport_close(struct transport *t)
{
	t->ops->close(t);
}

/*
 * A step on the way to a peer, for instance TLS or a proxy's consent: it takes
 * a transport that nobody uses, speaks with the other end, and leaves one to go
 * on with, the same or one on top of it. Whoever starts a step fills in done.
 */
struct transport_step {
	/*
	 * status 0: takes t. Else -errno, why says in words what is wrong, and
	 * the transport has been closed. Runs once, never from within the
	 * function that starts the step; the step is freed afterwards.
	 */
	void (*done)(struct transport_step *step, struct transport *t,
		     int status, const char *why);
	void *owner;
	/* The step's own: ends soon, with -ECANCELED. */
	void (*cancel)(struct transport_step *step);
};

/*
 * A transport over file descriptors, which it takes, also on failure: a
 * connected socket (in and out the same), or two pipes. -ENOMEM.
 */
int must_check transport_over_fds(struct loop *loop, int in, int out,
				  const char *peer, struct transport **t);

#endif
