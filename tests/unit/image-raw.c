// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Raw images on real files: reading, writing, locks, holes, files that shrink.
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/raw.h"

#define SIZE (1 << 20)

static struct loop *loop;
static char path[] = "image-raw.XXXXXX";
static int file;
static const char *why;

static int setup(void **state)
{
	(void)state;
	strcpy(path, "image-raw.XXXXXX");
	file = mkstemp(path);
	if (file < 0 || ftruncate(file, SIZE) < 0)
		return -1;
	return loop_create(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	close(file);
	unlink(path);
	return 0;
}

struct result {
	struct image_request request;
	int runs, res;
};

static void request_done(struct image_request *request, int res)
{
	struct result *r = container_of(request, struct result, request);

	r->runs++;
	r->res = res;
}

static int run(struct image *image, enum image_request_type type, uint64_t off,
	       const struct iovec *iov, unsigned int n, uint64_t len,
	       unsigned int flags)
{
	struct result r = { .request = { .type = type,
					 .flags = flags,
					 .off = off,
					 .len = len,
					 .iov = iov,
					 .n_iov = n,
					 .done = request_done } };

	image_submit(image, &r.request);
	assert_int_equal(r.runs, 0); /* never inside */
	while (!r.runs)
		assert_int_equal(loop_turn(loop), 0);
	assert_int_equal(r.runs, 1);
	return r.res;
}

static void test_read_write(void **state)
{
	char a[3000], b[5000], got[8000];
	struct iovec out[2] = { { a, sizeof(a) }, { b, sizeof(b) } };
	struct iovec in = { got, sizeof(got) };
	struct image *image;

	(void)state;
	memset(a, 'a', sizeof(a));
	memset(b, 'b', sizeof(b));
	assert_int_equal(raw_open(loop, path, false, &image, &why), 0);
	assert_int_equal(image->size, SIZE);
	assert_int_not_equal(image->identity, 0);
	assert_int_equal(run(image, IMAGE_WRITE, 12345, out, 2, 8000, 0), 0);
	assert_int_equal(run(image, IMAGE_READ, 12345, &in, 1, 8000, 0), 0);
	assert_memory_equal(got, a, sizeof(a));
	assert_memory_equal(got + sizeof(a), b, sizeof(b));
	assert_int_equal(
		run(image, IMAGE_WRITE, SIZE - 8000, out, 2, 8000, IMAGE_FUA),
		0);
	assert_int_equal(pread(file, got, 1, SIZE - 1), 1);
	assert_int_equal(got[0], 'b');
	assert_int_equal(run(image, IMAGE_FLUSH, 0, NULL, 0, 0, 0), 0);
	image_destroy(image);
}

static void test_holes(void **state)
{
	static char data[SIZE];
	struct iovec iov = { data, sizeof(data) };
	struct image *image;
	struct stat before, after;
	int ret;

	(void)state;
	memset(data, 'x', sizeof(data));
	assert_int_equal(raw_open(loop, path, false, &image, &why), 0);
	assert_int_equal(run(image, IMAGE_WRITE, 0, &iov, 1, SIZE, 0), 0);
	assert_int_equal(run(image, IMAGE_FLUSH, 0, NULL, 0, 0, 0), 0);
	assert_int_equal(fstat(file, &before), 0);
	ret = run(image, IMAGE_DISCARD, 65536, NULL, 0, 524288, 0);
	if (ret == -EOPNOTSUPP)
		skip();
	assert_int_equal(ret, 0);
	assert_int_equal(fstat(file, &after), 0);
	assert_true(after.st_blocks <= before.st_blocks - 524288 / 512);
	assert_int_equal(after.st_size, SIZE);
	assert_int_equal(run(image, IMAGE_READ, 0, &iov, 1, SIZE, 0), 0);
	assert_int_equal(data[65535], 'x');
	assert_int_equal(data[65536], 0);
	assert_int_equal(data[65536 + 524287], 0);
	assert_int_equal(data[65536 + 524288], 'x');
	image_destroy(image);
}

static void test_shrunk(void **state)
{
	char data[4096];
	struct iovec iov = { data, sizeof(data) };
	struct image *image;

	(void)state;
	assert_int_equal(raw_open(loop, path, false, &image, &why), 0);
	assert_non_null(data);
	assert_int_equal(ftruncate(file, 6000), 0);
	assert_int_equal(run(image, IMAGE_READ, 0, &iov, 1, 4096, 0), 0);
	assert_int_equal(run(image, IMAGE_READ, 4096, &iov, 1, 4096, 0),
			 -ENODATA);
	assert_int_equal(run(image, IMAGE_READ, 65536, &iov, 1, 4096, 0),
			 -ENODATA);
	assert_null(image_map(image, 65536, 4096));
	image_destroy(image);
}

static void test_map(void **state)
{
	char data[8192], got[8192];
	struct iovec iov = { data, sizeof(data) };
	struct image *image;
	const void *map;

	(void)state;
	memset(data, 'm', sizeof(data));
	assert_int_equal(raw_open(loop, path, false, &image, &why), 0);
	assert_int_equal(run(image, IMAGE_WRITE, 8192, &iov, 1, 8192, 0), 0);
	map = image_map(image, 8192, 8192);
	assert_non_null(map);
	memcpy(got, map, sizeof(got));
	assert_memory_equal(got, data, sizeof(got));
	assert_null(image_map(image, 0, IMAGE_MAP_MAX + 1));
	image_destroy(image);
}

/*
 * Of somebody else's file the kernel tells nobody which pages are in memory:
 * it says all of them. Such an image is never mapped.
 */
static void test_not_ours(void **state)
{
	struct image *image;

	(void)state;
	if (geteuid())
		skip(); /* root may be somebody else */
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(fchmod(file, 0644), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(raw_open(loop, path, true, &image, &why), 0);
	assert_null(image_map(image, 0, 65536));
	image_destroy(image);
	assert_int_equal(seteuid(0), 0);
}

/* RLIMIT_FSIZE makes writes fail as a full disk does. */
static void test_no_space(void **state)
{
	struct rlimit old, small = { 65536, RLIM_INFINITY };
	char data[4096] = { 0 };
	struct iovec iov = { data, sizeof(data) };
	struct image *image;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(raw_open(loop, path, false, &image, &why), 0);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	assert_int_equal(run(image, IMAGE_WRITE, 131072, &iov, 1, 4096, 0),
			 -EFBIG);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(run(image, IMAGE_WRITE, 131072, &iov, 1, 4096, 0), 0);
	image_destroy(image);
}

static void test_locks(void **state)
{
	struct image *a, *b;

	(void)state;
	assert_int_equal(raw_open(loop, path, true, &a, &why), 0);
	assert_int_equal(raw_open(loop, path, true, &b, &why), 0);
	image_destroy(b);
	assert_int_equal(raw_open(loop, path, false, &b, &why), -EBUSY);
	image_destroy(a);
	assert_int_equal(raw_open(loop, path, false, &a, &why), 0);
	assert_int_equal(raw_open(loop, path, true, &b, &why), -EBUSY);
	assert_non_null(strstr(why, "in use"));
	image_destroy(a);
	image_destroy(NULL);
}

static void test_identity(void **state)
{
	struct image *a, *b;
	char again[64];
	uint64_t id;

	(void)state;
	assert_int_equal(raw_open(loop, path, true, &a, &why), 0);
	snprintf(again, sizeof(again), "./%s", path);
	assert_int_equal(raw_open(loop, again, true, &b, &why), 0);
	id = a->identity;
	assert_true(id == b->identity);
	image_destroy(a);
	image_destroy(b);
}

static void test_refusals(void **state)
{
	struct image *image;

	(void)state;
	assert_int_equal(raw_open(loop, "/nonexistent", false, &image, &why),
			 -ENOENT);
	assert_int_equal(raw_open(loop, "/", false, &image, &why), -EINVAL);
	assert_int_equal(raw_open(loop, "/dev/null", false, &image, &why),
			 -EINVAL);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_read_write), TEST(test_holes),    TEST(test_shrunk),
		TEST(test_map),	       TEST(test_not_ours), TEST(test_no_space),
		TEST(test_locks),      TEST(test_identity), TEST(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
