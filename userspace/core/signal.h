/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Signals as events of the loop.
 */
#ifndef CORE_SIGNAL_H
#define CORE_SIGNAL_H

#include <signal.h>
#include <sys/signalfd.h>

#include "core/loop.h"

struct signals {
	struct loop *loop;
	struct op op;
	int fd;
	struct signalfd_siginfo info;
	void (*caught)(struct signals *signals, int signo);
};

/*
 * Blocks the signals in set for the process (children get the old mask by
 * signals_unblock()) and calls caught on the loop thread for each. -errno.
 */
int must_check signals_init(struct signals *signals, struct loop *loop,
			    const sigset_t *set,
			    void (*caught)(struct signals *, int signo));

/* Stops watching. The loop must run one more turn before it is destroyed. */
void signals_fini(struct signals *signals);

/* In a child between fork and exec: back to an empty mask. */
void signals_unblock(void);

#endif
