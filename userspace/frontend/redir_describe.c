// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_describe.h"

void redir_describe_endpoints(const struct usb_info *info,
			      struct usbredir_msg *msg)
{
	*msg = (struct usbredir_msg){ .type = USBREDIR_EP_INFO };

	for (unsigned int i = 0; i < USBREDIR_SLOTS; i++) {
		const struct usb_endpoint *ep = &info->endpoint[i];

		msg->ep_info.type[i] = ep->type;
		msg->ep_info.interval[i] = ep->interval;
		msg->ep_info.interface[i] = ep->interface;
		/* As usbredirhost and QEMU have it: in bytes, all that a
		 * microframe moves. */
		msg->ep_info.max_packet_size[i] =
			ep->type == USB_ISO && info->speed == USB_SPEED_HIGH
				? (uint16_t)ep->interval_bytes
				: ep->max_packet;
		msg->ep_info.max_streams[i] = ep->max_streams;
	}
}

void redir_describe_interfaces(const struct usb_info *info,
			       struct usbredir_msg *msg)
{
	*msg = (struct usbredir_msg){ .type = USBREDIR_INTERFACE_INFO };

	msg->interface_info.count = info->n_interfaces;
	for (unsigned int i = 0; i < info->n_interfaces; i++) {
		const struct usb_interface *intf = &info->interface[i];

		msg->interface_info.interface[i] = intf->number;
		msg->interface_info.interface_class[i] = intf->class;
		msg->interface_info.interface_subclass[i] = intf->subclass;
		msg->interface_info.interface_protocol[i] = intf->protocol;
	}
}

void redir_describe_device(const struct usb_info *info,
			   struct usbredir_msg *msg)
{
	static const uint8_t speeds[] = {
		[USB_SPEED_LOW] = USBREDIR_SPEED_LOW,
		[USB_SPEED_FULL] = USBREDIR_SPEED_FULL,
		[USB_SPEED_HIGH] = USBREDIR_SPEED_HIGH,
		[USB_SPEED_SUPER] = USBREDIR_SPEED_SUPER,
	};
	*msg = (struct usbredir_msg){
		.type = USBREDIR_DEVICE_CONNECT,
		.device_connect = {
			.speed = speeds[info->speed],
			.device_class = info->class,
			.device_subclass = info->subclass,
			.device_protocol = info->protocol,
			.vendor_id = info->vendor,
			.product_id = info->product,
			.device_version_bcd = info->bcd_device,
		},
	};
}
