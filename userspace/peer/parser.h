/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Cuts a stream into heads, whose lengths the protocol knows, and payloads
 * behind them. Heads pass through a staging buffer; a large payload is received
 * where it stays.
 */
#ifndef PEER_PARSER_H
#define PEER_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "core/bufpool.h"

/* What is no large payload passes through this; no head is longer. */
#define PARSER_STAGING 16384

struct parser;

/* All may call parser_stop(). */
struct parser_ops {
	/* The head that was wanted; says by parser_want_head(),
	 * parser_want_payload() or parser_skip() what comes behind it, or
	 * another packet does. */
	void (*head)(struct parser *p, struct span head);
	/* The payload is there; takes it. Not of an early one. */
	void (*payload)(struct parser *p, struct buf *payload);
	/* Of an early payload have bytes are there; at the end, all. */
	void (*arrived)(struct parser *p, uint32_t have);
};

struct parser {
	const struct parser_ops *ops;
	/* The owner's: of the head that a packet begins with, 1 to
	 * PARSER_STAGING. May change between packets. */
	uint32_t first;
	bool stopped;
	enum {
		PARSER_FIRST_HEAD,
		PARSER_HEAD,
		PARSER_PAYLOAD,
		PARSER_SKIP,
	} state;
	uint32_t want;	     /* bytes, of what state says */
	struct buf *payload; /* a reference */
	uint32_t have;	     /* bytes of it */
	bool early;	     /* it is reported while it arrives */
	uint32_t start, end; /* of what staging holds */
	uint8_t staging
		[PARSER_STAGING]; /* not initialised: touched when used */
};

void parser_init(struct parser *p, const struct parser_ops *ops,
		 uint32_t first);

/* Nobody has memory from parser_space() any more. */
void parser_fini(struct parser *p);

/* See struct session_ops. */
void *parser_space(struct parser *p, size_t *len, bool *exact);
void parser_filled(struct parser *p, size_t n);

/* --- From within head ------------------------------------------------------- */

/* Another head of len bytes, 1 to PARSER_STAGING. */
void parser_want_head(struct parser *p, uint32_t len);
/* len bytes, at least 1, into buf, which it takes. */
void parser_want_payload(struct parser *p, struct buf *buf, uint32_t len,
			 bool early);
/* len bytes that nobody wants; 0 will do. */
void parser_skip(struct parser *p, uint32_t len);

/* No op runs any more. Memory that was lent stays until fini. */
static inline void parser_stop(struct parser *p)
{
	p->stopped = true;
}

#endif
