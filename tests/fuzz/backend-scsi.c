// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile guest at the disk: commands, data, resets, cancels and closes in
 * any order, over an image that fails or hangs when the input says so.
 *
 * Asserted: every URB completes exactly once, closing always ends, no memory
 * is left behind.
 */
#include <assert.h>
#include <stdlib.h>

#include "image/mem.h"
#include "backend/bot.h"
#include "backend/disk.h"

#define SMALL ((300u << 10) + 100)
#define LARGE (5u << 20) /* several steps, several windows */
#define MAX_URB (2u << 20)
#define PATIENCE 1000 /* turns */

struct fuzz {
	struct loop *loop;
	struct bufpool pool;
	struct mem_image *mem;
	struct usb_device *device;
	struct usb_listener listener;
	bool open;
	unsigned int urbs, admins; /* in flight */
	struct span in;		   /* what is left of the input */
};

/* --- Requests -------------------------------------------------------------- */

static struct fuzz *fuzz; /* the one that runs; completions need it */

static void completed(struct urb *urb)
{
	assert(fuzz->urbs);
	assert(urb->actual <= urb->len);
	fuzz->urbs--;
	buf_put(urb->buf);
	free(urb);
}

static void submit(struct fuzz *f, struct urb *urb)
{
	urb->complete = completed;
	f->urbs++;
	if (usb_submit(f->device, urb) < 0) {
		f->urbs--;
		buf_put(urb->buf);
		free(urb);
	}
}

static struct urb *new_urb(uint8_t type, uint8_t ep, uint32_t len)
{
	struct urb *urb = calloc(1, sizeof(*urb));

	assert(urb);
	urb->type = type;
	urb->ep = ep;
	urb->len = len;
	return urb;
}

/* n bytes of the input, or as many as there are, then zeros. */
static void submit_out(struct fuzz *f, uint32_t len, const void *head,
		       uint32_t head_len)
{
	struct urb *urb = new_urb(USB_BULK, BOT_EP_OUT, len);
	size_t n = MIN(len - head_len, f->in.len);

	urb->buf = bufpool_get(&f->pool, MAX(len, 1));
	assert(urb->buf);
	memset(urb->buf->data, 0, len);
	if (head_len)
		memcpy(urb->buf->data, head, head_len);
	if (n)
		memcpy(urb->buf->data + head_len, span_take(&f->in, n), n);
	submit(f, urb);
}

static void submit_cbw(struct fuzz *f)
{
	uint8_t cbw[BOT_CBW_SIZE] = { 'U', 'S', 'B', 'C', 1, 2, 3, 4 };
	struct span_writer w = span_writer_of(cbw + 8, sizeof(cbw) - 8);
	uint8_t flags = span_u8(&f->in);

	/* Mostly what a host would announce: whole blocks. */
	span_put_le(&w, span_le(&f->in, 2) << (flags & 0x10 ? 9 : 0), 4);
	span_put_le(&w, flags & 0x80, 1);
	span_put_le(&w, flags & 0x01, 1); /* LUN 0 or 1 */
	span_put_le(&w, SCSI_CDB_SIZE, 1);
	submit_out(f, sizeof(cbw), cbw, 15);
}

static void submit_setup(struct fuzz *f)
{
	struct usb_setup setup;
	struct urb *urb;

	setup.request_type = span_u8(&f->in);
	setup.request = span_u8(&f->in);
	setup.value = (uint16_t)span_le(&f->in, 2);
	setup.index = (uint16_t)span_le(&f->in, 2);
	setup.length = (uint16_t)span_le(&f->in, 2);
	urb = new_urb(USB_CONTROL, setup.request_type & USB_DIR_IN,
		      setup.length);
	urb->setup = setup;
	if (!(setup.request_type & USB_DIR_IN))
		urb->buf = bufpool_get(&f->pool, MAX(setup.length, 1));
	submit(f, urb);
}

static void admin_completed(struct usb_admin *admin)
{
	fuzz->admins--;
	free(admin);
}

static void start_admin(struct fuzz *f)
{
	struct usb_admin *admin = calloc(1, sizeof(*admin));

	assert(admin);
	admin->type = span_u8(&f->in) % (USB_FREE_STREAMS + 1);
	admin->configuration = span_u8(&f->in);
	admin->ep = admin->configuration;
	admin->complete = admin_completed;
	f->admins++;
	usb_admin(f->device, admin);
}

static void cancel(struct fuzz *f, unsigned int n)
{
	list_for_each (it, &f->device->inflight)
		if (!n--) {
			usb_cancel(list_entry(it, struct urb, node));
			return;
		}
}

