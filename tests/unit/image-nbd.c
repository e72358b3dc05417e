// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * NBD images on real nbdkit servers, which are ended, stopped and started again
 * under way.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first. */
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/nbd.h"

#define SIZE (4u << 20)
#define URI "nbd+unix:///?socket=nbd.sock"

static struct loop *loop;
static const char *why;
static pid_t server;
static char data[SIZE], got[SIZE];

static bool answers(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX,
				   .sun_path = "nbd.sock" };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	bool ok = !connect(fd, (struct sockaddr *)&sun, sizeof(sun));

	close(fd);
	return ok;
}

/* nbdkit with these words, which one space divides, on nbd.sock. */
static void server_start(const char *words)
{
	char *copy = strdup(words),
	     *argv[32] = { "nbdkit", "-f", "-U", "nbd.sock" };
	unsigned int n = 4;

	for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
		argv[n++] = w;
	unlink("nbd.sock");
	server = fork();
	assert_true(server >= 0);
	if (!server) {
		int log =
			open("nbdkit.log", O_WRONLY | O_CREAT | O_APPEND, 0600);

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(log, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	free(copy);
	for (int i = 0; i < 500 && !answers(); i++)
		usleep(10000);
	assert_true(answers());
}

static void server_end(int signo)
{
	if (!server)
		return;
	kill(server, signo);
	waitpid(server, NULL, 0);
	server = 0;
}

static int setup(void **state)
{
	int fd = open("disk", O_RDWR | O_CREAT | O_TRUNC, 0600);

	(void)state;
	if (fd < 0 || ftruncate(fd, SIZE) < 0)
		return -1;
	close(fd);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 + i / 251);
	return loop_create(&loop);
}

static int teardown(void **state)
{
	(void)state;
	server_end(SIGKILL);
	loop_destroy(loop);
	return 0;
}

static struct image *open_image(void)
{
	struct image *image;

	if (nbd_open(loop, URI, false, &image, &why) < 0)
		fail_msg("%s %s", URI, why);
	return image;
}

struct result {
	struct image_request request;
	struct iovec iov;
	int runs, res;
};

static unsigned int n_done;
static struct image_request *order[256];

static void request_done(struct image_request *request, int res)
{
	struct result *r = container_of(request, struct result, request);

	r->runs++;
	r->res = res;
	order[n_done++ % ARRAY_SIZE(order)] = request;
}

static void submit(struct image *image, struct result *r,
		   enum image_request_type type, uint64_t off, void *p,
		   uint64_t len, unsigned int flags)
{
	*r = (struct result){ .request = { .type = type,
					   .flags = flags,
					   .off = off,
					   .len = len,
					   .iov = &r->iov,
					   .n_iov = 1,
					   .done = request_done },
			      .iov = { p, len } };
	image_submit(image, &r->request);
	assert_int_equal(r->runs, 0); /* never inside */
}

static void timed_out(struct timer *timer)
{
	timer->deadline = -1;
}

/* Requests may end before the loop sleeps: so it must not for long. */
static void turns(unsigned int done)
{
	struct timer timer;

	timer_init(&timer, timed_out);
	while (n_done < done) {
		timer_start(loop, &timer, 20);
		assert_int_equal(loop_turn(loop), 0);
	}
	timer_stop(&timer);
}

static void turn_for(int64_t ms)
{
	struct timer timer;

	timer_init(&timer, timed_out);
	timer_start(loop, &timer, ms);
	while (timer.deadline >= 0)
		assert_int_equal(loop_turn(loop), 0);
}

static int run(struct image *image, enum image_request_type type, uint64_t off,
	       void *p, uint64_t len, unsigned int flags)
{
	struct result r;

	n_done = 0;
	submit(image, &r, type, off, p, len, flags);
	turns(1);
	assert_int_equal(r.runs, 1);
	return r.res;
}

static void assert_file(uint64_t off, const char *want, size_t len)
{
	int fd = open("disk", O_RDONLY);

	assert_int_equal(pread(fd, got, len, (off_t)off), len);
	close(fd);
	assert_memory_equal(got, want, len);
}

static unsigned int log_lines(const char *what)
{
	FILE *f = fopen("log", "r");
	char line[512];
	unsigned int n = 0;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += !!strstr(line, what);
	fclose(f);
	return n;
}

static void test_read_write(void **state)
{
	struct iovec out[3] = { { data, 3000 },
				{ data + 3000, 1 },
				{ data + 3001, 1095 } };
	struct iovec in[2] = { { got, 100 }, { got + 100, 3996 } };
	struct result r = { .request = { .type = IMAGE_WRITE,
					 .off = 8192,
					 .len = 4096,
					 .iov = out,
					 .n_iov = 3,
					 .done = request_done } };
	struct image *image;

	(void)state;
	server_start("file disk");
	image = open_image();
	assert_int_equal(image->size, SIZE);
	assert_int_not_equal(image->identity, 0);
	n_done = 0;
	image_submit(image, &r.request);
	turns(1);
	assert_int_equal(r.res, 0);
	assert_file(8192, data, 4096);
	memset(got, 0, 4096);
	r.request.type = IMAGE_READ;
	r.request.iov = in;
	r.request.n_iov = 2;
	image_submit(image, &r.request);
	turns(2);
	assert_int_equal(r.res, 0);
	assert_memory_equal(got, data, 4096);
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, SIZE, IMAGE_FUA), 0);
	assert_int_equal(run(image, IMAGE_FLUSH, 0, NULL, 0, 0), 0);
	assert_file(0, data, SIZE);
	assert_int_equal(run(image, IMAGE_READ, SIZE - 512, got, 512, 0), 0);
	assert_memory_equal(got, data + SIZE - 512, 512);
	/* Within blocks of what we take for the server's. */
	assert_int_equal(run(image, IMAGE_WRITE, 1001, data, 3, 0), 0);
	assert_file(1001, data, 3);
	assert_file(1004, data + 1004, 1000);
	image_destroy(image);
}

