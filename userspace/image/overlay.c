// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Requests to an overlay become requests to its base and to its store (the
 * overlay's file as a raw image). Writes are done when the recent map says so;
 * flushes when the stable map does. Both maps are written for all who wait, one
 * round at a time.
 */
#include "image/overlay.h"

#include <stdlib.h>
#include <string.h>

#include "image/overlay_file.h"

/* A round of writing one of the maps. */
struct round {
	struct list waiting; /* for the next one; struct part, by node */
	struct list riding;  /* for this one */
	bool running;
	int res;
	uint64_t page; /* the next one to look at */
	struct image_request request;
	struct iovec iov;
};

struct overlay {
	struct image image;
	struct image *base; /* owned */
	struct overlay_file file;
	struct round recent, stable;
	/* The stable round: the dirty pages as they were when it began. */
	uint8_t *copy;
	uint64_t *copied; /* their numbers */
	uint64_t n_copied;
	/* A flush failed, and the kernel tells that once only: no later one may
	 * say of the data of before that it lasts. */
	bool lost;
};

/* One request to base or store, for the whole or a part of an outer one. */
struct part {
	struct image_request request;
	struct list node; /* on a round */
	struct whole *whole;
};

/* A request to the overlay, under way. */
struct whole {
	struct image_request *outer;
	struct overlay *overlay;
	unsigned int busy; /* parts */
	int res;	   /* the first failure */
	struct iovec *iov; /* of all parts; owned */
	struct part part;  /* the first */
};

static struct overlay *overlay_of(struct image *image)
{
	return container_of(image, struct overlay, image);
}

static void whole_end(struct whole *w, int res)
{
	struct image_request *outer = w->outer;

	free(w->iov);
	free(w);
	image_done(outer, res);
}

static struct whole *whole_new(struct image_request *outer)
{
	struct whole *w = calloc(1, sizeof(*w));

	if (!w) {
		image_done_later(outer, -ENOMEM);
		return NULL;
	}
	w->outer = outer;
	w->overlay = overlay_of(outer->image);
	w->part.whole = w;
	list_init(&w->part.node);
	return w;
}

/* Where the bytes at off are, and their offset there. */
static struct image *place(struct overlay *o, bool in_file, uint64_t *off)
{
	if (!in_file)
		return o->base;
	*off += o->file.data;
	return o->file.store;
}

/* --- Rounds ------------------------------------------------------------------------ */

static void recent_step(struct overlay *o);
static void stable_step(struct overlay *o);

static void round_init(struct round *r)
{
	list_init(&r->waiting);
	list_init(&r->riding);
}

/* Takes all who wait along. False: nobody does, or one is under way. */
static bool round_begin(struct round *r)
{
	struct list *node;

	if (r->running || list_empty(&r->waiting))
		return false;
	while ((node = list_pop(&r->waiting)))
		list_append(&r->riding, node);
	r->running = true;
	r->res = 0;
	r->page = 0;
	return true;
}

static void round_end(struct round *r)
{
	struct list done = LIST_INIT(done), *node;
	int res = r->res;

	while ((node = list_pop(&r->riding)))
		list_append(&done, node);
	r->running = false;
	while ((node = list_pop(&done)))
		whole_end(list_entry(node, struct part, node)->whole, res);
}

static void round_write(struct overlay *o, struct round *r, uint8_t *page,
			uint64_t off, void (*done)(struct image_request *, int))
{
	r->iov = (struct iovec){ page, OVERLAY_PAGE };
	r->request = (struct image_request){
		.type = IMAGE_WRITE,
		.off = off,
		.len = OVERLAY_PAGE,
		.iov = &r->iov,
		.n_iov = 1,
		.done = done,
	};
	image_submit(o->file.store, &r->request);
}

/* --- The recent map ------------------------------------------------------------------ */

static void recent_begin(struct overlay *o)
{
	if (round_begin(&o->recent))
		recent_step(o);
}

static void recent_written(struct image_request *request, int res)
{
	struct round *r = container_of(request, struct round, request);
	struct overlay *o = container_of(r, struct overlay, recent);

	if (res < 0) {
		r->res = res;
		o->file.dirty[r->page - 1] |= OVERLAY_RECENT;
	}
	recent_step(o);
}

