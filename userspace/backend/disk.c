// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The USB device around the disk: descriptors, control requests, opening and
 * closing. Commands and data are in bot.c and scsi.c.
 */
#include "backend/disk.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/bot.h"
#include "wire/usbdesc.h"

/*
 * The product id of the pid.codes vendor id that is free for private tests:
 * drivers bind by class, nothing depends on it.
 */
#define VENDOR_ID 0x1209
#define PRODUCT_ID 0x0001
#define DEVICE_BCD 0x0100

enum { STRING_LANGUAGES, STRING_VENDOR, STRING_PRODUCT, STRING_SERIAL };

struct disk {
	struct usb_device device;
	struct bufpool *pool;	/* borrows */
	struct scsi_disk *luns; /* owned, as are their images */
	unsigned int n_luns;
	struct bot bot;
	enum usb_speed max_speed;
	/* These wait for bot to be idle, as do USB resets: device.admins. */
	struct list class_resets; /* struct urb, by backend_node */
	bool closing;		  /* flushes then, one image after another */
	struct image_request flush;
	unsigned int flushing; /* index in luns */
};

static struct disk *disk_of(struct usb_device *device)
{
	return container_of(device, struct disk, device);
}

static bool super(const struct disk *disk)
{
	return disk->device.info.speed == USB_SPEED_SUPER;
}

/* --- Descriptors (USB 3.2 chapter 9; BOT chapter 4) --------------------------- */

static void put_device(const struct disk *disk, struct span_writer *w)
{
	span_put_le(w, 18, 1);
	span_put_le(w, USBDESC_DEVICE, 1);
	span_put_le(w, super(disk) ? 0x0320 : 0x0200, 2);
	span_put_zero(w, 3); /* class, subclass, protocol: in the interface */
	span_put_le(w, super(disk) ? 9 : 64, 1); /* EP 0: 2^9, or 64 */
	span_put_le(w, VENDOR_ID, 2);
	span_put_le(w, PRODUCT_ID, 2);
	span_put_le(w, DEVICE_BCD, 2);
	span_put_le(w, STRING_VENDOR, 1);
	span_put_le(w, STRING_PRODUCT, 1);
	span_put_le(w, STRING_SERIAL, 1);
	span_put_le(w, 1, 1); /* configurations */
}

static void put_endpoint(const struct disk *disk, struct span_writer *w,
			 uint8_t address)
{
	span_put_le(w, 7, 1);
	span_put_le(w, USBDESC_ENDPOINT, 1);
	span_put_le(w, address, 1);
	span_put_le(w, USB_BULK, 1);
	span_put_le(w, super(disk) ? 1024 : 512, 2);
	span_put_le(w, 0, 1);
	if (!super(disk))
		return;
	span_put_le(w, 6, 1);
	span_put_le(w, USBDESC_SS_COMPANION, 1);
	span_put_le(w, 15, 1); /* bursts of 16 packets */
	span_put_zero(w, 3);   /* no streams */
}

static void put_configuration(const struct disk *disk, struct span_writer *w)
{
	size_t start = w->len;

	span_put_le(w, 9, 1);
	span_put_le(w, USBDESC_CONFIGURATION, 1);
	span_put_le(w, 0, 2); /* total length, below */
	span_put_le(w, 1, 1); /* interfaces */
	span_put_le(w, 1, 1); /* value */
	span_put_le(w, 0, 1);
	span_put_le(w, 0xc0, 1); /* self-powered */
	span_put_le(w, 0, 1);
	span_put_le(w, 9, 1);
	span_put_le(w, USBDESC_INTERFACE, 1);
	span_put_le(w, 0, 2); /* number, alternate setting */
	span_put_le(w, 2, 1); /* endpoints */
	span_put_le(w, USBDESC_CLASS_MASS_STORAGE, 1);
	span_put_le(w, USBDESC_SUBCLASS_SCSI, 1);
	span_put_le(w, USBDESC_PROTOCOL_BOT, 1);
	span_put_le(w, 0, 1);
	put_endpoint(disk, w, BOT_EP_IN);
	put_endpoint(disk, w, BOT_EP_OUT);
	w->p[start + 2] = (uint8_t)(w->len - start);
}

