// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A usbip server's session, without I/O: the test is the client and, behind
 * the hub, the device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "../lib/fake-device.h"
#include "core/outq.h"
#include "frontend/usbip.h"

struct client {
	struct loop *loop;
	struct bufpool pool;
	struct registry registry;
	struct fake_device *fake;
	struct session *session;
	unsigned int failed, detached, closed; /* calls */
	size_t chunk; /* bytes that come in at once; 0: all */
	uint8_t out[1 << 20];
	size_t out_len, out_at;
	uint32_t seqnum; /* of the last command */
	struct usbip_iso iso[8];
};

/* --- What the session calls ------------------------------------------------ */

static void user_send(struct session *s, const void *head, size_t head_len,
		      struct buf *buf, uint32_t off, uint32_t len)
{
	struct client *c = s->context;

	assert_int_equal(c->closed, 0);
	assert_true(head_len <= OUTQ_HEAD);
	assert_true(c->out_len + head_len + len <= sizeof(c->out));
	if (head_len)
		memcpy(c->out + c->out_len, head, head_len);
	c->out_len += head_len;
	if (len)
		memcpy(c->out + c->out_len, buf->data + off, len);
	c->out_len += len;
	buf_put(buf);
}

static bool user_full(struct session *s)
{
	(void)s;
	return false;
}

static void user_failed(struct session *s)
{
	((struct client *)s->context)->failed++;
}

static void user_detached(struct session *s)
{
	((struct client *)s->context)->detached++;
}

static void user_closed(struct session *s)
{
	((struct client *)s->context)->closed++;
}

static const struct session_user user = {
	.send = user_send,
	.full = user_full,
	.failed = user_failed,
	.detached = user_detached,
	.closed = user_closed,
};

/* --- Bytes in and out ------------------------------------------------------- */

static void turns(struct client *c)
{
	for (int i = 0; i < 5; i++) {
		loop_hurry(c->loop);
		assert_int_equal(loop_turn(c->loop), 0);
	}
}

static void feed(struct client *c, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t room, n;
		bool exact;
		void *space = session_space(c->session, &room, &exact);

		assert_true(room > 0);
		n = MIN(room, len);
		if (c->chunk)
			n = MIN(n, c->chunk);
		memcpy(space, p, n);
		session_filled(c->session, n);
		p += n;
		len -= n;
	}
}

static const uint8_t *take(struct client *c, size_t n)
{
	const uint8_t *p = c->out + c->out_at;

	assert_true(c->out_len - c->out_at >= n);
	c->out_at += n;
	return p;
}

static void expect_nothing(struct client *c)
{
	assert_int_equal(c->out_at, c->out_len);
}

static void ask(struct client *c, uint16_t code, const char *busid)
{
	uint8_t bytes[USBIP_OP_SIZE + USBIP_BUSID_SIZE];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));

	usbip_encode_op(&w, code, 0);
	if (busid)
		usbip_encode_busid(&w, busid);
	feed(c, bytes, w.len);
}

static void expect_op(struct client *c, uint16_t code, uint32_t status)
{
	struct usbip_op op;

	assert_int_equal(usbip_decode_op(span_of(take(c, 8), 8), &op), 0);
	assert_int_equal(op.code, code);
	assert_int_equal(op.status, status);
}

static struct usbip_device expect_device(struct client *c)
{
	struct usbip_device device;

	assert_int_equal(usbip_decode_device(span_of(take(c, USBIP_DEVICE_SIZE),
						     USBIP_DEVICE_SIZE),
					     &device),
			 0);
	return device;
}

static uint32_t tell(struct client *c, struct usbip_msg *msg)
{
	uint8_t head[USBIP_HEADER_SIZE];

	msg->seqnum = ++c->seqnum;
	usbip_encode(msg, head);
	feed(c, head, sizeof(head));
	return c->seqnum;
}

static uint32_t submit(struct client *c, uint8_t ep, uint32_t len,
		       const void *data)
{
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = ep,
				 .submit.length = len };
	uint32_t seqnum = tell(c, &msg);

	if (data)
		feed(c, data, len);
	return seqnum;
}

static uint32_t control(struct client *c, const uint8_t setup[8], uint32_t len)
{
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = setup[0] & 0x80,
				 .submit.length = len };

	memcpy(msg.submit.setup, setup, 8);
	return tell(c, &msg);
}

