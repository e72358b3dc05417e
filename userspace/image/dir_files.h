/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of a tree that are open: the last ones used, so that a folder of any
 * size needs few descriptors.
 */
#ifndef IMAGE_DIR_FILES_H
#define IMAGE_DIR_FILES_H

#include "base/list.h"
#include "image/dir_tree.h"

#define DIR_FILES_MAX 64u /* and those in use beyond */

struct dir_file {
	struct list node; /* on files->recent */
	uint32_t id;	  /* in tree->nodes */
	int fd;
	unsigned int users;
};

struct dir_files {
	const struct dir_tree *tree; /* borrows */
	struct list recent;	     /* struct dir_file; the last one first */
	unsigned int n;
};

void dir_files_init(struct dir_files *files, const struct dir_tree *tree);
/* Nobody may use one. */
void dir_files_fini(struct dir_files *files);

/*
 * The file of a node, for one more user. -ENOENT or -ESTALE when it has gone
 * or another one is in its place.
 */
int must_check dir_files_get(struct dir_files *files, uint32_t node,
			     struct dir_file **file);
void dir_files_put(struct dir_files *files, struct dir_file *file);

#endif
