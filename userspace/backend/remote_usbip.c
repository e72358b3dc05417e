// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/remote_usbip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/usbdesc_info.h"
#include "core/outq.h"

/* How a server's kernel is asked for a reset: as of a hub's port. */
#define PORT_REQUEST 0x23
#define SET_FEATURE 3
#define PORT_RESET 4

#define SET_CONFIGURATION 9
#define SET_INTERFACE 11

#define CONFIG_HEAD 9

/* What the kernel's server can be asked for without scatter-gather, with some
 * reserve: it is one allocation there (of 4 MiB at most). */
#define MAX_IN_ONE (1u << 20)

/* Answers that may come after the UNLINK's. */
#define MAX_LATE 256

/* A SUBMIT that awaits its answer: of a URB, of an admin request, or our own. */
struct remote_call {
	struct list node; /* on calls */
	uint32_t seqnum;
	uint8_t ep;
	uint32_t len;	    /* IN: that is wanted at most */
	uint16_t n_packets; /* 0: not isochronous */
	struct urb *urb;
	struct usb_admin *admin;
	/* Our own; data is NULL if there is none. */
	void (*done)(struct remote_usbip *u, int error, const uint8_t *data,
		     uint32_t len);
	bool unlinking;
	uint32_t unlink; /* seqnum of the UNLINK */
	bool late;	 /* unlinked; its answer may be on the way still */
};

static struct remote_usbip *usbip_of(struct remote_session *rs)
{
	return container_of(rs, struct remote_usbip, rs);
}

static void fail(struct remote_usbip *u, const char *why)
{
	remote_session_fail(&u->rs, why);
}

/* --- Sending ---------------------------------------------------------------------- */

static uint32_t next_seqnum(struct remote_usbip *u)
{
	u->seqnum = u->seqnum == UINT32_MAX ? 1 : u->seqnum + 1;
	return u->seqnum;
}

/* Fills in what is the same for all, and sends it. Takes buf. */
static void send_msg(struct remote_usbip *u, struct usbip_msg *msg,
		     struct buf *buf, uint32_t off, uint32_t len)
{
	uint8_t head[USBIP_HEADER_SIZE];

	msg->seqnum = next_seqnum(u);
	msg->devid = u->device.busnum << 16 | u->device.devnum;
	usbip_encode(msg, head);
	session_send(&u->rs.base, head, sizeof(head), buf, off, len);
}

static struct remote_call *new_call(struct remote_usbip *u, uint8_t ep,
				    uint32_t len)
{
	struct remote_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->ep = ep;
	call->len = len;
	list_append(&u->calls, &call->node);
	return call;
}

static void put_setup(uint8_t out[8], const struct usb_setup *setup)
{
	struct span_writer w = span_writer_of(out, 8);

	span_put_le(&w, setup->request_type, 1);
	span_put_le(&w, setup->request, 1);
	span_put_le(&w, setup->value, 2);
	span_put_le(&w, setup->index, 2);
	span_put_le(&w, setup->length, 2);
}

/* Which way a control request goes; one without data goes OUT, whatever its
 * type says (the kernel warns of others). */
static uint8_t direction_of(const struct usb_setup *setup)
{
	return setup->length ? setup->request_type & USB_DIR_IN : 0;
}

/* A control request without OUT data; NULL: no memory. */
static struct remote_call *call_control(struct remote_usbip *u,
					const struct usb_setup *setup)
{
	uint8_t ep = direction_of(setup);
	struct remote_call *call = new_call(u, ep, setup->length);
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = ep,
				 .submit.length = setup->length };

	if (!call)
		return NULL;
	if (ep)
		msg.submit.flags = USBIP_FLAG_DIR_IN;
	put_setup(msg.submit.setup, setup);
	send_msg(u, &msg, NULL, 0, 0);
	call->seqnum = msg.seqnum;
	return call;
}

/* --- URBs -------------------------------------------------------------------------- */

