// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What a unit tells about itself: INQUIRY, mode pages, capacities, commands.
 */
#include <stdio.h>
#include <string.h>

#include "backend/scsi_command.h"

#define VENDOR "ryll    "
#define REVISION "0001"

/* Bytes that READ CAPACITY(16) and VPD B0 give as the good size to align to. */
#define PHYSICAL_BLOCK 4096u

static unsigned int physical_exponent(const struct scsi_disk *disk)
{
	unsigned int e = 0;

	while (disk->block_size << e < PHYSICAL_BLOCK)
		e++;
	return e;
}

/* --- INQUIRY and vital product data (SPC-4 7.8, SBC-3 6.5) ------------------ */

static void put_identity(struct scsi_cmd *cmd, struct span_writer *w)
{
	uint64_t id = cmd->disk->image->identity;
	size_t serial = strlen(cmd->disk->serial);

	/* T10 vendor identification: vendor and serial number, ASCII */
	span_put_be(w, 0x02010000u | (uint32_t)(8 + serial), 4);
	span_put(w, VENDOR, 8);
	span_put(w, cmd->disk->serial, serial);
	/* NAA 3h, locally assigned: 60 bits of the image's identity */
	span_put_be(w, 0x01030008, 4);
	span_put_be(w, 0x3ull << 60 | (id & 0x0fffffffffffffff), 8);
}

static void put_serial(struct scsi_cmd *cmd, struct span_writer *w)
{
	span_put(w, cmd->disk->serial, strlen(cmd->disk->serial));
}

static void put_block_limits(struct scsi_cmd *cmd, struct span_writer *w)
{
	uint32_t physical = PHYSICAL_BLOCK / cmd->disk->block_size;

	span_put_be(w, 0, 2);	     /* WSNZ = 0; no COMPARE AND WRITE */
	span_put_be(w, physical, 2); /* optimal transfer granularity */
	span_put_be(w, 0, 4);	     /* maximum transfer: no limit */
	span_put_be(w, SCSI_WINDOW / cmd->disk->block_size, 4); /* optimal */
	span_put_be(w, 0, 4); /* maximum prefetch */
	span_put_be(w, cmd->disk->read_only ? 0 : UINT32_MAX,
		    4);					   /* unmap LBAs */
	span_put_be(w, cmd->disk->read_only ? 0 : 255, 4); /* unmap ranges */
	span_put_be(w, physical, 4);   /* optimal unmap granularity */
	span_put_be(w, 0x80000000, 4); /* its alignment: 0, valid */
	span_put_be(w, 0, 8);	       /* maximum WRITE SAME: no limit */
	span_put_zero(w, 64 - w->len);
}

static void put_characteristics(struct scsi_cmd *cmd, struct span_writer *w)
{
	(void)cmd;
	span_put_be(w, 1, 2); /* not a rotating medium */
	span_put_zero(w, 58);
}

static void put_provisioning(struct scsi_cmd *cmd, struct span_writer *w)
{
	bool unmap = !cmd->disk->read_only;

	span_put_be(w, 0, 1); /* threshold exponent */
	/* LBPU, LBPWS, LBPWS10; LBPRZ: unmapped blocks read as zeros */
	span_put_be(w,
		    !unmap			       ? 0
		    : cmd->disk->image->discard_zeroes ? 0xe4
						       : 0xe0,
		    1);
	span_put_be(w, unmap ? 2 : 0, 1); /* thin provisioned */
	span_put_be(w, 0, 1);
}

static void put_pages(struct scsi_cmd *cmd, struct span_writer *w);

#define BOTH (SCSI_ON_DISK | SCSI_ON_CD)
#define ANY (BOTH | SCSI_ON_ABSENT)

