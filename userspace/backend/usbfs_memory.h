/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Memory that usbdevfs has mapped for us: a transfer to and from there is not
 * copied by the kernel, and the socket receives into it and sends from it.
 *
 * There is little of it, for all programs together (usbfs_memory_mb). Where
 * there is none, ordinary memory does.
 */
#ifndef BACKEND_USBFS_MEMORY_H
#define BACKEND_USBFS_MEMORY_H

#include "core/bufpool.h"

/* Shorter transfers are as fast copied. */
#define USBFS_MAP_MIN 4096u
/* Longer ones go in pieces of this size, from ordinary memory. */
#define USBFS_MAP_MAX (1u << BUFPOOL_MAX_SHIFT)

struct usbfs_memory;

/* NULL: out of memory. fd is used until usbfs_memory_close(). */
struct usbfs_memory *usbfs_memory_create(int fd);

/* Maps no more; what is lent stays valid, and the rest goes when it is back. */
void usbfs_memory_close(struct usbfs_memory *memory);

/* NULL: there is none of this size. */
struct buf *usbfs_memory_get(struct usbfs_memory *memory, uint32_t len);

/* Others need it. */
void usbfs_memory_trim(struct usbfs_memory *memory);

#endif
