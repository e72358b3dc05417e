// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/checked.h"

static void test_range_within(void **state)
{
	(void)state;
	assert_true(range_within(0, 10, 10));
	assert_true(range_within(9, 1, 10));
	assert_false(range_within(9, 2, 10));
	assert_false(range_within(0, 11, 10));
	/* empty ranges: up to the end, not behind it */
	assert_true(range_within(10, 0, 10));
	assert_true(range_within(0, 0, 0));
	assert_false(range_within(11, 0, 10));
	/* sums that would wrap around */
	assert_false(range_within(1, UINT64_MAX, 10));
	assert_false(range_within(UINT64_MAX, 1, 10));
	assert_false(range_within(UINT64_MAX, UINT64_MAX, UINT64_MAX));
	assert_true(range_within(UINT64_MAX, 0, UINT64_MAX));
	assert_true(range_within(0, UINT64_MAX, UINT64_MAX));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_within),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
