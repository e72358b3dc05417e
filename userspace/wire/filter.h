/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * usbredir's filter rules: which devices may be redirected. Pure.
 *
 * The text (usbredir 0.7, section "usb_redir_filter_filter") is rules joined
 * by '|', each "class,vendor,product,version,allow", numbers decimal or with
 * 0x hexadecimal, -1 for any. The first rule that matches decides.
 *
 * Stricter than libusbredirparser, which reads by strtok() and strtol(): no
 * octal, no blanks, no empty fields. Empty rules, as behind a last '|', are
 * skipped by both.
 */
#ifndef WIRE_FILTER_H
#define WIRE_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/span.h"

#define FILTER_MAX_RULES 64
#define FILTER_MAX_INTERFACES 32
#define FILTER_ANY (-1)

/* A text of FILTER_MAX_RULES rules, its terminating NUL included. */
#define FILTER_RULE_TEXT sizeof("0xff,0xffff,0xffff,0xffff,1")
#define FILTER_MAX_TEXT (FILTER_MAX_RULES * FILTER_RULE_TEXT)

struct filter_rule { /* FILTER_ANY, or a value of the field's width */
	int32_t class, vendor, product, version;
	bool allow;
};

struct filter {
	unsigned int n;
	struct filter_rule rule[FILTER_MAX_RULES];
};

struct filter_class {
	uint8_t class, subclass, protocol;
};

struct filter_device {
	struct filter_class class;
	uint16_t vendor, product, version; /* version: bcdDevice */
	unsigned int n_interfaces;
	struct filter_class interface[FILTER_MAX_INTERFACES];
};

/* What no rule matches is allowed, instead of denied. */
#define FILTER_DEFAULT_ALLOW 1u
/* See filter_check(). */
#define FILTER_ALL_INTERFACES 2u

/* text need not be terminated. -EINVAL, -E2BIG: more than the most rules. */
int must_check filter_parse(struct span text, struct filter *filter);

/*
 * Checks a device's own class, unless it is 0x00 or 0xef (look at the
 * interfaces), and the class of each interface; all must be allowed. A
 * non-boot HID interface (the volume keys of a headset) is passed over when
 * there are interfaces that are none, but for FILTER_ALL_INTERFACES.
 *
 * 0, or -EPERM: *rule, if not NULL, denies it; or -ENOENT: none matches (some
 * class of) it.
 */
int must_check filter_check(const struct filter *filter,
			    const struct filter_device *device,
			    unsigned int flags,
			    const struct filter_rule **rule);

/* out holds FILTER_MAX_TEXT bytes; returns the length without the NUL. */
size_t filter_print(const struct filter *filter, char *out);
/* out holds FILTER_RULE_TEXT bytes. */
size_t filter_print_rule(const struct filter_rule *rule, char *out);

#endif
