// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Reads and writes that begin or end within a block, for images that only
 * move whole blocks: by way of a buffer of whole blocks. Clearing a piece of
 * a block is left to zero.c, which makes a write of it.
 */
#include <stdlib.h>
#include <string.h>

#include "image/fallback.h"

struct partial {
	struct image_request request; /* the present step */
	struct iovec iov;
	struct image_request *outer;
	uint8_t *data; /* whole blocks, from start to end */
	uint64_t start, end;
	bool tail; /* the last block has to be read still */
};

bool partial_needed(const struct image_request *r)
{
	uint64_t mask = r->image->align - 1, end = r->off + r->len;

	return r->type != IMAGE_FLUSH && r->type != IMAGE_STATUS &&
	       ((r->off & mask) || ((end & mask) && end != r->image->size));
}

static void end(struct partial *p, int res)
{
	struct image_request *outer = p->outer;

	free(p->data);
	free(p);
	image_done(outer, res);
}

/* One step: the blocks from off to end. */
static void step(struct partial *p, enum image_request_type type, uint64_t off,
		 uint64_t end, void (*done)(struct image_request *, int))
{
	p->iov.iov_base = p->data + (off - p->start);
	p->iov.iov_len = end - off;
	p->request = (struct image_request){
		.type = type,
		.flags = type == IMAGE_WRITE ? p->outer->flags : 0,
		.off = off,
		.len = end - off,
		.iov = &p->iov,
		.n_iov = 1,
		.done = done,
		.image = p->outer->image,
		.inner = true,
	};
	list_init(&p->request.order);
	image_begin(&p->request);
}

static void all_read(struct image_request *request, int res)
{
	struct partial *p = container_of(request, struct partial, request);

	if (!res)
		image_copy(p->outer, p->data + (p->outer->off - p->start));
	end(p, res);
}

static void written(struct image_request *request, int res)
{
	end(container_of(request, struct partial, request), res);
}

static void edge_read(struct image_request *request, int res)
{
	struct partial *p = container_of(request, struct partial, request);
	uint64_t align = request->image->align;

	if (res < 0) {
		end(p, res);
	} else if (p->tail) {
		p->tail = false;
		step(p, IMAGE_READ, (p->end - 1) / align * align, p->end,
		     edge_read);
	} else {
		image_copy(p->outer, p->data + (p->outer->off - p->start));
		step(p, IMAGE_WRITE, p->start, p->end, written);
	}
}

void partial_begin(struct image_request *r)
{
	uint64_t align = r->image->align, r_end = r->off + r->len;
	struct partial *p = calloc(1, sizeof(*p));
	bool head;

	if (!p) {
		image_done_later(r, -ENOMEM);
		return;
	}
	p->outer = r;
	p->start = r->off / align * align;
	p->end = MIN(image_round_up(r_end, align), r->image->size);
	p->data = malloc(p->end - p->start);
	if (!p->data) {
		free(p);
		image_done_later(r, -ENOMEM);
		return;
	}
	if (r->type == IMAGE_READ) {
		step(p, IMAGE_READ, p->start, p->end, all_read);
		return;
	}
	head = r->off != p->start;
	p->tail = r_end != p->end && (!head || p->end - p->start > align);
	if (head) {
		step(p, IMAGE_READ, p->start, MIN(p->start + align, p->end),
		     edge_read);
		return;
	}
	p->tail = false;
	step(p, IMAGE_READ, (p->end - 1) / align * align, p->end, edge_read);
}
