// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The engine: starts commands, moves their data between transport and image,
 * ends them. What a disk tells about itself is in scsi_info.c.
 */
#include "backend/scsi.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "base/log.h"

/* Bytes that VERIFY reads, and WRITE SAME writes, at a time. */
#define STEP_SIZE (1u << 20)

/* Reads of this size and more are sent from the page cache if they are there. */
#define MAP_MIN 32768u

/* A bound on parameter lists: an UNMAP list has a 16-bit length. */
#define MAX_PARAM 65536

/* scsi_cmd->zero_method: what to try next to clear a range. */
enum zero_method { ZERO_BY_DISCARD, ZERO_BY_ZERO, ZERO_BY_WRITE };

static void settle(struct scsi_cmd *cmd);
static void step_next(struct scsi_cmd *cmd);

void scsi_disk_init(struct scsi_disk *disk, struct loop *loop,
		    struct bufpool *pool, struct image *image,
		    uint32_t block_size, const char *serial)
{
	*disk = (struct scsi_disk){
		.loop = loop,
		.pool = pool,
		.image = image,
		.block_size = block_size,
		.blocks = image->size / block_size,
		.read_only = image->read_only,
		.removable = true,
		.write_cache = true,
	};
	snprintf(disk->serial, sizeof(disk->serial), "%s", serial);
	scsi_disk_reset(disk);
}

void scsi_disk_reset(struct scsi_disk *disk)
{
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
	case -EBADF:
		return SCSI_SENSE_WRITE_PROTECTED;
	default:
		return writing ? SCSI_SENSE_WRITE_ERROR : SCSI_SENSE_READ_ERROR;
	}
}

