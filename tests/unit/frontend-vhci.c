// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "frontend/vhci.h"

/* As drivers/usb/usbip/vhci_sysfs.c writes them, of Linux 6.1. */
static const char status[] = "hub port sta spd dev      sockfd local_busid\n"
			     "hs  0000 006 003 00010002 000003 1-1\n"
			     "hs  0001 004 000 00000000 000000 0-0\n"
			     "hs  0002 004 000 00000000 000000 0-0\n"
			     "ss  0008 005 005 00010003 000005 0-0\n"
			     "ss  0009 004 000 00000000 000000 0-0\n";

static void test_first(void **state)
{
	(void)state;
	assert_int_equal(vhci_free_port(status, false, -1), 1);
	assert_int_equal(vhci_free_port(status, true, -1), 9);
}

/* Somebody else was quicker. */
static void test_next(void **state)
{
	(void)state;
	assert_int_equal(vhci_free_port(status, false, 1), 2);
	assert_int_equal(vhci_free_port(status, false, 2), -1);
	assert_int_equal(vhci_free_port(status, true, 9), -1);
}

static void test_none(void **state)
{
	(void)state;
	assert_int_equal(vhci_free_port("", true, -1), -1);
	assert_int_equal(
		vhci_free_port("\n\nhs\nhs x 4\nhubs 0001 004\n", false, -1),
		-1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests_name("ports of vhci_hcd", tests, NULL,
					   NULL);
}
