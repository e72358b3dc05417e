// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/redir_describe.h"
#include "frontend/redir_filter.h"
#include "frontend/redir_send.h"
#include "frontend/redir_stream.h"
#include "wire/usbdesc.h"

/* So many times a guest may look at a device and reset it. */
#define FAILED_LOOKS 2

/* How long a look may take. */
#define LOOK_MS 50

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

/* --- The device comes and goes ------------------------------------------------------- */

void redir_session_settle(struct redir_session *s)
{
	if (s->closing && !s->device && !s->owed && s->state != REDIR_CLOSED) {
		s->state = REDIR_CLOSED;
		s->ops->closed(s);
	}
}

static struct redir_session *session_of(struct usb_listener *listener)
{
	return container_of(listener, struct redir_session, listener);
}

static void granted(struct registry_waiter *waiter, struct usb_device *device)
{
	struct redir_session *s =
		container_of(waiter, struct redir_session, waiter);
	uint32_t super = USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE |
			 USBREDIR_CAP_64BITS_IDS |
			 USBREDIR_CAP_32BITS_BULK_LENGTH;

	s->device = device;
	s->state = REDIR_OPENING;
	/* QEMU refuses super speed without these three. */
	usb_open(device, &s->listener,
		 (s->caps & super) == super && !s->slow ? USB_SPEED_SUPER
							: USB_SPEED_HIGH);
}

static void complain_of_open(struct redir_session *s, int status)
{
	const struct usb_device *device = s->device;

	if (!device->told)
		log_limited(&s->registry->complaints, LOG_LEVEL_ERR,
			    "%s: %s cannot be attached: %s", s->peer,
			    device->name,
			    device->why[0] ? device->why : strerror(-status));
}

/* Nobody waits for answers, or for what comes by itself, any more. */
static void forget_requests(struct redir_session *s)
{
	redir_streams_end(s);
	list_for_each_safe (it, &s->urbs)
		list_remove(it);
	list_for_each_safe (it, &s->admins)
		list_remove(it);
}

/*
 * The guest does not want the device and has not attached it: nothing is
 * disconnected. Another one may suit it.
 */
static void drop_rejected(struct redir_session *s)
{
	timer_stop(&s->slower);
	forget_requests(s);
	s->again = redir_filter_remember(s);
	s->state = REDIR_DETACHING;
	usb_close(s->device);
}

static void device_opened(struct usb_listener *listener, int status)
{
	struct redir_session *s = session_of(listener);

	if (status < 0) {
		complain_of_open(s, status);
		s->device = NULL;
		s->state = REDIR_NO_DEVICE;
		/* It is absent now, and may come back in a better state; there
		 * may be others. */
		registry_request(s->registry, &s->waiter);
		return;
	}
	if (!redir_filter_allows(s)) {
		drop_rejected(s);
		return;
	}
	s->state = REDIR_ATTACHED;
	s->looked = false;
	s->failed_looks = 0;
	log_limited(&s->device->comings, LOG_LEVEL_INFO, "%s: attached %s",
		    s->peer, s->device->name);
	redir_send_endpoints(s);
	redir_send_device(s);
}

static void detach(struct redir_session *s);

static void device_leaving(struct usb_listener *listener)
{
	struct redir_session *s = session_of(listener);

	/* It, or another one, may come. */
	s->again = true;
	detach(s);
}

static void request_device(struct redir_session *s)
{
	s->again = false;
	if (!registry_request(s->registry, &s->waiter))
		log_limited(&s->registry->complaints, LOG_LEVEL_INFO,
			    "%s: waits for a device: all are absent or in use",
			    s->peer);
}

static void check_detached(struct redir_session *s)
{
	if (s->state != REDIR_DETACHING || s->device || s->ack_due)
		return;
	s->state = REDIR_NO_DEVICE;
	if (s->closing)
		return;
	if (s->again)
		request_device(s);
	else
		s->ops->detached(s);
}

static void device_gone(struct usb_listener *listener)
{
	struct redir_session *s = session_of(listener);

	log_limited(&s->device->comings, LOG_LEVEL_INFO, "%s: detached %s",
		    s->peer, s->device->name);
	s->device = NULL;
	if (s->state != REDIR_DETACHING)
		s->state = REDIR_NO_DEVICE;
	check_detached(s);
	redir_session_settle(s);
}

static const struct usb_listener_ops listener_ops = {
	.opened = device_opened,
	.leaving = device_leaving,
	.gone = device_gone,
};

static void detach(struct redir_session *s)
{
	struct usbredir_msg msg = { .type = USBREDIR_DEVICE_DISCONNECT };

	timer_stop(&s->slower);
	if (s->state == REDIR_DETACHING || s->closing)
		return;
	if (s->state == REDIR_ATTACHED) {
		redir_send_msg(s, &msg);
		s->ack_due = s->caps & USBREDIR_CAP_DEVICE_DISCONNECT_ACK;
	}
	/* Nothing about a device follows its device_disconnect. */
	forget_requests(s);
	s->state = REDIR_DETACHING;
	if (s->device)
		usb_close(s->device);
	else
		check_detached(s);
}