/*
 * A bit that is set while its page is being written may get into the file with
 * it: its data is in the file by then, as bits are set behind the data.
 */
static void recent_step(struct overlay *o)
{
	struct overlay_file *f = &o->file;
	struct round *r = &o->recent;

	while (!r->res && r->page < f->n_pages) {
		uint64_t page = r->page++;

		if (!(f->dirty[page] & OVERLAY_RECENT))
			continue;
		f->dirty[page] &= (uint8_t)~OVERLAY_RECENT;
		round_write(o, r, f->map + page * OVERLAY_PAGE,
			    overlay_recent_page(f, page), recent_written);
		return;
	}
	round_end(r);
	recent_begin(o);
}

/* --- The stable map: flush, write what was true before it, flush ---------------------- */

static void stable_begin(struct overlay *o);

/* Its pages have to be written again. */
static void stable_failed(struct overlay *o, int res)
{
	o->stable.res = res;
	o->lost |= res == -EIO;
	for (uint64_t i = 0; i < o->n_copied; i++)
		o->file.dirty[o->copied[i]] |= OVERLAY_STABLE;
}

static void stable_end(struct overlay *o)
{
	free(o->copy);
	free(o->copied);
	o->copy = NULL;
	o->copied = NULL;
	round_end(&o->stable);
	stable_begin(o);
}

static void stable_last(struct image_request *request, int res)
{
	struct round *r = container_of(request, struct round, request);
	struct overlay *o = container_of(r, struct overlay, stable);

	if (res < 0)
		stable_failed(o, res);
	stable_end(o);
}

static void stable_flush(struct overlay *o,
			 void (*done)(struct image_request *, int))
{
	o->stable.request = (struct image_request){
		.type = IMAGE_FLUSH,
		.done = done,
	};
	image_submit(o->file.store, &o->stable.request);
}

static void stable_done(struct image_request *request, int res)
{
	struct round *r = container_of(request, struct round, request);
	struct overlay *o = container_of(r, struct overlay, stable);

	if (res < 0) {
		stable_failed(o, res);
		stable_end(o);
	} else {
		stable_step(o);
	}
}

static void stable_step(struct overlay *o)
{
	struct round *r = &o->stable;
	uint64_t i = r->page++;

	if (!o->n_copied)
		stable_end(o); /* all was said before */
	else if (i == o->n_copied)
		stable_flush(o, stable_last);
	else
		round_write(o, r, o->copy + i * OVERLAY_PAGE,
			    overlay_stable_page(o->copied[i]), stable_done);
}

/* The bits of now: what they stand for has been written, and is flushed next. */
static bool stable_copy(struct overlay *o)
{
	struct overlay_file *f = &o->file;
	uint64_t n = 0;

	o->n_copied = 0;
	for (uint64_t i = 0; i < f->n_pages; i++)
		n += !!(f->dirty[i] & OVERLAY_STABLE);
	if (!n)
		return true;
	o->copy = malloc(n * OVERLAY_PAGE);
	o->copied = malloc(n * sizeof(*o->copied));
	if (!o->copy || !o->copied)
		return false;
	for (uint64_t i = 0; i < f->n_pages; i++) {
		if (!(f->dirty[i] & OVERLAY_STABLE))
			continue;
		f->dirty[i] &= (uint8_t)~OVERLAY_STABLE;
		memcpy(o->copy + o->n_copied * OVERLAY_PAGE,
		       f->map + i * OVERLAY_PAGE, OVERLAY_PAGE);
		o->copied[o->n_copied++] = i;
	}
	return true;
}

static void stable_begin(struct overlay *o)
{
	if (!round_begin(&o->stable))
		return;
	if (!o->lost && stable_copy(o)) {
		stable_flush(o, stable_done);
		return;
	}
	/* Ends by a request of its own, and not within submit. */
	o->n_copied = 0;
	o->stable.res = o->lost ? -EIO : -ENOMEM;
	stable_flush(o, stable_last);
}

/* --- Requests ---------------------------------------------------------------------------- */

static void flush_begin(struct whole *w)
{
	list_append(&w->overlay->stable.waiting, &w->part.node);
	stable_begin(w->overlay);
}

