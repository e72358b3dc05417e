// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/redir_parser.h"

#include <assert.h>
#include <string.h>

static struct redir_parser *redir_of(struct parser *parser)
{
	return container_of(parser, struct redir_parser, parser);
}

static void take_payload(struct redir_parser *p)
{
	struct buf *payload = NULL;
	int ret = p->ops->admit(p, &p->msg, &payload);

	if (ret < 0) {
		parser_skip(&p->parser, p->layout.data);
		p->ops->refused(p, &p->msg, ret);
		return;
	}
	parser_want_payload(&p->parser, payload, p->layout.data,
			    ret == REDIR_EARLY);
	if (ret == REDIR_EARLY)
		p->ops->started(p, &p->msg, buf_ref(payload));
}

static void take_type_header(struct redir_parser *p, struct span head)
{
	p->in_packet = false;
	if (usbredir_decode(&p->header, p->role, p->caps, head, &p->msg) < 0) {
		parser_skip(&p->parser, p->layout.data);
		p->ops->skipped(p, &p->header, "malformed");
	} else if (p->layout.data) {
		take_payload(p);
	} else {
		p->ops->packet(p, &p->msg, NULL);
	}
}

static void take_header(struct redir_parser *p, struct span head)
{
	int ret = usbredir_decode_header(head, p->caps, &p->header);

	assert(!ret);
	if (!p->greeted && p->header.type != USBREDIR_HELLO) {
		p->ops->broken(p,
			       "the peer does not speak usbredir (no hello)");
		return;
	}
	ret = usbredir_check_header(&p->header, p->role, p->caps, &p->layout);
	if (!ret && p->layout.type_header) {
		p->in_packet = true;
		parser_want_head(&p->parser, p->layout.type_header);
	} else if (!ret) {
		take_type_header(p, span_of(NULL, 0));
	} else if (ret == -EMSGSIZE) {
		p->ops->broken(
			p, "the peer announces a packet of impossible length");
	} else if (!p->greeted) {
		p->ops->broken(p, "the peer's hello is malformed");
	} else {
		parser_skip(&p->parser, p->header.length);
		p->ops->skipped(p, &p->header,
				ret == -ENOSYS ? "unknown" : "malformed");
	}
}

static void head(struct parser *parser, struct span head)
{
	struct redir_parser *p = redir_of(parser);

	if (p->in_packet)
		take_type_header(p, head);
	else
		take_header(p, head);
}

static void payload(struct parser *parser, struct buf *payload)
{
	struct redir_parser *p = redir_of(parser);

	p->ops->packet(p, &p->msg, payload);
}

static void arrived(struct parser *parser, uint32_t have)
{
	struct redir_parser *p = redir_of(parser);

	p->ops->arrived(p, have);
}

static const struct parser_ops parser_ops = {
	.head = head,
	.payload = payload,
	.arrived = arrived,
};

void redir_parser_init(struct redir_parser *p,
		       const struct redir_parser_ops *ops,
		       enum usbredir_role role)
{
	memset(p, 0, offsetof(struct redir_parser, parser));
	parser_init(&p->parser, &parser_ops, (uint32_t)usbredir_header_size(0));
	p->ops = ops;
	p->role = role;
}

void redir_parser_greet(struct redir_parser *p, uint32_t caps)
{
	p->greeted = true;
	p->caps = caps;
	p->parser.first = (uint32_t)usbredir_header_size(caps);
}
