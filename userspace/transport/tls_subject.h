/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Subjects as SPICE writes and compares them (spice-common, ssl_verify.c): the
 * RDNs in the order of the certificate, "C=AT,O=Example,CN=vm\, one".
 */
#ifndef TRANSPORT_TLS_SUBJECT_H
#define TRANSPORT_TLS_SUBJECT_H

#include <gnutls/x509.h>
#include <stdbool.h>

#include "base/err.h"

/* NULL, or a sentence about what is wrong with it. */
const char *tls_subject_check(const char *text);

/* All RDNs are the same, in the same order, and there are no others. */
bool must_check tls_subject_matches(gnutls_x509_crt_t crt, const char *text);

/* The certificate's, so that it could be compared with it; cut to size. */
void tls_subject_print(gnutls_x509_crt_t crt, char *out, size_t size);

#endif
