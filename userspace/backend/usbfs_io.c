// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_io.h"

#include <assert.h>
#include <errno.h>
#include <linux/usbdevice_fs.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define SETUP_SIZE 8
#define CONTROL_TIMEOUT_MS 5000 /* USB 2.0, section 9.2.6.1 */

/*
 * A bulk transfer goes in pieces, one after another: after a short packet the
 * rest must not be asked for. When the kernel has no memory for a piece, half
 * of it is tried.
 */
#define PIECE_MAX USBFS_MAP_MAX
#define PIECE_MIN 16384u

/*
 * The kernel's memory is for all devices of all programs: reads that never end
 * must not have it all. This is half of what there is by default; small
 * transfers, control among them, are not counted out.
 */
#define IN_KERNEL_MAX (8u << 20)
#define SMALL 4096u

/* When there is no memory and nothing in flight that will give some back. */
#define RETRY_MS 20

struct usbfs_request {
	struct list node; /* on io->flying or io->waiting */
	struct usbfs_io *io;
	struct urb *urb;
	struct buf *buf; /* IN, control: ours; OUT: the URB's; or NULL */
	uint32_t off;	 /* in buf: of the first byte for the kernel */
	uint32_t piece_max;
	uint32_t done; /* bytes of former pieces */
	int forced;    /* the status, whatever the kernel says; 0: as it says */
	bool flying;   /* on io->flying, else waiting */
	bool more;     /* flying, and this is not the last piece */
	bool cancelled;
	bool discard_due; /* as soon as the device is not held any more */
	struct timer timeout;
	struct usbdevfs_urb kernel; /* last: it has an array at its end */
};

static struct usbfs_request *request_of(struct list *node)
{
	return list_entry(node, struct usbfs_request, node);
}

static int status_of(int kernel)
{
	switch (kernel) {
	case 0:
	case -EREMOTEIO: /* fewer bytes than asked for */
		return 0;
	case -EPIPE:
	case -EOVERFLOW:
	case -ETIMEDOUT:
		return kernel;
	case -ENOENT:
	case -ECONNRESET:
		return -ECANCELED;
	case -ESHUTDOWN:
	case -ENODEV:
		return -ESHUTDOWN;
	default:
		return -EIO;
	}
}

/* --- Preparing ------------------------------------------------------------------- */

static bool is_in(const struct urb *urb)
{
	return urb->type == USB_CONTROL ? urb->setup.request_type & USB_DIR_IN
					: urb->ep & USB_DIR_IN;
}

static int prepare_control(struct usbfs_request *r)
{
	const struct usb_setup *setup = &r->urb->setup;
	const uint8_t head[SETUP_SIZE] = {
		setup->request_type,   setup->request,
		(uint8_t)setup->value, (uint8_t)(setup->value >> 8),
		(uint8_t)setup->index, (uint8_t)(setup->index >> 8),
		(uint8_t)r->urb->len,  (uint8_t)(r->urb->len >> 8),
	};

	r->buf = bufpool_get(r->io->pool, SETUP_SIZE + r->urb->len);
	if (!r->buf)
		return -ENOMEM;
	memcpy(r->buf->data, head, sizeof(head));
	if (!is_in(r->urb) && r->urb->len)
		memcpy(r->buf->data + SETUP_SIZE,
		       r->urb->buf->data + r->urb->off, r->urb->len);
	r->kernel.type = USBDEVFS_URB_TYPE_CONTROL;
	r->kernel.endpoint = r->urb->ep & 0x0f;
	return 0;
}

static int prepare_iso(struct usbfs_request *r)
{
	const struct urb *urb = r->urb;

	r->kernel.type = USBDEVFS_URB_TYPE_ISO;
	r->kernel.flags = USBDEVFS_URB_ISO_ASAP;
	r->kernel.number_of_packets = urb->n_packets;
	for (unsigned int i = 0; i < urb->n_packets; i++)
		r->kernel.iso_frame_desc[i].length = urb->packets[i].len;
	return 0;
}

/* Where the data of this URB is or will be. */
static int prepare_data(struct usbfs_request *r)
{
	struct urb *urb = r->urb;

	if (!is_in(urb)) {
		r->buf = urb->buf;
		r->off = urb->off;
		return 0;
	}
	if (!urb->len)
		return 0;
	if (urb->type == USB_BULK)
		r->buf = usbfs_memory_get(r->io->memory, urb->len);
	if (!r->buf)
		r->buf = bufpool_get(r->io->pool, urb->len);
	return r->buf ? 0 : -ENOMEM;
}

