// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Overlays: the bytes against a model, the file after a kill and after a power
 * failure, commits, and what is refused.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "image/overlay_file.h"
#include "image/spec.h"

#define UNIT OVERLAY_UNIT
#define SIZE (300u * UNIT + 512) /* the last unit is not a whole one */

static char dir[] = "/tmp/overlay-XXXXXX";
static char base_path[64], path[64];
static struct loop *loop;
static uint8_t original[SIZE];

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

static void write_file(const char *name, const void *data, size_t len)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < SIZE; i++)
		original[i] = (uint8_t)rnd(256);
	write_file(base_path, original, SIZE);
	unlink(path);
	return loop_create(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	unlink(base_path);
	unlink(path);
	return 0;
}

static int try_open(struct image **image, const char **why)
{
	struct image_spec spec = { .path = base_path, .overlay = path };

	return image_open(loop, &spec, image, why);
}

static struct image *reopen(struct image *image)
{
	const char *why = "";

	image_destroy(image);
	if (try_open(&image, &why))
		fail_msg("%s", why);
	return image;
}

static int io(struct image *image, enum image_request_type type, uint64_t off,
	      void *buf, uint64_t len)
{
	return image_wait(image, type, off, buf, len);
}

static void same_as(struct image *image, const uint8_t *want)
{
	static uint8_t got[SIZE];

	assert_int_equal(io(image, IMAGE_READ, 0, got, SIZE), 0);
	for (size_t i = 0; i < SIZE; i++)
		if (got[i] != want[i])
			fail_msg("byte %zu (unit %zu): %02x, not %02x", i,
				 i / UNIT, got[i], want[i]);
}

static void base_unchanged(void)
{
	static uint8_t got[SIZE];
	int fd = open(base_path, O_RDONLY);

	assert_int_equal(read(fd, got, SIZE), SIZE);
	assert_memory_equal(got, original, SIZE);
	close(fd);
}

/* Reads by the map and by extents say the same as requests. */
static void check_extents(struct image *image, const uint8_t *want)
{
	static uint8_t got[SIZE];
	struct image_extent e;

	for (uint64_t off = rnd(UNIT); off < SIZE; off += e.len) {
		assert_true(image_extent(image, off, false, &e));
		assert_true(e.len && off + e.len <= SIZE);
		assert_int_equal(pread(e.fd, got, e.len, (off_t)e.off), e.len);
		assert_memory_equal(got, want + off, e.len);
	}
	assert_false(image_extent(image, 0, true, &e));
}

static void test_model(void **state)
{
	static uint8_t model[SIZE], buf[SIZE];
	struct image *image = reopen(NULL);

	(void)state;
	memcpy(model, original, SIZE);
	for (int i = 0; i < 3000; i++) {
		uint64_t off = rnd(SIZE), len = 1 + rnd(5 * UNIT);
		uint32_t what = rnd(20);

		if (rnd(2)) { /* as guests do */
			off = off / 512 * 512;
			len = (len + 511) / 512 * 512;
		}
		len = MIN(len, SIZE - off);
		if (what < 10) {
			for (uint64_t k = 0; k < len; k++)
				buf[k] = (uint8_t)rnd(256);
			assert_int_equal(io(image, IMAGE_WRITE, off, buf, len),
					 0);
			memcpy(model + off, buf, len);
		} else if (what < 12) {
			assert_int_equal(
				io(image,
				   what == 10 ? IMAGE_ZERO : IMAGE_DISCARD, off,
				   NULL, len),
				0);
			memset(model + off, 0, len);
		} else if (what < 18) {
			assert_int_equal(io(image, IMAGE_READ, off, buf, len),
					 0);
			assert_memory_equal(buf, model + off, len);
		} else if (what == 18) {
			assert_int_equal(io(image, IMAGE_FLUSH, 0, NULL, 0), 0);
		} else if (rnd(10) == 0) {
			image = reopen(image);
		}
		if (i % 100 == 0) {
			same_as(image, model);
			check_extents(image, model);
		}
	}
	same_as(image, model);
	image_destroy(image);
	base_unchanged();
}

/* --- Many at once, and neighbours within a unit ------------------------------------ */

struct many {
	struct image_request request;
	struct iovec iov;
	uint8_t data[64];
	unsigned int *left;
};

static void many_done(struct image_request *request, int res)
{
	struct many *m = container_of(request, struct many, request);

	assert_int_equal(res, 0);
	if (!--*m->left)
		loop_stop(loop);
}

