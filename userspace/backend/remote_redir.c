// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/remote_redir.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/outq.h"
#include "wire/usbdesc.h"

#define CAPS                                                                   \
	(USBREDIR_CAP_BULK_STREAMS | USBREDIR_CAP_CONNECT_DEVICE_VERSION |     \
	 USBREDIR_CAP_FILTER | USBREDIR_CAP_DEVICE_DISCONNECT_ACK |            \
	 USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE | USBREDIR_CAP_64BITS_IDS |      \
	 USBREDIR_CAP_32BITS_BULK_LENGTH)

/* Without the capability for more. */
#define SHORT_BULK 65535

struct remote_admin {
	struct list node; /* on admins */
	struct usb_admin *admin;
	uint64_t id;
};

static struct remote_redir *redir_of(struct remote_session *rs)
{
	return container_of(rs, struct remote_redir, rs);
}

/* --- Sending ---------------------------------------------------------------------- */

uint64_t remote_redir_send(struct remote_redir *r, struct usbredir_msg *msg,
			   struct buf *buf, uint32_t off)
{
	uint8_t head[USBREDIR_MAX_HEAD];
	size_t len;

	/* Within 32 bits: there may be no room for more. */
	r->last_id = (r->last_id + 1) & UINT32_MAX;
	msg->id = r->last_id;
	len = usbredir_encode(msg, r->caps, head);
	session_send(&r->rs.base, head, len, buf, off, msg->data_len);
	return msg->id;
}

/* --- Transfers ------------------------------------------------------------------------ */

/* The id that its answer will have. */
static void set_id(struct urb *urb, uint64_t id)
{
	urb->backend = (void *)(uintptr_t)id;
}

static struct urb *find_urb(struct remote_redir *r, uint64_t id)
{
	list_for_each (it, &r->urbs) {
		struct urb *urb = list_entry(it, struct urb, backend_node);

		if ((uintptr_t)urb->backend == (uintptr_t)id)
			return urb;
	}
	return NULL;
}

static struct remote_admin *find_admin(struct remote_redir *r, uint64_t id)
{
	list_for_each (it, &r->admins) {
		struct remote_admin *ra =
			list_entry(it, struct remote_admin, node);

		if (ra->id == id)
			return ra;
	}
	return NULL;
}

static void end_urb(struct urb *urb, int status, uint32_t actual)
{
	list_remove(&urb->backend_node);
	urb->status = status;
	urb->actual = actual;
	usb_complete(urb);
}

static void fill_control(struct usbredir_msg *msg, const struct urb *urb)
{
	const struct usb_setup *setup = &urb->setup;

	msg->type = USBREDIR_CONTROL_PACKET;
	msg->control.endpoint = urb->ep;
	/* Zero is OUT's to this protocol, whatever the hub had it on. */
	if (setup->request_type & USB_DIR_IN)
		msg->control.endpoint |= USB_DIR_IN;
	msg->control.request = setup->request;
	msg->control.requesttype = setup->request_type;
	msg->control.value = setup->value;
	msg->control.index = setup->index;
	msg->control.length = (uint16_t)urb->len;
}

/* An empty packet goes behind the data, with the id that follows; nobody waits
 * for its answer. */
static bool ends_with_empty(const struct remote_redir *r, const struct urb *urb)
{
	uint32_t most = r->rs.info.endpoint[usb_slot(urb->ep)].max_packet &
			0x7ff;

	return urb->type == USB_BULK && !(urb->ep & USB_DIR_IN) &&
	       urb->zero_packet && urb->len && most && !(urb->len % most);
}

static void send_empty(struct remote_redir *r, const struct urb *urb)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.transfer = { .endpoint = urb->ep, .stream_id = urb->stream },
	};

	remote_redir_send(r, &msg, NULL, 0);
}

static int redir_submit(struct remote_session *rs, struct urb *urb)
{
	struct remote_redir *r = redir_of(rs);
	bool in = urb->ep & USB_DIR_IN;
	struct usbredir_msg msg = {
		.type = urb->type == USB_BULK ? USBREDIR_BULK_PACKET
					      : USBREDIR_INTERRUPT_PACKET,
		.data_len = in ? 0 : urb->len,
	};

	if (remote_stream_has(urb))
		return remote_stream_submit(r, urb);
	if (urb->type == USB_CONTROL) {
		fill_control(&msg, urb);
	} else {
		if (urb->len > SHORT_BULK &&
		    (urb->type != USB_BULK ||
		     !(r->caps & USBREDIR_CAP_32BITS_BULK_LENGTH)))
			return -EMSGSIZE;
		msg.transfer.endpoint = urb->ep;
		msg.transfer.length = urb->len;
		msg.transfer.stream_id = urb->stream;
	}
	set_id(urb, remote_redir_send(r, &msg,
				      msg.data_len ? buf_ref(urb->buf) : NULL,
				      urb->off));
	if (ends_with_empty(r, urb))
		send_empty(r, urb);
	list_append(&r->urbs, &urb->backend_node);
	return 0;
}