/* The descriptors of isochronous packets, and OUT the data in front of them;
 * the data are as the hub has them, so the offsets are sums. */
static struct buf *pack_iso(struct remote_usbip *u, const struct urb *urb,
			    uint32_t *len)
{
	uint32_t data = urb->ep & USB_DIR_IN ? 0 : urb->len, off = 0;
	size_t size = data + (size_t)urb->n_packets * USBIP_ISO_SIZE;
	struct buf *buf = bufpool_get(u->rs.base.pool, size);
	struct span_writer w;

	if (!buf)
		return NULL;
	w = span_writer_of(buf->data, size);
	if (data)
		span_put(&w, urb->buf->data + urb->off, data);
	for (unsigned int i = 0; i < urb->n_packets; i++) {
		struct usbip_iso iso = { .offset = off,
					 .length = urb->packets[i].len };

		usbip_encode_iso(&w, &iso);
		off += iso.length;
	}
	*len = (uint32_t)w.len;
	return buf;
}

/* As the kernel's client has it: in frames or microframes (USB 2.0, table 9-13). */
static uint32_t interval_of(const struct usb_info *info, const struct urb *urb)
{
	uint32_t interval = info->endpoint[usb_slot(urb->ep)].interval;

	if (urb->type != USB_ISO && urb->type != USB_INTERRUPT)
		return 0;
	if (urb->type == USB_INTERRUPT && info->speed < USB_SPEED_HIGH)
		return interval;
	return 1u << (MIN(MAX(interval, 1u), 16u) - 1);
}

static uint32_t flags_of(const struct urb *urb, bool in)
{
	uint32_t flags = in ? USBIP_FLAG_DIR_IN : 0;

	if (urb->type == USB_ISO)
		flags |= USBIP_FLAG_ISO_ASAP;
	if (urb->zero_packet && !in)
		flags |= USBIP_FLAG_ZERO_PACKET;
	/* The kernel's server has no more in one piece. */
	if (urb->type == USB_BULK && urb->len > MAX_IN_ONE)
		flags |= USBIP_FLAG_DMA_MAP_SG;
	return flags;
}

static int usbip_submit(struct remote_session *rs, struct urb *urb)
{
	struct remote_usbip *u = usbip_of(rs);
	uint8_t ep = urb->type == USB_CONTROL
			     ? (urb->ep & 0x0f) | direction_of(&urb->setup)
			     : urb->ep;
	bool in = ep & USB_DIR_IN;
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = ep,
				 .submit.length = urb->len };
	uint32_t len = in ? 0 : urb->len, off = urb->off;
	struct remote_call *call;
	struct buf *buf = NULL;

	if (urb->type == USB_ISO) {
		buf = pack_iso(u, urb, &len);
		off = 0;
		if (!buf)
			return -ENOMEM;
	} else if (len) {
		buf = buf_ref(urb->buf);
	}
	call = new_call(u, ep, urb->len);
	if (!call) {
		buf_put(buf);
		return -ENOMEM;
	}
	call->urb = urb;
	call->n_packets = urb->type == USB_ISO ? urb->n_packets : 0;
	urb->backend = call;
	msg.submit.packets = call->n_packets;
	msg.submit.flags = flags_of(urb, in);
	msg.submit.interval = interval_of(&rs->info, urb);
	if (urb->type == USB_CONTROL)
		put_setup(msg.submit.setup, &urb->setup);
	send_msg(u, &msg, buf, off, len);
	call->seqnum = msg.seqnum;
	return 0;
}

static void unlink_call(struct remote_usbip *u, struct remote_call *call)
{
	struct usbip_msg msg = { .command = USBIP_CMD_UNLINK,
				 .unlink_seqnum = call->seqnum };

	if (call->unlinking)
		return;
	call->unlinking = true;
	send_msg(u, &msg, NULL, 0, 0);
	call->unlink = msg.seqnum;
}

static void usbip_cancel(struct remote_session *rs, struct urb *urb)
{
	unlink_call(usbip_of(rs), urb->backend);
}

