/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * How a SCSI command is made, for the files that have them. Transports need
 * scsi.h only.
 */
#ifndef BACKEND_SCSI_COMMAND_H
#define BACKEND_SCSI_COMMAND_H

#include "backend/scsi.h"

enum scsi_class {
	SCSI_NEEDS_MEDIUM = 1 << 0,	 /* fails when ejected */
	SCSI_IGNORES_ATTENTION = 1 << 1, /* SPC-4, 5.14 */
	SCSI_WRITES = 1 << 2,		 /* fails on a read-only disk */
	SCSI_HAS_RANGE = 1 << 3, /* the range is checked before start runs */
	/* Looks whether the image has grown; also while the medium is locked:
	 * see look_for_growth(). */
	SCSI_SEES_GROWTH = 1 << 4,
	SCSI_SEES_GROWTH_LOCKED = 1 << 5,
	/* The kinds of units that have it. */
	SCSI_ON_DISK = 1 << 6,
	SCSI_ON_CD = 1 << 7,
	SCSI_ON_ABSENT = 1 << 8,
};

struct scsi_command {
	uint8_t opcode;
	int service_action; /* -1: none */
	unsigned int class; /* enum scsi_class */
	/* Sets dir and len, or the status. */
	void (*start)(struct scsi_cmd *cmd);
	/* OUT: the parameter list is complete in cmd->param. */
	void (*execute)(struct scsi_cmd *cmd);
	/* The bits of the CDB that are looked at, behind the opcode. */
	uint8_t usage[SCSI_CDB_SIZE];
};

extern const struct scsi_command scsi_commands[];
extern const unsigned int scsi_n_commands;

static inline bool scsi_has(const struct scsi_disk *disk,
			    const struct scsi_command *command)
{
	return command->class & disk->kind->on;
}

/* Ends the command with CHECK CONDITION. The first reason stays. */
void scsi_fail(struct scsi_cmd *cmd, scsi_sense sense);
/* Answers with the first cmd->len bytes of data (copied), limited by alloc. */
void scsi_respond(struct scsi_cmd *cmd, const void *data, size_t len,
		  size_t alloc);

/* Does r lie within the disk? */
bool scsi_range_fits(const struct scsi_disk *disk, struct scsi_range r);
/* Logs once what the image could not do, and fails the command. */
void scsi_image_failed(struct scsi_cmd *cmd, const char *what, int error,
		       bool writing);
/* Ends the command if nothing is left to do; after each thing that ended. */
void scsi_settle(struct scsi_cmd *cmd);
/* IN: starts reading from cmd->off, ahead of the data phase. */
void scsi_read_ahead(struct scsi_cmd *cmd);

/* --- Steps (scsi_steps.c) ------------------------------------------------------ */

/* Room for n ranges in cmd->todo, to be filled in before scsi_steps_run(). */
bool scsi_steps_alloc(struct scsi_cmd *cmd, unsigned int n);
/* The next step, if there is one. */
void scsi_steps_run(struct scsi_cmd *cmd);
/* All steps over one range. */
void scsi_steps_over(struct scsi_cmd *cmd, struct scsi_range range);
/* One request at cmd->step_off, from or to cmd->step_buf. */
void scsi_step_submit(struct scsi_cmd *cmd, enum image_request_type type,
		      uint64_t len);
void scsi_step_done(struct image_request *request, int res);

/* --- Commands (scsi_block.c) ----------------------------------------------------- */

void scsi_read(struct scsi_cmd *cmd);
void scsi_write(struct scsi_cmd *cmd);
void scsi_unmap(struct scsi_cmd *cmd);
void scsi_unmap_list(struct scsi_cmd *cmd);
void scsi_write_same(struct scsi_cmd *cmd);
void scsi_write_same_block(struct scsi_cmd *cmd);
void scsi_verify(struct scsi_cmd *cmd);
void scsi_verify_data(struct scsi_cmd *cmd);
void scsi_flush(struct scsi_cmd *cmd);

/* --- Commands (scsi_info.c) ------------------------------------------------------- */

void scsi_inquiry(struct scsi_cmd *cmd);
void scsi_mode_sense(struct scsi_cmd *cmd);
void scsi_read_capacity_10(struct scsi_cmd *cmd);
void scsi_read_capacity_16(struct scsi_cmd *cmd);
void scsi_read_format_capacities(struct scsi_cmd *cmd);
void scsi_report_luns(struct scsi_cmd *cmd);
void scsi_report_opcodes(struct scsi_cmd *cmd);

/* --- Commands of CD-ROMs (scsi_mmc.c) -------------------------------------------- */

void scsi_read_toc(struct scsi_cmd *cmd);
void scsi_get_configuration(struct scsi_cmd *cmd);
void scsi_get_event(struct scsi_cmd *cmd);
void scsi_read_disc_info(struct scsi_cmd *cmd);
void scsi_read_track_info(struct scsi_cmd *cmd);
void scsi_read_disc_structure(struct scsi_cmd *cmd);
void scsi_mechanism_status(struct scsi_cmd *cmd);
void scsi_read_cd(struct scsi_cmd *cmd);
/* Its mode page 2Ah; zeros instead of values when they are not wanted. */
void scsi_put_cd_capabilities(struct scsi_cmd *cmd, struct span_writer *w,
			      bool values);

#endif
