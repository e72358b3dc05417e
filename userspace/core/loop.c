// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/loop.h"

#include <assert.h>
#include <liburing.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define RING_ENTRIES 256

struct loop {
	struct io_uring ring;
	bool quiet; /* the kernel can leave out events of success */
	bool stopping;
	bool eager; /* an OP_NOW without OP_LAZY was queued: do not sleep */
	int64_t now;
	struct list tasks;   /* struct task */
	struct list timers;  /* struct timer, earliest first */
	struct list trying;  /* struct op with OP_NOW, not yet submitted */
	struct list decided; /* struct op with OP_NOW, submitted */
	struct loop_stats stats;
};

/* user_data of requests whose outcome nobody wants (cancel). */
static struct op nobody;

static int64_t clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int loop_create(struct loop **out)
{
	/* Best first: each older kernel refuses what it does not know. */
	static const unsigned int setups[] = {
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
		IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG,
		0,
	};
	struct loop *loop = calloc(1, sizeof(*loop));
	int ret = -ENOMEM;

	if (!loop)
		return -ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
		struct io_uring_params p = { .flags = setups[i] };

		ret = io_uring_queue_init_params(RING_ENTRIES, &loop->ring, &p);
		if (ret != -EINVAL)
			break;
	}
	if (ret < 0) {
		free(loop);
		return ret;
	}
	loop->quiet = loop->ring.features & IORING_FEAT_CQE_SKIP;
	/* An optimisation; older kernels go without. */
	(void)io_uring_register_ring_fd(&loop->ring);
	list_init(&loop->tasks);
	list_init(&loop->timers);
	list_init(&loop->trying);
	list_init(&loop->decided);
	loop->now = clock_ms();
	*out = loop;
	return 0;
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	io_uring_queue_exit(&loop->ring);
	free(loop);
}

int64_t loop_now(const struct loop *loop)
{
	return loop->now;
}

struct loop_stats loop_stats(const struct loop *loop)
{
	return loop->stats;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

void loop_hurry(struct loop *loop)
{
	loop->eager = true;
}

void loop_post(struct loop *loop, struct task *task)
{
	if (list_empty(&task->node))
		list_append(&loop->tasks, &task->node);
}

void timer_start(struct loop *loop, struct timer *timer, int64_t ms)
{
	list_remove(&timer->node);
	timer->deadline = clock_ms() + ms;
	list_for_each (it, &loop->timers) {
		struct timer *other = list_entry(it, struct timer, node);

		if (other->deadline > timer->deadline) {
			/* Before other: append to the list "headed" by it. */
			list_append(&other->node, &timer->node);
			return;
		}
	}
	list_append(&loop->timers, &timer->node);
}

static void run_tasks(struct loop *loop)
{
	struct list *node;

	while ((node = list_pop(&loop->tasks))) {
		struct task *task = list_entry(node, struct task, node);

		task->run(task);
	}
}

static void run_timers(struct loop *loop)
{
	while (!list_empty(&loop->timers)) {
		struct timer *timer =
			list_first(&loop->timers, struct timer, node);

		if (timer->deadline > loop->now)
			return;
		list_remove(&timer->node);
		timer->fired(timer);
	}
}

/*
 * Whatever was queued with OP_NOW has its outcome after a submission - if the
 * kernel took it: short of memory, it takes only some requests, or none.
 */
static void mark_decided(struct loop *loop)
{
	struct list *node;

	if (io_uring_sq_ready(&loop->ring)) {
		loop->eager = true;
		return;
	}
	while ((node = list_pop(&loop->trying)))
		list_append(&loop->decided, node);
}

static void complete(struct op *op, int res)
{
	/* An event may come before complete_decided() does. */
	list_remove(&op->node);
	op->state = OP_IDLE;
	op->done(op, res);
}

/*
 * Outcomes of OP_NOW come before all other completions of the turn: a caller
 * that sent or read "now" sees it done before it sees what the peer did next.
 * (Not when the kernel has more events than the ring has room for.)
 */
static void complete_decided(struct loop *loop)
{
	struct list done = LIST_INIT(done);
	struct io_uring_cqe *cqe;
	struct list *node;
	unsigned int head;

	if (list_empty(&loop->decided))
		return;
	io_uring_for_each_cqe (&loop->ring, head, cqe) {
		struct op *op = io_uring_cqe_get_data(cqe);

		if (op->state == OP_TRYING)
			op->failed_now = true;
	}
	while ((node = list_pop(&loop->decided)))
		list_append(&done, node);
	while ((node = list_pop(&done))) {
		struct op *op = list_entry(node, struct op, node);

		/* Else complete_events() comes to it. */
		if (!op->failed_now)
			complete(op, op->res);
	}
}

static void complete_events(struct loop *loop)
{
	struct io_uring_cqe *cqe;

	while (!io_uring_peek_cqe(&loop->ring, &cqe)) {
		struct op *op = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&loop->ring, cqe);
		if (op == &nobody)
			continue;
		complete(op, res);
	}
}

