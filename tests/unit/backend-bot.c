// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The disk's USB side: Bulk-Only Transport with its thirteen cases (BOT 1.0,
 * section 6.7), halts and resets, URBs in odd sizes and odd order, the end in
 * the middle of a command, and the descriptors.
 */
#include "../lib/rig.h"

#include <stdlib.h>

#include "wire/usbdesc.h"

#define DISK_SIZE (8u << 20)
#define BLOCK 512u

static const struct disk_options options = { .block_size = BLOCK };

/* A disk in memory whose bytes are not all alike. */
static void begin(struct rig *rig)
{
	rig_disk_mem(rig, DISK_SIZE, DISK_SIZE, &options);
	for (uint32_t i = 0; i < DISK_SIZE; i++)
		rig->mem->data[i] = (uint8_t)(i * 31 + (i >> 9));
}

#define READ_10(lba, n)                                                        \
	CDB(0x28, 0, 0, 0, (lba) >> 8, (lba)&0xff, 0, (n) >> 8, (n)&0xff)
#define WRITE_10(lba, n)                                                       \
	CDB(0x2a, 0, 0, 0, (lba) >> 8, (lba)&0xff, 0, (n) >> 8, (n)&0xff)
#define TEST_UNIT_READY CDB(0x00)
#define INQUIRY CDB(0x12, 0, 0, 0, 36)

/* Whatever went before, the disk takes commands. */
static void expect_alive(struct rig *rig)
{
	uint8_t data[BLOCK];

	rig_good(rig, RIG_IN, READ_10(7, 1), data, BLOCK);
	assert_memory_equal(data, rig->mem->data + 7 * BLOCK, BLOCK);
}

/* Reset recovery (section 5.3.4). */
static void recover(struct rig *rig)
{
	struct usb_setup reset = { 0x21, BOT_REQUEST_RESET, 0, 0, 0 };

	assert_int_equal(rig_control(rig, reset, NULL), 0);
	assert_int_equal(rig_clear_halt(rig, BOT_EP_IN), 0);
	assert_int_equal(rig_clear_halt(rig, BOT_EP_OUT), 0);
}

/* --- The thirteen cases ------------------------------------------------------- */

static void test_case_01_hn_dn(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_command(&rig, RIG_NONE, TEST_UNIT_READY, NULL, 0),
			 BOT_PASSED);
	assert_int_equal(rig.residue, 0);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_02_hn_di(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_command(&rig, RIG_NONE, READ_10(0, 1), NULL, 0),
			 BOT_PHASE_ERROR);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_03_hn_do(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_command(&rig, RIG_NONE, WRITE_10(0, 1), NULL, 0),
			 BOT_PHASE_ERROR);
	assert_int_equal(rig.mem->count[IMAGE_WRITE], 0);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_04_hi_dn(void **state)
{
	uint8_t data[64];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_command(&rig, RIG_IN, TEST_UNIT_READY, data, 64),
			 BOT_PASSED);
	assert_int_equal(rig.actual, 0);
	assert_int_equal(rig.residue, 64);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_05_hi_more_than_di(void **state)
{
	uint8_t data[4 * BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_command(&rig, RIG_IN, INQUIRY, data, 255),
			 BOT_PASSED);
	assert_int_equal(rig.actual, 36);
	assert_int_equal(rig.residue, 255 - 36);
	/* What there is fills whole packets, so that none of them is short. */
	assert_int_equal(
		rig_command(&rig, RIG_IN, READ_10(0, 2), data, sizeof(data)),
		BOT_PASSED);
	assert_int_equal(rig.actual, 2 * BLOCK);
	assert_int_equal(rig.residue, 2 * BLOCK);
	assert_memory_equal(data, rig.mem->data, 2 * BLOCK);
	expect_alive(&rig);
	rig_fini(&rig);
}

/* As 5, but the host fetches in URBs that are all full. */
static void test_case_05_in_full_urbs(void **state)
{
	uint8_t data[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_send_cbw(&rig, RIG_IN, 3 * BLOCK, READ_10(0, 2));
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(rig_in(&rig, BOT_EP_IN, data, BLOCK), 0);
		assert_int_equal(rig.actual, BLOCK);
	}
	assert_int_equal(rig_in(&rig, BOT_EP_IN, data, BLOCK), 0);
	assert_int_equal(rig.actual, 0); /* the short packet that ends it */
	assert_int_equal(rig_fetch_csw(&rig), BOT_PASSED);
	assert_int_equal(rig.residue, BLOCK);
	expect_alive(&rig);
	rig_fini(&rig);
}

/* Another disk's data was torn: what was not sent from files is good. */
static void test_torn_elsewhere(void **state)
{
	uint8_t data[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_send_cbw(&rig, RIG_IN, BLOCK, READ_10(0, 1));
	assert_int_equal(rig_in(&rig, BOT_EP_IN, data, BLOCK), 0);
	rig.pool.torn++;
	assert_int_equal(rig_fetch_csw(&rig), BOT_PASSED);
	expect_alive(&rig);
	rig_fini(&rig);
}

/* Whoever asks for the CSW at once gets it when the data has left. */
static void test_torn_data(void **state)
{
	const uint32_t n = 65536;
	struct rig_urb data, csw;
	struct rig rig;
	uint8_t block[BLOCK] = { 1 };

	(void)state;
	rig_disk_raw(&rig, n, false, &options);
	for (uint32_t i = 0; i < n / BLOCK; i++)
		assert_int_equal(pwrite(rig.fd, block, BLOCK, i * BLOCK),
				 BLOCK);
	rig_send_cbw(&rig, RIG_IN, n, READ_10(0, n / BLOCK));
	rig_urb_in(&data, BOT_EP_IN, n);
	rig_urb_in(&csw, BOT_EP_IN, BOT_CSW_SIZE);
	rig_submit(&rig, &data);
	rig_submit(&rig, &csw);
	assert_int_equal(rig_finish(&rig, &data), 0);
	assert_true(data.urb.buf->foreign);
	rig_turns(&rig);
	assert_int_equal(csw.completions, 0);
	rig.pool.torn++;
	rig_urb_fini(&data);
	assert_int_equal(rig_finish(&rig, &csw), 0);
	assert_int_equal(rig_csw(&rig, csw.urb.buf->data + csw.urb.off),
			 BOT_FAILED);
	rig_urb_fini(&csw);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_DATA_PHASE);
	rig_fini(&rig);
}

