// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One row a packet type: who sends it, what it needs, its fields in wire
 * order, and what payload may follow. Everything else walks the rows.
 */
#include "wire/usbredir.h"

#include <assert.h>
#include <errno.h>

enum payload {
	PAYLOAD_NONE,
	PAYLOAD_CAPS,	  /* hello: words of capabilities */
	PAYLOAD_TEXT,	  /* filter */
	PAYLOAD_TRANSFER, /* by direction of the endpoint */
};

#define FROM_HOST 1
#define FROM_GUEST 2
#define FROM_BOTH (FROM_HOST | FROM_GUEST)

struct field {
	uint16_t offset; /* in struct usbredir_msg */
	uint8_t size;	 /* of one element in the struct */
	uint8_t width;	 /* of one element on the wire */
	uint8_t count;
	uint8_t cap;   /* present only with this capability; 0: always */
	uint8_t shift; /* the wire carries these bits of the value upwards */
};

struct row {
	const char *name;
	uint8_t from;
	uint8_t cap;	 /* the packet needs this capability; 0: none */
	uint8_t payload; /* enum payload */
	uint32_t max_payload;
	const struct field *fields;
	size_t nfields;
};

#define ELEM_SIZE(m) sizeof(((struct usbredir_msg *)0)->m)
#define AT(m) (uint16_t) offsetof(struct usbredir_msg, m)

#define U(m, w)                                                                \
	{                                                                      \
		.offset = AT(m), .size = (uint8_t)ELEM_SIZE(m), .width = w,    \
		.count = 1                                                     \
	}
#define U8(m) U(m, 1)
#define U16(m) U(m, 2)
#define U32(m) U(m, 4)
#define U16_CAP(m, c, s)                                                       \
	{                                                                      \
		.offset = AT(m), .size = (uint8_t)ELEM_SIZE(m), .width = 2,    \
		.count = 1, .cap = c, .shift = s                               \
	}
#define ARRAY(m, n, c)                                                         \
	{                                                                      \
		.offset = AT(m), .size = (uint8_t)ELEM_SIZE(m[0]),             \
		.width = (uint8_t)ELEM_SIZE(m[0]), .count = n, .cap = c        \
	}

