// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAIN_CAPS SPICE_MAIN_CAP_NAME_AND_UUID
#define COMMON_CAPS                                                            \
	(SPICE_COMMON_CAP_AUTH_SELECTION | SPICE_COMMON_CAP_AUTH_SPICE |       \
	 SPICE_COMMON_CAP_AUTH_SASL | SPICE_COMMON_CAP_MINI_HEADER)

static void settle(struct spice_client *c)
{
	loop_post(c->loop, &c->settle);
}

static int64_t doubled(int64_t delay)
{
	return MIN(delay * 2, SPICE_RETRY_LAST_MS);
}

/* No attempt will make it better. */
static void give_up(struct spice_client *c, const char *why)
{
	if (c->failed)
		return;
	log_err("%s: %s", c->access.name, why);
	c->failed = true;
	c->ops->failed(c);
}

/* --- Channels --------------------------------------------------------------------------- */

static unsigned int index_of(const struct spice_slot *slot)
{
	return (unsigned int)(slot - slot->client->slots);
}

static bool is_alive(const struct spice_client *c)
{
	return c->main && !c->main_closing && !c->closing;
}

static void dial_slot(struct timer *timer)
{
	struct spice_slot *slot = container_of(timer, struct spice_slot, retry);
	struct spice_client *c = slot->client;
	const struct spice_link link = {
		.session = c->main->session,
		.type = SPICE_CHANNEL_USBREDIR,
		.id = slot->id,
		.common = COMMON_CAPS,
		.channel = c->lz4 == SPICE_LZ4_NEVER ? 0 : SPICE_VMC_CAP_LZ4,
	};

	spice_dial(&slot->dialer, &link);
}

static void retry_slot(struct spice_slot *slot)
{
	struct spice_client *c = slot->client;

	if (!is_alive(c) || !slot->wanted || slot->up || slot->dialer.busy)
		return;
	timer_start(c->loop, &slot->retry, slot->delay);
	slot->delay = slot->delay ? doubled(slot->delay) : SPICE_RETRY_FIRST_MS;
}

static void slot_trouble(struct spice_slot *slot, const char *why)
{
	if (!slot->told)
		log_warn(
			"%s: usbredir channel %u: %s; trying again until it works",
			slot->client->access.name, slot->id, why);
	slot->told = true;
}

static void slot_connected(struct spice_dialer *d, struct transport *t,
			   const struct spice_channel_link *link, int status,
			   const char *why)
{
	struct spice_slot *slot = container_of(d, struct spice_slot, dialer);
	struct spice_client *c = slot->client;
	struct transport *vmc;

	if (!status && !is_alive(c)) {
		transport_close(t);
		status = -ECANCELED;
	}
	if (!status) {
		status = vmc_create(t, link, c->lz4, c->pool, &vmc);
		if (status < 0) {
			transport_close(t);
			why = strerror(-status);
		}
	}
	if (!status) {
		slot->up = true;
		c->served = true;
		c->ops->channel(c, index_of(slot), vmc);
		return;
	}
	/* What has worked once may do so again, and others work meanwhile. */
	if (is_alive(c) && !c->served &&
	    (status == -EACCES || status == -EPROTO)) {
		give_up(c, why);
		return;
	}
	if (is_alive(c))
		slot_trouble(slot, why);
	retry_slot(slot);
	settle(c);
}

void spice_client_channel_ended(struct spice_client *c, unsigned int n,
				bool good, bool silent)
{
	struct spice_slot *slot = &c->slots[n];

	slot->up = false;
	if (good) {
		slot->delay = SPICE_RETRY_FIRST_MS;
		slot->told = false;
	} else if (silent && is_alive(c)) {
		slot_trouble(
			slot,
			"the server closed it at once; another client has it, or the virtual machine is not ready");
	}
	retry_slot(slot);
	settle(c);
}

static int by_id(const void *a, const void *b)
{
	return *(const uint8_t *)a - *(const uint8_t *)b;
}

/* The n-th device goes to the n-th channel. */
static void assign(struct spice_client *c, const struct spice_msg *list)
{
	uint8_t ids[SPICE_MAX_CHANNELS];
	unsigned int n = 0;

	for (uint32_t i = 0; i < list->channels.n; i++)
		if (list->channels.id[i].type == SPICE_CHANNEL_USBREDIR)
			ids[n++] = list->channels.id[i].id;
	qsort(ids, n, sizeof(*ids), by_id);
	if (n < c->n_slots && !c->few) {
		c->ops->few(c, n);
		c->few = true;
	}
	for (unsigned int i = 0; i < c->n_slots; i++) {
		struct spice_slot *slot = &c->slots[i];

		slot->wanted = i < n;
		if (i < n && !timer_running(&slot->retry)) {
			slot->id = ids[i];
			retry_slot(slot);
		}
	}
}

