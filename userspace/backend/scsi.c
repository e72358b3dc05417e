// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine: starts commands, moves their data between transport and image,
 * ends them. The commands themselves: scsi_block.c moves blocks, scsi_info.c
 * tells about the disk, scsi_mmc.c is for CD-ROMs only, scsi_table.c has the
 * rest and the table.
 */
#include "backend/scsi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/scsi_command.h"
#include "base/checked.h"
#include "base/log.h"

/* Reads of this size and more are sent from the page cache if they are there. */
#define MAP_MIN 32768u

void scsi_disk_init(struct scsi_disk *disk, const struct scsi_kind *kind,
		    struct loop *loop, struct bufpool *pool,
		    struct image *image, uint32_t block_size, const char *name,
		    const char *serial)
{
	*disk = (struct scsi_disk){
		.kind = kind,
		.loop = loop,
		.pool = pool,
		.image = image,
		.name = name,
		.block_size = block_size,
		.blocks = image->size / block_size,
		.n_luns = 1,
		.read_only = image->read_only,
		.removable = true,
		.write_cache = true,
	};
	snprintf(disk->serial, sizeof(disk->serial), "%s", serial);
	scsi_disk_reset(disk);
}

void scsi_disk_reset(struct scsi_disk *disk)
{
	disk->media_event = disk->ejected ? SCSI_MEDIA_NEW
					  : SCSI_MEDIA_NO_CHANGE;
	disk->ejected = false;
	disk->removal_prevented = false;
	disk->sense = SCSI_SENSE_NONE;
	disk->attention = SCSI_SENSE_POWER_ON;
}

void scsi_fail(struct scsi_cmd *cmd, scsi_sense sense)
{
	if (cmd->status != SCSI_GOOD)
		return;
	cmd->status = SCSI_CHECK_CONDITION;
	cmd->disk->sense = sense;
}

static scsi_sense sense_of(int error, bool writing)
{
	switch (error) {
	case -ENOSPC:
	case -EDQUOT:
	case -EFBIG:
		return SCSI_SENSE_NO_SPACE;
	case -EROFS:
		return SCSI_SENSE_WRITE_PROTECTED;
	default:
		return writing ? SCSI_SENSE_WRITE_ERROR : SCSI_SENSE_READ_ERROR;
	}
}

void scsi_image_failed(struct scsi_cmd *cmd, const char *what, int error,
		       bool writing)
{
	log_limited(&cmd->disk->complaints, LOG_LEVEL_ERR, "%s: %s failed: %s",
		    cmd->disk->name, what,
		    error == -ENODATA ? "the image has become shorter"
				      : strerror(-error));
	scsi_fail(cmd, sense_of(error, writing));
}

void scsi_respond(struct scsi_cmd *cmd, const void *data, size_t len,
		  size_t alloc)
{
	len = MIN(len, alloc);
	if (!len)
		return;
	cmd->window = bufpool_get(cmd->disk->pool, len);
	if (!cmd->window) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return;
	}
	memcpy(cmd->window->data, data, len);
	cmd->dir = SCSI_DIR_IN;
	cmd->len = len;
	cmd->window_len = (uint32_t)len;
	cmd->window_next = len;
}

bool scsi_range_fits(const struct scsi_disk *disk, struct scsi_range r)
{
	return range_within(r.lba, r.blocks, disk->blocks);
}

/* --- IN: windows read ahead ------------------------------------------------- */

static void window_read(struct scsi_cmd *cmd, struct buf *into, uint32_t at,
			uint32_t len)
{
	cmd->read_iov.iov_base = into->data + at;
	cmd->read_iov.iov_len = len;
	cmd->read.type = IMAGE_READ;
	/* Nobody waits for it yet: no need to wake up for the outcome. */
	cmd->read.flags = cmd->wanted ? 0 : IMAGE_LAZY;
	cmd->read.off = cmd->off + cmd->window_next;
	cmd->read.len = len;
	cmd->read.iov = &cmd->read_iov;
	cmd->read.n_iov = 1;
	cmd->window_next += len;
	cmd->window_reading = true;
	cmd->busy++;
	image_submit(cmd->disk->image, &cmd->read);
}

