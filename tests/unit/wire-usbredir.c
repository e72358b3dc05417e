// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The usbredir codec against the protocol's text (usbredir-protocol.md of
 * 0.7.1): what is valid comes through unchanged, what is not is refused, and
 * packets written by hand look the same to the byte.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "usbredir_samples.h"

#define ROUNDS 4 /* random messages of a type, role and capability set */

static const enum usbredir_role roles[] = { USBREDIR_HOST, USBREDIR_GUEST };

/*
 * The three steps on one packet, whose payload need not be there. Returns
 * what the step said that failed, or 0.
 */
static int decode(struct span packet, enum usbredir_role receiver,
		  uint32_t caps, struct usbredir_msg *msg)
{
	struct usbredir_layout layout;
	struct usbredir_header header;
	const uint8_t *type_header;
	int ret;

	ret = usbredir_decode_header(packet, caps, &header);
	if (ret < 0)
		return ret;
	ret = usbredir_check_header(&header, receiver, caps, &layout);
	if (ret < 0)
		return ret;
	assert_int_equal(layout.type_header + layout.data, header.length);
	span_take(&packet, usbredir_header_size(caps));
	type_header = span_take(&packet, layout.type_header);
	assert_non_null(type_header);
	return usbredir_decode(&header, receiver, caps,
			       span_of(type_header, layout.type_header), msg);
}

/* What a receiver says to a message that its peer encoded. */
static int transmit(const struct usbredir_msg *msg, enum usbredir_role receiver,
		    uint32_t caps, struct usbredir_msg *out)
{
	uint8_t head[USBREDIR_MAX_HEAD];
	size_t len = usbredir_encode(msg, caps, head);

	return decode(span_of(head, len), receiver, caps, out);
}

/* Calls fn for every packet type that sender may send, for every caps. */
static void for_each_sample(void (*fn)(const struct sample_type *t,
				       enum usbredir_role sender, uint32_t caps,
				       struct rng *rng))
{
	struct rng rng = { 1 };

	for (uint32_t set = 0; set <= USBREDIR_CAPS_ALL; set++) {
		for (size_t i = 0; i < ARRAY_SIZE(sample_types); i++) {
			const struct sample_type *t = &sample_types[i];
			uint32_t caps = usbredir_caps_sanitize(set);

			/* A hello comes before anything is agreed on. */
			if (t->type == USBREDIR_HELLO)
				caps = 0;
			for (size_t r = 0; r < ARRAY_SIZE(roles); r++)
				if (sample_exists(t, roles[r], caps))
					fn(t, roles[r], caps, &rng);
		}
	}
}

static int check_length(const struct sample_type *t, enum usbredir_role sender,
			uint32_t caps, uint32_t length)
{
	struct usbredir_header header = { .type = t->type, .length = length };
	struct usbredir_layout layout;

	return usbredir_check_header(&header, sample_peer(sender), caps,
				     &layout);
}

/* --- What is valid -------------------------------------------------------------- */

static void round_trip(const struct sample_type *t, enum usbredir_role sender,
		       uint32_t caps, struct rng *rng)
{
	uint32_t header_size = caps & USBREDIR_CAP_64BITS_IDS ? 16 : 12;
	struct usbredir_msg msg, out;
	uint8_t data[SAMPLE_MAX_DATA];
	uint8_t head[USBREDIR_MAX_HEAD];

	for (int round = 0; round < ROUNDS; round++) {
		size_t len;

		sample_make(t, sender, caps, rng, &msg, data);
		len = usbredir_encode(&msg, caps, head);
		assert_int_equal(usbredir_header_size(caps), header_size);
		assert_int_equal(len, header_size + sample_size(t, caps));
		assert_int_equal(decode(span_of(head, len), sample_peer(sender),
					caps, &out),
				 0);
		assert_memory_equal(&out, &msg, sizeof(msg));
	}
}

static void test_round_trip(void **state)
{
	(void)state;
	for_each_sample(round_trip);
}

