/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Whether a certificate is the one that was expected.
 */
#ifndef TRANSPORT_TLS_VERIFY_H
#define TRANSPORT_TLS_VERIFY_H

#include <gnutls/gnutls.h>
#include <stdbool.h>

#include "base/err.h"

struct tls_context;

/*
 * Of the peer of session: the chain, and, of a server, the subject as SPICE
 * compares it or, if there is none, the host, as context says. 0, or -EACCES
 * and a sentence in why.
 */
int must_check tls_verify(gnutls_session_t session,
			  const struct tls_context *context, char *why,
			  size_t size);

/* A DNS name that could be asked for; not an address. NULL-safe. */
bool tls_is_name(const char *host);

#endif
