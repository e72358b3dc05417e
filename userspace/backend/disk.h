/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend disk: a virtual USB mass-storage device: disks and CD-ROMs, its
 * logical units, each over an image.
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

struct disk_lun {
	struct image *image;
	const char *name; /* for people; borrowed for the life of the device */
	struct disk_options options;
};

/*
 * luns is an array: logical units 0, 1, ...; 1 to SCSI_MAX_LUNS. Takes their
 * images, also on failure; borrows loop and pool. The device has the name and
 * the serial number of unit 0, and is a high-speed one if any is to be. The
 * caller owns *device (usually it goes to the registry).
 *
 * -EINVAL: an image is smaller than a block. -ENOMEM.
 */
int must_check disk_create(struct loop *loop, struct bufpool *pool,
			   const struct disk_lun *luns, unsigned int n_luns,
			   struct usb_device **device);

/* True when text can be a serial number. */
bool disk_serial_valid(const char *text);

#endif
