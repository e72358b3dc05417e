// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdlib.h>
#include <string.h>

#include "backend/remote_redir.h"
#include "core/outq.h"

/* What the host has sent and nobody has asked for yet. */
struct remote_packet {
	struct list node; /* on stream->unread */
	int status;
	uint32_t len;
	struct buf *buf; /* NULL: none */
};

bool remote_stream_has(const struct urb *urb)
{
	return urb->type == USB_ISO ||
	       (urb->type == USB_INTERRUPT && (urb->ep & USB_DIR_IN));
}

static bool is_out(const struct remote_stream *st)
{
	return !(st->ep & USB_DIR_IN);
}

static struct urb *first_urb(struct remote_stream *st)
{
	return list_empty(&st->urbs)
		       ? NULL
		       : list_first(&st->urbs, struct urb, backend_node);
}

static void end_urb(struct remote_stream *st, int status)
{
	struct urb *urb = first_urb(st);

	st->filled = 0;
	list_remove(&urb->backend_node);
	urb->status = status;
	usb_complete(urb);
}

/* Those that are there now; what is submitted meanwhile stays. */
static void end_all(struct remote_stream *st, int status)
{
	struct list old, *node;

	list_init(&old);
	timer_stop(&st->clock);
	st->filled = 0;
	st->due = 0;
	while ((node = list_pop(&st->urbs)))
		list_append(&old, node);
	while ((node = list_pop(&old))) {
		struct urb *urb = list_entry(node, struct urb, backend_node);

		urb->status = status;
		usb_complete(urb);
	}
}

/* The oldest; the caller's. */
static struct remote_packet *pop_packet(struct remote_stream *st)
{
	struct remote_packet *packet =
		list_first(&st->unread, struct remote_packet, node);

	list_remove(&packet->node);
	st->n_unread--;
	st->unread_bytes -= packet->len;
	return packet;
}

static void free_packet(struct remote_packet *packet)
{
	buf_put(packet->buf);
	free(packet);
}

static void drop_unread(struct remote_stream *st)
{
	while (st->n_unread)
		free_packet(pop_packet(st));
}

/* --- Starting and stopping -------------------------------------------------------- */

static void start(struct remote_stream *st, const struct urb *urb)
{
	struct usbredir_msg msg = { 0 };

	if (st->type == USB_ISO) {
		msg.type = USBREDIR_START_ISO_STREAM;
		msg.iso_stream.endpoint = st->ep;
		msg.iso_stream.pkts_per_urb = (uint8_t)MIN(
			urb->n_packets, (unsigned int)REMOTE_ISO_PACKETS);
		msg.iso_stream.no_urbs = REMOTE_ISO_URBS;
	} else {
		msg.type = USBREDIR_START_INTERRUPT_RECEIVING;
		msg.interrupt_receiving.endpoint = st->ep;
	}
	st->state = REMOTE_STREAM_STARTING;
	st->start_id = remote_redir_send(st->session, &msg, NULL, 0);
}

static void stop(struct remote_stream *st)
{
	struct usbredir_msg msg = { 0 };

	if (st->state == REMOTE_STREAM_OFF)
		return;
	if (st->type == USB_ISO) {
		msg.type = USBREDIR_STOP_ISO_STREAM;
		msg.iso_stream.endpoint = st->ep;
	} else {
		msg.type = USBREDIR_STOP_INTERRUPT_RECEIVING;
		msg.interrupt_receiving.endpoint = st->ep;
	}
	st->state = REMOTE_STREAM_OFF;
	drop_unread(st);
	remote_redir_send(st->session, &msg, NULL, 0);
}

/* --- IN: what comes fills what waits ------------------------------------------------- */

static void fill_interrupt(struct remote_stream *st, struct urb *urb,
			   struct remote_packet *packet)
{
	int status = packet->status;

	if (!status && packet->len > urb->len)
		status = -EOVERFLOW;
	urb->buf = packet->buf;
	packet->buf = NULL;
	urb->off = 0;
	urb->actual = urb->buf ? MIN(packet->len, urb->len) : 0;
	end_urb(st, status);
}

static uint32_t offset_of(const struct urb *urb, unsigned int packet)
{
	uint32_t off = 0;

	for (unsigned int i = 0; i < packet; i++)
		off += urb->packets[i].len;
	return off;
}

