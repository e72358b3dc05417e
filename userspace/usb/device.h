/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * USB devices: what backends implement and frontends use.
 *
 * A frontend never calls a backend. It calls the usb_*() functions, which
 * check what a peer can get wrong and count what is in flight; behind them a
 * backend may trust its arguments.
 */
#ifndef USB_DEVICE_H
#define USB_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"
#include "base/log.h"
#include "core/loop.h"
#include "usb/urb.h"

#define USB_ENDPOINT_SLOTS 32 /* OUT 0..15, IN 16..31 */
#define USB_MAX_INTERFACES 32

/* Quotas of one open device; the peer that uses it gets no more. */
#define USB_MAX_URB_BYTES (128u << 20)
#define USB_MAX_INFLIGHT_URBS 256u
#define USB_MAX_INFLIGHT_BYTES (160u << 20)
#define USB_MAX_ADMINS 64u

/* See usb_takes_early(). */
#define USB_EARLY_MIN (512u << 10)

enum usb_speed {
	USB_SPEED_LOW,
	USB_SPEED_FULL,
	USB_SPEED_HIGH,
	USB_SPEED_SUPER,
};

struct usb_endpoint {
	uint8_t type;	  /* enum usb_transfer; USB_NO_ENDPOINT: not there */
	uint8_t interval; /* bInterval */
	uint8_t interface;
	uint16_t max_packet;	 /* wMaxPacketSize as it is: bits 11 and up
				  * say how many of them in a microframe */
	uint32_t interval_bytes; /* the most that one interval of a periodic
				  * endpoint moves: bursts and all */
	uint32_t max_streams;
};

struct usb_interface {
	uint8_t number, class, subclass, protocol;
};

/* What a device is in its current configuration and alternate settings. */
struct usb_info {
	enum usb_speed speed;
	uint8_t class, subclass, protocol;
	uint16_t vendor, product, bcd_device;
	uint8_t configuration, n_configurations; /* the current one; 0: none */
	uint8_t n_interfaces;
	struct usb_interface interface[USB_MAX_INTERFACES];
	struct usb_endpoint endpoint[USB_ENDPOINT_SLOTS]; /* usb_slot() */
};

static inline unsigned int usb_slot(uint8_t address)
{
	return (unsigned int)((address & USB_DIR_IN) >> 3) | (address & 0x0f);
}

/* --- Admin requests: what changes the device, one at a time -------------- */

enum usb_admin_type {
	USB_SET_CONFIGURATION, /* configuration */
	USB_GET_CONFIGURATION, /* -> configuration */
	USB_SET_ALT_SETTING,   /* interface, alt */
	USB_GET_ALT_SETTING,   /* interface -> alt */
	USB_CLEAR_HALT,	       /* ep */
	USB_RESET,
	USB_ALLOC_STREAMS, /* endpoints, streams -> streams */
	USB_FREE_STREAMS,  /* endpoints */
};

struct usb_admin {
	struct list node; /* on device->admins while taken */
	struct usb_device *device;
	enum usb_admin_type type;
	uint8_t configuration;
	uint8_t interface, alt;
	uint8_t ep;
	uint32_t endpoints; /* bits by usb_slot() */
	uint32_t streams;
	int status; /* 0 or -errno, as urb->status */
	void (*complete)(struct usb_admin *admin);
};

/* --- What a frontend implements ------------------------------------------ */

struct usb_listener;

struct usb_listener_ops {
	/* After usb_open(): status 0, device->info is valid; or -errno, and
	 * the device is closed again. */
	void (*opened)(struct usb_listener *listener, int status);
	/* The device wants to leave (unplugged, ejected by its owner). The
	 * listener calls usb_close(). */
	void (*leaving)(struct usb_listener *listener);
	/* After usb_close(): nothing is in flight any more; the device is no
	 * longer the listener's. */
	void (*gone)(struct usb_listener *listener);
};

struct usb_listener {
	const struct usb_listener_ops *ops;
};

/* --- What a backend implements -------------------------------------------- */

/*
 * The contract, tested by tests/unit/backend-contract.c against every backend:
 *
 * 1. submit returning 0: taken. The URB completes (usb_complete() or
 *    usb_complete_later()) exactly once, on the loop thread, never inside
 *    submit.
 * 2. submit returning -errno: not taken, will not complete.
 * 3. cancel only asks; the URB still completes exactly once, possibly inside
 *    cancel, with -ECANCELED or with its result.
 * 4. close completes all that was taken and then calls usb_closed(), both
 *    possibly after it has returned.
 * 5. admin is taken always and completes exactly once, possibly inside.
 */
struct usb_device_ops {
	const char *name; /* of the backend: "disk", "null" */
	/* What it would be, but for the endpoints, if it were opened now. NULL,
	 * or false: that is not known. */
	bool (*describe)(struct usb_device *device, struct usb_info *info);
	/*
	 * Makes the device ready at no more than max_speed, fills
	 * device->info, and calls usb_opened(), possibly before it returns.
	 */
	void (*open)(struct usb_device *device, enum usb_speed max_speed);
	void (*close)(struct usb_device *device);
	int (*submit)(struct usb_device *device, struct urb *urb);
	void (*cancel)(struct usb_device *device, struct urb *urb);
	/*
	 * Memory for len bytes that an OUT URB will bring, better than any
	 * other for this device. NULL, the op or its answer: any will do.
	 */
	struct buf *(*alloc)(struct usb_device *device, uint32_t len);
	/*
	 * More data of a taken early URB is there. Before all is there it may
	 * complete with an error only. NULL: the device wants its URBs whole.
	 */
	void (*arrived)(struct usb_device *device, struct urb *urb);
	void (*admin)(struct usb_device *device, struct usb_admin *admin);
	/* Frees the device; it is closed. */
	void (*destroy)(struct usb_device *device);
};

