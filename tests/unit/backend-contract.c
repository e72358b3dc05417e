// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The contract of struct usb_device_ops (usb/device.h, points 1 to 5), tested
 * by one set of tests against every backend. With RYLL_REAL_DEVICE in the
 * environment the backend is usbfs alone, with RYLL_REMOTE_DEVICE remote alone;
 * tests/e2e/real-contract.sh does that in a guest that has such a device.
 */
#include "../lib/rig.h"

#include <stdlib.h>

#include "backend/fault.h"
#include "backend/null.h"
#include "backend/remote.h"
#include "backend/usbfs.h"

/* A backend, and how to make it do what the tests need. */
struct subject {
	const char *name;
	void (*make)(struct rig *rig);
	uint8_t waiting_ep; /* IN: a URB waits there by itself */
	uint8_t in, out;    /* bulk */
};

/* The one that is tested. */
static const struct subject *now;

static void make_disk(struct rig *rig)
{
	static const struct disk_options options = { .block_size = 512 };

	rig->mem = mem_image_new(rig->loop, 1 << 20, 1 << 20);
	rig_disk_over(rig, &rig->mem->image, &options);
}

static void make_null(struct rig *rig)
{
	assert_int_equal(null_create(rig->loop, &rig->pool, &rig->device), 0);
}

static void make_fault(struct rig *rig, const char *text)
{
	struct fault_spec spec;
	const char *why;

	assert_int_equal(fault_parse(&spec, text, &why), 0);
	assert_int_equal(fault_create(rig->device, &spec, &rig->device), 0);
}

/* A filter that does nothing must not be noticed. */
static void make_disk_below(struct rig *rig)
{
	make_disk(rig);
	make_fault(rig, "seed=1");
}

static void make_slow_null(struct rig *rig)
{
	make_null(rig);
	make_fault(rig, "seed=2,delay=500:3");
}

/*
 * A real device, where there is one: RYLL_REAL_DEVICE names it as --usb-device
 * does. It takes all on endpoint 0x04, yields what it is asked for on 0x82 and
 * nothing on 0x83: see guest-vhci.c.
 */
static void make_real(struct rig *rig)
{
	static struct usbfs_keeper keeper = { .socket = -1 };
	static struct usbfs *usbfs;
	struct usbfs_selector which;
	const char *why;

	usbfs_destroy(usbfs); /* of the test before */
	assert_int_equal(
		usbfs_selector_parse(&which, getenv("RYLL_REAL_DEVICE"), &why),
		0);
	assert_int_equal(usbfs_create(rig->loop, &rig->pool, &keeper, false,
				      NULL, &usbfs),
			 0);
	assert_int_equal(usbfs_add(usbfs, &which, &rig->device), 0);
	assert_int_equal(usbfs_follow(usbfs), 0);
	assert_false(rig->device->absent);
}

/* The same by way of a host, which RYLL_REMOTE_DEVICE names as --usb-remote does. */
static struct worker remote_worker;

static unsigned int remote_stops;

static void remote_stopped(void *arg)
{
	struct rig *rig = arg;

	remote_stops++;
	loop_hurry(rig->loop);
}

static void part_remote(struct rig *rig)
{
	unsigned int was = remote_stops;

	remote_stop(rig->device, remote_stopped, rig);
	rig_wait(rig, &remote_stops, was);
	rig_turns(rig);
	worker_fini(&remote_worker);
}

static void make_remote(struct rig *rig)
{
	struct remote_spec spec;
	const char *why;

	worker_init(&remote_worker, rig->loop);
	assert_int_equal(
		remote_parse(&spec, getenv("RYLL_REMOTE_DEVICE"), &why), 0);
	assert_int_equal(remote_create(rig->loop, &rig->pool, &remote_worker,
				       &spec, NULL, &rig->device),
			 0);
	rig->part = part_remote;
	timer_start(rig->loop, &rig->deadline, RIG_PATIENCE_MS);
	while (rig->device->absent && !rig->late)
		assert_int_equal(loop_turn(rig->loop), 0);
	assert_false(rig->late);
	timer_stop(&rig->deadline);
}

static const struct subject remote = { "remote", make_remote, 0x83, 0x82,
				       0x04 };
static const struct subject real = { "usbfs", make_real, 0x83, 0x82, 0x04 };
static const struct subject disk = { "disk", make_disk, BOT_EP_IN, 0x81, 0x02 };
static const struct subject disk_below = { "disk below a filter",
					   make_disk_below, BOT_EP_IN, 0x81,
					   0x02 };
static const struct subject slow_null = { "null, delayed", make_slow_null,
					  NULL_EP_NEVER, 0x81, 0x02 };
