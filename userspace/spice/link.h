/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The link: how a connection becomes a channel. Request and answer, then the
 * proof of who we are, as a transport step.
 */
#ifndef SPICE_LINK_H
#define SPICE_LINK_H

#include "transport/transport.h"
#include "wire/spice.h"

struct spice_credentials {
	const char *password; /* "": none */
	const char *username; /* SASL; NULL: none */
	const char *host;     /* SASL: whom we speak to */
	bool secured;	      /* SASL: TLS is below */
};

/* How it ended. */
struct spice_link_result {
	uint32_t caps;		     /* the server's, for this channel */
	bool mini;		     /* headers */
	enum spice_link_error error; /* what the server had against it */
};

/*
 * Over t, which it takes on success; it is the one that is left. Borrows
 * credentials until done, which may ask for spice_link_result(). Errors: -EACCES
 * the password, -EPROTO the server does not speak SPICE, -ECONNREFUSED it will
 * not have this channel (result->error says why), and those of the transport.
 * -ENOMEM.
 */
int must_check spice_link_start(struct transport *t,
				const struct spice_link *request,
				const struct spice_credentials *credentials,
				void (*done)(struct transport_step *,
					     struct transport *, int,
					     const char *),
				void *owner, struct transport_step **step);

/* Only within done. */
const struct spice_link_result *
spice_link_result(const struct transport_step *step);

#endif
