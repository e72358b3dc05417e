/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A file in memory, for image_map(): whose pages are there can be told without
 * waiting for those that are not.
 */
#ifndef IMAGE_MAPPING_H
#define IMAGE_MAPPING_H

#include "image/image.h"

struct mapping {
	uint8_t *base;
	uint64_t size; /* of the file, when it was mapped; 0: not mapped */
};

/*
 * Maps size bytes of fd, which may be closed then. Costs address space only.
 * Where that is impossible, or the kernel does not tell what is in memory, the
 * mapping is empty.
 */
void mapping_open(struct mapping *mapping, int fd, uint64_t size);
void mapping_close(struct mapping *mapping);

/* The bytes of a range if all of them are in fd's file, and in memory; else
 * NULL. */
const void *mapping_get(const struct mapping *mapping, int fd, uint64_t off,
			uint32_t len);

#endif
