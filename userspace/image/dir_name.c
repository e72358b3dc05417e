// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/dir_name.h"

#include <stdio.h>
#include <string.h>
#include <wctype.h>

#include "base/hash.h"
#include "base/span.h"

/* One code point; 0 at the end of the text, -1 if it is not UTF-8. */
static int32_t next_point(const char **text)
{
	const unsigned char *p = (const unsigned char *)*text;
	unsigned int more = *p < 0x80	      ? 0
			    : *p >> 5 == 0x06 ? 1
			    : *p >> 4 == 0x0e ? 2
			    : *p >> 3 == 0x1e ? 3
					      : 4;
	static const int32_t least[] = { 0, 0x80, 0x800, 0x10000 };
	int32_t point = more ? *p & (0x3f >> more) : *p;

	if (more > 3)
		return -1;
	for (unsigned int i = 1; i <= more; i++) {
		if (p[i] >> 6 != 0x02)
			return -1;
		point = point << 6 | (p[i] & 0x3f);
	}
	*text += 1 + more;
	/* Overlong; too large; half a surrogate pair. */
	if (point < least[more] || point > 0x10ffff || point >> 11 == 0x1b)
		return -1;
	return point;
}

int dir_name_decode(struct dir_name *name, const char *utf8, const char **why)
{
	int32_t c;

	name->n = 0;
	while ((c = next_point(&utf8))) {
		/* U+FFFF is what fills up the last slot. */
		if (c < 0 || c == 0xffff) {
			*why = "its name is not UTF-8";
			return -EINVAL;
		}
		if (c < 0x20 || c == 0x7f ||
		    (c < 0x80 && strchr("\"*/:<>?\\|", c))) {
			*why = "its name has characters that FAT cannot hold";
			return -EINVAL;
		}
		if (name->n + (c > 0xffff) >= DIR_NAME_MAX) {
			*why = "its name is too long for FAT";
			return -EINVAL;
		}
		if (c > 0xffff) {
			c -= 0x10000;
			name->units[name->n++] = (uint16_t)(0xd800 | c >> 10);
			c = 0xdc00 | (c & 0x3ff);
		}
		name->units[name->n++] = (uint16_t)c;
	}
	if (!name->n || name->units[name->n - 1] == '.' ||
	    name->units[name->n - 1] == ' ') {
		*why = "its name ends in a dot or a space, which FAT cannot hold";
		return -EINVAL;
	}
	return 0;
}

uint64_t dir_name_folded(const struct dir_name *name, locale_t locale)
{
	uint64_t h = HASH_INIT;

	for (unsigned int i = 0; i < name->n; i++) {
		wint_t c = name->units[i];
		uint8_t bytes[2];

		if (c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		else if (c > 0x7f && locale)
			c = towupper_l(c, locale);
		bytes[0] = (uint8_t)c;
		bytes[1] = (uint8_t)(c >> 8);
		h = hash_bytes(h, bytes, sizeof(bytes));
	}
	return h;
}

/* --- Short names --------------------------------------------------------------- */

#define BASE_SIZE 8u

static bool allowed_in_short(unsigned int c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       (c && c < 0x80 && strchr("!#$%&'()-@^_`{}~", (int)c));
}

/* Units from..to into a field of size characters. */
static enum dir_name_fit shorten_part(const struct dir_name *name,
				      unsigned int from, unsigned int to,
				      uint8_t *field, unsigned int size)
{
	enum dir_name_fit fit = DIR_NAME_IS_SHORT;
	unsigned int n = 0;

	for (unsigned int i = from; i < to; i++) {
		unsigned int c = name->units[i];

		if (c == ' ' || c == '.' || n == size) {
			fit = DIR_NAME_LOSSY;
			continue;
		}
		if (c >= 'a' && c <= 'z') {
			c -= 'a' - 'A';
			fit = MAX(fit, DIR_NAME_FITS);
		}
		if (!allowed_in_short(c)) {
			c = '_';
			fit = DIR_NAME_LOSSY;
		}
		field[n++] = (uint8_t)c;
	}
	return fit;
}

enum dir_name_fit dir_name_shorten(const struct dir_name *name,
				   uint8_t brief[DIR_SHORT_SIZE])
{
	unsigned int start = 0, dot = name->n;
	enum dir_name_fit base, ext;

	while (start < name->n && name->units[start] == '.')
		start++;
	for (unsigned int i = start; i < name->n; i++)
		if (name->units[i] == '.')
			dot = i;
	memset(brief, ' ', DIR_SHORT_SIZE);
	base = shorten_part(name, start, dot, brief, BASE_SIZE);
	ext = shorten_part(name, dot + 1, name->n, brief + BASE_SIZE,
			   DIR_SHORT_SIZE - BASE_SIZE);
	if (start || brief[0] == ' ')
		return DIR_NAME_LOSSY;
	return MAX(base, ext);
}

void dir_name_number(uint8_t brief[DIR_SHORT_SIZE], unsigned int attempt,
		     uint32_t salt)
{
	unsigned int n = 0, keep = attempt < 4 ? 6 : 2;
	char tail[16];

	if (attempt < 4)
		snprintf(tail, sizeof(tail), "~%u", attempt + 1);
	else
		snprintf(tail, sizeof(tail), "%04X~%u",
			 (salt + (attempt - 4) / 9) & 0xffff,
			 (attempt - 4) % 9 + 1);
	while (n < keep && brief[n] != ' ')
		n++;
	memset(brief + n, ' ', BASE_SIZE - n);
	memcpy(brief + n, tail, strlen(tail));
}

/* --- Slots of long names ----------------------------------------------------------- */

static uint8_t checksum(const uint8_t brief[DIR_SHORT_SIZE])
{
	uint8_t sum = 0;

	for (unsigned int i = 0; i < DIR_SHORT_SIZE; i++)
		sum = (uint8_t)((sum << 7 | sum >> 1) + brief[i]);
	return sum;
}

static void put_units(struct span_writer *w, const struct dir_name *name,
		      unsigned int from, unsigned int n)
{
	for (unsigned int i = from; i < from + n; i++)
		span_put_le(w,
			    i < name->n	   ? name->units[i]
			    : i == name->n ? 0
					   : 0xffff,
			    2);
}

void dir_name_slot(const struct dir_name *name, unsigned int ordinal,
		   const uint8_t brief[DIR_SHORT_SIZE],
		   uint8_t slot[DIR_SLOT_SIZE])
{
	struct span_writer w = span_writer_of(slot, DIR_SLOT_SIZE);
	unsigned int from = (ordinal - 1) * 13;

	span_put_le(&w, ordinal | (from + 13 >= name->n ? 0x40 : 0), 1);
	put_units(&w, name, from, 5);
	span_put_le(&w, 0x0f, 1); /* the attribute of long names */
	span_put_le(&w, 0, 1);
	span_put_le(&w, checksum(brief), 1);
	put_units(&w, name, from + 5, 6);
	span_put_le(&w, 0, 2);
	put_units(&w, name, from + 11, 2);
}
