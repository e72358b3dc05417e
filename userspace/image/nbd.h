/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Images on NBD servers (nbdkit, qemu-nbd, ...), by libnbd:
 *
 *	nbd://HOST[:PORT]/EXPORT	nbd+unix:///EXPORT?socket=PATH
 *	nbds://..., nbds+unix://...	the same by TLS
 *
 * With TLS the URI's query names what the server is known by: a folder with
 * ca-cert.pem (tls-certificates=DIR), or a file of keys (tls-psk-file=FILE).
 * One of them is demanded: without, libnbd of Debian 12 would encrypt, but to
 * whoever answers.
 *
 * A server that is lost is connected to again, for ever. What was in flight is
 * done again then, in the order in which it was submitted; what has waited for
 * too long (image_nbd_patience()) ends with -EIO. So does everything as long
 * as the server offers something smaller, or read-only, in its place.
 */
#ifndef IMAGE_NBD_H
#define IMAGE_NBD_H

#include "image/image.h"

/*
 * As image_open(); *why is in a static buffer. Waits for the server, 10 s at
 * most (and for the resolver).
 */
int must_check nbd_open(struct loop *loop, const char *uri, bool read_only,
			struct image **image, const char **why);

/* Linux gives its disks 30 s: a guest shall hear of it before it gives up. */
#define IMAGE_NBD_PATIENCE_MS 25000

/* For tests: how long requests wait for the server. */
void image_nbd_patience(struct image *image, int64_t ms);

#endif
