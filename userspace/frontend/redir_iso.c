// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_iso.h"

#include <string.h>

#include "frontend/redir_describe.h"
#include "frontend/redir_send.h"

/* --- IN ---------------------------------------------------------------------- */

static int submit_packets(struct redir_stream_urb *su)
{
	struct redir_stream *st = su->stream;

	for (unsigned int i = 0; i < st->n_packets; i++)
		su->urb.packets[i] = (struct usb_iso_packet){ .len = st->len };
	su->urb.len = st->len * st->n_packets;
	su->urb.n_packets = (uint16_t)st->n_packets;
	return redir_stream_submit_in(su);
}

static int begin_in(struct redir_stream *st)
{
	int ret = 0;

	for (unsigned int i = 0; !ret && i < st->n_urbs; i++)
		ret = submit_packets(&st->urbs[i]);
	return ret;
}

/* One packet; the reference to urb's data is the message's own. */
static void send_packet(struct redir_stream *st, const struct urb *urb,
			uint32_t off, const struct usb_iso_packet *packet)
{
	uint32_t len = urb->buf ? packet->actual : 0;
	struct usbredir_msg msg = {
		.type = USBREDIR_ISO_PACKET,
		.id = st->next_id++,
		.data_len = len,
		.transfer = {
			.endpoint = st->ep,
			.status = (uint8_t)usbredir_status(packet->status),
			.length = len,
		},
	};

	redir_send_data(st->session, &msg, len ? buf_ref(urb->buf) : NULL, off);
}

static void done_in(struct redir_stream *st, struct redir_stream_urb *su)
{
	struct urb *urb = &su->urb;
	int ret;

	if (urb->status) { /* as a whole: its packets say nothing */
		struct usb_iso_packet none = { .status = urb->status };

		send_packet(st, urb, 0, &none);
	} else {
		for (uint32_t i = 0; i < urb->n_packets; i++)
			send_packet(st, urb, urb->off + i * st->len,
				    &urb->packets[i]);
	}
	buf_put(urb->buf);
	urb->buf = NULL;
	if (!redir_stream_goes_on(st, urb->status))
		return;
	ret = submit_packets(su);
	if (ret < 0)
		redir_stream_lose(st, ret);
}

const struct redir_stream_kind redir_iso_in = {
	.begin = begin_in,
	.done = done_in,
};

/* --- OUT --------------------------------------------------------------------- */

/* Everything from the start: what was gathered belongs to a time that is over. */
static int begin_out(struct redir_stream *st)
{
	for (unsigned int i = 0; i < st->n_urbs; i++) {
		st->urbs[i].state = REDIR_URB_IDLE;
		st->urbs[i].urb.n_packets = 0;
		st->urbs[i].urb.len = 0;
	}
	st->filling = st->gathered = 0;
	st->buffering = true;
	return 0;
}

static bool is_full(const struct redir_stream *st, const struct urb *urb)
{
	return urb->n_packets == st->n_packets;
}

/* The full ones leave, from the oldest. */
static void submit_full(struct redir_stream *st)
{
	for (unsigned int i = 0; i < st->n_urbs; i++) {
		struct redir_stream_urb *su =
			&st->urbs[(st->filling + i) % st->n_urbs];
		int ret;

		if (su->state != REDIR_URB_WAITING)
			continue;
		su->state = REDIR_URB_IDLE;
		st->gathered -= su->urb.n_packets;
		ret = redir_stream_submit(su);
		if (ret < 0) {
			redir_stream_lose(st, ret);
			return;
		}
	}
}

static void append(struct redir_stream_urb *su, const void *data, uint32_t len)
{
	struct urb *urb = &su->urb;

	if (len)
		memcpy(urb->buf->data + urb->off + urb->len, data, len);
	urb->packets[urb->n_packets++] = (struct usb_iso_packet){ .len = len };
	urb->len += len;
}

static void drop_packet(struct redir_stream *st, const char *why)
{
	struct redir_session *s = st->session;

	st->dropped++;
	log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
		    "%s: iso packet for endpoint 0x%02x dropped: %s",
		    s->base.peer, st->ep, why);
}

void redir_iso_gather(struct redir_stream *st, const void *data, uint32_t len)
{
	struct redir_stream_urb *su = &st->urbs[st->filling];

	if (len > st->len) {
		drop_packet(st, "longer than the endpoint takes");
		redir_stream_tell(st, 0, -EINVAL);
		return;
	}
	if (st->state != REDIR_STREAM_ON || su->state != REDIR_URB_IDLE) {
		drop_packet(st, "more than the device plays");
		return;
	}
	append(su, data, len);
	st->gathered++;
	if (is_full(st, &su->urb)) {
		su->state = REDIR_URB_WAITING;
		st->filling = (st->filling + 1) % st->n_urbs;
	}
	if (st->gathered >= st->n_packets * st->n_urbs / 2)
		st->buffering = false;
	if (!st->buffering)
		submit_full(st);
}

/* The first error of a URB and its packets. */
static int outcome(const struct urb *urb)
{
	int status = urb->status;

	for (unsigned int i = 0; !status && i < urb->n_packets; i++)
		status = urb->packets[i].status;
	return status;
}

static void done_out(struct redir_stream *st, struct redir_stream_urb *su)
{
	int urb_status = su->urb.status, status = outcome(&su->urb);

	su->urb.n_packets = 0;
	su->urb.len = 0;
	/* A lost packet is usual; a URB that cannot be done is not. */
	if (!redir_stream_goes_on(st, urb_status))
		return;
	if (status)
		redir_stream_tell(st, 0, status);
	/* The device has caught up with the guest. */
	if (!st->in_flight)
		st->buffering = true;
}

const struct redir_stream_kind redir_iso_out = {
	.begin = begin_out,
	.done = done_out,
};
