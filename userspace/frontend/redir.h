/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One usbredir session, we being the usb-host. Sans-I/O: bytes come in by
 * redir_session_space() and redir_session_filled(), bytes go out by ops->send,
 * URBs go to the hub. Whoever owns a session gives it a transport
 * (redir_link.c), a test or a fuzzer gives it bytes.
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

#include "core/bufpool.h"
#include "core/loop.h"
#include "frontend/redir_parser.h"
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

struct redir_session;

struct redir_session_ops {
	/* head (copied by the callee, at most OUTQ_HEAD bytes), then len bytes
	 * at off of buf, whose reference goes to the callee (may be NULL). */
	void (*send)(struct redir_session *s, const void *head, size_t head_len,
		     struct buf *buf, uint32_t off, uint32_t len);
	/* So much waits to be sent that what comes by itself, see
	 * redir_stream.h, has to wait: for redir_session_drained(). */
	bool (*full)(struct redir_session *s);
	/* The stream cannot be understood any further; why has been logged.
	 * The owner calls redir_session_close(), not from within. */
	void (*failed)(struct redir_session *s);
	/* After redir_session_detach(): the device is closed and the peer
	 * knows. */
	void (*detached)(struct redir_session *s);
	/* After redir_session_close(): nothing is in flight any more. */
	void (*closed)(struct redir_session *s);
};

enum redir_state {
	REDIR_HELLO,	 /* the peer's hello is due */
	REDIR_NO_DEVICE, /* waits for one, or has lost its one */
	REDIR_OPENING,
	REDIR_ATTACHED,
	REDIR_DETACHING, /* device_disconnect was sent, the device closes */
	REDIR_CLOSED,
};

struct redir_session {
	const struct redir_session_ops *ops;
	struct loop *loop;	   /* borrows */
	struct bufpool *pool;	   /* borrows */
	struct registry *registry; /* borrows */
	char peer[128];		   /* for log lines */
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
	 * device, and does not say so: see count_look(). */
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
	bool closing;	      /* redir_session_close() was called */
	bool failed;
	uint64_t skipped; /* packets that were not understood */

	struct redir_parser parser; /* last: its end is not initialised */
};

/*
 * Sends our hello. peer is copied. wanted: the device to attach, or NULL for
 * the next free one.
 */
void redir_session_init(struct redir_session *s,
			const struct redir_session_ops *ops, struct loop *loop,
			struct bufpool *pool, struct registry *registry,
			struct usb_device *wanted, const char *peer);

/* The peer's bytes: see redir_parser.h. */
static inline void *redir_session_space(struct redir_session *s, size_t *len,
					bool *exact)
{
	return redir_parser_space(&s->parser, len, exact);
}

static inline void redir_session_filled(struct redir_session *s, size_t n)
{
	redir_parser_filled(&s->parser, n);
}

/* ops->full() may say no again. */
void redir_session_drained(struct redir_session *s);

/* Takes the device from the peer and lets it know; ends with detached. */
void redir_session_detach(struct redir_session *s);

/*
 * Nothing is sent any more; ends with closed, possibly from within. Memory
 * from redir_session_space() may be lent to the kernel still: it stays.
 */
void redir_session_close(struct redir_session *s);

/* For the parts of a session: one that was owed has come back. A session that
 * is closing may be gone then. */
void redir_session_settle(struct redir_session *s);

/* After closed, when nobody has that memory any more. */
void redir_session_fini(struct redir_session *s);

#endif
