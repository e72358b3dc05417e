// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/overlay_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/hash.h"
#include "base/span.h"
#include "image/raw.h"

/* --- The header ------------------------------------------------------------------
 *
 * magic 8, version 4, unit 4, disk size 8, data offset 8, fingerprint of the
 * base 8, flags 4, length of the base's name 4, boot id 40, the name.
 */
#define MAGIC "RYLL-OVL"
#define VERSION 1
#define FLAG_COMMITTING 1u
#define BOOT_ID_SIZE 40

struct header {
	uint64_t size, data, fingerprint;
	uint32_t flags;
	char boot_id[BOOT_ID_SIZE];
	char base[sizeof(((struct overlay_file *)0)->base)];
};

static uint64_t pages_for(uint64_t size)
{
	return (size + OVERLAY_PAGE_SPAN - 1) / OVERLAY_PAGE_SPAN;
}

static uint64_t data_for(uint64_t size)
{
	uint64_t maps = OVERLAY_PAGE * (1 + 2 * pages_for(size));

	return (maps + 65535) / 65536 * 65536;
}

static int get_header(const uint8_t page[OVERLAY_PAGE], struct header *h,
		      const char **why)
{
	struct span s = span_of(page, OVERLAY_PAGE);
	const uint8_t *magic = span_take(&s, 8), *text;
	uint32_t version = (uint32_t)span_le(&s, 4);
	uint32_t unit = (uint32_t)span_le(&s, 4), len;

	*why = "is not an overlay of ryll-bridge; name another file, or one that does not exist yet";
	if (memcmp(magic, MAGIC, 8))
		return -EINVAL;
	h->size = span_le(&s, 8);
	h->data = span_le(&s, 8);
	h->fingerprint = span_le(&s, 8);
	h->flags = (uint32_t)span_le(&s, 4);
	len = (uint32_t)span_le(&s, 4);
	text = span_take(&s, BOOT_ID_SIZE);
	memcpy(h->boot_id, text, BOOT_ID_SIZE);
	*why = "is an overlay of another version of ryll-bridge";
	if (version != VERSION || unit != OVERLAY_UNIT ||
	    (h->flags & ~FLAG_COMMITTING))
		return -EINVAL;
	*why = "is a damaged overlay";
	if (len >= sizeof(h->base) || !h->size || h->size > INT64_MAX / 2 ||
	    h->data != data_for(h->size))
		return -EINVAL;
	text = span_take(&s, len);
	if (!text)
		return -EINVAL;
	snprintf(h->base, sizeof(h->base), "%.*s", (int)len, text);
	return strlen(h->base) == len ? 0 : -EINVAL;
}

/* Changes whenever the machine has been down. */
static void this_boot(char boot_id[BOOT_ID_SIZE])
{
	int fd cleanup_close =
		open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	memset(boot_id, 0, BOOT_ID_SIZE);
	if (fd < 0 || read(fd, boot_id, BOOT_ID_SIZE - 1) < 36)
		memset(boot_id, 0, BOOT_ID_SIZE); /* never the same */
}

static bool same_boot(const char a[BOOT_ID_SIZE], const char b[BOOT_ID_SIZE])
{
	return a[0] && !memcmp(a, b, BOOT_ID_SIZE);
}

/* --- What a base looks like --------------------------------------------------------
 *
 * Its beginning, where partitions and file systems describe themselves, and
 * samples of the rest. The same after a copy or a move; another one, or one
 * that was written to, is hardly ever the same.
 */
#define SAMPLES 64

int overlay_fingerprint(struct image *base, uint64_t *fingerprint)
{
	uint64_t h = HASH_INIT ^ base->version;
	uint64_t step = base->size / SAMPLES;
	uint8_t buf[OVERLAY_UNIT];

	for (uint64_t i = 0; i < 2 * SAMPLES; i++) {
		uint64_t off = i < SAMPLES ? i * sizeof(buf)
					   : (i - SAMPLES) * step;
		size_t len;
		int ret;

		off = off / sizeof(buf) * sizeof(buf);
		if (off >= base->size)
			continue;
		len = (size_t)MIN(sizeof(buf), base->size - off);
		ret = image_wait(base, IMAGE_READ, off, buf, len);
		if (ret < 0)
			return ret;
		h = hash_bytes(h, buf, len);
	}
	*fingerprint = h;
	return 0;
}

