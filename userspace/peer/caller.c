// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/caller.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static void next(struct caller *c)
{
	timer_start(c->loop, &c->retry, c->delay);
	c->delay = MIN(c->delay * 2, CALLER_LAST_MS);
}

/* What was going on when it was stopped is over. */
static void rest(struct caller *c)
{
	if (c->rest_due)
		c->rested(c);
}

static void failed(struct caller *c, const char *why)
{
	if (c->stopped) {
		rest(c);
		return;
	}
	/* Once, and again when it is for another reason. */
	if (strncmp(c->told, why, sizeof(c->told) - 1) != 0)
		log_warn("%s: cannot connect: %s; trying again until it works",
			 c->dialer.address.text, why);
	snprintf(c->told, sizeof(c->told), "%s", why);
	next(c);
}

/* Takes t. */
static void answered(struct caller *c, struct transport *t)
{
	if (c->stopped) {
		transport_close(t);
		rest(c);
		return;
	}
	if (c->told[0])
		log_info("%s: connected", c->dialer.address.text);
	c->told[0] = '\0';
	c->connected(c, t);
}

static void tls_done(struct transport_step *step, struct transport *t,
		     int status, const char *why)
{
	struct caller *c = step->owner;

	c->step = NULL;
	timer_stop(&c->deadline);
	if (status < 0)
		failed(c, c->late ? "it does not answer with TLS" : why);
	else
		answered(c, t);
}

static void too_late(struct timer *timer)
{
	struct caller *c = container_of(timer, struct caller, deadline);

	c->late = true;
	c->step->cancel(c->step);
}

static void dialed(struct socket_dialer *d, struct transport *t, int status,
		   const char *why)
{
	struct caller *c = container_of(d, struct caller, dialer);

	if (status < 0) {
		failed(c, why);
		return;
	}
	if (!c->tls || c->stopped) {
		answered(c, t);
		return;
	}
	if (tls_start(c->tls, t, tls_done, c, &c->step) < 0) {
		c->step = NULL;
		transport_close(t);
		failed(c, "out of memory");
		return;
	}
	c->late = false;
	timer_start(c->loop, &c->deadline, CALLER_TLS_MS);
}

static void call(struct timer *timer)
{
	socket_dial(&container_of(timer, struct caller, retry)->dialer);
}

void caller_init(struct caller *c, struct loop *loop, struct worker *worker,
		 const struct socket_address *address, struct tls_context *tls,
		 void (*connected)(struct caller *c, struct transport *t),
		 void (*rested)(struct caller *c))
{
	*c = (struct caller){
		.loop = loop,
		.tls = tls,
		.delay = CALLER_FIRST_MS,
		.connected = connected,
		.rested = rested,
	};
	timer_init(&c->retry, call);
	timer_init(&c->deadline, too_late);
	socket_dialer_init(&c->dialer, loop, worker, address, dialed);
}

void caller_start(struct caller *c)
{
	timer_start(c->loop, &c->retry, 0);
}

void caller_again(struct caller *c, bool good)
{
	if (c->stopped)
		return;
	if (good)
		c->delay = CALLER_FIRST_MS;
	next(c);
}

bool caller_stop(struct caller *c)
{
	c->stopped = true;
	timer_stop(&c->retry);
	if (c->step) {
		c->step->cancel(c->step);
		c->rest_due = true;
	} else if (c->dialer.busy) {
		/* Its name server may be dead: that is not waited for. */
		c->rest_due = socket_dialer_cancel(&c->dialer);
	}
	return c->rest_due;
}
