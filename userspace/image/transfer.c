// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/transfer.h"

struct iovec transfer_piece(const struct image_request *r, uint64_t len)
{
	uint64_t skip = r->moved;
	unsigned int i = 0;

	while (skip >= r->iov[i].iov_len)
		skip -= r->iov[i++].iov_len;
	return (struct iovec){
		.iov_base = (char *)r->iov[i].iov_base + skip,
		.iov_len = MIN(len, r->iov[i].iov_len - skip),
	};
}

/*
 * All of a request goes in one operation. What is a part of one, or was left
 * over, goes a piece at a time, which is rare enough to be simple about.
 */
static void start(struct image_request *r)
{
	bool whole = !r->moved && r->until == r->len;
	const struct iovec *iov = whole ? r->iov : &r->rest;
	unsigned int n = whole ? r->n_iov : 1;
	uint64_t at = r->moved + r->shift;
	struct loop *loop = r->image->loop;
	unsigned int flags = 0;

	if (!whole)
		r->rest = transfer_piece(r, r->until - r->moved);
	if (r->type == IMAGE_WRITE) {
		op_pwritev(loop, &r->op, r->fd, iov, n, at,
			   r->flags & IMAGE_FUA ? RWF_DSYNC : 0);
		return;
	}
	/* Of a part nobody knows whether the caller has hurried already. */
	if (r->now)
		flags = OP_NOW |
			(whole && (r->flags & IMAGE_LAZY) ? OP_LAZY : 0);
	op_preadv(loop, &r->op, r->fd, iov, n, at, flags);
}

static void transfer_done(struct op *op, int res)
{
	struct image_request *r = container_of(op, struct image_request, op);
	bool was_now = r->now;

	r->now = false;
	if (res > 0)
		r->moved += (uint64_t)res;
	if (r->moved == r->until)
		r->end(r, 0);
	else if (was_now && (res >= 0 || res == -EAGAIN || res == -EOPNOTSUPP))
		start(r); /* not all of it was in memory: wait for it */
	else if (res == -EINTR || res == -EAGAIN || res > 0)
		start(r);
	else if (res == 0)
		r->end(r, r->type == IMAGE_READ ? -ENODATA : -ENOSPC);
	else
		r->end(r, res);
}

void transfer_start(struct image_request *r, int fd, uint64_t at, uint64_t len,
		    void (*end)(struct image_request *r, int res))
{
	op_init(&r->op, transfer_done);
	r->fd = fd;
	r->shift = at - r->moved;
	r->until = r->moved + len;
	r->end = end;
	/* What is in the page cache needs no waiting and no event. */
	r->now = r->type == IMAGE_READ;
	start(r);
}
