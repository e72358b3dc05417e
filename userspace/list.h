/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * --list: what could be plugged in.
 */
#ifndef LIST_H
#define LIST_H

#include "options.h"

/* Prints tables. -errno when one of the images that are named is not ready. */
int must_check list_devices(const struct options *options);

#endif
