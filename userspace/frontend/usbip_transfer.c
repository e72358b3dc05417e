// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/usbip_transfer.h"

#include <stdlib.h>
#include <string.h>

#include "core/outq.h"

/* How a kernel's client asks for a reset: as of a hub's port (USB 2.0, 11.24.2). */
#define PORT_REQUEST 0x23
#define SET_FEATURE 3
#define PORT_RESET 4

struct usbip_urb {
	struct urb urb;
	struct list node; /* on session->urbs while the peer waits for it */
	struct usbip_session *session;
	struct usbip_msg request;
	bool unlinking;
	uint32_t unlink; /* seqnum of the UNLINK to be answered */
	/* Isochronous, n_packets each: */
	struct usb_iso_packet *packets;
	uint32_t *offsets; /* as the client gave them */
};

struct usbip_admin {
	struct usb_admin admin;
	struct list node; /* on session->admins while the peer waits for it */
	struct usbip_session *session;
	struct usbip_msg request;
};

/* --- Answers --------------------------------------------------------------------- */

/* Takes buf. */
static void send_msg(struct usbip_session *s, const struct usbip_msg *msg,
		     struct buf *buf, uint32_t off, uint32_t len)
{
	uint8_t head[USBIP_HEADER_SIZE];

	if (!len) {
		buf_put(buf);
		buf = NULL;
	}
	usbip_encode(msg, head);
	session_send(&s->base, head, sizeof(head), buf, off, len);
}

static struct usbip_msg answer_to(const struct usbip_msg *request, int error)
{
	return (struct usbip_msg){
		.command = USBIP_RET_SUBMIT,
		.seqnum = request->seqnum,
		.ret_submit = { .status = usbip_status(error) },
	};
}

/* One without data. */
static void answer(struct usbip_session *s, const struct usbip_msg *request,
		   int error)
{
	struct usbip_msg msg = answer_to(request, error);

	if (s->base.closing)
		return;
	send_msg(s, &msg, NULL, 0, 0);
}

static void answer_unlink(struct usbip_session *s, uint32_t seqnum, int error)
{
	struct usbip_msg msg = { .command = USBIP_RET_UNLINK,
				 .seqnum = seqnum,
				 .unlink_status = usbip_status(error) };

	send_msg(s, &msg, NULL, 0, 0);
}

/*
 * The data of isochronous packets leave without the gaps between them, and
 * their descriptors follow.
 */
static void answer_iso(struct usbip_session *s, const struct usbip_urb *uu)
{
	const struct urb *urb = &uu->urb;
	struct usbip_msg msg = answer_to(&uu->request, urb->status);
	bool in = urb->ep & USB_DIR_IN;
	struct span_writer w;
	struct buf *buf;
	uint32_t at = urb->off;
	size_t size = (size_t)urb->n_packets * USBIP_ISO_SIZE;

	for (uint32_t i = 0; in && urb->buf && i < urb->n_packets; i++)
		size += urb->packets[i].actual;
	buf = bufpool_get(s->base.pool, size);
	if (!buf) {
		usbip_fail(s, "out of memory");
		return;
	}
	w = span_writer_of(buf->data, size);
	for (uint32_t i = 0; in && urb->buf && i < urb->n_packets; i++) {
		span_put(&w, urb->buf->data + at, urb->packets[i].actual);
		at += urb->packets[i].len;
	}
	msg.ret_submit.packets = urb->n_packets;
	for (uint32_t i = 0; i < urb->n_packets; i++) {
		const struct usb_iso_packet *packet = &urb->packets[i];
		struct usbip_iso iso = {
			.offset = uu->offsets[i],
			.length = packet->len,
			/* As a whole: its packets say nothing. */
			.status = usbip_status(urb->status ? urb->status
							   : packet->status),
		};

		if (in)
			iso.actual = urb->buf ? packet->actual : 0;
		else
			iso.actual = iso.status ? 0 : packet->len;
		/* The kernel's client checks the sum. */
		msg.ret_submit.actual += iso.actual;
		msg.ret_submit.errors += iso.status != 0;
		usbip_encode_iso(&w, &iso);
	}
	send_msg(s, &msg, buf, 0, (uint32_t)w.len);
}