static void image_failed(struct scsi_cmd *cmd, const char *what, int error,
			 bool writing)
{
	static struct log_limit limit;

	log_limited(&limit, LOG_LEVEL_ERR, "disk %s: %s failed: %s",
		    cmd->disk->serial, what,
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

static void window_advance(struct scsi_cmd *cmd)
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
	window_advance(cmd);
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
		image_failed(cmd, "reading the image", res, false);
	if (cmd->aborted || cmd->finished) {
		settle(cmd);
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
		image_failed(cmd, "writing the image", res, true);
	buf_put(piece->buf);
	free(piece);
	if (cmd->throttled && cmd->pending < SCSI_MAX_PENDING &&
	    !cmd->aborted) {
		cmd->throttled = false;
		cmd->ops->drained(cmd);
	}
	settle(cmd);
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

/* --- Commands of several steps ---------------------------------------------- */

static void step_submit(struct scsi_cmd *cmd, enum image_request_type type,
			uint64_t len)
{
	cmd->step.type = type;
	cmd->step.flags = 0;
	cmd->step.off = cmd->step_off;
	cmd->step.len = len;
	if (cmd->step_buf) {
		cmd->step_iov.iov_base = cmd->step_buf->data;
		cmd->step_iov.iov_len = len;
	}
	cmd->step.iov = &cmd->step_iov;
	cmd->step.n_iov = 1;
	cmd->busy++;
	image_submit(cmd->disk->image, &cmd->step);
}

/* A buffer of repeated blocks, or of zeros when there is no block. */
static bool step_make_buf(struct scsi_cmd *cmd)
{
	uint32_t block = cmd->disk->block_size;

	if (cmd->step_buf)
		return true;
	cmd->step_buf = bufpool_get(cmd->disk->pool, STEP_SIZE);
	if (!cmd->step_buf) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return false;
	}
	if (!cmd->param || cmd->cdb[0] == SCSI_UNMAP)
		memset(cmd->step_buf->data, 0, STEP_SIZE);
	else
		for (uint32_t at = 0; at < STEP_SIZE; at += block)
			memcpy(cmd->step_buf->data + at, cmd->param->data,
			       block);
	return true;
}

static void step_run(struct scsi_cmd *cmd)
{
	if (cmd->command->opcode == SCSI_VERIFY_10 ||
	    cmd->command->opcode == SCSI_VERIFY_16) {
		if (step_make_buf(cmd))
			step_submit(cmd, IMAGE_READ,
				    MIN(cmd->step_left, STEP_SIZE));
		return;
	}
	switch (cmd->zero_method) {
	case ZERO_BY_DISCARD:
		step_submit(cmd, IMAGE_DISCARD, cmd->step_left);
		return;
	case ZERO_BY_ZERO:
		step_submit(cmd, IMAGE_ZERO, cmd->step_left);
		return;
	default:
		if (step_make_buf(cmd))
			step_submit(cmd, IMAGE_WRITE,
				    MIN(cmd->step_left, STEP_SIZE));
	}
}

static void step_done(struct image_request *request, int res)
{
	struct scsi_cmd *cmd = container_of(request, struct scsi_cmd, step);

	cmd->busy--;
	if (res == -EOPNOTSUPP && cmd->zero_method < ZERO_BY_WRITE &&
	    (request->type == IMAGE_DISCARD || request->type == IMAGE_ZERO)) {
		/* This file system cannot; the bytes must be zeros all the
		 * same, since we promise it (LBPRZ). */
		cmd->zero_method++;
		if (!cmd->aborted)
			step_run(cmd);
	} else if (request->type == IMAGE_FLUSH) {
		if (res < 0)
			image_failed(cmd, "flushing the image", res, true);
	} else if (res < 0) {
		image_failed(cmd,
			     request->type == IMAGE_READ ? "reading the image"
							 : "writing the image",
			     res, request->type != IMAGE_READ);
	} else {
		cmd->step_off += request->len;
		cmd->step_left -= request->len;
		step_next(cmd);
	}
	settle(cmd);
}

static void step_next(struct scsi_cmd *cmd)
{
	while (!cmd->step_left && cmd->todo_next < cmd->todo_n) {
		const struct scsi_range *r = &cmd->todo[cmd->todo_next++];

		cmd->step_off = r->lba * cmd->disk->block_size;
		cmd->step_left = r->blocks * cmd->disk->block_size;
	}
	if (cmd->step_left && !cmd->aborted && cmd->status == SCSI_GOOD)
		step_run(cmd);
}

/* Room for n ranges in cmd->todo; step_next() starts on them. */
static bool steps_alloc(struct scsi_cmd *cmd, unsigned int n)
{
	cmd->todo = calloc(n, sizeof(*cmd->todo));
	if (!cmd->todo) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return false;
	}
	cmd->todo_n = n;
	return true;
}

static void steps_over(struct scsi_cmd *cmd, struct scsi_range range)
{
	if (!steps_alloc(cmd, 1))
		return;
	cmd->todo[0] = range;
	step_next(cmd);
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
static void settle(struct scsi_cmd *cmd)
{
	if (!(cmd->finished || cmd->aborted) || cmd->busy || !cmd->command)
		return;
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
	settle(cmd);
}

void scsi_abort(struct scsi_cmd *cmd)
{
	if (!cmd->command || cmd->aborted)
		return;
	cmd->aborted = true;
	cmd->wanted = 0;
	settle(cmd);
}

/* --- Commands that move blocks ----------------------------------------------- */

static struct scsi_range range_of(const struct scsi_cmd *cmd)
{
	return scsi_decode_range(cmd->cdb);
}

static void set_range(struct scsi_cmd *cmd, enum scsi_dir dir)
{
	struct scsi_range r = range_of(cmd);

	cmd->off = r.lba * cmd->disk->block_size;
	cmd->len = r.blocks * cmd->disk->block_size;
	cmd->dir = cmd->len ? dir : SCSI_DIR_NONE;
}

/* RDPROTECT, WRPROTECT, VRPROTECT: the disk has no protection information. */
static bool wants_protection(struct scsi_cmd *cmd)
{
	if (scsi_cdb_size(cmd->cdb[0]) == 6 || !(cmd->cdb[1] & 0xe0))
		return false;
	scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
	return true;
}

static void start_read(struct scsi_cmd *cmd)
{
	if (wants_protection(cmd))
		return;
	set_range(cmd, SCSI_DIR_IN);
	window_advance(cmd);
}

static void start_write(struct scsi_cmd *cmd)
{
	if (!wants_protection(cmd))
		set_range(cmd, SCSI_DIR_OUT);
}

static void take_param(struct scsi_cmd *cmd, uint64_t len)
{
	if (len > MAX_PARAM) {
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		return;
	}
	if (!len)
		return;
	cmd->param = bufpool_get(cmd->disk->pool, len);
	if (!cmd->param) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return;
	}
	cmd->len = len;
	cmd->dir = SCSI_DIR_OUT;
}

static void start_unmap(struct scsi_cmd *cmd)
{
	if (cmd->cdb[1] & 0x01) { /* ANCHOR */
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		return;
	}
	take_param(cmd, scsi_decode_alloc(cmd->cdb));
}

static bool range_fits(const struct scsi_disk *disk, struct scsi_range r)
{
	return range_within(r.lba, r.blocks, disk->blocks);
}

static void execute_unmap(struct scsi_cmd *cmd)
{
	struct span list = span_of(cmd->param->data, cmd->len);
	unsigned int n;

	if (scsi_decode_unmap(list, &n) < 0) {
		scsi_fail(cmd, SCSI_SENSE_INVALID_PARAMETER);
		return;
	}
	if (!n || !steps_alloc(cmd, n))
		return;
	/* All or nothing: check every one before the first is done. */
	for (unsigned int i = 0; i < n; i++) {
		cmd->todo[i] = scsi_decode_unmap_range(list, i);
		if (!range_fits(cmd->disk, cmd->todo[i])) {
			scsi_fail(cmd, SCSI_SENSE_LBA_RANGE);
			return;
		}
	}
	step_next(cmd);
}

#define WRITE_SAME_NDOB 0x01
#define WRITE_SAME_UNMAP 0x08
#define WRITE_SAME_ANCHOR 0x10

static void execute_write_same(struct scsi_cmd *cmd)
{
	const uint8_t *block = cmd->param ? cmd->param->data : NULL;
	struct scsi_range r = range_of(cmd);
	bool zero = true;

	for (uint32_t i = 0; block && zero && i < cmd->disk->block_size; i++)
		zero = !block[i];
	if (!r.blocks) /* zero means: to the end (SBC-3, WSNZ = 0) */
		r.blocks = cmd->disk->blocks - r.lba;
	/* Only zeros may be unmapped: that is what they read as. */
	if (!zero)
		cmd->zero_method = ZERO_BY_WRITE;
	else if (!(cmd->cdb[1] & WRITE_SAME_UNMAP))
		cmd->zero_method = ZERO_BY_ZERO;
	steps_over(cmd, r);
}

static void start_write_same(struct scsi_cmd *cmd)
{
	bool ndob = cmd->cdb[0] == SCSI_WRITE_SAME_16 &&
		    (cmd->cdb[1] & WRITE_SAME_NDOB);

	if (wants_protection(cmd))
		return;
	if (cmd->cdb[1] & WRITE_SAME_ANCHOR)
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
	else if (ndob)
		execute_write_same(cmd);
	else
		take_param(cmd, cmd->disk->block_size);
}

/* BYTCHK (SBC-3, 5.31): 0 reads only, 1 compares with the data sent. */
static void start_verify(struct scsi_cmd *cmd)
{
	struct scsi_range r = range_of(cmd);

	if (wants_protection(cmd))
		return;
	switch (cmd->cdb[1] >> 1 & 3) {
	case 0:
		steps_over(cmd, r);
		break;
	case 1:
		set_range(cmd, SCSI_DIR_OUT);
		/* Compared as a whole; nobody sends more than this. */
		if (cmd->len > SCSI_WINDOW) {
			cmd->dir = SCSI_DIR_NONE;
			cmd->len = 0;
			scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		} else if (cmd->len) {
			cmd->param = bufpool_get(cmd->disk->pool, cmd->len);
			if (!cmd->param)
				scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		}
		break;
	default:
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
	}
}

static void compare_done(struct image_request *request, int res)
{
	struct scsi_cmd *cmd = container_of(request, struct scsi_cmd, step);

	cmd->busy--;
	cmd->step.done = step_done;
	if (res < 0)
		image_failed(cmd, "reading the image", res, false);
	else if (memcmp(cmd->step_buf->data, cmd->param->data, cmd->len))
		scsi_fail(cmd, SCSI_SENSE_MISCOMPARE);
	settle(cmd);
}

static void execute_verify(struct scsi_cmd *cmd)
{
	cmd->step_buf = bufpool_get(cmd->disk->pool, cmd->len);
	if (!cmd->step_buf) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return;
	}
	cmd->step_off = cmd->off;
	cmd->step.done = compare_done;
	step_submit(cmd, IMAGE_READ, cmd->len);
}

