// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/bot.h"

/* READ(10) of 4 KiB, as a guest sends it; byte 31 is one too many. */
static const uint8_t read_cbw[BOT_CBW_SIZE + 1] = {
	'U',  'S',  'B',  'C',	/* dCBWSignature */
	0x78, 0x56, 0x34, 0x12, /* dCBWTag */
	0x00, 0x10, 0x00, 0x00, /* dCBWDataTransferLength */
	0x80, 0x03, 0x0a,	/* bmCBWFlags, bCBWLUN, bCBWCBLength */
	0x28, 0,    0,	  0,	0x20, 0,    0, 0, 8, 0, /* CBWCB */
	0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, /* of no meaning behind it */
};

static int decode_with(size_t at, uint8_t value, struct bot_cbw *cbw)
{
	uint8_t bytes[BOT_CBW_SIZE];

	memcpy(bytes, read_cbw, sizeof(bytes));
	bytes[at] = value;
	return bot_decode_cbw(span_of(bytes, sizeof(bytes)), cbw);
}

static void test_cbw(void **state)
{
	static const uint8_t cdb[16] = { 0x28, 0, 0, 0, 0x20, 0, 0, 0, 8 };
	struct bot_cbw cbw;

	(void)state;
	assert_int_equal(bot_decode_cbw(span_of(read_cbw, BOT_CBW_SIZE), &cbw),
			 0);
	assert_int_equal(cbw.tag, 0x12345678);
	assert_int_equal(cbw.length, 4096);
	assert_true(cbw.in);
	assert_int_equal(cbw.lun, 3);
	assert_int_equal(cbw.cdb_len, 10);
	assert_memory_equal(cbw.cdb, cdb, sizeof(cdb));
	assert_int_equal(decode_with(12, 0x00, &cbw), 0);
	assert_false(cbw.in);
}

/* Section 6.2.1: exactly 31 bytes that begin with the signature */
static void test_cbw_not_valid(void **state)
{
	struct bot_cbw cbw;

	(void)state;
	for (size_t len = 0; len < BOT_CBW_SIZE; len++)
		assert_int_equal(bot_decode_cbw(span_of(read_cbw, len), &cbw),
				 -EPROTO);
	assert_int_equal(
		bot_decode_cbw(span_of(read_cbw, BOT_CBW_SIZE + 1), &cbw),
		-EPROTO);
	for (size_t at = 0; at < 4; at++)
		assert_int_equal(decode_with(at, 'S' ^ 0x80, &cbw), -EPROTO);
	assert_int_equal(decode_with(3, 'S', &cbw), -EPROTO); /* a CSW's */
}

/* Section 6.2.2: reserved bits, a command of 1 to 16 bytes */
static void test_cbw_not_meaningful(void **state)
{
	struct bot_cbw cbw;

	(void)state;
	for (unsigned int bit = 0; bit < 7; bit++)
		assert_int_equal(
			decode_with(12, (uint8_t)(0x80 | 1u << bit), &cbw),
			-EPROTO);
	assert_int_equal(decode_with(13, 0x0f, &cbw), 0);
	for (unsigned int bit = 4; bit < 8; bit++)
		assert_int_equal(decode_with(13, (uint8_t)(1u << bit), &cbw),
				 -EPROTO);
	assert_int_equal(decode_with(14, 0, &cbw), -EPROTO);
	assert_int_equal(decode_with(14, 1, &cbw), 0);
	assert_int_equal(decode_with(14, 16, &cbw), 0);
	assert_int_equal(cbw.cdb[15], 0xa6);
	assert_int_equal(decode_with(14, 17, &cbw), -EPROTO);
	assert_int_equal(decode_with(14, 0xff, &cbw), -EPROTO);
}

static void test_csw(void **state)
{
	static const uint8_t passed[] = { 'U', 'S', 'B',  'S', 4, 3, 2,
					  1,   0,   0x10, 0,   0, 0 };
	uint8_t out[BOT_CSW_SIZE + 1];

	(void)state;
	memset(out, 0xee, sizeof(out));
	bot_encode_csw(out, 0x01020304, 4096, BOT_PASSED);
	assert_memory_equal(out, passed, sizeof(passed));
	assert_int_equal(out[BOT_CSW_SIZE], 0xee);
	bot_encode_csw(out, 0x01020304, 0, BOT_FAILED);
	assert_int_equal(out[12], 1);
	bot_encode_csw(out, 0x01020304, 0, BOT_PHASE_ERROR);
	assert_int_equal(out[12], 2);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cbw),
		cmocka_unit_test(test_cbw_not_valid),
		cmocka_unit_test(test_cbw_not_meaningful),
		cmocka_unit_test(test_csw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
