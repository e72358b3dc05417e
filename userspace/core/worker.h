/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One thread for calls that can only block (name resolution now). It starts
 * with the first job. Jobs run one at a time, in order.
 */
#ifndef CORE_WORKER_H
#define CORE_WORKER_H

#include <pthread.h>

#include "core/mailbox.h"

struct worker_job {
	struct list node; /* on worker->todo until it starts */
	struct mail mail; /* its way back */
	/* On the worker's thread: touches nothing but the job. */
	void (*work)(struct worker_job *job);
	/* On the loop's thread, afterwards; exactly once. */
	void (*done)(struct worker_job *job);
};

struct worker {
	struct loop *loop; /* borrows */
	bool started;
	bool stop; /* under lock */
	struct mailbox finished;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct list todo; /* under lock */
	bool running;	  /* under lock: a job is at work */
};

void worker_init(struct worker *worker, struct loop *loop);

/* A job is running or waits to be. */
bool worker_busy(struct worker *worker);

/* Waits for the running job; jobs that have not started are forgotten. */
void worker_fini(struct worker *worker);

/* Takes job until done. -errno when there is no thread to be had. */
int must_check worker_submit(struct worker *worker, struct worker_job *job);

#endif
