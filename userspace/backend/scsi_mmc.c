// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Commands that only a CD-ROM has (MMC-6). The disc is one session with one
 * track of data: a CD, or a DVD when it is larger than a CD can be.
 */
#include <string.h>

#include "backend/scsi_command.h"

/* The longest CDs have 99 minutes: 870 MB. */
#define CD_MAX 900000000u

#define DATA_TRACK 0x14 /* ADR 1, CONTROL 4: data, recorded uninterrupted */

static bool is_dvd(const struct scsi_disk *disk)
{
	return disk->blocks * disk->block_size > CD_MAX;
}

static void respond(struct scsi_cmd *cmd, const struct span_writer *w)
{
	scsi_respond(cmd, w->p, w->len, scsi_decode_alloc(cmd->cdb));
}

/* A length field of 16 bits in front, which does not count itself. */
static void respond_sized(struct scsi_cmd *cmd, const struct span_writer *w)
{
	w->p[0] = (uint8_t)((w->len - 2) >> 8);
	w->p[1] = (uint8_t)(w->len - 2);
	respond(cmd, w);
}

static void invalid(struct scsi_cmd *cmd)
{
	scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
}

/* --- READ TOC/PMA/ATIP (6.25) ------------------------------------------------- */

static void put_msf(struct span_writer *w, uint64_t lba)
{
	struct scsi_msf msf = scsi_msf_of(lba);

	span_put_be(w, msf.m, 1);
	span_put_be(w, msf.s, 1);
	span_put_be(w, msf.f, 1);
}

static void put_track(struct span_writer *w, uint8_t track, uint64_t lba,
		      bool msf)
{
	span_put_be(w, 0, 1);
	span_put_be(w, DATA_TRACK, 1);
	span_put_be(w, track, 1);
	span_put_be(w, 0, 1);
	if (!msf) {
		span_put_be(w, MIN(lba, UINT32_MAX), 4);
		return;
	}
	span_put_be(w, 0, 1);
	put_msf(w, lba);
}

/* An entry of the lead-in but for its three bytes PMIN, PSEC, PFRAME. */
static void put_point(struct span_writer *w, uint8_t point)
{
	span_put_be(w, 1, 1); /* session */
	span_put_be(w, DATA_TRACK, 1);
	span_put_be(w, 0, 1); /* TNO: the lead-in */
	span_put_be(w, point, 1);
	span_put_zero(w, 4); /* MIN, SEC, FRAME, zero */
}

static void put_full_toc(const struct scsi_disk *disk, struct span_writer *w)
{
	put_point(w, 0xa0); /* first track; disc type 0: CD-ROM */
	span_put_be(w, 0x010000, 3);
	put_point(w, 0xa1); /* last track */
	span_put_be(w, 0x010000, 3);
	put_point(w, 0xa2); /* lead-out */
	put_msf(w, disk->blocks);
	put_point(w, 1);
	put_msf(w, 0);
}

void scsi_read_toc(struct scsi_cmd *cmd)
{
	uint8_t format = cmd->cdb[2] & 0x0f, first = cmd->cdb[6];
	bool msf = cmd->cdb[1] & 0x02;
	uint8_t data[64];
	struct span_writer w = span_writer_of(data, sizeof(data));

	span_put_be(&w, 0, 2); /* length */
	span_put_be(&w, 1, 1); /* first and last track, or session */
	span_put_be(&w, 1, 1);
	switch (format) {
	case 0:
		if (first > 1 && first != SCSI_CD_LEAD_OUT) {
			invalid(cmd);
			return;
		}
		if (first <= 1)
			put_track(&w, 1, 0, msf);
		put_track(&w, SCSI_CD_LEAD_OUT, cmd->disk->blocks, msf);
		break;
	case 1: /* the first track of the last session */
		put_track(&w, 1, 0, msf);
		break;
	case 2: /* always in minutes, seconds and frames */
		if (first > 1) {
			invalid(cmd);
			return;
		}
		put_full_toc(cmd->disk, &w);
		break;
	default:
		invalid(cmd);
		return;
	}
	respond_sized(cmd, &w);
}

