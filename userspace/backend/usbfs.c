// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs.h"

#include <libusb-1.0/libusb.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/usbdesc_info.h"
#include "backend/usbfs_filter.h"
#include "backend/usbfs_handle.h"
#include "backend/usbfs_io.h"
#include "backend/usbfs_udev.h"
#include "core/worker.h"

/* Events that are read at a time. */
#define LOOK_MAX 8

struct usbfs {
	struct loop *loop;
	struct bufpool *pool;
	struct usbfs_keeper *keeper;
	struct libusb_context *libusb;
	struct usbfs_udev *udev;
	bool force;
	const struct filter *filter; /* borrows; NULL: none */
	struct log_limit comings;    /* a device may come again and again */
	int monitor;
	struct op op; /* polls monitor */
	/* To look at what has come: while the kernel's drivers try it, its
	 * files in sysfs block, for as long as the device likes. */
	struct worker worker;
	struct worker_job look; /* udev and seen are its, meanwhile */
	unsigned int n_seen;
	struct {
		enum usbfs_event event;
		struct usbfs_place place;
	} seen[LOOK_MAX];
	struct list devices; /* struct usbfs_device */
	uint32_t next_id;
};

struct usbfs_device {
	struct usb_device device;
	struct usbfs *usbfs; /* borrows */
	struct list node;    /* on usbfs->devices */
	struct usbfs_selector selector;
	bool placed; /* place is a device that is plugged in */
	struct usbfs_place place;
	struct usbfs_handle handle; /* the worker's, while it has jobs */
	struct usbdesc_device desc; /* of the device that is open */
	struct usbfs_io io;
	/* Its own: one that does not answer holds up no other. */
	struct worker worker;
	unsigned int jobs;     /* for which handle, and fd, are the worker's */
	atomic_bool closing;   /* what is queued need not be done any more */
	struct worker_job job; /* to open, to close */
	struct usbfs_place opening;
	struct usbfs_handle_options options;
	int result;
	char said[160]; /* why it could not be opened the last time */
	struct timer retry;
};

/* An admin request on its way. */
struct admin_job {
	struct worker_job job;
	struct usbfs_device *device;
	struct usb_admin *admin;
	int result;
	struct usbdesc_config config; /* what it is afterwards */
};

static struct usbfs_device *device_of(struct usb_device *device)
{
	return container_of(device, struct usbfs_device, device);
}

/* --- What it is --------------------------------------------------------------------- */

static bool usbfs_describe(struct usb_device *device, struct usb_info *info)
{
	const struct usbfs_place *place = &device_of(device)->place;

	*info = (struct usb_info){
		.speed = place->speed,
		.class = place->class,
		.subclass = place->subclass,
		.protocol = place->protocol,
		.vendor = place->vendor,
		.product = place->product,
		.bcd_device = place->release,
		.configuration = place->configuration,
		.n_configurations = place->n_configurations,
		.n_interfaces = place->n_interfaces,
	};
	memcpy(info->interface, place->interface, sizeof(place->interface));
	return device_of(device)->placed;
}

/* --- Open and close --------------------------------------------------------------------- */

static void open_work(struct worker_job *job)
{
	struct usbfs_device *d = container_of(job, struct usbfs_device, job);

	d->result = usbfs_handle_open(&d->handle, &d->opening, &d->options);
}

static void release_work(struct worker_job *job)
{
	struct usbfs_device *d = container_of(job, struct usbfs_device, job);

	usbfs_io_discard(&d->io);
	usbfs_handle_release(&d->handle);
}

static void release_done(struct worker_job *job)
{
	struct usbfs_device *d = container_of(job, struct usbfs_device, job);

	usbfs_io_stop(&d->io);
}

static void submit_job(struct usbfs_device *d, struct worker_job *job)
{
	/* It has opened the device, so there is a thread. */
	if (worker_submit(&d->worker, job) < 0)
		abort();
}

static void open_failed(struct usbfs_device *d, int error)
{
	d->device.told = !strcmp(d->said, d->handle.why);
	snprintf(d->said, sizeof(d->said), "%s", d->handle.why);
	snprintf(d->device.why, sizeof(d->device.why), "%s", d->handle.why);
	timer_start(d->device.loop, &d->retry, USBFS_RETRY_MS);
	usb_opened(&d->device, error);
}

