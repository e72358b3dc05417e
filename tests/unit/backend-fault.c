// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The filter `fault` (backend/fault.c): what it does is what it was told, and
 * the same each time. That it keeps the contract, backend-contract.c tests.
 */
#include "../lib/rig.h"

#include "../lib/fake-device.h"
#include "backend/fault.h"

#define MANY 200

static struct fake_device *fake;

static void begin(struct rig *rig, const char *text)
{
	struct fault_spec spec;
	const char *why;

	rig_init(rig);
	fake = fake_device_new(rig->loop, &rig->pool);
	assert_int_equal(fault_parse(&spec, text, &why), 0);
	assert_int_equal(fault_create(&fake->device, &spec, &rig->device), 0);
	rig_open(rig, USB_SPEED_SUPER);
}

/* In the order in which they completed */
static unsigned int told[MANY], n_told;
static struct rig_urb urbs[MANY];

static void note(struct rig_urb *u)
{
	assert_true(n_told < MANY);
	told[n_told++] = (unsigned int)(u - urbs);
}

/* Many URBs at once, IN, of 1000 bytes; until all have ended. */
static void run(struct rig *rig)
{
	n_told = 0;
	for (unsigned int i = 0; i < MANY; i++) {
		rig_urb_in(&urbs[i], FAKE_IN, 1000);
		urbs[i].then = note;
		rig_submit(rig, &urbs[i]);
	}
	for (unsigned int i = 0; i < MANY; i++)
		rig_wait(rig, &urbs[i].completions, 0);
	rig_turns(rig);
	assert_int_equal(n_told, MANY);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(urbs[i].completions, 1);
}

static void forget(void)
{
	for (unsigned int i = 0; i < MANY; i++)
		rig_urb_fini(&urbs[i]);
}

static void run_and_end(struct rig *rig)
{
	fake->hold_urbs = true;
	n_told = 0;
	for (unsigned int i = 0; i < MANY; i++) {
		rig_urb_in(&urbs[i], FAKE_IN, 1000);
		urbs[i].then = note;
		rig_submit(rig, &urbs[i]);
	}
	fake_complete_all(fake, 0);
	for (unsigned int i = 0; i < MANY; i++)
		rig_wait(rig, &urbs[i].completions, 0);
	fake->hold_urbs = false;
}

/* --- What people write ------------------------------------------------------------ */

static void test_parse(void **state)
{
	static const char *const bad[] = {
		"",	    "seed",	 "seed=",     "seed=x",
		"seed=1,",  ",seed=1",	 "error=-1",  "delay=5",
		"delay=5:", "delay=5:x", "unplug=1 ", "error=1;short=2",
	};
	struct fault_spec spec;
	const char *why;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(fault_parse(&spec, bad[i], &why), -EINVAL);
	assert_int_equal(
		fault_parse(&spec, "seed=7,error=1,short=2,delay=3:4,unplug=5",
			    &why),
		0);
	assert_int_equal(spec.seed, 7);
	assert_int_equal(spec.error, 1);
	assert_int_equal(spec.shortened, 2);
	assert_int_equal(spec.delay, 3);
	assert_int_equal(spec.delay_ms, 4);
	assert_int_equal(spec.unplug, 5);
	assert_int_equal(fault_parse(&spec, "error=9999", &why), 0);
	assert_int_equal(spec.error, 1000);
}

/* --- Faults -------------------------------------------------------------------------- */

static void test_nothing(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig, "seed=1");
	run_and_end(&rig);
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(urbs[i].urb.status, 0);
		assert_int_equal(urbs[i].urb.actual, 1000);
		assert_int_equal(told[i], i);
	}
	forget();
	rig_fini(&rig);
}

