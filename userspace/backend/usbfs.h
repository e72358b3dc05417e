/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend `usbfs`: real devices, by Linux's usbdevfs. A device of this backend
 * is a place for the one that its selector means: absent while that is not
 * plugged in, and again when it is unplugged.
 *
 *   usbfs_select   which one is meant
 *   usbfs_filter   which may be given away
 *   usbfs_udev     which ones there are, usbfs_descriptors what they are
 *   usbfs_handle   taking one from its drivers and giving it back (libusb)
 *   usbfs_keeper   the same when the program was killed
 *   usbfs_io       its transfers
 *   usbfs_memory   and memory for them
 */
#ifndef BACKEND_USBFS_H
#define BACKEND_USBFS_H

#include "backend/usbfs_keeper.h"
#include "backend/usbfs_select.h"
#include "core/bufpool.h"
#include "usb/device.h"
#include "wire/filter.h"

/* How soon a device that could not be taken is tried again. */
#define USBFS_RETRY_MS 5000

struct usbfs;

/*
 * Borrows all. force: take devices whose disks are mounted. filter: which may
 * be taken at all; NULL: any. -errno.
 */
int must_check usbfs_create(struct loop *loop, struct bufpool *pool,
			    struct usbfs_keeper *keeper, bool force,
			    const struct filter *filter, struct usbfs **usbfs);
/* NULL-safe. After its devices. */
void usbfs_destroy(struct usbfs *usbfs);

/* The caller owns *device. selector is copied. -errno: *device is not set. */
int must_check usbfs_add(struct usbfs *usbfs,
			 const struct usbfs_selector *selector,
			 struct usb_device **device);

/* All are added: looks who is there, and follows who comes and goes. */
int must_check usbfs_follow(struct usbfs *usbfs);

#endif
