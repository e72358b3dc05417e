/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A USB device for tests of frontends: it does what the test says, when the
 * test says so.
 *
 * Endpoints: control; of interface 0 bulk IN 0x81 and OUT 0x02 with streams,
 * interrupt IN 0x83 and OUT 0x04; of interface 1 isochronous IN 0x85, OUT 0x06.
 */
#ifndef TESTS_FAKE_DEVICE_H
#define TESTS_FAKE_DEVICE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/bufpool.h"
#include "usb/device.h"

#define FAKE_IN 0x81
#define FAKE_OUT 0x02
#define FAKE_INT_IN 0x83
#define FAKE_INT_OUT 0x04
#define FAKE_ISO_IN 0x85
#define FAKE_ISO_OUT 0x06
#define FAKE_STREAMS 4u
#define FAKE_INT_BYTES 16u /* in an interval */
#define FAKE_ISO_BYTES 100u

struct fake_device {
	struct usb_device device;
	struct bufpool *pool; /* borrows */
	struct list taken;    /* struct urb, by backend_node */

	/* What the test says: */
	bool hold_urbs;	  /* they stay on taken */
	bool hold_cancel; /* cancelling does nothing at once */
	bool hold_open, hold_close, hold_admin;
	uint32_t most; /* bytes that an IN transfer yields; 0: all */
	int open_status;
	int submit_error; /* 0: URBs are taken */
	int admin_status;
	uint8_t configuration;

	/* What happened: */
	enum usb_speed speed; /* asked for in the last open */
	unsigned int resets;
	unsigned int halts_cleared;
	uint32_t arrived;	 /* of the last early URB */
	struct usb_admin *admin; /* the last that is held */
};

static inline struct fake_device *fake_of(struct usb_device *device)
{
	return container_of(device, struct fake_device, device);
}

static inline void fake_fill_packets(struct urb *urb)
{
	for (unsigned int i = 0; i < urb->n_packets; i++)
		urb->packets[i].actual = urb->packets[i].len;
}

/*
 * Ends a taken URB now. IN: the bytes are 0, 1, 2 ... An isochronous one has
 * its packets full when actual is all; else they are as the test made them.
 */
static inline void fake_complete(struct fake_device *fake, struct urb *urb,
				 int status, uint32_t actual)
{
	urb->status = status;
	urb->actual = actual;
	if (urb->type == USB_ISO && actual == urb->len)
		fake_fill_packets(urb);
	if ((urb->ep & USB_DIR_IN) && actual) {
		uint32_t len = urb->type == USB_ISO ? urb->len : actual;

		urb->buf = bufpool_get(fake->pool, len);
		assert(urb->buf);
		urb->off = 0;
		for (uint32_t i = 0; i < len; i++)
			urb->buf->data[i] = (uint8_t)i;
	}
	list_remove(&urb->backend_node);
	usb_complete(urb);
}

/* The URB that was taken first, or NULL. */
static inline struct urb *fake_first(struct fake_device *fake)
{
	return list_empty(&fake->taken)
		       ? NULL
		       : list_first(&fake->taken, struct urb, backend_node);
}

static inline void fake_complete_all(struct fake_device *fake, int status)
{
	struct urb *urb;

	while ((urb = fake_first(fake)))
		fake_complete(fake, urb, status, status ? 0 : urb->len);
}

static inline void fake_fill_info(struct fake_device *fake)
{
	struct usb_info *info = &fake->device.info;
	struct usb_endpoint bulk = { .type = USB_BULK,
				     .max_packet = 512,
				     .max_streams = FAKE_STREAMS };
	/* Without interval_bytes, and with. */
	struct usb_endpoint interrupt = { .type = USB_INTERRUPT,
					  .interval = 4,
					  .max_packet = FAKE_INT_BYTES };
	struct usb_endpoint iso = { .type = USB_ISO,
				    .interval = 1,
				    .interface = 1,
				    .max_packet = 50 | 1 << 11,
				    .interval_bytes = FAKE_ISO_BYTES };

	*info = (struct usb_info){
		.speed = fake->speed,
		.vendor = 0x1234,
		.product = 0x5678,
		.bcd_device = 0x0102,
		.n_interfaces = 2,
		.interface[0] = { 0, 0xff, 0x11, 0x22 },
		.interface[1] = { 1, 0x01, 0x02, 0x00 },
	};
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++)
		info->endpoint[i].type = USB_NO_ENDPOINT;
	info->endpoint[usb_slot(0x00)].type = USB_CONTROL;
	info->endpoint[usb_slot(0x80)].type = USB_CONTROL;
	info->endpoint[usb_slot(FAKE_IN)] = bulk;
	info->endpoint[usb_slot(FAKE_OUT)] = bulk;
	info->endpoint[usb_slot(FAKE_INT_IN)] = interrupt;
	info->endpoint[usb_slot(FAKE_INT_OUT)] = interrupt;
	info->endpoint[usb_slot(FAKE_ISO_IN)] = iso;
	info->endpoint[usb_slot(FAKE_ISO_OUT)] = iso;
}

