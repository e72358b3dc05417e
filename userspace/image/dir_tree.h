/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What is in a folder, as it was when the program looked: what a FAT volume
 * can show of it, in the order of names. And the files in it, opened later.
 */
#ifndef IMAGE_DIR_TREE_H
#define IMAGE_DIR_TREE_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "image/dir_name.h"

/*
 * A file or folder; there may be a million. The children of a folder stand
 * together, and behind those of the folders before it.
 */
struct dir_node {
	uint32_t name;	 /* in tree->names */
	uint32_t parent; /* in tree->nodes; the root's is itself */
	uint32_t slot;	 /* of its entry in the parent's */
	uint32_t size;	 /* bytes; of a folder: of its slots */
	uint32_t start;	 /* dir_volume.c: first cluster, if it has any */
	uint32_t time;	 /* FAT's date << 16 | time */
	union {
		struct {
			uint32_t first, n; /* the children of a folder */
		};
		uint64_t id; /* of a file: another number if it is replaced */
	};
	uint8_t brief[DIR_SHORT_SIZE];
	uint8_t long_slots : 7;
	uint8_t folder : 1;
};

struct dir_tree {
	int root;
	char *path; /* absolute; for messages and the identity */
	struct dir_node *nodes;
	uint32_t n, room;
	char *names;
	uint32_t names_len, names_room;
	unsigned int left_out; /* what cannot be shown */
};

#define DIR_TREE_MAX (1u << 20) /* nodes */
#define DIR_MAX_SLOTS 65534u	/* of a folder */
#define DIR_ROOT_SLOTS 1u	/* before the first child: the label */
#define DIR_SUB_SLOTS 2u	/* . and .. */
#define DIR_PATH_SIZE PATH_MAX	/* relative to the root */

/*
 * Looks at all of it: a system call or two for each file. What cannot be shown
 * is left out with a word in the log. *why follows the path in a message.
 * Caller owns what is in tree.
 */
int must_check dir_tree_scan(struct dir_tree *tree, const char *path,
			     const char **why);
void dir_tree_fini(struct dir_tree *tree);

/* Another number when names, sizes or times are others. */
uint64_t dir_tree_version(const struct dir_tree *tree);

/* The path from the root; "." for the root; -ENAMETOOLONG. */
int must_check dir_tree_path(const struct dir_tree *tree, uint32_t node,
			     char path[DIR_PATH_SIZE]);

/*
 * Opens a file for reading: the descriptor. -ESTALE when another file has
 * taken its place. Never opens what is outside of the folder, whatever
 * symbolic links have been put in its way.
 */
int must_check dir_tree_open(const struct dir_tree *tree, uint32_t node);

#endif