static void open_done(struct worker_job *job)
{
	struct usbfs_device *d = container_of(job, struct usbfs_device, job);

	if (d->result < 0) {
		open_failed(d, d->result);
		return;
	}
	if (usbfs_io_start(&d->io, d->handle.fd) < 0) {
		usbfs_handle_release(&d->handle);
		usbfs_handle_close(&d->handle);
		open_failed(d, -ENOMEM);
		return;
	}
	if (usbdesc_read_device(usbfs_descriptors_span(&d->handle.descriptors),
				&d->desc) < 0)
		abort(); /* usbfs_handle_open() has done it */
	if (d->handle.config.flaw)
		log_limited(&d->device.comings, LOG_LEVEL_WARN,
			    "%s: %s; that is skipped", d->device.name,
			    d->handle.config.flaw);
	d->device.info.speed = d->opening.speed;
	usbdesc_fill_info(&d->device.info, &d->desc, &d->handle.config);
	usb_opened(&d->device, 0);
}

static void usbfs_open(struct usb_device *device, enum usb_speed max_speed)
{
	struct usbfs_device *d = device_of(device);
	int ret;

	d->handle.why[0] = '\0';
	d->jobs = 0;
	atomic_store(&d->closing, false);
	if (d->place.speed > max_speed) {
		snprintf(
			d->handle.why, sizeof(d->handle.why),
			"it is a super-speed device, and the guest takes none (it lacks capabilities of usbredir)");
		open_failed(d, -EPROTONOSUPPORT);
		return;
	}
	d->opening = d->place;
	d->options = (struct usbfs_handle_options){
		.force = d->usbfs->force,
		.no_reset = d->selector.no_reset ||
			    usbfs_place_no_reset(&d->place),
	};
	d->job.work = open_work;
	d->job.done = open_done;
	ret = worker_submit(&d->worker, &d->job);
	if (ret < 0) {
		snprintf(d->handle.why, sizeof(d->handle.why),
			 "no thread to open it: %s", strerror(-ret));
		open_failed(d, ret);
	}
}

static void io_stopped(struct usbfs_io *io)
{
	struct usbfs_device *d = container_of(io, struct usbfs_device, io);

	usbfs_handle_close(&d->handle);
	usb_closed(&d->device);
}

static void usbfs_close(struct usb_device *device)
{
	struct usbfs_device *d = device_of(device);

	usbfs_io_hold(&d->io);
	d->jobs++; /* for good: until the next open */
	atomic_store(&d->closing, true);
	d->job.work = release_work;
	d->job.done = release_done;
	submit_job(d, &d->job);
}

/* --- Transfers ---------------------------------------------------------------------------- */

static bool is_set_address(const struct urb *urb)
{
	return urb->type == USB_CONTROL && !urb->setup.request_type &&
	       urb->setup.request == USBDESC_SET_ADDRESS;
}

static int usbfs_submit(struct usb_device *device, struct urb *urb)
{
	/* Addresses are the kernel's here: it would lose this device, or find
	 * it where another one is. */
	if (is_set_address(urb))
		return -EINVAL;
	return usbfs_io_submit(&device_of(device)->io, urb);
}

static void usbfs_cancel(struct usb_device *device, struct urb *urb)
{
	usbfs_io_cancel(&device_of(device)->io, urb);
}

static struct buf *usbfs_alloc(struct usb_device *device, uint32_t len)
{
	return usbfs_io_alloc(&device_of(device)->io, len);
}

/* Buffers that only wait for their next use are not used by any device. */
static void io_starved(struct usbfs_io *io)
{
	struct usbfs_device *d = container_of(io, struct usbfs_device, io);

	list_for_each (it, &d->usbfs->devices) {
		struct usbfs_device *other =
			list_entry(it, struct usbfs_device, node);

		if (other->io.memory)
			usbfs_memory_trim(other->io.memory);
	}
}

/* --- Requests that change it ------------------------------------------------------------------ */

static int perform(struct usbfs_handle *h, struct usb_admin *admin)
{
	int ret;

	switch (admin->type) {
	case USB_SET_CONFIGURATION:
		ret = usbfs_handle_set_config(h, admin->configuration);
		admin->configuration = h->config.value;
		return ret;
	case USB_GET_CONFIGURATION:
		admin->configuration = h->config.value;
		return 0;
	case USB_GET_ALT_SETTING:
		if (admin->interface >= USBDESC_MAX_INTERFACES)
			return -EINVAL;
		admin->alt = h->alts[admin->interface];
		return 0;
	case USB_SET_ALT_SETTING:
		return usbfs_handle_set_alt(h, admin->interface, admin->alt);
	case USB_CLEAR_HALT:
		return usbfs_handle_clear_halt(h, admin->ep);
	case USB_RESET:
		return usbfs_handle_reset(h);
	case USB_ALLOC_STREAMS:
		ret = usbfs_handle_alloc_streams(h, admin->endpoints,
						 admin->streams);
		if (ret > 0)
			admin->streams = (uint32_t)ret;
		return MIN(ret, 0);
	case USB_FREE_STREAMS:
		return usbfs_handle_free_streams(h, admin->endpoints);
	default:
		return -EINVAL;
	}
}

