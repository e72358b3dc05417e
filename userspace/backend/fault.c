// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/fault.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

struct fault {
	struct usb_device device;
	struct usb_device *inner;     /* owned */
	struct usb_listener listener; /* inner's */
	struct fault_spec spec;
	uint64_t random;
	uint64_t urbs;			  /* that have been submitted */
	uint64_t failed, shortened, late; /* of them */
	struct list held;  /* struct fault_urb: done, to be told in order */
	struct timer tell; /* the first of them is due */
	struct task leave;
	struct timer back;
};

struct fault_urb {
	struct urb urb; /* inner's */
	struct urb *outer;
	struct fault *fault;
	struct list node; /* on fault->held */
	bool late;
	unsigned int delay; /* ms from when it has ended */
	int64_t due;
};

struct fault_admin {
	struct usb_admin admin; /* inner's */
	struct usb_admin *outer;
};

static struct fault *fault_of(struct usb_device *device)
{
	return container_of(device, struct fault, device);
}

/* xorshift64* */
static uint64_t draw(struct fault *f)
{
	f->random ^= f->random >> 12;
	f->random ^= f->random << 25;
	f->random ^= f->random >> 27;
	return f->random * 0x2545f4914f6cdd1dull >> 16;
}

static bool happens(struct fault *f, unsigned int in_thousand)
{
	return in_thousand && draw(f) % 1000 < in_thousand;
}

/* --- Coming and going ------------------------------------------------------------ */

static bool fault_describe(struct usb_device *device, struct usb_info *info)
{
	return usb_describe(fault_of(device)->inner, info);
}

static void fault_open(struct usb_device *device, enum usb_speed max_speed)
{
	struct fault *f = fault_of(device);

	if (f->inner->absent || f->inner->state != USB_DEVICE_FREE)
		usb_opened(device, -ENODEV);
	else
		usb_open(f->inner, &f->listener, max_speed);
}

static void inner_opened(struct usb_listener *listener, int status)
{
	struct fault *f = container_of(listener, struct fault, listener);

	f->device.info = f->inner->info;
	snprintf(f->device.name, sizeof(f->device.name), "%s", f->inner->name);
	snprintf(f->device.why, sizeof(f->device.why), "%s", f->inner->why);
	f->device.told = f->inner->told;
	usb_opened(&f->device, status);
}

static void inner_leaving(struct usb_listener *listener)
{
	usb_leave(&container_of(listener, struct fault, listener)->device);
}

/* It may be opened again: so may this. */
static void inner_freed(struct usb_device *inner)
{
	struct fault *f = inner->owner;

	if (!timer_running(&f->back) && !inner->absent)
		usb_set_absent(&f->device, false);
}

static void come_back(struct timer *timer)
{
	struct fault *f = container_of(timer, struct fault, back);

	if (!f->inner->absent)
		usb_set_absent(&f->device, false);
}

static void leave(struct task *task)
{
	usb_leave(&container_of(task, struct fault, leave)->device);
}

/* --- Transfers ----------------------------------------------------------------------- */

/* The outer URB has the inner one's outcome. */
static void tell(struct fault_urb *fu)
{
	struct urb *outer = fu->outer;

	outer->status = fu->urb.status;
	outer->actual = fu->urb.actual;
	if (outer->ep & USB_DIR_IN) {
		outer->buf = fu->urb.buf;
		outer->off = fu->urb.off;
	}
	list_remove(&fu->node);
	outer->backend = NULL;
	free(fu);
	usb_complete(outer);
}

static void schedule(struct fault *f)
{
	struct fault_urb *first;

	if (list_empty(&f->held))
		return;
	first = list_first(&f->held, struct fault_urb, node);
	timer_start(f->device.loop, &f->tell,
		    MAX(first->due - loop_now(f->device.loop), 0));
}

static void due(struct timer *timer)
{
	struct fault *f = container_of(timer, struct fault, tell);

	tell(list_first(&f->held, struct fault_urb, node));
	schedule(f);
}

/* It has ended. Those behind it wait with it: nothing overtakes on a bus. */
static void hold(struct fault_urb *fu)
{
	struct fault *f = fu->fault;
	bool first = list_empty(&f->held);

	fu->due = loop_now(f->device.loop) + fu->delay;
	list_append(&f->held, &fu->node);
	if (first)
		schedule(f);
}

static void inner_complete(struct urb *urb)
{
	struct fault_urb *fu = container_of(urb, struct fault_urb, urb);

	if (!fu->late && list_empty(&fu->fault->held))
		tell(fu);
	else
		hold(fu);
}

/* All that will be wrong with it: which URB has what does not depend on when
 * others end. True: it fails. */
static bool choose(struct fault *f, struct fault_urb *fu)
{
	struct urb *urb = &fu->urb;
	bool fails = happens(f, f->spec.error);

	if ((urb->ep & USB_DIR_IN) && urb->type == USB_BULK && urb->len &&
	    happens(f, f->spec.shortened)) {
		urb->len = (uint32_t)(draw(f) % urb->len);
		f->shortened++;
	}
	fu->late = happens(f, f->spec.delay);
	if (fu->late)
		fu->delay = (unsigned int)(draw(f) % (f->spec.delay_ms + 1u));
	f->late += fu->late;
	f->failed += fails;
	return fails;
}

