/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Between the two halves of NBD images: nbd.c talks to the server, by libnbd,
 * and nbd_image.c decides what is asked for, when, and what follows when there
 * is no server.
 */
#ifndef IMAGE_NBD_LINK_H
#define IMAGE_NBD_LINK_H

#include "base/log.h"
#include "image/image.h"
#include "image/nbd_job.h"

#define NBD_CONNECT_MS 10000
#define NBD_BACK_OFF_MIN_MS 100
#define NBD_WHY_SIZE 256

struct nbd_handle; /* libnbd's */

struct nbd_watch {
	struct op op;
	bool stale; /* it watches the socket of a connection that is no more */
};

struct nbd {
	struct image image;
	char *uri;
	char *name;	      /* the URI without what need not be in logs */
	struct nbd_handle *h; /* NULL between two connections */
	bool up;	      /* requests may be made */
	bool broken;	      /* use it no more */
	bool unfit;	      /* what the server has now is not this disk */
	bool can_fua, can_flush, can_trim, can_zero, can_status;
	uint64_t max_data;
	unsigned int commands; /* in flight */
	struct list jobs;      /* struct nbd_job, as submitted */
	struct nbd_watch in, out;
	bool dead;
	struct list node; /* dead: on nbd_free()'s list */
	struct task task;
	struct timer retry; /* connected: unused; connecting: give up; or try */
	int64_t back_off, patience;
	struct timer impatience; /* while there are jobs */
	/* Counts of writes: done; and of those, flushed; said to be at risk. */
	uint64_t written, flushed, at_risk;
	struct log_limit complaints;
	char why[NBD_WHY_SIZE]; /* what was wrong last */
};

/* --- nbd.c: one connection ------------------------------------------------------ */

void nbd_link_init(struct nbd *nbd);

/* Begins to connect. False: it cannot work; nbd->why says why. */
bool must_check nbd_link_begin(struct nbd *nbd);
/* Connects, and waits; -errno, and nbd->why. */
int must_check nbd_link_connect(struct nbd *nbd);
/* Has it been connected by now? Has it ended? */
bool nbd_link_ready(const struct nbd *nbd);
bool nbd_link_over(const struct nbd *nbd);

/* What the server offers. */
uint32_t nbd_link_block(const struct nbd *nbd);
uint64_t nbd_link_size(const struct nbd *nbd);
/* NULL, or what keeps it from being this disk. */
const char *nbd_link_misfit(const struct nbd *nbd);
/* What the server can do: nbd->can_... */
void nbd_link_learn(struct nbd *nbd);

/* Issues as much of the job as may be in flight at once. */
void nbd_link_issue(struct nbd_job *job);
/* A flush of the job's own, unless what it wrote is stable already. */
void nbd_link_flush(struct nbd_job *job);

/* Waits for what the connection waits for; then nbd_turn(). */
void nbd_link_watch(struct nbd *nbd);
/* The end, whatever is in flight. Polite: says good-bye. */
void nbd_link_close(struct nbd *nbd, bool polite);

/* --- nbd_image.c --------------------------------------------------------------- */

/* All that follows from a request, an event, or the time. */
void nbd_turn(struct nbd *nbd);
/* The image is destroyed, and the ring has reported one of its polls. */
void nbd_bury(struct nbd *nbd);

#endif
