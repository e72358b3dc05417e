// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Streams of a usbredir session: interrupt and bulk receiving, isochronous
 * streams, interrupt OUT. The test is the guest and the device.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "../lib/redir-guest.h"
#include "peer/link.h"
#include "frontend/redir_stream.h"

/* --- Words of a guest ------------------------------------------------------------- */

static void ask_interrupt(struct guest *g, bool start, uint8_t ep)
{
	ask(g, (struct usbredir_msg){
		       .type = start ? USBREDIR_START_INTERRUPT_RECEIVING
				     : USBREDIR_STOP_INTERRUPT_RECEIVING,
		       .interrupt_receiving.endpoint = ep });
}

static void ask_bulk(struct guest *g, bool start,
		     struct usbredir_bulk_receiving what)
{
	ask(g,
	    (struct usbredir_msg){ .type = start ? USBREDIR_START_BULK_RECEIVING
						 : USBREDIR_STOP_BULK_RECEIVING,
				   .bulk_receiving = what });
}

static void ask_iso(struct guest *g, bool start, uint8_t ep, uint8_t packets,
		    uint8_t urbs)
{
	ask(g, (struct usbredir_msg){ .type = start ? USBREDIR_START_ISO_STREAM
						    : USBREDIR_STOP_ISO_STREAM,
				      .iso_stream = { .endpoint = ep,
						      .pkts_per_urb = packets,
						      .no_urbs = urbs } });
}

static void expect_interrupt_status(struct guest *g, uint64_t id,
				    uint8_t status)
{
	struct usbredir_msg msg =
		expect(g, USBREDIR_INTERRUPT_RECEIVING_STATUS);

	assert_int_equal(msg.id, wire_id(g, id));
	assert_int_equal(msg.interrupt_receiving.status, status);
	expect_nothing(g);
}

static void expect_bulk_status(struct guest *g, uint64_t id, uint8_t status)
{
	struct usbredir_msg msg = expect(g, USBREDIR_BULK_RECEIVING_STATUS);

	assert_int_equal(msg.id, wire_id(g, id));
	assert_int_equal(msg.bulk_receiving.status, status);
	assert_int_equal(msg.bulk_receiving.endpoint, FAKE_IN);
	expect_nothing(g);
}

static void expect_iso_status(struct guest *g, uint64_t id, uint8_t ep,
			      uint8_t status)
{
	struct usbredir_msg msg = expect(g, USBREDIR_ISO_STREAM_STATUS);

	assert_int_equal(msg.id, wire_id(g, id));
	assert_int_equal(msg.iso_stream.endpoint, ep);
	assert_int_equal(msg.iso_stream.status, status);
	expect_nothing(g);
}

/* A packet that nobody asked for. Data is 0, 1, 2 ..., from first. */
static void expect_packet(struct guest *g, uint32_t type, uint64_t id,
			  uint8_t status, uint32_t len, uint8_t first)
{
	const uint8_t *payload;
	struct usbredir_msg msg = expect_data(g, type, &payload);

	assert_int_equal(msg.id, id);
	assert_int_equal(msg.transfer.status, status);
	assert_int_equal(msg.transfer.length, len);
	assert_int_equal(msg.data_len, len);
	for (uint32_t i = 0; i < len; i++)
		assert_int_equal(payload[i], (uint8_t)(first + i));
}

static unsigned int in_flight(const struct guest *g)
{
	return g->fake->device.inflight_urbs;
}

static void begin_interrupt(struct guest *g)
{
	begin(g, CAPS_ALL);
	ask_interrupt(g, true, FAKE_INT_IN);
	expect_interrupt_status(g, g->id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(g), REDIR_INTERRUPT_URBS);
}

/* --- Interrupt IN -------------------------------------------------------------------- */

static void test_interrupt_in(void **state)
{
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	for (uint32_t i = 0; i < 20; i++) {
		struct urb *urb = taken(&g);

		assert_int_equal(urb->type, USB_INTERRUPT);
		assert_int_equal(urb->ep, FAKE_INT_IN);
		assert_int_equal(urb->len, FAKE_INT_BYTES);
		assert_null(urb->buf);
		fake_complete(g.fake, urb, 0, i % FAKE_INT_BYTES);
		expect_packet(&g, USBREDIR_INTERRUPT_PACKET, i,
			      USBREDIR_SUCCESS, i % FAKE_INT_BYTES, 0);
		expect_nothing(&g);
		/* At once again, behind those that wait. */
		assert_int_equal(in_flight(&g), REDIR_INTERRUPT_URBS);
		assert_ptr_not_equal(taken(&g), urb);
	}
	/* Again: it runs already. */
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), REDIR_INTERRUPT_URBS);
	ask_interrupt(&g, false, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 0);
	ask_interrupt(&g, false, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	/* Ids begin anew. */
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	fake_complete(g.fake, taken(&g), 0, 3);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_SUCCESS, 3, 0);
	end(&g);
}

