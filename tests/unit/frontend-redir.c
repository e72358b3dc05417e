// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A usbredir session without I/O: the test is the guest. Bytes go in by
 * redir_session_space() and redir_session_filled(), what ops.send gets is
 * decoded again, the device is a fake one. All tests run three times, with
 * the bytes coming in at once, one by one, and in random pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/redir-guest.h"
#include "wire/filter.h"

/* --- Hello ----------------------------------------------------------------------------------- */

static void test_hello_first(void **state)
{
	const uint8_t *payload;
	struct usbredir_msg msg;
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	msg = expect_data(&g, USBREDIR_HELLO, &payload);
	assert_int_equal(msg.id, 0);
	assert_int_equal(msg.data_len, 4);
	assert_int_equal(usbredir_decode_caps(span_of(payload, 4)), REDIR_CAPS);
	assert_memory_equal(msg.hello.version, "ryll-bridge ", 12);
	/* QEMU's xHCI needs these. */
	assert_int_equal(REDIR_CAPS & 0x70, 0x70);
	expect_nothing(&g);
	/* Not before all of the peer's hello is there. */
	tell_header(&g, USBREDIR_HELLO, 68);
	feed_zeros(&g, 67);
	expect_nothing(&g);
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	feed_zeros(&g, 1);
	expect_attach(&g, USBREDIR_SPEED_HIGH);
	end(&g);
}

/* A guest of the first version: a hello without any capabilities. */
static void test_hello_without_caps(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	expect(&g, USBREDIR_HELLO);
	tell_header(&g, USBREDIR_HELLO, 64);
	feed_zeros(&g, 64);
	expect_attach(&g, USBREDIR_SPEED_HIGH);
	assert_int_equal(g.session.caps, 0);
	end(&g);
}

static void test_hello_of_the_future(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	expect(&g, USBREDIR_HELLO);
	tell_header(&g, USBREDIR_HELLO, 64 + 8 * 4);
	feed_zeros(&g, 64);
	feed(&g, "\xff\xff\xff\xff", 4);
	feed_zeros(&g, 7 * 4);
	g.caps = REDIR_CAPS;
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

static void expect_failure(uint32_t type, uint32_t length)
{
	struct guest g;

	begin_silent(&g, true);
	expect(&g, USBREDIR_HELLO);
	tell_header(&g, type, length);
	assert_int_equal(g.failed, 1);
	/* Nothing is looked at any more. */
	feed_zeros(&g, 1000);
	assert_int_equal(g.failed, 1);
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	expect_nothing(&g);
	end(&g);
}

static void test_no_hello(void **state)
{
	(void)state;
	expect_failure(USBREDIR_RESET, 0);
	expect_failure(0x20544547, 0x5448202f); /* "GET / HT" */
	expect_failure(0x444552, 0);		/* "RED" */
}

static void test_malformed_hello(void **state)
{
	(void)state;
	expect_failure(USBREDIR_HELLO, 63);
	expect_failure(USBREDIR_HELLO, 66); /* half a word */
	expect_failure(USBREDIR_HELLO, 64 + 65 * 4);
	expect_failure(USBREDIR_HELLO, UINT32_MAX);
}

static void test_second_hello(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	tell_header(&g, USBREDIR_HELLO, 64);
	feed_zeros(&g, 64);
	expect_nothing(&g);
	assert_int_equal(g.failed, 0);
	assert_int_equal(g.session.caps, REDIR_CAPS);
	ask_bulk_in(&g, 10);
	fake_complete(g.fake, taken(&g), 0, 10);
	expect(&g, USBREDIR_BULK_PACKET);
	end(&g);
}

static void test_speed_by_caps(void **state)
{
	static const uint32_t needed[] = {
		USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE,
		USBREDIR_CAP_64BITS_IDS,
		USBREDIR_CAP_32BITS_BULK_LENGTH,
	};
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	expect(&g, USBREDIR_HELLO);
	tell_hello(&g, CAPS_ALL);
	assert_int_equal(g.fake->speed, USB_SPEED_SUPER);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		begin_silent(&g, true);
		expect(&g, USBREDIR_HELLO);
		tell_hello(&g, CAPS_ALL & ~needed[i]);
		assert_int_equal(g.fake->speed, USB_SPEED_HIGH);
		expect_attach(&g, USBREDIR_SPEED_HIGH);
		end(&g);
	}
}

/* --- Requests that change the device ------------------------------------------------------------ */

static void ask_configuration(struct guest *g, uint8_t value)
{
	ask(g, (struct usbredir_msg){ .type = USBREDIR_SET_CONFIGURATION,
				      .configuration.configuration = value });
}

static void expect_configuration(struct guest *g, uint8_t status, uint8_t value)
{
	struct usbredir_msg msg = expect(g, USBREDIR_CONFIGURATION_STATUS);

	assert_int_equal(msg.id, wire_id(g, g->id));
	assert_int_equal(msg.configuration.status, status);
	assert_int_equal(msg.configuration.configuration, value);
	expect_nothing(g);
}

static void test_configuration(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_configuration(&g, 1);
	expect_endpoints(&g);
	expect_configuration(&g, USBREDIR_SUCCESS, 1);
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_GET_CONFIGURATION });
	expect_configuration(&g, USBREDIR_SUCCESS, 1);
	/* Nothing has changed when it fails. */
	g.fake->admin_status = -EINVAL;
	ask_configuration(&g, 9);
	expect_configuration(&g, USBREDIR_INVAL, 9);
	end(&g);
}

static void expect_alt(struct guest *g, uint8_t status, uint8_t interface,
		       uint8_t alt)
{
	struct usbredir_msg msg = expect(g, USBREDIR_ALT_SETTING_STATUS);

	assert_int_equal(msg.id, wire_id(g, g->id));
	assert_int_equal(msg.alt_setting.status, status);
	assert_int_equal(msg.alt_setting.interface, interface);
	assert_int_equal(msg.alt_setting.alt, alt);
	expect_nothing(g);
}

