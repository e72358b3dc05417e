// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A device that somebody else has, by usbredir and by usbip: the test is the
 * host, and the guest here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/fake-transport.h"
#include "../lib/remote-host.h"
#include "backend/remote.h"

#define CAPS (USBREDIR_CAPS_ALL & ~USBREDIR_CAP_BULK_RECEIVING)

struct guest_urb {
	struct urb urb;
	struct usb_iso_packet packets[8];
	unsigned int completions;
	uint8_t data[4096]; /* IN: what came */
};

struct bench {
	struct loop *loop;
	struct bufpool pool;
	struct usb_device *device;
	struct usb_listener listener;
	unsigned int opened, leaving, gone, stopped; /* calls */
	struct fake_transport wire;
	size_t at;   /* of wire.out: read so far */
	int refusal; /* of the next open; 0: none */
	bool stuck;  /* the host does not take what is sent */
	unsigned int admins;
	int admin_status;
	uint32_t admin_streams;
};

/* --- The guest ------------------------------------------------------------------ */

static struct bench *bench_of(struct usb_listener *listener)
{
	return container_of(listener, struct bench, listener);
}

static void opened(struct usb_listener *listener, int status)
{
	assert_int_equal(status, bench_of(listener)->refusal);
	bench_of(listener)->opened++;
}

static void leaving(struct usb_listener *listener)
{
	bench_of(listener)->leaving++;
	usb_close(bench_of(listener)->device);
}

static void gone(struct usb_listener *listener)
{
	bench_of(listener)->gone++;
}

static const struct usb_listener_ops listener_ops = { opened, leaving, gone };

static void urb_complete(struct urb *urb)
{
	struct guest_urb *g = container_of(urb, struct guest_urb, urb);

	g->completions++;
	if ((urb->ep & USB_DIR_IN) && urb->buf)
		memcpy(g->data, urb->buf->data + urb->off,
		       MIN(urb->type == USB_ISO ? urb->len : urb->actual,
			   sizeof(g->data)));
	buf_put(urb->buf);
	urb->buf = NULL;
}

static void fill(struct guest_urb *g, uint8_t ep, uint8_t type, uint32_t len)
{
	memset(g, 0, sizeof(*g));
	g->urb.ep = ep;
	g->urb.type = type;
	g->urb.len = len;
	g->urb.complete = urb_complete;
}

static void submit(struct bench *b, struct guest_urb *g, uint8_t ep,
		   uint8_t type, uint32_t len)
{
	fill(g, ep, type, len);
	if (type == USB_CONTROL)
		g->urb.setup = (struct usb_setup){ ep & 0x80, 6, 0x0302, 0x0409,
						   (uint16_t)len };
	if (!(ep & USB_DIR_IN) && len) {
		g->urb.buf = bufpool_get(&b->pool, len);
		for (uint32_t i = 0; i < len; i++)
			g->urb.buf->data[i] = (uint8_t)i;
	}
	assert_int_equal(usb_submit(b->device, &g->urb), 0);
}

static void submit_iso(struct bench *b, struct guest_urb *g, uint8_t ep,
		       unsigned int n, uint32_t len)
{
	fill(g, ep, USB_ISO, n * len);
	g->urb.packets = g->packets;
	g->urb.n_packets = (uint16_t)n;
	for (unsigned int i = 0; i < n; i++)
		g->packets[i].len = len;
	if (!(ep & USB_DIR_IN)) {
		g->urb.buf = bufpool_get(&b->pool, n * len);
		for (uint32_t i = 0; i < n * len; i++)
			g->urb.buf->data[i] = (uint8_t)i;
	}
	assert_int_equal(usb_submit(b->device, &g->urb), 0);
}

static void ended(const struct guest_urb *g, int status, uint32_t actual)
{
	assert_int_equal(g->completions, 1);
	assert_int_equal(g->urb.status, status);
	assert_int_equal(g->urb.actual, actual);
}

static void admin_complete(struct usb_admin *admin)
{
	struct bench *b = bench_of(admin->device->listener);

	b->admins++;
	b->admin_status = admin->status;
	b->admin_streams = admin->streams;
}

static void start_admin(struct bench *b, struct usb_admin *admin)
{
	admin->complete = admin_complete;
	b->admins = 0;
	usb_admin(b->device, admin);
}

/* --- The host ---------------------------------------------------------------------- */

static void turns(struct bench *b)
{
	for (int i = 0; i < 6; i++) {
		loop_hurry(b->loop);
		assert_int_equal(loop_turn(b->loop), 0);
		while (b->wire.sending && !b->stuck)
			fake_transport_sent(&b->wire, SIZE_MAX);
	}
}

static const uint8_t *take(struct bench *b, size_t n)
{
	const uint8_t *p;

	turns(b);
	assert_true(b->wire.out_len - b->at >= n);
	p = b->wire.out + b->at;
	b->at += n;
	return p;
}

static void expect_nothing(struct bench *b)
{
	turns(b);
	assert_int_equal(b->at, b->wire.out_len);
}

static void say(struct bench *b, const void *data, size_t len)
{
	assert_true(fake_transport_arrive(&b->wire, data, len));
	turns(b);
}

static void begin(struct bench *b, bool usbip)
{
	struct remote_spec spec = { .busid = "" };

	*b = (struct bench){ 0 };
	if (usbip)
		strcpy(spec.busid, "1-1");
	assert_int_equal(loop_create(&b->loop), 0);
	bufpool_init(&b->pool);
	b->listener.ops = &listener_ops;
	assert_int_equal(
		remote_create(b->loop, &b->pool, NULL, &spec, NULL, &b->device),
		0);
	assert_true(b->device->absent);
	fake_transport_init(&b->wire, b->loop);
	remote_adopt(b->device, &b->wire.transport);
}

static void stopped(void *arg)
{
	((struct bench *)arg)->stopped++;
}

static void end(struct bench *b)
{
	usb_close(b->device);
	assert_int_equal(b->device->state, USB_DEVICE_FREE);
	assert_int_equal(b->gone, b->opened);
	remote_stop(b->device, stopped, b);
	turns(b);
	while (b->stuck && !b->wire.closing)
		assert_int_equal(loop_turn(b->loop), 0);
	if (b->wire.closing)
		fake_transport_closed(&b->wire);
	turns(b);
	assert_int_equal(b->stopped, 1);
	fake_transport_fini(&b->wire);
	usb_device_destroy(b->device);
	loop_destroy(b->loop);
	assert_int_equal(b->pool.lent, 0);
	bufpool_fini(&b->pool);
}

