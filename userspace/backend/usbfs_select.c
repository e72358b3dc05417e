// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_select.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/usbdesc.h"

/* digits of this base, no more and no fewer than between min and max */
static bool number(const char **p, int base, size_t min, size_t max,
		   unsigned long *value)
{
	size_t n = 0;
	char digits[9];

	while (n < max && n < sizeof(digits) - 1 &&
	       (base == 16 ? isxdigit((unsigned char)(*p)[n])
			   : isdigit((unsigned char)(*p)[n]))) {
		digits[n] = (*p)[n];
		n++;
	}
	digits[n] = '\0';
	*p += n;
	*value = strtoul(digits, NULL, base);
	return n >= min;
}

/* "1-4.2": a bus, and the ports on the way to the device */
static bool is_port(const char *text)
{
	unsigned long n;

	if (!number(&text, 10, 1, 3, &n) || *text++ != '-')
		return false;
	while (number(&text, 10, 1, 3, &n))
		if (!*text)
			return true;
		else if (*text++ != '.')
			return false;
	return false;
}

static bool parse_id(struct usbfs_selector *s, const char *text)
{
	unsigned long vendor, product;

	if (!number(&text, 16, 1, 4, &vendor) || *text++ != ':' ||
	    !number(&text, 16, 1, 4, &product) || *text)
		return false;
	s->by_id = true;
	s->vendor = (uint16_t)vendor;
	s->product = (uint16_t)product;
	return true;
}

static bool parse_dev(struct usbfs_selector *s, const char *text)
{
	unsigned long bus, dev;

	if (!number(&text, 10, 1, 3, &bus) || *text++ != '-' ||
	    !number(&text, 10, 1, 3, &dev) || *text)
		return false;
	s->by_dev = true;
	s->bus = (unsigned int)bus;
	s->dev = (unsigned int)dev;
	return true;
}

static bool parse_class(struct usbfs_selector *s, const char *text)
{
	unsigned long class;

	if (!number(&text, 16, 1, 2, &class) || *text)
		return false;
	s->by_class = true;
	s->class = (uint8_t) class;
	return true;
}

static bool parse_text(char *to, size_t size, const char *text)
{
	return *text && (size_t)snprintf(to, size, "%s", text) < size;
}

static bool parse_word(struct usbfs_selector *s, const char *word)
{
	if (!strcmp(word, "noreset"))
		return s->no_reset = true;
	if (!strncmp(word, "serial=", 7))
		return parse_text(s->serial, sizeof(s->serial), word + 7);
	if (!strncmp(word, "class=", 6))
		return parse_class(s, word + 6);
	if (!strncmp(word, "port=", 5))
		return is_port(word + 5) &&
		       parse_text(s->port, sizeof(s->port), word + 5);
	if (strchr(word, ':'))
		return parse_id(s, word);
	if (strchr(word, '.'))
		return is_port(word) &&
		       parse_text(s->port, sizeof(s->port), word);
	return parse_dev(s, word);
}

int usbfs_selector_parse(struct usbfs_selector *s, const char *text,
			 const char **why)
{
	char word[sizeof(s->text)];

	*s = (struct usbfs_selector){ 0 };
	*why = "names no USB device: VID:PID, BUS-DEV, BUS-PORT.PORT, serial=TEXT or class=HH";
	if ((size_t)snprintf(s->text, sizeof(s->text), "%s", text) >=
	    sizeof(s->text))
		return -EINVAL;
	for (;;) {
		size_t n = strcspn(text, ",");

		memcpy(word, text, n);
		word[n] = '\0';
		if (!parse_word(s, word))
			return -EINVAL;
		if (!text[n])
			break;
		text += n + 1;
	}
	return s->by_id || s->by_dev || s->by_class || *s->port || *s->serial
		       ? 0
		       : -EINVAL;
}

static bool has_class(const struct usbfs_place *place, uint8_t class)
{
	return place->class == class ||
	       place->interface_classes[class / 32] >> class % 32 & 1;
}

bool usbfs_selector_matches(const struct usbfs_selector *s,
			    const struct usbfs_place *place)
{
	/* What is behind a hub can be given away, it cannot. */
	if (place->class == USBDESC_CLASS_HUB)
		return false;
	return (!s->by_id ||
		(s->vendor == place->vendor && s->product == place->product)) &&
	       (!s->by_dev || (s->bus == place->bus && s->dev == place->dev)) &&
	       (!s->by_class || has_class(place, s->class)) &&
	       (!*s->port || !strcmp(s->port, place->port)) &&
	       (!*s->serial || !strcmp(s->serial, place->serial));
}

bool usbfs_place_no_reset(const struct usbfs_place *place)
{
	static const struct {
		uint16_t vendor, product;
	} list[] = {
		{ 0x1210, 0x001c }, /* DigiTech guitar processor */
		{ 0x2798, 0x0001 }, /* Novint Falcon */
	};

	for (size_t i = 0; i < sizeof(list) / sizeof(*list); i++)
		if (list[i].vendor == place->vendor &&
		    list[i].product == place->product)
			return true;
	return false;
}

void usbfs_place_name(const struct usbfs_place *place, char *name, size_t size)
{
	snprintf(name, size, "%04x:%04x%s%.20s%s%.30s (%s)", place->vendor,
		 place->product, *place->maker ? " " : "", place->maker,
		 *place->model ? " " : "", place->model, place->port);
}
