// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A vmc channel between a server and a user that do what the test says: bytes
 * come through whole, acknowledgements and pongs are where they belong.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "../lib/fake-transport.h"
#include "spice/vmc.h"

struct bench {
	struct loop *loop;
	struct bufpool pool;
	struct fake_transport wire;
	bool mini;
	struct transport *vmc;
	/* The user */
	uint8_t *into; /* what it receives next; NULL: nothing */
	size_t size;
	bool exact;
	uint8_t got[1 << 20];
	size_t n_got;
	unsigned int received; /* calls */
	bool ended, closed;
	size_t sent;
	int send_error;
	/* The server's reading of what has left */
	size_t parsed;
};

static void turns(struct bench *b)
{
	for (int i = 0; i < 10; i++) {
		loop_hurry(b->loop);
		assert_int_equal(loop_turn(b->loop), 0);
	}
}

/* --- The user -------------------------------------------------------------- */

static void want(struct bench *b)
{
	if (b->into)
		transport_recv(b->vmc, b->into, b->size, b->exact);
}

static void user_received(struct transport *t, int res)
{
	struct bench *b = t->context;

	b->received++;
	if (res <= 0) {
		assert_false(b->ended);
		b->ended = true;
		return;
	}
	assert_true((size_t)res <= b->size);
	assert_true(b->n_got + (size_t)res <= sizeof(b->got));
	memcpy(b->got + b->n_got, b->into, (size_t)res);
	b->n_got += (size_t)res;
	want(b);
}

static void user_sent(struct transport *t, int res)
{
	struct bench *b = t->context;

	if (res < 0)
		b->send_error = res;
	else
		b->sent += (size_t)res;
}

static void user_closed(struct transport *t)
{
	struct bench *b = t->context;

	b->closed = true;
}

static const struct transport_user user = {
	.received = user_received,
	.sent = user_sent,
	.closed = user_closed,
};

static void start(struct bench *b, enum spice_lz4_mode lz4, bool mini)
{
	const struct spice_channel_link link = { .type = SPICE_CHANNEL_USBREDIR,
						 .mini = mini,
						 .caps = SPICE_VMC_CAP_LZ4 };

	memset(b, 0, sizeof(*b));
	assert_int_equal(loop_create(&b->loop), 0);
	bufpool_init(&b->pool);
	fake_transport_init(&b->wire, b->loop);
	b->mini = mini;
	assert_int_equal(
		vmc_create(&b->wire.transport, &link, lz4, &b->pool, &b->vmc),
		0);
	b->vmc->user = &user;
	b->vmc->context = b;
	turns(b);
}

static void start_receiving(struct bench *b, size_t size, bool exact)
{
	b->into = malloc(size);
	b->size = size;
	b->exact = exact;
	assert_non_null(b->into);
	want(b);
	turns(b);
}

static void stop(struct bench *b)
{
	transport_close(b->vmc);
	turns(b);
	assert_true(b->wire.closing);
	assert_false(b->closed);
	fake_transport_closed(&b->wire);
	assert_true(b->closed);
	fake_transport_fini(&b->wire);
	turns(b);
	assert_int_equal(b->pool.lent, 0);
	bufpool_fini(&b->pool);
	loop_destroy(b->loop);
	free(b->into);
}

/* --- The server ------------------------------------------------------------ */

static void say(struct bench *b, uint16_t type, const void *body, size_t len)
{
	const struct spice_header header = { type, (uint32_t)len };
	uint8_t head[SPICE_FULL_HEADER];

	assert_true(fake_transport_arrive(
		&b->wire, head,
		spice_encode_header(&header, b->mini, 1, head)));
	assert_true(fake_transport_arrive(&b->wire, body, len));
}

static void say_ack_window(struct bench *b, uint32_t generation,
			   uint32_t window)
{
	uint8_t body[8];
	struct span_writer w = span_writer_of(body, sizeof(body));

	span_put_le(&w, generation, 4);
	span_put_le(&w, window, 4);
	say(b, SPICE_MSG_SET_ACK, body, sizeof(body));
}

static void drain(struct bench *b)
{
	turns(b);
	while (b->wire.sending) {
		fake_transport_sent(&b->wire, SIZE_MAX);
		turns(b);
	}
}

