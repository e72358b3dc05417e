// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_memory.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Of 16 MB that there are by default, for all devices and programs: a guest
 * that does not take what it has read must not have them all. */
#define KEEP (4u << 20)
#define MOST (8u << 20)

struct usbfs_memory {
	struct bufpool pool;
	struct bufpool_source source;
	int fd;
	unsigned int users; /* maps, and the owner */
};

static void unuse(struct usbfs_memory *m)
{
	if (!--m->users)
		free(m);
}

static void *map(struct bufpool_source *source, size_t size)
{
	struct usbfs_memory *m =
		container_of(source, struct usbfs_memory, source);
	void *data;

	if (m->fd < 0 || m->pool.lent + m->pool.cached + size > MOST)
		return NULL;
	data = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (data == MAP_FAILED)
		return NULL;
	m->users++;
	return data;
}

static void unmap(struct bufpool_source *source, void *data, size_t size)
{
	munmap(data, size);
	unuse(container_of(source, struct usbfs_memory, source));
}

struct usbfs_memory *usbfs_memory_create(int fd)
{
	struct usbfs_memory *m = calloc(1, sizeof(*m));

	if (!m)
		return NULL;
	m->source = (struct bufpool_source){ .get = map, .put = unmap };
	bufpool_init_over(&m->pool, &m->source, KEEP);
	m->fd = fd;
	m->users = 1;
	return m;
}

void usbfs_memory_close(struct usbfs_memory *m)
{
	if (!m)
		return;
	m->fd = -1;
	m->pool.keep = 0;
	bufpool_trim(&m->pool);
	unuse(m);
}

struct buf *usbfs_memory_get(struct usbfs_memory *m, uint32_t len)
{
	if (len < USBFS_MAP_MIN || len > USBFS_MAP_MAX)
		return NULL;
	return bufpool_get(&m->pool, len);
}

void usbfs_memory_trim(struct usbfs_memory *m)
{
	bufpool_trim(&m->pool);
}
