// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_port.h"

#include <stdlib.h>
#include <string.h>

enum port_kind { PORT_LISTENER, PORT_DIALER, PORT_STDIO, PORT_ADOPTED };

struct redir_port {
	struct list node; /* on ports->ports */
	struct redir_ports *ports;
	enum port_kind kind;
	struct socket_listener listener;
	struct socket_dialer dialer;
	struct usb_device *wanted; /* dialer, adopted; borrows */
	struct redir_link *link;   /* adopted; NULL: none yet */
	void (*ended)(void *arg, enum redir_heard heard); /* adopted */
	void *arg;
	struct timer retry;
	int64_t delay; /* before the next attempt, ms */
	bool told;     /* the user knows that it does not work now */
	bool busy;     /* dialing, or a link is up */
};

static void redial(struct redir_port *port);

static void check_finished(struct redir_ports *ports)
{
	if (!ports->finishing || ports->over || ports->n_links)
		return;
	list_for_each (it, &ports->ports)
		if (list_entry(it, struct redir_port, node)->busy)
			return;
	ports->over = true;
	ports->finished(ports);
}

static void link_ended(struct redir_link *link)
{
	struct redir_port *port = link->owner;
	struct redir_ports *ports = port->ports;
	/* Somebody who spoke usbredir was there: start over quickly. */
	bool greeted = link->session.parser.greeted;
	bool failed = link->session.failed;

	log_debug("%s: connection ended", link->session.peer);
	list_remove(&link->node);
	ports->n_links--;
	redir_link_free(link);
	switch (port->kind) {
	case PORT_DIALER:
		if (greeted)
			port->delay = REDIR_RETRY_FIRST_MS;
		port->busy = false;
		redial(port);
		break;
	case PORT_STDIO: /* what the program was started for is over */
		redir_ports_finish(ports);
		break;
	case PORT_ADOPTED:
		list_remove(&port->node);
		port->ended(port->arg, greeted	? REDIR_HEARD_HELLO
				       : failed ? REDIR_HEARD_NOISE
						: REDIR_HEARD_NOTHING);
		free(port);
		break;
	case PORT_LISTENER:
		break;
	}
	check_finished(ports);
}

/* Takes t. */
static int add_link(struct redir_port *port, struct transport *t)
{
	struct redir_ports *ports = port->ports;
	struct redir_link *link;
	int ret;

	if (ports->finishing || ports->n_links >= REDIR_MAX_LINKS) {
		if (!ports->finishing)
			log_limited(
				&ports->complaints, LOG_LEVEL_WARN,
				"%s: connection refused: %u are open already",
				t->peer, REDIR_MAX_LINKS);
		transport_close(t);
		return -EBUSY;
	}
	log_debug("%s: connected", t->peer);
	ret = redir_link_create(t, ports->pool, ports->registry, port->wanted,
				link_ended, port, &link);
	if (ret < 0) {
		log_err("%s: connection refused: out of memory", t->peer);
		transport_close(t);
		return ret;
	}
	list_append(&ports->links, &link->node);
	ports->n_links++;
	port->link = link;
	return 0;
}

static struct redir_port *new_port(struct redir_ports *ports,
				   enum port_kind kind)
{
	struct redir_port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->ports = ports;
	port->kind = kind;
	list_append(&ports->ports, &port->node);
	return port;
}

/* --- Listening ------------------------------------------------------------------------ */

static void accepted(struct socket_listener *l, struct transport *t)
{
	struct redir_port *port = container_of(l, struct redir_port, listener);

	/* It says itself why not. */
	(void)add_link(port, t);
}

int redir_ports_listen(struct redir_ports *ports,
		       const struct socket_address *address, const char **why)
{
	struct redir_port *port = new_port(ports, PORT_LISTENER);
	int ret;

	*why = strerror(ENOMEM);
	if (!port)
		return -ENOMEM;
	ret = socket_listen(&port->listener, ports->loop, address, accepted,
			    why);
	if (ret < 0) {
		list_remove(&port->node);
		free(port);
		return ret;
	}
	log_info("listening on %s", address->text);
	return 0;
}

/* --- Connecting ------------------------------------------------------------------------ */

