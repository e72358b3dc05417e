// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The commands of a CD-ROM (MMC-6) with the right data and the right errors,
 * and which of a disk's commands it has. Driven through the transport.
 */
#include "../lib/rig.h"

#define BLOCK 2048u
#define BLOCKS 4600u /* 01:01:25 long, so that each of the three counts */
#define SIZE (BLOCKS * BLOCK)

static const struct disk_options cdrom = { .block_size = BLOCK,
					   .cdrom = true,
					   .serial = "CD-1" };

/* backed: bytes that are remembered, of a disc of any size. */
static void begin_sized(struct rig *rig, uint64_t size, uint64_t backed)
{
	rig_init(rig);
	rig->mem = mem_image_new(rig->loop, size, backed);
	rig->mem->image.read_only = true;
	rig_disk_over(rig, &rig->mem->image, &cdrom);
	rig_open_disk(rig, USB_SPEED_SUPER);
	for (uint64_t i = 0; i < backed; i++)
		rig->mem->data[i] = (uint8_t)(i * 13 + (i >> 11));
}

static void begin(struct rig *rig)
{
	begin_sized(rig, SIZE, SIZE);
}

static void begin_dvd(struct rig *rig)
{
	begin_sized(rig, 4ull << 30, 0);
}

static uint64_t be(const uint8_t *p, size_t n)
{
	struct span s = span_of(p, n);

	return span_be(&s, n);
}

#define B2(v) (uint8_t)((v) >> 8), (uint8_t)(v)
#define B4(v) B2((uint32_t)(v) >> 16), B2((uint32_t)(v)&0xffff)

/* The CDBs, with the allocation length n. */
#define READ_TOC(msf, format, track, n)                                        \
	CDB(0x43, (msf) ? 2 : 0, format, 0, 0, 0, track, B2(n))
#define GET_CONFIGURATION(rt, first, n) CDB(0x46, rt, B2(first), 0, 0, 0, B2(n))
#define GET_EVENT(polled, classes, n)                                          \
	CDB(0x4a, polled, 0, 0, classes, 0, 0, B2(n))
#define READ_DISC_INFO(type, n) CDB(0x51, type, 0, 0, 0, 0, 0, B2(n))
#define READ_TRACK_INFO(type, number, n) CDB(0x52, type, B4(number), 0, B2(n))
#define DISC_STRUCTURE(media, layer, format, n)                                \
	CDB(0xad, media, 0, 0, 0, 0, layer, format, B2(n))
#define MECHANISM_STATUS(n) CDB(0xbd, 0, 0, 0, 0, 0, 0, 0, B2(n))
#define READ_CD(sector, lba, n, parts)                                         \
	CDB(0xbe, (sector) << 2, B4(lba), 0, B2(n), parts)
#define EJECT CDB(0x1b, 0, 0, 0, 2)
#define LOAD CDB(0x1b, 0, 0, 0, 3)

static uint8_t d[4096]; /* what came last */

/* An answer of len bytes, with room for more, and cut to each shorter length. */
static void answers(struct rig *rig, const uint8_t *cdb, unsigned int at,
		    uint32_t len)
{
	uint8_t shorter[SCSI_CDB_SIZE], all[sizeof(d)];

	memcpy(shorter, cdb, sizeof(shorter));
	memset(d, 0xee, sizeof(d));
	assert_int_equal(rig_command(rig, RIG_IN, cdb, d, sizeof(d)),
			 BOT_PASSED);
	assert_int_equal(rig->actual, len);
	memcpy(all, d, len);
	for (uint32_t n = 0; n < len; n += len / 9 + 1) {
		shorter[at] = (uint8_t)(n >> 8);
		shorter[at + 1] = (uint8_t)n;
		assert_int_equal(rig_command(rig, RIG_IN, shorter, d, 4096),
				 BOT_PASSED);
		assert_int_equal(rig->actual, n);
		assert_memory_equal(d, all, n);
	}
	memcpy(d, all, len);
}

/* The same with the 16-bit length field of MMC in front. */
static void answers_sized(struct rig *rig, const uint8_t *cdb, unsigned int at,
			  uint32_t len)
{
	answers(rig, cdb, at, len);
	assert_int_equal(be(d, 2) + 2, len);
}