/* The next message that has left; its body. */
static struct span heard(struct bench *b, uint16_t *type)
{
	size_t head = spice_header_size(b->mini);
	struct spice_header header;

	assert_true(b->wire.out_len - b->parsed >= head);
	header = spice_decode_header(span_of(b->wire.out + b->parsed, head),
				     b->mini);
	*type = header.type;
	b->parsed += head + header.size;
	assert_true(b->parsed <= b->wire.out_len);
	return span_of(b->wire.out + b->parsed - header.size, header.size);
}

static void expect(struct bench *b, uint16_t expected, const void *body,
		   size_t len)
{
	uint16_t type;
	struct span got = heard(b, &type);

	assert_int_equal(type, expected);
	assert_int_equal(got.len, len);
	if (len)
		assert_memory_equal(got.p, body, len);
}

static void expect_silence(struct bench *b)
{
	assert_int_equal(b->parsed, b->wire.out_len);
}

/* Does not shrink, either. */
static uint8_t *pattern(size_t len)
{
	uint8_t *p = malloc(len);
	uint32_t x = 1;

	assert_non_null(p);
	for (size_t i = 0; i < len; i++) {
		x ^= x << 13;
		x ^= x >> 17;
		x ^= x << 5;
		p[i] = (uint8_t)x;
	}
	return p;
}

/* --- Receiving ------------------------------------------------------------- */

static void test_receive(void **state)
{
	static struct bench b;
	static const size_t sizes[] = {
		1, 20, 4095, 4096, 65568, 100000, 0, 7
	};
	uint8_t *data = pattern(300000);
	size_t total = 0;

	(void)state;
	/* Whatever the user's pieces are, and the server's. */
	for (size_t size = 1; size <= 262144; size *= 8) {
		for (int exact = 0; exact < 2; exact++) {
			start(&b, SPICE_LZ4_AUTO, exact);
			start_receiving(&b, size, exact);
			total = 0;
			for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
				say(&b, SPICE_MSG_VMC_DATA, data + total,
				    sizes[i]);
				total += sizes[i];
			}
			turns(&b);
			assert_int_equal(b.n_got,
					 exact ? total / size * size : total);
			assert_memory_equal(b.got, data, b.n_got);
			stop(&b);
		}
	}
	free(data);
}

/* What nobody takes waits, and costs staging only. */
static void test_receive_later(void **state)
{
	static struct bench b;
	uint8_t *data = pattern(2 * SPICE_STAGING);

	(void)state;
	start(&b, SPICE_LZ4_AUTO, true);
	for (size_t i = 0; i < 4; i++)
		say(&b, SPICE_MSG_VMC_DATA, data + i * 10000, 10000);
	turns(&b);
	assert_int_equal(b.n_got, 0);
	start_receiving(&b, 16384, false);
	assert_int_equal(b.n_got, 40000);
	assert_memory_equal(b.got, data, 40000);
	stop(&b);
	free(data);
}

static void test_acknowledgements(void **state)
{
	static struct bench b;

	(void)state;
	start(&b, SPICE_LZ4_AUTO, true);
	start_receiving(&b, 4096, false);
	say(&b, SPICE_MSG_VMC_DATA, "x", 1);
	say_ack_window(&b, 7, 3);
	drain(&b);
	expect(&b, SPICE_MSGC_ACK_SYNC, "\7\0\0\0", 4);
	for (int i = 1; i <= 300; i++) {
		/* Skipped ones count, too. */
		say(&b, i % 5 ? SPICE_MSG_VMC_DATA : 4711, "yz", i % 3);
		drain(&b);
		if (i % 3 == 0)
			expect(&b, SPICE_MSGC_ACK, NULL, 0);
		expect_silence(&b);
	}
	/* A new window starts anew. */
	say(&b, SPICE_MSG_VMC_DATA, "x", 1);
	say_ack_window(&b, 8, 2);
	drain(&b);
	expect(&b, SPICE_MSGC_ACK_SYNC, "\10\0\0\0", 4);
	say(&b, SPICE_MSG_VMC_DATA, "x", 1);
	drain(&b);
	expect_silence(&b);
	say(&b, SPICE_MSG_VMC_DATA, "x", 1);
	drain(&b);
	expect(&b, SPICE_MSGC_ACK, NULL, 0);
	stop(&b);
}