/* --- GET CONFIGURATION (6.5, features: 5.3) ------------------------------------- */

#define RT_CURRENT 1
#define RT_ONE 2

static bool has_disc(const struct scsi_disk *disk)
{
	return !disk->ejected;
}

static bool has_cd(const struct scsi_disk *disk)
{
	return has_disc(disk) && !is_dvd(disk);
}

static bool has_dvd(const struct scsi_disk *disk)
{
	return has_disc(disk) && is_dvd(disk);
}

static void put_profile(struct span_writer *w, uint16_t profile, bool current)
{
	span_put_be(w, profile, 2);
	span_put_be(w, current, 1);
	span_put_be(w, 0, 1);
}

static void put_profiles(const struct scsi_disk *disk, struct span_writer *w)
{
	put_profile(w, SCSI_PROFILE_DVDROM, has_dvd(disk));
	put_profile(w, SCSI_PROFILE_CDROM, has_cd(disk));
}

static void put_core(const struct scsi_disk *disk, struct span_writer *w)
{
	(void)disk;
	span_put_be(w, 8, 4); /* physical interface: USB */
	span_put_zero(w, 4);
}

static void put_removable(const struct scsi_disk *disk, struct span_writer *w)
{
	(void)disk;
	span_put_be(w, 0x29, 1); /* tray, can eject, can lock */
	span_put_zero(w, 3);
}

static void put_random_read(const struct scsi_disk *disk, struct span_writer *w)
{
	span_put_be(w, disk->block_size, 4);
	span_put_be(w, is_dvd(disk) ? 16 : 1, 2); /* blocking */
	span_put_zero(w, 2);			  /* no error recovery page */
}

static void put_cd_read(const struct scsi_disk *disk, struct span_writer *w)
{
	(void)disk;
	span_put_zero(w, 4); /* neither C2 pointers nor CD-Text */
}

static void put_nothing(const struct scsi_disk *disk, struct span_writer *w)
{
	(void)disk;
	(void)w;
}

/* In ascending order. current: NULL means always (and persistent). */
static const struct feature {
	enum scsi_feature code;
	uint8_t version;
	bool (*current)(const struct scsi_disk *disk);
	void (*put)(const struct scsi_disk *disk, struct span_writer *w);
} features[] = {
	{ SCSI_FEATURE_PROFILES, 0, NULL, put_profiles },
	{ SCSI_FEATURE_CORE, 1, NULL, put_core },
	{ SCSI_FEATURE_REMOVABLE, 0, NULL, put_removable },
	{ SCSI_FEATURE_RANDOM_READ, 0, has_disc, put_random_read },
	{ SCSI_FEATURE_CD_READ, 2, has_cd, put_cd_read },
	{ SCSI_FEATURE_DVD_READ, 0, has_dvd, put_nothing },
};

static void put_feature(const struct scsi_disk *disk, struct span_writer *w,
			const struct feature *f, bool current)
{
	size_t start = w->len;

	span_put_be(w, f->code, 2);
	span_put_be(w, f->version << 2 | !f->current << 1 | current, 1);
	span_put_be(w, 0, 1); /* length, below */
	f->put(disk, w);
	w->p[start + 3] = (uint8_t)(w->len - start - 4);
}

void scsi_get_configuration(struct scsi_cmd *cmd)
{
	const struct scsi_disk *disk = cmd->disk;
	unsigned int rt = cmd->cdb[1] & 3;
	unsigned int first = (unsigned int)(cmd->cdb[2] << 8 | cmd->cdb[3]);
	uint8_t data[128];
	struct span_writer w = span_writer_of(data, sizeof(data));

	if (rt > RT_ONE) {
		invalid(cmd);
		return;
	}
	span_put_be(&w, 0, 4); /* length, below */
	span_put_be(&w, 0, 2);
	span_put_be(&w,
		    has_dvd(disk)  ? SCSI_PROFILE_DVDROM
		    : has_cd(disk) ? SCSI_PROFILE_CDROM
				   : 0,
		    2);
	for (size_t i = 0; i < ARRAY_SIZE(features); i++) {
		const struct feature *f = &features[i];
		bool current = !f->current || f->current(disk);

		if (f->code < first || (rt == RT_CURRENT && !current) ||
		    (rt == RT_ONE && f->code != first))
			continue;
		put_feature(disk, &w, f, current);
	}
	data[3] = (uint8_t)(w.len - 4);
	respond(cmd, &w);
}

