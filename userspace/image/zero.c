// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What to do when an image says -EOPNOTSUPP: a range that cannot be discarded
 * is cleared, one that cannot be cleared is written. Of a range that begins or
 * ends within a block only those pieces are written.
 */
#include <stdlib.h>

#include "image/fallback.h"

#define PIECE (1u << 20)
#define ZEROS_SIZE 65536u

static uint8_t zeros[ZEROS_SIZE];
static struct iovec zeros_iov[PIECE / ZEROS_SIZE];

struct clearing {
	struct image_request request; /* the present step */
	struct image_request *outer;
	uint64_t off, left;
	struct iovec last; /* of a piece that is not a full one */
};

static void step(struct clearing *c);

static void step_done(struct image_request *request, int res)
{
	struct clearing *c = container_of(request, struct clearing, request);
	struct image_request *outer = c->outer;

	c->off += request->len;
	c->left -= request->len;
	if (!res && c->left) {
		step(c);
		return;
	}
	free(c);
	image_done(outer, res);
}

static void start(struct clearing *c, enum image_request_type type,
		  uint64_t len, const struct iovec *iov, unsigned int n_iov)
{
	c->request = (struct image_request){
		.type = type,
		.flags = c->outer->flags,
		.off = c->off,
		.len = len,
		.iov = iov,
		.n_iov = n_iov,
		.done = step_done,
		.image = c->outer->image,
		.inner = true,
	};
	list_init(&c->request.order);
	c->request.partial = partial_needed(&c->request);
	image_begin(&c->request);
}

/* Whole pieces share one array of segments; the others are one segment. */
static void write_zeros(struct clearing *c, uint64_t len)
{
	if (len >= PIECE) {
		start(c, IMAGE_WRITE, PIECE, zeros_iov, ARRAY_SIZE(zeros_iov));
		return;
	}
	c->last.iov_base = zeros;
	c->last.iov_len = MIN(len, ZEROS_SIZE);
	start(c, IMAGE_WRITE, c->last.iov_len, &c->last, 1);
}

/* What is left begins or ends within a block: a piece of one, or whole ones. */
static void step_ragged(struct clearing *c)
{
	const struct image *image = c->outer->image;
	uint64_t mask = image->align - 1, head = -c->off & mask;
	uint64_t whole = c->off + c->left == image->size ? c->left
							 : c->left & ~mask;

	if (head || !whole)
		write_zeros(c, head ? MIN(c->left, head) : c->left);
	else
		start(c, c->outer->type, whole, NULL, 0);
}

static void step(struct clearing *c)
{
	if (c->outer->partial)
		step_ragged(c);
	else if (c->outer->type == IMAGE_DISCARD)
		start(c, IMAGE_ZERO, c->left, NULL, 0);
	else
		write_zeros(c, c->left);
}

/* In effect constant; the same whoever fills it in, and how often. */
static void fill_zeros_iov(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(zeros_iov); i++)
		zeros_iov[i] = (struct iovec){ zeros, ZEROS_SIZE };
}

bool fallback_begin(struct image_request *r)
{
	struct clearing *c;

	if (r->type == IMAGE_STATUS) {
		r->hole = false;
		image_done_later(r, 0);
		return true;
	}
	if (r->type != IMAGE_DISCARD && r->type != IMAGE_ZERO)
		return false;
	if (r->type == IMAGE_DISCARD && !r->image->discard_zeroes &&
	    !r->partial) {
		image_done_later(r, 0); /* nobody relies on it */
		return true;
	}
	c = calloc(1, sizeof(*c));
	if (!c)
		return false;
	fill_zeros_iov();
	c->outer = r;
	c->off = r->off;
	c->left = r->len;
	step(c);
	return true;
}
