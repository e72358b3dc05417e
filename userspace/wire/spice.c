// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * One row a message: its smallest and largest body, and how much of it is
 * looked at. What is beyond may be payload.
 */
#include "wire/spice.h"

#define MAGIC "REDQ"
#define MAJOR 2
#define MINOR 2

const char *spice_channel_name(uint8_t type)
{
	static const char *const names[] = {
		[SPICE_CHANNEL_MAIN] = "main",
		[SPICE_CHANNEL_DISPLAY] = "display",
		[SPICE_CHANNEL_INPUTS] = "inputs",
		[SPICE_CHANNEL_CURSOR] = "cursor",
		[SPICE_CHANNEL_PLAYBACK] = "playback",
		[SPICE_CHANNEL_RECORD] = "record",
		[SPICE_CHANNEL_TUNNEL] = "tunnel",
		[SPICE_CHANNEL_SMARTCARD] = "smartcard",
		[SPICE_CHANNEL_USBREDIR] = "usbredir",
		[SPICE_CHANNEL_PORT] = "port",
		[SPICE_CHANNEL_WEBDAV] = "webdav",
	};

	if (type >= ARRAY_SIZE(names) || !names[type])
		return "unknown";
	return names[type];
}

/* --- Link ------------------------------------------------------------------------ */

#define LINK_MESS 18
#define LINK_REPLY 178

void spice_encode_link(const struct spice_link *link,
		       uint8_t out[static SPICE_LINK_REQUEST])
{
	struct span_writer w = span_writer_of(out, SPICE_LINK_REQUEST);

	span_put(&w, MAGIC, 4);
	span_put_le(&w, MAJOR, 4);
	span_put_le(&w, MINOR, 4);
	span_put_le(&w, LINK_MESS + 8, 4);
	span_put_le(&w, link->session, 4);
	span_put_le(&w, link->type, 1);
	span_put_le(&w, link->id, 1);
	span_put_le(&w, 1, 4); /* words of common capabilities */
	span_put_le(&w, 1, 4); /* of the channel's */
	span_put_le(&w, LINK_MESS, 4);
	span_put_le(&w, link->common, 4);
	span_put_le(&w, link->channel, 4);
}

int spice_decode_link_header(struct span span, uint32_t *size)
{
	const uint8_t *magic = span_take(&span, 4);
	uint32_t major = (uint32_t)span_le(&span, 4);

	(void)span_le(&span, 4); /* minor: what is in it, capabilities tell */
	*size = (uint32_t)span_le(&span, 4);
	if (!span_ok(&span) || memcmp(magic, MAGIC, 4))
		return -EPROTO;
	if (major != MAJOR)
		return -EPROTONOSUPPORT;
	return *size < 4 || *size > SPICE_LINK_MAX ? -EMSGSIZE : 0;
}

int spice_decode_link_reply(struct span span, struct spice_link_reply *reply)
{
	struct span caps = span;
	uint32_t n_common, n_channel, offset;

	*reply = (struct spice_link_reply){ 0 };
	reply->error = (uint32_t)span_le(&span, 4);
	if (!span_ok(&span))
		return -EPROTO;
	if (reply->error)
		return 0;
	reply->public_key = span_take(&span, SPICE_PUBLIC_KEY);
	n_common = (uint32_t)span_le(&span, 4);
	n_channel = (uint32_t)span_le(&span, 4);
	offset = (uint32_t)span_le(&span, 4);
	if (!span_ok(&span) || n_common > SPICE_LINK_MAX ||
	    n_channel > SPICE_LINK_MAX || offset < LINK_REPLY)
		return -EPROTO;
	(void)span_take(&caps, offset);
	for (uint32_t i = 0; i < n_common; i++) {
		uint32_t word = (uint32_t)span_le(&caps, 4);

		if (!i)
			reply->common = word;
	}
	for (uint32_t i = 0; i < n_channel; i++) {
		uint32_t word = (uint32_t)span_le(&caps, 4);

		if (!i)
			reply->channel = word;
	}
	return span_ok(&caps) ? 0 : -EPROTO;
}

int spice_decode_public_key(struct span key, struct spice_rsa *rsa)
{
	/* SEQUENCE { SEQUENCE { OID rsaEncryption, NULL }, BIT STRING {
	 * SEQUENCE { INTEGER of 129 bytes with a leading zero, ... */
	static const uint8_t head[] = { 0x30, 0x81, 0x9f, 0x30, 0x0d, 0x06,
					0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
					0x0d, 0x01, 0x01, 0x01, 0x05, 0x00,
					0x03, 0x81, 0x8d, 0x00, 0x30, 0x81,
					0x89, 0x02, 0x81, 0x81, 0x00 };
	/* ... INTEGER of 3 bytes } } } */
	static const uint8_t exponent[] = { 0x02, 0x03 };
	const uint8_t *h = span_take(&key, sizeof(head));
	const uint8_t *n = span_take(&key, SPICE_RSA);
	const uint8_t *e = span_take(&key, sizeof(exponent));

	rsa->e = (uint32_t)span_be(&key, 3);
	rsa->n = n;
	if (!span_ok(&key) || key.len || memcmp(h, head, sizeof(head)) ||
	    memcmp(e, exponent, sizeof(exponent)) || !(n[0] & 0x80) ||
	    !(n[SPICE_RSA - 1] & 1) || rsa->e < 3 || !(rsa->e & 1))
		return -EPROTO;
	return 0;
}

