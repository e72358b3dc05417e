/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * This machine's kernel as a usbip client: the ports of its virtual host
 * controller, vhci_hcd, as sysfs has them (drivers/usb/usbip/vhci_sysfs.c).
 */
#ifndef FRONTEND_VHCI_H
#define FRONTEND_VHCI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "wire/usbip.h"

/*
 * Hands the kernel a connected unix stream socket, over which it speaks usbip
 * as one that has imported the device; the kernel keeps the socket, the caller
 * closes fd. The port, or -errno, and why (size bytes) says in words what to
 * do: -ENODEV there is no vhci_hcd, -EACCES not allowed, -EBUSY no port is free.
 */
int must_check vhci_attach(int fd, uint32_t devid, enum usbip_speed speed,
			   char *why, size_t size);

/* Can there be any success? As vhci_attach(). */
int must_check vhci_check(char *why, size_t size);

/*
 * The first free port above after (-1: the first of all) in a status file, for
 * devices of super speed or for others; -1: none.
 */
int vhci_free_port(const char *status, bool super, int after);

#endif