static void test_neighbours(void **state)
{
	static struct many many[UNIT * 3 / 64];
	static uint8_t model[SIZE];
	struct image *image = reopen(NULL);
	unsigned int left = ARRAY_SIZE(many);

	(void)state;
	memcpy(model, original, SIZE);
	/* From the middle of one unit to that of another. */
	for (unsigned int i = 0; i < ARRAY_SIZE(many); i++) {
		struct many *m = &many[(i * 37) % ARRAY_SIZE(many)];
		uint64_t off = 5 * UNIT + UNIT / 2 +
			       (uint64_t)(m - many) * sizeof(m->data);

		memset(m->data, (int)i, sizeof(m->data));
		memset(model + off, (int)i, sizeof(m->data));
		m->left = &left;
		m->iov = (struct iovec){ m->data, sizeof(m->data) };
		m->request = (struct image_request){
			.type = IMAGE_WRITE,
			.flags = i % 5 == 0 ? IMAGE_FUA : 0,
			.off = off,
			.len = sizeof(m->data),
			.iov = &m->iov,
			.n_iov = 1,
			.done = many_done,
		};
		image_submit(image, &m->request);
	}
	assert_int_equal(loop_run(loop), 0);
	same_as(image, model);
	image_destroy(image);
}

/* --- The end of the process, of the machine ------------------------------------------- */

/* Another boot id: as after a power failure that lost nothing else. */
static void power_failure(void)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, "other boot", 10, 48), 10);
	close(fd);
}

static void test_power_failure(void **state)
{
	static uint8_t model[SIZE];
	struct image *image = reopen(NULL);
	uint8_t data[UNIT];

	(void)state;
	memcpy(model, original, SIZE);
	memset(data, 'f', sizeof(data));
	assert_int_equal(io(image, IMAGE_WRITE, 7 * UNIT, data, UNIT), 0);
	assert_int_equal(io(image, IMAGE_FLUSH, 0, NULL, 0), 0);
	memcpy(model + 7 * UNIT, data, UNIT);
	/* Not flushed: as if it had never been. */
	assert_int_equal(io(image, IMAGE_WRITE, 9 * UNIT, data, UNIT), 0);
	image_destroy(image);
	power_failure();
	image = reopen(NULL);
	same_as(image, model);
	/* The same without the failure: it is there. */
	assert_int_equal(io(image, IMAGE_WRITE, 9 * UNIT, data, UNIT), 0);
	memcpy(model + 9 * UNIT, data, UNIT);
	image = reopen(image);
	same_as(image, model);
	/* A flush after that makes it last, too. */
	assert_int_equal(io(image, IMAGE_FLUSH, 0, NULL, 0), 0);
	image_destroy(image);
	power_failure();
	image = reopen(NULL);
	same_as(image, model);
	image_destroy(image);
}

static void fua_done(struct image_request *request, int res)
{
	(void)request;
	assert_int_equal(res, 0);
	loop_stop(loop);
}

static void test_fua(void **state)
{
	static uint8_t model[SIZE];
	uint8_t data[UNIT];
	struct iovec iov = { data, UNIT };
	struct image *image = reopen(NULL);

	(void)state;
	memcpy(model, original, SIZE);
	for (unsigned int i = 0; i < 6; i++) {
		struct image_request r = { .type = IMAGE_WRITE,
					   .flags = IMAGE_FUA,
					   .off = (i % 3) * 40 * UNIT,
					   .len = UNIT,
					   .iov = &iov,
					   .n_iov = 1,
					   .done = fua_done };

		memset(data, 'a' + (int)i, UNIT);
		memcpy(model + r.off, data, UNIT);
		image_submit(image, &r);
		assert_int_equal(loop_run(loop), 0);
	}
	image_destroy(image);
	power_failure();
	image = reopen(NULL);
	same_as(image, model);
	image_destroy(image);
}

