// SPDX-License-Identifier: GPL-2.0-or-later
#include "usb/device.h"

#include <assert.h>
#include <stdio.h>

/* What was plugged in anew may be another device than the one before. */
static uint64_t next_appearance(void)
{
	static uint64_t last;

	return ++last;
}

static void complete_done(struct task *task)
{
	struct usb_device *device =
		container_of(task, struct usb_device, done_task);
	struct list *node;

	while ((node = list_pop(&device->done)))
		usb_complete(list_entry(node, struct urb, backend_node));
}

void usb_device_init(struct usb_device *device,
		     const struct usb_device_ops *ops, struct loop *loop,
		     const char *name)
{
	*device = (struct usb_device){ .ops = ops,
				       .loop = loop,
				       .appearance = next_appearance() };
	snprintf(device->name, sizeof(device->name), "%s", name);
	list_init(&device->node);
	list_init(&device->inflight);
	list_init(&device->admins);
	list_init(&device->done);
	task_init(&device->done_task, complete_done);
}

void usb_device_destroy(struct usb_device *device)
{
	if (!device)
		return;
	assert(device->state == USB_DEVICE_FREE);
	list_remove(&device->node);
	task_cancel(&device->done_task);
	device->ops->destroy(device);
}

static void freed(struct usb_device *device)
{
	if (device->freed)
		device->freed(device);
}

void usb_open(struct usb_device *device, struct usb_listener *listener,
	      enum usb_speed max_speed)
{
	assert(device->state == USB_DEVICE_FREE);
	device->state = USB_DEVICE_OPENING;
	device->close_wanted = false;
	device->listener = listener;
	device->why[0] = '\0';
	device->told = false;
	device->ops->open(device, max_speed);
}

void usb_opened(struct usb_device *device, int status)
{
	struct usb_listener *listener = device->listener;

	assert(device->state == USB_DEVICE_OPENING);
	if (status < 0) {
		bool closing = device->close_wanted;

		device->state = USB_DEVICE_FREE;
		device->listener = NULL;
		device->absent = true;
		if (closing)
			listener->ops->gone(listener);
		else
			listener->ops->opened(listener, status);
		return;
	}
	device->state = USB_DEVICE_OPEN;
	if (device->close_wanted)
		usb_close(device);
	else
		listener->ops->opened(listener, 0);
}

void usb_close(struct usb_device *device)
{
	if (device->state == USB_DEVICE_OPENING) {
		device->close_wanted = true;
		return;
	}
	if (device->state != USB_DEVICE_OPEN)
		return;
	device->state = USB_DEVICE_CLOSING;
	device->ops->close(device);
}

void usb_closed(struct usb_device *device)
{
	struct usb_listener *listener = device->listener;

	assert(device->state == USB_DEVICE_CLOSING);
	/* What the backend has answered completes before the end. */
	task_cancel(&device->done_task);
	complete_done(&device->done_task);
	assert(list_empty(&device->inflight) && list_empty(&device->admins));
	device->state = USB_DEVICE_FREE;
	device->listener = NULL;
	listener->ops->gone(listener);
	freed(device);
}

void usb_leave(struct usb_device *device)
{
	if (device->state != USB_DEVICE_OPEN)
		return;
	device->absent = true;
	device->listener->ops->leaving(device->listener);
}

void usb_set_absent(struct usb_device *device, bool absent)
{
	bool appeared = device->absent && !absent;

	device->absent = absent;
	if (appeared)
		device->appearance = next_appearance();
	if (appeared && device->state == USB_DEVICE_FREE)
		freed(device);
}

bool usb_describe(struct usb_device *device, struct usb_info *info)
{
	if (device->state == USB_DEVICE_OPEN) {
		*info = device->info;
		return true;
	}
	return !device->absent && device->ops->describe &&
	       device->ops->describe(device, info);
}

struct buf *usb_alloc(struct usb_device *device, struct bufpool *pool,
		      uint32_t len)
{
	struct buf *buf = NULL;

	if (device->ops->alloc)
		buf = device->ops->alloc(device, len);
	return buf ? buf : bufpool_get(pool, len);
}

void usb_complete(struct urb *urb)
{
	struct usb_device *device = urb->device;

	assert(!list_empty(&urb->node));
	list_remove(&urb->node);
	device->inflight_urbs--;
	device->inflight_bytes -= urb->len;
	urb->complete(urb);
}

void usb_complete_later(struct urb *urb)
{
	list_append(&urb->device->done, &urb->backend_node);
	loop_post(urb->device->loop, &urb->device->done_task);
}

int usb_check_quota(struct usb_device *device, uint64_t len)
{
	if (len > USB_MAX_URB_BYTES)
		return -EMSGSIZE;
	if (device->inflight_urbs >= USB_MAX_INFLIGHT_URBS ||
	    device->inflight_bytes + len > USB_MAX_INFLIGHT_BYTES)
		return -ENOBUFS;
	return 0;
}

