// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Several logical units on one device: each has its own image, kind, options
 * and state; the device has one of the rest.
 */
#include "../lib/rig.h"

#define BLOCK 512u
#define SIZE (1u << 20)

/* Two disks, the second one with larger blocks and no cache, and a CD-ROM. */
#define N 3

static struct mem_image *mem[N];
static bool destroyed[N];

static void make(struct rig *rig)
{
	static const struct disk_options options[N] = {
		{ .block_size = BLOCK, .serial = "ZERO" },
		{ .block_size = 4096, .write_through = true, .serial = "ONE" },
		{ .block_size = 2048, .cdrom = true, .serial = "TWO" },
	};
	struct disk_lun luns[N];

	rig_init(rig);
	for (unsigned int i = 0; i < N; i++) {
		mem[i] = mem_image_new(rig->loop, SIZE << i, SIZE << i);
		memset(mem[i]->data, (int)(0x10 + i), SIZE << i);
		destroyed[i] = false;
		mem[i]->destroyed = &destroyed[i];
		luns[i] =
			(struct disk_lun){ &mem[i]->image, "unit", options[i] };
	}
	mem[2]->image.read_only = true;
	assert_int_equal(
		disk_create(rig->loop, &rig->pool, luns, N, &rig->device), 0);
	rig_open(rig, USB_SPEED_SUPER);
}

static void begin(struct rig *rig)
{
	make(rig);
	for (rig->lun = 0; rig->lun < N; rig->lun++)
		rig_take_attention(rig);
	rig->lun = 0;
}

#define READ_10(lba, n) CDB(0x28, 0, 0, 0, 0, lba, 0, 0, n)
#define WRITE_10(lba, n) CDB(0x2a, 0, 0, 0, 0, lba, 0, 0, n)

static uint8_t d[8192];

static uint32_t get4(const uint8_t *p)
{
	struct span s = span_of(p, 4);

	return (uint32_t)span_be(&s, 4);
}

static void test_max_lun(void **state)
{
	struct usb_setup setup = { 0xa1, BOT_REQUEST_GET_MAX_LUN, 0, 0, 1 };
	uint8_t lun = 0xff;
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_control(&rig, setup, &lun), 0);
	assert_int_equal(lun, N - 1);
	rig_fini(&rig);
}

static void test_report_luns(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	/* By each of them, and by one that there is not */
	for (rig.lun = 0; rig.lun <= N; rig.lun++) {
		rig_good(&rig, RIG_IN, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 32), d,
			 8 + 8 * N);
		assert_int_equal(get4(d), 8 * N);
		for (uint8_t i = 0; i < N; i++) {
			assert_int_equal(get4(d + 8 + 8 * i), i << 16);
			assert_int_equal(get4(d + 12 + 8 * i), 0);
		}
		rig_good(&rig, RIG_IN, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 9), d,
			 9);
	}
	rig_fini(&rig);
}

static void test_each_is_its_own(void **state)
{
	static const uint8_t type[] = { 0, 0, 5 };
	static const char *const serial[] = { "ZERO", "ONE", "TWO" };
	static const uint32_t block[] = { 512, 4096, 2048 };
	struct rig rig;

	(void)state;
	begin(&rig);
	for (rig.lun = 0; rig.lun < N; rig.lun++) {
		rig_good(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 36), d, 36);
		assert_int_equal(d[0], type[rig.lun]);
		rig_command(&rig, RIG_IN, CDB(0x12, 1, 0x80, 0, 99), d, 99);
		assert_int_equal(d[3], strlen(serial[rig.lun]));
		assert_memory_equal(d + 4, serial[rig.lun], d[3]);
		rig_good(&rig, RIG_IN, CDB(0x25), d, 8);
		assert_int_equal((get4(d) + 1) * block[rig.lun],
				 SIZE << rig.lun);
		assert_int_equal(get4(d + 4), block[rig.lun]);
		rig_good(&rig, RIG_IN, READ_10(3, 1), d, block[rig.lun]);
		for (uint32_t i = 0; i < block[rig.lun]; i++)
			assert_int_equal(d[i], 0x10 + rig.lun);
	}
	rig.lun = 3;
	rig_good(&rig, RIG_IN, CDB(0x12, 0, 0, 0, 36), d, 36);
	assert_int_equal(d[0], 0x7f);
	rig_bad(&rig, RIG_NONE, CDB(0x00), NULL, 0, SCSI_SENSE_INVALID_LUN);
	rig_fini(&rig);
}

static void test_writes_go_to_theirs(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	memset(d, 0x77, sizeof(d));
	rig.lun = 1;
	rig_good(&rig, RIG_OUT, WRITE_10(2, 1), d, 4096);
	assert_int_equal(mem[1]->last_flags & IMAGE_FUA, IMAGE_FUA);
	assert_memory_equal(mem[1]->data + 2 * 4096, d, 4096);
	assert_int_equal(mem[0]->count[IMAGE_WRITE], 0);
	rig.lun = 0;
	rig_good(&rig, RIG_OUT, WRITE_10(5, 1), d, BLOCK);
	assert_int_equal(mem[0]->last_flags & IMAGE_FUA, 0);
	assert_memory_equal(mem[0]->data + 5 * BLOCK, d, BLOCK);
	assert_int_equal(mem[1]->count[IMAGE_WRITE], 1);
	rig.lun = 2;
	rig_bad(&rig, RIG_OUT, WRITE_10(0, 1), d, 2048,
		SCSI_SENSE_INVALID_OPCODE);
	rig_fini(&rig);
}