static const struct field f_hello[] = {
	ARRAY(hello.version, USBREDIR_VERSION_SIZE, 0),
};
static const struct field f_device_connect[] = {
	U8(device_connect.speed),
	U8(device_connect.device_class),
	U8(device_connect.device_subclass),
	U8(device_connect.device_protocol),
	U16(device_connect.vendor_id),
	U16(device_connect.product_id),
	U16_CAP(device_connect.device_version_bcd,
		USBREDIR_CAP_CONNECT_DEVICE_VERSION, 0),
};
static const struct field f_interface_info[] = {
	U32(interface_info.count),
	ARRAY(interface_info.interface, USBREDIR_SLOTS, 0),
	ARRAY(interface_info.interface_class, USBREDIR_SLOTS, 0),
	ARRAY(interface_info.interface_subclass, USBREDIR_SLOTS, 0),
	ARRAY(interface_info.interface_protocol, USBREDIR_SLOTS, 0),
};
static const struct field f_ep_info[] = {
	ARRAY(ep_info.type, USBREDIR_SLOTS, 0),
	ARRAY(ep_info.interval, USBREDIR_SLOTS, 0),
	ARRAY(ep_info.interface, USBREDIR_SLOTS, 0),
	ARRAY(ep_info.max_packet_size, USBREDIR_SLOTS,
	      USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE),
	ARRAY(ep_info.max_streams, USBREDIR_SLOTS, USBREDIR_CAP_BULK_STREAMS),
};
static const struct field f_set_configuration[] = {
	U8(configuration.configuration),
};
static const struct field f_configuration_status[] = {
	U8(configuration.status),
	U8(configuration.configuration),
};
static const struct field f_set_alt_setting[] = {
	U8(alt_setting.interface),
	U8(alt_setting.alt),
};
static const struct field f_get_alt_setting[] = {
	U8(alt_setting.interface),
};
static const struct field f_alt_setting_status[] = {
	U8(alt_setting.status),
	U8(alt_setting.interface),
	U8(alt_setting.alt),
};
static const struct field f_start_iso_stream[] = {
	U8(iso_stream.endpoint),
	U8(iso_stream.pkts_per_urb),
	U8(iso_stream.no_urbs),
};
static const struct field f_stop_iso_stream[] = {
	U8(iso_stream.endpoint),
};
static const struct field f_iso_stream_status[] = {
	U8(iso_stream.status),
	U8(iso_stream.endpoint),
};
static const struct field f_interrupt_receiving[] = {
	U8(interrupt_receiving.endpoint),
};
static const struct field f_interrupt_receiving_status[] = {
	U8(interrupt_receiving.status),
	U8(interrupt_receiving.endpoint),
};
static const struct field f_alloc_bulk_streams[] = {
	U32(bulk_streams.endpoints),
	U32(bulk_streams.no_streams),
};
static const struct field f_free_bulk_streams[] = {
	U32(bulk_streams.endpoints),
};
static const struct field f_bulk_streams_status[] = {
	U32(bulk_streams.endpoints),
	U32(bulk_streams.no_streams),
	U8(bulk_streams.status),
};
static const struct field f_start_bulk_receiving[] = {
	U32(bulk_receiving.stream_id),
	U32(bulk_receiving.bytes_per_transfer),
	U8(bulk_receiving.endpoint),
	U8(bulk_receiving.no_transfers),
};
static const struct field f_stop_bulk_receiving[] = {
	U32(bulk_receiving.stream_id),
	U8(bulk_receiving.endpoint),
};
static const struct field f_bulk_receiving_status[] = {
	U32(bulk_receiving.stream_id),
	U8(bulk_receiving.endpoint),
	U8(bulk_receiving.status),
};
static const struct field f_control[] = {
	U8(control.endpoint), U8(control.request), U8(control.requesttype),
	U8(control.status),   U16(control.value),  U16(control.index),
	U16(control.length),
};
static const struct field f_bulk[] = {
	U8(transfer.endpoint),
	U8(transfer.status),
	U16(transfer.length),
	U32(transfer.stream_id),
	U16_CAP(transfer.length, USBREDIR_CAP_32BITS_BULK_LENGTH, 16),
};
static const struct field f_iso_or_interrupt[] = {
	U8(transfer.endpoint),
	U8(transfer.status),
	U16(transfer.length),
};
static const struct field f_buffered_bulk[] = {
	U32(transfer.stream_id),
	U32(transfer.length),
	U8(transfer.endpoint),
	U8(transfer.status),
};

#define FIELDS(f) .fields = f, .nfields = ARRAY_SIZE(f)

