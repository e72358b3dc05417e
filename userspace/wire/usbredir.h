/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usbredir 0.7.1 codec: packets to structs and back, both roles.
 *
 * Pure: no allocation, no I/O, no log. Decoding is in three steps, so that
 * the caller bounds every length before it makes room for anything:
 *
 *   1. usbredir_decode_header()  12 or 16 bytes -> struct usbredir_header
 *   2. usbredir_check_header()   type known? length possible? -> layout
 *   3. usbredir_decode()         type header -> struct usbredir_msg
 *
 * The payload that follows (data of a transfer, capability words of a hello,
 * the text of a filter) stays with the caller; msg.data_len is its length.
 */
#ifndef WIRE_USBREDIR_H
#define WIRE_USBREDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum usbredir_type {
	USBREDIR_HELLO = 0,
	USBREDIR_DEVICE_CONNECT = 1,
	USBREDIR_DEVICE_DISCONNECT = 2,
	USBREDIR_RESET = 3,
	USBREDIR_INTERFACE_INFO = 4,
	USBREDIR_EP_INFO = 5,
	USBREDIR_SET_CONFIGURATION = 6,
	USBREDIR_GET_CONFIGURATION = 7,
	USBREDIR_CONFIGURATION_STATUS = 8,
	USBREDIR_SET_ALT_SETTING = 9,
	USBREDIR_GET_ALT_SETTING = 10,
	USBREDIR_ALT_SETTING_STATUS = 11,
	USBREDIR_START_ISO_STREAM = 12,
	USBREDIR_STOP_ISO_STREAM = 13,
	USBREDIR_ISO_STREAM_STATUS = 14,
	USBREDIR_START_INTERRUPT_RECEIVING = 15,
	USBREDIR_STOP_INTERRUPT_RECEIVING = 16,
	USBREDIR_INTERRUPT_RECEIVING_STATUS = 17,
	USBREDIR_ALLOC_BULK_STREAMS = 18,
	USBREDIR_FREE_BULK_STREAMS = 19,
	USBREDIR_BULK_STREAMS_STATUS = 20,
	USBREDIR_CANCEL_DATA_PACKET = 21,
	USBREDIR_FILTER_REJECT = 22,
	USBREDIR_FILTER_FILTER = 23,
	USBREDIR_DEVICE_DISCONNECT_ACK = 24,
	USBREDIR_START_BULK_RECEIVING = 25,
	USBREDIR_STOP_BULK_RECEIVING = 26,
	USBREDIR_BULK_RECEIVING_STATUS = 27,
	USBREDIR_CONTROL_PACKET = 100,
	USBREDIR_BULK_PACKET = 101,
	USBREDIR_ISO_PACKET = 102,
	USBREDIR_INTERRUPT_PACKET = 103,
	USBREDIR_BUFFERED_BULK_PACKET = 104,
};

enum usbredir_status {
	USBREDIR_SUCCESS,
	USBREDIR_CANCELLED,
	USBREDIR_INVAL,
	USBREDIR_IOERROR,
	USBREDIR_STALL,
	USBREDIR_TIMEOUT,
	USBREDIR_BABBLE,
};

/* Not the kernel's and usbip's numbers: those start at low = 1. */
enum usbredir_speed {
	USBREDIR_SPEED_LOW,
	USBREDIR_SPEED_FULL,
	USBREDIR_SPEED_HIGH,
	USBREDIR_SPEED_SUPER,
	USBREDIR_SPEED_UNKNOWN = 255,
};

#define USBREDIR_EP_TYPE_INVALID 255

/* Capabilities, as bits of the hello's first word. */
#define USBREDIR_CAP_BULK_STREAMS (1u << 0)
#define USBREDIR_CAP_CONNECT_DEVICE_VERSION (1u << 1)
#define USBREDIR_CAP_FILTER (1u << 2)
#define USBREDIR_CAP_DEVICE_DISCONNECT_ACK (1u << 3)
#define USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE (1u << 4)
#define USBREDIR_CAP_64BITS_IDS (1u << 5)
#define USBREDIR_CAP_32BITS_BULK_LENGTH (1u << 6)
#define USBREDIR_CAP_BULK_RECEIVING (1u << 7)
#define USBREDIR_CAPS_ALL 0xffu

