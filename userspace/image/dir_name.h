/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Names as FAT has them (Microsoft's FAT specification 1.03, "Long File Name
 * Implementation"): UTF-16 in pieces of 13, in front of a short name of 8 and 3
 * characters.
 */
#ifndef IMAGE_DIR_NAME_H
#define IMAGE_DIR_NAME_H

#include <locale.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#define DIR_NAME_MAX 255   /* UTF-16 units */
#define DIR_SLOT_SIZE 32u  /* what a folder is made of */
#define DIR_SHORT_SIZE 11u /* padded by spaces, no dot */

struct dir_name {
	uint16_t units[DIR_NAME_MAX];
	unsigned int n;
};

/* -EINVAL for a name that FAT cannot hold, and *why in words. */
int must_check dir_name_decode(struct dir_name *name, const char *utf8,
			       const char **why);

/* Equal for names that are equal when case is ignored. NULL: ASCII only. */
uint64_t dir_name_folded(const struct dir_name *name, locale_t locale);

enum dir_name_fit {
	DIR_NAME_IS_SHORT, /* the short name is all there is to it */
	DIR_NAME_FITS,	   /* but for the case of its letters */
	DIR_NAME_LOSSY,	   /* needs dir_name_number() to be told from others */
};

/* The short name that comes closest. */
enum dir_name_fit dir_name_shorten(const struct dir_name *name,
				   uint8_t brief[DIR_SHORT_SIZE]);

/*
 * Makes another short name of one that is lossy: attempts 0 to 3 end in ~1 to
 * ~4, the following ones have salt in their middle. All of 16-bit salt and of
 * ~1 to ~9 are gone through from attempt 4 on.
 */
void dir_name_number(uint8_t brief[DIR_SHORT_SIZE], unsigned int attempt,
		     uint32_t salt);

/* Slots of the long name. */
static inline unsigned int dir_name_slots(const struct dir_name *name)
{
	return (name->n + 12) / 13;
}

/* Slot number ordinal (1 has the first 13 units, but is stored last). */
void dir_name_slot(const struct dir_name *name, unsigned int ordinal,
		   const uint8_t brief[DIR_SHORT_SIZE],
		   uint8_t slot[DIR_SLOT_SIZE]);

#endif
