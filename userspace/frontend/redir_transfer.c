// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_transfer.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/redir_filter.h"
#include "frontend/redir_send.h"
#include "frontend/redir_stream.h"
#include "wire/usbdesc.h"

struct redir_urb {
	struct urb urb;
	struct list node; /* on session->urbs while the peer waits for it */
	struct redir_session *session;
	/* The request, to be echoed with status and length. */
	struct usbredir_msg request;
};

struct redir_admin {
	struct usb_admin admin;
	struct list node; /* on session->admins while the peer waits for it */
	struct redir_session *session;
	struct usbredir_msg request;
};

/* --- Transfers ------------------------------------------------------------------------ */

static uint8_t *status_field(struct usbredir_msg *msg)
{
	return msg->type == USBREDIR_CONTROL_PACKET ? &msg->control.status
						    : &msg->transfer.status;
}

static void set_length(struct usbredir_msg *msg, uint32_t len)
{
	if (msg->type == USBREDIR_CONTROL_PACKET)
		msg->control.length = (uint16_t)len;
	else
		msg->transfer.length = len;
}

/* The request with its outcome goes back. Takes buf. */
static void reply(struct redir_session *s, const struct usbredir_msg *request,
		  int status, uint32_t actual, struct buf *buf, uint32_t off)
{
	struct usbredir_msg msg = *request;
	uint8_t ep = msg.type == USBREDIR_CONTROL_PACKET
			     ? msg.control.endpoint
			     : msg.transfer.endpoint;

	*status_field(&msg) = (uint8_t)usbredir_status(status);
	set_length(&msg, actual);
	msg.data_len = ep & USB_DIR_IN ? actual : 0;
	if (!msg.data_len) {
		buf_put(buf);
		buf = NULL;
	}
	redir_send_data(s, &msg, buf, off);
}

static void urb_complete(struct urb *urb)
{
	struct redir_urb *ru = container_of(urb, struct redir_urb, urb);
	struct redir_session *s = ru->session;
	bool in = urb->ep & USB_DIR_IN;

	if (s->arriving == urb)
		s->arriving = NULL; /* the rest is received and dropped */
	/* Off the list: answered when it was cancelled, or forgotten. */
	if (!list_empty(&ru->node)) {
		list_remove(&ru->node);
		reply(s, &ru->request, urb->status, urb->actual,
		      in && urb->buf ? buf_ref(urb->buf) : NULL, urb->off);
	}
	buf_put(urb->buf);
	free(ru);
	s->owed--;
	redir_session_settle(s);
}

/* Takes payload. early: it is still arriving. */
static void start_transfer(struct redir_session *s,
			   const struct usbredir_msg *msg,
			   enum usb_transfer type, struct buf *payload,
			   bool early)
{
	struct redir_urb *ru = calloc(1, sizeof(*ru));
	int ret = -ENOMEM;

	if (!ru)
		goto refuse;
	ru->session = s;
	ru->request = *msg;
	ru->urb.complete = urb_complete;
	ru->urb.type = (uint8_t)type;
	ru->urb.buf = payload;
	ru->urb.early = early;
	if (type == USB_CONTROL) {
		const struct usbredir_control *c = &msg->control;

		ru->urb.setup = (struct usb_setup){
			.request_type = c->requesttype,
			.request = c->request,
			.value = c->value,
			.index = c->index,
			.length = c->length,
		};
		ru->urb.ep = c->endpoint;
		ru->urb.len = c->length;
	} else {
		ru->urb.ep = msg->transfer.endpoint;
		ru->urb.stream = msg->transfer.stream_id;
		ru->urb.len = msg->transfer.length;
	}
	list_append(&s->urbs, &ru->node);
	s->owed++;
	ret = usb_submit(s->device, &ru->urb);
	if (!ret) {
		if (early)
			s->arriving = &ru->urb;
		return;
	}
	s->owed--;
	list_remove(&ru->node);
	free(ru);
refuse:
	buf_put(payload);
	reply(s, msg, ret, 0, NULL, 0);
}