static void test_error(void **state)
{
	unsigned int failed = 0;
	struct rig rig;

	(void)state;
	begin(&rig, "error=1000");
	run(&rig);
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(urbs[i].urb.status, -EIO);
		assert_int_equal(urbs[i].urb.actual, 0);
		assert_null(urbs[i].urb.buf);
	}
	rig_fini(&rig);
	begin(&rig, "error=300");
	run_and_end(&rig);
	for (unsigned int i = 0; i < MANY; i++)
		failed += urbs[i].urb.status == -EIO;
	assert_in_range(failed, MANY / 5, MANY / 2);
	forget();
	rig_fini(&rig);
}

static void test_short(void **state)
{
	unsigned int less = 0;
	struct rig rig;

	(void)state;
	begin(&rig, "short=500");
	run_and_end(&rig);
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(urbs[i].urb.status, 0);
		assert_true(urbs[i].urb.actual <= 1000);
		assert_int_equal(urbs[i].urb.len, 1000);
		less += urbs[i].urb.actual < 1000;
	}
	assert_in_range(less, MANY / 3, MANY * 2 / 3);
	forget();
	rig_fini(&rig);
}

/* Later, but nothing overtakes: neither what is on time nor what fails. */
static void test_delay_keeps_order(void **state)
{
	int64_t start;
	struct rig rig;

	(void)state;
	begin(&rig, "seed=3,delay=200:20");
	start = loop_now(rig.loop);
	run_and_end(&rig);
	assert_true(loop_now(rig.loop) - start >= 5);
	for (unsigned int i = 0; i < MANY; i++)
		assert_int_equal(told[i], i);
	forget();
	rig_fini(&rig);
	/* What fails is told before what has not ended, and in order. */
	begin(&rig, "seed=3,delay=1000:2,error=500");
	run_and_end(&rig);
	for (unsigned int i = 1; i < MANY; i++) {
		int was = urbs[told[i - 1]].urb.status;
		int is = urbs[told[i]].urb.status;

		assert_true(was == is ? told[i - 1] < told[i] : !is);
	}
	forget();
	rig_fini(&rig);
}

/* --- Cancel, close ------------------------------------------------------------------- */

/* It has ended, and is told later: cancelled or not, once, as it was. */
static void test_cancel_what_is_late(void **state)
{
	struct rig_urb u;
	struct rig rig;

	(void)state;
	begin(&rig, "delay=1000:50");
	rig_urb_in(&u, FAKE_IN, 10);
	fake->hold_urbs = true;
	rig_submit(&rig, &u);
	fake_complete_all(fake, 0);
	assert_int_equal(u.completions, 0);
	usb_cancel(&u.urb);
	assert_int_equal(rig_finish(&rig, &u), 0);
	assert_int_equal(u.urb.actual, 10);
	rig_urb_fini(&u);
	rig_fini(&rig);
}

static void test_close_tells_what_is_late(void **state)
{
	struct rig_urb late, error, in;
	struct rig rig;

	(void)state;
	begin(&rig, "delay=1000:60000");
	fake->hold_urbs = true;
	rig_urb_in(&late, FAKE_IN, 10);
	rig_submit(&rig, &late);
	fake_complete_all(fake, 0);
	rig_urb_in(&in, FAKE_IN, 10);
	rig_submit(&rig, &in);
	rig_close(&rig);
	assert_int_equal(late.completions, 1);
	assert_int_equal(in.completions, 1);
	rig_urb_fini(&late);
	rig_urb_fini(&in);
	rig_fini(&rig);
	begin(&rig, "error=1000");
	rig_urb_in(&error, FAKE_IN, 10);
	rig_submit(&rig, &error);
	rig_close(&rig);
	assert_int_equal(error.completions, 1);
	assert_int_equal(error.urb.status, -EIO);
	rig_fini(&rig);
}

/* --- Unplugged ------------------------------------------------------------------------- */

static struct rig *freed_rig;
static unsigned int freed;

static void count_freed(struct usb_device *device)
{
	assert_int_equal(device->state, USB_DEVICE_FREE);
	freed += !device->absent;
	loop_hurry(freed_rig->loop);
}

