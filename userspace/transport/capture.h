/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * A transport that writes what passes through it into a pcapng file, as the
 * segments of a TCP connection, so that Wireshark and tshark read it. Above TLS
 * it is what was said, not what was on the wire.
 */
#ifndef TRANSPORT_CAPTURE_H
#define TRANSPORT_CAPTURE_H

#include "transport/transport.h"

/*
 * Over t, which it takes on success; writes to dir/NAME-YYYYMMDD-HHMMSS[-N].pcapng.
 * port: the server's, as which it is shown. A file that cannot be written ends
 * the capture with a line, not the connection. -errno: there is no such file.
 */
int must_check capture_create(struct transport *t, const char *dir,
			      const char *name, unsigned int port,
			      struct transport **captured);

#endif
