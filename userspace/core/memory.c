// SPDX-License-Identifier: GPL-2.0-or-later
#include "core/memory.h"

#include <assert.h>
#include <string.h>
#include <unistd.h>

#define MAX_IOV 64

int memory_copy_iov(void *to, size_t len, const struct iovec *iov,
		    unsigned int n, size_t off)
{
	struct iovec from[MAX_IOV], into = { to, len };
	unsigned int used = 0;
	size_t left = len;
	ssize_t ret;

	assert(n <= MAX_IOV);
	for (unsigned int i = 0; i < n && left; i++) {
		size_t size = iov[i].iov_len;

		if (off >= size) {
			off -= size;
			continue;
		}
		from[used].iov_base = (char *)iov[i].iov_base + off;
		from[used].iov_len = MIN(size - off, left);
		left -= from[used++].iov_len;
		off = 0;
	}
	assert(!left);
	ret = process_vm_readv(getpid(), &into, 1, from, used, 0);
	if (ret >= 0)
		return (size_t)ret == len ? 0 : -EFAULT;
	if (errno == EFAULT)
		return -EFAULT;
	/* A sandbox forbids it: then whoever cuts a file short ends us. */
	for (unsigned int i = 0; i < used; i++) {
		memcpy(to, from[i].iov_base, from[i].iov_len);
		to = (char *)to + from[i].iov_len;
	}
	return 0;
}