static void invalid(struct rig *rig, const uint8_t *cdb)
{
	rig_bad(rig, RIG_IN, cdb, d, sizeof(d), SCSI_SENSE_INVALID_CDB_FIELD);
}

/* --- What it is ------------------------------------------------------------------ */

static void test_inquiry(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 36), d, 36);
	assert_int_equal(d[0], 0x05);
	assert_int_equal(d[1], 0x80);
	assert_memory_equal(d + 8, "ryll    bridge CD-ROM   0001", 28);
	/* Pages: no block limits, no provisioning */
	rig_command(&rig, RIG_IN, CDB(0x12, 1, 0, 0, 255), d, 255);
	assert_int_equal(rig.actual, 4 + 3);
	assert_memory_equal(d, "\x05\x00\x00\x03\x00\x80\x83", 7);
	rig_command(&rig, RIG_IN, CDB(0x12, 1, 0x80, 0, 255), d, 255);
	assert_memory_equal(d,
			    "\x05\x80\x00\x04"
			    "CD-1",
			    8);
	invalid(&rig, CDB(0x12, 1, 0xb0, 0, 255));
	rig_fini(&rig);
}

/* Which opcodes there are; each kind lacks those that only the other has. */
static void test_opcodes(void **state)
{
	static const uint8_t known[] = { 0x00, 0x03, 0x12, 0x1a, 0x1b,
					 0x1e, 0x25, 0x28, 0x43, 0x46,
					 0x4a, 0x51, 0x52, 0x5a, 0xa0,
					 0xa8, 0xad, 0xbd, 0xbe };
	static const uint8_t own[] = { 0x43, 0x46, 0x4a, 0x51,
				       0x52, 0xad, 0xbd, 0xbe };
	static const struct disk_options disk = { .block_size = 512 };
	struct rig rig;

	(void)state;
	begin(&rig);
	for (unsigned int op = 0; op < 256; op++)
		if (!memchr(known, (int)op, sizeof(known)))
			rig_bad(&rig, RIG_NONE, CDB((uint8_t)op), NULL, 0,
				SCSI_SENSE_INVALID_OPCODE);
		else if (rig_command(&rig, RIG_IN, CDB((uint8_t)op), d, 4096) !=
			 BOT_PASSED)
			assert_int_not_equal(rig_sense(&rig),
					     SCSI_SENSE_INVALID_OPCODE);
	rig_fini(&rig);
	rig_disk_mem(&rig, SIZE, 0, &disk);
	for (size_t i = 0; i < sizeof(own); i++)
		rig_bad(&rig, RIG_NONE, CDB(own[i]), NULL, 0,
			SCSI_SENSE_INVALID_OPCODE);
	rig_fini(&rig);
}

static void test_mode_sense(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	/* No block descriptor, whatever DBD says; 2Ah is the only page. */
	for (unsigned int page = 0x2a; page <= 0x3f; page += 0x15) {
		rig_command(&rig, RIG_IN,
			    CDB(0x5a, 0, (uint8_t)page, 0, 0, 0, 0, B2(255)), d,
			    255);
		assert_int_equal(rig.actual, 8 + 22);
		assert_int_equal(be(d, 2), 8 + 22 - 2);
		assert_int_equal(be(d + 2, 6), 0);
		assert_int_equal(d[8], 0x2a);
		assert_int_equal(d[9], 20);
		assert_int_equal(d[10], 0x08); /* reads DVD-ROMs */
		assert_int_equal(d[11], 0);    /* writes nothing */
		assert_int_equal(d[14], 0x29); /* a tray that ejects, locks */
	}
	rig_command(&rig, RIG_IN, CDB(0x1a, 0, 0x2a, 0, 255), d, 255);
	assert_int_equal(rig.actual, 4 + 22);
	assert_int_equal(d[0], 4 + 22 - 1);
	assert_int_equal(d[3], 0);
	assert_int_equal(d[4], 0x2a);
	rig_good(&rig, RIG_IN, CDB(0x1a, 0, 0x2a, 0, 6), d, 6);
	/* Locked shows. */
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 1), NULL, 0);
	rig_command(&rig, RIG_IN, CDB(0x1a, 0, 0x2a, 0, 255), d, 255);
	assert_int_equal(d[4 + 6], 0x2b);
	/* Nothing is changeable. */
	rig_command(&rig, RIG_IN, CDB(0x1a, 0, 0x6a, 0, 255), d, 255);
	assert_int_equal(d[5], 20);
	for (int i = 6; i < 26; i++)
		assert_int_equal(d[i], 0);
	invalid(&rig, CDB(0x1a, 0, 0x08, 0, 255)); /* a disk's */
	invalid(&rig, CDB(0x1a, 0, 0xea, 0, 255)); /* saved */
	rig_fini(&rig);
}

