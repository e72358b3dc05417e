// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Our filter rules against libusbredirparser's, which QEMU and spice-gtk use:
 * random rules, random devices, random text.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <usbredirfilter.h>

#include "wire/filter.h"

static uint32_t seed = 12345;

static uint32_t any(uint32_t n)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % n;
}

/* Few values, so that rules match. */
static int32_t some_field(bool class)
{
	static const int32_t classes[] = { FILTER_ANY, 0, 1, 3, 8, 0xef, 0xff };
	static const int32_t ids[] = { FILTER_ANY, FILTER_ANY, 0, 0x1234,
				       0xffff };

	return class ? classes[any(ARRAY_SIZE(classes))]
		     : ids[any(ARRAY_SIZE(ids))];
}

static void make_rules(struct filter *f, struct usbredirfilter_rule *theirs)
{
	f->n = any(5);
	for (unsigned int i = 0; i < f->n; i++) {
		f->rule[i] = (struct filter_rule){
			some_field(true), some_field(false), some_field(false),
			some_field(false), any(3) > 0
		};
		theirs[i] = (struct usbredirfilter_rule){
			f->rule[i].class, f->rule[i].vendor, f->rule[i].product,
			f->rule[i].version, f->rule[i].allow
		};
	}
}

static uint16_t some_id(void)
{
	int32_t id = some_field(false);

	return id == FILTER_ANY ? 1 : (uint16_t)id;
}

static struct filter_class some_class(void)
{
	int32_t class = some_field(true);

	return (struct filter_class){ class == FILTER_ANY ? 2 : (uint8_t) class,
				      (uint8_t)any(2), (uint8_t)any(2) };
}

static void make_device(struct filter_device *d)
{
	*d = (struct filter_device){ .class = some_class(),
				     .vendor = some_id(),
				     .product = some_id(),
				     .version = some_id(),
				     .n_interfaces = any(4) };
	for (unsigned int i = 0; i < d->n_interfaces; i++)
		d->interface[i] = some_class();
}

static int their_check(const struct usbredirfilter_rule *rules, unsigned int n,
		       const struct filter_device *d, int flags)
{
	uint8_t class[4], subclass[4], protocol[4];

	for (unsigned int i = 0; i < d->n_interfaces; i++) {
		class[i] = d->interface[i].class;
		subclass[i] = d->interface[i].subclass;
		protocol[i] = d->interface[i].protocol;
	}
	return usbredirfilter_check(rules, (int)n, d->class.class,
				    d->class.subclass, d->class.protocol, class,
				    subclass, protocol, (int)d->n_interfaces,
				    d->vendor, d->product, d->version, flags);
}

static void test_check(void **state)
{
	struct usbredirfilter_rule theirs[5];
	unsigned int outcomes[3] = { 0 };
	struct filter_device d;
	struct filter f;

	(void)state;
	assert_int_equal(FILTER_DEFAULT_ALLOW, usbredirfilter_fl_default_allow);
	assert_int_equal(FILTER_ALL_INTERFACES,
			 usbredirfilter_fl_dont_skip_non_boot_hid);
	for (int i = 0; i < 300000; i++) {
		unsigned int flags = any(4);
		int ours;

		make_rules(&f, theirs);
		make_device(&d);
		ours = filter_check(&f, &d, flags, NULL);
		assert_int_equal(ours,
				 their_check(theirs, f.n, &d, (int)flags));
		outcomes[!ours ? 0 : ours == -EPERM ? 1 : 2]++;
	}
	for (size_t i = 0; i < ARRAY_SIZE(outcomes); i++)
		assert_true(outcomes[i] > 1000);
}

static void assert_same(const struct filter_rule *ours,
			const struct usbredirfilter_rule *theirs)
{
	assert_int_equal(ours->class, theirs->device_class);
	assert_int_equal(ours->vendor, theirs->vendor_id);
	assert_int_equal(ours->product, theirs->product_id);
	assert_int_equal(ours->version, theirs->device_version_bcd);
	assert_int_equal(ours->allow, !!theirs->allow);
}

/* Printed by one, read by the other. */
static void test_text(void **state)
{
	struct usbredirfilter_rule rules[5], *theirs;
	char text[FILTER_MAX_TEXT];
	struct filter f, back;
	char *theirs_text;
	int n;

	(void)state;
	for (int i = 0; i < 20000; i++) {
		make_rules(&f, rules);
		filter_print(&f, text);
		theirs_text = usbredirfilter_rules_to_string(rules, (int)f.n,
							     ",", "|");
		assert_string_equal(text, theirs_text);
		assert_int_equal(usbredirfilter_string_to_rules(text, ",", "|",
								&theirs, &n),
				 0);
		assert_int_equal(n, f.n);
		assert_int_equal(
			filter_parse(span_of(theirs_text, strlen(theirs_text)),
				     &back),
			0);
		assert_int_equal(back.n, f.n);
		for (unsigned int k = 0; k < f.n; k++) {
			assert_same(&f.rule[k], &theirs[k]);
			assert_same(&back.rule[k], &rules[k]);
		}
		usbredirfilter_free(theirs);
		usbredirfilter_free(theirs_text);
	}
}

/* What we read they read, and to the same rules; they read more. */
static void test_any_text(void **state)
{
	static const char chars[] = "0123456789aF-x,,,,,,,,||  1111";
	struct usbredirfilter_rule *theirs;
	char text[64];
	unsigned int taken = 0;
	struct filter f;
	int n;

	(void)state;
	for (int i = 0; i < 2000000; i++) {
		size_t len = any(20);

		for (size_t k = 0; k < len; k++)
			text[k] = chars[any(sizeof(chars) - 1)];
		text[len] = '\0';
		if (filter_parse(span_of(text, len), &f) < 0)
			continue;
		assert_int_equal(usbredirfilter_string_to_rules(text, ",", "|",
								&theirs, &n),
				 0);
		assert_int_equal(n, f.n);
		for (unsigned int k = 0; k < f.n; k++)
			assert_same(&f.rule[k], &theirs[k]);
		usbredirfilter_free(theirs);
		taken += f.n > 0;
	}
	assert_true(taken > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_any_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