static int submit_and_wait(struct loop *loop)
{
	struct __kernel_timespec ts, *timeout = NULL;
	struct io_uring_cqe *cqe;
	unsigned int wait = 1;
	int ret;

	if (loop->eager || !list_empty(&loop->tasks) || loop->stopping)
		wait = 0;
	if (wait && !list_empty(&loop->timers)) {
		int64_t ms = list_first(&loop->timers, struct timer, node)
				     ->deadline -
			     clock_ms();

		ms = MAX(ms, 0);
		ts.tv_sec = ms / 1000;
		ts.tv_nsec = ms % 1000 * 1000000;
		timeout = &ts;
	}
	loop->eager = false;
	loop->stats.enters++;
	if (!wait)
		ret = io_uring_submit_and_get_events(&loop->ring);
	else if (timeout)
		ret = io_uring_submit_and_wait_timeout(&loop->ring, &cqe, 1,
						       timeout, NULL);
	else
		ret = io_uring_submit_and_wait(&loop->ring, 1);
	mark_decided(loop);
	if (ret == -EINTR || ret == -ETIME || ret == -EAGAIN || ret == -EBUSY)
		return 0;
	return ret < 0 ? ret : 0;
}

int loop_turn(struct loop *loop)
{
	int ret;

	run_tasks(loop);
	ret = submit_and_wait(loop);
	if (ret < 0)
		return ret;
	loop->now = clock_ms();
	/* Failures of OP_NOW may be among the events that the ring has no room
	 * for: complete_decided() would not see them. */
	if (io_uring_cq_has_overflow(&loop->ring))
		complete_events(loop);
	complete_decided(loop);
	complete_events(loop);
	run_timers(loop);
	return 0;
}

int loop_run(struct loop *loop)
{
	int ret = 0;

	while (!loop->stopping && !ret)
		ret = loop_turn(loop);
	loop->stopping = false;
	return ret;
}

/* Never NULL: a full submission queue is handed to the kernel first. */
static struct io_uring_sqe *get_sqe(struct loop *loop, struct op *op)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&loop->ring);

	while (!sqe) {
		loop->stats.enters++;
		/* Short of memory the kernel takes none: let it catch up. */
		if (io_uring_submit(&loop->ring) < 0)
			usleep(1000);
		mark_decided(loop);
		/* What was just decided must be reported before sleeping. */
		loop->eager = true;
		sqe = io_uring_get_sqe(&loop->ring);
	}
	assert(op == &nobody || op->state == OP_IDLE);
	if (op != &nobody)
		op->state = OP_QUEUED;
	loop->stats.ops++;
	return sqe;
}

static void set_now(struct loop *loop, struct io_uring_sqe *sqe, struct op *op,
		    size_t len, unsigned int flags)
{
	if (!(flags & OP_NOW) || !loop->quiet)
		return;
	sqe->flags |= IOSQE_CQE_SKIP_SUCCESS;
	op->state = OP_TRYING;
	op->failed_now = false;
	op->res = (int)len;
	list_append(&loop->trying, &op->node);
	if (!(flags & OP_LAZY))
		loop->eager = true;
}

