/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The hub's words in usbredir's: devices as messages.
 */
#ifndef FRONTEND_REDIR_DESCRIBE_H
#define FRONTEND_REDIR_DESCRIBE_H

#include "usb/device.h"
#include "wire/usbredir.h"

/* Each fills in a whole message about a device, without payload. */
void redir_describe_endpoints(const struct usb_info *info,
			      struct usbredir_msg *msg);
void redir_describe_interfaces(const struct usb_info *info,
			       struct usbredir_msg *msg);
void redir_describe_device(const struct usb_info *info,
			   struct usbredir_msg *msg);

#endif