static void open_device(struct bench *b)
{
	assert_false(b->device->absent);
	usb_open(b->device, &b->listener, USB_SPEED_SUPER);
	assert_int_equal(b->opened, 1);
}

/* The connection ends from the host's side. */
static void hang_up(struct bench *b)
{
	fake_transport_end(&b->wire, 0);
	turns(b);
}

static void check_info(const struct usb_info *info)
{
	assert_int_equal(info->speed, USB_SPEED_HIGH);
	assert_int_equal(info->vendor, 0x1209);
	assert_int_equal(info->product, 0x1234);
	assert_int_equal(info->bcd_device, 0x0102);
	assert_int_equal(info->n_interfaces, 2);
	assert_int_equal(info->interface[0].class, 0xff);
	assert_int_equal(info->endpoint[usb_slot(HOST_IN)].type, USB_BULK);
	assert_int_equal(info->endpoint[usb_slot(HOST_OUT)].max_packet, 512);
	assert_int_equal(info->endpoint[usb_slot(HOST_INT_IN)].type,
			 USB_INTERRUPT);
	assert_int_equal(info->endpoint[usb_slot(0x8f)].type, USB_NO_ENDPOINT);
}

/* --- usbredir -------------------------------------------------------------------------- */

static struct usbredir_msg expect_redir(struct bench *b, uint32_t type,
					uint32_t caps, const uint8_t **data)
{
	struct usbredir_header header;
	struct usbredir_layout layout;
	struct usbredir_msg msg;
	size_t size = usbredir_header_size(caps);

	assert_int_equal(usbredir_decode_header(span_of(take(b, size), size),
						caps, &header),
			 0);
	assert_int_equal(header.type, type);
	assert_int_equal(
		usbredir_check_header(&header, USBREDIR_HOST, caps, &layout),
		0);
	assert_int_equal(usbredir_decode(&header, USBREDIR_HOST, caps,
					 span_of(take(b, layout.type_header),
						 layout.type_header),
					 &msg),
			 0);
	*data = take(b, layout.data);
	return msg;
}

static void tell(struct bench *b, struct usbredir_msg *msg, const void *data)
{
	static uint8_t bytes[70000];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));

	host_put_redir(&w, msg, CAPS, data);
	say(b, bytes, w.len);
}

static void begin_redir(struct bench *b)
{
	const uint8_t *data;
	uint8_t bytes[2048];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));

	begin(b, false);
	expect_redir(b, USBREDIR_HELLO, 0, &data);
	assert_int_equal(usbredir_decode_caps(span_of(data, 4)), CAPS);
	expect_nothing(b);
	assert_true(b->device->absent);
	host_put_usbredir(&w, USBREDIR_CAPS_ALL, CAPS);
	say(b, bytes, w.len);
	open_device(b);
	check_info(&b->device->info);
}

static uint8_t pattern[4096];

static void test_redir_transfers(void **state)
{
	struct usbredir_msg msg;
	const uint8_t *data;
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_redir(&b);
	/* Control */
	submit(&b, &g, 0x80, USB_CONTROL, 100);
	msg = expect_redir(&b, USBREDIR_CONTROL_PACKET, CAPS, &data);
	assert_int_equal(msg.control.endpoint, 0x80);
	assert_int_equal(msg.control.request, 6);
	assert_int_equal(msg.control.value, 0x0302);
	assert_int_equal(msg.control.length, 100);
	msg.control.length = msg.data_len = 30;
	tell(&b, &msg, pattern);
	ended(&g, 0, 30);
	assert_memory_equal(g.data, pattern, 30);
	submit(&b, &g, 0x00, USB_CONTROL, 4);
	msg = expect_redir(&b, USBREDIR_CONTROL_PACKET, CAPS, &data);
	assert_memory_equal(data, "\0\1\2\3", 4);
	msg.data_len = 0;
	msg.control.status = USBREDIR_STALL;
	msg.control.length = 0;
	tell(&b, &msg, NULL);
	ended(&g, -EPIPE, 0);
	/* Bulk */
	submit(&b, &g, HOST_IN, USB_BULK, 4096);
	msg = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS, &data);
	assert_int_equal(msg.transfer.endpoint, HOST_IN);
	assert_int_equal(msg.transfer.length, 4096);
	msg.data_len = msg.transfer.length = 4000;
	tell(&b, &msg, pattern);
	ended(&g, 0, 4000);
	assert_memory_equal(g.data, pattern, 4000);
	submit(&b, &g, HOST_OUT, USB_BULK, 1000);
	msg = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS, &data);
	assert_int_equal(data[999], (uint8_t)999);
	msg.data_len = 0;
	tell(&b, &msg, NULL);
	ended(&g, 0, 1000);
	/* Interrupt OUT */
	submit(&b, &g, HOST_INT_OUT, USB_INTERRUPT, 8);
	msg = expect_redir(&b, USBREDIR_INTERRUPT_PACKET, CAPS, &data);
	assert_int_equal(data[7], 7);
	msg.data_len = 0;
	tell(&b, &msg, NULL);
	ended(&g, 0, 8);
	expect_nothing(&b);
	end(&b);
}

static void test_redir_zero_packet(void **state)
{
	struct usbredir_msg msg, empty;
	const uint8_t *data;
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_redir(&b);
	for (uint32_t len = 1023; len <= 1024; len++) {
		fill(&g, HOST_OUT, USB_BULK, len);
		g.urb.zero_packet = true;
		g.urb.buf = bufpool_get(&b.pool, len);
		memset(g.urb.buf->data, 0, len);
		assert_int_equal(usb_submit(b.device, &g.urb), 0);
		msg = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS, &data);
		if (len == 1024) {
			empty = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS,
					     &data);
			assert_int_equal(empty.transfer.length, 0);
			tell(&b, &empty, NULL);
		}
		expect_nothing(&b);
		assert_int_equal(g.completions, 0);
		msg.data_len = 0;
		tell(&b, &msg, NULL);
		ended(&g, 0, len);
	}
	end(&b);
}

