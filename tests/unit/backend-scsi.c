// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Every command of the disk with the right data and the right errors (SPC-4,
 * SBC-3), and what becomes of an image's failures. Driven through the
 * transport, as a guest does it.
 */
#include "../lib/rig.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>

#define BLOCK 512u
#define BLOCKS 2048u
#define DISK_SIZE (BLOCKS * BLOCK)

static const struct disk_options plain = { .block_size = BLOCK,
					   .serial = "SERIAL-1" };

static void begin(struct rig *rig)
{
	rig_disk_mem(rig, DISK_SIZE, DISK_SIZE, &plain);
	for (uint32_t i = 0; i < DISK_SIZE; i++)
		rig->mem->data[i] = (uint8_t)(i * 13 + (i >> 9));
}

static void begin_read_only(struct rig *rig)
{
	rig_init(rig);
	rig->mem = mem_image_new(rig->loop, DISK_SIZE, DISK_SIZE);
	rig->mem->image.read_only = true;
	rig_disk_over(rig, &rig->mem->image, &plain);
	rig_open_disk(rig, USB_SPEED_SUPER);
}

static void fail_none(struct rig *rig, const uint8_t *cdb, scsi_sense sense)
{
	rig_bad(rig, RIG_NONE, cdb, NULL, 0, sense);
}

static uint64_t be(const uint8_t *p, size_t n)
{
	struct span s = span_of(p, n);

	return span_be(&s, n);
}

/* A block filled with one byte. */
static uint8_t *filled(uint8_t byte)
{
	static uint8_t block[BLOCK];

	memset(block, byte, sizeof(block));
	return block;
}

static void expect_zeros(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(p[i], 0);
}

/* Bytes lba and blocks of a CDB, and whole CDBs. */
#define B2(v) (uint8_t)((v) >> 8), (uint8_t)(v)
#define B4(v) B2((uint32_t)(v) >> 16), B2((uint32_t)(v)&0xffff)
#define B8(v) B4((uint64_t)(v) >> 32), B4((uint64_t)(v)&0xffffffff)

#define CDB_6(op, lba, n) CDB(op, (uint8_t)((lba) >> 16), B2(lba), n)
#define CDB_10(op, flags, lba, n) CDB(op, flags, B4(lba), 0, B2(n))
#define CDB_12(op, flags, lba, n) CDB(op, flags, B4(lba), B4(n))
#define CDB_16(op, flags, lba, n) CDB(op, flags, B8(lba), B4(n))

#define SYNC_10 CDB(0x35)
#define FUA 0x08

/* --- INQUIRY ------------------------------------------------------------------ */

static void test_inquiry(void **state)
{
	uint8_t d[96];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(
		rig_command(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 96), d, sizeof(d)),
		BOT_PASSED);
	assert_int_equal(rig.actual, 36);
	assert_int_equal(d[0], 0x00); /* a disk, connected */
	assert_int_equal(d[1], 0x80); /* removable */
	assert_int_equal(d[2], 0x06);
	assert_int_equal(d[3] & 0x0f, 2);
	assert_int_equal(d[4], 36 - 5);
	assert_memory_equal(d + 8, "ryll    bridge disk     0001", 28);
	/* Hosts ask for the first five bytes first. */
	rig_good(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 5), d, 5);
	/* The allocation length has 16 bits. */
	assert_int_equal(
		rig_command(&rig, RIG_IN, CDB(0x12, 0, 0, 1, 0), d, sizeof(d)),
		BOT_PASSED);
	assert_int_equal(rig.actual, 36);
	rig_bad(&rig, RIG_IN, CDB(0x12, 0, 0x80, 0, 96), d, 96,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_fini(&rig);
}

static void test_inquiry_fixed(void **state)
{
	static const struct disk_options fixed = { .block_size = BLOCK,
						   .fixed = true };
	uint8_t d[36];
	struct rig rig;

	(void)state;
	rig_disk_mem(&rig, DISK_SIZE, 0, &fixed);
	rig_good(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 36), d, 36);
	assert_int_equal(d[1], 0);
	fail_none(&rig, CDB(0x1b, 0, 0, 0, 2), SCSI_SENSE_INVALID_CDB_FIELD);
	rig_test_unit_ready(&rig);
	rig_fini(&rig);
}

/* Reads a page; its length field covers what came. */
static uint32_t vpd(struct rig *rig, uint8_t page, uint8_t *d)
{
	assert_int_equal(
		rig_command(rig, RIG_IN, CDB(0x12, 1, page, 0, 255), d, 255),
		BOT_PASSED);
	assert_int_equal(d[0], 0);
	assert_int_equal(d[1], page);
	assert_int_equal(be(d + 2, 2) + 4, rig->actual);
	return rig->actual;
}

static void test_vpd_00(void **state)
{
	uint8_t d[255];
	uint32_t len;
	struct rig rig;

	(void)state;
	begin(&rig);
	len = vpd(&rig, 0x00, d);
	assert_int_equal(len, 4 + 6);
	assert_memory_equal(d + 4, "\x00\x80\x83\xb0\xb1\xb2", 6);
	/* What the list names, there is; in ascending order. */
	for (uint32_t i = 4; i < len; i++) {
		uint8_t page[255];

		vpd(&rig, d[i], page);
		assert_true(i == 4 || d[i] > d[i - 1]);
	}
	rig_bad(&rig, RIG_IN, CDB(0x12, 1, 0x81, 0, 255), d, 255,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_fini(&rig);
}

static void test_vpd_80(void **state)
{
	uint8_t d[255];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(vpd(&rig, 0x80, d), 4 + 8);
	assert_memory_equal(d + 4, "SERIAL-1", 8);
	rig_fini(&rig);
}

static void test_vpd_83(void **state)
{
	unsigned int types = 0;
	uint8_t d[255];
	uint32_t len;
	struct rig rig;

	(void)state;
	begin(&rig);
	len = vpd(&rig, 0x83, d);
	for (uint32_t at = 4; at < len; at += 4u + d[at + 3]) {
		assert_true(at + 4 + d[at + 3] <= len);
		types |= 1u << (d[at + 1] & 0x0f);
		if ((d[at + 1] & 0x0f) == 1) /* T10 vendor: ASCII */
			assert_memory_equal(d + at + 4, "ryll    SERIAL-1", 16);
		if ((d[at + 1] & 0x0f) == 3) /* NAA 3h, locally assigned */
			assert_int_equal(d[at + 4] >> 4, 3);
	}
	assert_int_equal(types, 1 << 1 | 1 << 3);
	rig_fini(&rig);
}

static void test_vpd_b0_b1_b2(void **state)
{
	uint8_t d[255];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(vpd(&rig, 0xb0, d), 64);
	assert_int_equal(be(d + 6, 2), 8);	     /* granularity: 4 KiB */
	assert_int_equal(be(d + 20, 4), 0xffffffff); /* unmap LBAs */
	assert_int_equal(be(d + 24, 4), 255);	     /* unmap descriptors */
	assert_int_equal(vpd(&rig, 0xb1, d), 64);
	assert_int_equal(be(d + 4, 2), 1); /* does not rotate */
	assert_int_equal(vpd(&rig, 0xb2, d), 8);
	assert_int_equal(d[5], 0xe4); /* LBPU LBPWS LBPWS10 LBPRZ */
	assert_int_equal(d[6] & 7, 2);
	rig_fini(&rig);
	/* What cannot be written cannot be unmapped. */
	begin_read_only(&rig);
	vpd(&rig, 0xb0, d);
	assert_int_equal(be(d + 20, 8), 0);
	vpd(&rig, 0xb2, d);
	assert_int_equal(d[5], 0);
	rig_fini(&rig);
}

/* --- Sense and attention -------------------------------------------------------- */

static void test_unit_attention(void **state)
{
	uint8_t d[36];
	struct rig rig;

	(void)state;
	rig_init(&rig);
	rig.mem = mem_image_new(rig.loop, DISK_SIZE, 0);
	rig_disk_over(&rig, &rig.mem->image, &plain);
	rig_open(&rig, USB_SPEED_SUPER);
	/* INQUIRY and REPORT LUNS neither meet it nor clear it. */
	rig_good(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 36), d, 36);
	rig_good(&rig, RIG_IN, CDB(0xa0, 0, 0, 0, 0, 0, B4(16)), d, 16);
	fail_none(&rig, CDB(0x00), SCSI_SENSE_POWER_ON);
	rig_test_unit_ready(&rig); /* once */
	/* REQUEST SENSE reports it, too, and clears it. */
	rig_close(&rig);
	rig_open(&rig, USB_SPEED_SUPER);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_POWER_ON);
	rig_test_unit_ready(&rig);
	rig_fini(&rig);
}

