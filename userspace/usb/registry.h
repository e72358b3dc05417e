/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The devices that there are, and who waits for one.
 */
#ifndef USB_REGISTRY_H
#define USB_REGISTRY_H

#include "base/list.h"
#include "usb/device.h"

struct filter; /* of usbredir: wire/filter.h */

struct registry {
	struct list devices; /* struct usb_device, in the order of addition */
	unsigned int last_number; /* that a device has got */
	struct list waiters;	  /* struct registry_waiter, first come */
	/* What guests are told that they may be offered; borrows. NULL: no
	 * word of it. The devices are chosen by whoever adds them. */
	const struct filter *filter;
	/* About peers, of all sessions together: a peer that comes again and
	 * again is not a new one. */
	struct log_limit complaints;
};

/* A connection that wants a device. */
struct registry_waiter {
	struct list node;	   /* on registry->waiters while waiting */
	struct usb_device *wanted; /* this one, or NULL: any */
	/* Not that one, though it is free. NULL: declines none. */
	bool (*declines)(const struct registry_waiter *waiter,
			 const struct usb_device *device);
	/* The device is free now and offered to this waiter alone; it calls
	 * usb_open() at once. */
	void (*granted)(struct registry_waiter *waiter,
			struct usb_device *device);
};

void registry_init(struct registry *registry);
/* Destroys all devices; they must be free. */
void registry_fini(struct registry *registry);

/* Takes the device. */
void registry_add(struct registry *registry, struct usb_device *device);

/* The n-th device, from 0, or NULL. */
struct usb_device *registry_nth(struct registry *registry, unsigned int n);

/*
 * Grants a free device at once, from within this call, and returns true; or
 * lets the waiter wait its turn and returns false.
 */
bool registry_request(struct registry *registry,
		      struct registry_waiter *waiter);
/* Waits no longer. Nothing happens when it did not wait. */
void registry_withdraw(struct registry_waiter *waiter);

#endif