static inline void fake_open(struct usb_device *device, enum usb_speed speed)
{
	struct fake_device *fake = fake_of(device);

	fake->speed = speed;
	fake_fill_info(fake);
	if (!fake->hold_open)
		usb_opened(device, fake->open_status);
}

/* Gives back all that is held; the device is closed then. */
static inline void fake_end(struct fake_device *fake)
{
	struct list *admins = &fake->device.admins;

	while (!list_empty(admins))
		usb_admin_complete(list_first(admins, struct usb_admin, node),
				   -ESHUTDOWN);
	fake->admin = NULL;
	fake_complete_all(fake, -ESHUTDOWN);
	usb_closed(&fake->device);
}

static inline void fake_close(struct usb_device *device)
{
	if (!fake_of(device)->hold_close)
		fake_end(fake_of(device));
}

static inline int fake_submit(struct usb_device *device, struct urb *urb)
{
	struct fake_device *fake = fake_of(device);

	if (fake->submit_error)
		return fake->submit_error;
	if (fake->hold_urbs || urb->early) {
		list_append(&fake->taken, &urb->backend_node);
		return 0;
	}
	urb->actual = urb->len;
	if ((urb->ep & USB_DIR_IN) && urb->len) {
		if (fake->most && urb->type != USB_ISO)
			urb->actual = MIN(urb->len, fake->most);
		urb->buf = bufpool_get(fake->pool, urb->actual);
		assert(urb->buf);
		urb->off = 0;
		memset(urb->buf->data, 0xa5, urb->actual);
	}
	if (urb->type == USB_ISO)
		fake_fill_packets(urb);
	usb_complete_later(urb);
	return 0;
}

static inline void fake_cancel(struct usb_device *device, struct urb *urb)
{
	struct fake_device *fake = fake_of(device);

	if (!fake->hold_cancel && fake->hold_urbs)
		fake_complete(fake, urb, -ECANCELED, 0);
}

static inline void fake_arrived(struct usb_device *device, struct urb *urb)
{
	struct fake_device *fake = fake_of(device);

	fake->arrived = urb->arrived;
	if (!fake->hold_urbs && urb->arrived == urb->len)
		fake_complete(fake, urb, 0, urb->len);
}

static inline void fake_admin(struct usb_device *device,
			      struct usb_admin *admin)
{
	struct fake_device *fake = fake_of(device);

	fake->resets += admin->type == USB_RESET;
	fake->halts_cleared += admin->type == USB_CLEAR_HALT;
	if (fake->hold_admin) {
		fake->admin = admin;
		return;
	}
	if (admin->type == USB_SET_CONFIGURATION && !fake->admin_status)
		fake->configuration = admin->configuration;
	if (admin->type == USB_GET_CONFIGURATION)
		admin->configuration = fake->configuration;
	usb_admin_complete(admin, fake->admin_status);
}

static inline void fake_destroy(struct usb_device *device)
{
	free(fake_of(device));
}

static inline struct fake_device *fake_device_new(struct loop *loop,
						  struct bufpool *pool)
{
	static const struct usb_device_ops ops = {
		.name = "fake",
		.open = fake_open,
		.close = fake_close,
		.submit = fake_submit,
		.cancel = fake_cancel,
		.arrived = fake_arrived,
		.admin = fake_admin,
		.destroy = fake_destroy,
	};
	struct fake_device *fake = calloc(1, sizeof(*fake));

	assert(fake);
	usb_device_init(&fake->device, &ops, loop, "fake device");
	fake->pool = pool;
	fake->configuration = 1;
	list_init(&fake->taken);
	return fake;
}

#endif
