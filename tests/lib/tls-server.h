/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * For tests of TLS: an authority, certificates, and a server session of gnutls
 * in a thread at the other end of a socketpair.
 */
#ifndef TESTS_TLS_SERVER_H
#define TESTS_TLS_SERVER_H

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/err.h"

#define DAY (24 * 3600)

/* A key and its certificate. */
struct identity {
	gnutls_x509_privkey_t key;
	gnutls_x509_crt_t crt;
	gnutls_datum_t key_pem, crt_pem;
};

struct rdn {
	const char *oid, *value;
};

struct wanted {
	const struct rdn *subject; /* up to one without oid; NULL: CN=test */
	const char *name;	   /* DNS, NULL: none */
	const unsigned char *ip;   /* IPv4, NULL: none */
	long days;		   /* from now, 0: ten */
	bool ca;
};

/* A test cannot go on without: no reason to be polite. */
static inline void tls_need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "tls-server: %s\n", what);
	abort();
}

static inline void identity_make(struct identity *id,
				 const struct identity *issuer,
				 const struct wanted *w)
{
	static const struct rdn plain[] = {
		{ GNUTLS_OID_X520_COMMON_NAME, "test" }, { 0 }
	};
	static unsigned char serial;
	time_t now = time(NULL);
	time_t end = now + (w->days ? w->days : 10) * DAY;
	bool ok = true;

	tls_need(!gnutls_x509_privkey_init(&id->key) &&
			 !gnutls_x509_crt_init(&id->crt),
		 "out of memory");
	ok &= !gnutls_x509_privkey_generate(
		id->key, GNUTLS_PK_ECDSA,
		GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
	ok &= !gnutls_x509_crt_set_version(id->crt, 3);
	ok &= !gnutls_x509_crt_set_key(id->crt, id->key);
	serial++;
	ok &= !gnutls_x509_crt_set_serial(id->crt, &serial, 1);
	gnutls_x509_crt_set_activation_time(id->crt, now - 20 * DAY);
	gnutls_x509_crt_set_expiration_time(id->crt, end);
	for (const struct rdn *r = w->subject ? w->subject : plain; r->oid; r++)
		ok &= !gnutls_x509_crt_set_dn_by_oid(
			id->crt, r->oid, 0, r->value,
			(unsigned int)strlen(r->value));
	if (w->name)
		ok &= !gnutls_x509_crt_set_subject_alt_name(
			id->crt, GNUTLS_SAN_DNSNAME, w->name,
			(unsigned int)strlen(w->name), GNUTLS_FSAN_APPEND);
	if (w->ip)
		ok &= !gnutls_x509_crt_set_subject_alt_name(
			id->crt, GNUTLS_SAN_IPADDRESS, w->ip, 4,
			GNUTLS_FSAN_APPEND);
	ok &= !gnutls_x509_crt_set_basic_constraints(id->crt, w->ca, -1);
	ok &= !gnutls_x509_crt_set_key_usage(
		id->crt, w->ca ? GNUTLS_KEY_KEY_CERT_SIGN
			       : GNUTLS_KEY_DIGITAL_SIGNATURE);
	ok &= !gnutls_x509_crt_sign2(id->crt, issuer ? issuer->crt : id->crt,
				     issuer ? issuer->key : id->key,
				     GNUTLS_DIG_SHA256, 0);
	ok &= !gnutls_x509_privkey_export2(id->key, GNUTLS_X509_FMT_PEM,
					   &id->key_pem);
	ok &= !gnutls_x509_crt_export2(id->crt, GNUTLS_X509_FMT_PEM,
				       &id->crt_pem);
	tls_need(ok, "cannot make a certificate");
}

static inline void identity_free(struct identity *id)
{
	gnutls_free(id->key_pem.data);
	gnutls_free(id->crt_pem.data);
	gnutls_x509_crt_deinit(id->crt);
	gnutls_x509_privkey_deinit(id->key);
}

struct server {
	int fd;		      /* its end */
	const char *priority; /* NULL: gnutls's own */
	/* Runs in a thread; the descriptor is closed behind it. */
	void (*serve)(struct server *s);
	gnutls_session_t session; /* while a handshake's is there */
	gnutls_certificate_credentials_t credentials;
	pthread_t thread;
	int result; /* of the handshake */
};

/* 0, or what gnutls says. The session stays, also on failure. */
static inline int server_shake(struct server *s)
{
	int ret;

	gnutls_init(&s->session, GNUTLS_SERVER);
	gnutls_priority_set_direct(s->session,
				   s->priority ? s->priority : "NORMAL", NULL);
	gnutls_credentials_set(s->session, GNUTLS_CRD_CERTIFICATE,
			       s->credentials);
	gnutls_certificate_server_set_request(s->session, GNUTLS_CERT_IGNORE);
	gnutls_transport_set_int(s->session, s->fd);
	do {
		ret = gnutls_handshake(s->session);
	} while (ret < 0 && !gnutls_error_is_fatal(ret));
	s->result = ret;
	return ret;
}

/* All of it, or false. */
static inline bool server_write(struct server *s, const void *data, size_t len)
{
	const char *p = data;

	while (len) {
		ssize_t ret = gnutls_record_send(s->session, p, len);

		if (ret < 0 && !gnutls_error_is_fatal((int)ret))
			continue;
		if (ret <= 0)
			return false;
		p += ret;
		len -= (size_t)ret;
	}
	return true;
}

/* Some, or 0 at the end, or an error of gnutls that is fatal. */
static inline ssize_t server_read(struct server *s, void *data, size_t len)
{
	ssize_t ret;

	do {
		ret = gnutls_record_recv(s->session, data, len);
	} while (ret < 0 && !gnutls_error_is_fatal((int)ret));
	return ret;
}

static inline void *server_thread(void *arg)
{
	struct server *s = arg;

	s->serve(s);
	if (s->session)
		gnutls_deinit(s->session);
	s->session = NULL;
	close(s->fd);
	return NULL;
}

/* The other end of its socket. */
static inline int server_start(struct server *s, const struct identity *id)
{
	int pair[2], size = 2 << 20;

	tls_need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "no sockets");
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	s->fd = pair[1];
	tls_need(!gnutls_certificate_allocate_credentials(&s->credentials) &&
			 !gnutls_certificate_set_x509_key_mem(
				 s->credentials, &id->crt_pem, &id->key_pem,
				 GNUTLS_X509_FMT_PEM),
		 "no credentials");
	tls_need(!pthread_create(&s->thread, NULL, server_thread, s),
		 "no thread");
	return pair[0];
}

static inline void server_join(struct server *s)
{
	pthread_join(s->thread, NULL);
	gnutls_certificate_free_credentials(s->credentials);
}

#endif