static uint32_t unlink_urb(struct client *c, uint32_t seqnum)
{
	struct usbip_msg msg = { .command = USBIP_CMD_UNLINK,
				 .unlink_seqnum = seqnum };

	return tell(c, &msg);
}

static struct usbip_msg expect(struct client *c, uint32_t command,
			       uint32_t seqnum)
{
	struct usbip_msg msg;

	assert_int_equal(usbip_decode(span_of(take(c, 48), 48), &msg), 0);
	assert_int_equal(msg.command, command);
	assert_int_equal(msg.seqnum, seqnum);
	return msg;
}

/* A RET_SUBMIT without data behind it. */
static void expect_ret(struct client *c, uint32_t seqnum, int status,
		       uint32_t actual)
{
	struct usbip_msg msg = expect(c, USBIP_RET_SUBMIT, seqnum);

	assert_int_equal(msg.ret_submit.status, status);
	assert_int_equal(msg.ret_submit.actual, actual);
}

static void expect_unlinked(struct client *c, uint32_t seqnum, int status)
{
	assert_int_equal(expect(c, USBIP_RET_UNLINK, seqnum).unlink_status,
			 status);
}

/* --- Setting up, tearing down ------------------------------------------------ */

static void begin(struct client *c)
{
	memset(c, 0, sizeof(*c));
	assert_int_equal(loop_create(&c->loop), 0);
	bufpool_init(&c->pool);
	registry_init(&c->registry);
	c->fake = fake_device_new(c->loop, &c->pool);
	c->fake->hold_urbs = true;
	registry_add(&c->registry, &c->fake->device);
	assert_int_equal(usbip_session_create(c->loop, &c->pool, &c->registry,
					      "test", &c->session),
			 0);
	c->session->user = &user;
	c->session->context = c;
	session_start(c->session);
}

static void import(struct client *c)
{
	struct usbip_device device;

	ask(c, USBIP_REQ_IMPORT, "ryll-1-1");
	expect_op(c, USBIP_REP_IMPORT, USBIP_OK);
	device = expect_device(c);
	assert_string_equal(device.busid, "ryll-1-1");
	assert_int_equal(device.busnum, 1);
	assert_int_equal(device.devnum, 1);
	assert_int_equal(device.speed, USBIP_SPEED_SUPER);
	assert_int_equal(device.vendor, 0x1234);
	expect_nothing(c);
}

static void end(struct client *c)
{
	session_close(c->session);
	if (c->fake->device.state == USB_DEVICE_CLOSING)
		fake_end(c->fake);
	assert_int_equal(c->closed, 1);
	c->session->ops->destroy(c->session);
	assert_int_equal(c->pool.lent, 0);
	registry_fini(&c->registry);
	bufpool_fini(&c->pool);
	loop_destroy(c->loop);
}

static struct client c; /* large */

/* --- Requests ---------------------------------------------------------------- */

static void test_list(void **state)
{
	struct usbip_device device;

	(void)state;
	begin(&c);
	/* A device that cannot say what it would be is left out. */
	ask(&c, USBIP_REQ_DEVLIST, NULL);
	expect_op(&c, USBIP_REP_DEVLIST, USBIP_OK);
	assert_memory_equal(take(&c, 4), "\0\0\0\0", 4);
	expect_nothing(&c);
	/* One connection may ask for it all; attached, it is described. */
	import(&c);
	session_detach(c.session);
	assert_int_equal(c.detached, 1);
	end(&c);

	begin(&c);
	c.fake->speed = USB_SPEED_HIGH;
	c.fake->device.state = USB_DEVICE_OPEN; /* by somebody else */
	fake_fill_info(c.fake);
	ask(&c, USBIP_REQ_DEVLIST, NULL);
	expect_op(&c, USBIP_REP_DEVLIST, USBIP_OK);
	assert_memory_equal(take(&c, 4), "\0\0\0\1", 4);
	device = expect_device(&c);
	assert_string_equal(device.path, "fake device");
	assert_string_equal(device.busid, "ryll-1-1");
	assert_int_equal(device.speed, USBIP_SPEED_HIGH);
	assert_int_equal(device.n_interfaces, 2);
	assert_memory_equal(take(&c, 8), "\xff\x11\x22\0\1\2\0\0", 8);
	expect_nothing(&c);
	c.fake->device.state = USB_DEVICE_FREE;
	end(&c);
}

