// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/parser.h"

#include <assert.h>
#include <string.h>

/* A payload of which less is missing goes through staging with the rest. */
#define DIRECT_MIN 4096

/* An early payload is reported, and handed on, in slices of this size. */
#define EARLY_SLICE (512u << 10)

static void want(struct parser *p, unsigned int state, uint32_t n)
{
	p->state = state;
	p->want = n;
}

void parser_want_head(struct parser *p, uint32_t len)
{
	assert(len && len <= PARSER_STAGING);
	want(p, PARSER_HEAD, len);
}

void parser_want_payload(struct parser *p, struct buf *buf, uint32_t len,
			 bool early)
{
	assert(len && buf->size >= len);
	want(p, PARSER_PAYLOAD, len);
	p->payload = buf;
	p->early = early;
	p->have = 0;
}

void parser_skip(struct parser *p, uint32_t len)
{
	want(p, PARSER_SKIP, len);
}

static void payload_arrived(struct parser *p, uint32_t n)
{
	struct buf *payload = p->payload;

	p->have += n;
	if (p->stopped)
		return;
	if (p->early)
		p->ops->arrived(p, p->have);
	if (p->have < p->want)
		return;
	p->payload = NULL;
	p->state = PARSER_FIRST_HEAD;
	if (p->early)
		buf_put(payload);
	else
		p->ops->payload(p, payload);
}

static bool take_head(struct parser *p, uint32_t len)
{
	struct span head = span_of(p->staging + p->start, len);

	if (p->end - p->start < len)
		return false;
	p->start += len;
	p->state = PARSER_FIRST_HEAD; /* unless it says otherwise */
	p->ops->head(p, head);
	return true;
}

/* One step over what is in staging; false when it needs more bytes. */
static bool step(struct parser *p)
{
	uint32_t have = p->end - p->start;
	uint32_t n;

	switch (p->state) {
	case PARSER_FIRST_HEAD:
		return take_head(p, p->first);
	case PARSER_HEAD:
		return take_head(p, p->want);
	case PARSER_PAYLOAD:
		n = MIN(have, p->want - p->have);
		if (!n)
			return false;
		memcpy(p->payload->data + p->have, p->staging + p->start, n);
		p->start += n;
		payload_arrived(p, n);
		return true;
	case PARSER_SKIP:
		n = MIN(have, p->want);
		p->start += n;
		p->want -= n;
		if (p->want)
			return false;
		p->state = PARSER_FIRST_HEAD;
		return true;
	}
	return false;
}

static bool receives_directly(const struct parser *p)
{
	return p->state == PARSER_PAYLOAD && p->start == p->end &&
	       p->want - p->have >= DIRECT_MIN;
}

void *parser_space(struct parser *p, size_t *len, bool *exact)
{
	*exact = receives_directly(p);
	if (*exact) {
		*len = p->want - p->have;
		if (p->early)
			*len = MIN(*len, EARLY_SLICE);
		return p->payload->data + p->have;
	}
	if (p->start) {
		memmove(p->staging, p->staging + p->start, p->end - p->start);
		p->end -= p->start;
		p->start = 0;
	}
	/* What is left over is part of one head, so there is room. */
	*len = sizeof(p->staging) - p->end;
	return p->staging + p->end;
}

void parser_filled(struct parser *p, size_t n)
{
	if (receives_directly(p))
		payload_arrived(p, (uint32_t)n);
	else
		p->end += (uint32_t)n;
	while (!p->stopped && step(p))
		;
}

void parser_init(struct parser *p, const struct parser_ops *ops, uint32_t first)
{
	memset(p, 0, offsetof(struct parser, staging));
	p->ops = ops;
	p->first = first;
}

void parser_fini(struct parser *p)
{
	buf_put(p->payload);
	p->payload = NULL;
}
