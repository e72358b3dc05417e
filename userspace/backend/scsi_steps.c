// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands of several steps, one image request after another over a list of
 * ranges: UNMAP, WRITE SAME, VERIFY.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/scsi_command.h"

/* Bytes that VERIFY reads, and WRITE SAME writes, at a time. */
#define STEP_SIZE (1u << 20)

void scsi_step_submit(struct scsi_cmd *cmd, enum image_request_type type,
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

/* A buffer to read into, or of the block to repeat. */
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
	for (uint32_t at = 0; cmd->param && at < STEP_SIZE; at += block)
		memcpy(cmd->step_buf->data + at, cmd->param->data, block);
	return true;
}

static void step_run(struct scsi_cmd *cmd)
{
	if (cmd->command->opcode == SCSI_VERIFY_10 ||
	    cmd->command->opcode == SCSI_VERIFY_16) {
		if (step_make_buf(cmd))
			scsi_step_submit(cmd, IMAGE_READ,
					 MIN(cmd->step_left, STEP_SIZE));
		return;
	}
	if (cmd->step_type != IMAGE_WRITE)
		scsi_step_submit(cmd, cmd->step_type, cmd->step_left);
	else if (step_make_buf(cmd))
		scsi_step_submit(cmd, IMAGE_WRITE,
				 MIN(cmd->step_left, STEP_SIZE));
}

void scsi_step_done(struct image_request *request, int res)
{
	struct scsi_cmd *cmd = container_of(request, struct scsi_cmd, step);

	cmd->busy--;
	if (request->type == IMAGE_FLUSH) {
		if (res < 0)
			scsi_image_failed(cmd, "flushing the image", res, true);
	} else if (res < 0) {
		scsi_image_failed(cmd,
				  request->type == IMAGE_READ
					  ? "reading the image"
					  : "writing the image",
				  res, request->type != IMAGE_READ);
	} else {
		cmd->step_off += request->len;
		cmd->step_left -= request->len;
		scsi_steps_run(cmd);
	}
	scsi_settle(cmd);
}

void scsi_steps_run(struct scsi_cmd *cmd)
{
	while (!cmd->step_left && cmd->todo_next < cmd->todo_n) {
		const struct scsi_range *r = &cmd->todo[cmd->todo_next++];

		cmd->step_off = r->lba * cmd->disk->block_size;
		cmd->step_left = r->blocks * cmd->disk->block_size;
	}
	if (cmd->aborted || cmd->status != SCSI_GOOD)
		return;
	if (cmd->step_left)
		step_run(cmd);
	/* Without a cache to synchronise, what is done must last. */
	else if ((cmd->command->class & SCSI_WRITES) && !cmd->disk->write_cache)
		scsi_step_submit(cmd, IMAGE_FLUSH, 0);
}

/* Room for n ranges in cmd->todo; scsi_steps_run() starts on them. */
bool scsi_steps_alloc(struct scsi_cmd *cmd, unsigned int n)
{
	cmd->todo = calloc(n, sizeof(*cmd->todo));
	if (!cmd->todo) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return false;
	}
	cmd->todo_n = n;
	return true;
}

void scsi_steps_over(struct scsi_cmd *cmd, struct scsi_range range)
{
	if (!scsi_steps_alloc(cmd, 1))
		return;
	cmd->todo[0] = range;
	scsi_steps_run(cmd);
}
