/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A test bench for USB devices: the real loop, one device, and the test in
 * the place of the frontend. rig_disk_*() add a disk over an image and speak
 * Bulk-Only Transport with it.
 *
 * Every wait has a deadline, so that a lost completion fails the test instead
 * of hanging it.
 */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/bot.h"
#include "backend/disk.h"
#include "image/raw.h"
#include "image/mem.h"
#include "usb/device.h"
#include "wire/bot.h"
#include "wire/scsi.h"

#define RIG_PATIENCE_MS 10000

struct rig {
	struct loop *loop;
	struct bufpool pool;
	struct usb_device *device;
	struct usb_listener listener;
	unsigned int opened, leaving, gone; /* calls */
	int open_status;
	struct timer deadline;
	bool late;
	/* Parts with what the device holds, before it is destroyed; may be NULL. */
	void (*part)(struct rig *rig);

	/* Disks: */
	int fd; /* of the file behind a raw image; -1: none */
	struct mem_image *mem;
	uint32_t tag;
	uint8_t lun; /* that commands go to */
	/* Of the last command: */
	uint32_t actual;  /* bytes moved in the data stage */
	uint32_t residue; /* as the CSW says */
};

/* A URB that counts its completions. */
struct rig_urb {
	struct urb urb;
	unsigned int completions;
	void (*then)(struct rig_urb *u); /* in the completion; may be NULL */
};

/* --- The loop ------------------------------------------------------------ */

/*
 * Everything that a test waits for calls loop_hurry(): a task may bring it,
 * and the loop would then go to sleep although the test is satisfied.
 */

static inline void rig_late(struct timer *timer)
{
	container_of(timer, struct rig, deadline)->late = true;
}

/* Turns the loop until *flag differs from was; fails when that takes long. */
static inline void rig_wait(struct rig *rig, const unsigned int *flag,
			    unsigned int was)
{
	timer_start(rig->loop, &rig->deadline, RIG_PATIENCE_MS);
	while (*flag == was && !rig->late)
		assert_int_equal(loop_turn(rig->loop), 0);
	assert_false(rig->late);
	timer_stop(&rig->deadline);
}

/* Some turns that do not sleep: what can happen without waiting, happens. */
static inline void rig_turns(struct rig *rig)
{
	for (int i = 0; i < 20; i++) {
		loop_hurry(rig->loop);
		assert_int_equal(loop_turn(rig->loop), 0);
	}
}

/* --- The listener ---------------------------------------------------------- */

static inline void rig_opened(struct usb_listener *listener, int status)
{
	struct rig *rig = container_of(listener, struct rig, listener);

	rig->opened++;
	rig->open_status = status;
	loop_hurry(rig->loop);
}

static inline void rig_leaving(struct usb_listener *listener)
{
	struct rig *rig = container_of(listener, struct rig, listener);

	rig->leaving++;
	loop_hurry(rig->loop);
}

static inline void rig_gone(struct usb_listener *listener)
{
	struct rig *rig = container_of(listener, struct rig, listener);

	rig->gone++;
	loop_hurry(rig->loop);
}

static inline void rig_open(struct rig *rig, enum usb_speed speed)
{
	static const struct usb_listener_ops ops = {
		.opened = rig_opened,
		.leaving = rig_leaving,
		.gone = rig_gone,
	};
	unsigned int was = rig->opened;

	rig->listener.ops = &ops;
	usb_open(rig->device, &rig->listener, speed);
	rig_wait(rig, &rig->opened, was);
	assert_int_equal(rig->open_status, 0);
}

static inline void rig_close(struct rig *rig)
{
	unsigned int was = rig->gone;

	usb_close(rig->device);
	rig_wait(rig, &rig->gone, was);
}

static inline void rig_init(struct rig *rig)
{
	*rig = (struct rig){ .fd = -1 };
	assert_int_equal(loop_create(&rig->loop), 0);
	bufpool_init(&rig->pool);
	timer_init(&rig->deadline, rig_late);
}

/* Closes what is open; every buffer must have come back. */
static inline void rig_fini(struct rig *rig)
{
	if (rig->device->state == USB_DEVICE_OPEN)
		rig_close(rig);
	if (rig->part)
		rig->part(rig);
	usb_device_destroy(rig->device);
	assert_int_equal(rig->pool.lent, 0);
	bufpool_fini(&rig->pool);
	loop_destroy(rig->loop);
	if (rig->fd >= 0)
		close(rig->fd);
}

/* --- URBs --------------------------------------------------------------------- */

static inline void rig_completed(struct urb *urb)
{
	struct rig_urb *u = container_of(urb, struct rig_urb, urb);

	u->completions++;
	loop_hurry(urb->device->loop);
	if (u->then)
		u->then(u);
}

static inline void rig_urb_in(struct rig_urb *u, uint8_t ep, uint32_t len)
{
	*u = (struct rig_urb){ .urb = { .type = USB_BULK,
					.ep = ep,
					.len = len,
					.complete = rig_completed } };
}