static const struct row control_rows[] = {
	[USBREDIR_HELLO] = { "hello", FROM_BOTH, 0, PAYLOAD_CAPS,
			     4 * USBREDIR_MAX_CAPS_WORDS, FIELDS(f_hello) },
	[USBREDIR_DEVICE_CONNECT] = { "device_connect", FROM_HOST,
				      FIELDS(f_device_connect) },
	/* By the text only hosts send it; we forgive a guest that does. */
	[USBREDIR_DEVICE_DISCONNECT] = { "device_disconnect", FROM_BOTH },
	[USBREDIR_RESET] = { "reset", FROM_GUEST },
	[USBREDIR_INTERFACE_INFO] = { "interface_info", FROM_HOST,
				      FIELDS(f_interface_info) },
	[USBREDIR_EP_INFO] = { "ep_info", FROM_HOST, FIELDS(f_ep_info) },
	[USBREDIR_SET_CONFIGURATION] = { "set_configuration", FROM_GUEST,
					 FIELDS(f_set_configuration) },
	[USBREDIR_GET_CONFIGURATION] = { "get_configuration", FROM_GUEST },
	[USBREDIR_CONFIGURATION_STATUS] = { "configuration_status", FROM_HOST,
					    FIELDS(f_configuration_status) },
	[USBREDIR_SET_ALT_SETTING] = { "set_alt_setting", FROM_GUEST,
				       FIELDS(f_set_alt_setting) },
	[USBREDIR_GET_ALT_SETTING] = { "get_alt_setting", FROM_GUEST,
				       FIELDS(f_get_alt_setting) },
	[USBREDIR_ALT_SETTING_STATUS] = { "alt_setting_status", FROM_HOST,
					  FIELDS(f_alt_setting_status) },
	[USBREDIR_START_ISO_STREAM] = { "start_iso_stream", FROM_GUEST,
					FIELDS(f_start_iso_stream) },
	[USBREDIR_STOP_ISO_STREAM] = { "stop_iso_stream", FROM_GUEST,
				       FIELDS(f_stop_iso_stream) },
	[USBREDIR_ISO_STREAM_STATUS] = { "iso_stream_status", FROM_HOST,
					 FIELDS(f_iso_stream_status) },
	[USBREDIR_START_INTERRUPT_RECEIVING] = { "start_interrupt_receiving",
						 FROM_GUEST,
						 FIELDS(f_interrupt_receiving) },
	[USBREDIR_STOP_INTERRUPT_RECEIVING] = { "stop_interrupt_receiving",
						FROM_GUEST,
						FIELDS(f_interrupt_receiving) },
	[USBREDIR_INTERRUPT_RECEIVING_STATUS] = { "interrupt_receiving_status",
						  FROM_HOST,
						  FIELDS(f_interrupt_receiving_status) },
	[USBREDIR_ALLOC_BULK_STREAMS] = { "alloc_bulk_streams", FROM_GUEST,
					  USBREDIR_CAP_BULK_STREAMS,
					  FIELDS(f_alloc_bulk_streams) },
	[USBREDIR_FREE_BULK_STREAMS] = { "free_bulk_streams", FROM_GUEST,
					 USBREDIR_CAP_BULK_STREAMS,
					 FIELDS(f_free_bulk_streams) },
	[USBREDIR_BULK_STREAMS_STATUS] = { "bulk_streams_status", FROM_HOST,
					   USBREDIR_CAP_BULK_STREAMS,
					   FIELDS(f_bulk_streams_status) },
	[USBREDIR_CANCEL_DATA_PACKET] = { "cancel_data_packet", FROM_GUEST },
	[USBREDIR_FILTER_REJECT] = { "filter_reject", FROM_GUEST,
				     USBREDIR_CAP_FILTER },
	[USBREDIR_FILTER_FILTER] = { "filter_filter", FROM_BOTH,
				     USBREDIR_CAP_FILTER, PAYLOAD_TEXT,
				     USBREDIR_MAX_FILTER },
	[USBREDIR_DEVICE_DISCONNECT_ACK] = { "device_disconnect_ack",
					     FROM_GUEST,
					     USBREDIR_CAP_DEVICE_DISCONNECT_ACK },
	[USBREDIR_START_BULK_RECEIVING] = { "start_bulk_receiving", FROM_GUEST,
					    USBREDIR_CAP_BULK_RECEIVING,
					    FIELDS(f_start_bulk_receiving) },
	[USBREDIR_STOP_BULK_RECEIVING] = { "stop_bulk_receiving", FROM_GUEST,
					   USBREDIR_CAP_BULK_RECEIVING,
					   FIELDS(f_stop_bulk_receiving) },
	[USBREDIR_BULK_RECEIVING_STATUS] = { "bulk_receiving_status", FROM_HOST,
					     USBREDIR_CAP_BULK_RECEIVING,
					     FIELDS(f_bulk_receiving_status) },
};