/* --- Commands without data --------------------------------------------------- */

static void flush(struct scsi_cmd *cmd)
{
	if (cmd->disk->read_only)
		return; /* nothing can be dirty */
	cmd->step_off = 0;
	step_submit(cmd, IMAGE_FLUSH, 0);
}

static void start_nothing(struct scsi_cmd *cmd)
{
	(void)cmd;
}

static void start_start_stop(struct scsi_cmd *cmd)
{
	struct scsi_disk *disk = cmd->disk;
	bool start = cmd->cdb[4] & 0x01, load_eject = cmd->cdb[4] & 0x02;

	if (cmd->cdb[4] & 0xf0) /* power conditions: nothing to do */
		return;
	if (!start)
		flush(cmd);
	if (!load_eject)
		return;
	if (!disk->removable) {
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
	} else if (start) {
		if (disk->ejected)
			disk->attention = SCSI_SENSE_MEDIUM_CHANGED;
		disk->ejected = false;
	} else if (disk->removal_prevented) {
		scsi_fail(cmd, SCSI_SENSE_REMOVAL_PREVENTED);
	} else {
		disk->ejected = true;
	}
}

static void start_prevent_allow(struct scsi_cmd *cmd)
{
	cmd->disk->removal_prevented = cmd->cdb[4] & 0x01;
}