static void test_import_refused(void **state)
{
	(void)state;
	begin(&c);
	ask(&c, USBIP_REQ_IMPORT, "1-1");
	expect_op(&c, USBIP_REP_IMPORT, USBIP_NO_DEVICE);
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-2");
	expect_op(&c, USBIP_REP_IMPORT, USBIP_NO_DEVICE);
	c.fake->device.state = USB_DEVICE_OPEN;
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-1");
	expect_op(&c, USBIP_REP_IMPORT, USBIP_BUSY);
	c.fake->device.state = USB_DEVICE_FREE;
	c.fake->open_status = -EBUSY;
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-1");
	expect_op(&c, USBIP_REP_IMPORT, USBIP_BROKEN);
	/* One that could not be opened is absent. */
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-1");
	expect_op(&c, USBIP_REP_IMPORT, USBIP_NO_DEVICE);
	c.fake->open_status = 0;
	usb_set_absent(&c.fake->device, false);
	import(&c);
	assert_int_equal(c.failed, 0);
	end(&c);
}

static void refused(const void *bytes, size_t len)
{
	begin(&c);
	feed(&c, bytes, len);
	assert_int_equal(c.failed, 1);
	expect_nothing(&c);
	end(&c);
}

static void test_no_usbip(void **state)
{
	uint8_t import_request[40] = { 1, 0x11, 0x80, 3 };

	(void)state;
	refused("GET / HTTP/1.1\r\n", 8);
	refused("\x01\x06\x80\x05\0\0\0\0", 8); /* another version */
	refused("\x01\x11\x80\x01\0\0\0\0", 8); /* another request */
	refused("\x01\x11\x00\x05\0\0\0\0", 8); /* a server's */
	refused(import_request, 40);		/* of no bus id */
	memset(import_request + 8, 'a', 32);
	refused(import_request, 40);
}

/* Who does not wait for the answer gets none. */
static void test_impatient(void **state)
{
	(void)state;
	begin(&c);
	c.fake->hold_open = true;
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-1");
	expect_nothing(&c);
	assert_int_equal(c.failed, 0);
	ask(&c, USBIP_REQ_DEVLIST, NULL);
	assert_int_equal(c.failed, 1);
	session_close(c.session);
	assert_int_equal(c.closed, 0);
	usb_opened(&c.fake->device, 0);
	end(&c);
}

/* Nor does one that asks for another device while we part. */
static void test_asks_while_detaching(void **state)
{
	struct fake_device *other;

	(void)state;
	begin(&c);
	other = fake_device_new(c.loop, &c.pool);
	registry_add(&c.registry, &other->device);
	c.fake->hold_open = true;
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-1");
	session_detach(c.session);
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-2");
	assert_int_equal(c.failed, 1);
	assert_int_equal(other->device.state, USB_DEVICE_FREE);
	usb_opened(&c.fake->device, 0);
	end(&c);
}

/* A client has so much time to ask, after a refusal as well. */
static void test_silent(void **state)
{
	(void)state;
	begin(&c);
	assert_true(timer_running(
		&container_of(c.session, struct usbip_session, base)->request));
	c.fake->open_status = -EBUSY;
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-1");
	assert_true(timer_running(
		&container_of(c.session, struct usbip_session, base)->request));
	c.fake->open_status = 0;
	usb_set_absent(&c.fake->device, false);
	c.out_at = c.out_len;
	import(&c);
	assert_false(timer_running(
		&container_of(c.session, struct usbip_session, base)->request));
	end(&c);
}

static void test_close_while_opening(void **state)
{
	(void)state;
	begin(&c);
	c.fake->hold_open = true;
	ask(&c, USBIP_REQ_IMPORT, "ryll-1-1");
	session_close(c.session);
	usb_opened(&c.fake->device, -ENODEV);
	assert_int_equal(c.closed, 1);
	expect_nothing(&c);
	end(&c);
}

/* --- Transfers ----------------------------------------------------------------- */

static void test_bulk(void **state)
{
	static uint8_t data[100000];
	static const size_t chunks[] = { 0, 1, 47, 4096 };
	struct urb *urb;
	uint32_t in, out;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7);
	for (size_t i = 0; i < ARRAY_SIZE(chunks); i++) {
		begin(&c);
		c.chunk = chunks[i];
		import(&c);
		out = submit(&c, FAKE_OUT, sizeof(data), data);
		in = submit(&c, FAKE_IN, 1000, NULL);
		expect_nothing(&c);
		urb = fake_first(c.fake);
		assert_int_equal(urb->ep, FAKE_OUT);
		assert_int_equal(urb->type, USB_BULK);
		assert_int_equal(urb->len, sizeof(data));
		assert_memory_equal(urb->buf->data + urb->off, data,
				    sizeof(data));
		fake_complete(c.fake, urb, 0, sizeof(data));
		expect_ret(&c, out, 0, sizeof(data));
		fake_complete(c.fake, fake_first(c.fake), 0, 300);
		expect_ret(&c, in, 0, 300);
		assert_int_equal(take(&c, 300)[299], (uint8_t)299);
		expect_nothing(&c);
		end(&c);
	}
}

