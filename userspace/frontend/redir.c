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
#include "frontend/redir_transfer.h"

/* So many times a guest may look at a device and reset it. */
#define FAILED_LOOKS 2

/* How long a look may take. */
#define LOOK_MS 50

/* --- The device comes and goes ------------------------------------------------------- */

void redir_session_settle(struct redir_session *s)
{
	if (s->base.closing && !s->device && !s->owed &&
	    s->state != REDIR_CLOSED) {
		s->state = REDIR_CLOSED;
		s->base.user->closed(&s->base);
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
			    "%s: %s cannot be attached: %s", s->base.peer,
			    device->name,
			    device->why[0] ? device->why : strerror(-status));
}

/*
 * The guest does not want the device and has not attached it: nothing is
 * disconnected. Another one may suit it.
 */
static void drop_rejected(struct redir_session *s)
{
	timer_stop(&s->slower);
	redir_transfer_forget(s);
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
		    s->base.peer, s->device->name);
	redir_send_endpoints(s);
	redir_send_device(s);
}

static void device_leaving(struct usb_listener *listener)
{
	struct redir_session *s = session_of(listener);

	/* It, or another one, may come. */
	s->again = true;
	redir_session_detach(s);
}

static void request_device(struct redir_session *s)
{
	s->again = false;
	if (!registry_request(s->registry, &s->waiter))
		log_limited(&s->registry->complaints, LOG_LEVEL_INFO,
			    "%s: waits for a device: all are absent or in use",
			    s->base.peer);
}

static void check_detached(struct redir_session *s)
{
	if (s->state != REDIR_DETACHING || s->device || s->ack_due)
		return;
	s->state = REDIR_NO_DEVICE;
	if (s->base.closing)
		return;
	if (s->again)
		request_device(s);
	else
		s->base.user->detached(&s->base);
}

