/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Which real device is meant, and what a real device is known by.
 */
#ifndef BACKEND_USBFS_SELECT_H
#define BACKEND_USBFS_SELECT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "usb/device.h"

/* A device that is plugged in here, as sysfs has it. */
struct usbfs_place {
	char syspath[256];
	char node[64]; /* "/dev/bus/usb/001/004" */
	unsigned int bus, dev;
	char port[32]; /* bus and ports, as Linux names it: "1-4.2" */
	uint16_t vendor, product;
	uint16_t release;
	uint8_t class, subclass, protocol;
	uint8_t configuration; /* the current one; 0: none */
	uint8_t n_configurations;
	uint8_t n_interfaces; /* that are there */
	struct usb_interface interface[USB_MAX_INTERFACES];
	uint32_t interface_classes[8]; /* bits: those that are there */
	enum usb_speed speed;
	char speed_text[16];			/* Mbit/s */
	char maker[64], model[64], serial[128]; /* or empty */
	char drivers[96]; /* of its interfaces, or empty */
};

/* All that is said must be true of the device. */
struct usbfs_selector {
	char text[128]; /* as it was given */
	bool by_id, by_dev, by_class;
	uint16_t vendor, product;
	unsigned int bus, dev;
	uint8_t class;
	char port[32];	  /* empty: any */
	char serial[128]; /* empty: any */
	bool no_reset;	  /* the device does not stand a reset */
};

/*
 * Reads VID:PID, BUS-DEV, BUS-PORT.PORT, port=BUS-PORT, serial=TEXT, class=HH,
 * several of them with commas between, and the option noreset.
 * -EINVAL: *why, static, says what is wrong with it.
 */
int must_check usbfs_selector_parse(struct usbfs_selector *selector,
				    const char *text, const char **why);

bool usbfs_selector_matches(const struct usbfs_selector *selector,
			    const struct usbfs_place *place);

/* Is it known to fall over when it is reset? */
bool usbfs_place_no_reset(const struct usbfs_place *place);

/* For people: "0951:1666 Kingston DataTraveler (1-4.2)". */
void usbfs_place_name(const struct usbfs_place *place, char *name, size_t size);

#endif
