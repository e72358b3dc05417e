/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * SASL, if the server asks for it (libsasl2; a build without it says so). Bytes
 * in, bytes out: the link (link.c) has the connection.
 */
#ifndef SPICE_SASL_H
#define SPICE_SASL_H

#include "base/span.h"
#include "spice/link.h"

/* The longest thing that either side says. */
#define SPICE_SASL_MAX 65536

struct spice_sasl;

/*
 * Borrows credentials. -EOPNOTSUPP: not built with SASL; -ENOMEM; -EPROTO:
 * libsasl2 does not work.
 */
int must_check spice_sasl_create(const struct spice_credentials *credentials,
				 struct spice_sasl **s);
/* NULL-safe. */
void spice_sasl_destroy(struct spice_sasl *s);

/*
 * What is to be sent now, maybe nothing, and how many bytes are expected then;
 * 0: it has ended well, what follows is the server's verdict. -EPROTO: more
 * than w takes.
 */
int must_check spice_sasl_output(struct spice_sasl *s, struct span_writer *w,
				 size_t *expected);
/*
 * Exactly the bytes that were expected. -EACCES who we are, or how safely that
 * can be said; -EPROTO, -ENOMEM. It is of no more use then.
 */
int must_check spice_sasl_input(struct spice_sasl *s, struct span in);

/* After an error of those two, in words. */
const char *spice_sasl_why(const struct spice_sasl *s);

/*
 * The server has something of ours to judge. It has no way to say no but to
 * close the connection.
 */
bool spice_sasl_judged(const struct spice_sasl *s);

/*
 * After the verdict. If a security layer was agreed on, *layered is a transport
 * over t that has it; else it is t. Takes s and t; -errno: both are as they
 * were.
 */
int must_check spice_sasl_layer(struct spice_sasl *s, struct transport *t,
				struct transport **layered);

#endif
