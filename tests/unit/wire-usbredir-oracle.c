// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Our usbredir codec against libusbredirparser, which QEMU and spice-gtk use.
 *
 *   - what we encode, it parses to the same fields and data
 *   - what it sends, we decode to the same fields and data
 *   - what neither would send: both get the same damaged packets, and whether
 *     they take them must be the same, but for the differences in a table
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <usbredirfilter.h>
#include <usbredirparser.h>

#include "usbredir_samples.h"

static const enum usbredir_role roles[] = { USBREDIR_HOST, USBREDIR_GUEST };

/* --- Their structs and ours -------------------------------------------------- */

/* One field. Theirs are packed; a field of several elements is copied whole. */
struct pair {
	uint32_t type;
	uint32_t cap; /* the field is there only with it; 0: always */
	size_t ours, ours_size;
	size_t theirs, theirs_size;
	unsigned int shift; /* theirs has the bits of ours from here on */
};

#define SIZE_OF(type, m) sizeof(((type *)0)->m)
#define PAIR_SOME(t, name, member, our_member, needs, bits)                    \
	{                                                                      \
		USBREDIR_##t, needs,                                           \
			offsetof(struct usbredir_msg, our_member),             \
			SIZE_OF(struct usbredir_msg, our_member),              \
			offsetof(struct usb_redir_##name##_header, member),    \
			SIZE_OF(struct usb_redir_##name##_header, member),     \
			bits                                                   \
	}
#define PAIR(t, name, member, our_member)                                      \
	PAIR_SOME(t, name, member, our_member, 0, 0)

static const struct pair pairs[] = {
	PAIR(HELLO, hello, version, hello.version),
	PAIR(DEVICE_CONNECT, device_connect, speed, device_connect.speed),
	PAIR(DEVICE_CONNECT, device_connect, device_class,
	     device_connect.device_class),
	PAIR(DEVICE_CONNECT, device_connect, device_subclass,
	     device_connect.device_subclass),
	PAIR(DEVICE_CONNECT, device_connect, device_protocol,
	     device_connect.device_protocol),
	PAIR(DEVICE_CONNECT, device_connect, vendor_id,
	     device_connect.vendor_id),
	PAIR(DEVICE_CONNECT, device_connect, product_id,
	     device_connect.product_id),
	PAIR_SOME(DEVICE_CONNECT, device_connect, device_version_bcd,
		  device_connect.device_version_bcd,
		  USBREDIR_CAP_CONNECT_DEVICE_VERSION, 0),
	PAIR(INTERFACE_INFO, interface_info, interface_count,
	     interface_info.count),
	PAIR(INTERFACE_INFO, interface_info, interface,
	     interface_info.interface),
	PAIR(INTERFACE_INFO, interface_info, interface_class,
	     interface_info.interface_class),
	PAIR(INTERFACE_INFO, interface_info, interface_subclass,
	     interface_info.interface_subclass),
	PAIR(INTERFACE_INFO, interface_info, interface_protocol,
	     interface_info.interface_protocol),
	PAIR(EP_INFO, ep_info, type, ep_info.type),
	PAIR(EP_INFO, ep_info, interval, ep_info.interval),
	PAIR(EP_INFO, ep_info, interface, ep_info.interface),
	PAIR_SOME(EP_INFO, ep_info, max_packet_size, ep_info.max_packet_size,
		  USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE, 0),
	PAIR_SOME(EP_INFO, ep_info, max_streams, ep_info.max_streams,
		  USBREDIR_CAP_BULK_STREAMS, 0),
	PAIR(SET_CONFIGURATION, set_configuration, configuration,
	     configuration.configuration),
	PAIR(CONFIGURATION_STATUS, configuration_status, status,
	     configuration.status),
	PAIR(CONFIGURATION_STATUS, configuration_status, configuration,
	     configuration.configuration),
	PAIR(SET_ALT_SETTING, set_alt_setting, interface,
	     alt_setting.interface),
	PAIR(SET_ALT_SETTING, set_alt_setting, alt, alt_setting.alt),
	PAIR(GET_ALT_SETTING, get_alt_setting, interface,
	     alt_setting.interface),
	PAIR(ALT_SETTING_STATUS, alt_setting_status, status,
	     alt_setting.status),
	PAIR(ALT_SETTING_STATUS, alt_setting_status, interface,
	     alt_setting.interface),
	PAIR(ALT_SETTING_STATUS, alt_setting_status, alt, alt_setting.alt),
	PAIR(START_ISO_STREAM, start_iso_stream, endpoint, iso_stream.endpoint),
	PAIR(START_ISO_STREAM, start_iso_stream, pkts_per_urb,
	     iso_stream.pkts_per_urb),
	PAIR(START_ISO_STREAM, start_iso_stream, no_urbs, iso_stream.no_urbs),
	PAIR(STOP_ISO_STREAM, stop_iso_stream, endpoint, iso_stream.endpoint),
	PAIR(ISO_STREAM_STATUS, iso_stream_status, status, iso_stream.status),
	PAIR(ISO_STREAM_STATUS, iso_stream_status, endpoint,
	     iso_stream.endpoint),
	PAIR(START_INTERRUPT_RECEIVING, start_interrupt_receiving, endpoint,
	     interrupt_receiving.endpoint),
	PAIR(STOP_INTERRUPT_RECEIVING, stop_interrupt_receiving, endpoint,
	     interrupt_receiving.endpoint),
	PAIR(INTERRUPT_RECEIVING_STATUS, interrupt_receiving_status, status,
	     interrupt_receiving.status),
	PAIR(INTERRUPT_RECEIVING_STATUS, interrupt_receiving_status, endpoint,
	     interrupt_receiving.endpoint),
	PAIR(ALLOC_BULK_STREAMS, alloc_bulk_streams, endpoints,
	     bulk_streams.endpoints),
	PAIR(ALLOC_BULK_STREAMS, alloc_bulk_streams, no_streams,
	     bulk_streams.no_streams),
	PAIR(FREE_BULK_STREAMS, free_bulk_streams, endpoints,
	     bulk_streams.endpoints),
	PAIR(BULK_STREAMS_STATUS, bulk_streams_status, endpoints,
	     bulk_streams.endpoints),
	PAIR(BULK_STREAMS_STATUS, bulk_streams_status, no_streams,
	     bulk_streams.no_streams),
	PAIR(BULK_STREAMS_STATUS, bulk_streams_status, status,
	     bulk_streams.status),
	PAIR(START_BULK_RECEIVING, start_bulk_receiving, stream_id,
	     bulk_receiving.stream_id),
	PAIR(START_BULK_RECEIVING, start_bulk_receiving, bytes_per_transfer,
	     bulk_receiving.bytes_per_transfer),
	PAIR(START_BULK_RECEIVING, start_bulk_receiving, endpoint,
	     bulk_receiving.endpoint),
	PAIR(START_BULK_RECEIVING, start_bulk_receiving, no_transfers,
	     bulk_receiving.no_transfers),
	PAIR(STOP_BULK_RECEIVING, stop_bulk_receiving, stream_id,
	     bulk_receiving.stream_id),
	PAIR(STOP_BULK_RECEIVING, stop_bulk_receiving, endpoint,
	     bulk_receiving.endpoint),
	PAIR(BULK_RECEIVING_STATUS, bulk_receiving_status, stream_id,
	     bulk_receiving.stream_id),
	PAIR(BULK_RECEIVING_STATUS, bulk_receiving_status, endpoint,
	     bulk_receiving.endpoint),
	PAIR(BULK_RECEIVING_STATUS, bulk_receiving_status, status,
	     bulk_receiving.status),
	PAIR(CONTROL_PACKET, control_packet, endpoint, control.endpoint),
	PAIR(CONTROL_PACKET, control_packet, request, control.request),
	PAIR(CONTROL_PACKET, control_packet, requesttype, control.requesttype),
	PAIR(CONTROL_PACKET, control_packet, status, control.status),
	PAIR(CONTROL_PACKET, control_packet, value, control.value),
	PAIR(CONTROL_PACKET, control_packet, index, control.index),
	PAIR(CONTROL_PACKET, control_packet, length, control.length),
	PAIR(BULK_PACKET, bulk_packet, endpoint, transfer.endpoint),
	PAIR(BULK_PACKET, bulk_packet, status, transfer.status),
	PAIR(BULK_PACKET, bulk_packet, stream_id, transfer.stream_id),
	PAIR(BULK_PACKET, bulk_packet, length, transfer.length),
	PAIR_SOME(BULK_PACKET, bulk_packet, length_high, transfer.length,
		  USBREDIR_CAP_32BITS_BULK_LENGTH, 16),
	PAIR(ISO_PACKET, iso_packet, endpoint, transfer.endpoint),
	PAIR(ISO_PACKET, iso_packet, status, transfer.status),
	PAIR(ISO_PACKET, iso_packet, length, transfer.length),
	PAIR(INTERRUPT_PACKET, interrupt_packet, endpoint, transfer.endpoint),
	PAIR(INTERRUPT_PACKET, interrupt_packet, status, transfer.status),
	PAIR(INTERRUPT_PACKET, interrupt_packet, length, transfer.length),
	PAIR(BUFFERED_BULK_PACKET, buffered_bulk_packet, stream_id,
	     transfer.stream_id),
	PAIR(BUFFERED_BULK_PACKET, buffered_bulk_packet, length,
	     transfer.length),
	PAIR(BUFFERED_BULK_PACKET, buffered_bulk_packet, endpoint,
	     transfer.endpoint),
	PAIR(BUFFERED_BULK_PACKET, buffered_bulk_packet, status,
	     transfer.status),
};

static uint32_t load(const uint8_t *at, size_t size)
{
	uint16_t v16;
	uint32_t v32;

	if (size == 1)
		return *at;
	if (size == 2) {
		memcpy(&v16, at, size);
		return v16;
	}
	memcpy(&v32, at, sizeof(v32));
	return v32;
}

static void store(uint8_t *at, size_t size, uint32_t v)
{
	uint16_t v16 = (uint16_t)v;

	if (size == 1)
		*at = (uint8_t)v;
	else if (size == 2)
		memcpy(at, &v16, size);
	else
		memcpy(at, &v, sizeof(v));
}

static void to_theirs(const struct usbredir_msg *msg, void *header)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const struct pair *p = &pairs[i];
		const uint8_t *ours = (const uint8_t *)msg + p->ours;
		uint8_t *theirs = (uint8_t *)header + p->theirs;

		if (p->type != msg->type)
			continue;
		if (p->ours_size == p->theirs_size)
			memcpy(theirs, ours, p->ours_size);
		else
			store(theirs, p->theirs_size,
			      load(ours, p->ours_size) >> p->shift);
	}
}

