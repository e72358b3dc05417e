/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Queue of outgoing messages, each a small header and a referenced payload,
 * that leave as one scatter-gather send. The owner stops taking requests
 * while outq_memory() is over its bound; the queue itself has none.
 */
#ifndef CORE_OUTQ_H
#define CORE_OUTQ_H

#include <stdint.h>
#include <sys/uio.h>

#include "core/bufpool.h"

/* usbip's is 48, a usbredir bulk header 26, a SPICE pong 30. */
#define OUTQ_HEAD 48

struct outq_msg {
	struct list node; /* on outq->msgs */
	uint8_t head[OUTQ_HEAD];
	uint32_t head_len;
	uint32_t off, len; /* payload in buf */
	struct buf *buf;   /* a reference, or NULL */
	size_t memory;	   /* that it adds to the queue's */
};

struct outq {
	/* Whoever sends reads the memory itself, see transport->copies: that of
	 * somebody else is copied on its way in. */
	bool own;
	struct list msgs; /* struct outq_msg, in order of leaving */
	size_t sent;	  /* bytes of the first message that have left */
	size_t bytes;	  /* not yet left */
	size_t memory;	  /* that the messages hold, buffers included */
};

void outq_init(struct outq *q);

/* Drops everything. The queue is empty and may be used again. */
void outq_fini(struct outq *q);

/*
 * head is copied, at most OUTQ_HEAD bytes. Takes a reference to buf from the
 * caller, also on failure. -ENOMEM.
 */
int must_check outq_push(struct outq *q, const void *head, size_t head_len,
			 struct buf *buf, uint32_t off, uint32_t len);

static inline size_t outq_bytes(const struct outq *q)
{
	return q->bytes;
}

/*
 * What the queue costs: a small answer in a buffer of its own costs more than
 * its bytes.
 */
static inline size_t outq_memory(const struct outq *q)
{
	return q->memory;
}

/*
 * Fills at most n entries with what is to leave next; returns their number.
 * The memory they point at stays until outq_consume(), whatever is pushed.
 */
unsigned int outq_iov(const struct outq *q, struct iovec *iov, unsigned int n);

/*
 * Sending failed with -EFAULT: memory of somebody else, a file that was mapped
 * and has become shorter, is not there any more. Puts zeros in the place of
 * all such memory in the queue, and counts that in pool->torn for those who
 * have promised its bytes. False: there was none, or no memory.
 */
bool must_check outq_repair(struct outq *q);

/* n bytes have left. */
void outq_consume(struct outq *q, size_t n);

#endif
