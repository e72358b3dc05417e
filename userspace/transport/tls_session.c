// SPDX-License-Identifier: GPL-2.0-or-later
#include "transport/tls_session.h"

#include <stdio.h>
#include <string.h>

#include "transport/tls_verify.h"

/* --- Bytes to and from gnutls ------------------------------------------------------ */

static ssize_t pull(gnutls_transport_ptr_t ptr, void *buf, size_t len)
{
	struct tls_session *s = ptr;
	size_t n = MIN(len, s->in_len - s->in_off);

	if (!n && !s->in_ended) {
		gnutls_transport_set_errno(s->gnutls, EAGAIN);
		return -1;
	}
	memcpy(buf, s->in + s->in_off, n);
	s->in_off += n;
	return (ssize_t)n;
}

static ssize_t push(gnutls_transport_ptr_t ptr, const giovec_t *iov, int n)
{
	struct tls_session *s = ptr;
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	/* Does not happen: whoever makes gnutls speak knows what is free. */
	if (len > sizeof(s->out) - s->out_len) {
		gnutls_transport_set_errno(s->gnutls, ENOBUFS);
		return -1;
	}
	for (int i = 0; i < n; i++) {
		memcpy(s->out + s->out_len, iov[i].iov_base, iov[i].iov_len);
		s->out_len += iov[i].iov_len;
	}
	return (ssize_t)len;
}

/* --- Sentences ----------------------------------------------------------------------- */

/* Of the peer, in a sentence that begins with it. */
static int fail(struct tls_session *s, int status, const char *sentence)
{
	snprintf(s->why, sizeof(s->why), "the %s %s",
		 s->context->server ? "client" : "server", sentence);
	return status;
}

static int alert_received(struct tls_session *s)
{
	gnutls_alert_description_t alert = gnutls_alert_get(s->gnutls);
	const char *name = gnutls_alert_get_name(alert);

	if (alert == GNUTLS_A_PROTOCOL_VERSION)
		return fail(s, -EPROTO, "speaks neither TLS 1.2 nor TLS 1.3");
	if (alert == GNUTLS_A_HANDSHAKE_FAILURE)
		return fail(s, -EPROTO,
			    "has no TLS cipher that is good enough");
	snprintf(s->why, sizeof(s->why), "the %s ended TLS: %s",
		 s->context->server ? "client" : "server",
		 name ? name : "an unknown alert");
	return -EPROTO;
}

static int handshake_failed(struct tls_session *s, int ret)
{
	switch (ret) {
	case GNUTLS_E_CERTIFICATE_ERROR:
	case GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR:
		if (s->status)
			return s->status; /* by verify(), with its sentence */
		break;
	case GNUTLS_E_MEMORY_ERROR:
		snprintf(s->why, sizeof(s->why), "out of memory");
		return -ENOMEM;
	case GNUTLS_E_FATAL_ALERT_RECEIVED:
		return alert_received(s);
	case GNUTLS_E_NO_CERTIFICATE_FOUND:
	case GNUTLS_E_CERTIFICATE_REQUIRED:
		return fail(s, -EACCES, "shows no certificate");
	case GNUTLS_E_PREMATURE_TERMINATION:
		return fail(s, -ECONNRESET,
			    "closed the connection in the TLS handshake");
	case GNUTLS_E_UNSUPPORTED_VERSION_PACKET:
		/* Of a hello, or of whatever has a number in that place. */
		if (gnutls_handshake_get_last_in(s->gnutls) ==
		    (s->context->server ? GNUTLS_HANDSHAKE_CLIENT_HELLO
					: GNUTLS_HANDSHAKE_SERVER_HELLO))
			return fail(s, -EPROTO,
				    "speaks neither TLS 1.2 nor TLS 1.3");
		return fail(s, -EPROTO, "does not speak TLS here");
	case GNUTLS_E_UNEXPECTED_PACKET_LENGTH:
	case GNUTLS_E_UNEXPECTED_PACKET:
	case GNUTLS_E_RECORD_OVERFLOW:
		return fail(s, -EPROTO, "does not speak TLS here");
	}
	snprintf(s->why, sizeof(s->why), "the TLS handshake failed: %s",
		 gnutls_strerror(ret));
	return -EPROTO;
}

/* --- The session ----------------------------------------------------------------------- */

/* In the handshake, so that the server hears what is wrong. */
static int verify(gnutls_session_t gnutls)
{
	struct tls_session *s = gnutls_session_get_ptr(gnutls);

	s->status = tls_verify(gnutls, s->context, s->why, sizeof(s->why));
	return s->status ? GNUTLS_E_CERTIFICATE_ERROR : 0;
}

