// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Transfers of real devices (backend/usbfs_io.c) over a usbdevfs that this
 * program plays: the order of pieces, memory that there is none of, times.
 */
#include "../lib/rig.h"

#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>

#include "backend/usbfs_io.h"

#define MIB (1u << 20)

/* --- The kernel --------------------------------------------------------------- */

static struct {
	int fd; /* an eventfd: one that is full cannot be written */
	struct usbdevfs_urb *pending[32], *ended[32];
	unsigned int n_pending, n_ended;
	unsigned int submitted;
	int most;  /* bytes of a URB; above it there is no memory */
	bool held; /* a worker has the device: nobody else may use it */
} kernel;

/* The eventfd can be written when something has ended; it may be so already. */
static void kernel_told(void)
{
	uint64_t n = UINT64_MAX - 1;

	if (kernel.n_ended)
		(void)!read(kernel.fd, &n, sizeof(n));
	else
		(void)!write(kernel.fd, &n, sizeof(n));
}

static struct usbdevfs_urb *take_out(unsigned int i)
{
	struct usbdevfs_urb *k = kernel.pending[i];

	kernel.n_pending--;
	memmove(&kernel.pending[i], &kernel.pending[i + 1],
		(kernel.n_pending - i) * sizeof(k));
	return k;
}

/* The first that the kernel has ends, with so many bytes. */
static void kernel_ends(int status, int actual)
{
	struct usbdevfs_urb *k = take_out(0);

	k->status = status;
	k->actual_length = actual;
	kernel.ended[kernel.n_ended++] = k;
	kernel_told();
}

static int submit_urb(struct usbdevfs_urb *k)
{
	if (k->buffer_length > kernel.most) {
		errno = ENOMEM;
		return -1;
	}
	assert_true(kernel.n_pending < ARRAY_SIZE(kernel.pending));
	kernel.submitted++;
	kernel.pending[kernel.n_pending++] = k;
	return 0;
}

static int discard_urb(struct usbdevfs_urb *k)
{
	for (unsigned int i = 0; i < kernel.n_pending; i++) {
		if (kernel.pending[i] != k)
			continue;
		take_out(i);
		k->status = -ENOENT;
		k->actual_length = 0;
		kernel.ended[kernel.n_ended++] = k;
		kernel_told();
		return 0;
	}
	errno = EINVAL;
	return -1;
}

static int reap_urb(struct usbdevfs_urb **k)
{
	if (!kernel.n_ended) {
		errno = EAGAIN;
		return -1;
	}
	*k = kernel.ended[0];
	memmove(&kernel.ended[0], &kernel.ended[1],
		--kernel.n_ended * sizeof(*k));
	kernel_told();
	return 0;
}

/* In the place of the C library's. */
int ioctl(int fd, unsigned long request, ...)
{
	va_list args;
	void *arg;

	va_start(args, request);
	arg = va_arg(args, void *);
	va_end(args);
	assert_int_equal(fd, kernel.fd);
	assert_false(kernel.held);
	switch (request) {
	case USBDEVFS_SUBMITURB:
		return submit_urb(arg);
	case USBDEVFS_DISCARDURB:
		return discard_urb(arg);
	case USBDEVFS_REAPURBNDELAY:
		return reap_urb(arg);
	default:
		errno = ENOTTY;
		return -1;
	}
}

/* --- The device ----------------------------------------------------------------- */

struct board {
	struct rig rig;
	struct usb_device device;
	struct usbfs_io io;
	unsigned int stopped;
};

static struct board board;

static void board_open(struct usb_device *device, enum usb_speed speed)
{
	struct usb_endpoint bulk = { .type = USB_BULK,
				     .max_packet = 512,
				     .max_streams = 2 };
	struct usb_info *info = &device->info;

	*info = (struct usb_info){ .speed = speed };
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++)
		info->endpoint[i].type = USB_NO_ENDPOINT;
	info->endpoint[usb_slot(0x81)] = bulk;
	info->endpoint[usb_slot(0x02)] = bulk;
	info->endpoint[usb_slot(0x83)] = bulk;
	info->endpoint[usb_slot(0x04)].type = USB_CONTROL;
	info->endpoint[usb_slot(0x84)].type = USB_CONTROL;
	assert_int_equal(usbfs_io_start(&board.io, kernel.fd), 0);
	usb_opened(device, 0);
}