static int fault_submit(struct usb_device *device, struct urb *urb)
{
	struct fault *f = fault_of(device);
	struct fault_urb *fu;
	int ret;

	if (++f->urbs == f->spec.unplug) {
		timer_start(device->loop, &f->back, FAULT_AWAY_MS);
		loop_post(device->loop, &f->leave);
	}
	fu = calloc(1, sizeof(*fu));
	if (!fu)
		return -ENOMEM;
	fu->urb = *urb;
	fu->urb.complete = inner_complete;
	fu->outer = urb;
	fu->fault = f;
	list_init(&fu->node);
	urb->backend = fu;
	if (choose(f, fu)) {
		fu->urb.status = -EIO;
		fu->urb.actual = 0;
		hold(fu); /* told by a timer: not inside submit */
		return 0;
	}
	ret = usb_submit(f->inner, &fu->urb);
	if (ret < 0) {
		urb->backend = NULL;
		free(fu);
	}
	return ret;
}

static void fault_cancel(struct usb_device *device, struct urb *urb)
{
	struct fault_urb *fu = urb->backend;

	(void)device;
	/* Else it has ended already, and is only not told yet. */
	if (fu && list_empty(&fu->node))
		usb_cancel(&fu->urb);
}

static struct buf *fault_alloc(struct usb_device *device, uint32_t len)
{
	struct usb_device *inner = fault_of(device)->inner;

	return inner->ops->alloc ? inner->ops->alloc(inner, len) : NULL;
}

/* --- Requests that change it -------------------------------------------------------------- */

static void inner_admin_complete(struct usb_admin *admin)
{
	struct fault_admin *fa = container_of(admin, struct fault_admin, admin);
	struct usb_admin *outer = fa->outer;
	struct fault *f = fault_of(outer->device);

	f->device.info = f->inner->info;
	outer->configuration = admin->configuration;
	outer->alt = admin->alt;
	outer->streams = admin->streams;
	usb_admin_complete(outer, admin->status);
	free(fa);
}

static void fault_admin(struct usb_device *device, struct usb_admin *admin)
{
	struct fault_admin *fa = calloc(1, sizeof(*fa));

	if (!fa) {
		usb_admin_complete(admin, -ENOMEM);
		return;
	}
	fa->admin = *admin;
	fa->admin.complete = inner_admin_complete;
	fa->outer = admin;
	usb_admin(fault_of(device)->inner, &fa->admin);
}

/* --- Life ----------------------------------------------------------------------------------- */

static void inner_gone(struct usb_listener *listener)
{
	struct fault *f = container_of(listener, struct fault, listener);

	task_cancel(&f->leave);
	timer_stop(&f->tell);
	while (!list_empty(&f->held))
		tell(list_first(&f->held, struct fault_urb, node));
	log_info("%s: of %" PRIu64 " transfers so far %" PRIu64
		 " failed, %" PRIu64 " were short, %" PRIu64 " late",
		 f->device.name, f->urbs, f->failed, f->shortened, f->late);
	f->device.data_lost = f->inner->data_lost;
	f->device.absent = timer_running(&f->back) || f->inner->absent;
	usb_closed(&f->device);
}

static void fault_close(struct usb_device *device)
{
	usb_close(fault_of(device)->inner);
}

static void fault_destroy(struct usb_device *device)
{
	struct fault *f = fault_of(device);

	timer_stop(&f->back);
	usb_device_destroy(f->inner);
	free(f);
}

int fault_create(struct usb_device *inner, const struct fault_spec *spec,
		 struct usb_device **device)
{
	static const struct usb_device_ops ops = {
		.name = "fault",
		.describe = fault_describe,
		.open = fault_open,
		.close = fault_close,
		.submit = fault_submit,
		.cancel = fault_cancel,
		.alloc = fault_alloc,
		.admin = fault_admin,
		.destroy = fault_destroy,
	};
	static const struct usb_listener_ops listener_ops = {
		.opened = inner_opened,
		.leaving = inner_leaving,
		.gone = inner_gone,
	};
	struct fault *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	usb_device_init(&f->device, &ops, inner->loop, inner->name);
	f->device.absent = inner->absent;
	f->device.own_speed = inner->own_speed;
	f->inner = inner;
	f->listener.ops = &listener_ops;
	f->spec = *spec;
	f->random = spec->seed * 0x9e3779b97f4a7c15ull | 1;
	list_init(&f->held);
	timer_init(&f->tell, due);
	timer_init(&f->back, come_back);
	task_init(&f->leave, leave);
	inner->freed = inner_freed;
	inner->owner = f;
	*device = &f->device;
	return 0;
}

/* --- What people write ------------------------------------------------------------------------- */

static bool take(const char **text, const char *key, uint64_t *value)
{
	size_t n = strlen(key);
	char *end;

	if (strncmp(*text, key, n) || (*text)[n] < '0' || (*text)[n] > '9')
		return false;
	*value = strtoull(*text + n, &end, 10);
	*text = end;
	return true;
}

static bool parse_word(struct fault_spec *s, const char **text)
{
	uint64_t n, ms;

	if (take(text, "seed=", &s->seed) || take(text, "unplug=", &s->unplug))
		return true;
	if (take(text, "error=", &n)) {
		s->error = (unsigned int)MIN(n, 1000);
	} else if (take(text, "short=", &n)) {
		s->shortened = (unsigned int)MIN(n, 1000);
	} else if (take(text, "delay=", &n) && take(text, ":", &ms)) {
		s->delay = (unsigned int)MIN(n, 1000);
		s->delay_ms = (unsigned int)MIN(ms, 60000);
	} else {
		return false;
	}
	return true;
}

int fault_parse(struct fault_spec *spec, const char *text, const char **why)
{
	*spec = (struct fault_spec){ .seed = 1 };
	*why = "is no list of seed=N, error=N, short=N, delay=N:MS, unplug=N";
	for (;;) {
		if (!parse_word(spec, &text))
			return -EINVAL;
		if (!*text)
			return 0;
		if (*text++ != ',')
			return -EINVAL;
	}
}