void redir_transfer_cancel(struct redir_session *s, uint64_t id)
{
	list_for_each (it, &s->urbs) {
		struct redir_urb *ru = list_entry(it, struct redir_urb, node);

		if (ru->request.id != id)
			continue;
		/* Answered here and now, once; the guest may reuse the id. */
		list_remove(&ru->node);
		reply(s, &ru->request, -ECANCELED, 0, NULL, 0);
		usb_cancel(&ru->urb);
		return;
	}
	/* Not there: its answer is on the way already. */
}

/* --- Requests that change the device ---------------------------------------------------- */

static void answer_admin(struct redir_session *s, const struct redir_admin *ra)
{
	const struct usb_admin *admin = &ra->admin;
	uint8_t status = (uint8_t)usbredir_status(admin->status);
	struct usbredir_msg msg = { .id = ra->request.id };
	bool attached = s->device && s->state == REDIR_ATTACHED;

	/* The guest must know the endpoints before it hears of success. */
	if ((admin->type == USB_SET_CONFIGURATION ||
	     admin->type == USB_SET_ALT_SETTING) &&
	    !admin->status && attached) {
		redir_send_endpoints(s);
	}
	switch (ra->request.type) {
	case USBREDIR_SET_CONFIGURATION:
	case USBREDIR_GET_CONFIGURATION:
		msg.type = USBREDIR_CONFIGURATION_STATUS;
		msg.configuration.status = status;
		msg.configuration.configuration = admin->configuration;
		redir_send_msg(s, &msg);
		break;
	case USBREDIR_SET_ALT_SETTING:
	case USBREDIR_GET_ALT_SETTING:
		msg.type = USBREDIR_ALT_SETTING_STATUS;
		msg.alt_setting.status = status;
		msg.alt_setting.interface = admin->interface;
		msg.alt_setting.alt = admin->alt;
		redir_send_msg(s, &msg);
		break;
	case USBREDIR_ALLOC_BULK_STREAMS:
	case USBREDIR_FREE_BULK_STREAMS:
		msg.type = USBREDIR_BULK_STREAMS_STATUS;
		msg.bulk_streams.endpoints = admin->endpoints;
		msg.bulk_streams.no_streams = admin->streams;
		msg.bulk_streams.status = status;
		redir_send_msg(s, &msg);
		break;
	case USBREDIR_CONTROL_PACKET:
		reply(s, &ra->request, admin->status, 0, NULL, 0);
		break;
	default: /* reset has no answer; one that fails ends the device */
		if (admin->status && attached) {
			log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
				    "%s: %s could not be reset: %s",
				    s->base.peer, s->device->name,
				    strerror(-admin->status));
			s->again = redir_filter_remember(s);
			redir_session_detach(s);
		}
		break;
	}
}

static void admin_complete(struct usb_admin *admin)
{
	struct redir_admin *ra = container_of(admin, struct redir_admin, admin);
	struct redir_session *s = ra->session;

	if (!list_empty(&ra->node)) {
		list_remove(&ra->node);
		answer_admin(s, ra);
	}
	free(ra);
	s->owed--;
	redir_session_settle(s);
}

static struct redir_admin *new_admin(struct redir_session *s,
				     const struct usbredir_msg *msg)
{
	struct redir_admin *ra = calloc(1, sizeof(*ra));

	if (!ra) {
		redir_fail(s, "out of memory");
		return NULL;
	}
	ra->session = s;
	ra->request = *msg;
	ra->admin.complete = admin_complete;
	return ra;
}

static void start_admin(struct redir_session *s, struct redir_admin *ra)
{
	list_append(&s->admins, &ra->node);
	s->owed++;
	if (s->device && s->state == REDIR_ATTACHED) {
		redir_streams_yield(s, &ra->admin);
		usb_admin(s->device, &ra->admin);
		return;
	}
	list_init(&ra->admin.node);
	usb_admin_complete(&ra->admin, -ESHUTDOWN);
}

