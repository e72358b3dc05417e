// SPDX-License-Identifier: GPL-2.0-or-later
#include "transport/tls_verify.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

#include "transport/tls_subject.h"

#define CERTIFICATE "the server's certificate "

/* What is worst comes first: one sentence is said. */
static const struct {
	unsigned int status;
	const char *sentence;
} chain_errors[] = {
	{ GNUTLS_CERT_REVOKED, CERTIFICATE "has been revoked" },
	{ GNUTLS_CERT_SIGNER_NOT_FOUND,
	  CERTIFICATE "is not signed by an authority that is trusted here" },
	{ GNUTLS_CERT_SIGNER_NOT_CA,
	  CERTIFICATE "is signed by a certificate that is no authority's" },
	{ GNUTLS_CERT_SIGNATURE_FAILURE,
	  CERTIFICATE "has a signature that is not valid" },
	{ GNUTLS_CERT_EXPIRED, CERTIFICATE "has expired" },
	{ GNUTLS_CERT_NOT_ACTIVATED, CERTIFICATE "is not yet valid" },
	{ GNUTLS_CERT_INSECURE_ALGORITHM,
	  CERTIFICATE "is signed by an algorithm that is not secure" },
	{ GNUTLS_CERT_PURPOSE_MISMATCH,
	  CERTIFICATE "is not meant for a TLS server" },
};

static int refuse(char *why, size_t size, const char *sentence)
{
	snprintf(why, size, "%s", sentence);
	return -EACCES;
}

static int verify_chain(gnutls_session_t session, char *why, size_t size)
{
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)GNUTLS_KP_TLS_WWW_SERVER,
	};
	unsigned int status;
	int ret;

	ret = gnutls_certificate_verify_peers(session, &purpose, 1, &status);
	if (ret < 0) {
		snprintf(why, size, CERTIFICATE "cannot be checked: %s",
			 gnutls_strerror(ret));
		return -EACCES;
	}
	for (size_t i = 0; i < ARRAY_SIZE(chain_errors); i++)
		if (status & chain_errors[i].status)
			return refuse(why, size, chain_errors[i].sentence);
	if (status)
		return refuse(why, size, CERTIFICATE "is not valid");
	return 0;
}

static int verify_name(gnutls_x509_crt_t crt, const char *subject,
		       const char *host, char *why, size_t size)
{
	char found[256];

	if (subject) {
		if (tls_subject_matches(crt, subject))
			return 0;
		tls_subject_print(crt, found, sizeof(found));
		snprintf(why, size, CERTIFICATE "has the subject %s, not %s",
			 found, subject);
		return -EACCES;
	}
	/* Knows addresses, too, by the entries that a certificate has for
	 * them. */
	if (host && gnutls_x509_crt_check_hostname(crt, host))
		return 0;
	snprintf(why, size, CERTIFICATE "is not for %s",
		 host ? host : "any name");
	return -EACCES;
}

int tls_verify(gnutls_session_t session, const char *subject, const char *host,
	       char *why, size_t size)
{
	const gnutls_datum_t *chain;
	gnutls_x509_crt_t crt;
	unsigned int n;
	int ret = verify_chain(session, why, size);

	if (ret < 0)
		return ret;
	chain = gnutls_certificate_get_peers(session, &n);
	if (!chain || gnutls_x509_crt_init(&crt) < 0)
		return refuse(why, size, CERTIFICATE "cannot be read");
	if (gnutls_x509_crt_import(crt, chain, GNUTLS_X509_FMT_DER) < 0)
		ret = refuse(why, size, CERTIFICATE "cannot be read");
	else
		ret = verify_name(crt, subject, host, why, size);
	gnutls_x509_crt_deinit(crt);
	return ret;
}

bool tls_is_name(const char *host)
{
	struct in_addr v4;

	if (!host || !*host || inet_pton(AF_INET, host, &v4) == 1)
		return false;
	return !host[strspn(host, "abcdefghijklmnopqrstuvwxyz"
				  "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._")];
}
