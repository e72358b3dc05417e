// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/bufpool.h"

#include <assert.h>
#include <stdlib.h>

#define PAGE 4096
#define PAGE_CLASS (12 - BUFPOOL_MIN_SHIFT)

static unsigned int class_of(size_t size)
{
	unsigned int c = 0;

	while (c < BUFPOOL_CLASSES &&
	       ((size_t)1 << (BUFPOOL_MIN_SHIFT + c)) < size)
		c++;
	return c; /* BUFPOOL_CLASSES: too large to be cached */
}

static void buf_free(struct buf *buf)
{
	struct bufpool_source *source = buf->pool->source;
	void *data = buf->data;
	size_t size = buf->size;

	free(buf);
	if (source)
		source->put(source, data, size);
	else
		free(data);
}

void bufpool_init_over(struct bufpool *pool, struct bufpool_source *source,
		       size_t keep)
{
	*pool = (struct bufpool){ .source = source, .keep = keep };
	for (size_t i = 0; i < BUFPOOL_CLASSES; i++)
		list_init(&pool->free[i]);
}

void bufpool_init(struct bufpool *pool)
{
	bufpool_init_over(pool, NULL, BUFPOOL_CACHED);
}

void bufpool_trim(struct bufpool *pool)
{
	struct list unused, *node;

	/* The last put may be the end of the pool. */
	list_init(&unused);
	for (size_t i = 0; i < BUFPOOL_CLASSES; i++)
		while ((node = list_pop(&pool->free[i])))
			list_append(&unused, node);
	pool->cached = 0;
	while ((node = list_pop(&unused)))
		buf_free(list_entry(node, struct buf, node));
}

void bufpool_fini(struct bufpool *pool)
{
	assert(!pool->lent);
	bufpool_trim(pool);
}

static void *get_memory(struct bufpool *pool, size_t size)
{
	void *data;

	if (pool->source)
		return pool->source->get(pool->source, size);
	return posix_memalign(&data, size < PAGE ? 64 : PAGE, size) ? NULL
								    : data;
}

struct buf *bufpool_get(struct bufpool *pool, size_t size)
{
	unsigned int c = class_of(size);
	struct buf *buf;
	void *data;

	if (pool->source && c == BUFPOOL_CLASSES)
		return NULL;
	if (pool->source && c < PAGE_CLASS)
		c = PAGE_CLASS;
	if (c < BUFPOOL_CLASSES) {
		size = (size_t)1 << (BUFPOOL_MIN_SHIFT + c);
		if (!list_empty(&pool->free[c])) {
			/* The most recently freed one is the warmest. */
			struct list *last = pool->free[c].prev;

			list_remove(last);
			buf = list_entry(last, struct buf, node);
			pool->cached -= size;
			goto found;
		}
	}
	buf = malloc(sizeof(*buf));
	if (!buf)
		return NULL;
	data = get_memory(pool, size);
	if (!data) {
		free(buf);
		return NULL;
	}
	*buf = (struct buf){ .data = data, .size = size, .pool = pool };
	list_init(&buf->node);
found:
	buf->refs = 1;
	pool->lent += buf->size;
	return buf;
}

struct buf *bufpool_wrap(struct bufpool *pool, const void *data, size_t size)
{
	struct buf *buf = malloc(sizeof(*buf));

	if (!buf)
		return NULL;
	*buf = (struct buf){ .data = (uint8_t *)data,
			     .size = size,
			     .refs = 1,
			     .foreign = true,
			     .pool = pool };
	list_init(&buf->node);
	pool->lent += size;
	return buf;
}

void buf_put(struct buf *buf)
{
	struct bufpool *pool;
	unsigned int c;

	if (!buf)
		return;
	assert(buf->refs);
	if (--buf->refs)
		return;
	pool = buf->pool;
	pool->lent -= buf->size;
	if (buf->foreign) {
		free(buf);
		return;
	}
	c = class_of(buf->size);
	if (c < BUFPOOL_CLASSES && pool->cached + buf->size <= pool->keep) {
		pool->cached += buf->size;
		list_append(&pool->free[c], &buf->node);
		return;
	}
	buf_free(buf);
}