static void test_errors(void **state)
{
	static const struct {
		int status, wire;
	} errors[] = { { -EPIPE, -EPIPE },
		       { -EIO, -EPROTO },
		       { -EOVERFLOW, -EOVERFLOW },
		       { -ETIMEDOUT, -ETIMEDOUT },
		       { -ESHUTDOWN, -ESHUTDOWN } };
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		n = submit(&c, FAKE_IN, 100, NULL);
		fake_complete(c.fake, fake_first(c.fake), errors[i].status, 0);
		expect_ret(&c, n, errors[i].wire, 0);
	}
	c.fake->submit_error = -ENOMEM;
	n = submit(&c, FAKE_OUT, 3, "abc");
	expect_ret(&c, n, -ENOMEM, 0);
	c.fake->submit_error = 0;
	/* No such endpoint, and one of the other direction */
	n = submit(&c, 0x0f, 3, "abc");
	expect_ret(&c, n, -EINVAL, 0);
	n = submit(&c, 0x82, 3, NULL);
	expect_ret(&c, n, -EINVAL, 0);
	expect_nothing(&c);
	assert_int_equal(c.failed, 0);
	end(&c);
}

static void test_flags(void **state)
{
	struct usbip_msg msg = {
		.command = USBIP_CMD_SUBMIT,
		.ep = FAKE_IN,
		.submit = { .flags = USBIP_FLAG_SHORT_NOT_OK | 0xffff0000,
			    .length = 100 },
	};
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	n = tell(&c, &msg);
	fake_complete(c.fake, fake_first(c.fake), 0, 99);
	expect_ret(&c, n, -EREMOTEIO, 99);
	take(&c, 99);
	n = tell(&c, &msg);
	fake_complete(c.fake, fake_first(c.fake), 0, 100);
	expect_ret(&c, n, 0, 100);
	take(&c, 100);
	msg.ep = FAKE_OUT;
	msg.submit.flags = USBIP_FLAG_ZERO_PACKET;
	tell(&c, &msg);
	feed(&c, c.out, 100);
	assert_true(fake_first(c.fake)->zero_packet);
	msg.submit.flags = 0;
	fake_complete(c.fake, fake_first(c.fake), 0, 100);
	tell(&c, &msg);
	feed(&c, c.out, 100);
	assert_false(fake_first(c.fake)->zero_packet);
	end(&c);
}

static void test_control(void **state)
{
	static const uint8_t get[8] = { 0x80, 6, 0, 1, 0, 0, 18, 0 };
	static const uint8_t set_config[8] = { 0, 9, 3 };
	static const uint8_t set_alt[8] = { 1, 11, 2, 0, 1 };
	static const uint8_t clear[8] = { 2, 1, 0, 0, 0x81 };
	static const uint8_t reset[8] = { 0x23, 3, 4, 0, 1 };
	struct urb *urb;
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	n = control(&c, get, 18);
	urb = fake_first(c.fake);
	assert_int_equal(urb->type, USB_CONTROL);
	assert_int_equal(urb->ep, 0x80);
	assert_int_equal(urb->setup.request, 6);
	assert_int_equal(urb->setup.value, 0x100);
	assert_int_equal(urb->len, 18);
	fake_complete(c.fake, urb, 0, 18);
	expect_ret(&c, n, 0, 18);
	take(&c, 18);
	/* The room is what wLength says, or more. */
	n = control(&c, get, 17);
	expect_ret(&c, n, -EINVAL, 0);
	n = control(&c, get, 4096);
	assert_int_equal(fake_first(c.fake)->len, 18);
	fake_complete(c.fake, fake_first(c.fake), -EPIPE, 0);
	expect_ret(&c, n, -EPIPE, 0);
	/* Requests that change the device are no transfers to the hub. */
	n = control(&c, set_config, 0);
	expect_ret(&c, n, 0, 0);
	assert_int_equal(c.fake->configuration, 3);
	n = control(&c, set_alt, 0);
	expect_ret(&c, n, 0, 0);
	n = control(&c, clear, 0);
	expect_ret(&c, n, 0, 0);
	assert_int_equal(c.fake->halts_cleared, 1);
	n = control(&c, reset, 0);
	expect_ret(&c, n, 0, 0);
	assert_int_equal(c.fake->resets, 1);
	c.fake->admin_status = -EPIPE;
	n = control(&c, set_alt, 0);
	expect_ret(&c, n, -EPIPE, 0);
	assert_null(fake_first(c.fake));
	expect_nothing(&c);
	end(&c);
}