static void test_many(void **state)
{
	enum { N = 128, LEN = SIZE / N };
	static struct result r[N];
	struct image *image;
	int64_t start;

	(void)state;
	server_start("--filter=delay -t 64 file disk delay-write=100ms");
	image = open_image();
	n_done = 0;
	start = loop_now(loop);
	for (unsigned int i = 0; i < N; i++)
		submit(image, &r[i], IMAGE_WRITE, (uint64_t)i * LEN,
		       data + i * LEN, LEN, 0);
	turns(N);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(r[i].res, 0);
	/* 12.8 s, one after the other. */
	assert_true(loop_now(loop) - start < 4000);
	assert_file(0, data, SIZE);
	n_done = 0;
	for (unsigned int i = 0; i < N; i++)
		submit(image, &r[i], IMAGE_READ, (uint64_t)(N - 1 - i) * LEN,
		       got + (N - 1 - i) * LEN, LEN, IMAGE_LAZY);
	memset(got, 0, SIZE);
	turns(N);
	assert_memory_equal(got, data, SIZE);
	image_destroy(image);
}

static void test_clearing(void **state)
{
	struct result r;
	struct image *image;

	(void)state;
	unlink("log");
	server_start("--filter=log file disk logfile=log");
	image = open_image();
	assert_false(image->discard_zeroes);
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, SIZE, 0), 0);
	assert_int_equal(run(image, IMAGE_ZERO, 65536, NULL, 131072, 0), 0);
	memset(got + 1048576, 0, 131072);
	assert_file(65536, got + 1048576, 131072);
	assert_file(196608, data + 196608, 65536);
	assert_int_equal(run(image, IMAGE_DISCARD, 524288, NULL, 65536, 0), 0);
	assert_int_equal(log_lines(" Trim "), 1);
	assert_int_equal(log_lines(" Zero "), 1);
	n_done = 0;
	submit(image, &r, IMAGE_STATUS, 65536 + 100, NULL, SIZE - 65636, 0);
	turns(1);
	assert_int_equal(r.res, 0);
	assert_true(r.request.hole);
	assert_int_equal(r.request.len, 131072 - 100);
	submit(image, &r, IMAGE_STATUS, 1000, NULL, 10, 0);
	turns(2);
	assert_int_equal(r.res, 0);
	assert_false(r.request.hole);
	assert_int_equal(r.request.len, 10);
	image_destroy(image);
}