static void test_alt_setting(void **state)
{
	struct usbredir_msg set = { .type = USBREDIR_SET_ALT_SETTING,
				    .alt_setting = { .interface = 1,
						     .alt = 2 } };
	struct usbredir_msg get = { .type = USBREDIR_GET_ALT_SETTING,
				    .alt_setting.interface = 1 };
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask(&g, set);
	expect_endpoints(&g);
	expect_alt(&g, USBREDIR_SUCCESS, 1, 2);
	ask(&g, get);
	expect_alt(&g, USBREDIR_SUCCESS, 1, 0);
	g.fake->admin_status = -EPIPE;
	ask(&g, set);
	expect_alt(&g, USBREDIR_STALL, 1, 2);
	end(&g);
}

/* Raw control requests that are admin requests in disguise. */
static void test_control_becomes_admin(void **state)
{
	struct usbredir_msg msg = { .type = USBREDIR_CONTROL_PACKET,
				    .control = { .request = 9, .value = 1 } };
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask(&g, msg); /* SET_CONFIGURATION */
	expect_endpoints(&g);
	expect_transfer(&g, USBREDIR_CONTROL_PACKET, USBREDIR_SUCCESS);
	msg.control = (struct usbredir_control){ .requesttype = 2,
						 .request = 1,
						 .index = FAKE_IN };
	ask(&g, msg); /* CLEAR_FEATURE(ENDPOINT_HALT) */
	expect_transfer(&g, USBREDIR_CONTROL_PACKET, USBREDIR_SUCCESS);
	assert_null(fake_first(g.fake));
	end(&g);
}

static void tell_ack(struct guest *g)
{
	ask(g, (struct usbredir_msg){ .type = USBREDIR_DEVICE_DISCONNECT_ACK });
}

static void test_reset(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_reset(&g);
	ask_reset(&g);
	expect_nothing(&g);
	assert_int_equal(g.fake->resets, 2);
	/* The only way to tell that it failed. */
	g.fake->admin_status = -EIO;
	ask_reset(&g);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	tell_ack(&g);
	expect_nothing(&g); /* not again, before it has been away */
	usb_set_absent(&g.fake->device, true);
	usb_set_absent(&g.fake->device, false);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

/* --- Transfers ------------------------------------------------------------------------------------ */

static void test_control_in(void **state)
{
	const uint8_t *payload;
	struct usbredir_msg msg;
	struct urb *urb;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_control_in(&g, 64);
	urb = taken(&g);
	assert_int_equal(urb->type, USB_CONTROL);
	assert_int_equal(urb->setup.value, 0x0100);
	assert_int_equal(urb->setup.length, 64);
	expect_nothing(&g);
	fake_complete(g.fake, urb, 0, 18);
	msg = expect_data(&g, USBREDIR_CONTROL_PACKET, &payload);
	assert_int_equal(msg.id, g.id);
	assert_int_equal(msg.control.endpoint, 0x80);
	assert_int_equal(msg.control.requesttype, 0x80);
	assert_int_equal(msg.control.request, 6);
	assert_int_equal(msg.control.value, 0x0100);
	assert_int_equal(msg.control.length, 18);
	assert_int_equal(msg.data_len, 18);
	assert_int_equal(payload[17], 17);
	expect_nothing(&g);
	end(&g);
}

static void test_control_out(void **state)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_CONTROL_PACKET,
		.data_len = 6,
		.control = { .requesttype = 0x40, .request = 7, .length = 6 },
	};
	struct urb *urb;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	msg.id = ++g.id;
	tell(&g, &msg, "abcdef");
	urb = taken(&g);
	assert_memory_equal(urb->buf->data + urb->off, "abcdef", 6);
	fake_complete(g.fake, urb, 0, 6);
	msg = expect(&g, USBREDIR_CONTROL_PACKET);
	assert_int_equal(msg.control.length, 6);
	assert_int_equal(msg.data_len, 0);
	expect_nothing(&g);
	end(&g);
}

/* Lengths around the bound of staging and around 16 bits. */
static void test_bulk_in(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 4096, 65535, 65536, 1 << 20 };
	const uint8_t *payload;
	struct usbredir_msg msg;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		ask_bulk_in(&g, lengths[i]);
		assert_int_equal(taken(&g)->len, lengths[i]);
		fake_complete(g.fake, taken(&g), 0, lengths[i]);
		msg = expect_data(&g, USBREDIR_BULK_PACKET, &payload);
		assert_int_equal(msg.id, g.id);
		assert_int_equal(msg.transfer.endpoint, FAKE_IN);
		assert_int_equal(msg.transfer.status, USBREDIR_SUCCESS);
		assert_int_equal(msg.transfer.length, lengths[i]);
		assert_int_equal(msg.data_len, lengths[i]);
		if (lengths[i])
			assert_int_equal(payload[lengths[i] - 1],
					 (lengths[i] - 1) & 0xff);
	}
	expect_nothing(&g);
	end(&g);
}

static void test_bulk_out(void **state)
{
	static const uint32_t lengths[] = { 0,	   1,	  4095,	 4096,
					    20000, 65535, 65536, 200001 };
	static uint8_t data[200001];
	struct usbredir_msg msg;
	struct guest g;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 11 + (i >> 8));
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct urb *urb;

		ask_bulk_out(&g, data, lengths[i]);
		urb = taken(&g);
		assert_int_equal(urb->len, lengths[i]);
		if (urb->len)
			assert_memory_equal(urb->buf->data + urb->off, data,
					    urb->len);
		fake_complete(g.fake, urb, 0, lengths[i]);
		msg = expect(&g, USBREDIR_BULK_PACKET);
		assert_int_equal(msg.id, g.id);
		assert_int_equal(msg.transfer.endpoint, FAKE_OUT);
		assert_int_equal(msg.transfer.length, lengths[i]);
		assert_int_equal(msg.data_len, 0);
	}
	expect_nothing(&g);
	end(&g);
}

