/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Listens for peers, by TLS if that is wanted: who has shown a certificate that
 * is good enough has come.
 */
#ifndef PEER_LISTENER_H
#define PEER_LISTENER_H

#include "base/log.h"
#include "transport/socket.h"
#include "transport/tls.h"

/* Handshakes at a time, of one listener, and how long each may take. */
#define LISTENER_MAX_HANDSHAKES 64u
#define LISTENER_TLS_MS 10000

struct listener {
	struct socket_listener socket;
	struct tls_context *tls; /* borrows; NULL: plain */
	struct list handshakes;	 /* struct listener_handshake */
	unsigned int n_handshakes;
	bool closing;
	struct log_limit complaints;
	/* A peer has come; takes t. */
	void (*accepted)(struct listener *l, struct transport *t);
	/* After listener_close() and the last handshake. */
	void (*closed)(struct listener *l);
};

/* As socket_listen(). Borrows all but the address. */
int must_check
listener_open(struct listener *l, struct loop *loop,
	      const struct socket_address *address, struct tls_context *tls,
	      void (*accepted)(struct listener *l, struct transport *t),
	      void (*closed)(struct listener *l), const char **why);

/* Ends with closed, possibly from within. The loop must run one more turn before
 * it is destroyed. */
void listener_close(struct listener *l);

#endif
