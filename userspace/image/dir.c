// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/dir.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "image/dir_files.h"
#include "image/dir_volume.h"
#include "image/transfer.h"

struct dir {
	struct image image;
	struct dir_tree tree;
	struct dir_volume volume;
	struct dir_files files;
	struct log_limit failures;
};

static struct dir *dir_of(struct image *image)
{
	return container_of(image, struct dir, image);
}

/* The guest hears of an I/O error; which file it is about is said here. */
static int file_failed(struct dir *dir, uint32_t node, int res)
{
	char path[DIR_PATH_SIZE];

	if (dir_tree_path(&dir->tree, node, path) < 0)
		strcpy(path, "(a file)");
	log_limited(&dir->failures, LOG_LEVEL_WARN,
		    "dir:%s: %s cannot be read: %s", dir->tree.path, path,
		    res == -ENOENT    ? "it is not there any more"
		    : res == -ESTALE  ? "another file has taken its place"
		    : res == -ENODATA ? "it has become shorter"
				      : strerror(-res));
	return -EIO;
}

/* --- Reading -------------------------------------------------------------------- */

static int go_on(struct dir *dir, struct image_request *r);

static void file_done(struct image_request *r, int res)
{
	struct dir *dir = dir_of(r->image);
	struct dir_file *file = r->context;

	if (res < 0)
		res = file_failed(dir, file->id, res);
	dir_files_put(&dir->files, file);
	if (!res)
		res = go_on(dir, r);
	if (res <= 0)
		image_done(r, res);
}

/* What is not in files, as far as it is in one piece of memory. */
static void fill(struct dir *dir, struct image_request *r,
		 const struct dir_part *part)
{
	uint64_t len = MIN(part->len, r->len - r->moved);
	struct iovec to = transfer_piece(r, len);

	if (part->kind == DIR_PART_MADE)
		dir_volume_make(&dir->volume, r->off + r->moved, to.iov_base,
				to.iov_len);
	else
		memset(to.iov_base, 0, to.iov_len);
	r->moved += to.iov_len;
}

/*
 * Part after part: 0 at the end, 1 when a file is being read. A guest's large
 * reads are within one file, as a rule, which makes one transfer of it.
 */
static int go_on(struct dir *dir, struct image_request *r)
{
	while (r->moved < r->len) {
		struct dir_part part =
			dir_volume_find(&dir->volume, r->off + r->moved);
		struct dir_file *file;
		int ret;

		if (part.kind != DIR_PART_FILE) {
			fill(dir, r, &part);
			continue;
		}
		ret = dir_files_get(&dir->files, part.node, &file);
		if (ret < 0)
			return file_failed(dir, part.node, ret);
		r->context = file;
		transfer_start(r, file->fd, part.at,
			       MIN(part.len, r->len - r->moved), file_done);
		return 1;
	}
	return 0;
}

static int status(struct dir *dir, struct image_request *r)
{
	struct dir_part part = dir_volume_find(&dir->volume, r->off);

	r->hole = part.kind == DIR_PART_ZERO;
	r->len = MIN(r->len, part.len);
	return 0;
}

static void dir_submit(struct image *image, struct image_request *r)
{
	struct dir *dir = dir_of(image);
	int res = -EROFS;

	switch (r->type) {
	case IMAGE_READ:
		r->moved = 0;
		res = go_on(dir, r);
		break;
	case IMAGE_STATUS:
		res = status(dir, r);
		break;
	case IMAGE_FLUSH:
		res = 0;
		break;
	case IMAGE_WRITE:
	case IMAGE_DISCARD:
	case IMAGE_ZERO:
		break;
	}
	if (res <= 0)
		image_done_later(r, res);
}

static const void *dir_map(struct image *image, uint64_t off, uint32_t len)
{
	struct dir *dir = dir_of(image);
	struct dir_part part = dir_volume_find(&dir->volume, off);

	if (part.kind != DIR_PART_FILE || part.len < len)
		return NULL;
	return dir_files_map(&dir->files, part.node, part.at, len);
}

static uint64_t dir_used(struct image *image)
{
	const struct dir_volume *v = &dir_of(image)->volume;

	return v->data + (uint64_t)(v->used - 2) * v->cluster_size;
}

static void dir_destroy(struct image *image)
{
	struct dir *dir = dir_of(image);

	dir_files_fini(&dir->files);
	dir_tree_fini(&dir->tree);
	free(dir);
}

static const struct image_ops dir_ops = {
	.name = "dir",
	.submit = dir_submit,
	.map = dir_map,
	.used = dir_used,
	.destroy = dir_destroy,
};

int dir_open(struct loop *loop, const char *text, bool read_only,
	     struct image **image, const char **why)
{
	struct dir *dir = calloc(1, sizeof(*dir));
	int ret;

	(void)read_only;
	if (!dir) {
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	ret = dir_tree_scan(&dir->tree, text + strlen("dir:"), why);
	if (ret < 0) {
		free(dir);
		return ret;
	}
	image_init(&dir->image, &dir_ops, loop, dir->tree.path, 0);
	ret = dir_volume_init(
		&dir->volume, &dir->tree, strrchr(dir->tree.path, '/') + 1,
		(uint32_t)(dir->image.identity ^ dir->image.identity >> 32));
	if (ret < 0) {
		*why = "is too large for FAT32, which ends at 2 TiB";
		dir_tree_fini(&dir->tree);
		free(dir);
		return ret;
	}
	dir_files_init(&dir->files, &dir->tree);
	dir->image.size = dir->volume.size;
	dir->image.read_only = true;
	dir->image.block_size = DIR_SECTOR;
	dir->image.version = dir_tree_version(&dir->tree);
	*image = &dir->image;
	return 0;
}
