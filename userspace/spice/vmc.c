// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/vmc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct vmc {
	struct transport transport; /* for the user */
	struct bufpool *pool;
	struct spice_lz4 lz4;
	size_t packed; /* of the user's bytes, that leave packed; 0: none */

	/* What the user wants to receive; NULL: nothing */
	uint8_t *into;
	size_t size, have;
	bool exact;
	bool sending; /* the user waits to be told that something has left */
	bool ended; /* the server's end; told when the user receives or sends */

	/* COMPRESSED_DATA: how it begins, what it is, what comes of it */
	uint8_t head[SPICE_PACKED_HEAD];
	uint32_t head_have, head_size;
	struct buf *block; /* NULL: a message that is not packed */
	uint32_t block_have, block_size;
	struct buf *unpacked; /* waits for the user */
	uint32_t unpacked_start, unpacked_end;

	struct spice_channel channel; /* last: its end is not initialised */
};

static struct vmc *vmc_of(struct spice_channel *c)
{
	return container_of(c, struct vmc, channel);
}

/* --- Receiving: what the user gets -------------------------------------------------- */

static bool has_room(const struct vmc *v)
{
	return v->into && v->have < v->size;
}

/* The user may ask for more from within. */
static void report(struct vmc *v)
{
	int res = (int)v->have;

	v->into = NULL;
	v->have = 0;
	v->transport.user->received(&v->transport, res);
}

static void got(struct vmc *v, size_t n)
{
	v->have += n;
	if (v->have == v->size)
		report(v);
}

static void drop_unpacked(struct vmc *v)
{
	buf_put(v->unpacked);
	v->unpacked = NULL;
}

static void hand_over(struct vmc *v)
{
	while (v->unpacked && has_room(v) && !v->channel.closing) {
		size_t n = MIN(v->size - v->have,
			       (size_t)(v->unpacked_end - v->unpacked_start));

		memcpy(v->into + v->have, v->unpacked->data + v->unpacked_start,
		       n);
		v->unpacked_start += (uint32_t)n;
		if (v->unpacked_start == v->unpacked_end)
			drop_unpacked(v);
		got(v, n);
	}
}

/* --- Receiving: COMPRESSED_DATA --------------------------------------------------------- */

/* Of the 5 bytes that it begins with, or 1. */
static void head_arrived(struct vmc *v)
{
	struct span head = span_of(v->head, v->head_size);
	uint8_t type = span_u8(&head);
	uint32_t unpacked = (uint32_t)span_le(&head, 4);

	if (type != SPICE_PACKED_LZ4 || !span_ok(&head) || !v->block_size ||
	    !unpacked || unpacked > SPICE_MAX_UNPACKED ||
	    unpacked / SPICE_LZ4_MAX_RATIO > v->block_size) {
		spice_channel_broken(
			&v->channel,
			"the server sent compressed data that is malformed");
		return;
	}
	v->unpacked_start = 0;
	v->unpacked_end = unpacked;
	v->block = bufpool_get(v->pool, v->block_size);
	if (!v->block)
		spice_channel_broken(&v->channel, strerror(ENOMEM));
}

static void block_arrived(struct vmc *v)
{
	struct buf *block = v->block;
	bool direct = has_room(v) && v->size - v->have >= v->unpacked_end;
	int ret = -ENOMEM;

	v->block = NULL;
	if (!direct)
		v->unpacked = bufpool_get(v->pool, v->unpacked_end);
	if (direct || v->unpacked)
		ret = spice_lz4_unpack(block->data, v->block_size,
				       direct ? v->into + v->have
					      : v->unpacked->data,
				       v->unpacked_end);
	buf_put(block);
	if (ret < 0)
		spice_channel_broken(
			&v->channel,
			ret == -ENOMEM
				? strerror(ENOMEM)
				: "the server sent compressed data that does not unpack");
	else if (direct)
		got(v, v->unpacked_end);
	else
		hand_over(v);
}

static void payload(struct spice_channel *c, uint16_t type, uint32_t size)
{
	struct vmc *v = vmc_of(c);

	spice_lz4_heard(&v->lz4);
	v->head_have = v->head_size = 0;
	if (type != SPICE_MSG_VMC_COMPRESSED_DATA)
		return;
	v->head_size = MIN(size, (uint32_t)SPICE_PACKED_HEAD);
	v->block_have = 0;
	v->block_size = size - v->head_size;
}

static void *room(struct spice_channel *c, size_t *len)
{
	struct vmc *v = vmc_of(c);

	if (v->unpacked)
		return NULL;
	if (v->head_have < v->head_size) {
		*len = v->head_size - v->head_have;
		return v->head + v->head_have;
	}
	if (v->block) {
		*len = v->block_size - v->block_have;
		return v->block->data + v->block_have;
	}
	if (!has_room(v))
		return NULL;
	*len = v->size - v->have;
	return v->into + v->have;
}

static void arrived(struct spice_channel *c, size_t n)
{
	struct vmc *v = vmc_of(c);

	if (v->head_have < v->head_size) {
		v->head_have += (uint32_t)n;
		if (v->head_have == v->head_size)
			head_arrived(v);
	} else if (v->block) {
		v->block_have += (uint32_t)n;
		if (v->block_have == v->block_size)
			block_arrived(v);
	} else {
		got(v, n);
	}
}

