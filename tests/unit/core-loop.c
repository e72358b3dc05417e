// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The loop: tasks, timers, ops, and above all the promise of OP_NOW, on which
 * the order of bytes on every socket rests.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first. */
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/loop.h"
#include "core/worker.h"

static struct loop *loop;

struct probe {
	struct op op;
	int runs, res;
	int order; /* among all probes */
};

static int order;

static void probe_done(struct op *op, int res)
{
	struct probe *p = container_of(op, struct probe, op);

	p->runs++;
	p->res = res;
	p->order = ++order;
}

static void turn_until(const struct probe *p)
{
	while (!p->runs)
		assert_int_equal(loop_turn(loop), 0);
}

static int setup(void **state)
{
	(void)state;
	order = 0;
	return loop_create(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

/* --- Tasks and timers ------------------------------------------------------------ */

static int tasks_run;
static struct task task_a, task_b;

static void run_a(struct task *task)
{
	(void)task;
	tasks_run++;
	/* Posted while tasks run: still in this turn. */
	loop_post(loop, &task_b);
}

static void run_b(struct task *task)
{
	(void)task;
	tasks_run++;
	loop_stop(loop);
}

static void test_tasks(void **state)
{
	(void)state;
	tasks_run = 0;
	task_init(&task_a, run_a);
	task_init(&task_b, run_b);
	loop_post(loop, &task_a);
	loop_post(loop, &task_a);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(tasks_run, 2);
	loop_post(loop, &task_b);
	task_cancel(&task_b);
	loop_hurry(loop);
	assert_int_equal(loop_turn(loop), 0);
	assert_int_equal(tasks_run, 2);
}

static struct timer timers[3];
static int fired[3], n_fired;

static void timer_fired(struct timer *timer)
{
	fired[n_fired++] = (int)(timer - timers);
	if (n_fired == 2)
		loop_stop(loop);
}

static void test_timers(void **state)
{
	(void)state;
	n_fired = 0;
	for (int i = 0; i < 3; i++)
		timer_init(&timers[i], timer_fired);
	timer_start(loop, &timers[0], 30);
	timer_start(loop, &timers[1], 5);
	timer_start(loop, &timers[2], 10);
	timer_stop(&timers[2]);
	assert_false(timer_running(&timers[2]));
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(fired[0], 1);
	assert_int_equal(fired[1], 0);
}

/* --- OP_NOW ------------------------------------------------------------------------- */

static void fill_msg(struct msghdr *msg, struct iovec *iov, void *p, size_t n)
{
	*iov = (struct iovec){ p, n };
	*msg = (struct msghdr){ .msg_iov = iov, .msg_iovlen = 1 };
}

static void test_send_now(void **state)
{
	static uint8_t big[8 << 20];
	struct probe p = { 0 };
	struct msghdr msg;
	struct iovec iov;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	op_init(&p.op, probe_done);

	/* It fits: the whole length, at once. */
	fill_msg(&msg, &iov, big, 1000);
	op_sendmsg(loop, &p.op, pair[0], &msg, 0, OP_NOW);
	assert_int_equal(loop_turn(loop), 0);
	assert_int_equal(p.runs, 1);
	assert_int_equal(p.res, 1000);

	/* It does not: what did fit is reported, no more and no less. */
	p.runs = 0;
	fill_msg(&msg, &iov, big, sizeof(big));
	op_sendmsg(loop, &p.op, pair[0], &msg, 0, OP_NOW);
	turn_until(&p);
	assert_in_range(p.res, 1, sizeof(big) - 1);
	for (size_t left = 1000 + (size_t)p.res; left;) {
		ssize_t n = recv(pair[1], big, MIN(left, sizeof(big)),
				 MSG_DONTWAIT);

		assert_true(n > 0);
		left -= (size_t)n;
	}
	assert_int_equal(recv(pair[1], big, 1, MSG_DONTWAIT), -1);

	/* Nothing fits: -EAGAIN, and nothing was sent. */
	while (send(pair[0], big, 4096, MSG_DONTWAIT) > 0)
		;
	p.runs = 0;
	fill_msg(&msg, &iov, big, 1000);
	op_sendmsg(loop, &p.op, pair[0], &msg, 0, OP_NOW);
	turn_until(&p);
	assert_int_equal(p.res, -EAGAIN);

	/* The peer has gone. */
	close(pair[1]);
	p.runs = 0;
	op_sendmsg(loop, &p.op, pair[0], &msg, 0, OP_NOW);
	turn_until(&p);
	assert_int_equal(p.res, -EPIPE);
	close(pair[0]);
}

/* What was sent now is reported before what the peer did about it. */
static void test_now_comes_first(void **state)
{
	struct probe recv_a = { 0 }, send_b = { 0 };
	struct msghdr msg;
	struct iovec iov;
	int pair[2];
	char byte = 'x';

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	op_init(&recv_a.op, probe_done);
	op_init(&send_b.op, probe_done);
	/* One byte waits already, so the receive is done at once, too. */
	assert_int_equal(send(pair[1], "y", 1, 0), 1);
	op_recv(loop, &recv_a.op, pair[0], &byte, 1, 0);
	fill_msg(&msg, &iov, &byte, 1);
	op_sendmsg(loop, &send_b.op, pair[0], &msg, 0, OP_NOW | OP_LAZY);
	turn_until(&recv_a);
	assert_int_equal(send_b.runs, 1);
	assert_true(send_b.order < recv_a.order);
	close(pair[0]);
	close(pair[1]);
}

/* A lazy one is reported with the next event, and loop_hurry() makes it now. */
static void test_hurry(void **state)
{
	struct probe p = { 0 };
	struct msghdr msg;
	struct iovec iov;
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	op_init(&p.op, probe_done);
	fill_msg(&msg, &iov, "hello", 5);
	op_sendmsg(loop, &p.op, pair[0], &msg, 0, OP_NOW | OP_LAZY);
	loop_hurry(loop);
	/* Without the hurry this turn would sleep for ever. */
	assert_int_equal(loop_turn(loop), 0);
	assert_int_equal(p.res, 5);
	close(pair[0]);
	close(pair[1]);
}

static void test_read_now(void **state)
{
	struct probe p = { 0 };
	char buf[8192];
	struct iovec iov = { buf, sizeof(buf) };
	int fd = memfd_create("test", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, 6000), 0);
	op_init(&p.op, probe_done);
	op_preadv(loop, &p.op, fd, &iov, 1, 0, OP_NOW);
	turn_until(&p);
	/* The end of the file: short, and told so. Some file systems cannot
	 * promise not to wait; then the caller asks again without OP_NOW. */
	if (p.res != -EAGAIN && p.res != -EOPNOTSUPP)
		assert_int_equal(p.res, 6000);
	close(fd);
}

/* More ops than the ring has room for. */
static void test_many(void **state)
{
	enum { N = 1000 };
	struct probe *probes = calloc(N, sizeof(*probes));
	static struct iovec iov[N];
	static char buf[N];
	int fd = memfd_create("test", MFD_CLOEXEC);
	int done = 0;

	(void)state;
	assert_int_equal(ftruncate(fd, N), 0);
	for (int i = 0; i < N; i++) {
		iov[i] = (struct iovec){ buf + i, 1 };
		op_init(&probes[i].op, probe_done);
		op_preadv(loop, &probes[i].op, fd, &iov[i], 1, (uint64_t)i,
			  i % 2 ? OP_NOW | OP_LAZY : 0);
		/* Submitted when the ring was full, or below. */
		if (i % 100 == 99)
			assert_int_equal(loop_turn(loop), 0);
		if (i == N - 1)
			loop_hurry(loop);
	}
	while (done < N) {
		done = 0;
		for (int i = 0; i < N; i++)
			done += probes[i].runs;
		if (done < N)
			assert_int_equal(loop_turn(loop), 0);
	}
	for (int i = 0; i < N; i++)
		assert_int_equal(probes[i].runs, 1);
	free(probes);
	close(fd);
}

/* A socket that takes nothing more; send_failing() is refused with -EAGAIN. */
static int full_pair[2];
static struct probe failing;
static struct msghdr failing_msg;
static struct iovec failing_iov;

static void full_socket(void)
{
	static char junk[4096];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, full_pair), 0);
	while (send(full_pair[0], junk, sizeof(junk), MSG_DONTWAIT) > 0)
		;
	failing = (struct probe){ 0 };
	fill_msg(&failing_msg, &failing_iov, "hello", 5);
}

