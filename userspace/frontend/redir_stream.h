/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Streams: endpoints from which, or to which, the host moves data by itself
 * once the guest has asked for it: interrupt receiving, buffered bulk
 * receiving and isochronous streams (usbredir 0.7, sections
 * "usb_redir_start_*"). Backends know nothing of it: they see URBs.
 *
 * A stream is on its session's list while it is on. What it has in flight when
 * it ends completes later and is dropped; the stream is freed then.
 *
 * Packets that nobody asked for one by one need a brake: while ops->full() of
 * the session says so, URBs that have ended are not submitted again.
 */
#ifndef FRONTEND_REDIR_STREAM_H
#define FRONTEND_REDIR_STREAM_H

#include "frontend/redir.h"

#define REDIR_INTERRUPT_URBS 5
#define REDIR_MAX_TRANSFERS 16 /* of bulk receiving */
#define REDIR_MAX_ISO_URBS 16
#define REDIR_MAX_ISO_PACKETS 32 /* in each */

#define REDIR_MAX_STREAMS 64 /* of a session: of bulk, each may be one */

/* So many in a row end a stream: of URBs that fail, of stalls. */
#define REDIR_STREAM_FAILURES 16
#define REDIR_STREAM_STALLS 3

/* --- For redir.c ----------------------------------------------------------- */

/* start_X and stop_X; answers. */
void redir_stream_request(struct redir_session *s,
			  const struct usbredir_msg *msg);

/* The guest's iso_packet; never answered. payload may be NULL. */
void redir_stream_iso_packet(struct redir_session *s,
			     const struct usbredir_msg *msg,
			     const struct buf *payload);

/* The streams that admin, which is about to run, is the end of. */
void redir_streams_yield(struct redir_session *s,
			 const struct usb_admin *admin);
/* All of them: the device goes. */
void redir_streams_end(struct redir_session *s);

/* ops->full() would say no again. */
void redir_streams_resume(struct redir_session *s);

/* --- For the kinds of streams ------------------------------------------------ */

struct redir_stream_urb {
	struct urb urb;
	struct redir_stream *stream;
	enum {
		REDIR_URB_IDLE, /* OUT: being filled, or empty */
		REDIR_URB_SUBMITTED,
		REDIR_URB_WAITING, /* IN: for room. OUT: full, to be submitted */
	} state;
};

/* What differs between interrupt, bulk and isochronous ones. */
struct redir_stream_kind {
	/* The first URBs, or after a stall: again. -errno ends the stream. */
	int (*begin)(struct redir_stream *st);
	/* A URB has ended, but not by a stall. */
	void (*done)(struct redir_stream *st, struct redir_stream_urb *su);
	/* It has stalled; NULL: the guest need not know. */
	void (*stalled)(struct redir_stream *st);
};

struct redir_stream {
	struct list node; /* on session->streams while it is on */
	struct redir_session *session;
	const struct redir_stream_kind *kind;
	uint8_t type; /* enum usb_transfer */
	uint8_t ep;
	uint8_t interface;
	uint32_t stream_id; /* bulk */
	uint32_t len;	    /* of a URB; isochronous: of a packet at most */
	unsigned int n_urbs, n_packets; /* n_packets: in a URB */

	enum {
		REDIR_STREAM_ON,
		REDIR_STREAM_STALLED, /* ends its URBs, then clears the halt */
		REDIR_STREAM_OVER,
	} state;
	uint64_t next_id;
	unsigned int failures, stalls; /* in a row */
	unsigned int in_flight;
	/* The list's, one for each URB in flight, one for clear. */
	unsigned int refs;
	unsigned int cancelling; /* within cancel_all() */
	bool clearing;
	struct usb_admin clear;

	/* Isochronous OUT: */
	unsigned int filling;  /* which of urbs */
	unsigned int gathered; /* packets that are in none that is submitted */
	bool buffering;	       /* half of all is to be gathered first */
	uint64_t dropped;      /* packets: there was no room */

	struct usb_iso_packet *packets; /* n_urbs times n_packets */
	struct redir_stream_urb urbs[];
};

/* Submits an idle URB, whose data and lengths are set. */
int must_check redir_stream_submit(struct redir_stream_urb *su);
/* The same, or lets it wait for room. IN. */
int must_check redir_stream_submit_in(struct redir_stream_urb *su);
/* Ended with status: counts failures in a row; false: the stream is over. */
bool redir_stream_goes_on(struct redir_stream *st, int status);
/* Tells the guest and ends it. */
void redir_stream_lose(struct redir_stream *st, int error);
/* interrupt_receiving_status, bulk_receiving_status or iso_stream_status. */
void redir_stream_tell(struct redir_stream *st, uint64_t id, int error);

#endif
