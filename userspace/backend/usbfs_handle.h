/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A real device in our hands: what changes it as a whole. All of this blocks,
 * up to seconds with a device that does not answer, so it runs on a worker;
 * meanwhile nobody else may use fd: the kernel holds the device's lock, and
 * whoever asks for a transfer would wait for it.
 */
#ifndef BACKEND_USBFS_HANDLE_H
#define BACKEND_USBFS_HANDLE_H

#include "backend/usbfs_descriptors.h"
#include "backend/usbfs_keeper.h"
#include "backend/usbfs_select.h"

struct libusb_context;
struct libusb_device_handle;

struct usbfs_handle {
	struct libusb_context *libusb; /* borrows */
	struct usbfs_keeper *keeper;   /* borrows */
	uint32_t id;		       /* with the keeper */
	int fd;			       /* usbdevfs; -1: not open */
	struct libusb_device_handle *usb;
	struct usbfs_former former;
	struct usbfs_descriptors descriptors;
	/* What the device is now: */
	struct usbdesc_config config; /* value 0: it has none */
	uint8_t alts[USBDESC_MAX_INTERFACES];
	char why[160]; /* of the last failure of open, for people */
};

struct usbfs_handle_options {
	bool force;    /* take it from whoever has mounted its disk */
	bool no_reset; /* never reset it */
};

/*
 * Takes the device from its drivers: opens it and claims all its interfaces.
 * -errno: it is as it was before, and handle->why says what to do.
 */
int must_check usbfs_handle_open(struct usbfs_handle *handle,
				 const struct usbfs_place *place,
				 const struct usbfs_handle_options *options);

/* Gives it back to its drivers. fd stays open: what it had in flight has ended
 * and may be collected. */
void usbfs_handle_release(struct usbfs_handle *handle);

/* Closes fd. Does not block. */
void usbfs_handle_close(struct usbfs_handle *handle);

/*
 * 0 or -errno as in struct urb; config and alts are up to date afterwards.
 * -ENODEV: the device is not the same any more, or has gone.
 */
int must_check usbfs_handle_set_config(struct usbfs_handle *handle,
				       uint8_t value);
int must_check usbfs_handle_set_alt(struct usbfs_handle *handle,
				    uint8_t interface, uint8_t alt);
int must_check usbfs_handle_clear_halt(struct usbfs_handle *handle, uint8_t ep);
int must_check usbfs_handle_reset(struct usbfs_handle *handle);

/* endpoints: bits by usbdesc_slot(). The number of streams each has now. */
int must_check usbfs_handle_alloc_streams(struct usbfs_handle *handle,
					  uint32_t endpoints, uint32_t streams);
int must_check usbfs_handle_free_streams(struct usbfs_handle *handle,
					 uint32_t endpoints);

#endif