/* Writes numbers, says which one has been written; flushes now and then. */
static void write_until_killed(int report)
{
	static uint8_t data[3 * UNIT];
	struct image *image;
	const char *why;

	if (loop_create(&loop) || try_open(&image, &why))
		_exit(1);
	for (uint32_t n = 1;; n++) {
		uint64_t unit = n * 7919 % 297;

		for (size_t i = 0; i < sizeof(data); i += 4)
			memcpy(data + i, &n, 4);
		if (image_wait(image, IMAGE_WRITE, unit * UNIT, data,
			       sizeof(data)) < 0 ||
		    (n % 16 == 0 &&
		     image_wait(image, IMAGE_FLUSH, 0, NULL, 0) < 0) ||
		    write(report, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

static uint32_t run_and_kill(useconds_t us)
{
	uint32_t n, last = 0;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid)
		write_until_killed(fds[1]);
	close(fds[1]);
	usleep(us);
	kill(pid, SIGKILL);
	while (read(fds[0], &n, sizeof(n)) == sizeof(n))
		last = n;
	close(fds[0]);
	waitpid(pid, &status, 0);
	assert_true(WIFSIGNALED(status));
	return last;
}

/* All that was reported is there, or what was written over it since. */
static void check_numbers(struct image *image, uint32_t last, uint32_t flushed)
{
	static uint8_t got[SIZE];
	static uint32_t want[300];

	memset(want, 0, sizeof(want));
	for (uint32_t n = 1; n <= flushed; n++)
		for (unsigned int k = 0; k < 3; k++)
			want[n * 7919 % 297 + k] = n;
	assert_int_equal(io(image, IMAGE_READ, 0, got, SIZE), 0);
	for (unsigned int unit = 0; unit < 300; unit++) {
		uint32_t n;

		memcpy(&n, got + unit * UNIT, 4);
		if (want[unit] && (n < want[unit] || n > last + 1))
			fail_msg("unit %u: %u, not %u to %u", unit, n,
				 want[unit], last + 1);
	}
}

static void test_kill(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		struct image *image;
		uint32_t last;
		bool power = i % 2;

		unlink(path);
		last = run_and_kill(5000 + rnd(40000));
		if (access(path, F_OK) < 0)
			continue;
		if (power)
			power_failure();
		image = reopen(NULL);
		check_numbers(image, last, power ? last / 16 * 16 : last);
		image_destroy(image);
	}
}

/* --- Commits ------------------------------------------------------------------------------ */

static void test_commit(void **state)
{
	static uint8_t model[SIZE], data[SIZE];
	struct image *image = reopen(NULL);
	const char *why = "";
	struct stat st;

	(void)state;
	memcpy(model, original, SIZE);
	memset(data, 'c', sizeof(data));
	assert_int_equal(io(image, IMAGE_WRITE, 3 * UNIT, data, 20 * UNIT), 0);
	memset(model + 3 * UNIT, 'c', 20 * UNIT);
	assert_int_equal(io(image, IMAGE_DISCARD, 5 * UNIT, NULL, UNIT), 0);
	memset(model + 5 * UNIT, 0, UNIT);
	assert_int_equal(io(image, IMAGE_WRITE, 300 * UNIT, data, 512), 0);
	memset(model + 300 * UNIT, 'c', 512);
	/* Not while it is in use. */
	assert_int_equal(image_commit(loop, path, &why), -EBUSY);
	image_destroy(image);
	if (image_commit(loop, path, &why))
		fail_msg("%s", why);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_blocks * 512 < 20 * UNIT);
	memcpy(original, model, SIZE);
	base_unchanged();
	image = reopen(NULL);
	same_as(image, model);
	/* And it goes on from there. */
	assert_int_equal(io(image, IMAGE_WRITE, 0, data, UNIT), 0);
	memset(model, 'c', UNIT);
	image = reopen(image);
	same_as(image, model);
	image_destroy(image);
}

static void test_commit_interrupted(void **state)
{
	uint8_t data[UNIT], flags[4] = { 1 };
	struct image *image = reopen(NULL);
	const char *why = "";
	int fd;

	(void)state;
	memset(data, 'i', UNIT);
	assert_int_equal(io(image, IMAGE_WRITE, 0, data, UNIT), 0);
	assert_int_equal(io(image, IMAGE_WRITE, 8 * UNIT, data, UNIT), 0);
	image_destroy(image);
	/* As if it had been stopped after the first unit. */
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, flags, 4, 40), 4);
	close(fd);
	fd = open(base_path, O_WRONLY);
	assert_int_equal(pwrite(fd, data, UNIT, 0), UNIT);
	close(fd);
	assert_int_equal(try_open(&image, &why), -EINVAL);
	assert_non_null(strstr(why, "--commit"));
	if (image_commit(loop, path, &why))
		fail_msg("%s", why);
	memcpy(original, data, UNIT);
	memcpy(original + 8 * UNIT, data, UNIT);
	base_unchanged();
	image_destroy(reopen(NULL));
}

/* --- What is refused, what is shared --------------------------------------------------------- */