static void free_call(struct remote_usbip *u, struct remote_call *call)
{
	list_remove(&call->node);
	u->n_late -= call->late;
	free(call);
}

static void end_urb(struct remote_usbip *u, struct remote_call *call,
		    int status, uint32_t actual)
{
	struct urb *urb = call->urb;

	free_call(u, call);
	urb->status = status;
	urb->actual = actual;
	usb_complete(urb);
}

/* --- Requests that change the device --------------------------------------------------- */

static void describe_config(struct remote_usbip *u, uint8_t value)
{
	struct span descriptors = span_of(u->descriptors, u->n_descriptors);
	static const enum usbdesc_speed speeds[] = {
		[USB_SPEED_LOW] = USBDESC_FULL,
		[USB_SPEED_FULL] = USBDESC_FULL,
		[USB_SPEED_HIGH] = USBDESC_HIGH,
		[USB_SPEED_SUPER] = USBDESC_SUPER,
	};
	struct usbdesc_config config = { .value = 0 };

	/* Configuration 0 has no endpoints; nor has one that is none. */
	if (value && usbdesc_read_config(descriptors, value, u->alts,
					 speeds[u->rs.info.speed], &config) < 0)
		config = (struct usbdesc_config){ .value = value };
	usbdesc_fill_info(&u->rs.info, &u->desc, &config);
	/* The protocol has no word for bulk streams. */
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++)
		u->rs.info.endpoint[i].max_streams = 0;
	if (config.flaw)
		log_limited(u->rs.base.complaints, LOG_LEVEL_WARN,
			    "%s: %s; that is skipped", u->rs.base.peer,
			    config.flaw);
	remote_session_changed(&u->rs);
}

static bool setup_of(const struct usb_admin *admin, struct usb_setup *setup)
{
	switch (admin->type) {
	case USB_SET_CONFIGURATION:
		*setup = (struct usb_setup){ 0, SET_CONFIGURATION,
					     admin->configuration, 0, 0 };
		return true;
	case USB_SET_ALT_SETTING:
		*setup = (struct usb_setup){ USBDESC_TO_INTERFACE,
					     SET_INTERFACE, admin->alt,
					     admin->interface, 0 };
		return true;
	case USB_CLEAR_HALT:
		*setup = (struct usb_setup){ USBDESC_TO_ENDPOINT,
					     USBDESC_CLEAR_FEATURE,
					     USBDESC_ENDPOINT_HALT, admin->ep,
					     0 };
		return true;
	case USB_RESET:
		*setup = (struct usb_setup){ PORT_REQUEST, SET_FEATURE,
					     PORT_RESET, 1, 0 };
		return true;
	default:
		return false;
	}
}

static void usbip_admin(struct remote_session *rs, struct usb_admin *admin)
{
	struct remote_usbip *u = usbip_of(rs);
	struct remote_call *call;
	struct usb_setup setup;

	if (setup_of(admin, &setup)) {
		call = call_control(u, &setup);
		if (call)
			call->admin = admin;
		else
			usb_admin_complete(admin, -ENOMEM);
		return;
	}
	switch (admin->type) {
	case USB_GET_CONFIGURATION:
		admin->configuration = rs->info.configuration;
		usb_admin_complete(admin, 0);
		break;
	case USB_GET_ALT_SETTING:
		if (admin->interface < USBDESC_MAX_INTERFACES)
			admin->alt = u->alts[admin->interface];
		usb_admin_complete(admin,
				   admin->interface < USBDESC_MAX_INTERFACES
					   ? 0
					   : -EINVAL);
		break;
	default: /* bulk streams */
		usb_admin_complete(admin, -EINVAL);
		break;
	}
}

