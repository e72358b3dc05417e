/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One usbip session, we being the server: the list of devices, or one device
 * and its URBs (the kernel's Documentation/usb/usbip_protocol.rst).
 *
 * The course of a session: the client asks for the list, which may be all that
 * it wants, or for a device by its bus id; that is opened, described, and from
 * then on its URBs come. Either's end is the end of the connection: the
 * protocol has no word for it.
 */
#ifndef FRONTEND_USBIP_H
#define FRONTEND_USBIP_H

#include "peer/parser.h"
#include "peer/session.h"
#include "usb/device.h"
#include "usb/registry.h"
#include "wire/usbip.h"

/*
 * Packets of an isochronous transfer: the kernel's client never sends more.
 * Those above USB_MAX_ISO_PACKETS are refused, these are no usbip.
 */
#define USBIP_MAX_PACKETS 1024

/* How long a client may take to say what it wants, and to go with a list. */
#define USBIP_REQUEST_MS 10000

enum usbip_state {
	USBIP_REQUESTS,
	USBIP_OPENING,
	USBIP_ATTACHED,
	USBIP_ENDING, /* the device closes, or has gone */
	USBIP_CLOSED,
};

struct usbip_session {
	struct session base;
	struct registry *registry; /* borrows */
	enum usbip_state state;
	struct usb_listener listener;
	struct usb_device *device; /* borrows; NULL: none */
	bool importing;		   /* the bus id is due */
	bool detaching;		   /* the end of the device is wanted */
	bool left;		   /* the device has gone by itself */
	struct timer request;	   /* ends a client that does not ask */
	/* In flight and to be answered: */
	struct list urbs;     /* struct usbip_urb */
	struct list admins;   /* struct usbip_admin */
	struct urb *arriving; /* early, its data is coming; NULL: none */
	unsigned int owed;    /* URBs and admin requests that will complete */
	struct usbip_msg msg; /* whose payload is coming */
	uint64_t served;      /* SUBMITs */
	/* For a client that was given the device; else NULL. */
	int (*opened)(struct usbip_session *s, int status);
	void *owner; /* opened's */

	struct parser parser; /* last: its end is not initialised */
};

/*
 * With a client that will ask for what it wants. Borrows all, but copies peer.
 * -ENOMEM.
 */
int must_check usbip_session_create(struct loop *loop, struct bufpool *pool,
				    struct registry *registry, const char *peer,
				    struct session **session);

/*
 * With a client that gets this device without asking: a kernel here. It is
 * opened when the session starts, at once; opened runs then, with 0 or -errno,
 * unless the session ends before. The session fails after an error, which has
 * been said, or if opened says one.
 */
int must_check usbip_session_create_for(
	struct loop *loop, struct bufpool *pool, struct registry *registry,
	struct usb_device *device, const char *peer,
	int (*opened)(struct usbip_session *s, int status), void *owner,
	struct session **session);

/* Of such a session that has ended: was it the device that went? */
bool usbip_session_left(const struct session *session);

/* The speed of a device, as the kernel counts them. */
enum usbip_speed usbip_speed_of(enum usb_speed speed);

/* For the parts of a session: */

/* Logs why and ends it. */
void usbip_fail(struct usbip_session *s, const char *why);
/* One that was owed has come back. A session that is closing may be gone then. */
void usbip_settle(struct usbip_session *s);

#endif
