/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.2 and 1.3, either side, as a transport over another (gnutls).
 */
#ifndef TRANSPORT_TLS_H
#define TRANSPORT_TLS_H

#include "transport/transport.h"

struct tls_options {
	/* We are the server: the client must have a certificate, too. */
	bool server;
	/* Who we are: PEM files, both or none. A server has them. */
	const char *cert_file, *key_file;
	/* Authorities in PEM; both NULL: the system's. */
	const char *ca_file; /* a path */
	const char *ca;	     /* text */
	/*
	 * Whom a server's certificate must be for (a client may be whoever has one
	 * of the authority): subject as SPICE writes it, its
	 * RDNs in order with commas between, "C=AT,O=Example,CN=vm\\, one"
	 * (a comma or backslash in a value is escaped by a backslash); if that
	 * is NULL, the host name or address.
	 */
	const char *subject;
	const char *host;
};

/* What all connections to one server, or of one, share. */
struct tls_context;

/*
 * Copies the options. -errno, and why (size bytes) says in one sentence what
 * is wrong, naming the file.
 */
int must_check tls_context_create(const struct tls_options *options,
				  struct tls_context **context, char *why,
				  size_t size);
/* NULL-safe; no step and no transport of it is left. */
void tls_context_destroy(struct tls_context *context);

/*
 * A handshake over t, which it takes, on success. Borrows context as long as
 * the transport that comes of it lives. Errors: -EACCES the peer's certificate is not
 * what it must be, -EPROTO the other end does not speak TLS (or not ours),
 * -errno of the transport. -ENOMEM.
 */
int must_check tls_start(struct tls_context *context, struct transport *t,
			 void (*done)(struct transport_step *,
				      struct transport *, int, const char *),
			 void *owner, struct transport_step **step);

#endif