/* The data is copied. */
static inline void rig_urb_out(struct rig *rig, struct rig_urb *u, uint8_t ep,
			       const void *data, uint32_t len)
{
	rig_urb_in(u, ep, len);
	u->urb.buf = bufpool_get(&rig->pool, MAX(len, 1));
	assert_non_null(u->urb.buf);
	if (len)
		memcpy(u->urb.buf->data, data, len);
}

static inline void rig_urb_control(struct rig_urb *u, struct usb_setup setup)
{
	rig_urb_in(u, setup.request_type & USB_DIR_IN, setup.length);
	u->urb.type = USB_CONTROL;
	u->urb.setup = setup;
}

/* Lets go of the URB's data. */
static inline void rig_urb_fini(struct rig_urb *u)
{
	buf_put(u->urb.buf);
	u->urb.buf = NULL;
}

static inline void rig_submit(struct rig *rig, struct rig_urb *u)
{
	assert_int_equal(usb_submit(rig->device, &u->urb), 0);
	assert_int_equal(u->completions, 0);
}

/* Waits for a URB that was submitted and returns its status. */
static inline int rig_finish(struct rig *rig, struct rig_urb *u)
{
	rig_wait(rig, &u->completions, 0);
	assert_int_equal(u->completions, 1);
	return u->urb.status;
}

/* A whole OUT transfer. */
static inline int rig_out(struct rig *rig, uint8_t ep, const void *data,
			  uint32_t len)
{
	struct rig_urb u;
	int status;

	rig_urb_out(rig, &u, ep, data, len);
	rig_submit(rig, &u);
	status = rig_finish(rig, &u);
	rig->actual = u.urb.actual;
	rig_urb_fini(&u);
	return status;
}

/* A whole IN transfer; what came is copied to data. */
static inline int rig_in(struct rig *rig, uint8_t ep, void *data, uint32_t len)
{
	struct rig_urb u;
	int status;

	rig_urb_in(&u, ep, len);
	rig_submit(rig, &u);
	status = rig_finish(rig, &u);
	assert_true(u.urb.actual <= len);
	if (u.urb.actual)
		memcpy(data, u.urb.buf->data + u.urb.off, u.urb.actual);
	rig->actual = u.urb.actual;
	rig_urb_fini(&u);
	return status;
}

/* A whole control transfer with setup.length bytes of data. */
static inline int rig_control(struct rig *rig, struct usb_setup setup,
			      void *data)
{
	struct rig_urb u;
	int status;

	rig_urb_control(&u, setup);
	rig_submit(rig, &u);
	status = rig_finish(rig, &u);
	if (u.urb.actual && (setup.request_type & USB_DIR_IN))
		memcpy(data, u.urb.buf->data + u.urb.off, u.urb.actual);
	rig->actual = u.urb.actual;
	rig_urb_fini(&u);
	return status;
}

/* --- Admin requests ---------------------------------------------------------- */

struct rig_admin {
	struct usb_admin admin;
	unsigned int completions;
};

static inline void rig_admin_completed(struct usb_admin *admin)
{
	container_of(admin, struct rig_admin, admin)->completions++;
	loop_hurry(admin->device->loop);
}

static inline void rig_admin_start(struct rig *rig, struct rig_admin *a,
				   struct usb_admin what)
{
	*a = (struct rig_admin){ .admin = what };
	a->admin.complete = rig_admin_completed;
	usb_admin(rig->device, &a->admin);
}

static inline int rig_admin(struct rig *rig, struct usb_admin what)
{
	struct rig_admin a;

	rig_admin_start(rig, &a, what);
	rig_wait(rig, &a.completions, 0);
	assert_int_equal(a.completions, 1);
	return a.admin.status;
}

static inline int rig_clear_halt(struct rig *rig, uint8_t ep)
{
	return rig_admin(
		rig, (struct usb_admin){ .type = USB_CLEAR_HALT, .ep = ep });
}

/* --- Disks: bytes of the Bulk-Only Transport ---------------------------------- */

#define CDB(...) ((const uint8_t[SCSI_CDB_SIZE]){ __VA_ARGS__ })

/* Data stages that a host may announce (BOT 6.7). */
enum rig_dir { RIG_NONE, RIG_IN, RIG_OUT };

static inline void rig_cbw(struct rig *rig, uint8_t out[BOT_CBW_SIZE],
			   enum rig_dir dir, uint32_t len, const uint8_t *cdb)
{
	struct span_writer w = span_writer_of(out, BOT_CBW_SIZE);

	span_put_le(&w, 0x43425355, 4);
	span_put_le(&w, ++rig->tag, 4);
	span_put_le(&w, len, 4);
	span_put_le(&w, dir == RIG_IN ? 0x80 : 0, 1);
	span_put_le(&w, rig->lun, 1);
	span_put_le(&w, SCSI_CDB_SIZE, 1);
	span_put(&w, cdb, SCSI_CDB_SIZE);
}

/* Checks a CSW, keeps its residue, returns its status. */
static inline enum bot_status rig_csw(struct rig *rig,
				      const uint8_t csw[BOT_CSW_SIZE])
{
	struct span s = span_of(csw, BOT_CSW_SIZE);

	assert_int_equal(span_le(&s, 4), 0x53425355);
	assert_int_equal(span_le(&s, 4), rig->tag);
	rig->residue = (uint32_t)span_le(&s, 4);
	return (enum bot_status)span_u8(&s);
}

