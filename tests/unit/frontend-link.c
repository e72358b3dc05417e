// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A session on a transport: memory that a transport has borrowed stays until
 * it is given back, whatever ends the connection, and in which order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/fake-device.h"
#include "../lib/fake-transport.h"
#include "frontend/redir.h"
#include "peer/link.h"

struct bench {
	struct loop *loop;
	struct bufpool pool;
	struct registry registry;
	struct fake_device *fake;
	struct fake_transport wire;
	struct link *link;
	unsigned int ended; /* calls */
};

static void turns(struct bench *b)
{
	for (int i = 0; i < 10; i++) {
		loop_hurry(b->loop);
		assert_int_equal(loop_turn(b->loop), 0);
	}
}

/* All that the link wants to send has left. */
static void drain(struct bench *b)
{
	turns(b);
	while (b->wire.sending) {
		fake_transport_sent(&b->wire, SIZE_MAX);
		turns(b);
	}
}

static void arrive(struct bench *b, const void *data, size_t len)
{
	assert_true(fake_transport_arrive(&b->wire, data, len));
}

static void arrive_msg(struct bench *b, const struct usbredir_msg *msg,
		       const void *payload, size_t len, uint32_t caps)
{
	uint8_t head[USBREDIR_MAX_HEAD];

	arrive(b, head, usbredir_encode(msg, caps, head));
	arrive(b, payload, len);
}

static void ended(struct link *link)
{
	struct bench *b = link->owner;

	b->ended++;
}

static void link_up(struct bench *b, struct transport *t)
{
	struct session *session;

	assert_int_equal(redir_session_create(b->loop, &b->pool, &b->registry,
					      NULL, "test", &session),
			 0);
	assert_int_equal(link_create(t, session, ended, b, &b->link), 0);
}

static void begin(struct bench *b)
{
	struct usbredir_msg hello = { .type = USBREDIR_HELLO, .data_len = 4 };

	*b = (struct bench){ 0 };
	assert_int_equal(loop_create(&b->loop), 0);
	bufpool_init(&b->pool);
	registry_init(&b->registry);
	b->fake = fake_device_new(b->loop, &b->pool);
	b->fake->hold_urbs = true;
	registry_add(&b->registry, &b->fake->device);
	fake_transport_init(&b->wire, b->loop);
	link_up(b, &b->wire.transport);
	arrive_msg(b, &hello, "\xff\0\0\0", 4, 0);
	drain(b);
	assert_int_equal(b->fake->device.state, USB_DEVICE_OPEN);
}

/* The transport has given everything back and is gone. */
static void wire_closed(struct bench *b)
{
	assert_true(b->wire.closing);
	fake_transport_closed(&b->wire);
	fake_transport_fini(&b->wire);
	turns(b);
}

static void end(struct bench *b)
{
	assert_int_equal(b->ended, 1);
	link_free(b->link);
	assert_int_equal(b->pool.lent, 0);
	registry_fini(&b->registry);
	bufpool_fini(&b->pool);
	loop_destroy(b->loop);
}

static void ask_bulk_in(struct bench *b, uint32_t len)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.transfer = { .endpoint = FAKE_IN, .length = len },
	};

	arrive_msg(b, &msg, NULL, 0, REDIR_CAPS);
}

/* Less than what is handed on early. */
#define PAYLOAD (400 << 10)

/* A payload is being received straight into its buffer. */
static void begin_payload(struct bench *b)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.data_len = PAYLOAD,
		.transfer = { .endpoint = FAKE_OUT, .length = PAYLOAD },
	};

	arrive_msg(b, &msg, NULL, 0, REDIR_CAPS);
	assert_int_equal(b->wire.recv_len, PAYLOAD);
	assert_true(b->pool.lent >= PAYLOAD);
}

static void test_peer_closes(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	ask_bulk_in(&b, 100);
	fake_transport_end(&b.wire, 0);
	turns(&b);
	wire_closed(&b);
	end(&b);
}

static void test_closes_while_receiving(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	ask_bulk_in(&b, 1);
	fake_complete(b.fake, fake_first(b.fake), 0, 1);
	turns(&b);
	assert_true(b.wire.sending);
	begin_payload(&b);
	b.wire.sending = false;
	b.wire.transport.user->sent(&b.wire.transport, -EPIPE);
	turns(&b);
	assert_true(b.wire.closing);
	/* Still lent: what arrives now goes somewhere that is ours. */
	assert_true(b.pool.lent >= PAYLOAD);
	memset(b.wire.recv_buf, 0xdd, b.wire.recv_len);
	wire_closed(&b);
	end(&b);
}

static void test_closes_while_sending(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	ask_bulk_in(&b, 1 << 20);
	fake_complete(b.fake, fake_first(b.fake), 0, 1 << 20);
	turns(&b);
	assert_true(b.wire.sending);
	fake_transport_end(&b.wire, -ECONNRESET);
	turns(&b);
	assert_true(b.wire.closing);
	assert_true(b.pool.lent >= 1 << 20); /* being sent */
	wire_closed(&b);
	end(&b);
}

/* The transport is quicker than the device. */
static void test_device_is_slow(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	b.fake->hold_cancel = b.fake->hold_close = true;
	ask_bulk_in(&b, 100);
	fake_transport_end(&b.wire, 0);
	turns(&b);
	wire_closed(&b);
	assert_int_equal(b.ended, 0);
	fake_complete_all(b.fake, -ESHUTDOWN);
	usb_closed(&b.fake->device);
	end(&b);
}

