// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/raw.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "image/mapping.h"
#include "image/transfer.h"

struct raw {
	struct image image;
	int fd;
	struct mapping mapping; /* of what there was when it was opened */
};

static struct raw *raw_of(struct image *image)
{
	return container_of(image, struct raw, image);
}

static void other_done(struct op *op, int res)
{
	struct image_request *r = container_of(op, struct image_request, op);

	/* A block device cannot clear parts of its own, larger blocks. */
	if (res == -EINVAL && r->type != IMAGE_FLUSH)
		res = -EOPNOTSUPP;
	image_done(r, MIN(res, 0));
}

/* lseek(2) does not wait for data; block devices say it is all data. */
static void status(struct raw *raw, struct image_request *r)
{
	off_t off = (off_t)r->off, data = lseek(raw->fd, off, SEEK_DATA);
	off_t next = data;

	if (data < 0 && errno != ENXIO) {
		image_done_later(r, -EOPNOTSUPP);
		return;
	}
	r->hole = data != off;
	if (!r->hole)
		next = lseek(raw->fd, off, SEEK_HOLE);
	if (next > off)
		r->len = MIN(r->len, (uint64_t)(next - off));
	image_done_later(r, 0);
}

static void raw_submit(struct image *image, struct image_request *r)
{
	struct raw *raw = raw_of(image);

	switch (r->type) {
	case IMAGE_READ:
	case IMAGE_WRITE:
		r->moved = 0;
		transfer_start(r, raw->fd, r->off, r->len, image_done);
		break;
	case IMAGE_FLUSH:
		op_init(&r->op, other_done);
		op_fdatasync(image->loop, &r->op, raw->fd);
		break;
	case IMAGE_DISCARD:
		op_init(&r->op, other_done);
		op_fallocate(image->loop, &r->op, raw->fd,
			     FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, r->off,
			     r->len);
		break;
	case IMAGE_ZERO:
		op_init(&r->op, other_done);
		op_fallocate(image->loop, &r->op, raw->fd,
			     FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, r->off,
			     r->len);
		break;
	case IMAGE_STATUS:
		status(raw, r);
		break;
	}
}

static const void *raw_map(struct image *image, uint64_t off, uint32_t len)
{
	struct raw *raw = raw_of(image);

	return mapping_get(&raw->mapping, raw->fd, off, len);
}

static bool raw_extent(struct image *image, uint64_t off, bool write,
		       struct image_extent *extent)
{
	if (write && image->read_only)
		return false;
	extent->fd = raw_of(image)->fd;
	extent->off = off;
	extent->len = image_size(image) - off;
	return true;
}

static int size_of(int fd, const struct stat *st, uint64_t *size)
{
	if (S_ISREG(st->st_mode)) {
		*size = (uint64_t)st->st_size;
		return 0;
	}
	return ioctl(fd, BLKGETSIZE64, size) < 0 ? -errno : 0;
}

static uint64_t raw_used(struct image *image)
{
	struct stat st;

	return fstat(raw_of(image)->fd, &st) < 0 || !S_ISREG(st.st_mode)
		       ? image->size
		       : (uint64_t)st.st_blocks * 512;
}

static uint64_t raw_refresh(struct image *image)
{
	struct raw *raw = raw_of(image);
	struct stat st;
	uint64_t size;

	return fstat(raw->fd, &st) < 0 || size_of(raw->fd, &st, &size) < 0
		       ? 0
		       : size;
}

static void raw_destroy(struct image *image)
{
	struct raw *raw = raw_of(image);

	mapping_close(&raw->mapping);
	close(raw->fd);
	free(raw);
}

static const struct image_ops raw_ops = {
	.name = "raw",
	.submit = raw_submit,
	.map = raw_map,
	.extent = raw_extent,
	.used = raw_used,
	.refresh = raw_refresh,
	.destroy = raw_destroy,
};

/*
 * The kernel takes a moment to release the files of a process that was killed
 * with requests on its ring: a restarted bridge waits that long before it
 * believes that somebody else has the image.
 */
#define LOCK_WAIT_MS 1000
#define LOCK_POLL_MS 20

static int lock(int fd, bool read_only)
{
	struct flock fl = {
		.l_type = read_only ? F_RDLCK : F_WRLCK,
		.l_whence = SEEK_SET,
	};

	for (int ms = 0; ms < LOCK_WAIT_MS; ms += LOCK_POLL_MS) {
		if (!fcntl(fd, F_OFD_SETLK, &fl))
			return 0;
		if (errno != EACCES && errno != EAGAIN)
			return -errno;
		usleep(LOCK_POLL_MS * 1000);
	}
	return -EBUSY;
}

int raw_open(struct loop *loop, const char *path, bool read_only,
	     struct image **image, const char **why)
{
	int flags = O_CLOEXEC | (read_only ? O_RDONLY : O_RDWR);
	char *real cleanup_free = NULL;
	int fd cleanup_close = -1;
	struct raw *raw;
	struct stat st;
	uint64_t size;
	int ret;

	/* Looked at before it is opened: opening a FIFO would hang, opening
	 * some devices does things. */
	if (stat(path, &st) < 0) {
		ret = -errno;
		*why = strerror(-ret);
		return ret;
	}
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode)) {
		*why = S_ISDIR(st.st_mode)
			       ? "is a folder, not a disk image"
			       : "is neither a regular file nor a block device";
		return -EINVAL;
	}
	if (S_ISBLK(st.st_mode) && !read_only)
		flags |= O_EXCL; /* refuses what is mounted */
	fd = open(path, flags);
	if (fd < 0) {
		ret = -errno;
		*why = ret == -EBUSY
			       ? "is in use (mounted?); unmount it, or use --usb-disk-ro"
		       : ret == -EACCES || ret == -EROFS
			       ? "may not be written; use --usb-disk-ro, or change its permissions"
			       : strerror(-ret);
		if (ret == -EACCES && read_only)
			*why = "may not be read; change its permissions";
		return ret;
	}
	ret = lock(fd, read_only);
	if (ret < 0) {
		*why = ret == -EBUSY
			       ? "is in use by another ryll-bridge (or program that locks it)"
			       : strerror(-ret);
		return ret;
	}
	if (fstat(fd, &st) < 0) {
		ret = -errno;
		*why = strerror(-ret);
		return ret;
	}
	ret = size_of(fd, &st, &size);
	if (ret < 0) {
		*why = strerror(-ret);
		return ret;
	}
	raw = calloc(1, sizeof(*raw));
	if (!raw) {
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	/* The path is what stays the same over reboots and what differs
	 * between copies; inode and device numbers do neither. */
	real = realpath(path, NULL);
	image_init(&raw->image, &raw_ops, loop, real ? real : path, size);
	raw->image.read_only = read_only;
	raw->fd = fd;
	mapping_open(&raw->mapping, fd, size);
	fd = -1;
	*image = &raw->image;
	return 0;
}
