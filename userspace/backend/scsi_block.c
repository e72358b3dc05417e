// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands that move blocks, or make them stable.
 */
#include <string.h>

#include "backend/scsi_command.h"

/* A bound on parameter lists: an UNMAP list has a 16-bit length. */
#define MAX_PARAM 65536

static void set_range(struct scsi_cmd *cmd, enum scsi_dir dir)
{
	struct scsi_range r = scsi_decode_range(cmd->cdb);

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

void scsi_read(struct scsi_cmd *cmd)
{
	if (wants_protection(cmd))
		return;
	set_range(cmd, SCSI_DIR_IN);
	scsi_read_ahead(cmd);
}

void scsi_write(struct scsi_cmd *cmd)
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

void scsi_unmap(struct scsi_cmd *cmd)
{
	if (cmd->cdb[1] & 0x01) { /* ANCHOR */
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		return;
	}
	take_param(cmd, scsi_decode_alloc(cmd->cdb));
}

void scsi_unmap_list(struct scsi_cmd *cmd)
{
	struct span list = span_of(cmd->param->data, cmd->len);
	unsigned int n;

	if (scsi_decode_unmap(list, &n) < 0) {
		scsi_fail(cmd, SCSI_SENSE_INVALID_PARAMETER);
		return;
	}
	if (!n || !scsi_steps_alloc(cmd, n))
		return;
	/* All or nothing: check every one before the first is done. */
	for (unsigned int i = 0; i < n; i++) {
		cmd->todo[i] = scsi_decode_unmap_range(list, i);
		if (!scsi_range_fits(cmd->disk, cmd->todo[i])) {
			scsi_fail(cmd, SCSI_SENSE_LBA_RANGE);
			return;
		}
	}
	cmd->step_type = IMAGE_DISCARD;
	scsi_steps_run(cmd);
}

#define WRITE_SAME_NDOB 0x01
#define WRITE_SAME_UNMAP 0x08
#define WRITE_SAME_ANCHOR 0x10

void scsi_write_same_block(struct scsi_cmd *cmd)
{
	const uint8_t *block = cmd->param ? cmd->param->data : NULL;
	struct scsi_range r = scsi_decode_range(cmd->cdb);
	bool zero = true;

	for (uint32_t i = 0; block && zero && i < cmd->disk->block_size; i++)
		zero = !block[i];
	if (!r.blocks) /* zero means: to the end (SBC-3, WSNZ = 0) */
		r.blocks = cmd->disk->blocks - r.lba;
	/* Only zeros may be unmapped: that is what they read as. */
	if (!zero)
		cmd->step_type = IMAGE_WRITE;
	else if ((cmd->cdb[1] & WRITE_SAME_UNMAP) &&
		 cmd->disk->image->discard_zeroes)
		cmd->step_type = IMAGE_DISCARD;
	else
		cmd->step_type = IMAGE_ZERO;
	scsi_steps_over(cmd, r);
}

void scsi_write_same(struct scsi_cmd *cmd)
{
	bool ndob = cmd->cdb[0] == SCSI_WRITE_SAME_16 &&
		    (cmd->cdb[1] & WRITE_SAME_NDOB);

	if (wants_protection(cmd))
		return;
	if (cmd->cdb[1] & WRITE_SAME_ANCHOR)
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
	else if (ndob)
		scsi_write_same_block(cmd);
	else
		take_param(cmd, cmd->disk->block_size);
}

/* BYTCHK (SBC-3, 5.31): 0 reads only, 1 compares with the data sent. */
void scsi_verify(struct scsi_cmd *cmd)
{
	struct scsi_range r = scsi_decode_range(cmd->cdb);

	if (wants_protection(cmd))
		return;
	switch (cmd->cdb[1] >> 1 & 3) {
	case 0:
		scsi_steps_over(cmd, r);
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
	cmd->step.done = scsi_step_done;
	if (res < 0)
		scsi_image_failed(cmd, "reading the image", res, false);
	else if (memcmp(cmd->step_buf->data, cmd->param->data, cmd->len))
		scsi_fail(cmd, SCSI_SENSE_MISCOMPARE);
	scsi_settle(cmd);
}

void scsi_verify_data(struct scsi_cmd *cmd)
{
	cmd->step_buf = bufpool_get(cmd->disk->pool, cmd->len);
	if (!cmd->step_buf) {
		scsi_fail(cmd, SCSI_SENSE_HARDWARE);
		return;
	}
	cmd->step_off = cmd->off;
	cmd->step.done = compare_done;
	scsi_step_submit(cmd, IMAGE_READ, cmd->len);
}

void scsi_flush(struct scsi_cmd *cmd)
{
	if (cmd->disk->read_only)
		return; /* nothing can be dirty */
	cmd->step_off = 0;
	scsi_step_submit(cmd, IMAGE_FLUSH, 0);
}