static void test_refused(void **state)
{
	struct image *image = reopen(NULL);
	struct image_spec both = { .path = base_path,
				   .overlay = path,
				   .snapshot = true };
	static uint8_t other[SIZE];
	const char *why = "";

	(void)state;
	image_destroy(image);
	assert_int_equal(image_open(loop, &both, &image, &why), -EINVAL);
	/* Another base */
	memcpy(other, original, SIZE);
	other[100]++;
	write_file(base_path, other, SIZE);
	assert_int_equal(try_open(&image, &why), -EINVAL);
	assert_non_null(strstr(why, "another base"));
	assert_int_equal(image_commit(loop, path, &why), -EINVAL);
	write_file(base_path, original, SIZE - 512);
	assert_int_equal(try_open(&image, &why), -EINVAL);
	assert_non_null(strstr(why, "size"));
	/* Not an overlay */
	write_file(base_path, original, SIZE);
	write_file(path, original, SIZE);
	assert_int_equal(try_open(&image, &why), -EINVAL);
	assert_non_null(strstr(why, "not an overlay"));
	write_file(path, "", 0);
	assert_int_equal(try_open(&image, &why), -EINVAL);
}

/* Random damage to the header is refused or harmless. */
static void test_damaged(void **state)
{
	struct image *image = reopen(NULL);
	uint8_t page[UNIT], bad[UNIT];
	const char *why;
	int fd;

	(void)state;
	image_destroy(image);
	fd = open(path, O_RDWR);
	assert_int_equal(pread(fd, page, sizeof(page), 0), sizeof(page));
	for (unsigned int i = 0; i < 500; i++) {
		memcpy(bad, page, sizeof(bad));
		bad[rnd(48)] ^= (uint8_t)(1u << rnd(8));
		assert_int_equal(pwrite(fd, bad, sizeof(bad), 0), sizeof(bad));
		if (try_open(&image, &why) == 0)
			image_destroy(image);
	}
	for (unsigned int len = 0; len < sizeof(page); len += 97) {
		assert_int_equal(pwrite(fd, page, sizeof(page), 0),
				 sizeof(page));
		assert_int_equal(ftruncate(fd, len), 0);
		assert_int_equal(try_open(&image, &why), -EINVAL);
	}
	close(fd);
}

static void test_shared_base(void **state)
{
	struct image_spec snapshot = { .path = base_path, .snapshot = true };
	static uint8_t model[SIZE], data[UNIT];
	struct image *a = reopen(NULL), *b, *c;
	const char *why;

	(void)state;
	memset(data, 's', UNIT);
	assert_int_equal(image_open(loop, &snapshot, &b, &why), 0);
	assert_int_equal(try_open(&c, &why), -EBUSY);
	assert_int_equal(io(b, IMAGE_WRITE, UNIT, data, UNIT), 0);
	assert_int_equal(io(b, IMAGE_FLUSH, 0, NULL, 0), 0);
	same_as(a, original);
	memcpy(model, original, SIZE);
	memcpy(model + UNIT, data, UNIT);
	same_as(b, model);
	image_destroy(a);
	image_destroy(b);
	assert_int_equal(image_open(loop, &snapshot, &b, &why), 0);
	same_as(b, original);
	image_destroy(b);
}

static void test_status(void **state)
{
	struct image *image = reopen(NULL);
	uint8_t data[UNIT] = { 1 };

	(void)state;
	assert_int_equal(io(image, IMAGE_ZERO, 16 * UNIT, NULL, 16 * UNIT), 0);
	assert_int_equal(io(image, IMAGE_WRITE, 20 * UNIT, data, UNIT), 0);
	for (uint64_t off = 0; off < SIZE;) {
		struct many m = { .request = { .type = IMAGE_STATUS,
					       .off = off,
					       .len = SIZE - off,
					       .done = many_done } };
		unsigned int left = 1;

		m.left = &left;
		image_submit(image, &m.request);
		assert_int_equal(loop_run(loop), 0);
		assert_true(m.request.len && m.request.len <= SIZE - off);
		if (m.request.hole)
			assert_true(off >= 16 * UNIT &&
				    off + m.request.len <= 32 * UNIT);
		else
			assert_true(off + m.request.len <= 16 * UNIT ||
				    off == 20 * UNIT || off >= 32 * UNIT);
		off += m.request.len;
	}
	image_destroy(image);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_model),
		TEST(test_neighbours),
		TEST(test_power_failure),
		TEST(test_fua),
		TEST(test_kill),
		TEST(test_commit),
		TEST(test_commit_interrupted),
		TEST(test_refused),
		TEST(test_damaged),
		TEST(test_shared_base),
		TEST(test_status),
	};
	int ret;

	if (!mkdtemp(dir))
		return 1;
	snprintf(base_path, sizeof(base_path), "%s/base", dir);
	snprintf(path, sizeof(path), "%s/overlay", dir);
	ret = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return ret;
}
