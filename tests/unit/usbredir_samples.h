/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Valid messages of every usbredir packet type, for the tests of the codec.
 *
 * sample_types is written from the protocol's text and by hand, not taken from
 * the codec's own table: a row that is wrong there must not be wrong here too.
 */
#ifndef TESTS_USBREDIR_SAMPLES_H
#define TESTS_USBREDIR_SAMPLES_H

#include <string.h>

#include "wire/usbredir.h"

/* --- Random numbers that are the same in every run ------------------------- */

struct rng {
	uint64_t state; /* any value */
};

/* splitmix64 */
static inline uint64_t rng_next(struct rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)(rng_next(rng) % n);
}

static inline void rng_bytes(struct rng *rng, void *out, size_t n)
{
	uint8_t *p = out;

	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)rng_next(rng);
}

/* --- The packet types -------------------------------------------------------- */

enum sample_payload {
	SAMPLE_BARE,
	SAMPLE_CAPS,
	SAMPLE_TEXT,
	SAMPLE_TRANSFER,
};

struct sample_type {
	uint32_t type;
	bool from[2];  /* by enum usbredir_role of the sender */
	uint32_t cap;  /* the packet exists only with it; 0: always */
	uint32_t size; /* of the type header, without the optional fields */
	enum sample_payload payload;
	struct {
		uint32_t cap, size;
	} optional[2];
};

#define SAMPLE_FROM_HOST                                                       \
	{                                                                      \
		true, false                                                    \
	}
#define SAMPLE_FROM_GUEST                                                      \
	{                                                                      \
		false, true                                                    \
	}
#define SAMPLE_FROM_BOTH                                                       \
	{                                                                      \
		true, true                                                     \
	}
#define SAMPLE_ROW(t, from, cap, size, ...)                                    \
	{                                                                      \
		USBREDIR_##t, SAMPLE_FROM_##from, cap, size, __VA_ARGS__       \
	}

