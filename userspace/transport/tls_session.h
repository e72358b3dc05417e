/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A TLS session between two buffers in memory; knows no transport and
 * no loop. Who has ciphertext puts it in, who finds some takes it out.
 */
#ifndef TRANSPORT_TLS_SESSION_H
#define TRANSPORT_TLS_SESSION_H

#include <gnutls/gnutls.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/err.h"
#include "transport/tls.h"

#define TLS_RECORD 16384 /* the most plaintext of one record */
#define TLS_IN (128 << 10)
/* What is encrypted before the first of it leaves: the peer decrypts while the
 * rest is encrypted. */
#define TLS_SLICE (64 << 10)
/* And room for overhead, and for a handshake's or an alert's record. */
#define TLS_OUT (TLS_SLICE + (32 << 10))
#define TLS_WHY 512

struct tls_context {
	gnutls_certificate_credentials_t credentials;
	gnutls_priority_t priority;
	bool server;
	char *subject, *host; /* owned; NULL: none */
};

struct tls_session {
	const struct tls_context *context; /* borrows */
	gnutls_session_t gnutls;
	int status;	   /* -EACCES: why names what is wrong */
	char why[TLS_WHY]; /* of the last error */
	bool in_ended;	   /* nothing comes behind what is in */
	bool over;	   /* and it has been read: gnutls says so only once */
	size_t in_off, in_len;
	size_t out_off, out_len;
	uint8_t in[TLS_IN];
	uint8_t out[TLS_OUT];
	uint8_t record[TLS_RECORD]; /* gathered from several pieces */
};

/* Where in an iov somebody is. */
struct tls_cursor {
	const struct iovec *iov; /* borrows */
	unsigned int n;
	size_t off; /* in the first */
};

/* Leaves the buffers as they are: most of their memory is never touched. */
int must_check tls_session_init(struct tls_session *s,
				const struct tls_context *context);
void tls_session_fini(struct tls_session *s);

/* 0: done; -EAGAIN: wants more in; else -errno, and s->why. */
int must_check tls_session_handshake(struct tls_session *s);

/* Decrypts: bytes, 0 at the end, -EAGAIN: wants more in; -EPROTO, and s->why. */
ssize_t must_check tls_session_read(struct tls_session *s, void *buf,
				    size_t len);

/*
 * Encrypts, until there is a slice of it or nothing left. The bytes taken, by
 * which at has moved; -EPROTO, and s->why.
 */
ssize_t must_check tls_session_write(struct tls_session *s,
				     struct tls_cursor *at);

/* Says good-bye, if the session has come so far. */
void tls_session_bye(struct tls_session *s);

static inline bool tls_session_has_out(const struct tls_session *s)
{
	return s->out_off < s->out_len;
}

/* n bytes of out have left. */
static inline void tls_session_sent(struct tls_session *s, size_t n)
{
	s->out_off += n;
	if (s->out_off == s->out_len)
		s->out_off = s->out_len = 0;
}

#endif