/* --- GET EVENT STATUS NOTIFICATION (6.6) ------------------------------------------ */

#define EVENT_HEADER 4
#define EVENT_SIZE (EVENT_HEADER + 4)

void scsi_get_event(struct scsi_cmd *cmd)
{
	struct scsi_disk *disk = cmd->disk;
	bool media = cmd->cdb[4] & 1 << SCSI_EVENT_CLASS_MEDIA;
	uint8_t data[EVENT_SIZE];
	struct span_writer w = span_writer_of(data, sizeof(data));

	if (!(cmd->cdb[1] & 0x01)) { /* asynchronous: nobody has that */
		invalid(cmd);
		return;
	}
	span_put_be(&w, 0, 2); /* length */
	span_put_be(&w,
		    media ? SCSI_EVENT_CLASS_MEDIA : SCSI_EVENT_NONE_PENDING,
		    1);
	span_put_be(&w, 1 << SCSI_EVENT_CLASS_MEDIA, 1); /* what there is */
	if (media) {
		span_put_be(&w, disk->media_event, 1);
		span_put_be(&w, disk->ejected ? 0x01 : 0x02, 1);
		span_put_zero(&w, 2); /* slots */
		/* One that did not fit has not been told. */
		if (scsi_decode_alloc(cmd->cdb) > EVENT_HEADER)
			disk->media_event = SCSI_MEDIA_NO_CHANGE;
	}
	respond_sized(cmd, &w);
}

/* --- The disc and its track --------------------------------------------------------- */

/* READ DISC INFORMATION (6.21) */
void scsi_read_disc_info(struct scsi_cmd *cmd)
{
	uint8_t data[34];
	struct span_writer w = span_writer_of(data, sizeof(data));

	if (cmd->cdb[1] & 0x07) { /* not the standard information */
		invalid(cmd);
		return;
	}
	span_put_be(&w, 0, 2);	  /* length */
	span_put_be(&w, 0x0e, 1); /* session complete, disc finalised */
	span_put_be(&w, 1, 1);	  /* first track */
	span_put_be(&w, 1, 1);	  /* sessions */
	span_put_be(&w, 1, 1);	  /* first and last track of the last one */
	span_put_be(&w, 1, 1);
	span_put_be(&w, 0x20, 1); /* unrestricted use */
	span_put_zero(&w, 8);	  /* CD-ROM; MSBs; no identification */
	/* The next session's lead-in, the last possible lead-out: none. */
	span_put_be(&w, UINT64_MAX, 8);
	span_put_zero(&w, sizeof(data) - w.len);
	respond_sized(cmd, &w);
}

/* READ TRACK INFORMATION (6.26): by block, track or session */
void scsi_read_track_info(struct scsi_cmd *cmd)
{
	struct span s = span_of(cmd->cdb + 2, 4);
	uint64_t number = span_be(&s, 4);
	uint8_t data[36];
	struct span_writer w = span_writer_of(data, sizeof(data));

	switch (cmd->cdb[1] & 3) {
	case 0:
		if (number < cmd->disk->blocks)
			break;
		scsi_fail(cmd, SCSI_SENSE_LBA_RANGE);
		return;
	case 1:
	case 2:
		if (number == 1)
			break;
		/* fall through */
	default:
		invalid(cmd);
		return;
	}
	span_put_be(&w, 0, 2); /* length */
	span_put_be(&w, 1, 1); /* track */
	span_put_be(&w, 1, 1); /* session */
	span_put_be(&w, 0, 1);
	span_put_be(&w, 4, 1); /* track mode: data, uninterrupted */
	span_put_be(&w, 1, 1); /* data mode 1 */
	span_put_zero(&w, 17); /* starts at 0, nothing writable, no packets */
	span_put_be(&w, MIN(cmd->disk->blocks, UINT32_MAX), 4);
	span_put_zero(&w, sizeof(data) - w.len);
	respond_sized(cmd, &w);
}