static void say_ping(struct bench *b, size_t extra)
{
	uint8_t *body = calloc(1, 12 + extra);

	assert_non_null(body);
	memcpy(body, "\1\2\3\4\5\6\7\10\11\12\13\14", 12);
	say(b, SPICE_MSG_PING, body, 12 + extra);
	free(body);
}

#define PONG "\1\2\3\4\5\6\7\10\11\12\13\14"

static void test_ping(void **state)
{
	static struct bench b;

	(void)state;
	start(&b, SPICE_LZ4_AUTO, true);
	/* Nobody receives: it is answered all the same. */
	say_ping(&b, 256000);
	say_ping(&b, 0);
	drain(&b);
	expect(&b, SPICE_MSGC_PONG, PONG, 12);
	expect(&b, SPICE_MSGC_PONG, PONG, 12);
	stop(&b);
}

/* --- Sending --------------------------------------------------------------- */

static void test_send(void **state)
{
	static struct bench b;
	uint8_t *data = pattern(100000);
	struct iovec iov[] = { { data, 26 }, { data + 26, 99974 } };

	(void)state;
	for (int mini = 0; mini < 2; mini++) {
		start(&b, SPICE_LZ4_NEVER, mini);
		transport_send(b.vmc, iov, 2);
		drain(&b);
		assert_int_equal(b.sent, 100000);
		expect(&b, SPICE_MSGC_VMC_DATA, data, 100000);
		expect_silence(&b);
		stop(&b);
	}
	free(data);
}

/* The kernel takes any part at a time; answers go between messages. */
static void test_send_in_pieces(void **state)
{
	static struct bench b;
	uint8_t *data = pattern(5000);

	(void)state;
	for (size_t piece = 1; piece < 6000; piece = piece * 3 + 1) {
		struct iovec iov = { data, 5000 };
		size_t told = 0;
		uint16_t type;
		struct span body;
		unsigned int pongs = 0;

		start(&b, SPICE_LZ4_NEVER, true);
		transport_send(b.vmc, &iov, 1);
		turns(&b);
		say_ping(&b, 0);
		say_ping(&b, 0);
		turns(&b);
		while (b.sent < 5000) {
			assert_true(b.wire.sending);
			fake_transport_sent(&b.wire, piece);
			if (b.sent > told && b.sent < 5000) {
				/* As any user does, go on with the rest. */
				told = b.sent;
				iov = (struct iovec){ data + told,
						      5000 - told };
				transport_send(b.vmc, &iov, 1);
			}
			turns(&b);
		}
		drain(&b);
		while (b.parsed < b.wire.out_len) {
			body = heard(&b, &type);
			if (type == SPICE_MSGC_PONG) {
				pongs++;
				continue;
			}
			assert_int_equal(type, SPICE_MSGC_VMC_DATA);
			assert_int_equal(body.len, 5000);
			assert_memory_equal(body.p, data, 5000);
		}
		assert_int_equal(pongs, 2);
		stop(&b);
	}
	free(data);
}

/* A transfer that is longer than a message may be: answers come between. */
static void test_send_long(void **state)
{
	static struct bench b;
	size_t len = 2 * SPICE_MAX_DATA + 5;
	uint8_t *data = pattern(len);
	struct iovec iov = { data, len };

	(void)state;
	start(&b, SPICE_LZ4_ALWAYS, true);
	transport_send(b.vmc, &iov, 1);
	turns(&b);
	say_ping(&b, 0);
	fake_transport_sent(&b.wire, SIZE_MAX);
	assert_int_equal(b.sent, SPICE_MAX_DATA);
	iov = (struct iovec){ data + b.sent, len - b.sent };
	transport_send(b.vmc, &iov, 1);
	drain(&b);
	assert_int_equal(b.sent, 2 * SPICE_MAX_DATA);
	expect(&b, SPICE_MSGC_VMC_DATA, data, SPICE_MAX_DATA);
	expect(&b, SPICE_MSGC_PONG, PONG, 12);
	expect(&b, SPICE_MSGC_VMC_DATA, data + SPICE_MAX_DATA, SPICE_MAX_DATA);
	stop(&b);
	free(data);
}

