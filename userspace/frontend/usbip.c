// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/usbip.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/outq.h"
#include "frontend/usbip_devices.h"
#include "frontend/usbip_transfer.h"

enum usbip_speed usbip_speed_of(enum usb_speed speed)
{
	static const enum usbip_speed speeds[] = {
		[USB_SPEED_LOW] = USBIP_SPEED_LOW,
		[USB_SPEED_FULL] = USBIP_SPEED_FULL,
		[USB_SPEED_HIGH] = USBIP_SPEED_HIGH,
		[USB_SPEED_SUPER] = USBIP_SPEED_SUPER,
	};

	return speeds[speed];
}

/* --- The end ------------------------------------------------------------------------ */

void usbip_fail(struct usbip_session *s, const char *why)
{
	if (!s->base.failed)
		log_limited(s->base.complaints, LOG_LEVEL_WARN,
			    "%s: %s; closing the connection", s->base.peer,
			    why);
	session_fail(&s->base);
}

void usbip_settle(struct usbip_session *s)
{
	if (s->base.closing && !s->device && !s->owed &&
	    s->state != USBIP_CLOSED) {
		s->state = USBIP_CLOSED;
		s->base.user->closed(&s->base);
	}
}

/* --- The device comes and goes ------------------------------------------------------- */

static struct usbip_session *session_of(struct usb_listener *listener)
{
	return container_of(listener, struct usbip_session, listener);
}

/* The client may ask, for a while. */
static void await_request(struct usbip_session *s)
{
	s->state = USBIP_REQUESTS;
	if (!s->detaching)
		timer_start(s->base.loop, &s->request, USBIP_REQUEST_MS);
}

/* device NULL: none. */
static void answer_import(struct usbip_session *s, enum usbip_op_status status,
			  const struct usb_device *device)
{
	size_t size = USBIP_OP_SIZE + USBIP_DEVICE_SIZE;
	struct usbip_device described;
	struct span_writer w;
	struct buf *buf = bufpool_get(s->base.pool, size);

	if (!buf) {
		usbip_fail(s, "out of memory");
		return;
	}
	w = span_writer_of(buf->data, size);
	usbip_encode_op(&w, USBIP_REP_IMPORT, status);
	if (device) {
		usbip_devices_describe(device, &device->info, &described);
		usbip_encode_device(&w, &described);
	}
	session_send(&s->base, NULL, 0, buf, 0, (uint32_t)w.len);
}

static void device_opened(struct usb_listener *listener, int status)
{
	struct usbip_session *s = session_of(listener);

	if (status < 0) {
		const struct usb_device *device = s->device;

		if (!device->told)
			log_limited(s->base.complaints, LOG_LEVEL_ERR,
				    "%s: %s cannot be attached: %s",
				    s->base.peer, device->name,
				    device->why[0] ? device->why
						   : strerror(-status));
		s->device = NULL;
		await_request(s);
	} else {
		s->state = USBIP_ATTACHED;
		s->parser.first = USBIP_HEADER_SIZE;
		log_limited(&s->device->comings, LOG_LEVEL_INFO,
			    "%s: attached %s", s->base.peer, s->device->name);
	}
	if (!s->opened)
		answer_import(s, status < 0 ? USBIP_BROKEN : USBIP_OK,
			      s->device);
	else if (s->opened(s, status) < 0 || status < 0)
		session_fail(&s->base);
}

static void detach(struct usbip_session *s)
{
	if (s->device && s->state != USBIP_ENDING) {
		s->state = USBIP_ENDING;
		usb_close(s->device);
	}
}

static void device_leaving(struct usb_listener *listener)
{
	session_of(listener)->left = true;
	detach(session_of(listener));
}

static void device_gone(struct usb_listener *listener)
{
	struct usbip_session *s = session_of(listener);

	log_limited(&s->device->comings, LOG_LEVEL_INFO, "%s: detached %s",
		    s->base.peer, s->device->name);
	s->device = NULL;
	s->state = USBIP_ENDING;
	if (s->base.closing)
		usbip_settle(s);
	else if (s->detaching)
		s->base.user->detached(&s->base);
	else
		session_fail(&s->base); /* the client hears of it by that */
}

static const struct usb_listener_ops listener_ops = {
	.opened = device_opened,
	.leaving = device_leaving,
	.gone = device_gone,
};

static void open_device(struct usbip_session *s, struct usb_device *device)
{
	timer_stop(&s->request);
	s->device = device;
	s->state = USBIP_OPENING;
	usb_open(device, &s->listener, USB_SPEED_SUPER);
}

/* --- Requests ------------------------------------------------------------------------ */

static void send_list(struct usbip_session *s)
{
	uint32_t len;
	struct buf *buf = usbip_devices_list(s->registry, s->base.pool, &len);

	if (!buf)
		usbip_fail(s, "out of memory");
	else
		session_send(&s->base, NULL, 0, buf, 0, len);
}

