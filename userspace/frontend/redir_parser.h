/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts the stream of a usbredir guest into packets. Lengths are bounded before
 * there is memory for them; a large payload is received where it stays.
 */
#ifndef FRONTEND_REDIR_PARSER_H
#define FRONTEND_REDIR_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/bufpool.h"
#include "wire/usbredir.h"

/* Packets that are not large payloads pass through this. */
#define REDIR_STAGING 16384

struct redir_parser;

#define REDIR_EARLY 1

/* All may call redir_parser_stop(). */
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
	/* Takes payload, a reference; nothing of it is there yet. */
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
	uint32_t caps; /* the owner's: of both sides, 0 before the hello */
	bool greeted; /* the owner's: the hello came; before, nothing else may */
	bool stopped;
	enum {
		REDIR_WANT_HEADER,
		REDIR_WANT_TYPE_HEADER,
		REDIR_WANT_PAYLOAD,
		REDIR_SKIP,
	} want;
	struct usbredir_header header;
	struct usbredir_layout layout;
	struct usbredir_msg msg;
	struct buf *payload;
	uint32_t payload_have;
	bool early;	     /* the payload was handed on before it had come */
	uint32_t skip;	     /* bytes to drop */
	uint32_t start, end; /* of what staging holds */
	uint8_t staging[REDIR_STAGING]; /* not initialised: touched when used */
};

void redir_parser_init(struct redir_parser *p,
		       const struct redir_parser_ops *ops);

/* Nobody has memory from redir_parser_space() any more. */
void redir_parser_fini(struct redir_parser *p);

/*
 * Where the next bytes go; never of length 0. *exact: that many will come
 * before anything else is worth looking at.
 */
void *redir_parser_space(struct redir_parser *p, size_t *len, bool *exact);

/* n bytes are there: runs ops for what they complete. */
void redir_parser_filled(struct redir_parser *p, size_t n);

/* No op runs any more. Memory that was lent stays until fini. */
static inline void redir_parser_stop(struct redir_parser *p)
{
	p->stopped = true;
}

#endif
