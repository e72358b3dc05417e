// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/outq.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"

static size_t msg_size(const struct outq_msg *msg)
{
	return (size_t)msg->head_len + msg->len;
}

/* Messages in a row may carry pieces of one buffer; the first counts it. */
static size_t memory_of(const struct outq *q, const struct buf *buf)
{
	size_t size = sizeof(struct outq_msg);

	if (!buf)
		return size;
	if (!list_empty(&q->msgs) &&
	    list_entry(q->msgs.prev, struct outq_msg, node)->buf == buf)
		return size;
	return size + buf->size;
}

static void msg_free(struct outq *q, struct outq_msg *msg)
{
	q->memory -= msg->memory;
	list_remove(&msg->node);
	buf_put(msg->buf);
	free(msg);
}

void outq_init(struct outq *q)
{
	*q = (struct outq){ 0 };
	list_init(&q->msgs);
}

void outq_fini(struct outq *q)
{
	while (!list_empty(&q->msgs))
		msg_free(q, list_first(&q->msgs, struct outq_msg, node));
	q->sent = 0;
	q->bytes = 0;
}

/* A copy of len bytes at off, which is as good as they are. Takes buf. */
static struct buf *copy_of(struct buf *buf, uint32_t off, uint32_t len)
{
	struct iovec iov = { buf->data + off, len };
	struct bufpool *pool = buf->pool;
	struct buf *copy = bufpool_get(pool, len);

	if (copy && memory_copy_iov(copy->data, len, &iov, 1, 0) < 0) {
		memset(copy->data, 0, len);
		pool->torn++;
	}
	buf_put(buf);
	return copy;
}

int outq_push(struct outq *q, const void *head, size_t head_len,
	      struct buf *buf, uint32_t off, uint32_t len)
{
	struct outq_msg *msg = malloc(sizeof(*msg));

	assert(head_len <= OUTQ_HEAD);
	if (!msg) {
		buf_put(buf);
		return -ENOMEM;
	}
	if (q->own && buf && buf->foreign) {
		buf = copy_of(buf, off, len);
		off = 0;
		if (!buf) {
			free(msg);
			return -ENOMEM;
		}
	}
	list_init(&msg->node);
	if (head_len)
		memcpy(msg->head, head, head_len);
	msg->head_len = (uint32_t)head_len;
	msg->buf = buf;
	msg->off = off;
	msg->len = len;
	msg->memory = memory_of(q, buf);
	list_append(&q->msgs, &msg->node);
	q->bytes += msg_size(msg);
	q->memory += msg->memory;
	return 0;
}

static unsigned int add_iov(struct iovec *iov, unsigned int used, uint8_t *p,
			    size_t len, size_t *skip)
{
	size_t skipped = MIN(*skip, len);

	*skip -= skipped;
	if (len == skipped)
		return used;
	iov[used].iov_base = p + skipped;
	iov[used].iov_len = len - skipped;
	return used + 1;
}

unsigned int outq_iov(const struct outq *q, struct iovec *iov, unsigned int n)
{
	size_t skip = q->sent;
	unsigned int used = 0;

	list_for_each (it, &q->msgs) {
		struct outq_msg *msg = list_entry(it, struct outq_msg, node);

		if (n - used < 2)
			break;
		used = add_iov(iov, used, msg->head, msg->head_len, &skip);
		if (msg->len)
			used = add_iov(iov, used, msg->buf->data + msg->off,
				       msg->len, &skip);
	}
	return used;
}

static bool repair(struct outq *q, struct outq_msg *msg)
{
	struct bufpool *pool = msg->buf->pool;
	struct buf *zeros = bufpool_get(pool, msg->len);

	if (!zeros)
		return false;
	memset(zeros->data, 0, msg->len);
	q->memory -= msg->memory;
	buf_put(msg->buf);
	msg->buf = zeros;
	msg->off = 0;
	msg->memory = sizeof(*msg) + zeros->size;
	q->memory += msg->memory;
	pool->torn++;
	return true;
}

bool outq_repair(struct outq *q)
{
	bool repaired = false;

	list_for_each (it, &q->msgs) {
		struct outq_msg *msg = list_entry(it, struct outq_msg, node);

		if (!msg->buf || !msg->buf->foreign)
			continue;
		if (!repair(q, msg))
			return false;
		repaired = true;
	}
	return repaired;
}

void outq_consume(struct outq *q, size_t n)
{
	assert(n <= q->bytes);
	q->bytes -= n;
	q->sent += n;
	while (!list_empty(&q->msgs)) {
		struct outq_msg *msg =
			list_first(&q->msgs, struct outq_msg, node);

		if (q->sent < msg_size(msg))
			return;
		q->sent -= msg_size(msg);
		msg_free(q, msg);
	}
}