static void test_request_sense(void **state)
{
	uint8_t d[18];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_NONE);
	assert_int_equal(rig_command(&rig, RIG_NONE, CDB(0xff), NULL, 0),
			 BOT_FAILED);
	/* A short one sees the key, and clears the rest with it. */
	rig_good(&rig, RIG_IN, CDB(0x03, 0, 0, 0, 3), d, 3);
	assert_int_equal(d[2], 5);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_NONE);
	/* No descriptor format. */
	rig_bad(&rig, RIG_IN, CDB(0x03, 1, 0, 0, 18), d, 18,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_fini(&rig);
}

/* Sense is about the last command, not about one before it (SAM-5). */
static void test_sense_is_not_stale(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_command(&rig, RIG_NONE, CDB(0xff), NULL, 0),
			 BOT_FAILED);
	rig_test_unit_ready(&rig);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_NONE);
	rig_fini(&rig);
}

/* What the table does not have is 05/20/00, all 256 of them. */
static void test_unknown_opcodes(void **state)
{
	static const uint8_t known[] = {
		0x00, 0x03, 0x08, 0x0a, 0x12, 0x1a, 0x1b, 0x1e, 0x23,
		0x25, 0x28, 0x2a, 0x2f, 0x35, 0x41, 0x42, 0x5a, 0x88,
		0x8a, 0x8f, 0x91, 0x93, 0x9e, 0xa0, 0xa3, 0xa8, 0xaa,
	};
	struct rig rig;

	(void)state;
	begin(&rig);
	for (unsigned int op = 0; op < 256; op++)
		if (!memchr(known, (int)op, sizeof(known)))
			fail_none(&rig, CDB((uint8_t)op),
				  SCSI_SENSE_INVALID_OPCODE);
	/* Known opcodes with another service action. */
	fail_none(&rig, CDB(0x9e, 0x12), SCSI_SENSE_INVALID_OPCODE);
	fail_none(&rig, CDB(0xa3, 0x0d), SCSI_SENSE_INVALID_OPCODE);
	rig_fini(&rig);
}

/* --- MODE SENSE -------------------------------------------------------------------- */

static void test_mode_sense_6(void **state)
{
	uint8_t d[192];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_command(&rig, RIG_IN, CDB(0x1a, 0, 0x3f, 0, 192), d, 192);
	assert_int_equal(rig.actual, 4 + 8 + 20 + 12);
	assert_int_equal(d[0] + 1, rig.actual);
	assert_int_equal(d[2], 0x10); /* DPOFUA, not write-protected */
	assert_int_equal(d[3], 8);
	assert_int_equal(be(d + 4, 4), BLOCKS);
	assert_int_equal(be(d + 8, 4), BLOCK);
	assert_int_equal(d[12], 0x08); /* caching page: */
	assert_int_equal(d[13], 18);
	assert_int_equal(d[14], 0x04); /* WCE */
	assert_int_equal(d[32], 0x0a); /* control page */
	/* DBD: no block descriptor. */
	rig_command(&rig, RIG_IN, CDB(0x1a, 8, 0x08, 0, 192), d, 192);
	assert_int_equal(rig.actual, 4 + 20);
	assert_int_equal(d[3], 0);
	assert_int_equal(d[4], 0x08);
	/* Changeable values: none. */
	rig_command(&rig, RIG_IN, CDB(0x1a, 8, 0x48, 0, 192), d, 192);
	assert_int_equal(d[6], 0);
	rig_fini(&rig);
}

static void test_mode_sense_10(void **state)
{
	uint8_t d[192];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_command(&rig, RIG_IN, CDB(0x5a, 0, 0x08, 0, 0, 0, 0, B2(192)), d,
		    192);
	assert_int_equal(rig.actual, 8 + 8 + 20);
	assert_int_equal(be(d, 2) + 2, rig.actual);
	assert_int_equal(d[3], 0x10);
	assert_int_equal(be(d + 6, 2), 8);
	assert_int_equal(be(d + 12, 4), BLOCK);
	assert_int_equal(d[16], 0x08);
	assert_int_equal(d[18], 0x04);
	rig_fini(&rig);
}

static void test_mode_sense_refuses(void **state)
{
	uint8_t d[192];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_bad(&rig, RIG_IN, CDB(0x1a, 0, 0x01, 0, 192), d, 192,
		SCSI_SENSE_INVALID_CDB_FIELD); /* no such page */
	rig_bad(&rig, RIG_IN, CDB(0x1a, 0, 0xc8, 0, 192), d, 192,
		SCSI_SENSE_INVALID_CDB_FIELD); /* saved values */
	rig_bad(&rig, RIG_IN, CDB(0x1a, 0, 0x08, 1, 192), d, 192,
		SCSI_SENSE_INVALID_CDB_FIELD); /* a subpage */
	rig_fini(&rig);
}

static void test_mode_sense_reports(void **state)
{
	static const struct disk_options through = { .block_size = BLOCK,
						     .write_through = true };
	uint8_t d[192];
	struct rig rig;

	(void)state;
	begin_read_only(&rig);
	rig_command(&rig, RIG_IN, CDB(0x1a, 8, 0x08, 0, 192), d, 192);
	assert_int_equal(d[2], 0x90); /* WP */
	rig_fini(&rig);
	rig_disk_mem(&rig, DISK_SIZE, 0, &through);
	rig_command(&rig, RIG_IN, CDB(0x1a, 8, 0x08, 0, 192), d, 192);
	assert_int_equal(d[6], 0); /* no write cache */
	rig_fini(&rig);
}

/* --- Capacities ---------------------------------------------------------------------- */

