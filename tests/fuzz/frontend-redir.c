// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile guest at a usbredir session: any bytes, in any pieces, to a
 * device that answers at once, later or never.
 *
 * Asserted: whatever the session sends is well-formed, the memory that a guest
 * can make us hold is bounded, closing always ends, none is left behind.
 */
#include <assert.h>
#include <stdlib.h>

#include "../lib/fake-device.h"
#include "core/outq.h"
#include "frontend/redir.h"
#include "wire/filter.h"

/*
 * What may be in flight, each buffer rounded up to a power of two and to a
 * page; and one payload of a control transfer or a filter that comes in.
 */
#define MAX_LENT                                                               \
	(2 * (size_t)USB_MAX_INFLIGHT_BYTES +                                  \
	 ((size_t)USB_MAX_INFLIGHT_URBS << BUFPOOL_MIN_SHIFT) + 65536)

struct fuzz {
	struct loop *loop;
	struct bufpool pool;
	struct registry registry;
	struct fake_device *fake;
	struct redir_session session;
	size_t chunk; /* bytes that come in at once; 0: all */
	bool failed, closed, hello_sent;
	unsigned int sent; /* packets, since the peer has taken them */
	struct span in;	   /* what is left of the input */
};

static struct fuzz *fuzz_of(struct session *s)
{
	return container_of(s, struct fuzz, session.base);
}

/* --- What the session calls ------------------------------------------------ */

/* One whole packet, its head in front of buf or within it. */
static void session_sends(struct session *s, const void *head, size_t head_len,
			  struct buf *buf, uint32_t off, uint32_t len)
{
	struct fuzz *f = fuzz_of(s);
	struct span span = head_len ? span_of(head, head_len)
				    : span_of(buf->data + off, len);
	uint32_t caps = f->hello_sent ? f->session.caps : 0;
	struct usbredir_header header;
	struct usbredir_layout layout;

	assert(!f->closed);
	assert(f->hello_sent || !head_len);
	if (usbredir_decode_header(span, caps, &header) < 0 ||
	    usbredir_check_header(&header, USBREDIR_GUEST, caps, &layout) < 0)
		abort();
	assert(usbredir_header_size(caps) + header.length == head_len + len);
	assert(f->hello_sent == (header.type != USBREDIR_HELLO));
	f->hello_sent = true;
	f->sent++;
	buf_put(buf);
}

/* A device that answers at once fills any queue in no time. */
static bool session_full(struct session *s)
{
	return fuzz_of(s)->sent > 200;
}

static void session_failed(struct session *s)
{
	assert(!fuzz_of(s)->failed);
	fuzz_of(s)->failed = true;
}

static void session_detached(struct session *s)
{
	assert(!fuzz_of(s)->session.device);
}

static void session_closed(struct session *s)
{
	assert(!fuzz_of(s)->closed);
	fuzz_of(s)->closed = true;
}

static const struct session_user session_user = {
	.send = session_sends,
	.full = session_full,
	.failed = session_failed,
	.detached = session_detached,
	.closed = session_closed,
};

/* --- Bytes in ----------------------------------------------------------------- */

/* data NULL: whatever is there; filling it would take most of the time. */
static void feed(struct fuzz *f, const uint8_t *data, size_t len)
{
	while (len && !f->failed) {
		size_t room, n;
		bool exact;
		void *space = session_space(&f->session.base, &room, &exact);

		assert(room);
		n = MIN(room, len);
		/* Large payloads byte by byte only take time. */
		if (f->chunk && len < 16384)
			n = MIN(n, f->chunk);
		if (data)
			memcpy(space, data, n);
		session_filled(&f->session.base, n);
		if (data)
			data += n;
		len -= n;
		assert(f->pool.lent <= MAX_LENT);
	}
}

static void feed_input(struct fuzz *f, size_t len)
{
	len = MIN(len, f->in.len);
	if (len)
		feed(f, span_take(&f->in, len), len);
}

static void feed_header(struct fuzz *f, uint32_t type, uint32_t length)
{
	uint8_t head[USBREDIR_MAX_HEADER];
	struct span_writer w = span_writer_of(head, sizeof(head));

	span_put_le(&w, type, 4);
	span_put_le(&w, length, 4);
	/* Few ids, so that cancelling finds one. */
	span_put_le(&w, span_u8(&f->in) & 15,
		    usbredir_header_size(f->session.caps) - 8);
	feed(f, head, w.len);
}

