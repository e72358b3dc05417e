/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The password as a SPICE server wants it: RSA-OAEP (SHA-1, MGF1 with SHA-1, no
 * label) of its characters and a NUL, by libgcrypt.
 */
#ifndef SPICE_TICKET_H
#define SPICE_TICKET_H

#include "wire/spice.h"

/*
 * password: at most SPICE_MAX_PASSWORD characters; "" where none is needed.
 * -EPROTO: nothing can be encrypted with that key; -ENOMEM.
 */
int must_check spice_ticket(const struct spice_rsa *key, const char *password,
			    uint8_t ticket[static SPICE_RSA]);

#endif