/* 32-bit ids, 16-bit lengths. */
static void test_bulk_without_caps(void **state)
{
	struct usbredir_msg msg;
	struct guest g;

	(void)state;
	begin(&g, 0);
	ask_bulk_in(&g, 65535);
	fake_complete(g.fake, taken(&g), 0, 65535);
	msg = expect(&g, USBREDIR_BULK_PACKET);
	assert_int_equal(msg.id, (uint32_t)g.id);
	assert_int_equal(msg.data_len, 65535);
	end(&g);
}

static void test_answers_in_any_order(void **state)
{
	struct usbredir_msg msg;
	struct urb *first, *second;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk_in(&g, 1);
	first = taken(&g);
	ask_bulk_in(&g, 2);
	second = list_entry(first->backend_node.next, struct urb, backend_node);
	fake_complete(g.fake, second, 0, 2);
	msg = expect(&g, USBREDIR_BULK_PACKET);
	assert_int_equal(msg.id, g.id);
	fake_complete(g.fake, first, 0, 1);
	msg = expect(&g, USBREDIR_BULK_PACKET);
	assert_int_equal(msg.id, g.id - 1);
	end(&g);
}

static void test_statuses(void **state)
{
	static const struct {
		int error;
		enum usbredir_status status;
	} cases[] = {
		{ -EPIPE, USBREDIR_STALL },
		{ -ECANCELED, USBREDIR_CANCELLED },
		{ -EINVAL, USBREDIR_INVAL },
		{ -ETIMEDOUT, USBREDIR_TIMEOUT },
		{ -EOVERFLOW, USBREDIR_BABBLE },
		{ -EIO, USBREDIR_IOERROR },
		{ -ESHUTDOWN, USBREDIR_IOERROR },
		{ -ENOMEM, USBREDIR_IOERROR },
	};
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ask_bulk_in(&g, 100);
		fake_complete(g.fake, taken(&g), cases[i].error, 0);
		expect_transfer(&g, USBREDIR_BULK_PACKET, cases[i].status);
		ask_control_in(&g, 100);
		fake_complete(g.fake, taken(&g), cases[i].error, 0);
		expect_transfer(&g, USBREDIR_CONTROL_PACKET, cases[i].status);
	}
	end(&g);
}

static void test_no_such_endpoint(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask(&g, (struct usbredir_msg){
			.type = USBREDIR_BULK_PACKET,
			.transfer = { .endpoint = 0x8f, .length = 5 } });
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_INVAL);
	ask(&g, (struct usbredir_msg){
			.type = USBREDIR_BULK_PACKET,
			.transfer = { .endpoint = FAKE_IN,
				      .length = 5,
				      .stream_id = FAKE_STREAMS + 1 } });
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_INVAL);
	g.fake->submit_error = -ENOMEM;
	ask_bulk_in(&g, 5);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	end(&g);
}

/* Nothing is attached: what asks for data hears ioerror. */
static void test_no_device(void **state)
{
	static const uint8_t data[10000];
	struct guest g;

	(void)state;
	begin_silent(&g, false);
	expect(&g, USBREDIR_HELLO);
	tell_hello(&g, CAPS_ALL);
	expect_nothing(&g);
	ask_bulk_in(&g, 100);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	ask_bulk_out(&g, data, sizeof(data));
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	ask_control_in(&g, 18);
	expect_transfer(&g, USBREDIR_CONTROL_PACKET, USBREDIR_IOERROR);
	ask_configuration(&g, 1);
	expect_configuration(&g, USBREDIR_IOERROR, 1);
	ask_reset(&g);
	ask_cancel(&g, 77);
	expect_nothing(&g);
	end(&g);
}

/* Bulk streams and bulk receiving, with a guest that has not got them. */
static void test_without_bulk_caps(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL & ~(USBREDIR_CAP_BULK_STREAMS |
			       USBREDIR_CAP_BULK_RECEIVING));
	tell_header(&g, USBREDIR_ALLOC_BULK_STREAMS, 8);
	feed_zeros(&g, 8);
	tell_header(&g, USBREDIR_START_BULK_RECEIVING, 10);
	feed_zeros(&g, 10);
	expect_nothing(&g);
	assert_int_equal(g.session.skipped, 2);
	assert_int_equal(g.failed, 0);
	end(&g);
}

/* --- Cancel ----------------------------------------------------------------------------------------- */

static void expect_cancelled(struct guest *g, uint64_t id)
{
	struct usbredir_msg msg = expect(g, USBREDIR_BULK_PACKET);

	assert_int_equal(msg.id, wire_id(g, id));
	assert_int_equal(msg.transfer.status, USBREDIR_CANCELLED);
	assert_int_equal(msg.transfer.endpoint, FAKE_IN);
	assert_int_equal(msg.transfer.length, 0);
	expect_nothing(g);
}

static void test_cancel(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk_in(&g, 512);
	ask_cancel(&g, g.id);
	expect_cancelled(&g, g.id);
	assert_null(fake_first(g.fake));
	ask_cancel(&g, g.id); /* again: it is gone */
	ask_cancel(&g, 12345);
	expect_nothing(&g);
	end(&g);
}

/* The device is slow: the guest has its answer, and reuses the id. */
static void test_cancel_then_late_completion(void **state)
{
	struct usbredir_msg msg;
	struct urb *old;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->hold_cancel = true;
	ask_bulk_in(&g, 512);
	old = taken(&g);
	ask_cancel(&g, g.id);
	expect_cancelled(&g, g.id);
	g.id--;
	ask_bulk_in(&g, 4);
	fake_complete(g.fake, old, 0, 512);
	expect_nothing(&g);
	fake_complete(g.fake, taken(&g), 0, 4);
	msg = expect(&g, USBREDIR_BULK_PACKET);
	assert_int_equal(msg.id, g.id);
	assert_int_equal(msg.data_len, 4);
	expect_nothing(&g);
	end(&g);
}

static void test_cancel_after_answer(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk_in(&g, 1);
	fake_complete(g.fake, taken(&g), 0, 1);
	expect(&g, USBREDIR_BULK_PACKET);
	ask_cancel(&g, g.id);
	expect_nothing(&g);
	end(&g);
}

