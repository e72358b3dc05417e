// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/spice.h"

static void test_link_request(void **state)
{
	static const uint8_t expected[SPICE_LINK_REQUEST] = {
		'R',  'E',  'D',  'Q',	/* magic */
		2,    0,    0,	  0,	/* major */
		2,    0,    0,	  0,	/* minor */
		26,   0,    0,	  0,	/* size */
		0x78, 0x56, 0x34, 0x12, /* connection id */
		9,    1,		/* channel type, id */
		1,    0,    0,	  0,	/* words of common capabilities */
		1,    0,    0,	  0,	/* of the channel's */
		18,   0,    0,	  0,	/* where they are */
		0x0b, 0,    0,	  0,	1, 0, 0, 0,
	};
	const struct spice_link link = { .session = 0x12345678,
					 .type = SPICE_CHANNEL_USBREDIR,
					 .id = 1,
					 .common = 0x0b,
					 .channel = SPICE_VMC_CAP_LZ4 };
	uint8_t out[SPICE_LINK_REQUEST];

	(void)state;
	spice_encode_link(&link, out);
	assert_memory_equal(out, expected, sizeof(expected));
}

static int link_header(const char *magic, uint32_t major, uint32_t size,
		       size_t len)
{
	uint8_t bytes[SPICE_LINK_HEADER];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	uint32_t got = 0;
	int ret;

	span_put(&w, magic, 4);
	span_put_le(&w, major, 4);
	span_put_le(&w, 2, 4);
	span_put_le(&w, size, 4);
	ret = spice_decode_link_header(span_of(bytes, len), &got);
	if (!ret)
		assert_int_equal(got, size);
	return ret;
}

static void test_link_header(void **state)
{
	(void)state;
	assert_int_equal(link_header("REDQ", 2, 186, 16), 0);
	assert_int_equal(link_header("REDQ", 2, 4, 16), 0);
	assert_int_equal(link_header("REDQ", 2, SPICE_LINK_MAX, 16), 0);
	assert_int_equal(link_header("REDQ", 2, 3, 16), -EMSGSIZE);
	assert_int_equal(link_header("REDQ", 2, SPICE_LINK_MAX + 1, 16),
			 -EMSGSIZE);
	assert_int_equal(link_header("REDQ", 1, 186, 16), -EPROTONOSUPPORT);
	assert_int_equal(link_header("HTTP", 2, 186, 16), -EPROTO);
	assert_int_equal(link_header("REDQ", 2, 186, 15), -EPROTO);
}

/* The answer of QEMU 7.2, but for the key. */
static size_t reply(uint8_t *out, uint32_t error, uint32_t n_common,
		    uint32_t n_channel, uint32_t offset)
{
	struct span_writer w = span_writer_of(out, 256);

	span_put_le(&w, error, 4);
	span_put_zero(&w, SPICE_PUBLIC_KEY);
	span_put_le(&w, n_common, 4);
	span_put_le(&w, n_channel, 4);
	span_put_le(&w, offset, 4);
	span_put_le(&w, 0x0b, 4);
	span_put_le(&w, 0x01, 4);
	return w.len;
}

static void test_link_reply(void **state)
{
	uint8_t bytes[256];
	struct spice_link_reply r;
	size_t len = reply(bytes, 0, 1, 1, 178);

	(void)state;
	assert_int_equal(len, 186);
	assert_int_equal(spice_decode_link_reply(span_of(bytes, len), &r), 0);
	assert_int_equal(r.common, 0x0b);
	assert_int_equal(r.channel, 0x01);
	assert_ptr_equal(r.public_key, bytes + 4);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(spice_decode_link_reply(span_of(bytes, n), &r),
				 -EPROTO);
	/* An error says nothing else. */
	reply(bytes, SPICE_LINK_NEED_SECURED, 0, 0, 0);
	assert_int_equal(spice_decode_link_reply(span_of(bytes, 4), &r), 0);
	assert_int_equal(r.error, SPICE_LINK_NEED_SECURED);
	/* Capabilities that are not there, or in the middle of the key. */
	reply(bytes, 0, 2, 1, 178);
	assert_int_equal(spice_decode_link_reply(span_of(bytes, len), &r),
			 -EPROTO);
	reply(bytes, 0, UINT32_MAX, UINT32_MAX, 178);
	assert_int_equal(spice_decode_link_reply(span_of(bytes, len), &r),
			 -EPROTO);
	reply(bytes, 0, 1, 1, UINT32_MAX - 3);
	assert_int_equal(spice_decode_link_reply(span_of(bytes, len), &r),
			 -EPROTO);
	reply(bytes, 0, 1, 1, 8);
	assert_int_equal(spice_decode_link_reply(span_of(bytes, len), &r),
			 -EPROTO);
	/* None at all is an old server, and well-formed. */
	reply(bytes, 0, 0, 0, 178);
	assert_int_equal(spice_decode_link_reply(span_of(bytes, len), &r), 0);
	assert_int_equal(r.common, 0);
}