/* --- Headers ------------------------------------------------------------------------ */

size_t spice_encode_header(const struct spice_header *header, bool mini,
			   uint64_t serial,
			   uint8_t out[static SPICE_FULL_HEADER])
{
	struct span_writer w = span_writer_of(out, SPICE_FULL_HEADER);

	if (!mini)
		span_put_le(&w, serial, 8);
	span_put_le(&w, header->type, 2);
	span_put_le(&w, header->size, 4);
	if (!mini)
		span_put_le(&w, 0, 4); /* no list of sub-messages */
	return w.len;
}

struct spice_header spice_decode_header(struct span span, bool mini)
{
	struct spice_header header;

	if (!mini)
		(void)span_le(&span, 8);
	header.type = (uint16_t)span_le(&span, 2);
	header.size = (uint32_t)span_le(&span, 4);
	return header;
}

/* --- Messages ------------------------------------------------------------------------ */

struct row {
	uint8_t channel; /* 0: all */
	uint16_t type;
	uint32_t min, max; /* of the body */
	uint32_t kept;
	bool payload;
	/* NULL: nothing of it is decoded. */
	int (*decode)(struct span span, struct spice_msg *msg);
};

static int decode_migrate(struct span span, struct spice_msg *msg)
{
	msg->migrate_flags = (uint32_t)span_le(&span, 4);
	return span_ok(&span) ? 0 : -EPROTO;
}

static int decode_set_ack(struct span span, struct spice_msg *msg)
{
	msg->set_ack.generation = (uint32_t)span_le(&span, 4);
	msg->set_ack.window = (uint32_t)span_le(&span, 4);
	return span_ok(&span) ? 0 : -EPROTO;
}

static int decode_ping(struct span span, struct spice_msg *msg)
{
	msg->ping.id = (uint32_t)span_le(&span, 4);
	msg->ping.time = span_le(&span, 8);
	return span_ok(&span) ? 0 : -EPROTO;
}

static int decode_disconnecting(struct span span, struct spice_msg *msg)
{
	(void)span_le(&span, 8);
	msg->disconnect_reason = (uint32_t)span_le(&span, 4);
	return span_ok(&span) ? 0 : -EPROTO;
}

/* Text without the NUL that it may end with. */
static struct span text_of(struct span *span, uint32_t len)
{
	size_t n = MIN((size_t)len, span->len);
	const uint8_t *p = span_take(span, n);
	const uint8_t *end = p ? memchr(p, 0, n) : NULL;

	return span_of(p, end ? (size_t)(end - p) : n);
}

static int decode_notify(struct span span, struct spice_msg *msg)
{
	uint32_t len;

	(void)span_le(&span, 8);
	msg->notify.severity = (uint32_t)span_le(&span, 4);
	(void)span_le(&span, 8); /* visibility, what */
	len = (uint32_t)span_le(&span, 4);
	if (!span_ok(&span))
		return -EPROTO;
	msg->notify.text = text_of(&span, len);
	return 0;
}

static int decode_init(struct span span, struct spice_msg *msg)
{
	msg->session = (uint32_t)span_le(&span, 4);
	return span_ok(&span) ? 0 : -EPROTO;
}

static int decode_channels(struct span span, struct spice_msg *msg)
{
	uint32_t n = (uint32_t)span_le(&span, 4);

	msg->channels.n = MIN(n, (uint32_t)SPICE_MAX_CHANNELS);
	for (uint32_t i = 0; i < msg->channels.n; i++) {
		msg->channels.id[i].type = span_u8(&span);
		msg->channels.id[i].id = span_u8(&span);
	}
	return span_ok(&span) ? 0 : -EPROTO;
}

/* A pointer: where in the body len bytes are. */
static struct span pointed(struct span body, uint32_t offset, uint32_t len)
{
	if (!span_take(&body, offset) || len > body.len)
		return (struct span){ .bad = true };
	return text_of(&body, len);
}

