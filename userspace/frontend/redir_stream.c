// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_stream.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/redir_describe.h"
#include "frontend/redir_iso.h"
#include "frontend/redir_send.h"

/* What the guest asks for, of any kind. */
struct wish {
	uint64_t id;
	bool start;
	uint8_t type; /* enum usb_transfer */
	uint8_t ep;
	uint32_t stream_id;
	uint32_t len;
	unsigned int n_urbs, n_packets;
};

/* --- Life -------------------------------------------------------------------- */

static void put(struct redir_stream *st)
{
	if (--st->refs)
		return;
	for (unsigned int i = 0; i < st->n_urbs; i++)
		buf_put(st->urbs[i].urb.buf);
	free(st->packets);
	free(st);
}

static void cancel_all(struct redir_stream *st)
{
	/* They may end within: st stays, and is not begun again. */
	st->refs++;
	st->cancelling++;
	for (unsigned int i = 0; i < st->n_urbs; i++)
		if (st->urbs[i].state == REDIR_URB_SUBMITTED)
			usb_cancel(&st->urbs[i].urb);
	st->cancelling--;
	put(st);
}

static void end(struct redir_stream *st)
{
	if (st->state == REDIR_STREAM_OVER)
		return;
	st->state = REDIR_STREAM_OVER;
	list_remove(&st->node);
	cancel_all(st);
	put(st);
}

void redir_stream_tell(struct redir_stream *st, uint64_t id, int error)
{
	struct usbredir_msg msg = { .id = id };
	uint8_t status = (uint8_t)usbredir_status(error);

	if (st->type == USB_INTERRUPT) {
		msg.type = USBREDIR_INTERRUPT_RECEIVING_STATUS;
		msg.interrupt_receiving.endpoint = st->ep;
		msg.interrupt_receiving.status = status;
	} else if (st->type == USB_BULK) {
		msg.type = USBREDIR_BULK_RECEIVING_STATUS;
		msg.bulk_receiving.endpoint = st->ep;
		msg.bulk_receiving.stream_id = st->stream_id;
		msg.bulk_receiving.status = status;
	} else {
		msg.type = USBREDIR_ISO_STREAM_STATUS;
		msg.iso_stream.endpoint = st->ep;
		msg.iso_stream.status = status;
	}
	redir_send_msg(st->session, &msg);
}

void redir_stream_lose(struct redir_stream *st, int error)
{
	struct redir_session *s = st->session;

	if (st->state == REDIR_STREAM_OVER)
		return;
	log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
		    "%s: %s: the stream of endpoint 0x%02x has ended: %s",
		    s->base.peer, s->device->name, st->ep, strerror(-error));
	/*
	 * Whatever it was: a stall alone means "stopped, and not by you" to a
	 * guest ("usb_redir_interrupt_receiving_status" and the other two).
	 */
	redir_stream_tell(st, 0, -EPIPE);
	end(st);
}

bool redir_stream_goes_on(struct redir_stream *st, int status)
{
	if (!status) {
		st->failures = st->stalls = 0;
		return true;
	}
	if (status != -ESHUTDOWN && ++st->failures < REDIR_STREAM_FAILURES)
		return true;
	redir_stream_lose(st, status);
	return false;
}

/* --- A stall, and what comes after ---------------------------------------------- */

static void cleared(struct usb_admin *admin)
{
	struct redir_stream *st =
		container_of(admin, struct redir_stream, clear);
	struct redir_session *s = st->session;
	int ret = admin->status;

	st->clearing = false;
	if (st->state == REDIR_STREAM_STALLED) {
		st->state = REDIR_STREAM_ON;
		st->next_id = 0;
		if (!ret)
			ret = st->kind->begin(st);
		if (ret < 0)
			redir_stream_lose(st, ret);
	}
	put(st);
	s->owed--;
	redir_session_settle(s);
}

/* When all URBs of a stalled stream are back, the halt can be cleared. */
static void check_stalled(struct redir_stream *st)
{
	if (st->state != REDIR_STREAM_STALLED || st->in_flight ||
	    st->cancelling || st->clearing)
		return;
	st->clearing = true;
	st->refs++;
	st->session->owed++;
	st->clear = (struct usb_admin){ .type = USB_CLEAR_HALT,
					.ep = st->ep,
					.complete = cleared };
	usb_admin(st->session->device, &st->clear);
}

static void stalled(struct redir_stream *st)
{
	if (st->kind->stalled)
		st->kind->stalled(st);
	if (++st->stalls > REDIR_STREAM_STALLS) {
		redir_stream_lose(st, -EPIPE);
		return;
	}
	st->state = REDIR_STREAM_STALLED;
	cancel_all(st);
}