static void test_public_key(void **state)
{
	static const uint8_t head[] = { 0x30, 0x81, 0x9f, 0x30, 0x0d, 0x06,
					0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
					0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
					0x03, 0x81, 0x8d, 0x00, 0x30, 0x81,
					0x89, 0x02, 0x81, 0x81, 0x00 };
	static const uint8_t tail[] = { 0x02, 0x03, 0x01, 0x00, 0x01 };
	uint8_t der[SPICE_PUBLIC_KEY];
	struct spice_rsa rsa;

	(void)state;
	memset(der, 0xff, sizeof(der));
	memcpy(der, head, sizeof(head));
	memcpy(der + sizeof(der) - sizeof(tail), tail, sizeof(tail));
	assert_int_equal(
		spice_decode_public_key(span_of(der, sizeof(der)), &rsa), 0);
	assert_int_equal(rsa.e, 65537);
	assert_ptr_equal(rsa.n, der + sizeof(head));
	assert_int_equal(
		spice_decode_public_key(span_of(der, sizeof(der) - 1), &rsa),
		-EPROTO);
	/* Each byte around the modulus counts; an even exponent is none. */
	for (size_t i = 0; i < sizeof(der); i++) {
		if (i > sizeof(head) && i < sizeof(der) - 6)
			continue;
		der[i] ^= 0x81;
		if (i < sizeof(der) - 3 || i == sizeof(der) - 1)
			assert_int_equal(
				spice_decode_public_key(
					span_of(der, sizeof(der)), &rsa),
				-EPROTO);
		der[i] ^= 0x81;
	}
}

static void test_headers(void **state)
{
	const struct spice_header header = { 101, 0x12345 };
	uint8_t out[SPICE_FULL_HEADER];
	struct spice_header back;

	(void)state;
	assert_int_equal(spice_encode_header(&header, true, 7, out), 6);
	assert_memory_equal(out, "\x65\0\x45\x23\x01\0", 6);
	back = spice_decode_header(span_of(out, 6), true);
	assert_int_equal(back.type, 101);
	assert_int_equal(back.size, 0x12345);
	assert_int_equal(spice_encode_header(&header, false, 7, out), 18);
	assert_memory_equal(
		out, "\x07\0\0\0\0\0\0\0\x65\0\x45\x23\x01\0\0\0\0\0", 18);
	back = spice_decode_header(span_of(out, 18), false);
	assert_int_equal(back.type, 101);
	assert_int_equal(back.size, 0x12345);
}

static int bounds(uint8_t channel, uint16_t type, uint32_t size)
{
	const struct spice_header header = { type, size };
	struct spice_layout layout;
	int ret = spice_check_header(channel, &header, &layout);

	assert_true(layout.kept <= size && layout.kept <= SPICE_MAX_KEPT);
	if (!ret)
		assert_int_equal(
			layout.payload,
			channel == SPICE_CHANNEL_USBREDIR &&
				(type == SPICE_MSG_VMC_DATA ||
				 type == SPICE_MSG_VMC_COMPRESSED_DATA));
	return ret;
}

static void test_bounds(void **state)
{
	(void)state;
	assert_int_equal(bounds(SPICE_CHANNEL_MAIN, SPICE_MSG_SET_ACK, 8), 0);
	assert_int_equal(bounds(SPICE_CHANNEL_MAIN, SPICE_MSG_SET_ACK, 7),
			 -EMSGSIZE);
	assert_int_equal(bounds(SPICE_CHANNEL_MAIN, SPICE_MSG_SET_ACK, 9),
			 -EMSGSIZE);
	assert_int_equal(bounds(SPICE_CHANNEL_MAIN, SPICE_MSG_PING, 256012), 0);
	assert_int_equal(bounds(SPICE_CHANNEL_MAIN, SPICE_MSG_MAIN_INIT, 32),
			 0);
	/* The same number means another thing elsewhere. */
	assert_int_equal(
		bounds(SPICE_CHANNEL_USBREDIR, SPICE_MSG_MAIN_INIT, 32),
		-ENOSYS);
	assert_int_equal(
		bounds(SPICE_CHANNEL_USBREDIR, SPICE_MSG_VMC_DATA, UINT32_MAX),
		0);
	assert_int_equal(bounds(SPICE_CHANNEL_USBREDIR,
				SPICE_MSG_VMC_COMPRESSED_DATA,
				SPICE_MAX_UNPACKED + 1),
			 -EMSGSIZE);
	assert_int_equal(bounds(SPICE_CHANNEL_MAIN, 4711, SPICE_MAX_UNKNOWN),
			 -ENOSYS);
	assert_int_equal(
		bounds(SPICE_CHANNEL_MAIN, 4711, SPICE_MAX_UNKNOWN + 1),
		-EMSGSIZE);
}