static void test_redir_cancel(void **state)
{
	struct usbredir_msg msg, bulk;
	const uint8_t *data;
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_redir(&b);
	for (int late = 0; late < 2; late++) {
		submit(&b, &g, HOST_IN, USB_BULK, 100);
		bulk = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS, &data);
		usb_cancel(&g.urb);
		msg = expect_redir(&b, USBREDIR_CANCEL_DATA_PACKET, CAPS,
				   &data);
		assert_int_equal(msg.id, bulk.id);
		assert_int_equal(g.completions, 0);
		/* The host says what has become of it. */
		bulk.transfer.status = late ? USBREDIR_SUCCESS
					    : USBREDIR_CANCELLED;
		bulk.transfer.length = bulk.data_len = late ? 100 : 0;
		tell(&b, &bulk, pattern);
		ended(&g, late ? 0 : -ECANCELED, late ? 100 : 0);
	}
	/* Closed, nobody waits for an answer; it is dropped. */
	submit(&b, &g, HOST_IN, USB_BULK, 100);
	bulk = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS, &data);
	usb_close(b.device);
	ended(&g, -ESHUTDOWN, 0);
	expect_redir(&b, USBREDIR_CANCEL_DATA_PACKET, CAPS, &data);
	bulk.data_len = 100;
	tell(&b, &bulk, pattern);
	assert_int_equal(b.gone, 1);
	assert_false(b.device->absent);
	end(&b);
}

static void test_redir_interrupt(void **state)
{
	struct usbredir_msg msg, status = {
		.type = USBREDIR_INTERRUPT_RECEIVING_STATUS,
		.interrupt_receiving.endpoint = HOST_INT_IN,
	}, packet = { .type = USBREDIR_INTERRUPT_PACKET, .data_len = 3,
		      .transfer = { .endpoint = HOST_INT_IN, .length = 3 } };
	const uint8_t *data;
	struct guest_urb g[2];
	struct bench b;

	(void)state;
	begin_redir(&b);
	submit(&b, &g[0], HOST_INT_IN, USB_INTERRUPT, 16);
	msg = expect_redir(&b, USBREDIR_START_INTERRUPT_RECEIVING, CAPS, &data);
	/* Older than what was asked for */
	tell(&b, &packet, "old");
	assert_int_equal(g[0].completions, 0);
	status.id = msg.id;
	tell(&b, &status, NULL);
	submit(&b, &g[1], HOST_INT_IN, USB_INTERRUPT, 16);
	tell(&b, &packet, "one");
	ended(&g[0], 0, 3);
	tell(&b, &packet, "two");
	ended(&g[1], 0, 3);
	assert_memory_equal(g[1].data, "two", 3);
	/* What comes too early is kept. */
	tell(&b, &packet, "III");
	submit(&b, &g[0], HOST_INT_IN, USB_INTERRUPT, 16);
	assert_int_equal(g[0].completions, 0); /* not within submit */
	turns(&b);
	ended(&g[0], 0, 3);
	/* Too long for who waits */
	submit(&b, &g[0], HOST_INT_IN, USB_INTERRUPT, 2);
	tell(&b, &packet, "abc");
	ended(&g[0], -EOVERFLOW, 2);
	expect_nothing(&b);
	/* A stall ends it; the next one starts anew. */
	submit(&b, &g[0], HOST_INT_IN, USB_INTERRUPT, 16);
	status.id = 0;
	status.interrupt_receiving.status = USBREDIR_STALL;
	tell(&b, &status, NULL);
	ended(&g[0], -EPIPE, 0);
	expect_redir(&b, USBREDIR_STOP_INTERRUPT_RECEIVING, CAPS, &data);
	submit(&b, &g[0], HOST_INT_IN, USB_INTERRUPT, 16);
	expect_redir(&b, USBREDIR_START_INTERRUPT_RECEIVING, CAPS, &data);
	/* The last one that is cancelled stops it. */
	usb_cancel(&g[0].urb);
	ended(&g[0], -ECANCELED, 0);
	expect_redir(&b, USBREDIR_STOP_INTERRUPT_RECEIVING, CAPS, &data);
	expect_nothing(&b);
	end(&b);
}

/* Nobody listens: the host is told to stop. */
static void test_redir_unread(void **state)
{
	struct usbredir_msg msg, status = {
		.type = USBREDIR_INTERRUPT_RECEIVING_STATUS,
		.interrupt_receiving.endpoint = HOST_INT_IN,
	}, packet = { .type = USBREDIR_INTERRUPT_PACKET, .data_len = 3,
		      .transfer = { .endpoint = HOST_INT_IN, .length = 3 } };
	const uint8_t *data;
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_redir(&b);
	submit(&b, &g, HOST_INT_IN, USB_INTERRUPT, 16);
	msg = expect_redir(&b, USBREDIR_START_INTERRUPT_RECEIVING, CAPS, &data);
	status.id = msg.id;
	tell(&b, &status, NULL);
	for (int i = 0; i < 1000; i++)
		tell(&b, &packet, "abc");
	assert_int_equal(g.completions, 1);
	expect_redir(&b, USBREDIR_STOP_INTERRUPT_RECEIVING, CAPS, &data);
	expect_nothing(&b);
	assert_true(b.pool.lent < 65536);
	end(&b);
}