/* --- The main channel -------------------------------------------------------------------- */

static void main_channels(struct main_channel *m, const struct spice_msg *list)
{
	struct spice_client *c = m->owner;

	if (c->told || !c->ever)
		log_info(
			"%s: connected%s", c->access.name,
			c->ever ? " again"
				: "; it has one client at a time: a viewer that it had is disconnected");
	timer_stop(&c->silence);
	c->ever = true;
	c->told = false;
	assign(c, list);
}

static void stop_dialing(struct spice_dialer *d)
{
	/* Not waited for when a name server is dead. */
	if (d->busy && !spice_dialer_cancel(d))
		d->busy = false;
}

/* No channel comes up any more. */
static void stop_slots(struct spice_client *c)
{
	for (unsigned int i = 0; i < c->n_slots; i++) {
		struct spice_slot *slot = &c->slots[i];

		timer_stop(&slot->retry);
		slot->delay = 0;
		slot->wanted = false;
		stop_dialing(&slot->dialer);
	}
}

/* Ends the session; what comes after that, settle_task() decides. */
static void drop_main(struct spice_client *c)
{
	if (!is_alive(c))
		return;
	c->main_closing = true;
	timer_stop(&c->silence);
	if (loop_now(c->loop) - c->since >= SPICE_GOOD_MS)
		c->delay = 0;
	main_channel_close(c->main);
	stop_slots(c);
	for (unsigned int i = 0; i < c->n_slots; i++)
		if (c->slots[i].up)
			c->ops->drop(c, i);
}

static void main_moved(struct main_channel *m,
		       const struct spice_destination *destination)
{
	struct spice_client *c = m->owner;

	c->moved = *destination;
	drop_main(c);
}

static void main_ended(struct main_channel *m, int status, const char *why)
{
	struct spice_client *c = m->owner;

	if (c->closing)
		return;
	if (status == -EPROTO && !c->ever) {
		give_up(c, why);
		return;
	}
	if (!c->told)
		log_warn("%s: the session ended: %s%s; connecting again",
			 c->access.name, why,
			 status ? "" : " (maybe for another client)");
	c->told = true;
	drop_main(c);
}

/* It links, and then has nothing to say. */
static void main_silent(struct timer *timer)
{
	struct spice_client *c =
		container_of(timer, struct spice_client, silence);

	main_ended(c->main, -ETIMEDOUT, "it does not answer");
}

static void main_closed(struct main_channel *m)
{
	struct spice_client *c = m->owner;

	c->main = NULL;
	settle(c);
}

static const struct main_channel_ops main_ops = {
	.channels = main_channels,
	.moved = main_moved,
	.ended = main_ended,
	.closed = main_closed,
};

static void main_connected(struct spice_dialer *d, struct transport *t,
			   const struct spice_channel_link *link, int status,
			   const char *why)
{
	struct spice_client *c = container_of(d, struct spice_client, dialer);

	if (!status && c->closing) {
		transport_close(t);
		status = -ECANCELED;
	}
	if (!status) {
		status = main_channel_create(t, link, &main_ops, c, &c->main);
		if (status < 0) {
			transport_close(t);
			why = strerror(-status);
		}
	}
	if (!status) {
		c->main_closing = false;
		c->since = loop_now(c->loop);
		timer_start(c->loop, &c->silence, SPICE_LINK_MS);
		return;
	}
	/* What the server is does not change; a password may expire. */
	if (!c->closing &&
	    (status == -EACCES || (status == -EPROTO && !c->ever))) {
		give_up(c, why);
		return;
	}
	if (!c->closing && !c->told) {
		log_warn("%s: cannot connect: %s; trying again until it works",
			 c->access.name, why);
		c->told = true;
	}
	settle(c);
}

static void dial_main(struct timer *timer)
{
	struct spice_client *c =
		container_of(timer, struct spice_client, retry);
	const struct spice_link link = { .type = SPICE_CHANNEL_MAIN,
					 .common = COMMON_CAPS,
					 .channel = MAIN_CAPS };

	spice_dial(&c->dialer, &link);
}

