// SPDX-License-Identifier: GPL-2.0-or-later
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "wire/scsi.h"

static void test_sense(void **state)
{
	/* LOGICAL BLOCK ADDRESS OUT OF RANGE: ILLEGAL REQUEST, 21/00 */
	static const uint8_t want[] = { 0x70, 0, 5, 0,	  0, 0, 0, 10, 0,
					0,    0, 0, 0x21, 0, 0, 0, 0,  0 };
	uint8_t out[SCSI_FIXED_SENSE_SIZE + 1];

	(void)state;
	memset(out, 0xee, sizeof(out));
	scsi_encode_sense(out, SCSI_SENSE_LBA_RANGE);
	assert_memory_equal(out, want, sizeof(want));
	assert_int_equal(out[SCSI_FIXED_SENSE_SIZE], 0xee);
	scsi_encode_sense(out, SCSI_SENSE_NO_SPACE);
	assert_int_equal(out[2], 0x07);
	assert_int_equal(out[12], 0x27);
	assert_int_equal(out[13], 0x07);
}

static void test_cdb_size(void **state)
{
	static const struct {
		uint8_t first, last;
		unsigned int size;
	} groups[] = {
		{ 0x00, 0x1f, 6 },  { 0x20, 0x5f, 10 }, { 0x60, 0x7f, 0 },
		{ 0x80, 0x9f, 16 }, { 0xa0, 0xbf, 12 }, { 0xc0, 0xff, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(groups); i++)
		for (unsigned int op = groups[i].first; op <= groups[i].last;
		     op++)
			assert_int_equal(scsi_cdb_size((uint8_t)op),
					 groups[i].size);
}

/*
 * Fields that do not belong to the range are 0xff, so that one taken from the
 * wrong place shows.
 */
static void test_range(void **state)
{
	static const struct {
		uint8_t cdb[SCSI_CDB_SIZE];
		uint64_t lba, blocks;
	} cases[] = {
		/* READ(6): 21 bits of address, 0 blocks are 256 */
		{ { SCSI_READ_6, 0xff, 0xff, 0xff, 1, 0xff }, 0x1fffff, 1 },
		{ { SCSI_WRITE_6, 0xe1, 2, 3, 0, 0xff }, 0x010203, 256 },
		{ { SCSI_READ_10, 0xff, 0x81, 2, 3, 4, 0xff, 0x85, 6, 0xff },
		  0x81020304,
		  0x8506 },
		{ { SCSI_WRITE_10, 0xff, 1, 2, 3, 4, 0xff, 0, 0, 0xff },
		  0x01020304,
		  0 },
		{ { SCSI_READ_12, 0xff, 0x81, 2, 3, 4, 0x85, 6, 7, 8, 0xff,
		    0xff },
		  0x81020304,
		  0x85060708 },
		{ { SCSI_WRITE_16, 0xff, 0x81, 2, 3, 4, 5, 6, 7, 8, 0x89, 10,
		    11, 12, 0xff, 0xff },
		  0x8102030405060708,
		  0x890a0b0c },
		{ { SCSI_SYNCHRONIZE_CACHE_10, 0, 0, 0, 0, 9, 0, 0, 7 }, 9, 7 },
		{ { SCSI_WRITE_SAME_16, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2 },
		  1,
		  2 },
		/* READ CD: 24 bits of length */
		{ { SCSI_READ_CD, 0xff, 0x81, 2, 3, 4, 0x85, 6, 7, 0xff, 0xff,
		    0xff },
		  0x81020304,
		  0x850607 },
		/* a vendor's command */
		{ { 0xc0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff }, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scsi_range r = scsi_decode_range(cases[i].cdb);

		assert_int_equal(r.lba, cases[i].lba);
		assert_int_equal(r.blocks, cases[i].blocks);
	}
}

static void test_alloc(void **state)
{
	/* Where the length is, and how wide */
	static const struct {
		uint8_t opcode;
		unsigned int at, width;
	} cases[] = {
		{ SCSI_REQUEST_SENSE, 4, 1 },
		{ SCSI_MODE_SENSE_6, 4, 1 },
		{ SCSI_INQUIRY, 3, 2 },
		{ SCSI_READ_FORMAT_CAPACITIES, 7, 2 },
		{ SCSI_UNMAP, 7, 2 },
		{ SCSI_MODE_SENSE_10, 7, 2 },
		{ SCSI_READ_TOC, 7, 2 },
		{ SCSI_GET_CONFIGURATION, 7, 2 },
		{ SCSI_GET_EVENT, 7, 2 },
		{ SCSI_READ_DISC_INFO, 7, 2 },
		{ SCSI_READ_TRACK_INFO, 7, 2 },
		{ SCSI_READ_DISC_STRUCTURE, 8, 2 },
		{ SCSI_MECHANISM_STATUS, 8, 2 },
		{ SCSI_REPORT_LUNS, 6, 4 },
		{ SCSI_MAINTENANCE_IN, 6, 4 },
		{ SCSI_SERVICE_ACTION_IN_16, 10, 4 },
		{ SCSI_TEST_UNIT_READY, 0, 0 },
		{ SCSI_READ_10, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint8_t cdb[SCSI_CDB_SIZE];
		struct span_writer w =
			span_writer_of(cdb + cases[i].at, cases[i].width);

		memset(cdb, 0xff, sizeof(cdb));
		cdb[0] = cases[i].opcode;
		span_put_be(&w, 0x81, cases[i].width);
		assert_int_equal(scsi_decode_alloc(cdb),
				 cases[i].width ? 0x81 : 0);
	}
}

static void test_msf(void **state)
{
	static const struct {
		uint64_t lba;
		struct scsi_msf msf;
	} cases[] = {
		{ 0, { 0, 2, 0 } },
		{ 74, { 0, 2, 74 } },
		{ 58 * 75, { 1, 0, 0 } },
		{ 256 * 60 * 75 - 151, { 255, 59, 74 } },
		{ 256 * 60 * 75 - 150, { 255, 59, 74 } },
		{ UINT64_MAX, { 255, 59, 74 } },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct scsi_msf msf = scsi_msf_of(cases[i].lba);

		assert_memory_equal(&msf, &cases[i].msf, sizeof(msf));
	}
}

#define UNMAP_SIZE (SCSI_UNMAP_HEADER + 2 * SCSI_UNMAP_DESCRIPTOR)

static void make_unmap(uint8_t out[UNMAP_SIZE], uint16_t data_len,
		       uint16_t descriptors)
{
	struct span_writer w = span_writer_of(out, UNMAP_SIZE);

	span_put_be(&w, data_len, 2);
	span_put_be(&w, descriptors, 2);
	span_put_zero(&w, 4);
	span_put_be(&w, 0x8102030405060708, 8);
	span_put_be(&w, 0x890a0b0c, 4);
	span_put_be(&w, UINT32_MAX, 4);
	span_put_be(&w, 5, 8);
	span_put_be(&w, 6, 4);
	span_put_be(&w, UINT32_MAX, 4);
}

static int decode_unmap(uint16_t data_len, uint16_t descriptors, size_t size,
			unsigned int *n)
{
	uint8_t list[UNMAP_SIZE];

	make_unmap(list, data_len, descriptors);
	return scsi_decode_unmap(span_of(list, size), n);
}

static void test_unmap(void **state)
{
	uint8_t list[UNMAP_SIZE];
	struct scsi_range r;
	unsigned int n;

	(void)state;
	make_unmap(list, UNMAP_SIZE - 2, 32);
	assert_int_equal(scsi_decode_unmap(span_of(list, sizeof(list)), &n), 0);
	assert_int_equal(n, 2);
	r = scsi_decode_unmap_range(span_of(list, sizeof(list)), 0);
	assert_int_equal(r.lba, 0x8102030405060708);
	assert_int_equal(r.blocks, 0x890a0b0c);
	r = scsi_decode_unmap_range(span_of(list, sizeof(list)), 1);
	assert_int_equal(r.lba, 5);
	assert_int_equal(r.blocks, 6);
	/* No descriptor is no error, and more bytes than used are none. */
	assert_int_equal(decode_unmap(6, 0, SCSI_UNMAP_HEADER, &n), 0);
	assert_int_equal(n, 0);
	assert_int_equal(decode_unmap(22, 16, UNMAP_SIZE, &n), 0);
	assert_int_equal(n, 1);
}

static void test_unmap_contradicts(void **state)
{
	unsigned int n;

	(void)state;
	for (size_t size = 0; size < SCSI_UNMAP_HEADER; size++)
		assert_int_equal(decode_unmap(0, 0, size, &n), -EPROTO);
	/* more announced than came */
	assert_int_equal(decode_unmap(UNMAP_SIZE - 1, 32, UNMAP_SIZE, &n),
			 -EPROTO);
	assert_int_equal(decode_unmap(UNMAP_SIZE - 2, 48, UNMAP_SIZE, &n),
			 -EPROTO);
	assert_int_equal(decode_unmap(UNMAP_SIZE - 2, 32, UNMAP_SIZE - 1, &n),
			 -EPROTO);
	assert_int_equal(decode_unmap(UINT16_MAX, UINT16_MAX, UNMAP_SIZE, &n),
			 -EPROTO);
	/* a part of a descriptor */
	assert_int_equal(decode_unmap(UNMAP_SIZE - 2, 31, UNMAP_SIZE, &n),
			 -EPROTO);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sense),
		cmocka_unit_test(test_cdb_size),
		cmocka_unit_test(test_range),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_msf),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_unmap_contradicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
