/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image in memory, for tests: it fails on demand, keeps requests waiting on
 * demand, and counts them. Gone at the end.
 */
#ifndef IMAGE_MEM_H
#define IMAGE_MEM_H

#include "image/image.h"

struct mem_image {
	struct image image;
	uint8_t *data;
	/* Where the disk's bytes end; behind it requests are only counted, so
	 * that a disk may be larger than memory. */
	uint64_t backed;
	struct list waiting; /* struct image_request, by node */
	struct task task;
	bool hold;			 /* until mem_image_release() */
	int error[IMAGE_TYPES];		 /* 0: success */
	unsigned int count[IMAGE_TYPES]; /* requests that have ended */
	unsigned int last_flags;	 /* of the last one */
	bool *destroyed;		 /* set to true; may be NULL */
};

/*
 * size bytes of zeros, of which the first backed ones are remembered. NULL
 * when there is no memory. The caller owns mem->image.
 */
struct mem_image *mem_image_new(struct loop *loop, uint64_t size,
				uint64_t backed);

/* Lets go of what hold kept, in the next turn of the loop. */
void mem_image_release(struct mem_image *mem);

/* "mem:SIZE": SIZE in bytes, or with a suffix K, M or G; as raw_open(). */
int must_check mem_open(struct loop *loop, const char *text, bool read_only,
			struct image **image, const char **why);

#endif