static void connected(struct socket_dialer *d, struct transport *t, int status,
		      const char *why)
{
	struct redir_port *port = container_of(d, struct redir_port, dialer);

	port->busy = false;
	if (status < 0) {
		if (status != -ECANCELED && !port->told)
			log_warn(
				"%s: cannot connect: %s; trying again until it works",
				d->address.text, why);
		port->told = true;
	} else {
		if (port->told)
			log_info("%s: connected", d->address.text);
		port->told = false;
		port->busy = !add_link(port, t);
	}
	if (!port->busy)
		redial(port);
	check_finished(port->ports);
}

static void dial(struct timer *timer)
{
	struct redir_port *port = container_of(timer, struct redir_port, retry);

	port->busy = true;
	socket_dial(&port->dialer);
}

static void redial(struct redir_port *port)
{
	if (port->ports->finishing)
		return;
	timer_start(port->ports->loop, &port->retry, port->delay);
	port->delay = MIN(port->delay * 2, REDIR_RETRY_LAST_MS);
}

int redir_ports_connect(struct redir_ports *ports,
			const struct socket_address *address,
			struct usb_device *wanted)
{
	struct redir_port *port = new_port(ports, PORT_DIALER);

	if (!port)
		return -ENOMEM;
	port->wanted = wanted;
	port->delay = REDIR_RETRY_FIRST_MS;
	timer_init(&port->retry, dial);
	socket_dialer_init(&port->dialer, ports->loop, ports->worker, address,
			   connected);
	timer_start(ports->loop, &port->retry, 0);
	return 0;
}

/* --- stdio -------------------------------------------------------------------------------- */

int redir_ports_stdio(struct redir_ports *ports, int in, int out)
{
	struct redir_port *port = new_port(ports, PORT_STDIO);
	struct transport *t;
	int ret;

	if (!port)
		return -ENOMEM;
	ret = transport_over_fds(ports->loop, in, out, "stdio", &t);
	if (ret < 0)
		return ret;
	return add_link(port, t);
}

/* --- From somebody else ---------------------------------------------------------------- */

int redir_ports_adopt(struct redir_ports *ports, struct transport *t,
		      struct usb_device *wanted,
		      void (*ended)(void *arg, enum redir_heard heard),
		      void *arg, struct redir_port **out)
{
	struct redir_port *port = new_port(ports, PORT_ADOPTED);
	int ret;

	if (!port) {
		log_err("%s: out of memory", t->peer);
		transport_close(t);
		return -ENOMEM;
	}
	port->wanted = wanted;
	port->ended = ended;
	port->arg = arg;
	ret = add_link(port, t);
	if (ret < 0) {
		list_remove(&port->node);
		free(port);
		return ret;
	}
	*out = port;
	return 0;
}

void redir_port_drop(struct redir_port *port)
{
	redir_link_drop(port->link);
}

/* --- Life ----------------------------------------------------------------------------------- */

void redir_ports_init(struct redir_ports *ports, struct loop *loop,
		      struct bufpool *pool, struct registry *registry,
		      struct worker *worker,
		      void (*finished)(struct redir_ports *))
{
	*ports = (struct redir_ports){ .loop = loop,
				       .pool = pool,
				       .registry = registry,
				       .worker = worker,
				       .finished = finished };
	list_init(&ports->ports);
	list_init(&ports->links);
}

void redir_ports_finish(struct redir_ports *ports)
{
	if (ports->finishing)
		return;
	ports->finishing = true;
	list_for_each (it, &ports->ports) {
		struct redir_port *port =
			list_entry(it, struct redir_port, node);

		if (port->kind == PORT_LISTENER)
			socket_listener_close(&port->listener);
		if (port->kind == PORT_DIALER) {
			timer_stop(&port->retry);
			/* Not waited for: its name server may be dead. */
			if (!socket_dialer_cancel(&port->dialer))
				port->busy = false;
		}
	}
	list_for_each_safe (it, &ports->links)
		redir_link_finish(list_entry(it, struct redir_link, node));
	check_finished(ports);
}

void redir_ports_fini(struct redir_ports *ports)
{
	struct list *node;

	while ((node = list_pop(&ports->ports)))
		free(list_entry(node, struct redir_port, node));
}