/* The other end of a socket: takes all that comes. */
static void *drink(void *arg)
{
	static uint8_t mouth[65536];
	int fd = *(int *)arg;
	size_t *total = malloc(sizeof(*total));
	ssize_t n;

	*total = 0;
	while ((n = read(fd, mouth, sizeof(mouth))) > 0)
		*total += (size_t)n;
	return total;
}

/*
 * The same with a socket, which tells that all has left when the loop wakes up
 * next: a user with more to send is not left waiting for that.
 */
static void test_send_long_lazily(void **state)
{
	const struct spice_channel_link link = { .type = SPICE_CHANNEL_USBREDIR,
						 .mini = true };
	static struct bench b;
	size_t len = 2 * SPICE_MAX_DATA + 5, *total;
	uint8_t *data = pattern(len);
	struct iovec iov = { data, len };
	struct transport *t;
	pthread_t thread;
	int pair[2];

	(void)state;
	memset(&b, 0, sizeof(b));
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(pthread_create(&thread, NULL, drink, &pair[1]), 0);
	assert_int_equal(loop_create(&b.loop), 0);
	bufpool_init(&b.pool);
	assert_int_equal(
		transport_over_fds(b.loop, pair[0], pair[0], "pair", &t), 0);
	assert_int_equal(vmc_create(t, &link, SPICE_LZ4_NEVER, &b.pool, &b.vmc),
			 0);
	b.vmc->user = &user;
	b.vmc->context = &b;
	alarm(20);
	while (b.sent < len) {
		size_t before = b.sent;

		iov = (struct iovec){ data + before, len - before };
		transport_send(b.vmc, &iov, 1);
		/* The last part of all may be told late, as with any socket. */
		if (len - before <= SPICE_MAX_DATA)
			loop_hurry(b.loop);
		while (b.sent == before)
			assert_int_equal(loop_turn(b.loop), 0);
	}
	transport_close(b.vmc);
	turns(&b);
	assert_true(b.closed);
	alarm(0);
	assert_int_equal(pthread_join(thread, (void **)&total), 0);
	assert_int_equal(*total, len + 3 * SPICE_MINI_HEADER);
	free(total);
	close(pair[1]);
	bufpool_fini(&b.pool);
	loop_destroy(b.loop);
	free(data);
}

/* A file became shorter in the middle of a message that was announced. */
static void test_send_fault(void **state)
{
	static struct bench b;
	uint8_t *data = pattern(5000);
	struct iovec iov = { data, 5000 };

	(void)state;
	start(&b, SPICE_LZ4_NEVER, true);
	transport_send(b.vmc, &iov, 1);
	turns(&b);
	fake_transport_sent(&b.wire, 1006);
	assert_int_equal(b.sent, 1000);
	iov = (struct iovec){ data + 1000, 4000 };
	transport_send(b.vmc, &iov, 1);
	turns(&b);
	b.wire.sending = false;
	b.wire.transport.user->sent(&b.wire.transport, -EFAULT);
	assert_int_equal(b.send_error, -EFAULT);
	/* With other bytes in their place; and some of the next thing. */
	memset(data + 1000, 0, 4000);
	iov = (struct iovec){ data + 1000, 4000 };
	transport_send(b.vmc, &iov, 1);
	drain(&b);
	assert_int_equal(b.sent, 5000);
	expect(&b, SPICE_MSGC_VMC_DATA, data, 5000);
	stop(&b);
	free(data);
}

/* Answers to a server that does not take them are bounded. */
static void test_flood(void **state)
{
	static struct bench b;

	(void)state;
	start(&b, SPICE_LZ4_NEVER, true);
	start_receiving(&b, 4096, false);
	for (int i = 0; i < 200000 && !b.ended && b.wire.recv_buf; i++) {
		say_ping(&b, 0);
		if (i % 64 == 0)
			turns(&b);
	}
	turns(&b);
	assert_true(b.ended);
	stop(&b);
}

/* --- LZ4 ------------------------------------------------------------------- */