/* They leave what is not on the wire as the packet before had it. */
static void from_theirs(const void *header, uint32_t caps,
			struct usbredir_msg *msg)
{
	for (size_t i = 0; i < ARRAY_SIZE(pairs); i++) {
		const struct pair *p = &pairs[i];
		const uint8_t *theirs = (const uint8_t *)header + p->theirs;
		uint8_t *ours = (uint8_t *)msg + p->ours;

		if (p->type != msg->type || (p->cap && !(caps & p->cap)))
			continue;
		if (p->ours_size == p->theirs_size)
			memcpy(ours, theirs, p->ours_size);
		else
			store(ours, p->ours_size,
			      load(ours, p->ours_size) |
				      load(theirs, p->theirs_size) << p->shift);
	}
}

/* --- A parser of theirs ----------------------------------------------------------- */

#define MAX_BYTES 65536

struct oracle {
	struct usbredirparser *parser;
	uint32_t caps;	   /* that both sides have */
	const uint8_t *in; /* what it has still to read */
	size_t in_len;
	uint8_t out[MAX_BYTES]; /* what it wrote */
	size_t out_len;
	/* The last callback */
	unsigned int calls;
	bool with_id; /* the callback has an id */
	struct usbredir_msg msg;
	uint8_t data[MAX_BYTES];
};

