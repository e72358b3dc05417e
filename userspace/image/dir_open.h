/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Opening what is beneath a folder, and telling one file from another.
 */
#ifndef IMAGE_DIR_OPEN_H
#define IMAGE_DIR_OPEN_H

#include <stdint.h>
#include <sys/stat.h>

#include "base/err.h"

/*
 * The descriptor, close-on-exec. path is relative to root; symbolic links that
 * lead out of it, or are absolute, end with -EXDEV. Where the kernel (or a
 * sandbox) has no openat2(2) no symbolic link is followed at all: -ELOOP.
 */
int must_check dir_open_beneath(int root, const char *path, int flags);

/* statx(2) of name in fd, or of fd itself if name is empty; no link followed. */
int must_check dir_look(int fd, const char *name, struct statx *st);

/*
 * A number for the file that st is about: it differs for another file in its
 * place, even if that got the same inode.
 */
uint64_t dir_file_id(const struct statx *st);

#endif
