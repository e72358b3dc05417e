/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sticky readers and writers over bytes that nobody trusts.
 *
 * A reader that runs off its end yields zeros and remembers it; the caller
 * reads all fields first and asks span_ok() once. A writer that runs off its
 * end stops writing and remembers it. Suffix le / be is the byte order.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
	const uint8_t *p;
	size_t len; /* bytes left */
	bool bad;   /* sticky: a read went past the end */
};

/* Borrows data for the life of the span. */
static inline struct span span_of(const void *data, size_t len)
{
	return (struct span){ .p = data, .len = len };
}

static inline bool span_ok(const struct span *s)
{
	return !s->bad;
}

/* Takes n bytes off the front: a pointer to them, or NULL past the end. */
static inline const uint8_t *span_take(struct span *s, size_t n)
{
	const uint8_t *p = s->p;

	if (s->bad || n > s->len) {
		s->bad = true;
		s->len = 0;
		return NULL;
	}
	s->p += n;
	s->len -= n;
	return p;
}

/* An integer of 1 to 8 bytes. */
static inline uint64_t span_le(struct span *s, size_t width)
{
	const uint8_t *p = span_take(s, width);
	uint64_t v = 0;

	if (!p)
		return 0;
	for (size_t i = width; i-- > 0;)
		v = v << 8 | p[i];
	return v;
}

static inline uint64_t span_be(struct span *s, size_t width)
{
	const uint8_t *p = span_take(s, width);
	uint64_t v = 0;

	if (!p)
		return 0;
	for (size_t i = 0; i < width; i++)
		v = v << 8 | p[i];
	return v;
}

static inline uint8_t span_u8(struct span *s)
{
	return (uint8_t)span_le(s, 1);
}

struct span_writer {
	uint8_t *p;
	size_t size;
	size_t len; /* bytes written */
	bool bad;   /* sticky: a write did not fit */
};

/* Borrows buf for the life of the writer. */
static inline struct span_writer span_writer_of(void *buf, size_t size)
{
	return (struct span_writer){ .p = buf, .size = size };
}

static inline void span_put(struct span_writer *w, const void *data, size_t n)
{
	if (w->bad || n > w->size - w->len) {
		w->bad = true;
		return;
	}
	memcpy(w->p + w->len, data, n);
	w->len += n;
}

static inline void span_put_le(struct span_writer *w, uint64_t v, size_t width)
{
	uint8_t b[8];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * i));
	span_put(w, b, width);
}

static inline void span_put_be(struct span_writer *w, uint64_t v, size_t width)
{
	uint8_t b[8];

	for (size_t i = 0; i < width; i++)
		b[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
	span_put(w, b, width);
}

static inline void span_put_zero(struct span_writer *w, size_t n)
{
	if (w->bad || n > w->size - w->len) {
		w->bad = true;
		return;
	}
	memset(w->p + w->len, 0, n);
	w->len += n;
}

#endif
