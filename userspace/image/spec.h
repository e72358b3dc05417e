/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How people name images: IMAGE[,OPTION...], where a comma in IMAGE is written
 * twice. IMAGE is a path, or begins with what tells its kind ("mem:").
 */
#ifndef IMAGE_SPEC_H
#define IMAGE_SPEC_H

#include "image/image.h"

struct image_spec {
	char *path;    /* owned */
	char *name;    /* owned; of the file under --mount; NULL: from path */
	char *overlay; /* owned; takes the writes; NULL: none */
	bool snapshot; /* an overlay that is gone at the end */
	bool read_only;
};

/*
 * The next of several IMAGE[,OPTION...] that are joined by "+", and *list
 * behind it; the caller owns it. A plus sign in one is written twice, but not
 * that of "nbd+unix://" and "nbds+unix://". NULL as below.
 */
char *image_spec_split(const char **list);

/*
 * The next element of the comma list, and *list behind it; the caller owns it.
 * NULL: none is left (*list is NULL then), or no memory.
 */
char *image_spec_next(const char **list);

/*
 * Takes IMAGE off *list. On failure -errno, and *why says in words what is
 * wrong.
 */
int must_check image_spec_parse(struct image_spec *spec, const char **list,
				const char **why);

/* 1: it was an option of images; 0: it was not; or -errno, and *why. */
int must_check image_spec_option(struct image_spec *spec, const char *option,
				 const char **why);

/*
 * What the file of the image is called under --mount, without ".img": its
 * name=, or the last part of its path without a suffix. Never empty, no
 * slash, no control characters.
 */
void image_spec_name(const struct image_spec *spec, char *name, size_t size);

void image_spec_fini(struct image_spec *spec);

/*
 * Opens what spec names. The caller owns *image. On failure -errno, and *why
 * says what is wrong, to be shown after the path, until the next call.
 */
int must_check image_open(struct loop *loop, const struct image_spec *spec,
			  struct image **image, const char **why);

/*
 * Merges the overlay at path into the base that it was made for, and empties
 * it; may be run again after it was interrupted at any point. On failure
 * -errno, and *why for after path. Turns loop.
 */
int must_check image_commit(struct loop *loop, const char *path,
			    const char **why);

#endif
