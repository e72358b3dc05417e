/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What SASL agreed on to encrypt and to check all that follows, as a transport
 * over another.
 */
#ifndef SPICE_SASL_LAYER_H
#define SPICE_SASL_LAYER_H

#include "spice/sasl.h"

struct sasl_conn;

/*
 * Takes t and s, of which conn is a part. -ENOMEM, -EPROTO: they are as they
 * were.
 */
int must_check spice_sasl_layer_create(struct transport *t,
				       struct spice_sasl *s,
				       struct sasl_conn *conn,
				       struct transport **layered);

#endif
