// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The bytes of NAME.img. Those that are in a file are moved between it and the
 * kernel right here; the others are the image's to move, on the loop.
 */
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fuse/session.h"

/* --- Requests to the image ------------------------------------------------------ */

static void request_done(struct image_request *request, int res)
{
	struct call *call = container_of(request, struct call, request);

	if (res == -ENODATA)
		res = -EIO; /* to a reader this would be an end of file */
	if (res < 0)
		fuse_reply_err(call->req, -res);
	else if (request->type == IMAGE_READ)
		fuse_reply_buf(call->req, call->data, request->len);
	else if (request->type == IMAGE_WRITE)
		fuse_reply_write(call->req, request->len);
	else
		fuse_reply_err(call->req, 0);
	call_end(call);
}

static void request_submit(struct mail *mail)
{
	struct call *call = container_of(mail, struct call, mail);

	call->request.done = request_done;
	image_submit(call->disk->image, &call->request);
}

/* Takes data. */
static void request(fuse_req_t req, fuse_ino_t ino,
		    enum image_request_type type, uint64_t off, uint64_t len,
		    void *data)
{
	struct call *call = call_new(req, ino, request_submit);

	if (!call) {
		free(data);
		return;
	}
	call->data = data;
	call->iov = (struct iovec){ data, len };
	call->request = (struct image_request){
		.type = type,
		.off = off,
		.len = len,
		.iov = &call->iov,
		.n_iov = data ? 1 : 0,
	};
	call_send(call);
}

/* --- Reading and writing --------------------------------------------------------- */

/* More pieces than this are gathered by the loop. */
#define MAX_EXTENTS 8

/* Room for a struct fuse_bufvec, whose last member is an array of one. */
union extents {
	struct fuse_bufvec vec;
	char room[sizeof(struct fuse_bufvec) +
		  (MAX_EXTENTS - 1) * sizeof(struct fuse_buf)];
};

/* The range as pieces of files. False: it is not, or in too many pieces. */
static bool find_extents(struct image *image, uint64_t off, uint64_t len,
			 bool write, union extents *e)
{
	struct fuse_buf *buf = e->vec.buf;
	struct image_extent extent;
	size_t n = 0;

	e->vec = (struct fuse_bufvec){ 0 };
	for (; len; n++, off += extent.len, len -= extent.len) {
		if (n == MAX_EXTENTS ||
		    !image_extent(image, off, write, &extent))
			return false;
		extent.len = MIN(extent.len, len);
		buf[n] = (struct fuse_buf){
			.size = extent.len,
			.flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK,
			.fd = extent.fd,
			.pos = (off_t)extent.off,
		};
	}
	e->vec.count = n;
	return true;
}

/* A file that has become shorter than its image: to a reader that would be an
 * end, and to the kernel's cache zeros. The image knows that it is an error. */
static bool is_there(const union extents *e)
{
	struct stat st;

	for (size_t i = 0; i < e->vec.count; i++) {
		const struct fuse_buf *buf = &e->vec.buf[i];

		if (fstat(buf->fd, &st) < 0 ||
		    (S_ISREG(st.st_mode) &&
		     st.st_size < buf->pos + (off_t)buf->size))
			return false;
	}
	return true;
}

/* A copy: the reader may have the reply, and another thread the release, while
 * this one still is on its way out of the reply. */
static void read_state(fuse_req_t req, const char *text, uint64_t from,
		       size_t size)
{
	size_t len = strlen(text);
	char *copy;

	from = MIN(from, len);
	copy = strndup(text + from, size);
	if (!copy) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	fuse_reply_buf(req, copy, MIN(size, len - from));
	free(copy);
}

void export_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 struct fuse_file_info *fi)
{
	struct export_disk *disk = export_disk_of(req, ino);
	uint64_t from = (uint64_t)off, end = image_size(disk->image);
	union extents extents;
	void *data;

	if (export_kind_of(ino) == EXPORT_STATE) {
		read_state(req, (const char *)(uintptr_t)fi->fh, from, size);
		return;
	}
	if (from >= end) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	size = MIN(size, end - from);
	if (find_extents(disk->image, from, size, false, &extents) &&
	    is_there(&extents)) {
		__atomic_add_fetch(&disk->bytes_read, size, __ATOMIC_RELAXED);
		fuse_reply_data(req, &extents.vec, FUSE_BUF_SPLICE_MOVE);
		return;
	}
	data = malloc(size);
	if (!data)
		fuse_reply_err(req, ENOMEM);
	else
		request(req, ino, IMAGE_READ, from, size, data);
}