/* --- The device leaves -------------------------------------------------------------------------------- */

static void test_device_leaves(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	usb_leave(&g.fake->device);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	expect_nothing(&g);
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	assert_int_equal(g.detached, 0);
	/* What the guest asked before it knew. */
	ask_bulk_in(&g, 10);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	tell_ack(&g);
	tell_ack(&g);
	expect_nothing(&g);
	/* It is back. */
	usb_set_absent(&g.fake->device, false);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	assert_int_equal(g.detached, 0);
	end(&g);
}

/* It is back before the guest has noticed that it went. */
static void test_device_is_back_early(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	usb_leave(&g.fake->device);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	usb_set_absent(&g.fake->device, false);
	expect_nothing(&g);
	tell_ack(&g);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

/* The peer lacks the capability: there is no ack to wait for. */
static void test_device_leaves_without_ack(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL & ~USBREDIR_CAP_DEVICE_DISCONNECT_ACK);
	usb_leave(&g.fake->device);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	usb_set_absent(&g.fake->device, false);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

/* Nothing about a device follows its device_disconnect. */
static void test_device_leaves_busy(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk_in(&g, 512);
	ask_control_in(&g, 18);
	g.fake->hold_admin = true;
	ask_configuration(&g, 1);
	g.fake->hold_close = true;
	usb_leave(&g.fake->device);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	fake_complete_all(g.fake, -ESHUTDOWN);
	usb_admin_complete(g.fake->admin, 0);
	expect_nothing(&g);
	tell_ack(&g);
	usb_set_absent(&g.fake->device, false);
	expect_nothing(&g); /* it is not closed yet */
	g.fake->hold_close = false;
	usb_closed(&g.fake->device);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

static void test_guest_goes_first(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_DEVICE_DISCONNECT });
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	tell_ack(&g);
	assert_int_equal(g.detached, 1);
	assert_int_equal(g.failed, 0);
	end(&g);
}

static void test_detach_while_opening(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	expect(&g, USBREDIR_HELLO);
	g.fake->hold_open = true;
	tell_hello(&g, CAPS_ALL);
	session_detach(&g.session.base);
	assert_int_equal(g.detached, 0);
	usb_opened(&g.fake->device, 0);
	assert_int_equal(g.detached, 1);
	expect_nothing(&g); /* the guest never heard of it */
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	end(&g);
}

static void test_detach_while_waiting(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, false);
	expect(&g, USBREDIR_HELLO);
	tell_hello(&g, CAPS_ALL);
	session_detach(&g.session.base);
	assert_int_equal(g.detached, 1);
	expect_nothing(&g);
	end(&g);
}

static void test_open_fails(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	expect(&g, USBREDIR_HELLO);
	g.fake->open_status = -EIO;
	tell_hello(&g, CAPS_ALL);
	expect_nothing(&g);
	ask_bulk_in(&g, 10);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	end(&g);
}

/* One that cannot be opened does not keep the guest from another one, nor does
 * it have to come back for that. */
