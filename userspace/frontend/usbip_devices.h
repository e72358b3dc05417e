/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Devices as a usbip client sees them. Their bus ids are "ryll-1-N": N is the
 * number of the device on the command line.
 */
#ifndef FRONTEND_USBIP_DEVICES_H
#define FRONTEND_USBIP_DEVICES_H

#include "usb/registry.h"
#include "wire/usbip.h"

/* Of this bus id, or NULL. */
struct usb_device *usbip_devices_find(struct registry *registry,
				      const char *busid);

/* As the kernel's client has it, and puts it into its URBs. */
uint32_t usbip_devices_devid(const struct usb_device *device);

void usbip_devices_describe(const struct usb_device *device,
			    const struct usb_info *info,
			    struct usbip_device *out);

/*
 * The answer to a request for the list, in a buffer of the pool, which goes to
 * the caller; *len bytes. NULL: no memory. Devices that are
 * absent, or cannot say what they are, are left out.
 */
struct buf *usbip_devices_list(struct registry *registry, struct bufpool *pool,
			       uint32_t *len);

#endif
