// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/scsi.h"

void scsi_encode_sense(uint8_t out[SCSI_FIXED_SENSE_SIZE], scsi_sense sense)
{
	memset(out, 0, SCSI_FIXED_SENSE_SIZE);
	out[0] = 0x70; /* current error, fixed format */
	out[2] = (uint8_t)(sense >> 16);
	out[7] = SCSI_FIXED_SENSE_SIZE - 8;
	out[12] = (uint8_t)(sense >> 8);
	out[13] = (uint8_t)sense;
}

unsigned int scsi_cdb_size(uint8_t opcode)
{
	switch (opcode >> 5) {
	case 0:
		return 6;
	case 1:
	case 2:
		return 10;
	case 4:
		return 16;
	case 5:
		return 12;
	default:
		return 0;
	}
}

struct scsi_range scsi_decode_range(const uint8_t cdb[SCSI_CDB_SIZE])
{
	struct span s = span_of(cdb + 1, SCSI_CDB_SIZE - 1);
	struct scsi_range r = { 0 };

	switch (scsi_cdb_size(cdb[0])) {
	case 6: /* 21 bits of address */
		r.lba = span_be(&s, 3) & 0x1fffff;
		r.blocks = span_u8(&s);
		if (!r.blocks)
			r.blocks = 256;
		break;
	case 10:
		span_take(&s, 1);
		r.lba = span_be(&s, 4);
		span_take(&s, 1);
		r.blocks = span_be(&s, 2);
		break;
	case 12:
		span_take(&s, 1);
		r.lba = span_be(&s, 4);
		r.blocks = span_be(&s, cdb[0] == SCSI_READ_CD ? 3 : 4);
		break;
	case 16:
		span_take(&s, 1);
		r.lba = span_be(&s, 8);
		r.blocks = span_be(&s, 4);
		break;
	default:
		break;
	}
	return r;
}

uint32_t scsi_decode_alloc(const uint8_t cdb[SCSI_CDB_SIZE])
{
	struct span s = span_of(cdb, SCSI_CDB_SIZE);

	switch (cdb[0]) {
	case SCSI_REQUEST_SENSE:
	case SCSI_MODE_SENSE_6:
		span_take(&s, 4);
		return span_u8(&s);
	case SCSI_INQUIRY:
		span_take(&s, 3);
		return (uint32_t)span_be(&s, 2);
	case SCSI_READ_FORMAT_CAPACITIES:
	case SCSI_UNMAP:
	case SCSI_MODE_SENSE_10:
	case SCSI_READ_TOC:
	case SCSI_GET_CONFIGURATION:
	case SCSI_GET_EVENT:
	case SCSI_READ_DISC_INFO:
	case SCSI_READ_TRACK_INFO:
		span_take(&s, 7);
		return (uint32_t)span_be(&s, 2);
	case SCSI_READ_DISC_STRUCTURE:
	case SCSI_MECHANISM_STATUS:
		span_take(&s, 8);
		return (uint32_t)span_be(&s, 2);
	case SCSI_REPORT_LUNS:
	case SCSI_MAINTENANCE_IN:
		span_take(&s, 6);
		return (uint32_t)span_be(&s, 4);
	case SCSI_SERVICE_ACTION_IN_16:
		span_take(&s, 10);
		return (uint32_t)span_be(&s, 4);
	default:
		return 0;
	}
}

struct scsi_msf scsi_msf_of(uint64_t lba)
{
	const uint64_t last = 256 * 60 * SCSI_CD_FRAMES - 1;
	uint64_t frame = lba < last ? lba + SCSI_CD_LEAD_IN : last;
	struct scsi_msf msf;

	frame = MIN(frame, last);
	msf.m = (uint8_t)(frame / SCSI_CD_FRAMES / 60);
	msf.s = (uint8_t)(frame / SCSI_CD_FRAMES % 60);
	msf.f = (uint8_t)(frame % SCSI_CD_FRAMES);
	return msf;
}

int scsi_decode_unmap(struct span list, unsigned int *n)
{
	size_t size = list.len;
	size_t data_len, descriptors;

	data_len = (size_t)span_be(&list, 2);
	descriptors = (size_t)span_be(&list, 2);
	if (size < SCSI_UNMAP_HEADER)
		return -EPROTO;
	if (data_len + 2 > size || descriptors + SCSI_UNMAP_HEADER > size ||
	    descriptors % SCSI_UNMAP_DESCRIPTOR)
		return -EPROTO;
	*n = (unsigned int)(descriptors / SCSI_UNMAP_DESCRIPTOR);
	return 0;
}

struct scsi_range scsi_decode_unmap_range(struct span list, unsigned int i)
{
	struct scsi_range r;

	span_take(&list, SCSI_UNMAP_HEADER + (size_t)i * SCSI_UNMAP_DESCRIPTOR);
	r.lba = span_be(&list, 8);
	r.blocks = span_be(&list, 4);
	return r;
}
