// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An overlay merged into its base. The header says that this is going on before
 * the base is touched, and that it is over when the overlay is empty: whatever
 * stops it in between, it can be done again, and the overlay is not taken for
 * one that fits the base meanwhile.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/overlay_file.h"

#define PIECE (1u << 20)

/* What is a hole in the overlay was discarded: it becomes one in the base. */
static int copy_piece(struct overlay_file *file, struct image *base,
		      uint64_t off, uint64_t len, uint8_t *buf)
{
	int fd = overlay_fd(file, false);
	off_t at = (off_t)(file->data + off);
	off_t data = lseek(fd, at, SEEK_DATA);
	ssize_t n;

	if ((data < 0 && errno == ENXIO) || data >= at + (off_t)len)
		return image_wait(base, IMAGE_ZERO, off, NULL, len);
	n = pread(fd, buf, len, at);
	if (n < 0)
		return -errno;
	if ((uint64_t)n < len)
		return -ENODATA;
	return image_wait(base, IMAGE_WRITE, off, buf, len);
}

static int copy_all(struct overlay_file *file, struct image *base)
{
	uint8_t *buf cleanup_free = malloc(PIECE);
	uint64_t off = 0, run;
	bool in_file;
	int ret = buf ? 0 : -ENOMEM;

	for (; !ret && off < file->size; off += run) {
		run = overlay_run(file, off, file->size - off, &in_file);
		if (!in_file)
			continue;
		run = MIN(run, PIECE);
		ret = copy_piece(file, base, off, run, buf);
	}
	return ret ? ret : image_wait(base, IMAGE_FLUSH, 0, NULL, 0);
}

static int clear_map(struct overlay_file *file, int fd)
{
	memset(file->map, 0, file->n_pages * OVERLAY_PAGE);
	for (uint64_t i = 0; i < file->n_pages; i++) {
		const uint8_t *page = file->map + i * OVERLAY_PAGE;

		if (pwrite(fd, page, OVERLAY_PAGE,
			   (off_t)overlay_stable_page(i)) != OVERLAY_PAGE ||
		    pwrite(fd, page, OVERLAY_PAGE,
			   (off_t)overlay_recent_page(file, i)) != OVERLAY_PAGE)
			return -EIO;
	}
	return fdatasync(fd) < 0 ? -errno : 0;
}

static int empty(struct overlay_file *file, struct image *base, int fd)
{
	int ret = clear_map(file, fd);

	if (!ret)
		ret = overlay_fingerprint(base, &file->fingerprint);
	if (ret < 0)
		return ret;
	file->committing = false;
	ret = overlay_write_header(file, fd);
	/* Room given back; where that cannot be, it is used again. */
	if (!ret &&
	    fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      (off_t)file->data, (off_t)file->size) < 0 &&
	    errno != EOPNOTSUPP)
		ret = -errno;
	return ret;
}

int overlay_commit(struct overlay_file *file, struct image *base,
		   const char **why)
{
	int fd = overlay_fd(file, true);
	uint64_t now;
	int ret;

	if (base->size != file->size) {
		*why = "belongs to a base of another size";
		return -EINVAL;
	}
	ret = overlay_fingerprint(base, &now);
	if (!ret && !file->committing && now != file->fingerprint) {
		*why = "belongs to another base, or its base has been changed";
		return -EINVAL;
	}
	file->committing = true;
	if (!ret)
		ret = overlay_write_header(file, fd);
	if (!ret)
		ret = copy_all(file, base);
	if (!ret)
		ret = empty(file, base, fd);
	if (ret < 0)
		*why = ret == -ENOSPC
			       ? "does not fit its base's file system; make room and commit again"
			       : strerror(-ret);
	return ret;
}
