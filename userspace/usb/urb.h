/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * URB: one USB transfer on its way through the hub.
 */
#ifndef USB_URB_H
#define USB_URB_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "core/bufpool.h"

struct usb_device;

/* As bmAttributes of an endpoint descriptor (USB 2.0, table 9-13). */
enum usb_transfer {
	USB_CONTROL = 0,
	USB_ISO = 1,
	USB_BULK = 2,
	USB_INTERRUPT = 3,
	USB_NO_ENDPOINT = 255,
};

#define USB_DIR_IN 0x80

/* The eight bytes of a SETUP packet (USB 2.0, section 9.3). */
struct usb_setup {
	uint8_t request_type;
	uint8_t request;
	uint16_t value, index, length;
};

/* The most packets of an isochronous URB (usbdevfs has this bound, too). */
#define USB_MAX_ISO_PACKETS 128

struct usb_iso_packet {
	uint32_t len;
	uint32_t actual; /* IN: bytes that came */
	int status;	 /* as urb->status */
};

/*
 * The submitter owns the struct and keeps it until complete has run. Data:
 *
 * OUT: buf, off and len are the submitter's, lent until completion. A backend
 *      that needs the bytes longer takes a reference of its own.
 *      An early URB is submitted before all data is there, to a device for
 *      which usb_takes_early(): only the first arrived bytes are.
 * IN:  len is the most that is wanted; buf is NULL. The backend sets buf, off
 *      and actual, and the reference goes to the submitter.
 * Isochronous, both: the data of each packet begins where the one before it
 *      would end if it were full; the len of all packets together is the
 *      URB's. packets is lent until completion.
 */
struct urb {
	struct list node;	  /* on device->inflight while taken */
	struct list backend_node; /* the backend's own, while taken */
	void *backend;		  /* the same */
	struct usb_device *device;
	uint8_t type;		/* enum usb_transfer */
	uint8_t ep;		/* USB address: IN = 0x80 | number */
	uint32_t stream;	/* bulk streams; 0: none */
	struct usb_setup setup; /* control */
	uint32_t len;
	struct buf *buf;
	uint32_t off;
	bool zero_packet; /* OUT: a short packet ends it, an empty one if need be */
	bool early;
	uint32_t arrived; /* OUT: bytes that are there; of whole URBs, len */
	struct usb_iso_packet *packets; /* isochronous */
	uint16_t n_packets;		/* 1 to USB_MAX_ISO_PACKETS */

	/* The outcome, valid in complete: */
	uint32_t actual; /* bytes moved */
	/*
	 * 0, -EPIPE (stall), -ECANCELED, -EIO, -EINVAL, -ETIMEDOUT,
	 * -EOVERFLOW (babble), -ESHUTDOWN (the device is going)
	 */
	int status;

	void (*complete)(struct urb *urb);
};

#endif