/* READ DISC STRUCTURE (6.22) of a DVD, format 0: physical information */
void scsi_read_disc_structure(struct scsi_cmd *cmd)
{
	const uint32_t first = 0x30000; /* where the data area begins */
	uint8_t data[4 + 2048];
	struct span_writer w = span_writer_of(data, sizeof(data));

	/* Media type DVD, layer 0 */
	if ((cmd->cdb[1] & 0x0f) || cmd->cdb[6] || cmd->cdb[7] ||
	    !is_dvd(cmd->disk)) {
		invalid(cmd);
		return;
	}
	span_put_be(&w, 0, 4);	  /* length */
	span_put_be(&w, 0x01, 1); /* DVD-ROM, version 1 */
	span_put_be(&w, 0x0f, 1); /* 120 mm, no maximum rate */
	span_put_be(&w, 0x01, 1); /* one layer, read-only */
	span_put_be(&w, 0, 1);
	span_put_be(&w, first, 4);
	span_put_be(&w, MIN(first + cmd->disk->blocks - 1, 0xffffff), 4);
	span_put_zero(&w, sizeof(data) - w.len);
	respond_sized(cmd, &w);
}

/* MECHANISM STATUS (6.10) */
void scsi_mechanism_status(struct scsi_cmd *cmd)
{
	uint8_t data[8];
	struct span_writer w = span_writer_of(data, sizeof(data));

	span_put_be(&w, 0, 1);				   /* no changer */
	span_put_be(&w, cmd->disk->ejected ? 0x10 : 0, 1); /* door open */
	span_put_zero(&w, 3);
	span_put_be(&w, 1, 1); /* slots */
	span_put_be(&w, 0, 2); /* no table of them */
	respond(cmd, &w);
}

#define SECTOR_ANY 0
#define SECTOR_MODE_1 2
#define USER_DATA 0x10

/* READ CD (6.19): of each sector its 2048 bytes, or nothing */
void scsi_read_cd(struct scsi_cmd *cmd)
{
	uint8_t sector = cmd->cdb[1] >> 2 & 7, parts = cmd->cdb[9];

	if ((sector != SECTOR_ANY && sector != SECTOR_MODE_1) ||
	    (parts != USER_DATA && parts) || (cmd->cdb[10] & 0x07))
		invalid(cmd);
	else if (parts)
		scsi_read(cmd);
}

/* --- Mode page 2Ah (legacy since MMC-4, and asked for) --------------------------------- */

#define KB_PER_S (50 * 176) /* 50 times the speed of music */

void scsi_put_cd_capabilities(struct scsi_cmd *cmd, struct span_writer *w,
			      bool values)
{
	span_put_be(w, 20, 1);
	if (!values) {
		span_put_zero(w, 20);
		return;
	}
	span_put_be(w, 0x08, 1); /* reads DVD-ROMs */
	span_put_be(w, 0, 1);	 /* writes nothing */
	span_put_be(w, 0, 2);	 /* no audio, no mode 2 */
	/* Tray, can eject; whether it is locked; can lock */
	span_put_be(w, cmd->disk->removal_prevented ? 0x2b : 0x29, 1);
	span_put_be(w, 0, 1);
	span_put_be(w, KB_PER_S, 2); /* at most */
	span_put_be(w, 0, 2);	     /* volume levels */
	span_put_be(w, SCSI_WINDOW / 1024, 2);
	span_put_be(w, KB_PER_S, 2); /* now */
	span_put_zero(w, 6);
}
