/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The block devices of this machine, for people who choose one.
 */
#ifndef IMAGE_BLOCKDEV_H
#define IMAGE_BLOCKDEV_H

#include <stdbool.h>
#include <stdint.h>

struct blockdev {
	char path[64];	/* /dev/NAME */
	uint64_t size;	/* bytes */
	char model[48]; /* may be empty */
	bool read_only;
	/* It may be opened for writing now; else why not, in words. */
	const char *problem;
};

/* Calls found for each device of non-zero size, in the order of names. */
void blockdev_list(void (*found)(const struct blockdev *dev));

#endif