static void put_bos(struct span_writer *w)
{
	span_put_le(w, 5, 1);
	span_put_le(w, USBDESC_BOS, 1);
	span_put_le(w, 22, 2); /* total length */
	span_put_le(w, 2, 1);  /* capabilities */
	span_put_le(w, 7, 1);
	span_put_le(w, USBDESC_DEVICE_CAPABILITY, 1);
	span_put_le(w, USBDESC_CAP_USB2_EXTENSION, 1);
	span_put_le(w, 0, 4); /* no link power management */
	span_put_le(w, 10, 1);
	span_put_le(w, USBDESC_DEVICE_CAPABILITY, 1);
	span_put_le(w, USBDESC_CAP_SUPERSPEED, 1);
	span_put_le(w, 0, 1);
	span_put_le(w, 0x000c, 2); /* high speed and super speed */
	span_put_le(w, 2, 1);	   /* fully functional from high speed on */
	span_put_le(w, 0, 3);	   /* exit latencies */
}

static void put_qualifier(struct span_writer *w)
{
	span_put_le(w, 10, 1);
	span_put_le(w, USBDESC_DEVICE_QUALIFIER, 1);
	span_put_le(w, 0x0200, 2);
	span_put_zero(w, 3);
	span_put_le(w, 64, 1);
	span_put_le(w, 1, 1);
	span_put_le(w, 0, 1);
}

static void put_string(const struct disk *disk, struct span_writer *w,
		       uint8_t index)
{
	const char *text = index == STRING_VENDOR ? "ryll"
			   : index == STRING_PRODUCT
				   ? disk->luns[0].kind->product
				   : disk->luns[0].serial;

	if (index > STRING_SERIAL)
		return;
	if (index == STRING_LANGUAGES) {
		span_put_le(w, 4, 1);
		span_put_le(w, USBDESC_STRING, 1);
		span_put_le(w, 0x0409, 2);
		return;
	}
	span_put_le(w, 2 + 2 * strlen(text), 1);
	span_put_le(w, USBDESC_STRING, 1);
	for (; *text; text++)
		span_put_le(w, (unsigned char)*text, 2);
}

static void put_descriptor(const struct disk *disk, struct span_writer *w,
			   uint16_t value)
{
	switch (value >> 8) {
	case USBDESC_DEVICE:
		put_device(disk, w);
		break;
	case USBDESC_CONFIGURATION:
		if (!(value & 0xff))
			put_configuration(disk, w);
		break;
	case USBDESC_STRING:
		put_string(disk, w, (uint8_t)value);
		break;
	case USBDESC_BOS:
		if (super(disk))
			put_bos(w);
		break;
	case USBDESC_DEVICE_QUALIFIER:
		if (!super(disk))
			put_qualifier(w);
		break;
	}
}

/* --- Control requests --------------------------------------------------------------- */

static bool is_endpoint(uint16_t index)
{
	return index == BOT_EP_IN || index == BOT_EP_OUT;
}

#define REQUEST(type, request) ((unsigned int)(type) << 8 | (request))

/* Fills w with the answer. 0, or -EPIPE (stall) for what it does not know. */
static int answer(struct disk *disk, const struct usb_setup *setup,
		  struct span_writer *w)
{
	bool halted = is_endpoint(setup->index) &&
		      bot_halted(&disk->bot, (uint8_t)setup->index);

