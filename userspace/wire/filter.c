// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/filter.h"

#include <assert.h>

/* bDeviceClass: "look at the interfaces", and how those belong together. */
#define CLASS_PER_INTERFACE 0x00
#define CLASS_MISCELLANEOUS 0xef
#define CLASS_HID 0x03

/* --- Text ---------------------------------------------------------------------- */

/* What is in front of the next sep; that goes, too. */
static struct span cut(struct span *in, char sep)
{
	const uint8_t *end = in->len ? memchr(in->p, sep, in->len) : NULL;
	size_t len = end ? (size_t)(end - in->p) : in->len;
	struct span piece = span_of(in->p, len);

	span_take(in, end ? len + 1 : len);
	return piece;
}

/* The value of a digit, or base when it is none. */
static int32_t digit_of(uint8_t c, int32_t base)
{
	int32_t digit = base;

	if (c >= '0' && c <= '9')
		digit = c - '0';
	else if (c >= 'a' && c <= 'f')
		digit = c - 'a' + 10;
	else if (c >= 'A' && c <= 'F')
		digit = c - 'A' + 10;
	return MIN(digit, base);
}

static int parse_number(struct span text, int32_t max, int32_t *out)
{
	int32_t base = 10, value = 0;

	if (text.len > 2 && text.p[0] == '0' && (text.p[1] | 0x20) == 'x') {
		base = 16;
		span_take(&text, 2);
	} else if (text.len > 1 && text.p[0] == '0') {
		return -EINVAL; /* octal to some */
	}
	if (!text.len)
		return -EINVAL;
	for (size_t i = 0; i < text.len; i++) {
		int32_t digit = digit_of(text.p[i], base);

		if (digit == base)
			return -EINVAL;
		value = value * base + digit;
		if (value > max)
			return -EINVAL;
	}
	*out = value;
	return 0;
}

static int parse_field(struct span text, int32_t max, int32_t *out)
{
	if (text.len == 2 && !memcmp(text.p, "-1", 2)) {
		*out = FILTER_ANY;
		return 0;
	}
	return parse_number(text, max, out);
}

static int parse_rule(struct span text, struct filter_rule *rule)
{
	struct {
		int32_t *value;
		int32_t max;
	} fields[] = {
		{ &rule->class, UINT8_MAX },
		{ &rule->vendor, UINT16_MAX },
		{ &rule->product, UINT16_MAX },
		{ &rule->version, UINT16_MAX },
	};
	int32_t allow;
	int ret = 0;

	for (size_t i = 0; !ret && i < ARRAY_SIZE(fields); i++)
		ret = parse_field(cut(&text, ','), fields[i].max,
				  fields[i].value);
	/* Whatever is left is the last field. */
	if (!ret)
		ret = parse_number(text, UINT8_MAX, &allow);
	if (!ret)
		rule->allow = allow;
	return ret;
}

int filter_parse(struct span text, struct filter *filter)
{
	filter->n = 0;
	while (text.len) {
		struct span rule = cut(&text, '|');
		int ret;

		if (!rule.len)
			continue;
		if (filter->n == FILTER_MAX_RULES)
			return -E2BIG;
		ret = parse_rule(rule, &filter->rule[filter->n]);
		if (ret < 0)
			return ret;
		filter->n++;
	}
	return 0;
}

static void print_field(struct span_writer *w, int32_t value, int digits)
{
	if (value == FILTER_ANY) {
		span_put(w, "-1,", 3);
		return;
	}
	span_put(w, "0x", 2);
	while (digits--)
		span_put(w, &"0123456789abcdef"[value >> (4 * digits) & 15], 1);
	span_put(w, ",", 1);
}

static void print_rule(struct span_writer *w, const struct filter_rule *rule)
{
	print_field(w, rule->class, 2);
	print_field(w, rule->vendor, 4);
	print_field(w, rule->product, 4);
	print_field(w, rule->version, 4);
	span_put(w, rule->allow ? "1" : "0", 1);
}

/* The length without the NUL. */
static size_t terminate(struct span_writer *w)
{
	span_put_zero(w, 1);
	assert(!w->bad);
	return w->len - 1;
}

size_t filter_print_rule(const struct filter_rule *rule, char *out)
{
	struct span_writer w = span_writer_of(out, FILTER_RULE_TEXT);

	print_rule(&w, rule);
	return terminate(&w);
}

size_t filter_print(const struct filter *filter, char *out)
{
	struct span_writer w = span_writer_of(out, FILTER_MAX_TEXT);

	for (unsigned int i = 0; i < filter->n; i++) {
		if (i)
			span_put(&w, "|", 1);
		print_rule(&w, &filter->rule[i]);
	}
	return terminate(&w);
}

/* --- Checking ------------------------------------------------------------------- */

static bool field_matches(int32_t field, int32_t value)
{
	return field == FILTER_ANY || field == value;
}

static bool rule_matches(const struct filter_rule *rule,
			 const struct filter_device *device, uint8_t class)
{
	return field_matches(rule->class, class) &&
	       field_matches(rule->vendor, device->vendor) &&
	       field_matches(rule->product, device->product) &&
	       field_matches(rule->version, device->version);
}

static int check_class(const struct filter *filter,
		       const struct filter_device *device, uint8_t class,
		       unsigned int flags, const struct filter_rule **decided)
{
	for (unsigned int i = 0; i < filter->n; i++) {
		const struct filter_rule *rule = &filter->rule[i];

		if (!rule_matches(rule, device, class))
			continue;
		if (!rule->allow && decided)
			*decided = rule;
		return rule->allow ? 0 : -EPERM;
	}
	return flags & FILTER_DEFAULT_ALLOW ? 0 : -ENOENT;
}

static bool is_non_boot_hid(const struct filter_class *interface)
{
	return interface->class == CLASS_HID && !interface->subclass &&
	       !interface->protocol;
}

/* May non-boot HID interfaces be passed over? Not when there is nothing else. */
static bool passes_over_hid(const struct filter_device *device,
			    unsigned int flags)
{
	if (flags & FILTER_ALL_INTERFACES)
		return false;
	for (unsigned int i = 0; i < device->n_interfaces; i++)
		if (!is_non_boot_hid(&device->interface[i]))
			return true;
	return false;
}

int filter_check(const struct filter *filter,
		 const struct filter_device *device, unsigned int flags,
		 const struct filter_rule **rule)
{
	bool passes_over = passes_over_hid(device, flags);
	uint8_t class = device->class.class;
	int ret = 0;

	if (rule)
		*rule = NULL;
	if (class != CLASS_PER_INTERFACE && class != CLASS_MISCELLANEOUS)
		ret = check_class(filter, device, class, flags, rule);
	for (unsigned int i = 0; !ret && i < device->n_interfaces; i++) {
		const struct filter_class *interface = &device->interface[i];

		if (!passes_over || !is_non_boot_hid(interface))
			ret = check_class(filter, device, interface->class,
					  flags, rule);
	}
	return ret;
}