static void end_admin(struct remote_usbip *u, struct remote_call *call,
		      int error)
{
	struct usb_admin *admin = call->admin;

	free_call(u, call);
	/* It is the server that acts; the device itself has no such request, and
	 * may say so. */
	if (admin->type == USB_RESET && error != -ESHUTDOWN)
		error = 0;
	if (!error && admin->type == USB_SET_CONFIGURATION) {
		memset(u->alts, 0, sizeof(u->alts));
		describe_config(u, admin->configuration);
	}
	if (!error && admin->type == USB_SET_ALT_SETTING &&
	    admin->interface < USBDESC_MAX_INTERFACES) {
		u->alts[admin->interface] = admin->alt;
		describe_config(u, u->rs.info.configuration);
	}
	usb_admin_complete(admin, error);
}

/* --- Answers ------------------------------------------------------------------------------ */

static struct remote_call *find_call(struct remote_usbip *u, uint32_t seqnum)
{
	list_for_each (it, &u->calls) {
		struct remote_call *call =
			list_entry(it, struct remote_call, node);

		if (call->seqnum == seqnum)
			return call;
	}
	return NULL;
}

/* Abandoned: its answer is taken and dropped. */
static bool is_orphan(const struct remote_call *call)
{
	return !call->urb && !call->admin && !call->done;
}

/* data, the packed packets, goes where the hub wants it; the descriptors tell
 * what each is. */
static int unpack_iso(struct remote_usbip *u, struct urb *urb,
		      struct span payload, uint32_t actual, bool in)
{
	struct span data = span_of(payload.p, in ? actual : 0);
	struct span descriptors = payload;
	uint32_t at = 0;

	span_take(&descriptors, data.len);
	if (in) {
		urb->buf = bufpool_get(u->rs.base.pool, urb->len);
		urb->off = 0;
		if (!urb->buf)
			return -ENOMEM;
	}
	for (unsigned int i = 0; i < urb->n_packets; i++) {
		struct usb_iso_packet *packet = &urb->packets[i];
		const uint8_t *bytes;
		struct usbip_iso iso;

		usbip_decode_iso(&descriptors, &iso);
		packet->status = usbip_error(iso.status);
		packet->actual = MIN(iso.actual, packet->len);
		bytes = in ? span_take(&data, iso.actual) : NULL;
		if (in && (!span_ok(&data) || iso.actual > packet->len))
			return -EPROTO;
		if (packet->actual && bytes)
			memcpy(urb->buf->data + at, bytes, packet->actual);
		at += packet->len;
	}
	return 0;
}

static void end_iso(struct remote_usbip *u, struct remote_call *call,
		    struct buf *payload)
{
	const struct usbip_ret_submit *ret = &u->msg.ret_submit;
	bool in = call->ep & USB_DIR_IN;
	uint32_t len = (in ? ret->actual : 0) + ret->packets * USBIP_ISO_SIZE;
	int error = usbip_error(ret->status);
	int unpacked = 0;

	/* Without descriptors it has failed as a whole. */
	if (ret->packets)
		unpacked = unpack_iso(u, call->urb, span_of(payload->data, len),
				      ret->actual, in);
	else if (!error)
		error = -EIO;
	buf_put(payload);
	if (unpacked == -EPROTO)
		fail(u,
		     "the server's isochronous packets contradict themselves");
	end_urb(u, call, unpacked ? -EIO : error,
		ret->packets ? ret->actual : 0);
}

/* Our own, or one that nobody waits for. */
static void end_own(struct remote_usbip *u, struct remote_call *call, int error,
		    const uint8_t *data, uint32_t len)
{
	void (*done)(struct remote_usbip *, int, const uint8_t *, uint32_t) =
		call->done;

	free_call(u, call);
	if (done)
		done(u, error, data, len);
}

/* The answer to call is whole. Takes payload. */
static void answered(struct remote_usbip *u, struct remote_call *call,
		     struct buf *payload)
{
	const struct usbip_ret_submit *ret = &u->msg.ret_submit;
	int error = usbip_error(ret->status);