/* The largest packets: the bounds themselves are allowed. */
static void test_largest(void **state)
{
	struct usbredir_msg msg = { .type = USBREDIR_BULK_PACKET }, out;
	uint32_t caps = USBREDIR_CAPS_ALL;

	(void)state;
	msg.data_len = msg.transfer.length = USBREDIR_MAX_BULK;
	assert_int_equal(transmit(&msg, USBREDIR_HOST, caps, &out), 0);
	assert_int_equal(out.data_len, 128 << 20);
	/* 16 bits of length without the capability */
	msg.data_len = msg.transfer.length = 0xffff;
	assert_int_equal(transmit(&msg, USBREDIR_HOST, 0, &out), 0);
	assert_int_equal(out.transfer.length, 0xffff);
}

/* The longest type header, which bounds every buffer for heads */
static void test_ep_info_sizes(void **state)
{
	uint8_t head[USBREDIR_MAX_HEAD];
	struct usbredir_msg msg = { .type = USBREDIR_EP_INFO };

	(void)state;
	assert_int_equal(usbredir_encode(&msg, 0, head), 12 + 96);
	assert_int_equal(usbredir_encode(&msg,
					 USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE,
					 head),
			 12 + 160);
	assert_int_equal(usbredir_encode(&msg, USBREDIR_CAPS_ALL, head),
			 16 + 288);
	assert_int_equal(USBREDIR_MAX_HEAD, 16 + 288);
}

/* --- Packets written by hand ------------------------------------------------------ */

struct golden {
	const char *what;
	uint32_t caps;
	enum usbredir_role receiver;
	struct usbredir_msg msg;
	const char *hex; /* spaces separate the fields */
};

#define CAPS_XHCI                                                              \
	(USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE | USBREDIR_CAP_64BITS_IDS |      \
	 USBREDIR_CAP_32BITS_BULK_LENGTH)

static const struct golden goldens[] = {
	{ "hello, 32-bit id whatever is offered",
	  0,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_HELLO, .data_len = 4, .hello = { "ryll" } },
	  "00000000 44000000 00000000 72796c6c"
	  "000000000000000000000000000000000000000000000000000000000000"
	  "000000000000000000000000000000000000000000000000000000000000" },
	{ "device_connect, 8 bytes",
	  0,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_DEVICE_CONNECT,
	    .device_connect = { USBREDIR_SPEED_HIGH, 8, 6, 0x50, 0x46f4,
				0x0001 } },
	  "01000000 08000000 00000000 02 08 06 50 f446 0100" },
	{ "device_connect with version, 10 bytes",
	  USBREDIR_CAP_CONNECT_DEVICE_VERSION | USBREDIR_CAP_64BITS_IDS,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_DEVICE_CONNECT,
	    .device_connect = { USBREDIR_SPEED_SUPER, 0, 0, 0, 0x1d6b, 0x0104,
				0x0210 } },
	  "01000000 0a000000 0000000000000000 03 00 00 00 6b1d 0401 1002" },
	{ "reset: no type header, a 64-bit id",
	  CAPS_XHCI,
	  USBREDIR_HOST,
	  { .type = USBREDIR_RESET, .id = 0x1122334455667788 },
	  "03000000 00000000 8877665544332211" },
	{ "alt_setting_status",
	  0,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_ALT_SETTING_STATUS,
	    .id = 7,
	    .alt_setting = { USBREDIR_STALL, 1, 2 } },
	  "0b000000 03000000 07000000 04 01 02" },
	{ "control IN request: GET_DESCRIPTOR(device), 18 bytes wanted",
	  0,
	  USBREDIR_HOST,
	  { .type = USBREDIR_CONTROL_PACKET,
	    .id = 0x01020304,
	    .control = { 0x80, 6, 0x80, 0, 0x0100, 0x0203, 18 } },
	  "64000000 0a000000 04030201 80 06 80 00 0001 0302 1200" },
	{ "its answer: the data is counted in the header's length",
	  0,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_CONTROL_PACKET,
	    .id = 0x01020304,
	    .data_len = 18,
	    .control = { 0x80, 6, 0x80, 0, 0x0100, 0x0203, 18 } },
	  "64000000 1c000000 04030201 80 06 80 00 0001 0302 1200" },
	{ "bulk IN request, 16-bit length",
	  0,
	  USBREDIR_HOST,
	  { .type = USBREDIR_BULK_PACKET,
	    .id = 1,
	    .transfer = { 0x81, 0, 0x1234, 5 } },
	  "65000000 08000000 01000000 81 00 3412 05000000" },
	{ "bulk IN answer, 16-bit length",
	  0,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_BULK_PACKET,
	    .id = 1,
	    .data_len = 13,
	    .transfer = { 0x81, 0, 13, 0 } },
	  "65000000 15000000 01000000 81 00 0d00 00000000" },
	{ "bulk IN request, 32-bit length: the high half is last",
	  CAPS_XHCI,
	  USBREDIR_HOST,
	  { .type = USBREDIR_BULK_PACKET,
	    .id = 2,
	    .transfer = { 0x81, 0, 0x00123456, 0 } },
	  "65000000 0a000000 0200000000000000 81 00 5634 00000000 1200" },
	{ "bulk OUT request, 32-bit length",
	  CAPS_XHCI,
	  USBREDIR_HOST,
	  { .type = USBREDIR_BULK_PACKET,
	    .id = 3,
	    .data_len = 0x20000,
	    .transfer = { 0x02, 0, 0x20000, 0 } },
	  "65000000 0a000200 0300000000000000 02 00 0000 00000000 0200" },
	{ "bulk OUT answer: a length, no data",
	  CAPS_XHCI,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_BULK_PACKET,
	    .id = 3,
	    .transfer = { 0x02, 0, 0x20000, 0 } },
	  "65000000 0a000000 0300000000000000 02 00 0000 00000000 0200" },
	{ "bulk OUT request, 16-bit length",
	  0,
	  USBREDIR_HOST,
	  { .type = USBREDIR_BULK_PACKET,
	    .id = 4,
	    .data_len = 31,
	    .transfer = { 0x02, 0, 31, 0 } },
	  "65000000 27000000 04000000 02 00 1f00 00000000" },
	{ "start_bulk_receiving",
	  USBREDIR_CAP_BULK_RECEIVING,
	  USBREDIR_HOST,
	  { .type = USBREDIR_START_BULK_RECEIVING,
	    .bulk_receiving = { .stream_id = 1,
				.bytes_per_transfer = 512,
				.endpoint = 0x83,
				.no_transfers = 4 } },
	  "19000000 0a000000 00000000 01000000 00020000 83 04" },
	{ "buffered_bulk_packet: stream and length come first",
	  USBREDIR_CAP_BULK_RECEIVING,
	  USBREDIR_GUEST,
	  { .type = USBREDIR_BUFFERED_BULK_PACKET,
	    .data_len = 2,
	    .transfer = { 0x83, 6, 2, 1 } },
	  "68000000 0c000000 00000000 01000000 02000000 83 06" },
};

