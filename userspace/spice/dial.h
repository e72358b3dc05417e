/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way to a channel: socket, proxy, TLS, link.
 */
#ifndef SPICE_DIAL_H
#define SPICE_DIAL_H

#include "core/worker.h"
#include "spice/channel.h"
#include "spice/link.h"
#include "spice/server.h"
#include "transport/proxy.h"
#include "transport/socket.h"
#include "transport/tls.h"

/* From a socket that is connected to a channel, at most; and to the socket. */
#define SPICE_LINK_MS 20000

/* What all connections to a server share. */
struct spice_access {
	struct loop *loop;		   /* borrows */
	struct worker *worker;		   /* borrows */
	const struct spice_server *server; /* borrows */
	struct spice_credentials credentials;
	struct socket_address address; /* the server's, or the proxy's */
	struct proxy proxy;
	struct tls_context *tls; /* NULL: plain */
	const char *capture;	 /* a folder for captures; NULL: none */
	char name[300];		 /* the server, for log lines */
};

/*
 * Borrows all. -errno, and why (size bytes) says in words what is wrong with
 * the server's description.
 */
int must_check spice_access_init(struct spice_access *access, struct loop *loop,
				 struct worker *worker,
				 const struct spice_server *server,
				 const char *capture, char *why, size_t size);
/* No connection is left. */
void spice_access_fini(struct spice_access *access);

struct spice_dialer {
	const struct spice_access *access;
	struct spice_link request;
	struct socket_dialer socket;
	struct transport_step *step; /* that is being taken; NULL: none */
	struct timer deadline;
	bool busy, late;
	/*
	 * status 0: takes t, link says what it is. Else -errno and why in
	 * words; -EACCES (password, certificate) and -EPROTO (not SPICE, not
	 * TLS where it should be) will not get better.
	 */
	void (*connected)(struct spice_dialer *d, struct transport *t,
			  const struct spice_channel_link *link, int status,
			  const char *why);
};

/* Borrows access. */
void spice_dialer_init(struct spice_dialer *d,
		       const struct spice_access *access,
		       void (*connected)(struct spice_dialer *,
					 struct transport *,
					 const struct spice_channel_link *, int,
					 const char *));

/* Tries once; ends with connected, from within only when it cannot start. */
void spice_dial(struct spice_dialer *d, const struct spice_link *request);

/* As socket_dialer_cancel(). */
bool spice_dialer_cancel(struct spice_dialer *d);

#endif
