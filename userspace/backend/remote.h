/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A device that somebody else has and offers: a usbredir host (usbredirect,
 * another ryll-bridge) or a usbip server. The connection is made at once and
 * kept, also while nobody here uses the device: many hosts offer it only once.
 */
#ifndef BACKEND_REMOTE_H
#define BACKEND_REMOTE_H

#include "transport/socket.h"
#include "transport/tls.h"
#include "usb/device.h"
#include "wire/usbip.h"

struct remote_spec {
	char text[300]; /* as it was given */
	struct socket_address address;
	char busid[USBIP_BUSID_SIZE]; /* usbip; empty: usbredir */
};

/*
 * Reads tcp:HOST:PORT, unix:PATH (usbredir), usbip://HOST[:PORT]/BUSID.
 * -EINVAL: *why, static, says what is wrong with it.
 */
int must_check remote_parse(struct remote_spec *spec, const char *text,
			    const char **why);

/*
 * Borrows all but spec; tls NULL: plain. Calls the host, or without an address
 * waits for remote_adopt(). -ENOMEM.
 */
int must_check remote_create(struct loop *loop, struct bufpool *pool,
			     struct worker *worker,
			     const struct remote_spec *spec,
			     struct tls_context *tls,
			     struct usb_device **device);

/* The host is at the other end of t, which it takes. */
void remote_adopt(struct usb_device *device, struct transport *t);

/*
 * Calls the host no more, and closes the connection; the device is not open.
 * stopped runs once, possibly from within, and it may be destroyed then.
 */
void remote_stop(struct usb_device *device, void (*stopped)(void *arg),
		 void *arg);

#endif