	if (call->n_packets && call->urb) {
		end_iso(u, call, payload);
		return;
	}
	if (call->urb) {
		if (call->ep & USB_DIR_IN) {
			call->urb->buf = payload;
			call->urb->off = 0;
		} else {
			buf_put(payload);
		}
		end_urb(u, call, error, ret->actual);
		return;
	}
	if (call->admin)
		end_admin(u, call, error);
	else
		end_own(u, call, error, payload ? payload->data : NULL,
			payload ? ret->actual : 0);
	buf_put(payload);
}

static void take_ret_submit(struct remote_usbip *u)
{
	const struct usbip_ret_submit *ret = &u->msg.ret_submit;
	struct remote_call *call = find_call(u, u->msg.seqnum);
	struct buf *buf;
	uint32_t len;

	if (!call) {
		fail(u, "the server answers what it was not asked");
		return;
	}
	if (ret->actual > call->len) {
		fail(u, "the server sends more than it was asked for");
		return;
	}
	if (call->n_packets ? ret->packets && ret->packets != call->n_packets
			    : false) {
		fail(u, "the server has other isochronous packets than ours");
		return;
	}
	len = call->ep & USB_DIR_IN ? ret->actual : 0;
	if (call->n_packets)
		len += ret->packets * USBIP_ISO_SIZE;
	if (!len) {
		answered(u, call, NULL);
		return;
	}
	buf = is_orphan(call) ? NULL : bufpool_get(u->rs.base.pool, len);
	if (buf) {
		parser_want_payload(&u->parser, buf, len, false);
		return;
	}
	parser_skip(&u->parser, len);
	if (call->urb)
		end_urb(u, call, -ENOMEM, 0);
	else if (call->admin)
		end_admin(u, call, -ENOMEM);
	else
		end_own(u, call, -ENOMEM, NULL, 0);
}

/*
 * The server was too late to stop it. Its answer is here already, or comes after
 * this one: the kernel's server may send all the UNLINKs' first.
 */
static void await_late(struct remote_usbip *u, struct remote_call *call)
{
	call->late = true;
	call->unlinking = false;
	list_remove(&call->node);
	list_append(&u->calls, &call->node);
	if (++u->n_late <= MAX_LATE)
		return;
	list_for_each (it, &u->calls) {
		call = list_entry(it, struct remote_call, node);
		if (call->late) {
			free_call(u, call);
			return;
		}
	}
}

static void take_ret_unlink(struct remote_usbip *u)
{
	list_for_each (it, &u->calls) {
		struct remote_call *call =
			list_entry(it, struct remote_call, node);
		struct urb *urb = call->urb;

		if (!call->unlinking || call->unlink != u->msg.seqnum)
			continue;
		call->urb = NULL;
		if (u->msg.unlink_status)
			free_call(u, call);
		else
			await_late(u, call);
		if (urb) {
			urb->status = -ECANCELED;
			urb->actual = 0;
			usb_complete(urb);
		}
		return;
	}
	/* It was answered before. */
}

static void usbip_abandon(struct remote_session *rs)
{
	struct remote_usbip *u = usbip_of(rs);

	/* What completes may not come again: the list only becomes shorter. */
	list_for_each_safe (it, &u->calls) {
		struct remote_call *call =
			list_entry(it, struct remote_call, node);
		struct usb_admin *admin = call->admin;
		struct urb *urb = call->urb;

		call->urb = NULL;
		call->admin = NULL;
		if (urb) {
			unlink_call(u, call);
			urb->status = -ESHUTDOWN;
			urb->actual = 0;
			usb_complete(urb);
		} else if (admin) {
			usb_admin_complete(admin, -ESHUTDOWN);
		}
	}
}

/* --- Descriptors --------------------------------------------------------------------------- */

static void read_config(struct remote_usbip *u);

static void get_descriptor(struct remote_usbip *u, uint8_t type, uint8_t index,
			   uint16_t len,
			   void (*done)(struct remote_usbip *, int,
					const uint8_t *, uint32_t))
{
	struct usb_setup setup = {
		.request_type = USB_DIR_IN,
		.request = USBDESC_GET_DESCRIPTOR,
		.value = (uint16_t)(type << 8 | index),
		.length = len,
	};
	struct remote_call *call = call_control(u, &setup);

	if (call)
		call->done = done;
	else
		fail(u, "out of memory");
}