static void write_request(fuse_req_t req, fuse_ino_t ino,
			  struct fuse_bufvec *in, uint64_t off, size_t size)
{
	struct fuse_bufvec copy = FUSE_BUFVEC_INIT(size);
	ssize_t n;

	copy.buf[0].mem = malloc(size);
	n = copy.buf[0].mem ? fuse_buf_copy(&copy, in, 0) : -ENOMEM;
	if (n > 0) {
		request(req, ino, IMAGE_WRITE, off, (uint64_t)n,
			copy.buf[0].mem);
		return;
	}
	fuse_reply_err(req, n ? (int)-n : EIO);
	free(copy.buf[0].mem);
}

void export_write(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in,
		  off_t off, struct fuse_file_info *fi)
{
	struct export_disk *disk = export_disk_of(req, ino);
	uint64_t from = (uint64_t)off, end = image_size(disk->image);
	size_t size = fuse_buf_size(in);
	union extents extents;
	ssize_t n;

	(void)fi;
	/* As a block device says it. */
	if (from >= end) {
		fuse_reply_err(req, ENOSPC);
		return;
	}
	size = MIN(size, end - from);
	if (!find_extents(disk->image, from, size, true, &extents)) {
		write_request(req, ino, in, from, size);
		return;
	}
	n = fuse_buf_copy(&extents.vec, in, FUSE_BUF_SPLICE_MOVE);
	if (n < 0) {
		fuse_reply_err(req, (int)-n);
		return;
	}
	__atomic_add_fetch(&disk->bytes_written, (uint64_t)n, __ATOMIC_RELAXED);
	fuse_reply_write(req, (size_t)n);
}

void export_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		  struct fuse_file_info *fi)
{
	(void)datasync;
	(void)fi;
	request(req, ino, IMAGE_FLUSH, 0, 0, NULL);
}

/* --- Holes --------------------------------------------------------------------------- */

void export_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		      off_t len, struct fuse_file_info *fi)
{
	struct image *image = export_disk_of(req, ino)->image;
	uint64_t from = (uint64_t)off, end = image_size(image);
	bool punch = mode == (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);

	(void)fi;
	if (!punch && mode != FALLOC_FL_ZERO_RANGE &&
	    mode != (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)) {
		fuse_reply_err(req, EOPNOTSUPP);
		return;
	}
	if (from >= end) {
		fuse_reply_err(req, punch ? 0 : ENOSPC);
		return;
	}
	/* A hole reads as zeros; not every image promises it of a discard. */
	request(req, ino,
		punch && image->discard_zeroes ? IMAGE_DISCARD : IMAGE_ZERO,
		from, MIN((uint64_t)len, end - from), NULL);
}

/* Images in many pieces: others have their turn after so many. */
#define SEEK_STEPS 64

static void seek_step(struct call *call);

static void seek_done(struct image_request *r, int res)
{
	struct call *call = container_of(r, struct call, request);

	if (res < 0) {
		fuse_reply_err(call->req, -res);
		call_end(call);
		return;
	}
	if (r->hole != (call->whence == SEEK_HOLE)) {
		r->off += r->len;
		if (++call->steps % SEEK_STEPS)
			seek_step(call);
		else
			mailbox_send(&call->export->mailbox, &call->mail);
		return;
	}
	fuse_reply_lseek(call->req, (off_t)r->off);
	call_end(call);
}

static void seek_step(struct call *call)
{
	struct image *image = call->disk->image;
	struct image_request *r = &call->request;

	if (r->off >= image->size) {
		/* Behind the last byte there is a hole (lseek(2)). */
		if (call->whence == SEEK_HOLE)
			fuse_reply_lseek(call->req, (off_t)image->size);
		else
			fuse_reply_err(call->req, ENXIO);
		call_end(call);
		return;
	}
	r->type = IMAGE_STATUS;
	r->len = image->size - r->off;
	r->done = seek_done;
	image_submit(image, r);
}

static void seek_run(struct mail *mail)
{
	seek_step(container_of(mail, struct call, mail));
}

void export_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		  struct fuse_file_info *fi)
{
	struct call *call;

	(void)fi;
	if (export_kind_of(ino) != EXPORT_IMAGE) {
		fuse_reply_err(req, EINVAL); /* it has no such thing */
		return;
	}
	if (off < 0 ||
	    (uint64_t)off >= image_size(export_disk_of(req, ino)->image)) {
		fuse_reply_err(req, ENXIO);
		return;
	}
	call = call_new(req, ino, seek_run);
	if (!call)
		return;
	call->whence = whence;
	call->request.off = (uint64_t)off;
	call_send(call);
}