/* --- Reading and writing, all in set-up: it may wait ---------------------------------- */

int overlay_fd(const struct overlay_file *file, bool write)
{
	struct image_extent extent;

	return image_extent(file->store, 0, write, &extent) ? extent.fd : -1;
}

static int write_all(int fd, const void *buf, size_t len, uint64_t off)
{
	ssize_t n = pwrite(fd, buf, len, (off_t)off);

	return n < 0 ? -errno : (size_t)n < len ? -ENOSPC : 0;
}

int overlay_write_header(const struct overlay_file *file, int fd)
{
	char boot_id[BOOT_ID_SIZE];
	uint8_t page[OVERLAY_PAGE];
	struct span_writer w = span_writer_of(page, sizeof(page));
	int ret;

	this_boot(boot_id);
	span_put(&w, MAGIC, 8);
	span_put_le(&w, VERSION, 4);
	span_put_le(&w, OVERLAY_UNIT, 4);
	span_put_le(&w, file->size, 8);
	span_put_le(&w, file->data, 8);
	span_put_le(&w, file->fingerprint, 8);
	span_put_le(&w, file->committing ? FLAG_COMMITTING : 0, 4);
	span_put_le(&w, strlen(file->base), 4);
	span_put(&w, boot_id, sizeof(boot_id));
	span_put(&w, file->base, strlen(file->base));
	span_put_zero(&w, sizeof(page) - w.len);
	ret = write_all(fd, page, sizeof(page), 0);
	return ret ? ret : fdatasync(fd) < 0 ? -errno : 0;
}

/* A map of a large disk is mostly holes: read what is not. */
static int read_map(int fd, uint64_t from, uint64_t len, uint8_t *map)
{
	off_t at = (off_t)from, end = (off_t)(from + len);

	while (at < end) {
		off_t data = lseek(fd, at, SEEK_DATA), hole;
		ssize_t n;

		if (data < 0 && errno == ENXIO)
			return 0;
		if (data < 0)
			data = at; /* a file system without holes */
		if (data >= end)
			return 0;
		hole = lseek(fd, data, SEEK_HOLE);
		hole = hole < 0 ? end : MIN(hole, end);
		n = pread(fd, map + ((uint64_t)data - from),
			  (size_t)(hole - data), data);
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		at = data + n;
	}
	return 0;
}

/*
 * The map as it was last true: what is stable, and in the same boot what is
 * recent. The recent map in the file says the same afterwards; file->dirty
 * tells where the stable one does not.
 */
static int load_map(struct overlay_file *file, bool same, bool read_only)
{
	uint64_t len = file->n_pages * OVERLAY_PAGE;
	uint8_t *stable cleanup_free = calloc(1, len);
	uint8_t *recent cleanup_free = calloc(1, len);
	int fd = overlay_fd(file, false), ret;

	if (!stable || !recent)
		return -ENOMEM;
	ret = read_map(fd, overlay_stable_page(0), len, stable);
	if (!ret)
		ret = read_map(fd, overlay_recent_page(file, 0), len, recent);
	for (uint64_t i = 0; !ret && i < len; i++)
		file->map[i] = stable[i] | (same ? recent[i] : 0);
	for (uint64_t i = 0; !ret && !read_only && i < file->n_pages; i++) {
		uint64_t at = i * OVERLAY_PAGE;

		if (memcmp(file->map + at, stable + at, OVERLAY_PAGE))
			file->dirty[i] = OVERLAY_STABLE;
		if (memcmp(file->map + at, recent + at, OVERLAY_PAGE))
			ret = write_all(fd, file->map + at, OVERLAY_PAGE,
					overlay_recent_page(file, i));
	}
	return ret;
}

static int alloc_map(struct overlay_file *file)
{
	file->n_pages = pages_for(file->size);
	file->data = data_for(file->size);
	file->map = calloc(file->n_pages, OVERLAY_PAGE);
	file->dirty = calloc(file->n_pages, 1);
	return file->map && file->dirty ? 0 : -ENOMEM;
}

/* --- Opening ------------------------------------------------------------------------------ */