static bool keep(struct remote_usbip *u, const uint8_t *data, uint32_t len)
{
	uint8_t *more;

	if (u->n_descriptors + len > REMOTE_MAX_DESCRIPTORS)
		return false;
	more = realloc(u->descriptors, u->n_descriptors + len);
	if (!more)
		return false;
	memcpy(more + u->n_descriptors, data, len);
	u->descriptors = more;
	u->n_descriptors += len;
	return true;
}

static void config_read(struct remote_usbip *u, int error, const uint8_t *data,
			uint32_t len)
{
	if (error || len < CONFIG_HEAD || !keep(u, data, len)) {
		fail(u, "the device's configurations cannot be read");
		return;
	}
	u->next_config++;
	read_config(u);
}

static void config_head_read(struct remote_usbip *u, int error,
			     const uint8_t *data, uint32_t len)
{
	struct span d = span_of(data, len);
	uint16_t total;

	span_take(&d, 2);
	total = (uint16_t)span_le(&d, 2);
	if (error || !span_ok(&d) || total < CONFIG_HEAD)
		fail(u, "the device's configurations cannot be read");
	else
		get_descriptor(u, USBDESC_CONFIGURATION, u->next_config, total,
			       config_read);
}

/* The next one; when all have been read, the device is there. */
static void read_config(struct remote_usbip *u)
{
	if (u->next_config <
	    MIN(u->desc.n_configurations, REMOTE_MAX_CONFIGURATIONS)) {
		get_descriptor(u, USBDESC_CONFIGURATION, u->next_config,
			       CONFIG_HEAD, config_head_read);
		return;
	}
	describe_config(u, u->device.configuration);
	u->state = REMOTE_RUNNING;
	remote_session_present(&u->rs);
}

static void device_read(struct remote_usbip *u, int error, const uint8_t *data,
			uint32_t len)
{
	if (error || usbdesc_read_device(span_of(data, len), &u->desc) < 0 ||
	    !keep(u, data, len))
		fail(u, "the device's descriptor cannot be read");
	else
		read_config(u);
}

/* --- Import -------------------------------------------------------------------------------- */

static bool speed_of(uint32_t speed, enum usb_speed *out)
{
	switch (speed) {
	case USBIP_SPEED_LOW:
		*out = USB_SPEED_LOW;
		return true;
	case USBIP_SPEED_FULL:
		*out = USB_SPEED_FULL;
		return true;
	case USBIP_SPEED_HIGH:
		*out = USB_SPEED_HIGH;
		return true;
	case USBIP_SPEED_SUPER:
	case USBIP_SPEED_SUPER_PLUS:
		*out = USB_SPEED_SUPER;
		return true;
	default:
		return false;
	}
}

static const char *refusal(uint32_t status)
{
	switch (status) {
	case USBIP_BUSY:
		return "the server's device is in use by another client";
	case USBIP_NO_DEVICE:
		return "the server has no such device (see: usbip list -r)";
	case USBIP_BROKEN:
		return "the server's device is in an error state";
	default:
		return "the server refuses";
	}
}

static void take_reply(struct remote_usbip *u, struct span head)
{
	struct usbip_op op;

	if (usbip_decode_op(head, &op) < 0 || op.code != USBIP_REP_IMPORT) {
		fail(u, "the peer does not speak usbip 1.1.1");
	} else if (op.status) {
		fail(u, refusal(op.status));
	} else {
		u->granted = true;
		parser_want_head(&u->parser, USBIP_DEVICE_SIZE);
	}
}

static void take_device(struct remote_usbip *u, struct span head)
{
	if (usbip_decode_device(head, &u->device) < 0 ||
	    !speed_of(u->device.speed, &u->rs.info.speed)) {
		fail(u, "the server's description of the device is malformed");
		return;
	}
	u->rs.base.greeted = true;
	u->state = REMOTE_READING;
	u->parser.first = USBIP_HEADER_SIZE;
	get_descriptor(u, USBDESC_DEVICE, 0, USBDESC_DEVICE_SIZE, device_read);
}

