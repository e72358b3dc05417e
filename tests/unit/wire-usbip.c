// SPDX-License-Identifier: GPL-2.0-or-later
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "wire/usbip.h"

static void test_op(void **state)
{
	static const uint8_t request[] = { 0x01, 0x11, 0x80, 0x03, 0, 0, 0, 4 };
	uint8_t bytes[USBIP_OP_SIZE];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	struct usbip_op op;

	(void)state;
	assert_int_equal(usbip_decode_op(span_of(request, 8), &op), 0);
	assert_int_equal(op.code, USBIP_REQ_IMPORT);
	assert_int_equal(op.status, 4);
	usbip_encode_op(&w, USBIP_REQ_IMPORT, 4);
	assert_memory_equal(bytes, request, 8);
	for (size_t len = 0; len < 8; len++)
		assert_int_equal(usbip_decode_op(span_of(request, len), &op),
				 -EPROTO);
	bytes[1] = 0x06; /* another version */
	assert_int_equal(usbip_decode_op(span_of(bytes, 8), &op), -EPROTO);
}

static int busid(const char *text, size_t len, char *out)
{
	uint8_t bytes[USBIP_BUSID_SIZE] = { 0 };

	memcpy(bytes, text, len);
	return usbip_decode_busid(span_of(bytes, sizeof(bytes)), out);
}

static void test_busid(void **state)
{
	char out[USBIP_BUSID_SIZE];
	uint8_t full[USBIP_BUSID_SIZE];

	(void)state;
	assert_int_equal(busid("ryll-1-1", 8, out), 0);
	assert_string_equal(out, "ryll-1-1");
	assert_int_equal(busid("1-1\0junk", 8, out), 0);
	assert_string_equal(out, "1-1");
	assert_int_equal(busid("", 0, out), -EPROTO);
	assert_int_equal(busid("1 1", 3, out), -EPROTO);
	assert_int_equal(busid("1\n1", 3, out), -EPROTO);
	assert_int_equal(busid("1\33[31m", 6, out), -EPROTO);
	memset(full, 'a', sizeof(full)); /* no room for its end */
	assert_int_equal(usbip_decode_busid(span_of(full, 32), out), -EPROTO);
	assert_int_equal(usbip_decode_busid(span_of(full, 31), out), -EPROTO);
}

static const struct usbip_device disk = {
	.path = "/tmp/disk",
	.busid = "ryll-1-7",
	.busnum = 1,
	.devnum = 7,
	.speed = USBIP_SPEED_SUPER,
	.vendor = 0x1234,
	.product = 0x5678,
	.bcd_device = 0x0102,
	.class = 1,
	.subclass = 2,
	.protocol = 3,
	.configuration = 4,
	.n_configurations = 5,
	.n_interfaces = 6,
};

static void test_device(void **state)
{
	/* Behind path and busid, as the text has it */
	static const uint8_t tail[] = { 0,    0,    0,	  1,	0,    0,
					0,    7,    0,	  0,	0,    5,
					0x12, 0x34, 0x56, 0x78, 0x01, 0x02,
					1,    2,    3,	  4,	5,    6 };
	uint8_t bytes[USBIP_DEVICE_SIZE];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	struct usbip_device got;

	(void)state;
	usbip_encode_device(&w, &disk);
	assert_int_equal(w.len, USBIP_DEVICE_SIZE);
	assert_string_equal((char *)bytes, "/tmp/disk");
	assert_string_equal((char *)bytes + 256, "ryll-1-7");
	assert_memory_equal(bytes + 288, tail, sizeof(tail));
	assert_int_equal(
		usbip_decode_device(span_of(bytes, sizeof(bytes)), &got), 0);
	assert_memory_equal(&got, &disk, sizeof(got));
	assert_int_equal(
		usbip_decode_device(span_of(bytes, sizeof(bytes) - 1), &got),
		-EPROTO);
	/* A path is printed: what is no letter of it is not. */
	bytes[1] = 0x1b;
	memset(bytes + 10, 'x', 246);
	assert_int_equal(
		usbip_decode_device(span_of(bytes, sizeof(bytes)), &got), 0);
	assert_int_equal(got.path[1], '?');
	assert_int_equal(strlen(got.path), 9);
	bytes[9] = 'y';
	assert_int_equal(
		usbip_decode_device(span_of(bytes, sizeof(bytes)), &got), 0);
	assert_int_equal(strlen(got.path), 255);
}

/* Of the text's example: an interrupt IN */
static const uint8_t cmd_submit[USBIP_HEADER_SIZE] = {
	0, 0, 0, 1, 0, 0, 0x0d, 0x05, 0,    1,	  0,	0x0f, 0, 0, 0, 1,
	0, 0, 0, 1, 0, 0, 0x02, 0x00, 0,    0,	  0,	0x40, 0, 0, 0, 0,
	0, 0, 0, 0, 0, 0, 0,	4,    0x21, 0x22, 0x23, 0x24, 5, 6, 7, 8
};