static void rested(struct spice_channel *c)
{
	struct vmc *v = vmc_of(c);

	hand_over(v);
	if (v->into && v->have && !v->exact)
		report(v);
}

static void vmc_recv(struct transport *t, void *buf, size_t len, bool exact)
{
	struct vmc *v = container_of(t, struct vmc, transport);

	v->into = buf;
	v->size = len;
	v->have = 0;
	v->exact = exact;
	if (v->ended)
		loop_post(t->loop, &v->channel.fail);
	else
		spice_channel_resume(&v->channel);
}

/* --- Sending ------------------------------------------------------------------------------- */

static bool pack(struct vmc *v, const struct iovec *iov, unsigned int n,
		 size_t len)
{
	uint8_t head[SPICE_PACKED_HEAD] = { SPICE_PACKED_LZ4 };
	struct span_writer w = span_writer_of(head + 1, sizeof(head) - 1);
	struct buf *buf;
	size_t packed;
	int error;

	/* What is missing of a message that has begun is not packed. */
	if (v->channel.announced || len > SPICE_MAX_DATA)
		return false;
	buf = spice_lz4_pack(&v->lz4, iov, n, len, &packed, &error);
	/* Memory that is gone: sending it finds that again, and says so. */
	if (!buf)
		return false;
	span_put_le(&w, len, 4);
	v->packed = len;
	spice_lz4_sent(&v->lz4, packed);
	spice_channel_send_buf(&v->channel, SPICE_MSGC_VMC_COMPRESSED_DATA,
			       head, sizeof(head), buf, (uint32_t)packed);
	return true;
}

static void vmc_send(struct transport *t, const struct iovec *iov,
		     unsigned int n)
{
	struct vmc *v = container_of(t, struct vmc, transport);
	size_t len = 0;

	v->sending = true;
	if (v->ended) {
		loop_post(t->loop, &v->channel.fail);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (pack(v, iov, n, len))
		return;
	/* The rest of a message has been counted. */
	if (!v->channel.announced)
		spice_lz4_sent(&v->lz4, len);
	spice_channel_write(&v->channel, SPICE_MSGC_VMC_DATA, iov, n);
}

static void report_sent(struct vmc *v, int res)
{
	v->sending = false;
	v->transport.user->sent(&v->transport, res);
}

static void written(struct spice_channel *c, int res)
{
	report_sent(vmc_of(c), res);
}

static void drained(struct spice_channel *c)
{
	struct vmc *v = vmc_of(c);
	int n = (int)v->packed;

	v->packed = 0;
	if (n)
		report_sent(v, n);
}

/* --- Life ---------------------------------------------------------------------------------- */

static void ended(struct spice_channel *c, int status, const char *why)
{
	struct vmc *v = vmc_of(c);

	if (!v->ended && status && status != -ECONNRESET)
		log_limited(&c->complaints, LOG_LEVEL_WARN,
			    "%s: connection ended: %s", c->name, why);
	v->ended = true;
	if (v->sending)
		report_sent(v, -EPIPE);
	/* What has come is the user's, and then it is the end. */
	if (v->into)
		report(v);
}

static void closed(struct spice_channel *c)
{
	struct vmc *v = vmc_of(c);

	buf_put(v->block);
	buf_put(v->unpacked);
	if (v->transport.user)
		v->transport.user->closed(&v->transport);
	free(v);
}

static const struct spice_channel_ops channel_ops = {
	.payload = payload,
	.room = room,
	.arrived = arrived,
	.rested = rested,
	.written = written,
	.drained = drained,
	.ended = ended,
	.closed = closed,
};

static void vmc_close(struct transport *t)
{
	struct vmc *v = container_of(t, struct vmc, transport);

	spice_channel_close(&v->channel);
}

static const struct transport_ops vmc_ops = {
	.recv = vmc_recv,
	.send = vmc_send,
	.close = vmc_close,
};

/* There is nothing to gain, and no client of the reference stack does it. */
static bool is_local(const struct transport *t)
{
	int domain = 0;
	socklen_t len = sizeof(domain);

	return !getsockopt(t->fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	       domain == AF_UNIX;
}

int vmc_create(struct transport *t, const struct spice_channel_link *link,
	       enum spice_lz4_mode lz4, struct bufpool *pool,
	       struct transport **out)
{
	/* Not cleared: most of it is staging. */
	struct vmc *v = malloc(sizeof(*v));

	if (!v)
		return -ENOMEM;
	memset(v, 0, offsetof(struct vmc, channel));
	v->pool = pool;
	if (!(link->caps & SPICE_VMC_CAP_LZ4) ||
	    (lz4 == SPICE_LZ4_AUTO && is_local(t)))
		lz4 = SPICE_LZ4_NEVER;
	spice_lz4_init(&v->lz4, lz4, pool);
	spice_channel_init(&v->channel, &channel_ops, t, link);
	v->transport.ops = &vmc_ops;
	v->transport.loop = t->loop;
	v->transport.fd = t->fd;
	v->transport.copies = t->copies;
	snprintf(v->transport.peer, sizeof(v->transport.peer), "%.127s",
		 v->channel.name);
	*out = &v->transport;
	return 0;
}
