// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/null.h"

#include <stdlib.h>
#include <string.h>

struct null {
	struct usb_device device;
	struct bufpool *pool; /* borrows */
	/* Every reply is a reference to this one; NULL: none yet. */
	struct buf *zeros;
	struct list waiting; /* struct urb on NULL_EP_NEVER, by backend_node */
	uint8_t configuration;
};

static struct null *null_of(struct usb_device *device)
{
	return container_of(device, struct null, device);
}

static void fill_info(struct usb_info *info, enum usb_speed speed)
{
	struct usb_endpoint bulk = {
		.type = USB_BULK,
		.max_packet = speed == USB_SPEED_SUPER ? 1024 : 512,
	};

	*info = (struct usb_info){
		.speed = speed,
		.n_interfaces = 1,
		.interface[0] = { .class = 0xff }, /* vendor-specific */
	};
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++)
		info->endpoint[i].type = USB_NO_ENDPOINT;
	info->endpoint[usb_slot(0x00)].type = USB_CONTROL;
	info->endpoint[usb_slot(0x80)].type = USB_CONTROL;
	info->endpoint[usb_slot(NULL_EP_IN)] = bulk;
	info->endpoint[usb_slot(NULL_EP_OUT)] = bulk;
	info->endpoint[usb_slot(NULL_EP_NEVER)] = bulk;
}

static void null_open(struct usb_device *device, enum usb_speed max_speed)
{
	fill_info(&device->info, max_speed);
	null_of(device)->configuration = 1;
	usb_opened(device, 0);
}

static void end_urb(struct urb *urb, int status)
{
	urb->status = status;
	usb_complete_later(urb);
}

/* Ends all that wait for ever. */
static void end_waiting(struct null *null, int status)
{
	struct list *node;

	while ((node = list_pop(&null->waiting)))
		end_urb(list_entry(node, struct urb, backend_node), status);
}

static void null_close(struct usb_device *device)
{
	struct null *null = null_of(device);

	end_waiting(null, -ESHUTDOWN);
	buf_put(null->zeros);
	null->zeros = NULL;
	usb_closed(device);
}

/* A reference to at least len zeros, or NULL (no memory). */
static struct buf *get_zeros(struct null *null, uint32_t len)
{
	if (!null->zeros || null->zeros->size < len) {
		buf_put(null->zeros);
		null->zeros = bufpool_get(null->pool, len);
		if (!null->zeros)
			return NULL;
		memset(null->zeros->data, 0, null->zeros->size);
	}
	return buf_ref(null->zeros);
}

static int null_submit(struct usb_device *device, struct urb *urb)
{
	struct null *null = null_of(device);

	if (urb->ep == NULL_EP_NEVER) {
		list_append(&null->waiting, &urb->backend_node);
		return 0;
	}
	if (urb->type == USB_CONTROL) { /* it has nothing to tell */
		end_urb(urb, -EPIPE);
		return 0;
	}
	if ((urb->ep & USB_DIR_IN) && urb->len) {
		urb->off = 0;
		urb->buf = get_zeros(null, urb->len);
		if (!urb->buf)
			return -ENOMEM;
	}
	urb->actual = urb->len;
	end_urb(urb, 0);
	return 0;
}

static void null_cancel(struct usb_device *device, struct urb *urb)
{
	(void)device;
	if (urb->ep != NULL_EP_NEVER)
		return; /* it has ended by itself */
	list_remove(&urb->backend_node);
	end_urb(urb, -ECANCELED);
}

static void null_admin(struct usb_device *device, struct usb_admin *admin)
{
	struct null *null = null_of(device);
	int status = 0;

	switch (admin->type) {
	case USB_SET_CONFIGURATION:
		null->configuration = admin->configuration;
		break;
	case USB_GET_CONFIGURATION:
		admin->configuration = null->configuration;
		break;
	case USB_GET_ALT_SETTING:
		admin->alt = 0;
		break;
	case USB_RESET:
		end_waiting(null, -ECANCELED);
		break;
	case USB_ALLOC_STREAMS:
	case USB_FREE_STREAMS:
		status = -EINVAL;
		break;
	default:
		break;
	}
	usb_admin_complete(admin, status);
}

static void null_destroy(struct usb_device *device)
{
	free(null_of(device));
}

static const struct usb_device_ops null_ops = {
	.name = "null",
	.open = null_open,
	.close = null_close,
	.submit = null_submit,
	.cancel = null_cancel,
	.admin = null_admin,
	.destroy = null_destroy,
};

int null_create(struct loop *loop, struct bufpool *pool,
		struct usb_device **device)
{
	struct null *null = calloc(1, sizeof(*null));

	if (!null)
		return -ENOMEM;
	usb_device_init(&null->device, &null_ops, loop, "null device");
	null->pool = pool;
	list_init(&null->waiting);
	*device = &null->device;
	return 0;
}
