/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Isochronous streams: what is particular about them. An IN URB becomes as
 * many iso_packets as it has packets; OUT packets are gathered into URBs, the
 * first of which leaves when half of all have been (usbredir 0.7, section
 * "usb_redir_start_iso_stream"): a reserve against a network that is not even.
 */
#ifndef FRONTEND_REDIR_ISO_H
#define FRONTEND_REDIR_ISO_H

#include "frontend/redir_stream.h"

extern const struct redir_stream_kind redir_iso_in, redir_iso_out;

/* A packet for an OUT stream that is on; data is copied. */
void redir_iso_gather(struct redir_stream *st, const void *data, uint32_t len);

#endif
