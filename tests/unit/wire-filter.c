// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filter rules: text to rules and back, and what passes. The judge is
 * libusbredirparser: see also wire-filter-oracle.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "wire/filter.h"

static int parse(const char *text, struct filter *filter)
{
	return filter_parse(span_of(text, strlen(text)), filter);
}

static void test_parse(void **state)
{
	struct filter f;

	(void)state;
	assert_int_equal(parse("0x08,-1,-1,-1,1|-1,4660,0xABCD,65535,0", &f),
			 0);
	assert_int_equal(f.n, 2);
	assert_int_equal(f.rule[0].class, 8);
	assert_int_equal(f.rule[0].vendor, FILTER_ANY);
	assert_int_equal(f.rule[0].version, FILTER_ANY);
	assert_true(f.rule[0].allow);
	assert_int_equal(f.rule[1].class, FILTER_ANY);
	assert_int_equal(f.rule[1].vendor, 0x1234);
	assert_int_equal(f.rule[1].product, 0xabcd);
	assert_int_equal(f.rule[1].version, 65535);
	assert_false(f.rule[1].allow);
	/* As RHEV-M's editor and others write it. */
	assert_int_equal(parse("|-1,-1,-1,-1,1||", &f), 0);
	assert_int_equal(f.n, 1);
	assert_int_equal(parse("", &f), 0);
	assert_int_equal(f.n, 0);
}

static void test_refuse(void **state)
{
	static const char *const wrong[] = {
		"1",
		"1,2,3,4",
		"1,2,3,4,",
		"1,2,3,4,1,",
		"1,2,3,4,1,5",
		"1,,3,4,1",
		",1,2,3,4,1",
		"256,1,1,1,1",
		"1,65536,1,1,1",
		"1,1,1,0x10000,1",
		"-2,1,1,1,1",
		"1,1,1,1,-1",
		"010,1,1,1,1",
		"0x,1,1,1,1",
		" 1,1,1,1,1",
		"1 ,1,1,1,1",
		"+1,1,1,1,1",
		"1g,1,1,1,1",
		"1,1,1,1,1\n",
		"0xg,1,1,1,1",
		"a,1,1,1,1",
		"99999999999,1,1,1,1",
		"0x100000001,1,1,1,1",
	};
	struct filter f;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		if (parse(wrong[i], &f) != -EINVAL)
			print_error("\"%s\" is taken\n", wrong[i]);
		assert_int_equal(parse(wrong[i], &f), -EINVAL);
	}
}

static void test_most(void **state)
{
	char text[FILTER_MAX_TEXT + FILTER_RULE_TEXT], back[FILTER_MAX_TEXT];
	size_t len = 0;
	struct filter f;

	(void)state;
	for (int i = 0; i < FILTER_MAX_RULES; i++)
		len += (size_t)sprintf(text + len,
				       "%s0xff,0xffff,0xffff,0xffff,1",
				       i ? "|" : "");
	assert_int_equal(len + 1, FILTER_MAX_TEXT);
	assert_int_equal(parse(text, &f), 0);
	assert_int_equal(f.n, FILTER_MAX_RULES);
	assert_int_equal(filter_print(&f, back), len);
	assert_string_equal(back, text);
	strcat(text, "|1,1,1,1,1");
	assert_int_equal(parse(text, &f), -E2BIG);
}

static void test_print(void **state)
{
	char text[FILTER_MAX_TEXT];
	struct filter f;

	(void)state;
	assert_int_equal(parse("8,-1,1,0X0102,7|-1,-1,-1,-1,0", &f), 0);
	filter_print(&f, text);
	assert_string_equal(text, "0x08,-1,0x0001,0x0102,1|-1,-1,-1,-1,0");
	f.n = 0;
	assert_int_equal(filter_print(&f, text), 0);
	assert_string_equal(text, "");
}

static int check(const char *text, const struct filter_device *device,
		 unsigned int flags)
{
	struct filter f;

	assert_int_equal(parse(text, &f), 0);
	return filter_check(&f, device, flags, NULL);
}

static void test_check(void **state)
{
	struct filter_device d = { .vendor = 0x1234,
				   .product = 1,
				   .version = 0x0102,
				   .n_interfaces = 2,
				   .interface = { { 1, 1, 0 }, { 3, 0, 0 } } };
	const struct filter_rule *rule;
	struct filter f;

	(void)state;
	/* The volume keys of a headset. */
	assert_int_equal(check("1,-1,-1,-1,1", &d, 0), 0);
	assert_int_equal(check("1,-1,-1,-1,1", &d, FILTER_ALL_INTERFACES),
			 -ENOENT);
	assert_int_equal(check("1,-1,-1,-1,1|3,-1,-1,-1,0", &d, 0), 0);
	assert_int_equal(
		check("1,-1,-1,-1,1|3,-1,-1,-1,0", &d, FILTER_ALL_INTERFACES),
		-EPERM);
	/* With nothing beside them they count. */
	d.interface[0] = d.interface[1];
	assert_int_equal(check("1,-1,-1,-1,1", &d, 0), -ENOENT);
	assert_int_equal(check("3,-1,-1,-1,1", &d, 0), 0);
	d.interface[0] = (struct filter_class){ 1, 1, 0 };
	/* A keyboard is none. */
	d.interface[1] = (struct filter_class){ 3, 1, 1 };
	assert_int_equal(check("1,-1,-1,-1,1", &d, 0), -ENOENT);
	assert_int_equal(check("1,-1,-1,-1,1", &d, FILTER_DEFAULT_ALLOW), 0);
	assert_int_equal(check("", &d, 0), -ENOENT);
	/* The first that matches decides. */
	assert_int_equal(check("-1,0x1234,1,-1,1|-1,-1,-1,-1,0", &d, 0), 0);
	assert_int_equal(check("-1,0x1234,2,-1,1|-1,-1,-1,-1,0", &d, 0),
			 -EPERM);
	assert_int_equal(check("-1,-1,-1,0x0102,1", &d, 0), 0);
	/* Which one it was. */
	assert_int_equal(parse("1,-1,-1,-1,1|3,-1,-1,-1,0", &f), 0);
	assert_int_equal(filter_check(&f, &d, 0, &rule), -EPERM);
	assert_ptr_equal(rule, &f.rule[1]);
	d.n_interfaces = 1;
	assert_int_equal(filter_check(&f, &d, 0, &rule), 0);
	assert_null(rule);
	/* The device's own class counts, but for two. */
	d.class.class = 0xff;
	assert_int_equal(filter_check(&f, &d, 0, &rule), -ENOENT);
	d.class.class = 0xef;
	assert_int_equal(filter_check(&f, &d, 0, &rule), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse), cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_most),  cmocka_unit_test(test_print),
		cmocka_unit_test(test_check),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
