// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What image.c does for images that cannot do it by themselves: pieces of
 * blocks, their order, ranges that can only be cleared by writing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first. */
#include <cmocka.h>
#include <string.h>

#include "image/mem.h"

#define ALIGN 4096u
#define SIZE (64u * ALIGN + 100) /* ends within a block */

static struct loop *loop;
static struct mem_image *mem;
static struct image *image;
static uint8_t model[SIZE];

static uint32_t seed = 7;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)(seed >> 8) * below >> 24);
}

static int setup(void **state)
{
	(void)state;
	if (loop_create(&loop) < 0)
		return -1;
	mem = mem_image_new(loop, SIZE, SIZE);
	image = &mem->image;
	image->align = ALIGN; /* mem.c asserts that requests are so */
	for (size_t i = 0; i < SIZE; i++)
		model[i] = mem->data[i] = (uint8_t)rnd(256);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	image_destroy(image);
	loop_destroy(loop);
	return 0;
}

/* --- One after another ----------------------------------------------------------- */

static void test_model(void **state)
{
	static uint8_t buf[SIZE];

	(void)state;
	for (int i = 0; i < 4000; i++) {
		uint64_t off = rnd(SIZE), len = 1 + rnd(3 * ALIGN);

		len = MIN(len, SIZE - off);
		/* What it cannot changes as it goes. */
		mem->error[IMAGE_ZERO] = rnd(2) ? -EOPNOTSUPP : 0;
		mem->error[IMAGE_DISCARD] = rnd(2) ? -EOPNOTSUPP : 0;
		switch (rnd(4)) {
		case 0:
			for (uint64_t k = 0; k < len; k++)
				model[off + k] = buf[k] = (uint8_t)rnd(256);
			assert_int_equal(
				image_wait(image, IMAGE_WRITE, off, buf, len),
				0);
			break;
		case 1:
			assert_int_equal(
				image_wait(image, IMAGE_READ, off, buf, len),
				0);
			assert_memory_equal(buf, model + off, len);
			break;
		default:
			assert_int_equal(
				image_wait(image,
					   rnd(2) ? IMAGE_ZERO : IMAGE_DISCARD,
					   off, NULL, len),
				0);
			memset(model + off, 0, len);
		}
		assert_memory_equal(mem->data, model, SIZE);
	}
	assert_int_equal(image->stats.errors, 0);
}

/* --- Many at once -------------------------------------------------------------------- */

struct one {
	struct image_request request;
	struct iovec iov[3];
	uint8_t data[3][40];
	unsigned int runs;
	int res;
};

static unsigned int left;

static void one_done(struct image_request *request, int res)
{
	struct one *one = container_of(request, struct one, request);

	one->runs++;
	one->res = res;
	if (!--left)
		loop_stop(loop);
}

static void one_write(struct one *one, uint64_t off, uint8_t value)
{
	uint64_t at = off;

	for (unsigned int i = 0; i < 3; i++) {
		one->iov[i] =
			(struct iovec){ one->data[i], sizeof(one->data[i]) };
		memset(one->data[i], value + (int)i, sizeof(one->data[i]));
		memset(model + at, value + (int)i, sizeof(one->data[i]));
		at += sizeof(one->data[i]);
	}
	one->request = (struct image_request){
		.type = IMAGE_WRITE,
		.off = off,
		.len = at - off,
		.iov = one->iov,
		.n_iov = 3,
		.done = one_done,
	};
	image_submit(image, &one->request);
}

/*
 * Pieces of the same blocks, in several segments, and over each other: the
 * later one wins, and none is lost.
 */
static void test_order(void **state)
{
	static struct one one[200];

	(void)state;
	memset(one, 0, sizeof(one));
	for (unsigned int round = 0; round < 20; round++) {
		mem->hold = true;
		left = ARRAY_SIZE(one);
		for (unsigned int i = 0; i < ARRAY_SIZE(one); i++)
			one_write(&one[i], rnd(3 * ALIGN), (uint8_t)rnd(250));
		mem_image_release(mem);
		assert_int_equal(loop_run(loop), 0);
		for (unsigned int i = 0; i < ARRAY_SIZE(one); i++) {
			assert_int_equal(one[i].runs, round + 1);
			assert_int_equal(one[i].res, 0);
			one[i].runs = round + 1;
		}
		assert_memory_equal(mem->data, model, SIZE);
		assert_true(list_empty(&image->writes));
		assert_true(list_empty(&image->parked));
	}
}