static uint8_t hex_digit(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

static size_t from_hex(const char *hex, uint8_t *out)
{
	size_t n = 0;

	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		out[n++] =
			(uint8_t)(hex_digit(hex[0]) << 4 | hex_digit(hex[1]));
		hex++;
	}
	return n;
}

static void test_golden(void **state)
{
	uint8_t head[USBREDIR_MAX_HEAD], want[USBREDIR_MAX_HEAD];
	struct usbredir_msg out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(goldens); i++) {
		const struct golden *g = &goldens[i];
		size_t len = usbredir_encode(&g->msg, g->caps, head);

		if (len != from_hex(g->hex, want) || memcmp(head, want, len))
			fail_msg("encoding: %s", g->what);
		if (decode(span_of(want, len), g->receiver, g->caps, &out) ||
		    memcmp(&out, &g->msg, sizeof(out)))
			fail_msg("decoding: %s", g->what);
	}
}

/* --- Lengths ---------------------------------------------------------------------- */

static uint32_t largest_payload(const struct sample_type *t)
{
	switch (t->payload) {
	case SAMPLE_CAPS:
		return 4 * USBREDIR_MAX_CAPS_WORDS;
	case SAMPLE_TEXT:
		return USBREDIR_MAX_FILTER;
	case SAMPLE_TRANSFER:
		return t->type == USBREDIR_BULK_PACKET ||
				       t->type == USBREDIR_BUFFERED_BULK_PACKET
			       ? 128 << 20
			       : 0xffff;
	default:
		return 0;
	}
}

