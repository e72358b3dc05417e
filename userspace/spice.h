/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The part of the wiring that is about SPICE: what the options say of a server,
 * and its channels handed to the ports.
 */
#ifndef SPICE_H
#define SPICE_H

#include "frontend/port.h"
#include "options.h"
#include "spice/client.h"

struct spice {
	struct spice_server server;
	struct ports *ports; /* borrows */
	struct spice_client client;
	unsigned int first; /* the number of its first device */
	struct port **up;   /* owned; what has the n-th channel, or NULL */
	bool started;	    /* closed has not run yet */
	void (*failed)(struct spice *s);
	void (*closed)(struct spice *s);
};

/*
 * Finds out what the options say of a server, if they do. Asks for a password if
 * none is known and there is somebody to ask, and waits for that: before the
 * loop, and before signals are anything special. -errno, and it has been said
 * why.
 */
int must_check spice_describe(struct spice *s, const struct options *o);

/*
 * Connects to that server, giving away the devices from number first on. -errno,
 * and it has been said why. failed: it will never work, which has been said;
 * closed: after spice_close().
 */
int must_check spice_start(struct spice *s, const struct options *o,
			   struct ports *ports, unsigned int first,
			   void (*failed)(struct spice *s),
			   void (*closed)(struct spice *s));

/* As the ports finish: their channels end first. */
void spice_close(struct spice *s);

/* After closed, or when it has not been started. */
void spice_fini(struct spice *s);

#endif