static int prepare(struct usbfs_request *r)
{
	struct urb *urb = r->urb;
	int ret;

	if (urb->type == USB_CONTROL)
		return prepare_control(r);
	ret = prepare_data(r);
	if (ret < 0)
		return ret;
	r->kernel.endpoint = urb->ep;
	if (urb->type == USB_ISO)
		return prepare_iso(r);
	if (urb->type == USB_INTERRUPT) {
		r->kernel.type = USBDEVFS_URB_TYPE_INTERRUPT;
		return 0;
	}
	r->kernel.type = USBDEVFS_URB_TYPE_BULK;
	r->kernel.stream_id = urb->stream;
	if (urb->zero_packet && !is_in(urb))
		r->kernel.flags = USBDEVFS_URB_ZERO_PACKET;
	return 0;
}

/* --- Its end ----------------------------------------------------------------------- */

static void take_packets(struct usbfs_request *r)
{
	for (unsigned int i = 0; i < r->urb->n_packets; i++) {
		const struct usbdevfs_iso_packet_desc *desc =
			&r->kernel.iso_frame_desc[i];

		r->urb->packets[i].actual =
			MIN(desc->actual_length, r->urb->packets[i].len);
		r->urb->packets[i].status = status_of((int)desc->status);
	}
}

static uint32_t counted(const struct usbdevfs_urb *k)
{
	uint32_t len = (uint32_t)k->buffer_length;

	return len > SMALL ? len : 0;
}

static bool has_enough(const struct usbfs_io *io, const struct usbdevfs_urb *k)
{
	return counted(k) && io->in_kernel &&
	       io->in_kernel + counted(k) > IN_KERNEL_MAX;
}

/* The kernel has it no more. */
static void land(struct usbfs_request *r)
{
	list_remove(&r->node);
	r->io->unfinished -= r->more;
	if (r->flying)
		r->io->in_kernel -= counted(&r->kernel);
	r->flying = r->more = false;
}

/* Gives the URB its outcome and forgets the request. */
static struct urb *conclude(struct usbfs_request *r, int status)
{
	struct urb *urb = r->urb;
	bool in = is_in(urb);

	timer_stop(&r->timeout);
	land(r);
	urb->status = r->forced ? r->forced : status;
	urb->actual = r->done;
	urb->backend = NULL;
	if (urb->type == USB_ISO)
		take_packets(r);
	if (in && r->done) {
		urb->buf = r->buf;
		urb->off = urb->type == USB_CONTROL ? SETUP_SIZE : 0;
	} else if (in || urb->type == USB_CONTROL) {
		buf_put(r->buf);
	}
	free(r);
	return urb;
}

static void finish(struct usbfs_request *r, int status)
{
	usb_complete(conclude(r, status));
}

static void finish_later(struct usbfs_request *r, int status)
{
	usb_complete_later(conclude(r, status));
}

/* --- To the kernel ------------------------------------------------------------------- */

/* 0: it is flying; -ENOMEM: later, perhaps; or what is wrong. */
static int submit_piece(struct usbfs_request *r)
{
	struct usbdevfs_urb *k = &r->kernel;
	uint32_t left = r->urb->len - r->done;

	if (r->urb->type == USB_CONTROL)
		left += SETUP_SIZE;
	for (;;) {
		k->buffer_length = (int)MIN(left, r->piece_max);
		k->buffer = r->buf ? r->buf->data + r->off + r->done : NULL;
		k->usercontext = r;
		if (has_enough(r->io, k))
			return -ENOMEM;
		if (!ioctl(r->io->fd, USBDEVFS_SUBMITURB, k)) {
			r->io->in_kernel += counted(k);
			list_remove(&r->node);
			list_append(&r->io->flying, &r->node);
			r->flying = true;
			r->more = (uint32_t)k->buffer_length < left;
			r->io->unfinished += r->more;
			if (r->urb->type == USB_CONTROL)
				timer_start(r->io->loop, &r->timeout,
					    CONTROL_TIMEOUT_MS);
			return 0;
		}
		if (errno != ENOMEM)
			return errno == ENODEV	 ? -ESHUTDOWN
			       : errno == ENOENT ? -EINVAL
						 : -errno;
		if (r->urb->type != USB_BULK ||
		    MIN(left, r->piece_max) <= PIECE_MIN)
			return -ENOMEM;
		r->piece_max = MIN(r->piece_max, left) / 2;
		r->piece_max -= r->piece_max % PIECE_MIN;
		r->piece_max = MAX(r->piece_max, PIECE_MIN);
	}
}