static void lengths(const struct sample_type *t, enum usbredir_role sender,
		    uint32_t caps, struct rng *rng)
{
	uint32_t size = sample_size(t, caps);
	uint32_t most = size + largest_payload(t);
	uint32_t limit = (128 << 20) + 1024;

	(void)rng;
	assert_int_equal(check_length(t, sender, caps, size), 0);
	assert_int_equal(check_length(t, sender, caps, most), 0);
	if (size) {
		assert_int_equal(check_length(t, sender, caps, size - 1),
				 -EPROTO);
		assert_int_equal(check_length(t, sender, caps, 0), -EPROTO);
	}
	assert_int_equal(check_length(t, sender, caps, most + 1), -EPROTO);
	/* one word more, of a payload that is words */
	assert_int_equal(check_length(t, sender, caps, most + 4), -EPROTO);
	assert_int_equal(check_length(t, sender, caps, limit), -EPROTO);
	assert_int_equal(check_length(t, sender, caps, limit + 1), -EMSGSIZE);
	assert_int_equal(check_length(t, sender, caps, 0x80000000), -EMSGSIZE);
	assert_int_equal(check_length(t, sender, caps, UINT32_MAX), -EMSGSIZE);
}

static void test_lengths(void **state)
{
	(void)state;
	for_each_sample(lengths);
}

/* A hello's tail is whole words. */
static void test_hello_length(void **state)
{
	const struct sample_type *hello = &sample_types[0];

	(void)state;
	assert_int_equal(check_length(hello, USBREDIR_HOST, 0, 64 + 4), 0);
	for (uint32_t odd = 1; odd < 4; odd++)
		assert_int_equal(
			check_length(hello, USBREDIR_HOST, 0, 64 + 4 + odd),
			-EPROTO);
}

static void test_short_header(void **state)
{
	static const uint8_t zeros[16];
	struct usbredir_header header;

	(void)state;
	for (size_t len = 0; len < 16; len++) {
		assert_int_equal(
			usbredir_decode_header(span_of(zeros, len), 0, &header),
			len < 12 ? -EPROTO : 0);
		assert_int_equal(usbredir_decode_header(span_of(zeros, len),
							USBREDIR_CAP_64BITS_IDS,
							&header),
				 -EPROTO);
	}
}

/* A caller that cuts the type header wrongly gets an error, not a message. */
static void wrong_type_header(const struct sample_type *t,
			      enum usbredir_role sender, uint32_t caps,
			      struct rng *rng)
{
	uint8_t data[SAMPLE_MAX_DATA];
	uint8_t head[USBREDIR_MAX_HEAD + 1] = { 0 };
	uint32_t size = sample_size(t, caps);
	struct usbredir_header header = { .type = t->type };
	struct usbredir_msg msg, out;
	const uint8_t *type_header;

	sample_make(t, sender, caps, rng, &msg, data);
	type_header = head + usbredir_encode(&msg, caps, head) - size;
	for (uint32_t cut = size ? size - 1 : 1; cut <= size + 1; cut++) {
		if (cut == size)
			continue;
		header.length = msg.data_len + cut;
		assert_int_equal(
			usbredir_decode(&header, sample_peer(sender), caps,
					span_of(type_header, cut), &out),
			-EPROTO);
	}
	if (size) {
		header.length = size - 1;
		assert_int_equal(
			usbredir_decode(&header, sample_peer(sender), caps,
					span_of(type_header, size), &out),
			-EPROTO);
	}
}

static void test_wrong_type_header(void **state)
{
	(void)state;
	for_each_sample(wrong_type_header);
}

/* --- Types, directions, capabilities ------------------------------------------------- */

static void test_unknown_type(void **state)
{
	static const uint32_t types[] = { 28, 29, 99, 105, 256, UINT32_MAX };
	struct usbredir_header header = { 0 };
	struct usbredir_layout layout;
	struct usbredir_msg msg;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		header.type = types[i];
		header.length = 16;
		assert_int_equal(usbredir_check_header(&header, USBREDIR_HOST,
						       0, &layout),
				 -ENOSYS);
		assert_int_equal(usbredir_decode(&header, USBREDIR_HOST, 0,
						 span_of(NULL, 0), &msg),
				 -EPROTO);
		/* Not even skipped when there is no end to it. */
		header.length = UINT32_MAX;
		assert_int_equal(usbredir_check_header(&header, USBREDIR_HOST,
						       0, &layout),
				 -EMSGSIZE);
		assert_string_equal(usbredir_type_name(types[i]), "unknown");
	}
}

