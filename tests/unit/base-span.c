// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"

static const uint8_t bytes[] = {
	0x81, 0x82, 0x83, 0x84, 0x85, 0x86, 0x87, 0x88
};

static void test_read_widths(void **state)
{
	static const uint64_t le[] = { 0,
				       0x81,
				       0x8281,
				       0x838281,
				       0x84838281,
				       0x8584838281,
				       0x868584838281,
				       0x87868584838281,
				       0x8887868584838281 };
	static const uint64_t be[] = { 0,
				       0x81,
				       0x8182,
				       0x818283,
				       0x81828384,
				       0x8182838485,
				       0x818283848586,
				       0x81828384858687,
				       0x8182838485868788 };

	(void)state;
	for (size_t width = 0; width <= 8; width++) {
		struct span s = span_of(bytes, width);

		assert_int_equal(span_le(&s, width), le[width]);
		assert_int_equal(s.len, 0);
		s = span_of(bytes, width);
		assert_int_equal(span_be(&s, width), be[width]);
		assert_true(span_ok(&s));
	}
}

static void test_read_sequence(void **state)
{
	struct span s = span_of(bytes, sizeof(bytes));

	(void)state;
	assert_int_equal(span_u8(&s), 0x81);
	assert_int_equal(span_le(&s, 2), 0x8382);
	assert_ptr_equal(span_take(&s, 3), bytes + 3);
	assert_int_equal(span_be(&s, 2), 0x8788);
	/* Nothing is left, and nothing can be taken off it. */
	assert_ptr_equal(span_take(&s, 0), bytes + sizeof(bytes));
	assert_true(span_ok(&s));
}

/* One read too many and the rest is zeros, even what would still fit. */
static void test_read_past_end(void **state)
{
	struct span s = span_of(bytes, 3);

	(void)state;
	assert_int_equal(span_le(&s, 4), 0);
	assert_false(span_ok(&s));
	assert_int_equal(span_u8(&s), 0);
	assert_int_equal(span_be(&s, 2), 0);
	assert_null(span_take(&s, 0));
	assert_int_equal(s.len, 0);
	s = span_of(bytes, 3);
	assert_null(span_take(&s, SIZE_MAX));
	assert_false(span_ok(&s));
	s = span_of(NULL, 0);
	assert_int_equal(span_u8(&s), 0);
	assert_false(span_ok(&s));
}

static void test_write(void **state)
{
	static const uint8_t want[] = { 0x34, 0x12, 0x12, 0x34, 'a',
					'b',  0,    0,	  0x08, 0xee };
	uint8_t out[10];
	struct span_writer w = span_writer_of(out, 9);

	(void)state;
	memset(out, 0xee, sizeof(out));
	span_put_le(&w, 0x1234, 2);
	span_put_be(&w, 0x1234, 2);
	span_put(&w, "ab", 2);
	span_put_zero(&w, 2);
	span_put_be(&w, 0x0102030405060708, 1);
	assert_false(w.bad);
	assert_int_equal(w.len, 9);
	assert_memory_equal(out, want, sizeof(want));
}

static void test_write_past_end(void **state)
{
	uint8_t out[4] = { 0 };
	struct span_writer w = span_writer_of(out, 3);

	(void)state;
	span_put_le(&w, UINT64_MAX, 2);
	span_put_le(&w, UINT64_MAX, 2); /* does not fit: nothing of it */
	assert_true(w.bad);
	span_put_le(&w, UINT64_MAX, 1); /* would fit */
	assert_int_equal(w.len, 2);
	assert_int_equal(out[2], 0);
	w = span_writer_of(out, 3);
	span_put_zero(&w, 4);
	assert_true(w.bad);
	w = span_writer_of(out, 3);
	span_put_zero(&w, SIZE_MAX);
	assert_true(w.bad);
	assert_int_equal(w.len, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read_widths),
		cmocka_unit_test(test_read_sequence),
		cmocka_unit_test(test_read_past_end),
		cmocka_unit_test(test_write),
		cmocka_unit_test(test_write_past_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