/*
 * What is in memory already is sent from there. The look costs a system call,
 * so a small read is quicker by copying.
 */
static bool window_map(struct scsi_cmd *cmd, uint32_t len)
{
	const void *data;

	if (len < MAP_MIN)
		return false;
	data = image_map(cmd->disk->image, cmd->off + cmd->window_next, len);
	if (!data)
		return false;
	cmd->window = bufpool_wrap(cmd->disk->pool, data, len);
	if (!cmd->window)
		return false;
	cmd->window_len = len;
	cmd->window_next += len;
	return true;
}

void scsi_read_ahead(struct scsi_cmd *cmd)
{
	uint64_t left = cmd->len - cmd->window_next;
	uint32_t len = (uint32_t)MIN(left, SCSI_WINDOW);

	if (!len || cmd->window_len || cmd->window_reading || cmd->aborted)
		return;
	buf_put(cmd->window);
	cmd->window = NULL;
	cmd->window_off = 0;
	if (window_map(cmd, len))
		return;
	cmd->window = bufpool_get(cmd->disk->pool, len);
	if (!cmd->window) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return;
	}
	cmd->window_len = len;
	window_read(cmd, cmd->window, 0, len);
}

static void pull_answer(struct scsi_cmd *cmd, struct buf *buf, uint32_t off)
{
	uint32_t len = cmd->wanted;

	cmd->wanted = 0;
	cmd->moved += len;
	/* The next window is on its way while this one is being sent. */
	scsi_read_ahead(cmd);
	cmd->ops->pulled(cmd, 0, buf, off, len);
}

static void pull_failed(struct scsi_cmd *cmd)
{
	cmd->wanted = 0;
	buf_put(cmd->gather);
	cmd->gather = NULL;
	cmd->ops->pulled(cmd, -EIO, NULL, 0, 0);
}

/* A pull longer than the window: its rest is read behind what is there. */
static void pull_gather(struct scsi_cmd *cmd)
{
	uint32_t have = cmd->window_len;

	cmd->gather = bufpool_get(cmd->disk->pool, cmd->wanted);
	if (!cmd->gather) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		pull_failed(cmd);
		return;
	}
	/* Copied unless it is the image's own memory: that is read anew. */
	if (have && cmd->window->foreign) {
		cmd->window_next -= have;
		have = 0;
	}
	if (have)
		memcpy(cmd->gather->data, cmd->window->data + cmd->window_off,
		       have);
	cmd->window_len = 0;
	window_read(cmd, cmd->gather, have, cmd->wanted - have);
}

static void pull_serve(struct scsi_cmd *cmd)
{
	uint32_t off = cmd->window_off;

	if (!cmd->wanted)
		return;
	if (cmd->window_reading) {
		/* It was started lazily, and now somebody waits. */
		loop_hurry(cmd->disk->loop);
		return;
	}
	if (cmd->status != SCSI_GOOD) {
		pull_failed(cmd);
		return;
	}
	if (cmd->wanted > cmd->window_len) {
		pull_gather(cmd);
		return;
	}
	cmd->window_off += cmd->wanted;
	cmd->window_len -= cmd->wanted;
	pull_answer(cmd, buf_ref(cmd->window), off);
}

static void window_done(struct image_request *request, int res)
{
	struct scsi_cmd *cmd = container_of(request, struct scsi_cmd, read);

	cmd->busy--;
	cmd->window_reading = false;
	if (res < 0 && !cmd->aborted)
		scsi_image_failed(cmd, "reading the image", res, false);
	if (cmd->aborted || cmd->finished) {
		scsi_settle(cmd);
	} else if (cmd->gather && cmd->status == SCSI_GOOD) {
		struct buf *buf = cmd->gather;

		cmd->gather = NULL;
		pull_answer(cmd, buf, 0);
	} else {
		pull_serve(cmd);
	}
}

void scsi_pull(struct scsi_cmd *cmd, uint32_t len)
{
	assert(cmd->dir == SCSI_DIR_IN && !cmd->wanted && !cmd->finished);
	assert(len && len <= cmd->len - cmd->moved);
	cmd->wanted = len;
	pull_serve(cmd);
}

