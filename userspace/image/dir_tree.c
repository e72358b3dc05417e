// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/dir_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/log.h"
#include "image/dir_open.h"

/* Hashes: a collision makes a name look taken, no more. Zero is no key. */
struct set {
	uint64_t *keys;
	size_t size, room; /* powers of two */
};

struct scan {
	struct dir_tree *tree;
	locale_t locale; /* for upper case; NULL: ASCII only */
	struct set taken;
	/* The folder at hand: */
	uint32_t node;
	int fd;
	char path[DIR_PATH_SIZE];
	uint32_t slots;
	char *text; /* what readdir(3) said, one after another */
	size_t text_len, text_room;
	char **names; /* in text; sorted */
	size_t n_names, names_room;
};

/* Doubles what is not large enough for need elements. */
static int reserve(void *array, size_t *room, size_t need, size_t element)
{
	size_t more = MAX(*room, 64);
	void *p;

	if (need <= *room)
		return 0;
	while (more < need)
		more *= 2;
	p = realloc(*(void **)array, more * element);
	if (!p)
		return -ENOMEM;
	*(void **)array = p;
	*room = more;
	return 0;
}

static int set_clear(struct set *set, size_t keys)
{
	for (set->size = 64; set->size < 2 * keys; set->size *= 2)
		;
	if (reserve(&set->keys, &set->room, set->size, sizeof(*set->keys)) < 0)
		return -ENOMEM;
	memset(set->keys, 0, set->size * sizeof(*set->keys));
	return 0;
}

/* False when it is there already. */
static bool set_add(struct set *set, uint64_t key)
{
	size_t i = (key ^ key >> 32) & (set->size - 1);

	key = key ? key : 1;
	for (; set->keys[i]; i = (i + 1) & (set->size - 1))
		if (set->keys[i] == key)
			return false;
	set->keys[i] = key;
	return true;
}

static uint64_t brief_key(const uint8_t brief[DIR_SHORT_SIZE])
{
	return hash_bytes(HASH_INIT, brief, DIR_SHORT_SIZE);
}

#define TOLD 5u

/* A folder full of what cannot be shown shall not fill the log. */
static void leave_out(struct scan *scan, const char *name, const char *why)
{
	bool top = !strcmp(scan->path, ".");

	if (scan->tree->left_out++ < TOLD)
		log_warn("dir:%s: left out: %s%s%s: %s", scan->tree->path,
			 top ? "" : scan->path, top || !*name ? "" : "/", name,
			 why);
}

/* --- Looking at one file ----------------------------------------------------------- */

static uint32_t fat_time(int64_t seconds)
{
	time_t t = (time_t)seconds;
	struct tm tm;
	uint32_t date, time;

	if (!localtime_r(&t, &tm) || tm.tm_year < 80)
		return (1u << 5 | 1u) << 16; /* 1980-01-01 00:00 */
	if (tm.tm_year > 80 + 127)
		return 0xff9fbf7d; /* 2107-12-31 23:59:58 */
	date = (uint32_t)((tm.tm_year - 80) << 9 | (tm.tm_mon + 1) << 5 |
			  tm.tm_mday);
	time = (uint32_t)(tm.tm_hour << 11 | tm.tm_min << 5 |
			  MIN(tm.tm_sec, 59) / 2);
	return date << 16 | time;
}

/*
 * Links to files in the folder look like the files. Links to folders do not:
 * FAT has no way to say that two folders are one, and a link to a folder above
 * would have no end.
 */
static const char *look_behind_link(struct scan *scan, const char *name,
				    struct statx *st)
{
	char path[DIR_PATH_SIZE + NAME_MAX + 2];
	int fd cleanup_close = -1, ret;

	snprintf(path, sizeof(path), "%s/%s", scan->path, name);
	fd = dir_open_beneath(scan->tree->root, path, O_PATH);
	ret = fd < 0 ? fd : dir_look(fd, "", st);
	if (ret == -EXDEV)
		return "a symbolic link that leaves the folder";
	if (ret == -ENOENT)
		return "a symbolic link to nothing";
	if (ret < 0)
		return strerror(-ret);
	if (S_ISDIR(st->stx_mode))
		return "a symbolic link to a folder";
	if (!S_ISREG(st->stx_mode))
		return "a symbolic link, but not to a file";
	return NULL;
}