static size_t iov_length(const struct iovec *iov, size_t n)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += iov[i].iov_len;
	return len;
}

void op_recv(struct loop *loop, struct op *op, int fd, void *buf, size_t len,
	     int msg_flags)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_recv(sqe, fd, buf, len, msg_flags);
	io_uring_sqe_set_data(sqe, op);
}

void op_sendmsg(struct loop *loop, struct op *op, int fd,
		const struct msghdr *msg, int msg_flags, unsigned int flags)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	/* Without MSG_WAITALL a partial send would count as a success, and
	 * OP_NOW would not hear of it. */
	msg_flags |= MSG_NOSIGNAL | MSG_WAITALL;
	if (flags & OP_NOW)
		msg_flags |= MSG_DONTWAIT;
	io_uring_prep_sendmsg(sqe, fd, msg, (unsigned int)msg_flags);
	io_uring_sqe_set_data(sqe, op);
	set_now(loop, sqe, op, iov_length(msg->msg_iov, msg->msg_iovlen),
		flags);
}

void op_read(struct loop *loop, struct op *op, int fd, void *buf, size_t len)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_read(sqe, fd, buf, (unsigned int)len, (uint64_t)-1);
	io_uring_sqe_set_data(sqe, op);
}

void op_writev(struct loop *loop, struct op *op, int fd,
	       const struct iovec *iov, unsigned int n)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_writev(sqe, fd, iov, n, (uint64_t)-1);
	io_uring_sqe_set_data(sqe, op);
}

void op_preadv(struct loop *loop, struct op *op, int fd,
	       const struct iovec *iov, unsigned int n, uint64_t off,
	       unsigned int flags)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_readv2(sqe, fd, iov, n, off,
			     flags & OP_NOW ? RWF_NOWAIT : 0);
	io_uring_sqe_set_data(sqe, op);
	set_now(loop, sqe, op, iov_length(iov, n), flags);
}

void op_pwritev(struct loop *loop, struct op *op, int fd,
		const struct iovec *iov, unsigned int n, uint64_t off,
		int rw_flags)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_writev2(sqe, fd, iov, n, off, rw_flags);
	io_uring_sqe_set_data(sqe, op);
}

void op_fdatasync(struct loop *loop, struct op *op, int fd)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_fsync(sqe, fd, IORING_FSYNC_DATASYNC);
	io_uring_sqe_set_data(sqe, op);
}

void op_fallocate(struct loop *loop, struct op *op, int fd, int mode,
		  uint64_t off, uint64_t len)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	/* liburing 2.3 declares off_t; the wire format is 64 bits wide. */
	io_uring_prep_rw(IORING_OP_FALLOCATE, sqe, fd, NULL, (unsigned int)mode,
			 off);
	sqe->addr = len;
	io_uring_sqe_set_data(sqe, op);
}

void op_accept(struct loop *loop, struct op *op, int fd)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_accept(sqe, fd, NULL, NULL, SOCK_CLOEXEC);
	io_uring_sqe_set_data(sqe, op);
}

void op_connect(struct loop *loop, struct op *op, int fd,
		const struct sockaddr *addr, socklen_t len)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_connect(sqe, fd, addr, len);
	io_uring_sqe_set_data(sqe, op);
}

void op_poll(struct loop *loop, struct op *op, int fd, unsigned int events)
{
	struct io_uring_sqe *sqe = get_sqe(loop, op);

	io_uring_prep_poll_add(sqe, fd, events);
	io_uring_sqe_set_data(sqe, op);
}

void op_cancel(struct loop *loop, struct op *op)
{
	struct io_uring_sqe *sqe;

	if (op->state != OP_QUEUED)
		return;
	sqe = get_sqe(loop, &nobody);
	io_uring_prep_cancel(sqe, op, 0);
	io_uring_sqe_set_data(sqe, &nobody);
}