static void board_close(struct usb_device *device)
{
	(void)device;
	usbfs_io_hold(&board.io);
	usbfs_io_discard(&board.io);
	usbfs_io_stop(&board.io);
}

static int board_submit(struct usb_device *device, struct urb *urb)
{
	(void)device;
	return usbfs_io_submit(&board.io, urb);
}

static void board_cancel(struct usb_device *device, struct urb *urb)
{
	(void)device;
	usbfs_io_cancel(&board.io, urb);
}

static void board_destroy(struct usb_device *device)
{
	(void)device;
}

static void io_gone(struct usbfs_io *io)
{
	(void)io;
	fail();
}

static void io_stopped(struct usbfs_io *io)
{
	(void)io;
	board.stopped++;
	usb_closed(&board.device);
}

static void io_starved(struct usbfs_io *io)
{
	(void)io;
}

static const struct usb_device_ops board_ops = {
	.name = "board",
	.open = board_open,
	.close = board_close,
	.submit = board_submit,
	.cancel = board_cancel,
	.destroy = board_destroy,
};

static void begin(void)
{
	struct rig *rig = &board.rig;

	memset(&board, 0, sizeof(board));
	memset(&kernel, 0, sizeof(kernel));
	kernel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	kernel.most = INT32_MAX;
	kernel_told();
	rig_init(rig);
	usb_device_init(&board.device, &board_ops, rig->loop, "board");
	rig->device = &board.device;
	usbfs_io_init(&board.io, rig->loop, &rig->pool);
	board.io.gone = io_gone;
	board.io.stopped = io_stopped;
	board.io.starved = io_starved;
	rig_open(rig, USB_SPEED_SUPER);
}

static void end(void)
{
	rig_fini(&board.rig);
	assert_int_equal(board.stopped, 1);
	assert_int_equal(kernel.n_pending + kernel.n_ended, 0);
	close(kernel.fd);
}

static void out(struct rig_urb *u, uint32_t len)
{
	rig_urb_in(u, 0x02, len);
	u->urb.buf = bufpool_get(&board.rig.pool, len);
	assert_non_null(u->urb.buf);
	rig_submit(&board.rig, u);
}

static void expect_pending(unsigned int i, const struct rig_urb *u,
			   uint32_t off, uint32_t len)
{
	assert_true(i < kernel.n_pending);
	assert_int_equal(kernel.pending[i]->buffer_length, len);
	if (u)
		assert_ptr_equal(kernel.pending[i]->buffer,
				 u->urb.buf->data + off);
}

/* --- Pieces ------------------------------------------------------------------------ */

/* Nothing comes between the pieces of a long one. */
static void test_pieces_in_order(void **state)
{
	struct rig_urb a, b;

	(void)state;
	begin();
	out(&a, 2 * MIB + 5);
	out(&b, 100);
	assert_int_equal(kernel.n_pending, 1);
	for (uint32_t i = 0; i < 2; i++) {
		expect_pending(0, &a, i * MIB, MIB);
		kernel_ends(0, MIB);
		rig_turns(&board.rig);
	}
	/* The last one: now the next URB may follow. */
	assert_int_equal(kernel.n_pending, 2);
	expect_pending(0, &a, 2 * MIB, 5);
	expect_pending(1, &b, 0, 100);
	kernel_ends(0, 5);
	kernel_ends(0, 100);
	assert_int_equal(rig_finish(&board.rig, &a), 0);
	assert_int_equal(rig_finish(&board.rig, &b), 0);
	assert_int_equal(a.urb.actual, 2 * MIB + 5);
	rig_urb_fini(&a);
	rig_urb_fini(&b);
	end();
}

