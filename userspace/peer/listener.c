// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/listener.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"

struct listener_handshake {
	struct list node; /* on listener->handshakes */
	struct listener *listener;
	struct transport_step *step;
	struct timer deadline;
	const char *ended; /* by us, and why; NULL: it goes on */
	char peer[128];
};

static void check_closed(struct listener *l)
{
	if (l->closing && !l->n_handshakes)
		l->closed(l);
}

static void complain(struct listener *l, const char *peer, const char *why)
{
	if (!l->closing)
		log_limited(&l->complaints, LOG_LEVEL_WARN,
			    "%s: connection refused: %s", peer, why);
}

static void shaken(struct transport_step *step, struct transport *t, int status,
		   const char *why)
{
	struct listener_handshake *h = step->owner;
	struct listener *l = h->listener;

	timer_stop(&h->deadline);
	list_remove(&h->node);
	l->n_handshakes--;
	if (status < 0)
		complain(l, h->peer, h->ended ? h->ended : why);
	else if (l->closing)
		transport_close(t);
	else
		l->accepted(l, t);
	free(h);
	check_closed(l);
}

static void end_handshake(struct listener_handshake *h, const char *why)
{
	if (!h->ended)
		h->step->cancel(h->step); /* it ends later */
	h->ended = why;
}

static void too_late(struct timer *timer)
{
	end_handshake(container_of(timer, struct listener_handshake, deadline),
		      "it does not speak TLS");
}

/* Who is slow, or says nothing, must not keep others out: the oldest goes. */
static void make_room(struct listener *l)
{
	list_for_each (it, &l->handshakes) {
		struct listener_handshake *h =
			list_entry(it, struct listener_handshake, node);

		if (h->ended)
			continue;
		end_handshake(h, "others wait, and it is slow with TLS");
		return;
	}
}

/* Takes t. */
static void shake(struct listener *l, struct transport *t)
{
	struct listener_handshake *h = calloc(1, sizeof(*h));

	if (!h)
		goto refuse;
	h->listener = l;
	snprintf(h->peer, sizeof(h->peer), "%s", t->peer);
	timer_init(&h->deadline, too_late);
	list_init(&h->node);
	if (tls_start(l->tls, t, shaken, h, &h->step) < 0)
		goto refuse;
	timer_start(t->loop, &h->deadline, LISTENER_TLS_MS);
	if (l->n_handshakes >= LISTENER_MAX_HANDSHAKES)
		make_room(l);
	list_append(&l->handshakes, &h->node);
	l->n_handshakes++;
	return;

refuse:
	complain(l, t->peer, "out of memory");
	free(h);
	transport_close(t);
}

static void accepted(struct socket_listener *socket, struct transport *t)
{
	struct listener *l = container_of(socket, struct listener, socket);

	if (l->tls)
		shake(l, t);
	else
		l->accepted(l, t);
}

int listener_open(struct listener *l, struct loop *loop,
		  const struct socket_address *address, struct tls_context *tls,
		  void (*on_accepted)(struct listener *l, struct transport *t),
		  void (*closed)(struct listener *l), const char **why)
{
	*l = (struct listener){
		.tls = tls,
		.accepted = on_accepted,
		.closed = closed,
	};
	list_init(&l->handshakes);
	return socket_listen(&l->socket, loop, address, accepted, why);
}

void listener_close(struct listener *l)
{
	l->closing = true;
	socket_listener_close(&l->socket);
	list_for_each (it, &l->handshakes) {
		struct listener_handshake *h =
			list_entry(it, struct listener_handshake, node);

		end_handshake(h, "the bridge ends");
	}
	check_closed(l);
}
