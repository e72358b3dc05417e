// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/mapping.h"

#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE 4096u

/* The file's pages, and one that it cannot have. */
static size_t mapped(uint64_t size)
{
	return (size_t)((size + PAGE - 1) / PAGE * PAGE + PAGE);
}

/*
 * Of files that are neither ours nor may be written by us mincore() says that
 * every page is resident: even the one that is not there.
 */
void mapping_open(struct mapping *m, int fd, uint64_t size)
{
	size_t len = mapped(size);
	unsigned char resident = 1;
	uint8_t *base;

	*m = (struct mapping){ 0 };
	if (!size)
		return;
	base = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return;
	if (mincore(base + len - PAGE, PAGE, &resident) < 0 || (resident & 1)) {
		munmap(base, len);
		return;
	}
	*m = (struct mapping){ base, size };
}

void mapping_close(struct mapping *m)
{
	if (m->size)
		munmap(m->base, mapped(m->size));
	m->size = 0;
}

const void *mapping_get(const struct mapping *m, int fd, uint64_t off,
			uint32_t len)
{
	unsigned char resident[IMAGE_MAP_MAX / PAGE + 1];
	uint64_t first = off / PAGE * PAGE;
	uint64_t pages = (off + len - first + PAGE - 1) / PAGE;
	struct stat st;

	if (off + len > m->size || len > IMAGE_MAP_MAX)
		return NULL;
	/* A large page may be resident beyond the end of a file that was cut. */
	if (fstat(fd, &st) < 0 ||
	    (S_ISREG(st.st_mode) && off + len > (uint64_t)st.st_size) ||
	    mincore(m->base + first, (size_t)(off + len - first), resident) < 0)
		return NULL;
	for (uint64_t i = 0; i < pages; i++)
		if (!(resident[i] & 1))
			return NULL;
	return m->base + off;
}
