// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is between those who use images and those who are one: counters, the
 * order of writes, and the fallbacks (partial.c, zero.c).
 */
#include "image/image.h"

#include <string.h>

#include "base/hash.h"
#include "image/fallback.h"

static void end_later(struct task *task)
{
	struct image *image = container_of(task, struct image, task);
	struct list *node;

	while ((node = list_pop(&image->ended))) {
		struct image_request *r =
			list_entry(node, struct image_request, node);

		image_done(r, r->res);
	}
}

void image_done_later(struct image_request *r, int res)
{
	r->res = res;
	list_init(&r->node);
	list_append(&r->image->ended, &r->node);
	loop_post(r->image->loop, &r->image->task);
}

void image_init(struct image *image, const struct image_ops *ops,
		struct loop *loop, const char *name, uint64_t size)
{
	*image = (struct image){
		.ops = ops,
		.loop = loop,
		.size = size,
		.align = 1,
		.discard_zeroes = true,
		.identity = hash_bytes(HASH_INIT, name, strlen(name)),
	};
	if (!image->identity)
		image->identity = 1;
	list_init(&image->writes);
	list_init(&image->parked);
	list_init(&image->ended);
	task_init(&image->task, end_later);
}

void image_copy(const struct image_request *r, uint8_t *data)
{
	for (unsigned int i = 0; i < r->n_iov; i++) {
		if (r->type == IMAGE_READ)
			memcpy(r->iov[i].iov_base, data, r->iov[i].iov_len);
		else
			memcpy(data, r->iov[i].iov_base, r->iov[i].iov_len);
		data += r->iov[i].iov_len;
	}
}

bool image_refresh(struct image *image)
{
	uint64_t size = image->ops->refresh ? image->ops->refresh(image) : 0;

	if (size <= image->size)
		return false;
	__atomic_store_n(&image->size, size, __ATOMIC_RELAXED);
	return true;
}

/* --- The order of writes ------------------------------------------------------
 *
 * A piece of a block is written by reading the block first. Nothing may change
 * the block meanwhile, so such a write and others that touch its blocks take
 * turns. Whole blocks do not wait for each other.
 */

static bool changes_bytes(const struct image_request *r)
{
	return r->type == IMAGE_WRITE || r->type == IMAGE_DISCARD ||
	       r->type == IMAGE_ZERO;
}

static bool overlap(const struct image_request *a,
		    const struct image_request *b)
{
	uint64_t align = a->image->align;
	uint64_t a_end = image_round_up(a->off + a->len, align);
	uint64_t b_end = image_round_up(b->off + b->len, align);

	return a->off / align * align < b_end && b->off / align * align < a_end;
}

static bool must_wait(const struct image_request *r,
		      const struct image_request *other)
{
	return (r->partial || other->partial) && overlap(r, other);
}

/* May r start, when the parked ones before end have not? */
static bool blocked(struct image *image, const struct image_request *r,
		    const struct list *end)
{
	list_for_each (node, &image->writes)
		if (must_wait(r, list_entry(node, struct image_request, order)))
			return true;
	for (struct list *n = image->parked.next; n != end; n = n->next)
		if (must_wait(r, list_entry(n, struct image_request, order)))
			return true;
	return false;
}

void image_begin(struct image_request *r)
{
	struct image *image = r->image;

	if (!r->partial)
		image->ops->submit(image, r);
	else if (r->type == IMAGE_READ || r->type == IMAGE_WRITE)
		partial_begin(r);
	else
		image_done_later(r, -EOPNOTSUPP); /* then by zero.c */
}

static void unpark(struct image *image)
{
	list_for_each_safe (node, &image->parked) {
		struct image_request *r =
			list_entry(node, struct image_request, order);

		if (blocked(image, r, node))
			continue;
		list_remove(node);
		list_append(&image->writes, node);
		image_begin(r);
	}
}

/* --- The way in, and out ------------------------------------------------------- */

static void count(struct image *image, const struct image_request *r)
{
	image->stats.requests[r->type]++;
	if (r->type == IMAGE_READ)
		image->stats.bytes_read += r->len;
	else if (r->type == IMAGE_WRITE)
		image->stats.bytes_written += r->len;
}

void image_submit(struct image *image, struct image_request *r)
{
	count(image, r);
	r->image = image;
	list_init(&r->order);
	r->partial = r->inner = false;
	if (image->align == 1) {
		image->ops->submit(image, r);
		return;
	}
	r->partial = partial_needed(r);
	if (!changes_bytes(r)) {
		image_begin(r);
	} else if (blocked(image, r, &image->parked)) {
		list_append(&image->parked, &r->order);
	} else {
		list_append(&image->writes, &r->order);
		image_begin(r);
	}
}

void image_done(struct image_request *r, int res)
{
	struct image *image = r->image;

	if (res == -EOPNOTSUPP && fallback_begin(r))
		return;
	if (res < 0 && !r->inner)
		image->stats.errors++;
	if (!list_empty(&r->order)) {
		list_remove(&r->order);
		if (!list_empty(&image->parked))
			unpark(image);
	}
	r->done(r, res);
}

/* --- Waiting -------------------------------------------------------------------- */

struct waiting {
	struct image_request request;
	struct timer awake;
	bool done;
	int res;
};

static void stay_awake(struct timer *timer)
{
	(void)timer;
}

static void waiting_done(struct image_request *request, int res)
{
	struct waiting *w = container_of(request, struct waiting, request);

	w->done = true;
	w->res = res;
	/* A turn may end a request before it sleeps: it shall not. */
	timer_start(request->image->loop, &w->awake, 0);
}

int image_wait(struct image *image, enum image_request_type type, uint64_t off,
	       void *buf, uint64_t len)
{
	struct iovec iov = { buf, len };
	struct waiting w = { .request = { .type = type,
					  .off = off,
					  .len = len,
					  .iov = &iov,
					  .n_iov = buf ? 1 : 0,
					  .done = waiting_done } };

	int ret = 0;

	timer_init(&w.awake, stay_awake);
	image_submit(image, &w.request);
	while (!w.done && !ret)
		ret = loop_turn(image->loop);
	timer_stop(&w.awake);
	return ret ? ret : w.res;
}