static void start_request_sense(struct scsi_cmd *cmd)
{
	struct scsi_disk *disk = cmd->disk;
	uint8_t data[SCSI_FIXED_SENSE_SIZE];
	scsi_sense sense = disk->sense;

	if (cmd->cdb[1] & 0x01) { /* DESC */
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		return;
	}
	if (!sense && disk->attention) {
		sense = disk->attention;
		disk->attention = SCSI_SENSE_NONE;
	}
	disk->sense = SCSI_SENSE_NONE;
	scsi_encode_sense(data, sense);
	scsi_respond(cmd, data, sizeof(data), scsi_decode_alloc(cmd->cdb));
}

/* --- The table ----------------------------------------------------------------- */

#define IA SCSI_IGNORES_ATTENTION
#define M SCSI_NEEDS_MEDIUM
#define RANGE (SCSI_NEEDS_MEDIUM | SCSI_HAS_RANGE)
#define W (SCSI_NEEDS_MEDIUM | SCSI_WRITES)
#define W_RANGE (W | SCSI_HAS_RANGE)

#define LBA4 0xff, 0xff, 0xff, 0xff
#define LBA8 LBA4, LBA4

const struct scsi_command scsi_commands[] = {
	{ SCSI_TEST_UNIT_READY, -1, M, start_nothing, NULL, { 0 } },
	{ SCSI_REQUEST_SENSE,
	  -1,
	  IA,
	  start_request_sense,
	  NULL,
	  { 0x01, 0, 0, 0xff } },
	{ SCSI_READ_6,
	  -1,
	  RANGE,
	  start_read,
	  NULL,
	  { 0x1f, 0xff, 0xff, 0xff } },
	{ SCSI_WRITE_6,
	  -1,
	  W_RANGE,
	  start_write,
	  NULL,
	  { 0x1f, 0xff, 0xff, 0xff } },
	{ SCSI_INQUIRY,
	  -1,
	  IA,
	  scsi_inquiry,
	  NULL,
	  { 0x01, 0xff, 0xff, 0xff } },
	{ SCSI_MODE_SENSE_6,
	  -1,
	  M,
	  scsi_mode_sense,
	  NULL,
	  { 0x08, 0xff, 0xff, 0xff } },
	{ SCSI_START_STOP_UNIT,
	  -1,
	  0,
	  start_start_stop,
	  NULL,
	  { 0x01, 0, 0, 0xf3 } },
	{ SCSI_PREVENT_ALLOW,
	  -1,
	  0,
	  start_prevent_allow,
	  NULL,
	  { 0, 0, 0, 0x01 } },
	{ SCSI_READ_FORMAT_CAPACITIES,
	  -1,
	  0,
	  scsi_read_format_capacities,
	  NULL,
	  { 0, 0, 0, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_READ_CAPACITY_10, -1, M, scsi_read_capacity_10, NULL, { 0 } },
	{ SCSI_READ_10,
	  -1,
	  RANGE,
	  start_read,
	  NULL,
	  { 0xf8, LBA4, 0, 0xff, 0xff } },
	{ SCSI_WRITE_10,
	  -1,
	  W_RANGE,
	  start_write,
	  NULL,
	  { 0xf8, LBA4, 0, 0xff, 0xff } },
	{ SCSI_VERIFY_10,
	  -1,
	  RANGE,
	  start_verify,
	  execute_verify,
	  { 0xf6, LBA4, 0, 0xff, 0xff } },
	{ SCSI_SYNCHRONIZE_CACHE_10,
	  -1,
	  RANGE,
	  flush,
	  NULL,
	  { 0x02, LBA4, 0, 0xff, 0xff } },
	{ SCSI_WRITE_SAME_10,
	  -1,
	  W_RANGE,
	  start_write_same,
	  execute_write_same,
	  { 0xf8, LBA4, 0, 0xff, 0xff } },
	{ SCSI_UNMAP,
	  -1,
	  W,
	  start_unmap,
	  execute_unmap,
	  { 0x01, 0, 0, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_MODE_SENSE_10,
	  -1,
	  M,
	  scsi_mode_sense,
	  NULL,
	  { 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_READ_16, -1, RANGE, start_read, NULL, { 0xf8, LBA8, LBA4 } },
	{ SCSI_WRITE_16, -1, W_RANGE, start_write, NULL, { 0xf8, LBA8, LBA4 } },
	{ SCSI_VERIFY_16,
	  -1,
	  RANGE,
	  start_verify,
	  execute_verify,
	  { 0xf6, LBA8, LBA4 } },
	{ SCSI_SYNCHRONIZE_CACHE_16,
	  -1,
	  RANGE,
	  flush,
	  NULL,
	  { 0x02, LBA8, LBA4 } },
	{ SCSI_WRITE_SAME_16,
	  -1,
	  W_RANGE,
	  start_write_same,
	  execute_write_same,
	  { 0xf9, LBA8, LBA4 } },
	{ SCSI_SERVICE_ACTION_IN_16,
	  SCSI_SA_READ_CAPACITY_16,
	  M,
	  scsi_read_capacity_16,
	  NULL,
	  { 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, LBA4 } },
	{ SCSI_REPORT_LUNS,
	  -1,
	  IA,
	  scsi_report_luns,
	  NULL,
	  { 0, 0xff, 0, 0, 0, LBA4 } },
	{ SCSI_MAINTENANCE_IN,
	  SCSI_SA_REPORT_OPCODES,
	  IA,
	  scsi_report_opcodes,
	  NULL,
	  { 0x1f, 0x87, 0xff, 0xff, 0xff, LBA4 } },
	{ SCSI_READ_12, -1, RANGE, start_read, NULL, { 0xf8, LBA4, LBA4 } },
	{ SCSI_WRITE_12, -1, W_RANGE, start_write, NULL, { 0xf8, LBA4, LBA4 } },
};

const unsigned int scsi_n_commands = ARRAY_SIZE(scsi_commands);

static const struct scsi_command *find(const uint8_t *cdb)
{
	for (unsigned int i = 0; i < scsi_n_commands; i++) {
		const struct scsi_command *c = &scsi_commands[i];

		if (c->opcode == cdb[0] &&
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
		return SCSI_SENSE_INVALID_OPCODE;
	if (attention && !(c->class & SCSI_IGNORES_ATTENTION)) {
		disk->attention = SCSI_SENSE_NONE;
		return attention;
	}
	if (disk->ejected && (c->class & SCSI_NEEDS_MEDIUM))
		return SCSI_SENSE_NO_MEDIUM;
	if (disk->read_only && (c->class & SCSI_WRITES))
		return SCSI_SENSE_WRITE_PROTECTED;
	if ((c->class & SCSI_HAS_RANGE) && !range_fits(disk, range_of(cmd)))
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
	fresh.step.done = step_done;
	fresh.command = &unknown;
	*cmd = fresh;
	/* Sense is kept for the very next command (SAM-5). */
	if (cmd->cdb[0] != SCSI_REQUEST_SENSE)
		cmd->disk->sense = SCSI_SENSE_NONE;
}

void scsi_start(struct scsi_cmd *cmd)
{
	const struct scsi_command *command = find(cmd->cdb);
	scsi_sense sense;

	begin(cmd);
	if (command)
		cmd->command = command;
	sense = refusal(cmd);
	if (sense)
		scsi_fail(cmd, sense);
	else
		cmd->command->start(cmd);
}

void scsi_refuse(struct scsi_cmd *cmd, scsi_sense sense)
{
	begin(cmd);
	scsi_fail(cmd, sense);
}