void redir_session_detach(struct redir_session *s)
{
	registry_withdraw(&s->waiter);
	s->again = false;
	detach(s);
}

/*
 * A guest that reads the device descriptor and resets the device, again and
 * again, without configuring it, has a controller for which super speed is too
 * much (it finds the size of endpoint 0 impossible): it gets the same device
 * as a high-speed one. Called for each look. The last one ends undisturbed:
 * QEMU's EHCI takes seconds to get over a device that goes in the middle.
 */
static void count_look(struct redir_session *s)
{
	s->looked = true;
	if (s->again || s->failed_looks < FAILED_LOOKS ||
	    s->device->info.speed != USB_SPEED_SUPER || s->device->own_speed)
		return;
	log_limited(
		&s->device->comings, LOG_LEVEL_INFO,
		"%s: the guest cannot use %s at super speed; attaching it at high speed",
		s->peer, s->device->name);
	s->slow = s->again = true;
	s->waiter.wanted = s->device; /* this one, no other */
	timer_start(s->loop, &s->slower, LOOK_MS);
}

static void attach_slower(struct timer *timer)
{
	struct redir_session *s =
		container_of(timer, struct redir_session, slower);

	detach(s);
}

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

	*status_field(&msg) = (uint8_t)redir_describe_error(status);
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

static void cancel(struct redir_session *s, uint64_t id)
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
	uint8_t status = (uint8_t)redir_describe_error(admin->status);
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
				    "%s: %s could not be reset: %s", s->peer,
				    s->device->name, strerror(-admin->status));
			s->again = redir_filter_remember(s);
			detach(s);
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

static void admin_request(struct redir_session *s,
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
		count_look(s);
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

/* --- Packets -------------------------------------------------------------------------------- */

static void take_hello(struct redir_session *s, const struct usbredir_msg *msg,
		       const struct buf *payload)
{
	char version[USBREDIR_VERSION_SIZE + 1] = { 0 };
	uint32_t theirs;

	if (s->state != REDIR_HELLO) {
		log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
			    "%s: a second hello is ignored", s->peer);
		return;
	}
	memcpy(version, msg->hello.version, sizeof(msg->hello.version));
	theirs = usbredir_decode_caps(
		span_of(payload ? payload->data : NULL, msg->data_len));
	s->caps = usbredir_caps_sanitize(REDIR_CAPS & theirs);
	s->is_qemu = !strncmp(version, "qemu ", 5);
	s->state = REDIR_NO_DEVICE;
	s->parser.greeted = true;
	s->parser.caps = s->caps;
	log_debug("%s: hello from \"%s\", capabilities 0x%02x", s->peer,
		  version, theirs);
	redir_filter_send(s);
	request_device(s);
}

static void take_reject(struct redir_session *s)
{
	if (s->state != REDIR_ATTACHED)
		return;
	log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
		    "%s: the guest's filter rejects %s (class %02x, %04x:%04x)",
		    s->peer, s->device->name,
		    s->device->info.interface[0].class, s->device->info.vendor,
		    s->device->info.product);
	drop_rejected(s);
}

