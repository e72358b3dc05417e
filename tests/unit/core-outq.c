// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The output queue and the buffers that it passes on.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first. */
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "core/outq.h"

static struct bufpool pool;

static int setup(void **state)
{
	(void)state;
	bufpool_init(&pool);
	return 0;
}

/* Asserts that every buffer has come back. */
static int teardown(void **state)
{
	(void)state;
	bufpool_fini(&pool);
	return 0;
}

static struct buf *text(const char *s)
{
	struct buf *buf = bufpool_get(&pool, strlen(s));

	memcpy(buf->data, s, strlen(s));
	return buf;
}

/* What would leave next, as text. */
static const char *next(const struct outq *q, unsigned int n)
{
	static char out[256];
	struct iovec iov[16];
	size_t len = 0;

	n = outq_iov(q, iov, n);
	for (unsigned int i = 0; i < n; i++) {
		memcpy(out + len, iov[i].iov_base, iov[i].iov_len);
		len += iov[i].iov_len;
	}
	out[len] = '\0';
	return out;
}

static void test_outq(void **state)
{
	struct outq q;

	(void)state;
	outq_init(&q);
	assert_string_equal(next(&q, 16), "");
	assert_int_equal(outq_push(&q, "ab", 2, text("cdef"), 1, 2), 0);
	assert_int_equal(outq_push(&q, "gh", 2, NULL, 0, 0), 0);
	assert_int_equal(outq_push(&q, NULL, 0, text("ijk"), 0, 3), 0);
	assert_int_equal(outq_bytes(&q), 9);
	assert_true(outq_memory(&q) > 2 * 512);
	assert_string_equal(next(&q, 16), "abdeghijk");
	/* A message is never cut for want of entries. */
	assert_string_equal(next(&q, 3), "abde");
	assert_string_equal(next(&q, 4), "abdegh");
	assert_string_equal(next(&q, 1), "");
	outq_consume(&q, 1);
	assert_string_equal(next(&q, 16), "bdeghijk");
	outq_consume(&q, 2);
	assert_string_equal(next(&q, 16), "eghijk");
	outq_consume(&q, 3);
	assert_string_equal(next(&q, 16), "ijk");
	outq_consume(&q, 3);
	assert_int_equal(outq_bytes(&q), 0);
	assert_int_equal(outq_memory(&q), 0);
	assert_int_equal(outq_push(&q, "x", 1, text("y"), 0, 1), 0);
	outq_fini(&q);
}

static void test_bufpool(void **state)
{
	struct buf *a = bufpool_get(&pool, 1), *b, *big;
	uint8_t *data = a->data;

	(void)state;
	assert_true(a->size >= 1);
	buf_ref(a);
	buf_put(a);
	assert_int_equal(pool.lent, a->size);
	buf_put(a);
	assert_int_equal(pool.lent, 0);
	/* The same one again, warm. */
	b = bufpool_get(&pool, 2);
	assert_ptr_equal(b->data, data);
	buf_put(b);
	buf_put(NULL);
	/* Pages are aligned; large ones are not kept. */
	big = bufpool_get(&pool, (1 << 20) + 1);
	assert_int_equal((uintptr_t)big->data % 4096, 0);
	assert_true(big->size >= (1 << 20) + 1);
	buf_put(big);
	assert_true(pool.cached <= BUFPOOL_CACHED);
}

static void test_cache_is_bounded(void **state)
{
	struct buf *bufs[32];

	(void)state;
	for (int i = 0; i < 32; i++)
		bufs[i] = bufpool_get(&pool, 1 << 20);
	for (int i = 0; i < 32; i++)
		buf_put(bufs[i]);
	assert_true(pool.cached <= BUFPOOL_CACHED);
	assert_true(pool.cached > 0);
}

static void test_wrap(void **state)
{
	static const char foreign[] = "not the pool's";
	struct buf *buf = bufpool_wrap(&pool, foreign, sizeof(foreign));

	(void)state;
	assert_ptr_equal(buf->data, foreign);
	buf_put(buf);
	assert_int_equal(pool.cached, 0);
}