/* --- Isochronous ------------------------------------------------------------------ */

static uint32_t submit_iso(struct client *cl, uint8_t ep, uint32_t len,
			   const void *data, unsigned int packets)
{
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = ep,
				 .submit = { .length = len,
					     .packets = packets } };
	uint32_t n = tell(cl, &msg);
	uint8_t bytes[ARRAY_SIZE(cl->iso) * USBIP_ISO_SIZE];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));

	if (data)
		feed(cl, data, len);
	for (unsigned int i = 0; i < packets && i < ARRAY_SIZE(cl->iso); i++)
		usbip_encode_iso(&w, &cl->iso[i]);
	feed(cl, bytes, w.len);
	return n;
}

static void test_iso_in(void **state)
{
	struct usbip_iso iso;
	struct usbip_msg msg;
	struct span span;
	struct urb *urb;
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	/* The second begins later than it must: a driver's own layout */
	c.iso[0] = (struct usbip_iso){ 0, 100, 0, 0 };
	c.iso[1] = (struct usbip_iso){ 128, 100, 0, 0 };
	c.iso[2] = (struct usbip_iso){ 256, 50, 0, 0 };
	n = submit_iso(&c, FAKE_ISO_IN, 400, NULL, 3);
	urb = fake_first(c.fake);
	assert_int_equal(urb->type, USB_ISO);
	assert_int_equal(urb->n_packets, 3);
	assert_int_equal(urb->len, 250);
	assert_int_equal(urb->packets[2].len, 50);
	urb->packets[0].actual = 100;
	urb->packets[1].status = -EIO;
	urb->packets[2].actual = 7;
	fake_complete(c.fake, urb, 0, 107);
	msg = expect(&c, USBIP_RET_SUBMIT, n);
	assert_int_equal(msg.ret_submit.status, 0);
	assert_int_equal(msg.ret_submit.actual, 107);
	assert_int_equal(msg.ret_submit.packets, 3);
	assert_int_equal(msg.ret_submit.errors, 1);
	assert_int_equal(take(&c, 100)[99], 99);
	assert_int_equal(take(&c, 7)[0], 200);
	span = span_of(take(&c, 48), 48);
	usbip_decode_iso(&span, &iso);
	assert_int_equal(iso.actual, 100);
	usbip_decode_iso(&span, &iso);
	assert_int_equal(iso.offset, 128);
	assert_int_equal(iso.length, 100);
	assert_int_equal(iso.actual, 0);
	assert_int_equal(iso.status, -EPROTO);
	usbip_decode_iso(&span, &iso);
	assert_int_equal(iso.offset, 256);
	assert_int_equal(iso.actual, 7);
	expect_nothing(&c);
	end(&c);
}

static void test_iso_out(void **state)
{
	uint8_t data[300];
	struct usbip_msg msg;
	struct urb *urb;
	uint32_t n;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)i;
	begin(&c);
	import(&c);
	c.iso[0] = (struct usbip_iso){ 0, 10, 0, 0 };
	c.iso[1] = (struct usbip_iso){ 100, 20, 0, 0 };
	c.iso[2] = (struct usbip_iso){ 200, 0, 0, 0 };
	n = submit_iso(&c, FAKE_ISO_OUT, 300, data, 3);
	urb = fake_first(c.fake);
	assert_int_equal(urb->len, 30);
	assert_memory_equal(urb->buf->data + urb->off, data, 10);
	assert_memory_equal(urb->buf->data + urb->off + 10, data + 100, 20);
	fake_complete(c.fake, urb, 0, 30);
	msg = expect(&c, USBIP_RET_SUBMIT, n);
	assert_int_equal(msg.ret_submit.actual, 30);
	assert_int_equal(msg.ret_submit.errors, 0);
	take(&c, 48);
	expect_nothing(&c);
	end(&c);
}