	switch (REQUEST(setup->request_type, setup->request)) {
	case REQUEST(USBDESC_IN | USBDESC_TO_DEVICE, USBDESC_GET_DESCRIPTOR):
		put_descriptor(disk, w, setup->value);
		return w->len ? 0 : -EPIPE;
	case REQUEST(USBDESC_IN | USBDESC_TO_DEVICE, USBDESC_GET_STATUS):
		span_put_le(w, 1, 2); /* self-powered */
		return 0;
	case REQUEST(USBDESC_IN | USBDESC_TO_INTERFACE, USBDESC_GET_STATUS):
		span_put_le(w, 0, 2);
		return 0;
	case REQUEST(USBDESC_IN | USBDESC_TO_ENDPOINT, USBDESC_GET_STATUS):
		span_put_le(w, halted, 2);
		return 0;
	case REQUEST(USBDESC_IN | USBDESC_TO_DEVICE, USBDESC_GET_CONFIGURATION):
		span_put_le(w, disk->device.info.configuration, 1);
		return 0;
	case REQUEST(USBDESC_IN | USBDESC_TO_INTERFACE, USBDESC_GET_INTERFACE):
		span_put_le(w, 0, 1);
		return 0;
	case REQUEST(USBDESC_TO_ENDPOINT, USBDESC_SET_FEATURE):
		if (setup->value != USBDESC_ENDPOINT_HALT ||
		    !is_endpoint(setup->index))
			return -EPIPE;
		bot_set_halt(&disk->bot, (uint8_t)setup->index, true);
		return 0;
	case REQUEST(USBDESC_TO_DEVICE, USBDESC_SET_ADDRESS):
	case REQUEST(USBDESC_TO_DEVICE, USBDESC_SET_SEL):
	case REQUEST(USBDESC_TO_DEVICE, USBDESC_SET_ISOCH_DELAY):
	case REQUEST(USBDESC_TO_DEVICE, USBDESC_SET_FEATURE):
	case REQUEST(USBDESC_TO_DEVICE, USBDESC_CLEAR_FEATURE):
	case REQUEST(USBDESC_TO_INTERFACE, USBDESC_SET_FEATURE):
	case REQUEST(USBDESC_TO_INTERFACE, USBDESC_CLEAR_FEATURE):
		return 0; /* power management: nothing to do here */
	case REQUEST(USBDESC_IN | USBDESC_TYPE_CLASS | USBDESC_TO_INTERFACE,
		     BOT_REQUEST_GET_MAX_LUN):
		span_put_le(w, disk->n_luns - 1, 1);
		return 0;
	default:
		return -EPIPE;
	}
}

static void submit_control(struct disk *disk, struct urb *urb)
{
	const struct usb_setup *setup = &urb->setup;
	uint8_t data[256];
	struct span_writer w = span_writer_of(data, sizeof(data));

	if (REQUEST(setup->request_type, setup->request) ==
	    REQUEST(USBDESC_TYPE_CLASS | USBDESC_TO_INTERFACE,
		    BOT_REQUEST_RESET)) {
		/* Answered when it is done. */
		list_append(&disk->class_resets, &urb->backend_node);
		bot_reset(&disk->bot);
		return;
	}
	urb->status = answer(disk, setup, &w);
	if (!urb->status && !(setup->request_type & USBDESC_IN))
		urb->actual = urb->len;
	if (!urb->status && (setup->request_type & USBDESC_IN)) {
		urb->actual = (uint32_t)MIN(w.len, urb->len);
		urb->buf = bufpool_get(disk->pool, sizeof(data));
		urb->off = 0;
		if (urb->buf)
			memcpy(urb->buf->data, data, urb->actual);
		else
			urb->status = -ENOMEM;
	}
	usb_complete_later(urb);
}

/* --- Life ---------------------------------------------------------------------------- */

static void fill_info(struct usb_info *info, enum usb_speed speed)
{
	*info = (struct usb_info){
		.speed = speed,
		.vendor = VENDOR_ID,
		.product = PRODUCT_ID,
		.bcd_device = DEVICE_BCD,
		.configuration = 1,
		.n_configurations = 1,
		.n_interfaces = 1,
		.interface[0] = { 0, USBDESC_CLASS_MASS_STORAGE,
				  USBDESC_SUBCLASS_SCSI, USBDESC_PROTOCOL_BOT },
	};
	for (unsigned int i = 0; i < USB_ENDPOINT_SLOTS; i++)
		info->endpoint[i].type = USB_NO_ENDPOINT;
	info->endpoint[usb_slot(0x00)].type = USB_CONTROL;
	info->endpoint[usb_slot(0x80)].type = USB_CONTROL;
}

/* Configuration 0 has no endpoints but the control one (USB 2.0, 9.1.1.4);
 * setting one ends halts (9.1.1.5), but that of an invalid CBW. */
