/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TCP and unix stream sockets: addresses, listeners, connecting.
 *
 * Addresses: tcp:HOST:PORT  tcp:[::1]:PORT  unix:PATH
 */
#ifndef TRANSPORT_SOCKET_H
#define TRANSPORT_SOCKET_H

#include <netdb.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "core/loop.h"
#include "core/worker.h"
#include "transport/transport.h"

struct socket_address {
	char text[300]; /* as given, for log lines */
	bool is_unix;
	char host[256]; /* tcp */
	char port[16];
	struct sockaddr_un sun; /* unix */
};

/* -EINVAL, and *why says what is wrong with text. */
int must_check socket_parse(const char *text, struct socket_address *address,
			    const char **why);

/* Only this machine can reach it: a unix socket, localhost, a loopback address. */
bool socket_is_local(const struct socket_address *address);

/* --- Listening ------------------------------------------------------------------ */

struct socket_listener {
	struct loop *loop;
	struct socket_address address;
	int fd;
	struct op accept;
	struct timer retry; /* after a failed accept */
	bool created;	    /* the unix socket file is ours to remove */
	/* A peer has come; takes t. */
	void (*accepted)(struct socket_listener *l, struct transport *t);
};

/*
 * Listens on address. A host name is resolved here and now, which may block:
 * listeners start before the loop does. A unix socket that nobody listens on
 * any more is replaced. One that is taken is tried for a second: that of a
 * bridge that was killed goes a moment after it. -errno, and *why says what is
 * wrong.
 */
int must_check socket_listen(struct socket_listener *l, struct loop *loop,
			     const struct socket_address *address,
			     void (*accepted)(struct socket_listener *,
					      struct transport *),
			     const char **why);

/*
 * Nobody listens there any more when this returns. The loop must run one more
 * turn before it is destroyed.
 */
void socket_listener_close(struct socket_listener *l);

/* --- Connecting ------------------------------------------------------------------- */

struct socket_dialer {
	struct loop *loop;
	struct worker *worker;
	struct socket_address address;
	struct worker_job job; /* name resolution */
	struct op connect;
	struct addrinfo *found, *next; /* TCP: what to try */
	int gai;		       /* getaddrinfo's outcome */
	int fd;
	bool busy, resolving, cancelled;
	/* status 0: takes t. Else -errno and *why in words. */
	void (*connected)(struct socket_dialer *d, struct transport *t,
			  int status, const char *why);
};

/* Borrows loop and worker. */
void socket_dialer_init(struct socket_dialer *d, struct loop *loop,
			struct worker *worker,
			const struct socket_address *address,
			void (*connected)(struct socket_dialer *,
					  struct transport *, int,
					  const char *));

/* Tries once; ends with connected, from within only when that cannot start. */
void socket_dial(struct socket_dialer *d);

/*
 * A running attempt ends soon, with -ECANCELED; true. While the name is being
 * resolved nothing can hurry it: false, and connected may come late or never.
 */
bool socket_dialer_cancel(struct socket_dialer *d);

#endif