/* NULL, or why it cannot be shown. */
static const char *look(struct scan *scan, const char *name, struct statx *st)
{
	const char *why = NULL;
	int ret = dir_look(scan->fd, name, st), mode = R_OK;

	if (ret < 0)
		return strerror(-ret);
	if (S_ISLNK(st->stx_mode))
		why = look_behind_link(scan, name, st);
	else if (S_ISDIR(st->stx_mode))
		mode |= X_OK;
	else if (!S_ISREG(st->stx_mode))
		why = "neither a file nor a folder";
	if (why)
		return why;
	if (S_ISREG(st->stx_mode) && st->stx_size > UINT32_MAX)
		return "4 GiB or larger, which FAT cannot hold";
	/* Better no file than one that cannot be read. */
	if (faccessat(scan->fd, name, mode, AT_EACCESS) < 0)
		return errno == EACCES ? "may not be read" : strerror(errno);
	return NULL;
}

/* --- Adding to the tree ----------------------------------------------------------------- */

static int add_node(struct dir_tree *tree, const char *name,
		    struct dir_node **node)
{
	size_t room = tree->room, names_room = tree->names_room;
	size_t len = strlen(name) + 1;
	int ret;

	if (tree->n == DIR_TREE_MAX)
		return -EFBIG;
	ret = reserve(&tree->nodes, &room, tree->n + 1, sizeof(**node));
	if (!ret)
		ret = reserve(&tree->names, &names_room, tree->names_len + len,
			      1);
	tree->room = (uint32_t)room;
	tree->names_room = (uint32_t)names_room;
	if (ret < 0)
		return ret;
	*node = &tree->nodes[tree->n++];
	**node = (struct dir_node){ .name = tree->names_len };
	memcpy(tree->names + tree->names_len, name, len);
	tree->names_len += (uint32_t)len;
	return 0;
}

static int add_child(struct scan *scan, const char *text)
{
	struct dir_name name;
	struct dir_node *node;
	enum dir_name_fit fit;
	unsigned int slots;
	struct statx st;
	const char *why;
	int ret;

	if (dir_name_decode(&name, text, &why) < 0) {
		leave_out(scan, text, why);
		return 0;
	}
	why = look(scan, text, &st);
	if (why) {
		leave_out(scan, text, why);
		return 0;
	}
	if (!set_add(&scan->taken, dir_name_folded(&name, scan->locale))) {
		leave_out(scan, text,
			  "its name differs from another only in case");
		return 0;
	}
	ret = add_node(scan->tree, text, &node);
	if (ret < 0)
		return ret;
	fit = dir_name_shorten(&name, node->brief);
	slots = fit == DIR_NAME_IS_SHORT ? 0 : dir_name_slots(&name);
	if (scan->slots + slots + 1 > DIR_MAX_SLOTS) {
		scan->tree->n--;
		scan->tree->names_len = node->name;
		leave_out(scan, text, "FAT holds no more entries in a folder");
		return 0;
	}
	node->parent = scan->node;
	node->slot = scan->slots;
	node->long_slots = slots & 0x7f;
	node->folder = S_ISDIR(st.stx_mode);
	node->time = fat_time(st.stx_mtime.tv_sec);
	if (!node->folder) {
		node->size = (uint32_t)st.stx_size;
		node->id = dir_file_id(&st);
	}
	scan->slots += slots + 1;
	return 0;
}

/*
 * Short names that belong to one name only are taken first; the others are
 * numbered around them.
 */