static void test_redir_iso_in(void **state)
{
	struct usbredir_msg msg, status = {
		.type = USBREDIR_ISO_STREAM_STATUS,
		.iso_stream.endpoint = HOST_ISO_IN,
	}, packet = { .type = USBREDIR_ISO_PACKET, .data_len = 3,
		      .transfer = { .endpoint = HOST_ISO_IN, .length = 3 } };
	const uint8_t *data;
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_redir(&b);
	submit_iso(&b, &g, HOST_ISO_IN, 4, 100);
	msg = expect_redir(&b, USBREDIR_START_ISO_STREAM, CAPS, &data);
	assert_int_equal(msg.iso_stream.pkts_per_urb, 4);
	assert_true(msg.iso_stream.no_urbs > 1);
	status.id = msg.id;
	tell(&b, &status, NULL);
	tell(&b, &packet, "abc");
	tell(&b, &packet, "def");
	packet.transfer.status = USBREDIR_IOERROR;
	packet.data_len = packet.transfer.length = 0;
	tell(&b, &packet, NULL);
	assert_int_equal(g.completions, 0);
	packet.transfer.status = 0;
	packet.data_len = packet.transfer.length = 1;
	tell(&b, &packet, "g");
	ended(&g, 0, 7);
	assert_memory_equal(g.data, "abc", 3);
	assert_memory_equal(g.data + 100, "def", 3);
	assert_memory_equal(g.data + 300, "g", 1);
	assert_int_equal(g.packets[1].actual, 3);
	assert_int_equal(g.packets[2].status, -EIO);
	assert_int_equal(g.packets[3].actual, 1);
	end(&b);
}

static void test_redir_iso_out(void **state)
{
	struct usbredir_msg msg;
	const uint8_t *data;
	struct guest_urb g[2];
	int64_t start;
	struct bench b;

	(void)state;
	begin_redir(&b);
	turns(&b);
	start = loop_now(b.loop);
	/* Eight packets of a millisecond each, twice */
	submit_iso(&b, &g[0], HOST_ISO_OUT, 8, 100);
	submit_iso(&b, &g[1], HOST_ISO_OUT, 8, 100);
	expect_redir(&b, USBREDIR_START_ISO_STREAM, CAPS, &data);
	for (int i = 0; i < 16; i++) {
		msg = expect_redir(&b, USBREDIR_ISO_PACKET, CAPS, &data);
		assert_int_equal(msg.data_len, 100);
		assert_int_equal(data[0], (uint8_t)(i % 8 * 100));
	}
	while (!g[1].completions)
		assert_int_equal(loop_turn(b.loop), 0);
	ended(&g[0], 0, 800);
	ended(&g[1], 0, 800);
	assert_true(loop_now(b.loop) - start >= 15);
	/* Cancelled: it is stopped. */
	submit_iso(&b, &g[0], HOST_ISO_OUT, 8, 100);
	for (int i = 0; i < 8; i++)
		expect_redir(&b, USBREDIR_ISO_PACKET, CAPS, &data);
	usb_cancel(&g[0].urb);
	ended(&g[0], -ECANCELED, 0);
	expect_redir(&b, USBREDIR_STOP_ISO_STREAM, CAPS, &data);
	end(&b);
}

static void test_redir_admin(void **state)
{
	struct usb_admin admin = { .type = USB_SET_CONFIGURATION,
				   .configuration = 2 };
	struct usbredir_msg msg, endpoints = host_endpoints();
	const uint8_t *data;
	struct bench b;

	(void)state;
	begin_redir(&b);
	start_admin(&b, &admin);
	msg = expect_redir(&b, USBREDIR_SET_CONFIGURATION, CAPS, &data);
	assert_int_equal(msg.configuration.configuration, 2);
	/* The endpoints come first, and are known when it is answered. */
	endpoints.ep_info.type[usbredir_ep_slot(HOST_IN)] = 255;
	tell(&b, &endpoints, NULL);
	assert_int_equal(b.admins, 0);
	msg.type = USBREDIR_CONFIGURATION_STATUS;
	tell(&b, &msg, NULL);
	assert_int_equal(b.admins, 1);
	assert_int_equal(b.admin_status, 0);
	assert_int_equal(b.device->info.configuration, 2);
	assert_int_equal(b.device->info.endpoint[usb_slot(HOST_IN)].type,
			 USB_NO_ENDPOINT);

	admin = (struct usb_admin){ .type = USB_SET_ALT_SETTING,
				    .interface = 1,
				    .alt = 1 };
	start_admin(&b, &admin);
	msg = expect_redir(&b, USBREDIR_SET_ALT_SETTING, CAPS, &data);
	assert_int_equal(msg.alt_setting.interface, 1);
	msg.type = USBREDIR_ALT_SETTING_STATUS;
	msg.alt_setting.status = USBREDIR_STALL;
	tell(&b, &msg, NULL);
	assert_int_equal(b.admin_status, -EPIPE);

	admin = (struct usb_admin){ .type = USB_CLEAR_HALT, .ep = HOST_OUT };
	start_admin(&b, &admin);
	msg = expect_redir(&b, USBREDIR_CONTROL_PACKET, CAPS, &data);
	assert_int_equal(msg.control.requesttype, 2);
	assert_int_equal(msg.control.request, 1);
	assert_int_equal(msg.control.index, HOST_OUT);
	tell(&b, &msg, NULL);
	assert_int_equal(b.admins, 1);
	assert_int_equal(b.admin_status, 0);

	admin = (struct usb_admin){ .type = USB_ALLOC_STREAMS,
				    .endpoints = 1 << 2,
				    .streams = 16 };
	start_admin(&b, &admin);
	msg = expect_redir(&b, USBREDIR_ALLOC_BULK_STREAMS, CAPS, &data);
	msg.type = USBREDIR_BULK_STREAMS_STATUS;
	msg.bulk_streams.no_streams = 8;
	tell(&b, &msg, NULL);
	assert_int_equal(b.admin_streams, 8);

	admin = (struct usb_admin){ .type = USB_RESET };
	start_admin(&b, &admin);
	assert_int_equal(b.admins, 1);
	expect_redir(&b, USBREDIR_RESET, CAPS, &data);
	expect_nothing(&b);
	end(&b);
}