/* It leaves at that URB, once; it is absent, and comes back as another. */
static void test_unplug_and_return(void **state)
{
	struct rig_urb u;
	uint64_t appearance;
	struct rig rig;

	(void)state;
	begin(&rig, "unplug=3");
	freed_rig = &rig;
	freed = 0;
	rig.device->freed = count_freed;
	appearance = rig.device->appearance;
	for (int i = 0; i < 2; i++) {
		rig_urb_in(&u, FAKE_IN, 10);
		fake->hold_urbs = true;
		rig_submit(&rig, &u);
		fake_complete_all(fake, 0);
		rig_urb_fini(&u);
		rig_turns(&rig);
		assert_int_equal(rig.leaving, 0);
	}
	rig_urb_in(&u, FAKE_IN, 10);
	rig_submit(&rig, &u);
	assert_int_equal(rig.leaving, 0); /* not inside */
	rig_wait(&rig, &rig.leaving, 0);
	rig_close(&rig);
	assert_int_equal(u.completions, 1);
	rig_urb_fini(&u);
	assert_true(rig.device->absent);
	assert_int_equal(freed, 0);
	rig_wait(&rig, &freed, 0);
	assert_false(rig.device->absent);
	assert_int_not_equal(rig.device->appearance, appearance);
	rig_open(&rig, USB_SPEED_SUPER);
	fake->hold_urbs = false;
	run_and_end(&rig);
	assert_int_equal(rig.leaving, 1);
	forget();
	rig_fini(&rig);
}

/* What is below comes and goes by itself. */
static void test_inner_leaves(void **state)
{
	struct rig rig;

	(void)state;
	begin(&rig, "seed=1");
	freed_rig = &rig;
	freed = 0;
	rig.device->freed = count_freed;
	usb_set_absent(&fake->device, true);
	usb_leave(&fake->device);
	assert_int_equal(rig.leaving, 1);
	rig_close(&rig);
	assert_true(rig.device->absent);
	usb_set_absent(&fake->device, false);
	assert_false(rig.device->absent);
	assert_int_equal(freed, 1);
	/* One that cannot be opened is absent until that one says otherwise. */
	fake->open_status = -EACCES;
	usb_open(rig.device, &rig.listener, USB_SPEED_SUPER);
	assert_int_equal(rig.open_status, -EACCES);
	assert_true(rig.device->absent);
	fake->open_status = 0;
	usb_set_absent(&fake->device, false);
	assert_false(rig.device->absent);
	rig_open(&rig, USB_SPEED_SUPER);
	rig_fini(&rig);
}

/* --- The same again ------------------------------------------------------------------------ */

/* However the device takes its time. */
static void test_same_seed_same_faults(void **state)
{
	static const char text[] = "seed=42,error=100,short=200,delay=100:2";
	static uint32_t actual[MANY];
	static int status[MANY];
	unsigned int differ = 0;
	struct rig rig;

	(void)state;
	begin(&rig, text);
	run_and_end(&rig);
	for (unsigned int i = 0; i < MANY; i++) {
		actual[i] = urbs[i].urb.actual;
		status[i] = urbs[i].urb.status;
	}
	forget();
	rig_fini(&rig);
	begin(&rig, text);
	run(&rig); /* each ends before the next begins */
	for (unsigned int i = 0; i < MANY; i++) {
		assert_int_equal(urbs[i].urb.actual, actual[i]);
		assert_int_equal(urbs[i].urb.status, status[i]);
	}
	forget();
	rig_fini(&rig);
	begin(&rig, "seed=43,error=100,short=200,delay=100:2");
	run_and_end(&rig);
	for (unsigned int i = 0; i < MANY; i++)
		differ += urbs[i].urb.actual != actual[i];
	assert_true(differ);
	forget();
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_nothing),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_delay_keeps_order),
		cmocka_unit_test(test_cancel_what_is_late),
		cmocka_unit_test(test_close_tells_what_is_late),
		cmocka_unit_test(test_unplug_and_return),
		cmocka_unit_test(test_inner_leaves),
		cmocka_unit_test(test_same_seed_same_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
