// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "wire/usbdesc.h"

#define DEVICE                                                                 \
	18, 1, 0x00, 0x03, 0xef, 2, 1, 9, 0x34, 0x12, 0x78, 0x56, 0x01, 0x02,  \
		1, 2, 3, 2
#define CONFIG(value, n) 9, 2, 0, 0, n, value, 0, 0x80, 50
#define INTERFACE(n, alt, eps, class, sub, proto)                              \
	9, 4, n, alt, eps, class, sub, proto, 0
#define ENDPOINT(ep, type, packet, interval)                                   \
	7, 5, ep, type, (packet)&0xff, (packet) >> 8, interval
#define COMPANION(burst, attributes, bytes)                                    \
	6, 48, burst, attributes, (bytes)&0xff, (bytes) >> 8

static const uint8_t no_alts[USBDESC_MAX_INTERFACES];

/* clang-format off */
static const uint8_t set[] = {
	DEVICE,
	CONFIG(1, 2),
	INTERFACE(0, 0, 2, 8, 6, 0x50),
	ENDPOINT(0x81, 2, 1024, 0), COMPANION(15, 0, 0),
	ENDPOINT(0x02, 2, 1024, 0), COMPANION(15, 0, 0),
	INTERFACE(0, 1, 4, 8, 6, 0x62),
	ENDPOINT(0x81, 2, 1024, 0), COMPANION(15, 4, 0),
	4, 0x24, 1, 0,		/* a pipe usage, for the class alone */
	ENDPOINT(0x02, 2, 1024, 0), COMPANION(15, 4, 0),
	ENDPOINT(0x83, 2, 1024, 0), COMPANION(15, 4, 0),
	ENDPOINT(0x04, 2, 1024, 0), COMPANION(0, 0, 0),
	INTERFACE(1, 0, 2, 3, 1, 1),
	ENDPOINT(0x85, 3, 8, 4), COMPANION(0, 0, 8),
	ENDPOINT(0x86, 1, 1024, 1), COMPANION(2, 1, 6144),
	CONFIG(2, 1),
	INTERFACE(3, 0, 2, 0xff, 1, 2),
	ENDPOINT(0x81, 1, 0x1400, 1),
	ENDPOINT(0x07, 3, 64, 0),
};
/* clang-format on */

static struct span all(void)
{
	return span_of(set, sizeof(set));
}

static void test_device(void **state)
{
	struct usbdesc_device d;

	(void)state;
	assert_int_equal(usbdesc_read_device(all(), &d), 0);
	assert_int_equal(d.usb, 0x0300);
	assert_int_equal(d.class, 0xef);
	assert_int_equal(d.vendor, 0x1234);
	assert_int_equal(d.product, 0x5678);
	assert_int_equal(d.release, 0x0201);
	assert_int_equal(d.n_configurations, 2);
	assert_int_equal(usbdesc_read_device(span_of(set, 17), &d), -EPROTO);
	assert_int_equal(usbdesc_read_device(span_of(set + 18, 40), &d),
			 -EPROTO);
}

static void test_config(void **state)
{
	struct usbdesc_config c;

	(void)state;
	assert_int_equal(
		usbdesc_read_config(all(), 1, no_alts, USBDESC_SUPER, &c), 0);
	assert_null(c.flaw);
	assert_int_equal(c.n_interfaces, 2);
	assert_int_equal(c.interface[0].class, 8);
	assert_int_equal(c.interface[0].protocol, 0x50);
	assert_int_equal(c.interface[1].class, 3);
	assert_true(c.endpoint[usbdesc_slot(0x81)].present);
	assert_int_equal(c.endpoint[usbdesc_slot(0x81)].max_packet, 1024);
	assert_int_equal(c.endpoint[usbdesc_slot(0x81)].max_streams, 0);
	assert_false(c.endpoint[usbdesc_slot(0x83)].present);
	assert_int_equal(c.endpoint[usbdesc_slot(0x85)].type, 3);
	assert_int_equal(c.endpoint[usbdesc_slot(0x85)].interval_bytes, 8);
	assert_int_equal(c.endpoint[usbdesc_slot(0x85)].interface, 1);
	assert_int_equal(c.endpoint[usbdesc_slot(0x86)].interval_bytes, 6144);
	assert_int_equal(
		usbdesc_read_config(all(), 3, no_alts, USBDESC_SUPER, &c),
		-ENOENT);
}