/* --- URBs ------------------------------------------------------------------------- */

static void complete(struct urb *urb)
{
	struct redir_stream_urb *su =
		container_of(urb, struct redir_stream_urb, urb);
	struct redir_stream *st = su->stream;
	struct redir_session *s = st->session;

	su->state = REDIR_URB_IDLE;
	st->in_flight--;
	if (st->state == REDIR_STREAM_ON) {
		if (urb->status == -EPIPE)
			stalled(st);
		else
			st->kind->done(st, su);
	}
	if ((urb->ep & USB_DIR_IN) && su->state == REDIR_URB_IDLE) {
		buf_put(urb->buf);
		urb->buf = NULL;
	}
	check_stalled(st);
	put(st);
	s->owed--;
	redir_session_settle(s);
}

int redir_stream_submit(struct redir_stream_urb *su)
{
	struct redir_stream *st = su->stream;
	int ret;

	su->urb.type = st->type;
	su->urb.ep = st->ep;
	su->urb.stream = st->stream_id;
	su->urb.complete = complete;
	ret = usb_submit(st->session->device, &su->urb);
	if (ret < 0)
		return ret;
	su->state = REDIR_URB_SUBMITTED;
	st->in_flight++;
	st->refs++;
	st->session->owed++;
	return 0;
}

int redir_stream_submit_in(struct redir_stream_urb *su)
{
	struct redir_session *s = su->stream->session;

	if (s->base.user->full(&s->base)) {
		su->state = REDIR_URB_WAITING;
		return 0;
	}
	return redir_stream_submit(su);
}

static void resume(struct redir_stream *st)
{
	for (unsigned int i = 0; i < st->n_urbs; i++) {
		struct redir_stream_urb *su = &st->urbs[i];
		int ret;

		if (su->state != REDIR_URB_WAITING)
			continue;
		ret = redir_stream_submit_in(su);
		if (ret < 0) {
			su->state = REDIR_URB_IDLE;
			redir_stream_lose(st, ret);
			return;
		}
	}
}

void redir_streams_resume(struct redir_session *s)
{
	list_for_each_safe (it, &s->streams) {
		struct redir_stream *st =
			list_entry(it, struct redir_stream, node);

		if ((st->ep & USB_DIR_IN) && st->state == REDIR_STREAM_ON)
			resume(st);
	}
}

/* --- Interrupt and bulk receiving ---------------------------------------------------- */

static int begin_receiving(struct redir_stream *st)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < st->n_urbs; i++) {
		st->urbs[i].urb.len = st->len;
		ret = redir_stream_submit_in(&st->urbs[i]);
	}
	return ret;
}

/* Takes buf. */
static void send_received(struct redir_stream *st, int status, uint32_t len,
			  struct buf *buf, uint32_t off)
{
	struct usbredir_msg msg = {
		.type = st->type == USB_BULK ? USBREDIR_BUFFERED_BULK_PACKET
					     : USBREDIR_INTERRUPT_PACKET,
		.id = st->next_id++,
		.data_len = len,
		.transfer = { .endpoint = st->ep,
			      .status = (uint8_t)usbredir_status(status),
			      .length = len,
			      .stream_id = st->stream_id },
	};

	redir_send_data(st->session, &msg, buf, off);
}

static void received(struct redir_stream *st, struct redir_stream_urb *su)
{
	struct urb *urb = &su->urb;
	struct buf *buf = urb->buf;
	uint32_t len = urb->status || !buf ? 0 : urb->actual;
	int ret;

	urb->buf = NULL;
	if (!len) {
		buf_put(buf);
		buf = NULL;
	}
	send_received(st, urb->status, len, buf, urb->off);
	if (!redir_stream_goes_on(st, urb->status))
		return;
	ret = redir_stream_submit_in(su);
	if (ret < 0)
		redir_stream_lose(st, ret);
}

static void send_stall(struct redir_stream *st)
{
	send_received(st, -EPIPE, 0, NULL, 0);
}

static const struct redir_stream_kind receiving = {
	.begin = begin_receiving,
	.done = received,
	.stalled = send_stall,
};

/* --- Start and stop --------------------------------------------------------------------- */

static struct redir_stream *find(struct redir_session *s, uint8_t ep,
				 uint32_t stream_id)
{
	list_for_each (it, &s->streams) {
		struct redir_stream *st =
			list_entry(it, struct redir_stream, node);

		if (st->ep == ep && st->stream_id == stream_id)
			return st;
	}
	return NULL;
}