static void expect_capacity(struct rig *rig, uint64_t blocks, uint32_t block,
			    unsigned int exponent)
{
	uint8_t d[32];

	rig_good(rig, RIG_IN, CDB(0x25), d, 8);
	assert_int_equal(be(d, 4), MIN(blocks - 1, 0xffffffff));
	assert_int_equal(be(d + 4, 4), block);
	rig_good(rig, RIG_IN, CDB_16(0x9e, 0x10, 0, 32), d, 32);
	assert_int_equal(be(d, 8), blocks - 1);
	assert_int_equal(be(d + 8, 4), block);
	assert_int_equal(d[12], 0);
	assert_int_equal(d[13], exponent);
	assert_int_equal(d[14], 0xc0); /* LBPME, LBPRZ */
}

static void test_read_capacity(void **state)
{
	uint8_t d[12];
	struct rig rig;

	(void)state;
	begin(&rig);
	expect_capacity(&rig, BLOCKS, BLOCK, 3);
	rig_good(&rig, RIG_IN, CDB_16(0x9e, 0x10, 0, 12), d, 12);
	rig_fini(&rig);
}

static void test_read_format_capacities(void **state)
{
	uint8_t d[252];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_command(&rig, RIG_IN, CDB(0x23, 0, 0, 0, 0, 0, 0, B2(252)), d, 252);
	assert_int_equal(rig.actual, 12);
	assert_int_equal(be(d, 4), 8);
	assert_int_equal(be(d + 4, 4), BLOCKS);
	assert_int_equal(d[8], 2); /* formatted */
	assert_int_equal(be(d + 9, 3), BLOCK);
	rig_fini(&rig);
}

/* A tail that fills no block is not part of the disk. */
static void test_odd_size(void **state)
{
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, 10 * BLOCK + 100, false, &plain);
	expect_capacity(&rig, 10, BLOCK, 3);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 9, 1), d, BLOCK);
	rig_bad(&rig, RIG_IN, CDB_10(0x28, 0, 10, 1), d, BLOCK,
		SCSI_SENSE_LBA_RANGE);
	rig_fini(&rig);
}

static void test_blocks_of_4096(void **state)
{
	static const struct disk_options big = { .block_size = 4096 };
	uint8_t d[4096], back[4096];
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, 1 << 20, false, &big);
	expect_capacity(&rig, 256, 4096, 0);
	memset(d, 0x3c, sizeof(d));
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, 0, 255, 1), d, 4096);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 255, 1), back, 4096);
	assert_memory_equal(d, back, 4096);
	assert_int_equal(pread(rig.fd, back, 1, 255 * 4096), 1);
	assert_int_equal(back[0], 0x3c);
	rig_bad(&rig, RIG_IN, CDB_10(0x28, 0, 256, 1), d, 4096,
		SCSI_SENSE_LBA_RANGE);
	rig_good(&rig, RIG_OUT, CDB_10(0x41, 0, 0, 2), d, 4096);
	assert_int_equal(pread(rig.fd, back, 4096, 4096), 4096);
	assert_memory_equal(d, back, 4096);
	rig_fini(&rig);
}

/* Beyond what READ(10) can address. */
static void test_3_tib(void **state)
{
	const uint64_t size = 3ull << 40, last = size / BLOCK - 1;
	uint8_t d[BLOCK], back[BLOCK];
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, size, false, &plain);
	expect_capacity(&rig, size / BLOCK, BLOCK, 3);
	memset(d, 0x99, sizeof(d));
	rig_good(&rig, RIG_OUT, CDB_16(0x8a, 0, last, 1), d, BLOCK);
	rig_good(&rig, RIG_IN, CDB_16(0x88, 0, last, 1), back, BLOCK);
	assert_memory_equal(d, back, BLOCK);
	rig_bad(&rig, RIG_IN, CDB_16(0x88, 0, last + 1, 1), d, BLOCK,
		SCSI_SENSE_LBA_RANGE);
	rig_bad(&rig, RIG_IN, CDB_16(0x88, 0, UINT64_MAX, 1), d, BLOCK,
		SCSI_SENSE_LBA_RANGE);
	rig_fini(&rig);
}

/* --- READ and WRITE --------------------------------------------------------------------- */

struct rw {
	const char *name;
	uint8_t read[SCSI_CDB_SIZE], write[SCSI_CDB_SIZE]; /* LBA 3, 2 blocks */
	uint8_t behind[SCSI_CDB_SIZE]; /* read of the end and one more */
};

static const struct rw widths[] = {
	{ "6",
	  { 0x08, 0, 0, 3, 2 },
	  { 0x0a, 0, 0, 3, 2 },
	  { 0x08, 0, B2(BLOCKS - 1), 2 } },
	{ "10",
	  { 0x28, 0, B4(3), 0, B2(2) },
	  { 0x2a, 0, B4(3), 0, B2(2) },
	  { 0x28, 0, B4(BLOCKS - 1), 0, B2(2) } },
	{ "12",
	  { 0xa8, 0, B4(3), B4(2) },
	  { 0xaa, 0, B4(3), B4(2) },
	  { 0xa8, 0, B4(BLOCKS - 1), B4(2) } },
	{ "16",
	  { 0x88, 0, B8(3), B4(2) },
	  { 0x8a, 0, B8(3), B4(2) },
	  { 0x88, 0, B8(BLOCKS - 1), B4(2) } },
};

static void test_read_write(void **state)
{
	uint8_t d[2 * BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++) {
		const struct rw *w = &widths[i];

		rig_good(&rig, RIG_IN, w->read, d, sizeof(d));
		assert_memory_equal(d, rig.mem->data + 3 * BLOCK, sizeof(d));
		memset(d, (int)(0x10 + i), sizeof(d));
		rig_good(&rig, RIG_OUT, w->write, d, sizeof(d));
		assert_memory_equal(d, rig.mem->data + 3 * BLOCK, sizeof(d));
		assert_int_equal(rig.mem->last_flags & IMAGE_FUA, 0);
		rig_bad(&rig, RIG_IN, w->behind, d, sizeof(d),
			SCSI_SENSE_LBA_RANGE);
		assert_int_equal(rig.actual, 18); /* of REQUEST SENSE */
	}
	rig_fini(&rig);
}

/* READ(6): a length of 0 means 256; READ(10): it means 0. */
static void test_read_nothing(void **state)
{
	static uint8_t d[256 * BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_IN, CDB_6(0x08, 1, 0), d, sizeof(d));
	assert_memory_equal(d, rig.mem->data + BLOCK, sizeof(d));
	rig_good(&rig, RIG_NONE, CDB_10(0x28, 0, 5, 0), NULL, 0);
	rig_good(&rig, RIG_NONE, CDB_10(0x2a, 0, 5, 0), NULL, 0);
	rig_good(&rig, RIG_NONE, CDB_16(0x88, 0, BLOCKS, 0), NULL, 0);
	fail_none(&rig, CDB_10(0x28, 0, BLOCKS + 1, 0), SCSI_SENSE_LBA_RANGE);
	rig_fini(&rig);
}