/* --- OUT: pieces written as they come -------------------------------------- */

struct piece {
	struct image_request request;
	struct iovec iov;
	struct scsi_cmd *cmd;
	struct buf *buf; /* a reference */
};

static void piece_done(struct image_request *request, int res)
{
	struct piece *piece = container_of(request, struct piece, request);
	struct scsi_cmd *cmd = piece->cmd;

	cmd->busy--;
	cmd->pending -= request->len;
	if (res < 0)
		scsi_image_failed(cmd, "writing the image", res, true);
	buf_put(piece->buf);
	free(piece);
	if (cmd->throttled && cmd->pending < SCSI_MAX_PENDING &&
	    !cmd->aborted) {
		cmd->throttled = false;
		cmd->ops->drained(cmd);
	}
	scsi_settle(cmd);
}

static void piece_write(struct scsi_cmd *cmd, struct buf *buf, uint32_t off,
			uint32_t len)
{
	struct piece *piece = calloc(1, sizeof(*piece));
	bool fua = (cmd->cdb[1] & 0x08) && scsi_cdb_size(cmd->cdb[0]) != 6;

	if (!piece) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return;
	}
	piece->cmd = cmd;
	piece->buf = buf_ref(buf);
	piece->iov.iov_base = buf->data + off;
	piece->iov.iov_len = len;
	piece->request.type = IMAGE_WRITE;
	piece->request.flags = fua || !cmd->disk->write_cache ? IMAGE_FUA : 0;
	piece->request.off = cmd->off + cmd->moved;
	piece->request.len = len;
	piece->request.iov = &piece->iov;
	piece->request.n_iov = 1;
	piece->request.done = piece_done;
	cmd->pending += len;
	cmd->busy++;
	image_submit(cmd->disk->image, &piece->request);
}

bool scsi_push(struct scsi_cmd *cmd, struct buf *buf, uint32_t off,
	       uint32_t len)
{
	assert(cmd->dir == SCSI_DIR_OUT && !cmd->finished && !cmd->throttled);
	assert(len && len <= cmd->len - cmd->moved);
	if (cmd->status == SCSI_GOOD && cmd->command->execute)
		memcpy(cmd->param->data + cmd->moved, buf->data + off, len);
	else if (cmd->status == SCSI_GOOD)
		piece_write(cmd, buf, off, len);
	cmd->moved += len;
	cmd->throttled = cmd->pending >= SCSI_MAX_PENDING;
	return !cmd->throttled;
}

/* --- The end of a command --------------------------------------------------- */

static void release(struct scsi_cmd *cmd)
{
	buf_put(cmd->window);
	buf_put(cmd->gather);
	buf_put(cmd->param);
	buf_put(cmd->step_buf);
	free(cmd->todo);
	cmd->window = cmd->gather = cmd->param = cmd->step_buf = NULL;
	cmd->todo = NULL;
	cmd->command = NULL;
}

/* Ends a command that nobody moves data for and that has nothing in flight. */
void scsi_settle(struct scsi_cmd *cmd)
{
	if (!(cmd->finished || cmd->aborted) || !cmd->command)
		return;
	if (cmd->busy) {
		/* Read ahead lazily, and nobody is going to pull it. */
		if (cmd->window_reading)
			loop_hurry(cmd->disk->loop);
		return;
	}
	if (!cmd->aborted && cmd->command->execute && !cmd->executing &&
	    cmd->status == SCSI_GOOD && cmd->dir == SCSI_DIR_OUT) {
		cmd->executing = true;
		if (cmd->moved < cmd->len)
			scsi_fail(cmd, SCSI_SENSE_PARAMETER_LENGTH);
		else
			cmd->command->execute(cmd);
		if (cmd->busy)
			return;
	}
	release(cmd);
	cmd->ops->done(cmd);
}

void scsi_finish(struct scsi_cmd *cmd)
{
	assert(!cmd->finished && !cmd->wanted);
	cmd->finished = true;
	scsi_settle(cmd);
}