static inline void rig_send_cbw(struct rig *rig, enum rig_dir dir, uint32_t len,
				const uint8_t *cdb)
{
	uint8_t cbw[BOT_CBW_SIZE];

	rig_cbw(rig, cbw, dir, len, cdb);
	assert_int_equal(rig_out(rig, BOT_EP_OUT, cbw, sizeof(cbw)), 0);
	assert_int_equal(rig->actual, sizeof(cbw));
}

static inline enum bot_status rig_fetch_csw(struct rig *rig)
{
	uint8_t csw[BOT_CSW_SIZE];
	uint32_t moved = rig->actual;

	assert_int_equal(rig_in(rig, BOT_EP_IN, csw, sizeof(csw)), 0);
	assert_int_equal(rig->actual, sizeof(csw));
	rig->actual = moved;
	return rig_csw(rig, csw);
}

/* A whole command; rig->actual and rig->residue say what was moved. */
static inline enum bot_status rig_command(struct rig *rig, enum rig_dir dir,
					  const uint8_t *cdb, void *data,
					  uint32_t len)
{
	rig_send_cbw(rig, dir, len, cdb);
	rig->actual = 0;
	if (dir == RIG_IN)
		assert_int_equal(rig_in(rig, BOT_EP_IN, data, len), 0);
	else if (dir == RIG_OUT)
		assert_int_equal(rig_out(rig, BOT_EP_OUT, data, len), 0);
	return rig_fetch_csw(rig);
}

/* REQUEST SENSE, reduced to 0xKKAAQQ. */
static inline scsi_sense rig_sense(struct rig *rig)
{
	uint8_t d[18] = { 0 };

	assert_int_equal(
		rig_command(rig, RIG_IN, CDB(0x03, 0, 0, 0, 18), d, sizeof(d)),
		BOT_PASSED);
	assert_int_equal(rig->actual, sizeof(d));
	assert_int_equal(d[0], 0x70);
	assert_int_equal(d[7], 10);
	return (scsi_sense)(d[2] << 16 | d[12] << 8 | d[13]);
}

/* The command passes and moves all of its data. */
static inline void rig_good(struct rig *rig, enum rig_dir dir,
			    const uint8_t *cdb, void *data, uint32_t len)
{
	enum bot_status status = rig_command(rig, dir, cdb, data, len);

	if (status == BOT_FAILED)
		print_error("sense %06x\n", rig_sense(rig));
	assert_int_equal(status, BOT_PASSED);
	assert_int_equal(rig->actual, len);
	assert_int_equal(rig->residue, 0);
}

/* The command fails with that sense. */
static inline void rig_bad(struct rig *rig, enum rig_dir dir,
			   const uint8_t *cdb, void *data, uint32_t len,
			   scsi_sense sense)
{
	assert_int_equal(rig_command(rig, dir, cdb, data, len), BOT_FAILED);
	assert_int_equal(rig_sense(rig), sense);
}

static inline void rig_test_unit_ready(struct rig *rig)
{
	rig_good(rig, RIG_NONE, CDB(0x00), NULL, 0);
}

/* Reports the unit attention of power-on, which would hit the next command. */
static inline void rig_take_attention(struct rig *rig)
{
	rig_bad(rig, RIG_NONE, CDB(0x00), NULL, 0, SCSI_SENSE_POWER_ON);
}

/* --- Disks: making them ---------------------------------------------------------- */

static inline void rig_disk_over(struct rig *rig, struct image *image,
				 const struct disk_options *options)
{
	struct disk_lun lun = { image, "test disk", *options };

	assert_int_equal(
		disk_create(rig->loop, &rig->pool, &lun, 1, &rig->device), 0);
}

static inline void rig_open_disk(struct rig *rig, enum usb_speed speed)
{
	rig_open(rig, speed);
	rig_take_attention(rig);
}

/* A disk over an image in memory, open, its unit attention reported. */
static inline void rig_disk_mem(struct rig *rig, uint64_t size, uint64_t backed,
				const struct disk_options *options)
{
	rig_init(rig);
	rig->mem = mem_image_new(rig->loop, size, backed);
	rig_disk_over(rig, &rig->mem->image, options);
	rig_open_disk(rig, USB_SPEED_SUPER);
}

/* The same over a raw image in a file that nobody else sees: rig->fd. */
static inline void rig_disk_raw(struct rig *rig, uint64_t size, bool read_only,
				const struct disk_options *options)
{
	struct image *image;
	const char *why;
	char path[64];

	rig_init(rig);
	rig->fd = memfd_create("disk", MFD_CLOEXEC);
	assert_true(rig->fd >= 0);
	assert_int_equal(ftruncate(rig->fd, (off_t)size), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", rig->fd);
	assert_int_equal(raw_open(rig->loop, path, read_only, &image, &why), 0);
	rig_disk_over(rig, image, options);
	rig_open_disk(rig, USB_SPEED_SUPER);
}

#endif
