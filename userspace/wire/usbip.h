/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usbip 1.1.1 codec (the kernel's Documentation/usb/usbip_protocol.rst), both
 * roles. All integers are big endian.
 *
 * Pure: no allocation, no I/O, no log. A connection begins with one request:
 * for the list of devices, after which it ends, or for one device, after which
 * it carries URBs. What has a length of its own (data of a transfer, then the
 * descriptors of isochronous packets) follows its 48-byte header and stays with
 * the caller.
 */
#ifndef WIRE_USBIP_H
#define WIRE_USBIP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define USBIP_PORT "3240"

/* --- Requests ("OP") ---------------------------------------------------------- */

#define USBIP_OP_SIZE 8
#define USBIP_PATH_SIZE 256
#define USBIP_BUSID_SIZE 32
#define USBIP_DEVICE_SIZE 312
#define USBIP_INTERFACE_SIZE 4

enum usbip_op_code {
	USBIP_REQ_IMPORT = 0x8003,
	USBIP_REP_IMPORT = 0x0003,
	USBIP_REQ_DEVLIST = 0x8005,
	USBIP_REP_DEVLIST = 0x0005,
};

/* Not in the text: these are what the kernel's own tools say and understand. */
enum usbip_op_status {
	USBIP_OK = 0,
	USBIP_REFUSED = 1,
	USBIP_BUSY = 2,	  /* somebody else has it */
	USBIP_BROKEN = 3, /* the device is in an error state */
	USBIP_NO_DEVICE = 4,
	USBIP_ERROR = 5,
};

struct usbip_op {
	uint16_t version; /* of the protocol, as BCD */
	uint16_t code;	  /* enum usbip_op_code */
	uint32_t status;  /* enum usbip_op_status; of replies */
};

/* The kernel's numbers, not usbredir's. */
enum usbip_speed {
	USBIP_SPEED_UNKNOWN,
	USBIP_SPEED_LOW,
	USBIP_SPEED_FULL,
	USBIP_SPEED_HIGH,
	USBIP_SPEED_WIRELESS,
	USBIP_SPEED_SUPER,
	USBIP_SPEED_SUPER_PLUS,
};

struct usbip_device {
	char path[USBIP_PATH_SIZE];   /* for people; terminated */
	char busid[USBIP_BUSID_SIZE]; /* terminated */
	uint32_t busnum, devnum;
	uint32_t speed; /* enum usbip_speed */
	uint16_t vendor, product, bcd_device;
	uint8_t class, subclass, protocol;
	uint8_t configuration, n_configurations, n_interfaces;
};

struct usbip_interface {
	uint8_t class, subclass, protocol;
};

/* -EPROTO: shorter than USBIP_OP_SIZE, or another version than 1.1.1. */
int must_check usbip_decode_op(struct span in, struct usbip_op *op);
void usbip_encode_op(struct span_writer *w, uint16_t code, uint32_t status);

/*
 * USBIP_BUSID_SIZE bytes. -EPROTO: not terminated, empty, or with characters
 * that have no business in a log line.
 */
int must_check usbip_decode_busid(struct span in, char out[USBIP_BUSID_SIZE]);
void usbip_encode_busid(struct span_writer *w, const char *busid);

/* USBIP_DEVICE_SIZE bytes. -EPROTO: as a busid; the path is made printable. */
int must_check usbip_decode_device(struct span in, struct usbip_device *device);
void usbip_encode_device(struct span_writer *w,
			 const struct usbip_device *device);

/* USBIP_INTERFACE_SIZE bytes; n_interfaces of them follow each device in a list. */
void usbip_encode_interface(struct span_writer *w,
			    const struct usbip_interface *interface);

/* --- URBs --------------------------------------------------------------------- */

#define USBIP_HEADER_SIZE 48
#define USBIP_ISO_SIZE 16

enum usbip_command {
	USBIP_CMD_SUBMIT = 1,
	USBIP_CMD_UNLINK = 2,
	USBIP_RET_SUBMIT = 3,
	USBIP_RET_UNLINK = 4,
};

/* transfer_flags that mean something to the other end; include/linux/usb.h */
#define USBIP_FLAG_SHORT_NOT_OK 0x0001u
#define USBIP_FLAG_ISO_ASAP 0x0002u
#define USBIP_FLAG_ZERO_PACKET 0x0040u
#define USBIP_FLAG_DIR_IN 0x0200u
#define USBIP_FLAG_DMA_MAP_SG 0x40000u /* in pages, not in one piece */

struct usbip_submit {
	uint32_t flags;
	uint32_t length; /* of the transfer; OUT: of the data that follow */
	uint32_t start_frame;
	uint32_t packets; /* 0: not isochronous */
	uint32_t interval;
	uint8_t setup[8]; /* as on the bus: little endian */
};

struct usbip_ret_submit {
	int32_t status;	 /* 0 or a negative errno of Linux */
	uint32_t actual; /* IN: of the data that follow */
	uint32_t start_frame;
	uint32_t packets; /* 0: not isochronous */
	uint32_t errors;
};

struct usbip_msg {
	uint32_t command; /* enum usbip_command */
	uint32_t seqnum;
	uint32_t devid;
	uint8_t ep; /* USB address: IN = 0x80 | number; of commands */
	union {
		struct usbip_submit submit;
		struct usbip_ret_submit ret_submit;
		uint32_t unlink_seqnum;
		int32_t unlink_status;
	};
};

struct usbip_iso {
	uint32_t offset; /* as if no packet were short */
	uint32_t length;
	uint32_t actual;
	int32_t status;
};

/*
 * USBIP_HEADER_SIZE bytes. For "not isochronous" the text wants 0xffffffff in
 * number_of_packets, kernels say 0: both are packets 0 here, and 0 is what is
 * written. -EPROTO: no such command, no such endpoint.
 */
int must_check usbip_decode(struct span in, struct usbip_msg *msg);
/* out holds USBIP_HEADER_SIZE bytes. */
void usbip_encode(const struct usbip_msg *msg, uint8_t *out);

/*
 * Between the hub's errors, see usb/urb.h, and the status of a URB on the wire:
 * a negative errno of Linux, as its drivers know them (driver-api/usb/error-codes).
 */
int32_t usbip_status(int error);
int usbip_error(int32_t status);

/* USBIP_ISO_SIZE bytes; reading behind the end yields zeros and in->bad. */
void usbip_decode_iso(struct span *in, struct usbip_iso *iso);
void usbip_encode_iso(struct span_writer *w, const struct usbip_iso *iso);

#endif