/* --- What comes ------------------------------------------------------------------------------ */

static struct remote_usbip *usbip_of_parser(struct parser *parser)
{
	return container_of(parser, struct remote_usbip, parser);
}

static void parser_head(struct parser *parser, struct span head)
{
	struct remote_usbip *u = usbip_of_parser(parser);

	if (u->state == REMOTE_IMPORTING && !u->granted)
		take_reply(u, head);
	else if (u->state == REMOTE_IMPORTING)
		take_device(u, head);
	else if (usbip_decode(head, &u->msg) < 0)
		fail(u, "the server sends what is no answer of usbip");
	else if (u->msg.command == USBIP_RET_SUBMIT)
		take_ret_submit(u);
	else if (u->msg.command == USBIP_RET_UNLINK)
		take_ret_unlink(u);
	else
		fail(u, "the server sends what is no answer of usbip");
}

static void parser_payload(struct parser *parser, struct buf *payload)
{
	struct remote_usbip *u = usbip_of_parser(parser);
	struct remote_call *call = find_call(u, u->msg.seqnum);

	/* Unlinked or abandoned while its data came. */
	if (call)
		answered(u, call, payload);
	else
		buf_put(payload);
}

static const struct parser_ops parser_ops = {
	.head = parser_head,
	.payload = parser_payload,
};

/* --- Life -------------------------------------------------------------------------------------- */

static struct remote_usbip *usbip_of_base(struct session *base)
{
	return container_of(base, struct remote_usbip, rs.base);
}

static void session_op_start(struct session *base)
{
	struct remote_usbip *u = usbip_of_base(base);
	uint8_t head[USBIP_OP_SIZE + USBIP_BUSID_SIZE];
	struct span_writer w = span_writer_of(head, sizeof(head));

	usbip_encode_op(&w, USBIP_REQ_IMPORT, 0);
	usbip_encode_busid(&w, u->busid);
	session_send(base, head, w.len, NULL, 0, 0);
}

/* The server hears of it by the end of the connection. */
static void session_op_detach(struct session *base)
{
	remote_session_absent(&usbip_of_base(base)->rs);
	base->user->detached(base);
}

static void session_op_close(struct session *base)
{
	remote_session_absent(&usbip_of_base(base)->rs);
	base->user->closed(base);
}

static void session_op_destroy(struct session *base)
{
	struct remote_usbip *u = usbip_of_base(base);

	list_for_each_safe (it, &u->calls)
		free_call(u, list_entry(it, struct remote_call, node));
	parser_fini(&u->parser);
	free(u->descriptors);
	free(u);
}

static const struct session_ops session_ops = {
	.start = session_op_start,
	.detach = session_op_detach,
	.close = session_op_close,
	.destroy = session_op_destroy,
};

static const struct remote_session_ops usbip_ops = {
	.submit = usbip_submit,
	.cancel = usbip_cancel,
	.admin = usbip_admin,
	.abandon = usbip_abandon,
};

int remote_usbip_create(struct loop *loop, struct bufpool *pool,
			struct log_limit *complaints, const char *peer,
			const char *busid, struct remote_session **rs)
{
	/* Not cleared: most of it is staging. */
	struct remote_usbip *u = malloc(sizeof(*u));

	if (!u)
		return -ENOMEM;
	memset(u, 0, offsetof(struct remote_usbip, parser));
	parser_init(&u->parser, &parser_ops, USBIP_OP_SIZE);
	session_init(&u->rs.base, &session_ops, &u->parser, loop, pool,
		     complaints, peer);
	u->rs.ops = &usbip_ops;
	snprintf(u->busid, sizeof(u->busid), "%s", busid);
	list_init(&u->calls);
	*rs = &u->rs;
	return 0;
}
