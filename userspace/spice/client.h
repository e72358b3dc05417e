/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A session with a SPICE server: the main channel, and a usbredir channel for
 * each device that is to be plugged in, the n-th device on the n-th channel.
 * What is lost is connected again.
 *
 * A server has one client: it disconnects the one that it had, and does not
 * say so before.
 */
#ifndef SPICE_CLIENT_H
#define SPICE_CLIENT_H

#include "spice/dial.h"
#include "spice/lz4.h"
#include "spice/main_channel.h"
#include "spice/vmc.h"

/* Between two attempts: doubled from the first to the last. */
#define SPICE_RETRY_FIRST_MS 250
#define SPICE_RETRY_LAST_MS 10000
/* A session that lived so long was a good one: the next attempt is a first. */
#define SPICE_GOOD_MS 20000

struct spice_client;

struct spice_client_ops {
	/* A usbredir channel for the n-th device, from 0: takes t. Ends with
	 * spice_client_channel_ended(). */
	void (*channel)(struct spice_client *c, unsigned int n,
			struct transport *t);
	/* The session is over: end what has that channel. */
	void (*drop)(struct spice_client *c, unsigned int n);
	/* The server has n usbredir channels only, fewer than devices. */
	void (*few)(struct spice_client *c, unsigned int n);
	/* It will never work; that has been said. The owner closes. */
	void (*failed)(struct spice_client *c);
	/* After spice_client_close(): nothing is left. */
	void (*closed)(struct spice_client *c);
};

/* A channel, and the device that goes to it. */
struct spice_slot {
	struct spice_client *client;
	struct spice_dialer dialer;
	struct timer retry;
	int64_t delay; /* before the next attempt, ms */
	uint8_t id;    /* of the channel */
	bool wanted;   /* there is a channel for the device */
	bool up;       /* somebody has it */
	bool told;     /* the user knows that it does not work now */
};

struct spice_client {
	const struct spice_client_ops *ops;
	struct loop *loop;    /* borrows */
	struct bufpool *pool; /* borrows */
	struct spice_access access;
	struct spice_server server; /* where it is now: it may migrate */
	enum spice_lz4_mode lz4;
	struct main_channel *main;  /* owned; NULL: there is none now */
	struct spice_dialer dialer; /* of main */
	struct timer retry;
	struct timer silence; /* from the link to the list of channels */
	struct task settle;
	int64_t delay;
	int64_t since; /* when main came up, ms */
	bool ever;     /* it has worked once */
	bool served;   /* a usbredir channel has, too */
	bool told;     /* the user knows that it does not work now */
	bool main_closing;
	bool failed, closing, over;
	struct spice_destination moved; /* host is empty: it has not */
	struct spice_slot *slots;	/* owned */
	unsigned int n_slots;
	struct log_limit complaints;
	bool few; /* it has been said that there are too few channels */
};

struct spice_client_options {
	const struct spice_server *server; /* borrowed */
	const char *capture;		   /* a folder; NULL: none. Borrowed */
	enum spice_lz4_mode lz4;
	unsigned int devices; /* to be plugged in */
};

/*
 * Connects soon. -errno, and why (size bytes) says in words what is wrong with
 * the options.
 */
int must_check spice_client_init(struct spice_client *c,
				 const struct spice_client_ops *ops,
				 struct loop *loop, struct worker *worker,
				 struct bufpool *pool,
				 const struct spice_client_options *options,
				 char *why, size_t size);

/*
 * What had the n-th channel is gone. good: it was of use; silent: nothing at all
 * was heard on it.
 */
void spice_client_channel_ended(struct spice_client *c, unsigned int n,
				bool good, bool silent);

/*
 * Connects nothing any more; when those who have channels have ended them, so
 * does the session. Ends with closed.
 */
void spice_client_close(struct spice_client *c);

/* After closed. */
void spice_client_fini(struct spice_client *c);

#endif
