/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of this folder share: export.c has the life of the mount,
 * ops.c the names, attributes and opening, data.c the bytes, state.c what
 * NAME.json says, call.c the way to the loop.
 */
#ifndef FUSE_SESSION_H
#define FUSE_SESSION_H

#define FUSE_USE_VERSION 312

#include <fuse3/fuse_lowlevel.h>
#include <time.h>

#include "core/mailbox.h"
#include "fuse/export.h"

/*
 * The most that one request of the kernel moves. The bytes are copied twice,
 * and the second time they should still be in a cache: for reads half as much
 * or twice as much is slower. Writes are bounded by the cost of a request.
 */
#define EXPORT_MAX_READ (128u << 10)
#define EXPORT_MAX_WRITE (512u << 10)

struct export_disk {
	struct export *export;
	char *name;	     /* owned; of the file, without ".img" */
	struct image *image; /* borrows */
	void (*state)(void *arg, struct export_state *state);
	void *arg;
	/* What did not pass the image as requests; atomic. */
	uint64_t bytes_read, bytes_written;
	struct image_request flush; /* the last one */
	int backing; /* of kernel passthrough; 0: not yet, -1: not to be had */
};

struct export
{
	struct loop *loop;
	struct export_options options;
	struct export_disk *disks; /* owned */
	unsigned int n_disks;
	struct timespec started;
	struct fuse_session *session;
	bool mounted, stopping;
	bool passthrough; /* the kernel and the library can */

	struct mailbox mailbox;
	unsigned int calls; /* on their way to the loop or there; atomic */

	pthread_t *threads; /* owned */
	unsigned int n_threads;
	unsigned int n_running; /* atomic */
	struct mail ended;	/* from the last thread that runs */
	struct timer stop_poll;
	unsigned int flushing;
};

extern const struct fuse_lowlevel_ops export_ops;

/* --- Numbers of files: the folder is 1, then two a disk ---------------------- */

enum export_kind { EXPORT_IMAGE, EXPORT_STATE };

static inline fuse_ino_t export_ino(unsigned int disk, enum export_kind kind)
{
	return FUSE_ROOT_ID + 1 + 2 * (fuse_ino_t)disk + (fuse_ino_t)kind;
}

static inline enum export_kind export_kind_of(fuse_ino_t ino)
{
	return (enum export_kind)((ino - FUSE_ROOT_ID - 1) % 2);
}

static inline struct export *export_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* Of a file. The kernel only knows the numbers that it was told. */
struct export_disk *export_disk_of(fuse_req_t req, fuse_ino_t ino);

/* May its file be written? */
bool export_writable(const struct export *export,
		     const struct export_disk *disk);

/* --- Calls: what the loop has to answer ---------------------------------------- */

struct call {
	struct mail mail;
	struct export *export;
	fuse_req_t req;
	fuse_ino_t ino;
	struct export_disk *disk; /* NULL: the folder */
	/* What a kind of call needs: */
	struct image_request request;
	struct iovec iov;
	void *data; /* owned */
	struct fuse_file_info fi;
	int whence;
	unsigned int steps; /* of a seek */
};

/*
 * run runs on the loop's thread after call_send(), sends a reply, then or
 * later, and then call_end(). NULL: no memory; that has been replied.
 */
struct call *call_new(fuse_req_t req, fuse_ino_t ino,
		      void (*run)(struct mail *mail));
void call_send(struct call *call);
void call_end(struct call *call);

/* call_new() and call_send() where nothing else needs to be said. */
void call_loop(fuse_req_t req, fuse_ino_t ino, void (*run)(struct mail *mail));

/* --- Requests (data.c, state.c) -------------------------------------------------- */

void export_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		 struct fuse_file_info *fi);
void export_write(fuse_req_t req, fuse_ino_t ino, struct fuse_bufvec *in,
		  off_t off, struct fuse_file_info *fi);
void export_fsync(fuse_req_t req, fuse_ino_t ino, int datasync,
		  struct fuse_file_info *fi);
void export_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off,
		      off_t len, struct fuse_file_info *fi);
void export_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		  struct fuse_file_info *fi);

/* The text of NAME.json; the caller owns it. NULL: no memory. Loop thread. */
char *export_state_text(const struct export *export,
			const struct export_disk *disk);

#endif