static void test_case_06_hi_di(void **state)
{
	uint8_t data[3 * BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_good(&rig, RIG_IN, READ_10(5, 3), data, sizeof(data));
	assert_memory_equal(data, rig.mem->data + 5 * BLOCK, sizeof(data));
	rig_fini(&rig);
}

static void test_case_07_hi_less_than_di(void **state)
{
	uint8_t data[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(
		rig_command(&rig, RIG_IN, READ_10(0, 4), data, sizeof(data)),
		BOT_PHASE_ERROR);
	assert_int_equal(rig.actual, BLOCK);
	assert_memory_equal(data, rig.mem->data, BLOCK);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_08_hi_do(void **state)
{
	uint8_t data[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(
		rig_command(&rig, RIG_IN, WRITE_10(0, 1), data, sizeof(data)),
		BOT_PHASE_ERROR);
	assert_int_equal(rig.actual, 0);
	assert_int_equal(rig.mem->count[IMAGE_WRITE], 0);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_09_ho_dn(void **state)
{
	uint8_t data[BLOCK] = { 0 };
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(
		rig_command(&rig, RIG_OUT, TEST_UNIT_READY, data, sizeof(data)),
		BOT_PASSED);
	assert_int_equal(rig.residue, BLOCK);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_10_ho_di(void **state)
{
	uint8_t data[BLOCK] = { 0 };
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(
		rig_command(&rig, RIG_OUT, READ_10(0, 1), data, sizeof(data)),
		BOT_PHASE_ERROR);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_11_ho_more_than_do(void **state)
{
	uint8_t data[3 * BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(
		rig_command(&rig, RIG_OUT, WRITE_10(1, 1), data, sizeof(data)),
		BOT_PASSED);
	assert_int_equal(rig.residue, 2 * BLOCK);
	assert_memory_equal(rig.mem->data + BLOCK, data, BLOCK);
	/* The surplus has not been written behind the block. */
	assert_int_not_equal(rig.mem->data[2 * BLOCK], 0x5a);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_case_12_ho_do(void **state)
{
	uint8_t data[2 * BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	memset(data, 0x5a, sizeof(data));
	rig_good(&rig, RIG_OUT, WRITE_10(3, 2), data, sizeof(data));
	assert_memory_equal(rig.mem->data + 3 * BLOCK, data, sizeof(data));
	rig_fini(&rig);
}

static void test_case_13_ho_less_than_do(void **state)
{
	uint8_t data[BLOCK];
	struct rig rig;

	(void)state;
	begin(&rig);
	memset(data, 0x5a, sizeof(data));
	assert_int_equal(
		rig_command(&rig, RIG_OUT, WRITE_10(0, 4), data, sizeof(data)),
		BOT_PHASE_ERROR);
	assert_int_not_equal(rig.mem->data[BLOCK], 0x5a);
	expect_alive(&rig);
	rig_fini(&rig);
}

/* --- A data stage in many URBs ----------------------------------------------------- */

#define MANY (40 * BLOCK)

/* Sizes that divide nothing; the last URB gets what is left. */
static uint32_t next_size(uint32_t *seed, uint32_t left)
{
	*seed = *seed * 1103515245 + 12345;
	return MIN(1 + (*seed >> 16) % 1500, left);
}

static void test_in_odd_urbs(void **state)
{
	static uint8_t data[MANY];
	uint32_t seed = 1, at = 0;
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_send_cbw(&rig, RIG_IN, MANY, READ_10(9, MANY / BLOCK));
	while (at < MANY) {
		uint32_t n = next_size(&seed, MANY - at);

		assert_int_equal(rig_in(&rig, BOT_EP_IN, data + at, n), 0);
		assert_int_equal(rig.actual, n);
		at += n;
	}
	assert_int_equal(rig_fetch_csw(&rig), BOT_PASSED);
	assert_int_equal(rig.residue, 0);
	assert_memory_equal(data, rig.mem->data + 9 * BLOCK, MANY);
	rig_fini(&rig);
}

static void test_out_odd_urbs(void **state)
{
	static uint8_t data[MANY];
	uint32_t seed = 2, at = 0;
	struct rig rig;

	(void)state;
	begin(&rig);
	for (uint32_t i = 0; i < MANY; i++)
		data[i] = (uint8_t)(i * 7);
	rig_send_cbw(&rig, RIG_OUT, MANY, WRITE_10(9, MANY / BLOCK));
	while (at < MANY) {
		uint32_t n = next_size(&seed, MANY - at);

		assert_int_equal(rig_out(&rig, BOT_EP_OUT, data + at, n), 0);
		assert_int_equal(rig.actual, n);
		at += n;
	}
	assert_int_equal(rig_fetch_csw(&rig), BOT_PASSED);
	assert_int_equal(rig.residue, 0);
	assert_memory_equal(rig.mem->data + 9 * BLOCK, data, MANY);
	rig_fini(&rig);
}

/* One URB each way, of n bytes. */
static void large_transfer(uint32_t n)
{
	uint8_t *data = malloc(n);
	struct rig rig;

	assert_non_null(data);
	begin(&rig);
	rig_good(&rig, RIG_IN, READ_10(1, n / BLOCK), data, n);
	assert_memory_equal(data, rig.mem->data + BLOCK, n);
	memset(data, 0xee, n);
	rig_good(&rig, RIG_OUT, WRITE_10(1, n / BLOCK), data, n);
	assert_memory_equal(rig.mem->data + BLOCK, data, n);
	rig_fini(&rig);
	free(data);
}

static void test_large_transfers(void **state)
{
	(void)state;
	large_transfer(1 << 20);
	large_transfer((1 << 20) + BLOCK);
	large_transfer(4 << 20);
}

/* More than the image may owe: URBs are answered as it catches up. */
static void test_out_beyond_pending(void **state)
{
	const uint32_t n = 1 << 20;
	uint8_t *data = calloc(1, n);
	struct rig_urb u[6];
	struct rig rig;

	(void)state;
	assert_non_null(data);
	begin(&rig);
	rig_send_cbw(&rig, RIG_OUT, 6 * n, WRITE_10(0, 6 * n / BLOCK));
	rig.mem->hold = true;
	for (size_t i = 0; i < ARRAY_SIZE(u); i++) {
		rig_urb_out(&rig, &u[i], BOT_EP_OUT, data, n);
		rig_submit(&rig, &u[i]);
	}
	rig_turns(&rig);
	assert_int_equal(u[2].completions, 1);
	assert_int_equal(u[3].completions, 0); /* SCSI_MAX_PENDING */
	mem_image_release(rig.mem);
	for (size_t i = 0; i < ARRAY_SIZE(u); i++) {
		assert_int_equal(rig_finish(&rig, &u[i]), 0);
		rig_urb_fini(&u[i]);
	}
	assert_int_equal(rig_fetch_csw(&rig), BOT_PASSED);
	rig_fini(&rig);
	free(data);
}

/* --- URBs before they are wanted ----------------------------------------------------- */

static void test_in_urbs_before_cbw(void **state)
{
	struct rig_urb data, csw;
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_urb_in(&data, BOT_EP_IN, BLOCK);
	rig_urb_in(&csw, BOT_EP_IN, BOT_CSW_SIZE);
	rig_submit(&rig, &data);
	rig_submit(&rig, &csw);
	rig_turns(&rig);
	assert_int_equal(data.completions, 0);
	rig_send_cbw(&rig, RIG_IN, BLOCK, READ_10(2, 1));
	assert_int_equal(rig_finish(&rig, &data), 0);
	assert_int_equal(rig_finish(&rig, &csw), 0);
	assert_memory_equal(data.urb.buf->data + data.urb.off,
			    rig.mem->data + 2 * BLOCK, BLOCK);
	assert_int_equal(rig_csw(&rig, csw.urb.buf->data + csw.urb.off),
			 BOT_PASSED);
	rig_urb_fini(&data);
	rig_urb_fini(&csw);
	rig_fini(&rig);
}

/* CBW, data and the next CBW are queued together; each waits its turn. */
static void test_out_urbs_at_once(void **state)
{
	uint8_t cbw[2][BOT_CBW_SIZE], block[BLOCK];
	struct rig_urb out[3], in[2];
	struct rig rig;

	(void)state;
	begin(&rig);
	memset(block, 0x77, sizeof(block));
	rig_cbw(&rig, cbw[0], RIG_OUT, BLOCK, WRITE_10(4, 1));
	rig_cbw(&rig, cbw[1], RIG_NONE, 0, TEST_UNIT_READY);
	rig_urb_out(&rig, &out[0], BOT_EP_OUT, cbw[0], BOT_CBW_SIZE);
	rig_urb_out(&rig, &out[1], BOT_EP_OUT, block, BLOCK);
	rig_urb_out(&rig, &out[2], BOT_EP_OUT, cbw[1], BOT_CBW_SIZE);
	for (size_t i = 0; i < ARRAY_SIZE(out); i++)
		rig_submit(&rig, &out[i]);
	rig_turns(&rig);
	assert_int_equal(out[1].completions, 1);
	assert_int_equal(out[2].completions, 0); /* the CSW comes first */
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		rig_urb_in(&in[i], BOT_EP_IN, BOT_CSW_SIZE);
		rig_submit(&rig, &in[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		assert_int_equal(rig_finish(&rig, &in[i]), 0);
		assert_int_equal(in[i].urb.buf->data[12], BOT_PASSED);
		rig_urb_fini(&in[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(out); i++) {
		assert_int_equal(out[i].completions, 1);
		rig_urb_fini(&out[i]);
	}
	assert_memory_equal(rig.mem->data + 4 * BLOCK, block, BLOCK);
	rig_fini(&rig);
}

static void test_csw_urb_too_small(void **state)
{
	uint8_t csw[BOT_CSW_SIZE];
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_send_cbw(&rig, RIG_NONE, 0, TEST_UNIT_READY);
	assert_int_equal(rig_in(&rig, BOT_EP_IN, csw, BOT_CSW_SIZE - 1),
			 -EOVERFLOW);
	assert_int_equal(rig_fetch_csw(&rig), BOT_PASSED);
	rig_fini(&rig);
}

/* --- CBWs that are none --------------------------------------------------------------- */

/* Both endpoints stall, and go on doing so until reset recovery. */
static void expect_dead(struct rig *rig)
{
	uint8_t data[BOT_CBW_SIZE] = { 0 };

	for (int i = 0; i < 2; i++) {
		assert_int_equal(rig_in(rig, BOT_EP_IN, data, BOT_CSW_SIZE),
				 -EPIPE);
		assert_int_equal(rig_out(rig, BOT_EP_OUT, data, BOT_CBW_SIZE),
				 -EPIPE);
		assert_int_equal(rig_clear_halt(rig, BOT_EP_IN), 0);
		assert_int_equal(rig_clear_halt(rig, BOT_EP_OUT), 0);
	}
}

static void test_invalid_cbw(void **state)
{
	struct {
		size_t at;
		uint8_t value;
	} const wrong[] = {
		{ 0, 'X' },   /* signature */
		{ 12, 0x81 }, /* reserved bits of the flags */
		{ 13, 0x10 }, /* reserved bits of the LUN */
		{ 14, 0 },    /* length of the CDB */
		{ 14, 17 },
	};
	uint8_t cbw[BOT_CBW_SIZE + 1] = { 0 };
	struct rig rig;

	(void)state;
	begin(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		rig_cbw(&rig, cbw, RIG_NONE, 0, TEST_UNIT_READY);
		cbw[wrong[i].at] = wrong[i].value;
		assert_int_equal(rig_out(&rig, BOT_EP_OUT, cbw, BOT_CBW_SIZE),
				 -EPIPE);
		expect_dead(&rig);
		recover(&rig);
		expect_alive(&rig);
	}
	for (int d = -1; d <= 1; d += 2) { /* too short, too long */
		rig_cbw(&rig, cbw, RIG_NONE, 0, TEST_UNIT_READY);
		assert_int_equal(rig_out(&rig, BOT_EP_OUT, cbw,
					 (uint32_t)(BOT_CBW_SIZE + d)),
				 -EPIPE);
		expect_dead(&rig);
		recover(&rig);
		expect_alive(&rig);
	}
	rig_fini(&rig);
}

/* The class reset alone leaves the halts (section 3.1). */
static void test_class_reset_keeps_halts(void **state)
{
	struct usb_setup reset = { 0x21, BOT_REQUEST_RESET, 0, 0, 0 };
	uint8_t junk[5] = { 0 };
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_out(&rig, BOT_EP_OUT, junk, sizeof(junk)), -EPIPE);
	assert_int_equal(rig_control(&rig, reset, NULL), 0);
	assert_int_equal(rig_out(&rig, BOT_EP_OUT, junk, sizeof(junk)), -EPIPE);
	assert_int_equal(rig_in(&rig, BOT_EP_IN, junk, sizeof(junk)), -EPIPE);
	assert_int_equal(rig_clear_halt(&rig, BOT_EP_IN), 0);
	assert_int_equal(rig_clear_halt(&rig, BOT_EP_OUT), 0);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_usb_reset_revives(void **state)
{
	uint8_t junk[5] = { 0 };
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_out(&rig, BOT_EP_OUT, junk, sizeof(junk)), -EPIPE);
	assert_int_equal(
		rig_admin(&rig, (struct usb_admin){ .type = USB_RESET }), 0);
	rig_take_attention(&rig);
	expect_alive(&rig);
	rig_fini(&rig);
}

/* A unit that there is not: INQUIRY says so, all else fails (SPC-4, 6.4.2). */
static void test_wrong_lun(void **state)
{
	uint8_t data[36];
	struct rig rig;

	(void)state;
	begin(&rig);
	for (rig.lun = 15; rig.lun; rig.lun--) {
		rig_good(&rig, RIG_IN, INQUIRY, data, sizeof(data));
		assert_int_equal(data[0], 0x7f);
		/* REPORT LUNS: LUN 0 alone */
		rig_good(&rig, RIG_IN, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 16),
			 data, 16);
		assert_int_equal(data[3], 8);
		assert_int_equal(rig_sense(&rig), SCSI_SENSE_INVALID_LUN);
		for (unsigned int op = 0; op < 256; op++)
			if (op != 0x03 && op != 0x12 && op != 0xa0)
				rig_bad(&rig, RIG_IN, CDB((uint8_t)op), data,
					sizeof(data), SCSI_SENSE_INVALID_LUN);
	}
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_NONE);
	expect_alive(&rig);
	rig_fini(&rig);
}

/* --- Halts ------------------------------------------------------------------------------ */

static unsigned int halt_status(struct rig *rig, uint8_t ep)
{
	uint8_t status[2];

	assert_int_equal(rig_control(rig,
				     (struct usb_setup){ 0x82, 0, 0, ep, 2 },
				     status),
			 0);
	return status[0];
}

static void test_set_feature_halt(void **state)
{
	const uint8_t eps[] = { BOT_EP_IN, BOT_EP_OUT };
	uint8_t data[BLOCK] = { 0 };
	struct rig rig;

	(void)state;
	begin(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(eps); i++) {
		struct usb_setup set = { 0x02, 3, 0, eps[i], 0 };

		assert_int_equal(halt_status(&rig, eps[i]), 0);
		assert_int_equal(rig_control(&rig, set, NULL), 0);
		assert_int_equal(halt_status(&rig, eps[i]), 1);
		assert_int_equal(eps[i] & USB_DIR_IN
					 ? rig_in(&rig, eps[i], data, BLOCK)
					 : rig_out(&rig, eps[i], data, 31),
				 -EPIPE);
		assert_int_equal(rig_clear_halt(&rig, eps[i]), 0);
		assert_int_equal(halt_status(&rig, eps[i]), 0);
		expect_alive(&rig);
	}
	rig_fini(&rig);
}

/* A halt ends the URBs that wait. */
static void test_halt_ends_waiting(void **state)
{
	struct usb_setup set = { 0x02, 3, 0, BOT_EP_IN, 0 };
	struct rig_urb u;
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_urb_in(&u, BOT_EP_IN, BLOCK);
	rig_submit(&rig, &u);
	assert_int_equal(rig_control(&rig, set, NULL), 0);
	assert_int_equal(rig_finish(&rig, &u), -EPIPE);
	assert_int_equal(rig_clear_halt(&rig, BOT_EP_IN), 0);
	expect_alive(&rig);
	rig_fini(&rig);
}

static void test_halt_of_no_endpoint(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_control(&rig,
				     (struct usb_setup){ 0x02, 3, 0, 0x85, 0 },
				     NULL),
			 -EPIPE);
	assert_int_equal(rig_clear_halt(&rig, 0x85), -EPIPE);
	assert_int_equal(rig_clear_halt(&rig, 0x00), 0);
	rig_fini(&rig);
}

static void test_get_max_lun(void **state)
{
	struct usb_setup setup = { 0xa1, BOT_REQUEST_GET_MAX_LUN, 0, 0, 1 };
	uint8_t lun = 0xff;
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_control(&rig, setup, &lun), 0);
	assert_int_equal(rig.actual, 1);
	assert_int_equal(lun, 0);
	rig_fini(&rig);
}

/* Data is written while it arrives, in whatever pieces. */
static void test_early(void **state)
{
	static const uint32_t arrivals[] = { 1, 100000, 300000, 300001,
					     524288 };
	uint32_t len = 512u << 10;
	uint8_t *data = malloc(len), *back = calloc(1, len);
	struct rig_urb u;
	struct rig rig;

	(void)state;
	begin(&rig);
	for (uint32_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 >> 3);
	rig_send_cbw(&rig, RIG_OUT, len, WRITE_10(3, len / BLOCK));
	rig_urb_out(&rig, &u, BOT_EP_OUT, data, len);
	/* What has not arrived yet is not there to be written. */
	memset(u.urb.buf->data, 0xee, len);
	u.urb.early = true;
	rig_submit(&rig, &u);
	for (size_t i = 0; i < ARRAY_SIZE(arrivals); i++) {
		rig_turns(&rig);
		assert_int_equal(u.completions, 0);
		memcpy(u.urb.buf->data, data, arrivals[i]);
		usb_arrived(&u.urb, arrivals[i]);
	}
	assert_int_equal(rig_finish(&rig, &u), 0);
	assert_int_equal(u.urb.actual, len);
	assert_true(rig.mem->count[IMAGE_WRITE] >= 2);
	assert_int_equal(rig_fetch_csw(&rig), BOT_PASSED);
	assert_int_equal(
		rig_command(&rig, RIG_IN, READ_10(3, len / BLOCK), back, len),
		BOT_PASSED);
	assert_memory_equal(back, data, len);
	rig_urb_fini(&u);
	rig_fini(&rig);
	free(data);
	free(back);
}

/* The endpoint is halted while an early URB is being taken. */
static void test_early_halted(void **state)
{
	uint8_t block[BLOCK] = { 1 };
	struct rig_urb u;
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_send_cbw(&rig, RIG_OUT, 1 << 20, WRITE_10(0, (1 << 20) / BLOCK));
	rig_urb_out(&rig, &u, BOT_EP_OUT, block, 0);
	buf_put(u.urb.buf);
	u.urb.buf = bufpool_get(&rig.pool, 1 << 20);
	memset(u.urb.buf->data, 0, 1 << 20);
	u.urb.len = 1 << 20;
	u.urb.early = true;
	rig_submit(&rig, &u);
	usb_arrived(&u.urb, 600000);
	assert_int_equal(
		rig_control(&rig,
			    (struct usb_setup){ 0x02, 0x03, 0, BOT_EP_OUT, 0 },
			    NULL),
		0);
	assert_int_equal(rig_finish(&rig, &u), -EPIPE);
	rig_urb_fini(&u);
	assert_int_equal(rig_clear_halt(&rig, BOT_EP_OUT), 0);
	/* The next one starts from its own beginning. */
	assert_int_equal(rig_out(&rig, BOT_EP_OUT, block, BLOCK), 0);
	rig_fini(&rig);
}

/* --- Cancel, reset and close at every stage of a command ---------------------------- */

/* Where a command stands when it is disturbed. */
enum stage {
	STAGE_IDLE,	   /* an IN URB waits, there is no command */
	STAGE_IN_READING,  /* the image has not answered the read */
	STAGE_IN_BETWEEN,  /* half of the data has been fetched */
	STAGE_OUT_WANTED,  /* no data has come yet */
	STAGE_OUT_WRITING, /* the image has not taken the data */
	STAGE_OUT_FULL,	   /* so much of it that the URB is not answered */
	STAGE_OUT_EARLY,   /* the URB is there, its data is not */
	STAGE_OUT_PARTLY,  /* some of its data has arrived */
	STAGE_OUT_FLOOD,   /* so much of it that no more is taken */
	STAGE_RUNNING,	   /* the data has moved, a flush is running */
	STAGE_STATUS,	   /* the CSW waits */
	STAGES,
};

struct scene {
	struct rig rig;
	struct rig_urb urb; /* in flight in most stages */
	uint8_t *data;
};

#define FULL (6u << 20)

static void start_read(struct scene *scene, bool half)
{
	uint8_t block[BLOCK];
	struct rig *rig = &scene->rig;

	rig->mem->hold = !half;
	rig_send_cbw(rig, RIG_IN, 2 * BLOCK, READ_10(0, 2));
	if (half)
		assert_int_equal(rig_in(rig, BOT_EP_IN, block, BLOCK), 0);
	if (half)
		return;
	rig_urb_in(&scene->urb, BOT_EP_IN, 2 * BLOCK);
	rig_submit(rig, &scene->urb);
}

static void start_write(struct scene *scene, uint32_t len)
{
	struct rig *rig = &scene->rig;

	rig->mem->hold = true;
	rig_send_cbw(rig, RIG_OUT, FULL, WRITE_10(0, FULL / BLOCK));
	if (!len)
		return;
	rig_urb_out(rig, &scene->urb, BOT_EP_OUT, scene->data, len);
	rig_submit(rig, &scene->urb);
}

/* An early URB of which arrived bytes are there. */
static void start_early(struct scene *scene, uint32_t arrived)
{
	struct rig *rig = &scene->rig;

	rig->mem->hold = true;
	rig_send_cbw(rig, RIG_OUT, FULL, WRITE_10(0, FULL / BLOCK));
	rig_urb_out(rig, &scene->urb, BOT_EP_OUT, scene->data, FULL);
	scene->urb.urb.early = true;
	rig_submit(rig, &scene->urb);
	if (arrived)
		usb_arrived(&scene->urb.urb, arrived);
	assert_int_equal(scene->urb.completions, 0);
}

static void set_scene(struct scene *scene, enum stage stage)
{
	struct rig *rig = &scene->rig;

	begin(rig);
	scene->data = calloc(1, FULL);
	assert_non_null(scene->data);
	scene->urb = (struct rig_urb){ 0 };
	switch (stage) {
	case STAGE_IDLE:
		rig_urb_in(&scene->urb, BOT_EP_IN, BOT_CSW_SIZE);
		rig_submit(rig, &scene->urb);
		break;
	case STAGE_IN_READING:
	case STAGE_IN_BETWEEN:
		start_read(scene, stage == STAGE_IN_BETWEEN);
		break;
	case STAGE_OUT_WANTED:
		start_write(scene, 0);
		break;
	case STAGE_OUT_WRITING:
		start_write(scene, BLOCK);
		break;
	case STAGE_OUT_FULL:
		start_write(scene, 5 << 20);
		break;
	case STAGE_OUT_EARLY:
		start_early(scene, 0);
		break;
	case STAGE_OUT_PARTLY:
		start_early(scene, 1 << 20);
		break;
	case STAGE_OUT_FLOOD:
		start_early(scene, 5 << 20);
		break;
	case STAGE_RUNNING:
		rig->mem->hold = true;
		rig_send_cbw(rig, RIG_NONE, 0, CDB(0x35));
		rig_urb_in(&scene->urb, BOT_EP_IN, BOT_CSW_SIZE);
		rig_submit(rig, &scene->urb);
		break;
	default:
		rig_send_cbw(rig, RIG_NONE, 0, TEST_UNIT_READY);
	}
	rig_turns(rig);
}

static bool in_flight(const struct scene *scene)
{
	return scene->urb.urb.device && !scene->urb.completions;
}

static void end_scene(struct scene *scene)
{
	/* Exactly once, if at all. */
	assert_int_equal(scene->urb.completions, scene->urb.urb.device ? 1 : 0);
	rig_urb_fini(&scene->urb);
	rig_fini(&scene->rig);
	free(scene->data);
}

static void test_cancel_then_recovery(void **state)
{
	struct scene scene;

	(void)state;
	for (enum stage stage = 0; stage < STAGES; stage++) {
		set_scene(&scene, stage);
		if (in_flight(&scene))
			usb_cancel(&scene.urb.urb);
		mem_image_release(scene.rig.mem);
		recover(&scene.rig);
		rig_turns(&scene.rig);
		expect_alive(&scene.rig);
		end_scene(&scene);
	}
}

/* The reset comes while the image is still at it. */
static void test_recovery_while_busy(void **state)
{
	struct usb_setup reset = { 0x21, BOT_REQUEST_RESET, 0, 0, 0 };
	struct rig_urb u;
	struct scene scene;

	(void)state;
	for (enum stage stage = 0; stage < STAGES; stage++) {
		set_scene(&scene, stage);
		rig_urb_control(&u, reset);
		rig_submit(&scene.rig, &u);
		rig_turns(&scene.rig);
		mem_image_release(scene.rig.mem);
		assert_int_equal(rig_finish(&scene.rig, &u), 0);
		if (in_flight(&scene)) /* what waits, stays */
			usb_cancel(&scene.urb.urb);
		rig_turns(&scene.rig);
		expect_alive(&scene.rig);
		end_scene(&scene);
	}
}

/* A host that gave up on one class reset tries another. */
static void test_two_class_resets(void **state)
{
	struct usb_setup reset = { 0x21, BOT_REQUEST_RESET, 0, 0, 0 };
	struct rig_urb u[2];
	struct scene scene;

	(void)state;
	set_scene(&scene, STAGE_OUT_WRITING);
	for (size_t i = 0; i < ARRAY_SIZE(u); i++) {
		rig_urb_control(&u[i], reset);
		rig_submit(&scene.rig, &u[i]);
		usb_cancel(&u[i].urb);
		rig_turns(&scene.rig);
	}
	mem_image_release(scene.rig.mem);
	for (size_t i = 0; i < ARRAY_SIZE(u); i++)
		assert_int_equal(rig_finish(&scene.rig, &u[i]), 0);
	expect_alive(&scene.rig);
	end_scene(&scene);
}

static void test_usb_reset_in_command(void **state)
{
	struct rig_admin reset[2];
	struct scene scene;

	(void)state;
	for (enum stage stage = 0; stage < STAGES; stage++) {
		set_scene(&scene, stage);
		/* QEMU resets more than once in a row. */
		for (size_t i = 0; i < ARRAY_SIZE(reset); i++)
			rig_admin_start(
				&scene.rig, &reset[i],
				(struct usb_admin){ .type = USB_RESET });
		rig_turns(&scene.rig);
		mem_image_release(scene.rig.mem);
		for (size_t i = 0; i < ARRAY_SIZE(reset); i++) {
			rig_wait(&scene.rig, &reset[i].completions, 0);
			assert_int_equal(reset[i].completions, 1);
			assert_int_equal(reset[i].admin.status, 0);
		}
		if (scene.urb.completions == 1 && stage != STAGE_OUT_WRITING)
			assert_int_equal(scene.urb.urb.status, -ECANCELED);
		rig_take_attention(&scene.rig);
		expect_alive(&scene.rig);
		end_scene(&scene);
	}
}

/* The CBW that follows on a class reset may have been queued before it. */
static void test_reset_with_cbw_queued(void **state)
{
	struct usb_setup reset = { 0x21, BOT_REQUEST_RESET, 0, 0, 0 };
	uint8_t cbw[BOT_CBW_SIZE];
	struct rig_urb u;
	struct scene scene;
	struct rig *rig = &scene.rig;

	(void)state;
	set_scene(&scene, STAGE_STATUS);
	rig_cbw(rig, cbw, RIG_NONE, 0, TEST_UNIT_READY);
	rig_urb_out(rig, &u, BOT_EP_OUT, cbw, sizeof(cbw));
	rig_submit(rig, &u);
	rig_turns(rig);
	assert_int_equal(u.completions, 0); /* the CSW comes first */
	assert_int_equal(rig_control(rig, reset, NULL), 0);
	assert_int_equal(rig_finish(rig, &u), 0);
	assert_int_equal(rig_fetch_csw(rig), BOT_PASSED);
	rig_urb_fini(&u);
	end_scene(&scene);
}

/* --- The end ---------------------------------------------------------------------------- */

static void test_close_in_command(void **state)
{
	struct scene scene;
	struct rig *rig = &scene.rig;

	(void)state;
	for (enum stage stage = 0; stage < STAGES; stage++) {
		set_scene(&scene, stage);
		usb_close(rig->device);
		rig_turns(rig);
		/* Memory is lent to the image: not gone while it is busy. */
		assert_int_equal(rig->gone, !rig->mem->hold);
		mem_image_release(rig->mem);
		if (!rig->gone)
			rig_wait(rig, &rig->gone, 0);
		assert_int_equal(rig->gone, 1);
		assert_int_equal(rig->device->inflight_urbs, 0);
		assert_true(rig->mem->count[IMAGE_FLUSH] >= 1);
		rig_open_disk(rig, USB_SPEED_SUPER);
		expect_alive(rig);
		end_scene(&scene);
	}
}

/* A reset is pending when the frontend goes. */
static void test_close_in_reset(void **state)
{
	struct rig_admin reset;
	struct scene scene;

	(void)state;
	set_scene(&scene, STAGE_OUT_FULL);
	rig_admin_start(&scene.rig, &reset,
			(struct usb_admin){ .type = USB_RESET });
	usb_close(scene.rig.device);
	rig_turns(&scene.rig);
	mem_image_release(scene.rig.mem);
	rig_wait(&scene.rig, &scene.rig.gone, 0);
	assert_int_equal(reset.completions, 1);
	end_scene(&scene);
}

static void unplugged(struct usb_listener *listener)
{
	usb_close(container_of(listener, struct rig, listener)->device);
}

/* The owner takes the disk away while the image works. */
static void test_unplugged_in_command(void **state)
{
	struct usb_listener_ops ops;
	struct scene scene;
	struct rig *rig = &scene.rig;
	bool destroyed = false;

	(void)state;
	set_scene(&scene, STAGE_OUT_FULL);
	ops = *rig->listener.ops;
	ops.leaving = unplugged;
	rig->listener.ops = &ops;
	rig->mem->destroyed = &destroyed;
	usb_leave(rig->device);
	mem_image_release(rig->mem);
	rig_wait(rig, &rig->gone, 0);
	end_scene(&scene);
	assert_true(destroyed);
}

static void test_close_flushes(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_close(&rig);
	assert_int_equal(rig.mem->count[IMAGE_FLUSH], 1);
	/* A flush that fails is told, and the device is gone all the same. */
	rig_open(&rig, USB_SPEED_HIGH);
	rig.mem->error[IMAGE_FLUSH] = -EIO;
	rig_close(&rig);
	assert_int_equal(rig.mem->count[IMAGE_FLUSH], 2);
	rig_fini(&rig);
}

/* --- Descriptors -------------------------------------------------------------------------- */

static uint32_t get_descriptor(struct rig *rig, uint16_t value, uint8_t *out,
			       uint16_t len)
{
	struct usb_setup setup = { 0x80, USBDESC_GET_DESCRIPTOR, value, 0,
				   len };

	assert_int_equal(rig_control(rig, setup, out), 0);
	return rig->actual;
}

static void expect_no_descriptor(struct rig *rig, uint16_t value)
{
	struct usb_setup setup = { 0x80, USBDESC_GET_DESCRIPTOR, value, 0,
				   255 };
	uint8_t out[255];

	assert_int_equal(rig_control(rig, setup, out), -EPIPE);
}

/* A disk that has been opened at that speed. */
static void begin_at(struct rig *rig, enum usb_speed speed)
{
	begin(rig);
	rig_close(rig);
	rig_open_disk(rig, speed);
}

static void check_device(struct rig *rig, bool super)
{
	uint8_t d[64];

	assert_int_equal(get_descriptor(rig, 0x0100, d, sizeof(d)), 18);
	assert_int_equal(d[0], 18);
	assert_int_equal(d[1], USBDESC_DEVICE);
	assert_int_equal(d[3], super ? 3 : 2);	/* major USB version */
	assert_int_equal(d[7], super ? 9 : 64); /* packets of endpoint 0 */
	assert_int_equal(d[8] | d[9] << 8, rig->device->info.vendor);
	assert_int_equal(d[10] | d[11] << 8, rig->device->info.product);
	assert_int_equal(d[17], 1);
	/* Hosts ask for the first eight bytes first. */
	assert_int_equal(get_descriptor(rig, 0x0100, d, 8), 8);
}

struct seen {
	unsigned int interfaces, endpoints, companions;
};

/* Walks a configuration by the lengths that its descriptors give. */
static struct seen walk(const uint8_t *d, uint32_t len, bool super)
{
	struct seen seen = { 0 };
	uint32_t at = 0;

	while (at < len) {
		assert_true(d[at] >= 2 && at + d[at] <= len);
		switch (d[at + 1]) {
		case USBDESC_INTERFACE:
			seen.interfaces++;
			assert_int_equal(d[at + 5], USBDESC_CLASS_MASS_STORAGE);
			assert_int_equal(d[at + 6], USBDESC_SUBCLASS_SCSI);
			assert_int_equal(d[at + 7], USBDESC_PROTOCOL_BOT);
			break;
		case USBDESC_ENDPOINT:
			seen.endpoints++;
			assert_int_equal(d[at + 3], USB_BULK);
			assert_int_equal(d[at + 4] | d[at + 5] << 8,
					 super ? 1024 : 512);
			break;
		case USBDESC_SS_COMPANION:
			seen.companions++;
			/* Right behind its endpoint (USB 3.2, 9.6.7). */
			assert_int_equal(d[at - 7 + 1], USBDESC_ENDPOINT);
			assert_int_equal(d[at], 6);
			break;
		}
		at += d[at];
	}
	assert_int_equal(at, len);
	return seen;
}

static void check_configuration(struct rig *rig, bool super)
{
	uint8_t d[255];
	uint32_t len = get_descriptor(rig, 0x0200, d, sizeof(d));
	struct seen seen;

	assert_int_equal(d[2] | d[3] << 8, len);
	assert_int_equal(d[4], 1);
	seen = walk(d, len, super);
	assert_int_equal(seen.interfaces, 1);
	assert_int_equal(seen.endpoints, 2);
	assert_int_equal(seen.companions, super ? 2 : 0);
	assert_int_equal(get_descriptor(rig, 0x0200, d, 9), 9);
	assert_int_equal(d[2] | d[3] << 8, len);
}

static void check_bos(struct rig *rig)
{
	uint8_t d[255];
	uint32_t len = get_descriptor(rig, 0x0f00, d, sizeof(d));
	unsigned int n = 0, super_speed = 0;

	assert_int_equal(d[1], USBDESC_BOS);
	assert_int_equal(d[2] | d[3] << 8, len);
	for (uint32_t at = d[0]; at < len; at += d[at], n++) {
		assert_true(d[at] >= 3 && at + d[at] <= len);
		assert_int_equal(d[at + 1], USBDESC_DEVICE_CAPABILITY);
		super_speed += d[at + 2] == USBDESC_CAP_SUPERSPEED;
	}
	assert_int_equal(n, d[4]);
	assert_int_equal(super_speed, 1);
}

static void check_strings(struct rig *rig)
{
	uint8_t d[255];
	uint32_t len;

	for (uint8_t i = 0; i <= 3; i++) {
		len = get_descriptor(rig, (uint16_t)(0x0300 | i), d, sizeof(d));
		assert_int_equal(d[0], len);
		assert_int_equal(d[1], USBDESC_STRING);
	}
	/* BOT 4.1.1: at least 12 digits of the serial number. */
	assert_true(len >= 2 + 2 * 12);
	for (uint32_t i = 2; i < len; i += 2)
		assert_non_null(strchr("0123456789ABCDEF", d[i]));
	expect_no_descriptor(rig, 0x0304);
}

static void test_super_speed_descriptors(void **state)
{
	struct rig rig;

	(void)state;
	begin_at(&rig, USB_SPEED_SUPER);
	assert_int_equal(rig.device->info.speed, USB_SPEED_SUPER);
	check_device(&rig, true);
	check_configuration(&rig, true);
	check_bos(&rig);
	check_strings(&rig);
	expect_no_descriptor(&rig, 0x0600); /* qualifier: high speed only */
	expect_no_descriptor(&rig, 0x0201);
	rig_fini(&rig);
}

static void test_high_speed_descriptors(void **state)
{
	struct rig rig;

	(void)state;
	begin_at(&rig, USB_SPEED_HIGH);
	assert_int_equal(rig.device->info.speed, USB_SPEED_HIGH);
	check_device(&rig, false);
	check_configuration(&rig, false);
	check_strings(&rig);
	expect_no_descriptor(&rig, 0x0f00);
	rig_fini(&rig);
}

/* What ep_info will say agrees with the descriptors. */
static void test_info(void **state)
{
	const struct usb_info *info;
	struct rig rig;

	(void)state;
	begin(&rig);
	info = &rig.device->info;
	assert_int_equal(info->n_interfaces, 1);
	assert_int_equal(info->interface[0].class, 8);
	assert_int_equal(info->endpoint[usb_slot(BOT_EP_IN)].type, USB_BULK);
	assert_int_equal(info->endpoint[usb_slot(BOT_EP_OUT)].max_packet, 1024);
	assert_int_equal(info->endpoint[0].type, USB_CONTROL);
	assert_int_equal(info->endpoint[16].type, USB_CONTROL);
	assert_int_equal(info->endpoint[usb_slot(0x83)].type, USB_NO_ENDPOINT);
	rig_fini(&rig);
}

static void test_other_control_requests(void **state)
{
	static const struct usb_setup good[] = {
		{ 0x80, USBDESC_GET_STATUS, 0, 0, 2 },
		{ 0x81, USBDESC_GET_STATUS, 0, 0, 2 },
		{ 0x80, USBDESC_GET_CONFIGURATION, 0, 0, 1 },
		{ 0x81, USBDESC_GET_INTERFACE, 0, 0, 1 },
		{ 0x00, USBDESC_SET_ADDRESS, 5, 0, 0 },
		{ 0x00, USBDESC_SET_FEATURE, 48, 0, 0 }, /* U1_ENABLE */
		{ 0x00, USBDESC_CLEAR_FEATURE, 48, 0, 0 },
		{ 0x00, USBDESC_SET_ISOCH_DELAY, 40, 0, 0 },
	};
	static const struct usb_setup bad[] = {
		{ 0x80, 0x77, 0, 0, 4 },
		{ 0x40, 0x01, 0, 0, 0 },
		{ 0xa1, 0x01, 0, 0, 1 },
	};
	uint8_t data[8];
	struct rig rig;

	(void)state;
	begin(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		assert_int_equal(rig_control(&rig, good[i], data), 0);
		assert_int_equal(rig.actual, good[i].length);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(rig_control(&rig, bad[i], data), -EPIPE);
	rig_fini(&rig);
}

/* --- Making disks --------------------------------------------------------------------------- */

static void test_serial_numbers(void **state)
{
	(void)state;
	assert_true(disk_serial_valid("A-1_z"));
	assert_true(disk_serial_valid("12345678901234567890"));
	assert_false(disk_serial_valid("123456789012345678901"));
	assert_false(disk_serial_valid(""));
	assert_false(disk_serial_valid("a b"));
	assert_false(disk_serial_valid("a\"b"));
}

/* The image is taken also when there can be no disk over it. */
static void test_image_too_small(void **state)
{
	struct usb_device *device;
	bool destroyed = false;
	struct mem_image *mem;
	struct bufpool pool;
	struct loop *loop;

	(void)state;
	assert_int_equal(loop_create(&loop), 0);
	bufpool_init(&pool);
	mem = mem_image_new(loop, 511, 511);
	mem->destroyed = &destroyed;
	assert_int_equal(
		disk_create(loop, &pool,
			    &(struct disk_lun){ &mem->image, "small", options },
			    1, &device),
		-EINVAL);
	assert_true(destroyed);
	bufpool_fini(&pool);
	loop_destroy(loop);
}

/* Completes without waking the loop, as a session does. */
static void completed_quietly(struct urb *urb)
{
	container_of(urb, struct rig_urb, urb)->completions++;
}

/*
 * Case 2, the CSW asked for together with the command: the image was read
 * ahead, nobody wants it, and yet its end must not be waited for in sleep.
 */
static void test_unwanted_read_ahead(void **state)
{
	uint8_t cbw[BOT_CBW_SIZE], block[4096] = { 0 };
	char path[] = "/tmp/ryll-test-XXXXXX";
	struct rig_urb command, csw;
	struct image *image;
	const char *why;
	struct rig rig;

	(void)state;
	rig_init(&rig);
	/* A file that a read "now" is possible of. */
	rig.fd = mkstemp(path);
	assert_true(rig.fd >= 0);
	assert_int_equal(write(rig.fd, block, sizeof(block)), sizeof(block));
	assert_int_equal(raw_open(rig.loop, path, false, &image, &why), 0);
	unlink(path);
	rig_disk_over(&rig, image, &(struct disk_options){ .block_size = 512 });
	rig_open_disk(&rig, USB_SPEED_SUPER);
	rig_cbw(&rig, cbw, RIG_NONE, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 8));
	rig_urb_out(&rig, &command, BOT_EP_OUT, cbw, sizeof(cbw));
	command.urb.complete = completed_quietly;
	rig_submit(&rig, &command);
	rig_urb_in(&csw, BOT_EP_IN, BOT_CSW_SIZE);
	rig_submit(&rig, &csw);
	assert_int_equal(rig_finish(&rig, &csw), 0);
	assert_int_equal(command.completions, 1);
	assert_int_equal(rig_csw(&rig, csw.urb.buf->data + csw.urb.off),
			 BOT_PHASE_ERROR);
	rig_urb_fini(&command);
	rig_urb_fini(&csw);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_case_01_hn_dn),
		cmocka_unit_test(test_case_02_hn_di),
		cmocka_unit_test(test_case_03_hn_do),
		cmocka_unit_test(test_case_04_hi_dn),
		cmocka_unit_test(test_case_05_hi_more_than_di),
		cmocka_unit_test(test_case_05_in_full_urbs),
		cmocka_unit_test(test_torn_elsewhere),
		cmocka_unit_test(test_torn_data),
		cmocka_unit_test(test_case_06_hi_di),
		cmocka_unit_test(test_case_07_hi_less_than_di),
		cmocka_unit_test(test_case_08_hi_do),
		cmocka_unit_test(test_case_09_ho_dn),
		cmocka_unit_test(test_case_10_ho_di),
		cmocka_unit_test(test_case_11_ho_more_than_do),
		cmocka_unit_test(test_case_12_ho_do),
		cmocka_unit_test(test_case_13_ho_less_than_do),
		cmocka_unit_test(test_in_odd_urbs),
		cmocka_unit_test(test_out_odd_urbs),
		cmocka_unit_test(test_large_transfers),
		cmocka_unit_test(test_out_beyond_pending),
		cmocka_unit_test(test_in_urbs_before_cbw),
		cmocka_unit_test(test_unwanted_read_ahead),
		cmocka_unit_test(test_out_urbs_at_once),
		cmocka_unit_test(test_csw_urb_too_small),
		cmocka_unit_test(test_invalid_cbw),
		cmocka_unit_test(test_class_reset_keeps_halts),
		cmocka_unit_test(test_usb_reset_revives),
		cmocka_unit_test(test_wrong_lun),
		cmocka_unit_test(test_set_feature_halt),
		cmocka_unit_test(test_halt_ends_waiting),
		cmocka_unit_test(test_halt_of_no_endpoint),
		cmocka_unit_test(test_get_max_lun),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_early_halted),
		cmocka_unit_test(test_cancel_then_recovery),
		cmocka_unit_test(test_recovery_while_busy),
		cmocka_unit_test(test_two_class_resets),
		cmocka_unit_test(test_usb_reset_in_command),
		cmocka_unit_test(test_reset_with_cbw_queued),
		cmocka_unit_test(test_close_in_command),
		cmocka_unit_test(test_close_in_reset),
		cmocka_unit_test(test_unplugged_in_command),
		cmocka_unit_test(test_close_flushes),
		cmocka_unit_test(test_super_speed_descriptors),
		cmocka_unit_test(test_high_speed_descriptors),
		cmocka_unit_test(test_info),
		cmocka_unit_test(test_other_control_requests),
		cmocka_unit_test(test_serial_numbers),
		cmocka_unit_test(test_image_too_small),
	};

	/* Hosts that do wrong are logged; they are expected here. */
	log_level = LOG_LEVEL_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