/* --- Reading ------------------------------------------------------------------------ */

static void test_capacity(void **state)
{
	struct rig rig;

	(void)state;
	begin_sized(&rig, SIZE + 1000, SIZE);
	rig_good(&rig, RIG_IN, CDB(0x25), d, 8);
	assert_int_equal(be(d, 4), BLOCKS - 1);
	assert_int_equal(be(d + 4, 4), BLOCK);
	rig_fini(&rig);
}

static void test_read(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_IN, CDB(0x28, 0, B4(7), 0, B2(2)), d, 2 * BLOCK);
	assert_memory_equal(d, rig.mem->data + 7 * BLOCK, 2 * BLOCK);
	rig_good(&rig, RIG_IN, CDB(0xa8, 0, B4(BLOCKS - 1), B4(1)), d, BLOCK);
	assert_memory_equal(d, rig.mem->data + SIZE - BLOCK, BLOCK);
	rig_bad(&rig, RIG_IN, CDB(0x28, 0, B4(BLOCKS), 0, B2(1)), d, BLOCK,
		SCSI_SENSE_LBA_RANGE);
	rig_fini(&rig);
}

static void test_read_cd(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	for (uint8_t sector = 0; sector <= 2; sector += 2) {
		rig_good(&rig, RIG_IN, READ_CD(sector, 9, 2, 0x10), d,
			 2 * BLOCK);
		assert_memory_equal(d, rig.mem->data + 9 * BLOCK, 2 * BLOCK);
	}
	/* No part of the sectors is wanted. */
	rig_good(&rig, RIG_NONE, READ_CD(0, 9, 2, 0), NULL, 0);
	rig_bad(&rig, RIG_IN, READ_CD(0, BLOCKS - 1, 2, 0x10), d, 2 * BLOCK,
		SCSI_SENSE_LBA_RANGE);
	/* 24 bits of length */
	rig_bad(&rig, RIG_IN, CDB(0xbe, 0, B4(0), 1, B2(0), 0x10), d, 2 * BLOCK,
		SCSI_SENSE_LBA_RANGE);
	invalid(&rig, READ_CD(1, 9, 1, 0x10));		       /* music */
	invalid(&rig, READ_CD(3, 9, 1, 0x10));		       /* mode 2 */
	invalid(&rig, READ_CD(0, 9, 1, 0xf8));		       /* raw */
	invalid(&rig, CDB(0xbe, 0, B4(9), 0, B2(1), 0x10, 1)); /* subchannel */
	rig_fini(&rig);
}

/* --- READ TOC/PMA/ATIP ------------------------------------------------------------- */

static void test_toc(void **state)
{
	/* 4600 + 150 frames: 01:03:25 */
	static const uint8_t lba[] = { 0, 18, 1, 1, 0,	  0x14, 1, 0,	      0,
				       0, 0,  0, 0, 0x14, 0xaa, 0, B4(BLOCKS) };
	static const uint8_t msf[] = {
		0, 18, 1, 1,	0,    0x14, 1, 0, 0, 0,
		2, 0,  0, 0x14, 0xaa, 0,    0, 1, 3, 25
	};
	struct rig rig;

	(void)state;
	begin(&rig);
	answers_sized(&rig, READ_TOC(0, 0, 0, 4096), 7, 20);
	assert_memory_equal(d, lba, 20);
	answers_sized(&rig, READ_TOC(1, 0, 1, 4096), 7, 20);
	assert_memory_equal(d, msf, 20);
	/* From the lead-out on */
	answers_sized(&rig, READ_TOC(0, 0, 0xaa, 4096), 7, 12);
	assert_memory_equal(d + 4, lba + 12, 8);
	invalid(&rig, READ_TOC(0, 0, 2, 4096));
	rig_fini(&rig);
}

