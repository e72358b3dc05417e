// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/port.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/usbip.h"
#include "frontend/usbip_devices.h"
#include "frontend/vhci.h"

/* A device that this machine's kernel could not be given again. */
#define KERNEL_AGAIN_MS 5000

enum port_kind {
	PORT_LISTENER,
	PORT_DIALER,
	PORT_STDIO,
	PORT_ADOPTED,
	PORT_KERNEL,
};

struct port {
	struct list node; /* on ports->ports */
	struct ports *ports;
	enum port_kind kind;
	enum port_protocol protocol;
	struct listener listener;
	struct caller caller;
	struct usb_device *wanted;     /* dialer, adopted, kernel; borrows */
	struct registry_waiter waiter; /* kernel */
	int kernel_end;		       /* kernel: its end of the socket */
	/* Kernel: it has had the device this time, ever; it is tried again. */
	bool given, ever;
	struct timer again;
	struct link *link; /* adopted; NULL: none yet */
	void (*ended)(void *arg, enum port_heard heard); /* adopted */
	void *arg;
	/* Not at rest yet, links aside. Listener: it is open; dialer: after the
	 * end of the calls; kernel: the device is waited for, or attached. */
	bool busy;
};

static void kernel_ended(struct port *port, bool left);
static int kernel_opened(struct usbip_session *s, int status);

static void check_finished(struct ports *ports)
{
	if (!ports->finishing || ports->over || ports->n_links)
		return;
	list_for_each (it, &ports->ports)
		if (list_entry(it, struct port, node)->busy)
			return;
	ports->over = true;
	ports->finished(ports);
}

static void link_ended(struct link *link)
{
	struct port *port = link->owner;
	struct ports *ports = port->ports;
	/* Somebody who spoke usbredir was there: start over quickly. */
	bool greeted = link->session->greeted;
	bool failed = link->session->failed;
	bool left = port->kind == PORT_KERNEL &&
		    usbip_session_left(link->session);

	log_debug("%s: connection ended", link->session->peer);
	list_remove(&link->node);
	ports->n_links--;
	link_free(link);
	switch (port->kind) {
	case PORT_DIALER:
		caller_again(&port->caller, greeted);
		break;
	case PORT_STDIO: /* what the program was started for is over */
		ports_finish(ports);
		break;
	case PORT_ADOPTED:
		list_remove(&port->node);
		port->ended(port->arg, greeted	? PORT_HEARD_HELLO
				       : failed ? PORT_HEARD_NOISE
						: PORT_HEARD_NOTHING);
		free(port);
		break;
	case PORT_KERNEL:
		kernel_ended(port, left);
		break;
	case PORT_LISTENER:
		break;
	}
	check_finished(ports);
}

static int new_session(struct port *port, const struct transport *t,
		       struct session **session)
{
	struct ports *ports = port->ports;

	if (port->kind == PORT_KERNEL)
		return usbip_session_create_for(
			t->loop, ports->pool, ports->registry, port->wanted,
			t->peer, kernel_opened, port, session);
	if (port->protocol == PORT_USBIP)
		return usbip_session_create(t->loop, ports->pool,
					    ports->registry, t->peer, session);
	return redir_session_create(t->loop, ports->pool, ports->registry,
				    port->wanted, t->peer, session);
}

/* Takes t. */
static int add_link(struct port *port, struct transport *t)
{
	struct ports *ports = port->ports;
	struct session *session;
	struct link *link;
	int ret;

	if (ports->finishing || ports->n_links >= PORTS_MAX_LINKS) {
		if (!ports->finishing)
			log_limited(
				&ports->complaints, LOG_LEVEL_WARN,
				"%s: connection refused: %u are open already",
				t->peer, PORTS_MAX_LINKS);
		transport_close(t);
		return -EBUSY;
	}
	log_debug("%s: connected", t->peer);
	ret = new_session(port, t, &session);
	if (!ret) {
		ret = link_create(t, session, link_ended, port, &link);
		if (ret < 0)
			session->ops->destroy(session);
	}
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

static struct port *new_port(struct ports *ports, enum port_kind kind)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port)
		return NULL;
	port->ports = ports;
	port->kind = kind;
	port->kernel_end = -1;
	list_append(&ports->ports, &port->node);
	return port;
}

/* --- Listening ------------------------------------------------------------------------ */

static void accepted(struct listener *l, struct transport *t)
{
	struct port *port = container_of(l, struct port, listener);

	/* It says itself why not. */
	(void)add_link(port, t);
}

static void listener_closed(struct listener *l)
{
	struct port *port = container_of(l, struct port, listener);

	port->busy = false;
	check_finished(port->ports);
}

int ports_listen(struct ports *ports, const struct socket_address *address,
		 enum port_protocol protocol, const char **why)
{
	struct port *port = new_port(ports, PORT_LISTENER);
	int ret;

	*why = strerror(ENOMEM);
	if (!port)
		return -ENOMEM;
	port->busy = true;
	ret = listener_open(&port->listener, ports->loop, address,
			    address->is_unix ? NULL : ports->tls_server,
			    accepted, listener_closed, why);
	if (ret < 0) {
		list_remove(&port->node);
		free(port);
		return ret;
	}
	port->protocol = protocol;
	log_info("listening on %s%s", address->text,
		 protocol == PORT_USBIP ? " for usbip clients" : "");
	if (!ports->tls_server && !socket_is_local(address))
		log_warn(
			"%s: not encrypted, and everybody who reaches it may have the devices",
			address->text);
	return 0;
}

/* --- Connecting ------------------------------------------------------------------------ */

static void connected(struct caller *c, struct transport *t)
{
	struct port *port = container_of(c, struct port, caller);

	if (add_link(port, t) < 0)
		caller_again(c, false);
}

