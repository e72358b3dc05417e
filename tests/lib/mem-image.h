/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An image in memory, for tests: it fails on demand, keeps requests waiting on
 * demand, and counts them. Requests end by a task, never within submit, as
 * those of a real image do.
 */
#ifndef TESTS_MEM_IMAGE_H
#define TESTS_MEM_IMAGE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "image/image.h"

#define MEM_IMAGE_TYPES (IMAGE_ZERO + 1)

struct mem_image {
	struct image image;
	uint8_t *data;
	/* Where the disk's bytes end; behind it requests are only counted, so
	 * that a disk may be larger than memory. */
	uint64_t backed;
	struct list waiting; /* struct image_request, by op.node */
	struct task task;
	bool hold; /* requests wait until mem_image_release() */
	int error[MEM_IMAGE_TYPES];	     /* 0: success */
	unsigned int count[MEM_IMAGE_TYPES]; /* requests that have ended */
	unsigned int last_flags;	     /* of the last one */
	bool *destroyed;		     /* set to true; may be NULL */
};

static inline void mem_image_move(struct mem_image *mem,
				  const struct image_request *r)
{
	uint64_t off = r->off;

	for (unsigned int i = 0; i < r->n_iov; i++) {
		uint8_t *p = r->iov[i].iov_base;
		size_t len = r->iov[i].iov_len;
		size_t have = off < mem->backed
				      ? MIN(len, (size_t)(mem->backed - off))
				      : 0;

		if (r->type == IMAGE_READ) {
			if (have)
				memcpy(p, mem->data + off, have);
			memset(p + have, 0, len - have);
		} else if (have) {
			memcpy(mem->data + off, p, have);
		}
		off += len;
	}
}

static inline int mem_image_perform(struct mem_image *mem,
				    const struct image_request *r)
{
	if (mem->error[r->type])
		return mem->error[r->type];
	switch (r->type) {
	case IMAGE_READ:
	case IMAGE_WRITE:
		mem_image_move(mem, r);
		break;
	case IMAGE_DISCARD:
	case IMAGE_ZERO:
		if (r->off < mem->backed)
			memset(mem->data + r->off, 0,
			       MIN(r->len, mem->backed - r->off));
		break;
	case IMAGE_FLUSH:
		break;
	}
	return 0;
}

static inline void mem_image_run(struct task *task)
{
	struct mem_image *mem = container_of(task, struct mem_image, task);
	struct list *node;

	while (!mem->hold && (node = list_pop(&mem->waiting))) {
		struct op *op = container_of(node, struct op, node);
		struct image_request *r =
			container_of(op, struct image_request, op);
		int res = mem_image_perform(mem, r);

		mem->count[r->type]++;
		mem->last_flags = r->flags;
		r->done(r, res);
	}
}

static inline void mem_image_submit(struct image *image,
				    struct image_request *r)
{
	struct mem_image *mem = container_of(image, struct mem_image, image);

	/* What image.h demands of every caller. */
	assert(r->off <= image->size && r->len <= image->size - r->off);
	assert(r->type == IMAGE_FLUSH || r->len);
	list_init(&r->op.node);
	list_append(&mem->waiting, &r->op.node);
	loop_post(image->loop, &mem->task);
}

/* Lets go of what hold kept, in the next turn of the loop. */
static inline void mem_image_release(struct mem_image *mem)
{
	mem->hold = false;
	loop_post(mem->image.loop, &mem->task);
}

static inline void mem_image_destroy(struct image *image)
{
	struct mem_image *mem = container_of(image, struct mem_image, image);

	assert(list_empty(&mem->waiting));
	task_cancel(&mem->task);
	if (mem->destroyed)
		*mem->destroyed = true;
	free(mem->data);
	free(mem);
}

/* size bytes, of which the first backed ones are remembered. */
static inline struct mem_image *mem_image_new(struct loop *loop, uint64_t size,
					      uint64_t backed)
{
	static const struct image_ops ops = {
		.name = "mem",
		.submit = mem_image_submit,
		.destroy = mem_image_destroy,
	};
	struct mem_image *mem = calloc(1, sizeof(*mem));

	assert(mem);
	mem->data = calloc(1, backed);
	assert(mem->data);
	mem->backed = backed;
	mem->image = (struct image){
		.ops = &ops,
		.loop = loop,
		.size = size,
		.identity = 0x1122334455667788,
	};
	list_init(&mem->waiting);
	task_init(&mem->task, mem_image_run);
	return mem;
}

#endif
