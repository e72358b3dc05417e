/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SCSI commands of disks and CD-ROMs: opcodes, CDB fields, sense data (SPC-4,
 * SBC-3, MMC-6).
 */
#ifndef WIRE_SCSI_H
#define WIRE_SCSI_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

enum scsi_opcode {
	SCSI_TEST_UNIT_READY = 0x00,
	SCSI_REQUEST_SENSE = 0x03,
	SCSI_READ_6 = 0x08,
	SCSI_WRITE_6 = 0x0a,
	SCSI_INQUIRY = 0x12,
	SCSI_MODE_SENSE_6 = 0x1a,
	SCSI_START_STOP_UNIT = 0x1b,
	SCSI_PREVENT_ALLOW = 0x1e,
	SCSI_READ_FORMAT_CAPACITIES = 0x23,
	SCSI_READ_CAPACITY_10 = 0x25,
	SCSI_READ_10 = 0x28,
	SCSI_WRITE_10 = 0x2a,
	SCSI_VERIFY_10 = 0x2f,
	SCSI_SYNCHRONIZE_CACHE_10 = 0x35,
	SCSI_WRITE_SAME_10 = 0x41,
	SCSI_UNMAP = 0x42,
	SCSI_READ_TOC = 0x43,	       /* MMC-6, 6.25 */
	SCSI_GET_CONFIGURATION = 0x46, /* MMC-6, 6.5 */
	SCSI_GET_EVENT = 0x4a,	       /* MMC-6, 6.6 */
	SCSI_READ_DISC_INFO = 0x51,    /* MMC-6, 6.21 */
	SCSI_READ_TRACK_INFO = 0x52,   /* MMC-6, 6.26 */
	SCSI_MODE_SENSE_10 = 0x5a,
	SCSI_READ_16 = 0x88,
	SCSI_WRITE_16 = 0x8a,
	SCSI_VERIFY_16 = 0x8f,
	SCSI_SYNCHRONIZE_CACHE_16 = 0x91,
	SCSI_WRITE_SAME_16 = 0x93,
	SCSI_SERVICE_ACTION_IN_16 = 0x9e, /* 0x10: READ CAPACITY(16) */
	SCSI_REPORT_LUNS = 0xa0,
	SCSI_MAINTENANCE_IN = 0xa3, /* 0x0c: REPORT SUPPORTED OPERATION CODES */
	SCSI_READ_12 = 0xa8,
	SCSI_WRITE_12 = 0xaa,
	SCSI_READ_DISC_STRUCTURE = 0xad, /* MMC-6, 6.22 */
	SCSI_MECHANISM_STATUS = 0xbd,	 /* MMC-6, 6.10 */
	SCSI_READ_CD = 0xbe,		 /* MMC-6, 6.19 */
};

#define SCSI_SA_READ_CAPACITY_16 0x10
#define SCSI_SA_REPORT_OPCODES 0x0c

#define SCSI_CDB_SIZE 16 /* the longest that is understood */

/* Peripheral qualifier and device type, in INQUIRY (SPC-4, 6.4.2). */
#define SCSI_PERIPHERAL_DISK 0x00
#define SCSI_PERIPHERAL_CDROM 0x05
#define SCSI_PERIPHERAL_ABSENT 0x7f /* no such logical unit */

/* GET CONFIGURATION: profiles and features (MMC-6, 5.3). */
#define SCSI_PROFILE_CDROM 0x0008
#define SCSI_PROFILE_DVDROM 0x0010
enum scsi_feature {
	SCSI_FEATURE_PROFILES = 0x0000,
	SCSI_FEATURE_CORE = 0x0001,
	SCSI_FEATURE_REMOVABLE = 0x0003,
	SCSI_FEATURE_RANDOM_READ = 0x0010,
	SCSI_FEATURE_CD_READ = 0x001e,
	SCSI_FEATURE_DVD_READ = 0x001f,
};