void redir_transfer_admin(struct redir_session *s,
			  const struct usbredir_msg *msg)
{
	struct redir_admin *ra = new_admin(s, msg);

	if (!ra)
		return;
	switch (msg->type) {
	case USBREDIR_SET_CONFIGURATION:
		s->looked = false;
		s->failed_looks = 0;
		ra->admin.type = USB_SET_CONFIGURATION;
		ra->admin.configuration = msg->configuration.configuration;
		break;
	case USBREDIR_GET_CONFIGURATION:
		ra->admin.type = USB_GET_CONFIGURATION;
		break;
	case USBREDIR_SET_ALT_SETTING:
		ra->admin.type = USB_SET_ALT_SETTING;
		ra->admin.interface = msg->alt_setting.interface;
		ra->admin.alt = msg->alt_setting.alt;
		break;
	case USBREDIR_GET_ALT_SETTING:
		ra->admin.type = USB_GET_ALT_SETTING;
		ra->admin.interface = msg->alt_setting.interface;
		break;
	case USBREDIR_ALLOC_BULK_STREAMS:
		ra->admin.type = USB_ALLOC_STREAMS;
		ra->admin.endpoints = msg->bulk_streams.endpoints;
		ra->admin.streams = msg->bulk_streams.no_streams;
		break;
	case USBREDIR_FREE_BULK_STREAMS:
		ra->admin.type = USB_FREE_STREAMS;
		ra->admin.endpoints = msg->bulk_streams.endpoints;
		break;
	default:
		s->failed_looks += s->looked;
		s->looked = false;
		ra->admin.type = USB_RESET;
		break;
	}
	start_admin(s, ra);
}

/* GET_DESCRIPTOR(device) */
static bool is_look(const struct usb_setup *setup)
{
	return setup->request_type == USB_DIR_IN &&
	       setup->request == USBDESC_GET_DESCRIPTOR &&
	       setup->value >> 8 == USBDESC_DEVICE;
}

/* Takes payload. */
static void control_request(struct redir_session *s,
			    const struct usbredir_msg *msg, struct buf *payload)
{
	struct usb_setup setup = {
		.request_type = msg->control.requesttype,
		.request = msg->control.request,
		.value = msg->control.value,
		.index = msg->control.index,
		.length = msg->control.length,
	};
	struct usb_admin what = { 0 };
	struct redir_admin *ra;

	if (is_look(&setup))
		redir_session_looked(s);
	if (!usb_setup_to_admin(&setup, &what)) {
		start_transfer(s, msg, USB_CONTROL, payload, false);
		return;
	}
	buf_put(payload);
	ra = new_admin(s, msg);
	if (!ra)
		return;
	what.complete = ra->admin.complete;
	ra->admin = what;
	start_admin(s, ra);
}

/* --- What comes ----------------------------------------------------------------------------- */

void redir_transfer_packet(struct redir_session *s,
			   const struct usbredir_msg *msg, struct buf *payload)
{
	if (s->state != REDIR_ATTACHED) {
		buf_put(payload);
		reply(s, msg, -EIO, 0, NULL, 0);
	} else if (msg->type == USBREDIR_CONTROL_PACKET) {
		control_request(s, msg, payload);
	} else {
		start_transfer(s, msg,
			       msg->type == USBREDIR_BULK_PACKET
				       ? USB_BULK
				       : USB_INTERRUPT,
			       payload, false);
	}
}

int redir_transfer_admit(struct redir_session *s,
			 const struct usbredir_msg *msg)
{
	int ret;

	if (s->state != REDIR_ATTACHED)
		return -EIO;
	ret = usb_check_quota(s->device, msg->data_len);
	if (!ret && usb_takes_early(s->device, msg->data_len))
		return REDIR_EARLY;
	return ret;
}

void redir_transfer_early(struct redir_session *s,
			  const struct usbredir_msg *msg, struct buf *payload)
{
	start_transfer(s, msg, USB_BULK, payload, true);
}

void redir_transfer_arrived(struct redir_session *s, uint32_t have)
{
	struct urb *urb = s->arriving;

	if (!urb)
		return; /* it has ended already: refused, cancelled */
	if (have == urb->len)
		s->arriving = NULL;
	usb_arrived(urb, have);
}

void redir_transfer_refuse(struct redir_session *s,
			   const struct usbredir_msg *msg, int error)
{
	reply(s, msg, error, 0, NULL, 0);
}

void redir_transfer_forget(struct redir_session *s)
{
	redir_streams_end(s);
	list_for_each_safe (it, &s->urbs)
		list_remove(it);
	list_for_each_safe (it, &s->admins)
		list_remove(it);
}