static void set_configuration(struct disk *disk, uint8_t configuration)
{
	struct usb_info *info = &disk->device.info;
	struct usb_endpoint bulk = {
		.type = configuration ? USB_BULK : USB_NO_ENDPOINT,
		.max_packet = info->speed == USB_SPEED_SUPER ? 1024 : 512,
	};

	info->configuration = configuration;
	info->endpoint[usb_slot(BOT_EP_IN)] = bulk;
	info->endpoint[usb_slot(BOT_EP_OUT)] = bulk;
	bot_set_halt(&disk->bot, BOT_EP_IN, false);
	bot_set_halt(&disk->bot, BOT_EP_OUT, false);
}

static void reset_luns(struct disk *disk)
{
	for (unsigned int i = 0; i < disk->n_luns; i++)
		scsi_disk_reset(&disk->luns[i]);
}

static bool disk_describe(struct usb_device *device, struct usb_info *info)
{
	fill_info(info, disk_of(device)->max_speed);
	return true;
}

static void disk_open(struct usb_device *device, enum usb_speed max_speed)
{
	struct disk *disk = disk_of(device);

	fill_info(&device->info, MIN(max_speed, disk->max_speed));
	/* Announced as it will be: guests look before they configure. */
	set_configuration(disk, 1);
	reset_luns(disk);
	usb_opened(device, 0);
}

static void flushed(struct image_request *request, int res);

static void flush_next(struct disk *disk)
{
	if (disk->flushing == disk->n_luns) {
		usb_closed(&disk->device);
		return;
	}
	disk->flush.type = IMAGE_FLUSH;
	disk->flush.off = disk->flush.len = 0;
	disk->flush.done = flushed;
	image_submit(disk->luns[disk->flushing].image, &disk->flush);
}

static void flushed(struct image_request *request, int res)
{
	struct disk *disk = container_of(request, struct disk, flush);

	if (res < 0)
		log_err("%s: flushing the image failed: %s; the last writes may be lost",
			disk->luns[disk->flushing].name, strerror(-res));
	disk->device.data_lost |= res < 0;
	disk->flushing++;
	flush_next(disk);
}

/* The transport has no command any more: do what waited for that. */
static void bot_idle(struct bot *bot)
{
	struct disk *disk = container_of(bot, struct disk, bot);
	struct list *admins = &disk->device.admins, *node;

	while ((node = list_pop(&disk->class_resets))) {
		struct urb *urb = list_entry(node, struct urb, backend_node);

		urb->actual = urb->len;
		usb_complete_later(urb);
	}
	/* Guests reset again before the first reset has ended. */
	while (!list_empty(admins)) {
		reset_luns(disk);
		usb_admin_complete(list_first(admins, struct usb_admin, node),
				   0);
	}
	if (!disk->closing)
		return;
	disk->closing = false;
	disk->flushing = 0;
	flush_next(disk);
}

static void disk_close(struct usb_device *device)
{
	struct disk *disk = disk_of(device);

	disk->closing = true;
	bot_stop(&disk->bot, -ESHUTDOWN);
}

static int disk_submit(struct usb_device *device, struct urb *urb)
{
	struct disk *disk = disk_of(device);

	if (urb->type == USB_CONTROL)
		submit_control(disk, urb);
	else
		bot_submit(&disk->bot, urb);
	return 0;
}

static void disk_cancel(struct usb_device *device, struct urb *urb)
{
	/* Control requests end by themselves. */
	if (urb->type == USB_BULK)
		bot_cancel(&disk_of(device)->bot, urb);
}

static void disk_arrived(struct usb_device *device, struct urb *urb)
{
	(void)urb; /* the one that is first in the queue, or behind it */
	bot_arrived(&disk_of(device)->bot);
}

