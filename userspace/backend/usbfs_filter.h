/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --usb-filter: may this device be given away?
 */
#ifndef BACKEND_USBFS_FILTER_H
#define BACKEND_USBFS_FILTER_H

#include "backend/usbfs_select.h"
#include "wire/filter.h"

/* Looks at the descriptors that the kernel has; without any: no. */
bool usbfs_filter_allows(const struct filter *filter,
			 const struct usbfs_place *place);

#endif