void scsi_data_lost(struct scsi_cmd *cmd)
{
	scsi_fail(cmd, SCSI_SENSE_DATA_PHASE);
}

void scsi_abort(struct scsi_cmd *cmd)
{
	if (!cmd->command || cmd->aborted)
		return;
	cmd->aborted = true;
	cmd->wanted = 0;
	scsi_settle(cmd);
}

static const struct scsi_command *find(const struct scsi_disk *disk,
				       const uint8_t *cdb)
{
	for (unsigned int i = 0; i < scsi_n_commands; i++) {
		const struct scsi_command *c = &scsi_commands[i];

		if (c->opcode == cdb[0] && scsi_has(disk, c) &&
		    (c->service_action < 0 ||
		     c->service_action == (cdb[1] & 0x1f)))
			return c;
	}
	return NULL;
}

/* What can be wrong before a command is looked at in detail, in the order of
 * precedence that SPC-4 gives. 0: nothing. */
static scsi_sense refusal(struct scsi_cmd *cmd)
{
	struct scsi_disk *disk = cmd->disk;
	const struct scsi_command *c = cmd->command;
	scsi_sense attention = disk->attention;

	if (!c->start)
		return disk->kind->unknown;
	if (attention && !(c->class & SCSI_IGNORES_ATTENTION)) {
		disk->attention = SCSI_SENSE_NONE;
		return attention;
	}
	if (disk->ejected && (c->class & SCSI_NEEDS_MEDIUM))
		return disk->kind->no_medium;
	if (disk->read_only && (c->class & SCSI_WRITES))
		return SCSI_SENSE_WRITE_PROTECTED;
	if ((c->class & SCSI_HAS_RANGE) &&
	    !scsi_range_fits(disk, scsi_decode_range(cmd->cdb)))
		return SCSI_SENSE_LBA_RANGE;
	return SCSI_SENSE_NONE;
}

/* Stands for every opcode that the table does not have. */
static const struct scsi_command unknown = { .service_action = -1 };

static void begin(struct scsi_cmd *cmd)
{
	struct scsi_cmd fresh = { .disk = cmd->disk, .ops = cmd->ops };

	memcpy(fresh.cdb, cmd->cdb, sizeof(fresh.cdb));
	fresh.read.done = window_done;
	fresh.step.done = scsi_step_done;
	fresh.command = &unknown;
	*cmd = fresh;
	/* Sense is kept for the very next command (SAM-5). */
	if (cmd->cdb[0] != SCSI_REQUEST_SENSE)
		cmd->disk->sense = SCSI_SENSE_NONE;
}

/*
 * The image may have grown: told as an attention, and at once, for Linux fails
 * a read or write that an attention of a removable disk meets.
 *
 * Met by TEST UNIT READY it makes Linux believe in a new medium, and forget what
 * it has not written to the old one yet, even if that is mounted. A disk in use
 * is locked: then only READ CAPACITY looks, which is what a rescan sends.
 */
static void look_for_growth(struct scsi_cmd *cmd)
{
	struct scsi_disk *disk = cmd->disk;
	unsigned int class = cmd->command->class;
	uint64_t blocks;

	if (!(class & SCSI_SEES_GROWTH) || disk->ejected ||
	    (disk->removal_prevented && !(class & SCSI_SEES_GROWTH_LOCKED)))
		return;
	/* Others may have refreshed it. */
	image_refresh(disk->image);
	blocks = disk->image->size / disk->block_size;
	if (blocks == disk->blocks)
		return;
	disk->blocks = blocks;
	if (!disk->attention)
		disk->attention = SCSI_SENSE_CAPACITY_CHANGED;
	log_info("%s: has grown to %llu bytes", disk->name,
		 (unsigned long long)disk->image->size);
}

void scsi_start(struct scsi_cmd *cmd)
{
	const struct scsi_command *command = find(cmd->disk, cmd->cdb);
	scsi_sense sense;

	begin(cmd);
	if (command)
		cmd->command = command;
	look_for_growth(cmd);
	sense = refusal(cmd);
	if (sense)
		scsi_fail(cmd, sense);
	else
		cmd->command->start(cmd);
}
