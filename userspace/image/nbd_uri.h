/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What people write and read of NBD: URIs, and why one could not be opened.
 */
#ifndef IMAGE_NBD_URI_H
#define IMAGE_NBD_URI_H

#include <stdbool.h>

#include "base/err.h"

/* The URI without user and keys; the caller owns it. NULL: no memory. */
char *nbd_uri_name(const char *uri);

/*
 * With TLS: there is something to know the server by. libnbd accepts whatever
 * certificate it gets when it finds no CA to check it against (CVE-2024-7383),
 * so this must hold each time it connects.
 */
bool nbd_uri_knows_server(const char *uri);
extern const char nbd_uri_knows_not[]; /* what to say otherwise */

/*
 * From libnbd's words, one line: what to show after the URI, in a static
 * buffer.
 */
const char *nbd_uri_explain(const char *words);

#endif