#define USBREDIR_MAX_BULK (128u * 1024 * 1024)
#define USBREDIR_MAX_LENGTH (USBREDIR_MAX_BULK + 1024)
#define USBREDIR_MAX_FILTER 16384    /* our bound on the text of a filter */
#define USBREDIR_MAX_CAPS_WORDS 64   /* our bound on a hello's tail */
#define USBREDIR_MAX_HEADER 16	     /* the packet header with 64-bit ids */
#define USBREDIR_MAX_TYPE_HEADER 288 /* ep_info with every capability */
#define USBREDIR_MAX_HEAD (USBREDIR_MAX_HEADER + USBREDIR_MAX_TYPE_HEADER)

#define USBREDIR_VERSION_SIZE 64
#define USBREDIR_SLOTS 32 /* interfaces; endpoints, IN from 16 */

/*
 * Index of a USB endpoint address in ep_info's arrays and bit in the bitmasks
 * of bulk streams. Everywhere else the wire carries the address itself.
 */
static inline unsigned int usbredir_ep_slot(uint8_t address)
{
	return (unsigned int)((address & 0x80) >> 3) | (address & 0x0f);
}

enum usbredir_role { USBREDIR_HOST, USBREDIR_GUEST };

struct usbredir_header {
	uint32_t type;
	uint32_t length; /* of what follows the header */
	uint64_t id;
};

struct usbredir_hello {
	/* As received; not necessarily terminated. */
	uint8_t version[USBREDIR_VERSION_SIZE];
};

struct usbredir_device_connect {
	uint8_t speed; /* enum usbredir_speed */
	uint8_t device_class, device_subclass, device_protocol;
	uint16_t vendor_id, product_id;
	uint16_t device_version_bcd; /* cap connect_device_version, else 0 */
};

struct usbredir_interface_info {
	uint32_t count; /* at most USBREDIR_SLOTS */
	uint8_t interface[USBREDIR_SLOTS];
	uint8_t interface_class[USBREDIR_SLOTS];
	uint8_t interface_subclass[USBREDIR_SLOTS];
	uint8_t interface_protocol[USBREDIR_SLOTS];
};

struct usbredir_ep_info {	      /* arrays by usbredir_ep_slot() */
	uint8_t type[USBREDIR_SLOTS]; /* as bmAttributes, or 255 */
	uint8_t interval[USBREDIR_SLOTS];
	uint8_t interface[USBREDIR_SLOTS];
	uint16_t max_packet_size[USBREDIR_SLOTS]; /* cap, else 0 */
	uint32_t max_streams[USBREDIR_SLOTS];	  /* cap bulk_streams, else 0 */
};

struct usbredir_configuration {
	uint8_t status; /* configuration_status only */
	uint8_t configuration;
};

struct usbredir_alt_setting {
	uint8_t status; /* alt_setting_status only */
	uint8_t interface;
	uint8_t alt; /* not in get_alt_setting */
};

struct usbredir_iso_stream {
	uint8_t status; /* iso_stream_status only */
	uint8_t endpoint;
	uint8_t pkts_per_urb, no_urbs; /* start_iso_stream only */
};

struct usbredir_interrupt_receiving {
	uint8_t status; /* interrupt_receiving_status only */
	uint8_t endpoint;
};

struct usbredir_bulk_streams {
	uint32_t endpoints;  /* bits by usbredir_ep_slot() */
	uint32_t no_streams; /* not in free_bulk_streams */
	uint8_t status;	     /* bulk_streams_status only */
};

struct usbredir_bulk_receiving {
	uint32_t stream_id;
	uint32_t bytes_per_transfer; /* start only */
	uint8_t endpoint;
	uint8_t no_transfers; /* start only */
	uint8_t status;	      /* bulk_receiving_status only */
};

struct usbredir_control {
	uint8_t endpoint; /* 0x80 for IN requests of some guests: echo it */
	uint8_t request, requesttype;
	uint8_t status;
	uint16_t value, index;
	uint16_t length;
};