static const struct subject null = { "null", make_null, NULL_EP_NEVER, 0x81,
				     0x02 };

static void begin(struct rig *rig, void **state)
{
	now = *state;
	rig_init(rig);
	now->make(rig);
	rig_open(rig, USB_SPEED_SUPER);
}

/* TEST UNIT READY: what a disk takes, and a null device anyway. */
static void make_out(struct rig *rig, struct rig_urb *u)
{
	uint8_t cbw[BOT_CBW_SIZE];

	rig_cbw(rig, cbw, RIG_NONE, 0, CDB(0x00));
	rig_urb_out(rig, u, now->out, cbw, sizeof(cbw));
}

/* --- 1: taken, completes once, never inside submit ---------------------------- */

static void test_completes_once(void **state)
{
	struct rig_urb out, in;
	struct rig rig;

	begin(&rig, state);
	make_out(&rig, &out);
	rig_submit(&rig, &out); /* asserts: not inside */
	assert_int_equal(rig_finish(&rig, &out), 0);
	assert_int_equal(out.urb.actual, BOT_CBW_SIZE);
	rig_urb_in(&in, now->in, BOT_CSW_SIZE);
	rig_submit(&rig, &in);
	assert_int_equal(rig_finish(&rig, &in), 0);
	assert_int_equal(in.urb.actual, BOT_CSW_SIZE);
	rig_turns(&rig);
	assert_int_equal(out.completions, 1);
	assert_int_equal(in.completions, 1);
	rig_urb_fini(&out);
	rig_urb_fini(&in);
	rig_fini(&rig);
}

/* The OUT buffer is the submitter's again: nobody else holds it for long. */
static void test_buffer_comes_back(void **state)
{
	struct rig_urb out;
	struct rig rig;

	begin(&rig, state);
	make_out(&rig, &out);
	rig_submit(&rig, &out);
	rig_finish(&rig, &out);
	rig_turns(&rig);
	assert_int_equal(out.urb.buf->refs, 1);
	rig_urb_fini(&out);
	rig_fini(&rig);
}

static void test_control_completes_once(void **state)
{
	static const struct usb_setup setups[] = {
		{ 0x80, 0x06, 0x0100, 0, 18 }, /* GET_DESCRIPTOR(device) */
		{ 0x80, 0x06, 0x0900, 0, 18 }, /* ... of a kind unknown */
		{ 0x80, 0x00, 0, 0, 2 },       /* GET_STATUS */
		{ 0x21, 0xff, 0, 0, 0 },       /* a class request */
		{ 0x40, 0x55, 1, 2, 0 },       /* a vendor's */
	};
	struct rig_urb u;
	struct rig rig;

	begin(&rig, state);
	for (size_t i = 0; i < ARRAY_SIZE(setups); i++) {
		rig_urb_control(&u, setups[i]);
		rig_submit(&rig, &u);
		rig_finish(&rig, &u);
		rig_turns(&rig);
		assert_int_equal(u.completions, 1);
		assert_true(u.urb.actual <= u.urb.len);
		rig_urb_fini(&u);
	}
	rig_fini(&rig);
}

/* A completion may submit again at once. */
static struct rig *chained_rig;
static struct rig_urb chained;

static void submit_chained(struct rig_urb *u)
{
	(void)u;
	rig_urb_in(&chained, now->in, BOT_CSW_SIZE);
	rig_submit(chained_rig, &chained);
}

static void test_submit_in_completion(void **state)
{
	struct rig_urb out;
	struct rig rig;

	begin(&rig, state);
	chained_rig = &rig;
	chained.completions = 0;
	make_out(&rig, &out);
	out.then = submit_chained;
	rig_submit(&rig, &out);
	rig_wait(&rig, &chained.completions, 0);
	assert_int_equal(chained.urb.status, 0);
	rig_urb_fini(&out);
	rig_urb_fini(&chained);
	rig_fini(&rig);
}

/* --- 2: refused, does not complete ---------------------------------------------- */

static void expect_refusal(struct rig *rig, struct rig_urb *u, int error)
{
	assert_int_equal(usb_submit(rig->device, &u->urb), error);
	rig_turns(rig);
	assert_int_equal(u->completions, 0);
	rig_urb_fini(u);
}

