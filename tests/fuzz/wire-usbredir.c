// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One usbredir packet from an untrusted peer. Input: the receiver's role, the
 * agreed capabilities, the packet. What decodes must encode to the same bytes.
 */
#include <stdlib.h>

#include "wire/usbredir.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops where a fuzzer sees it, with assertions compiled in or not. */
static void require(bool holds)
{
	if (!holds)
		abort();
}

/* A copy that ends where the allocation does: ASan sees a byte too many. */
static struct span exact_copy(struct span *in, size_t len)
{
	const uint8_t *p = span_take(in, len);
	uint8_t *copy = malloc(len);

	require(p && (copy || !len));
	if (len)
		memcpy(copy, p, len);
	return span_of(copy, len);
}

/* The bytes of the head that msg was decoded from are those at packet. */
static void check_encoding(const struct usbredir_msg *msg, uint32_t caps,
			   const uint8_t *packet, size_t head_len)
{
	uint8_t head[USBREDIR_MAX_HEAD];

	/* A hello is encoded with a 32-bit id whatever the caps are. */
	if (msg->type == USBREDIR_HELLO && (caps & USBREDIR_CAP_64BITS_IDS))
		return;
	require(usbredir_encode(msg, caps, head) == head_len);
	require(!memcmp(head, packet, head_len));
}

static void check_payload(uint32_t type, struct span payload)
{
	uint32_t caps;

	if (type == USBREDIR_HELLO) {
		caps = usbredir_decode_caps(payload);
		require(caps == usbredir_caps_sanitize(caps));
	}
	/* Accepted text is printed as a string. */
	if (type == USBREDIR_FILTER_FILTER && !usbredir_check_filter(payload))
		require(strlen((const char *)payload.p) + 1 == payload.len);
}

static void one_packet(struct span in, enum usbredir_role role, uint32_t caps)
{
	const uint8_t *packet = in.p;
	struct usbredir_header header;
	struct usbredir_layout layout;
	struct span type_header, payload;
	struct usbredir_msg msg;

	if (usbredir_decode_header(in, caps, &header) < 0)
		return;
	span_take(&in, usbredir_header_size(caps));
	if (usbredir_check_header(&header, role, caps, &layout) < 0)
		return;
	require(layout.type_header <= USBREDIR_MAX_TYPE_HEADER);
	require(layout.type_header + layout.data == header.length);
	if (in.len < layout.type_header)
		return;
	type_header = exact_copy(&in, layout.type_header);
	if (!usbredir_decode(&header, role, caps, type_header, &msg)) {
		require(msg.data_len == layout.data);
		check_encoding(&msg, caps, packet,
			       usbredir_header_size(caps) + layout.type_header);
		if (in.len >= layout.data) {
			payload = exact_copy(&in, layout.data);
			check_payload(msg.type, payload);
			free((void *)payload.p);
		}
	}
	free((void *)type_header.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	enum usbredir_role role = span_u8(&in) & 1 ? USBREDIR_GUEST
						   : USBREDIR_HOST;
	uint32_t caps = usbredir_caps_sanitize(span_u8(&in));

	if (span_ok(&in))
		one_packet(in, role, caps);
	return 0;
}