static int decode_switch_host(struct span span, struct spice_msg *msg)
{
	struct span body = span;
	uint32_t len, offset, subject_len, subject_offset;

	msg->switch_host.port = (uint16_t)span_le(&span, 2);
	msg->switch_host.tls_port = (uint16_t)span_le(&span, 2);
	len = (uint32_t)span_le(&span, 4);
	offset = (uint32_t)span_le(&span, 4);
	subject_len = (uint32_t)span_le(&span, 4);
	subject_offset = (uint32_t)span_le(&span, 4);
	if (!span_ok(&span))
		return -EPROTO;
	msg->switch_host.host = pointed(body, offset, len);
	msg->switch_host.subject = span_of(NULL, 0);
	if (subject_len && subject_offset)
		msg->switch_host.subject =
			pointed(body, subject_offset, subject_len);
	if (!span_ok(&msg->switch_host.host) || !msg->switch_host.host.len ||
	    !span_ok(&msg->switch_host.subject))
		return -EPROTO;
	return 0;
}

static int decode_name(struct span span, struct spice_msg *msg)
{
	uint32_t len = (uint32_t)span_le(&span, 4);

	if (!span_ok(&span))
		return -EPROTO;
	msg->name = text_of(&span, len);
	return 0;
}

#define ANY_LENGTH UINT32_MAX

static const struct row rows[] = {
	{ 0, SPICE_MSG_MIGRATE, 4, 4, 4, false, decode_migrate },
	{ 0, SPICE_MSG_MIGRATE_DATA, 0, SPICE_MAX_UNKNOWN, 0, false, NULL },
	{ 0, SPICE_MSG_SET_ACK, 8, 8, 8, false, decode_set_ack },
	/* With 256,000 bytes of nothing when it measures the link. */
	{ 0, SPICE_MSG_PING, 12, SPICE_MAX_UNKNOWN, 12, false, decode_ping },
	{ 0, SPICE_MSG_WAIT_FOR_CHANNELS, 1, 1 + 10 * 255, 0, false, NULL },
	{ 0, SPICE_MSG_DISCONNECTING, 12, 12, 12, false, decode_disconnecting },
	{ 0, SPICE_MSG_NOTIFY, 24, SPICE_MAX_UNKNOWN, 24 + SPICE_MAX_TEXT,
	  false, decode_notify },
	{ 0, SPICE_MSG_LIST, 0, SPICE_MAX_UNKNOWN, 0, false, NULL },
	{ SPICE_CHANNEL_MAIN, SPICE_MSG_MAIN_INIT, 32, 32, 32, false,
	  decode_init },
	{ SPICE_CHANNEL_MAIN, SPICE_MSG_MAIN_CHANNELS_LIST, 4,
	  SPICE_MAX_UNKNOWN, 4 + 2 * SPICE_MAX_CHANNELS, false,
	  decode_channels },
	{ SPICE_CHANNEL_MAIN, SPICE_MSG_MAIN_SWITCH_HOST, 20, SPICE_MAX_KEPT,
	  SPICE_MAX_KEPT, false, decode_switch_host },
	{ SPICE_CHANNEL_MAIN, SPICE_MSG_MAIN_NAME, 4, SPICE_MAX_UNKNOWN,
	  4 + SPICE_MAX_TEXT, false, decode_name },
	{ SPICE_CHANNEL_USBREDIR, SPICE_MSG_VMC_DATA, 0, ANY_LENGTH, 0, true,
	  NULL },
	{ SPICE_CHANNEL_USBREDIR, SPICE_MSG_VMC_COMPRESSED_DATA, 1,
	  SPICE_MAX_UNPACKED, 0, true, NULL },
};

static const struct row *find_row(uint8_t channel, uint16_t type)
{
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i].type == type &&
		    (!rows[i].channel || rows[i].channel == channel))
			return &rows[i];
	return NULL;
}

int spice_check_header(uint8_t channel, const struct spice_header *header,
		       struct spice_layout *layout)
{
	const struct row *row = find_row(channel, header->type);

	*layout = (struct spice_layout){ 0 };
	if (!row)
		return header->size > SPICE_MAX_UNKNOWN ? -EMSGSIZE : -ENOSYS;
	if (header->size < row->min || header->size > row->max)
		return -EMSGSIZE;
	layout->kept = MIN(header->size, row->kept);
	layout->payload = row->payload;
	return 0;
}

int spice_decode(uint8_t channel, const struct spice_header *header,
		 struct span span, struct spice_msg *msg)
{
	const struct row *row = find_row(channel, header->type);

	msg->type = header->type;
	if (!row || !row->decode)
		return 0;
	return row->decode(span, msg);
}

size_t spice_encode_pong(uint32_t id, uint64_t time,
			 uint8_t out[static SPICE_MAX_BODY])
{
	struct span_writer w = span_writer_of(out, SPICE_MAX_BODY);

	span_put_le(&w, id, 4);
	span_put_le(&w, time, 8);
	return w.len;
}

size_t spice_encode_ack_sync(uint32_t generation,
			     uint8_t out[static SPICE_MAX_BODY])
{
	struct span_writer w = span_writer_of(out, SPICE_MAX_BODY);

	span_put_le(&w, generation, 4);
	return w.len;
}