/* Whole blocks do not wait: nothing is read before they are written. */
static void test_whole_blocks(void **state)
{
	static uint8_t buf[4 * ALIGN];

	(void)state;
	assert_int_equal(
		image_wait(image, IMAGE_WRITE, ALIGN, buf, sizeof(buf)), 0);
	assert_int_equal(mem->count[IMAGE_READ], 0);
	assert_int_equal(mem->count[IMAGE_WRITE], 1);
	/* Up to the very end is whole, too. */
	assert_int_equal(image_wait(image, IMAGE_WRITE, 64 * ALIGN, buf, 100),
			 0);
	assert_int_equal(mem->count[IMAGE_READ], 0);
	/* A piece at each end: two blocks are read, one request written. */
	assert_int_equal(image_wait(image, IMAGE_WRITE, 10, buf, 3 * ALIGN), 0);
	assert_int_equal(mem->count[IMAGE_READ], 2);
	assert_int_equal(mem->count[IMAGE_WRITE], 3);
	assert_int_equal(image->stats.requests[IMAGE_WRITE], 3);
}

static void test_errors(void **state)
{
	uint8_t buf[10] = { 0 };

	(void)state;
	mem->error[IMAGE_READ] = -EIO;
	assert_int_equal(image_wait(image, IMAGE_WRITE, 5, buf, 10), -EIO);
	assert_int_equal(image_wait(image, IMAGE_READ, 5, buf, 10), -EIO);
	mem->error[IMAGE_READ] = 0;
	mem->error[IMAGE_WRITE] = -ENOSPC;
	assert_int_equal(image_wait(image, IMAGE_WRITE, 5, buf, 10), -ENOSPC);
	mem->error[IMAGE_ZERO] = -EOPNOTSUPP;
	assert_int_equal(image_wait(image, IMAGE_ZERO, 5, NULL, 10), -ENOSPC);
	assert_memory_equal(mem->data, model, SIZE);
	/* One for each request, however many it was made of. */
	assert_int_equal(image->stats.errors, 4);
	mem->error[IMAGE_WRITE] = 0;
	assert_int_equal(image_wait(image, IMAGE_WRITE, 5, buf, 10), 0);
}

/* --- What cannot be discarded ----------------------------------------------------------- */

static void test_discard(void **state)
{
	(void)state;
	mem->error[IMAGE_DISCARD] = -EOPNOTSUPP;
	assert_int_equal(image_wait(image, IMAGE_DISCARD, 0, NULL, 2 * ALIGN),
			 0);
	assert_int_equal(mem->count[IMAGE_ZERO], 1);
	mem->error[IMAGE_ZERO] = -EOPNOTSUPP;
	assert_int_equal(image_wait(image, IMAGE_DISCARD, 0, NULL, 4 * ALIGN),
			 0);
	assert_int_equal(mem->count[IMAGE_WRITE], 1);
	memset(model, 0, 4 * ALIGN);
	assert_memory_equal(mem->data, model, SIZE);
	/* Nobody relies on zeros: nothing is written for them. */
	image->discard_zeroes = false;
	assert_int_equal(
		image_wait(image, IMAGE_DISCARD, 8 * ALIGN, NULL, ALIGN), 0);
	assert_int_equal(mem->count[IMAGE_WRITE], 1);
	assert_memory_equal(mem->data, model, SIZE);
}

/* Of a long range only the pieces of blocks at its ends are written. */
static void test_ragged(void **state)
{
	const uint64_t off = 3 * ALIGN - 100, end = 40 * ALIGN + 200;

	(void)state;
	assert_int_equal(image_wait(image, IMAGE_DISCARD, off, NULL, end - off),
			 0);
	memset(model + off, 0, end - off);
	assert_memory_equal(mem->data, model, SIZE);
	assert_int_equal(mem->count[IMAGE_DISCARD], 1);
	assert_int_equal(mem->count[IMAGE_ZERO], 0);
	assert_int_equal(mem->count[IMAGE_WRITE], 2);
	/* To the very end is whole. */
	assert_int_equal(
		image_wait(image, IMAGE_ZERO, SIZE - ALIGN, NULL, ALIGN), 0);
	memset(model + SIZE - ALIGN, 0, ALIGN);
	assert_memory_equal(mem->data, model, SIZE);
	assert_int_equal(mem->count[IMAGE_ZERO], 1);
	assert_int_equal(mem->count[IMAGE_WRITE], 3);
	/* Within one block there is nothing else. */
	assert_int_equal(image_wait(image, IMAGE_DISCARD, 50 * ALIGN + 1, NULL,
				    ALIGN - 2),
			 0);
	memset(model + 50 * ALIGN + 1, 0, ALIGN - 2);
	assert_memory_equal(mem->data, model, SIZE);
	assert_int_equal(mem->count[IMAGE_DISCARD], 1);
	assert_int_equal(mem->count[IMAGE_WRITE], 4);
}

static void test_status(void **state)
{
	struct one one = { .request = { .type = IMAGE_STATUS,
					.off = 3,
					.len = 1000,
					.hole = true,
					.done = one_done } };

	(void)state;
	left = 1;
	image_submit(image, &one.request);
	assert_int_equal(one.runs, 0);
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(one.res, 0);
	assert_false(one.request.hole);
	assert_int_equal(one.request.len, 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_model),  TEST(test_order),   TEST(test_whole_blocks),
		TEST(test_errors), TEST(test_discard), TEST(test_ragged),
		TEST(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