#define TOO_LONG "lies over an image whose name is too long"

static int fill_new(int fd, struct overlay_file *file)
{
	uint64_t maps = OVERLAY_PAGE * (1 + 2 * file->n_pages);

	/* The maps have their room from the start, so that a full file system
	 * stops data and not the knowledge of it. Where that is impossible
	 * they are written when there is something to say. */
	if (fallocate(fd, 0, 0, (off_t)maps) < 0 && errno == ENOSPC)
		return -ENOSPC;
	if (ftruncate(fd, (off_t)(file->data + file->size)) < 0)
		return -errno;
	return overlay_write_header(file, fd);
}

/* Whole or not at all: it gets its name when it is complete. */
static int create(const char *path, struct overlay_file *file)
{
	char *copy cleanup_free = strdup(path);
	char *slash = copy ? strrchr(copy, '/') : NULL;
	const char *dir = slash == copy ? "/" : slash ? copy : ".";
	int fd cleanup_close = -1, folder cleanup_close = -1, ret;
	bool named = false;
	char proc[40];

	if (!copy)
		return -ENOMEM;
	if (slash)
		*slash = '\0';
	fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	/* A file system that has only files with names: with less comfort. */
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
		fd = open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
		named = fd >= 0;
	}
	if (fd < 0)
		return -errno;
	ret = fill_new(fd, file);
	if (ret < 0) {
		if (named)
			unlink(path);
		return ret;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	if (!named &&
	    linkat(AT_FDCWD, proc, AT_FDCWD, path, AT_SYMLINK_FOLLOW) < 0 &&
	    errno != EEXIST)
		return -errno;
	/* Its name is to last, too. */
	folder = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder >= 0 && fsync(folder) < 0 && errno != EINVAL ? -errno : 0;
}