static void test_lz4_out(void **state)
{
	static struct bench b;
	uint8_t *data = calloc(1, 70000), *random = pattern(70000);
	uint8_t *back = malloc(70000);
	struct iovec iov[] = { { random, 26 }, { data, 69974 } };
	struct span body;
	uint16_t type;

	(void)state;
	assert_non_null(data);
	assert_non_null(back);
	start(&b, SPICE_LZ4_ALWAYS, true);
	transport_send(b.vmc, iov, 2);
	drain(&b);
	assert_int_equal(b.sent, 70000);
	body = heard(&b, &type);
	assert_int_equal(type, SPICE_MSGC_VMC_COMPRESSED_DATA);
	assert_true(body.len < 2000);
	assert_int_equal(span_u8(&body), SPICE_PACKED_LZ4);
	assert_int_equal(span_le(&body, 4), 70000);
	assert_int_equal(spice_lz4_unpack(body.p, body.len, back, 70000), 0);
	assert_memory_equal(back, random, 26);
	assert_memory_equal(back + 26, data, 69974);
	/* What does not shrink, and what is short, goes as it is. */
	iov[0] = (struct iovec){ random, 70000 };
	transport_send(b.vmc, iov, 1);
	drain(&b);
	expect(&b, SPICE_MSGC_VMC_DATA, random, 70000);
	iov[0] = (struct iovec){ data, 1000 };
	transport_send(b.vmc, iov, 1);
	drain(&b);
	expect(&b, SPICE_MSGC_VMC_DATA, data, 1000);
	assert_int_equal(b.sent, 141000);
	stop(&b);
	free(data);
	free(random);
	free(back);
}

/* zeros, packed: a literal, a match of what it takes. */
static size_t pack_zeros(uint8_t *out, uint32_t size)
{
	struct spice_lz4 lz4;
	struct bufpool pool;
	uint8_t *zeros = calloc(1, size);
	struct iovec iov = { zeros, size };
	struct buf *buf;
	size_t packed;
	int error;

	bufpool_init(&pool);
	spice_lz4_init(&lz4, SPICE_LZ4_ALWAYS, &pool);
	buf = spice_lz4_pack(&lz4, &iov, 1, size, &packed, &error);
	assert_non_null(buf);
	memcpy(out, buf->data, packed);
	buf_put(buf);
	bufpool_fini(&pool);
	free(zeros);
	return packed;
}

static size_t compressed(uint8_t *body, uint8_t type, uint32_t says,
			 uint32_t size)
{
	struct span_writer w = span_writer_of(body, SPICE_PACKED_HEAD);

	span_put_le(&w, type, 1);
	span_put_le(&w, says, 4);
	return SPICE_PACKED_HEAD + pack_zeros(body + SPICE_PACKED_HEAD, size);
}

static void test_lz4_in(void **state)
{
	static const uint8_t zeros[60000];
	static struct bench b;
	uint8_t body[4096];
	size_t len = compressed(body, SPICE_PACKED_LZ4, 60000, 60000);

	(void)state;
	for (size_t size = 100; size <= 100000; size *= 10) {
		start(&b, SPICE_LZ4_AUTO, true);
		start_receiving(&b, size, false);
		say(&b, SPICE_MSG_VMC_DATA, "<", 1);
		say(&b, SPICE_MSG_VMC_COMPRESSED_DATA, body, len);
		say(&b, SPICE_MSG_VMC_DATA, ">", 1);
		turns(&b);
		assert_int_equal(b.n_got, 60002);
		assert_int_equal(b.got[0], '<');
		assert_memory_equal(b.got + 1, zeros, 60000);
		assert_int_equal(b.got[60001], '>');
		assert_false(b.ended);
		stop(&b);
	}
}

static void refused(const void *body, size_t len)
{
	static struct bench b;

	start(&b, SPICE_LZ4_AUTO, true);
	start_receiving(&b, 4096, false);
	say(&b, SPICE_MSG_VMC_DATA, "<", 1);
	say(&b, SPICE_MSG_VMC_COMPRESSED_DATA, body, len);
	turns(&b);
	assert_int_equal(b.n_got, 1);
	assert_true(b.ended);
	stop(&b);
}

