/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The event loop: one io_uring, one thread. Everything that waits is an op on
 * the ring, a timer, or a task that runs later in the same turn.
 *
 * A turn: run the tasks, then one io_uring_enter() that submits what was
 * queued and sleeps until something completes, then run the completions.
 * No function here is thread-safe.
 */
#ifndef CORE_LOOP_H
#define CORE_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/err.h"
#include "base/list.h"

struct loop;

/* -errno when the kernel has no io_uring or forbids it. Caller owns *loop. */
int must_check loop_create(struct loop **loop);
/* NULL-safe. Nothing may be in flight. */
void loop_destroy(struct loop *loop);

/* Runs turns until loop_stop(). 0, or the errno with which the ring failed. */
int must_check loop_run(struct loop *loop);
/* One turn; sleeps at most until something happens. For tests and clean-up. */
int must_check loop_turn(struct loop *loop);
void loop_stop(struct loop *loop);

/* Milliseconds of CLOCK_MONOTONIC, taken anew each turn. */
int64_t loop_now(const struct loop *loop);

struct loop_stats {
	uint64_t enters; /* system calls made by the loop */
	uint64_t ops;	 /* ops submitted */
};
struct loop_stats loop_stats(const struct loop *loop);

/* --- Tasks: a function that runs before the loop sleeps next. ----------- */

struct task {
	struct list node; /* on loop->tasks while posted */
	void (*run)(struct task *task);
};

static inline void task_init(struct task *task, void (*run)(struct task *))
{
	list_init(&task->node);
	task->run = run;
}

/* Posting a posted task does nothing. */
void loop_post(struct loop *loop, struct task *task);

static inline void task_cancel(struct task *task)
{
	list_remove(&task->node);
}

/* --- Timers -------------------------------------------------------------- */

struct timer {
	struct list node; /* on loop->timers while running, by deadline */
	int64_t deadline; /* ms */
	void (*fired)(struct timer *timer);
};

static inline void timer_init(struct timer *timer,
			      void (*fired)(struct timer *))
{
	list_init(&timer->node);
	timer->fired = fired;
}

/* Fires once, ms from now. Starting a running timer moves it. */
void timer_start(struct loop *loop, struct timer *timer, int64_t ms);

static inline void timer_stop(struct timer *timer)
{
	list_remove(&timer->node);
}

static inline bool timer_running(const struct timer *timer)
{
	return !list_empty(&timer->node);
}

/* --- Ops: one request to the kernel -------------------------------------- */

enum op_state { OP_IDLE, OP_QUEUED, OP_TRYING };

struct op {
	/* res: as the system call's return value, errors as -errno. The op is
	 * idle again and may be started anew from within done. */
	void (*done)(struct op *op, int res);
	enum op_state state;
	bool failed_now;  /* OP_NOW: an event with the outcome is there */
	int res;	  /* OP_NOW: the outcome if no event says otherwise */
	struct list node; /* OP_NOW: on loop->trying or loop->decided */
};

static inline void op_init(struct op *op, void (*done)(struct op *, int))
{
	*op = (struct op){ .done = done };
	list_init(&op->node);
}

static inline bool op_busy(const struct op *op)
{
	return op->state != OP_IDLE;
}

/*
 * OP_NOW: try once, never wait. The outcome is known when the submitting
 * system call returns, and costs no completion event when all bytes were
 * moved: res is then the full length, else fewer bytes or -EAGAIN, and the
 * caller goes on without OP_NOW. For sockets and for buffered files only.
 *
 * OP_LAZY, with OP_NOW: success may be reported as late as the loop's next
 * wake-up. Without it the loop does not sleep before it has reported.
 */
#define OP_NOW 1u
#define OP_LAZY 2u

/* Somebody waits for an OP_LAZY op after all: report before sleeping. */
void loop_hurry(struct loop *loop);

/*
 * All take an idle op and memory that is lent until done. iov arrays too are
 * lent until done. Never fail by themselves: errors arrive in done.
 */
void op_recv(struct loop *loop, struct op *op, int fd, void *buf, size_t len,
	     int msg_flags);
void op_sendmsg(struct loop *loop, struct op *op, int fd,
		const struct msghdr *msg, int msg_flags, unsigned int flags);
/* Pipes, eventfd, signalfd, terminals: at the current position. */
void op_read(struct loop *loop, struct op *op, int fd, void *buf, size_t len);
void op_writev(struct loop *loop, struct op *op, int fd,
	       const struct iovec *iov, unsigned int n);
/* Files: at an offset. rw_flags as preadv2(2). */
void op_preadv(struct loop *loop, struct op *op, int fd,
	       const struct iovec *iov, unsigned int n, uint64_t off,
	       unsigned int flags);
void op_pwritev(struct loop *loop, struct op *op, int fd,
		const struct iovec *iov, unsigned int n, uint64_t off,
		int rw_flags);
void op_fdatasync(struct loop *loop, struct op *op, int fd);
void op_fallocate(struct loop *loop, struct op *op, int fd, int mode,
		  uint64_t off, uint64_t len);
void op_accept(struct loop *loop, struct op *op, int fd);
void op_connect(struct loop *loop, struct op *op, int fd,
		const struct sockaddr *addr, socklen_t len);
void op_poll(struct loop *loop, struct op *op, int fd, unsigned int events);

/*
 * Asks a busy op to end early; its done still runs exactly once, with
 * -ECANCELED or with its result. Nothing happens when it is idle.
 */
void op_cancel(struct loop *loop, struct op *op);

#endif