static void test_toc_sessions(void **state)
{
	static const uint8_t want[] = {
		0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0
	};
	struct rig rig;

	(void)state;
	begin(&rig);
	answers_sized(&rig, READ_TOC(0, 1, 0, 4096), 7, 12);
	assert_memory_equal(d, want, 12);
	answers_sized(&rig, READ_TOC(1, 1, 0, 4096), 7, 12);
	assert_int_equal(be(d + 8, 4), 0x000200);
	rig_fini(&rig);
}

static void test_toc_full(void **state)
{
	static const uint8_t want[] = {
		0, 46,	 1, 1, /* header, then points A0, A1, A2, 1 */
		1, 0x14, 0, 0xa0, 0, 0, 0, 0, 1, 0, 0,	/* */
		1, 0x14, 0, 0xa1, 0, 0, 0, 0, 1, 0, 0,	/* */
		1, 0x14, 0, 0xa2, 0, 0, 0, 0, 1, 3, 25, /* */
		1, 0x14, 0, 1,	  0, 0, 0, 0, 0, 2, 0,
	};
	struct rig rig;

	(void)state;
	begin(&rig);
	answers_sized(&rig, READ_TOC(1, 2, 1, 4096), 7, sizeof(want));
	assert_memory_equal(d, want, sizeof(want));
	invalid(&rig, READ_TOC(1, 2, 2, 4096));
	invalid(&rig, READ_TOC(1, 3, 0, 4096)); /* PMA */
	invalid(&rig, READ_TOC(1, 4, 0, 4096)); /* ATIP */
	invalid(&rig, READ_TOC(1, 5, 0, 4096)); /* CD-Text */
	rig_fini(&rig);
}

/* Minutes do not go on where a byte ends. */
static void test_toc_dvd(void **state)
{
	struct rig rig;

	(void)state;
	begin_dvd(&rig);
	answers_sized(&rig, READ_TOC(1, 0, 0xaa, 4096), 7, 12);
	assert_int_equal(be(d + 8, 4), 255 << 16 | 59 << 8 | 74);
	answers_sized(&rig, READ_TOC(0, 0, 0xaa, 4096), 7, 12);
	assert_int_equal(be(d + 8, 4), 2 << 20);
	rig_fini(&rig);
}

/* --- GET CONFIGURATION ------------------------------------------------------------- */

/* The feature in the answer d; NULL: not there. */
static const uint8_t *feature(uint16_t code)
{
	uint32_t end = (uint32_t)be(d, 4) + 4;

	for (uint32_t at = 8; at < end; at += 4u + d[at + 3]) {
		assert_true(at + 4 + d[at + 3] <= end);
		if (be(d + at, 2) == code)
			return d + at;
	}
	return NULL;
}

static void configuration(struct rig *rig, uint8_t rt, uint16_t first)
{
	rig_command(rig, RIG_IN, GET_CONFIGURATION(rt, first, 4096), d, 4096);
	assert_int_equal(rig->actual, be(d, 4) + 4);
}

static void test_configuration(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	answers(&rig, GET_CONFIGURATION(0, 0, 4096), 7,
		8 + 12 + 12 + 8 + 12 + 8 + 4);
	assert_int_equal(be(d, 4), 60);
	assert_int_equal(be(d + 6, 2), 0x0008); /* CD-ROM */
	assert_memory_equal(feature(0),
			    "\x00\x00\x03\x08"
			    "\x00\x10\x00\x00\x00\x08\x01\x00",
			    12);
	assert_int_equal(be(feature(1) + 4, 4), 8); /* USB */
	assert_int_equal(feature(1)[2] & 3, 3);	    /* persistent, current */
	assert_int_equal(feature(3)[4], 0x29);
	assert_int_equal(be(feature(0x10) + 4, 4), BLOCK);
	assert_int_equal(feature(0x10)[2] & 3, 1);
	assert_int_equal(feature(0x1e)[2] & 3, 1);
	assert_int_equal(feature(0x1f)[2] & 3, 0);
	rig_fini(&rig);
}

static void test_configuration_asked(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	configuration(&rig, 0, 0x10); /* from there on */
	assert_null(feature(3));
	assert_non_null(feature(0x10));
	assert_non_null(feature(0x1f));
	configuration(&rig, 1, 0); /* current ones */
	assert_non_null(feature(0x1e));
	assert_null(feature(0x1f));
	configuration(&rig, 2, 0x1f); /* that one */
	assert_int_equal(rig.actual, 8 + 4);
	assert_non_null(feature(0x1f));
	configuration(&rig, 2, 0x21); /* that there is not */
	assert_int_equal(rig.actual, 8);
	invalid(&rig, GET_CONFIGURATION(3, 0, 4096));
	rig_fini(&rig);
}