static void test_refuses(void **state)
{
	struct rig_urb u;
	struct rig rig;

	begin(&rig, state);
	rig_urb_in(&u, 0x85, 512);
	expect_refusal(&rig, &u, -ENOENT);
	rig_urb_in(&u, now->in, 512);
	u.urb.type = USB_INTERRUPT;
	expect_refusal(&rig, &u, -EINVAL);
	rig_urb_in(&u, now->in, 512);
	u.urb.stream = 1;
	expect_refusal(&rig, &u, -EINVAL);
	rig_urb_in(&u, now->in, USB_MAX_URB_BYTES + 1);
	expect_refusal(&rig, &u, -EMSGSIZE);
	/* The data of a control transfer goes where its setup says. */
	rig_urb_control(&u, (struct usb_setup){ 0x80, 0x06, 0x0100, 0, 18 });
	u.urb.ep = 0x00;
	expect_refusal(&rig, &u, -EINVAL);
	rig_fini(&rig);
}

static void test_quota_of_urbs(void **state)
{
	static struct rig_urb u[USB_MAX_INFLIGHT_URBS + 1];
	const size_t last = USB_MAX_INFLIGHT_URBS;
	struct rig rig;

	begin(&rig, state);
	for (size_t i = 0; i <= last; i++)
		rig_urb_in(&u[i], now->waiting_ep, 1);
	for (size_t i = 0; i < last; i++)
		rig_submit(&rig, &u[i]);
	expect_refusal(&rig, &u[last], -ENOBUFS);
	usb_cancel(&u[0].urb);
	rig_finish(&rig, &u[0]);
	rig_submit(&rig, &u[last]); /* one went, so one fits */
	rig_close(&rig);
	for (size_t i = 0; i <= last; i++)
		assert_int_equal(u[i].completions, 1);
	rig_fini(&rig);
}

static void test_quota_of_bytes(void **state)
{
	uint32_t len, left = USB_MAX_INFLIGHT_BYTES;
	struct rig_urb u[4];
	size_t n = 0;
	struct rig rig;

	begin(&rig, state);
	for (; left; left -= len, n++) {
		assert_true(n + 1 < ARRAY_SIZE(u));
		len = MIN(left, USB_MAX_URB_BYTES);
		rig_urb_in(&u[n], now->waiting_ep, len);
		rig_submit(&rig, &u[n]);
	}
	rig_urb_in(&u[n], now->waiting_ep, 1);
	expect_refusal(&rig, &u[n], -ENOBUFS);
	/* What waits has no memory, but for the kernel to write to. */
	if (now->make != make_real)
		assert_int_equal(rig.pool.lent, 0);
	rig_close(&rig);
	assert_int_equal(rig.device->inflight_urbs, 0);
	assert_int_equal(rig.device->inflight_bytes, 0);
	rig_fini(&rig);
}

static void test_refuses_when_closed(void **state)
{
	struct rig_urb u;
	struct rig rig;

	begin(&rig, state);
	rig_close(&rig);
	rig_urb_in(&u, now->in, 512);
	expect_refusal(&rig, &u, -ESHUTDOWN);
	rig_fini(&rig);
}

/* --- 3: cancel only asks ----------------------------------------------------------- */

static void test_cancels_what_waits(void **state)
{
	struct rig_urb u;
	struct rig rig;

	begin(&rig, state);
	rig_urb_in(&u, now->waiting_ep, 512);
	rig_submit(&rig, &u);
	rig_turns(&rig);
	assert_int_equal(u.completions, 0);
	usb_cancel(&u.urb);
	assert_int_equal(rig_finish(&rig, &u), -ECANCELED);
	assert_int_equal(u.urb.actual, 0);
	assert_null(u.urb.buf);
	rig_turns(&rig);
	assert_int_equal(u.completions, 1);
	rig_fini(&rig);
}

static void test_cancels_twice(void **state)
{
	struct rig_urb u;
	struct rig rig;

	begin(&rig, state);
	rig_urb_in(&u, now->waiting_ep, 512);
	rig_submit(&rig, &u);
	usb_cancel(&u.urb);
	if (!u.completions) /* else it is not in flight any more */
		usb_cancel(&u.urb);
	rig_finish(&rig, &u);
	rig_turns(&rig);
	assert_int_equal(u.completions, 1);
	rig_fini(&rig);
}

/* Done inside submit, completion on its way: either outcome, once. */
static void test_cancels_what_is_done(void **state)
{
	struct rig_urb out;
	struct rig rig;

	begin(&rig, state);
	make_out(&rig, &out);
	rig_submit(&rig, &out);
	usb_cancel(&out.urb);
	rig_finish(&rig, &out);
	rig_turns(&rig);
	assert_int_equal(out.completions, 1);
	rig_urb_fini(&out);
	rig_fini(&rig);
}