static void changed(struct image_request *request, int res)
{
	struct part *part = container_of(request, struct part, request);
	struct whole *w = part->whole;
	struct image_request *outer = w->outer;
	struct overlay *o = w->overlay;

	if (res < 0) {
		whole_end(w, res);
		return;
	}
	overlay_mark(&o->file, outer->off, outer->len);
	/* While a round is under way, perhaps without the last bits, a page
	 * is neither dirty nor written. */
	if (outer->flags & IMAGE_FUA &&
	    (o->stable.running ||
	     overlay_dirty(&o->file, outer->off, outer->len, OVERLAY_STABLE))) {
		flush_begin(w);
	} else if (o->recent.running ||
		   overlay_dirty(&o->file, outer->off, outer->len,
				 OVERLAY_RECENT)) {
		list_append(&o->recent.waiting, &part->node);
		recent_begin(o);
	} else {
		whole_end(w, 0);
	}
}

static void change(struct image_request *r)
{
	struct whole *w = whole_new(r);

	if (!w)
		return;
	w->part.request = (struct image_request){
		.type = r->type,
		.flags = r->flags,
		.off = r->off + w->overlay->file.data,
		.len = r->len,
		.iov = r->iov,
		.n_iov = r->n_iov,
		.done = changed,
	};
	image_submit(w->overlay->file.store, &w->part.request);
}

static void part_read(struct image_request *request, int res)
{
	struct part *part = container_of(request, struct part, request);
	struct whole *w = part->whole;

	if (res < 0 && !w->res)
		w->res = res;
	if (part != &w->part)
		free(part);
	if (!--w->busy)
		whole_end(w, w->res);
}

/* Copies the segments of len bytes from *i, *skip on. Returns how many. */
static unsigned int slice(const struct image_request *r, unsigned int *i,
			  size_t *skip, uint64_t len, struct iovec *out)
{
	unsigned int n = 0;

	while (len) {
		size_t have = MIN(r->iov[*i].iov_len - *skip, len);

		out[n].iov_base = (char *)r->iov[*i].iov_base + *skip;
		out[n++].iov_len = have;
		len -= have;
		*skip += have;
		if (*skip == r->iov[*i].iov_len) {
			(*i)++;
			*skip = 0;
		}
	}
	return n;
}

static unsigned int count_runs(struct overlay *o, uint64_t off, uint64_t len)
{
	unsigned int n = 0;
	bool in_file;

	while (len) {
		uint64_t run = overlay_run(&o->file, off, len, &in_file);

		off += run;
		len -= run;
		n++;
	}
	return n;
}

static void read_part(struct whole *w, struct part *part, uint64_t off,
		      uint64_t len, bool in_file, const struct iovec *iov,
		      unsigned int n_iov)
{
	struct image *from = place(w->overlay, in_file, &off);

	part->whole = w;
	part->request = (struct image_request){
		.type = IMAGE_READ,
		.flags = w->outer->flags,
		.off = off,
		.len = len,
		.iov = iov,
		.n_iov = n_iov,
		.done = part_read,
	};
	image_submit(from, &part->request);
}

static void read_runs(struct whole *w, unsigned int n_runs)
{
	struct image_request *r = w->outer;
	struct overlay *o = w->overlay;
	unsigned int i = 0, n = 0;
	uint64_t off = r->off, left = r->len;
	size_t skip = 0;

	w->busy = 1; /* this function's */
	w->iov = calloc(r->n_iov + n_runs, sizeof(*w->iov));
	if (!w->iov)
		w->res = -ENOMEM;
	while (left && !w->res) {
		struct part *part = left == r->len ? &w->part
						   : calloc(1, sizeof(*part));
		unsigned int segments;
		uint64_t run;
		bool in_file;

		if (!part) {
			w->res = -ENOMEM;
			break;
		}
		run = overlay_run(&o->file, off, left, &in_file);
		segments = slice(r, &i, &skip, run, w->iov + n);
		w->busy++;
		read_part(w, part, off, run, in_file, w->iov + n, segments);
		n += segments;
		off += run;
		left -= run;
	}
	if (--w->busy)
		return;
	/* Nothing was started, so nobody else will end it. */
	image_done_later(r, w->res);
	free(w->iov);
	free(w);
}