/* The kernel's client ends the session if the packets' lengths do not add up. */
static void test_iso_out_fails(void **state)
{
	static const uint8_t data[100];
	struct usbip_msg msg;
	struct usbip_iso iso;
	struct span span;
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	for (int whole = 0; whole < 2; whole++) {
		struct urb *urb;

		c.iso[0] = (struct usbip_iso){ 0, 60, 0, 0 };
		c.iso[1] = (struct usbip_iso){ 60, 40, 0, 0 };
		n = submit_iso(&c, FAKE_ISO_OUT, 100, data, 2);
		urb = fake_first(c.fake);
		urb->packets[1].status = -EPROTO;
		fake_complete(c.fake, urb, whole ? -EIO : 0, 0);
		msg = expect(&c, USBIP_RET_SUBMIT, n);
		assert_int_equal(msg.ret_submit.actual, whole ? 0 : 60);
		assert_int_equal(msg.ret_submit.errors, whole ? 2 : 1);
		span = span_of(take(&c, 32), 32);
		usbip_decode_iso(&span, &iso);
		assert_int_equal(iso.actual, whole ? 0 : 60);
		usbip_decode_iso(&span, &iso);
		assert_int_equal(iso.actual, 0);
		expect_nothing(&c);
	}
	end(&c);
}

/* The device goes, and the client does not know yet. */
static void test_iso_when_it_has_gone(void **state)
{
	static const uint8_t data[100];
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	c.fake->hold_close = true;
	usb_leave(&c.fake->device);
	c.iso[0] = (struct usbip_iso){ 0, 100, 0, 0 };
	n = submit_iso(&c, FAKE_ISO_OUT, 100, data, 1);
	expect_ret(&c, n, -EINVAL, 0);
	n = submit_iso(&c, FAKE_ISO_IN, 100, NULL, 1);
	expect_ret(&c, n, -EINVAL, 0);
	expect_nothing(&c);
	assert_int_equal(c.failed, 0);
	fake_end(c.fake);
	end(&c);
}

static void test_iso_malformed(void **state)
{
	static const struct usbip_iso bad[] = {
		{ 0, 101, 0, 0 },	 { 101, 0, 0, 0 },
		{ 50, 51, 0, 0 },	 { UINT32_MAX, 2, 0, 0 },
		{ 2, UINT32_MAX, 0, 0 },
	};
	uint8_t data[100] = { 0 };
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		c.iso[0] = bad[i];
		n = submit_iso(&c, FAKE_ISO_IN, 100, NULL, 1);
		expect_ret(&c, n, -EINVAL, 0);
		n = submit_iso(&c, FAKE_ISO_OUT, 100, data, 1);
		expect_ret(&c, n, -EINVAL, 0);
	}
	/* One behind the other, or they would be sent twice */
	c.iso[0] = (struct usbip_iso){ 50, 50, 0, 0 };
	c.iso[1] = (struct usbip_iso){ 0, 50, 0, 0 };
	n = submit_iso(&c, FAKE_ISO_OUT, 100, data, 2);
	expect_ret(&c, n, -EINVAL, 0);
	/* None */
	n = submit_iso(&c, FAKE_ISO_IN, 100, NULL, 0);
	expect_ret(&c, n, -EINVAL, 0);
	assert_null(fake_first(c.fake));
	/* So many that it cannot be meant */
	assert_int_equal(c.failed, 0);
	submit_iso(&c, FAKE_ISO_IN, 100, NULL, USBIP_MAX_PACKETS + 1);
	assert_int_equal(c.failed, 1);
	end(&c);
}

/* What is too much for one URB of ours, but not for usbip, is refused. */
static void test_iso_many(void **state)
{
	static uint8_t descriptors[USBIP_MAX_PACKETS * USBIP_ISO_SIZE];
	struct usbip_msg msg = {
		.command = USBIP_CMD_SUBMIT,
		.ep = FAKE_ISO_IN,
		.submit = { .packets = USBIP_MAX_PACKETS },
	};
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	n = tell(&c, &msg);
	feed(&c, descriptors, sizeof(descriptors));
	expect_ret(&c, n, -EINVAL, 0);
	/* And what follows is understood. */
	n = submit(&c, FAKE_IN, 1, NULL);
	fake_complete(c.fake, fake_first(c.fake), -EPIPE, 0);
	expect_ret(&c, n, -EPIPE, 0);
	assert_int_equal(c.failed, 0);
	end(&c);
}

