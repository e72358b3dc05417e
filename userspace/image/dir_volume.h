/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A disk with one partition and a FAT32 volume that holds a tree: what is
 * where, and every byte that is not in a file. Nothing is stored: each folder
 * and file has clusters in one piece, in the order of the tree's nodes, so the
 * FAT and the folders are made when they are read.
 */
#ifndef IMAGE_DIR_VOLUME_H
#define IMAGE_DIR_VOLUME_H

#include "image/dir_tree.h"

#define DIR_SECTOR 512u

struct dir_volume {
	const struct dir_tree *tree; /* borrows */
	uint32_t cluster_size;	     /* bytes, a power of two */
	uint32_t clusters;	     /* of the volume; the first is number 2 */
	uint32_t used;		     /* the first one that is free */
	uint32_t fat_sectors;	     /* of one FAT */
	uint64_t data;		     /* where on the disk cluster 2 is */
	uint64_t size;		     /* of the disk */
	uint32_t serial;
	uint8_t label[DIR_SHORT_SIZE];
};

/*
 * Places the tree: sets the nodes' start. name becomes the label, serial the
 * number of volume and disk. -EFBIG when it is too large for FAT32.
 */
int must_check dir_volume_init(struct dir_volume *volume, struct dir_tree *tree,
			       const char *name, uint32_t serial);

enum dir_part_kind {
	DIR_PART_ZERO, /* nothing is there, for what anybody can know */
	DIR_PART_MADE, /* dir_volume_make() */
	DIR_PART_FILE, /* in a file */
};

/* The bytes at some place of the disk, as far as they are alike. */
struct dir_part {
	enum dir_part_kind kind;
	uint64_t len;
	uint32_t node; /* DIR_PART_FILE: which, from where */
	uint64_t at;
};

/* off < volume->size */
struct dir_part dir_volume_find(const struct dir_volume *volume, uint64_t off);

/* Bytes that are within a DIR_PART_MADE. */
void dir_volume_make(const struct dir_volume *volume, uint64_t off,
		     uint8_t *into, uint64_t len);

#endif
