/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Files of a tree that are open: the last ones used, so that a folder of any
 * size needs few descriptors.
 */
#ifndef IMAGE_DIR_FILES_H
#define IMAGE_DIR_FILES_H

#include "base/list.h"
#include "image/dir_tree.h"
#include "image/mapping.h"

#define DIR_FILES_MAX 64u /* and those in use beyond */

struct dir_file {
	struct list node; /* on files->recent */
	uint32_t id;	  /* in tree->nodes */
	int fd;
	unsigned int users;
};

/*
 * What was mapped once stays so: the kernel may be sending from it. Few, and
 * large ones only, so that a folder of any size has no more of them.
 */
#define DIR_FILES_MAPPED 256u
#define DIR_FILES_MAP_MIN (1u << 20)

struct dir_mapping {
	uint32_t id; /* in tree->nodes */
	struct mapping mapping;
};

struct dir_files {
	const struct dir_tree *tree; /* borrows */
	struct dir_mapping mapped[DIR_FILES_MAPPED];
	unsigned int n_mapped;
	struct list recent; /* struct dir_file; the last one first */
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

/* As image_map(), of a node's file. */
const void *dir_files_map(struct dir_files *files, uint32_t node, uint64_t at,
			  uint32_t len);

#endif