/* A packet whose length is right, its contents anything. */
static void feed_packet(struct fuzz *f)
{
	uint8_t type = span_u8(&f->in);
	uint8_t length = span_u8(&f->in);

	feed_header(f, type, length);
	feed_input(f, length);
}

/* What the session would take for payload now. */
static size_t payload_due(const struct fuzz *f)
{
	const struct parser *p = &f->session.parser.parser;

	switch (p->state) {
	case PARSER_PAYLOAD:
		return p->want - p->have;
	case PARSER_SKIP:
		return p->want;
	default:
		return 0;
	}
}

static void feed_bulk(struct fuzz *f)
{
	uint8_t flags = span_u8(&f->in);
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.id = flags & 15,
		.transfer = {
			.endpoint = flags & 0x80 ? FAKE_IN : FAKE_OUT,
			/* Small ones, or up to what the protocol allows. */
			.length = (uint32_t)span_le(&f->in, 2)
				  << (flags & 0x20 ? 11 : 0),
		},
	};
	uint8_t head[USBREDIR_MAX_HEAD];

	if (!(f->session.caps & USBREDIR_CAP_32BITS_BULK_LENGTH))
		msg.transfer.length &= 0xffff;
	if (!(flags & 0x80))
		msg.data_len = msg.transfer.length;
	feed(f, head, usbredir_encode(&msg, f->session.caps, head));
	/* Half of it only: what comes next counts as payload, too. */
	feed(f, NULL, flags & 0x40 ? payload_due(f) / 2 : payload_due(f));
}

static void feed_msg(struct fuzz *f, const struct usbredir_msg *msg)
{
	uint8_t head[USBREDIR_MAX_HEAD];

	feed(f, head, usbredir_encode(msg, f->session.caps, head));
	feed(f, NULL, msg->data_len);
}

/* Starts and stops, of endpoints that there are. */
static void feed_start(struct fuzz *f)
{
	uint8_t what = span_u8(&f->in), how = span_u8(&f->in);
	struct usbredir_msg msg = { .id = what & 15 };

	switch (what >> 4 & 7) {
	case 0:
	case 1:
		msg.type = what & 16 ? USBREDIR_START_INTERRUPT_RECEIVING
				     : USBREDIR_STOP_INTERRUPT_RECEIVING;
		msg.interrupt_receiving.endpoint = FAKE_INT_IN;
		break;
	case 2:
	case 3:
		if (!(f->session.caps & USBREDIR_CAP_BULK_RECEIVING))
			return;
		msg.type = what & 16 ? USBREDIR_START_BULK_RECEIVING
				     : USBREDIR_STOP_BULK_RECEIVING;
		msg.bulk_receiving = (struct usbredir_bulk_receiving){
			.endpoint = FAKE_IN,
			.stream_id = how & 3,
			.bytes_per_transfer = 512u << (how >> 2 & 15),
			.no_transfers = 1 + (how >> 6),
		};
		break;
	default:
		msg.type = what & 16 ? USBREDIR_START_ISO_STREAM
				     : USBREDIR_STOP_ISO_STREAM;
		msg.iso_stream.endpoint = what & 32 ? FAKE_ISO_IN
						    : FAKE_ISO_OUT;
		msg.iso_stream.pkts_per_urb = 1 + (how & 15);
		msg.iso_stream.no_urbs = 1 + (how >> 4);
		break;
	}
	feed_msg(f, &msg);
}

/* Many packets for OUT endpoints, for little input. */
static void feed_out(struct fuzz *f)
{
	uint8_t what = span_u8(&f->in);
	struct usbredir_msg msg = {
		.type = what & 0x80 ? USBREDIR_INTERRUPT_PACKET
				    : USBREDIR_ISO_PACKET,
		.data_len = span_u8(&f->in) % (FAKE_ISO_BYTES + 2),
	};

	msg.transfer.endpoint = what & 0x80 ? FAKE_INT_OUT : FAKE_ISO_OUT;
	msg.transfer.length = msg.data_len;
	for (unsigned int n = what & 0x3f; n && !f->failed; n--)
		feed_msg(f, &msg);
}