static void send_cancel(struct remote_redir *r, uint64_t id)
{
	struct usbredir_msg msg = { .type = USBREDIR_CANCEL_DATA_PACKET,
				    .id = id };
	uint8_t head[USBREDIR_MAX_HEAD];
	size_t len = usbredir_encode(&msg, r->caps, head);

	session_send(&r->rs.base, head, len, NULL, 0, 0);
}

static void redir_cancel(struct remote_session *rs, struct urb *urb)
{
	struct remote_redir *r = redir_of(rs);
	uint64_t id = (uintptr_t)urb->backend;

	if (remote_stream_has(urb)) {
		remote_stream_cancel(r, urb);
		return;
	}
	/* Answered by the host, exactly once, with what has become of it. */
	send_cancel(r, id);
	/* The next one's, unless that is another's: there is no empty packet. */
	id = (id + 1) & UINT32_MAX;
	if (urb->zero_packet && !find_urb(r, id) && !find_admin(r, id))
		send_cancel(r, id);
}

/* --- Requests that change the device --------------------------------------------------- */

static uint64_t send_admin(struct remote_redir *r, struct usb_admin *admin)
{
	struct usbredir_msg msg = { 0 };

	switch (admin->type) {
	case USB_SET_CONFIGURATION:
		msg.type = USBREDIR_SET_CONFIGURATION;
		msg.configuration.configuration = admin->configuration;
		break;
	case USB_GET_CONFIGURATION:
		msg.type = USBREDIR_GET_CONFIGURATION;
		break;
	case USB_SET_ALT_SETTING:
		msg.type = USBREDIR_SET_ALT_SETTING;
		msg.alt_setting.interface = admin->interface;
		msg.alt_setting.alt = admin->alt;
		break;
	case USB_GET_ALT_SETTING:
		msg.type = USBREDIR_GET_ALT_SETTING;
		msg.alt_setting.interface = admin->interface;
		break;
	case USB_CLEAR_HALT:
		msg.type = USBREDIR_CONTROL_PACKET;
		msg.control.request = USBDESC_CLEAR_FEATURE;
		msg.control.requesttype = USBDESC_TO_ENDPOINT;
		msg.control.value = USBDESC_ENDPOINT_HALT;
		msg.control.index = admin->ep;
		break;
	case USB_ALLOC_STREAMS:
		msg.type = USBREDIR_ALLOC_BULK_STREAMS;
		msg.bulk_streams.endpoints = admin->endpoints;
		msg.bulk_streams.no_streams = admin->streams;
		break;
	case USB_FREE_STREAMS:
		msg.type = USBREDIR_FREE_BULK_STREAMS;
		msg.bulk_streams.endpoints = admin->endpoints;
		break;
	case USB_RESET:
		msg.type = USBREDIR_RESET;
		break;
	}
	return remote_redir_send(r, &msg, NULL, 0);
}

static void redir_admin(struct remote_session *rs, struct usb_admin *admin)
{
	struct remote_redir *r = redir_of(rs);
	bool streams = admin->type == USB_ALLOC_STREAMS ||
		       admin->type == USB_FREE_STREAMS;
	struct remote_admin *ra;

	if (streams && !(r->caps & USBREDIR_CAP_BULK_STREAMS)) {
		usb_admin_complete(admin, -EINVAL);
		return;
	}
	/* It has no answer, and so no bound. */
	if (admin->type == USB_RESET && remote_session_full(rs)) {
		usb_admin_complete(admin, -EIO);
		return;
	}
	if (admin->type == USB_SET_ALT_SETTING)
		remote_streams_end(r, admin->interface);
	if (admin->type == USB_SET_CONFIGURATION || admin->type == USB_RESET)
		remote_streams_end(r, REMOTE_ALL_INTERFACES);
	if (admin->type == USB_RESET) {
		send_admin(r, admin);
		usb_admin_complete(admin, 0);
		return;
	}
	ra = calloc(1, sizeof(*ra));
	if (!ra) {
		usb_admin_complete(admin, -ENOMEM);
		return;
	}
	ra->admin = admin;
	list_append(&r->admins, &ra->node);
	ra->id = send_admin(r, admin);
}