/* --- Migration ---------------------------------------------------------------------------- */

/* Nothing of the old session is left. */
static void follow(struct spice_client *c)
{
	struct spice_destination to = c->moved;
	struct spice_access *a = &c->access, next;
	struct spice_server *s = &c->server;
	char why[256];
	int ret;

	c->moved.host[0] = '\0';
	/* Never from TLS to plain. */
	if (s->tls_port && !to.tls_port) {
		give_up(c,
			"the virtual machine has moved to a place without TLS");
		return;
	}
	/* But from plain to TLS, where there is nothing else. */
	s->tls_port = s->tls_port || !to.port ? to.tls_port : 0;
	s->port = to.port;
	free(s->unix_path);
	s->unix_path = NULL;
	free(s->title);
	s->title = NULL;
	ret = spice_server_set(&s->host, to.host);
	if (!ret && to.subject[0])
		ret = spice_server_set(&s->subject, to.subject);
	if (!ret)
		ret = spice_access_init(&next, a->loop, a->worker, s,
					a->capture, why, sizeof(why));
	else
		strcpy(why, strerror(-ret));
	if (ret < 0) {
		give_up(c, why);
		return;
	}
	log_limited(&c->complaints, LOG_LEVEL_INFO,
		    "%s: the virtual machine has moved to %s", a->name,
		    next.name);
	spice_access_fini(a);
	*a = next;
}

/* --- Life --------------------------------------------------------------------------------- */

static bool slots_settled(const struct spice_client *c)
{
	for (unsigned int i = 0; i < c->n_slots; i++)
		if (c->slots[i].up || c->slots[i].dialer.busy)
			return false;
	return true;
}

/* What to do when nothing is going on any more. */
static void settle_task(struct task *task)
{
	struct spice_client *c =
		container_of(task, struct spice_client, settle);

	if (!slots_settled(c) || c->over)
		return;
	if (c->closing && c->main && !c->main_closing) {
		c->main_closing = true;
		timer_stop(&c->silence);
		main_channel_close(c->main);
	}
	if (c->main || c->dialer.busy)
		return;
	if (c->closing) {
		c->over = true;
		c->ops->closed(c);
		return;
	}
	if (timer_running(&c->retry))
		return;
	if (c->moved.host[0] && !c->failed)
		follow(c);
	if (c->failed)
		return;
	timer_start(c->loop, &c->retry, c->delay);
	c->delay = c->delay ? doubled(c->delay) : SPICE_RETRY_FIRST_MS;
}

int spice_client_init(struct spice_client *c,
		      const struct spice_client_ops *ops, struct loop *loop,
		      struct worker *worker, struct bufpool *pool,
		      const struct spice_client_options *options, char *why,
		      size_t size)
{
	int ret;

	*c = (struct spice_client){ .ops = ops,
				    .loop = loop,
				    .pool = pool,
				    .lz4 = options->lz4,
				    .n_slots = options->devices };
	timer_init(&c->retry, dial_main);
	timer_init(&c->silence, main_silent);
	task_init(&c->settle, settle_task);
	c->slots = calloc(c->n_slots + 1, sizeof(*c->slots));
	snprintf(why, size, "%s", strerror(ENOMEM));
	ret = c->slots ? spice_server_copy(&c->server, options->server)
		       : -ENOMEM;
	if (!ret)
		ret = spice_access_init(&c->access, loop, worker, &c->server,
					options->capture, why, size);
	if (ret < 0) {
		spice_server_fini(&c->server);
		free(c->slots);
		c->slots = NULL;
		return ret;
	}
	spice_dialer_init(&c->dialer, &c->access, main_connected);
	for (unsigned int i = 0; i < c->n_slots; i++) {
		struct spice_slot *slot = &c->slots[i];

		slot->client = c;
		spice_dialer_init(&slot->dialer, &c->access, slot_connected);
		timer_init(&slot->retry, dial_slot);
	}
	settle(c);
	return 0;
}

void spice_client_close(struct spice_client *c)
{
	if (c->closing)
		return;
	c->closing = true;
	timer_stop(&c->retry);
	stop_dialing(&c->dialer);
	stop_slots(c);
	settle(c);
}

void spice_client_fini(struct spice_client *c)
{
	spice_access_fini(&c->access);
	spice_server_fini(&c->server);
	free(c->slots);
	c->slots = NULL;
}