static void test_fua(void **state)
{
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, FUA, 0, 1), filled(1), BLOCK);
	assert_int_equal(rig.mem->last_flags & IMAGE_FUA, IMAGE_FUA);
	rig_good(&rig, RIG_OUT, CDB_12(0xaa, FUA, 0, 1), filled(1), BLOCK);
	assert_int_equal(rig.mem->last_flags & IMAGE_FUA, IMAGE_FUA);
	rig_good(&rig, RIG_OUT, CDB_16(0x8a, FUA, 0, 1), filled(1), BLOCK);
	assert_int_equal(rig.mem->last_flags & IMAGE_FUA, IMAGE_FUA);
	/* In a 6-byte CDB the bit belongs to the address. */
	rig_good(&rig, RIG_OUT, CDB_6(0x0a, 0, 1), filled(1), BLOCK);
	assert_int_equal(rig.mem->last_flags & IMAGE_FUA, 0);
	rig_good(&rig, RIG_IN, CDB_10(0x28, FUA, 0, 1), d, BLOCK);
	rig_fini(&rig);
}

static void test_write_through(void **state)
{
	static const struct disk_options through = { .block_size = BLOCK,
						     .write_through = true };
	struct rig rig;

	(void)state;
	rig_disk_mem(&rig, DISK_SIZE, DISK_SIZE, &through);
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, 0, 0, 1), filled(1), BLOCK);
	assert_int_equal(rig.mem->last_flags & IMAGE_FUA, IMAGE_FUA);
	rig_fini(&rig);
}

/* Clearing counts as writing. */
static void test_write_through_clears(void **state)
{
	static const struct disk_options through = { .block_size = BLOCK,
						     .write_through = true };
	struct rig rig;

	(void)state;
	rig_disk_mem(&rig, DISK_SIZE, DISK_SIZE, &through);
	rig_good(&rig, RIG_NONE, CDB_16(0x93, 0x01, 0, 8), NULL, 0);
	assert_int_equal(rig.mem->count[IMAGE_ZERO], 1);
	assert_int_equal(rig.mem->count[IMAGE_FLUSH], 1);
	rig_good(&rig, RIG_NONE, CDB_10(0x2f, 0, 0, 8), NULL, 0); /* VERIFY */
	assert_int_equal(rig.mem->count[IMAGE_FLUSH], 1);
	rig.mem->error[IMAGE_FLUSH] = -EIO;
	rig_bad(&rig, RIG_NONE, CDB_16(0x93, 0x01, 0, 8), NULL, 0,
		SCSI_SENSE_WRITE_ERROR);
	rig.mem->error[IMAGE_FLUSH] = 0;
	rig_fini(&rig);
}

/* FUA on a real file: the flag reaches the kernel and is understood. */
static void test_fua_on_file(void **state)
{
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, FUA, 4, 1), filled(7), BLOCK);
	assert_int_equal(pread(rig.fd, d, BLOCK, 4 * BLOCK), BLOCK);
	assert_memory_equal(d, filled(7), BLOCK);
	rig_good(&rig, RIG_NONE, SYNC_10, NULL, 0);
	rig_fini(&rig);
}

static void test_protection_is_refused(void **state)
{
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_bad(&rig, RIG_IN, CDB_10(0x28, 0x20, 0, 1), d, BLOCK,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_bad(&rig, RIG_OUT, CDB_16(0x8a, 0x20, 0, 1), d, BLOCK,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_bad(&rig, RIG_NONE, CDB_10(0x2f, 0x20, 0, 1), NULL, 0,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_bad(&rig, RIG_OUT, CDB_10(0x41, 0x20, 0, 1), d, BLOCK,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_fini(&rig);
}

static void test_read_only(void **state)
{
	uint8_t d[BLOCK] = { 0 };
	struct rig rig;

	(void)state;
	begin_read_only(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(widths); i++)
		rig_bad(&rig, RIG_OUT, widths[i].write, d, BLOCK,
			SCSI_SENSE_WRITE_PROTECTED);
	rig_bad(&rig, RIG_OUT, CDB(0x42, 0, 0, 0, 0, 0, 0, B2(24)), d, 24,
		SCSI_SENSE_WRITE_PROTECTED);
	rig_bad(&rig, RIG_OUT, CDB_10(0x41, 0, 0, 1), d, BLOCK,
		SCSI_SENSE_WRITE_PROTECTED);
	rig_bad(&rig, RIG_OUT, CDB_16(0x93, 0, 0, 1), d, BLOCK,
		SCSI_SENSE_WRITE_PROTECTED);
	assert_int_equal(rig.mem->count[IMAGE_WRITE], 0);
	/* It reads, verifies, and has nothing to synchronise. */
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 0, 1), d, BLOCK);
	rig_good(&rig, RIG_NONE, CDB_10(0x2f, 0, 0, 1), NULL, 0);
	rig_good(&rig, RIG_NONE, SYNC_10, NULL, 0);
	rig_fini(&rig);
}

/* --- SYNCHRONIZE CACHE and VERIFY ----------------------------------------------------------- */

static void test_synchronize_cache(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, SYNC_10, NULL, 0);
	rig_good(&rig, RIG_NONE, CDB_16(0x91, 0, 5, 10), NULL, 0);
	assert_int_equal(rig.mem->count[IMAGE_FLUSH], 2);
	fail_none(&rig, CDB_10(0x35, 0, BLOCKS, 1), SCSI_SENSE_LBA_RANGE);
	fail_none(&rig, CDB_16(0x91, 0, BLOCKS + 1, 0), SCSI_SENSE_LBA_RANGE);
	rig.mem->error[IMAGE_FLUSH] = -EIO;
	fail_none(&rig, SYNC_10, SCSI_SENSE_WRITE_ERROR);
	rig.mem->error[IMAGE_FLUSH] = -ENOSPC;
	fail_none(&rig, SYNC_10, SCSI_SENSE_NO_SPACE);
	rig.mem->error[IMAGE_FLUSH] = 0;
	rig_good(&rig, RIG_NONE, SYNC_10, NULL, 0);
	rig_fini(&rig);
}

static void test_verify_medium(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, CDB_10(0x2f, 0, 0, BLOCKS), NULL, 0);
	rig_good(&rig, RIG_NONE, CDB_16(0x8f, 0, 0, BLOCKS), NULL, 0);
	rig_good(&rig, RIG_NONE, CDB_16(0x8f, 0, 0, 0), NULL, 0);
	fail_none(&rig, CDB_10(0x2f, 0, 1, BLOCKS), SCSI_SENSE_LBA_RANGE);
	rig.mem->error[IMAGE_READ] = -EIO;
	fail_none(&rig, CDB_10(0x2f, 0, 0, 1), SCSI_SENSE_READ_ERROR);
	rig_fini(&rig);
}