/* GET EVENT STATUS NOTIFICATION: the media class (MMC-6, 6.6). */
#define SCSI_EVENT_CLASS_MEDIA 4
#define SCSI_EVENT_NONE_PENDING 0x80 /* NEA: no event available */
enum scsi_media_event {
	SCSI_MEDIA_NO_CHANGE = 0,
	SCSI_MEDIA_NEW = 2,
	SCSI_MEDIA_REMOVED = 3,
};

/* Minutes, seconds and frames of a block on a CD (MMC-6). */
#define SCSI_CD_FRAMES 75
#define SCSI_CD_LEAD_IN 150   /* block 0 is at 00:02:00 */
#define SCSI_CD_LEAD_OUT 0xaa /* its track number */

enum scsi_status {
	SCSI_GOOD = 0x00,
	SCSI_CHECK_CONDITION = 0x02,
};

/* Sense key, additional sense code and qualifier in one number: 0xKKAAQQ. */
typedef uint32_t scsi_sense;

#define SCSI_SENSE_NONE 0x000000
#define SCSI_SENSE_NO_MEDIUM 0x023a00
#define SCSI_SENSE_TRAY_OPEN 0x023a02
#define SCSI_SENSE_READ_ERROR 0x031100
#define SCSI_SENSE_WRITE_ERROR 0x030c00
#define SCSI_SENSE_HARDWARE 0x044400 /* internal target failure */
#define SCSI_SENSE_PARAMETER_LENGTH 0x051a00
#define SCSI_SENSE_INVALID_OPCODE 0x052000
#define SCSI_SENSE_LBA_RANGE 0x052100
#define SCSI_SENSE_INVALID_CDB_FIELD 0x052400
#define SCSI_SENSE_INVALID_LUN 0x052500
#define SCSI_SENSE_INVALID_PARAMETER 0x052600
#define SCSI_SENSE_REMOVAL_PREVENTED 0x055302
#define SCSI_SENSE_MEDIUM_CHANGED 0x062800
#define SCSI_SENSE_POWER_ON 0x062900
#define SCSI_SENSE_CAPACITY_CHANGED 0x062a09
#define SCSI_SENSE_WRITE_PROTECTED 0x072700
#define SCSI_SENSE_NO_SPACE 0x072707
#define SCSI_SENSE_DATA_PHASE 0x0b4b00 /* aborted: to be tried again */
#define SCSI_SENSE_MISCOMPARE 0x0e1d00

/* Fixed-format sense data (SPC-4, 4.5.3). */
#define SCSI_FIXED_SENSE_SIZE 18
void scsi_encode_sense(uint8_t out[SCSI_FIXED_SENSE_SIZE], scsi_sense sense);

/* 6, 10, 12 or 16, by the opcode's group (SPC-4, 4.2.5.1); 0: vendor's. */
unsigned int scsi_cdb_size(uint8_t opcode);

/*
 * Logical block address and number of blocks of READ, WRITE, VERIFY,
 * SYNCHRONIZE CACHE and WRITE SAME in all their sizes, and of READ CD. A transfer length of 0
 * in READ(6) and WRITE(6) is returned as the 256 that it means.
 */
struct scsi_range {
	uint64_t lba;
	uint64_t blocks;
};
struct scsi_range scsi_decode_range(const uint8_t cdb[SCSI_CDB_SIZE]);

/* Allocation or parameter list length of the commands that have one. */
uint32_t scsi_decode_alloc(const uint8_t cdb[SCSI_CDB_SIZE]);

/*
 * A block's place on a CD. Beyond what a byte of minutes can tell (DVDs) it is
 * the last that it can: 255:59:74.
 */
struct scsi_msf {
	uint8_t m, s, f;
};
struct scsi_msf scsi_msf_of(uint64_t lba);

/* One block descriptor of UNMAP's parameter list (SBC-3, 5.28). */
#define SCSI_UNMAP_HEADER 8
#define SCSI_UNMAP_DESCRIPTOR 16

/*
 * Checks an UNMAP parameter list and yields the number of descriptors that it
 * holds, which start at SCSI_UNMAP_HEADER. -EPROTO when lengths contradict.
 */
int must_check scsi_decode_unmap(struct span list, unsigned int *n);
struct scsi_range scsi_decode_unmap_range(struct span list, unsigned int i);

#endif