static void answer_urb(struct usbip_session *s, const struct usbip_urb *uu)
{
	const struct urb *urb = &uu->urb;
	struct usbip_msg msg = answer_to(&uu->request, urb->status);
	bool in = urb->ep & USB_DIR_IN;
	uint32_t flags = uu->request.submit.flags;

	if (urb->type == USB_ISO) {
		answer_iso(s, uu);
		return;
	}
	msg.ret_submit.actual = urb->actual;
	if (!urb->status && in && urb->actual < urb->len &&
	    (flags & USBIP_FLAG_SHORT_NOT_OK))
		msg.ret_submit.status = -EREMOTEIO;
	send_msg(s, &msg, in && urb->buf ? buf_ref(urb->buf) : NULL, urb->off,
		 in ? urb->actual : 0);
}

static void urb_complete(struct urb *urb)
{
	struct usbip_urb *uu = container_of(urb, struct usbip_urb, urb);
	struct usbip_session *s = uu->session;

	if (s->arriving == urb)
		s->arriving = NULL; /* the rest is received and dropped */
	if (!list_empty(&uu->node)) {
		list_remove(&uu->node);
		/* One that was done before it could be unlinked has its answer,
		 * and with it its data. */
		if (!uu->unlinking || urb->status != -ECANCELED)
			answer_urb(s, uu);
		if (uu->unlinking)
			answer_unlink(s, uu->unlink,
				      urb->status == -ECANCELED ? -ECANCELED
								: 0);
	}
	buf_put(urb->buf);
	free(uu->packets);
	free(uu->offsets);
	free(uu);
	s->owed--;
	usbip_settle(s);
}

/* --- Isochronous packets ----------------------------------------------------------- */

/* What the client says of them; OUT: data is what they send, of len bytes, and
 * what lies between them goes. */
static int read_packets(struct usbip_urb *uu, struct span descriptors,
			uint8_t *data, uint32_t len)
{
	uint32_t n = uu->request.submit.packets, at = 0;
	struct usbip_iso iso;

	uu->packets = calloc(n, sizeof(*uu->packets));
	uu->offsets = calloc(n, sizeof(*uu->offsets));
	if (!uu->packets || !uu->offsets)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++) {
		usbip_decode_iso(&descriptors, &iso);
		if (iso.offset < at || iso.offset > len ||
		    iso.length > len - iso.offset)
			return -EINVAL;
		if (data && iso.offset > at)
			memmove(data + at, data + iso.offset, iso.length);
		uu->packets[i].len = iso.length;
		uu->offsets[i] = iso.offset;
		at += iso.length;
	}
	uu->urb.len = at;
	uu->urb.packets = uu->packets;
	uu->urb.n_packets = (uint16_t)n;
	return 0;
}

/* payload: the data of OUT, and the descriptors. Takes it. */
static int prepare_iso(struct usbip_urb *uu, struct buf *payload)
{
	uint32_t len = uu->request.submit.length;
	bool in = uu->urb.ep & USB_DIR_IN;
	uint32_t data = in ? 0 : len;
	int ret = read_packets(
		uu,
		span_of(payload->data + data,
			(size_t)uu->request.submit.packets * USBIP_ISO_SIZE),
		in ? NULL : payload->data, len);

	if (in || ret < 0)
		buf_put(payload);
	else
		uu->urb.buf = payload;
	return ret;
}

/* --- SUBMIT ---------------------------------------------------------------------------- */

static struct usb_setup setup_of(const struct usbip_submit *submit)
{
	struct span in = span_of(submit->setup, sizeof(submit->setup));
	struct usb_setup setup;

	setup.request_type = span_u8(&in);
	setup.request = span_u8(&in);
	setup.value = (uint16_t)span_le(&in, 2);
	setup.index = (uint16_t)span_le(&in, 2);
	setup.length = (uint16_t)span_le(&in, 2);
	return setup;
}