static void admin_work(struct worker_job *job)
{
	struct admin_job *aj = container_of(job, struct admin_job, job);

	aj->config = aj->device->handle.config;
	/* Else a guest that has asked for much keeps the device for long. */
	if (atomic_load(&aj->device->closing)) {
		aj->result = -ESHUTDOWN;
		return;
	}
	/* Of the transfers in flight the guest shall hear that they were
	 * cancelled, not that the device has gone. */
	if (aj->admin->type == USB_RESET ||
	    aj->admin->type == USB_SET_CONFIGURATION)
		usbfs_io_discard(&aj->device->io);
	aj->result = perform(&aj->device->handle, aj->admin);
	aj->config = aj->device->handle.config;
}

static void admin_done(struct worker_job *job)
{
	struct admin_job *aj = container_of(job, struct admin_job, job);
	struct usbfs_device *d = aj->device;
	struct usb_admin *admin = aj->admin;
	int result = aj->result;

	usbdesc_fill_info(&d->device.info, &d->desc, &aj->config);
	free(aj);
	if (!--d->jobs)
		usbfs_io_resume(&d->io);
	usb_admin_complete(admin, result);
}

static void usbfs_admin(struct usb_device *device, struct usb_admin *admin)
{
	struct usbfs_device *d = device_of(device);
	struct admin_job *aj;

	aj = calloc(1, sizeof(*aj));
	if (!aj) {
		usb_admin_complete(admin, -ENOMEM);
		return;
	}
	aj->device = d;
	aj->admin = admin;
	aj->job.work = admin_work;
	aj->job.done = admin_done;
	if (!d->jobs++)
		usbfs_io_hold(&d->io);
	submit_job(d, &aj->job);
}

/* --- Coming and going --------------------------------------------------------------------------- */

static void leave(struct usbfs_device *d, const char *how)
{
	log_debug("%s: gone, %s", d->device.name, how);
	d->placed = false;
	timer_stop(&d->retry);
	usb_set_absent(&d->device, true);
	usb_leave(&d->device);
}

static void io_gone(struct usbfs_io *io)
{
	leave(container_of(io, struct usbfs_device, io), "says usbdevfs");
}

static void place(struct usbfs_device *d, const struct usbfs_place *place)
{
	char text[96];

	d->place = *place;
	d->placed = true;
	timer_stop(&d->retry);
	usbfs_place_name(place, text, sizeof(text));
	snprintf(d->device.name, sizeof(d->device.name), "%s", text);
	/* Offered when it is free: the one before may be closing still. */
	usb_set_absent(&d->device, false);
}

static void try_again(struct timer *timer)
{
	struct usbfs_device *d =
		container_of(timer, struct usbfs_device, retry);

	if (d->placed && d->device.state == USB_DEVICE_FREE)
		usb_set_absent(&d->device, false);
}

static struct usbfs_device *placed_at(struct usbfs *u, const char *syspath)
{
	list_for_each (it, &u->devices) {
		struct usbfs_device *d =
			list_entry(it, struct usbfs_device, node);

		if (d->placed && !strcmp(d->place.syspath, syspath))
			return d;
	}
	return NULL;
}

static bool is_kept(struct usbfs *u, const struct usbfs_place *where)
{
	char name[96];

	if (!u->filter || usbfs_filter_allows(u->filter, where))
		return false;
	usbfs_place_name(where, name, sizeof(name));
	log_limited(&u->comings, LOG_LEVEL_INFO,
		    "%s: stays here, by --usb-filter", name);
	return true;
}

/* It is there: the first place that waits for one like it gets it. */
static void came(const struct usbfs_place *where, void *arg)
{
	struct usbfs *u = arg;
	struct usbfs_device *there = placed_at(u, where->syspath);

	/* Another one in its place, and its going was not heard of. */
	if (there && there->place.dev != where->dev) {
		leave(there, "since another one is in its place");
		there = NULL;
	}
	if (there) { /* it has changed: more may be allowed now */
		there->said[0] = '\0';
		if (there->device.state == USB_DEVICE_FREE)
			place(there, where);
		return;
	}
	list_for_each (it, &u->devices) {
		struct usbfs_device *d =
			list_entry(it, struct usbfs_device, node);

		if (d->placed || !usbfs_selector_matches(&d->selector, where))
			continue;
		if (!is_kept(u, where))
			place(d, where);
		return;
	}
}

static void went(struct usbfs *u, const char *syspath)
{
	struct usbfs_device *d = placed_at(u, syspath);

	if (d)
		leave(d, "says udev");
}