static void test_configuration_dvd(void **state)
{
	struct rig rig;

	(void)state;
	begin_dvd(&rig);
	configuration(&rig, 0, 0);
	assert_int_equal(be(d + 6, 2), 0x0010);
	assert_int_equal(feature(0)[6], 1);
	assert_int_equal(feature(0)[10], 0);
	assert_int_equal(feature(0x1e)[2] & 3, 0);
	assert_int_equal(feature(0x1f)[2] & 3, 1);
	/* No disc, no profile */
	rig_good(&rig, RIG_NONE, EJECT, NULL, 0);
	configuration(&rig, 0, 0);
	assert_int_equal(be(d + 6, 2), 0);
	assert_int_equal(feature(0)[6], 0);
	assert_int_equal(feature(0x10)[2] & 3, 0);
	rig_fini(&rig);
}

/* The line between CDs and DVDs */
static void test_profile_limit(void **state)
{
	struct rig rig;

	(void)state;
	for (uint32_t more = 0; more < 2; more++) {
		begin_sized(&rig, (900000000 / BLOCK + more) * BLOCK, 0);
		configuration(&rig, 0, 0);
		assert_int_equal(be(d + 6, 2), more ? 0x0010 : 0x0008);
		rig_fini(&rig);
	}
}

/* --- Events, the tray ---------------------------------------------------------------- */

static void expect_event(struct rig *rig, uint8_t event, uint8_t status)
{
	rig_good(rig, RIG_IN, GET_EVENT(1, 0x10, 8), d, 8);
	assert_memory_equal(d, "\x00\x06\x04\x10", 4);
	assert_int_equal(d[4], event);
	assert_int_equal(d[5], status);
	assert_int_equal(be(d + 6, 2), 0);
}

static void test_events(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	expect_event(&rig, 0, 2); /* no change, there is a medium */
	rig_good(&rig, RIG_NONE, EJECT, NULL, 0);
	/* One that there is no room for stays; it is told once. */
	rig_good(&rig, RIG_IN, GET_EVENT(1, 0x10, 4), d, 4);
	expect_event(&rig, 3, 1); /* removal, the tray is open */
	expect_event(&rig, 0, 1);
	rig_good(&rig, RIG_NONE, EJECT, NULL, 0);
	expect_event(&rig, 0, 1); /* once more is no change */
	rig_good(&rig, RIG_NONE, LOAD, NULL, 0);
	expect_event(&rig, 2, 2); /* and it does not take the attention */
	rig_bad(&rig, RIG_NONE, CDB(0x00), NULL, 0, SCSI_SENSE_MEDIUM_CHANGED);
	expect_event(&rig, 0, 2);
	/* Other classes: none */
	rig_good(&rig, RIG_IN, GET_EVENT(1, 0x02, 4), d, 4);
	assert_memory_equal(d, "\x00\x02\x80\x10", 4);
	answers_sized(&rig, GET_EVENT(1, 0xff, 4096), 7, 8);
	invalid(&rig, GET_EVENT(0, 0x10, 8)); /* asynchronous */
	rig_fini(&rig);
}

/* A reset closes the tray. */
static void test_event_of_reset(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, EJECT, NULL, 0);
	rig_close(&rig);
	rig_open_disk(&rig, USB_SPEED_SUPER);
	expect_event(&rig, 2, 2);
	rig_fini(&rig);
}