static void send_failing(unsigned int flags)
{
	op_sendmsg(loop, &failing.op, full_pair[0], &failing_msg, 0, flags);
}

/* Goes on as transports do: without OP_NOW, behind what is in the way. */
static void failing_done(struct op *op, int res)
{
	probe_done(op, res);
	if (res == -EAGAIN)
		send_failing(0);
}

static struct probe ready[1000];
static int ready_fd;

static void poll_ready(int n)
{
	for (int i = 0; i < n; i++) {
		ready[i] = (struct probe){ 0 };
		op_init(&ready[i].op, probe_done);
		op_poll(loop, &ready[i].op, ready_fd, POLLOUT);
	}
}

/* Sends and fills the submission queue, in the middle of the events. */
static void crowd_done(struct op *op, int res)
{
	probe_done(op, res);
	send_failing(OP_NOW);
	poll_ready(300);
}

static void check_failed_once(void)
{
	for (int i = 0; i < 5; i++) {
		loop_hurry(loop);
		assert_int_equal(loop_turn(loop), 0);
	}
	/* Refused, and waiting behind what is in the way: not sent. */
	assert_int_equal(failing.runs, 1);
	assert_int_equal(failing.res, -EAGAIN);
	assert_true(op_busy(&failing.op));
	op_cancel(loop, &failing.op);
	while (failing.runs == 1)
		assert_int_equal(loop_turn(loop), 0);
	assert_int_equal(failing.runs, 2);
	assert_int_equal(failing.res, -ECANCELED);
	close(full_pair[0]);
	close(full_pair[1]);
	close(ready_fd);
}

