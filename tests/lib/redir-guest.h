/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A usbredir guest for unit tests of sessions: the session without I/O, a fake
 * device, and what the guest says and hears. Bytes go in by
 * redir_session_space() and redir_session_filled(), at once, one by one or in
 * random pieces; what ops.send gets is decoded again.
 *
 * The test includes cmocka.h, and what that needs, before this.
 */
#ifndef TESTS_REDIR_GUEST_H
#define TESTS_REDIR_GUEST_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/outq.h"
#include "fake-device.h"
#include "frontend/redir.h"

enum chunking { CHUNK_ALL, CHUNK_ONE, CHUNK_RANDOM };
static enum chunking chunking;

struct guest {
	struct loop *loop;
	struct bufpool pool;
	struct registry registry;
	struct fake_device *fake; /* NULL: there is no device */
	struct redir_session session;
	unsigned int failed, detached, closed; /* calls */
	bool full;			       /* what the session hears */
	uint32_t caps; /* of both sides, as the guest knows them */
	uint8_t *out;  /* all that the session has sent */
	size_t out_len, out_at;
	uint64_t id; /* of the last request */
	uint32_t seed;
};

static inline struct guest *guest_of(struct session *s)
{
	return container_of(s, struct guest, session.base);
}

/* --- What the session calls ---------------------------------------------------- */

static inline void append(struct guest *g, const void *data, size_t len)
{
	if (!len)
		return;
	g->out = realloc(g->out, g->out_len + len);
	assert_non_null(g->out);
	memcpy(g->out + g->out_len, data, len);
	g->out_len += len;
}

static inline void session_sends(struct session *s, const void *head,
				 size_t head_len, struct buf *buf, uint32_t off,
				 uint32_t len)
{
	struct guest *g = guest_of(s);

	assert_int_equal(g->closed, 0);
	assert_true(head_len <= OUTQ_HEAD);
	assert_true(!len || (buf && off + len <= buf->size));
	append(g, head, head_len);
	if (len)
		append(g, buf->data + off, len);
	buf_put(buf);
}

static inline bool session_full(struct session *s)
{
	return guest_of(s)->full;
}

static inline void session_failed(struct session *s)
{
	guest_of(s)->failed++;
}

static inline void session_detached(struct session *s)
{
	guest_of(s)->detached++;
}

static inline void session_closed(struct session *s)
{
	guest_of(s)->closed++;
}

static const struct session_user session_user = {
	.send = session_sends,
	.full = session_full,
	.failed = session_failed,
	.detached = session_detached,
	.closed = session_closed,
};

/* --- Bytes in -------------------------------------------------------------------- */

static inline size_t chunk(struct guest *g, size_t most)
{
	switch (chunking) {
	case CHUNK_ALL:
		return most;
	case CHUNK_ONE:
		return 1;
	default:
		g->seed = g->seed * 1103515245 + 12345;
		return MIN(most, 1 + (g->seed >> 16) % 5000);
	}
}

static inline void feed(struct guest *g, const void *data, size_t len)
{
	const uint8_t *p = data;

	while (len) {
		size_t room, n;
		bool exact;
		void *space = session_space(&g->session.base, &room, &exact);

		assert_true(room > 0);
		n = chunk(g, MIN(room, len));
		memcpy(space, p, n);
		session_filled(&g->session.base, n);
		p += n;
		len -= n;
	}
}

/* Sends msg with its payload of msg->data_len bytes. */
static inline void tell(struct guest *g, const struct usbredir_msg *msg,
			const void *payload)
{
	uint8_t head[USBREDIR_MAX_HEAD];

	feed(g, head, usbredir_encode(msg, g->caps, head));
	feed(g, payload, msg->data_len);
}

/* A header that no encoder would write. */
static inline void tell_header(struct guest *g, uint32_t type, uint32_t length)
{
	uint8_t head[USBREDIR_MAX_HEADER];
	struct span_writer w = span_writer_of(head, sizeof(head));

	span_put_le(&w, type, 4);
	span_put_le(&w, length, 4);
	span_put_le(&w, ++g->id, usbredir_header_size(g->caps) - 8);
	feed(g, head, w.len);
}

static inline void feed_zeros(struct guest *g, size_t len)
{
	static const uint8_t zeros[65536];

	for (size_t n; len; len -= n) {
		n = MIN(len, sizeof(zeros));
		feed(g, zeros, n);
	}
}