static void test_verify_bytes(void **state)
{
	uint8_t d[3 * BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	memcpy(d, rig.mem->data + 5 * BLOCK, sizeof(d));
	rig_good(&rig, RIG_OUT, CDB_10(0x2f, 0x02, 5, 3), d, sizeof(d));
	rig_good(&rig, RIG_OUT, CDB_16(0x8f, 0x02, 5, 3), d, sizeof(d));
	rig_good(&rig, RIG_NONE, CDB_10(0x2f, 0x02, 5, 0), NULL, 0);
	d[sizeof(d) - 1] ^= 1;
	rig_bad(&rig, RIG_OUT, CDB_10(0x2f, 0x02, 5, 3), d, sizeof(d),
		SCSI_SENSE_MISCOMPARE);
	rig_bad(&rig, RIG_OUT, CDB_16(0x8f, 0x02, 5, 3), d, sizeof(d),
		SCSI_SENSE_MISCOMPARE);
	rig_bad(&rig, RIG_OUT, CDB_10(0x2f, 0x04, 5, 3), d, sizeof(d),
		SCSI_SENSE_INVALID_CDB_FIELD); /* BYTCHK 2 is reserved */
	rig.mem->error[IMAGE_READ] = -EIO;
	rig_bad(&rig, RIG_OUT, CDB_10(0x2f, 0x02, 5, 3), d, sizeof(d),
		SCSI_SENSE_READ_ERROR);
	rig_fini(&rig);
}

/* More to compare than is kept in memory for it. */
static void test_verify_too_much(void **state)
{
	const uint32_t n = SCSI_WINDOW / BLOCK + 1;
	uint8_t *d = calloc(n, BLOCK);
	struct rig rig;

	(void)state;
	assert_non_null(d);
	rig_disk_mem(&rig, 4 << 20, 0, &plain);
	rig_bad(&rig, RIG_OUT, CDB_10(0x2f, 0x02, 0, n), d, n * BLOCK,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_fini(&rig);
	free(d);
}

/* --- UNMAP --------------------------------------------------------------------------------- */

struct range {
	uint64_t lba;
	uint32_t blocks;
};

/* A parameter list; returns its length. */
static uint32_t unmap_list(uint8_t *out, size_t size, const struct range *r,
			   size_t n)
{
	struct span_writer w = span_writer_of(out, size);

	span_put_be(&w, 6 + 16 * n, 2);
	span_put_be(&w, 16 * n, 2);
	span_put_zero(&w, 4);
	for (size_t i = 0; i < n; i++) {
		span_put_be(&w, r[i].lba, 8);
		span_put_be(&w, r[i].blocks, 4);
		span_put_zero(&w, 4);
	}
	assert_false(w.bad);
	return (uint32_t)w.len;
}

#define UNMAP(len) CDB(0x42, 0, 0, 0, 0, 0, 0, B2(len))

static void test_unmap(void **state)
{
	static const struct range ranges[] = { { 8, 8 }, { 0, 0 }, { 100, 1 } };
	uint8_t list[128];
	uint32_t len = unmap_list(list, sizeof(list), ranges, 3);
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_OUT, UNMAP(len), list, len);
	assert_int_equal(rig.mem->count[IMAGE_DISCARD], 2);
	expect_zeros(rig.mem->data + 8 * BLOCK, 8 * BLOCK);
	expect_zeros(rig.mem->data + 100 * BLOCK, BLOCK);
	assert_int_not_equal(rig.mem->data[17 * BLOCK], 0);
	/* Nothing to do is no error. */
	rig_good(&rig, RIG_NONE, UNMAP(0), NULL, 0);
	len = unmap_list(list, sizeof(list), ranges, 0);
	rig_good(&rig, RIG_OUT, UNMAP(len), list, len);
	rig_fini(&rig);
}

static void test_unmap_all_or_nothing(void **state)
{
	static const struct range ranges[] = { { 0, 8 }, { BLOCKS - 1, 2 } };
	uint8_t list[64];
	uint32_t len = unmap_list(list, sizeof(list), ranges, 2);
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_bad(&rig, RIG_OUT, UNMAP(len), list, len, SCSI_SENSE_LBA_RANGE);
	assert_int_equal(rig.mem->count[IMAGE_DISCARD], 0);
	rig_fini(&rig);
}

static void test_unmap_bad_lists(void **state)
{
	static const struct range range = { 0, 8 };
	uint8_t list[64];
	uint32_t len = unmap_list(list, sizeof(list), &range, 1);
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_bad(&rig, RIG_OUT, CDB(0x42, 1, 0, 0, 0, 0, 0, B2(len)), list, len,
		SCSI_SENSE_INVALID_CDB_FIELD); /* ANCHOR */
	/* The host sends less than its CDB says: nothing is done. */
	assert_int_equal(rig_command(&rig, RIG_NONE, UNMAP(len), NULL, 0),
			 BOT_PHASE_ERROR);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_PARAMETER_LENGTH);
	assert_int_equal(rig_command(&rig, RIG_OUT, UNMAP(len), list, 8),
			 BOT_PHASE_ERROR);
	list[3] += 16; /* descriptors behind the end */
	rig_bad(&rig, RIG_OUT, UNMAP(len), list, len,
		SCSI_SENSE_INVALID_PARAMETER);
	rig_bad(&rig, RIG_OUT, UNMAP(4), list, 4, SCSI_SENSE_INVALID_PARAMETER);
	assert_int_equal(rig.mem->count[IMAGE_DISCARD], 0);
	rig_fini(&rig);
}

static uint64_t room_of(int fd)
{
	struct stat st;

	assert_int_equal(fstat(fd, &st), 0);
	return (uint64_t)st.st_blocks * 512;
}

/* Fills the file behind the disk with a byte. */
static void fill_file(struct rig *rig, uint8_t byte)
{
	for (uint32_t i = 0; i < BLOCKS; i++)
		assert_int_equal(
			pwrite(rig->fd, filled(byte), BLOCK, (off_t)i * BLOCK),
			BLOCK);
}

static void test_unmap_makes_holes(void **state)
{
	static const struct range ranges[] = { { 0, 1024 }, { 1536, 512 } };
	uint8_t list[64], d[BLOCK];
	uint32_t len = unmap_list(list, sizeof(list), ranges, 2);
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	fill_file(&rig, 0xff);
	assert_int_equal(room_of(rig.fd), DISK_SIZE);
	rig_good(&rig, RIG_OUT, UNMAP(len), list, len);
	assert_int_equal(room_of(rig.fd), DISK_SIZE / 4);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 1023, 1), d, BLOCK);
	expect_zeros(d, BLOCK);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 1024, 1), d, BLOCK);
	assert_memory_equal(d, filled(0xff), BLOCK);
	rig_fini(&rig);
}

/* We promise zeros (LBPRZ), also where nothing can be punched. */
static void test_unmap_without_holes(void **state)
{
	static const struct range range = { 8, 8 };
	uint8_t list[64];
	uint32_t len = unmap_list(list, sizeof(list), &range, 1);
	struct rig rig;

	(void)state;
	begin(&rig);
	rig.mem->error[IMAGE_DISCARD] = -EOPNOTSUPP;
	rig_good(&rig, RIG_OUT, UNMAP(len), list, len);
	assert_int_equal(rig.mem->count[IMAGE_ZERO], 1);
	expect_zeros(rig.mem->data + 8 * BLOCK, 8 * BLOCK);
	memset(rig.mem->data, 1, DISK_SIZE);
	rig.mem->error[IMAGE_ZERO] = -EOPNOTSUPP;
	rig_good(&rig, RIG_OUT, UNMAP(len), list, len);
	assert_int_equal(rig.mem->count[IMAGE_WRITE], 1);
	expect_zeros(rig.mem->data + 8 * BLOCK, 8 * BLOCK);
	rig.mem->error[IMAGE_DISCARD] = -EIO;
	rig_bad(&rig, RIG_OUT, UNMAP(len), list, len, SCSI_SENSE_WRITE_ERROR);
	rig_fini(&rig);
}

/* --- WRITE SAME -------------------------------------------------------------------------------- */

#define WS_NDOB 0x01
#define WS_UNMAP 0x08