/* In TMPDIR, or where there is room for large files that last a while. */
static int create_nameless(struct loop *loop, struct overlay_file *file,
			   const char **why)
{
	const char *dir = getenv("TMPDIR");
	int fd cleanup_close = -1, ret;
	char proc[40];

	fd = open(dir && *dir ? dir : "/var/tmp",
		  O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ret = fd < 0 ? -errno : fill_new(fd, file);
	if (ret < 0) {
		*why = "needs room for its changes: set TMPDIR to a folder that has it";
		return ret;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
	return raw_open(loop, proc, false, &file->store, why);
}

static int read_header(struct overlay_file *file, struct header *h,
		       const char **why)
{
	uint8_t page[OVERLAY_PAGE] = { 0 };
	ssize_t n = pread(overlay_fd(file, false), page, sizeof(page), 0);
	int ret;

	if (n < 0) {
		*why = strerror(errno);
		return -errno;
	}
	ret = get_header(page, h, why);
	if (ret < 0)
		return ret;
	if (file->store->size < h->data + h->size) {
		*why = "is a damaged overlay: it has become shorter";
		return -EINVAL;
	}
	file->size = h->size;
	file->fingerprint = h->fingerprint;
	file->committing = h->flags & FLAG_COMMITTING;
	memcpy(file->base, h->base, sizeof(file->base));
	return 0;
}

/* The store is open, and the header is to be believed. */
static int load(struct overlay_file *file, const struct header *h,
		bool read_only, const char **why)
{
	char now[BOOT_ID_SIZE];
	int ret = alloc_map(file);

	this_boot(now);
	if (!ret)
		ret = load_map(file, same_boot(h->boot_id, now), read_only);
	/* From now on the recent map counts. */
	if (!ret && !read_only)
		ret = overlay_write_header(file, overlay_fd(file, true));
	if (ret < 0)
		*why = strerror(-ret);
	return ret;
}

static int check_base(const struct overlay_file *file,
		      const struct overlay_file *wanted, const char **why)
{
	if (file->committing) {
		*why = "was being committed to its base; finish that first: ryll-bridge --commit OVERLAY";
		return -EINVAL;
	}
	if (file->size == wanted->size &&
	    file->fingerprint == wanted->fingerprint)
		return 0;
	*why = file->size != wanted->size
		       ? "belongs to another base: that had another size"
		       : "belongs to another base, or its base has been changed";
	return -EINVAL;
}

static int open_there(struct loop *loop, const char *path,
		      const struct overlay_file *wanted, bool read_only,
		      struct overlay_file *file, const char **why)
{
	struct header h;
	int ret = raw_open(loop, path, read_only, &file->store, why);

	if (!ret)
		ret = read_header(file, &h, why);
	if (!ret && wanted)
		ret = check_base(file, wanted, why);
	if (!ret)
		ret = load(file, &h, read_only, why);
	if (ret < 0)
		overlay_file_close(file);
	return ret;
}

int overlay_file_open(struct loop *loop, const char *path, struct image *base,
		      const char *name, bool read_only,
		      struct overlay_file *file, const char **why)
{
	struct overlay_file wanted = { .size = base->size };
	int ret = overlay_fingerprint(base, &wanted.fingerprint);

	*file = (struct overlay_file){ 0 };
	if (ret < 0) {
		*why = "lies over an image that cannot be read";
		return ret;
	}
	if (!base->size) {
		*why = "lies over an empty image";
		return -EINVAL;
	}
	if (snprintf(wanted.base, sizeof(wanted.base), "%s", name) >=
	    (int)sizeof(wanted.base)) {
		*why = TOO_LONG;
		return -ENAMETOOLONG;
	}
	wanted.n_pages = pages_for(wanted.size);
	wanted.data = data_for(wanted.size);
	if (!path) {
		*file = wanted;
		ret = create_nameless(loop, file, why);
		if (!ret)
			ret = alloc_map(file);
		if (ret < 0)
			overlay_file_close(file);
		return ret;
	}
	if (!read_only && access(path, F_OK) < 0 && errno == ENOENT) {
		ret = create(path, &wanted);
		if (ret < 0) {
			*why = strerror(-ret);
			return ret;
		}
	}
	return open_there(loop, path, &wanted, read_only, file, why);
}

int overlay_file_read(struct loop *loop, const char *path,
		      struct overlay_file *file, const char **why)
{
	*file = (struct overlay_file){ 0 };
	return open_there(loop, path, NULL, false, file, why);
}

void overlay_file_close(struct overlay_file *file)
{
	image_destroy(file->store);
	free(file->map);
	free(file->dirty);
	file->store = NULL;
	file->map = file->dirty = NULL;
}

/* --- The map -------------------------------------------------------------------------------- */

static bool marked(const struct overlay_file *file, uint64_t unit)
{
	uint8_t byte = __atomic_load_n(&file->map[unit / 8], __ATOMIC_ACQUIRE);

	return byte >> (unit % 8) & 1;
}

uint64_t overlay_run(const struct overlay_file *file, uint64_t off,
		     uint64_t len, bool *in_file)
{
	uint64_t unit = off / OVERLAY_UNIT, end = off + len;
	uint8_t all;

	*in_file = marked(file, unit++);
	all = *in_file ? 0xff : 0;
	while (unit * OVERLAY_UNIT < end && marked(file, unit) == *in_file)
		/* The map's last page has room behind its last unit. */
		if (unit % 8 == 0 && __atomic_load_n(&file->map[unit / 8],
						     __ATOMIC_ACQUIRE) == all)
			unit += 8;
		else
			unit++;
	return MIN(unit * OVERLAY_UNIT, end) - off;
}

void overlay_mark(struct overlay_file *file, uint64_t off, uint64_t len)
{
	uint64_t end = (off + len + OVERLAY_UNIT - 1) / OVERLAY_UNIT;

	for (uint64_t unit = off / OVERLAY_UNIT; unit < end; unit++) {
		if (marked(file, unit))
			continue;
		__atomic_or_fetch(&file->map[unit / 8],
				  (uint8_t)(1u << (unit % 8)),
				  __ATOMIC_RELEASE);
		file->dirty[unit / 8 / OVERLAY_PAGE] |= OVERLAY_RECENT |
							OVERLAY_STABLE;
	}
}

bool overlay_dirty(const struct overlay_file *file, uint64_t off, uint64_t len,
		   uint8_t which)
{
	for (uint64_t page = off / OVERLAY_PAGE_SPAN;
	     page * OVERLAY_PAGE_SPAN < off + len; page++)
		if (file->dirty[page] & which)
			return true;
	return false;
}
