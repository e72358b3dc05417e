/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The SPICE protocol 2.2, as a client speaks it: the link (spice-protocol's
 * SpiceLinkMess and SpiceLinkReply), message headers, and the messages of the
 * base, main and vmc channels that a headless client needs. Little-endian.
 */
#ifndef WIRE_SPICE_H
#define WIRE_SPICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum spice_channel_type {
	SPICE_CHANNEL_MAIN = 1,
	SPICE_CHANNEL_DISPLAY,
	SPICE_CHANNEL_INPUTS,
	SPICE_CHANNEL_CURSOR,
	SPICE_CHANNEL_PLAYBACK,
	SPICE_CHANNEL_RECORD,
	SPICE_CHANNEL_TUNNEL,
	SPICE_CHANNEL_SMARTCARD,
	SPICE_CHANNEL_USBREDIR,
	SPICE_CHANNEL_PORT,
	SPICE_CHANNEL_WEBDAV,
};

/* "usbredir", or "unknown". */
const char *spice_channel_name(uint8_t type);

/* --- Link ------------------------------------------------------------------------ */

/* Capabilities of all channels */
#define SPICE_COMMON_CAP_AUTH_SELECTION (1u << 0)
#define SPICE_COMMON_CAP_AUTH_SPICE (1u << 1)
#define SPICE_COMMON_CAP_AUTH_SASL (1u << 2)
#define SPICE_COMMON_CAP_MINI_HEADER (1u << 3)
/* Of the main channel */
#define SPICE_MAIN_CAP_SEMI_SEAMLESS_MIGRATE (1u << 0)
#define SPICE_MAIN_CAP_NAME_AND_UUID (1u << 1)
/* Of usbredir and other vmc channels */
#define SPICE_VMC_CAP_LZ4 (1u << 0)

enum spice_link_error {
	SPICE_LINK_OK,
	SPICE_LINK_ERROR,
	SPICE_LINK_INVALID_MAGIC,
	SPICE_LINK_INVALID_DATA,
	SPICE_LINK_VERSION_MISMATCH,
	SPICE_LINK_NEED_SECURED,
	SPICE_LINK_NEED_UNSECURED,
	SPICE_LINK_PERMISSION_DENIED,
	SPICE_LINK_BAD_CONNECTION_ID,
	SPICE_LINK_CHANNEL_NOT_AVAILABLE,
};

struct spice_link {
	uint32_t session; /* MAIN_INIT's; 0 for the main channel */
	uint8_t type, id;
	uint32_t common, channel; /* capabilities */
};

#define SPICE_LINK_HEADER 16
#define SPICE_LINK_REQUEST (SPICE_LINK_HEADER + 18 + 8)
/* An answer's body; nobody needs as much. */
#define SPICE_LINK_MAX 4096

void spice_encode_link(const struct spice_link *link,
		       uint8_t out[static SPICE_LINK_REQUEST]);

/*
 * The first SPICE_LINK_HEADER bytes of the answer: *size is of the body, 4 to
 * SPICE_LINK_MAX. -EPROTO: that is not SPICE; -EPROTONOSUPPORT: another major
 * version; -EMSGSIZE.
 */
int must_check spice_decode_link_header(struct span span, uint32_t *size);

#define SPICE_PUBLIC_KEY                                                       \
	162 /* SubjectPublicKeyInfo of RSA with 1024 bits, DER */
#define SPICE_RSA 128

struct spice_link_reply {
	uint32_t error; /* enum spice_link_error; if not 0, the rest is void */
	const uint8_t *public_key; /* borrowed from the span */
	uint32_t common, channel;  /* capabilities; words after the first
				    * are ignored */
};

/* -EPROTO. */
int must_check spice_decode_link_reply(struct span span,
				       struct spice_link_reply *reply);

struct spice_rsa {
	const uint8_t
		*n; /* SPICE_RSA bytes, most significant first; borrowed */
	uint32_t e;
};

/* -EPROTO: it is no RSA key of 1024 bits. */
int must_check spice_decode_public_key(struct span key, struct spice_rsa *rsa);

/* What a client writes after the link, when both have AUTH_SELECTION. */
#define SPICE_AUTH_SPICE 1u
#define SPICE_AUTH_SASL 2u

/* Longest password, without its NUL: of 60 letters, which it takes, spice-server
 * 0.15 keeps 59, and none is right then. */
#define SPICE_MAX_PASSWORD 59

/* --- Headers ------------------------------------------------------------------------ */

#define SPICE_MINI_HEADER 6
#define SPICE_FULL_HEADER 18

struct spice_header {
	uint16_t type;
	uint32_t size; /* of the body */
};

static inline size_t spice_header_size(bool mini)
{
	return mini ? SPICE_MINI_HEADER : SPICE_FULL_HEADER;
}