static void test_direction(void **state)
{
	uint32_t caps = USBREDIR_CAPS_ALL;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sample_types); i++) {
		const struct sample_type *t = &sample_types[i];

		for (size_t r = 0; r < ARRAY_SIZE(roles); r++) {
			bool ok = t->from[roles[r]];

			/* The one that we forgive a guest. */
			if (t->type == USBREDIR_DEVICE_DISCONNECT)
				ok = true;
			assert_int_equal(check_length(t, roles[r], caps,
						      sample_size(t, caps)),
					 ok ? 0 : -EPROTO);
		}
	}
}

static void test_missing_capability(void **state)
{
	unsigned int gated = 0;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sample_types); i++) {
		const struct sample_type *t = &sample_types[i];
		uint32_t caps = USBREDIR_CAPS_ALL & ~t->cap;

		if (!t->cap)
			continue;
		gated++;
		for (size_t r = 0; r < ARRAY_SIZE(roles); r++)
			assert_int_equal(check_length(t, roles[r], caps,
						      sample_size(t, caps)),
					 -EPROTO);
	}
	assert_int_equal(gated, 10);
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(usbredir_type_name(USBREDIR_HELLO), "hello");
	assert_string_equal(usbredir_type_name(USBREDIR_BULK_RECEIVING_STATUS),
			    "bulk_receiving_status");
	assert_string_equal(usbredir_type_name(USBREDIR_BUFFERED_BULK_PACKET),
			    "buffered_bulk_packet");
}

/* --- Payloads that contradict the length field ------------------------------------------ */

static void set_transfer(struct usbredir_msg *msg, uint32_t type,
			 uint8_t endpoint, uint32_t length, uint32_t data_len)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = type;
	msg->data_len = data_len;
	if (type == USBREDIR_CONTROL_PACKET) {
		msg->control.endpoint = endpoint;
		msg->control.length = (uint16_t)length;
	} else {
		msg->transfer.endpoint = endpoint;
		msg->transfer.length = length;
	}
}

static int transmit_transfer(uint32_t type, enum usbredir_role receiver,
			     uint8_t endpoint, uint32_t length,
			     uint32_t data_len)
{
	struct usbredir_msg msg, out;

	set_transfer(&msg, type, endpoint, length, data_len);
	return transmit(&msg, receiver, USBREDIR_CAPS_ALL, &out);
}

static void test_payload_contradicts(void **state)
{
	static const uint32_t types[] = { USBREDIR_CONTROL_PACKET,
					  USBREDIR_BULK_PACKET,
					  USBREDIR_ISO_PACKET,
					  USBREDIR_INTERRUPT_PACKET };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		for (size_t r = 0; r < ARRAY_SIZE(roles); r++) {
			/* Towards a host data is OUT, towards a guest IN. */
			bool host = roles[r] == USBREDIR_HOST;
			uint8_t with = host ? 0x02 : 0x82;
			uint8_t without = host ? 0x82 : 0x02;
			uint32_t t = types[i];

			assert_int_equal(
				transmit_transfer(t, roles[r], with, 64, 64),
				0);
			assert_int_equal(
				transmit_transfer(t, roles[r], with, 64, 63),
				-EPROTO);
			assert_int_equal(
				transmit_transfer(t, roles[r], with, 64, 65),
				-EPROTO);
			assert_int_equal(
				transmit_transfer(t, roles[r], with, 64, 0),
				-EPROTO);
			assert_int_equal(
				transmit_transfer(t, roles[r], without, 64, 64),
				-EPROTO);
			assert_int_equal(
				transmit_transfer(t, roles[r], without, 0, 1),
				-EPROTO);
		}
	}
}