static void test_interrupt_refused(void **state)
{
	static const uint8_t wrong[] = { FAKE_IN, FAKE_ISO_IN, 0x8f, 0x80 };
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ask_interrupt(&g, true, wrong[i]);
		expect_interrupt_status(&g, g.id, USBREDIR_INVAL);
		ask_interrupt(&g, false, wrong[i]);
		expect_interrupt_status(&g, g.id, USBREDIR_INVAL);
	}
	/* An OUT endpoint is malformed. */
	ask_interrupt(&g, true, FAKE_INT_OUT);
	expect_nothing(&g);
	assert_int_equal(g.session.skipped, 1);
	g.fake->device.info.endpoint[usb_slot(FAKE_INT_IN)].max_packet = 0;
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_INVAL);
	assert_int_equal(in_flight(&g), 0);
	usb_leave(&g.fake->device);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_IOERROR);
	end(&g);
}

/* What one interval moves, bursts and all; but the wire has 16 bits for it. */
static void test_interrupt_length(void **state)
{
	struct usb_endpoint *ep;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ep = &g.fake->device.info.endpoint[usb_slot(FAKE_INT_IN)];
	ep->interval_bytes = 3072;
	ask_interrupt(&g, true, FAKE_INT_IN);
	assert_int_equal(taken(&g)->len, 3072);
	ask_interrupt(&g, false, FAKE_INT_IN);
	ep->interval_bytes = 98304;
	ask_interrupt(&g, true, FAKE_INT_IN);
	assert_int_equal(taken(&g)->len, 65535);
	end(&g);
}

static void test_interrupt_errors(void **state)
{
	uint64_t id = 0;
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	fake_complete(g.fake, taken(&g), -EOVERFLOW, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, id++, USBREDIR_BABBLE, 0,
		      0);
	fake_complete(g.fake, taken(&g), -EIO, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, id++, USBREDIR_IOERROR, 0,
		      0);
	fake_complete(g.fake, taken(&g), 0, 2);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, id++, USBREDIR_SUCCESS, 2,
		      0);
	/* Nothing but errors: it does not go on for ever. */
	for (int i = 1; i < REDIR_STREAM_FAILURES; i++) {
		fake_complete(g.fake, taken(&g), -EIO, 0);
		expect_packet(&g, USBREDIR_INTERRUPT_PACKET, id++,
			      USBREDIR_IOERROR, 0, 0);
		expect_nothing(&g);
	}
	fake_complete(g.fake, taken(&g), -EIO, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, id, USBREDIR_IOERROR, 0,
		      0);
	/* Only a stall means that it has ended. */
	expect_interrupt_status(&g, 0, USBREDIR_STALL);
	assert_int_equal(in_flight(&g), 0);
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	end(&g);
}

static void expect_restart(struct guest *g, unsigned int halts)
{
	expect_nothing(g);
	assert_int_equal(g->fake->halts_cleared, halts);
	assert_int_equal(in_flight(g), REDIR_INTERRUPT_URBS);
	fake_complete(g->fake, taken(g), 0, 1);
	expect_packet(g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_SUCCESS, 1, 0);
}

static void test_interrupt_stall(void **state)
{
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	fake_complete(g.fake, taken(&g), 0, 1);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_SUCCESS, 1, 0);
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 1, USBREDIR_STALL, 0, 0);
	expect_restart(&g, 1);
	/* URBs that take their time: the halt is cleared behind the last. */
	g.fake->hold_cancel = g.fake->hold_admin = true;
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 1, USBREDIR_STALL, 0, 0);
	fake_complete(g.fake, taken(&g), 0, 5); /* it is too late for it */
	assert_null(g.fake->admin);
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	fake_complete_all(g.fake, -ECANCELED);
	assert_non_null(g.fake->admin);
	expect_nothing(&g);
	usb_admin_complete(g.fake->admin, 0);
	expect_restart(&g, 2);
	end(&g);
}

static void test_interrupt_stalls_on(void **state)
{
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	for (int i = 0; i < REDIR_STREAM_STALLS; i++) {
		fake_complete(g.fake, taken(&g), -EPIPE, 0);
		expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_STALL,
			      0, 0);
		expect_nothing(&g);
	}
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_STALL, 0, 0);
	expect_interrupt_status(&g, 0, USBREDIR_STALL);
	assert_int_equal(in_flight(&g), 0);
	assert_int_equal(g.fake->halts_cleared, REDIR_STREAM_STALLS);
	end(&g);
}

static void test_interrupt_stays_stalled(void **state)
{
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	g.fake->admin_status = -EIO;
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_STALL, 0, 0);
	expect_interrupt_status(&g, 0, USBREDIR_STALL);
	assert_int_equal(in_flight(&g), 0);
	end(&g);
}

/* Stopped, detached, closed in the middle of clearing the halt. */
static void test_ends_while_clearing(void **state)
{
	struct guest g;

	(void)state;
	for (int how = 0; how < 3; how++) {
		begin_interrupt(&g);
		g.fake->hold_admin = g.fake->hold_close = true;
		fake_complete(g.fake, taken(&g), -EPIPE, 0);
		expect(&g, USBREDIR_INTERRUPT_PACKET);
		if (how == 0) {
			ask_interrupt(&g, false, FAKE_INT_IN);
			expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
		} else if (how == 1) {
			usb_leave(&g.fake->device);
			expect(&g, USBREDIR_DEVICE_DISCONNECT);
		}
		session_close(&g.session.base);
		assert_int_equal(g.closed, 0);
		usb_admin_complete(g.fake->admin, 0);
		assert_int_equal(in_flight(&g), 0);
		expect_nothing(&g);
		usb_closed(&g.fake->device);
		free_guest(&g);
	}
}