static int make_briefs(struct scan *scan, uint32_t first)
{
	struct dir_tree *tree = scan->tree;

	if (set_clear(&scan->taken, tree->n - first) < 0)
		return -ENOMEM;
	for (int lossy = 0; lossy < 2; lossy++) {
		for (uint32_t i = first; i < tree->n; i++) {
			struct dir_node *node = &tree->nodes[i];
			struct dir_name name;
			uint8_t brief[DIR_SHORT_SIZE];
			const char *why;

			if (dir_name_decode(&name, tree->names + node->name,
					    &why) < 0)
				continue; /* it did before */
			memcpy(brief, node->brief, sizeof(brief));
			if ((dir_name_shorten(&name, brief) ==
			     DIR_NAME_LOSSY) != lossy)
				continue;
			if (!lossy) {
				set_add(&scan->taken, brief_key(brief));
				continue;
			}
			for (unsigned int attempt = 0;; attempt++) {
				memcpy(brief, node->brief, sizeof(brief));
				dir_name_number(brief, attempt, i - first);
				if (set_add(&scan->taken, brief_key(brief)))
					break;
			}
			memcpy(node->brief, brief, sizeof(brief));
		}
	}
	return 0;
}

/* --- Reading folders -------------------------------------------------------------------- */

static int add_text(struct scan *scan, const char *name)
{
	size_t len = strlen(name) + 1;

	if (reserve(&scan->text, &scan->text_room, scan->text_len + len, 1) < 0)
		return -ENOMEM;
	memcpy(scan->text + scan->text_len, name, len);
	scan->text_len += len;
	scan->n_names++;
	return 0;
}

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* What is in scan->fd, sorted, so that the same folder makes the same disk. */
static int read_names(struct scan *scan)
{
	int fd = dup(scan->fd), ret = 0;
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char *p;

	if (!stream) {
		ret = -errno;
		if (fd >= 0)
			close(fd);
		return ret;
	}
	scan->text_len = 0;
	scan->n_names = 0;
	for (errno = 0; !ret && (entry = readdir(stream)); errno = 0)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			ret = add_text(scan, entry->d_name);
	if (!ret && errno)
		ret = -errno;
	closedir(stream);
	if (ret < 0)
		return ret;
	if (reserve(&scan->names, &scan->names_room, scan->n_names,
		    sizeof(*scan->names)) < 0)
		return -ENOMEM;
	p = scan->text;
	for (size_t i = 0; i < scan->n_names; i++, p += strlen(p) + 1)
		scan->names[i] = p;
	if (scan->n_names)
		qsort(scan->names, scan->n_names, sizeof(*scan->names),
		      compare);
	return 0;
}

static int scan_children(struct scan *scan)
{
	uint32_t first = scan->tree->n;
	int ret = dir_tree_path(scan->tree, scan->node, scan->path);

	if (ret < 0) {
		strcpy(scan->path, "(a path that is too long)");
		goto failed;
	}
	scan->fd = dir_open_beneath(scan->tree->root, scan->path,
				    O_RDONLY | O_DIRECTORY);
	if (scan->fd < 0) {
		ret = scan->fd;
		goto failed;
	}
	ret = read_names(scan);
	if (!ret)
		ret = set_clear(&scan->taken, scan->n_names);
	for (size_t i = 0; !ret && i < scan->n_names; i++)
		ret = add_child(scan, scan->names[i]);
	if (!ret)
		ret = make_briefs(scan, first);
	close(scan->fd);
	if (!ret)
		return 0;
failed:
	if (ret == -ENOMEM || ret == -EFBIG)
		return ret;
	leave_out(scan, "", strerror(-ret));
	return 0;
}

static int scan_folder(struct scan *scan, uint32_t node)
{
	struct dir_tree *tree = scan->tree;
	uint32_t first = tree->n;
	int ret;

	scan->node = node;
	scan->slots = node ? DIR_SUB_SLOTS : DIR_ROOT_SLOTS;
	ret = scan_children(scan);
	tree->nodes[node].first = first;
	tree->nodes[node].n = tree->n - first;
	tree->nodes[node].size = scan->slots * DIR_SLOT_SIZE;
	return ret;
}

