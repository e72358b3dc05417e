/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A usbredir session, we being the usb-guest. What a guest asks for one by one
 * (control, bulk, interrupt OUT) is in remote_redir.c; what the host sends by
 * itself, or takes without an answer, is in remote_stream.c: URBs for it are
 * filled from streams (usbredir 0.7, sections "usb_redir_start_*").
 */
#ifndef BACKEND_REMOTE_REDIR_H
#define BACKEND_REMOTE_REDIR_H

#include "backend/remote_session.h"
#include "peer/redir_parser.h"

/* What a stream may have received that nobody has asked for yet: packets, and
 * bytes of all. */
#define REMOTE_MAX_UNREAD 256
#define REMOTE_MAX_UNREAD_BYTES (1u << 20)

/* URBs and packets in each that we ask the host to keep in flight. */
#define REMOTE_ISO_URBS 4
#define REMOTE_ISO_PACKETS 16

struct remote_stream {
	uint8_t ep, type;
	enum {
		REMOTE_STREAM_OFF,
		REMOTE_STREAM_STARTING, /* asked for; what comes is older */
		REMOTE_STREAM_ON,
	} state;
	uint64_t start_id;   /* of that request */
	struct list urbs;    /* struct urb, by backend_node */
	unsigned int filled; /* isochronous IN: packets of the first */
	struct list unread;  /* struct remote_packet */
	unsigned int n_unread;
	size_t unread_bytes;
	struct task fill; /* of URBs that find them */
	/* Isochronous OUT has no answers: a URB has ended when its time is
	 * over. */
	int64_t due; /* of the last one, microseconds of loop_now() */
	struct timer clock;
	struct remote_redir *session;
};

struct remote_redir {
	struct remote_session rs;
	enum { REMOTE_HELLO, REMOTE_WAITING, REMOTE_ATTACHED } state;
	uint32_t caps; /* of both sides */
	uint64_t last_id;
	struct list urbs;   /* struct urb, by backend_node: await answers */
	struct list admins; /* struct remote_admin: the same */
	/* By usb_slot(); owned, or NULL: never used. */
	struct remote_stream *streams[USB_ENDPOINT_SLOTS];
	struct redir_parser parser; /* last: its end is not initialised */
};

/* Sends msg and, if it has data_len, that of buf, a reference, which it takes.
 * Its id is a new one, and returned. */
uint64_t remote_redir_send(struct remote_redir *r, struct usbredir_msg *msg,
			   struct buf *buf, uint32_t off);

/* --- remote_stream.c ------------------------------------------------------------ */

/* Is this URB a matter of a stream? */
bool remote_stream_has(const struct urb *urb);
int must_check remote_stream_submit(struct remote_redir *r, struct urb *urb);
void remote_stream_cancel(struct remote_redir *r, struct urb *urb);
/* A packet by itself; takes payload, which may be NULL. */
void remote_stream_packet(struct remote_redir *r,
			  const struct usbredir_msg *msg, struct buf *payload);
/* iso_stream_status, interrupt_receiving_status */
void remote_stream_status(struct remote_redir *r,
			  const struct usbredir_msg *msg);
/* Has the host end those of this interface, and completes all their URBs, with
 * -ESHUTDOWN. */
#define REMOTE_ALL_INTERFACES -1
void remote_streams_end(struct remote_redir *r, int interface);
void remote_streams_free(struct remote_redir *r);

#endif