/* Started again before the URBs of before have come back. */
static void test_stop_with_urbs(void **state)
{
	struct urb *old;
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	g.fake->hold_cancel = true;
	old = taken(&g);
	ask_interrupt(&g, false, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 2 * REDIR_INTERRUPT_URBS);
	fake_complete(g.fake, old, 0, 7);
	for (int i = 1; i < REDIR_INTERRUPT_URBS; i++)
		fake_complete(g.fake, taken(&g), -ECANCELED, 0);
	expect_nothing(&g);
	fake_complete(g.fake, taken(&g), 0, 2);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_SUCCESS, 2, 0);
	end(&g);
}

/* The device takes no more: at the start, and later. */
static void test_not_taken(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->submit_error = -ENOMEM;
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_IOERROR);
	g.fake->submit_error = 0;
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	g.fake->submit_error = -ENODEV;
	fake_complete(g.fake, taken(&g), 0, 2);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_SUCCESS, 2, 0);
	expect_interrupt_status(&g, 0, USBREDIR_STALL);
	assert_int_equal(in_flight(&g), 0);
	end(&g);
}

static void test_quota(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (unsigned int i = 0; i + 3 < USB_MAX_INFLIGHT_URBS; i++)
		ask_bulk_in(&g, 1);
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_IOERROR);
	/* What it had of them it gave back. */
	assert_int_equal(in_flight(&g), USB_MAX_INFLIGHT_URBS - 3);
	end(&g);
}

/* A guest that does not take what comes: URBs wait, memory does not grow. */
static void test_full(void **state)
{
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	g.full = true;
	fake_complete(g.fake, taken(&g), 0, 1);
	fake_complete(g.fake, taken(&g), 0, 1);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_SUCCESS, 1, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 1, USBREDIR_SUCCESS, 1, 0);
	assert_int_equal(in_flight(&g), REDIR_INTERRUPT_URBS - 2);
	session_drained(&g.session.base); /* not so */
	assert_int_equal(in_flight(&g), REDIR_INTERRUPT_URBS - 2);
	/* A stall in between loses none of them. */
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 2, USBREDIR_STALL, 0, 0);
	assert_int_equal(in_flight(&g), 0);
	g.full = false;
	session_drained(&g.session.base);
	assert_int_equal(in_flight(&g), REDIR_INTERRUPT_URBS);
	session_drained(&g.session.base);
	assert_int_equal(in_flight(&g), REDIR_INTERRUPT_URBS);
	end(&g);
}

static void test_starts_full(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.full = true;
	ask_interrupt(&g, true, FAKE_INT_IN);
	expect_interrupt_status(&g, g.id, USBREDIR_SUCCESS);
	ask_iso(&g, true, FAKE_ISO_IN, 2, 2);
	expect_iso_status(&g, g.id, FAKE_ISO_IN, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 0);
	g.full = false;
	session_drained(&g.session.base);
	assert_int_equal(in_flight(&g), REDIR_INTERRUPT_URBS + 2);
	end(&g);
}

/* --- Interrupt OUT ------------------------------------------------------------------- */

static void tell_interrupt(struct guest *g, uint8_t ep, const char *data)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_INTERRUPT_PACKET,
		.id = wire_id(g, ++g->id),
		.data_len = (uint32_t)strlen(data),
		.transfer = { .endpoint = ep,
			      .length = (uint32_t)strlen(data) },
	};

	tell(g, &msg, data);
}

static void test_interrupt_out(void **state)
{
	struct usbredir_msg msg;
	struct urb *urb;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	tell_interrupt(&g, FAKE_INT_OUT, "lamps");
	urb = taken(&g);
	assert_int_equal(urb->type, USB_INTERRUPT);
	assert_int_equal(urb->len, 5);
	assert_memory_equal(urb->buf->data + urb->off, "lamps", 5);
	fake_complete(g.fake, urb, 0, 5);
	msg = expect(&g, USBREDIR_INTERRUPT_PACKET);
	assert_int_equal(msg.id, g.id);
	assert_int_equal(msg.transfer.status, USBREDIR_SUCCESS);
	assert_int_equal(msg.transfer.length, 5);
	assert_int_equal(msg.data_len, 0);
	tell_interrupt(&g, FAKE_INT_OUT, "");
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_transfer(&g, USBREDIR_INTERRUPT_PACKET, USBREDIR_STALL);
	tell_interrupt(&g, FAKE_INT_OUT, "never");
	ask_cancel(&g, g.id);
	expect_transfer(&g, USBREDIR_INTERRUPT_PACKET, USBREDIR_CANCELLED);
	assert_int_equal(in_flight(&g), 0);
	tell_interrupt(&g, 0x0f, "nobody");
	expect_transfer(&g, USBREDIR_INTERRUPT_PACKET, USBREDIR_INVAL);
	tell_interrupt(&g, FAKE_OUT, "bulk");
	expect_transfer(&g, USBREDIR_INTERRUPT_PACKET, USBREDIR_INVAL);
	/* A guest does not send IN: packets of that kind only go its way. */
	msg = (struct usbredir_msg){ .type = USBREDIR_INTERRUPT_PACKET,
				     .transfer.endpoint = FAKE_INT_IN };
	tell(&g, &msg, NULL);
	expect_nothing(&g);
	end(&g);
}