int tls_session_init(struct tls_session *s, const struct tls_context *context)
{
	int ret;

	s->context = context;
	s->status = 0;
	s->why[0] = '\0';
	s->in_ended = s->over = false;
	s->in_off = s->in_len = s->out_off = s->out_len = 0;
	ret = gnutls_init(&s->gnutls,
			  (context->server ? GNUTLS_SERVER : GNUTLS_CLIENT) |
				  GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL);
	if (ret < 0)
		return -ENOMEM;
	ret = gnutls_priority_set(s->gnutls, context->priority);
	if (ret == 0)
		ret = gnutls_credentials_set(s->gnutls, GNUTLS_CRD_CERTIFICATE,
					     context->credentials);
	if (ret < 0) {
		gnutls_deinit(s->gnutls);
		return -ENOMEM;
	}
	gnutls_session_set_ptr(s->gnutls, s);
	gnutls_session_set_verify_function(s->gnutls, verify);
	gnutls_transport_set_ptr(s->gnutls, s);
	gnutls_transport_set_pull_function(s->gnutls, pull);
	gnutls_transport_set_vec_push_function(s->gnutls, push);
	if (context->server)
		gnutls_certificate_server_set_request(s->gnutls,
						      GNUTLS_CERT_REQUIRE);
	/* A hint: who checks a subject may have no name that can be sent. */
	if (!context->server && !context->subject && tls_is_name(context->host))
		(void)gnutls_server_name_set(s->gnutls, GNUTLS_NAME_DNS,
					     context->host,
					     strlen(context->host));
	return 0;
}

void tls_session_fini(struct tls_session *s)
{
	gnutls_deinit(s->gnutls);
}

/*
 * gnutls says GNUTLS_E_AGAIN also when it has dealt with a message that is not
 * data: it wants more only when it has taken all there was.
 */
static bool wants_more(const struct tls_session *s, size_t was_at)
{
	if (s->in_off == was_at)
		return true;
	return s->in_off == s->in_len && !s->in_ended;
}

int tls_session_handshake(struct tls_session *s)
{
	int ret;

	do {
		size_t was_at = s->in_off;

		ret = gnutls_handshake(s->gnutls);
		if (ret == GNUTLS_E_AGAIN && wants_more(s, was_at))
			return -EAGAIN;
	} while (ret < 0 && !gnutls_error_is_fatal(ret));
	if (!ret)
		return 0;
	(void)gnutls_alert_send_appropriate(s->gnutls, ret);
	return handshake_failed(s, ret);
}

/* No renegotiation of TLS 1.2. Who asks while nothing leaves is not answered:
 * that is allowed, and bounds what is waiting here. */
static void refuse_rehandshake(struct tls_session *s)
{
	if (!tls_session_has_out(s))
		(void)gnutls_alert_send(s->gnutls, GNUTLS_AL_WARNING,
					GNUTLS_A_NO_RENEGOTIATION);
}

ssize_t tls_session_read(struct tls_session *s, void *buf, size_t len)
{
	while (!s->over) {
		size_t was_at = s->in_off;
		ssize_t ret = gnutls_record_recv(s->gnutls, buf, len);

		if (ret > 0)
			return ret;
		switch (ret) {
		case GNUTLS_E_AGAIN:
			if (wants_more(s, was_at))
				return -EAGAIN;
			continue;
		case 0:
		case GNUTLS_E_PREMATURE_TERMINATION:
			s->over = true;
			continue;
		case GNUTLS_E_REHANDSHAKE:
			refuse_rehandshake(s);
			continue;
		case GNUTLS_E_FATAL_ALERT_RECEIVED:
			return alert_received(s);
		}
		if (!gnutls_error_is_fatal((int)ret))
			continue;
		snprintf(s->why, sizeof(s->why), "TLS failed: %s",
			 gnutls_strerror((int)ret));
		return -EPROTO;
	}
	return 0;
}

static void advance(struct tls_cursor *at, size_t n)
{
	at->off += n;
	while (at->n && at->off >= at->iov->iov_len) {
		at->off -= at->iov->iov_len;
		at->iov++;
		at->n--;
	}
}

/* The next record's bytes: where they are, if they are in one piece. */
static const void *gather(struct tls_session *s, const struct tls_cursor *at,
			  size_t *len)
{
	struct tls_cursor from = *at;
	const uint8_t *p = (const uint8_t *)from.iov->iov_base + from.off;
	size_t there = from.iov->iov_len - from.off;

	if (there >= TLS_RECORD || from.n == 1) {
		*len = MIN(there, (size_t)TLS_RECORD);
		return p;
	}
	for (*len = 0; from.n && *len < TLS_RECORD;) {
		size_t n = MIN(from.iov->iov_len - from.off, TLS_RECORD - *len);

		memcpy(s->record + *len,
		       (const uint8_t *)from.iov->iov_base + from.off, n);
		*len += n;
		advance(&from, n);
	}
	return s->record;
}

ssize_t tls_session_write(struct tls_session *s, struct tls_cursor *at)
{
	size_t total = 0, len;

	advance(at, 0); /* past empty pieces */
	while (at->n && total < TLS_SLICE && s->out_len < TLS_SLICE) {
		const void *p = gather(s, at, &len);
		ssize_t ret;

		do {
			ret = gnutls_record_send(s->gnutls, p, len);
		} while (ret == GNUTLS_E_INTERRUPTED);
		if (ret < 0) {
			snprintf(s->why, sizeof(s->why), "TLS failed: %s",
				 gnutls_strerror((int)ret));
			return -EPROTO;
		}
		/* A server may have asked for records that are shorter. */
		advance(at, (size_t)ret);
		total += (size_t)ret;
	}
	return (ssize_t)total;
}

void tls_session_bye(struct tls_session *s)
{
	(void)gnutls_bye(s->gnutls, GNUTLS_SHUT_WR);
}
