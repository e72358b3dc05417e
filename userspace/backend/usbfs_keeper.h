/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A process beside the program that outlives it: it holds the devices that
 * are in use, and gives them back to their drivers when the program has ended
 * without doing so, killed or crashed. The kernel alone would leave them with
 * no driver.
 */
#ifndef BACKEND_USBFS_KEEPER_H
#define BACKEND_USBFS_KEEPER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

/* What a device was like before it was taken. */
struct usbfs_former {
	uint32_t drivers;      /* interfaces that had one: bits by number */
	uint8_t configuration; /* 0: none */
	bool no_reset;
};

struct usbfs_keeper {
	int socket;	  /* -1: there is none */
	atomic_flag told; /* that it does not answer */
};

/*
 * Starts the process; before there are threads and an io_uring, which it would
 * share. Without it everything works but giving back after a kill; the reason
 * is logged.
 */
void usbfs_keeper_start(struct usbfs_keeper *keeper);
/* It ends, when the program does at the latest. */
void usbfs_keeper_stop(struct usbfs_keeper *keeper);

/*
 * From now on, and until dropped, the keeper shares fd of usbdevfs under this
 * id. Any thread.
 */
void usbfs_keeper_hold(struct usbfs_keeper *keeper, uint32_t id, int fd,
		       const struct usbfs_former *former);
void usbfs_keeper_drop(struct usbfs_keeper *keeper, uint32_t id);

/*
 * Gives the device on fd back as it was: releases the interfaces, resets,
 * restores the configuration, lets the drivers have it. Blocks. What fails is
 * skipped: the device may have gone.
 */
void usbfs_give_back(int fd, const struct usbfs_former *former);

#endif