static void test_redir_disconnect(void **state)
{
	struct usbredir_msg msg = { .type = USBREDIR_DEVICE_DISCONNECT };
	struct usb_admin admin = { .type = USB_GET_CONFIGURATION };
	const uint8_t *data;
	uint8_t bytes[2048];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	struct guest_urb g[3];
	struct bench b;

	(void)state;
	begin_redir(&b);
	submit(&b, &g[0], HOST_IN, USB_BULK, 100);
	submit(&b, &g[1], HOST_INT_IN, USB_INTERRUPT, 16);
	submit_iso(&b, &g[2], HOST_ISO_OUT, 8, 100);
	start_admin(&b, &admin);
	turns(&b);
	b.at = b.wire.out_len;
	tell(&b, &msg, NULL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(g[i].completions, 1);
	assert_int_equal(b.admin_status, -ESHUTDOWN);
	assert_int_equal(b.leaving, 1);
	assert_int_equal(b.gone, 1);
	assert_true(b.device->absent);
	/* ... and the host, which is told, may have another one. */
	turns(&b);
	b.at = b.wire.out_len - usbredir_header_size(CAPS);
	expect_redir(&b, USBREDIR_DEVICE_DISCONNECT_ACK, CAPS, &data);
	host_put_usbredir(&w, USBREDIR_CAPS_ALL, CAPS);
	say(&b, bytes + USBREDIR_HELLO_SIZE, w.len - USBREDIR_HELLO_SIZE);
	assert_false(b.device->absent);
	b.opened = b.gone = 0;
	open_device(&b);
	check_info(&b.device->info);
	/* The connection is lost. */
	submit(&b, &g[0], HOST_IN, USB_BULK, 100);
	hang_up(&b);
	ended(&g[0], -ESHUTDOWN, 0);
	assert_int_equal(b.leaving, 2);
	assert_true(b.device->absent);
	end(&b);
}

static void test_redir_host_is_stuck(void **state)
{
	struct usb_admin admin = { .type = USB_RESET };
	struct guest_urb *g = calloc(3, sizeof(*g));
	size_t queued;
	struct bench b;

	(void)state;
	begin_redir(&b);
	b.stuck = true;
	submit_iso(&b, &g[0], HOST_ISO_OUT, 2, 100);
	turns(&b);
	assert_true(b.wire.sending);
	/* What is queued is ours, whatever becomes of the guest's memory. */
	memset(g[0].urb.buf->data, 0xee, 200);
	submit(&b, &g[1], HOST_OUT, USB_BULK, 5 << 20);
	turns(&b);
	queued = b.pool.lent;
	usb_close(b.device);
	assert_int_equal(g[1].completions, 1);
	/* Nobody adds to it ... */
	b.refusal = -EBUSY;
	usb_open(b.device, &b.listener, USB_SPEED_SUPER);
	b.refusal = 0;
	assert_int_equal(b.device->state, USB_DEVICE_FREE);
	assert_string_equal(b.device->why, "its host takes nothing");
	assert_true(b.device->absent);
	assert_true(b.pool.lent <= queued);
	/* ... until it goes on. */
	b.stuck = false;
	turns(&b);
	assert_null(memmem(b.wire.out + b.at, b.wire.out_len - b.at,
			   "\xee\xee\xee\xee", 4));
	assert_non_null(memmem(b.wire.out + b.at, b.wire.out_len - b.at,
			       "\0\1\2\3\4\5", 6));
	usleep(600000);
	turns(&b);
	assert_false(b.device->absent);
	b.opened = b.gone = 0;
	open_device(&b);
	submit_iso(&b, &g[0], HOST_ISO_OUT, 2, 100);
	turns(&b);
	b.stuck = true;
	submit(&b, &g[1], HOST_OUT, USB_BULK, 5 << 20);
	turns(&b);
	/* What has no answer is refused, and isochronous packets are dropped. */
	start_admin(&b, &admin);
	assert_int_equal(b.admin_status, -EIO);
	queued = b.pool.lent;
	submit_iso(&b, &g[2], HOST_ISO_OUT, 8, 100);
	turns(&b);
	assert_true(b.pool.lent <= queued + 1024);
	end(&b); /* does not wait for it */
	free(g);
}

/* One that a guest could not use is offered again. */
static void test_redir_refused(void **state)
{
	struct bench b;

	(void)state;
	begin_redir(&b);
	usb_close(b.device);
	b.gone = b.opened = 0;
	b.refusal = -EPROTONOSUPPORT;
	usb_open(b.device, &b.listener, USB_SPEED_FULL);
	assert_int_equal(b.opened, 1);
	assert_true(b.device->absent);
	assert_false(b.device->told);
	usleep(600000);
	turns(&b);
	assert_false(b.device->absent);
	usb_open(b.device, &b.listener, USB_SPEED_FULL);
	assert_true(b.device->told); /* once */
	b.refusal = 0;
	b.opened = b.gone = 0;
	end(&b);
}

/* Another class, another setting: known before the setting is. */
static void test_redir_interfaces(void **state)
{
	struct usbredir_msg interfaces = {
		.type = USBREDIR_INTERFACE_INFO,
		.interface_info = { .count = 1, .interface_class = { 8 } },
	};
	struct bench b;

	(void)state;
	begin_redir(&b);
	tell(&b, &interfaces, NULL);
	assert_int_equal(b.device->info.n_interfaces, 1);
	assert_int_equal(b.device->info.interface[0].class, 8);
	end(&b);
}

static void test_redir_lies(void **state)
{
	struct usbredir_msg msg;
	const uint8_t *data;
	struct guest_urb g;
	struct bench b;

	(void)state;
	/* More than was asked for */
	begin_redir(&b);
	submit(&b, &g, HOST_IN, USB_BULK, 100);
	msg = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS, &data);
	msg.data_len = msg.transfer.length = 101;
	tell(&b, &msg, pattern);
	ended(&g, -ESHUTDOWN, 0);
	assert_true(b.device->absent);
	assert_true(b.wire.closing);
	end(&b);
	/* Data from where there is none */
	begin_redir(&b);
	submit(&b, &g, HOST_OUT, USB_BULK, 10);
	msg = expect_redir(&b, USBREDIR_BULK_PACKET, CAPS, &data);
	msg.transfer.endpoint = HOST_IN;
	tell(&b, &msg, pattern);
	ended(&g, -ESHUTDOWN, 0);
	assert_true(b.wire.closing);
	end(&b);
	/* What nobody has asked for is dropped. */
	begin_redir(&b);
	msg.id = 4711;
	tell(&b, &msg, pattern);
	msg = (struct usbredir_msg){ .type = USBREDIR_CONFIGURATION_STATUS,
				     .id = 4711 };
	tell(&b, &msg, NULL);
	assert_false(b.wire.closing);
	/* A second device */
	msg = (struct usbredir_msg){ .type = USBREDIR_DEVICE_CONNECT };
	tell(&b, &msg, NULL);
	assert_true(b.wire.closing);
	assert_int_equal(b.leaving, 1);
	end(&b);
	/* No usbredir at all */
	begin(&b, false);
	turns(&b);
	say(&b, "SSH-2.0-OpenSSH_9.2p1", 21);
	assert_true(b.wire.closing);
	end(&b);
}

