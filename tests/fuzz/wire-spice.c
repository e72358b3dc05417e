// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile SPICE server: its answer to the link, and messages of any channel.
 * The first byte says which. What is decoded is within the input.
 */
#include <stdlib.h>

#include "wire/spice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops where a fuzzer sees it, with assertions compiled in or not. */
static void require(bool holds)
{
	if (!holds)
		abort();
}

static void require_within(const struct span *part, const uint8_t *data,
			   size_t size)
{
	if (part->len)
		require(part->p >= data && part->p + part->len <= data + size);
}

static void link(struct span span)
{
	struct spice_link_reply reply;
	struct spice_rsa rsa;
	uint32_t n;

	if (!spice_decode_link_header(span, &n))
		require(n >= 4 && n <= SPICE_LINK_MAX);
	if (!spice_decode_link_reply(span, &reply) && !reply.error) {
		require(reply.public_key >= span.p);
		if (!spice_decode_public_key(
			    span_of(reply.public_key, SPICE_PUBLIC_KEY), &rsa))
			require(rsa.e & 1);
	}
}

static void message(uint8_t channel, struct span span)
{
	struct spice_header header = {
		.type = (uint16_t)span_le(&span, 2),
	};
	struct spice_layout layout;
	struct spice_msg msg;

	if (!span_ok(&span))
		return;
	header.size = (uint32_t)span.len;
	if (spice_check_header(channel, &header, &layout) < 0)
		return;
	require(layout.kept <= header.size && layout.kept <= SPICE_MAX_KEPT);
	if (spice_decode(channel, &header, span_of(span.p, layout.kept), &msg) <
	    0)
		return;
	require(msg.type == header.type);
	switch (msg.type) {
	case SPICE_MSG_NOTIFY:
		require_within(&msg.notify.text, span.p, layout.kept);
		break;
	case SPICE_MSG_MAIN_CHANNELS_LIST:
		if (channel == SPICE_CHANNEL_MAIN)
			require(msg.channels.n <= SPICE_MAX_CHANNELS);
		break;
	case SPICE_MSG_MAIN_SWITCH_HOST:
		if (channel != SPICE_CHANNEL_MAIN)
			break;
		require_within(&msg.switch_host.host, span.p, layout.kept);
		require_within(&msg.switch_host.subject, span.p, layout.kept);
		break;
	case SPICE_MSG_MAIN_NAME:
		if (channel == SPICE_CHANNEL_MAIN)
			require_within(&msg.name, span.p, layout.kept);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	if (*data)
		message(*data, span_of(data + 1, size - 1));
	else
		link(span_of(data + 1, size - 1));
	return 0;
}