static void wait_for_memory(struct usbfs_io *io)
{
	/* Not only when nothing is in flight: that may be for ever. */
	if (!timer_running(&io->retry))
		timer_start(io->loop, &io->retry, RETRY_MS);
}

static bool same_pipe(const struct urb *a, const struct urb *b)
{
	return a->ep == b->ep && a->stream == b->stream;
}

/* Would it come between two pieces of another URB? */
static bool cuts_in(const struct usbfs_io *io, const struct urb *urb)
{
	if (!io->unfinished)
		return false;
	list_for_each (it, &io->flying)
		if (request_of(it)->more && same_pipe(request_of(it)->urb, urb))
			return true;
	return false;
}

/* What waits, in order; what finds no memory holds up its own endpoint only. */
static void submit_waiting(struct usbfs_io *io)
{
	uint32_t blocked = 0;

	list_for_each_safe (it, &io->waiting) {
		struct usbfs_request *r = request_of(it);
		uint32_t bit = 1u << usb_slot(r->urb->ep);
		int ret;

		if ((blocked & bit) || cuts_in(io, r->urb))
			continue;
		ret = submit_piece(r);
		if (ret == -ENOMEM)
			blocked |= bit;
		else if (ret < 0)
			finish_later(r, ret);
	}
	if (blocked)
		wait_for_memory(io);
}

static void retry(struct timer *timer)
{
	struct usbfs_io *io = container_of(timer, struct usbfs_io, retry);

	io->starved(io);
	submit_waiting(io);
}

static void discard(struct usbfs_request *r)
{
	if (r->io->held) {
		r->discard_due = true;
		return;
	}
	r->discard_due = false;
	/* Fails when it has ended by itself: that is collected anyway. */
	ioctl(r->io->fd, USBDEVFS_DISCARDURB, &r->kernel);
}

static void timed_out(struct timer *timer)
{
	struct usbfs_request *r =
		container_of(timer, struct usbfs_request, timeout);

	if (r->flying) {
		r->forced = -ETIMEDOUT;
		discard(r);
	} else if (r->io->held) {
		/* Its time has not begun. */
		timer_start(r->io->loop, timer, CONTROL_TIMEOUT_MS);
	} else {
		finish(r, -ETIMEDOUT);
	}
}

static bool must_wait(const struct usbfs_io *io, const struct urb *urb)
{
	if (io->held)
		return true;
	list_for_each (it, &io->waiting)
		if (same_pipe(request_of(it)->urb, urb))
			return true;
	return cuts_in(io, urb);
}

int usbfs_io_submit(struct usbfs_io *io, struct urb *urb)
{
	size_t packets = urb->type == USB_ISO ? urb->n_packets : 0;
	struct usbfs_request *r = calloc(
		1,
		sizeof(*r) + packets * sizeof(struct usbdevfs_iso_packet_desc));
	int ret;

	if (!r)
		return -ENOMEM;
	r->io = io;
	r->urb = urb;
	r->piece_max = urb->type == USB_BULK ? PIECE_MAX : UINT32_MAX;
	list_init(&r->node);
	timer_init(&r->timeout, timed_out);
	ret = prepare(r);
	if (ret < 0)
		goto refuse;
	if (must_wait(io, urb)) {
		list_append(&io->waiting, &r->node);
	} else {
		ret = submit_piece(r);
		if (ret == -ENOMEM) {
			list_append(&io->waiting, &r->node);
			io->starved(io);
			wait_for_memory(io);
		} else if (ret < 0) {
			goto refuse;
		}
	}
	urb->backend = r;
	if (urb->type == USB_CONTROL && !r->flying)
		timer_start(io->loop, &r->timeout, CONTROL_TIMEOUT_MS);
	return 0;
refuse:
	if (is_in(urb) || urb->type == USB_CONTROL)
		buf_put(r->buf);
	free(r);
	return ret;
}

void usbfs_io_cancel(struct usbfs_io *io, struct urb *urb)
{
	struct usbfs_request *r = urb->backend;

	(void)io;

	if (!r)
		return; /* it is about to complete */
	if (!r->flying) {
		finish_later(r, -ECANCELED);
		return;
	}
	r->cancelled = true;
	discard(r);
}

struct buf *usbfs_io_alloc(struct usbfs_io *io, uint32_t len)
{
	return usbfs_memory_get(io->memory, len);
}