static void test_open_fails_next_device(void **state)
{
	struct fake_device *other;
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	other = fake_device_new(g.loop, &g.pool);
	registry_add(&g.registry, &other->device);
	expect(&g, USBREDIR_HELLO);
	g.fake->open_status = -EACCES;
	tell_hello(&g, CAPS_ALL);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	assert_int_equal(other->device.state, USB_DEVICE_OPEN);
	end(&g);
	/* Both: it waits for either. */
	begin_silent(&g, true);
	other = fake_device_new(g.loop, &g.pool);
	registry_add(&g.registry, &other->device);
	expect(&g, USBREDIR_HELLO);
	g.fake->open_status = other->open_status = -EACCES;
	tell_hello(&g, CAPS_ALL);
	expect_nothing(&g);
	usb_set_absent(&g.fake->device, false);
	expect_nothing(&g);
	other->open_status = 0;
	usb_set_absent(&other->device, false);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

/* Two guests, one device: the second has it when the first is gone. */
static void test_waits_its_turn(void **state)
{
	struct guest first, second;

	(void)state;
	begin(&first, CAPS_ALL);
	begin_silent(&second, false);
	second.session.registry = &first.registry;
	expect(&second, USBREDIR_HELLO);
	tell_hello(&second, CAPS_ALL);
	expect_nothing(&second);
	session_close(&first.session.base);
	expect_attach(&second, USBREDIR_SPEED_SUPER);
	session_close(&second.session.base);
	free_guest(&second);
	assert_int_equal(first.fake->device.state, USB_DEVICE_FREE);
	free_guest(&first);
}

/* --- Filters -------------------------------------------------------------------------------------------- */

static void tell_filter(struct guest *g, const char *text, uint32_t len)
{
	struct usbredir_msg msg = { .type = USBREDIR_FILTER_FILTER,
				    .data_len = len };

	msg.id = ++g->id;
	tell(g, &msg, text);
}

static void test_filter(void **state)
{
	static const char rules[] = "0x08,-1,-1,-1,1|-1,-1,-1,-1,0";
	char log[2000];
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	log_begin();
	tell_filter(&g, rules, sizeof(rules));
	assert_int_equal(log_end(log, sizeof(log)), 1);
	assert_non_null(strstr(log, rules));
	/* What is none is not repeated to the user. */
	log_begin();
	tell_filter(&g, "\x1b[2J", 5);
	tell_filter(&g, rules, sizeof(rules) - 1); /* not terminated */
	assert_int_equal(log_end(log, sizeof(log)), 2);
	assert_null(strstr(log, "2J"));
	expect_nothing(&g);
	assert_int_equal(g.failed, 0);
	end(&g);
}

/* Ours, when the guest knows what it is. */
static void test_sends_filter(void **state)
{
	static const char ours[] = "0x08,-1,-1,-1,1|-1,-1,-1,-1,0";
	const uint8_t *payload;
	struct usbredir_msg msg;
	struct filter filter;
	struct guest g;

	(void)state;
	assert_int_equal(filter_parse(span_of(ours, strlen(ours)), &filter), 0);
	begin_silent(&g, true);
	g.registry.filter = &filter;
	expect(&g, USBREDIR_HELLO);
	expect_nothing(&g); /* not before the guest's hello */
	tell_hello(&g, CAPS_ALL);
	msg = expect_data(&g, USBREDIR_FILTER_FILTER, &payload);
	assert_int_equal(msg.id, 0);
	assert_int_equal(msg.data_len, sizeof(ours));
	assert_memory_equal(payload, ours, sizeof(ours));
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
	begin_silent(&g, true);
	g.registry.filter = &filter;
	expect(&g, USBREDIR_HELLO);
	tell_hello(&g, CAPS_ALL & ~USBREDIR_CAP_FILTER);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
	/* QEMU says that it does, and crashes. */
	begin_silent(&g, true);
	g.registry.filter = &filter;
	expect(&g, USBREDIR_HELLO);
	tell_hello_of(&g, "qemu usb-redir guest 7.2.22", CAPS_ALL);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

/* The guest's filter comes before the first device has been opened. */
static void begin_filtered(struct guest *g, const char *rules)
{
	begin_silent(g, true);
	expect(g, USBREDIR_HELLO);
	g->fake->hold_open = true;
	tell_hello(g, CAPS_ALL);
	tell_filter(g, rules, (uint32_t)strlen(rules) + 1);
	g->fake->hold_open = false;
}

static void test_filter_denies(void **state)
{
	static const char *const rules[][2] = {
		{ "-1,0x1234,-1,-1,0|-1,-1,-1,-1,1", "-1,0x1234,-1,-1,0" },
		{ "0xff,-1,-1,-1,1|0x01,-1,-1,-1,0", "0x01,-1,-1,-1,0" },
		{ "0xff,-1,-1,-1,1", "no rule" },
	};
	char log[2000];
	struct guest g;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		begin_filtered(&g, rules[i][0]);
		log_begin();
		usb_opened(&g.fake->device, 0);
		/* Once it is opened it is not offered, now and later. */
		usb_set_absent(&g.fake->device, true);
		log_end(log, sizeof(log));
		assert_non_null(strstr(log, "fake device (1234:5678)"));
		assert_non_null(strstr(log, rules[i][1]));
		assert_null(strstr(strstr(log, "denies") + 1, "denies"));
		expect_nothing(&g);
		assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
		ask_bulk_in(&g, 10);
		expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
		/* What is plugged in there next is another device. */
		g.fake->hold_open = true;
		usb_set_absent(&g.fake->device, false);
		assert_int_equal(g.fake->device.state, USB_DEVICE_OPENING);
		g.fake->device.info.vendor = 0x4321;
		g.fake->device.info.interface[1].class = 0xff;
		usb_opened(&g.fake->device, 0);
		assert_int_equal(expect(&g, USBREDIR_EP_INFO).data_len, 0);
		end(&g);
	}
}

static void test_filter_allows(void **state)
{
	struct guest g;

	(void)state;
	begin_filtered(&g, "0x08,-1,-1,-1,0|-1,0x1234,0x5678,0x0102,1");
	usb_opened(&g.fake->device, 0);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
	/* Too late: the guest will say. */
	begin(&g, CAPS_ALL);
	tell_filter(&g, "-1,-1,-1,-1,0", 14);
	expect_nothing(&g);
	assert_int_equal(g.fake->device.state, USB_DEVICE_OPEN);
	end(&g);
	/* Not understood: the guest will say. */
	begin_filtered(&g, "010,-1,-1,-1,0");
	usb_opened(&g.fake->device, 0);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	end(&g);
}

/* One is denied, the next is taken; both are: it ends there. */
static void test_filter_next_device(void **state)
{
	struct fake_device *other;
	struct guest g;

	(void)state;
	for (int both = 0; both < 2; both++) {
		begin_filtered(&g, both ? "-1,-1,-1,-1,0"
					: "-1,-1,0x5678,-1,0|-1,-1,-1,-1,1");
		other = fake_device_new(g.loop, &g.pool);
		other->hold_open = true;
		registry_add(&g.registry, &other->device);
		usb_opened(&g.fake->device, 0);
		expect_nothing(&g);
		assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
		assert_int_equal(other->device.state, USB_DEVICE_OPENING);
		other->device.info.product = 0x9999;
		usb_opened(&other->device, 0);
		if (both) {
			expect_nothing(&g);
			assert_int_equal(other->device.state, USB_DEVICE_FREE);
		} else {
			expect(&g, USBREDIR_EP_INFO);
		}
		assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
		end(&g);
	}
}

static void test_filter_reject(void **state)
{
	struct fake_device *other;
	char log[2000];
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk_in(&g, 10);
	log_begin();
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FILTER_REJECT });
	log_end(log, sizeof(log));
	assert_non_null(strstr(log, "rejects fake device"));
	assert_non_null(strstr(log, "1234:5678"));
	/* The guest has not attached it: nothing to disconnect. Nor is it
	 * offered again. */
	expect_nothing(&g);
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FILTER_REJECT });
	ask_bulk_in(&g, 10);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	/* Another one is. */
	other = fake_device_new(g.loop, &g.pool);
	other->device.absent = true;
	registry_add(&g.registry, &other->device);
	usb_set_absent(&other->device, false);
	expect_attach(&g, USBREDIR_SPEED_SUPER);
	assert_int_equal(g.fake->device.state, USB_DEVICE_FREE);
	end(&g);
}

/* A guest that rejects for ever is left in peace at some time. */
static void test_filter_rejects_all(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (int i = 0; i < REDIR_MAX_REJECTED; i++) {
		ask(&g,
		    (struct usbredir_msg){ .type = USBREDIR_FILTER_REJECT });
		usb_set_absent(&g.fake->device, true);
		usb_set_absent(&g.fake->device, false);
		expect_attach(&g, USBREDIR_SPEED_SUPER);
	}
	assert_int_equal(g.detached, 0);
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FILTER_REJECT });
	usb_set_absent(&g.fake->device, true);
	usb_set_absent(&g.fake->device, false);
	expect_nothing(&g);
	assert_int_equal(g.detached, 1);
	end(&g);
}

