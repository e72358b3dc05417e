/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bulk-Only Transport wrappers (USB Mass Storage Class, Bulk-Only Transport
 * 1.0, section 5).
 */
#ifndef WIRE_BOT_H
#define WIRE_BOT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define BOT_CBW_SIZE 31
#define BOT_CSW_SIZE 13

/* Class requests, section 3 */
#define BOT_REQUEST_RESET 0xff
#define BOT_REQUEST_GET_MAX_LUN 0xfe

enum bot_status {
	BOT_PASSED = 0,
	BOT_FAILED = 1,
	BOT_PHASE_ERROR = 2,
};

struct bot_cbw {
	uint32_t tag;
	uint32_t length; /* bytes the host expects to move */
	bool in; /* direction of the data, of no meaning when length is 0 */
	uint8_t lun;
	uint8_t cdb_len; /* 1..16 */
	uint8_t cdb[16]; /* zeros behind cdb_len */
};

/*
 * -EPROTO for a wrapper that is not valid (section 6.2.1: size, signature) or
 * not meaningful (6.2.2: reserved bits, command length).
 */
int must_check bot_decode_cbw(struct span in, struct bot_cbw *cbw);

/* out holds BOT_CSW_SIZE bytes. */
void bot_encode_csw(uint8_t *out, uint32_t tag, uint32_t residue,
		    enum bot_status status);

#endif