/* --- usbip ----------------------------------------------------------------------------------- */

static struct usbip_msg expect_usbip(struct bench *b, uint32_t command)
{
	struct usbip_msg msg;

	assert_int_equal(usbip_decode(span_of(take(b, 48), 48), &msg), 0);
	assert_int_equal(msg.command, command);
	assert_int_equal(msg.devid, 0x10002);
	return msg;
}

static void ret(struct bench *b, uint32_t seqnum, int status, const void *data,
		size_t len)
{
	uint8_t bytes[5000];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));

	host_put_ret(&w, seqnum, status, data, len);
	say(b, bytes, w.len);
}

/* Of OUT: the data do not come back. */
static void ret_out(struct bench *b, uint32_t seqnum, int status,
		    uint32_t actual)
{
	struct usbip_msg msg = { .command = USBIP_RET_SUBMIT,
				 .seqnum = seqnum,
				 .ret_submit = { .status = status,
						 .actual = actual } };
	uint8_t head[USBIP_HEADER_SIZE];

	usbip_encode(&msg, head);
	say(b, head, sizeof(head));
}

static void ret_unlink(struct bench *b, uint32_t seqnum, int status)
{
	struct usbip_msg msg = { .command = USBIP_RET_UNLINK,
				 .seqnum = seqnum,
				 .unlink_status = status };
	uint8_t head[USBIP_HEADER_SIZE];

	usbip_encode(&msg, head);
	say(b, head, sizeof(head));
}

static void begin_usbip(struct bench *b)
{
	uint8_t bytes[2048];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	const uint8_t *import;

	begin(b, true);
	import = take(b, 40);
	assert_memory_equal(import,
			    "\x01\x11\x80\x03\0\0\0\0"
			    "1-1\0",
			    12);
	expect_nothing(b);
	host_put_usbip(&w);
	say(b, bytes, w.len);
	take(b, 3 * 48);
	expect_nothing(b);
	open_device(b);
	check_info(&b->device->info);
	assert_int_equal(b->device->info.endpoint[usb_slot(HOST_ISO_IN)].type,
			 USB_NO_ENDPOINT);
}