static void test_close_while_dropping(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->hold_close = true;
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FILTER_REJECT });
	session_close(&g.session.base);
	assert_int_equal(g.closed, 0);
	usb_closed(&g.fake->device);
	free_guest(&g);
	/* The bridge ends: it is to hear of it. */
	begin(&g, CAPS_ALL);
	g.fake->hold_close = true;
	ask(&g, (struct usbredir_msg){ .type = USBREDIR_FILTER_REJECT });
	session_detach(&g.session.base);
	usb_closed(&g.fake->device);
	assert_int_equal(g.detached, 1);
	end(&g);
}

/* --- What is not understood ------------------------------------------------------------------------------- */

static void test_unknown_types(void **state)
{
	static const uint32_t types[] = { 28, 99, 105, 0x7fffffff };
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(types); i++) {
		tell_header(&g, types[i], 0);
		tell_header(&g, types[i], 70001);
		feed_zeros(&g, 70001);
	}
	assert_int_equal(g.session.skipped, 2 * ARRAY_SIZE(types));
	/* Packets that only hosts send count as well. */
	tell_header(&g, USBREDIR_EP_INFO, 160);
	feed_zeros(&g, 160);
	assert_int_equal(g.session.skipped, 2 * ARRAY_SIZE(types) + 1);
	expect_nothing(&g);
	ask_bulk_in(&g, 1);
	fake_complete(g.fake, taken(&g), 0, 1);
	expect(&g, USBREDIR_BULK_PACKET);
	end(&g);
}

/* Data without a length, a length without data, data against the direction. */
static void test_malformed_transfers(void **state)
{
	static const struct usbredir_msg wrong[] = {
		{ .type = USBREDIR_BULK_PACKET,
		  .data_len = 5,
		  .transfer = { .endpoint = FAKE_OUT, .length = 4 } },
		{ .type = USBREDIR_BULK_PACKET,
		  .transfer = { .endpoint = FAKE_OUT, .length = 4 } },
		{ .type = USBREDIR_BULK_PACKET,
		  .data_len = 4,
		  .transfer = { .endpoint = FAKE_IN, .length = 4 } },
		{ .type = USBREDIR_CONTROL_PACKET,
		  .data_len = 4,
		  .control = { .endpoint = 0x80, .length = 4 } },
		{ .type = USBREDIR_BULK_PACKET,
		  .transfer = { .endpoint = 0x91 } },
	};
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++)
		tell(&g, &wrong[i], "12345");
	assert_int_equal(g.session.skipped, ARRAY_SIZE(wrong));
	assert_null(fake_first(g.fake));
	expect_nothing(&g);
	assert_int_equal(g.failed, 0);
	end(&g);
}

static void test_impossible_length(void **state)
{
	static const uint32_t lengths[] = { UINT32_MAX,
					    USBREDIR_MAX_LENGTH + 1 };
	struct guest g;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lengths); i++) {
		begin(&g, CAPS_ALL);
		tell_header(&g, USBREDIR_BULK_PACKET, lengths[i]);
		assert_int_equal(g.failed, 1);
		assert_int_equal(g.pool.lent, 0);
		end(&g);
	}
}

/* --- Quotas -------------------------------------------------------------------------------------------------- */

/* A URB may be as long as a packet; no packet is longer. */
static void test_quota_of_a_transfer(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	assert_int_equal(USB_MAX_URB_BYTES, USBREDIR_MAX_BULK);
	ask_bulk_in(&g, USB_MAX_URB_BYTES);
	assert_int_equal(taken(&g)->len, USB_MAX_URB_BYTES);
	fake_complete(g.fake, taken(&g), 0, 1);
	expect(&g, USBREDIR_BULK_PACKET);
	ask_bulk_in(&g, USB_MAX_URB_BYTES + 1);
	expect_nothing(&g);
	assert_int_equal(g.session.skipped, 1);
	ask_bulk_in(&g, 1);
	fake_complete(g.fake, taken(&g), 0, 1);
	expect(&g, USBREDIR_BULK_PACKET);
	end(&g);
}

static void test_quota_of_urbs(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	for (unsigned int i = 0; i < USB_MAX_INFLIGHT_URBS; i++)
		ask_bulk_in(&g, 1);
	expect_nothing(&g);
	ask_bulk_in(&g, 1);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	ask_control_in(&g, 1);
	expect_transfer(&g, USBREDIR_CONTROL_PACKET, USBREDIR_IOERROR);
	end(&g);
}

/* A device that takes its time for each: the guest cannot pile them up. */
static void test_quota_of_admins(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->hold_admin = true;
	for (unsigned int i = 0; i < USB_MAX_ADMINS; i++)
		ask_configuration(&g, 1);
	expect_nothing(&g);
	ask_configuration(&g, 1);
	assert_int_equal(
		expect(&g, USBREDIR_CONFIGURATION_STATUS).configuration.status,
		USBREDIR_IOERROR);
	while (!list_empty(&g.fake->device.admins))
		usb_admin_complete(list_first(&g.fake->device.admins,
					      struct usb_admin, node),
				   0);
	for (unsigned int i = 0; i < USB_MAX_ADMINS; i++) {
		expect(&g, USBREDIR_EP_INFO);
		expect(&g, USBREDIR_INTERFACE_INFO);
		assert_int_equal(expect(&g, USBREDIR_CONFIGURATION_STATUS)
					 .configuration.status,
				 USBREDIR_SUCCESS);
	}
	end(&g);
}