/* --- The life of the device ---------------------------------------------------- */

static void opened(struct usb_listener *listener, int status)
{
	(void)listener;
	assert(!status);
	fuzz->open = true;
}

static void leaving(struct usb_listener *listener)
{
	(void)listener;
}

static void gone(struct usb_listener *listener)
{
	(void)listener;
	assert(!fuzz->urbs && !fuzz->admins);
	fuzz->open = false;
}

static void turn(struct fuzz *f)
{
	loop_hurry(f->loop); /* never sleep: nothing comes from outside */
	if (loop_turn(f->loop) < 0)
		abort();
}

static void fail_nothing(struct fuzz *f)
{
	memset(f->mem->error, 0, sizeof(f->mem->error));
	mem_image_release(f->mem);
}

static void close_device(struct fuzz *f)
{
	fail_nothing(f);
	usb_close(f->device);
	for (int i = 0; f->open && i < PATIENCE; i++)
		turn(f);
	assert(!f->open);
}

static void open_device(struct fuzz *f, bool super)
{
	usb_open(f->device, &f->listener,
		 super ? USB_SPEED_SUPER : USB_SPEED_HIGH);
	assert(f->open);
}

/* --- The input --------------------------------------------------------------------- */

static void set_error(struct fuzz *f)
{
	static const int errors[] = { 0,	-EIO,	-ENOSPC,
				      -ENODATA, -EROFS, -EOPNOTSUPP };
	uint8_t type = span_u8(&f->in) % IMAGE_TYPES;

	f->mem->error[type] = errors[span_u8(&f->in) % ARRAY_SIZE(errors)];
}

static void step(struct fuzz *f)
{
	uint8_t op = span_u8(&f->in);
	uint32_t len;

	switch (op % 10) {
	case 0:
	case 1:
		submit_cbw(f);
		break;
	case 2:
		len = (uint32_t)span_le(&f->in, 2) << (op & 0x80 ? 5 : 0);
		submit_out(f, MIN(len, MAX_URB), NULL, 0);
		break;
	case 3:
		len = (uint32_t)span_le(&f->in, 2) << (op & 0x80 ? 5 : 0);
		submit(f, new_urb(USB_BULK, BOT_EP_IN, MIN(len, MAX_URB)));
		break;
	case 4:
		cancel(f, span_u8(&f->in));
		break;
	case 5:
		submit_setup(f);
		break;
	case 6:
		start_admin(f);
		break;
	case 7:
		set_error(f);
		break;
	case 8:
		f->mem->hold = !f->mem->hold;
		if (!f->mem->hold)
			mem_image_release(f->mem);
		break;
	case 9:
		close_device(f);
		open_device(f, op & 0x80);
		break;
	}
	if (!(op & 0x40))
		turn(f);
}

static void make_device(struct fuzz *f)
{
	uint8_t flags = span_u8(&f->in);
	struct disk_lun luns[2] = { { .name = "fuzz" }, { .name = "other" } };
	struct disk_options disk = {
		.block_size = flags & 1 ? 4096 : 512,
		.write_through = flags & 2,
		.fixed = flags & 4,
	};
	struct disk_options cdrom = { .block_size = 2048, .cdrom = true };
	unsigned int n = flags & 64 ? 2 : 1;
	uint32_t size = flags & 8 ? LARGE : SMALL;

	f->mem = mem_image_new(f->loop, size, size);
	f->mem->image.read_only = flags & 16;
	luns[0].image = &f->mem->image;
	luns[0].options = flags & 32 ? cdrom : disk;
	if (n == 2) { /* the other kind, without failures */
		luns[1].image = &mem_image_new(f->loop, SMALL, SMALL)->image;
		luns[1].options = flags & 32 ? disk : cdrom;
	}
	if (disk_create(f->loop, &f->pool, luns, n, &f->device) < 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct usb_listener_ops ops = { opened, leaving, gone };
	static struct loop *loop; /* one serves all inputs */
	struct fuzz f = { .in = span_of(data, size) };

	log_level = LOG_LEVEL_ERR;
	if (!loop && loop_create(&loop) < 0)
		abort();
	fuzz = &f;
	f.loop = loop;
	f.listener.ops = &ops;
	bufpool_init(&f.pool);
	make_device(&f);
	open_device(&f, true);
	while (f.in.len)
		step(&f);
	close_device(&f);
	usb_device_destroy(f.device);
	bufpool_fini(&f.pool); /* asserts: all buffers came back */
	return 0;
}
