// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Filter rules from an untrusted peer: any text. Rules that are read print to
 * text that reads as the same rules, and the bounds hold.
 */
#include <stdlib.h>

#include "wire/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Stops where a fuzzer sees it, with assertions compiled in or not. */
static void require(bool holds)
{
	if (!holds)
		abort();
}

static bool same(const struct filter_rule *a, const struct filter_rule *b)
{
	return a->class == b->class && a->vendor == b->vendor &&
	       a->product == b->product && a->version == b->version &&
	       a->allow == b->allow;
}

static void check_rule(const struct filter_rule *rule)
{
	require(rule->class >= FILTER_ANY && rule->class <= 0xff);
	require(rule->vendor >= FILTER_ANY && rule->vendor <= 0xffff);
	require(rule->product >= FILTER_ANY && rule->product <= 0xffff);
	require(rule->version >= FILTER_ANY && rule->version <= 0xffff);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct filter_device device = { .n_interfaces = 1 };
	const struct filter_rule *rule = NULL;
	struct filter filter, again;
	char text[FILTER_MAX_TEXT];
	size_t len;
	int ret;

	if (filter_parse(span_of(data, size), &filter) < 0)
		return 0;
	require(filter.n <= FILTER_MAX_RULES);
	len = filter_print(&filter, text);
	require(len < sizeof(text) && strlen(text) == len);
	require(!filter_parse(span_of(text, len), &again));
	require(again.n == filter.n);
	for (unsigned int i = 0; i < filter.n; i++) {
		check_rule(&filter.rule[i]);
		require(same(&filter.rule[i], &again.rule[i]));
	}
	if (size)
		device.interface[0].class = data[0];
	ret = filter_check(&filter, &device, 0, &rule);
	require((ret == -EPERM) == !!rule);
	return 0;
}
