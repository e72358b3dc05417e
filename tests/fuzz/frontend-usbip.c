// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile usbip client: any bytes, in any pieces, and commands that make
 * sense, while the device does what devices do.
 *
 *	byte 0	bit 0: it has imported the device; bits 1 to 6: bytes that come
 *		at once, 0: all
 *	byte 1	the device's mode, see set_mode()
 *	rest	steps, see step()
 *
 * Asserted: what leaves is well-formed, a command that was understood is
 * answered once, memory is bounded, closing always ends.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../lib/fake-device.h"
#include "core/outq.h"
#include "frontend/usbip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_LENT (160u << 20)
#define MAX_COMMANDS 4096

struct fuzz {
	struct loop *loop;
	struct bufpool pool;
	struct registry registry;
	struct fake_device *fake;
	struct session *session;
	size_t chunk;
	bool failed, closed, imported;
	uint32_t seqnum;
	/* Answers that may come, by seqnum: a SUBMIT has its own or that of an
	 * UNLINK. */
	uint8_t due[MAX_COMMANDS];
	struct span in; /* what is left of the input */
};

/* Stops where a fuzzer sees it, with assertions compiled in or not. */
#define require(holds)                                                         \
	do {                                                                   \
		if (!(holds)) {                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,       \
				__LINE__, #holds);                             \
			abort();                                               \
		}                                                              \
	} while (0)

/* --- What the session calls ------------------------------------------------ */

static void check_answer(struct fuzz *f, struct span head, uint32_t len)
{
	struct usbip_msg msg;

	require(!usbip_decode(head, &msg));
	if (msg.command == USBIP_RET_SUBMIT) {
		require(!len ||
			len == msg.ret_submit.actual + msg.ret_submit.packets *
							       USBIP_ISO_SIZE ||
			len == msg.ret_submit.packets * USBIP_ISO_SIZE);
	} else {
		require(msg.command == USBIP_RET_UNLINK && !len);
	}
	/* Those of raw bytes are none of ours. */
	if (msg.seqnum && msg.seqnum < MAX_COMMANDS) {
		require(f->due[msg.seqnum]);
		f->due[msg.seqnum]--;
	}
}

static void user_send(struct session *s, const void *head, size_t head_len,
		      struct buf *buf, uint32_t off, uint32_t len)
{
	struct fuzz *f = s->context;

	require(!f->closed && head_len <= OUTQ_HEAD);
	require(!len || off + len <= buf->size);
	if (head_len == USBIP_HEADER_SIZE) {
		check_answer(f, span_of(head, head_len), len);
	} else {
		struct usbip_op op;

		require(!head_len);
		require(!usbip_decode_op(span_of(buf->data + off, len), &op));
	}
	buf_put(buf);
}

static bool user_full(struct session *s)
{
	(void)s;
	return false;
}

static void user_failed(struct session *s)
{
	struct fuzz *f = s->context;

	require(!f->failed);
	f->failed = true;
}

static void user_detached(struct session *s)
{
	(void)s;
}

static void user_closed(struct session *s)
{
	struct fuzz *f = s->context;

	require(!f->closed);
	f->closed = true;
}

static const struct session_user user = {
	.send = user_send,
	.full = user_full,
	.failed = user_failed,
	.detached = user_detached,
	.closed = user_closed,
};

/* --- Bytes in --------------------------------------------------------------- */

/* data NULL: whatever is there */
static void feed(struct fuzz *f, const uint8_t *data, size_t len)
{
	while (len && !f->failed) {
		size_t room, n;
		bool exact;
		void *space = session_space(f->session, &room, &exact);

		require(room);
		n = MIN(room, len);
		if (f->chunk && len < 16384)
			n = MIN(n, f->chunk);
		if (data) {
			memcpy(space, data, n);
			data += n;
		}
		session_filled(f->session, n);
		len -= n;
		require(f->pool.lent <= MAX_LENT);
	}
}

static void feed_raw(struct fuzz *f)
{
	size_t n = span_u8(&f->in);

	n = MIN(n, f->in.len);

	/* Its answers are not followed. */
	memset(f->due, 255, sizeof(f->due));
	feed(f, span_take(&f->in, n), n);
}

static void feed_msg(struct fuzz *f, struct usbip_msg *msg)
{
	uint8_t head[USBIP_HEADER_SIZE];

	if (f->seqnum + 1 >= MAX_COMMANDS || !f->imported)
		return;
	msg->seqnum = ++f->seqnum;
	if (f->due[msg->seqnum] < 255)
		f->due[msg->seqnum]++;
	usbip_encode(msg, head);
	feed(f, head, sizeof(head));
}

