/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How other threads reach the loop: what they send runs on the loop's thread,
 * in the order in which it was sent.
 */
#ifndef CORE_MAILBOX_H
#define CORE_MAILBOX_H

#include <pthread.h>
#include <stdint.h>

#include "core/loop.h"

struct mail {
	struct list node; /* on mailbox->mails while under way */
	void (*run)(struct mail *mail);
};

struct mailbox {
	struct loop *loop; /* borrows */
	int event;	   /* eventfd: mail is there */
	uint64_t count;
	struct op op;
	pthread_mutex_t lock;
	struct list mails; /* under lock */
};

/* -errno when there is no descriptor to be had. */
int must_check mailbox_init(struct mailbox *box, struct loop *loop);

/*
 * Nobody sends any more; what has not run is forgotten. NULL-safe, and so for
 * one that is all zeros.
 */
void mailbox_fini(struct mailbox *box);

/* Any thread. The mailbox takes mail until its run begins. */
void mailbox_send(struct mailbox *box, struct mail *mail);

#endif
