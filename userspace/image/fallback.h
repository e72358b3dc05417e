/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What images need not be able to do by themselves. Only image.c calls this.
 *
 * Each fallback stands for one request, and makes others of its own that
 * image_begin() starts: they are neither counted nor ordered again.
 */
#ifndef IMAGE_FALLBACK_H
#define IMAGE_FALLBACK_H

#include "image/image.h"

static inline uint64_t image_round_up(uint64_t n, uint64_t align)
{
	return (n + align - 1) / align * align;
}

/* Starts a request that has been counted and may go now. image.c */
void image_begin(struct image_request *request);

/* Does it begin or end within a block? partial.c */
bool partial_needed(const struct image_request *request);
/* A read or write by way of the blocks around it. */
void partial_begin(struct image_request *request);

/*
 * The image said -EOPNOTSUPP. True: the request will end otherwise. zero.c
 */
bool fallback_begin(struct image_request *request);

#endif