static void expect_pattern(const struct rig *rig, uint32_t lba, uint32_t n,
			   uint8_t byte)
{
	for (uint32_t i = 0; i < n; i++)
		assert_memory_equal(rig->mem->data + (lba + i) * BLOCK,
				    filled(byte), BLOCK);
}

static void test_write_same_pattern(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_OUT, CDB_10(0x41, 0, 3, 7), filled(0xab), BLOCK);
	expect_pattern(&rig, 3, 7, 0xab);
	assert_int_not_equal(rig.mem->data[10 * BLOCK + 1], 0xab);
	rig_good(&rig, RIG_OUT, CDB_16(0x93, 0, 20, 2), filled(0xcd), BLOCK);
	expect_pattern(&rig, 20, 2, 0xcd);
	/* UNMAP asks; what does not read as zeros is written. */
	rig_good(&rig, RIG_OUT, CDB_16(0x93, WS_UNMAP, 30, 2), filled(0xef),
		 BLOCK);
	expect_pattern(&rig, 30, 2, 0xef);
	assert_int_equal(rig.mem->count[IMAGE_DISCARD], 0);
	rig_fini(&rig);
}

/* More than one step, and to the end of the disk. */
static void test_write_same_long(void **state)
{
	const uint32_t size = 5 << 20, blocks = size / BLOCK;
	struct rig rig;

	(void)state;
	rig_disk_mem(&rig, size, size, &plain);
	rig_good(&rig, RIG_OUT, CDB_16(0x93, 0, 1, 0), filled(0x42), BLOCK);
	expect_pattern(&rig, 0, 1, 0);
	expect_pattern(&rig, 1, blocks - 1, 0x42);
	assert_int_equal(rig.mem->count[IMAGE_WRITE], 5);
	rig_fini(&rig);
}

static void test_write_same_zero(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_OUT, CDB_10(0x41, 0, 3, 7), filled(0), BLOCK);
	expect_pattern(&rig, 3, 7, 0);
	assert_int_equal(rig.mem->count[IMAGE_ZERO], 1);
	rig_good(&rig, RIG_OUT, CDB_10(0x41, WS_UNMAP, 20, 7), filled(0),
		 BLOCK);
	expect_pattern(&rig, 20, 7, 0);
	assert_int_equal(rig.mem->count[IMAGE_DISCARD], 1);
	/* No data-out buffer: zeros. */
	rig_good(&rig, RIG_NONE, CDB_16(0x93, WS_NDOB, 40, 7), NULL, 0);
	expect_pattern(&rig, 40, 7, 0);
	rig_good(&rig, RIG_NONE, CDB_16(0x93, WS_NDOB | WS_UNMAP, 60, 7), NULL,
		 0);
	expect_pattern(&rig, 60, 7, 0);
	assert_int_equal(rig.mem->count[IMAGE_ZERO], 2);
	assert_int_equal(rig.mem->count[IMAGE_DISCARD], 2);
	rig_fini(&rig);
}

static void test_write_same_without_zero(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig.mem->error[IMAGE_ZERO] = -EOPNOTSUPP;
	rig_good(&rig, RIG_NONE, CDB_16(0x93, WS_NDOB, 40, 7), NULL, 0);
	expect_pattern(&rig, 40, 7, 0);
	assert_int_equal(rig.mem->count[IMAGE_WRITE], 1);
	rig.mem->error[IMAGE_WRITE] = -ENOSPC;
	rig_bad(&rig, RIG_OUT, CDB_10(0x41, 0, 0, 1), filled(3), BLOCK,
		SCSI_SENSE_NO_SPACE);
	rig_fini(&rig);
}

static void test_write_same_refuses(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_bad(&rig, RIG_OUT, CDB_10(0x41, 0, BLOCKS - 1, 2), filled(1), BLOCK,
		SCSI_SENSE_LBA_RANGE);
	rig_bad(&rig, RIG_OUT, CDB_10(0x41, 0x10, 0, 1), filled(1), BLOCK,
		SCSI_SENSE_INVALID_CDB_FIELD); /* ANCHOR */
	assert_int_equal(
		rig_command(&rig, RIG_NONE, CDB_10(0x41, 0, 0, 1), NULL, 0),
		BOT_PHASE_ERROR);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_PARAMETER_LENGTH);
	assert_int_equal(rig.mem->count[IMAGE_WRITE], 0);
	rig_fini(&rig);
}

static void test_write_same_on_file(void **state)
{
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	fill_file(&rig, 0xff);
	rig_good(&rig, RIG_NONE, CDB_16(0x93, WS_NDOB | WS_UNMAP, 0, 1024),
		 NULL, 0);
	assert_int_equal(room_of(rig.fd), DISK_SIZE / 2);
	rig_fini(&rig);
}

/* --- The medium goes and comes ---------------------------------------------------------------- */

static void test_eject_and_load(void **state)
{
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 2), NULL, 0);
	assert_int_equal(rig.mem->count[IMAGE_FLUSH], 1);
	fail_none(&rig, CDB(0x00), SCSI_SENSE_NO_MEDIUM);
	rig_bad(&rig, RIG_IN, CDB_10(0x28, 0, 0, 1), d, BLOCK,
		SCSI_SENSE_NO_MEDIUM);
	rig_bad(&rig, RIG_OUT, CDB_10(0x2a, 0, 0, 1), d, BLOCK,
		SCSI_SENSE_NO_MEDIUM);
	rig_bad(&rig, RIG_IN, CDB(0x25), d, 8, SCSI_SENSE_NO_MEDIUM);
	fail_none(&rig, SYNC_10, SCSI_SENSE_NO_MEDIUM);
	rig_good(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 36), d, 36);
	rig_good(&rig, RIG_IN, CDB(0x23, 0, 0, 0, 0, 0, 0, 0, 12), d, 12);
	assert_int_equal(d[8], 3); /* no medium */
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 3), NULL, 0);
	fail_none(&rig, CDB(0x00), SCSI_SENSE_MEDIUM_CHANGED);
	rig_test_unit_ready(&rig);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 0, 1), d, BLOCK);
	rig_fini(&rig);
}

/* The next guest finds the medium in. */
static void test_eject_then_open(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 2), NULL, 0);
	rig_close(&rig);
	rig_open_disk(&rig, USB_SPEED_SUPER);
	rig_test_unit_ready(&rig);
	rig_fini(&rig);
}

/* The end of a session cannot make the writes stable: that is not forgotten. */
static void test_lost_at_close(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_false(rig.device->data_lost);
	rig.mem->error[IMAGE_FLUSH] = -EIO;
	rig_close(&rig);
	assert_true(rig.device->data_lost);
	rig_open_disk(&rig, USB_SPEED_SUPER);
	rig_fini(&rig);
}

static void test_start_stop(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 0), NULL, 0); /* stop */
	assert_int_equal(rig.mem->count[IMAGE_FLUSH], 1);
	rig_test_unit_ready(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 1), NULL, 0); /* start */
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 3), NULL, 0); /* load */
	rig_test_unit_ready(&rig); /* it was in: nothing has changed */
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 0x30), NULL, 0); /* power */
	rig.mem->error[IMAGE_FLUSH] = -EIO;
	fail_none(&rig, CDB(0x1b, 0, 0, 0, 0), SCSI_SENSE_WRITE_ERROR);
	rig_fini(&rig);
}