/* --- Unlink -------------------------------------------------------------------------- */

static void test_unlink(void **state)
{
	uint32_t n, u;

	(void)state;
	begin(&c);
	import(&c);
	/* It is unlinked: one answer, to the UNLINK */
	n = submit(&c, FAKE_IN, 100, NULL);
	u = unlink_urb(&c, n);
	expect_unlinked(&c, u, -ECONNRESET);
	expect_nothing(&c);
	/* The same, when the device takes its time; nobody asks twice */
	c.fake->hold_cancel = true;
	n = submit(&c, FAKE_IN, 100, NULL);
	u = unlink_urb(&c, n);
	expect_nothing(&c);
	expect_unlinked(&c, (unlink_urb(&c, n), c.seqnum), 0);
	fake_complete(c.fake, fake_first(c.fake), -ECANCELED, 0);
	expect_unlinked(&c, u, -ECONNRESET);
	expect_nothing(&c);
	/* It is done before: its answer, with its data, and then the UNLINK's */
	n = submit(&c, FAKE_IN, 100, NULL);
	u = unlink_urb(&c, n);
	fake_complete(c.fake, fake_first(c.fake), 0, 100);
	expect_ret(&c, n, 0, 100);
	take(&c, 100);
	expect_unlinked(&c, u, 0);
	/* It was answered already, or there has never been such a one. */
	u = unlink_urb(&c, n);
	expect_unlinked(&c, u, 0);
	u = unlink_urb(&c, 4711);
	expect_unlinked(&c, u, 0);
	expect_nothing(&c);
	end(&c);
}

static void test_unlink_admin(void **state)
{
	static const uint8_t set_alt[8] = { 1, 11, 2, 0, 1 };
	uint32_t n, u;

	(void)state;
	begin(&c);
	import(&c);
	c.fake->hold_admin = true;
	n = control(&c, set_alt, 0);
	u = unlink_urb(&c, n);
	expect_unlinked(&c, u, -ECONNRESET);
	usb_admin_complete(c.fake->admin, 0);
	expect_nothing(&c);
	end(&c);
}

/* --- Bounds, ends ---------------------------------------------------------------------- */

static void test_lengths(void **state)
{
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT, .ep = FAKE_OUT };
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	/* As much as may be in flight, and the next one is refused. */
	for (int i = 0; i < 2; i++)
		submit(&c, FAKE_IN, 80u << 20, NULL);
	n = submit(&c, FAKE_OUT, 5, "abcde");
	expect_ret(&c, n, -ENOMEM, 0);
	assert_int_equal(c.failed, 0);
	msg.submit.length = USB_MAX_URB_BYTES + 1;
	tell(&c, &msg);
	assert_int_equal(c.failed, 1);
	end(&c);

	begin(&c);
	import(&c);
	feed(&c,
	     "\0\0\0\3\0\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
	     "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
	     48); /* a server's */
	assert_int_equal(c.failed, 1);
	end(&c);
}

static void test_many_urbs(void **state)
{
	uint32_t first = 0, n = 0;

	(void)state;
	begin(&c);
	import(&c);
	for (unsigned int i = 0; i < USB_MAX_INFLIGHT_URBS; i++) {
		n = submit(&c, FAKE_IN, 1, NULL);
		first = first ? first : n;
	}
	expect_nothing(&c);
	n = submit(&c, FAKE_IN, 1, NULL);
	expect_ret(&c, n, -ENOMEM, 0);
	fake_complete_all(c.fake, 0);
	for (unsigned int i = 0; i < USB_MAX_INFLIGHT_URBS; i++) {
		expect_ret(&c, first + i, 0, 1);
		take(&c, 1);
	}
	end(&c);
}

/* Data that is large is handed on while it comes. */
static void test_early(void **state)
{
	static uint8_t data[1 << 20];
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = FAKE_OUT,
				 .submit.length = sizeof(data) };
	struct urb *urb;
	uint32_t n;

	(void)state;
	begin(&c);
	import(&c);
	n = tell(&c, &msg);
	urb = fake_first(c.fake);
	assert_non_null(urb);
	assert_true(urb->early);
	feed(&c, data, sizeof(data) / 2);
	assert_int_equal(c.fake->arrived, sizeof(data) / 2);
	feed(&c, data, sizeof(data) / 2);
	assert_int_equal(c.fake->arrived, sizeof(data));
	fake_complete(c.fake, urb, 0, sizeof(data));
	expect_ret(&c, n, 0, sizeof(data));
	/* One that fails meanwhile has the rest of its data dropped. */
	n = tell(&c, &msg);
	fake_complete(c.fake, fake_first(c.fake), -EIO, 0);
	expect_ret(&c, n, -EPROTO, 0);
	feed(&c, data, sizeof(data));
	n = submit(&c, FAKE_IN, 1, NULL);
	fake_complete(c.fake, fake_first(c.fake), 0, 1);
	expect_ret(&c, n, 0, 1);
	end(&c);
}