/* The failure comes among the very events that brought the attempt about. */
static void test_fails_in_a_crowd(void **state)
{
	struct probe crowd = { 0 };

	(void)state;
	full_socket();
	ready_fd = eventfd(0, EFD_CLOEXEC);
	op_init(&failing.op, failing_done);
	op_init(&crowd.op, crowd_done);
	op_poll(loop, &crowd.op, ready_fd, POLLOUT);
	turn_until(&crowd);
	check_failed_once();
}

/* The event of the failure has no room in the ring any more. */
static void test_fails_behind_many(void **state)
{
	(void)state;
	full_socket();
	ready_fd = eventfd(0, EFD_CLOEXEC);
	op_init(&failing.op, failing_done);
	poll_ready(ARRAY_SIZE(ready));
	send_failing(OP_NOW);
	assert_int_equal(loop_turn(loop), 0);
	check_failed_once();
}

static void test_cancel(void **state)
{
	struct probe p = { 0 };
	int pair[2];
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	op_init(&p.op, probe_done);
	op_cancel(loop, &p.op); /* idle: nothing happens */
	op_recv(loop, &p.op, pair[0], &byte, 1, 0);
	op_cancel(loop, &p.op);
	turn_until(&p);
	assert_int_equal(p.runs, 1);
	assert_int_equal(p.res, -ECANCELED);
	assert_false(op_busy(&p.op));
	close(pair[0]);
	close(pair[1]);
}

/* --- The worker ---------------------------------------------------------------------- */

static int worked, finished;

static void job_work(struct worker_job *job)
{
	(void)job;
	worked++;
}

static void job_done(struct worker_job *job)
{
	(void)job;
	if (++finished == 2)
		loop_stop(loop);
}

static void test_worker(void **state)
{
	struct worker_job jobs[2] = { { .work = job_work, .done = job_done },
				      { .work = job_work, .done = job_done } };
	struct worker worker;

	(void)state;
	worked = finished = 0;
	worker_init(&worker, loop);
	assert_int_equal(worker_submit(&worker, &jobs[0]), 0);
	assert_int_equal(worker_submit(&worker, &jobs[1]), 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(worked, 2);
	assert_int_equal(finished, 2);
	worker_fini(&worker);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_tasks),
		TEST(test_timers),
		TEST(test_send_now),
		TEST(test_now_comes_first),
		TEST(test_hurry),
		TEST(test_read_now),
		TEST(test_many),
		TEST(test_cancel),
		TEST(test_fails_in_a_crowd),
		TEST(test_fails_behind_many),
		TEST(test_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