/* --- Bulk receiving ---------------------------------------------------------------------- */

static void test_bulk_receiving(void **state)
{
	struct usbredir_bulk_receiving what = { .endpoint = FAKE_IN,
						.bytes_per_transfer = 1024,
						.no_transfers = 3 };
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk(&g, true, what);
	expect_bulk_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 3);
	for (uint32_t i = 0; i < 10; i++) {
		assert_int_equal(taken(&g)->type, USB_BULK);
		assert_int_equal(taken(&g)->len, 1024);
		fake_complete(g.fake, taken(&g), 0, i * 100);
		expect_packet(&g, USBREDIR_BUFFERED_BULK_PACKET, i,
			      USBREDIR_SUCCESS, i * 100, 0);
		assert_int_equal(in_flight(&g), 3);
	}
	/* Its own transfers are none of the stream's. */
	ask_bulk_in(&g, 10);
	assert_int_equal(in_flight(&g), 4);
	ask_cancel(&g, 3);
	expect_nothing(&g);
	ask_bulk(&g, true, what);
	expect_bulk_status(&g, g.id, USBREDIR_SUCCESS);
	what.no_transfers = 2;
	ask_bulk(&g, true, what);
	expect_bulk_status(&g, g.id, USBREDIR_INVAL);
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_packet(&g, USBREDIR_BUFFERED_BULK_PACKET, 10, USBREDIR_STALL, 0,
		      0);
	expect_nothing(&g);
	assert_int_equal(g.fake->halts_cleared, 1);
	assert_int_equal(in_flight(&g), 4);
	ask_bulk(&g, false, what);
	expect_bulk_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 1);
	end(&g);
}

static void test_bulk_receiving_of_streams(void **state)
{
	struct usbredir_bulk_receiving what = { .endpoint = FAKE_IN,
						.stream_id = FAKE_STREAMS,
						.bytes_per_transfer = 512,
						.no_transfers = 1 };
	const uint8_t *payload;
	struct usbredir_msg msg;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk(&g, true, what);
	expect_bulk_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(taken(&g)->stream, FAKE_STREAMS);
	fake_complete(g.fake, taken(&g), 0, 5);
	msg = expect_data(&g, USBREDIR_BUFFERED_BULK_PACKET, &payload);
	assert_int_equal(msg.transfer.stream_id, FAKE_STREAMS);
	what.stream_id = 1;
	ask_bulk(&g, true, what);
	expect_bulk_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 2);
	what.stream_id = FAKE_STREAMS;
	ask_bulk(&g, false, what);
	expect_bulk_status(&g, g.id, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 1);
	/* Not theirs, not this endpoint's: it goes on. */
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FREE_BULK_STREAMS,
				       .bulk_streams.endpoints =
					       1u << usb_slot(FAKE_OUT) });
	expect(&g, USBREDIR_BULK_STREAMS_STATUS);
	assert_int_equal(in_flight(&g), 1);
	end(&g);
}

static void test_bulk_receiving_refused(void **state)
{
	static const struct usbredir_bulk_receiving wrong[] = {
		{ 0, 0, FAKE_IN, 1, 0 },
		{ 0, 513, FAKE_IN, 1, 0 },
		{ 0, 512, FAKE_IN, 0, 0 },
		{ 0, 512, FAKE_IN, REDIR_MAX_TRANSFERS + 1, 0 },
		{ FAKE_STREAMS + 1, 512, FAKE_IN, 1, 0 },
	};
	struct usbredir_msg msg;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		g.full = i & 1; /* it need not come to submitting */
		ask_bulk(&g, true, wrong[i]);
		expect_bulk_status(&g, g.id, USBREDIR_INVAL);
		g.full = !g.full;
		ask_bulk(&g, true, wrong[i]);
		expect_bulk_status(&g, g.id, USBREDIR_INVAL);
	}
	g.full = false;
	ask_bulk(&g, true,
		 (struct usbredir_bulk_receiving){ 0, 512, FAKE_INT_IN, 1, 0 });
	msg = expect(&g, USBREDIR_BULK_RECEIVING_STATUS);
	assert_int_equal(msg.bulk_receiving.status, USBREDIR_INVAL);
	/* More than may be in flight. */
	ask_bulk(&g, true,
		 (struct usbredir_bulk_receiving){ 0, USB_MAX_URB_BYTES,
						   FAKE_IN, 2, 0 });
	expect_bulk_status(&g, g.id, USBREDIR_IOERROR);
	assert_int_equal(in_flight(&g), 0);
	end(&g);
}