/* --- And back --------------------------------------------------------------------------- */

/* A piece has ended. */
static void ended(struct usbfs_request *r)
{
	const struct usbdevfs_urb *k = &r->kernel;
	int status = status_of(k->status);
	uint32_t actual = (uint32_t)k->actual_length;
	bool all = actual == (uint32_t)k->buffer_length;

	land(r);
	if (r->urb->type == USB_ISO) {
		/* Each packet has an outcome of its own. */
		r->done = r->urb->len;
		finish(r, status);
		return;
	}
	if (r->urb->type == USB_CONTROL)
		all = true; /* SETUP is not counted */
	r->done += actual;
	if (status || !all || r->done == r->urb->len ||
	    r->urb->type != USB_BULK) {
		finish(r, status);
		return;
	}
	status = r->cancelled ? -ECANCELED : submit_piece(r);
	if (status == -ENOMEM) /* before those behind it */
		list_append(r->io->waiting.next, &r->node);
	else if (status < 0)
		finish(r, status);
}

/*
 * Collects what has ended. What that sets off may hold or stop all this, so
 * each one is looked for anew.
 */
static void reap(struct usbfs_io *io)
{
	struct usbdevfs_urb *k;

	while (!list_empty(&io->flying) && !io->held) {
		if (ioctl(io->fd, USBDEVFS_REAPURBNDELAY, &k) < 0)
			break;
		ended(k->usercontext);
	}
	if (!io->held && !list_empty(&io->waiting))
		submit_waiting(io);
}

static void watch(struct usbfs_io *io)
{
	op_poll(io->loop, &io->poll, io->fd, POLLOUT);
}

static void polled(struct op *op, int res)
{
	struct usbfs_io *io = container_of(op, struct usbfs_io, poll);

	if (io->stopping) {
		io->stopped(io);
		return;
	}
	if (io->held) {
		io->ended = true;
		return;
	}
	reap(io);
	if (io->stopping)
		return;
	if (res < 0 || (res & (POLLERR | POLLHUP)))
		io->gone(io);
	else if (!op_busy(&io->poll) && !io->held)
		watch(io);
	else if (io->held)
		io->ended = true;
}

void usbfs_io_hold(struct usbfs_io *io)
{
	io->held = true;
	timer_stop(&io->retry);
}

void usbfs_io_resume(struct usbfs_io *io)
{
	io->held = false;
	list_for_each_safe (it, &io->flying)
		if (request_of(it)->discard_due)
			discard(request_of(it));
	/* It submits what waits; unless what ended has it held again. */
	reap(io);
	if (io->ended && !io->held) {
		io->ended = false;
		watch(io);
	}
}

void usbfs_io_discard(struct usbfs_io *io)
{
	list_for_each (it, &io->flying)
		ioctl(io->fd, USBDEVFS_DISCARDURB, &request_of(it)->kernel);
}

void usbfs_io_stop(struct usbfs_io *io)
{
	struct usbdevfs_urb *k;

	io->stopping = true;
	while (!list_empty(&io->flying) &&
	       !ioctl(io->fd, USBDEVFS_REAPURBNDELAY, &k)) {
		struct usbfs_request *r = k->usercontext;

		int status = status_of(k->status);

		r->done += (uint32_t)k->actual_length;
		if (!status && r->more && r->done < r->urb->len)
			status = -ESHUTDOWN;
		finish(r, status);
	}
	/* What a device that has gone does not give back is lost to it. */
	while (!list_empty(&io->flying))
		finish(request_of(io->flying.next), -ESHUTDOWN);
	while (!list_empty(&io->waiting))
		finish(request_of(io->waiting.next), -ESHUTDOWN);
	timer_stop(&io->retry);
	usbfs_memory_close(io->memory);
	io->memory = NULL;
	if (op_busy(&io->poll))
		op_cancel(io->loop, &io->poll);
	else
		io->stopped(io);
}

void usbfs_io_init(struct usbfs_io *io, struct loop *loop, struct bufpool *pool)
{
	*io = (struct usbfs_io){ .loop = loop, .pool = pool, .fd = -1 };
	list_init(&io->flying);
	list_init(&io->waiting);
	timer_init(&io->retry, retry);
	op_init(&io->poll, polled);
}

int usbfs_io_start(struct usbfs_io *io, int fd)
{
	io->memory = usbfs_memory_create(fd);
	if (!io->memory)
		return -ENOMEM;
	io->fd = fd;
	io->held = io->ended = io->stopping = false;
	watch(io);
	return 0;
}