/* The peer has taken all that was sent. */
static void drained(struct fuzz *f)
{
	f->sent = 0;
	session_drained(&f->session.base);
}

static void feed_hello(struct fuzz *f)
{
	struct usbredir_msg msg = { .type = USBREDIR_HELLO, .data_len = 4 };
	uint8_t head[USBREDIR_MAX_HEAD];
	uint8_t caps[4] = { span_u8(&f->in) };

	feed(f, head, usbredir_encode(&msg, 0, head));
	feed(f, caps, sizeof(caps));
}

/* --- The device ------------------------------------------------------------------ */

static void set_mode(struct fuzz *f)
{
	uint8_t mode = span_u8(&f->in);

	f->fake->hold_urbs = mode & 1;
	f->fake->hold_cancel = mode & 2;
	f->fake->hold_admin = mode & 4;
	f->fake->hold_close = mode & 8;
	f->fake->admin_status = mode & 16 ? -EIO : 0;
	f->fake->submit_error = mode & 32 ? -EINVAL : 0;
}

static void complete_one(struct fuzz *f)
{
	static const int statuses[] = { 0, -EPIPE, -ECANCELED, -EIO };
	struct urb *urb = fake_first(f->fake);
	uint8_t how = span_u8(&f->in);
	int status = statuses[how % ARRAY_SIZE(statuses)];

	if (urb)
		fake_complete(f->fake, urb, status,
			      status ? 0 : MIN(urb->len, how));
}

static void end_admin(struct fuzz *f)
{
	struct list *admins = &f->fake->device.admins;

	if (!list_empty(admins))
		usb_admin_complete(list_first(admins, struct usb_admin, node),
				   f->fake->admin_status);
}

/* Never sleeps: nothing comes from outside. */
static void turn(struct fuzz *f)
{
	loop_hurry(f->loop);
	if (loop_turn(f->loop) < 0)
		abort();
}

/* --- The input -------------------------------------------------------------------- */

static void step(struct fuzz *f)
{
	uint8_t op = span_u8(&f->in);

	switch (op % 13) {
	case 0:
		feed_input(f, span_u8(&f->in));
		break;
	case 1:
	case 2:
		feed_packet(f);
		break;
	case 3:
		feed_bulk(f);
		break;
	case 4:
		turn(f);
		break;
	case 5:
		set_mode(f);
		break;
	case 6:
		complete_one(f);
		break;
	case 7:
		end_admin(f);
		break;
	case 8:
		usb_leave(&f->fake->device);
		break;
	case 9:
		session_detach(&f->session.base);
		break;
	case 10:
		feed_start(f);
		break;
	case 11:
		feed_out(f);
		break;
	case 12:
		drained(f);
		break;
	}
}

static void begin(struct fuzz *f, struct loop *loop)
{
	static const struct filter filter = { 1, { { 8, -1, -1, -1, true } } };
	uint8_t flags = span_u8(&f->in);

	f->loop = loop;
	bufpool_init(&f->pool);
	registry_init(&f->registry);
	f->registry.filter = flags & 0x40 ? &filter : NULL;
	f->fake = fake_device_new(loop, &f->pool);
	f->fake->most = 4096;
	registry_add(&f->registry, &f->fake->device);
	redir_session_init(&f->session, loop, &f->pool, &f->registry, NULL,
			   "fuzz");
	f->session.base.user = &session_user;
	session_start(&f->session.base);
	f->chunk = flags & 0x3f;
	set_mode(f);
	if (flags & 0x80)
		feed_hello(f);
}

static void end(struct fuzz *f)
{
	session_close(&f->session.base);
	if (f->fake->device.state == USB_DEVICE_CLOSING)
		fake_end(f->fake);
	turn(f);
	assert(f->closed);
	redir_session_fini(&f->session);
	registry_fini(&f->registry);
	bufpool_fini(&f->pool); /* asserts: all buffers came back */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct loop *loop; /* one serves all inputs */
	static struct fuzz f;	  /* not on the stack: staging is large */

	log_level = LOG_LEVEL_ERR;
	if (!loop && loop_create(&loop) < 0)
		abort();
	memset(&f, 0, sizeof(f));
	f.in = span_of(data, size);
	begin(&f, loop);
	while (f.in.len && !f.failed)
		step(&f);
	end(&f);
	return 0;
}
