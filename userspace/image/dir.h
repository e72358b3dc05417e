/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A folder of this machine as a read-only disk: one partition with FAT32, made
 * up as it is read. File names and sizes are those of the moment of opening;
 * the data is that of the files at the moment of reading. A file that has
 * gone, was replaced or became shorter cannot be read (-EIO); all else can.
 */
#ifndef IMAGE_DIR_H
#define IMAGE_DIR_H

#include "image/image.h"

/*
 * text: "dir:" and the path. The image is read-only either way. *why follows
 * the text in messages. Caller owns *image.
 */
int must_check dir_open(struct loop *loop, const char *text, bool read_only,
			struct image **image, const char **why);

#endif