/* --- Isochronous IN ------------------------------------------------------------------------ */

static void begin_iso(struct guest *g, uint8_t ep, uint8_t packets,
		      uint8_t urbs)
{
	begin(g, CAPS_ALL);
	ask_iso(g, true, ep, packets, urbs);
	expect_iso_status(g, g->id, ep, USBREDIR_SUCCESS);
}

static void test_iso_in(void **state)
{
	struct urb *urb;
	struct guest g;

	(void)state;
	begin_iso(&g, FAKE_ISO_IN, 4, 3);
	assert_int_equal(in_flight(&g), 3);
	urb = taken(&g);
	assert_int_equal(urb->type, USB_ISO);
	assert_int_equal(urb->n_packets, 4);
	assert_int_equal(urb->len, 4 * FAKE_ISO_BYTES);
	assert_int_equal(urb->packets[3].len, FAKE_ISO_BYTES);
	fake_complete(g.fake, urb, 0, urb->len);
	for (unsigned int i = 0; i < 4; i++)
		expect_packet(&g, USBREDIR_ISO_PACKET, i, USBREDIR_SUCCESS,
			      FAKE_ISO_BYTES, (uint8_t)(i * FAKE_ISO_BYTES));
	expect_nothing(&g);
	assert_int_equal(in_flight(&g), 3);
	/* Short ones, a lost one, an empty one. */
	urb = taken(&g);
	urb->packets[0].actual = 10;
	urb->packets[1].status = -EIO;
	urb->packets[3].actual = 99;
	fake_complete(g.fake, urb, 0, 109);
	expect_packet(&g, USBREDIR_ISO_PACKET, 4, USBREDIR_SUCCESS, 10, 0);
	expect_packet(&g, USBREDIR_ISO_PACKET, 5, USBREDIR_IOERROR, 0, 0);
	expect_packet(&g, USBREDIR_ISO_PACKET, 6, USBREDIR_SUCCESS, 0, 0);
	expect_packet(&g, USBREDIR_ISO_PACKET, 7, USBREDIR_SUCCESS, 99,
		      (uint8_t)(3 * FAKE_ISO_BYTES));
	expect_nothing(&g);
	/* None of the last time are left. */
	assert_int_equal(urb->packets[1].status, 0);
	assert_int_equal(urb->packets[3].actual, 0);
	/* A URB that failed as a whole says so once. */
	fake_complete(g.fake, taken(&g), -EIO, 0);
	expect_packet(&g, USBREDIR_ISO_PACKET, 8, USBREDIR_IOERROR, 0, 0);
	expect_nothing(&g);
	/* A stall is mended, and nobody need know: ids begin anew. */
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_nothing(&g);
	assert_int_equal(g.fake->halts_cleared, 1);
	assert_int_equal(in_flight(&g), 3);
	fake_complete(g.fake, taken(&g), 0, 4 * FAKE_ISO_BYTES);
	expect_packet(&g, USBREDIR_ISO_PACKET, 0, USBREDIR_SUCCESS,
		      FAKE_ISO_BYTES, 0);
	g.out_at = g.out_len;
	ask_iso(&g, true, FAKE_ISO_IN, 4, 3);
	expect_iso_status(&g, g.id, FAKE_ISO_IN, USBREDIR_SUCCESS);
	ask_iso(&g, true, FAKE_ISO_IN, 4, 2);
	expect_iso_status(&g, g.id, FAKE_ISO_IN, USBREDIR_INVAL);
	/* One that cannot be mended. */
	g.fake->admin_status = -EIO;
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_iso_status(&g, 0, FAKE_ISO_IN, USBREDIR_STALL);
	assert_int_equal(in_flight(&g), 0);
	end(&g);
}

static void test_iso_refused(void **state)
{
	static const uint8_t wrong[][3] = {
		{ FAKE_ISO_IN, 0, 1 },	 { FAKE_ISO_IN, 1, 0 },
		{ FAKE_ISO_IN, 33, 1 },	 { FAKE_ISO_IN, 1, 17 },
		{ FAKE_ISO_OUT, 33, 1 }, { FAKE_ISO_OUT, 1, 17 },
		{ FAKE_IN, 1, 1 },	 { 0x0f, 1, 1 },
		{ 0xf5, 1, 1 },
	};
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ask_iso(&g, true, wrong[i][0], wrong[i][1], wrong[i][2]);
		expect_iso_status(&g, g.id, wrong[i][0], USBREDIR_INVAL);
	}
	assert_int_equal(in_flight(&g), 0);
	assert_int_equal(g.pool.lent, 0);
	ask_iso(&g, false, FAKE_ISO_OUT, 0, 0);
	expect_iso_status(&g, g.id, FAKE_ISO_OUT, USBREDIR_SUCCESS);
	end(&g);
}

/* --- Isochronous OUT ------------------------------------------------------------------------- */

