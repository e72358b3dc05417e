// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/channel.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

/* --- The end ------------------------------------------------------------------------ */

static bool is_over(const struct spice_channel *c)
{
	return c->closing || c->why;
}

static void fail_task(struct task *task)
{
	struct spice_channel *c =
		container_of(task, struct spice_channel, fail);

	/* The owner's memory comes back first. */
	if (c->lent || (c->sending && c->body)) {
		shutdown(c->transport->fd, SHUT_RDWR);
	} else {
		c->told = true;
		c->ops->ended(c, c->status, c->why);
	}
}

/* Memory that ended has waited for. */
static void came_back(struct spice_channel *c)
{
	if (!c->told)
		loop_post(c->loop, &c->fail);
}

static void fail(struct spice_channel *c, int status, const char *why)
{
	if (is_over(c))
		return;
	c->status = status;
	c->why = why;
	loop_post(c->loop, &c->fail);
}

void spice_channel_broken(struct spice_channel *c, const char *why)
{
	fail(c, -EPROTO, why);
}

/* --- Sending ------------------------------------------------------------------------- */

static size_t total_of(const struct iovec *iov, unsigned int n)
{
	size_t total = 0;

	for (unsigned int i = 0; i < n; i++)
		total += iov[i].iov_len;
	return total;
}

/*
 * What leaves next: of the queue what goes ahead of the body, the body, and the
 * rest of the queue if the body is complete by then.
 */
static unsigned int gather(struct spice_channel *c,
			   struct iovec iov[static TRANSPORT_IOV])
{
	struct iovec queued[TRANSPORT_IOV];
	unsigned int n = outq_iov(&c->out, queued, ARRAY_SIZE(queued));
	unsigned int used = 0, i = 0;
	size_t ahead = c->ahead;

	c->body = 0;
	for (; i < n && ahead; i++) {
		iov[used++] = queued[i];
		ahead -= queued[i].iov_len;
	}
	if (ahead)
		return used;
	for (unsigned int j = 0; j < c->n_iov && used < TRANSPORT_IOV; j++) {
		iov[used++] = c->iov[j];
		c->body += c->iov[j].iov_len;
	}
	if (c->body < c->announced)
		return used;
	while (i < n && used < TRANSPORT_IOV)
		iov[used++] = queued[i++];
	return used;
}

static void send_out(struct spice_channel *c)
{
	struct iovec iov[TRANSPORT_IOV];
	unsigned int n;

	if (is_over(c))
		return;
	if (c->sending) {
		/* Sent lazily: ask for the outcome, this waits behind it. */
		loop_hurry(c->loop);
		c->hurry = true;
		return;
	}
	n = gather(c, iov);
	if (!n)
		return;
	c->sending = true;
	transport_send(c->transport, iov, n);
	/* What had to wait may be of a user who has asked for that then. */
	if (c->hurry || total_of(iov, n) < outq_bytes(&c->out) + c->announced)
		loop_hurry(c->loop);
	c->hurry = false;
}

static void flush_task(struct task *task)
{
	struct spice_channel *c =
		container_of(task, struct spice_channel, flush);

	/* The user may have something to write in this turn: behind it, one
	 * system call is enough. */
	if (!c->put_off) {
		c->put_off = true;
		loop_post(c->loop, &c->flush);
		return;
	}
	c->put_off = false;
	send_out(c);
}

/* The queue is not empty, or what is left of a body is to be sent. */
static void flush(struct spice_channel *c)
{
	loop_post(c->loop, &c->flush);
}

