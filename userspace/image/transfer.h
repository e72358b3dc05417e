/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Bytes between a file and a part of a read or write: for images that keep
 * theirs in files.
 */
#ifndef IMAGE_TRANSFER_H
#define IMAGE_TRANSFER_H

#include "image/image.h"

/*
 * Moves the next len bytes of request, which are those behind request->moved,
 * from or to fd at offset at; moved grows. end runs exactly once, on the loop
 * thread, never inside: 0, or -ENODATA for a read beyond the end of the file,
 * or what else went wrong. fd must stay open until then.
 */
void transfer_start(struct image_request *request, int fd, uint64_t at,
		    uint64_t len,
		    void (*end)(struct image_request *request, int res));

/* Where the next bytes go: as many as are in one piece, but at most len. */
struct iovec transfer_piece(const struct image_request *request, uint64_t len);

#endif