/* device_disconnect leaves, the ack comes, then the link ends. */
static void test_finish(void **state)
{
	struct usbredir_msg ack = { .type = USBREDIR_DEVICE_DISCONNECT_ACK };
	struct bench b;

	(void)state;
	begin(&b);
	link_finish(b.link);
	drain(&b);
	assert_false(b.wire.closing);
	arrive_msg(&b, &ack, NULL, 0, REDIR_CAPS);
	drain(&b);
	wire_closed(&b);
	end(&b);
}

/* One that takes nothing any more is not waited for either. */
static void test_finish_unheard(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	ask_bulk_in(&b, 4096);
	fake_complete(b.fake, fake_first(b.fake), 0, 4096);
	loop_hurry(b.loop);
	assert_int_equal(loop_turn(b.loop), 0);
	assert_true(b.wire.sending);
	link_finish(b.link);
	while (!b.wire.closing) /* by its time */
		assert_int_equal(loop_turn(b.loop), 0);
	wire_closed(&b);
	end(&b);
}

/* Replies that the peer does not fetch stop the flow of requests. */
static void test_stops_receiving(void **state)
{
	struct bench b;

	(void)state;
	begin(&b);
	while (b.wire.recv_buf) {
		assert_true(b.pool.lent < 2 * LINK_MAX_UNSENT + (4 << 20));
		ask_bulk_in(&b, 1 << 20);
		fake_complete(b.fake, fake_first(b.fake), 0, 1 << 20);
	}
	drain(&b);
	assert_non_null(b.wire.recv_buf);
	ask_bulk_in(&b, 10);
	fake_transport_end(&b.wire, 0);
	turns(&b);
	wire_closed(&b);
	end(&b);
}

/* What has been asked to leave, has: one send of it. */
static void send_once(struct bench *b)
{
	turns(b);
	assert_true(b->wire.sending);
	fake_transport_sent(&b->wire, SIZE_MAX);
}

/* A device that always has more, and a peer that reads when it likes. */
static void test_stream_pauses(void **state)
{
	const uint32_t len = 256 << 10;
	struct usbredir_msg start = {
		.type = USBREDIR_START_BULK_RECEIVING,
		.bulk_receiving = { 0, len, FAKE_IN, 2, 0 },
	};
	struct bench b;

	(void)state;
	begin(&b);
	b.fake->hold_urbs = false;
	arrive_msg(&b, &start, NULL, 0, REDIR_CAPS);
	for (int i = 0; i < 100; i++) {
		turns(&b);
		assert_int_equal(b.fake->device.inflight_urbs, 0);
		assert_in_range(outq_memory(&b.link->out), LINK_MAX_STREAMED,
				LINK_MAX_STREAMED + 4 * len);
		/* Requests are heard all the same. */
		assert_non_null(b.wire.recv_buf);
		send_once(&b);
	}
	b.fake->hold_urbs = true;
	start.type = USBREDIR_STOP_BULK_RECEIVING;
	arrive_msg(&b, &start, NULL, 0, REDIR_CAPS);
	drain(&b);
	assert_int_equal(outq_memory(&b.link->out), 0);
	fake_transport_end(&b.wire, 0);
	turns(&b);
	wire_closed(&b);
	end(&b);
}

static bool time_over;

static void late(struct timer *timer)
{
	(void)timer;
	time_over = true;
}

/*
 * On a real socket: answers for more than one send leave although nothing
 * else happens that would wake the loop.
 */
static void test_many_answers(void **state)
{
	enum { N = 100 };
	struct usbredir_msg hello = { .type = USBREDIR_HELLO, .data_len = 4 };
	struct usbredir_msg ask = { .type = USBREDIR_GET_CONFIGURATION };
	uint8_t out[USBREDIR_MAX_HEAD + 4 + N * 16], in[8192];
	/* Ours, what attaching says, and N answers of 16 + 2 bytes. */
	size_t expected =
		12 + 64 + 4 + (16 + 288) + (16 + 132) + (16 + 10) + N * 18;
	size_t len;
	struct timer timer;
	struct transport *t;
	struct bench b = { 0 };
	int pair[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(loop_create(&b.loop), 0);
	bufpool_init(&b.pool);
	registry_init(&b.registry);
	b.fake = fake_device_new(b.loop, &b.pool);
	registry_add(&b.registry, &b.fake->device);
	assert_int_equal(
		transport_over_fds(b.loop, pair[0], pair[0], "peer", &t), 0);
	link_up(&b, t);
	len = usbredir_encode(&hello, 0, out);
	memcpy(out + len, "\xff\0\0\0", 4);
	len += 4;
	for (int i = 0; i < N; i++)
		len += usbredir_encode(&ask, REDIR_CAPS, out + len);
	assert_int_equal(send(pair[1], out, len, 0), len);
	/* The only event behind the peer's words; it comes too late to help. */
	timer_init(&timer, late);
	timer_start(b.loop, &timer, 300);
	for (time_over = false; !time_over;)
		assert_int_equal(loop_turn(b.loop), 0);
	assert_int_equal(recv(pair[1], in, sizeof(in), MSG_DONTWAIT), expected);
	close(pair[1]);
	turns(&b);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_peer_closes),
		cmocka_unit_test(test_closes_while_receiving),
		cmocka_unit_test(test_closes_while_sending),
		cmocka_unit_test(test_device_is_slow),
		cmocka_unit_test(test_finish),
		cmocka_unit_test(test_finish_unheard),
		cmocka_unit_test(test_stops_receiving),
		cmocka_unit_test(test_stream_pauses),
		cmocka_unit_test(test_many_answers),
	};

	log_level = LOG_LEVEL_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