static void test_submit(void **state)
{
	uint8_t bytes[USBIP_HEADER_SIZE];
	struct usbip_msg msg;

	(void)state;
	assert_int_equal(usbip_decode(span_of(cmd_submit, 48), &msg), 0);
	assert_int_equal(msg.command, USBIP_CMD_SUBMIT);
	assert_int_equal(msg.seqnum, 0xd05);
	assert_int_equal(msg.devid, 0x1000f);
	assert_int_equal(msg.ep, 0x81);
	assert_int_equal(msg.submit.flags, USBIP_FLAG_DIR_IN);
	assert_int_equal(msg.submit.length, 64);
	assert_int_equal(msg.submit.packets, 0);
	assert_int_equal(msg.submit.interval, 4);
	assert_int_equal(msg.submit.setup[0], 0x21);
	assert_int_equal(msg.submit.setup[7], 8);
	usbip_encode(&msg, bytes);
	assert_memory_equal(bytes, cmd_submit, sizeof(bytes));
	/* Not isochronous, as the text has it */
	memcpy(bytes, cmd_submit, sizeof(bytes));
	memset(bytes + 32, 0xff, 4);
	assert_int_equal(usbip_decode(span_of(bytes, 48), &msg), 0);
	assert_int_equal(msg.submit.packets, 0);
}

static int decode_with(size_t at, uint8_t value)
{
	uint8_t bytes[USBIP_HEADER_SIZE];
	struct usbip_msg msg;

	memcpy(bytes, cmd_submit, sizeof(bytes));
	bytes[at] = value;
	return usbip_decode(span_of(bytes, sizeof(bytes)), &msg);
}

static void test_malformed(void **state)
{
	struct usbip_msg msg;

	(void)state;
	for (size_t len = 0; len < USBIP_HEADER_SIZE; len++)
		assert_int_equal(usbip_decode(span_of(cmd_submit, len), &msg),
				 -EPROTO);
	assert_int_equal(decode_with(3, 0), -EPROTO); /* commands */
	assert_int_equal(decode_with(3, 5), -EPROTO);
	assert_int_equal(decode_with(0, 1), -EPROTO);
	assert_int_equal(decode_with(15, 2), -EPROTO); /* a direction */
	assert_int_equal(decode_with(19, 15), 0);      /* endpoints */
	assert_int_equal(decode_with(19, 16), -EPROTO);
	assert_int_equal(decode_with(16, 1), -EPROTO);
}

static void round_trip(const struct usbip_msg *msg)
{
	uint8_t bytes[USBIP_HEADER_SIZE];
	struct usbip_msg got;

	usbip_encode(msg, bytes);
	assert_int_equal(usbip_decode(span_of(bytes, sizeof(bytes)), &got), 0);
	assert_memory_equal(&got, msg, sizeof(got));
}

static void test_others(void **state)
{
	struct usbip_msg msg;
	uint8_t bytes[USBIP_HEADER_SIZE];

	(void)state;
	memset(&msg, 0, sizeof(msg));
	msg.command = USBIP_CMD_UNLINK;
	msg.seqnum = 9;
	msg.devid = 0x10002;
	msg.unlink_seqnum = 0xfffffffe;
	round_trip(&msg);
	memset(&msg, 0, sizeof(msg));
	msg.command = USBIP_RET_UNLINK;
	msg.seqnum = 9;
	msg.unlink_status = -ECONNRESET;
	round_trip(&msg);
	memset(&msg, 0, sizeof(msg));
	msg.command = USBIP_RET_SUBMIT;
	msg.seqnum = 10;
	msg.ret_submit.status = -EPIPE;
	msg.ret_submit.actual = 1000;
	msg.ret_submit.packets = 3;
	msg.ret_submit.errors = 2;
	round_trip(&msg);
	usbip_encode(&msg, bytes);
	assert_memory_equal(bytes + 20, "\xff\xff\xff\xe0", 4); /* -32 */
	/* Of a server, these say nothing. */
	assert_memory_equal(bytes + 8, "\0\0\0\0\0\0\0\0\0\0\0\0", 12);
}

static void test_iso(void **state)
{
	const struct usbip_iso iso = { 1, 2, 3, -EXDEV };
	uint8_t bytes[USBIP_ISO_SIZE];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	struct span in = span_of(bytes, sizeof(bytes));
	struct usbip_iso got;

	(void)state;
	usbip_encode_iso(&w, &iso);
	assert_memory_equal(bytes, "\0\0\0\1\0\0\0\2\0\0\0\3\xff\xff\xff\xee",
			    16);
	usbip_decode_iso(&in, &got);
	assert_memory_equal(&got, &iso, sizeof(got));
	usbip_decode_iso(&in, &got);
	assert_false(span_ok(&in));
}

static void test_status(void **state)
{
	static const int same[] = { 0, -EPIPE, -EOVERFLOW, -ETIMEDOUT,
				    -ESHUTDOWN };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(same); i++) {
		assert_int_equal(usbip_status(same[i]), same[i]);
		assert_int_equal(usbip_error(same[i]), same[i]);
	}
	assert_int_equal(usbip_status(-ECANCELED), -ECONNRESET);
	assert_int_equal(usbip_error(-ECONNRESET), -ECANCELED);
	assert_int_equal(usbip_error(-ENOENT), -ECANCELED);
	assert_int_equal(usbip_status(-EIO), -EPROTO);
	assert_int_equal(usbip_error(-EPROTO), -EIO);
	/* To a driver ENOENT says that it was killed. */
	assert_int_equal(usbip_status(-ENOENT), -EINVAL);
	/* What a liar says */
	assert_int_equal(usbip_error(1), -EIO);
	assert_int_equal(usbip_error(INT32_MIN), -EIO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_op),	  cmocka_unit_test(test_busid),
		cmocka_unit_test(test_device),	  cmocka_unit_test(test_submit),
		cmocka_unit_test(test_malformed), cmocka_unit_test(test_others),
		cmocka_unit_test(test_iso),	  cmocka_unit_test(test_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
