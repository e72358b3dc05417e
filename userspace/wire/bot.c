// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/bot.h"

#define CBW_SIGNATURE 0x43425355
#define CSW_SIGNATURE 0x53425355

int bot_decode_cbw(struct span in, struct bot_cbw *cbw)
{
	size_t size = in.len;
	uint32_t signature;
	const uint8_t *cdb;
	uint8_t flags;

	memset(cbw, 0, sizeof(*cbw));
	signature = (uint32_t)span_le(&in, 4);
	cbw->tag = (uint32_t)span_le(&in, 4);
	cbw->length = (uint32_t)span_le(&in, 4);
	flags = span_u8(&in);
	cbw->lun = span_u8(&in);
	cbw->cdb_len = span_u8(&in);
	cdb = span_take(&in, sizeof(cbw->cdb));
	if (!cdb || size != BOT_CBW_SIZE || signature != CBW_SIGNATURE)
		return -EPROTO;
	if ((flags & 0x7f) || (cbw->lun & 0xf0) || !cbw->cdb_len ||
	    cbw->cdb_len > sizeof(cbw->cdb))
		return -EPROTO;
	memcpy(cbw->cdb, cdb, cbw->cdb_len);
	cbw->in = flags & 0x80;
	return 0;
}

void bot_encode_csw(uint8_t *out, uint32_t tag, uint32_t residue,
		    enum bot_status status)
{
	struct span_writer w = span_writer_of(out, BOT_CSW_SIZE);

	span_put_le(&w, CSW_SIGNATURE, 4);
	span_put_le(&w, tag, 4);
	span_put_le(&w, residue, 4);
	span_put_le(&w, status, 1);
}
