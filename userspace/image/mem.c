// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/checked.h"

static void move(struct mem_image *mem, const struct image_request *r)
{
	uint64_t off = r->off;

	for (unsigned int i = 0; i < r->n_iov; i++) {
		uint8_t *p = r->iov[i].iov_base;
		size_t len = r->iov[i].iov_len;
		size_t have = off < mem->backed
				      ? MIN(len, (size_t)(mem->backed - off))
				      : 0;

		if (r->type == IMAGE_READ) {
			if (have)
				memcpy(p, mem->data + off, have);
			memset(p + have, 0, len - have);
		} else if (have) {
			memcpy(mem->data + off, p, have);
		}
		off += len;
	}
}

static int perform(struct mem_image *mem, struct image_request *r)
{
	if (mem->error[r->type])
		return mem->error[r->type];
	switch (r->type) {
	case IMAGE_READ:
	case IMAGE_WRITE:
		move(mem, r);
		break;
	case IMAGE_DISCARD:
	case IMAGE_ZERO:
		if (r->off < mem->backed)
			memset(mem->data + r->off, 0,
			       MIN(r->len, mem->backed - r->off));
		break;
	case IMAGE_FLUSH:
		break;
	case IMAGE_STATUS:
		return -EOPNOTSUPP;
	}
	return 0;
}

static void run(struct task *task)
{
	struct mem_image *mem = container_of(task, struct mem_image, task);
	struct list *node;

	while (!mem->hold && (node = list_pop(&mem->waiting))) {
		struct image_request *r =
			list_entry(node, struct image_request, node);
		int res = perform(mem, r);

		mem->count[r->type]++;
		mem->last_flags = r->flags;
		image_done(r, res);
	}
}

static void submit(struct image *image, struct image_request *r)
{
	struct mem_image *mem = container_of(image, struct mem_image, image);

	/* What image.h demands of every caller. */
	assert(range_within(r->off, r->len, image->size));
	assert(r->type == IMAGE_FLUSH || r->len);
	assert(image->align == 1 || r->type == IMAGE_STATUS ||
	       (!(r->off % image->align) &&
		(!(r->len % image->align) || r->off + r->len == image->size)));
	list_init(&r->node);
	list_append(&mem->waiting, &r->node);
	loop_post(image->loop, &mem->task);
}

void mem_image_release(struct mem_image *mem)
{
	mem->hold = false;
	loop_post(mem->image.loop, &mem->task);
}

static void destroy(struct image *image)
{
	struct mem_image *mem = container_of(image, struct mem_image, image);

	assert(list_empty(&mem->waiting));
	task_cancel(&mem->task);
	if (mem->destroyed)
		*mem->destroyed = true;
	if (mem->backed)
		munmap(mem->data, mem->backed);
	free(mem);
}

struct mem_image *mem_image_new(struct loop *loop, uint64_t size,
				uint64_t backed)
{
	static const struct image_ops ops = {
		.name = "mem",
		.submit = submit,
		.destroy = destroy,
	};
	struct mem_image *mem = calloc(1, sizeof(*mem));

	if (!mem)
		return NULL;
	if (backed) {
		/* Takes room when it is written. */
		mem->data = mmap(NULL, backed, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
				 -1, 0);
		if (mem->data == MAP_FAILED) {
			free(mem);
			return NULL;
		}
	}
	mem->backed = backed;
	image_init(&mem->image, &ops, loop, "mem", size);
	list_init(&mem->waiting);
	task_init(&mem->task, run);
	return mem;
}

int mem_open(struct loop *loop, const char *text, bool read_only,
	     struct image **image, const char **why)
{
	static const char suffixes[] = "KMG";
	const char *number = text + strlen("mem:"), *suffix;
	struct mem_image *mem;
	uint64_t size;
	char *end;

	errno = 0;
	size = strtoull(number, &end, 10);
	suffix = *end ? strchr(suffixes, *end) : NULL;
	if (suffix) {
		unsigned int shift = 10 * (unsigned int)(suffix - suffixes + 1);

		end++;
		if (size > UINT64_MAX >> shift)
			errno = ERANGE;
		size <<= shift;
	}
	if (end == number || *end || *number == '-' || errno || !size) {
		*why = "has no valid size: mem:64M";
		return -EINVAL;
	}
	mem = mem_image_new(loop, size, size);
	if (!mem) {
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	mem->image.read_only = read_only;
	*image = &mem->image;
	return 0;
}
