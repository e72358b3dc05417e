/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Reading memory that may not be there: a mapping of a file that has become
 * shorter. The kernel says EFAULT where we would get a signal.
 */
#ifndef CORE_MEMORY_H
#define CORE_MEMORY_H

#include <stddef.h>
#include <sys/uio.h>

#include "base/err.h"

/*
 * Copies len bytes, from byte off of what the n entries of iov (at most 64)
 * hold, which is at least that much. -EFAULT: some of it is not there.
 */
int must_check memory_copy_iov(void *to, size_t len, const struct iovec *iov,
			       unsigned int n, size_t off);

#endif
