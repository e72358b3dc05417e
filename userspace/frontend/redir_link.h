/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A usbredir session on a transport: receives into the session, sends what it
 * has to say, and stops receiving while the peer does not take it.
 */
#ifndef FRONTEND_REDIR_LINK_H
#define FRONTEND_REDIR_LINK_H

#include "core/outq.h"
#include "frontend/redir.h"
#include "transport/transport.h"

/* Memory of answers that the peer has not taken; above it nothing is read. */
#define REDIR_MAX_UNSENT (8u << 20)
/* Above it streams pause; less, so that they do not silence requests. */
#define REDIR_MAX_STREAMED (4u << 20)

/* How long a detached peer may take to acknowledge it. */
#define REDIR_ACK_MS 1000

struct redir_link {
	struct list node;	     /* the owner's */
	struct transport *transport; /* owned; NULL after it closed */
	struct outq out;
	struct task flush; /* sends what a turn has gathered */
	struct task end;   /* closes what has failed */
	struct timer ack;
	bool receiving, sending;
	bool ending; /* closing down */
	bool session_closed;
	bool finishing; /* redir_link_finish() was called */
	void (*ended)(struct redir_link *link);
	void *owner;
	struct redir_session session; /* last: its end is not initialised */
};

/*
 * Takes t, on success. ended runs once, when everything is released; it frees
 * the link by redir_link_free(). -ENOMEM.
 */
int must_check redir_link_create(struct transport *t, struct bufpool *pool,
				 struct registry *registry,
				 struct usb_device *wanted,
				 void (*ended)(struct redir_link *link),
				 void *owner, struct redir_link **link);

/* Detaches the device, lets the peer know, then ends. */
void redir_link_finish(struct redir_link *link);

/* Ends soon, without a word to the peer, who is not there any more. */
void redir_link_drop(struct redir_link *link);

void redir_link_free(struct redir_link *link);

#endif