static void tell_iso(struct guest *g, uint8_t first, uint32_t len)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_ISO_PACKET,
		.id = 77, /* nobody cares */
		.data_len = len,
		.transfer = { .endpoint = FAKE_ISO_OUT, .length = len },
	};
	uint8_t data[FAKE_ISO_BYTES + 1];

	memset(data, first, sizeof(data));
	tell(g, &msg, data);
}

/* Packets of lengths and contents first, first + 1 ... */
static void tell_iso_some(struct guest *g, uint8_t first, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		tell_iso(g, (uint8_t)(first + i), first + i);
}

static void expect_gathered(struct guest *g, const struct urb *urb,
			    uint8_t first, unsigned int n)
{
	const uint8_t *p = urb->buf->data + urb->off;
	uint32_t len = 0;

	assert_int_equal(urb->type, USB_ISO);
	assert_int_equal(urb->n_packets, n);
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(urb->packets[i].len, first + i);
		for (uint32_t k = 0; k < urb->packets[i].len; k++)
			assert_int_equal(*p++, first + i);
		len += urb->packets[i].len;
	}
	assert_int_equal(urb->len, len);
	expect_nothing(g);
}

static struct urb *nth(struct guest *g, unsigned int n)
{
	struct list *node = g->fake->taken.next;

	while (n--)
		node = node->next;
	assert_ptr_not_equal(node, &g->fake->taken);
	return list_entry(node, struct urb, backend_node);
}

static struct redir_stream *the_stream(struct guest *g)
{
	return list_first(&g->session.streams, struct redir_stream, node);
}

static void test_iso_out(void **state)
{
	struct guest g;

	(void)state;
	begin_iso(&g, FAKE_ISO_OUT, 4, 4);
	/* Half of it first. */
	tell_iso_some(&g, 0, 7);
	assert_int_equal(in_flight(&g), 0);
	tell_iso_some(&g, 7, 1);
	assert_int_equal(in_flight(&g), 2);
	expect_gathered(&g, nth(&g, 0), 0, 4);
	expect_gathered(&g, nth(&g, 1), 4, 4);
	/* Then each URB when it is full. */
	tell_iso_some(&g, 8, 3);
	assert_int_equal(in_flight(&g), 2);
	tell_iso_some(&g, 11, 1);
	assert_int_equal(in_flight(&g), 3);
	expect_gathered(&g, nth(&g, 2), 8, 4);
	tell_iso_some(&g, 12, 4);
	assert_int_equal(in_flight(&g), 4);
	/* No room: dropped, which is not an answer. */
	tell_iso_some(&g, 50, 3);
	assert_int_equal(the_stream(&g)->dropped, 3);
	fake_complete(g.fake, taken(&g), 0, 6);
	expect_nothing(&g);
	tell_iso_some(&g, 20, 4);
	assert_int_equal(in_flight(&g), 4);
	expect_gathered(&g, nth(&g, 3), 20, 4);
	/* It runs dry: half of it first, again. */
	tell_iso_some(&g, 30, 0);
	fake_complete_all(g.fake, 0);
	tell_iso_some(&g, 30, 7);
	assert_int_equal(in_flight(&g), 0);
	tell_iso_some(&g, 37, 1);
	assert_int_equal(in_flight(&g), 2);
	expect_gathered(&g, nth(&g, 0), 30, 4);
	expect_nothing(&g);
	/* As long as the endpoint takes, and longer. */
	tell_iso(&g, 1, FAKE_ISO_BYTES);
	expect_nothing(&g);
	tell_iso(&g, 1, FAKE_ISO_BYTES + 1);
	expect_iso_status(&g, 0, FAKE_ISO_OUT, USBREDIR_INVAL);
	assert_int_equal(the_stream(&g)->dropped, 4);
	ask_iso(&g, false, FAKE_ISO_OUT, 0, 0);
	expect_iso_status(&g, g.id, FAKE_ISO_OUT, USBREDIR_SUCCESS);
	assert_int_equal(in_flight(&g), 0);
	assert_int_equal(g.pool.lent, 0);
	tell_iso_some(&g, 1, 3);
	expect_nothing(&g);
	end(&g);
}

/* Halves that are no whole URBs. */
static void test_iso_out_odd(void **state)
{
	static const uint8_t shapes[][2] = { { 1, 1 },	{ 4, 1 },   { 3, 3 },
					     { 1, 16 }, { 32, 16 }, { 5, 2 } };
	struct guest g;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shapes); i++) {
		unsigned int packets = shapes[i][0], urbs = shapes[i][1];
		unsigned int first = MAX(packets, packets * urbs / 2);

		begin_iso(&g, FAKE_ISO_OUT, shapes[i][0], shapes[i][1]);
		for (unsigned int n = 1; n < first; n++) {
			tell_iso(&g, 1, 1);
			assert_int_equal(in_flight(&g), 0);
		}
		tell_iso(&g, 1, 1);
		assert_int_equal(in_flight(&g), first / packets);
		for (unsigned int n = first; n < packets * urbs; n++)
			tell_iso(&g, 1, 1);
		assert_int_equal(in_flight(&g), urbs);
		assert_int_equal(the_stream(&g)->dropped, 0);
		end(&g);
	}
}