static int decode(uint16_t type, const void *body, size_t len,
		  struct spice_msg *msg)
{
	const struct spice_header header = { type, (uint32_t)len };

	return spice_decode(SPICE_CHANNEL_MAIN, &header, span_of(body, len),
			    msg);
}

static void test_channels(void **state)
{
	struct spice_msg msg;

	(void)state;
	assert_int_equal(decode(SPICE_MSG_MAIN_CHANNELS_LIST,
				"\3\0\0\0\2\0\x9\1\x9\0", 10, &msg),
			 0);
	assert_int_equal(msg.channels.n, 3);
	assert_int_equal(msg.channels.id[1].type, SPICE_CHANNEL_USBREDIR);
	assert_int_equal(msg.channels.id[1].id, 1);
	/* More are promised than there are. */
	assert_int_equal(decode(SPICE_MSG_MAIN_CHANNELS_LIST,
				"\4\0\0\0\2\0\x9\1\x9\0", 10, &msg),
			 -EPROTO);
	assert_int_equal(decode(SPICE_MSG_MAIN_CHANNELS_LIST,
				"\xff\xff\xff\xff\2\0\x9\1\x9\0", 10, &msg),
			 -EPROTO);
}

static void test_notify(void **state)
{
	uint8_t body[64];
	struct span_writer w = span_writer_of(body, sizeof(body));
	struct spice_msg msg;

	(void)state;
	span_put_le(&w, 1, 8);
	span_put_le(&w, 2, 4); /* severity */
	span_put_le(&w, 0, 8);
	span_put_le(&w, 1000, 4); /* more text than there is */
	span_put(&w, "no\0 more", 8);
	assert_int_equal(decode(SPICE_MSG_NOTIFY, body, w.len, &msg), 0);
	assert_int_equal(msg.notify.severity, 2);
	assert_int_equal(msg.notify.text.len, 2);
	assert_int_equal(decode(SPICE_MSG_NOTIFY, body, 23, &msg), -EPROTO);
}

static size_t switch_host(uint8_t *body, uint32_t len, uint32_t offset,
			  uint32_t subject_len, uint32_t subject_offset)
{
	struct span_writer w = span_writer_of(body, 64);

	span_put_le(&w, 5900, 2);
	span_put_le(&w, 5901, 2);
	span_put_le(&w, len, 4);
	span_put_le(&w, offset, 4);
	span_put_le(&w, subject_len, 4);
	span_put_le(&w, subject_offset, 4);
	span_put(&w, "there\0CN=x", 11);
	return w.len;
}

static void test_switch_host(void **state)
{
	uint8_t body[64];
	struct spice_msg msg;
	size_t len = switch_host(body, 6, 20, 5, 26);

	(void)state;
	assert_int_equal(decode(SPICE_MSG_MAIN_SWITCH_HOST, body, len, &msg),
			 0);
	assert_int_equal(msg.switch_host.port, 5900);
	assert_int_equal(msg.switch_host.tls_port, 5901);
	assert_int_equal(msg.switch_host.host.len, 5);
	assert_memory_equal(msg.switch_host.host.p, "there", 5);
	assert_int_equal(msg.switch_host.subject.len, 4);
	switch_host(body, 6, 20, 0, 0);
	assert_int_equal(decode(SPICE_MSG_MAIN_SWITCH_HOST, body, len, &msg),
			 0);
	assert_int_equal(msg.switch_host.subject.len, 0);
	for (size_t n = 0; n < 20; n++)
		assert_int_equal(
			decode(SPICE_MSG_MAIN_SWITCH_HOST, body, n, &msg),
			-EPROTO);
	/* Pointers to elsewhere */
	switch_host(body, 6, (uint32_t)len - 5, 0, 0);
	assert_int_equal(decode(SPICE_MSG_MAIN_SWITCH_HOST, body, len, &msg),
			 -EPROTO);
	switch_host(body, UINT32_MAX, 20, 0, 0);
	assert_int_equal(decode(SPICE_MSG_MAIN_SWITCH_HOST, body, len, &msg),
			 -EPROTO);
	switch_host(body, 6, 20, 100, UINT32_MAX);
	assert_int_equal(decode(SPICE_MSG_MAIN_SWITCH_HOST, body, len, &msg),
			 -EPROTO);
	switch_host(body, 0, 20, 0, 0);
	assert_int_equal(decode(SPICE_MSG_MAIN_SWITCH_HOST, body, len, &msg),
			 -EPROTO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_link_request),
		cmocka_unit_test(test_link_header),
		cmocka_unit_test(test_link_reply),
		cmocka_unit_test(test_public_key),
		cmocka_unit_test(test_headers),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_channels),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_switch_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