static void test_ejected(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 1), NULL, 0);
	rig_bad(&rig, RIG_NONE, EJECT, NULL, 0, SCSI_SENSE_REMOVAL_PREVENTED);
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 0), NULL, 0);
	rig_good(&rig, RIG_NONE, EJECT, NULL, 0);
	rig_bad(&rig, RIG_NONE, CDB(0x00), NULL, 0, 0x023a02);
	rig_bad(&rig, RIG_IN, READ_TOC(0, 0, 0, 20), d, 20, 0x023a02);
	rig_bad(&rig, RIG_IN, READ_CD(0, 0, 1, 0x10), d, BLOCK, 0x023a02);
	rig_bad(&rig, RIG_IN, READ_DISC_INFO(0, 34), d, 34, 0x023a02);
	rig_bad(&rig, RIG_IN, READ_TRACK_INFO(0, 0, 36), d, 36, 0x023a02);
	rig_bad(&rig, RIG_IN, CDB(0x25), d, 8, 0x023a02);
	answers(&rig, MECHANISM_STATUS(4096), 8, 8);
	assert_int_equal(d[1], 0x10);
	rig_good(&rig, RIG_NONE, LOAD, NULL, 0);
	rig_bad(&rig, RIG_NONE, CDB(0x00), NULL, 0, SCSI_SENSE_MEDIUM_CHANGED);
	rig_test_unit_ready(&rig);
	rig_fini(&rig);
}

/* --- The disc and its track ----------------------------------------------------------- */

static void test_disc_info(void **state)
{
	static const uint8_t want[] = { 0, 32, 0x0e, 1, 1, 1, 1, 0x20, 0 };
	struct rig rig;

	(void)state;
	begin(&rig);
	answers_sized(&rig, READ_DISC_INFO(0, 4096), 7, 34);
	assert_memory_equal(d, want, sizeof(want));
	invalid(&rig, READ_DISC_INFO(1, 34));
	rig_fini(&rig);
}

static void test_track_info(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	for (uint8_t type = 0; type <= 2; type++) {
		answers_sized(&rig, READ_TRACK_INFO(type, 1, 4096), 7, 36);
		assert_int_equal(d[2], 1);
		assert_int_equal(d[3], 1);
		assert_int_equal(d[5], 4);
		assert_int_equal(be(d + 8, 4), 0);
		assert_int_equal(be(d + 24, 4), BLOCKS);
	}
	rig_bad(&rig, RIG_IN, READ_TRACK_INFO(0, BLOCKS, 36), d, 36,
		SCSI_SENSE_LBA_RANGE);
	invalid(&rig, READ_TRACK_INFO(1, 2, 36));
	invalid(&rig, READ_TRACK_INFO(1, 0xff, 36));
	invalid(&rig, READ_TRACK_INFO(2, 0, 36));
	invalid(&rig, READ_TRACK_INFO(3, 1, 36));
	rig_fini(&rig);
}

static void test_mechanism_status(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	answers(&rig, MECHANISM_STATUS(4096), 8, 8);
	assert_memory_equal(d, "\0\0\0\0\0\1\0\0", 8);
	rig_fini(&rig);
}

static void test_disc_structure(void **state)
{
	struct rig rig;

	(void)state;
	begin_dvd(&rig);
	answers_sized(&rig, DISC_STRUCTURE(0, 0, 0, 4096), 8, 2052);
	assert_int_equal(d[4] >> 4, 0); /* DVD-ROM */
	assert_int_equal(be(d + 8, 4), 0x30000);
	assert_int_equal(be(d + 12, 4), 0x30000 + (2 << 20) - 1);
	invalid(&rig, DISC_STRUCTURE(1, 0, 0, 4096));
	invalid(&rig, DISC_STRUCTURE(0, 1, 0, 4096));
	invalid(&rig, DISC_STRUCTURE(0, 0, 1, 4096));
	rig_fini(&rig);
	begin(&rig);
	invalid(&rig, DISC_STRUCTURE(0, 0, 0, 4096)); /* a CD has none */
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inquiry),
		cmocka_unit_test(test_opcodes),
		cmocka_unit_test(test_mode_sense),
		cmocka_unit_test(test_capacity),
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_cd),
		cmocka_unit_test(test_toc),
		cmocka_unit_test(test_toc_sessions),
		cmocka_unit_test(test_toc_full),
		cmocka_unit_test(test_toc_dvd),
		cmocka_unit_test(test_configuration),
		cmocka_unit_test(test_configuration_asked),
		cmocka_unit_test(test_configuration_dvd),
		cmocka_unit_test(test_profile_limit),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_event_of_reset),
		cmocka_unit_test(test_ejected),
		cmocka_unit_test(test_disc_info),
		cmocka_unit_test(test_track_info),
		cmocka_unit_test(test_mechanism_status),
		cmocka_unit_test(test_disc_structure),
	};

	log_level = LOG_LEVEL_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