/* A zero-length transfer looks like one that has not begun. */
static void test_cancels_zero_length(void **state)
{
	struct rig_urb out;
	struct rig rig;

	begin(&rig, state);
	rig_urb_out(&rig, &out, now->out, NULL, 0);
	rig_submit(&rig, &out);
	usb_cancel(&out.urb);
	rig_finish(&rig, &out);
	rig_turns(&rig);
	assert_int_equal(out.completions, 1);
	rig_urb_fini(&out);
	rig_fini(&rig);
}

static void test_cancels_control(void **state)
{
	struct rig_urb u;
	struct rig rig;

	begin(&rig, state);
	rig_urb_control(&u, (struct usb_setup){ 0x80, 0x06, 0x0100, 0, 18 });
	rig_submit(&rig, &u);
	usb_cancel(&u.urb);
	rig_finish(&rig, &u);
	rig_turns(&rig);
	assert_int_equal(u.completions, 1);
	rig_urb_fini(&u);
	rig_fini(&rig);
}

/* --- 4: close completes everything, then gone ---------------------------------------- */

static struct rig *closing_rig;

static void completed_before_gone(struct rig_urb *u)
{
	(void)u;
	assert_int_equal(closing_rig->gone, 0);
}

static void test_close_completes(void **state)
{
	struct rig_urb in[3], out;
	struct rig rig;

	begin(&rig, state);
	closing_rig = &rig;
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		rig_urb_in(&in[i], now->waiting_ep, 512);
		in[i].then = completed_before_gone;
		rig_submit(&rig, &in[i]);
	}
	make_out(&rig, &out);
	out.then = completed_before_gone;
	rig_submit(&rig, &out);
	rig_close(&rig);
	rig_turns(&rig);
	assert_int_equal(out.completions, 1);
	for (size_t i = 0; i < ARRAY_SIZE(in); i++) {
		assert_int_equal(in[i].completions, 1);
		rig_urb_fini(&in[i]);
	}
	assert_int_equal(rig.gone, 1);
	rig_urb_fini(&out);
	rig_fini(&rig);
}

static void test_close_twice(void **state)
{
	struct rig rig;

	begin(&rig, state);
	usb_close(rig.device);
	usb_close(rig.device);
	rig_wait(&rig, &rig.gone, 0);
	rig_turns(&rig);
	assert_int_equal(rig.gone, 1);
	rig_fini(&rig);
}

static void close_now(struct rig_urb *u)
{
	(void)u;
	usb_close(closing_rig->device);
}

static void test_close_in_completion(void **state)
{
	struct rig_urb in, out;
	struct rig rig;

	begin(&rig, state);
	closing_rig = &rig;
	rig_urb_in(&in, now->waiting_ep, 512);
	rig_submit(&rig, &in);
	make_out(&rig, &out);
	out.then = close_now;
	rig_submit(&rig, &out);
	rig_wait(&rig, &rig.gone, 0);
	assert_int_equal(in.completions, 1);
	assert_int_equal(out.completions, 1);
	rig_urb_fini(&in);
	rig_urb_fini(&out);
	rig_fini(&rig);
}

static void test_opens_again(void **state)
{
	struct rig_urb out;
	struct rig rig;

	begin(&rig, state);
	for (int i = 0; i < 3; i++) {
		rig_close(&rig);
		rig_open(&rig, i % 2 ? USB_SPEED_SUPER : USB_SPEED_HIGH);
		make_out(&rig, &out);
		rig_submit(&rig, &out);
		assert_int_equal(rig_finish(&rig, &out), 0);
		rig_urb_fini(&out);
	}
	rig_fini(&rig);
}

/* --- 5: admin requests complete once ----------------------------------------------------- */

static const enum usb_admin_type admin_types[] = {
	USB_SET_CONFIGURATION, USB_GET_CONFIGURATION, USB_SET_ALT_SETTING,
	USB_GET_ALT_SETTING,   USB_CLEAR_HALT,	      USB_RESET,
	USB_ALLOC_STREAMS,     USB_FREE_STREAMS,
};

static void test_admin_completes_once(void **state)
{
	struct rig_admin a;
	struct rig rig;

	begin(&rig, state);
	for (size_t i = 0; i < ARRAY_SIZE(admin_types); i++) {
		rig_admin_start(&rig, &a,
				(struct usb_admin){ .type = admin_types[i],
						    .ep = now->in,
						    .configuration = 1 });
		rig_wait(&rig, &a.completions, 0);
		rig_turns(&rig);
		assert_int_equal(a.completions, 1);
	}
	rig_fini(&rig);
}