static const struct sample_type sample_types[] = {
	SAMPLE_ROW(HELLO, BOTH, 0, 64, SAMPLE_CAPS),
	SAMPLE_ROW(DEVICE_CONNECT, HOST, 0, 8, SAMPLE_BARE,
		   { { USBREDIR_CAP_CONNECT_DEVICE_VERSION, 2 } }),
	SAMPLE_ROW(DEVICE_DISCONNECT, HOST, 0, 0, SAMPLE_BARE),
	SAMPLE_ROW(RESET, GUEST, 0, 0, SAMPLE_BARE),
	SAMPLE_ROW(INTERFACE_INFO, HOST, 0, 132, SAMPLE_BARE),
	SAMPLE_ROW(EP_INFO, HOST, 0, 96, SAMPLE_BARE,
		   { { USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE, 64 },
		     { USBREDIR_CAP_BULK_STREAMS, 128 } }),
	SAMPLE_ROW(SET_CONFIGURATION, GUEST, 0, 1, SAMPLE_BARE),
	SAMPLE_ROW(GET_CONFIGURATION, GUEST, 0, 0, SAMPLE_BARE),
	SAMPLE_ROW(CONFIGURATION_STATUS, HOST, 0, 2, SAMPLE_BARE),
	SAMPLE_ROW(SET_ALT_SETTING, GUEST, 0, 2, SAMPLE_BARE),
	SAMPLE_ROW(GET_ALT_SETTING, GUEST, 0, 1, SAMPLE_BARE),
	SAMPLE_ROW(ALT_SETTING_STATUS, HOST, 0, 3, SAMPLE_BARE),
	SAMPLE_ROW(START_ISO_STREAM, GUEST, 0, 3, SAMPLE_BARE),
	SAMPLE_ROW(STOP_ISO_STREAM, GUEST, 0, 1, SAMPLE_BARE),
	SAMPLE_ROW(ISO_STREAM_STATUS, HOST, 0, 2, SAMPLE_BARE),
	SAMPLE_ROW(START_INTERRUPT_RECEIVING, GUEST, 0, 1, SAMPLE_BARE),
	SAMPLE_ROW(STOP_INTERRUPT_RECEIVING, GUEST, 0, 1, SAMPLE_BARE),
	SAMPLE_ROW(INTERRUPT_RECEIVING_STATUS, HOST, 0, 2, SAMPLE_BARE),
	SAMPLE_ROW(ALLOC_BULK_STREAMS, GUEST, USBREDIR_CAP_BULK_STREAMS, 8,
		   SAMPLE_BARE),
	SAMPLE_ROW(FREE_BULK_STREAMS, GUEST, USBREDIR_CAP_BULK_STREAMS, 4,
		   SAMPLE_BARE),
	SAMPLE_ROW(BULK_STREAMS_STATUS, HOST, USBREDIR_CAP_BULK_STREAMS, 9,
		   SAMPLE_BARE),
	SAMPLE_ROW(CANCEL_DATA_PACKET, GUEST, 0, 0, SAMPLE_BARE),
	SAMPLE_ROW(FILTER_REJECT, GUEST, USBREDIR_CAP_FILTER, 0, SAMPLE_BARE),
	SAMPLE_ROW(FILTER_FILTER, BOTH, USBREDIR_CAP_FILTER, 0, SAMPLE_TEXT),
	SAMPLE_ROW(DEVICE_DISCONNECT_ACK, GUEST,
		   USBREDIR_CAP_DEVICE_DISCONNECT_ACK, 0, SAMPLE_BARE),
	SAMPLE_ROW(START_BULK_RECEIVING, GUEST, USBREDIR_CAP_BULK_RECEIVING, 10,
		   SAMPLE_BARE),
	SAMPLE_ROW(STOP_BULK_RECEIVING, GUEST, USBREDIR_CAP_BULK_RECEIVING, 5,
		   SAMPLE_BARE),
	SAMPLE_ROW(BULK_RECEIVING_STATUS, HOST, USBREDIR_CAP_BULK_RECEIVING, 6,
		   SAMPLE_BARE),
	SAMPLE_ROW(CONTROL_PACKET, BOTH, 0, 10, SAMPLE_TRANSFER),
	SAMPLE_ROW(BULK_PACKET, BOTH, 0, 8, SAMPLE_TRANSFER,
		   { { USBREDIR_CAP_32BITS_BULK_LENGTH, 2 } }),
	SAMPLE_ROW(ISO_PACKET, BOTH, 0, 4, SAMPLE_TRANSFER),
	SAMPLE_ROW(INTERRUPT_PACKET, BOTH, 0, 4, SAMPLE_TRANSFER),
	SAMPLE_ROW(BUFFERED_BULK_PACKET, HOST, USBREDIR_CAP_BULK_RECEIVING, 10,
		   SAMPLE_TRANSFER),
};

static inline enum usbredir_role sample_peer(enum usbredir_role role)
{
	return role == USBREDIR_HOST ? USBREDIR_GUEST : USBREDIR_HOST;
}

/* May sender send it, when both sides have caps? */
static inline bool sample_exists(const struct sample_type *t,
				 enum usbredir_role sender, uint32_t caps)
{
	return t->from[sender] && (!t->cap || (caps & t->cap));
}

static inline uint32_t sample_size(const struct sample_type *t, uint32_t caps)
{
	uint32_t size = t->size;

	for (size_t i = 0; i < ARRAY_SIZE(t->optional); i++)
		if (caps & t->optional[i].cap)
			size += t->optional[i].size;
	return size;
}

/* --- Messages and payloads ------------------------------------------------------ */

#define SAMPLE_MAX_DATA 512

#define SAMPLE_ANY(m) rng_bytes(rng, &msg->m, sizeof(msg->m))

static inline void sample_ep_info(struct usbredir_msg *msg, uint32_t caps,
				  struct rng *rng)
{
	SAMPLE_ANY(ep_info.type);
	SAMPLE_ANY(ep_info.interval);
	SAMPLE_ANY(ep_info.interface);
	if (caps & USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE)
		SAMPLE_ANY(ep_info.max_packet_size);
	if (caps & USBREDIR_CAP_BULK_STREAMS)
		SAMPLE_ANY(ep_info.max_streams);
}

static inline void sample_bulk_receiving(struct usbredir_msg *msg,
					 struct rng *rng)
{
	SAMPLE_ANY(bulk_receiving.stream_id);
	msg->bulk_receiving.endpoint = 0x80 | (rng_next(rng) & 0x0f);
	if (msg->type == USBREDIR_START_BULK_RECEIVING) {
		msg->bulk_receiving.bytes_per_transfer =
			rng_below(rng, USBREDIR_MAX_BULK + 1);
		SAMPLE_ANY(bulk_receiving.no_transfers);
	} else if (msg->type == USBREDIR_BULK_RECEIVING_STATUS) {
		SAMPLE_ANY(bulk_receiving.status);
	}
}

