// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_parser.h"

#include <assert.h>
#include <string.h>

/* A payload of which less is missing goes through staging with the rest. */
#define DIRECT_MIN 4096

/* An early payload is reported, and handed on, in slices of this size. */
#define EARLY_SLICE (512u << 10)

static void skip(struct redir_parser *p, uint32_t n)
{
	p->skip = n;
	p->want = REDIR_SKIP;
}

static void parse_header(struct redir_parser *p)
{
	int ret = usbredir_decode_header(
		span_of(p->staging + p->start, p->end - p->start), p->caps,
		&p->header);

	assert(!ret);
	p->start += (uint32_t)usbredir_header_size(p->caps);
	if (!p->greeted && p->header.type != USBREDIR_HELLO) {
		p->ops->broken(p,
			       "the peer does not speak usbredir (no hello)");
		return;
	}
	ret = usbredir_check_header(&p->header, USBREDIR_HOST, p->caps,
				    &p->layout);
	if (!ret) {
		p->want = REDIR_WANT_TYPE_HEADER;
	} else if (ret == -EMSGSIZE) {
		p->ops->broken(
			p, "the peer announces a packet of impossible length");
	} else if (!p->greeted) {
		p->ops->broken(p, "the peer's hello is malformed");
	} else {
		skip(p, p->header.length);
		p->ops->skipped(p, &p->header,
				ret == -ENOSYS ? "unknown" : "malformed");
	}
}

static void parse_type_header(struct redir_parser *p)
{
	struct span span =
		span_of(p->staging + p->start, p->layout.type_header);
	int ret = usbredir_decode(&p->header, USBREDIR_HOST, p->caps, span,
				  &p->msg);

	p->start += p->layout.type_header;
	if (ret < 0) {
		skip(p, p->layout.data);
		p->ops->skipped(p, &p->header, "malformed");
		return;
	}
	if (!p->layout.data) {
		p->want = REDIR_WANT_HEADER;
		p->ops->packet(p, &p->msg, NULL);
		return;
	}
	ret = p->ops->admit(p, &p->msg, &p->payload);
	p->early = ret == REDIR_EARLY;
	if (ret < 0) {
		skip(p, p->layout.data);
		p->ops->refused(p, &p->msg, ret);
		return;
	}
	p->payload_have = 0;
	p->want = REDIR_WANT_PAYLOAD;
	if (p->early)
		p->ops->started(p, &p->msg, buf_ref(p->payload));
}

static void payload_arrived(struct redir_parser *p, uint32_t n)
{
	struct buf *payload = p->payload;

	p->payload_have += n;
	if (p->stopped)
		return;
	if (p->early)
		p->ops->arrived(p, p->payload_have);
	if (p->payload_have < p->layout.data)
		return;
	p->payload = NULL;
	p->want = REDIR_WANT_HEADER;
	if (p->early)
		buf_put(payload);
	else
		p->ops->packet(p, &p->msg, payload);
}

/* One step over what is in staging; false when it needs more bytes. */
static bool parse_step(struct redir_parser *p)
{
	uint32_t have = p->end - p->start;
	uint32_t n;

	switch (p->want) {
	case REDIR_WANT_HEADER:
		if (have < usbredir_header_size(p->caps))
			return false;
		parse_header(p);
		return true;
	case REDIR_WANT_TYPE_HEADER:
		if (have < p->layout.type_header)
			return false;
		parse_type_header(p);
		return true;
	case REDIR_WANT_PAYLOAD:
		n = MIN(have, p->layout.data - p->payload_have);
		if (!n)
			return false;
		memcpy(p->payload->data + p->payload_have,
		       p->staging + p->start, n);
		p->start += n;
		payload_arrived(p, n);
		return true;
	case REDIR_SKIP:
		n = MIN(have, p->skip);
		p->start += n;
		p->skip -= n;
		if (p->skip)
			return false;
		p->want = REDIR_WANT_HEADER;
		return true;
	}
	return false;
}

static bool receives_directly(const struct redir_parser *p)
{
	return p->want == REDIR_WANT_PAYLOAD && p->start == p->end &&
	       p->layout.data - p->payload_have >= DIRECT_MIN;
}

void *redir_parser_space(struct redir_parser *p, size_t *len, bool *exact)
{
	*exact = receives_directly(p);
	if (*exact) {
		*len = p->layout.data - p->payload_have;
		if (p->early)
			*len = MIN(*len, EARLY_SLICE);
		return p->payload->data + p->payload_have;
	}
	if (p->start) {
		memmove(p->staging, p->staging + p->start, p->end - p->start);
		p->end -= p->start;
		p->start = 0;
	}
	/* What is left over is part of one header, so there is room. */
	*len = sizeof(p->staging) - p->end;
	return p->staging + p->end;
}

void redir_parser_filled(struct redir_parser *p, size_t n)
{
	if (receives_directly(p))
		payload_arrived(p, (uint32_t)n);
	else
		p->end += (uint32_t)n;
	while (!p->stopped && parse_step(p))
		;
}

void redir_parser_init(struct redir_parser *p,
		       const struct redir_parser_ops *ops)
{
	memset(p, 0, offsetof(struct redir_parser, staging));
	p->ops = ops;
}

void redir_parser_fini(struct redir_parser *p)
{
	buf_put(p->payload);
	p->payload = NULL;
}