/* In ascending order. */
static const struct vpd_page {
	uint8_t page;
	unsigned int on; /* SCSI_ON_* */
	void (*put)(struct scsi_cmd *cmd, struct span_writer *w);
} vpd_pages[] = {
	{ 0x00, ANY, put_pages },
	{ 0x80, BOTH, put_serial },
	{ 0x83, BOTH, put_identity },
	{ 0xb0, SCSI_ON_DISK, put_block_limits },
	{ 0xb1, SCSI_ON_DISK, put_characteristics },
	{ 0xb2, SCSI_ON_DISK, put_provisioning },
};

static void put_pages(struct scsi_cmd *cmd, struct span_writer *w)
{
	for (size_t i = 0; i < ARRAY_SIZE(vpd_pages); i++)
		if (vpd_pages[i].on & cmd->disk->kind->on)
			span_put_be(w, vpd_pages[i].page, 1);
}

static void inquiry_vpd(struct scsi_cmd *cmd, uint8_t page)
{
	const struct vpd_page *found = NULL;
	uint8_t data[128];
	struct span_writer w = span_writer_of(data, sizeof(data));

	for (size_t i = 0; i < ARRAY_SIZE(vpd_pages); i++)
		if (vpd_pages[i].page == page &&
		    (vpd_pages[i].on & cmd->disk->kind->on))
			found = &vpd_pages[i];
	if (!found) {
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		return;
	}
	span_put_be(&w, cmd->disk->kind->peripheral, 1);
	span_put_be(&w, page, 1);
	span_put_be(&w, 0, 2); /* length, below */
	found->put(cmd, &w);
	data[3] = (uint8_t)(w.len - 4);
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

void scsi_inquiry(struct scsi_cmd *cmd)
{
	char product[17];
	uint8_t data[36];
	struct span_writer w = span_writer_of(data, sizeof(data));

	if (cmd->cdb[1] & 0x01) {
		inquiry_vpd(cmd, cmd->cdb[2]);
		return;
	}
	if (cmd->cdb[2]) { /* a page without EVPD */
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		return;
	}
	span_put_be(&w, cmd->disk->kind->peripheral, 1);
	span_put_be(&w, cmd->disk->removable ? 0x80 : 0, 1);
	span_put_be(&w, 0x06, 1); /* SPC-4 */
	span_put_be(&w, 0x02, 1); /* response data format */
	span_put_be(&w, sizeof(data) - 5, 1);
	span_put_zero(&w, 3);
	span_put(&w, VENDOR, 8);
	snprintf(product, sizeof(product), "%-16s", cmd->disk->kind->product);
	span_put(&w, product, 16);
	span_put(&w, REVISION, 4);
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

/* --- MODE SENSE (SPC-4 6.11, SBC-3 6.4, MMC-6) -------------------------------- */

#define PAGE_CACHING 0x08
#define PAGE_CONTROL 0x0a
#define PAGE_CD_CAPABILITIES 0x2a
#define PAGE_ALL 0x3f

/* Page control: current, changeable, default, saved. Nothing is changeable. */
#define PC_CHANGEABLE 1
#define PC_SAVED 3

static void put_caching(struct scsi_cmd *cmd, struct span_writer *w,
			bool values)
{
	span_put_be(w, 18, 1);
	/* WCE */
	span_put_be(w, values && cmd->disk->write_cache ? 0x04 : 0, 1);
	span_put_zero(w, 17);
}

static void put_control(struct scsi_cmd *cmd, struct span_writer *w,
			bool values)
{
	(void)cmd;
	(void)values;
	span_put_be(w, 10, 1);
	span_put_zero(w, 10);
}

/* In ascending order; put writes from the length on. */
static const struct mode_page {
	uint8_t page;
	unsigned int on; /* SCSI_ON_* */
	void (*put)(struct scsi_cmd *cmd, struct span_writer *w, bool values);
} mode_pages[] = {
	{ PAGE_CACHING, SCSI_ON_DISK, put_caching },
	{ PAGE_CONTROL, SCSI_ON_DISK, put_control },
	{ PAGE_CD_CAPABILITIES, SCSI_ON_CD, scsi_put_cd_capabilities },
};

/* The page, or all of them; how many. */
static unsigned int put_mode_pages(struct scsi_cmd *cmd, struct span_writer *w,
				   uint8_t page, bool values)
{
	unsigned int n = 0;

	for (size_t i = 0; i < ARRAY_SIZE(mode_pages); i++) {
		const struct mode_page *p = &mode_pages[i];

		if (!(p->on & cmd->disk->kind->on) ||
		    (page != p->page && page != PAGE_ALL))
			continue;
		span_put_be(w, p->page, 1);
		p->put(cmd, w, values);
		n++;
	}
	return n;
}

void scsi_mode_sense(struct scsi_cmd *cmd)
{
	struct scsi_disk *disk = cmd->disk;
	bool six = cmd->cdb[0] == SCSI_MODE_SENSE_6;
	/* MMC-6 (MODE SENSE): neither a block descriptor nor device parameters */
	bool block_device = disk->kind->on & SCSI_ON_DISK;
	bool no_descriptor = (cmd->cdb[1] & 0x08) || !block_device;
	uint8_t page = cmd->cdb[2] & 0x3f, pc = cmd->cdb[2] >> 6;
	uint8_t device = (uint8_t)((disk->read_only ? 0x80 : 0) | 0x10);
	uint8_t descriptor = no_descriptor ? 0 : 8;
	uint8_t data[128];
	struct span_writer w = span_writer_of(data, sizeof(data));

	span_put_be(&w, 0, six ? 1 : 2);	       /* length, below */
	span_put_be(&w, 0, 1);			       /* medium type */
	span_put_be(&w, block_device ? device : 0, 1); /* WP, DPOFUA */
	if (!six)
		span_put_be(&w, 0, 2);
	span_put_be(&w, descriptor, six ? 1 : 2);
	if (descriptor) {
		span_put_be(&w, MIN(disk->blocks, UINT32_MAX), 4);
		span_put_be(&w, disk->block_size, 4);
	}
	if (pc == PC_SAVED || (cmd->cdb[3] && cmd->cdb[3] != 0xff) ||
	    !put_mode_pages(cmd, &w, page, pc != PC_CHANGEABLE)) {
		scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
		return;
	}
	if (six)
		data[0] = (uint8_t)(w.len - 1);
	else
		data[1] = (uint8_t)(w.len - 2);
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

/* --- Capacities (SBC-3 5.15, 5.16; MMC-6 6.24) -------------------------------- */

void scsi_read_capacity_10(struct scsi_cmd *cmd)
{
	uint8_t data[8];
	struct span_writer w = span_writer_of(data, sizeof(data));

	/* All ones: too large, ask READ CAPACITY(16). */
	span_put_be(&w, MIN(cmd->disk->blocks - 1, UINT32_MAX), 4);
	span_put_be(&w, cmd->disk->block_size, 4);
	scsi_respond(cmd, data, w.len, w.len);
}

void scsi_read_capacity_16(struct scsi_cmd *cmd)
{
	uint8_t data[32];
	struct span_writer w = span_writer_of(data, sizeof(data));

	span_put_be(&w, cmd->disk->blocks - 1, 8);
	span_put_be(&w, cmd->disk->block_size, 4);
	span_put_be(&w, 0, 1); /* no protection */
	span_put_be(&w, physical_exponent(cmd->disk), 1);
	/* LBPME, LBPRZ; lowest aligned block 0 */
	span_put_be(&w,
		    cmd->disk->read_only	       ? 0
		    : cmd->disk->image->discard_zeroes ? 0xc000
						       : 0x8000,
		    2);
	span_put_zero(&w, 16);
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

void scsi_read_format_capacities(struct scsi_cmd *cmd)
{
	uint8_t data[12];
	struct span_writer w = span_writer_of(data, sizeof(data));

	span_put_be(&w, 8, 4); /* length of the list */
	span_put_be(&w, MIN(cmd->disk->blocks, UINT32_MAX), 4);
	/* 2: formatted, 3: no medium */
	span_put_be(&w, cmd->disk->ejected ? 3 : 2, 1);
	span_put_be(&w, cmd->disk->block_size, 3);
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

void scsi_report_luns(struct scsi_cmd *cmd)
{
	unsigned int n = cmd->disk->n_luns;
	uint8_t data[8 + 8 * SCSI_MAX_LUNS];
	struct span_writer w = span_writer_of(data, sizeof(data));

	span_put_be(&w, 8 * n, 4);
	span_put_be(&w, 0, 4);
	for (unsigned int i = 0; i < n; i++)
		span_put_be(&w, (uint64_t)i << 48, 8); /* flat: in byte 1 */
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

/* --- REPORT SUPPORTED OPERATION CODES (SPC-4 6.30) ---------------------------- */

static void put_command(struct span_writer *w, const struct scsi_command *c)
{
	span_put_be(w, c->opcode, 1);
	span_put_be(w, 0, 1);
	span_put_be(w, c->service_action < 0 ? 0 : (uint64_t)c->service_action,
		    2);
	span_put_be(w, 0, 1);
	span_put_be(w, c->service_action >= 0, 1); /* SERVACTV */
	span_put_be(w, scsi_cdb_size(c->opcode), 2);
}

static void report_all(struct scsi_cmd *cmd)
{
	uint8_t data[4 + 8 * 64];
	struct span_writer w = span_writer_of(data, sizeof(data));

	span_put_be(&w, 0, 4); /* length, below */
	for (unsigned int i = 0; i < scsi_n_commands; i++)
		if (scsi_has(cmd->disk, &scsi_commands[i]))
			put_command(&w, &scsi_commands[i]);
	data[2] = (uint8_t)((w.len - 4) >> 8);
	data[3] = (uint8_t)(w.len - 4);
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

static void report_one(struct scsi_cmd *cmd, uint8_t opcode, int sa)
{
	uint8_t data[4 + SCSI_CDB_SIZE];
	struct span_writer w = span_writer_of(data, sizeof(data));
	const struct scsi_command *found = NULL;

	for (unsigned int i = 0; i < scsi_n_commands; i++)
		if (scsi_commands[i].opcode == opcode &&
		    scsi_has(cmd->disk, &scsi_commands[i]) &&
		    scsi_commands[i].service_action == sa)
			found = &scsi_commands[i];
	span_put_be(&w, 0, 1);
	span_put_be(&w, found ? 3 : 1, 1); /* as the standard says, or not */
	span_put_be(&w, found ? scsi_cdb_size(opcode) : 0, 2);
	if (found) {
		span_put_be(&w, opcode, 1);
		span_put(&w, found->usage, scsi_cdb_size(opcode) - 1);
	}
	scsi_respond(cmd, data, w.len, scsi_decode_alloc(cmd->cdb));
}

static bool has_service_actions(uint8_t opcode)
{
	return opcode == SCSI_SERVICE_ACTION_IN_16 ||
	       opcode == SCSI_MAINTENANCE_IN;
}

void scsi_report_opcodes(struct scsi_cmd *cmd)
{
	uint8_t opcode = cmd->cdb[3];
	int sa = cmd->cdb[4] << 8 | cmd->cdb[5];

	switch (cmd->cdb[2] & 7) {
	case 0:
		report_all(cmd);
		return;
	case 1:
		if (has_service_actions(opcode))
			break;
		report_one(cmd, opcode, -1);
		return;
	case 2:
		if (!has_service_actions(opcode))
			break;
		report_one(cmd, opcode, sa);
		return;
	case 3:
		report_one(cmd, opcode, has_service_actions(opcode) ? sa : -1);
		return;
	}
	scsi_fail(cmd, SCSI_SENSE_INVALID_CDB_FIELD);
}