/*
 * Data goes with the endpoint's direction. Control, bulk and interrupt OUT
 * packets also go the other way, without data, as answers; control and bulk IN
 * ones as requests.
 */
static inline void sample_transfer(struct usbredir_msg *msg,
				   enum usbredir_role sender, struct rng *rng)
{
	uint32_t length = rng_below(rng, SAMPLE_MAX_DATA + 1);
	uint8_t endpoint = rng_next(rng) & 0x8f;
	bool with_data;

	if (msg->type == USBREDIR_BUFFERED_BULK_PACKET)
		endpoint |= 0x80;
	if (msg->type == USBREDIR_ISO_PACKET)
		endpoint = (endpoint & 0x0f) |
			   (sender == USBREDIR_HOST ? 0x80 : 0);
	if (msg->type == USBREDIR_INTERRUPT_PACKET && sender == USBREDIR_GUEST)
		endpoint &= 0x0f;
	with_data = !!(endpoint & 0x80) == (sender == USBREDIR_HOST);
	msg->data_len = with_data ? length : 0;
	if (msg->type == USBREDIR_CONTROL_PACKET) {
		SAMPLE_ANY(control.request);
		SAMPLE_ANY(control.requesttype);
		SAMPLE_ANY(control.status);
		SAMPLE_ANY(control.value);
		SAMPLE_ANY(control.index);
		msg->control.endpoint = endpoint;
		msg->control.length = (uint16_t)length;
		return;
	}
	SAMPLE_ANY(transfer.status);
	msg->transfer.endpoint = endpoint;
	msg->transfer.length = length;
	if (msg->type == USBREDIR_BULK_PACKET ||
	    msg->type == USBREDIR_BUFFERED_BULK_PACKET)
		SAMPLE_ANY(transfer.stream_id);
}