static void sent(struct transport *t, int res)
{
	struct spice_channel *c = t->context;
	size_t left = (size_t)MAX(res, 0), n;

	c->sending = false;
	if (c->why) {
		came_back(c);
		return;
	}
	if (res == -EFAULT && c->body) {
		c->n_iov = 0;
		c->ops->written(c, res);
		return;
	}
	if (res < 0) {
		fail(c, res, transport_why(t, res));
		return;
	}
	n = MIN(left, c->ahead);
	outq_consume(&c->out, n);
	c->ahead -= n;
	left -= n;
	n = MIN(left, c->body);
	c->announced -= n;
	left -= n;
	outq_consume(&c->out, left);
	if (outq_bytes(&c->out) || (c->n_iov && !n)) {
		/* Whoever has asked for haste asked for all of it. */
		c->hurry = true;
		flush(c);
	}
	if (n) {
		c->n_iov = 0;
		c->ops->written(c, (int)n);
	}
	if (!outq_bytes(&c->out) && !c->n_iov && c->ops->drained)
		c->ops->drained(c);
}

/* Takes buf. */
static void push(struct spice_channel *c, uint16_t type, const void *body,
		 size_t body_len, struct buf *buf, uint32_t len)
{
	struct spice_header header = { type, (uint32_t)body_len + len };
	uint8_t head[SPICE_FULL_HEADER + SPICE_MAX_BODY];
	size_t n = spice_encode_header(&header, c->mini, ++c->serial, head);

	assert(body_len <= SPICE_MAX_BODY);
	if (body_len)
		memcpy(head + n, body, body_len);
	if (outq_memory(&c->out) > SPICE_MAX_ANSWERS) {
		buf_put(buf);
		fail(c, -ENOBUFS, "the server does not take our answers");
		return;
	}
	if (outq_push(&c->out, head, n + body_len, buf, 0, len) < 0)
		fail(c, -ENOMEM, strerror(ENOMEM));
	else
		flush(c);
}

void spice_channel_send(struct spice_channel *c, uint16_t type,
			const void *body, size_t len)
{
	push(c, type, body, len, NULL, 0);
}

void spice_channel_send_buf(struct spice_channel *c, uint16_t type,
			    const void *head, size_t head_len, struct buf *buf,
			    uint32_t len)
{
	push(c, type, head, head_len, buf, len);
}

void spice_channel_write(struct spice_channel *c, uint16_t type,
			 const struct iovec *iov, unsigned int n)
{
	size_t room;

	assert(!c->n_iov && n <= TRANSPORT_IOV);
	if (!c->announced) {
		struct spice_header header = { type, 0 };
		uint8_t head[SPICE_FULL_HEADER];
		size_t len;

		c->announced = MIN(total_of(iov, n), (size_t)SPICE_MAX_DATA);
		header.size = (uint32_t)c->announced;
		len = spice_encode_header(&header, c->mini, ++c->serial, head);
		if (outq_push(&c->out, head, len, NULL, 0, 0) < 0) {
			fail(c, -ENOMEM, strerror(ENOMEM));
			return;
		}
		c->ahead = outq_bytes(&c->out);
	}
	/* The user has more than this message takes, and waits for its end. */
	if (total_of(iov, n) > c->announced)
		c->hurry = true;
	room = c->announced;
	for (unsigned int i = 0; i < n && room; i++) {
		struct iovec *entry = &c->iov[c->n_iov++];

		*entry = iov[i];
		entry->iov_len = MIN(entry->iov_len, room);
		room -= entry->iov_len;
	}
	/* Not later: the user may loop_hurry() then. */
	send_out(c);
}

/* --- Receiving: messages of all channels ------------------------------------------------- */

static void log_notify(struct spice_channel *c, const struct spice_msg *msg)
{
	static const enum log_level levels[] = { LOG_LEVEL_INFO, LOG_LEVEL_WARN,
						 LOG_LEVEL_ERR };
	const struct span *text = &msg->notify.text;
	char line[SPICE_MAX_TEXT + 1];
	size_t n = MIN(text->len, sizeof(line) - 1);

	/* A peer's text: nothing in it steers a terminal. */
	for (size_t i = 0; i < n; i++)
		line[i] = text->p[i] < ' ' || text->p[i] == 0x7f
				  ? ' '
				  : (char)text->p[i];
	line[n] = '\0';
	log_limited(&c->complaints,
		    levels[MIN(msg->notify.severity, ARRAY_SIZE(levels) - 1)],
		    "%s: the server says: %s", c->name, line);
}

