/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The file of an overlay: which units of the disk are in it, and how that
 * survives.
 *
 *   header      4096 bytes, see overlay_file.c
 *   stable map  a bit a unit: 1, it is in this file. Written by a flush only,
 *               between one fdatasync of the data and another: what it says is
 *               true after a power failure.
 *   recent map  the same, written before a write is reported as done. True as
 *               long as the machine has not gone down (boot_id in the header
 *               tells): the end of a process, by whatever signal, loses nothing.
 *   data        the units, each at its own place: a sparse copy of the disk
 *
 * Integers are little endian. Maps are whole pages.
 */
#ifndef IMAGE_OVERLAY_FILE_H
#define IMAGE_OVERLAY_FILE_H

#include "image/image.h"

#define OVERLAY_UNIT 4096u
#define OVERLAY_PAGE 4096u
/* Bytes of the disk for which one page of a map stands. */
#define OVERLAY_PAGE_SPAN ((uint64_t)OVERLAY_PAGE * 8 * OVERLAY_UNIT)

/* Pages of the map in memory that differ from those in the file. */
#define OVERLAY_RECENT 1u
#define OVERLAY_STABLE 2u

struct overlay_file {
	struct image *store; /* owned; the whole file, as a raw image */
	uint64_t size;	     /* of the disk */
	uint64_t data;	     /* offset of the data in the file */
	uint64_t n_pages;    /* of a map */
	/* The map; other threads read it: bits are set by overlay_mark(). */
	uint8_t *map;
	uint8_t *dirty;	 /* a page: OVERLAY_RECENT, OVERLAY_STABLE */
	char base[2048]; /* what it lies over, as image_open() wants it */
	bool committing; /* a commit has begun, and not ended */
	uint64_t fingerprint;
};

/*
 * Opens the overlay at path, or makes a new one if there is none, for a disk of
 * the size and fingerprint of base, which name names. path NULL: a nameless
 * one, gone at the end. On failure -errno, and *why for after the path.
 * The caller calls overlay_file_close().
 */
int must_check overlay_file_open(struct loop *loop, const char *path,
				 struct image *base, const char *name,
				 bool read_only, struct overlay_file *file,
				 const char **why);

/* One that is there, for a commit: no base is looked at. */
int must_check overlay_file_read(struct loop *loop, const char *path,
				 struct overlay_file *file, const char **why);

/* NULL-safe inside; nothing may be in flight. */
void overlay_file_close(struct overlay_file *file);

/*
 * Copies what is in the file to base, flushes it, and empties the file. Safe to
 * run again after it was stopped at any point; until it has ended the overlay
 * cannot be opened. On failure -errno, and *why for after the overlay's path.
 */
int must_check overlay_commit(struct overlay_file *file, struct image *base,
			      const char **why);

/* For a commit: the file, what base looks like, and the header as file says
 * now, for good. */
int overlay_fd(const struct overlay_file *file, bool write);
int must_check overlay_fingerprint(struct image *base, uint64_t *fingerprint);
int must_check overlay_write_header(const struct overlay_file *file, int fd);

static inline uint64_t overlay_stable_page(uint64_t page)
{
	return OVERLAY_PAGE * (1 + page);
}

static inline uint64_t overlay_recent_page(const struct overlay_file *file,
					   uint64_t page)
{
	return OVERLAY_PAGE * (1 + file->n_pages + page);
}

/*
 * How far from off, and not beyond off + len, the disk is in this file
 * (*in_file) or is not: 1 or more. Any thread.
 */
uint64_t overlay_run(const struct overlay_file *file, uint64_t off,
		     uint64_t len, bool *in_file);

/* The range, of whole units, is in the file now. */
void overlay_mark(struct overlay_file *file, uint64_t off, uint64_t len);

/* Does which map (OVERLAY_RECENT, ...) not yet say of all of the range what the
 * one in memory does? */
bool overlay_dirty(const struct overlay_file *file, uint64_t off, uint64_t len,
		   uint8_t which);

#endif