static void test_stable(void **state)
{
	struct image *image;

	(void)state;
	unlink("log");
	server_start("--filter=log file disk logfile=log");
	image = open_image();
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, IMAGE_FUA), 0);
	assert_int_equal(log_lines("fua=1"), 1);
	assert_int_equal(log_lines(" Flush "), 0);
	assert_int_equal(run(image, IMAGE_FLUSH, 0, NULL, 0, 0), 0);
	assert_int_equal(log_lines(" Flush "), 1);
	image_destroy(image);
	server_end(SIGKILL);
	/* One that has flush, and no FUA. */
	unlink("log");
	server_start("eval get_size=echo${IFS}4M can_write=true can_flush=true "
		     "can_fua=echo${IFS}none pwrite=cat>/dev/null "
		     "flush=echo${IFS}Flush>>log pread=false");
	image = open_image();
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, IMAGE_FUA), 0);
	assert_int_equal(log_lines("Flush"), 1);
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, 0), 0);
	assert_int_equal(log_lines("Flush"), 1);
	/* It cannot trim or clear either: nothing happens, or writes. */
	assert_int_equal(run(image, IMAGE_DISCARD, 0, NULL, 4096, 0), 0);
	assert_int_equal(run(image, IMAGE_ZERO, 0, NULL, 4096, 0), 0);
	image_destroy(image);
}

static void test_blocks(void **state)
{
	struct image *image;

	(void)state;
	server_start("--filter=blocksize-policy file disk "
		     "blocksize-minimum=4096 blocksize-preferred=4096 "
		     "blocksize-maximum=65536 blocksize-error-policy=error");
	image = open_image();
	assert_int_equal(image->align, 4096);
	/* More than the maximum, and no whole blocks. */
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, SIZE, 0), 0);
	assert_file(0, data, SIZE);
	assert_int_equal(run(image, IMAGE_WRITE, 1000, data, 300000, 0), 0);
	assert_file(1000, data, 300000);
	assert_file(301000, data + 301000, 10000);
	memset(got, 0, 5000);
	assert_int_equal(run(image, IMAGE_READ, 1001, got, 5000, 0), 0);
	assert_memory_equal(got, data + 1, 5000);
	image_destroy(image);
}

static void test_errors(void **state)
{
	struct image *image;

	(void)state;
	server_start("--filter=error memory 4M error=ENOSPC "
		     "error-pwrite-rate=100%");
	image = open_image();
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, 0), -ENOSPC);
	assert_int_equal(run(image, IMAGE_READ, 0, got, 4096, 0), 0);
	image_destroy(image);
	server_end(SIGKILL);
	server_start("--filter=error memory 4M error=EPERM error-rate=100%");
	image = open_image();
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, 0), -EROFS);
	image_destroy(image);
	server_end(SIGKILL);
	server_start("--filter=error memory 4M error=EIO "
		     "error-pread-rate=100% error-trim-rate=100%");
	image = open_image();
	assert_int_equal(run(image, IMAGE_READ, 0, got, 1048576, 0), -EIO);
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, 0), 0);
	assert_int_equal(run(image, IMAGE_DISCARD, 0, NULL, 4096, 0), -EIO);
	image_destroy(image);
}

/* Writes under way when the server ends; then there is another. */
static void restarted(int signo)
{
	enum { N = 48, LEN = SIZE / N / 4096 * 4096 };
	static struct result r[N + 1];
	struct image *image;

	server_start("--filter=delay file disk delay-write=100ms");
	image = open_image();
	n_done = 0;
	for (unsigned int i = 0; i < N; i++)
		submit(image, &r[i], IMAGE_WRITE, (uint64_t)i * LEN,
		       data + i * LEN, LEN, 0);
	submit(image, &r[N], IMAGE_FLUSH, 0, NULL, 0, 0);
	turn_for(150);
	server_end(signo);
	assert_true(n_done < N);
	turn_for(300);
	assert_true(n_done < N);
	server_start("file disk");
	turns(N + 1);
	for (unsigned int i = 0; i <= N; i++) {
		assert_int_equal(r[i].runs, 1);
		assert_int_equal(r[i].res, 0);
	}
	assert_file(0, data, N * LEN);
	assert_int_equal(run(image, IMAGE_READ, 0, got, LEN, 0), 0);
	assert_memory_equal(got, data, LEN);
	image_destroy(image);
}

static void test_killed(void **state)
{
	(void)state;
	restarted(SIGKILL);
}

static void test_shut_down(void **state)
{
	(void)state;
	restarted(SIGTERM);
}