/* serial counts the sender's messages from 1; mini headers have none. Returns
 * the bytes written. */
size_t spice_encode_header(const struct spice_header *header, bool mini,
			   uint64_t serial,
			   uint8_t out[static SPICE_FULL_HEADER]);
/* span has spice_header_size() bytes. */
struct spice_header spice_decode_header(struct span span, bool mini);

/* --- Messages ------------------------------------------------------------------------ */

enum {
	/* Server to client, all channels */
	SPICE_MSG_MIGRATE = 1,
	SPICE_MSG_MIGRATE_DATA,
	SPICE_MSG_SET_ACK,
	SPICE_MSG_PING,
	SPICE_MSG_WAIT_FOR_CHANNELS,
	SPICE_MSG_DISCONNECTING,
	SPICE_MSG_NOTIFY,
	SPICE_MSG_LIST,
	/* main */
	SPICE_MSG_MAIN_INIT = 103,
	SPICE_MSG_MAIN_CHANNELS_LIST = 104,
	SPICE_MSG_MAIN_SWITCH_HOST = 111,
	SPICE_MSG_MAIN_NAME = 113,
	/* vmc */
	SPICE_MSG_VMC_DATA = 101,
	SPICE_MSG_VMC_COMPRESSED_DATA = 102,
};

enum {
	/* Client to server, all channels */
	SPICE_MSGC_ACK_SYNC = 1,
	SPICE_MSGC_ACK,
	SPICE_MSGC_PONG,
	SPICE_MSGC_FLUSH_MARK,
	SPICE_MSGC_MIGRATE_DATA,
	SPICE_MSGC_DISCONNECTING,
	/* main */
	SPICE_MSGC_MAIN_ATTACH_CHANNELS = 104,
	/* vmc */
	SPICE_MSGC_VMC_DATA = 101,
	SPICE_MSGC_VMC_COMPRESSED_DATA = 102,
};

#define SPICE_MIGRATE_NEED_FLUSH (1u << 0)

/* The largest COMPRESSED_DATA, packed or not. */
#define SPICE_MAX_UNPACKED (64u << 20)
/* Of an unknown message, which is skipped. */
#define SPICE_MAX_UNKNOWN (16u << 20)
/* So many channels of a list are looked at. */
#define SPICE_MAX_CHANNELS 256
/* So much of a text is looked at. */
#define SPICE_MAX_TEXT 512

/* Most bytes of a body that a decoder wants to see. */
#define SPICE_MAX_KEPT (4 + 2 * SPICE_MAX_CHANNELS + SPICE_MAX_TEXT)

struct spice_channel_id {
	uint8_t type, id;
};

struct spice_msg {
	uint16_t type;
	union {
		uint32_t migrate_flags;
		struct {
			uint32_t generation, window;
		} set_ack;
		struct {
			uint32_t id;
			uint64_t time;
		} ping;
		uint32_t disconnect_reason;
		struct {
			uint32_t severity; /* 0 info, 1 warning, 2 error */
			struct span text;  /* borrowed, maybe cut short */
		} notify;
		uint32_t session; /* main init */
		struct {
			uint32_t n;
			struct spice_channel_id id[SPICE_MAX_CHANNELS];
		} channels;
		struct {
			uint16_t port, tls_port; /* 0: there is none */
			struct span host;	 /* borrowed */
			struct span subject;	 /* of its certificate */
		} switch_host;
		struct span name; /* of the virtual machine */
	};
};

struct spice_layout {
	uint32_t kept; /* so many bytes of the body spice_decode() wants */
	bool payload;  /* the rest is that; else of no interest */
};

/*
 * Bounds the size of a message of a channel of this type, from the server:
 * -ENOSYS: it is unknown, and to be skipped; -EMSGSIZE: none is like that.
 */
int must_check spice_check_header(uint8_t channel_type,
				  const struct spice_header *header,
				  struct spice_layout *layout);

/* The kept bytes. -EPROTO. */
int must_check spice_decode(uint8_t channel_type,
			    const struct spice_header *header, struct span span,
			    struct spice_msg *msg);

/* Bodies of what a client sends; SPICE_MAX_BODY bytes at most. */
#define SPICE_MAX_BODY 12
size_t spice_encode_pong(uint32_t id, uint64_t time,
			 uint8_t out[static SPICE_MAX_BODY]);
size_t spice_encode_ack_sync(uint32_t generation,
			     uint8_t out[static SPICE_MAX_BODY]);

/*
 * How a COMPRESSED_DATA begins: packed by what, and to be how long unpacked.
 * Type NONE is not sent: spice-server has no size for it.
 */
#define SPICE_PACKED_HEAD 5
#define SPICE_PACKED_NONE 0
#define SPICE_PACKED_LZ4 1

#endif
