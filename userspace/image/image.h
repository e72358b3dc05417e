/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images: where the bytes of disks live. All requests are asynchronous.
 *
 * Those who use images call image_submit() and the functions below it; what an
 * image must provide is struct image_ops. image.c is between the two: it
 * counts, and does for every image what some cannot do by themselves (pieces
 * of blocks, clearing ranges).
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
	IMAGE_DISCARD, /* the range is not needed; see discard_zeroes */
	IMAGE_ZERO,    /* the range reads as zeros */
	IMAGE_STATUS,  /* how far do the bytes at off go on being alike? */
};

#define IMAGE_TYPES (IMAGE_STATUS + 1)

#define IMAGE_FUA 1u  /* write: on stable storage when done */
#define IMAGE_LAZY 2u /* read: done may come as late as the next event */

/*
 * The caller owns the struct and fills in the first part. iov (the array and
 * the memory) is lent until done. The range must lie within image->size, and
 * not be empty but for a flush.
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
	 * become shorter than the disk), ...
	 */
	void (*done)(struct image_request *request, int res);
	/*
	 * IMAGE_STATUS: true when the bytes read as zeros and take no room.
	 * len has become the length, from off, for which this holds: 1 to what
	 * was asked for.
	 */
	bool hole;

	/* image.c's own: */
	struct image *image;
	struct list order; /* on image->writes or image->parked */
	bool partial;	   /* begins or ends within a block */
	bool inner;	   /* made by a fallback, for a request */

	int res; /* image_done_later() */

	/* The image's own: */
	struct list node; /* on a list that the image keeps; on image->ended */
	struct op op;
	uint64_t moved;
	void *context;
	/* transfer.c's: */
	void (*end)(struct image_request *request, int res);
	struct iovec rest; /* a part of the request, or what was left over */
	uint64_t until, shift; /* of moved; from moved to the file's offset */
	int fd;
	bool now; /* the attempt was made with OP_NOW */
};

/* Where bytes of an image are: read or write that file. */
struct image_extent {
	int fd; /* open until the image is destroyed */
	uint64_t off;
	uint64_t len; /* from the offset asked for; at least 1 */
};

/*
 * What an image provides. Requests are within size, whole blocks of align (or
 * up to the very end), and end by image_done(): exactly once, on the loop
 * thread, never inside submit.
 */
struct image_ops {
	const char *name; /* "raw" */
	/* -EOPNOTSUPP is a good answer to DISCARD, ZERO and STATUS. */
	void (*submit)(struct image *image, struct image_request *request);
	/* The rest is optional; see the functions of these names below. */
	const void *(*map)(struct image *image, uint64_t off, uint32_t len);
	bool (*extent)(struct image *image, uint64_t off, bool write,
		       struct image_extent *extent);
	uint64_t (*used)(struct image *image);
	uint64_t (*refresh)(struct image *image); /* the size, now */
	void (*destroy)(struct image *image);
};

struct image_stats {
	uint64_t requests[IMAGE_TYPES];
	uint64_t bytes_read, bytes_written;
	uint64_t errors;
};

struct image {
	const struct image_ops *ops;
	struct loop *loop;
	uint64_t size; /* bytes; other threads: image_size() */
	/* Requests to ops->submit are made of whole blocks of this; 1: any. A
	 * power of two, at most IMAGE_MAX_ALIGN. */
	uint32_t align;
	bool read_only;
	uint32_t block_size; /* what is on it is for blocks of this; 0: any */
	/* A discarded range reads as zeros; else as zeros or as old data. */
	bool discard_zeroes;
	/* Same image, same number, whatever order things start in; not zero. */
	uint64_t identity;
	/* Differs when the content does, for images made of other things that
	 * can tell; else 0. */
	uint64_t version;

	struct image_stats stats;
	/* align > 1: what changes bytes is in flight, or waits for what it
	 * must not overtake, in order; struct image_request, by order. */
	struct list writes, parked;
	/* image_done_later() */
	struct list ended; /* struct image_request, by node */
	struct task task;
};

#define IMAGE_MAX_ALIGN 65536u

/* For those who implement one: align 1, discard_zeroes, identity of name. */
void image_init(struct image *image, const struct image_ops *ops,
		struct loop *loop, const char *name, uint64_t size);
/* The end of a request. The request may be gone when this returns. */
void image_done(struct image_request *request, int res);
/* The same from within submit: the end comes before the loop sleeps next. */
void image_done_later(struct image_request *request, int res);
/* Copies all of a read's bytes from data to its iov, a write's to data. */
void image_copy(const struct image_request *request, uint8_t *data);

/* --- For those who use one, on the loop thread ------------------------------ */

void image_submit(struct image *image, struct image_request *request);

/*
 * For set-up, which may wait: makes a request and turns the loop until it is
 * done. Its result, or -errno of the loop.
 */
int must_check image_wait(struct image *image, enum image_request_type type,
			  uint64_t off, void *buf, uint64_t len);

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

/*
 * Looks whether the image has grown: whoever owns the file may do that while
 * the disk is in use. True when size has changed. One that has become smaller
 * keeps its size, and what is not there any more cannot be read.
 */
bool image_refresh(struct image *image);

/* Bytes of storage in use, for what stat(2) calls blocks; size if unknown. */
static inline uint64_t image_used(struct image *image)
{
	return image->ops->used ? image->ops->used(image) : image->size;
}

/* NULL-safe. Nothing may be in flight. */
static inline void image_destroy(struct image *image)
{
	if (image)
		image->ops->destroy(image);
}

/* --- For those who use one, on any thread ---------------------------------- */

static inline uint64_t image_size(const struct image *image)
{
	return __atomic_load_n(&image->size, __ATOMIC_RELAXED);
}

/*
 * True when the bytes from off on are in a file, and a read (or write) there
 * is as good as a request. off < image->size. The answer holds until the
 * next write to the range.
 */
static inline bool image_extent(struct image *image, uint64_t off, bool write,
				struct image_extent *extent)
{
	return image->ops->extent &&
	       image->ops->extent(image, off, write, extent);
}

#endif
