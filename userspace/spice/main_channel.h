/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The main channel: it is the session. When it ends, the server ends the
 * others.
 */
#ifndef SPICE_MAIN_CHANNEL_H
#define SPICE_MAIN_CHANNEL_H

#include "spice/channel.h"

/* Where a migrated virtual machine has gone. */
struct spice_destination {
	uint16_t port, tls_port; /* 0: there is none */
	char host[256];
	char subject[512]; /* of its certificate; empty: as before */
};

struct main_channel;

struct main_channel_ops {
	/* The server's channels; list->session is set. May come again. */
	void (*channels)(struct main_channel *m, const struct spice_msg *list);
	/* Connect there instead. */
	void (*moved)(struct main_channel *m,
		      const struct spice_destination *destination);
	/* It is over; why in words. The owner closes it. */
	void (*ended)(struct main_channel *m, int status, const char *why);
	/* After main_channel_close(); m is freed. */
	void (*closed)(struct main_channel *m);
};

struct main_channel {
	const struct main_channel_ops *ops;
	void *owner;
	uint32_t session;
	bool greeted;		      /* MAIN_INIT has come */
	struct spice_channel channel; /* last: its end is not initialised */
};

/* Takes t on success. -ENOMEM. */
int must_check main_channel_create(struct transport *t,
				   const struct spice_channel_link *link,
				   const struct main_channel_ops *ops,
				   void *owner, struct main_channel **m);

void main_channel_close(struct main_channel *m);

#endif