/* Takes payload. */
static void take_transfer(struct redir_session *s,
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

static void parser_packet(struct redir_parser *parser,
			  const struct usbredir_msg *msg, struct buf *payload)
{
	struct redir_session *s =
		container_of(parser, struct redir_session, parser);

	switch ((enum usbredir_type)msg->type) {
	case USBREDIR_HELLO:
		take_hello(s, msg, payload);
		break;
	case USBREDIR_RESET:
	case USBREDIR_SET_CONFIGURATION:
	case USBREDIR_GET_CONFIGURATION:
	case USBREDIR_SET_ALT_SETTING:
	case USBREDIR_GET_ALT_SETTING:
	case USBREDIR_ALLOC_BULK_STREAMS:
	case USBREDIR_FREE_BULK_STREAMS:
		admin_request(s, msg);
		break;
	case USBREDIR_START_ISO_STREAM:
	case USBREDIR_STOP_ISO_STREAM:
	case USBREDIR_START_INTERRUPT_RECEIVING:
	case USBREDIR_STOP_INTERRUPT_RECEIVING:
	case USBREDIR_START_BULK_RECEIVING:
	case USBREDIR_STOP_BULK_RECEIVING:
		redir_stream_request(s, msg);
		break;
	case USBREDIR_CANCEL_DATA_PACKET:
		cancel(s, msg->id);
		break;
	case USBREDIR_FILTER_REJECT:
		take_reject(s);
		break;
	case USBREDIR_FILTER_FILTER:
		redir_filter_take(s, payload ? payload->data : NULL,
				  msg->data_len);
		break;
	case USBREDIR_DEVICE_DISCONNECT_ACK:
		s->ack_due = false;
		check_detached(s);
		break;
	case USBREDIR_DEVICE_DISCONNECT:
		/* Only hosts send it, by the text; a guest that does wants to
		 * be rid of the device. */
		redir_session_detach(s);
		break;
	case USBREDIR_ISO_PACKET:
		redir_stream_iso_packet(s, msg, payload);
		break;
	case USBREDIR_CONTROL_PACKET:
	case USBREDIR_BULK_PACKET:
	case USBREDIR_INTERRUPT_PACKET:
		take_transfer(s, msg, payload);
		return;
	default: /* packets of a host never pass usbredir_check_header() */
		break;
	}
	buf_put(payload);
}

/* --- What the parser asks and tells ---------------------------------------------------------- */

static struct redir_session *session_of_parser(struct redir_parser *parser)
{
	return container_of(parser, struct redir_session, parser);
}

/* The bulk data that is to come: is it within what the peer may have? */
static int admit_bulk(struct redir_session *s, const struct usbredir_msg *msg)
{
	int ret;

	if (s->state != REDIR_ATTACHED)
		return -EIO;
	ret = usb_check_quota(s->device, msg->data_len);
	if (!ret && usb_takes_early(s->device, msg->data_len))
		return REDIR_EARLY;
	return ret;
}

static int parser_admit(struct redir_parser *parser,
			const struct usbredir_msg *msg, struct buf **payload)
{
	struct redir_session *s = session_of_parser(parser);
	int ret = 0;

	/* Everything else is small. */
	if (msg->type == USBREDIR_BULK_PACKET)
		ret = admit_bulk(s, msg);
	if (ret < 0)
		return ret;
	*payload = s->state == REDIR_ATTACHED
			   ? usb_alloc(s->device, s->pool, msg->data_len)
			   : bufpool_get(s->pool, msg->data_len);
	return *payload ? ret : -ENOMEM;
}

static void parser_started(struct redir_parser *parser,
			   const struct usbredir_msg *msg, struct buf *payload)
{
	start_transfer(session_of_parser(parser), msg, USB_BULK, payload, true);
}

static void parser_arrived(struct redir_parser *parser, uint32_t have)
{
	struct redir_session *s = session_of_parser(parser);
	struct urb *urb = s->arriving;

	if (!urb)
		return; /* it has ended already: refused, cancelled */
	if (have == urb->len)
		s->arriving = NULL;
	usb_arrived(urb, have);
}

static void parser_refused(struct redir_parser *parser,
			   const struct usbredir_msg *msg, int error)
{
	struct redir_session *s = session_of_parser(parser);

	s->skipped++;
	if (msg->type >= USBREDIR_CONTROL_PACKET &&
	    msg->type != USBREDIR_ISO_PACKET)
		reply(s, msg, error, 0, NULL, 0);
}

static void parser_skipped(struct redir_parser *parser,
			   const struct usbredir_header *header,
			   const char *what)
{
	struct redir_session *s = session_of_parser(parser);

	s->skipped++;
	log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
		    "%s: %s packet (%s, type %u, length %u) skipped", s->peer,
		    what, usbredir_type_name(header->type), header->type,
		    header->length);
}

static void parser_broken(struct redir_parser *parser, const char *why)
{
	redir_fail(session_of_parser(parser), why);
}

static const struct redir_parser_ops parser_ops = {
	.packet = parser_packet,
	.admit = parser_admit,
	.started = parser_started,
	.arrived = parser_arrived,
	.refused = parser_refused,
	.skipped = parser_skipped,
	.broken = parser_broken,
};

/* --- Life -------------------------------------------------------------------------------------- */

void redir_session_init(struct redir_session *s,
			const struct redir_session_ops *ops, struct loop *loop,
			struct bufpool *pool, struct registry *registry,
			struct usb_device *wanted, const char *peer)
{
	memset(s, 0, offsetof(struct redir_session, parser));
	redir_parser_init(&s->parser, &parser_ops);
	s->ops = ops;
	s->loop = loop;
	s->pool = pool;
	s->registry = registry;
	s->listener.ops = &listener_ops;
	s->waiter.wanted = wanted;
	s->waiter.granted = granted;
	s->waiter.declines = redir_filter_declines;
	list_init(&s->waiter.node);
	timer_init(&s->slower, attach_slower);
	list_init(&s->urbs);
	list_init(&s->admins);
	list_init(&s->streams);
	snprintf(s->peer, sizeof(s->peer), "%s", peer);
	redir_send_hello(s);
}

void redir_session_drained(struct redir_session *s)
{
	if (!s->closing)
		redir_streams_resume(s);
}

void redir_session_close(struct redir_session *s)
{
	if (s->closing)
		return;
	s->closing = true;
	timer_stop(&s->slower);
	redir_parser_stop(&s->parser);
	registry_withdraw(&s->waiter);
	forget_requests(s);
	if (s->device)
		usb_close(s->device);
	redir_session_settle(s);
}

void redir_session_fini(struct redir_session *s)
{
	assert(s->state == REDIR_CLOSED);
	free(s->filter);
	redir_parser_fini(&s->parser);
}