static void test_quota_of_bytes(void **state)
{
	static const uint8_t data[100];
	const uint32_t left = USB_MAX_INFLIGHT_BYTES - USB_MAX_URB_BYTES;
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.data_len = left + 1,
		.transfer = { .endpoint = FAKE_OUT, .length = left + 1 },
	};
	uint8_t head[USBREDIR_MAX_HEAD];
	enum chunking was = chunking;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	ask_bulk_in(&g, USB_MAX_URB_BYTES);
	expect_nothing(&g);
	msg.id = ++g.id;
	feed(&g, head, usbredir_encode(&msg, g.caps, head));
	/* Refused before there is memory for it. */
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	assert_int_equal(g.pool.lent, 0);
	chunking = CHUNK_ALL; /* 32 MiB byte by byte prove nothing more */
	feed_zeros(&g, msg.data_len);
	chunking = was;
	ask_bulk_in(&g, left);
	expect_nothing(&g);
	ask_bulk_out(&g, data, sizeof(data));
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_IOERROR);
	assert_int_equal(g.pool.lent, 0);
	end(&g);
}

/* --- The end --------------------------------------------------------------------------------------------------- */

static void test_close_before_hello(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	end(&g);
}

static void test_close_while_opening(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	g.fake->hold_open = true;
	tell_hello(&g, CAPS_ALL);
	session_close(&g.session.base);
	assert_int_equal(g.closed, 0);
	usb_opened(&g.fake->device, 0);
	free_guest(&g);
}

static void test_close_while_opening_fails(void **state)
{
	struct guest g;

	(void)state;
	begin_silent(&g, true);
	g.fake->hold_open = true;
	tell_hello(&g, CAPS_ALL);
	session_close(&g.session.base);
	usb_opened(&g.fake->device, -EIO);
	free_guest(&g);
}

/* closed only when the last URB has come back and the device is gone. */
static void test_close_with_urbs(void **state)
{
	static const uint8_t data[5000];
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->hold_close = g.fake->hold_cancel = true;
	ask_bulk_in(&g, 100);
	ask_bulk_out(&g, data, sizeof(data));
	ask_bulk_in(&g, 100);
	ask_cancel(&g, g.id);
	expect_cancelled(&g, g.id);
	session_close(&g.session.base);
	assert_int_equal(g.closed, 0);
	fake_complete(g.fake, taken(&g), 0, 100);
	assert_int_equal(g.closed, 0);
	fake_complete_all(g.fake, -ESHUTDOWN);
	assert_int_equal(g.closed, 0);
	expect_nothing(&g);
	usb_closed(&g.fake->device);
	free_guest(&g);
}

static void test_close_with_admin(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->hold_admin = g.fake->hold_close = true;
	ask_configuration(&g, 1);
	session_close(&g.session.base);
	assert_int_equal(g.closed, 0);
	usb_admin_complete(g.fake->admin, 0);
	assert_int_equal(g.closed, 0);
	expect_nothing(&g);
	usb_closed(&g.fake->device);
	free_guest(&g);
}

/* In the middle of a payload that goes straight into its buffer. */
static void test_close_in_payload(void **state)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.data_len = 100000,
		.transfer = { .endpoint = FAKE_OUT, .length = 100000 },
	};
	uint8_t head[USBREDIR_MAX_HEAD];
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	feed(&g, head, usbredir_encode(&msg, g.caps, head));
	feed_zeros(&g, 50000);
	session_close(&g.session.base);
	assert_int_equal(g.closed, 1);
	/* Something may be on its way into it. */
	assert_int_not_equal(g.pool.lent, 0);
	free_guest(&g);
}

/* --- Guests for which super speed is too much ---------------------------------------------- */

/* GET_DESCRIPTOR(device), answered. */
static void look(struct guest *g)
{
	ask(g, (struct usbredir_msg){ .type = USBREDIR_CONTROL_PACKET,
				      .control = { .endpoint = 0x80,
						   .requesttype = 0x80,
						   .request = 6,
						   .value = 0x0100,
						   .length = 64 } });
	fake_complete_all(g->fake, 0);
	expect(g, USBREDIR_CONTROL_PACKET);
}

static void look_and_reset(struct guest *g)
{
	look(g);
	ask(g, (struct usbredir_msg){ .type = USBREDIR_RESET });
}

/* What is due within a tenth of a second is done. */
static void wait_a_little(struct guest *g)
{
	usleep(100000);
	for (int i = 0; i < 3; i++) {
		loop_hurry(g->loop);
		assert_int_equal(loop_turn(g->loop), 0);
	}
}

static void test_steps_down(void **state)
{
	struct usbredir_msg msg;
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	assert_int_equal(g.fake->speed, USB_SPEED_SUPER);
	look_and_reset(&g);
	look_and_reset(&g);
	wait_a_little(&g);
	expect_nothing(&g);
	look(&g);
	wait_a_little(&g);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	expect_nothing(&g);
	ask(&g,
	    (struct usbredir_msg){ .type = USBREDIR_DEVICE_DISCONNECT_ACK });
	expect_endpoints(&g);
	msg = expect(&g, USBREDIR_DEVICE_CONNECT);
	assert_int_equal(msg.device_connect.speed, USBREDIR_SPEED_HIGH);
	/* Once is enough. */
	for (int i = 0; i < 5; i++)
		look_and_reset(&g);
	wait_a_little(&g);
	expect_nothing(&g);
	assert_int_equal(g.detached, 0);
	end(&g);
}

static void test_does_not_step_down(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->hold_admin = false;
	for (int i = 0; i < 5; i++) {
		look_and_reset(&g);
		look(&g);
		ask(&g,
		    (struct usbredir_msg){ .type = USBREDIR_SET_CONFIGURATION,
					   .configuration.configuration = 1 });
		expect_endpoints(&g);
		expect(&g, USBREDIR_CONFIGURATION_STATUS);
	}
	wait_a_little(&g);
	expect_nothing(&g);
	end(&g);
}

/* The connection ends before the device has been taken back. */
static void test_close_while_stepping_down(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	look_and_reset(&g);
	look_and_reset(&g);
	look(&g);
	session_close(&g.session.base);
	assert_int_equal(g.closed, 1);
	wait_a_little(&g);
	free_guest(&g);
}

/* --- Payloads that are handed on while they arrive ---------------------------------------- */

#define EARLY 600000u