static const struct row data_rows[] = {
	{ "control_packet", FROM_BOTH, 0, PAYLOAD_TRANSFER, UINT16_MAX,
	  FIELDS(f_control) },
	{ "bulk_packet", FROM_BOTH, 0, PAYLOAD_TRANSFER, USBREDIR_MAX_BULK,
	  FIELDS(f_bulk) },
	{ "iso_packet", FROM_BOTH, 0, PAYLOAD_TRANSFER, UINT16_MAX,
	  FIELDS(f_iso_or_interrupt) },
	{ "interrupt_packet", FROM_BOTH, 0, PAYLOAD_TRANSFER, UINT16_MAX,
	  FIELDS(f_iso_or_interrupt) },
	{ "buffered_bulk_packet", FROM_HOST, USBREDIR_CAP_BULK_RECEIVING,
	  PAYLOAD_TRANSFER, USBREDIR_MAX_BULK, FIELDS(f_buffered_bulk) },
};

static const struct row *row_of(uint32_t type)
{
	if (type < ARRAY_SIZE(control_rows))
		return &control_rows[type];
	if (type - USBREDIR_CONTROL_PACKET < ARRAY_SIZE(data_rows))
		return &data_rows[type - USBREDIR_CONTROL_PACKET];
	return NULL;
}

static bool field_present(const struct field *f, uint32_t caps)
{
	return !f->cap || (caps & f->cap);
}

static uint32_t type_header_size(const struct row *row, uint32_t caps)
{
	uint32_t size = 0;

	for (size_t i = 0; i < row->nfields; i++)
		if (field_present(&row->fields[i], caps))
			size += (uint32_t)row->fields[i].width *
				row->fields[i].count;
	return size;
}

const char *usbredir_type_name(uint32_t type)
{
	const struct row *row = row_of(type);

	return row ? row->name : "unknown";
}

uint32_t usbredir_caps_sanitize(uint32_t caps)
{
	if (!(caps & USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE))
		caps &= ~USBREDIR_CAP_BULK_STREAMS;
	return caps & USBREDIR_CAPS_ALL;
}

size_t usbredir_header_size(uint32_t caps)
{
	return caps & USBREDIR_CAP_64BITS_IDS ? 16 : 12;
}

int usbredir_decode_header(struct span in, uint32_t caps,
			   struct usbredir_header *header)
{
	header->type = (uint32_t)span_le(&in, 4);
	header->length = (uint32_t)span_le(&in, 4);
	header->id = span_le(&in, usbredir_header_size(caps) - 8);
	return span_ok(&in) ? 0 : -EPROTO;
}

int usbredir_check_header(const struct usbredir_header *header,
			  enum usbredir_role role, uint32_t caps,
			  struct usbredir_layout *layout)
{
	const struct row *row = row_of(header->type);
	uint8_t sender = role == USBREDIR_HOST ? FROM_GUEST : FROM_HOST;
	uint32_t size;

	if (header->length > USBREDIR_MAX_LENGTH)
		return -EMSGSIZE;
	if (!row)
		return -ENOSYS;
	if (!(row->from & sender))
		return -EPROTO;
	if (row->cap && !(caps & row->cap))
		return -EPROTO;
	size = type_header_size(row, caps);
	if (header->length < size || header->length - size > row->max_payload)
		return -EPROTO;
	if (row->payload == PAYLOAD_CAPS && (header->length - size) % 4)
		return -EPROTO;
	layout->type_header = size;
	layout->data = header->length - size;
	return 0;
}

/* All members of the union are naturally aligned unsigned integers. */
static void field_store(uint8_t *at, size_t size, uint64_t v)
{
	uint8_t v8 = (uint8_t)v;
	uint16_t v16 = (uint16_t)v;
	uint32_t v32 = (uint32_t)v;

	memcpy(at,
	       size == 1   ? (void *)&v8
	       : size == 2 ? (void *)&v16
			   : &v32,
	       size);
}