static void test_prevent_allow(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 1), NULL, 0);
	fail_none(&rig, CDB(0x1b, 0, 0, 0, 2), SCSI_SENSE_REMOVAL_PREVENTED);
	rig_test_unit_ready(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 0), NULL, 0);
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 2), NULL, 0);
	rig_fini(&rig);
}

/* --- REPORT LUNS, REPORT SUPPORTED OPERATION CODES ------------------------------------------------ */

static void test_report_luns(void **state)
{
	uint8_t d[16];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_IN, CDB(0xa0, 0, 0, 0, 0, 0, B4(16)), d, 16);
	assert_int_equal(be(d, 4), 8);
	expect_zeros(d + 8, 8);
	rig_fini(&rig);
}

#define OPCODES(how, op, sa) CDB(0xa3, 0x0c, how, op, B2(sa), B4(512))

static void test_report_all_opcodes(void **state)
{
	uint8_t d[512];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_command(&rig, RIG_IN, OPCODES(0, 0, 0), d, 512);
	assert_int_equal(rig.actual, 4 + be(d, 4));
	for (uint32_t at = 4; at < rig.actual; at += 8) {
		assert_int_equal(be(d + at + 6, 2), scsi_cdb_size(d[at]));
		assert_int_equal(d[at + 5],
				 d[at] == 0x9e || d[at] == 0xa3); /* SERVACTV */
	}
	rig_fini(&rig);
}

static void test_report_one_opcode(void **state)
{
	uint8_t d[512];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_command(&rig, RIG_IN, OPCODES(1, 0x28, 0), d, 512);
	assert_int_equal(d[1] & 7, 3);
	assert_int_equal(be(d + 2, 2), 10);
	assert_int_equal(d[4], 0x28);
	assert_int_equal(be(d + 6, 4), 0xffffffff); /* the address counts */
	rig_command(&rig, RIG_IN, OPCODES(1, 0x29, 0), d, 512);
	assert_int_equal(d[1] & 7, 1); /* not supported */
	rig_command(&rig, RIG_IN, OPCODES(2, 0x9e, 0x10), d, 512);
	assert_int_equal(d[1] & 7, 3);
	assert_int_equal(be(d + 2, 2), 16);
	rig_command(&rig, RIG_IN, OPCODES(3, 0x9e, 0x11), d, 512);
	assert_int_equal(d[1] & 7, 1);
	rig_command(&rig, RIG_IN, OPCODES(3, 0x28, 0), d, 512);
	assert_int_equal(d[1] & 7, 3);
	/* With service actions where there are none, and the reverse. */
	rig_bad(&rig, RIG_IN, OPCODES(1, 0x9e, 0), d, 512,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_bad(&rig, RIG_IN, OPCODES(2, 0x28, 0), d, 512,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_bad(&rig, RIG_IN, OPCODES(4, 0x28, 0), d, 512,
		SCSI_SENSE_INVALID_CDB_FIELD);
	rig_fini(&rig);
}

/* --- What becomes of the image's failures ----------------------------------------------------------- */

static void test_read_fails(void **state)
{
	static const struct {
		int error;
		scsi_sense sense;
	} cases[] = {
		{ -EIO, SCSI_SENSE_READ_ERROR },
		{ -ENODATA, SCSI_SENSE_READ_ERROR },
		{ -ESTALE, SCSI_SENSE_READ_ERROR },
	};
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		rig.mem->error[IMAGE_READ] = cases[i].error;
		rig_bad(&rig, RIG_IN, CDB_10(0x28, 0, 0, 1), d, BLOCK,
			cases[i].sense);
	}
	rig.mem->error[IMAGE_READ] = 0;
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 0, 1), d, BLOCK);
	rig_fini(&rig);
}

static void test_write_fails(void **state)
{
	static const struct {
		int error;
		scsi_sense sense;
	} cases[] = {
		{ -EIO, SCSI_SENSE_WRITE_ERROR },
		{ -ENOSPC, SCSI_SENSE_NO_SPACE },
		{ -EDQUOT, SCSI_SENSE_NO_SPACE },
		{ -EFBIG, SCSI_SENSE_NO_SPACE },
		{ -EROFS, SCSI_SENSE_WRITE_PROTECTED },
	};
	struct rig rig;

	(void)state;
	begin(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		rig.mem->error[IMAGE_WRITE] = cases[i].error;
		rig_bad(&rig, RIG_OUT, CDB_10(0x2a, 0, 0, 1), filled(1), BLOCK,
			cases[i].sense);
	}
	rig.mem->error[IMAGE_WRITE] = 0;
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, 0, 0, 1), filled(1), BLOCK);
	rig_fini(&rig);
}

/* What was read before the failure still arrives; the CSW tells the rest. */
static void test_read_fails_late(void **state)
{
	const uint32_t size = 4 << 20;
	uint8_t *d = malloc(size);
	struct rig rig;

	(void)state;
	assert_non_null(d);
	rig_disk_mem(&rig, size, 0, &plain);
	rig.mem->hold = true;
	rig_send_cbw(&rig, RIG_IN, size, CDB_10(0x28, 0, 0, size / BLOCK));
	mem_image_release(rig.mem);
	assert_int_equal(rig_in(&rig, BOT_EP_IN, d, 1 << 20), 0);
	assert_int_equal(rig.actual, 1 << 20);
	rig.mem->error[IMAGE_READ] = -EIO;
	/* One window is ahead; a later one fails. */
	while (rig.actual)
		assert_int_equal(rig_in(&rig, BOT_EP_IN, d, 1 << 20), 0);
	assert_int_equal(rig_fetch_csw(&rig), BOT_FAILED);
	assert_true(rig.residue > 0 && rig.residue < size);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_READ_ERROR);
	rig_fini(&rig);
	free(d);
}

static void test_shrunk_image(void **state)
{
	uint8_t d[4 * BLOCK];
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	fill_file(&rig, 0x66);
	assert_int_equal(ftruncate(rig.fd, 10 * BLOCK + 7), 0);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 6, 4), d, 4 * BLOCK);
	rig_bad(&rig, RIG_IN, CDB_10(0x28, 0, 10, 1), d, BLOCK,
		SCSI_SENSE_READ_ERROR); /* begins within, ends behind */
	rig_bad(&rig, RIG_IN, CDB_10(0x28, 0, 1000, 4), d, 4 * BLOCK,
		SCSI_SENSE_READ_ERROR);
	fail_none(&rig, CDB_10(0x2f, 0, 0, BLOCKS), SCSI_SENSE_READ_ERROR);
	/* Writing makes the file grow again. */
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, 0, 20, 1), filled(1), BLOCK);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 20, 1), d, BLOCK);
	rig_fini(&rig);
}

static void grow(struct rig *rig, uint64_t blocks)
{
	assert_int_equal(ftruncate(rig->fd, (off_t)(blocks * BLOCK)), 0);
}