enum usb_device_state {
	USB_DEVICE_FREE,
	USB_DEVICE_OPENING,
	USB_DEVICE_OPEN,
	USB_DEVICE_CLOSING,
};

struct usb_device {
	const struct usb_device_ops *ops;
	struct loop *loop;
	/* It became free again; the owner's, else NULL. */
	void (*freed)(struct usb_device *device);
	void *owner;	     /* borrows: its registry, or the filter over it */
	struct list node;    /* on registry->devices */
	unsigned int number; /* its registry's, from 1; never another's */
	char name[96];	     /* for people: what it is and of what */
	enum usb_device_state state;
	uint64_t appearance;  /* a number for it, another after an absence */
	bool absent;	      /* not there now: offered to nobody */
	bool own_speed;	      /* a real device: it has one speed, no other */
	char why[160];	      /* for people: why the last open failed, or "" */
	bool told;	      /* and they know that already */
	bool data_lost;	      /* closing could not make all writes stable */
	bool close_wanted;    /* usb_close() came while opening */
	struct usb_info info; /* valid while open */
	struct usb_listener *listener; /* borrows; NULL when free */
	struct list inflight;	       /* struct urb, taken by the backend */
	unsigned int inflight_urbs;
	uint64_t inflight_bytes;
	struct list admins; /* struct usb_admin, taken by the backend */
	struct list done;   /* struct urb: usb_complete_later() */
	struct task done_task;
	struct log_limit complaints; /* what the peer got wrong */
	struct log_limit comings;    /* attached and detached */
};

/* For backends: the embedded part. name is copied. */
void usb_device_init(struct usb_device *device,
		     const struct usb_device_ops *ops, struct loop *loop,
		     const char *name);

/* NULL-safe; the device must be free. Leaves its registry. */
void usb_device_destroy(struct usb_device *device);

/* --- For backends: answers ------------------------------------------------ */

/* Ends a taken URB; urb->status and urb->actual are set. */
void usb_complete(struct urb *urb);
/* The same from within submit: ends it before the loop sleeps. */
void usb_complete_later(struct urb *urb);
void usb_admin_complete(struct usb_admin *admin, int status);
/* One that could not be opened is absent until usb_set_absent(). */
void usb_opened(struct usb_device *device, int status);
/* Completes first what usb_complete_later() has left. */
void usb_closed(struct usb_device *device);
/* An open device goes away by itself: it is absent. */
void usb_leave(struct usb_device *device);
/* An absent device is there: it is offered to who waits, or it is not. */
void usb_set_absent(struct usb_device *device, bool absent);

/* --- For frontends --------------------------------------------------------- */

/* What the device is, or would be if it were opened; false: not known, or it
 * is absent. The endpoints are those of an open device only. */
bool usb_describe(struct usb_device *device, struct usb_info *info);

/*
 * Opens a free device for listener (borrowed until gone or a failed opened).
 * The answer is ops->opened, possibly from within this call.
 */
void usb_open(struct usb_device *device, struct usb_listener *listener,
	      enum usb_speed max_speed);

/* Cancels everything and ends with ops->gone, possibly from within. */
void usb_close(struct usb_device *device);

/*
 * Hands a URB to the device. 0: taken, complete will run exactly once. A
 * negative errno: refused, complete will not run:
 *   -ESHUTDOWN  the device is not open
 *   -ENOENT     no such endpoint
 *   -EINVAL     wrong type, direction or stream for the endpoint
 *   -EMSGSIZE   longer than USB_MAX_URB_BYTES
 *   -ENOBUFS    over USB_MAX_INFLIGHT_URBS or USB_MAX_INFLIGHT_BYTES
 *   others      the backend's
 * What a peer got wrong is logged here, rate-limited.
 *
 * Standard control requests that change the device (SET_CONFIGURATION,
 * SET_INTERFACE, CLEAR_FEATURE(ENDPOINT_HALT)) must come as admin requests:
 * see usb_setup_to_admin().
 */
int must_check usb_submit(struct usb_device *device, struct urb *urb);

/* Memory for an OUT URB of len bytes, of the device's own or of pool. */
struct buf *usb_alloc(struct usb_device *device, struct bufpool *pool,
		      uint32_t len);

/*
 * Is a URB of len bytes to be early, that is, submitted while its data is
 * arriving? Large ones are, if the device can: the image is written by another
 * CPU meanwhile.
 */
static inline bool usb_takes_early(const struct usb_device *device,
				   uint32_t len)
{
	return len >= USB_EARLY_MIN && device->ops->arrived;
}

/* A taken early URB has arrived bytes now. It may complete from within. */
void usb_arrived(struct urb *urb, uint32_t arrived);

/* Room for a transfer of len bytes within the quotas? Errors as above. */
int must_check usb_check_quota(struct usb_device *device, uint64_t len);

/* Asks a taken URB to end. It may complete from within this call. */
void usb_cancel(struct urb *urb);

/*
 * Takes admin until its complete has run, possibly from within this call.
 * Errors arrive there, too: -ESHUTDOWN, -ENOBUFS for more than USB_MAX_ADMINS.
 */
void usb_admin(struct usb_device *device, struct usb_admin *admin);

/*
 * True when setup is a standard request that must be an admin request; then
 * admin's type and arguments are filled in.
 */
bool usb_setup_to_admin(const struct usb_setup *setup, struct usb_admin *admin);

#endif