static uint32_t field_load(const uint8_t *at, size_t size)
{
	uint8_t v8;
	uint16_t v16;
	uint32_t v32;

	if (size == 1) {
		memcpy(&v8, at, 1);
		return v8;
	}
	if (size == 2) {
		memcpy(&v16, at, 2);
		return v16;
	}
	memcpy(&v32, at, 4);
	return v32;
}

/* Which way the data of a transfer goes is in the endpoint's top bit. */
static int check_transfer(const struct usbredir_msg *msg,
			  enum usbredir_role role)
{
	bool control = msg->type == USBREDIR_CONTROL_PACKET;
	uint8_t ep = control ? msg->control.endpoint : msg->transfer.endpoint;
	uint32_t length = control ? msg->control.length : msg->transfer.length;
	bool carries = (ep & 0x80) ? role == USBREDIR_GUEST
				   : role == USBREDIR_HOST;

	if (ep & 0x70)
		return -EPROTO;
	if (length > USBREDIR_MAX_BULK)
		return -EPROTO;
	/* Nobody asks for these or answers them: they go with their data. */
	if (!carries && (msg->type == USBREDIR_ISO_PACKET ||
			 msg->type == USBREDIR_BUFFERED_BULK_PACKET))
		return -EPROTO;
	/* Interrupt IN comes by start_interrupt_receiving, not on demand. */
	if (!carries && msg->type == USBREDIR_INTERRUPT_PACKET &&
	    role == USBREDIR_HOST)
		return -EPROTO;
	return msg->data_len == (carries ? length : 0) ? 0 : -EPROTO;
}

static int check_fields(const struct usbredir_msg *msg, enum usbredir_role role)
{
	switch (msg->type) {
	case USBREDIR_INTERFACE_INFO:
		return msg->interface_info.count <= USBREDIR_SLOTS ? 0
								   : -EPROTO;
	case USBREDIR_START_INTERRUPT_RECEIVING:
	case USBREDIR_STOP_INTERRUPT_RECEIVING:
	case USBREDIR_INTERRUPT_RECEIVING_STATUS:
		/* Section "usb_redir_start_interrupt_receiving": IN only. */
		return msg->interrupt_receiving.endpoint & 0x80 ? 0 : -EPROTO;
	case USBREDIR_START_BULK_RECEIVING:
		if (msg->bulk_receiving.bytes_per_transfer > USBREDIR_MAX_BULK)
			return -EPROTO;
		return msg->bulk_receiving.endpoint & 0x80 ? 0 : -EPROTO;
	case USBREDIR_STOP_BULK_RECEIVING:
	case USBREDIR_BULK_RECEIVING_STATUS:
		return msg->bulk_receiving.endpoint & 0x80 ? 0 : -EPROTO;
	case USBREDIR_CONTROL_PACKET:
	case USBREDIR_BULK_PACKET:
	case USBREDIR_ISO_PACKET:
	case USBREDIR_INTERRUPT_PACKET:
	case USBREDIR_BUFFERED_BULK_PACKET:
		return check_transfer(msg, role);
	default:
		return 0;
	}
}

int usbredir_decode(const struct usbredir_header *header,
		    enum usbredir_role role, uint32_t caps,
		    struct span type_header, struct usbredir_msg *msg)
{
	const struct row *row = row_of(header->type);
	uint8_t *base = (uint8_t *)msg;

	if (!row || header->length < type_header.len)
		return -EPROTO;
	memset(msg, 0, sizeof(*msg));
	msg->type = header->type;
	msg->id = header->id;
	msg->data_len = header->length - (uint32_t)type_header.len;
	for (size_t i = 0; i < row->nfields; i++) {
		const struct field *f = &row->fields[i];
		uint8_t *at = base + f->offset;

		if (!field_present(f, caps))
			continue;
		for (size_t n = 0; n < f->count; n++, at += f->size) {
			uint64_t v = span_le(&type_header, f->width)
				     << f->shift;

			if (f->shift)
				v |= field_load(at, f->size);
			field_store(at, f->size, v);
		}
	}
	if (!span_ok(&type_header) || type_header.len)
		return -EPROTO;
	return check_fields(msg, role);
}

