/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A usbip session, we being the client: imports one device, reads its
 * descriptors, and then carries URBs.
 */
#ifndef BACKEND_REMOTE_USBIP_H
#define BACKEND_REMOTE_USBIP_H

#include "backend/remote_session.h"
#include "peer/parser.h"
#include "wire/usbdesc.h"
#include "wire/usbip.h"

/* Descriptors of a device, all configurations together. */
#define REMOTE_MAX_DESCRIPTORS (256u << 10)
#define REMOTE_MAX_CONFIGURATIONS 8

struct remote_usbip {
	struct remote_session rs;
	enum {
		REMOTE_IMPORTING, /* the answer is due, then the device */
		REMOTE_READING,	  /* its descriptors */
		REMOTE_RUNNING,
	} state;
	char busid[USBIP_BUSID_SIZE];
	bool granted; /* the answer was yes, and the device is due */
	struct usbip_device device;
	uint32_t seqnum;      /* of the last command */
	struct list calls;    /* struct remote_call: await answers */
	unsigned int n_late;  /* of these, after their UNLINK's */
	struct usbip_msg msg; /* whose payload is coming */

	/* The descriptors, as Linux has them in sysfs: see wire/usbdesc.h. */
	uint8_t *descriptors; /* owned */
	size_t n_descriptors;
	struct usbdesc_device desc;
	uint8_t next_config; /* index of the one to be read */
	uint8_t alts[USBDESC_MAX_INTERFACES];

	struct parser parser; /* last: its end is not initialised */
};

#endif