static void test_gone(void **state)
{
	static struct result r[3];
	struct image *image;

	(void)state;
	server_start("file disk");
	image = open_image();
	image_nbd_patience(image, 600);
	server_end(SIGKILL);
	turn_for(50); /* it notices by itself */
	n_done = 0;
	for (unsigned int i = 0; i < 3; i++)
		submit(image, &r[i], i < 2 ? IMAGE_READ : IMAGE_FLUSH, 4096 * i,
		       got, i < 2 ? 4096 : 0, 0);
	turn_for(400);
	assert_int_equal(n_done, 0);
	turns(3);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(r[i].res, -EIO);
	server_start("file disk");
	image_nbd_patience(image, 20000);
	assert_int_equal(run(image, IMAGE_READ, 0, got, 4096, 0), 0);
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, 0), 0);
	assert_int_equal(run(image, IMAGE_FLUSH, 0, NULL, 0, 0), 0);
	server_end(SIGKILL);
	turn_for(50);
	image_nbd_patience(image, 600);
	/* All is flushed. */
	assert_int_equal(run(image, IMAGE_FLUSH, 0, NULL, 0, 0), 0);
	server_start("file disk");
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, 0), 0);
	server_end(SIGKILL);
	turn_for(50);
	assert_int_equal(run(image, IMAGE_FLUSH, 0, NULL, 0, 0), -EIO);
	image_destroy(image); /* while it tries */
}

/* It takes requests and does not answer. */
static void test_stuck(void **state)
{
	struct image *image;
	int64_t start;

	(void)state;
	server_start("file disk");
	image = open_image();
	image_nbd_patience(image, 300);
	assert_int_equal(run(image, IMAGE_READ, 0, got, 4096, 0), 0);
	kill(server, SIGSTOP);
	waitpid(server, NULL, WUNTRACED); /* it takes a moment */
	start = loop_now(loop);
	assert_int_equal(run(image, IMAGE_READ, 0, got, 4096, 0), -EIO);
	assert_true(loop_now(loop) - start < 3000);
	kill(server, SIGCONT);
	image_nbd_patience(image, 20000);
	assert_int_equal(run(image, IMAGE_WRITE, 0, data, 4096, 0), 0);
	assert_file(0, data, 4096);
	image_destroy(image);
}

/* What comes back is not the disk that was there. */
static void test_another(void **state)
{
	struct image *image;
	int64_t start;

	(void)state;
	server_start("memory 4M");
	image = open_image();
	server_end(SIGKILL);
	server_start("memory 2M");
	start = loop_now(loop);
	assert_int_equal(run(image, IMAGE_READ, 0, got, 4096, 0), -EIO);
	assert_int_equal(run(image, IMAGE_WRITE, 0, got, 4096, 0), -EIO);
	assert_true(loop_now(loop) - start < 5000);
	image_destroy(image);
	server_end(SIGKILL);
	server_start("memory 4M");
	image = open_image();
	server_end(SIGKILL);
	server_start("-r memory 4M");
	assert_int_equal(run(image, IMAGE_READ, 0, got, 4096, 0), -EIO);
	image_destroy(image);
}

static void refused(const char *uri, const char *text)
{
	struct image *image;

	assert_true(nbd_open(loop, uri, false, &image, &why) < 0);
	if (!strstr(why, text))
		fail_msg("%s %s", uri, why);
	assert_null(strchr(why, '\n'));
}

static void test_refusals(void **state)
{
	struct image *image;

	(void)state;
	server_start("-r memory 4M");
	refused(URI, "--usb-disk-ro");
	assert_int_equal(nbd_open(loop, URI, true, &image, &why), 0);
	image_destroy(image);
	refused("nbd+unix:///?socket=nowhere", "No such file");
	refused("nbd+unix:///", "socket");
	refused("nbd://[::1", "parse");
	refused("nbds+unix:///?socket=nbd.sock", "tls-certificates");
	refused("nbds+unix:///?socket=nbd.sock&tls-certificates=/nowhere",
		"ca-cert.pem");
	server_end(SIGKILL);
	server_start("memory 0");
	refused(URI, "no bytes");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_read_write), TEST(test_many),
		TEST(test_clearing),   TEST(test_stable),
		TEST(test_blocks),     TEST(test_errors),
		TEST(test_killed),     TEST(test_shut_down),
		TEST(test_gone),       TEST(test_stuck),
		TEST(test_another),    TEST(test_refusals),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