static void rested(struct caller *c)
{
	struct port *port = container_of(c, struct port, caller);

	port->busy = false;
	check_finished(port->ports);
}

int ports_connect(struct ports *ports, const struct socket_address *address,
		  struct tls_context *tls, struct usb_device *wanted)
{
	struct port *port = new_port(ports, PORT_DIALER);

	if (!port)
		return -ENOMEM;
	port->wanted = wanted;
	caller_init(&port->caller, ports->loop, ports->worker, address, tls,
		    connected, rested);
	caller_start(&port->caller);
	return 0;
}

/* --- This machine's kernel ------------------------------------------------------------- */

static void kernel_granted(struct registry_waiter *waiter,
			   struct usb_device *device)
{
	struct port *port = container_of(waiter, struct port, waiter);
	struct transport *t;
	int pair[2];

	port->given = false;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0) {
		log_err("%s cannot be attached: %s", device->name,
			strerror(errno));
		kernel_ended(port, false);
		return;
	}
	port->kernel_end = pair[1];
	if (transport_over_fds(port->ports->loop, pair[0], pair[0],
			       "this machine", &t) < 0)
		log_err("%s cannot be attached: out of memory", device->name);
	else if (!add_link(port, t))
		return;
	kernel_ended(port, false);
}

static int kernel_opened(struct usbip_session *s, int status)
{
	struct port *port = s->owner;
	struct usb_device *device = s->device;
	char why[128];

	if (status < 0)
		return status;
	status = vhci_attach(port->kernel_end, usbip_devices_devid(device),
			     usbip_speed_of(device->info.speed), why,
			     sizeof(why));
	close(port->kernel_end);
	port->kernel_end = -1;
	if (status < 0)
		log_limited(&port->ports->complaints, LOG_LEVEL_ERR, "%s: %s",
			    device->name, why);
	else
		log_info("%s is on port %d of vhci_hcd", device->name, status);
	port->given = status >= 0;
	port->ever |= port->given;
	return MIN(status, 0);
}

/* left: because the device has gone; it may be back already. */
static void kernel_ended(struct port *port, bool left)
{
	struct ports *ports = port->ports;

	if (port->kernel_end >= 0)
		close(port->kernel_end);
	port->kernel_end = -1;
	if (!ports->finishing && (left || port->wanted->absent)) {
		registry_request(ports->registry, &port->waiter);
		return;
	}
	/* It was here, went and is back, and the rest goes on meanwhile. */
	if (!ports->finishing && !port->given && port->ever) {
		timer_start(ports->loop, &port->again, KERNEL_AGAIN_MS);
		return;
	}
	port->busy = false;
	if (ports->finishing)
		return;
	if (port->given) /* and the kernel has been told to let go of it */
		log_info("%s is not attached to this machine any more",
			 port->wanted->name);
	ports->unattached(ports, !port->given);
}

static void kernel_again(struct timer *timer)
{
	struct port *port = container_of(timer, struct port, again);

	registry_request(port->ports->registry, &port->waiter);
}

int ports_attach(struct ports *ports, struct usb_device *device,
		 const char **why)
{
	static char text[128];
	struct port *port;
	int ret = vhci_check(text, sizeof(text));

	*why = text;
	if (ret < 0)
		return ret;
	*why = strerror(ENOMEM);
	port = new_port(ports, PORT_KERNEL);
	if (!port)
		return -ENOMEM;
	port->wanted = port->waiter.wanted = device;
	port->waiter.granted = kernel_granted;
	list_init(&port->waiter.node);
	timer_init(&port->again, kernel_again);
	port->busy = true;
	registry_request(ports->registry, &port->waiter);
	return 0;
}

/* --- stdio -------------------------------------------------------------------------------- */

int ports_stdio(struct ports *ports, int in, int out)
{
	struct port *port = new_port(ports, PORT_STDIO);
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

int ports_adopt(struct ports *ports, struct transport *t,
		struct usb_device *wanted,
		void (*ended)(void *arg, enum port_heard heard), void *arg,
		struct port **out)
{
	struct port *port = new_port(ports, PORT_ADOPTED);
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

void port_drop(struct port *port)
{
	link_drop(port->link);
}

/* --- Life ----------------------------------------------------------------------------------- */

void ports_init(struct ports *ports, struct loop *loop, struct bufpool *pool,
		struct registry *registry, struct worker *worker,
		void (*finished)(struct ports *))
{
	*ports = (struct ports){ .loop = loop,
				 .pool = pool,
				 .registry = registry,
				 .worker = worker,
				 .finished = finished };
	list_init(&ports->ports);
	list_init(&ports->links);
}

void ports_finish(struct ports *ports)
{
	if (ports->finishing)
		return;
	ports->finishing = true;
	list_for_each (it, &ports->ports) {
		struct port *port = list_entry(it, struct port, node);

		if (port->kind == PORT_KERNEL &&
		    (!list_empty(&port->waiter.node) ||
		     timer_running(&port->again))) {
			registry_withdraw(&port->waiter);
			timer_stop(&port->again);
			port->busy = false;
		}
		if (port->kind == PORT_DIALER)
			port->busy = caller_stop(&port->caller);
	}
	/* Some end at once, and look whether all have. */
	list_for_each (it, &ports->ports) {
		struct port *port = list_entry(it, struct port, node);

		if (port->kind == PORT_LISTENER)
			listener_close(&port->listener);
	}
	list_for_each_safe (it, &ports->links)
		link_finish(list_entry(it, struct link, node));
	check_finished(ports);
}

void ports_fini(struct ports *ports)
{
	struct list *node;

	while ((node = list_pop(&ports->ports)))
		free(list_entry(node, struct port, node));
}