static void begin_early(struct guest *g)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.data_len = EARLY,
		.transfer = { .endpoint = FAKE_OUT, .length = EARLY },
	};
	uint8_t head[USBREDIR_MAX_HEAD];

	begin(g, CAPS_ALL);
	msg.id = ++g->id;
	feed(g, head, usbredir_encode(&msg, g->caps, head));
	assert_non_null(fake_first(g->fake));
	assert_true(fake_first(g->fake)->early);
	feed_zeros(g, 200000);
	assert_in_range(g->fake->arrived, 1, 200000);
	expect_nothing(g);
}

static void test_early(void **state)
{
	struct guest g;

	(void)state;
	begin_early(&g);
	feed_zeros(&g, EARLY - 200000);
	assert_int_equal(g.fake->arrived, EARLY);
	fake_complete_all(g.fake, 0);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_SUCCESS);
	/* The stream goes on behind it. */
	ask_bulk_out(&g, "next", 4);
	fake_complete_all(g.fake, 0);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_SUCCESS);
	end(&g);
}

/* It ends before its data is there: the rest is received and dropped. */
static void test_early_stalls(void **state)
{
	struct guest g;

	(void)state;
	begin_early(&g);
	fake_complete_all(g.fake, -EPIPE);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_STALL);
	feed_zeros(&g, EARLY - 200000);
	expect_nothing(&g);
	ask_bulk_out(&g, "next", 4);
	fake_complete_all(g.fake, 0);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_SUCCESS);
	end(&g);
}

static void test_early_refused(void **state)
{
	static const uint8_t data[EARLY];
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->submit_error = -ENOENT;
	ask_bulk_out(&g, data, EARLY);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_INVAL);
	g.fake->submit_error = 0;
	ask_bulk_out(&g, "next", 4);
	fake_complete_all(g.fake, 0);
	expect_transfer(&g, USBREDIR_BULK_PACKET, USBREDIR_SUCCESS);
	end(&g);
}

static void test_early_and_close(void **state)
{
	struct guest g;

	(void)state;
	begin_early(&g);
	session_close(&g.session.base);
	assert_int_equal(g.closed, 1);
	assert_int_not_equal(g.pool.lent, 0);
	free_guest(&g);
}

static void test_close_while_detaching(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, CAPS_ALL);
	g.fake->hold_close = true;
	usb_leave(&g.fake->device);
	expect(&g, USBREDIR_DEVICE_DISCONNECT);
	session_close(&g.session.base);
	session_close(&g.session.base);
	assert_int_equal(g.closed, 0);
	usb_closed(&g.fake->device);
	assert_int_equal(g.detached, 0); /* nobody waits for that now */
	free_guest(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hello_first),
		cmocka_unit_test(test_hello_without_caps),
		cmocka_unit_test(test_hello_of_the_future),
		cmocka_unit_test(test_no_hello),
		cmocka_unit_test(test_malformed_hello),
		cmocka_unit_test(test_second_hello),
		cmocka_unit_test(test_speed_by_caps),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_alt_setting),
		cmocka_unit_test(test_control_becomes_admin),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_control_in),
		cmocka_unit_test(test_control_out),
		cmocka_unit_test(test_bulk_in),
		cmocka_unit_test(test_bulk_out),
		cmocka_unit_test(test_bulk_without_caps),
		cmocka_unit_test(test_answers_in_any_order),
		cmocka_unit_test(test_statuses),
		cmocka_unit_test(test_no_such_endpoint),
		cmocka_unit_test(test_no_device),
		cmocka_unit_test(test_without_bulk_caps),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_cancel_then_late_completion),
		cmocka_unit_test(test_cancel_after_answer),
		cmocka_unit_test(test_device_leaves),
		cmocka_unit_test(test_device_is_back_early),
		cmocka_unit_test(test_device_leaves_without_ack),
		cmocka_unit_test(test_device_leaves_busy),
		cmocka_unit_test(test_guest_goes_first),
		cmocka_unit_test(test_detach_while_opening),
		cmocka_unit_test(test_detach_while_waiting),
		cmocka_unit_test(test_open_fails),
		cmocka_unit_test(test_open_fails_next_device),
		cmocka_unit_test(test_waits_its_turn),
		cmocka_unit_test(test_filter),
		cmocka_unit_test(test_sends_filter),
		cmocka_unit_test(test_filter_denies),
		cmocka_unit_test(test_filter_allows),
		cmocka_unit_test(test_filter_next_device),
		cmocka_unit_test(test_filter_reject),
		cmocka_unit_test(test_filter_rejects_all),
		cmocka_unit_test(test_close_while_dropping),
		cmocka_unit_test(test_unknown_types),
		cmocka_unit_test(test_malformed_transfers),
		cmocka_unit_test(test_impossible_length),
		cmocka_unit_test(test_quota_of_a_transfer),
		cmocka_unit_test(test_quota_of_urbs),
		cmocka_unit_test(test_quota_of_admins),
		cmocka_unit_test(test_quota_of_bytes),
		cmocka_unit_test(test_close_before_hello),
		cmocka_unit_test(test_close_while_opening),
		cmocka_unit_test(test_close_while_opening_fails),
		cmocka_unit_test(test_close_with_urbs),
		cmocka_unit_test(test_close_with_admin),
		cmocka_unit_test(test_close_in_payload),
		cmocka_unit_test(test_close_while_detaching),
		cmocka_unit_test(test_steps_down),
		cmocka_unit_test(test_does_not_step_down),
		cmocka_unit_test(test_close_while_stepping_down),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_early_stalls),
		cmocka_unit_test(test_early_refused),
		cmocka_unit_test(test_early_and_close),
	};
	static const char *const names[] = {
		[CHUNK_ALL] = "bytes at once",
		[CHUNK_ONE] = "byte by byte",
		[CHUNK_RANDOM] = "random pieces",
	};
	int failed = 0;

	/* What a guest gets wrong is logged; it is expected here. */
	log_level = LOG_LEVEL_ERR;
	for (chunking = CHUNK_ALL; chunking <= CHUNK_RANDOM; chunking++)
		failed += cmocka_run_group_tests_name(names[chunking], tests,
						      NULL, NULL);
	return failed;
}
