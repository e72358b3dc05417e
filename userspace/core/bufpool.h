/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reference-counted buffers for payloads, page-aligned from a page upwards. What a socket filled
 * is what the image writes, and what the image read is what the socket sends:
 * passing a reference replaces copying.
 *
 * Freed buffers up to BUFPOOL_CACHED bytes are kept for reuse; an idle
 * session holds none. Not thread-safe.
 */
#ifndef CORE_BUFPOOL_H
#define CORE_BUFPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/list.h"

#define BUFPOOL_MIN_SHIFT 9
#define BUFPOOL_MAX_SHIFT 20 /* larger buffers are not cached */
#define BUFPOOL_CLASSES (BUFPOOL_MAX_SHIFT - BUFPOOL_MIN_SHIFT + 1)
#define BUFPOOL_CACHED (8u << 20)

struct buf {
	uint8_t *data;
	size_t size; /* at least what was asked for */
	unsigned int refs;
	bool foreign; /* data is not the pool's */
	struct bufpool *pool;
	struct list node; /* on pool->free[class] while unused */
};

/* Where a pool has its memory from, if not from the heap. */
struct bufpool_source {
	/* A multiple of a page; NULL: there is none now. */
	void *(*get)(struct bufpool_source *source, size_t size);
	/* Nothing touches the pool after its last put. */
	void (*put)(struct bufpool_source *source, void *data, size_t size);
};

struct bufpool {
	struct bufpool_source *source; /* borrows; NULL: the heap */
	size_t keep;		       /* bytes that are cached at most */
	struct list free[BUFPOOL_CLASSES];
	size_t cached; /* bytes on the free lists */
	size_t lent;   /* bytes in use */
	/* Times that memory of somebody else was not there to be sent. */
	unsigned int torn;
};

void bufpool_init(struct bufpool *pool);
/*
 * A pool over memory of another kind: buffers of a page to
 * 1 << BUFPOOL_MAX_SHIFT bytes, none larger. Keeps at most keep bytes.
 */
void bufpool_init_over(struct bufpool *pool, struct bufpool_source *source,
		       size_t keep);
/* Gives back what is cached. */
void bufpool_trim(struct bufpool *pool);
/* All buffers must have come back. */
void bufpool_fini(struct bufpool *pool);

/* A buffer of at least size bytes with one reference, or NULL (no memory). */
struct buf *bufpool_get(struct bufpool *pool, size_t size);

/*
 * A buffer around memory of somebody else, which stays as long as the buffer
 * does and is only read. NULL: no memory.
 */
struct buf *bufpool_wrap(struct bufpool *pool, const void *data, size_t size);

static inline struct buf *buf_ref(struct buf *buf)
{
	buf->refs++;
	return buf;
}

/* Drops a reference; NULL-safe. */
void buf_put(struct buf *buf);

#endif