/* The ring of URBs wraps: the oldest leaves first all the same. */
static void test_iso_out_order(void **state)
{
	struct guest g;

	(void)state;
	begin_iso(&g, FAKE_ISO_OUT, 2, 4);
	tell_iso_some(&g, 1, 6);
	assert_int_equal(in_flight(&g), 3);
	fake_complete_all(g.fake, 0);
	tell_iso_some(&g, 10, 4);
	assert_int_equal(in_flight(&g), 2);
	expect_gathered(&g, nth(&g, 0), 10, 2);
	expect_gathered(&g, nth(&g, 1), 12, 2);
	end(&g);
}

static void test_iso_out_errors(void **state)
{
	struct urb *urb;
	struct guest g;

	(void)state;
	begin_iso(&g, FAKE_ISO_OUT, 2, 4);
	tell_iso_some(&g, 1, 8);
	assert_int_equal(in_flight(&g), 4);
	urb = taken(&g);
	urb->packets[1].status = -EIO;
	fake_complete(g.fake, urb, 0, urb->len);
	expect_iso_status(&g, 0, FAKE_ISO_OUT, USBREDIR_IOERROR);
	fake_complete(g.fake, taken(&g), 0, 0);
	expect_nothing(&g);
	/* A stall: the rest is cancelled, half of it first, again. */
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	expect_nothing(&g);
	assert_int_equal(g.fake->halts_cleared, 1);
	tell_iso_some(&g, 10, 3);
	assert_int_equal(in_flight(&g), 0);
	tell_iso_some(&g, 13, 1);
	assert_int_equal(in_flight(&g), 2);
	expect_gathered(&g, nth(&g, 0), 10, 2);
	/* While it is being mended there is no room. */
	g.fake->hold_admin = true;
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	tell_iso_some(&g, 1, 8);
	assert_int_equal(the_stream(&g)->dropped, 8);
	expect_nothing(&g);
	usb_admin_complete(g.fake->admin, -EIO);
	expect_iso_status(&g, 0, FAKE_ISO_OUT, USBREDIR_STALL);
	assert_int_equal(g.pool.lent, 0);
	/* Nothing can be submitted. */
	g.fake->hold_admin = false;
	ask_iso(&g, true, FAKE_ISO_OUT, 1, 2);
	expect_iso_status(&g, g.id, FAKE_ISO_OUT, USBREDIR_SUCCESS);
	g.fake->submit_error = -ENODEV;
	tell_iso(&g, 1, 1);
	expect_iso_status(&g, 0, FAKE_ISO_OUT, USBREDIR_STALL);
	assert_int_equal(g.pool.lent, 0);
	end(&g);
}

/* --- The end of all of them ---------------------------------------------------------------------- */

#define ALL_URBS (REDIR_INTERRUPT_URBS + 2 + 3 + 2)

static void begin_all(struct guest *g)
{
	begin_interrupt(g);
	ask_bulk(g, true,
		 (struct usbredir_bulk_receiving){ 0, 512, FAKE_IN, 2, 0 });
	ask_iso(g, true, FAKE_ISO_IN, 4, 3);
	ask_iso(g, true, FAKE_ISO_OUT, 1, 4);
	tell_iso_some(g, 1, 2);
	assert_int_equal(in_flight(g), ALL_URBS);
	g->out_at = g->out_len;
}

static void test_ended_by_requests(void **state)
{
	static const struct {
		struct usbredir_msg msg;
		unsigned int left;
	} cases[] = {
		{ { .type = USBREDIR_SET_CONFIGURATION,
		    .configuration.configuration = 1 },
		  0 },
		{ { .type = USBREDIR_RESET }, 0 },
		{ { .type = USBREDIR_SET_ALT_SETTING,
		    .alt_setting.interface = 1 },
		  ALL_URBS - 5 },
		{ { .type = USBREDIR_SET_ALT_SETTING,
		    .alt_setting.interface = 0 },
		  5 },
		{ { .type = USBREDIR_ALLOC_BULK_STREAMS,
		    .bulk_streams = { .endpoints = 1u << 17,
				      .no_streams = 4 } },
		  ALL_URBS - 2 },
		{ { .type = USBREDIR_FREE_BULK_STREAMS,
		    .bulk_streams.endpoints = 1u << 17 },
		  ALL_URBS - 2 },
		{ { .type = USBREDIR_GET_CONFIGURATION }, ALL_URBS },
		{ { .type = USBREDIR_CONTROL_PACKET, /* SET_CONFIGURATION */
		    .control = { .request = 9, .value = 1 } },
		  0 },
		{ { .type = USBREDIR_CONTROL_PACKET, /* CLEAR_FEATURE(HALT) */
		    .control = { .requesttype = 2,
				 .request = 1,
				 .index = FAKE_INT_IN } },
		  ALL_URBS },
	};
	struct guest g;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin_all(&g);
		g.fake->hold_admin = true;
		ask(&g, cases[i].msg);
		assert_int_equal(in_flight(&g), cases[i].left);
		expect_nothing(&g); /* the guest knows */
		end(&g);
	}
}