static void device_gone(struct usb_listener *listener)
{
	struct redir_session *s = session_of(listener);

	log_limited(&s->device->comings, LOG_LEVEL_INFO, "%s: detached %s",
		    s->base.peer, s->device->name);
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

void redir_session_detach(struct redir_session *s)
{
	struct usbredir_msg msg = { .type = USBREDIR_DEVICE_DISCONNECT };

	timer_stop(&s->slower);
	if (s->state == REDIR_DETACHING || s->base.closing)
		return;
	if (s->state == REDIR_ATTACHED) {
		redir_send_msg(s, &msg);
		s->ack_due = s->caps & USBREDIR_CAP_DEVICE_DISCONNECT_ACK;
	}
	/* Nothing about a device follows its device_disconnect. */
	redir_transfer_forget(s);
	s->state = REDIR_DETACHING;
	if (s->device)
		usb_close(s->device);
	else
		check_detached(s);
}

static void end_session(struct redir_session *s)
{
	registry_withdraw(&s->waiter);
	s->again = false;
	redir_session_detach(s);
}

void redir_session_looked(struct redir_session *s)
{
	s->looked = true;
	if (s->again || s->failed_looks < FAILED_LOOKS ||
	    s->device->info.speed != USB_SPEED_SUPER || s->device->own_speed)
		return;
	log_limited(
		&s->device->comings, LOG_LEVEL_INFO,
		"%s: the guest cannot use %s at super speed; attaching it at high speed",
		s->base.peer, s->device->name);
	s->slow = s->again = true;
	s->waiter.wanted = s->device; /* this one, no other */
	timer_start(s->base.loop, &s->slower, LOOK_MS);
}

static void attach_slower(struct timer *timer)
{
	struct redir_session *s =
		container_of(timer, struct redir_session, slower);

	redir_session_detach(s);
}

/* --- Packets -------------------------------------------------------------------------------- */

static void take_hello(struct redir_session *s, const struct usbredir_msg *msg,
		       const struct buf *payload)
{
	char version[USBREDIR_VERSION_SIZE + 1] = { 0 };
	uint32_t theirs;

	if (s->state != REDIR_HELLO) {
		log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
			    "%s: a second hello is ignored", s->base.peer);
		return;
	}
	memcpy(version, msg->hello.version, sizeof(msg->hello.version));
	theirs = usbredir_decode_caps(
		span_of(payload ? payload->data : NULL, msg->data_len));
	s->caps = usbredir_caps_sanitize(REDIR_CAPS & theirs);
	s->is_qemu = !strncmp(version, "qemu ", 5);
	s->state = REDIR_NO_DEVICE;
	s->base.greeted = true;
	redir_parser_greet(&s->parser, s->caps);
	log_debug("%s: hello from \"%s\", capabilities 0x%02x", s->base.peer,
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
		    s->base.peer, s->device->name,
		    s->device->info.interface[0].class, s->device->info.vendor,
		    s->device->info.product);
	drop_rejected(s);
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
		redir_transfer_admin(s, msg);
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
		redir_transfer_cancel(s, msg->id);
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
		end_session(s);
		break;
	case USBREDIR_ISO_PACKET:
		redir_stream_iso_packet(s, msg, payload);
		break;
	case USBREDIR_CONTROL_PACKET:
	case USBREDIR_BULK_PACKET:
	case USBREDIR_INTERRUPT_PACKET:
		redir_transfer_packet(s, msg, payload);
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

static int parser_admit(struct redir_parser *parser,
			const struct usbredir_msg *msg, struct buf **payload)
{
	struct redir_session *s = session_of_parser(parser);
	int ret = 0;

	/* Everything else is small. */
	if (msg->type == USBREDIR_BULK_PACKET)
		ret = redir_transfer_admit(s, msg);
	if (ret < 0)
		return ret;
	*payload = s->state == REDIR_ATTACHED
			   ? usb_alloc(s->device, s->base.pool, msg->data_len)
			   : bufpool_get(s->base.pool, msg->data_len);
	return *payload ? ret : -ENOMEM;
}

static void parser_started(struct redir_parser *parser,
			   const struct usbredir_msg *msg, struct buf *payload)
{
	redir_transfer_early(session_of_parser(parser), msg, payload);
}

static void parser_arrived(struct redir_parser *parser, uint32_t have)
{
	redir_transfer_arrived(session_of_parser(parser), have);
}

static void parser_refused(struct redir_parser *parser,
			   const struct usbredir_msg *msg, int error)
{
	struct redir_session *s = session_of_parser(parser);

	s->skipped++;
	if (msg->type >= USBREDIR_CONTROL_PACKET &&
	    msg->type != USBREDIR_ISO_PACKET)
		redir_transfer_refuse(s, msg, error);
}

static void parser_skipped(struct redir_parser *parser,
			   const struct usbredir_header *header,
			   const char *what)
{
	struct redir_session *s = session_of_parser(parser);

	s->skipped++;
	log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
		    "%s: %s packet (%s, type %u, length %u) skipped",
		    s->base.peer, what, usbredir_type_name(header->type),
		    header->type, header->length);
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

static struct redir_session *session_of_base(struct session *base)
{
	return container_of(base, struct redir_session, base);
}

static void session_op_start(struct session *base)
{
	redir_send_hello(session_of_base(base));
}

static void session_op_drained(struct session *base)
{
	if (!base->closing)
		redir_streams_resume(session_of_base(base));
}

/* Takes the device from the guest. */
static void session_op_detach(struct session *base)
{
	end_session(session_of_base(base));
}

static void session_op_close(struct session *base)
{
	struct redir_session *s = session_of_base(base);

	timer_stop(&s->slower);
	registry_withdraw(&s->waiter);
	redir_transfer_forget(s);
	if (s->device)
		usb_close(s->device);
	redir_session_settle(s);
}

static void session_op_destroy(struct session *base)
{
	struct redir_session *s = session_of_base(base);

	redir_session_fini(s);
	free(s);
}

static const struct session_ops session_ops = {
	.start = session_op_start,
	.drained = session_op_drained,
	.detach = session_op_detach,
	.close = session_op_close,
	.destroy = session_op_destroy,
};

void redir_session_init(struct redir_session *s, struct loop *loop,
			struct bufpool *pool, struct registry *registry,
			struct usb_device *wanted, const char *peer)
{
	memset(s, 0, offsetof(struct redir_session, parser));
	redir_parser_init(&s->parser, &parser_ops, USBREDIR_HOST);
	session_init(&s->base, &session_ops, &s->parser.parser, loop, pool,
		     &registry->complaints, peer);
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
}

void redir_session_fini(struct redir_session *s)
{
	/* One that has never started is in no other state. */
	assert(s->state == REDIR_CLOSED || s->state == REDIR_HELLO);
	free(s->filter);
	parser_fini(&s->parser.parser);
}

int redir_session_create(struct loop *loop, struct bufpool *pool,
			 struct registry *registry, struct usb_device *wanted,
			 const char *peer, struct session **session)
{
	/* Not cleared: most of it is staging. */
	struct redir_session *s = malloc(sizeof(*s));

	if (!s)
		return -ENOMEM;
	redir_session_init(s, loop, pool, registry, wanted, peer);
	*session = &s->base;
	return 0;
}