static void fill_iso(struct remote_stream *st, struct urb *urb,
		     const struct remote_packet *packet)
{
	struct usb_iso_packet *to = &urb->packets[st->filled];

	to->actual = packet->buf ? MIN(packet->len, to->len) : 0;
	to->status = !packet->status && packet->len > to->len ? -EOVERFLOW
							      : packet->status;
	if (to->actual)
		memcpy(urb->buf->data + offset_of(urb, st->filled),
		       packet->buf->data, to->actual);
	urb->actual += to->actual;
	if (++st->filled == urb->n_packets)
		end_urb(st, 0);
}

/* Whoever is completed may end the stream. */
static void fill(struct task *task)
{
	struct remote_stream *st =
		container_of(task, struct remote_stream, fill);
	struct urb *urb;

	while (st->n_unread && (urb = first_urb(st))) {
		struct remote_packet *packet = pop_packet(st);

		if (st->type == USB_ISO)
			fill_iso(st, urb, packet);
		else
			fill_interrupt(st, urb, packet);
		free_packet(packet);
	}
}

static int submit_in(struct remote_stream *st, struct urb *urb)
{
	if (st->type == USB_ISO) {
		urb->off = 0;
		urb->buf = bufpool_get(st->session->rs.base.pool, urb->len);
		if (!urb->buf)
			return -ENOMEM;
	}
	list_append(&st->urbs, &urb->backend_node);
	if (st->state == REMOTE_STREAM_OFF)
		start(st, urb);
	if (st->n_unread)
		loop_post(st->session->rs.base.loop, &st->fill);
	return 0;
}

/* --- Isochronous OUT: its time passes ---------------------------------------------------- */

/* Microseconds between two packets (USB 2.0, table 9-13: bInterval). */
static int64_t period(const struct remote_stream *st)
{
	const struct usb_info *info = &st->session->rs.info;
	unsigned int interval = info->endpoint[usb_slot(st->ep)].interval;
	int64_t unit = info->speed >= USB_SPEED_HIGH ? 125 : 1000;

	return unit << (MIN(MAX(interval, 1u), 16u) - 1);
}

static int64_t now(const struct remote_stream *st)
{
	return loop_now(st->session->rs.base.loop) * 1000;
}

/* When the first URB that waits is over: those behind it come later. */
static int64_t first_due(struct remote_stream *st)
{
	int64_t due = st->due;

	list_for_each (it, &st->urbs) {
		if (it == st->urbs.next)
			continue;
		due -= period(st) *
		       list_entry(it, struct urb, backend_node)->n_packets;
	}
	return due;
}

static void run_clock(struct remote_stream *st)
{
	struct urb *urb;

	while ((urb = first_urb(st))) {
		int64_t left = first_due(st) - now(st);

		if (left > 0) {
			timer_start(st->session->rs.base.loop, &st->clock,
				    (left + 999) / 1000);
			return;
		}
		urb->actual = urb->len;
		end_urb(st, 0);
	}
}

static void clock_fired(struct timer *timer)
{
	run_clock(container_of(timer, struct remote_stream, clock));
}

/* In a copy: it has ended, for who submits, when its time is over, whether it has
 * left or not. */
static int send_packets(struct remote_stream *st, const struct urb *urb)
{
	struct buf *copy = bufpool_get(st->session->rs.base.pool, urb->len);
	uint32_t off = 0;

	if (!copy)
		return -ENOMEM;
	memcpy(copy->data, urb->buf->data + urb->off, urb->len);
	for (unsigned int i = 0; i < urb->n_packets; i++) {
		uint32_t len = urb->packets[i].len;
		struct usbredir_msg msg = {
			.type = USBREDIR_ISO_PACKET,
			.data_len = len,
			.transfer = { .endpoint = st->ep, .length = len },
		};

		remote_redir_send(st->session, &msg, len ? buf_ref(copy) : NULL,
				  off);
		off += len;
	}
	buf_put(copy);
	return 0;
}

static int submit_out(struct remote_stream *st, struct urb *urb)
{
	if (st->state == REMOTE_STREAM_OFF)
		start(st, urb);
	/* A host that does not take them in time has lost them. */
	if (urb->len && !remote_session_full(&st->session->rs)) {
		int ret = send_packets(st, urb);

		if (ret < 0)
			return ret;
	}
	for (unsigned int i = 0; i < urb->n_packets; i++) {
		urb->packets[i].actual = urb->packets[i].len;
		urb->packets[i].status = 0;
	}
	st->due = MAX(st->due, now(st)) + period(st) * urb->n_packets;
	list_append(&st->urbs, &urb->backend_node);
	if (!timer_running(&st->clock))
		timer_start(st->session->rs.base.loop, &st->clock, 1);
	return 0;
}

/* --- For remote_redir.c ---------------------------------------------------------------------- */