static inline void tell_hello_of(struct guest *g, const char *version,
				 uint32_t caps)
{
	struct usbredir_msg msg = { .type = USBREDIR_HELLO, .data_len = 4 };
	uint8_t word[4];
	struct span_writer w = span_writer_of(word, sizeof(word));

	memcpy(msg.hello.version, version, strlen(version));
	span_put_le(&w, caps, 4);
	tell(g, &msg, word);
	g->caps = usbredir_caps_sanitize(caps & REDIR_CAPS);
}

static inline void tell_hello(struct guest *g, uint32_t caps)
{
	tell_hello_of(g, "a test", caps);
}

/* --- Bytes out --------------------------------------------------------------------- */

static inline void expect_nothing(struct guest *g)
{
	assert_int_equal(g->out_at, g->out_len);
}

/* The next packet; *payload points at what follows its type header. */
static inline struct usbredir_msg next(struct guest *g, const uint8_t **payload)
{
	struct span s = span_of(g->out + g->out_at, g->out_len - g->out_at);
	bool hello = !g->out_at;
	uint32_t caps = hello ? 0 : g->caps;
	struct usbredir_header header;
	struct usbredir_layout layout;
	struct usbredir_msg msg;
	const uint8_t *type_header;

	assert_true(s.len > 0);
	assert_int_equal(usbredir_decode_header(s, caps, &header), 0);
	assert_int_equal(
		usbredir_check_header(&header, USBREDIR_GUEST, caps, &layout),
		0);
	span_take(&s, usbredir_header_size(caps));
	type_header = span_take(&s, layout.type_header);
	assert_int_equal(
		usbredir_decode(&header, USBREDIR_GUEST, caps,
				span_of(type_header, layout.type_header), &msg),
		0);
	*payload = span_take(&s, layout.data);
	assert_true(span_ok(&s));
	g->out_at = g->out_len - s.len;
	return msg;
}

static inline struct usbredir_msg expect_data(struct guest *g, uint32_t type,
					      const uint8_t **payload)
{
	struct usbredir_msg msg = next(g, payload);

	if (msg.type != type)
		print_error("%s instead of %s\n", usbredir_type_name(msg.type),
			    usbredir_type_name(type));
	assert_int_equal(msg.type, type);
	return msg;
}

static inline struct usbredir_msg expect(struct guest *g, uint32_t type)
{
	const uint8_t *payload;

	return expect_data(g, type, &payload);
}

static inline void expect_endpoints(struct guest *g)
{
	struct usbredir_msg msg = expect(g, USBREDIR_EP_INFO);

	assert_int_equal(msg.ep_info.type[0], USB_CONTROL);
	assert_int_equal(msg.ep_info.type[16], USB_CONTROL);
	assert_int_equal(msg.ep_info.type[usbredir_ep_slot(FAKE_IN)], USB_BULK);
	assert_int_equal(msg.ep_info.type[usbredir_ep_slot(FAKE_OUT)],
			 USB_BULK);
	assert_int_equal(msg.ep_info.type[1], USBREDIR_EP_TYPE_INVALID);
	if (g->caps & USBREDIR_CAP_EP_INFO_MAX_PACKET_SIZE)
		assert_int_equal(
			msg.ep_info.max_packet_size[usbredir_ep_slot(FAKE_IN)],
			512);
	msg = expect(g, USBREDIR_INTERFACE_INFO);
	assert_int_equal(msg.interface_info.count, 2);
	assert_int_equal(msg.interface_info.interface_class[0], 0xff);
	assert_int_equal(msg.interface_info.interface_protocol[0], 0x22);
}

static inline void expect_attach(struct guest *g, uint8_t speed)
{
	struct usbredir_msg msg;

	expect_endpoints(g);
	msg = expect(g, USBREDIR_DEVICE_CONNECT);
	assert_int_equal(msg.device_connect.speed, speed);
	assert_int_equal(msg.device_connect.vendor_id, 0x1234);
	assert_int_equal(msg.device_connect.product_id, 0x5678);
	if (g->caps & USBREDIR_CAP_CONNECT_DEVICE_VERSION)
		assert_int_equal(msg.device_connect.device_version_bcd, 0x0102);
	expect_nothing(g);
}

/* --- Setting up, tearing down --------------------------------------------------------- */

static inline void start_session(struct guest *g)
{
	redir_session_init(&g->session, g->loop, &g->pool, &g->registry, NULL,
			   "test");
	g->session.base.user = &session_user;
	session_start(&g->session.base);
}