static inline void sample_fields(struct usbredir_msg *msg,
				 enum usbredir_role sender, uint32_t caps,
				 struct rng *rng)
{
	switch ((enum usbredir_type)msg->type) {
	case USBREDIR_HELLO:
		SAMPLE_ANY(hello.version);
		break;
	case USBREDIR_DEVICE_CONNECT:
		SAMPLE_ANY(device_connect.speed);
		SAMPLE_ANY(device_connect.device_class);
		SAMPLE_ANY(device_connect.device_subclass);
		SAMPLE_ANY(device_connect.device_protocol);
		SAMPLE_ANY(device_connect.vendor_id);
		SAMPLE_ANY(device_connect.product_id);
		if (caps & USBREDIR_CAP_CONNECT_DEVICE_VERSION)
			SAMPLE_ANY(device_connect.device_version_bcd);
		break;
	case USBREDIR_INTERFACE_INFO:
		msg->interface_info.count = rng_below(rng, USBREDIR_SLOTS + 1);
		SAMPLE_ANY(interface_info.interface);
		SAMPLE_ANY(interface_info.interface_class);
		SAMPLE_ANY(interface_info.interface_subclass);
		SAMPLE_ANY(interface_info.interface_protocol);
		break;
	case USBREDIR_EP_INFO:
		sample_ep_info(msg, caps, rng);
		break;
	case USBREDIR_CONFIGURATION_STATUS:
		SAMPLE_ANY(configuration.status);
		SAMPLE_ANY(configuration.configuration);
		break;
	case USBREDIR_SET_CONFIGURATION:
		SAMPLE_ANY(configuration.configuration);
		break;
	case USBREDIR_ALT_SETTING_STATUS:
		SAMPLE_ANY(alt_setting.status);
		SAMPLE_ANY(alt_setting.interface);
		SAMPLE_ANY(alt_setting.alt);
		break;
	case USBREDIR_SET_ALT_SETTING:
		SAMPLE_ANY(alt_setting.interface);
		SAMPLE_ANY(alt_setting.alt);
		break;
	case USBREDIR_GET_ALT_SETTING:
		SAMPLE_ANY(alt_setting.interface);
		break;
	case USBREDIR_START_ISO_STREAM:
		SAMPLE_ANY(iso_stream.endpoint);
		SAMPLE_ANY(iso_stream.pkts_per_urb);
		SAMPLE_ANY(iso_stream.no_urbs);
		break;
	case USBREDIR_STOP_ISO_STREAM:
		SAMPLE_ANY(iso_stream.endpoint);
		break;
	case USBREDIR_ISO_STREAM_STATUS:
		SAMPLE_ANY(iso_stream.status);
		SAMPLE_ANY(iso_stream.endpoint);
		break;
	case USBREDIR_INTERRUPT_RECEIVING_STATUS:
		SAMPLE_ANY(interrupt_receiving.status);
		msg->interrupt_receiving.endpoint = 0x80 | rng_below(rng, 16);
		break;
	case USBREDIR_START_INTERRUPT_RECEIVING:
	case USBREDIR_STOP_INTERRUPT_RECEIVING:
		msg->interrupt_receiving.endpoint = 0x80 | rng_below(rng, 16);
		break;
	case USBREDIR_BULK_STREAMS_STATUS:
		SAMPLE_ANY(bulk_streams.endpoints);
		SAMPLE_ANY(bulk_streams.no_streams);
		SAMPLE_ANY(bulk_streams.status);
		break;
	case USBREDIR_ALLOC_BULK_STREAMS:
		SAMPLE_ANY(bulk_streams.endpoints);
		SAMPLE_ANY(bulk_streams.no_streams);
		break;
	case USBREDIR_FREE_BULK_STREAMS:
		SAMPLE_ANY(bulk_streams.endpoints);
		break;
	case USBREDIR_START_BULK_RECEIVING:
	case USBREDIR_STOP_BULK_RECEIVING:
	case USBREDIR_BULK_RECEIVING_STATUS:
		sample_bulk_receiving(msg, rng);
		break;
	case USBREDIR_CONTROL_PACKET:
	case USBREDIR_BULK_PACKET:
	case USBREDIR_ISO_PACKET:
	case USBREDIR_INTERRUPT_PACKET:
	case USBREDIR_BUFFERED_BULK_PACKET:
		sample_transfer(msg, sender, rng);
		break;
	case USBREDIR_DEVICE_DISCONNECT:
	case USBREDIR_RESET:
	case USBREDIR_GET_CONFIGURATION:
	case USBREDIR_CANCEL_DATA_PACKET:
	case USBREDIR_FILTER_REJECT:
	case USBREDIR_FILTER_FILTER:
	case USBREDIR_DEVICE_DISCONNECT_ACK:
		break;
	}
}

/* The texts are as libusbredirparser writes them. */
static inline uint32_t sample_text(uint8_t *out, struct rng *rng)
{
	static const char *const texts[] = {
		"",
		"-1,-1,-1,-1,1",
		"0x08,-1,-1,-1,1|-1,-1,-1,-1,0",
		"0x03,0x046d,0xc077,0x0100,0|0xef,-1,0x0001,-1,1",
	};
	const char *text = texts[rng_below(rng, ARRAY_SIZE(texts))];
	size_t size = strlen(text) + 1;

	memcpy(out, text, size);
	return (uint32_t)size;
}

/*
 * A random valid message of type t, as sender sends it when both have caps.
 * Unused bytes of *msg are zero, so that memcmp() compares two. data gets the
 * msg->data_len bytes of payload; it holds SAMPLE_MAX_DATA bytes.
 */
static inline void sample_make(const struct sample_type *t,
			       enum usbredir_role sender, uint32_t caps,
			       struct rng *rng, struct usbredir_msg *msg,
			       uint8_t *data)
{
	memset(msg, 0, sizeof(*msg));
	msg->type = t->type;
	msg->id = rng_next(rng);
	if (!(caps & USBREDIR_CAP_64BITS_IDS))
		msg->id = (uint32_t)msg->id;
	sample_fields(msg, sender, caps, rng);
	if (t->payload == SAMPLE_CAPS)
		msg->data_len = 4 * rng_below(rng, USBREDIR_MAX_CAPS_WORDS + 1);
	rng_bytes(rng, data, msg->data_len);
	if (t->payload == SAMPLE_TEXT)
		msg->data_len = sample_text(data, rng);
}

#endif