static void admin_complete(struct usb_admin *admin)
{
	struct usbip_admin *ua = container_of(admin, struct usbip_admin, admin);
	struct usbip_session *s = ua->session;

	if (!list_empty(&ua->node)) {
		list_remove(&ua->node);
		answer(s, &ua->request, admin->status);
	}
	free(ua);
	s->owed--;
	usbip_settle(s);
}

/* True: it is a request that changes the device, and is under way. */
static bool start_admin(struct usbip_session *s, const struct usbip_msg *msg,
			const struct usb_setup *setup)
{
	struct usb_admin what = { .complete = admin_complete };
	struct usbip_admin *ua;

	if (setup->request_type == PORT_REQUEST &&
	    setup->request == SET_FEATURE && setup->value == PORT_RESET)
		what.type = USB_RESET;
	else if (!usb_setup_to_admin(setup, &what))
		return false;
	ua = calloc(1, sizeof(*ua));
	if (!ua) {
		answer(s, msg, -ENOMEM);
		return true;
	}
	ua->admin = what;
	ua->session = s;
	ua->request = *msg;
	list_append(&s->admins, &ua->node);
	s->owed++;
	usb_admin(s->device, &ua->admin);
	return true;
}

static uint8_t type_of(const struct usbip_session *s, uint8_t ep)
{
	return ep & 0x0f ? s->device->info.endpoint[usb_slot(ep)].type
			 : USB_CONTROL;
}

static int prepare(struct usbip_urb *uu, struct buf *payload)
{
	const struct usbip_submit *submit = &uu->request.submit;

	uu->urb.len = submit->length;
	if (uu->urb.type == USB_ISO)
		return prepare_iso(uu, payload);
	uu->urb.buf = payload;
	uu->urb.zero_packet = submit->flags & USBIP_FLAG_ZERO_PACKET;
	if (uu->urb.type != USB_CONTROL)
		return 0;
	uu->urb.setup = setup_of(submit);
	uu->urb.len = uu->urb.setup.length;
	return submit->length < uu->urb.len ? -EINVAL : 0;
}

/* Takes payload. early: it is still arriving. */
static void start_urb(struct usbip_session *s, const struct usbip_msg *msg,
		      struct buf *payload, bool early)
{
	struct usbip_urb *uu = calloc(1, sizeof(*uu));
	int ret;

	if (!uu) {
		buf_put(payload);
		answer(s, msg, -ENOMEM);
		return;
	}
	uu->session = s;
	uu->request = *msg;
	uu->urb.complete = urb_complete;
	uu->urb.ep = msg->ep;
	uu->urb.type = type_of(s, msg->ep);
	uu->urb.early = early;
	ret = prepare(uu, payload);
	list_append(&s->urbs, &uu->node);
	s->owed++;
	if (!ret)
		ret = usb_submit(s->device, &uu->urb);
	if (!ret) {
		if (early)
			s->arriving = &uu->urb;
		return;
	}
	uu->urb.status = ret;
	uu->urb.actual = 0;
	urb_complete(&uu->urb);
}

/* Takes payload. */
static void start(struct usbip_session *s, const struct usbip_msg *msg,
		  struct buf *payload)
{
	struct usb_setup setup = setup_of(&msg->submit);

	s->served++;
	if (s->state != USBIP_ATTACHED) {
		buf_put(payload);
		answer(s, msg, -ESHUTDOWN);
	} else if (!(msg->ep & 0x0f) && start_admin(s, msg, &setup)) {
		buf_put(payload);
	} else {
		start_urb(s, msg, payload, false);
	}
}

static bool takes_early(const struct usbip_session *s,
			const struct usbip_msg *msg, uint8_t type)
{
	return type == USB_BULK &&
	       usb_takes_early(s->device, msg->submit.length);
}

/* May it come in? 0, and *buf is room for its payload of len bytes. */
static int admit(struct usbip_session *s, const struct usbip_msg *msg,
		 uint8_t type, uint32_t len, struct buf **buf)
{
	uint32_t packets = msg->submit.packets;
	int ret;

	if (type == USB_NO_ENDPOINT ||
	    (type == USB_ISO && (!packets || packets > USB_MAX_ISO_PACKETS)))
		return -EINVAL;
	ret = usb_check_quota(s->device, msg->submit.length);
	if (ret < 0 || !len)
		return ret;
	*buf = msg->ep & USB_DIR_IN ? bufpool_get(s->base.pool, len)
				    : usb_alloc(s->device, s->base.pool, len);
	return *buf ? 0 : -ENOMEM;
}

