/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The descriptors of a real device, as the kernel read them.
 */
#ifndef BACKEND_USBFS_DESCRIPTORS_H
#define BACKEND_USBFS_DESCRIPTORS_H

#include "backend/usbfs_select.h"
#include "wire/usbdesc.h"

struct usbfs_descriptors {
	void *data; /* NULL: none */
	size_t len;
};

/* -ENODEV: it has gone; -ENOMEM. */
int must_check usbfs_descriptors_read(struct usbfs_descriptors *set,
				      const struct usbfs_place *place);
void usbfs_descriptors_free(struct usbfs_descriptors *set);

/* For usbdesc_*(); as long as *set is. */
static inline struct span
usbfs_descriptors_span(const struct usbfs_descriptors *set)
{
	return span_of(set->data, set->len);
}

#endif