/* After a short piece the rest is not asked for; the next URB is. */
static void test_short_piece(void **state)
{
	struct rig_urb a, b;

	(void)state;
	begin();
	rig_urb_in(&a, 0x81, 3 * MIB);
	rig_urb_in(&b, 0x81, 2 * MIB);
	rig_submit(&board.rig, &a);
	rig_submit(&board.rig, &b);
	assert_int_equal(kernel.n_pending, 1);
	kernel_ends(0, 77);
	assert_int_equal(rig_finish(&board.rig, &a), 0);
	assert_int_equal(a.urb.actual, 77);
	rig_turns(&board.rig);
	expect_pending(0, NULL, 0, MIB);
	usb_cancel(&b.urb);
	assert_int_equal(rig_finish(&board.rig, &b), -ECANCELED);
	rig_urb_fini(&a);
	rig_urb_fini(&b);
	end();
}

/* Streams of an endpoint do not wait for each other. */
static void test_pieces_of_streams(void **state)
{
	struct rig_urb a, b, c;

	(void)state;
	begin();
	rig_urb_in(&a, 0x81, 2 * MIB);
	rig_urb_in(&b, 0x81, 100);
	rig_urb_in(&c, 0x81, 100);
	a.urb.stream = b.urb.stream = 1;
	c.urb.stream = 2;
	rig_submit(&board.rig, &a);
	rig_submit(&board.rig, &b);
	rig_submit(&board.rig, &c);
	assert_int_equal(kernel.n_pending, 2);
	assert_int_equal(kernel.pending[1]->stream_id, 2);
	rig_close(&board.rig);
	assert_int_equal(a.completions + b.completions + c.completions, 3);
	end();
}

/* A device may say that it has more endpoints for control than 0. Where the
 * data goes, the endpoint and the setup packet must agree there, too. */
static void test_control_against_its_direction(void **state)
{
	struct rig_urb u;

	(void)state;
	begin();
	for (uint8_t ep = 0x00; ep <= 0x04; ep += 4) {
		rig_urb_control(&u, (struct usb_setup){ 0x40, 1, 0, 0, 100 });
		u.urb.ep = ep | 0x80; /* so it has no data */
		assert_int_equal(usb_submit(&board.device, &u.urb), -EINVAL);
		rig_urb_control(&u, (struct usb_setup){ 0xc0, 1, 0, 0, 100 });
		u.urb.ep = ep;
		assert_int_equal(usb_submit(&board.device, &u.urb), -EINVAL);
	}
	assert_int_equal(kernel.submitted, 0);
	end();
}

/* --- Memory -------------------------------------------------------------------------- */

/* What waits for memory stays in order, and the rest of a URB is before the
 * next one. */
static void test_no_memory_for_the_rest(void **state)
{
	struct rig_urb a, b;

	(void)state;
	begin();
	out(&a, 2 * MIB);
	out(&b, 100);
	kernel.most = 10; /* not even for b */
	kernel_ends(0, MIB);
	rig_turns(&board.rig);
	assert_int_equal(kernel.n_pending, 0);
	kernel.most = 65536;
	while (!kernel.n_pending)
		assert_int_equal(loop_turn(board.rig.loop), 0);
	expect_pending(0, &a, MIB, 65536 / 4);
	assert_int_equal(kernel.n_pending, 1);
	rig_close(&board.rig);
	assert_int_equal(a.completions + b.completions, 2);
	rig_urb_fini(&a);
	rig_urb_fini(&b);
	end();
}

/* One that waits for ever gives no memory back: it is tried again anyway. */
static void test_no_memory_beside_one_that_waits(void **state)
{
	struct rig_urb idle, a;

	(void)state;
	begin();
	rig_urb_in(&idle, 0x83, 8);
	rig_submit(&board.rig, &idle);
	kernel.most = 0;
	out(&a, 100);
	assert_int_equal(kernel.n_pending, 1);
	kernel.most = 100;
	timer_start(board.rig.loop, &board.rig.deadline, RIG_PATIENCE_MS);
	while (kernel.n_pending < 2 && !board.rig.late)
		assert_int_equal(loop_turn(board.rig.loop), 0);
	timer_stop(&board.rig.deadline);
	assert_int_equal(kernel.n_pending, 2);
	rig_close(&board.rig);
	rig_urb_fini(&a);
	end();
}