static void end_admin(struct remote_admin *ra, int status)
{
	struct usb_admin *admin = ra->admin;

	list_remove(&ra->node);
	free(ra);
	usb_admin_complete(admin, status);
}

/* Answers to what was asked; others are dropped. */
static void take_admin_status(struct remote_redir *r,
			      const struct usbredir_msg *msg)
{
	struct remote_admin *ra = find_admin(r, msg->id);
	uint8_t status = USBREDIR_IOERROR;

	if (!ra)
		return;
	switch (msg->type) {
	case USBREDIR_CONFIGURATION_STATUS:
		status = msg->configuration.status;
		ra->admin->configuration = msg->configuration.configuration;
		if (!status) {
			r->rs.info.configuration =
				msg->configuration.configuration;
			remote_session_changed(&r->rs);
		}
		break;
	case USBREDIR_ALT_SETTING_STATUS:
		status = msg->alt_setting.status;
		ra->admin->alt = msg->alt_setting.alt;
		break;
	case USBREDIR_BULK_STREAMS_STATUS:
		status = msg->bulk_streams.status;
		ra->admin->streams = msg->bulk_streams.no_streams;
		break;
	default: /* CLEAR_FEATURE(ENDPOINT_HALT) */
		status = msg->control.status;
		break;
	}
	end_admin(ra, usbredir_error(status));
}

static void redir_abandon(struct remote_session *rs)
{
	struct remote_redir *r = redir_of(rs);

	remote_streams_end(r, REMOTE_ALL_INTERFACES);
	while (!list_empty(&r->urbs)) {
		struct urb *urb =
			list_first(&r->urbs, struct urb, backend_node);

		redir_cancel(rs, urb);
		end_urb(urb, -ESHUTDOWN, 0);
	}
	while (!list_empty(&r->admins))
		end_admin(list_first(&r->admins, struct remote_admin, node),
			  -ESHUTDOWN);
}

/* --- What the device is ------------------------------------------------------------------ */

static void take_interfaces(struct remote_redir *r,
			    const struct usbredir_interface_info *from)
{
	struct usb_info *info = &r->rs.info;

	info->n_interfaces = (uint8_t)from->count;
	for (uint32_t i = 0; i < from->count; i++)
		info->interface[i] = (struct usb_interface){
			.number = from->interface[i],
			.class = from->interface_class[i],
			.subclass = from->interface_subclass[i],
			.protocol = from->interface_protocol[i],
		};
	remote_session_changed(&r->rs);
}

/*
 * What one interval moves at most, as far as is known: nothing says how much a
 * burst is. usbredirhost has multiplied a high-speed isochronous endpoint's out.
 */
static uint32_t interval_bytes(uint8_t type, uint16_t max_packet)
{
	if (type == USB_ISO)
		return max_packet;
	if (type == USB_INTERRUPT) /* USB 2.0, table 9-13 */
		return (max_packet & 0x7ffu) * (1 + ((max_packet >> 11) & 3));
	return 0;
}

static void take_endpoints(struct remote_redir *r,
			   const struct usbredir_ep_info *from)
{
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++) {
		struct usb_endpoint *ep = &r->rs.info.endpoint[i];

		*ep = (struct usb_endpoint){
			.type = from->type[i] <= USB_INTERRUPT
					? from->type[i]
					: USB_NO_ENDPOINT,
			.interval = from->interval[i],
			.interface = from->interface[i],
			.max_packet = from->max_packet_size[i],
			.interval_bytes = interval_bytes(
				from->type[i], from->max_packet_size[i]),
			.max_streams = from->max_streams[i],
		};
	}
	remote_session_changed(&r->rs);
}

static enum usb_speed speed_of(uint8_t speed)
{
	switch (speed) {
	case USBREDIR_SPEED_LOW:
		return USB_SPEED_LOW;
	case USBREDIR_SPEED_FULL:
		return USB_SPEED_FULL;
	case USBREDIR_SPEED_SUPER:
		return USB_SPEED_SUPER;
	default:
		return USB_SPEED_HIGH;
	}
}

