/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Raw images: a regular file or a block device, byte for byte.
 */
#ifndef IMAGE_RAW_H
#define IMAGE_RAW_H

#include "image/image.h"

/*
 * Opens path and locks it (open file description lock; a block device also
 * exclusively against mounts): one writer or many readers. The caller owns
 * *image.
 *
 * On failure returns -errno, -EBUSY when somebody else uses the image, and
 * *why says in words what is wrong, to be shown after the path.
 */
int must_check raw_open(struct loop *loop, const char *path, bool read_only,
			struct image **image, const char **why);

#endif