static void disk_admin(struct usb_device *device, struct usb_admin *admin)
{
	struct disk *disk = disk_of(device);
	int status = 0;

	switch (admin->type) {
	case USB_SET_CONFIGURATION:
		if (admin->configuration > 1)
			status = -EINVAL;
		else
			set_configuration(disk, admin->configuration);
		break;
	case USB_GET_CONFIGURATION:
		admin->configuration = disk->device.info.configuration;
		break;
	case USB_SET_ALT_SETTING:
		if (admin->interface || admin->alt)
			status = -EINVAL;
		break;
	case USB_GET_ALT_SETTING:
		if (admin->interface)
			status = -EINVAL;
		admin->alt = 0;
		break;
	case USB_CLEAR_HALT:
		if (is_endpoint(admin->ep))
			bot_set_halt(&disk->bot, admin->ep, false);
		else if (admin->ep & 0x7f)
			status = -EPIPE;
		break;
	case USB_RESET:
		bot_stop(&disk->bot, -ECANCELED);
		return; /* bot_idle() completes it */
	case USB_ALLOC_STREAMS:
	case USB_FREE_STREAMS:
		status = -EINVAL;
		break;
	}
	usb_admin_complete(admin, status);
}

static void disk_destroy(struct usb_device *device)
{
	struct disk *disk = disk_of(device);

	for (unsigned int i = 0; i < disk->n_luns; i++)
		image_destroy(disk->luns[i].image);
	free(disk->luns);
	free(disk);
}

static const struct usb_device_ops disk_ops = {
	.name = "disk",
	.describe = disk_describe,
	.open = disk_open,
	.close = disk_close,
	.submit = disk_submit,
	.cancel = disk_cancel,
	.arrived = disk_arrived,
	.admin = disk_admin,
	.destroy = disk_destroy,
};

bool disk_serial_valid(const char *text)
{
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i++)
		if (!isalnum((unsigned char)text[i]) && text[i] != '-' &&
		    text[i] != '_')
			return false;
	return len >= 1 && len <= 20;
}

static void init_lun(struct disk *disk, unsigned int i,
		     const struct disk_lun *lun)
{
	const struct disk_options *o = &lun->options;
	struct scsi_disk *scsi = &disk->luns[i];
	uint64_t tail = lun->image->size % o->block_size;
	char serial[21];

	if (tail)
		log_warn(
			"%s: its last %u bytes do not fill a block of %u and are not part of the disk",
			lun->name, (unsigned int)tail, o->block_size);
	/* BOT 4.1.1 wants hexadecimal digits, at least 12. */
	snprintf(serial, sizeof(serial), "%016llX",
		 (unsigned long long)lun->image->identity);
	scsi_disk_init(scsi, o->cdrom ? &scsi_kind_cdrom : &scsi_kind_disk,
		       disk->device.loop, disk->pool, lun->image, o->block_size,
		       lun->name, o->serial ? o->serial : serial);
	scsi->n_luns = disk->n_luns;
	scsi->removable = !o->fixed;
	scsi->write_cache = !o->write_through;
	if (o->high_speed)
		disk->max_speed = USB_SPEED_HIGH;
}

static int destroy_images(const struct disk_lun *luns, unsigned int n, int ret)
{
	for (unsigned int i = 0; i < n; i++)
		image_destroy(luns[i].image);
	return ret;
}

int disk_create(struct loop *loop, struct bufpool *pool,
		const struct disk_lun *luns, unsigned int n_luns,
		struct usb_device **device)
{
	struct disk *disk;

	for (unsigned int i = 0; i < n_luns; i++)
		if (luns[i].image->size < luns[i].options.block_size)
			return destroy_images(luns, n_luns, -EINVAL);
	disk = calloc(1, sizeof(*disk));
	if (disk)
		disk->luns = calloc(n_luns, sizeof(*disk->luns));
	if (!disk || !disk->luns) {
		free(disk);
		return destroy_images(luns, n_luns, -ENOMEM);
	}
	usb_device_init(&disk->device, &disk_ops, loop, luns[0].name);
	disk->pool = pool;
	disk->n_luns = n_luns;
	disk->max_speed = USB_SPEED_SUPER;
	list_init(&disk->class_resets);
	for (unsigned int i = 0; i < n_luns; i++)
		init_lun(disk, i, &luns[i]);
	bot_init(&disk->bot, pool, disk->luns, n_luns, bot_idle);
	*device = &disk->device;
	return 0;
}