/* Requests and answers without data, where the protocol has them. */
static void test_without_data(void **state)
{
	static const struct {
		uint32_t type;
		enum usbredir_role receiver;
		uint8_t endpoint;
		int want;
	} cases[] = {
		{ USBREDIR_CONTROL_PACKET, USBREDIR_HOST, 0x80, 0 },
		{ USBREDIR_CONTROL_PACKET, USBREDIR_GUEST, 0x00, 0 },
		{ USBREDIR_BULK_PACKET, USBREDIR_HOST, 0x81, 0 },
		{ USBREDIR_BULK_PACKET, USBREDIR_GUEST, 0x02, 0 },
		{ USBREDIR_INTERRUPT_PACKET, USBREDIR_GUEST, 0x03, 0 },
		/* Received by start_interrupt_receiving, never asked for. */
		{ USBREDIR_INTERRUPT_PACKET, USBREDIR_HOST, 0x83, -EPROTO },
		/* Streams go one way only. */
		{ USBREDIR_ISO_PACKET, USBREDIR_HOST, 0x84, -EPROTO },
		{ USBREDIR_ISO_PACKET, USBREDIR_GUEST, 0x04, -EPROTO },
		{ USBREDIR_BUFFERED_BULK_PACKET, USBREDIR_GUEST, 0x05,
		  -EPROTO },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(transmit_transfer(cases[i].type,
						   cases[i].receiver,
						   cases[i].endpoint, 32, 0),
				 cases[i].want);
}

static void test_too_long_a_transfer(void **state)
{
	uint32_t most = 128 << 20;

	(void)state;
	assert_int_equal(transmit_transfer(USBREDIR_BULK_PACKET, USBREDIR_HOST,
					   0x81, most, 0),
			 0);
	assert_int_equal(transmit_transfer(USBREDIR_BULK_PACKET, USBREDIR_HOST,
					   0x81, most + 1, 0),
			 -EPROTO);
	assert_int_equal(transmit_transfer(USBREDIR_BULK_PACKET, USBREDIR_HOST,
					   0x81, UINT32_MAX, 0),
			 -EPROTO);
}

/* --- Other fields ------------------------------------------------------------------------- */

static void test_endpoints(void **state)
{
	static const struct {
		uint32_t type;
		enum usbredir_role receiver;
	} in_only[] = {
		{ USBREDIR_START_INTERRUPT_RECEIVING, USBREDIR_HOST },
		{ USBREDIR_STOP_INTERRUPT_RECEIVING, USBREDIR_HOST },
		{ USBREDIR_INTERRUPT_RECEIVING_STATUS, USBREDIR_GUEST },
		{ USBREDIR_START_BULK_RECEIVING, USBREDIR_HOST },
		{ USBREDIR_STOP_BULK_RECEIVING, USBREDIR_HOST },
		{ USBREDIR_BULK_RECEIVING_STATUS, USBREDIR_GUEST },
	};
	struct usbredir_msg msg = { 0 }, out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(in_only); i++) {
		bool bulk = in_only[i].type >= USBREDIR_START_BULK_RECEIVING;
		uint8_t *endpoint = bulk ? &msg.bulk_receiving.endpoint
					 : &msg.interrupt_receiving.endpoint;

		msg.type = in_only[i].type;
		*endpoint = 0x81;
		assert_int_equal(transmit(&msg, in_only[i].receiver,
					  USBREDIR_CAPS_ALL, &out),
				 0);
		*endpoint = 0x01;
		assert_int_equal(transmit(&msg, in_only[i].receiver,
					  USBREDIR_CAPS_ALL, &out),
				 -EPROTO);
		*endpoint = 0;
	}
	/* Bits 4 to 6 of an address are reserved. */
	for (uint8_t bit = 0x10; bit < 0x80; bit = (uint8_t)(bit << 1))
		assert_int_equal(transmit_transfer(USBREDIR_BULK_PACKET,
						   USBREDIR_HOST, 0x81 | bit,
						   512, 0),
				 -EPROTO);
}

static void test_ep_slot(void **state)
{
	(void)state;
	assert_int_equal(usbredir_ep_slot(0x00), 0);
	assert_int_equal(usbredir_ep_slot(0x0f), 15);
	assert_int_equal(usbredir_ep_slot(0x80), 16);
	assert_int_equal(usbredir_ep_slot(0x81), 17);
	assert_int_equal(usbredir_ep_slot(0x8f), 31);
}

