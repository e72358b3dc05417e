/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Calls a peer: connects, by TLS if that is wanted, again and again until it
 * works, and again when the connection has ended.
 */
#ifndef PEER_CALLER_H
#define PEER_CALLER_H

#include "transport/socket.h"
#include "transport/tls.h"

/* Between two attempts to connect: doubled from the first to the last. */
#define CALLER_FIRST_MS 250
#define CALLER_LAST_MS 10000

/* From a socket that is connected to a finished handshake, at most. */
#define CALLER_TLS_MS 20000

struct caller {
	struct loop *loop;	 /* borrows */
	struct tls_context *tls; /* borrows; NULL: plain */
	struct socket_dialer dialer;
	struct transport_step *step; /* TLS; NULL: none is being taken */
	struct timer deadline;	     /* of that */
	bool late;		     /* it has passed */
	struct timer retry;
	int64_t delay; /* before the next attempt, ms */
	char told
		[160]; /* what the user knows of why it does not work now; "" */
	bool stopped;
	bool rest_due; /* rested is to run */
	/* It has answered; takes t. */
	void (*connected)(struct caller *c, struct transport *t);
	/* After a caller_stop() that said true: it has come to rest. */
	void (*rested)(struct caller *c);
};

/* Borrows all but the address. */
void caller_init(struct caller *c, struct loop *loop, struct worker *worker,
		 const struct socket_address *address, struct tls_context *tls,
		 void (*connected)(struct caller *c, struct transport *t),
		 void (*rested)(struct caller *c));

/* The first call. */
void caller_start(struct caller *c);

/*
 * What had the connection has ended, or did not want it: calls again. good: it
 * was of use; else the delay grows.
 */
void caller_again(struct caller *c, bool good);

/*
 * Calls no more. True: something is going on still, and rested will run. False:
 * nothing, or it can be left alone (a name is being resolved).
 */
bool caller_stop(struct caller *c);

#endif