/* Each command that looks tells the attention itself; the next one succeeds. */
static void test_growth(void **state)
{
	static const uint8_t looks[][SCSI_CDB_SIZE] = {
		{ 0x00 },
		{ 0x25 },
		{ 0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, B4(32) }
	};
	uint64_t blocks = BLOCKS;
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		blocks += 8;
		grow(&rig, blocks);
		/* Reads do not look, nor are they disturbed. */
		rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 0, 1), d, BLOCK);
		rig_bad(&rig, RIG_IN, CDB_10(0x28, 0, blocks - 1, 1), d, BLOCK,
			SCSI_SENSE_LBA_RANGE);
		rig_bad(&rig, RIG_IN, looks[i], d, 32,
			SCSI_SENSE_CAPACITY_CHANGED);
		expect_capacity(&rig, blocks, BLOCK, 3);
		rig_good(&rig, RIG_OUT, CDB_10(0x2a, 0, blocks - 1, 1),
			 filled(9), BLOCK);
		rig_good(&rig, RIG_IN, CDB_10(0x28, 0, blocks - 1, 1), d,
			 BLOCK);
		assert_memory_equal(d, filled(9), BLOCK);
	}
	/* Not a block more */
	assert_int_equal(ftruncate(rig.fd, (off_t)(blocks * BLOCK + 100)), 0);
	expect_capacity(&rig, blocks, BLOCK, 3);
	/* Less: it keeps its size. */
	grow(&rig, 8);
	expect_capacity(&rig, blocks, BLOCK, 3);
	rig_fini(&rig);
}

/* Linux would forget what it has not written yet: see scsi.c. */
static void test_growth_locked(void **state)
{
	uint8_t d[8];
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 1), NULL, 0);
	grow(&rig, BLOCKS + 8);
	rig_test_unit_ready(&rig);
	rig_bad(&rig, RIG_IN, CDB(0x25), d, 8, SCSI_SENSE_CAPACITY_CHANGED);
	expect_capacity(&rig, BLOCKS + 8, BLOCK, 3);
	grow(&rig, BLOCKS + 16);
	rig_test_unit_ready(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 0), NULL, 0);
	fail_none(&rig, CDB(0x00), SCSI_SENSE_CAPACITY_CHANGED);
	rig_fini(&rig);
}

/* Other attentions say more; one without a medium says nothing. */
static void test_growth_and_others(void **state)
{
	struct rig rig;

	(void)state;
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	rig_close(&rig);
	grow(&rig, BLOCKS + 8);
	rig_open(&rig, USB_SPEED_SUPER);
	fail_none(&rig, CDB(0x00), SCSI_SENSE_POWER_ON);
	expect_capacity(&rig, BLOCKS + 8, BLOCK, 3);
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 2), NULL, 0);
	grow(&rig, BLOCKS + 16);
	fail_none(&rig, CDB(0x00), SCSI_SENSE_NO_MEDIUM);
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 3), NULL, 0);
	fail_none(&rig, CDB(0x00), SCSI_SENSE_MEDIUM_CHANGED);
	expect_capacity(&rig, BLOCKS + 16, BLOCK, 3);
	rig_fini(&rig);
}

/* Somebody else has refreshed the image: --mount does. */
static void test_growth_seen_elsewhere(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig.mem->image.size += 8 * BLOCK;
	fail_none(&rig, CDB(0x00), SCSI_SENSE_CAPACITY_CHANGED);
	expect_capacity(&rig, BLOCKS + 8, BLOCK, 3);
	rig_fini(&rig);
}

/* A file that may not grow stands for a full file system. */
static void test_no_space(void **state)
{
	struct rlimit old, small = { 10 * BLOCK + 100, RLIM_INFINITY };
	uint8_t d[BLOCK];
	struct rig rig;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	rig_disk_raw(&rig, DISK_SIZE, false, &plain);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	small.rlim_max = old.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, 0, 9, 1), filled(1), BLOCK);
	/* Some of the block still fits: a short write, then the error. */
	rig_bad(&rig, RIG_OUT, CDB_10(0x2a, 0, 10, 1), filled(2), BLOCK,
		SCSI_SENSE_NO_SPACE);
	rig_bad(&rig, RIG_OUT, CDB_10(0x2a, 0, 11, 1), filled(2), BLOCK,
		SCSI_SENSE_NO_SPACE);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	rig_good(&rig, RIG_IN, CDB_10(0x28, 0, 9, 1), d, BLOCK);
	assert_memory_equal(d, filled(1), BLOCK);
	rig_good(&rig, RIG_OUT, CDB_10(0x2a, 0, 11, 1), filled(2), BLOCK);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inquiry),
		cmocka_unit_test(test_inquiry_fixed),
		cmocka_unit_test(test_vpd_00),
		cmocka_unit_test(test_vpd_80),
		cmocka_unit_test(test_vpd_83),
		cmocka_unit_test(test_vpd_b0_b1_b2),
		cmocka_unit_test(test_unit_attention),
		cmocka_unit_test(test_request_sense),
		cmocka_unit_test(test_sense_is_not_stale),
		cmocka_unit_test(test_unknown_opcodes),
		cmocka_unit_test(test_mode_sense_6),
		cmocka_unit_test(test_mode_sense_10),
		cmocka_unit_test(test_mode_sense_refuses),
		cmocka_unit_test(test_mode_sense_reports),
		cmocka_unit_test(test_read_capacity),
		cmocka_unit_test(test_read_format_capacities),
		cmocka_unit_test(test_odd_size),
		cmocka_unit_test(test_blocks_of_4096),
		cmocka_unit_test(test_3_tib),
		cmocka_unit_test(test_read_write),
		cmocka_unit_test(test_read_nothing),
		cmocka_unit_test(test_fua),
		cmocka_unit_test(test_write_through),
		cmocka_unit_test(test_write_through_clears),
		cmocka_unit_test(test_fua_on_file),
		cmocka_unit_test(test_protection_is_refused),
		cmocka_unit_test(test_read_only),
		cmocka_unit_test(test_synchronize_cache),
		cmocka_unit_test(test_verify_medium),
		cmocka_unit_test(test_verify_bytes),
		cmocka_unit_test(test_verify_too_much),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_unmap_all_or_nothing),
		cmocka_unit_test(test_unmap_bad_lists),
		cmocka_unit_test(test_unmap_makes_holes),
		cmocka_unit_test(test_unmap_without_holes),
		cmocka_unit_test(test_write_same_pattern),
		cmocka_unit_test(test_write_same_long),
		cmocka_unit_test(test_write_same_zero),
		cmocka_unit_test(test_write_same_without_zero),
		cmocka_unit_test(test_write_same_refuses),
		cmocka_unit_test(test_write_same_on_file),
		cmocka_unit_test(test_eject_and_load),
		cmocka_unit_test(test_eject_then_open),
		cmocka_unit_test(test_start_stop),
		cmocka_unit_test(test_lost_at_close),
		cmocka_unit_test(test_prevent_allow),
		cmocka_unit_test(test_report_luns),
		cmocka_unit_test(test_report_all_opcodes),
		cmocka_unit_test(test_report_one_opcode),
		cmocka_unit_test(test_read_fails),
		cmocka_unit_test(test_write_fails),
		cmocka_unit_test(test_read_fails_late),
		cmocka_unit_test(test_shrunk_image),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_growth_locked),
		cmocka_unit_test(test_growth_and_others),
		cmocka_unit_test(test_growth_seen_elsewhere),
		cmocka_unit_test(test_no_space),
	};

	/* Failures of the image are logged as errors; they are made here. */
	log_level = LOG_LEVEL_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
