/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Backend null: a device without a medium, for tests and benchmarks. What
 * moves through it costs what the way there and back costs, and nothing more.
 */
#ifndef BACKEND_NULL_H
#define BACKEND_NULL_H

#include "core/bufpool.h"
#include "usb/device.h"

#define NULL_EP_IN 0x81	   /* zeros, as many as are asked for */
#define NULL_EP_OUT 0x02   /* takes everything */
#define NULL_EP_NEVER 0x83 /* IN; a transfer ends when it is cancelled */

/*
 * Borrows loop and pool. The caller owns *device (usually it goes to the
 * registry). -ENOMEM.
 */
int must_check null_create(struct loop *loop, struct bufpool *pool,
			   struct usb_device **device);

#endif
