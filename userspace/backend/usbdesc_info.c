// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbdesc_info.h"

static void fill_endpoint(struct usb_endpoint *to,
			  const struct usbdesc_endpoint *from)
{
	*to = (struct usb_endpoint){ .type = USB_NO_ENDPOINT };
	if (from->present)
		*to = (struct usb_endpoint){
			.type = from->type,
			.interval = from->interval,
			.interface = from->interface,
			.max_packet = from->max_packet,
			.interval_bytes = from->interval_bytes,
			.max_streams = from->max_streams,
		};
}

void usbdesc_fill_info(struct usb_info *info, const struct usbdesc_device *desc,
		       const struct usbdesc_config *config)
{
	*info = (struct usb_info){
		.speed = info->speed,
		.class = desc->class,
		.subclass = desc->subclass,
		.protocol = desc->protocol,
		.vendor = desc->vendor,
		.product = desc->product,
		.bcd_device = desc->release,
		.configuration = config->value,
		.n_configurations = desc->n_configurations,
		.n_interfaces = config->n_interfaces,
	};
	for (unsigned int i = 0; i < config->n_interfaces; i++)
		info->interface[i] = (struct usb_interface){
			.number = config->interface[i].number,
			.class = config->interface[i].class,
			.subclass = config->interface[i].subclass,
			.protocol = config->interface[i].protocol,
		};
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++)
		fill_endpoint(&info->endpoint[i], &config->endpoint[i]);
	info->endpoint[usb_slot(0x00)].type = USB_CONTROL;
	info->endpoint[usb_slot(0x80)].type = USB_CONTROL;
}