static void test_lz4_malformed(void **state)
{
	uint8_t body[4096];
	size_t len = compressed(body, SPICE_PACKED_LZ4, 60000, 60000);

	(void)state;
	refused(body, len - 1);	  /* cut short */
	refused(body, len - 100); /* not even the size is possible */
	refused(body, 1);	  /* no size */
	refused(body, 4);
	refused(body, 5); /* no block */
	body[0] = 2;
	refused(body, len); /* another method */
	body[0] = SPICE_PACKED_NONE;
	refused(body, len);
	compressed(body, SPICE_PACKED_LZ4, 60001, 60000);
	refused(body, len);
	compressed(body, SPICE_PACKED_LZ4, 59999, 60000);
	refused(body, len);
	compressed(body, SPICE_PACKED_LZ4, 0, 60000);
	refused(body, len);
	compressed(body, SPICE_PACKED_LZ4, UINT32_MAX, 60000);
	refused(body, len);
}

/* --- The end ---------------------------------------------------------------- */

static void test_end(void **state)
{
	static struct bench b;
	bool got;

	(void)state;
	/* The user gets what came before, and hears of it, now or when it listens. */
	for (int now = 0; now < 2; now++) {
		for (int broken = 0; broken < 2; broken++) {
			start(&b, SPICE_LZ4_AUTO, true);
			if (now)
				start_receiving(&b, 100000, true);
			say(&b, SPICE_MSG_VMC_DATA, "1234", 4);
			if (broken)
				say(&b, SPICE_MSG_SET_ACK, NULL, 0);
			else
				fake_transport_end(&b.wire, 0);
			turns(&b);
			if (!now)
				start_receiving(&b, 100000, true);
			turns(&b);
			assert_true(b.ended);
			/* But the server had gone before anybody listened. */
			got = now || broken;
			assert_int_equal(b.received, got ? 2 : 1);
			assert_int_equal(b.n_got, got ? 4 : 0);
			stop(&b);
		}
	}
}

/* Who sends is told, too, when the channel fails, or has failed. */
static void test_end_sending(void **state)
{
	static struct bench b;
	uint8_t *data = pattern(70000);
	struct iovec iov = { data, 70000 };

	(void)state;
	for (int lz4 = 0; lz4 < 2; lz4++) {
		start(&b, lz4 ? SPICE_LZ4_ALWAYS : SPICE_LZ4_NEVER, true);
		memset(data, lz4 ? 0 : 1, 70000);
		transport_send(b.vmc, &iov, 1);
		turns(&b);
		assert_true(b.wire.sending);
		fake_transport_end(&b.wire, 0);
		turns(&b);
		/* Not before the memory has come back. */
		if (!lz4)
			assert_int_equal(b.send_error, 0);
		b.wire.sending = false;
		b.wire.transport.user->sent(&b.wire.transport, -EPIPE);
		turns(&b);
		assert_int_equal(b.send_error, -EPIPE);
		b.send_error = 0;
		transport_send(b.vmc, &iov, 1);
		turns(&b);
		assert_int_equal(b.send_error, -EPIPE);
		stop(&b);
	}
	free(data);
}

/* Closed by its user while both directions are busy. */
static void test_close_busy(void **state)
{
	static struct bench b;
	uint8_t *data = pattern(70000);
	struct iovec iov = { data, 70000 };

	(void)state;
	for (int lz4 = 0; lz4 < 2; lz4++) {
		start(&b, lz4 ? SPICE_LZ4_ALWAYS : SPICE_LZ4_NEVER, true);
		start_receiving(&b, 50000, true);
		say(&b, SPICE_MSG_VMC_DATA, data, 20000);
		memset(data, 0, 70000);
		transport_send(b.vmc, &iov, 1);
		turns(&b);
		assert_true(b.wire.sending);
		stop(&b);
		assert_int_equal(b.received, 0);
		assert_int_equal(b.sent, 0);
	}
	free(data);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_receive),
		cmocka_unit_test(test_receive_later),
		cmocka_unit_test(test_acknowledgements),
		cmocka_unit_test(test_ping),
		cmocka_unit_test(test_send),
		cmocka_unit_test(test_send_in_pieces),
		cmocka_unit_test(test_send_long),
		cmocka_unit_test(test_send_long_lazily),
		cmocka_unit_test(test_send_fault),
		cmocka_unit_test(test_flood),
		cmocka_unit_test(test_lz4_out),
		cmocka_unit_test(test_lz4_in),
		cmocka_unit_test(test_lz4_malformed),
		cmocka_unit_test(test_end),
		cmocka_unit_test(test_end_sending),
		cmocka_unit_test(test_close_busy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