static void handle(struct spice_channel *c, const struct spice_msg *msg)
{
	uint8_t body[SPICE_MAX_BODY];

	switch (msg->type) {
	case SPICE_MSG_SET_ACK:
		c->window = msg->set_ack.window;
		c->unacked = 0;
		spice_channel_send(
			c, SPICE_MSGC_ACK_SYNC, body,
			spice_encode_ack_sync(msg->set_ack.generation, body));
		break;
	case SPICE_MSG_PING:
		spice_channel_send(
			c, SPICE_MSGC_PONG, body,
			spice_encode_pong(msg->ping.id, msg->ping.time, body));
		break;
	case SPICE_MSG_NOTIFY:
		log_notify(c, msg);
		break;
	case SPICE_MSG_MIGRATE:
		/* All that we have sent before is before the mark. */
		if (msg->migrate_flags & SPICE_MIGRATE_NEED_FLUSH)
			spice_channel_send(c, SPICE_MSGC_FLUSH_MARK, NULL, 0);
		break;
	default:
		if (c->ops->message)
			c->ops->message(c, msg);
	}
}

/* --- Receiving --------------------------------------------------------------------------- */

static void message_done(struct spice_channel *c)
{
	c->want = SPICE_WANT_HEADER;
	if (c->window && c->header.type != SPICE_MSG_SET_ACK &&
	    ++c->unacked >= c->window) {
		c->unacked = 0;
		spice_channel_send(c, SPICE_MSGC_ACK, NULL, 0);
	}
}

/* What is left of a message after the kept bytes. */
static void go_on(struct spice_channel *c)
{
	c->left = c->header.size - c->layout.kept;
	c->want = c->layout.payload ? SPICE_WANT_PAYLOAD : SPICE_SKIP;
	if (c->layout.payload)
		c->ops->payload(c, c->header.type, c->left);
	if (!c->left && !is_over(c))
		message_done(c);
}

static void parse_header(struct spice_channel *c)
{
	size_t size = spice_header_size(c->mini);
	int ret;

	c->header = spice_decode_header(span_of(c->staging + c->start, size),
					c->mini);
	c->start += (uint32_t)size;
	ret = spice_check_header(c->type, &c->header, &c->layout);
	if (ret == -EMSGSIZE) {
		fail(c, -EPROTO,
		     "the server sent a message of impossible length");
		return;
	}
	if (ret < 0)
		log_debug("%s: message %u of %u bytes is skipped", c->name,
			  c->header.type, c->header.size);
	c->want = SPICE_WANT_KEPT;
	if (!c->layout.kept)
		go_on(c);
}

static void parse_kept(struct spice_channel *c)
{
	struct span span = span_of(c->staging + c->start, c->layout.kept);
	struct spice_msg msg;

	c->start += c->layout.kept;
	if (spice_decode(c->type, &c->header, span, &msg) < 0) {
		fail(c, -EPROTO, "the server sent a malformed message");
		return;
	}
	handle(c, &msg);
	if (!is_over(c))
		go_on(c);
}

static void payload_arrived(struct spice_channel *c, uint32_t n)
{
	c->left -= n;
	if (!c->left)
		message_done(c);
	c->ops->arrived(c, n);
}

static bool copy_payload(struct spice_channel *c, uint32_t have)
{
	size_t len;
	void *room = have ? c->ops->room(c, &len) : NULL;
	uint32_t n;

	if (!room)
		return false;
	n = (uint32_t)MIN(len, (size_t)MIN(have, c->left));
	memcpy(room, c->staging + c->start, n);
	c->start += n;
	payload_arrived(c, n);
	return true;
}