/* By kind of callback: what is handed over beside priv */
#define FOR_EACH_SENT(PLAIN, HEADER, ID, ID_HEADER, DATA)                      \
	HEADER(DEVICE_CONNECT, device_connect)                                 \
	PLAIN(DEVICE_DISCONNECT, device_disconnect)                            \
	PLAIN(RESET, reset)                                                    \
	HEADER(INTERFACE_INFO, interface_info)                                 \
	HEADER(EP_INFO, ep_info)                                               \
	ID_HEADER(SET_CONFIGURATION, set_configuration)                        \
	ID(GET_CONFIGURATION, get_configuration)                               \
	ID_HEADER(CONFIGURATION_STATUS, configuration_status)                  \
	ID_HEADER(SET_ALT_SETTING, set_alt_setting)                            \
	ID_HEADER(GET_ALT_SETTING, get_alt_setting)                            \
	ID_HEADER(ALT_SETTING_STATUS, alt_setting_status)                      \
	ID_HEADER(START_ISO_STREAM, start_iso_stream)                          \
	ID_HEADER(STOP_ISO_STREAM, stop_iso_stream)                            \
	ID_HEADER(ISO_STREAM_STATUS, iso_stream_status)                        \
	ID_HEADER(START_INTERRUPT_RECEIVING, start_interrupt_receiving)        \
	ID_HEADER(STOP_INTERRUPT_RECEIVING, stop_interrupt_receiving)          \
	ID_HEADER(INTERRUPT_RECEIVING_STATUS, interrupt_receiving_status)      \
	ID_HEADER(ALLOC_BULK_STREAMS, alloc_bulk_streams)                      \
	ID_HEADER(FREE_BULK_STREAMS, free_bulk_streams)                        \
	ID_HEADER(BULK_STREAMS_STATUS, bulk_streams_status)                    \
	ID(CANCEL_DATA_PACKET, cancel_data_packet)                             \
	PLAIN(FILTER_REJECT, filter_reject)                                    \
	ID_HEADER(START_BULK_RECEIVING, start_bulk_receiving)                  \
	ID_HEADER(STOP_BULK_RECEIVING, stop_bulk_receiving)                    \
	ID_HEADER(BULK_RECEIVING_STATUS, bulk_receiving_status)                \
	DATA(CONTROL_PACKET, control_packet)                                   \
	DATA(BULK_PACKET, bulk_packet)                                         \
	DATA(ISO_PACKET, iso_packet)                                           \
	DATA(INTERRUPT_PACKET, interrupt_packet)                               \
	DATA(BUFFERED_BULK_PACKET, buffered_bulk_packet)
/* and those that the library sends by itself */
#define FOR_EACH_PACKET(PLAIN, HEADER, ID, ID_HEADER, DATA)                    \
	HEADER(HELLO, hello)                                                   \
	PLAIN(DEVICE_DISCONNECT_ACK, device_disconnect_ack)                    \
	FOR_EACH_SENT(PLAIN, HEADER, ID, ID_HEADER, DATA)

static void heard(struct oracle *o, uint32_t type, const void *header)
{
	o->calls++;
	o->with_id = false;
	memset(&o->msg, 0, sizeof(o->msg));
	o->msg.type = type;
	from_theirs(header, o->caps, &o->msg);
}

static void heard_id(struct oracle *o, uint32_t type, uint64_t id,
		     const void *header)
{
	heard(o, type, header);
	o->with_id = true;
	o->msg.id = id;
}

/* Takes data. */
static void heard_data(struct oracle *o, uint32_t type, uint64_t id,
		       const void *header, uint8_t *data, int data_len)
{
	heard_id(o, type, id, header);
	o->msg.data_len = (uint32_t)data_len;
	memcpy(o->data, data ? data : (const uint8_t *)"", o->msg.data_len);
	usbredirparser_free_packet_data(o->parser, data);
}

