/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filter `fault`: a device over another one that makes it worse, in a way that
 * can be repeated. For tests of guests, and of what is above it here.
 */
#ifndef BACKEND_FAULT_H
#define BACKEND_FAULT_H

#include "usb/device.h"

/* How long an unplugged device stays away. */
#define FAULT_AWAY_MS 1000

struct fault_spec {
	uint64_t seed;
	/* How many of a thousand URBs... */
	unsigned int error;	/* fail and never reach the device */
	unsigned int shortened; /* are asked to bring less than wanted: IN */
	unsigned int delay;	/* complete later than they did */
	unsigned int delay_ms;	/* by this much at most */
	uint64_t unplug; /* at this URB the device leaves, once; 0: never */
};

/*
 * Reads seed=N, error=N, short=N, delay=N:MS, unplug=N with commas between.
 * -EINVAL: *why, static, says what is wrong.
 */
int must_check fault_parse(struct fault_spec *spec, const char *text,
			   const char **why);

/* Takes inner, which is free and in no registry. -ENOMEM: it does not. */
int must_check fault_create(struct usb_device *inner,
			    const struct fault_spec *spec,
			    struct usb_device **device);

#endif