uint32_t usbredir_decode_caps(struct span payload)
{
	uint32_t caps = (uint32_t)span_le(&payload, 4);

	return usbredir_caps_sanitize(caps);
}

int usbredir_check_filter(struct span payload)
{
	if (!payload.len || payload.p[payload.len - 1] != '\0')
		return -EPROTO;
	for (size_t i = 0; i + 1 < payload.len; i++)
		if (!payload.p[i] ||
		    !strchr("0123456789abcdefABCDEFxX-,|", payload.p[i]))
			return -EPROTO;
	return 0;
}

size_t usbredir_encode(const struct usbredir_msg *msg, uint32_t caps,
		       uint8_t *out)
{
	const struct row *row = row_of(msg->type);
	struct span_writer w = span_writer_of(out, USBREDIR_MAX_HEAD);
	const uint8_t *base = (const uint8_t *)msg;

	assert(row);
	assert(!row->cap || (caps & row->cap));
	assert(msg->data_len <= row->max_payload);
	/* A hello is sent before anything is agreed on: 32-bit id. */
	if (msg->type == USBREDIR_HELLO)
		caps &= ~USBREDIR_CAP_64BITS_IDS;
	span_put_le(&w, msg->type, 4);
	span_put_le(&w, type_header_size(row, caps) + msg->data_len, 4);
	span_put_le(&w, msg->id, usbredir_header_size(caps) - 8);
	for (size_t i = 0; i < row->nfields; i++) {
		const struct field *f = &row->fields[i];
		const uint8_t *at = base + f->offset;

		if (!field_present(f, caps))
			continue;
		for (size_t n = 0; n < f->count; n++, at += f->size)
			span_put_le(&w, field_load(at, f->size) >> f->shift,
				    f->width);
	}
	assert(!w.bad);
	return w.len;
}

size_t usbredir_encode_hello(const char *version, uint32_t caps, uint8_t *out)
{
	struct usbredir_msg msg = { .type = USBREDIR_HELLO, .data_len = 4 };
	struct span_writer w = span_writer_of(out, USBREDIR_HELLO_SIZE);
	uint8_t head[USBREDIR_MAX_HEAD];

	memcpy(msg.hello.version, version,
	       strnlen(version, sizeof(msg.hello.version) - 1));
	span_put(&w, head, usbredir_encode(&msg, 0, head));
	span_put_le(&w, caps, 4);
	return w.len;
}

enum usbredir_status usbredir_status(int error)
{
	switch (error) {
	case 0:
		return USBREDIR_SUCCESS;
	case -ECANCELED:
		return USBREDIR_CANCELLED;
	case -EPIPE:
		return USBREDIR_STALL;
	case -ETIMEDOUT:
		return USBREDIR_TIMEOUT;
	case -EOVERFLOW:
		return USBREDIR_BABBLE;
	case -EINVAL:
	case -ENOENT:
	case -EMSGSIZE:
		return USBREDIR_INVAL;
	default:
		return USBREDIR_IOERROR;
	}
}

int usbredir_error(uint8_t status)
{
	switch (status) {
	case USBREDIR_SUCCESS:
		return 0;
	case USBREDIR_CANCELLED:
		return -ECANCELED;
	case USBREDIR_INVAL:
		return -EINVAL;
	case USBREDIR_STALL:
		return -EPIPE;
	case USBREDIR_TIMEOUT:
		return -ETIMEDOUT;
	case USBREDIR_BABBLE:
		return -EOVERFLOW;
	default:
		return -EIO;
	}
}
