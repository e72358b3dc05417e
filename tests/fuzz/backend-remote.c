// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile host of a remote device: a usbip server or a usbredir host says any
 * bytes, while a guest here does what guests do.
 *
 *	byte 0	bit 0: usbip, else usbredir; bit 1: it begins as it should;
 *		bits 2 to 6: bytes that come at once, 0: all
 *	rest	steps, see step()
 *
 * Asserted: each URB and each admin request that was taken ends exactly once,
 * memory is bounded, closing always ends.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../lib/fake-transport.h"
#include "../lib/remote-host.h"
#include "backend/remote.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_LENT (16u << 20)
#define MAX_URBS 64

struct fuzz_urb {
	struct urb urb;
	struct usb_iso_packet packets[4];
	bool taken;
};

struct fuzz {
	struct loop *loop;
	struct bufpool pool;
	struct usb_device *device;
	struct usb_listener listener;
	struct fake_transport wire;
	bool stopped;
	size_t chunk;
	unsigned int taken, admins;
	struct fuzz_urb urbs[MAX_URBS];
	struct span in; /* what is left of the input */
};

/* Stops where a fuzzer sees it, with assertions compiled in or not. */
#define require(holds)                                                         \
	do {                                                                   \
		if (!(holds)) {                                                \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__,       \
				__LINE__, #holds);                             \
			abort();                                               \
		}                                                              \
	} while (0)

/* --- The guest ----------------------------------------------------------------- */

static struct fuzz *fuzz_of(struct usb_listener *listener)
{
	return container_of(listener, struct fuzz, listener);
}

static void opened(struct usb_listener *listener, int status)
{
	(void)listener;
	(void)status;
}

static void leaving(struct usb_listener *listener)
{
	usb_close(fuzz_of(listener)->device);
}

static void gone(struct usb_listener *listener)
{
	require(!fuzz_of(listener)->taken && !fuzz_of(listener)->admins);
}

static const struct usb_listener_ops listener_ops = {
	.opened = opened,
	.leaving = leaving,
	.gone = gone,
};

static void open_device(struct fuzz *f)
{
	if (f->device->state == USB_DEVICE_FREE && !f->device->absent)
		usb_open(f->device, &f->listener, USB_SPEED_SUPER);
}

static struct fuzz *current;

static void urb_complete(struct urb *urb)
{
	struct fuzz_urb *fu = container_of(urb, struct fuzz_urb, urb);

	require(fu->taken);
	require(urb->actual <= urb->len);
	if ((urb->ep & USB_DIR_IN) && urb->actual && urb->type != USB_ISO)
		require(urb->buf && urb->off + urb->actual <= urb->buf->size);
	if ((urb->ep & USB_DIR_IN) && urb->buf) /* ASan looks at it */
		for (uint32_t i = 0; i < urb->actual; i++)
			current->chunk ^= urb->buf->data[urb->off + i] & 0;
	fu->taken = false;
	current->taken--;
	buf_put(urb->buf);
	urb->buf = NULL;
}

static void submit(struct fuzz *f)
{
	static const struct {
		uint8_t ep, type;
	} eps[] = {
		{ 0x80, USB_CONTROL },		{ 0x00, USB_CONTROL },
		{ HOST_IN, USB_BULK },		{ HOST_OUT, USB_BULK },
		{ HOST_INT_IN, USB_INTERRUPT }, { HOST_INT_OUT, USB_INTERRUPT },
		{ HOST_ISO_IN, USB_ISO },	{ HOST_ISO_OUT, USB_ISO }
	};
	unsigned int which = span_u8(&f->in), n = 0;
	uint32_t len = span_u8(&f->in);
	struct fuzz_urb *fu = NULL;

	for (unsigned int i = 0; i < MAX_URBS && !fu; i++)
		if (!f->urbs[i].taken)
			fu = &f->urbs[i];
	if (!fu)
		return;
	*fu = (struct fuzz_urb){ .taken = true };
	fu->urb.ep = eps[which & 7].ep;
	fu->urb.type = eps[which & 7].type;
	fu->urb.len = len;
	fu->urb.zero_packet = which & 8;
	fu->urb.complete = urb_complete;
	if (fu->urb.type == USB_CONTROL)
		fu->urb.setup = (struct usb_setup){ fu->urb.ep, 6, 0x100, 0,
						    (uint16_t)len };
	if (fu->urb.type == USB_ISO) {
		n = 1 + (which >> 4 & 3);
		fu->urb.packets = fu->packets;
		fu->urb.n_packets = (uint16_t)n;
		for (unsigned int i = 0; i < n; i++)
			fu->packets[i].len = len / n;
		fu->urb.len = len / n * n;
	}
	if (!(fu->urb.ep & USB_DIR_IN) && len) {
		fu->urb.buf = bufpool_get(&f->pool, len);
		memset(fu->urb.buf->data, 0x5a, len);
	}
	f->taken++;
	if (usb_submit(f->device, &fu->urb) < 0) {
		buf_put(fu->urb.buf);
		fu->taken = false;
		f->taken--;
	}
}

static void cancel(struct fuzz *f)
{
	struct fuzz_urb *fu = &f->urbs[span_u8(&f->in) % MAX_URBS];

	if (fu->taken)
		usb_cancel(&fu->urb);
}

static void admin_complete(struct usb_admin *admin)
{
	current->admins--;
	free(admin);
}

static void admin(struct fuzz *f)
{
	struct usb_admin *a = calloc(1, sizeof(*a));

	require(a);
	a->type = span_u8(&f->in) % 8;
	a->configuration = a->interface = a->alt = span_u8(&f->in);
	a->ep = HOST_IN;
	a->endpoints = 1 << 2;
	a->streams = 4;
	a->complete = admin_complete;
	f->admins++;
	usb_admin(f->device, a);
}