static void take_connect(struct remote_redir *r,
			 const struct usbredir_device_connect *from)
{
	struct usb_info *info = &r->rs.info;

	if (r->state != REMOTE_WAITING) {
		remote_session_fail(&r->rs,
				    "the host connects a second device");
		return;
	}
	info->speed = speed_of(from->speed);
	info->class = from->device_class;
	info->subclass = from->device_subclass;
	info->protocol = from->device_protocol;
	info->vendor = from->vendor_id;
	info->product = from->product_id;
	info->bcd_device = from->device_version_bcd;
	info->configuration = info->n_configurations = 1;
	r->state = REMOTE_ATTACHED;
	remote_session_present(&r->rs);
}

static void take_disconnect(struct remote_redir *r)
{
	struct usbredir_msg msg = { .type = USBREDIR_DEVICE_DISCONNECT_ACK };

	if (r->state != REMOTE_ATTACHED)
		return;
	remote_session_absent(&r->rs);
	r->state = REMOTE_WAITING;
	r->rs.info = (struct usb_info){ 0 };
	if (r->caps & USBREDIR_CAP_DEVICE_DISCONNECT_ACK)
		remote_redir_send(r, &msg, NULL, 0);
}

static void take_hello(struct remote_redir *r, const struct usbredir_msg *msg,
		       const struct buf *payload)
{
	uint32_t theirs = usbredir_decode_caps(
		span_of(payload ? payload->data : NULL, msg->data_len));

	if (r->state != REMOTE_HELLO)
		return;
	r->caps = usbredir_caps_sanitize(CAPS & theirs);
	r->state = REMOTE_WAITING;
	r->rs.base.greeted = true;
	redir_parser_greet(&r->parser, r->caps);
	log_debug("%s: hello, capabilities 0x%02x", r->rs.base.peer, theirs);
}

/* --- Packets -------------------------------------------------------------------------------- */

/* The answer to a transfer. Takes payload. */
static void take_answer(struct remote_redir *r, const struct usbredir_msg *msg,
			struct buf *payload)
{
	bool control = msg->type == USBREDIR_CONTROL_PACKET;
	struct urb *urb = find_urb(r, msg->id);
	uint32_t actual = control ? msg->control.length : msg->transfer.length;

	if (!urb) {
		/* Of one that was abandoned, or an admin request of ours. */
		buf_put(payload);
		if (control)
			take_admin_status(r, msg);
		return;
	}
	urb->buf = urb->ep & USB_DIR_IN ? payload : urb->buf;
	urb->off = urb->ep & USB_DIR_IN ? 0 : urb->off;
	if (!(urb->ep & USB_DIR_IN))
		buf_put(payload);
	end_urb(urb,
		usbredir_error(control ? msg->control.status
				       : msg->transfer.status),
		urb->ep & USB_DIR_IN ? msg->data_len : MIN(actual, urb->len));
}

static struct remote_redir *redir_of_parser(struct redir_parser *parser)
{
	return container_of(parser, struct remote_redir, parser);
}

static void parser_packet(struct redir_parser *parser,
			  const struct usbredir_msg *msg, struct buf *payload)
{
	struct remote_redir *r = redir_of_parser(parser);

	switch ((enum usbredir_type)msg->type) {
	case USBREDIR_HELLO:
		take_hello(r, msg, payload);
		break;
	case USBREDIR_DEVICE_CONNECT:
		take_connect(r, &msg->device_connect);
		break;
	case USBREDIR_DEVICE_DISCONNECT:
		take_disconnect(r);
		break;
	case USBREDIR_INTERFACE_INFO:
		take_interfaces(r, &msg->interface_info);
		break;
	case USBREDIR_EP_INFO:
		take_endpoints(r, &msg->ep_info);
		break;
	case USBREDIR_CONFIGURATION_STATUS:
	case USBREDIR_ALT_SETTING_STATUS:
	case USBREDIR_BULK_STREAMS_STATUS:
		take_admin_status(r, msg);
		break;
	case USBREDIR_ISO_STREAM_STATUS:
	case USBREDIR_INTERRUPT_RECEIVING_STATUS:
		remote_stream_status(r, msg);
		break;
	case USBREDIR_ISO_PACKET:
		remote_stream_packet(r, msg, payload);
		return;
	case USBREDIR_INTERRUPT_PACKET:
		if (msg->transfer.endpoint & USB_DIR_IN)
			remote_stream_packet(r, msg, payload);
		else
			take_answer(r, msg, payload);
		return;
	case USBREDIR_CONTROL_PACKET:
	case USBREDIR_BULK_PACKET:
		take_answer(r, msg, payload);
		return;
	default: /* filters, which we have none for; what was not asked for */
		break;
	}
	buf_put(payload);
}