/* A session whose hello has been sent. */
static inline void begin_silent(struct guest *g, bool with_device)
{
	memset(g, 0, offsetof(struct guest, session));
	g->failed = g->detached = g->closed = 0;
	g->full = false;
	g->caps = 0;
	g->out = NULL;
	g->out_len = g->out_at = 0;
	/* Beyond 32 bits, where there is room for it. */
	g->id = 0x1234567800000000;
	g->seed = 1;
	assert_int_equal(loop_create(&g->loop), 0);
	bufpool_init(&g->pool);
	registry_init(&g->registry);
	if (with_device) {
		g->fake = fake_device_new(g->loop, &g->pool);
		registry_add(&g->registry, &g->fake->device);
	}
	start_session(g);
}

/* One whose device is attached; URBs stay with the device. */
static inline void begin(struct guest *g, uint32_t caps)
{
	begin_silent(g, true);
	expect(g, USBREDIR_HELLO);
	g->fake->hold_urbs = true;
	tell_hello(g, caps);
	expect_endpoints(g);
	expect(g, USBREDIR_DEVICE_CONNECT);
	expect_nothing(g);
}

#define CAPS_ALL USBREDIR_CAPS_ALL

static inline void free_guest(struct guest *g)
{
	assert_int_equal(g->closed, 1);
	redir_session_fini(&g->session);
	assert_int_equal(g->pool.lent, 0);
	registry_fini(&g->registry);
	bufpool_fini(&g->pool);
	loop_destroy(g->loop);
	free(g->out);
}

static inline void end(struct guest *g)
{
	session_close(&g->session.base);
	free_guest(g);
}

/* --- Requests of a guest --------------------------------------------------------------- */

static inline uint64_t wire_id(const struct guest *g, uint64_t id)
{
	return g->caps & USBREDIR_CAP_64BITS_IDS ? id : (uint32_t)id;
}

static inline void ask(struct guest *g, struct usbredir_msg msg)
{
	msg.id = wire_id(g, ++g->id);
	tell(g, &msg, NULL);
}

static inline void ask_bulk_in(struct guest *g, uint32_t len)
{
	ask(g, (struct usbredir_msg){
		       .type = USBREDIR_BULK_PACKET,
		       .transfer = { .endpoint = FAKE_IN, .length = len } });
}

static inline void ask_bulk_out(struct guest *g, const void *data, uint32_t len)
{
	struct usbredir_msg msg = {
		.type = USBREDIR_BULK_PACKET,
		.data_len = len,
		.transfer = { .endpoint = FAKE_OUT, .length = len },
	};

	msg.id = wire_id(g, ++g->id);
	tell(g, &msg, data);
}

static inline void ask_control_in(struct guest *g, uint16_t len)
{
	ask(g, (struct usbredir_msg){ .type = USBREDIR_CONTROL_PACKET,
				      .control = { .endpoint = 0x80,
						   .requesttype = 0x80,
						   .request = 6,
						   .value = 0x0100,
						   .length = len } });
}

static inline void ask_reset(struct guest *g)
{
	ask(g, (struct usbredir_msg){ .type = USBREDIR_RESET });
}

static inline void ask_cancel(struct guest *g, uint64_t id)
{
	struct usbredir_msg msg = { .type = USBREDIR_CANCEL_DATA_PACKET,
				    .id = wire_id(g, id) };

	tell(g, &msg, NULL);
}

/* The answer to the last request, without data. */
static inline void expect_transfer(struct guest *g, uint32_t type,
				   uint8_t status)
{
	struct usbredir_msg msg = expect(g, type);

	assert_int_equal(msg.id, wire_id(g, g->id));
	assert_int_equal(msg.data_len, 0);
	if (type == USBREDIR_CONTROL_PACKET)
		assert_int_equal(msg.control.status, status);
	else
		assert_int_equal(msg.transfer.status, status);
	expect_nothing(g);
}

static inline struct urb *taken(struct guest *g)
{
	struct urb *urb = fake_first(g->fake);

	assert_non_null(urb);
	return urb;
}

/* --- What is logged ------------------------------------------------------------------------ */

static int log_fd, old_stderr;

static inline void log_begin(void)
{
	log_fd = memfd_create("log", MFD_CLOEXEC);
	old_stderr = dup(STDERR_FILENO);
	assert_true(log_fd >= 0 && old_stderr >= 0);
	dup2(log_fd, STDERR_FILENO);
	log_level = LOG_LEVEL_INFO;
}

/* Number of lines since log_begin(); the text goes to out. */
static inline unsigned int log_end(char *out, size_t size)
{
	ssize_t n = pread(log_fd, out, size - 1, 0);
	unsigned int lines = 0;

	log_level = LOG_LEVEL_ERR;
	dup2(old_stderr, STDERR_FILENO);
	close(old_stderr);
	close(log_fd);
	assert_true(n >= 0);
	out[n] = '\0';
	for (const char *p = out; *p; p++)
		lines += *p == '\n';
	return lines;
}

#endif
