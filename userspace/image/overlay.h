/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Copy on write: an overlay takes the writes, its base stays as it is.
 */
#ifndef IMAGE_OVERLAY_H
#define IMAGE_OVERLAY_H

#include "image/image.h"

/*
 * Lays the overlay at path over base, which it takes, also on failure; makes
 * the file if there is none. path NULL: a nameless overlay, gone at the end.
 * name is what image_open() opens base by, kept in the file for a commit. The
 * caller owns *image.
 *
 * On failure -errno, and *why says what is wrong, to be shown after path, or
 * after name without one.
 */
int must_check overlay_open(struct loop *loop, struct image *base,
			    const char *name, const char *path, bool read_only,
			    struct image **image, const char **why);

#endif
