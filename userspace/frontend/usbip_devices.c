// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/usbip_devices.h"

#include <stdio.h>
#include <string.h>

#include "frontend/usbip.h"

/* All are on one bus. */
#define BUS 1

static void name_device(const struct usb_device *device,
			char busid[USBIP_BUSID_SIZE])
{
	snprintf(busid, USBIP_BUSID_SIZE, "ryll-%u-%u", BUS, device->number);
}

struct usb_device *usbip_devices_find(struct registry *registry,
				      const char *busid)
{
	char name[USBIP_BUSID_SIZE];

	list_for_each (it, &registry->devices) {
		struct usb_device *device =
			list_entry(it, struct usb_device, node);

		name_device(device, name);
		if (!strcmp(name, busid))
			return device;
	}
	return NULL;
}

uint32_t usbip_devices_devid(const struct usb_device *device)
{
	return BUS << 16 | device->number;
}

void usbip_devices_describe(const struct usb_device *device,
			    const struct usb_info *info,
			    struct usbip_device *out)
{
	*out = (struct usbip_device){
		.busnum = BUS,
		.devnum = device->number,
		.speed = usbip_speed_of(info->speed),
		.vendor = info->vendor,
		.product = info->product,
		.bcd_device = info->bcd_device,
		.class = info->class,
		.subclass = info->subclass,
		.protocol = info->protocol,
		.configuration = info->configuration,
		.n_configurations = info->n_configurations,
		.n_interfaces = info->n_interfaces,
	};
	snprintf(out->path, sizeof(out->path), "%s", device->name);
	name_device(device, out->busid);
}

static void put_device(struct span_writer *w, const struct usb_device *device,
		       const struct usb_info *info)
{
	struct usbip_device described;

	usbip_devices_describe(device, info, &described);
	usbip_encode_device(w, &described);
	for (unsigned int i = 0; i < info->n_interfaces; i++) {
		const struct usb_interface *intf = &info->interface[i];

		usbip_encode_interface(w, &(struct usbip_interface){
						  intf->class, intf->subclass,
						  intf->protocol });
	}
}

struct buf *usbip_devices_list(struct registry *registry, struct bufpool *pool,
			       uint32_t *len)
{
	size_t n = 0, most = USBIP_OP_SIZE + 4;
	struct usb_info info;
	struct span_writer w;
	struct buf *buf;

	list_for_each (it, &registry->devices)
		most += USBIP_DEVICE_SIZE +
			USB_MAX_INTERFACES * USBIP_INTERFACE_SIZE;
	buf = bufpool_get(pool, most);
	if (!buf)
		return NULL;
	w = span_writer_of(buf->data, most);
	span_put_zero(&w, USBIP_OP_SIZE + 4);
	list_for_each (it, &registry->devices) {
		struct usb_device *device =
			list_entry(it, struct usb_device, node);

		if (!usb_describe(device, &info))
			continue;
		put_device(&w, device, &info);
		n++;
	}
	*len = (uint32_t)w.len;
	w = span_writer_of(buf->data, USBIP_OP_SIZE + 4);
	usbip_encode_op(&w, USBIP_REP_DEVLIST, USBIP_OK);
	span_put_be(&w, n, 4);
	return buf;
}