static void test_interface_count(void **state)
{
	struct usbredir_msg msg = { .type = USBREDIR_INTERFACE_INFO }, out;

	(void)state;
	msg.interface_info.count = 32;
	assert_int_equal(transmit(&msg, USBREDIR_GUEST, 0, &out), 0);
	msg.interface_info.count = 33;
	assert_int_equal(transmit(&msg, USBREDIR_GUEST, 0, &out), -EPROTO);
	msg.interface_info.count = UINT32_MAX;
	assert_int_equal(transmit(&msg, USBREDIR_GUEST, 0, &out), -EPROTO);
}

static void test_bytes_per_transfer(void **state)
{
	struct usbredir_msg msg = { .type = USBREDIR_START_BULK_RECEIVING },
			    out;

	(void)state;
	msg.bulk_receiving.endpoint = 0x81;
	msg.bulk_receiving.bytes_per_transfer = USBREDIR_MAX_BULK;
	assert_int_equal(transmit(&msg, USBREDIR_HOST, USBREDIR_CAPS_ALL, &out),
			 0);
	msg.bulk_receiving.bytes_per_transfer++;
	assert_int_equal(transmit(&msg, USBREDIR_HOST, USBREDIR_CAPS_ALL, &out),
			 -EPROTO);
}

/* --- Capabilities and filters --------------------------------------------------------------- */

static void test_caps(void **state)
{
	static const uint8_t words[] = { 0x7e, 0xff, 0xff, 0xff, 0xff,
					 0xff, 0xff, 0xff, 0xff };

	(void)state;
	/* Bits and words that nobody knows are no capabilities. */
	assert_int_equal(usbredir_decode_caps(span_of(words, 8)), 0x7e);
	assert_int_equal(usbredir_decode_caps(span_of(words, 4)), 0x7e);
	assert_int_equal(usbredir_decode_caps(span_of(words, 3)), 0);
	assert_int_equal(usbredir_decode_caps(span_of(NULL, 0)), 0);
	/* 0 needs 4 */
	assert_int_equal(usbredir_decode_caps(span_of(words + 1, 4)), 0xff);
	assert_int_equal(usbredir_caps_sanitize(0xef), 0xee);
	assert_int_equal(usbredir_caps_sanitize(UINT32_MAX), 0xff);
}

static int check_filter(const char *text, size_t size)
{
	return usbredir_check_filter(span_of(text, size));
}

/* With the terminating zero, as it is on the wire. */
#define CHECK_FILTER(text) check_filter(text, sizeof(text))

static void test_filter(void **state)
{
	(void)state;
	assert_int_equal(CHECK_FILTER(""), 0);
	assert_int_equal(CHECK_FILTER("-1,-1,-1,-1,0"), 0);
	assert_int_equal(CHECK_FILTER("0x03,0xABCD,0Xcdef,-1,1|-1,-1,-1,-1,1"),
			 0);
	assert_int_equal(check_filter("", 0), -EPROTO);
	assert_int_equal(check_filter("-1", 2), -EPROTO);
	assert_int_equal(CHECK_FILTER("-1\0-1"), -EPROTO);
	assert_int_equal(CHECK_FILTER("\0"), -EPROTO);
	assert_int_equal(CHECK_FILTER("-1,-1 "), -EPROTO);
	assert_int_equal(CHECK_FILTER("-1:-1"), -EPROTO);
	assert_int_equal(CHECK_FILTER("\x1b[2J"), -EPROTO);
	assert_int_equal(CHECK_FILTER("%s"), -EPROTO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_largest),
		cmocka_unit_test(test_ep_info_sizes),
		cmocka_unit_test(test_golden),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_hello_length),
		cmocka_unit_test(test_short_header),
		cmocka_unit_test(test_wrong_type_header),
		cmocka_unit_test(test_unknown_type),
		cmocka_unit_test(test_direction),
		cmocka_unit_test(test_missing_capability),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_payload_contradicts),
		cmocka_unit_test(test_without_data),
		cmocka_unit_test(test_too_long_a_transfer),
		cmocka_unit_test(test_endpoints),
		cmocka_unit_test(test_ep_slot),
		cmocka_unit_test(test_interface_count),
		cmocka_unit_test(test_bytes_per_transfer),
		cmocka_unit_test(test_caps),
		cmocka_unit_test(test_filter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