static int check_urb(struct usb_device *device, const struct urb *urb)
{
	const struct usb_endpoint *ep =
		&device->info.endpoint[usb_slot(urb->ep)];

	if (device->state != USB_DEVICE_OPEN)
		return -ESHUTDOWN;
	/* The setup packet must agree about the direction: who has the data
	 * goes by the endpoint. */
	if (urb->type == USB_CONTROL && urb->len &&
	    ((urb->ep ^ urb->setup.request_type) & USB_DIR_IN))
		return -EINVAL;
	/* Endpoint 0 has both directions and is always there. */
	if (urb->type == USB_CONTROL && !(urb->ep & 0x7f))
		return usb_check_quota(device, urb->len);
	if (ep->type == USB_NO_ENDPOINT)
		return -ENOENT;
	if (ep->type != urb->type || urb->stream > ep->max_streams)
		return -EINVAL;
	assert(urb->type != USB_ISO ||
	       (urb->n_packets && urb->n_packets <= USB_MAX_ISO_PACKETS));
	return usb_check_quota(device, urb->len);
}

int usb_submit(struct usb_device *device, struct urb *urb)
{
	int ret = check_urb(device, urb);

	if (ret < 0) {
		if (ret != -ESHUTDOWN)
			log_limited(
				&device->complaints, LOG_LEVEL_WARN,
				"%s: the guest's request for %u bytes on endpoint 0x%02x is refused: %s",
				device->name, urb->len, urb->ep,
				ret == -ENOENT ? "no such endpoint"
				: ret == -EINVAL
					? "wrong kind of transfer for it"
				: ret == -EMSGSIZE
					? "too long (see --show-limits)"
					: "too much in flight (see --show-limits)");
		return ret;
	}
	urb->device = device;
	urb->arrived = urb->early ? 0 : urb->len;
	urb->actual = 0;
	urb->status = 0;
	urb->backend = NULL;
	list_init(&urb->backend_node);
	list_init(&urb->node);
	list_append(&device->inflight, &urb->node);
	device->inflight_urbs++;
	device->inflight_bytes += urb->len;
	ret = device->ops->submit(device, urb);
	if (ret < 0) {
		list_remove(&urb->node);
		device->inflight_urbs--;
		device->inflight_bytes -= urb->len;
	}
	return ret;
}

void usb_cancel(struct urb *urb)
{
	/* On the list of the done: it completes in this turn anyway. */
	urb->device->ops->cancel(urb->device, urb);
}

void usb_arrived(struct urb *urb, uint32_t arrived)
{
	urb->arrived = arrived;
	urb->device->ops->arrived(urb->device, urb);
}

/* A real device takes its time for each, up to seconds. */
static bool too_many_admins(const struct usb_device *device)
{
	unsigned int n = 0;

	list_for_each (it, &device->admins)
		n++;
	return n > USB_MAX_ADMINS;
}

void usb_admin(struct usb_device *device, struct usb_admin *admin)
{
	admin->device = device;
	list_init(&admin->node);
	list_append(&device->admins, &admin->node);
	if (device->state != USB_DEVICE_OPEN)
		usb_admin_complete(admin, -ESHUTDOWN);
	else if (too_many_admins(device))
		usb_admin_complete(admin, -ENOBUFS);
	else
		device->ops->admin(device, admin);
}

void usb_admin_complete(struct usb_admin *admin, int status)
{
	list_remove(&admin->node);
	admin->status = status;
	admin->complete(admin);
}

/* USB 2.0, table 9-4: bmRequestType and bRequest of the standard requests. */
#define REQ_TYPE_DEVICE_OUT 0x00
#define REQ_TYPE_INTERFACE_OUT 0x01
#define REQ_TYPE_ENDPOINT_OUT 0x02
#define REQ_CLEAR_FEATURE 1
#define REQ_SET_CONFIGURATION 9
#define REQ_SET_INTERFACE 11
#define FEATURE_ENDPOINT_HALT 0

bool usb_setup_to_admin(const struct usb_setup *setup, struct usb_admin *admin)
{
	unsigned int kind = (unsigned int)setup->request_type << 8 |
			    setup->request;

	switch (kind) {
	case REQ_TYPE_DEVICE_OUT << 8 | REQ_SET_CONFIGURATION:
		admin->type = USB_SET_CONFIGURATION;
		admin->configuration = (uint8_t)setup->value;
		return true;
	case REQ_TYPE_INTERFACE_OUT << 8 | REQ_SET_INTERFACE:
		admin->type = USB_SET_ALT_SETTING;
		admin->interface = (uint8_t)setup->index;
		admin->alt = (uint8_t)setup->value;
		return true;
	case REQ_TYPE_ENDPOINT_OUT << 8 | REQ_CLEAR_FEATURE:
		if (setup->value != FEATURE_ENDPOINT_HALT)
			return false;
		admin->type = USB_CLEAR_HALT;
		admin->ep = (uint8_t)setup->index;
		return true;
	default:
		return false;
	}
}