/* Of an endpoint that is not there any more. Others have 0, or ~0. */
static bool was_iso(uint8_t type, const struct usbip_submit *submit)
{
	return type == USB_NO_ENDPOINT && submit->packets <= USBIP_MAX_PACKETS;
}

static void take_submit(struct usbip_session *s, const struct usbip_msg *msg)
{
	const struct usbip_submit *submit = &msg->submit;
	uint8_t type = s->state == USBIP_ATTACHED ? type_of(s, msg->ep)
						  : USB_NO_ENDPOINT;
	bool in = msg->ep & USB_DIR_IN;
	uint32_t len = in ? 0 : submit->length;
	struct buf *buf = NULL;
	bool early;
	int ret;

	if (submit->length > USB_MAX_URB_BYTES ||
	    (type == USB_ISO && submit->packets > USBIP_MAX_PACKETS)) {
		usbip_fail(
			s,
			"the client announces a transfer of impossible length");
		return;
	}
	if (type == USB_ISO || was_iso(type, submit))
		len += submit->packets * USBIP_ISO_SIZE;
	ret = admit(s, msg, type, len, &buf);
	if (ret < 0) {
		parser_skip(&s->parser, len);
		answer(s, msg, ret);
		return;
	}
	if (!len) {
		start(s, msg, NULL);
		return;
	}
	early = takes_early(s, msg, type);
	parser_want_payload(&s->parser, buf, len, early);
	if (early) {
		s->served++;
		start_urb(s, msg, buf_ref(buf), true);
	}
}

/* --- UNLINK ---------------------------------------------------------------------------- */

static void take_unlink(struct usbip_session *s, const struct usbip_msg *msg)
{
	list_for_each (it, &s->urbs) {
		struct usbip_urb *uu = list_entry(it, struct usbip_urb, node);

		if (uu->request.seqnum != msg->unlink_seqnum || uu->unlinking)
			continue;
		uu->unlinking = true;
		uu->unlink = msg->seqnum;
		usb_cancel(&uu->urb); /* it may be gone then */
		return;
	}
	/* What changes the device cannot be stopped; it is not waited for. */
	list_for_each (it, &s->admins) {
		struct usbip_admin *ua =
			list_entry(it, struct usbip_admin, node);

		if (ua->request.seqnum != msg->unlink_seqnum)
			continue;
		list_remove(&ua->node);
		answer_unlink(s, msg->seqnum, -ECANCELED);
		return;
	}
	/* Not there: its answer is on the way already. */
	answer_unlink(s, msg->seqnum, 0);
}

/* --- What comes ---------------------------------------------------------------------------- */

void usbip_transfer_head(struct usbip_session *s, struct span head)
{
	if (usbip_decode(head, &s->msg) < 0 ||
	    (s->msg.command != USBIP_CMD_SUBMIT &&
	     s->msg.command != USBIP_CMD_UNLINK))
		usbip_fail(s, "the client sends what is no command of usbip");
	else if (s->msg.command == USBIP_CMD_SUBMIT)
		take_submit(s, &s->msg);
	else
		take_unlink(s, &s->msg);
}

void usbip_transfer_payload(struct usbip_session *s, struct buf *payload)
{
	start(s, &s->msg, payload);
}

void usbip_transfer_arrived(struct usbip_session *s, uint32_t have)
{
	struct urb *urb = s->arriving;

	if (!urb)
		return; /* it has ended already: refused, unlinked */
	if (have == urb->len)
		s->arriving = NULL;
	usb_arrived(urb, have);
}

void usbip_transfer_forget(struct usbip_session *s)
{
	list_for_each_safe (it, &s->urbs)
		list_remove(it);
	list_for_each_safe (it, &s->admins)
		list_remove(it);
}
