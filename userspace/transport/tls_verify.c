// SPDX-License-Identifier: GPL-2.0-or-later
#include "transport/tls_verify.h"

#include <arpa/inet.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <string.h>

#include "transport/tls_session.h"
#include "transport/tls_subject.h"

/* What is worst comes first: one sentence is said, of somebody's certificate. */
static const struct {
	unsigned int status;
	const char *sentence;
} chain_errors[] = {
	{ GNUTLS_CERT_REVOKED, "has been revoked" },
	{ GNUTLS_CERT_SIGNER_NOT_FOUND,
	  "is not signed by an authority that is trusted here" },
	{ GNUTLS_CERT_SIGNER_NOT_CA,
	  "is signed by a certificate that is no authority's" },
	{ GNUTLS_CERT_SIGNATURE_FAILURE, "has a signature that is not valid" },
	{ GNUTLS_CERT_EXPIRED, "has expired" },
	{ GNUTLS_CERT_NOT_ACTIVATED, "is not yet valid" },
	{ GNUTLS_CERT_INSECURE_ALGORITHM,
	  "is signed by an algorithm that is not secure" },
	{ GNUTLS_CERT_PURPOSE_MISMATCH, "is not meant for this side of TLS" },
};

static int refuse(const struct tls_context *context, char *why, size_t size,
		  const char *sentence)
{
	snprintf(why, size, "the %s's certificate %s",
		 context->server ? "client" : "server", sentence);
	return -EACCES;
}

static int verify_chain(gnutls_session_t session,
			const struct tls_context *context, char *why,
			size_t size)
{
	const char *oid = context->server ? GNUTLS_KP_TLS_WWW_CLIENT
					  : GNUTLS_KP_TLS_WWW_SERVER;
	gnutls_typed_vdata_st purpose = {
		.type = GNUTLS_DT_KEY_PURPOSE_OID,
		.data = (unsigned char *)oid,
	};
	char sentence[256];
	unsigned int status;
	int ret;

	ret = gnutls_certificate_verify_peers(session, &purpose, 1, &status);
	if (ret == GNUTLS_E_NO_CERTIFICATE_FOUND)
		return refuse(context, why, size, "is missing");
	if (ret < 0) {
		snprintf(sentence, sizeof(sentence), "cannot be checked: %s",
			 gnutls_strerror(ret));
		return refuse(context, why, size, sentence);
	}
	for (size_t i = 0; i < ARRAY_SIZE(chain_errors); i++)
		if (status & chain_errors[i].status)
			return refuse(context, why, size,
				      chain_errors[i].sentence);
	return status ? refuse(context, why, size, "is not valid") : 0;
}

static int verify_name(gnutls_x509_crt_t crt, const struct tls_context *context,
		       char *why, size_t size)
{
	char found[256], sentence[600];

	if (context->subject) {
		if (tls_subject_matches(crt, context->subject))
			return 0;
		tls_subject_print(crt, found, sizeof(found));
		snprintf(sentence, sizeof(sentence),
			 "has the subject %s, not %s", found, context->subject);
		return refuse(context, why, size, sentence);
	}
	/* Knows addresses, too, by the entries that a certificate has for
	 * them. */
	if (context->host && gnutls_x509_crt_check_hostname(crt, context->host))
		return 0;
	snprintf(sentence, sizeof(sentence), "is not for %s",
		 context->host ? context->host : "any name");
	return refuse(context, why, size, sentence);
}

int tls_verify(gnutls_session_t session, const struct tls_context *context,
	       char *why, size_t size)
{
	const gnutls_datum_t *chain;
	gnutls_x509_crt_t crt;
	unsigned int n;
	int ret = verify_chain(session, context, why, size);

	if (ret < 0 || context->server)
		return ret;
	chain = gnutls_certificate_get_peers(session, &n);
	if (!chain || gnutls_x509_crt_init(&crt) < 0)
		return refuse(context, why, size, "cannot be read");
	if (gnutls_x509_crt_import(crt, chain, GNUTLS_X509_FMT_DER) < 0)
		ret = refuse(context, why, size, "cannot be read");
	else
		ret = verify_name(crt, context, why, size);
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
