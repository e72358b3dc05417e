// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The kinds of units, the table of their commands, and those that neither move
 * blocks nor tell.
 */
#include "backend/scsi_command.h"

const struct scsi_kind scsi_kind_disk = {
	.product = "bridge disk",
	.on = SCSI_ON_DISK,
	.peripheral = SCSI_PERIPHERAL_DISK,
	.unknown = SCSI_SENSE_INVALID_OPCODE,
	.no_medium = SCSI_SENSE_NO_MEDIUM,
};

const struct scsi_kind scsi_kind_cdrom = {
	.product = "bridge CD-ROM",
	.on = SCSI_ON_CD,
	.peripheral = SCSI_PERIPHERAL_CDROM,
	.unknown = SCSI_SENSE_INVALID_OPCODE,
	.no_medium = SCSI_SENSE_TRAY_OPEN,
};

const struct scsi_kind scsi_kind_absent = {
	.product = "",
	.on = SCSI_ON_ABSENT,
	.peripheral = SCSI_PERIPHERAL_ABSENT,
	.unknown = SCSI_SENSE_INVALID_LUN,
	.no_medium = SCSI_SENSE_INVALID_LUN,
};

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
		scsi_flush(cmd);
	if (!load_eject)
		return;
	if (!disk->removable) {
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
	} else if (start) {
		if (disk->ejected) {
			disk->attention = SCSI_SENSE_MEDIUM_CHANGED;
			disk->media_event = SCSI_MEDIA_NEW;
		}
		disk->ejected = false;
	} else if (disk->removal_prevented) {
		scsi_fail(cmd, SCSI_SENSE_REMOVAL_PREVENTED);
	} else {
		if (!disk->ejected)
			disk->media_event = SCSI_MEDIA_REMOVED;
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

static void start_request_sense_absent(struct scsi_cmd *cmd)
{
	cmd->disk->sense = SCSI_SENSE_INVALID_LUN;
	start_request_sense(cmd);
}

/* --- The table ----------------------------------------------------------------- */

#define DISK SCSI_ON_DISK
#define CD SCSI_ON_CD
#define BOTH (SCSI_ON_DISK | SCSI_ON_CD)
#define ABSENT SCSI_ON_ABSENT
#define ANY (BOTH | ABSENT)
#define IA SCSI_IGNORES_ATTENTION
#define M SCSI_NEEDS_MEDIUM
#define GROWS SCSI_SEES_GROWTH
#define GROWS_LOCKED (GROWS | SCSI_SEES_GROWTH_LOCKED)
#define RANGE (SCSI_NEEDS_MEDIUM | SCSI_HAS_RANGE)
#define W (SCSI_NEEDS_MEDIUM | SCSI_WRITES)
#define W_RANGE (W | SCSI_HAS_RANGE)

#define LBA4 0xff, 0xff, 0xff, 0xff
#define LBA8 LBA4, LBA4

const struct scsi_command scsi_commands[] = {
	{ SCSI_TEST_UNIT_READY,
	  -1,
	  BOTH | M | GROWS,
	  start_nothing,
	  NULL,
	  { 0 } },
	{ SCSI_REQUEST_SENSE,
	  -1,
	  BOTH | IA,
	  start_request_sense,
	  NULL,
	  { 0x01, 0, 0, 0xff } },
	{ SCSI_REQUEST_SENSE,
	  -1,
	  ABSENT | IA,
	  start_request_sense_absent,
	  NULL,
	  { 0x01, 0, 0, 0xff } },
	{ SCSI_READ_6,
	  -1,
	  DISK | RANGE,
	  scsi_read,
	  NULL,
	  { 0x1f, 0xff, 0xff, 0xff } },
	{ SCSI_WRITE_6,
	  -1,
	  DISK | W_RANGE,
	  scsi_write,
	  NULL,
	  { 0x1f, 0xff, 0xff, 0xff } },
	{ SCSI_INQUIRY,
	  -1,
	  ANY | IA,
	  scsi_inquiry,
	  NULL,
	  { 0x01, 0xff, 0xff, 0xff } },
	{ SCSI_MODE_SENSE_6,
	  -1,
	  BOTH,
	  scsi_mode_sense,
	  NULL,
	  { 0x08, 0xff, 0xff, 0xff } },
	{ SCSI_START_STOP_UNIT,
	  -1,
	  BOTH,
	  start_start_stop,
	  NULL,
	  { 0x01, 0, 0, 0xf3 } },
	{ SCSI_PREVENT_ALLOW,
	  -1,
	  BOTH,
	  start_prevent_allow,
	  NULL,
	  { 0, 0, 0, 0x01 } },
	{ SCSI_READ_FORMAT_CAPACITIES,
	  -1,
	  DISK,
	  scsi_read_format_capacities,
	  NULL,
	  { 0, 0, 0, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_READ_CAPACITY_10,
	  -1,
	  BOTH | M | GROWS_LOCKED,
	  scsi_read_capacity_10,
	  NULL,
	  { 0 } },
	{ SCSI_READ_10,
	  -1,
	  BOTH | RANGE,
	  scsi_read,
	  NULL,
	  { 0xf8, LBA4, 0, 0xff, 0xff } },
	{ SCSI_WRITE_10,
	  -1,
	  DISK | W_RANGE,
	  scsi_write,
	  NULL,
	  { 0xf8, LBA4, 0, 0xff, 0xff } },
	{ SCSI_VERIFY_10,
	  -1,
	  DISK | RANGE,
	  scsi_verify,
	  scsi_verify_data,
	  { 0xf6, LBA4, 0, 0xff, 0xff } },
	{ SCSI_SYNCHRONIZE_CACHE_10,
	  -1,
	  DISK | RANGE,
	  scsi_flush,
	  NULL,
	  { 0x02, LBA4, 0, 0xff, 0xff } },
	{ SCSI_WRITE_SAME_10,
	  -1,
	  DISK | W_RANGE,
	  scsi_write_same,
	  scsi_write_same_block,
	  { 0xf8, LBA4, 0, 0xff, 0xff } },
	{ SCSI_UNMAP,
	  -1,
	  DISK | W,
	  scsi_unmap,
	  scsi_unmap_list,
	  { 0x01, 0, 0, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_MODE_SENSE_10,
	  -1,
	  BOTH,
	  scsi_mode_sense,
	  NULL,
	  { 0x18, 0xff, 0xff, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_READ_16,
	  -1,
	  DISK | RANGE,
	  scsi_read,
	  NULL,
	  { 0xf8, LBA8, LBA4 } },
	{ SCSI_WRITE_16,
	  -1,
	  DISK | W_RANGE,
	  scsi_write,
	  NULL,
	  { 0xf8, LBA8, LBA4 } },
	{ SCSI_VERIFY_16,
	  -1,
	  DISK | RANGE,
	  scsi_verify,
	  scsi_verify_data,
	  { 0xf6, LBA8, LBA4 } },
	{ SCSI_SYNCHRONIZE_CACHE_16,
	  -1,
	  DISK | RANGE,
	  scsi_flush,
	  NULL,
	  { 0x02, LBA8, LBA4 } },
	{ SCSI_WRITE_SAME_16,
	  -1,
	  DISK | W_RANGE,
	  scsi_write_same,
	  scsi_write_same_block,
	  { 0xf9, LBA8, LBA4 } },
	{ SCSI_SERVICE_ACTION_IN_16,
	  SCSI_SA_READ_CAPACITY_16,
	  DISK | M | GROWS_LOCKED,
	  scsi_read_capacity_16,
	  NULL,
	  { 0x1f, 0, 0, 0, 0, 0, 0, 0, 0, LBA4 } },
	{ SCSI_REPORT_LUNS,
	  -1,
	  ANY | IA,
	  scsi_report_luns,
	  NULL,
	  { 0, 0xff, 0, 0, 0, LBA4 } },
	{ SCSI_MAINTENANCE_IN,
	  SCSI_SA_REPORT_OPCODES,
	  DISK | IA,
	  scsi_report_opcodes,
	  NULL,
	  { 0x1f, 0x87, 0xff, 0xff, 0xff, LBA4 } },
	{ SCSI_READ_12,
	  -1,
	  BOTH | RANGE,
	  scsi_read,
	  NULL,
	  { 0xf8, LBA4, LBA4 } },
	{ SCSI_WRITE_12,
	  -1,
	  DISK | W_RANGE,
	  scsi_write,
	  NULL,
	  { 0xf8, LBA4, LBA4 } },

	/* MMC-6: these two neither meet attentions nor clear them (6.5, 6.6) */
	{ SCSI_GET_CONFIGURATION,
	  -1,
	  CD | IA,
	  scsi_get_configuration,
	  NULL,
	  { 0x03, 0xff, 0xff, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_GET_EVENT,
	  -1,
	  CD | IA,
	  scsi_get_event,
	  NULL,
	  { 0x01, 0, 0, 0xff, 0, 0, 0xff, 0xff } },
	{ SCSI_READ_TOC,
	  -1,
	  CD | M,
	  scsi_read_toc,
	  NULL,
	  { 0x02, 0x0f, 0, 0, 0, 0xff, 0xff, 0xff } },
	{ SCSI_READ_DISC_INFO,
	  -1,
	  CD | M,
	  scsi_read_disc_info,
	  NULL,
	  { 0x07, 0, 0, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_READ_TRACK_INFO,
	  -1,
	  CD | M,
	  scsi_read_track_info,
	  NULL,
	  { 0x03, LBA4, 0, 0xff, 0xff } },
	{ SCSI_READ_DISC_STRUCTURE,
	  -1,
	  CD | M,
	  scsi_read_disc_structure,
	  NULL,
	  { 0x0f, LBA4, 0xff, 0xff, 0xff, 0xff } },
	{ SCSI_MECHANISM_STATUS,
	  -1,
	  CD,
	  scsi_mechanism_status,
	  NULL,
	  { 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff } },
	{ SCSI_READ_CD,
	  -1,
	  CD | RANGE,
	  scsi_read_cd,
	  NULL,
	  { 0x1c, LBA4, 0xff, 0xff, 0xff, 0xf8, 0x07 } },
};

const unsigned int scsi_n_commands = ARRAY_SIZE(scsi_commands);
