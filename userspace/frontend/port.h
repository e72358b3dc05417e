/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports: where peers come from. A listener takes everybody, a dialer
 * connects again and again, stdio is one session, and somebody else may
 * have connections to give.
 */
#ifndef FRONTEND_PORT_H
#define FRONTEND_PORT_H

#include "frontend/redir.h"
#include "peer/caller.h"
#include "peer/link.h"
#include "peer/listener.h"

/* Connections at a time, of all ports together. */
#define PORTS_MAX_LINKS 1024u

/* What the peer of a session that has ended said. */
enum port_heard {
	PORT_HEARD_NOTHING,
	PORT_HEARD_NOISE, /* not usbredir */
	PORT_HEARD_HELLO,
};

struct port;

enum port_protocol { PORT_REDIR, PORT_USBIP };

/* All ports of the program. */
struct ports {
	struct loop *loop;		/* borrows */
	struct bufpool *pool;		/* borrows */
	struct registry *registry;	/* borrows */
	struct worker *worker;		/* borrows */
	struct tls_context *tls_server; /* borrows; NULL: listeners are plain */
	struct list ports;		/* struct port */
	struct list links;		/* struct link */
	unsigned int n_links;
	bool finishing; /* ports_finish() was called */
	bool over;	/* finished has run */
	/* After ports_finish(), which the end of a stdio session calls,
	 * too: nothing is left. Runs once. */
	void (*finished)(struct ports *ports);
	/* Set by who calls ports_attach(). One of those is over: its kernel has
	 * detached it, or, if failed, could not be given it at all, which has been
	 * said. Not after ports_finish(), which it may call. */
	void (*unattached)(struct ports *ports, bool failed);
	struct log_limit complaints;
};

/* Borrows all. */
void ports_init(struct ports *ports, struct loop *loop, struct bufpool *pool,
		struct registry *registry, struct worker *worker,
		void (*finished)(struct ports *ports));

/* -errno, and *why says in words what is wrong with the address. */
int must_check ports_listen(struct ports *ports,
			    const struct socket_address *address,
			    enum port_protocol protocol, const char **why);

/* Connects, now and whenever the connection is lost; borrows tls, NULL: plain.
 * wanted: see redir.h. */
int must_check ports_connect(struct ports *ports,
			     const struct socket_address *address,
			     struct tls_context *tls,
			     struct usb_device *wanted);

/*
 * The device, whenever it is free and there, is this machine's own, until its
 * kernel detaches it. -errno: *why says in words what to do.
 */
int must_check ports_attach(struct ports *ports, struct usb_device *device,
			    const char **why);

/* One session on two file descriptors, which it takes. */
int must_check ports_stdio(struct ports *ports, int in, int out);

/*
 * A session on t, which somebody else has connected; takes it. ended runs once,
 * unless it fails at once: -EBUSY, -ENOMEM, which has been said. *port is valid
 * until then.
 */
int must_check ports_adopt(struct ports *ports, struct transport *t,
			   struct usb_device *wanted,
			   void (*ended)(void *arg, enum port_heard heard),
			   void *arg, struct port **port);

/* The peer of that session is not there any more. */
void port_drop(struct port *port);

/* Detaches everywhere, closes everything; ends with finished. */
void ports_finish(struct ports *ports);

/* After finished. */
void ports_fini(struct ports *ports);

#endif
