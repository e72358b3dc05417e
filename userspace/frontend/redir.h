/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One usbredir session, we being the usb-host. URBs go to the hub.
 *
 * The course of a session (usbredir 0.7.1):
 *   our hello -> the peer's hello -> a device is requested from the registry
 *   -> opened -> ep_info, interface_info, device_connect -> requests
 *   -> device_disconnect, or the end of the transport
 */
#ifndef FRONTEND_REDIR_H
#define FRONTEND_REDIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer/redir_parser.h"
#include "peer/session.h"
#include "usb/device.h"
#include "usb/registry.h"
#include "wire/usbredir.h"

#define REDIR_CAPS                                                             \
	(USBREDIR_CAP_BULK_STREAMS | USBREDIR_CAP_BULK_RECEIVING |             \
	 USBREDIR_CAP_CONNECT_DEVICE_VERSION | USBREDIR_CAP_FILTER |           \
	 USBREDIR_CAP_DEVICE_DISCONNECT_ACK |                                  \
	 USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE | USBREDIR_CAP_64BITS_IDS |      \
	 USBREDIR_CAP_32BITS_BULK_LENGTH)

/* So many devices a guest may reject; it is offered no more then. */
#define REDIR_MAX_REJECTED 32

enum redir_state {
	REDIR_HELLO,	 /* the peer's hello is due */
	REDIR_NO_DEVICE, /* waits for one, or has lost its one */
	REDIR_OPENING,
	REDIR_ATTACHED,
	REDIR_DETACHING, /* device_disconnect was sent, the device closes */
	REDIR_CLOSED,
};

struct redir_session {
	struct session base;
	struct registry *registry; /* borrows */
	enum redir_state state;
	uint32_t caps; /* of both sides; 0 before the peer's hello */
	bool is_qemu;  /* by the version that it says in its hello */
	struct usb_listener listener;
	struct registry_waiter waiter;
	struct usb_device *device;	       /* borrows; NULL: none */
	struct filter *filter;		       /* the guest's; NULL: none */
	uint64_t rejected[REDIR_MAX_REJECTED]; /* by device->appearance */
	unsigned int n_rejected;
	/* A guest with a USB 2 controller cannot enumerate a super-speed
	 * device, and does not say so: see redir_session_looked(). */
	bool looked; /* the device descriptor was read since a reset */
	unsigned int failed_looks; /* in a row, each followed by a reset */
	struct timer slower;	   /* detaches it after the last look */
	bool slow;		   /* high speed at most */
	bool again; /* to be detached and attached again, slower */
	/* In flight and to be answered: */
	struct list urbs;     /* struct redir_urb */
	struct list admins;   /* struct redir_admin */
	struct list streams;  /* struct redir_stream */
	struct urb *arriving; /* early, its data is coming; NULL: none */
	unsigned int owed;    /* URBs and admin requests that will complete */
	bool ack_due;	      /* device_disconnect was sent, its ack is due */
	uint64_t skipped;     /* packets that were not understood */

	struct redir_parser parser; /* last: its end is not initialised */
};

/*
 * For the caller's memory. peer is copied. wanted: the device to attach, or
 * NULL for the next free one.
 */
void redir_session_init(struct redir_session *s, struct loop *loop,
			struct bufpool *pool, struct registry *registry,
			struct usb_device *wanted, const char *peer);
/* After it closed. */
void redir_session_fini(struct redir_session *s);

/* The same, in memory of its own, which base->ops->destroy frees. -ENOMEM. */
int must_check redir_session_create(struct loop *loop, struct bufpool *pool,
				    struct registry *registry,
				    struct usb_device *wanted, const char *peer,
				    struct session **session);

/* For the parts of a session: */

/* One that was owed has come back. A session that is closing may be gone then. */
void redir_session_settle(struct redir_session *s);
/* Takes the device from the guest. */
void redir_session_detach(struct redir_session *s);
/*
 * The guest looks at the device descriptor. One that does and resets the device,
 * again and again, without configuring it, has a controller for which super
 * speed is too much (it finds the size of endpoint 0 impossible): it gets the
 * same device as a high-speed one. The last look ends undisturbed: QEMU's EHCI
 * takes seconds to get over a device that goes in the middle.
 */
void redir_session_looked(struct redir_session *s);

#endif
