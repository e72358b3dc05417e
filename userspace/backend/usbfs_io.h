/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * URBs to usbdevfs and back: submitted by ioctl, their end told by the ring
 * (a poll of the descriptor), collected by ioctl.
 */
#ifndef BACKEND_USBFS_IO_H
#define BACKEND_USBFS_IO_H

#include "backend/usbfs_memory.h"
#include "usb/device.h"

struct usbfs_io {
	struct loop *loop;    /* borrows */
	struct bufpool *pool; /* borrows */
	int fd;		      /* usbdevfs; borrows */
	struct usbfs_memory *memory;
	struct op poll;
	uint32_t in_kernel;	 /* bytes of the large ones that are flying */
	struct list flying;	 /* struct usbfs_request that the kernel has */
	struct list waiting;	 /* those that have to wait: for memory, for
			      * those before them, for the worker */
	unsigned int unfinished; /* of flying: those with pieces to come */
	bool held;		 /* a worker has the device: no ioctl now */
	bool ended;		 /* while held: some have */
	bool stopping;
	struct timer retry;
	/* The device has gone. */
	void (*gone)(struct usbfs_io *io);
	/* After usbfs_io_stop(): nothing is left. */
	void (*stopped)(struct usbfs_io *io);
	/* There is no memory for a URB: others may have some to give back. */
	void (*starved)(struct usbfs_io *io);
};

/* Borrows all; the three calls are the caller's to set. */
void usbfs_io_init(struct usbfs_io *io, struct loop *loop,
		   struct bufpool *pool);

/* fd stays open until stopped. -ENOMEM. */
int must_check usbfs_io_start(struct usbfs_io *io, int fd);

/* As the backend's ops of these names. */
int must_check usbfs_io_submit(struct usbfs_io *io, struct urb *urb);
void usbfs_io_cancel(struct usbfs_io *io, struct urb *urb);
struct buf *usbfs_io_alloc(struct usbfs_io *io, uint32_t len);

/*
 * Between hold and resume a worker may use fd. URBs are taken and wait; those
 * in flight complete afterwards.
 */
void usbfs_io_hold(struct usbfs_io *io);
void usbfs_io_resume(struct usbfs_io *io);

/* Ends what is in flight. On the worker, while held. */
void usbfs_io_discard(struct usbfs_io *io);

/* While held, after the interfaces are released: collects all, and ends by
 * stopped, possibly from within. */
void usbfs_io_stop(struct usbfs_io *io);

#endif