static void look_work(struct worker_job *job)
{
	struct usbfs *u = container_of(job, struct usbfs, look);

	for (u->n_seen = 0; u->n_seen < LOOK_MAX; u->n_seen++) {
		u->seen[u->n_seen].event =
			usbfs_udev_next(u->udev, &u->seen[u->n_seen].place);
		if (u->seen[u->n_seen].event == USBFS_NOTHING)
			break;
	}
}

static void look_done(struct worker_job *job)
{
	struct usbfs *u = container_of(job, struct usbfs, look);

	for (unsigned int i = 0; i < u->n_seen; i++) {
		const struct usbfs_place *where = &u->seen[i].place;

		if (u->seen[i].event == USBFS_CAME)
			came(where, u);
		else if (u->seen[i].event == USBFS_WENT)
			went(u, where->syspath);
	}
	/* There may be more: then this ends at once. */
	op_poll(u->loop, &u->op, u->monitor, POLLIN);
}

static void told(struct op *op, int res)
{
	struct usbfs *u = container_of(op, struct usbfs, op);

	if (res == -ECANCELED)
		return;
	/* Without a thread it is done here, and takes its time. */
	if (worker_submit(&u->worker, &u->look) < 0) {
		look_work(&u->look);
		look_done(&u->look);
	}
}

int usbfs_follow(struct usbfs *u)
{
	u->monitor = usbfs_udev_follow(u->udev);
	if (u->monitor < 0)
		return u->monitor;
	op_poll(u->loop, &u->op, u->monitor, POLLIN);
	usbfs_udev_each(u->udev, came, u);
	list_for_each (it, &u->devices) {
		struct usbfs_device *d =
			list_entry(it, struct usbfs_device, node);

		if (!d->placed)
			log_info("%s: not plugged in; waiting for it",
				 d->device.name);
	}
	return 0;
}

/* --- Life ------------------------------------------------------------------------------------------ */

static void usbfs_device_destroy(struct usb_device *device)
{
	struct usbfs_device *d = device_of(device);

	timer_stop(&d->retry);
	list_remove(&d->node);
	worker_fini(&d->worker);
	free(d);
}

static const struct usb_device_ops usbfs_ops = {
	.name = "usbfs",
	.describe = usbfs_describe,
	.open = usbfs_open,
	.close = usbfs_close,
	.submit = usbfs_submit,
	.cancel = usbfs_cancel,
	.alloc = usbfs_alloc,
	.admin = usbfs_admin,
	.destroy = usbfs_device_destroy,
};

int usbfs_add(struct usbfs *u, const struct usbfs_selector *selector,
	      struct usb_device **device)
{
	struct usbfs_device *d = calloc(1, sizeof(*d));
	char name[96];

	if (!d)
		return -ENOMEM;
	snprintf(name, sizeof(name), "USB device %.80s", selector->text);
	usb_device_init(&d->device, &usbfs_ops, u->loop, name);
	d->device.absent = true;
	d->device.own_speed = true;
	d->usbfs = u;
	d->selector = *selector;
	d->handle.fd = -1;
	d->handle.libusb = u->libusb;
	d->handle.keeper = u->keeper;
	d->handle.id = u->next_id++;
	worker_init(&d->worker, u->loop);
	timer_init(&d->retry, try_again);
	usbfs_io_init(&d->io, u->loop, u->pool);
	d->io.gone = io_gone;
	d->io.stopped = io_stopped;
	d->io.starved = io_starved;
	list_append(&u->devices, &d->node);
	*device = &d->device;
	return 0;
}

int usbfs_create(struct loop *loop, struct bufpool *pool,
		 struct usbfs_keeper *keeper, bool force,
		 const struct filter *filter, struct usbfs **out)
{
	struct usbfs *u = calloc(1, sizeof(*u));
	int ret = -ENOMEM;

	if (!u)
		return ret;
	u->loop = loop;
	u->pool = pool;
	u->keeper = keeper;
	u->force = force;
	u->filter = filter;
	u->monitor = -1;
	list_init(&u->devices);
	op_init(&u->op, told);
	worker_init(&u->worker, loop);
	u->look.work = look_work;
	u->look.done = look_done;
	/* It need not look for devices: they are handed to it. */
	libusb_set_option(NULL, LIBUSB_OPTION_NO_DEVICE_DISCOVERY);
	if (libusb_init(&u->libusb) < 0)
		goto free;
	ret = usbfs_udev_create(&u->udev);
	if (ret < 0)
		goto exit;
	*out = u;
	return 0;
exit:
	libusb_exit(u->libusb);
free:
	worker_fini(&u->worker);
	free(u);
	return ret;
}

void usbfs_destroy(struct usbfs *u)
{
	if (!u)
		return;
	worker_fini(&u->worker);
	usbfs_udev_destroy(u->udev);
	libusb_exit(u->libusb);
	free(u);
}
