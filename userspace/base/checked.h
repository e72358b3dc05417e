/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Checked unsigned arithmetic for sizes that come from outside.
 */
#ifndef BASE_CHECKED_H
#define BASE_CHECKED_H

#include <stdbool.h>
#include <stdint.h>

/*
 * True when [off, off + len) lies within [0, size). An empty range is within
 * as long as off <= size. Cannot overflow.
 */
static inline bool range_within(uint64_t off, uint64_t len, uint64_t size)
{
	return off <= size && len <= size - off;
}

#endif
