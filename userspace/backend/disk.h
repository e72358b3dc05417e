/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend disk: a virtual USB mass-storage device, a disk or a CD-ROM, over an
 * image.
 */
#ifndef BACKEND_DISK_H
#define BACKEND_DISK_H

#include "core/bufpool.h"
#include "image/image.h"
#include "usb/device.h"

struct disk_options {
	uint32_t block_size; /* 512 or 4096; CD-ROM: 2048 */
	bool cdrom;	     /* the image is to be read-only */
	bool write_through; /* no write cache: each write waits for the medium */
	bool high_speed;    /* never super speed */
	bool fixed;	    /* not a removable medium: cannot be ejected */
	const char *serial; /* 1 to 20 of [0-9A-Za-z_-]; NULL: from the image */
};

/*
 * Takes image, also on failure; borrows loop and pool. name is for people.
 * The caller owns *device (usually it goes to the registry).
 *
 * -EINVAL: the image is smaller than a block. -ENOMEM.
 */
int must_check disk_create(struct loop *loop, struct bufpool *pool,
			   struct image *image, const char *name,
			   const struct disk_options *options,
			   struct usb_device **device);

/* True when text can be a serial number. */
bool disk_serial_valid(const char *text);

#endif