/* --- The host -------------------------------------------------------------------- */

static void turn(struct fuzz *f)
{
	loop_hurry(f->loop);
	require(!loop_turn(f->loop));
	while (f->wire.sending)
		fake_transport_sent(&f->wire, SIZE_MAX);
	f->wire.out_len = 0;
}

static void feed(struct fuzz *f, const uint8_t *data, size_t len)
{
	while (len) {
		size_t n = f->chunk ? MIN(len, f->chunk) : len;

		if (!f->wire.recv_buf)
			return;
		if (!fake_transport_arrive(&f->wire, data, n))
			return;
		data += n;
		len -= n;
		require(f->pool.lent <= MAX_LENT);
	}
}

/* An answer that fits, as far as its head goes. */
static void answer(struct fuzz *f, bool usbip)
{
	uint8_t bytes[1024], data[256] = { 0 };
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	uint8_t id = span_u8(&f->in), len = span_u8(&f->in),
		what = span_u8(&f->in);

	if (usbip) {
		host_put_ret(&w, id, what & 1 ? -32 : 0, data,
			     what & 2 ? 0 : len);
	} else {
		struct usbredir_msg msg = { .id = id, .data_len = len };
		static const uint8_t types[] = {
			USBREDIR_CONTROL_PACKET,
			USBREDIR_BULK_PACKET,
			USBREDIR_INTERRUPT_PACKET,
			USBREDIR_ISO_PACKET,
		};
		static const uint8_t eps[] = { 0x80, HOST_IN, HOST_INT_IN,
					       HOST_ISO_IN };

		msg.type = types[what & 3];
		if (msg.type == USBREDIR_CONTROL_PACKET) {
			msg.control.endpoint = 0x80;
			msg.control.length = len;
			msg.control.status = what >> 5;
		} else {
			msg.transfer.endpoint = eps[what & 3];
			msg.transfer.length = len;
			msg.transfer.status = what >> 5;
		}
		host_put_redir(&w, &msg, USBREDIR_CAPS_ALL & ~0x80u, data);
	}
	feed(f, bytes, w.len);
}

/* A stream that was asked for begins. */
static void stream_status(struct fuzz *f)
{
	uint8_t bytes[64];
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	uint8_t id = span_u8(&f->in), what = span_u8(&f->in);
	struct usbredir_msg msg = { .id = id };

	if (what & 1) {
		msg.type = USBREDIR_ISO_STREAM_STATUS;
		msg.iso_stream.endpoint = what & 2 ? HOST_ISO_IN : HOST_ISO_OUT;
		msg.iso_stream.status = what >> 5;
	} else {
		msg.type = USBREDIR_INTERRUPT_RECEIVING_STATUS;
		msg.interrupt_receiving.endpoint = HOST_INT_IN;
		msg.interrupt_receiving.status = what >> 5;
	}
	host_put_redir(&w, &msg, USBREDIR_CAPS_ALL & ~0x80u, NULL);
	feed(f, bytes, w.len);
}

static void step(struct fuzz *f, bool usbip)
{
	size_t n;

	switch (span_u8(&f->in) % 10) {
	case 0:
		n = span_u8(&f->in);
		n = MIN(n, f->in.len);
		feed(f, span_take(&f->in, n), n);
		break;
	case 1:
		submit(f);
		break;
	case 2:
		cancel(f);
		break;
	case 3:
		admin(f);
		break;
	case 4:
		turn(f);
		break;
	case 5:
		answer(f, usbip);
		break;
	case 6:
		usb_close(f->device);
		break;
	case 7:
		open_device(f);
		break;
	case 8:
		stream_status(f);
		break;
	case 9:
		if (f->wire.recv_buf)
			fake_transport_end(&f->wire, 0);
		break;
	}
}

static void stopped(void *arg)
{
	((struct fuzz *)arg)->stopped = true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz f;
	struct remote_spec spec = { .busid = "" };
	uint8_t bytes[4096], flags;
	struct span_writer w = span_writer_of(bytes, sizeof(bytes));
	bool usbip;

	f = (struct fuzz){ .in = span_of(data, size) };
	current = &f;
	flags = span_u8(&f.in);
	usbip = flags & 1;
	f.chunk = flags >> 2 & 31;
	if (usbip)
		strcpy(spec.busid, "1-1");
	require(!loop_create(&f.loop));
	bufpool_init(&f.pool);
	f.listener.ops = &listener_ops;
	require(!remote_create(f.loop, &f.pool, NULL, &spec, NULL, &f.device));
	fake_transport_init(&f.wire, f.loop);
	remote_adopt(f.device, &f.wire.transport);
	turn(&f);
	if (flags & 2) {
		if (usbip)
			host_put_usbip(&w);
		else
			host_put_usbredir(&w, USBREDIR_CAPS_ALL,
					  USBREDIR_CAPS_ALL & ~0x80u);
		feed(&f, bytes, w.len);
		turn(&f);
		require(!f.device->absent);
		open_device(&f);
	}
	while (f.in.len && !f.wire.closing)
		step(&f, usbip);
	usb_close(f.device);
	require(f.device->state == USB_DEVICE_FREE);
	require(!f.taken && !f.admins);
	remote_stop(f.device, stopped, &f);
	for (int i = 0; i < 100 && !f.wire.closing && !f.stopped; i++)
		turn(&f); /* what was said last leaves in several */
	if (f.wire.closing)
		fake_transport_closed(&f.wire);
	turn(&f);
	require(f.stopped);
	fake_transport_fini(&f.wire);
	usb_device_destroy(f.device);
	loop_destroy(f.loop);
	bufpool_fini(&f.pool); /* asserts: all buffers came back */
	return 0;
}
