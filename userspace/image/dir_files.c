// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/dir_files.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

void dir_files_init(struct dir_files *files, const struct dir_tree *tree)
{
	files->tree = tree;
	files->n = files->n_mapped = 0;
	list_init(&files->recent);
}

static void forget(struct dir_files *files, struct dir_file *file)
{
	list_remove(&file->node);
	files->n--;
	close(file->fd);
	free(file);
}

void dir_files_fini(struct dir_files *files)
{
	list_for_each_safe (node, &files->recent)
		forget(files, list_entry(node, struct dir_file, node));
	for (unsigned int i = 0; i < files->n_mapped; i++)
		mapping_close(&files->mapped[i].mapping);
}

/* Closes what was not used for longest, down to what may stay. */
static void shrink(struct dir_files *files, unsigned int stay)
{
	struct list *node = files->recent.prev;

	while (files->n > stay && node != &files->recent) {
		struct dir_file *file = list_entry(node, struct dir_file, node);

		node = node->prev;
		if (!file->users)
			forget(files, file);
	}
}

static struct dir_file *find(struct dir_files *files, uint32_t id)
{
	list_for_each (node, &files->recent) {
		struct dir_file *file = list_entry(node, struct dir_file, node);

		if (file->id == id)
			return file;
	}
	return NULL;
}

/* That its name is gone shows while it is open, too. */
static bool deleted(int fd)
{
	struct stat st;

	return fstat(fd, &st) < 0 || !st.st_nlink;
}

int dir_files_get(struct dir_files *files, uint32_t id, struct dir_file **file)
{
	struct dir_file *f = find(files, id);
	int fd;

	if (f && !f->users && deleted(f->fd)) {
		forget(files, f);
		f = NULL;
	}
	if (!f) {
		shrink(files, DIR_FILES_MAX - 1);
		/*
		 * This may wait for the disk when the kernel has forgotten the
		 * folder. A read of the folder's own data waits, too, in the
		 * guest's eyes; that other disks wait with it is the price of
		 * not having a thread for it. Files are opened once, and then
		 * only after 63 others.
		 */
		fd = dir_tree_open(files->tree, id);
		if (fd < 0)
			return fd;
		f = malloc(sizeof(*f));
		if (!f) {
			close(fd);
			return -ENOMEM;
		}
		*f = (struct dir_file){ .id = id, .fd = fd };
		files->n++;
	} else {
		list_remove(&f->node);
	}
	/* To the front: an append in front of the first one. */
	list_init(&f->node);
	list_append(files->recent.next, &f->node);
	f->users++;
	*file = f;
	return 0;
}

void dir_files_put(struct dir_files *files, struct dir_file *file)
{
	file->users--;
	shrink(files, DIR_FILES_MAX);
}

/* NULL: there is no room for more of them. */
static const struct mapping *mapping_of(struct dir_files *files, uint32_t id,
					int fd)
{
	struct dir_mapping *m;

	for (unsigned int i = 0; i < files->n_mapped; i++)
		if (files->mapped[i].id == id)
			return &files->mapped[i].mapping;
	if (files->n_mapped == DIR_FILES_MAPPED)
		return NULL;
	m = &files->mapped[files->n_mapped++];
	m->id = id;
	mapping_open(&m->mapping, fd, files->tree->nodes[id].size);
	return &m->mapping;
}

const void *dir_files_map(struct dir_files *files, uint32_t id, uint64_t at,
			  uint32_t len)
{
	const struct mapping *mapping;
	const void *bytes = NULL;
	struct dir_file *file;

	/* That it is there still is to be seen each time. */
	if (files->tree->nodes[id].size < DIR_FILES_MAP_MIN ||
	    dir_files_get(files, id, &file) < 0)
		return NULL;
	mapping = mapping_of(files, id, file->fd);
	if (mapping)
		bytes = mapping_get(mapping, file->fd, at, len);
	dir_files_put(files, file);
	return bytes;
}