static int scan_all(struct dir_tree *tree)
{
	struct scan scan = {
		.tree = tree,
		.locale = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0),
	};
	struct dir_node *root;
	struct statx st;
	int ret = dir_look(tree->root, "", &st);

	if (!ret)
		ret = add_node(tree, "", &root);
	if (!ret) {
		root->folder = true;
		root->time = fat_time(st.stx_mtime.tv_sec);
	}
	/* What is found is added behind: no folder waits on a stack. */
	for (uint32_t i = 0; !ret && i < tree->n; i++)
		if (tree->nodes[i].folder)
			ret = scan_folder(&scan, i);
	if (tree->left_out > TOLD)
		log_warn("dir:%s: left out: %u more", tree->path,
			 tree->left_out - TOLD);
	free(scan.taken.keys);
	free(scan.text);
	free(scan.names);
	if (scan.locale)
		freelocale(scan.locale);
	return ret;
}

/* --- The whole ------------------------------------------------------------------------------- */

static const char *reason(int err)
{
	switch (err) {
	case -ENOENT:
		return "does not exist";
	case -ENOTDIR:
		return "is not a folder";
	case -EACCES:
		return "may not be read; change its permissions";
	case -EFBIG:
		return "has more than 1048576 files and folders";
	default:
		return strerror(-err);
	}
}

int dir_tree_scan(struct dir_tree *tree, const char *path, const char **why)
{
	int ret = 0;

	*tree = (struct dir_tree){ .root = -1 };
	tree->root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (tree->root >= 0)
		tree->path = realpath(path, NULL);
	if (!tree->path)
		ret = -errno;
	/* Its names may be listed, but not looked at. */
	else if (faccessat(tree->root, ".", R_OK | X_OK, AT_EACCESS) < 0)
		ret = -errno;
	else
		ret = scan_all(tree);
	if (ret < 0) {
		*why = reason(ret);
		dir_tree_fini(tree);
	}
	return ret;
}

void dir_tree_fini(struct dir_tree *tree)
{
	if (tree->root >= 0)
		close(tree->root);
	free(tree->path);
	free(tree->nodes);
	free(tree->names);
}

int dir_tree_path(const struct dir_tree *tree, uint32_t node,
		  char path[DIR_PATH_SIZE])
{
	size_t at = DIR_PATH_SIZE - 1;

	if (!node) {
		strcpy(path, ".");
		return 0;
	}
	path[at] = '\0';
	for (; node; node = tree->nodes[node].parent) {
		const char *name = tree->names + tree->nodes[node].name;
		size_t len = strlen(name);

		if (len + 1 > at)
			return -ENAMETOOLONG;
		if (path[at])
			path[--at] = '/';
		at -= len;
		memcpy(path + at, name, len);
	}
	memmove(path, path + at, DIR_PATH_SIZE - at);
	return 0;
}

int dir_tree_open(const struct dir_tree *tree, uint32_t node)
{
	char path[DIR_PATH_SIZE];
	int fd cleanup_close = -1, ret = dir_tree_path(tree, node, path);
	struct statx st;

	if (ret < 0)
		return ret;
	/* A FIFO may have taken the file's place: do not wait for a writer. */
	fd = dir_open_beneath(tree->root, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		return fd;
	ret = dir_look(fd, "", &st);
	if (ret < 0)
		return ret;
	if (!S_ISREG(st.stx_mode) || dir_file_id(&st) != tree->nodes[node].id)
		return -ESTALE;
	/* The ring would take O_NONBLOCK to mean that reads must not wait. */
	if (fcntl(fd, F_SETFL, 0) < 0)
		return -errno;
	ret = fd;
	fd = -1;
	return ret;
}

uint64_t dir_tree_version(const struct dir_tree *tree)
{
	uint64_t hash = HASH_INIT;

	hash = hash_bytes(hash, tree->names, tree->names_len);
	for (uint32_t i = 0; i < tree->n; i++) {
		const struct dir_node *node = &tree->nodes[i];

		hash = hash_bytes(hash, &node->size, sizeof(node->size));
		hash = hash_bytes(hash, &node->time, sizeof(node->time));
		hash = hash_bytes(hash, &node->parent, sizeof(node->parent));
	}
	return hash;
}