/* Nobody waits for it: refused, and thereby dropped. */
#define UNWANTED (-ESTALE)

static int parser_admit(struct redir_parser *parser,
			const struct usbredir_msg *msg, struct buf **payload)
{
	struct remote_redir *r = redir_of_parser(parser);
	struct urb *urb;

	if (msg->type == USBREDIR_CONTROL_PACKET ||
	    msg->type == USBREDIR_BULK_PACKET) {
		urb = find_urb(r, msg->id);
		if (!urb || !(urb->ep & USB_DIR_IN))
			return urb || find_admin(r, msg->id) ? -EPROTO
							     : UNWANTED;
		if (msg->data_len > urb->len)
			return -EMSGSIZE;
	} else if (msg->type == USBREDIR_BUFFERED_BULK_PACKET) {
		return UNWANTED;
	}
	*payload = bufpool_get(r->rs.base.pool, msg->data_len);
	return *payload ? 0 : -ENOMEM;
}

static void parser_refused(struct redir_parser *parser,
			   const struct usbredir_msg *msg, int error)
{
	struct remote_redir *r = redir_of_parser(parser);
	struct urb *urb = find_urb(r, msg->id);

	if (error == -EMSGSIZE || error == -EPROTO)
		remote_session_fail(
			&r->rs, "the host sends more than it was asked for");
	else if (urb && error != UNWANTED)
		end_urb(urb, error, 0);
}

static void parser_skipped(struct redir_parser *parser,
			   const struct usbredir_header *header,
			   const char *what)
{
	struct remote_redir *r = redir_of_parser(parser);

	log_limited(r->rs.base.complaints, LOG_LEVEL_WARN,
		    "%s: %s packet (%s, type %u, length %u) skipped",
		    r->rs.base.peer, what, usbredir_type_name(header->type),
		    header->type, header->length);
}

static void parser_broken(struct redir_parser *parser, const char *why)
{
	remote_session_fail(&redir_of_parser(parser)->rs, why);
}

static const struct redir_parser_ops parser_ops = {
	.packet = parser_packet,
	.admit = parser_admit,
	.refused = parser_refused,
	.skipped = parser_skipped,
	.broken = parser_broken,
};

/* --- Life -------------------------------------------------------------------------------------- */

static struct remote_redir *redir_of_base(struct session *base)
{
	return container_of(base, struct remote_redir, rs.base);
}

static void session_op_start(struct session *base)
{
	struct buf *buf = bufpool_get(base->pool, USBREDIR_HELLO_SIZE);
	size_t len;

	if (!buf) {
		remote_session_fail(&redir_of_base(base)->rs, "out of memory");
		return;
	}
	len = usbredir_encode_hello("ryll-bridge " RYLL_VERSION, CAPS,
				    buf->data);
	session_send(base, NULL, 0, buf, 0, (uint32_t)len);
}

/* The host hears of it by the end of the connection. */
static void session_op_detach(struct session *base)
{
	remote_session_absent(&redir_of_base(base)->rs);
	base->user->detached(base);
}

static void session_op_close(struct session *base)
{
	remote_session_absent(&redir_of_base(base)->rs);
	base->user->closed(base);
}

static void session_op_destroy(struct session *base)
{
	struct remote_redir *r = redir_of_base(base);

	remote_streams_free(r);
	parser_fini(&r->parser.parser);
	free(r);
}

static const struct session_ops session_ops = {
	.start = session_op_start,
	.detach = session_op_detach,
	.close = session_op_close,
	.destroy = session_op_destroy,
};

static const struct remote_session_ops redir_ops = {
	.submit = redir_submit,
	.cancel = redir_cancel,
	.admin = redir_admin,
	.abandon = redir_abandon,
};

int remote_redir_create(struct loop *loop, struct bufpool *pool,
			struct log_limit *complaints, const char *peer,
			struct remote_session **rs)
{
	/* Not cleared: most of it is staging. */
	struct remote_redir *r = malloc(sizeof(*r));

	if (!r)
		return -ENOMEM;
	memset(r, 0, offsetof(struct remote_redir, parser));
	redir_parser_init(&r->parser, &parser_ops, USBREDIR_GUEST);
	session_init(&r->rs.base, &session_ops, &r->parser.parser, loop, pool,
		     complaints, peer);
	r->rs.ops = &redir_ops;
	list_init(&r->urbs);
	list_init(&r->admins);
	*rs = &r->rs;
	return 0;
}