static void test_usbip_transfers(void **state)
{
	struct usbip_msg msg;
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_usbip(&b);
	submit(&b, &g, 0x80, USB_CONTROL, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_int_equal(msg.ep, 0x80);
	assert_memory_equal(msg.submit.setup, "\x80\6\2\3\x09\4\x64\0", 8);
	assert_int_equal(msg.submit.flags, USBIP_FLAG_DIR_IN);
	ret(&b, msg.seqnum, 0, pattern, 30);
	ended(&g, 0, 30);
	submit(&b, &g, HOST_IN, USB_BULK, 4096);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_int_equal(msg.submit.length, 4096);
	ret(&b, msg.seqnum, 0, pattern, 4000);
	ended(&g, 0, 4000);
	assert_memory_equal(g.data, pattern, 4000);
	submit(&b, &g, HOST_OUT, USB_BULK, 1000);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_int_equal(take(&b, 1000)[999], (uint8_t)999);
	ret_out(&b, msg.seqnum, 0, 1000);
	ended(&g, 0, 1000);
	submit(&b, &g, HOST_INT_IN, USB_INTERRUPT, 16);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_int_equal(msg.submit.interval, 8);
	ret(&b, msg.seqnum, -EPIPE, NULL, 0);
	ended(&g, -EPIPE, 0);
	expect_nothing(&b);
	end(&b);
}

static void test_usbip_unlink(void **state)
{
	struct usbip_msg msg, unlink;
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_usbip(&b);
	submit(&b, &g, HOST_IN, USB_BULK, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	usb_cancel(&g.urb);
	usb_cancel(&g.urb); /* once is enough */
	unlink = expect_usbip(&b, USBIP_CMD_UNLINK);
	assert_int_equal(unlink.unlink_seqnum, msg.seqnum);
	expect_nothing(&b);
	ret_unlink(&b, unlink.seqnum, -ECONNRESET);
	ended(&g, -ECANCELED, 0);
	/* It was done before. */
	submit(&b, &g, HOST_IN, USB_BULK, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	usb_cancel(&g.urb);
	unlink = expect_usbip(&b, USBIP_CMD_UNLINK);
	ret(&b, msg.seqnum, 0, pattern, 100);
	ended(&g, 0, 100);
	ret_unlink(&b, unlink.seqnum, 0);
	/* It is done, and the answer to that comes behind the other. */
	submit(&b, &g, HOST_IN, USB_BULK, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	usb_cancel(&g.urb);
	unlink = expect_usbip(&b, USBIP_CMD_UNLINK);
	ret_unlink(&b, unlink.seqnum, 0);
	ended(&g, -ECANCELED, 0);
	ret(&b, msg.seqnum, 0, pattern, 100);
	assert_false(b.wire.closing);
	/* Closed, its answer is taken and dropped. */
	submit(&b, &g, HOST_IN, USB_BULK, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	usb_close(b.device);
	ended(&g, -ESHUTDOWN, 0);
	unlink = expect_usbip(&b, USBIP_CMD_UNLINK);
	ret(&b, msg.seqnum, 0, pattern, 100);
	ret_unlink(&b, unlink.seqnum, 0);
	assert_false(b.wire.closing);
	end(&b);
}

static void test_usbip_admin(void **state)
{
	struct usb_admin admin = { .type = USB_SET_ALT_SETTING,
				   .interface = 1,
				   .alt = 1 };
	struct usbip_msg msg;
	struct bench b;

	(void)state;
	begin_usbip(&b);
	start_admin(&b, &admin);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_memory_equal(msg.submit.setup, "\1\x0b\1\0\1\0\0\0", 8);
	ret_out(&b, msg.seqnum, 0, 0);
	assert_int_equal(b.admins, 1);
	assert_int_equal(b.admin_status, 0);
	assert_int_equal(b.device->info.endpoint[usb_slot(HOST_ISO_IN)].type,
			 USB_ISO);
	admin = (struct usb_admin){ .type = USB_GET_ALT_SETTING,
				    .interface = 1 };
	start_admin(&b, &admin);
	assert_int_equal(admin.alt, 1);
	admin = (struct usb_admin){ .type = USB_SET_CONFIGURATION };
	start_admin(&b, &admin);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_memory_equal(msg.submit.setup, "\0\x09\0\0\0\0\0\0", 8);
	ret_out(&b, msg.seqnum, 0, 0);
	assert_int_equal(b.device->info.endpoint[usb_slot(HOST_IN)].type,
			 USB_NO_ENDPOINT);
	/* A server that acts on it, and has the device say no */
	admin = (struct usb_admin){ .type = USB_RESET };
	start_admin(&b, &admin);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_memory_equal(msg.submit.setup, "\x23\3\4\0\1\0\0\0", 8);
	ret_out(&b, msg.seqnum, -EPIPE, 0);
	assert_int_equal(b.admin_status, 0);
	admin = (struct usb_admin){ .type = USB_CLEAR_HALT, .ep = HOST_IN };
	start_admin(&b, &admin);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_memory_equal(msg.submit.setup, "\2\1\0\0\x81\0\0\0", 8);
	ret_out(&b, msg.seqnum, -EPIPE, 0);
	assert_int_equal(b.admin_status, -EPIPE);
	admin = (struct usb_admin){ .type = USB_ALLOC_STREAMS };
	start_admin(&b, &admin);
	assert_int_equal(b.admin_status, -EINVAL);
	end(&b);
}

static void begin_usbip_iso(struct bench *b)
{
	struct usb_admin admin = { .type = USB_SET_ALT_SETTING,
				   .interface = 1,
				   .alt = 1 };

	begin_usbip(b);
	start_admin(b, &admin);
	ret_out(b, expect_usbip(b, USBIP_CMD_SUBMIT).seqnum, 0, 0);
}

static void test_usbip_iso(void **state)
{
	struct usbip_msg msg, answer = { .command = USBIP_RET_SUBMIT };
	uint8_t bytes[1000];
	struct usbip_iso iso;
	struct guest_urb g;
	struct span_writer w;
	struct span span;
	struct bench b;

	(void)state;
	begin_usbip_iso(&b);
	submit_iso(&b, &g, HOST_ISO_IN, 3, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_int_equal(msg.submit.packets, 3);
	assert_int_equal(msg.submit.length, 300);
	span = span_of(take(&b, 48), 48);
	usbip_decode_iso(&span, &iso);
	usbip_decode_iso(&span, &iso);
	assert_int_equal(iso.offset, 100);
	assert_int_equal(iso.length, 100);
	answer.seqnum = msg.seqnum;
	answer.ret_submit.actual = 5;
	answer.ret_submit.packets = 3;
	w = span_writer_of(bytes, sizeof(bytes));
	usbip_encode(&answer, bytes);
	w.len = 48;
	span_put(&w, "abcde", 5);
	usbip_encode_iso(&w, &(struct usbip_iso){ 0, 100, 3, 0 });
	usbip_encode_iso(&w, &(struct usbip_iso){ 100, 100, 0, -EXDEV });
	usbip_encode_iso(&w, &(struct usbip_iso){ 200, 100, 2, 0 });
	say(&b, bytes, w.len);
	ended(&g, 0, 5);
	assert_memory_equal(g.data, "abc", 3);
	assert_memory_equal(g.data + 200, "de", 2);
	assert_int_equal(g.packets[0].actual, 3);
	assert_int_equal(g.packets[1].status, -EIO);
	assert_int_equal(g.packets[2].actual, 2);

	submit_iso(&b, &g, HOST_ISO_OUT, 2, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	assert_int_equal(take(&b, 200)[199], 199);
	take(&b, 32);
	answer.seqnum = msg.seqnum;
	answer.ret_submit.actual = 200;
	answer.ret_submit.packets = 2;
	w = span_writer_of(bytes, sizeof(bytes));
	usbip_encode(&answer, bytes);
	w.len = 48;
	usbip_encode_iso(&w, &(struct usbip_iso){ 0, 100, 100, 0 });
	usbip_encode_iso(&w, &(struct usbip_iso){ 100, 100, 100, 0 });
	say(&b, bytes, w.len);
	ended(&g, 0, 200);
	/* It failed as a whole. */
	submit_iso(&b, &g, HOST_ISO_IN, 3, 100);
	msg = expect_usbip(&b, USBIP_CMD_SUBMIT);
	take(&b, 48);
	ret(&b, msg.seqnum, -EINVAL, NULL, 0);
	ended(&g, -EINVAL, 0);
	expect_nothing(&b);
	end(&b);
}

/* actual and the packets' do not agree, or are more than there is room for */
static void test_usbip_iso_lies(void **state)
{
	static const struct {
		uint32_t actual, packets, first, second;
	} lies[] = { { 10, 2, 5, 6 },
		     { 10, 2, 11, 0 },
		     { 200, 2, 101, 99 },
		     { 201, 2, 100, 100 },
		     { 10, 3, 5, 5 } };
	struct usbip_msg answer = { .command = USBIP_RET_SUBMIT };
	uint8_t bytes[1000] = { 0 };
	struct span_writer w;
	struct guest_urb g;
	struct bench b;

	(void)state;
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		begin_usbip_iso(&b);
		submit_iso(&b, &g, HOST_ISO_IN, 2, 100);
		answer.seqnum = expect_usbip(&b, USBIP_CMD_SUBMIT).seqnum;
		answer.ret_submit.actual = lies[i].actual;
		answer.ret_submit.packets = lies[i].packets;
		w = span_writer_of(bytes, sizeof(bytes));
		usbip_encode(&answer, bytes);
		w.len = 48 + lies[i].actual;
		usbip_encode_iso(
			&w, &(struct usbip_iso){ .actual = lies[i].first });
		usbip_encode_iso(
			&w, &(struct usbip_iso){ .actual = lies[i].second });
		fake_transport_arrive(&b.wire, bytes, w.len);
		turns(&b);
		assert_int_equal(g.completions, 1);
		assert_true(g.urb.status < 0);
		assert_true(b.wire.closing);
		end(&b);
	}
}

static void refused(const void *data, size_t len)
{
	struct bench b;

	begin(&b, true);
	turns(&b);
	say(&b, data, len);
	assert_true(b.wire.closing);
	assert_true(b.device->absent);
	end(&b);
}

static void test_usbip_refused(void **state)
{
	uint8_t bytes[2048] = { 0 };
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));

	(void)state;
	refused("HTTP/1.1 400 Bad Request", 24);
	for (uint32_t status = 1; status < 7; status++) {
		w.len = 0;
		usbip_encode_op(&w, USBIP_REP_IMPORT, status);
		refused(bytes, 8);
	}
	w.len = 0;
	usbip_encode_op(&w, USBIP_REP_DEVLIST, USBIP_OK);
	refused(bytes, 8);
	/* A device without a speed, without a name */
	w.len = 0;
	usbip_encode_op(&w, USBIP_REP_IMPORT, USBIP_OK);
	usbip_encode_device(&w, &(struct usbip_device){ .busid = "1-1" });
	refused(bytes, w.len);
	w.len = 0;
	usbip_encode_op(&w, USBIP_REP_IMPORT, USBIP_OK);
	usbip_encode_device(&w, &(struct usbip_device){ .speed = 3 });
	refused(bytes, w.len);
}

/* It is granted, and then its descriptors are none. */
static void test_usbip_descriptors(void **state)
{
	uint8_t bytes[2048] = { 0 };
	struct span_writer w;

	(void)state;
	for (int flaw = 0; flaw < 5; flaw++) {
		uint8_t config[9], device[18];
		size_t granted;

		memcpy(config, host_config, 9);
		memcpy(device, host_device, 18);
		w = span_writer_of(bytes, sizeof(bytes));
		host_put_usbip(&w);
		granted = USBIP_OP_SIZE + USBIP_DEVICE_SIZE;
		w.len = granted;
		switch (flaw) {
		case 0: /* stalls */
			host_put_ret(&w, 1, -32, NULL, 0);
			break;
		case 1: /* short */
			host_put_ret(&w, 1, 0, device, 17);
			break;
		case 2: /* something else */
			device[1] = 2;
			host_put_ret(&w, 1, 0, device, 18);
			break;
		case 3: /* a configuration of less than its head */
			host_put_ret(&w, 1, 0, device, 18);
			config[2] = 8;
			host_put_ret(&w, 2, 0, config, 9);
			break;
		case 4: /* an answer to nothing */
			host_put_ret(&w, 2, 0, device, 18);
			break;
		}
		refused(bytes, w.len);
	}
}

static void test_usbip_lies(void **state)
{
	struct usbip_msg msg = { .command = USBIP_CMD_UNLINK };
	uint8_t head[USBIP_HEADER_SIZE];
	struct guest_urb g;
	struct bench b;

	(void)state;
	begin_usbip(&b);
	submit(&b, &g, HOST_IN, USB_BULK, 100);
	ret(&b, expect_usbip(&b, USBIP_CMD_SUBMIT).seqnum, 0, pattern, 101);
	ended(&g, -ESHUTDOWN, 0);
	assert_true(b.wire.closing);
	end(&b);
	begin_usbip(&b);
	usbip_encode(&msg, head);
	say(&b, head, sizeof(head)); /* a client's */
	assert_true(b.wire.closing);
	end(&b);
	/* Answers to UNLINKs that nobody has sent do no harm. */
	begin_usbip(&b);
	ret_unlink(&b, 4711, 0);
	assert_false(b.wire.closing);
	hang_up(&b);
	assert_int_equal(b.leaving, 1);
	end(&b);
}

/* --- What is given ----------------------------------------------------------------------- */

static void test_parse(void **state)
{
	static const char *const bad[] = { "",
					   "usbip://",
					   "usbip://host",
					   "usbip:///1-1",
					   "usbip://host/",
					   "usbip://host/a b",
					   "usbip://host:0/1-1",
					   "usbip://host/"
					   "0123456789012345678901234567890123",
					   "udp:host:1",
					   "tcp:host" };
	struct remote_spec spec;
	const char *why;

	(void)state;
	assert_int_equal(remote_parse(&spec, "usbip://host/1-1.2", &why), 0);
	assert_string_equal(spec.busid, "1-1.2");
	assert_string_equal(spec.address.host, "host");
	assert_string_equal(spec.address.port, "3240");
	assert_int_equal(remote_parse(&spec, "usbip://[::1]:99/b", &why), 0);
	assert_string_equal(spec.address.host, "::1");
	assert_string_equal(spec.address.port, "99");
	assert_int_equal(remote_parse(&spec, "usbip://[::1]/b", &why), 0);
	assert_string_equal(spec.address.port, "3240");
	assert_int_equal(remote_parse(&spec, "unix:/s", &why), 0);
	assert_string_equal(spec.busid, "");
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(remote_parse(&spec, bad[i], &why), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_redir_transfers),
		cmocka_unit_test(test_redir_zero_packet),
		cmocka_unit_test(test_redir_cancel),
		cmocka_unit_test(test_redir_interrupt),
		cmocka_unit_test(test_redir_unread),
		cmocka_unit_test(test_redir_iso_in),
		cmocka_unit_test(test_redir_iso_out),
		cmocka_unit_test(test_redir_admin),
		cmocka_unit_test(test_redir_disconnect),
		cmocka_unit_test(test_redir_host_is_stuck),
		cmocka_unit_test(test_redir_refused),
		cmocka_unit_test(test_redir_interfaces),
		cmocka_unit_test(test_redir_lies),
		cmocka_unit_test(test_usbip_transfers),
		cmocka_unit_test(test_usbip_unlink),
		cmocka_unit_test(test_usbip_admin),
		cmocka_unit_test(test_usbip_iso),
		cmocka_unit_test(test_usbip_iso_lies),
		cmocka_unit_test(test_usbip_refused),
		cmocka_unit_test(test_usbip_descriptors),
		cmocka_unit_test(test_usbip_lies),
		cmocka_unit_test(test_parse),
	};

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(i * 13);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
