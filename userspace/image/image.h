/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images: where the bytes of disks live. All requests are asynchronous.
 */
#ifndef IMAGE_IMAGE_H
#define IMAGE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "core/loop.h"

struct image;

enum image_request_type {
	IMAGE_READ,
	IMAGE_WRITE,
	IMAGE_FLUSH,
	IMAGE_DISCARD, /* the range reads as zeros or old data, takes no room */
	IMAGE_ZERO,    /* the range reads as zeros */
};

#define IMAGE_FUA 1u  /* write: on stable storage when done */
#define IMAGE_LAZY 2u /* read: done may come as late as the next event */

/*
 * The caller owns the struct and fills in the first part. iov (the array and
 * the memory) is lent until done. The range must lie within image->size.
 */
struct image_request {
	enum image_request_type type;
	unsigned int flags;
	uint64_t off;
	uint64_t len; /* of read and write: what iov sums up to */
	const struct iovec *iov;
	unsigned int n_iov;
	/*
	 * Runs exactly once, on the loop thread, never inside image_submit().
	 * res: 0 when all was done; else -EIO, -ENOSPC, -ENODATA (the file has
	 * become shorter than the disk), -EOPNOTSUPP (discard, zero), ...
	 */
	void (*done)(struct image_request *request, int res);

	/* The image's own: */
	struct image *image;
	struct op op;
	struct iovec rest; /* what a short transfer left over */
	uint64_t moved;
	bool now; /* the attempt was made with OP_NOW */
};

struct image_ops {
	const char *name; /* "raw" */
	void (*submit)(struct image *image, struct image_request *request);
	const void *(*map)(struct image *image, uint64_t off, uint32_t len);
	void (*destroy)(struct image *image);
};

struct image {
	const struct image_ops *ops;
	struct loop *loop;
	uint64_t size; /* bytes */
	bool read_only;
	/* Same image, same number, whatever order things start in; not zero. */
	uint64_t identity;
};

static inline void image_submit(struct image *image,
				struct image_request *request)
{
	request->image = image;
	image->ops->submit(image, request);
}

/* The most that image_map() is asked for. */
#define IMAGE_MAP_MAX (1u << 20)

/*
 * The bytes of a range where they are in memory already, to be read until the
 * image is destroyed; NULL when they are not, or not so. Never waits. The
 * kernel can be handed this memory to send from. The program must not touch
 * it: if the file becomes shorter meanwhile, the kernel reports -EFAULT, but
 * a load would be SIGBUS.
 */
static inline const void *image_map(struct image *image, uint64_t off,
				    uint32_t len)
{
	return image->ops->map ? image->ops->map(image, off, len) : NULL;
}

/* NULL-safe. Nothing may be in flight. */
static inline void image_destroy(struct image *image)
{
	if (image)
		image->ops->destroy(image);
}

#endif
