// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/dir_open.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/hash.h"

/* Without openat2(2): a component at a time, and through no link. */
static int open_by_steps(int root, const char *path, int flags)
{
	int fd = root;

	for (;;) {
		size_t len = strcspn(path, "/");
		char name[256];
		int next;

		if (len >= sizeof(name))
			next = -ENAMETOOLONG;
		else {
			memcpy(name, path, len);
			name[len] = '\0';
			next = openat(
				fd, name,
				(path[len] ? O_PATH | O_DIRECTORY : flags) |
					O_CLOEXEC | O_NOFOLLOW);
			if (next < 0)
				next = -errno;
		}
		if (fd != root)
			close(fd);
		if (next < 0 || !path[len])
			return next;
		fd = next;
		path += len + 1;
	}
}

int dir_open_beneath(int root, const char *path, int flags)
{
	struct open_how how = {
		.flags = (unsigned int)flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	long fd;

	/* -EAGAIN: something was renamed just now, and the kernel cannot be
	 * sure that ".." stayed beneath. */
	for (int i = 0; i < 10; i++) {
		fd = syscall(SYS_openat2, root, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	if (errno != ENOSYS)
		return -errno;
	return open_by_steps(root, path, flags);
}

int dir_look(int fd, const char *name, struct statx *st)
{
	int flags = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_EMPTY_PATH;

	return statx(fd, name, flags, STATX_BASIC_STATS | STATX_BTIME, st) < 0
		       ? -errno
		       : 0;
}

uint64_t dir_file_id(const struct statx *st)
{
	/* A file system that gives a new file the inode of one that has just
	 * been deleted, as ext4 does, knows when it was born. */
	const uint64_t parts[] = {
		(uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor,
		st->stx_ino,
		st->stx_mask & STATX_BTIME ? (uint64_t)st->stx_btime.tv_sec : 0,
		st->stx_mask & STATX_BTIME ? st->stx_btime.tv_nsec : 0,
	};

	return hash_bytes(HASH_INIT, parts, sizeof(parts));
}
