/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The way through an HTTP proxy: CONNECT (RFC 9110, section 9.3.6).
 */
#ifndef TRANSPORT_PROXY_H
#define TRANSPORT_PROXY_H

#include "transport/socket.h"
#include "transport/transport.h"

struct proxy {
	struct socket_address address; /* where it is */
	char *credentials;	       /* owned; "user:password", or NULL */
};

/*
 * text is "http://[USER[:PASSWORD]@]HOST[:PORT][/]" as virt-viewer takes it
 * (port 3128 if there is none); "HOST:PORT" without a scheme is the same.
 * -EINVAL or -ENOMEM, and *why says what is wrong with it.
 */
int must_check proxy_parse(const char *text, struct proxy *proxy,
			   const char **why);
void proxy_fini(struct proxy *proxy);

/*
 * Asks the proxy at the other end of t, which it takes on success, for a way to
 * host (sent as it is: Proxmox has names there that are none) and port. -ENOMEM.
 */
int must_check proxy_start(const struct proxy *proxy, struct transport *t,
			   const char *host, unsigned int port,
			   void (*done)(struct transport_step *,
					struct transport *, int, const char *),
			   void *owner, struct transport_step **step);

#endif