static void test_ended_by_device(void **state)
{
	struct guest g;

	(void)state;
	begin_all(&g);
	g.fake->hold_cancel = g.fake->hold_close = true;
	usb_leave(&g.fake->device);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	assert_int_equal(in_flight(&g), ALL_URBS);
	while (fake_first(g.fake))
		fake_complete(g.fake, taken(&g), 0, 1);
	expect_nothing(&g);
	usb_closed(&g.fake->device);
	end(&g);
}

static void test_ended_by_reject(void **state)
{
	struct guest g;

	(void)state;
	begin_all(&g);
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FILTER_REJECT });
	assert_int_equal(in_flight(&g), 0);
	expect_nothing(&g);
	end(&g);
}

static void test_ended_by_close(void **state)
{
	struct guest g;

	(void)state;
	begin_all(&g);
	g.fake->hold_cancel = g.fake->hold_close = true;
	session_close(&g.session.base);
	assert_int_equal(g.closed, 0);
	fake_complete(g.fake, taken(&g), 0, 1);
	fake_complete(g.fake, taken(&g), -EPIPE, 0);
	fake_complete_all(g.fake, -ESHUTDOWN);
	assert_int_equal(g.closed, 0);
	usb_closed(&g.fake->device);
	free_guest(&g);
}

/* The device goes, and its URBs say so before it does. */
static void test_shutdown(void **state)
{
	struct guest g;

	(void)state;
	begin_interrupt(&g);
	fake_complete(g.fake, taken(&g), -ESHUTDOWN, 0);
	expect_packet(&g, USBREDIR_INTERRUPT_PACKET, 0, USBREDIR_IOERROR, 0, 0);
	expect_interrupt_status(&g, 0, USBREDIR_STALL);
	assert_int_equal(in_flight(&g), 0);
	end(&g);
}

/* --- Streams of bulk endpoints ------------------------------------------------------------------- */

static void test_bulk_streams(void **state)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_ALLOC_BULK_STREAMS,
		.bulk_streams = { .endpoints = 1u << 17 | 1u << 2,
				  .no_streams = 4 },
	};
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	expect(&g, USBREDIR_HELLO);
	g.fake->hold_urbs = true;
	tell_hello(&g, CAPS_ALL);
	assert_int_equal(expect(&g, USBREDIR_EP_INFO).ep_info.max_streams[17],
			 FAKE_STREAMS);
	g.out_at = g.out_len;
	ask(&g, msg);
	msg = expect(&g, USBREDIR_BULK_STREAMS_STATUS);
	assert_int_equal(msg.id, g.id);
	assert_int_equal(msg.bulk_streams.status, USBREDIR_SUCCESS);
	assert_int_equal(msg.bulk_streams.no_streams, 4);
	assert_int_equal(msg.bulk_streams.endpoints, 1u << 17 | 1u << 2);
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_BULK_PACKET,
				       .transfer = { .endpoint = FAKE_IN,
						     .length = 5,
						     .stream_id = 4 } });
	assert_int_equal(taken(&g)->stream, 4);
	fake_complete(g.fake, taken(&g), 0, 5);
	msg = expect(&g, USBREDIR_BULK_PACKET);
	assert_int_equal(msg.transfer.stream_id, 4);
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FREE_BULK_STREAMS,
				       .bulk_streams.endpoints = 1u << 17 });
	msg = expect(&g, USBREDIR_BULK_STREAMS_STATUS);
	assert_int_equal(msg.bulk_streams.status, USBREDIR_SUCCESS);
	assert_int_equal(msg.bulk_streams.no_streams, 0);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interrupt_in),
		cmocka_unit_test(test_interrupt_refused),
		cmocka_unit_test(test_interrupt_length),
		cmocka_unit_test(test_interrupt_errors),
		cmocka_unit_test(test_interrupt_stall),
		cmocka_unit_test(test_interrupt_stalls_on),
		cmocka_unit_test(test_interrupt_stays_stalled),
		cmocka_unit_test(test_ends_while_clearing),
		cmocka_unit_test(test_stop_with_urbs),
		cmocka_unit_test(test_not_taken),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_starts_full),
		cmocka_unit_test(test_interrupt_out),
		cmocka_unit_test(test_bulk_receiving),
		cmocka_unit_test(test_bulk_receiving_of_streams),
		cmocka_unit_test(test_bulk_receiving_refused),
		cmocka_unit_test(test_iso_in),
		cmocka_unit_test(test_iso_refused),
		cmocka_unit_test(test_iso_out),
		cmocka_unit_test(test_iso_out_odd),
		cmocka_unit_test(test_iso_out_order),
		cmocka_unit_test(test_iso_out_errors),
		cmocka_unit_test(test_ended_by_requests),
		cmocka_unit_test(test_ended_by_device),
		cmocka_unit_test(test_ended_by_reject),
		cmocka_unit_test(test_ended_by_close),
		cmocka_unit_test(test_shutdown),
		cmocka_unit_test(test_bulk_streams),
	};

	/* What goes wrong is logged; it is expected here. */
	log_level = LOG_LEVEL_ERR;
	chunking = CHUNK_ALL;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
