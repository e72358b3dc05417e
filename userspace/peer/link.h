/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session on a transport: receives into the session, sends what it has to
 * say, and stops receiving while the peer does not take it.
 */
#ifndef PEER_LINK_H
#define PEER_LINK_H

#include "core/outq.h"
#include "peer/session.h"
#include "transport/transport.h"

/* Memory of answers that the peer has not taken; above it nothing is read. */
#define LINK_MAX_UNSENT (8u << 20)
/* Above it streams pause; less, so that they do not silence requests. */
#define LINK_MAX_STREAMED (4u << 20)

/* How long the peer may take to acknowledge that we part, and to take what is
 * still to be said. */
#define LINK_FINISH_MS 1000

struct link {
	struct list node;	     /* the owner's */
	struct transport *transport; /* owned; NULL after it closed */
	struct outq out;
	struct task flush;     /* sends what a turn has gathered */
	struct task end;       /* closes what has failed */
	struct timer deadline; /* of link_finish() */
	bool receiving, sending;
	bool ending; /* closing down */
	bool session_closed;
	bool finishing; /* link_finish() was called */
	bool parted;	/* the session has nothing more to say */
	void (*ended)(struct link *link);
	void *owner;
	struct session *session; /* owned */
};

/*
 * Takes t and session, on success. ended runs once, when everything is
 * released but the link and the session, which may be asked still; it has
 * link_free() called, perhaps by itself. -ENOMEM.
 */
int must_check link_create(struct transport *t, struct session *session,
			   void (*ended)(struct link *link), void *owner,
			   struct link **link);

/* Parts from the peer in order, then ends. */
void link_finish(struct link *link);

/* Ends soon, without a word to the peer, who is not there any more. */
void link_drop(struct link *link);

void link_free(struct link *link);

#endif