static void test_alternate_setting(void **state)
{
	uint8_t alts[USBDESC_MAX_INTERFACES] = { 1 };
	struct usbdesc_config c;

	(void)state;
	assert_int_equal(usbdesc_read_config(all(), 1, alts, USBDESC_SUPER, &c),
			 0);
	assert_int_equal(c.interface[0].protocol, 0x62);
	assert_int_equal(c.endpoint[usbdesc_slot(0x83)].max_streams, 16);
	assert_int_equal(c.endpoint[usbdesc_slot(0x04)].max_streams, 0);
	assert_true(usbdesc_has_alt(all(), 1, 0, 1));
	assert_false(usbdesc_has_alt(all(), 1, 0, 2));
	assert_false(usbdesc_has_alt(all(), 1, 3, 0)); /* of another one */
	assert_true(usbdesc_has_alt(all(), 2, 3, 0));
}

/* High speed: bits 11 and 12 of wMaxPacketSize count more packets. */
static void test_high_bandwidth(void **state)
{
	struct usbdesc_config c;

	(void)state;
	assert_int_equal(
		usbdesc_read_config(all(), 2, no_alts, USBDESC_HIGH, &c), 0);
	assert_int_equal(c.endpoint[usbdesc_slot(0x81)].interval_bytes, 3072);
	assert_int_equal(c.endpoint[usbdesc_slot(0x07)].interval, 1);
	assert_int_equal(
		usbdesc_read_config(all(), 2, no_alts, USBDESC_FULL, &c), 0);
	assert_int_equal(c.endpoint[usbdesc_slot(0x81)].interval_bytes, 1024);
}

/* clang-format off */
static const uint8_t liar[] = {
	DEVICE,
	CONFIG(1, 9),
	INTERFACE(0, 0, 7, 8, 6, 0x50),
	ENDPOINT(0x81, 2, 512, 0),
	ENDPOINT(0x81, 3, 8, 1),	/* again, as another one */
	ENDPOINT(0x80, 0, 64, 0),	/* endpoint 0 has no descriptor */
	4, 5, 0x02, 2,			/* too short */
	INTERFACE(40, 0, 1, 8, 6, 0x50),
	ENDPOINT(0x83, 2, 512, 0),	/* of an interface that is skipped */
	INTERFACE(0, 0, 1, 3, 0, 0),	/* again */
	ENDPOINT(0x84, 2, 512, 0),
	INTERFACE(2, 0, 0, 3, 0, 0),
	ENDPOINT(0x85, 2, 512, 0),
	0, 5, 0x06, 2, 0, 2, 0,		/* a length of 0 ends it */
	ENDPOINT(0x07, 2, 512, 0),
};
/* clang-format on */

static void test_liar(void **state)
{
	struct usbdesc_config c;

	(void)state;
	assert_int_equal(usbdesc_read_config(span_of(liar, sizeof(liar)), 1,
					     no_alts, USBDESC_HIGH, &c),
			 0);
	assert_non_null(c.flaw);
	assert_int_equal(c.n_interfaces, 2);
	assert_int_equal(c.interface[0].class, 8);
	assert_int_equal(c.interface[1].number, 2);
	assert_int_equal(c.endpoint[usbdesc_slot(0x81)].type, 2);
	assert_true(c.endpoint[usbdesc_slot(0x85)].present);
	for (unsigned int i = 0; i < USBDESC_ENDPOINTS; i++)
		if (i != usbdesc_slot(0x81) && i != usbdesc_slot(0x85))
			assert_false(c.endpoint[i].present);
}

/* Cut off anywhere it says no more than it has. */
static void test_truncated(void **state)
{
	struct usbdesc_config c;
	int last = 0;

	(void)state;
	for (size_t n = 0; n < sizeof(set); n++) {
		int ret = usbdesc_read_config(span_of(set, n), 1, no_alts,
					      USBDESC_SUPER, &c);

		if (n < 27)
			assert_int_equal(ret, -ENOENT);
		else if (n < 36)
			assert_int_equal(ret, -EPROTO);
		else
			assert_int_equal(ret, 0);
		assert_true(c.n_interfaces >= last);
		last = c.n_interfaces;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_device),
		cmocka_unit_test(test_config),
		cmocka_unit_test(test_alternate_setting),
		cmocka_unit_test(test_high_bandwidth),
		cmocka_unit_test(test_liar),
		cmocka_unit_test(test_truncated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
