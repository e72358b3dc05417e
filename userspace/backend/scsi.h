/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A SCSI disk or CD-ROM over an image: commands in, data and status out. Knows
 * nothing of USB; a transport (BOT) moves the data.
 *
 * The life of a command, as its transport sees it:
 *
 *   scsi_start()   decodes it: cmd->dir and cmd->len say what the device is
 *                  going to move. An image read starts at once.
 *   IN:  scsi_pull() until cmd->len bytes have been taken, or fewer
 *   OUT: scsi_push() until cmd->len bytes have been given, or fewer
 *   scsi_finish()  no more data will move; when everything has been done,
 *                  cmd->ops->done runs with cmd->status
 *   scsi_abort()   at any time instead: forget it, then done
 */
#ifndef BACKEND_SCSI_H
#define BACKEND_SCSI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "core/bufpool.h"
#include "core/loop.h"
#include "image/image.h"
#include "wire/scsi.h"

/* Logical units of one device: what a CBW can tell apart (BOT, 5.1). */
#define SCSI_MAX_LUNS 16u
/* An image read is this far ahead of the data phase. */
#define SCSI_WINDOW (1u << 20)
/* Written data that the image has not taken yet, above which push says so. */
#define SCSI_MAX_PENDING (4u << 20)

/* What a logical unit is; which commands and pages it has: SCSI_ON_*. */
struct scsi_kind {
	const char *product; /* at most 16 characters */
	unsigned int on;     /* its bit of SCSI_ON_* (scsi_command.h) */
	uint8_t peripheral;
	scsi_sense unknown;   /* what commands get that it does not have */
	scsi_sense no_medium; /* when it is ejected */
};

extern const struct scsi_kind scsi_kind_disk, scsi_kind_cdrom;
/* In the place of a logical unit that there is not: struct bot has one. */
extern const struct scsi_kind scsi_kind_absent;

struct scsi_disk {
	const struct scsi_kind *kind;
	const char *name;     /* borrows; for log lines */
	struct loop *loop;    /* borrows */
	struct bufpool *pool; /* borrows */
	struct image *image;  /* borrows */
	uint32_t block_size;  /* 512 or 4096; CD-ROM: 2048 */
	uint64_t blocks;
	unsigned int n_luns; /* of the device that it belongs to */
	bool read_only;
	bool removable;
	bool write_cache; /* false: every write is on stable storage when done */
	char serial[21];
	bool ejected;
	bool removal_prevented;
	enum scsi_media_event media_event; /* not yet told: CD-ROM */
	struct log_limit complaints;	   /* what the image could not do */
	scsi_sense attention; /* to be reported to the next command */
	scsi_sense sense;     /* of the last failed command: REQUEST SENSE */
};

/* The image decides about blocks, read_only. name is borrowed,
 * serial is copied. */
void scsi_disk_init(struct scsi_disk *disk, const struct scsi_kind *kind,
		    struct loop *loop, struct bufpool *pool,
		    struct image *image, uint32_t block_size, const char *name,
		    const char *serial);

/* Power on or a USB reset: forgets sense and locks, medium is back. */
void scsi_disk_reset(struct scsi_disk *disk);

enum scsi_dir { SCSI_DIR_NONE, SCSI_DIR_IN, SCSI_DIR_OUT };

struct scsi_cmd;

struct scsi_cmd_ops {
	/*
	 * The answer to scsi_pull(), possibly from within it. 0: len bytes at
	 * off of buf, whose reference goes to the transport. -errno: the data
	 * cannot be had; go on to scsi_finish().
	 */
	void (*pulled)(struct scsi_cmd *cmd, int status, struct buf *buf,
		       uint32_t off, uint32_t len);
	/* After scsi_push() returned false: push again. */
	void (*drained)(struct scsi_cmd *cmd);
	/* After scsi_finish() or scsi_abort(), possibly from within. The
	 * struct may be used anew. */
	void (*done)(struct scsi_cmd *cmd);
};

struct scsi_cmd {
	struct scsi_disk *disk; /* borrows */
	const struct scsi_cmd_ops *ops;
	uint8_t cdb[SCSI_CDB_SIZE];

	/* What the device is going to move; valid after scsi_start(). */
	enum scsi_dir dir;
	uint64_t len;
	/* The outcome; valid in done. */
	uint8_t status; /* enum scsi_status */

	/* Private to the scsi*.c: */
	const struct scsi_command *command;
	uint64_t off;	   /* in the image, of the first byte */
	uint64_t moved;	   /* bytes pulled or pushed */
	unsigned int busy; /* image requests in flight */
	bool finished, aborted, executing;

	/* IN: the bytes that are, or are being, read ahead */
	struct buf *window;
	uint32_t window_off, window_len;
	uint64_t window_next; /* offset in the data of the next window */
	bool window_reading;
	uint32_t wanted;    /* the pull that waits; 0: none */
	struct buf *gather; /* a pull that no window holds */
	struct image_request read;
	struct iovec read_iov;

	/* OUT: */
	uint64_t pending;  /* bytes given to the image, not yet written */
	bool throttled;	   /* push returned false */
	struct buf *param; /* a parameter list, or a block to repeat */

	/* Commands of several steps (UNMAP, WRITE SAME, VERIFY): */
	struct scsi_range *todo; /* what is to do still */
	unsigned int todo_next, todo_n;
	uint64_t step_off, step_left;
	struct image_request step;
	struct iovec step_iov;
	struct buf *step_buf;
	enum image_request_type step_type; /* of UNMAP, WRITE SAME */
};

/*
 * cmd->disk, ops and cdb are set. The previous use of cmd has ended. Data of
 * another direction or length than cmd->dir and cmd->len is the transport's
 * to sort out.
 */
void scsi_start(struct scsi_cmd *cmd);

/*
 * Wants the next len > 0 bytes; not beyond cmd->len, one call at a time.
 */
void scsi_pull(struct scsi_cmd *cmd, uint32_t len);

/*
 * Gives the next len > 0 bytes, not beyond cmd->len; takes its own reference
 * to buf. False: enough for now, wait for drained before the next one.
 */
bool scsi_push(struct scsi_cmd *cmd, struct buf *buf, uint32_t off,
	       uint32_t len);

void scsi_finish(struct scsi_cmd *cmd);

/*
 * After done and before the next start: the data that was pulled has not
 * arrived as it was. Makes a good command fail, so that it is tried again.
 */
void scsi_data_lost(struct scsi_cmd *cmd);
void scsi_abort(struct scsi_cmd *cmd);

#endif
