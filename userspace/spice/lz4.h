/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw LZ4 blocks, as COMPRESSED_DATA carries them, and whether it pays to make
 * them.
 */
#ifndef SPICE_LZ4_H
#define SPICE_LZ4_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/bufpool.h"

/* The reference stack compresses nothing shorter, either. */
#define SPICE_LZ4_MIN 1001

/*
 * Unpacks len bytes at packed; exactly size (> 0) must come out of them.
 * -EPROTO.
 */
int must_check spice_lz4_unpack(const void *packed, size_t len, void *out,
				size_t size);

/* A block can become so many times larger at most; a bound for allocations. */
#define SPICE_LZ4_MAX_RATIO 255

enum spice_lz4_mode { SPICE_LZ4_AUTO, SPICE_LZ4_ALWAYS, SPICE_LZ4_NEVER };

/*
 * What has been learnt about a connection. A sample tells whether data shrinks,
 * the clock how fast it does. What the link takes, the peer tells: how soon it
 * has something to say after much was sent to it. (The kernel knows the first
 * hop only, and that may be a tunnel's end on this machine.)
 */
struct spice_lz4 {
	enum spice_lz4_mode mode;
	struct bufpool *pool; /* borrows */
	/* Data that did not shrink: the next skip messages are not looked at,
	 * twice as many each time. */
	unsigned int skip, penalty;
	double pack_ns; /* to pack a byte; 0: not known yet */
	double shrinks; /* packed size : size */
	/* Of late, and how long the peer was silent after them */
	double sent, silent_ns;
	bool waiting;  /* much was sent, and nothing heard since */
	int64_t since; /* ns */
	size_t bytes;
};

void spice_lz4_init(struct spice_lz4 *lz4, enum spice_lz4_mode mode,
		    struct bufpool *pool);

/*
 * Packs the len bytes of iov, if it pays. A buffer with *packed bytes, fewer
 * than len; or NULL: send it as it is. *error is -EFAULT if some of it is memory
 * that is not there any more.
 */
struct buf *spice_lz4_pack(struct spice_lz4 *lz4, const struct iovec *iov,
			   unsigned int n, size_t len, size_t *packed,
			   int *error);

/* So many bytes begin to leave, packed or not. */
void spice_lz4_sent(struct spice_lz4 *lz4, size_t len);
/* The peer has said something. */
void spice_lz4_heard(struct spice_lz4 *lz4);

#endif
