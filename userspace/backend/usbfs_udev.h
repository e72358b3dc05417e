/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The real devices that there are, and those that come and go (libudev).
 */
#ifndef BACKEND_USBFS_UDEV_H
#define BACKEND_USBFS_UDEV_H

#include "backend/usbfs_select.h"

struct usbfs_udev;

/* -errno. Nothing is heard of before usbfs_udev_follow(). */
int must_check usbfs_udev_create(struct usbfs_udev **udev);
/* NULL-safe. */
void usbfs_udev_destroy(struct usbfs_udev *udev);

/* Runs visit for each device. */
void usbfs_udev_each(struct usbfs_udev *udev,
		     void (*visit)(const struct usbfs_place *place, void *arg),
		     void *arg);

/* A descriptor that is readable when something has come or gone, or -errno. */
int must_check usbfs_udev_follow(struct usbfs_udev *udev);

enum usbfs_event {
	USBFS_NOTHING, /* no more, now */
	USBFS_CAME,    /* or changed: *place is all that is known of it */
	USBFS_WENT,    /* only place->syspath is set */
	USBFS_OTHER,
};
enum usbfs_event usbfs_udev_next(struct usbfs_udev *udev,
				 struct usbfs_place *place);

/*
 * Who uses the disks of a device here. Writes, as in "is mounted on /mnt",
 * what for people; returns whether there is somebody.
 */
bool usbfs_udev_disk_in_use(struct usbfs_udev *udev,
			    const struct usbfs_place *place, char *what,
			    size_t size);

/* Writes what the page cache has for its disks. Blocks. */
void usbfs_udev_sync_disks(struct usbfs_udev *udev,
			   const struct usbfs_place *place);

#endif