/* bulk, iso, interrupt and buffered_bulk packets */
struct usbredir_transfer {
	uint8_t endpoint;
	uint8_t status;
	uint32_t length;    /* 16 bits wide but for bulk with the capability */
	uint32_t stream_id; /* bulk only */
};

struct usbredir_msg {
	uint32_t type;	   /* enum usbredir_type */
	uint32_t data_len; /* payload behind the type header */
	uint64_t id;
	union {
		struct usbredir_hello hello;
		struct usbredir_device_connect device_connect;
		struct usbredir_interface_info interface_info;
		struct usbredir_ep_info ep_info;
		struct usbredir_configuration configuration;
		struct usbredir_alt_setting alt_setting;
		struct usbredir_iso_stream iso_stream;
		struct usbredir_interrupt_receiving interrupt_receiving;
		struct usbredir_bulk_streams bulk_streams;
		struct usbredir_bulk_receiving bulk_receiving;
		struct usbredir_control control;
		struct usbredir_transfer transfer;
	};
};

/* What usbredir_check_header() found out about a packet. */
struct usbredir_layout {
	uint32_t type_header; /* bytes of the type header */
	uint32_t data;	      /* bytes of payload behind it */
};

/*
 * caps, everywhere: the capabilities that both sides have. Before the peer's
 * hello is known it is 0: the hello itself always has a 32-bit id.
 */

/* The name of a type, for log lines; "unknown" for one that has no row. */
const char *usbredir_type_name(uint32_t type);

/* What we may offer: bulk_streams makes no sense without max_packet_size. */
uint32_t usbredir_caps_sanitize(uint32_t caps);

/* Size of a packet header: 12, or 16 with 64-bit ids. */
size_t usbredir_header_size(uint32_t caps);

/* -EPROTO when in is shorter than usbredir_header_size(caps). */
int must_check usbredir_decode_header(struct span in, uint32_t caps,
				      struct usbredir_header *header);

/*
 * Bounds a packet before anything is allocated or skipped for it. role is the
 * receiver's: a host refuses packets that only hosts send.
 *
 * 0: *layout is set; its sum is header->length.
 * -EMSGSIZE: longer than any packet of the protocol; framing is lost.
 * -ENOSYS: unknown type; skip header->length bytes.
 * -EPROTO: known, but its length, direction or capability is wrong; the
 *          length can be skipped.
 */
int must_check usbredir_check_header(const struct usbredir_header *header,
				     enum usbredir_role role, uint32_t caps,
				     struct usbredir_layout *layout);

/*
 * Decodes a type header that usbredir_check_header() accepted. Checks the
 * fields that decide about lengths: for transfers the payload must be what
 * the length field says in the direction that carries data, and nothing in
 * the other one (section "usb_redir_control_packet" and following).
 *
 * 0, or -EPROTO.
 */
int must_check usbredir_decode(const struct usbredir_header *header,
			       enum usbredir_role role, uint32_t caps,
			       struct span type_header,
			       struct usbredir_msg *msg);

/*
 * Capability words of a hello's payload: word 0, the only one with known
 * bits. A payload shorter than a word means no capabilities.
 */
uint32_t usbredir_decode_caps(struct span payload);

/*
 * Checks the text of filter_filter: terminated, and only characters that the
 * filter syntax has. 0 or -EPROTO.
 */
int must_check usbredir_check_filter(struct span payload);

/*
 * A whole hello with our capabilities, which is the same for both roles. out
 * holds USBREDIR_HELLO_SIZE bytes; returns those written.
 */
#define USBREDIR_HELLO_SIZE (12 + USBREDIR_VERSION_SIZE + 4)
size_t usbredir_encode_hello(const char *version, uint32_t caps, uint8_t *out);

/* Between the hub's errors, see usb/urb.h, and a status; an unknown one is an
 * I/O error. */
enum usbredir_status usbredir_status(int error);
int usbredir_error(uint8_t status);

/*
 * Writes packet header and type header for msg; msg->data_len bytes of
 * payload must follow on the wire. out holds USBREDIR_MAX_HEAD bytes.
 * Returns the bytes written. Encoding what the caps do not allow is a
 * programming error (assert).
 */
size_t usbredir_encode(const struct usbredir_msg *msg, uint32_t caps,
		       uint8_t *out);

#endif