/* Sense, attention, the medium: of one unit. */
static void test_states(void **state)
{
	struct rig rig;

	(void)state;
	make(&rig);
	/* One that has told its attention does not tell the others'. */
	rig.lun = 1;
	rig_take_attention(&rig);
	rig_test_unit_ready(&rig);
	for (rig.lun = 0; rig.lun < N; rig.lun += 2)
		rig_take_attention(&rig);
	/* Sense waits while others succeed. */
	rig.lun = 0;
	assert_int_equal(rig_command(&rig, RIG_NONE, CDB(0xff), NULL, 0),
			 BOT_FAILED);
	rig.lun = 1;
	rig_test_unit_ready(&rig);
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_NONE);
	rig.lun = 0;
	assert_int_equal(rig_sense(&rig), SCSI_SENSE_INVALID_OPCODE);
	/* Eject, lock */
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 2), NULL, 0);
	rig_bad(&rig, RIG_NONE, CDB(0x00), NULL, 0, SCSI_SENSE_NO_MEDIUM);
	rig.lun = 1;
	rig_test_unit_ready(&rig);
	rig_good(&rig, RIG_NONE, CDB(0x1e, 0, 0, 0, 1), NULL, 0);
	rig.lun = 2;
	rig_good(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 2), NULL, 0);
	rig.lun = 1;
	rig_bad(&rig, RIG_NONE, CDB(0x1b, 0, 0, 0, 2), NULL, 0,
		SCSI_SENSE_REMOVAL_PREVENTED);
	/* A reset is for all. */
	assert_int_equal(
		rig_admin(&rig, (struct usb_admin){ .type = USB_RESET }), 0);
	for (rig.lun = 0; rig.lun < N; rig.lun++) {
		rig_take_attention(&rig);
		rig_test_unit_ready(&rig);
	}
	rig_fini(&rig);
}

/* All are flushed, also behind one that fails, and the device says so. */
static void test_close_flushes_all(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig);
	rig_close(&rig);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(mem[i]->count[IMAGE_FLUSH], 1);
	assert_false(rig.device->data_lost);
	rig_open(&rig, USB_SPEED_SUPER);
	mem[0]->error[IMAGE_FLUSH] = -EIO;
	rig_close(&rig);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(mem[i]->count[IMAGE_FLUSH], 2);
	assert_true(rig.device->data_lost);
	rig_fini(&rig);
	for (unsigned int i = 0; i < N; i++)
		assert_true(destroyed[i]);
}

/* USB has one serial number, that of unit 0. */
static void test_usb_serial(void **state)
{
	struct usb_setup setup = { 0x80, 6, 0x0303, 0x0409, 64 };
	struct rig rig;

	(void)state;
	begin(&rig);
	assert_int_equal(rig_control(&rig, setup, d), 0);
	assert_int_equal(rig.actual, 2 + 2 * 4);
	assert_memory_equal(d + 2, "Z\0E\0R\0O\0", 8);
	rig_fini(&rig);
}

static void test_high_speed_for_all(void **state)
{
	struct disk_lun luns[2] = {
		{ NULL, "unit", { .block_size = 512 } },
		{ NULL, "unit", { .block_size = 512, .high_speed = true } },
	};
	struct rig rig;

	(void)state;
	rig_init(&rig);
	for (unsigned int i = 0; i < 2; i++)
		luns[i].image = &mem_image_new(rig.loop, SIZE, SIZE)->image;
	assert_int_equal(disk_create(rig.loop, &rig.pool, luns, 2, &rig.device),
			 0);
	rig_open(&rig, USB_SPEED_SUPER);
	assert_int_equal(rig.device->info.speed, USB_SPEED_HIGH);
	rig_fini(&rig);
}

/* One image is too small: all are let go of. */
static void test_one_too_small(void **state)
{
	struct disk_lun luns[2];
	struct rig rig;

	(void)state;
	rig_init(&rig);
	for (unsigned int i = 0; i < 2; i++) {
		mem[i] = mem_image_new(rig.loop, 1024 >> i, 1024 >> i);
		destroyed[i] = false;
		mem[i]->destroyed = &destroyed[i];
		luns[i] = (struct disk_lun){ &mem[i]->image,
					     "unit",
					     { .block_size = 1024 } };
	}
	assert_int_equal(disk_create(rig.loop, &rig.pool, luns, 2, &rig.device),
			 -EINVAL);
	assert_true(destroyed[0] && destroyed[1]);
	bufpool_fini(&rig.pool);
	loop_destroy(rig.loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_max_lun),
		cmocka_unit_test(test_report_luns),
		cmocka_unit_test(test_each_is_its_own),
		cmocka_unit_test(test_writes_go_to_theirs),
		cmocka_unit_test(test_states),
		cmocka_unit_test(test_close_flushes_all),
		cmocka_unit_test(test_usb_serial),
		cmocka_unit_test(test_high_speed_for_all),
		cmocka_unit_test(test_one_too_small),
	};

	log_level = LOG_LEVEL_ERR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