/* Unplugged: the client hears of it by the end of the connection. */
static void test_leave(void **state)
{
	(void)state;
	begin(&c);
	import(&c);
	submit(&c, FAKE_IN, 100, NULL);
	usb_leave(&c.fake->device);
	assert_int_equal(c.failed, 1);
	assert_int_equal(c.fake->device.state, USB_DEVICE_FREE);
	end(&c);
}

static void test_detach(void **state)
{
	(void)state;
	begin(&c);
	import(&c);
	c.fake->hold_close = true;
	submit(&c, FAKE_IN, 100, NULL);
	session_detach(c.session);
	assert_int_equal(c.detached, 0);
	fake_end(c.fake);
	assert_int_equal(c.detached, 1);
	assert_int_equal(c.failed, 0);
	end(&c);
}

static void test_close_busy(void **state)
{
	(void)state;
	begin(&c);
	import(&c);
	c.fake->hold_close = c.fake->hold_cancel = c.fake->hold_admin = true;
	submit(&c, FAKE_IN, 100, NULL);
	control(&c, (const uint8_t[8]){ 1, 11, 2, 0, 1 }, 0);
	c.out_at = c.out_len;
	session_close(c.session);
	assert_int_equal(c.closed, 0);
	fake_end(c.fake);
	expect_nothing(&c);
	end(&c);
}

/* Given the device, as this machine's kernel is. */
static int opened_status = 1;
static int opened_answer;

static int opened(struct usbip_session *s, int status)
{
	assert_ptr_equal(s->owner, &c);
	opened_status = status;
	return opened_answer;
}

static void begin_for(int open_status, int answer)
{
	begin(&c);
	end(&c);
	memset(&c, 0, sizeof(c));
	assert_int_equal(loop_create(&c.loop), 0);
	bufpool_init(&c.pool);
	registry_init(&c.registry);
	c.fake = fake_device_new(c.loop, &c.pool);
	c.fake->hold_urbs = true;
	c.fake->open_status = open_status;
	registry_add(&c.registry, &c.fake->device);
	opened_status = 1;
	opened_answer = answer;
	assert_int_equal(usbip_session_create_for(c.loop, &c.pool, &c.registry,
						  &c.fake->device, "kernel",
						  opened, &c, &c.session),
			 0);
	c.session->user = &user;
	c.session->context = &c;
	session_start(c.session);
	assert_int_equal(opened_status, open_status);
}

static void test_given(void **state)
{
	uint32_t n;

	(void)state;
	begin_for(0, 0);
	expect_nothing(&c);
	n = submit(&c, FAKE_IN, 1, NULL);
	fake_complete(c.fake, fake_first(c.fake), 0, 1);
	expect_ret(&c, n, 0, 1);
	end(&c);
	begin_for(-EBUSY, 0);
	assert_int_equal(c.failed, 1);
	end(&c);
	begin_for(0, -ENODEV);
	assert_int_equal(c.failed, 1);
	end(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_import_refused),
		cmocka_unit_test(test_no_usbip),
		cmocka_unit_test(test_impatient),
		cmocka_unit_test(test_asks_while_detaching),
		cmocka_unit_test(test_silent),
		cmocka_unit_test(test_close_while_opening),
		cmocka_unit_test(test_bulk),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_control),
		cmocka_unit_test(test_iso_in),
		cmocka_unit_test(test_iso_out),
		cmocka_unit_test(test_iso_out_fails),
		cmocka_unit_test(test_iso_when_it_has_gone),
		cmocka_unit_test(test_iso_malformed),
		cmocka_unit_test(test_iso_many),
		cmocka_unit_test(test_unlink),
		cmocka_unit_test(test_unlink_admin),
		cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_many_urbs),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_leave),
		cmocka_unit_test(test_detach),
		cmocka_unit_test(test_close_busy),
		cmocka_unit_test(test_given),
	};

	(void)turns;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