static void feed_submit(struct fuzz *f)
{
	static const uint8_t eps[] = { 0x80,	    0x00,	  FAKE_IN,
				       FAKE_OUT,    FAKE_INT_IN,  FAKE_INT_OUT,
				       FAKE_ISO_IN, FAKE_ISO_OUT, 0x0f,
				       0x82 };
	uint8_t which = span_u8(&f->in);
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = eps[which % sizeof(eps)] };
	uint32_t len = (uint32_t)span_le(&f->in, 2);
	uint8_t setup[8] = { 0x80, 6, 0, 1 };
	bool iso = (msg.ep & 0x0f) == (FAKE_ISO_IN & 0x0f) ||
		   msg.ep == FAKE_ISO_OUT;

	if (which & 0x80) /* early */
		len |= 1 << 19;
	msg.submit.length = len;
	msg.submit.flags = span_u8(&f->in);
	msg.submit.packets = iso ? span_u8(&f->in) : 0;
	if (!(msg.ep & 0x0f)) {
		for (size_t i = 0; i < sizeof(setup); i++)
			setup[i] = span_u8(&f->in);
		memcpy(msg.submit.setup, setup, sizeof(setup));
	}
	feed_msg(f, &msg);
	if (!(msg.ep & USB_DIR_IN))
		feed(f, NULL, len);
	for (uint32_t i = 0; iso && i < msg.submit.packets; i++) {
		uint8_t descriptor[USBIP_ISO_SIZE];
		struct span_writer w =
			span_writer_of(descriptor, sizeof(descriptor));
		struct usbip_iso d = { .offset = i * span_u8(&f->in),
				       .length = span_u8(&f->in) };

		usbip_encode_iso(&w, &d);
		feed(f, descriptor, sizeof(descriptor));
	}
}

static void feed_unlink(struct fuzz *f)
{
	struct usbip_msg msg = { .command = USBIP_CMD_UNLINK };

	msg.unlink_seqnum = f->seqnum - span_u8(&f->in);
	feed_msg(f, &msg);
}

static void feed_request(struct fuzz *f)
{
	uint8_t bytes[USBIP_OP_SIZE + USBIP_BUSID_SIZE];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	bool import = span_u8(&f->in) & 1;

	if (f->imported)
		return;
	usbip_encode_op(&w, import ? USBIP_REQ_IMPORT : USBIP_REQ_DEVLIST, 0);
	if (import)
		usbip_encode_busid(&w, "ryll-1-1");
	feed(f, bytes, w.len);
	f->imported = f->fake->device.state == USB_DEVICE_OPEN;
}

/* --- The device ---------------------------------------------------------------- */

static void set_mode(struct fuzz *f)
{
	uint8_t mode = span_u8(&f->in);

	/* What was held ends, or it would never. */
	f->fake->hold_urbs = true;
	f->fake->hold_cancel = mode & 1;
	f->fake->hold_admin = mode & 2;
	f->fake->submit_error = mode & 4 ? -ENOMEM : 0;
	f->fake->admin_status = mode & 8 ? -EPIPE : 0;
}

static void complete_one(struct fuzz *f)
{
	static const int statuses[] = { 0,	    0,		-EPIPE,
					-ECANCELED, -EOVERFLOW, -EIO };
	struct urb *urb = fake_first(f->fake);
	uint8_t what = span_u8(&f->in);
	int status = statuses[what % ARRAY_SIZE(statuses)];
	uint32_t actual = what & 0x80 ? 0 : urb ? urb->len : 0;

	if (urb && (!status || status == -EOVERFLOW))
		fake_complete(f->fake, urb, status, actual);
	else if (urb)
		fake_complete(f->fake, urb, status, 0);
}

static void end_admin(struct fuzz *f)
{
	struct list *admins = &f->fake->device.admins;

	if (!list_empty(admins))
		usb_admin_complete(list_first(admins, struct usb_admin, node),
				   -EIO);
}

static void step(struct fuzz *f)
{
	switch (span_u8(&f->in) % 9) {
	case 0:
		feed_raw(f);
		break;
	case 1:
		feed_submit(f);
		break;
	case 2:
		feed_unlink(f);
		break;
	case 3:
		complete_one(f);
		break;
	case 4:
		end_admin(f);
		break;
	case 5:
		set_mode(f);
		break;
	case 6:
		feed_request(f);
		break;
	case 7:
		usb_leave(&f->fake->device);
		break;
	case 8:
		session_detach(f->session);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	uint8_t flags;

	f = (struct fuzz){ .in = span_of(data, size) };
	flags = span_u8(&f.in);
	require(!loop_create(&f.loop));
	bufpool_init(&f.pool);
	registry_init(&f.registry);
	f.fake = fake_device_new(f.loop, &f.pool);
	set_mode(&f);
	registry_add(&f.registry, &f.fake->device);
	require(!usbip_session_create(f.loop, &f.pool, &f.registry, "fuzz",
				      &f.session));
	f.session->user = &user;
	f.session->context = &f;
	session_start(f.session);
	f.chunk = flags >> 1 & 63;
	if (flags & 1) {
		static const uint8_t import[USBIP_OP_SIZE + USBIP_BUSID_SIZE] =
			"\x01\x11\x80\x03\0\0\0\0ryll-1-1";

		feed(&f, import, sizeof(import));
		f.imported = true;
		require(f.fake->device.state == USB_DEVICE_OPEN);
	}
	while (f.in.len && !f.failed)
		step(&f);
	session_close(f.session);
	if (f.fake->device.state == USB_DEVICE_CLOSING)
		fake_end(f.fake);
	require(f.closed);
	f.session->ops->destroy(f.session);
	registry_fini(&f.registry);
	loop_destroy(f.loop);
	bufpool_fini(&f.pool); /* asserts: all buffers came back */
	return 0;
}
