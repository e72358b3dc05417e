// SPDX-License-Identifier: GPL-2.0-or-later
#include "usb/registry.h"

void registry_init(struct registry *registry)
{
	*registry = (struct registry){ 0 };
	list_init(&registry->devices);
	list_init(&registry->waiters);
}

void registry_fini(struct registry *registry)
{
	list_for_each_safe (it, &registry->devices)
		usb_device_destroy(list_entry(it, struct usb_device, node));
}

static bool suits(const struct registry_waiter *waiter,
		  const struct usb_device *device)
{
	return device->state == USB_DEVICE_FREE && !device->absent &&
	       (!waiter->wanted || waiter->wanted == device) &&
	       !(waiter->declines && waiter->declines(waiter, device));
}

/* The first who waits for such a device gets it. */
static void freed(struct usb_device *device)
{
	struct registry *registry = device->owner;

	list_for_each_safe (it, &registry->waiters) {
		struct registry_waiter *waiter =
			list_entry(it, struct registry_waiter, node);

		if (!suits(waiter, device))
			continue;
		list_remove(&waiter->node);
		waiter->granted(waiter, device);
		return;
	}
}

void registry_add(struct registry *registry, struct usb_device *device)
{
	device->owner = registry;
	device->freed = freed;
	device->number = ++registry->last_number;
	list_append(&registry->devices, &device->node);
}

struct usb_device *registry_nth(struct registry *registry, unsigned int n)
{
	list_for_each (it, &registry->devices)
		if (!n--)
			return list_entry(it, struct usb_device, node);
	return NULL;
}

bool registry_request(struct registry *registry, struct registry_waiter *waiter)
{
	list_for_each (it, &registry->devices) {
		struct usb_device *device =
			list_entry(it, struct usb_device, node);

		if (suits(waiter, device)) {
			waiter->granted(waiter, device);
			return true;
		}
	}
	list_append(&registry->waiters, &waiter->node);
	return false;
}

void registry_withdraw(struct registry_waiter *waiter)
{
	list_remove(&waiter->node);
}