/* Reads that never end leave the kernel some memory for other devices. */
static void test_not_all_memory(void **state)
{
	struct rig_urb never[10], small;
	unsigned int n = ARRAY_SIZE(never), before;

	(void)state;
	begin();
	for (unsigned int i = 0; i < n; i++) {
		rig_urb_in(&never[i], 0x83, MIB);
		rig_submit(&board.rig, &never[i]);
	}
	before = kernel.n_pending;
	assert_int_equal(before, 8);
	rig_urb_in(&small, 0x81, 512);
	rig_submit(&board.rig, &small);
	assert_int_equal(kernel.n_pending, before + 1);
	/* One ends: the next has its room. */
	kernel_ends(0, MIB);
	rig_finish(&board.rig, &never[0]);
	assert_int_equal(kernel.n_pending, before + 1);
	rig_close(&board.rig);
	for (unsigned int i = 0; i < n; i++)
		rig_urb_fini(&never[i]);
	rig_urb_fini(&small);
	end();
}

/* --- A worker has it -------------------------------------------------------------------- */

static void hold(struct rig_urb *u)
{
	(void)u;
	usbfs_io_hold(&board.io);
	kernel.held = true;
}

/* What ends at once when it is given back has it taken again: nothing more is
 * submitted. */
static void test_held_again_while_resuming(void **state)
{
	struct rig_urb a, b;

	(void)state;
	begin();
	rig_urb_in(&a, 0x81, 100);
	rig_submit(&board.rig, &a);
	usbfs_io_hold(&board.io);
	rig_urb_in(&b, 0x83, 100);
	rig_submit(&board.rig, &b);
	assert_int_equal(kernel.n_pending, 1);
	kernel_ends(0, 100);
	a.then = hold;
	usbfs_io_resume(&board.io);
	assert_int_equal(a.completions, 1);
	assert_int_equal(kernel.submitted, 1);
	kernel.held = false;
	usbfs_io_resume(&board.io);
	assert_int_equal(kernel.submitted, 2);
	rig_close(&board.rig);
	rig_urb_fini(&a);
	end();
}

/* A URB that is cancelled while it waits for the worker never gets there. */
static void test_cancel_while_held(void **state)
{
	struct rig_urb a, b;

	(void)state;
	begin();
	rig_urb_in(&a, 0x81, 100);
	rig_submit(&board.rig, &a);
	usbfs_io_hold(&board.io);
	kernel.held = true;
	rig_urb_in(&b, 0x81, 100);
	rig_submit(&board.rig, &b);
	usb_cancel(&a.urb); /* later */
	usb_cancel(&b.urb);
	assert_int_equal(rig_finish(&board.rig, &b), -ECANCELED);
	assert_int_equal(a.completions, 0);
	kernel.held = false;
	usbfs_io_resume(&board.io);
	assert_int_equal(rig_finish(&board.rig, &a), -ECANCELED);
	assert_int_equal(kernel.submitted, 1);
	end();
}

/* The time of a control transfer begins when the device has it. */
static void test_control_times(void **state)
{
	struct rig_urb u;
	int64_t start;

	(void)state;
	begin();
	usbfs_io_hold(&board.io);
	rig_urb_control(&u, (struct usb_setup){ 0x80, 0x06, 0x0100, 0, 18 });
	rig_submit(&board.rig, &u);
	start = loop_now(board.rig.loop);
	timer_start(board.rig.loop, &board.rig.deadline, 1000);
	while (!board.rig.late)
		assert_int_equal(loop_turn(board.rig.loop), 0);
	board.rig.late = false;
	usbfs_io_resume(&board.io);
	assert_int_equal(kernel.submitted, 1);
	assert_int_equal(rig_finish(&board.rig, &u), -ETIMEDOUT);
	assert_true(loop_now(board.rig.loop) - start >= 6000);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pieces_in_order),
		cmocka_unit_test(test_short_piece),
		cmocka_unit_test(test_pieces_of_streams),
		cmocka_unit_test(test_control_against_its_direction),
		cmocka_unit_test(test_no_memory_for_the_rest),
		cmocka_unit_test(test_no_memory_beside_one_that_waits),
		cmocka_unit_test(test_not_all_memory),
		cmocka_unit_test(test_held_again_while_resuming),
		cmocka_unit_test(test_cancel_while_held),
		cmocka_unit_test(test_control_times),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
