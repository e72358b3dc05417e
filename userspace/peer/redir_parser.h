/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts the stream of a usbredir peer into packets. Lengths are bounded before
 * there is memory for them.
 */
#ifndef PEER_REDIR_PARSER_H
#define PEER_REDIR_PARSER_H

#include "peer/parser.h"
#include "wire/usbredir.h"

struct redir_parser;

#define REDIR_EARLY 1

/* All may call parser_stop(&p->parser). */
struct redir_parser_ops {
	/* A whole packet; takes payload (msg->data_len bytes, NULL if none). */
	void (*packet)(struct redir_parser *p, const struct usbredir_msg *msg,
		       struct buf *payload);
	/*
	 * May msg's payload come in? 0, and *payload is room for it; or
	 * REDIR_EARLY, when it is to be handed on before it has come: then
	 * started and arrived run and packet does not; or the -errno for
	 * refused.
	 */
	int (*admit)(struct redir_parser *p, const struct usbredir_msg *msg,
		     struct buf **payload);
	/* Takes payload, a reference; nothing of it is there yet. NULL, both:
	 * admit never says REDIR_EARLY. */
	void (*started)(struct redir_parser *p, const struct usbredir_msg *msg,
			struct buf *payload);
	/* have bytes of it are there; at the end msg->data_len. */
	void (*arrived)(struct redir_parser *p, uint32_t have);
	/* msg's payload is dropped: it was not admitted. */
	void (*refused)(struct redir_parser *p, const struct usbredir_msg *msg,
			int error);
	/* A packet is skipped: it is what, "unknown" or "malformed". */
	void (*skipped)(struct redir_parser *p,
			const struct usbredir_header *header, const char *what);
	/* The stream cannot be understood any further. */
	void (*broken)(struct redir_parser *p, const char *why);
};

struct redir_parser {
	const struct redir_parser_ops *ops;
	enum usbredir_role role; /* ours: of who receives */
	uint32_t caps;		 /* of both sides, 0 before the hello */
	bool greeted;		 /* the hello came; before, nothing else may */
	bool in_packet; /* the packet header was taken, and is header */
	struct usbredir_header header;
	struct usbredir_layout layout;
	struct usbredir_msg msg;
	struct parser parser; /* last: its end is not initialised */
};

void redir_parser_init(struct redir_parser *p,
		       const struct redir_parser_ops *ops,
		       enum usbredir_role role);

/* The peer's hello was taken: what both sides have. */
void redir_parser_greet(struct redir_parser *p, uint32_t caps);

#endif
