/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images as files in a folder, by FUSE: NAME.img is the image, NAME.json says
 * how it is.
 *
 * Coherent by rule: what a completed request to the image changed, whoever
 * made it, the next read of the file returns, and the other way round.
 *
 * The FUSE session has threads of its own. Where an image's bytes are in a
 * file they read and write that file; everything else they send to the loop.
 */
#ifndef FUSE_EXPORT_H
#define FUSE_EXPORT_H

#include "image/image.h"

struct export;

struct export_options {
	const char *folder; /* borrows; to mount on: exists, is empty */
	bool writable;	    /* the files of writable images may be written */
	bool allow_other;   /* other users may look */
	/* Nobody else changes the images: the kernel may keep what it read. */
	bool exclusive;
	/* Runs once on the loop's thread, when it is over: export_destroy() is
	 * next, though not from within. */
	void (*stopped)(void *arg);
	void *arg;
};

/* What NAME.json says that the image does not know. */
struct export_state {
	const char *source; /* what the user named: a path, a URI */
	bool attached;	    /* a guest has it */
};

/*
 * Nothing is mounted yet. options is copied. The caller owns *export.
 * -ENOMEM, or -errno when there is no descriptor to be had.
 */
int must_check export_create(struct loop *loop,
			     const struct export_options *options,
			     struct export **export);

/*
 * Adds an image, before export_start(): it borrows the image until it has
 * stopped. name is copied; "-2" and so on is added to one that is there
 * already. state runs on the loop's thread and fills in what the reader of
 * NAME.json is told; may be NULL. 0 or -ENOMEM.
 */
int must_check export_add(struct export *export, const char *name,
			  struct image *image,
			  void (*state)(void *arg, struct export_state *state),
			  void *arg);

/*
 * Mounts. What a killed process left mounted there is unmounted first. On
 * failure -errno, and *why says what is wrong, to be shown after the folder.
 */
int must_check export_start(struct export *export, const char **why);

/*
 * Unmounts; who has files open there gets errors from now on, for all that the
 * kernel has not kept. options.stopped will run once, later. Calling it again
 * does nothing.
 */
void export_stop(struct export *export);

/*
 * NULL-safe. One that has not stopped is unmounted, and then left to the end of
 * the process: false, and it still borrows its images.
 */
bool export_destroy(struct export *export);

#endif