/* A mapped file that becomes shorter: the kernel refuses, zeros go instead. */
static void test_repair(void **state)
{
	static uint8_t got[65536 + 8];
	int fd = memfd_create("shrinks", MFD_CLOEXEC), pair[2];
	struct iovec iov[8];
	struct outq q;
	uint8_t *map;
	size_t done = 0;
	ssize_t n;

	(void)state;
	assert_int_equal(ftruncate(fd, 65536), 0);
	map = mmap(NULL, 65536, PROT_READ, MAP_SHARED, fd, 0);
	assert_true(map != MAP_FAILED);
	assert_int_equal(pwrite(fd, "there", 5, 0), 5);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	outq_init(&q);
	assert_false(outq_repair(&q));
	assert_int_equal(outq_push(&q, "head", 4,
				   bufpool_wrap(&pool, map, 65536), 0, 65536),
			 0);
	assert_int_equal(outq_push(&q, NULL, 0, text("tail"), 0, 4), 0);
	/* The head has left before the file is cut. */
	assert_int_equal(send(pair[0], "head", 4, 0), 4);
	outq_consume(&q, 4);
	assert_int_equal(ftruncate(fd, 0), 0);
	n = writev(pair[0], iov, (int)outq_iov(&q, iov, 8));
	assert_int_equal(n, -1);
	assert_int_equal(errno, EFAULT);
	assert_true(outq_repair(&q));
	assert_int_equal(pool.torn, 1);
	assert_int_equal(outq_bytes(&q), 65540);
	while (outq_bytes(&q)) {
		n = writev(pair[0], iov, (int)outq_iov(&q, iov, 8));
		assert_true(n > 0);
		outq_consume(&q, (size_t)n);
		n = recv(pair[1], got + done, sizeof(got) - done, 0);
		assert_true(n > 0);
		done += (size_t)n;
	}
	while (done < sizeof(got)) {
		n = recv(pair[1], got + done, sizeof(got) - done, 0);
		assert_true(n > 0);
		done += (size_t)n;
	}
	assert_memory_equal(got, "head", 4);
	for (size_t i = 4; i < 4 + 65536; i++)
		assert_int_equal(got[i], 0);
	assert_memory_equal(got + 4 + 65536, "tail", 4);
	/* Nothing is torn any more. */
	assert_false(outq_repair(&q));
	munmap(map, 65536);
	close(pair[0]);
	close(pair[1]);
	close(fd);
}

/* Pieces of one buffer cost it once. */
static void test_memory_of_pieces(void **state)
{
	struct buf *buf = text("abcdef");
	struct buf *other = text("x");
	struct outq q;
	size_t one;

	(void)state;
	outq_init(&q);
	assert_int_equal(outq_push(&q, "1", 1, buf_ref(buf), 0, 2), 0);
	one = outq_memory(&q);
	assert_true(one >= buf->size);
	assert_int_equal(outq_push(&q, "2", 1, buf_ref(buf), 2, 2), 0);
	assert_int_equal(outq_memory(&q), 2 * one - buf->size);
	assert_int_equal(outq_push(&q, "3", 1, other, 0, 1), 0);
	assert_int_equal(outq_push(&q, "4", 1, buf, 4, 2), 0);
	assert_int_equal(outq_memory(&q), 4 * one - buf->size);
	assert_string_equal(next(&q, 16), "1ab2cd3x4ef");
	outq_consume(&q, 3);
	assert_int_equal(outq_memory(&q), 3 * one - buf->size);
	outq_consume(&q, 8);
	assert_int_equal(outq_memory(&q), 0);
	outq_fini(&q);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_outq),    TEST(test_memory_of_pieces),
		TEST(test_bufpool), TEST(test_cache_is_bounded),
		TEST(test_wrap),    TEST(test_repair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
