/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What descriptors say of a device, in the hub's words.
 */
#ifndef BACKEND_USBDESC_INFO_H
#define BACKEND_USBDESC_INFO_H

#include "usb/device.h"
#include "wire/usbdesc.h"

/* Everything but info->speed, which descriptors do not tell. */
void usbdesc_fill_info(struct usb_info *info, const struct usbdesc_device *desc,
		       const struct usbdesc_config *config);

#endif