static void test_admin_when_closed(void **state)
{
	struct rig rig;

	begin(&rig, state);
	rig_close(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(admin_types); i++)
		assert_int_equal(
			rig_admin(&rig,
				  (struct usb_admin){ .type = admin_types[i] }),
			-ESHUTDOWN);
	rig_fini(&rig);
}

static void test_configuration(void **state)
{
	struct usb_admin set = { .type = USB_SET_CONFIGURATION };
	struct rig_admin get;
	struct rig rig;

	begin(&rig, state);
	for (uint8_t value = 0; value < 2; value++) {
		set.configuration = value;
		assert_int_equal(rig_admin(&rig, set), 0);
		rig_admin_start(
			&rig, &get,
			(struct usb_admin){ .type = USB_GET_CONFIGURATION });
		rig_wait(&rig, &get.completions, 0);
		assert_int_equal(get.admin.configuration, value);
	}
	rig_fini(&rig);
}

/* Guests reset again before the first reset has ended. */
static void test_resets_in_a_row(void **state)
{
	struct rig_admin a[3];
	struct rig_urb u;
	struct rig rig;

	begin(&rig, state);
	rig_urb_in(&u, now->waiting_ep, 512);
	rig_submit(&rig, &u);
	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		rig_admin_start(&rig, &a[i],
				(struct usb_admin){ .type = USB_RESET });
	for (size_t i = 0; i < ARRAY_SIZE(a); i++) {
		rig_wait(&rig, &a[i].completions, 0);
		assert_int_equal(a[i].admin.status, 0);
	}
	assert_int_equal(rig_finish(&rig, &u), -ECANCELED);
	rig_turns(&rig);
	for (size_t i = 0; i < ARRAY_SIZE(a); i++)
		assert_int_equal(a[i].completions, 1);
	rig_fini(&rig);
}

#define CONTRACT(test, subject)                                                \
	{                                                                      \
		.name = #test, .test_func = test,                              \
		.initial_state = (void *)(uintptr_t) & (subject)               \
	}

#define CONTRACT_OF(subject)                                                   \
	{                                                                      \
		CONTRACT(test_completes_once, subject),                        \
			CONTRACT(test_buffer_comes_back, subject),             \
			CONTRACT(test_control_completes_once, subject),        \
			CONTRACT(test_submit_in_completion, subject),          \
			CONTRACT(test_refuses, subject),                       \
			CONTRACT(test_quota_of_urbs, subject),                 \
			CONTRACT(test_quota_of_bytes, subject),                \
			CONTRACT(test_refuses_when_closed, subject),           \
			CONTRACT(test_cancels_what_waits, subject),            \
			CONTRACT(test_cancels_twice, subject),                 \
			CONTRACT(test_cancels_what_is_done, subject),          \
			CONTRACT(test_cancels_zero_length, subject),           \
			CONTRACT(test_cancels_control, subject),               \
			CONTRACT(test_close_completes, subject),               \
			CONTRACT(test_close_twice, subject),                   \
			CONTRACT(test_close_in_completion, subject),           \
			CONTRACT(test_opens_again, subject),                   \
			CONTRACT(test_admin_completes_once, subject),          \
			CONTRACT(test_admin_when_closed, subject),             \
			CONTRACT(test_configuration, subject),                 \
			CONTRACT(test_resets_in_a_row, subject),               \
	}

int main(void)
{
	const struct CMUnitTest disk_tests[] = CONTRACT_OF(disk);
	const struct CMUnitTest null_tests[] = CONTRACT_OF(null);
	const struct CMUnitTest disk_below_tests[] = CONTRACT_OF(disk_below);
	const struct CMUnitTest slow_null_tests[] = CONTRACT_OF(slow_null);
	const struct CMUnitTest real_tests[] = CONTRACT_OF(real);
	const struct CMUnitTest remote_tests[] = CONTRACT_OF(remote);
	int failed;

	/* Refusals are logged; they are expected here. */
	log_level = LOG_LEVEL_ERR;
	if (getenv("RYLL_REAL_DEVICE"))
		return cmocka_run_group_tests_name("contract of usbfs",
						   real_tests, NULL, NULL);
	if (getenv("RYLL_REMOTE_DEVICE"))
		return cmocka_run_group_tests_name("contract of remote",
						   remote_tests, NULL, NULL);
	failed = cmocka_run_group_tests_name("contract of disk", disk_tests,
					     NULL, NULL);
	failed += cmocka_run_group_tests_name("contract of null", null_tests,
					      NULL, NULL);
	failed += cmocka_run_group_tests_name("contract of disk below fault",
					      disk_below_tests, NULL, NULL);
	failed += cmocka_run_group_tests_name("contract of null below fault",
					      slow_null_tests, NULL, NULL);
	return failed;
}
