// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * How several images are joined by plus signs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/span.h"
#include "image/spec.h"

static void test_split(void **state)
{
	static const struct {
		const char *text;
		const char *part[4];
	} cases[] = {
		{ "a", { "a" } },
		{ "a+b", { "a", "b" } },
		{ "a,ro+b,x=y+c", { "a,ro", "b,x=y", "c" } },
		{ "a++b", { "a+b" } },
		{ "c++++.img", { "c++.img" } },
		{ "a+++b", { "a+", "b" } },
		{ "a+", { "a", "" } },
		{ "+a", { "", "a" } },
		{ "", { "" } },
		{ "a,,b,ro+c", { "a,,b,ro", "c" } },
		{ "nbd+unix:///x?socket=/s", { "nbd+unix:///x?socket=/s" } },
		{ "nbds+unix:///x?socket=/s,ro+a",
		  { "nbds+unix:///x?socket=/s,ro", "a" } },
		{ "a+nbd+unix:///?socket=/a++b+c",
		  { "a", "nbd+unix:///?socket=/a+b", "c" } },
		/* a scheme stands in front only */
		{ "anbd+unix://", { "anbd", "unix://" } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *list = cases[i].text, *const *part = cases[i].part;
		char *text;

		while ((text = image_spec_split(&list))) {
			assert_non_null(*part);
			assert_string_equal(text, *part);
			part++;
			free(text);
		}
		assert_null(*part);
		assert_null(list);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_split),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