static void take_busid(struct usbip_session *s, struct span head)
{
	char busid[USBIP_BUSID_SIZE];
	struct usb_device *device;

	s->importing = false;
	if (usbip_decode_busid(head, busid) < 0) {
		usbip_fail(
			s,
			"the client asks for a device with a malformed bus id");
		return;
	}
	device = usbip_devices_find(s->registry, busid);
	if (!device || device->absent) {
		log_limited(s->base.complaints, LOG_LEVEL_INFO,
			    "%s: asks for %s, which is %s", s->base.peer, busid,
			    device ? "absent" : "none of ours");
		answer_import(s, USBIP_NO_DEVICE, NULL);
	} else if (device->state != USB_DEVICE_FREE) {
		log_limited(s->base.complaints, LOG_LEVEL_INFO,
			    "%s: asks for %s, which is in use", s->base.peer,
			    busid);
		answer_import(s, USBIP_BUSY, NULL);
	} else {
		open_device(s, device);
	}
}

static void take_request(struct usbip_session *s, struct span head)
{
	struct usbip_op op;

	if (usbip_decode_op(head, &op) < 0) {
		usbip_fail(s, "the peer does not speak usbip 1.1.1");
	} else if (op.code == USBIP_REQ_DEVLIST) {
		s->base.greeted = true;
		send_list(s);
	} else if (op.code == USBIP_REQ_IMPORT) {
		s->base.greeted = true;
		s->importing = true;
		parser_want_head(&s->parser, USBIP_BUSID_SIZE);
	} else {
		usbip_fail(s, "the client asks for what usbip does not have");
	}
}

static struct usbip_session *session_of_parser(struct parser *parser)
{
	return container_of(parser, struct usbip_session, parser);
}

static void parser_head(struct parser *parser, struct span head)
{
	struct usbip_session *s = session_of_parser(parser);

	if (parser->first == USBIP_HEADER_SIZE) /* since it has a device */
		usbip_transfer_head(s, head);
	else if (s->state != USBIP_REQUESTS || s->detaching)
		usbip_fail(s, "the client does not wait for an answer");
	else if (s->importing)
		take_busid(s, head);
	else
		take_request(s, head);
}

static void parser_payload(struct parser *parser, struct buf *payload)
{
	usbip_transfer_payload(session_of_parser(parser), payload);
}

static void parser_arrived(struct parser *parser, uint32_t have)
{
	usbip_transfer_arrived(session_of_parser(parser), have);
}

static const struct parser_ops parser_ops = {
	.head = parser_head,
	.payload = parser_payload,
	.arrived = parser_arrived,
};

static void request_timeout(struct timer *timer)
{
	struct usbip_session *s =
		container_of(timer, struct usbip_session, request);

	log_debug("%s: does not ask for a device", s->base.peer);
	session_fail(&s->base);
}

/* --- Life ------------------------------------------------------------------------------ */

static struct usbip_session *session_of_base(struct session *base)
{
	return container_of(base, struct usbip_session, base);
}

static void session_op_start(struct session *base)
{
	struct usbip_session *s = session_of_base(base);

	if (s->opened)
		open_device(s, s->device);
	else
		await_request(s);
}

static void session_op_detach(struct session *base)
{
	struct usbip_session *s = session_of_base(base);

	timer_stop(&s->request);
	s->detaching = true;
	if (s->device)
		detach(s);
	else
		base->user->detached(base);
}

bool usbip_session_left(const struct session *session)
{
	return container_of(session, struct usbip_session, base)->left;
}

static void session_op_close(struct session *base)
{
	struct usbip_session *s = session_of_base(base);

	timer_stop(&s->request);
	usbip_transfer_forget(s);
	detach(s);
	usbip_settle(s);
}

static void session_op_destroy(struct session *base)
{
	struct usbip_session *s = session_of_base(base);

	/* One that has never started is in no other state. */
	assert(s->state == USBIP_CLOSED || s->state == USBIP_REQUESTS);
	parser_fini(&s->parser);
	free(s);
}

static const struct session_ops session_ops = {
	.start = session_op_start,
	.detach = session_op_detach,
	.close = session_op_close,
	.destroy = session_op_destroy,
};

int usbip_session_create(struct loop *loop, struct bufpool *pool,
			 struct registry *registry, const char *peer,
			 struct session **session)
{
	/* Not cleared: most of it is staging. */
	struct usbip_session *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	memset(s, 0, offsetof(struct usbip_session, parser));
	parser_init(&s->parser, &parser_ops, USBIP_OP_SIZE);
	session_init(&s->base, &session_ops, &s->parser, loop, pool,
		     &registry->complaints, peer);
	s->registry = registry;
	s->listener.ops = &listener_ops;
	timer_init(&s->request, request_timeout);
	list_init(&s->urbs);
	list_init(&s->admins);
	*session = &s->base;
	return 0;
}

int usbip_session_create_for(struct loop *loop, struct bufpool *pool,
			     struct registry *registry,
			     struct usb_device *device, const char *peer,
			     int (*opened)(struct usbip_session *, int),
			     void *owner, struct session **session)
{
	struct usbip_session *s;
	int ret = usbip_session_create(loop, pool, registry, peer, session);

	if (ret < 0)
		return ret;
	s = session_of_base(*session);
	s->device = device;
	s->opened = opened;
	s->owner = owner;
	return 0;
}