/* One step over what is in staging; false when it needs more bytes, or room. */
static bool parse_step(struct spice_channel *c)
{
	uint32_t have = c->end - c->start;
	uint32_t n;

	switch (c->want) {
	case SPICE_WANT_HEADER:
		if (have < spice_header_size(c->mini))
			return false;
		parse_header(c);
		return true;
	case SPICE_WANT_KEPT:
		if (have < c->layout.kept)
			return false;
		parse_kept(c);
		return true;
	case SPICE_WANT_PAYLOAD:
		return copy_payload(c, have);
	case SPICE_SKIP:
		n = MIN(have, c->left);
		c->start += n;
		c->left -= n;
		if (c->left)
			return false;
		message_done(c);
		return true;
	}
	return false;
}

static void receive(struct spice_channel *c)
{
	size_t len;

	if (c->receiving || is_over(c))
		return;
	if (c->want == SPICE_WANT_PAYLOAD && c->start == c->end &&
	    c->left >= SPICE_DIRECT_MIN) {
		c->lent = c->ops->room(c, &len);
		if (c->lent && len >= SPICE_DIRECT_MIN) {
			c->receiving = true;
			transport_recv(c->transport, c->lent,
				       MIN(len, (size_t)c->left), true);
			return;
		}
		c->lent = NULL;
	}
	if (c->start) {
		memmove(c->staging, c->staging + c->start, c->end - c->start);
		c->end -= c->start;
		c->start = 0;
	}
	/* Full: nobody has room for the payload in it; see resume. */
	if (c->end == sizeof(c->staging))
		return;
	c->receiving = true;
	transport_recv(c->transport, c->staging + c->end,
		       sizeof(c->staging) - c->end, false);
}

static void pump(struct spice_channel *c)
{
	while (!is_over(c) && parse_step(c))
		;
	if (!is_over(c) && c->ops->rested)
		c->ops->rested(c);
	receive(c);
}

static void pump_task(struct task *task)
{
	pump(container_of(task, struct spice_channel, pump));
}

void spice_channel_resume(struct spice_channel *c)
{
	if (!is_over(c))
		loop_post(c->loop, &c->pump);
}

static void received(struct transport *t, int res)
{
	struct spice_channel *c = t->context;
	bool direct = c->lent;

	c->receiving = false;
	c->lent = NULL;
	if (c->why) {
		came_back(c);
		return;
	}
	if (res <= 0) {
		fail(c, res,
		     res ? transport_why(t, res)
			 : "the server closed the connection");
		return;
	}
	if (direct)
		payload_arrived(c, (uint32_t)res);
	else
		c->end += (uint32_t)res;
	pump(c);
}

/* --- Life ---------------------------------------------------------------------------------- */

static void closed(struct transport *t)
{
	struct spice_channel *c = t->context;

	c->transport = NULL;
	outq_fini(&c->out);
	c->ops->closed(c);
}

static const struct transport_user user = {
	.received = received,
	.sent = sent,
	.closed = closed,
};

void spice_channel_init(struct spice_channel *c,
			const struct spice_channel_ops *ops,
			struct transport *t,
			const struct spice_channel_link *link)
{
	memset(c, 0, offsetof(struct spice_channel, staging));
	c->ops = ops;
	c->transport = t;
	c->loop = t->loop;
	c->type = link->type;
	c->id = link->id;
	c->mini = link->mini;
	c->caps = link->caps;
	snprintf(c->name, sizeof(c->name), "%.120s: %s channel %u", t->peer,
		 spice_channel_name(c->type), c->id);
	outq_init(&c->out);
	task_init(&c->pump, pump_task);
	task_init(&c->fail, fail_task);
	task_init(&c->flush, flush_task);
	t->user = &user;
	t->context = c;
	loop_post(c->loop, &c->pump);
}

void spice_channel_close(struct spice_channel *c)
{
	if (c->closing)
		return;
	c->closing = true;
	task_cancel(&c->pump);
	task_cancel(&c->fail);
	task_cancel(&c->flush);
	transport_close(c->transport);
}