static void read_begin(struct image_request *r)
{
	struct whole *w = whole_new(r);
	unsigned int n;
	bool in_file;

	if (!w)
		return;
	n = count_runs(w->overlay, r->off, r->len);
	if (n > 1) {
		read_runs(w, n);
		return;
	}
	overlay_run(&w->overlay->file, r->off, r->len, &in_file);
	w->busy = 1;
	read_part(w, &w->part, r->off, r->len, in_file, r->iov, r->n_iov);
}

static void status_done(struct image_request *request, int res)
{
	struct part *part = container_of(request, struct part, request);
	struct whole *w = part->whole;

	w->outer->hole = request->hole;
	w->outer->len = request->len;
	whole_end(w, res);
}

static void status(struct image_request *r)
{
	struct whole *w = whole_new(r);
	uint64_t off = r->off;
	struct image *from;
	bool in_file;

	if (!w)
		return;
	w->part.request = (struct image_request){
		.type = IMAGE_STATUS,
		.len = overlay_run(&w->overlay->file, off, r->len, &in_file),
		.done = status_done,
	};
	from = place(w->overlay, in_file, &off);
	w->part.request.off = off;
	image_submit(from, &w->part.request);
}

static void overlay_submit(struct image *image, struct image_request *r)
{
	struct whole *w;

	(void)image;
	switch (r->type) {
	case IMAGE_READ:
		read_begin(r);
		break;
	case IMAGE_WRITE:
	case IMAGE_DISCARD:
	case IMAGE_ZERO:
		change(r);
		break;
	case IMAGE_FLUSH:
		w = whole_new(r);
		if (w)
			flush_begin(w);
		break;
	case IMAGE_STATUS:
		status(r);
		break;
	}
}

/* --- The other operations -------------------------------------------------------------------- */

static const void *overlay_map(struct image *image, uint64_t off, uint32_t len)
{
	struct overlay *o = overlay_of(image);
	struct image *from;
	bool in_file;

	if (overlay_run(&o->file, off, len, &in_file) < len)
		return NULL;
	from = place(o, in_file, &off);
	return image_map(from, off, len);
}

/* A look at more than this is not worth it: requests are shorter. */
#define LOOK_AHEAD (4u << 20)

static bool overlay_extent(struct image *image, uint64_t off, bool write,
			   struct image_extent *extent)
{
	struct overlay *o = overlay_of(image);
	struct image *from;
	uint64_t run;
	bool in_file;

	if (write)
		return false;
	run = overlay_run(&o->file, off, MIN(image->size - off, LOOK_AHEAD),
			  &in_file);
	from = place(o, in_file, &off);
	if (!image_extent(from, off, false, extent))
		return false;
	extent->len = MIN(extent->len, run);
	return true;
}

static uint64_t overlay_used(struct image *image)
{
	return image_used(overlay_of(image)->file.store);
}

static void overlay_destroy(struct image *image)
{
	struct overlay *o = overlay_of(image);

	overlay_file_close(&o->file);
	image_destroy(o->base);
	free(o);
}

static const struct image_ops overlay_ops = {
	.name = "overlay",
	.submit = overlay_submit,
	.map = overlay_map,
	.extent = overlay_extent,
	.used = overlay_used,
	.destroy = overlay_destroy,
};

int overlay_open(struct loop *loop, struct image *base, const char *name,
		 const char *path, bool read_only, struct image **image,
		 const char **why)
{
	struct overlay *o = calloc(1, sizeof(*o));
	int ret;

	*why = strerror(ENOMEM);
	ret = o ? overlay_file_open(loop, path, base, name, read_only, &o->file,
				    why)
		: -ENOMEM;
	if (ret < 0) {
		image_destroy(base);
		free(o);
		return ret;
	}
	image_init(&o->image, &overlay_ops, loop, name, base->size);
	/* A nameless file has no name to be known by the next time. */
	o->image.identity = path ? o->file.store->identity : base->identity;
	o->image.align = OVERLAY_UNIT;
	o->image.read_only = read_only;
	o->image.block_size = base->block_size;
	o->base = base;
	round_init(&o->recent);
	round_init(&o->stable);
	*image = &o->image;
	return 0;
}
