// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_filter.h"

#include <stdlib.h>
#include <string.h>

#include "frontend/redir_send.h"
#include "wire/filter.h"

_Static_assert(USB_MAX_INTERFACES <= FILTER_MAX_INTERFACES,
	       "a filter sees all interfaces of a device");

void redir_filter_send(struct redir_session *s)
{
	const struct filter *filter = s->registry->filter;
	struct usbredir_msg msg = { .type = USBREDIR_FILTER_FILTER };
	struct buf *buf;

	/*
	 * QEMU has the capability, for its own filter, but nobody in it who
	 * listens to ours: the guest would end there, by a call of NULL (seen
	 * with 7.2).
	 */
	if (!filter || !(s->caps & USBREDIR_CAP_FILTER) || s->is_qemu)
		return;
	buf = bufpool_get(s->base.pool, FILTER_MAX_TEXT);
	if (!buf) {
		redir_fail(s, "out of memory");
		return;
	}
	msg.data_len = (uint32_t)filter_print(filter, (char *)buf->data) + 1;
	redir_send_data(s, &msg, buf, 0);
}

void redir_filter_take(struct redir_session *s, const uint8_t *text,
		       uint32_t len)
{
	struct filter *filter;

	if (usbredir_check_filter(span_of(text, len)) < 0) {
		log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
			    "%s: the guest sent a filter that is not one",
			    s->base.peer);
		return;
	}
	filter = malloc(sizeof(*filter));
	if (!filter || filter_parse(span_of(text, len - 1), filter) < 0) {
		free(filter);
		log_limited(
			&s->registry->complaints, LOG_LEVEL_WARN,
			"%s: the guest's filter \"%.400s\" is not understood; it will have to reject by itself",
			s->base.peer, (const char *)text);
		return;
	}
	free(s->filter);
	s->filter = filter;
	log_limited(
		&s->registry->complaints, LOG_LEVEL_INFO,
		"%s: the guest takes only devices that pass its filter \"%.400s\"",
		s->base.peer, (const char *)text);
}

static struct filter_device describe(const struct usb_info *info)
{
	struct filter_device device = {
		.class = { info->class, info->subclass, info->protocol },
		.vendor = info->vendor,
		.product = info->product,
		.version = info->bcd_device,
		.n_interfaces = info->n_interfaces,
	};

	for (unsigned int i = 0; i < info->n_interfaces; i++)
		device.interface[i] = (struct filter_class){
			info->interface[i].class,
			info->interface[i].subclass,
			info->interface[i].protocol,
		};
	return device;
}

bool redir_filter_allows(const struct redir_session *s)
{
	const struct usb_info *info = &s->device->info;
	struct filter_device device = describe(info);
	char text[FILTER_RULE_TEXT] = "no rule allows it";
	const struct filter_rule *rule;

	if (!s->filter || !filter_check(s->filter, &device, 0, &rule))
		return true;
	if (rule)
		filter_print_rule(rule, text);
	log_limited(
		&s->registry->complaints, LOG_LEVEL_WARN,
		"%s: %s (%04x:%04x) is not for this guest: its filter denies it (%s)",
		s->base.peer, s->device->name, info->vendor, info->product,
		text);
	return false;
}

bool redir_filter_remember(struct redir_session *s)
{
	if (s->n_rejected == REDIR_MAX_REJECTED)
		return false;
	s->rejected[s->n_rejected++] = s->device->appearance;
	return true;
}

bool redir_filter_declines(const struct registry_waiter *waiter,
			   const struct usb_device *device)
{
	const struct redir_session *s =
		container_of(waiter, struct redir_session, waiter);

	for (unsigned int i = 0; i < s->n_rejected; i++)
		if (s->rejected[i] == device->appearance)
			return true;
	return false;
}