static unsigned int count(const struct redir_session *s)
{
	unsigned int n = 0;

	list_for_each (it, &s->streams)
		n++;
	return n;
}

static bool same(const struct redir_stream *st, const struct wish *wish)
{
	return st->len == wish->len && st->n_urbs == wish->n_urbs &&
	       st->n_packets == wish->n_packets;
}

/* What one interval moves; lengths of such packets have 16 bits. */
static uint32_t interval_bytes(const struct usb_endpoint *ep)
{
	uint32_t len = ep->interval_bytes;

	if (!len)
		len = ep->max_packet & 0x7ff;
	return MIN(len, UINT16_MAX);
}

static int check_bulk(const struct usb_endpoint *ep, const struct wish *wish)
{
	uint32_t packet = ep->max_packet & 0x7ff;

	if (wish->stream_id > ep->max_streams)
		return -EINVAL;
	if (!packet || !wish->len || wish->len % packet ||
	    wish->len > USB_MAX_URB_BYTES)
		return -EINVAL;
	if (!wish->n_urbs || wish->n_urbs > REDIR_MAX_TRANSFERS)
		return -EINVAL;
	return 0;
}

static int check_iso(const struct wish *wish)
{
	if (!wish->n_urbs || wish->n_urbs > REDIR_MAX_ISO_URBS)
		return -EINVAL;
	if (!wish->n_packets || wish->n_packets > REDIR_MAX_ISO_PACKETS)
		return -EINVAL;
	return 0;
}

/* Completes a wish to start with what the endpoint is. */
static int check_start(const struct usb_endpoint *ep, struct wish *wish)
{
	if (wish->type == USB_BULK)
		return check_bulk(ep, wish);
	wish->len = interval_bytes(ep);
	if (!wish->len)
		return -EINVAL;
	return wish->type == USB_ISO ? check_iso(wish) : 0;
}

/* Memory that OUT streams have, in flight or not. */
static uint64_t reserved(const struct redir_session *s)
{
	uint64_t bytes = 0;

	list_for_each (it, &s->streams) {
		const struct redir_stream *st =
			list_entry(it, struct redir_stream, node);

		if (!(st->ep & USB_DIR_IN))
			bytes += (uint64_t)st->len * st->n_packets * st->n_urbs;
	}
	return bytes;
}

static int alloc_out(struct redir_stream *st)
{
	struct redir_session *s = st->session;
	uint32_t len = st->len * st->n_packets;
	int ret = usb_check_quota(s->device,
				  reserved(s) + (uint64_t)len * st->n_urbs);

	if (ret < 0)
		return ret;
	for (unsigned int i = 0; i < st->n_urbs; i++) {
		st->urbs[i].urb.buf = usb_alloc(s->device, s->base.pool, len);
		if (!st->urbs[i].urb.buf)
			return -ENOMEM;
	}
	return 0;
}

static int alloc_data(struct redir_stream *st)
{
	if (st->type != USB_ISO)
		return 0;
	st->packets = calloc((size_t)st->n_urbs * st->n_packets,
			     sizeof(*st->packets));
	if (!st->packets)
		return -ENOMEM;
	for (unsigned int i = 0; i < st->n_urbs; i++)
		st->urbs[i].urb.packets = st->packets + i * st->n_packets;
	return st->ep & USB_DIR_IN ? 0 : alloc_out(st);
}

static const struct redir_stream_kind *kind_of(const struct wish *wish)
{
	if (wish->type != USB_ISO)
		return &receiving;
	return wish->ep & USB_DIR_IN ? &redir_iso_in : &redir_iso_out;
}

static struct redir_stream *create(struct redir_session *s,
				   const struct usb_endpoint *ep,
				   const struct wish *wish)
{
	struct redir_stream *st =
		calloc(1, sizeof(*st) + wish->n_urbs * sizeof(st->urbs[0]));

	if (!st)
		return NULL;
	list_init(&st->node);
	st->session = s;
	st->kind = kind_of(wish);
	st->type = wish->type;
	st->ep = wish->ep;
	st->interface = ep->interface;
	st->stream_id = wish->stream_id;
	st->len = wish->len;
	st->n_urbs = wish->n_urbs;
	st->n_packets = wish->n_packets;
	for (unsigned int i = 0; i < st->n_urbs; i++)
		st->urbs[i].stream = st;
	st->refs = 1;
	return st;
}

static int start(struct redir_session *s, const struct usb_endpoint *ep,
		 struct wish *wish)
{
	struct redir_stream *st;
	int ret = check_start(ep, wish);

