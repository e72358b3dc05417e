/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Ports: where usbredir peers come from. A listener takes everybody, a dialer
 * connects again and again, stdio is one session, and somebody else may
 * have connections to give.
 */
#ifndef FRONTEND_REDIR_PORT_H
#define FRONTEND_REDIR_PORT_H

#include "frontend/redir_link.h"
#include "transport/socket.h"

/* Connections at a time, of all ports together. */
#define REDIR_MAX_LINKS 1024u

/* Between two attempts to connect: doubled from the first to the last. */
#define REDIR_RETRY_FIRST_MS 250
#define REDIR_RETRY_LAST_MS 10000

/* What the peer of a session that has ended said. */
enum redir_heard {
	REDIR_HEARD_NOTHING,
	REDIR_HEARD_NOISE, /* not usbredir */
	REDIR_HEARD_HELLO,
};

struct redir_port;

/* All ports of the program. */
struct redir_ports {
	struct loop *loop;	   /* borrows */
	struct bufpool *pool;	   /* borrows */
	struct registry *registry; /* borrows */
	struct worker *worker;	   /* borrows */
	struct list ports;	   /* struct redir_port */
	struct list links;	   /* struct redir_link */
	unsigned int n_links;
	bool finishing; /* redir_ports_finish() was called */
	bool over;	/* finished has run */
	/* After redir_ports_finish(), which the end of a stdio session calls,
	 * too: nothing is left. Runs once. */
	void (*finished)(struct redir_ports *ports);
	struct log_limit complaints;
};

/* Borrows all. */
void redir_ports_init(struct redir_ports *ports, struct loop *loop,
		      struct bufpool *pool, struct registry *registry,
		      struct worker *worker,
		      void (*finished)(struct redir_ports *ports));

/* -errno, and *why says in words what is wrong with the address. */
int must_check redir_ports_listen(struct redir_ports *ports,
				  const struct socket_address *address,
				  const char **why);

/* Connects, now and whenever the connection is lost. wanted: see redir.h. */
int must_check redir_ports_connect(struct redir_ports *ports,
				   const struct socket_address *address,
				   struct usb_device *wanted);

/* One session on two file descriptors, which it takes. */
int must_check redir_ports_stdio(struct redir_ports *ports, int in, int out);

/*
 * A session on t, which somebody else has connected; takes it. ended runs once,
 * unless it fails at once: -EBUSY, -ENOMEM, which has been said. *port is valid
 * until then.
 */
int must_check redir_ports_adopt(struct redir_ports *ports, struct transport *t,
				 struct usb_device *wanted,
				 void (*ended)(void *arg,
					       enum redir_heard heard),
				 void *arg, struct redir_port **port);

/* The peer of that session is not there any more. */
void redir_port_drop(struct redir_port *port);

/* Detaches everywhere, closes everything; ends with finished. */
void redir_ports_finish(struct redir_ports *ports);

/* After finished. */
void redir_ports_fini(struct redir_ports *ports);

#endif
