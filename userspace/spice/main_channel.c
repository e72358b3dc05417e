// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/main_channel.h"

#include <stdlib.h>
#include <string.h>

static struct main_channel *main_of(struct spice_channel *c)
{
	return container_of(c, struct main_channel, channel);
}

/* False: it does not fit, or has a NUL or worse in it. */
static bool copy_text(char *out, size_t size, const struct span *text)
{
	if (text->len >= size)
		return false;
	for (size_t i = 0; i < text->len; i++)
		if (text->p[i] < ' ' || text->p[i] == 0x7f)
			return false;
	if (text->len)
		memcpy(out, text->p, text->len);
	out[text->len] = '\0';
	return true;
}

static void move(struct main_channel *m, const struct spice_msg *msg)
{
	struct spice_destination to = { .port = msg->switch_host.port,
					.tls_port = msg->switch_host.tls_port };

	if ((!to.port && !to.tls_port) ||
	    !copy_text(to.host, sizeof(to.host), &msg->switch_host.host) ||
	    !copy_text(to.subject, sizeof(to.subject),
		       &msg->switch_host.subject))
		spice_channel_broken(
			&m->channel,
			"the server names no place that the virtual machine has moved to");
	else
		m->ops->moved(m, &to);
}

static void message(struct spice_channel *c, const struct spice_msg *msg)
{
	struct main_channel *m = main_of(c);
	char name[SPICE_MAX_TEXT];

	if (!m->greeted && msg->type != SPICE_MSG_MAIN_INIT) {
		spice_channel_broken(
			c, "the server does not begin with MAIN_INIT");
		return;
	}
	switch (msg->type) {
	case SPICE_MSG_MAIN_INIT:
		m->greeted = true;
		m->session = msg->session;
		spice_channel_send(c, SPICE_MSGC_MAIN_ATTACH_CHANNELS, NULL, 0);
		break;
	case SPICE_MSG_MAIN_CHANNELS_LIST:
		m->ops->channels(m, msg);
		break;
	case SPICE_MSG_MAIN_SWITCH_HOST:
		move(m, msg);
		break;
	case SPICE_MSG_MAIN_NAME:
		if (copy_text(name, sizeof(name), &msg->name) && *name)
			log_debug("%s: the virtual machine is \"%s\"", c->name,
				  name);
		break;
	case SPICE_MSG_DISCONNECTING:
		log_debug("%s: the server disconnects (%u)", c->name,
			  msg->disconnect_reason);
		break;
	}
}

static void ended(struct spice_channel *c, int status, const char *why)
{
	struct main_channel *m = main_of(c);

	m->ops->ended(m, status, why);
}

static void closed(struct spice_channel *c)
{
	struct main_channel *m = main_of(c);

	m->ops->closed(m);
	free(m);
}

static const struct spice_channel_ops channel_ops = {
	.message = message,
	.ended = ended,
	.closed = closed,
};

int main_channel_create(struct transport *t,
			const struct spice_channel_link *link,
			const struct main_channel_ops *ops, void *owner,
			struct main_channel **out)
{
	/* Not cleared: most of it is staging. */
	struct main_channel *m = malloc(sizeof(*m));

	if (!m)
		return -ENOMEM;
	memset(m, 0, offsetof(struct main_channel, channel));
	m->ops = ops;
	m->owner = owner;
	spice_channel_init(&m->channel, &channel_ops, t, link);
	*out = m;
	return 0;
}

void main_channel_close(struct main_channel *m)
{
	spice_channel_close(&m->channel);
}