static struct remote_stream *stream_of(struct remote_redir *r, uint8_t ep)
{
	return r->streams[usb_slot(ep)];
}

static struct remote_stream *new_stream(struct remote_redir *r,
					const struct urb *urb)
{
	struct remote_stream *st = calloc(1, sizeof(*st));

	if (!st)
		return NULL;
	st->session = r;
	st->ep = urb->ep;
	st->type = urb->type;
	list_init(&st->urbs);
	list_init(&st->unread);
	task_init(&st->fill, fill);
	timer_init(&st->clock, clock_fired);
	r->streams[usb_slot(urb->ep)] = st;
	return st;
}

/* What a packet of the protocol has room for. */
static bool fits(const struct urb *urb)
{
	for (unsigned int i = 0; i < urb->n_packets; i++)
		if (urb->packets[i].len > UINT16_MAX)
			return false;
	return true;
}

int remote_stream_submit(struct remote_redir *r, struct urb *urb)
{
	struct remote_stream *st = stream_of(r, urb->ep);

	if (!st)
		st = new_stream(r, urb);
	if (!st)
		return -ENOMEM;
	if (st->type != urb->type) { /* another setting, another endpoint */
		if (!list_empty(&st->urbs))
			return -EINVAL;
		stop(st);
		st->type = urb->type;
	}
	if (!fits(urb))
		return -EMSGSIZE;
	if (st->state == REMOTE_STREAM_OFF && remote_session_full(&r->rs))
		return -EIO; /* the host takes nothing, no start either */
	return is_out(st) ? submit_out(st, urb) : submit_in(st, urb);
}

void remote_stream_cancel(struct remote_redir *r, struct urb *urb)
{
	struct remote_stream *st = stream_of(r, urb->ep);

	if (first_urb(st) == urb)
		st->filled = 0;
	if (is_out(st))
		st->due -= period(st) * urb->n_packets;
	list_remove(&urb->backend_node);
	/* Who listens again wants what comes then. */
	if (list_empty(&st->urbs))
		stop(st);
	urb->status = -ECANCELED;
	usb_complete(urb);
}

/* Takes payload. */
static void keep(struct remote_stream *st, const struct usbredir_msg *msg,
		 struct buf *payload)
{
	struct remote_packet *packet = calloc(1, sizeof(*packet));

	if (!packet) {
		buf_put(payload);
		return;
	}
	packet->status = usbredir_error(msg->transfer.status);
	packet->len = msg->data_len;
	packet->buf = payload;
	list_append(&st->unread, &packet->node);
	st->n_unread++;
	st->unread_bytes += packet->len;
	if (!list_empty(&st->urbs))
		fill(&st->fill);
	else if (st->n_unread > REMOTE_MAX_UNREAD ||
		 st->unread_bytes > REMOTE_MAX_UNREAD_BYTES)
		stop(st); /* nobody listens */
}

void remote_stream_packet(struct remote_redir *r,
			  const struct usbredir_msg *msg, struct buf *payload)
{
	struct remote_stream *st = stream_of(r, msg->transfer.endpoint);

	if (st && !is_out(st) && st->state == REMOTE_STREAM_ON)
		keep(st, msg, payload);
	else
		buf_put(payload);
}

void remote_stream_status(struct remote_redir *r,
			  const struct usbredir_msg *msg)
{
	bool iso = msg->type == USBREDIR_ISO_STREAM_STATUS;
	uint8_t ep = iso ? msg->iso_stream.endpoint
			 : msg->interrupt_receiving.endpoint;
	uint8_t status = iso ? msg->iso_stream.status
			     : msg->interrupt_receiving.status;
	struct remote_stream *st = stream_of(r, ep);

	if (!st || st->state == REMOTE_STREAM_OFF)
		return;
	if (!status) {
		if (msg->id == st->start_id)
			st->state = REMOTE_STREAM_ON;
		return;
	}
	/* Whether the host goes on is not said; the next URB starts anew. */
	stop(st);
	if (!is_out(st))
		end_all(st, usbredir_error(status));
}

void remote_streams_end(struct remote_redir *r, int interface)
{
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++) {
		struct remote_stream *st = r->streams[i];

		if (!st || (interface != REMOTE_ALL_INTERFACES &&
			    r->rs.info.endpoint[i].interface != interface))
			continue;
		stop(st);
		end_all(st, -ESHUTDOWN);
	}
}

void remote_streams_free(struct remote_redir *r)
{
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++) {
		struct remote_stream *st = r->streams[i];

		if (!st)
			continue;
		task_cancel(&st->fill);
		drop_unread(st);
		free(st);
	}
}