#define ON_PLAIN(t, name)                                                      \
	static void on_##name(void *priv)                                      \
	{                                                                      \
		heard(priv, USBREDIR_##t, NULL);                               \
	}
#define ON_HEADER(t, name)                                                     \
	static void on_##name(void *priv, struct usb_redir_##name##_header *h) \
	{                                                                      \
		heard(priv, USBREDIR_##t, h);                                  \
	}
#define ON_ID(t, name)                                                         \
	static void on_##name(void *priv, uint64_t id)                         \
	{                                                                      \
		heard_id(priv, USBREDIR_##t, id, NULL);                        \
	}
#define ON_ID_HEADER(t, name)                                                  \
	static void on_##name(void *priv, uint64_t id,                         \
			      struct usb_redir_##name##_header *h)             \
	{                                                                      \
		heard_id(priv, USBREDIR_##t, id, h);                           \
	}
#define ON_DATA(t, name)                                                       \
	static void on_##name(void *priv, uint64_t id,                         \
			      struct usb_redir_##name##_header *h,             \
			      uint8_t *data, int data_len)                     \
	{                                                                      \
		heard_data(priv, USBREDIR_##t, id, h, data, data_len);         \
	}
FOR_EACH_PACKET(ON_PLAIN, ON_HEADER, ON_ID, ON_ID_HEADER, ON_DATA)

/* A filter comes parsed; its text stands for it. */
static void on_filter_filter(void *priv, struct usbredirfilter_rule *rules,
			     int count)
{
	struct oracle *o = priv;
	char *text = usbredirfilter_rules_to_string(rules, count, ",", "|");

	assert_non_null(text);
	heard(o, USBREDIR_FILTER_FILTER, NULL);
	o->msg.data_len = (uint32_t)strlen(text) + 1;
	memcpy(o->data, text, o->msg.data_len);
	usbredirfilter_free(text);
	usbredirfilter_free(rules);
}

static int on_read(void *priv, uint8_t *out, int count)
{
	struct oracle *o = priv;
	size_t n = MIN((size_t)count, o->in_len);

	memcpy(out, o->in, n);
	o->in += n;
	o->in_len -= n;
	return (int)n;
}

static int on_write(void *priv, uint8_t *data, int count)
{
	struct oracle *o = priv;

	assert_true((size_t)count <= sizeof(o->out) - o->out_len);
	memcpy(o->out + o->out_len, data, (size_t)count);
	o->out_len += (size_t)count;
	return count;
}

static void on_log(void *priv, int level, const char *text)
{
	(void)priv;
	(void)level;
	(void)text;
}

/* Feeds one packet, or the beginning of one. Returns what do_read() says. */
static int oracle_feed(struct oracle *o, const uint8_t *bytes, size_t len)
{
	o->in = bytes;
	o->in_len = len;
	o->calls = 0;
	return usbredirparser_do_read(o->parser);
}

/* What it wants to write, into o->out. */
static void oracle_drain(struct oracle *o)
{
	o->out_len = 0;
	while (usbredirparser_has_data_to_write(o->parser))
		assert_int_equal(usbredirparser_do_write(o->parser), 0);
}

/* A parser in role that offers own; its hello is in o->out. */
static void oracle_init(struct oracle *o, enum usbredir_role role, uint32_t own)
{
	struct usbredirparser *p = usbredirparser_create();

	assert_non_null(p);
	o->parser = p;
	o->caps = 0;
	p->priv = o;
	p->log_func = on_log;
	p->read_func = on_read;
	p->write_func = on_write;
	p->filter_filter_func = on_filter_filter;
#define SET(t, name) p->name##_func = on_##name;
	FOR_EACH_PACKET(SET, SET, SET, SET, SET)
	usbredirparser_init(p, "oracle", &own, 1,
			    role == USBREDIR_HOST ? usbredirparser_fl_usb_host
						  : 0);
	oracle_drain(o);
}

static uint32_t peer_caps(struct oracle *o)
{
	uint32_t caps = 0;

	for (int cap = 0; cap < 32; cap++)
		if (usbredirparser_peer_has_cap(o->parser, cap))
			caps |= 1u << cap;
	return caps;
}

static uint32_t own_caps(struct oracle *o)
{
	uint32_t caps = 0;

	for (int cap = 0; cap < 32; cap++)
		if (usbredirparser_have_cap(o->parser, cap))
			caps |= 1u << cap;
	return caps;
}

/* The hello of its peer, which offers caps. */
static void oracle_greet(struct oracle *o, uint32_t caps)
{
	struct usbredir_msg hello = { .type = USBREDIR_HELLO, .data_len = 4 };
	uint8_t packet[USBREDIR_MAX_HEAD + 4];
	size_t len = usbredir_encode(&hello, 0, packet);
	struct span_writer w = span_writer_of(packet + len, 4);

	span_put_le(&w, caps, 4);
	assert_int_equal(oracle_feed(o, packet, len + 4), 0);
	assert_int_equal(o->calls, 1);
	o->caps = own_caps(o) & peer_caps(o);
}

static void oracle_fini(struct oracle *o)
{
	usbredirparser_destroy(o->parser);
}

/* --- Valid packets: ours to them -------------------------------------------------------- */

#define MAX_SAMPLE (USBREDIR_MAX_HEAD + SAMPLE_MAX_DATA)

static size_t encode_sample(const struct usbredir_msg *msg, uint32_t caps,
			    const uint8_t *data, uint8_t *packet)
{
	size_t len = usbredir_encode(msg, caps, packet);

	memcpy(packet + len, data, msg->data_len);
	return len + msg->data_len;
}

/* What a callback leaves out need not be equal. */
static void assert_heard(const struct oracle *o, const struct usbredir_msg *msg,
			 const uint8_t *data)
{
	struct usbredir_msg want;

	memcpy(&want, msg, sizeof(want));
	if (!o->with_id)
		want.id = 0;
	if (msg->type == USBREDIR_HELLO)
		want.data_len = 0;
	assert_memory_equal(&o->msg, &want, sizeof(want));
	assert_memory_equal(o->data, data, want.data_len);
}

static void ours_to_them(struct oracle *o, const struct sample_type *t,
			 enum usbredir_role sender, uint32_t caps,
			 struct rng *rng)
{
	uint8_t packet[MAX_SAMPLE], data[SAMPLE_MAX_DATA];
	struct usbredir_msg msg;
	size_t len;

	sample_make(t, sender, caps, rng, &msg, data);
	len = encode_sample(&msg, caps, data, packet);
	assert_int_equal(oracle_feed(o, packet, len), 0);
	assert_int_equal(o->in_len, 0);
	assert_int_equal(o->calls, 1);
	assert_heard(o, &msg, data);
}

/* They do not hand over the capabilities of a hello, only answer for them. */
static void hello_to_them(enum usbredir_role sender, uint32_t caps,
			  struct rng *rng)
{
	static struct oracle o;
	uint8_t packet[MAX_SAMPLE], data[SAMPLE_MAX_DATA];
	struct usbredir_msg msg;
	size_t len;

	sample_make(&sample_types[0], sender, 0, rng, &msg, data);
	if (msg.data_len)
		data[0] = (uint8_t)caps;
	len = encode_sample(&msg, 0, data, packet);
	oracle_init(&o, sample_peer(sender), 0);
	assert_int_equal(oracle_feed(&o, packet, len), 0);
	assert_int_equal(o.calls, 1);
	assert_heard(&o, &msg, data);
	/* They keep the bits that nobody knows yet. */
	assert_int_equal(peer_caps(&o) & USBREDIR_CAPS_ALL,
			 usbredir_decode_caps(span_of(data, msg.data_len)));
	oracle_fini(&o);
}

static void test_ours_to_them(void **state)
{
	static struct oracle o;
	struct rng rng = { 1 };

	(void)state;
	for (uint32_t set = 0; set <= USBREDIR_CAPS_ALL; set++) {
		for (size_t r = 0; r < ARRAY_SIZE(roles); r++) {
			uint32_t caps = usbredir_caps_sanitize(set);

			hello_to_them(roles[r], caps, &rng);
			oracle_init(&o, sample_peer(roles[r]), caps);
			oracle_greet(&o, caps);
			for (size_t i = 1; i < ARRAY_SIZE(sample_types); i++)
				if (sample_exists(&sample_types[i], roles[r],
						  caps))
					ours_to_them(&o, &sample_types[i],
						     roles[r], caps, &rng);
			oracle_fini(&o);
		}
	}
}

/* --- Valid packets: theirs to us ----------------------------------------------------------- */

union their_header {
	uint8_t bytes[USBREDIR_MAX_TYPE_HEADER];
#define MEMBER(t, name) struct usb_redir_##name##_header name;
#define NO_MEMBER(t, name)
	FOR_EACH_PACKET(NO_MEMBER, MEMBER, NO_MEMBER, MEMBER, MEMBER)
};

static void send_filter(struct oracle *o, const uint8_t *text)
{
	struct usbredirfilter_rule *rules;
	int count;

	assert_int_equal(usbredirfilter_string_to_rules((const char *)text, ",",
							"|", &rules, &count),
			 0);
	usbredirparser_send_filter_filter(o->parser, rules, count);
	usbredirfilter_free(rules);
}

#define SEND_PLAIN(t, name)                                                    \
	case USBREDIR_##t:                                                     \
		usbredirparser_send_##name(o->parser);                         \
		break;
#define SEND_HEADER(t, name)                                                   \
	case USBREDIR_##t:                                                     \
		usbredirparser_send_##name(o->parser, &h.name);                \
		break;
#define SEND_ID(t, name)                                                       \
	case USBREDIR_##t:                                                     \
		usbredirparser_send_##name(o->parser, msg->id);                \
		break;
#define SEND_ID_HEADER(t, name)                                                \
	case USBREDIR_##t:                                                     \
		usbredirparser_send_##name(o->parser, msg->id, &h.name);       \
		break;
#define SEND_DATA(t, name)                                                     \
	case USBREDIR_##t:                                                     \
		usbredirparser_send_##name(o->parser, msg->id, &h.name,        \
					   msg->data_len ? data : NULL,        \
					   (int)msg->data_len);                \
		break;

/* Has the library write msg into o->out. */
static void oracle_send(struct oracle *o, const struct usbredir_msg *msg,
			uint8_t *data)
{
	union their_header h = { 0 };

	to_theirs(msg, &h);
	switch ((enum usbredir_type)msg->type) {
		FOR_EACH_SENT(SEND_PLAIN, SEND_HEADER, SEND_ID, SEND_ID_HEADER,
			      SEND_DATA)
	case USBREDIR_FILTER_FILTER:
		send_filter(o, data);
		break;
	case USBREDIR_HELLO:
	case USBREDIR_DEVICE_DISCONNECT_ACK:
		fail_msg("the library sends it by itself");
	}
	oracle_drain(o);
}

/* Decodes the packet in o->out and leaves its payload in *payload. */
static void decode_out(const struct oracle *o, enum usbredir_role receiver,
		       uint32_t caps, struct usbredir_msg *msg,
		       struct span *payload)
{
	struct span in = span_of(o->out, o->out_len);
	size_t size = usbredir_header_size(caps);
	struct usbredir_header header;
	struct usbredir_layout layout;

	assert_int_equal(usbredir_decode_header(in, caps, &header), 0);
	assert_int_equal(o->out_len, size + header.length);
	assert_int_equal(
		usbredir_check_header(&header, receiver, caps, &layout), 0);
	span_take(&in, size);
	assert_int_equal(
		usbredir_decode(&header, receiver, caps,
				span_of(span_take(&in, layout.type_header),
					layout.type_header),
				msg),
		0);
	*payload = in;
}

/* Whether their packets of a type have an id of the caller's choice */
static bool sends_id(uint32_t type)
{
#define NO_ID(t, name)                                                         \
	case USBREDIR_##t:                                                     \
		return false;
#define WITH_ID(t, name)                                                       \
	case USBREDIR_##t:                                                     \
		return true;
	switch (type) {
		FOR_EACH_PACKET(NO_ID, NO_ID, WITH_ID, WITH_ID, WITH_ID)
	default: /* filter_filter */
		return false;
	}
}

static void theirs_to_us(struct oracle *o, const struct sample_type *t,
			 enum usbredir_role sender, uint32_t caps,
			 struct rng *rng)
{
	struct usbredir_msg msg, out;
	uint8_t data[SAMPLE_MAX_DATA];
	struct span payload;

	sample_make(t, sender, caps, rng, &msg, data);
	if (!sends_id(t->type))
		msg.id = 0;
	oracle_send(o, &msg, data);
	decode_out(o, sample_peer(sender), caps, &out, &payload);
	assert_memory_equal(&out, &msg, sizeof(msg));
	assert_int_equal(payload.len, msg.data_len);
	assert_memory_equal(payload.p, data, msg.data_len);
	if (t->type == USBREDIR_FILTER_FILTER)
		assert_int_equal(usbredir_check_filter(payload), 0);
}

static void hello_to_us(const struct oracle *o, enum usbredir_role sender,
			uint32_t caps)
{
	struct usbredir_msg msg;
	struct span payload;

	decode_out(o, sample_peer(sender), 0, &msg, &payload);
	assert_string_equal((const char *)msg.hello.version, "oracle");
	/* They answer device_disconnect by themselves, so offer that too. */
	if (sender == USBREDIR_GUEST)
		caps |= USBREDIR_CAP_DEVICE_DISCONNECT_ACK;
	assert_int_equal(usbredir_decode_caps(payload), caps);
}

static void test_theirs_to_us(void **state)
{
	static struct oracle o;
	struct rng rng = { 2 };

	(void)state;
	for (uint32_t set = 0; set <= USBREDIR_CAPS_ALL; set++) {
		for (size_t r = 0; r < ARRAY_SIZE(roles); r++) {
			uint32_t caps = usbredir_caps_sanitize(set);

			oracle_init(&o, roles[r], caps);
			hello_to_us(&o, roles[r], caps);
			oracle_greet(&o, caps);
			for (size_t i = 1; i < ARRAY_SIZE(sample_types); i++) {
				const struct sample_type *t = &sample_types[i];

				/* The library sends it, its callers cannot. */
				if (t->type == USBREDIR_DEVICE_DISCONNECT_ACK)
					continue;
				if (sample_exists(t, roles[r], caps))
					theirs_to_us(&o, t, roles[r], caps,
						     &rng);
			}
			oracle_fini(&o);
		}
	}
}

/* The one packet that the library sends by itself */
static void test_their_disconnect_ack(void **state)
{
	struct usbredir_msg msg = { .type = USBREDIR_DEVICE_DISCONNECT };
	uint32_t caps = USBREDIR_CAPS_ALL;
	uint8_t packet[USBREDIR_MAX_HEAD];
	static struct oracle o;
	struct span payload;

	(void)state;
	oracle_init(&o, USBREDIR_GUEST, caps);
	oracle_greet(&o, caps);
	assert_int_equal(
		oracle_feed(&o, packet, usbredir_encode(&msg, caps, packet)),
		0);
	oracle_drain(&o);
	decode_out(&o, USBREDIR_HOST, caps, &msg, &payload);
	assert_int_equal(msg.type, USBREDIR_DEVICE_DISCONNECT_ACK);
	oracle_fini(&o);
}

/* --- Damaged packets ------------------------------------------------------------------------- */

#define TRIALS 250000
#define MAX_FED 20480 /* more of a packet is not fed: its end never comes */

enum verdict {
	TAKEN,
	REFUSED,
	UNDECIDED, /* the payload is still to come */
};

static const char *const verdict_names[] = { "take", "refuse", "wait for" };

/* One packet and its receiver. */
struct trial {
	enum usbredir_role receiver;
	bool greeted;	    /* both hellos are behind us; if not, caps is 0 */
	uint32_t own, peer; /* capabilities that the receiver, its peer has */
	uint32_t caps;	    /* those that both have */
	struct usbredir_header header;
	uint8_t bytes[USBREDIR_MAX_HEADER + MAX_FED];
	size_t len;
	/* What came of it */
	enum verdict ours, theirs;
	struct usbredir_msg msg; /* ours, when we take it */
	struct span payload;
};

static enum verdict judge_ours(struct trial *t)
{
	struct span in = span_of(t->bytes, t->len);
	struct usbredir_layout layout;

	span_take(&in, usbredir_header_size(t->caps));
	if (usbredir_check_header(&t->header, t->receiver, t->caps, &layout) <
	    0)
		return REFUSED;
	if (usbredir_decode(&t->header, t->receiver, t->caps,
			    span_of(span_take(&in, layout.type_header),
				    layout.type_header),
			    &t->msg) < 0)
		return REFUSED;
	if (in.len < layout.data)
		return UNDECIDED;
	t->payload = in;
	if (t->header.type == USBREDIR_FILTER_FILTER &&
	    usbredir_check_filter(in) < 0)
		return REFUSED;
	return TAKEN;
}

static enum verdict judge_theirs(const struct trial *t, struct oracle *o)
{
	int ret;

	oracle_init(o, t->receiver, t->own);
	if (t->greeted)
		oracle_greet(o, t->peer);
	ret = oracle_feed(o, t->bytes, t->len);
	oracle_fini(o);
	if (o->calls)
		return TAKEN;
	if (ret == usbredirparser_read_parse_error)
		return REFUSED;
	assert_int_equal(ret, 0);
	if (t->header.length > MAX_FED)
		return UNDECIDED;
	/* Read whole and dropped: a filter that is not one, a second hello */
	return REFUSED;
}

/* --- Where the two may differ, and why --- */

static bool is_transfer(const struct trial *t)
{
	return t->header.type >= USBREDIR_CONTROL_PACKET;
}

/* A byte of the type header */
static uint8_t type_header_at(const struct trial *t, size_t offset)
{
	return t->bytes[usbredir_header_size(t->caps) + offset];
}

static uint8_t transfer_endpoint(const struct trial *t)
{
	return type_header_at(
		t, t->header.type == USBREDIR_BUFFERED_BULK_PACKET ? 8 : 0);
}

static const struct sample_type *sample_type_of(uint32_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(sample_types); i++)
		if (sample_types[i].type == type)
			return &sample_types[i];
	return NULL;
}

static bool disconnect_from_guest(const struct trial *t)
{
	return t->header.type == USBREDIR_DEVICE_DISCONNECT &&
	       t->receiver == USBREDIR_HOST;
}

static bool streams_without_cap(const struct trial *t)
{
	return t->header.type >= USBREDIR_ALLOC_BULK_STREAMS &&
	       t->header.type <= USBREDIR_BULK_STREAMS_STATUS &&
	       !(t->caps & USBREDIR_CAP_BULK_STREAMS);
}

static bool cap_of_receiver_only(const struct trial *t)
{
	const struct sample_type *type = sample_type_of(t->header.type);

	return type && (t->own & ~t->caps & type->cap);
}

static bool second_hello(const struct trial *t)
{
	return t->header.type == USBREDIR_HELLO && t->greeted;
}

static bool hello_of_part_words(const struct trial *t)
{
	return t->header.type == USBREDIR_HELLO && t->header.length % 4;
}

static bool hello_too_long(const struct trial *t)
{
	return t->header.type == USBREDIR_HELLO &&
	       t->header.length > 64 + 4 * USBREDIR_MAX_CAPS_WORDS;
}

static bool reserved_endpoint_bits(const struct trial *t)
{
	return is_transfer(t) && (transfer_endpoint(t) & 0x70);
}

static bool filter_too_long(const struct trial *t)
{
	return t->header.type == USBREDIR_FILTER_FILTER &&
	       t->header.length > USBREDIR_MAX_FILTER;
}

static bool filter_characters(const struct trial *t)
{
	size_t size = usbredir_header_size(t->caps);

	return t->header.type == USBREDIR_FILTER_FILTER &&
	       usbredir_check_filter(span_of(t->bytes + size, t->len - size)) <
		       0;
}

static bool filter(const struct trial *t)
{
	return t->header.type == USBREDIR_FILTER_FILTER;
}

static uint32_t transfer_length(const struct trial *t)
{
	struct span in = span_of(t->bytes, t->len);
	bool high = t->header.type == USBREDIR_BULK_PACKET &&
		    (t->caps & USBREDIR_CAP_32BITS_BULK_LENGTH);
	uint32_t length;

	span_take(&in, usbredir_header_size(t->caps));
	if (t->header.type == USBREDIR_BUFFERED_BULK_PACKET)
		span_take(&in, 4); /* stream_id */
	else
		span_take(&in,
			  t->header.type == USBREDIR_CONTROL_PACKET ? 8 : 2);
	if (t->header.type == USBREDIR_BUFFERED_BULK_PACKET)
		return (uint32_t)span_le(&in, 4);
	length = (uint32_t)span_le(&in, 2);
	span_take(&in, 4); /* a bulk packet's stream_id */
	return high ? length | (uint32_t)span_le(&in, 2) << 16 : length;
}

/* Refused before its payload is in, and rightly: no payload could help. */
static bool never_valid(const struct trial *t)
{
	const struct sample_type *type = sample_type_of(t->header.type);

	if (t->header.length > USBREDIR_MAX_LENGTH || !type)
		return false; /* they do not wait for those either */
	if (type->cap && !(t->caps & type->cap))
		return true;
	if (is_transfer(t))
		return t->header.length - sample_size(type, t->caps) !=
		       transfer_length(t);
	return hello_too_long(t) || hello_of_part_words(t) ||
	       filter_too_long(t);
}

static struct difference {
	const char *what;
	const char *why;
	enum verdict ours, theirs;
	bool (*applies)(const struct trial *t);
	unsigned int count;
} differences[] = {
	{ "device_disconnect from a guest",
	  "By the text only hosts send it. It is clear what a guest means that "
	  "does, and no length depends on it.",
	  TAKEN, REFUSED, disconnect_from_guest },
	{ "a second hello",
	  "They ignore it. Here the session does, which knows the first one.",
	  TAKEN, REFUSED, second_hello },
	{ "bulk streams without the capability",
	  "They check no capability for packets 18 to 20. A device here has no "
	  "streams then.",
	  REFUSED, TAKEN, streams_without_cap },
	{ "a capability that only the receiver has",
	  "They ask only what the receiver offered. The text allows a packet "
	  "when both sides have its capability.",
	  REFUSED, TAKEN, cap_of_receiver_only },
	{ "a hello with more than 64 words",
	  "They allow 128 MiB. We bound what comes before anything is known of "
	  "the peer.",
	  REFUSED, TAKEN, hello_too_long },
	{ "a hello whose capabilities are not whole words",
	  "They drop the rest of the division. Nobody sends it.", REFUSED,
	  TAKEN, hello_of_part_words },
	{ "reserved bits in the endpoint of a transfer",
	  "They leave it to the caller. USB has bits 4 to 6 at zero.", REFUSED,
	  TAKEN, reserved_endpoint_bits },
	{ "a filter of more than 16 KiB",
	  "They allow 128 MiB. We log filters, and bound what we keep.",
	  REFUSED, TAKEN, filter_too_long },
	{ "a filter with other characters",
	  "They read numbers by strtol(), so take blanks, signs and octal "
	  "prefixes, and stop at an embedded zero. We log the text, so take "
	  "the characters that the syntax has.",
	  REFUSED, TAKEN, filter_characters },
	{ "a filter that is no list of rules",
	  "They parse it and drop it when that fails. We only look at its "
	  "characters, since we do not act on it.",
	  TAKEN, REFUSED, filter },
	{ "a packet that cannot become valid",
	  "They check fields when all of the payload is in. We do at the type "
	  "header, before there is memory for the payload.",
	  REFUSED, UNDECIDED, never_valid },
};

static const char *verdict_name(enum verdict v)
{
	return verdict_names[v];
}

static void fail_unexplained(const struct trial *t)
{
	print_error("receiver %s, capabilities %02x of %02x and %02x:\n",
		    t->receiver == USBREDIR_HOST ? "host" : "guest", t->caps,
		    t->own, t->peer);
	for (size_t i = 0; i < MIN(t->len, 64); i++)
		print_error("%02x%s", t->bytes[i], i % 4 == 3 ? " " : "");
	fail_msg("%s, length %u: we %s it, they %s it",
		 usbredir_type_name(t->header.type), t->header.length,
		 verdict_name(t->ours), verdict_name(t->theirs));
}

static void explain(const struct trial *t)
{
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
		struct difference *d = &differences[i];

		if (d->ours == t->ours && d->theirs == t->theirs &&
		    d->applies(t)) {
			d->count++;
			return;
		}
	}
	fail_unexplained(t);
}

/* --- How packets are damaged --- */

static uint32_t strange_length(struct rng *rng, uint32_t length)
{
	static const uint32_t near[] = { 0,
					 1,
					 USBREDIR_MAX_FILTER,
					 USBREDIR_MAX_FILTER + 1,
					 64 + 4 * USBREDIR_MAX_CAPS_WORDS + 4,
					 0xffff };
	static const uint32_t far[] = {
		USBREDIR_MAX_BULK,   USBREDIR_MAX_BULK + 8,
		USBREDIR_MAX_LENGTH, USBREDIR_MAX_LENGTH + 1,
		0x7fffffff,	     0x80000000,
		0xffffffff
	};

	switch (rng_below(rng, 32)) {
	case 0: /* seldom: they allocate what they are told, up to 128 MiB */
		return far[rng_below(rng, ARRAY_SIZE(far))];
	case 1 ... 7:
		return near[rng_below(rng, ARRAY_SIZE(near))];
	case 8 ... 15:
		return length + 4;
	default:
		return length + rng_below(rng, 17) - 8;
	}
}

static uint8_t strange_byte(struct rng *rng, uint8_t old)
{
	static const uint8_t bytes[] = { 0,    1,    2,	   0x7f, 0x80, 0x81,
					 0xff, 0x10, 0x20, '-',	 ',',  '|',
					 '0',  '9',  'a',  ' ',	 '+' };

	switch (rng_below(rng, 3)) {
	case 0:
		return (uint8_t)(old ^ (1u << rng_below(rng, 8)));
	case 1:
		return bytes[rng_below(rng, ARRAY_SIZE(bytes))];
	default:
		return (uint8_t)rng_next(rng);
	}
}

static void set_le32(uint8_t *at, uint32_t v)
{
	struct span_writer w = span_writer_of(at, 4);

	span_put_le(&w, v, 4);
}

static void damage(struct trial *t, struct rng *rng, size_t len)
{
	struct span in = span_of(t->bytes, 8);
	uint32_t at;

	span_take(&in, 4);
	switch (rng_below(rng, 6)) {
	case 0: /* lengths decide the most */
		set_le32(t->bytes + 4,
			 strange_length(rng, (uint32_t)span_le(&in, 4)));
		break;
	case 1:
		set_le32(t->bytes, rng_below(rng, 110));
		break;
	case 2:
		t->receiver = sample_peer(t->receiver);
		break;
	case 3:
		t->own ^= 1u << rng_below(rng, 8);
		break;
	case 4:
		t->peer ^= 1u << rng_below(rng, 8);
		break;
	default: /* the beginning, mostly: there the fields are */
		at = rng_below(rng, rng_below(rng, 2) ? MIN(len, 48) : len);
		t->bytes[at] = strange_byte(rng, t->bytes[at]);
		break;
	}
}

/* A valid packet, then one or two things about it or its receiver changed */
static void make_trial(struct trial *t, struct rng *rng)
{
	const struct sample_type *type;
	enum usbredir_role sender;
	uint8_t data[SAMPLE_MAX_DATA];
	struct usbredir_msg msg;
	uint32_t caps;
	size_t len;

	do {
		type = &sample_types[rng_below(rng, ARRAY_SIZE(sample_types))];
		sender = roles[rng_below(rng, 2)];
		caps = usbredir_caps_sanitize((uint32_t)rng_next(rng));
		t->greeted = type->type != USBREDIR_HELLO;
		if (!t->greeted)
			caps = 0;
	} while (!sample_exists(type, sender, caps));
	t->receiver = sample_peer(sender);
	t->own = t->peer = caps;
	memset(t->bytes, 0, sizeof(t->bytes));
	sample_make(type, sender, caps, rng, &msg, data);
	len = encode_sample(&msg, caps, data, t->bytes);
	for (uint32_t n = 1 + rng_below(rng, 2); n; n--)
		damage(t, rng, len);
}

/* What both would read: capabilities and length may have become others. */
static void cut_trial(struct trial *t)
{
	t->own = usbredir_caps_sanitize(t->own);
	t->peer = usbredir_caps_sanitize(t->peer);
	if (t->receiver == USBREDIR_GUEST) /* as the library does itself */
		t->own |= USBREDIR_CAP_DEVICE_DISCONNECT_ACK;
	t->caps = t->greeted ? t->own & t->peer : 0;
	assert_int_equal(
		usbredir_decode_header(span_of(t->bytes, USBREDIR_MAX_HEADER),
				       t->caps, &t->header),
		0);
	t->len = usbredir_header_size(t->caps) + MIN(t->header.length, MAX_FED);
}

static void print_differences(unsigned int same, unsigned int taken)
{
	print_message("%u damaged packets: %u judged alike, %u of them valid\n",
		      TRIALS, same, taken);
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++) {
		const struct difference *d = &differences[i];

		print_message("%6u  %s: we %s it, they %s it\n", d->count,
			      d->what, verdict_name(d->ours),
			      verdict_name(d->theirs));
	}
}

static void test_damaged(void **state)
{
	static struct oracle o;
	static struct trial t;
	struct rng rng = { 3 };
	unsigned int same = 0, taken = 0;

	(void)state;
	for (unsigned int n = 0; n < TRIALS; n++) {
		make_trial(&t, &rng);
		cut_trial(&t);
		t.ours = judge_ours(&t);
		t.theirs = judge_theirs(&t, &o);
		if (t.ours != t.theirs) {
			explain(&t);
			continue;
		}
		same++;
		if (t.ours != TAKEN)
			continue;
		taken++;
		/* They hand over rules, which have several spellings. */
		if (t.header.type != USBREDIR_FILTER_FILTER)
			assert_heard(&o, &t.msg, t.payload.p);
	}
	print_differences(same, taken);
	/* A difference that is none any more has no place in the table. */
	for (size_t i = 0; i < ARRAY_SIZE(differences); i++)
		if (!differences[i].count)
			fail_msg("never seen: %s", differences[i].what);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ours_to_them),
		cmocka_unit_test(test_theirs_to_us),
		cmocka_unit_test(test_their_disconnect_ack),
		cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