	if (ret < 0)
		return ret;
	st = find(s, wish->ep, wish->stream_id);
	if (st)
		return same(st, wish) ? 0 : -EINVAL;
	if (count(s) >= REDIR_MAX_STREAMS)
		return -ENOBUFS;
	st = create(s, ep, wish);
	if (!st)
		return -ENOMEM;
	ret = alloc_data(st);
	if (!ret)
		ret = st->kind->begin(st);
	if (ret < 0) {
		end(st);
		return ret;
	}
	list_append(&s->streams, &st->node);
	log_debug("%s: %s on endpoint 0x%02x, %u transfers of %u bytes",
		  s->base.peer,
		  st->type == USB_ISO	 ? "an isochronous stream"
		  : st->type == USB_BULK ? "bulk receiving"
					 : "interrupt receiving",
		  st->ep, st->n_urbs, st->len * MAX(st->n_packets, 1));
	return 0;
}

static int fulfil(struct redir_session *s, struct wish *wish)
{
	const struct usb_endpoint *ep;
	struct redir_stream *st;

	if (s->state != REDIR_ATTACHED)
		return -EIO;
	ep = &s->device->info.endpoint[usb_slot(wish->ep)];
	if ((wish->ep & 0x70) || ep->type != wish->type ||
	    (wish->type != USB_ISO && !(wish->ep & USB_DIR_IN)))
		return -EINVAL;
	if (wish->start)
		return start(s, ep, wish);
	st = find(s, wish->ep, wish->stream_id);
	if (st)
		end(st);
	return 0;
}

static struct wish read_wish(const struct usbredir_msg *msg)
{
	struct wish wish = { .id = msg->id, .n_packets = 1 };

	switch (msg->type) {
	case USBREDIR_START_ISO_STREAM:
	case USBREDIR_STOP_ISO_STREAM:
		wish.type = USB_ISO;
		wish.start = msg->type == USBREDIR_START_ISO_STREAM;
		wish.ep = msg->iso_stream.endpoint;
		wish.n_urbs = msg->iso_stream.no_urbs;
		wish.n_packets = msg->iso_stream.pkts_per_urb;
		break;
	case USBREDIR_START_INTERRUPT_RECEIVING:
	case USBREDIR_STOP_INTERRUPT_RECEIVING:
		wish.type = USB_INTERRUPT;
		wish.start = msg->type == USBREDIR_START_INTERRUPT_RECEIVING;
		wish.ep = msg->interrupt_receiving.endpoint;
		wish.n_urbs = REDIR_INTERRUPT_URBS;
		break;
	default:
		wish.type = USB_BULK;
		wish.start = msg->type == USBREDIR_START_BULK_RECEIVING;
		wish.ep = msg->bulk_receiving.endpoint;
		wish.stream_id = msg->bulk_receiving.stream_id;
		wish.len = msg->bulk_receiving.bytes_per_transfer;
		wish.n_urbs = msg->bulk_receiving.no_transfers;
		break;
	}
	return wish;
}

void redir_stream_request(struct redir_session *s,
			  const struct usbredir_msg *msg)
{
	struct wish wish = read_wish(msg);
	/* Only who it is: there may be no stream, before and after. */
	struct redir_stream who = { .session = s,
				    .type = wish.type,
				    .ep = wish.ep,
				    .stream_id = wish.stream_id };

	redir_stream_tell(&who, wish.id, fulfil(s, &wish));
}

void redir_stream_iso_packet(struct redir_session *s,
			     const struct usbredir_msg *msg,
			     const struct buf *payload)
{
	struct redir_stream *st = find(s, msg->transfer.endpoint, 0);

	/* Some are on their way still when a stream ends. */
	if (st && st->kind == &redir_iso_out)
		redir_iso_gather(st, payload ? payload->data : NULL,
				 msg->data_len);
}

/* --- The end ---------------------------------------------------------------------------- */

static bool ends(const struct redir_stream *st, const struct usb_admin *admin)
{
	switch (admin->type) {
	case USB_SET_CONFIGURATION:
	case USB_RESET:
		return true;
	case USB_SET_ALT_SETTING:
		return st->interface == admin->interface;
	case USB_ALLOC_STREAMS:
	case USB_FREE_STREAMS:
		return admin->endpoints >> usb_slot(st->ep) & 1;
	default:
		return false;
	}
}

void redir_streams_yield(struct redir_session *s, const struct usb_admin *admin)
{
	list_for_each_safe (it, &s->streams) {
		struct redir_stream *st =
			list_entry(it, struct redir_stream, node);

		if (ends(st, admin))
			end(st);
	}
}

void redir_streams_end(struct redir_session *s)
{
	list_for_each_safe (it, &s->streams)
		end(list_entry(it, struct redir_stream, node));
}
