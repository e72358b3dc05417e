// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the kernel asks for: names, attributes, opening. Each function runs on
 * one of the session's threads and ends with one reply, there or, by a call,
 * on the loop's.
 */
#include <assert.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/log.h"
#include "fuse/session.h"

static const char *const suffixes[] = {
	[EXPORT_IMAGE] = ".img",
	[EXPORT_STATE] = ".json",
};

struct export_disk *export_disk_of(fuse_req_t req, fuse_ino_t ino)
{
	struct export *export = export_of(req);
	fuse_ino_t i = (ino - FUSE_ROOT_ID - 1) / 2;

	assert(ino > FUSE_ROOT_ID && i < export->n_disks);
	return &export->disks[i];
}

bool export_writable(const struct export *export,
		     const struct export_disk *disk)
{
	return export->options.writable && !disk->image->read_only;
}

/* --- Attributes: the loop's to tell, as images are its own ---------------------- */

/* The kernel may cache: nobody but those who use the file changes it. */
static bool private(const struct call *call)
{
	return call->disk && (call->export->options.exclusive ||
			      call->disk->image->read_only);
}

static struct stat attributes(const struct call *call)
{
	struct stat st = {
		.st_ino = call->ino,
		.st_uid = getuid(),
		.st_gid = getgid(),
		.st_nlink = 1,
		.st_mode = S_IFREG | 0444,
		.st_blksize = EXPORT_MAX_READ,
		.st_atim = call->export->started,
		.st_mtim = call->export->started,
		.st_ctim = call->export->started,
	};
	struct image *image;

	if (!call->disk) {
		st.st_mode = S_IFDIR | 0555;
		st.st_nlink = 2;
		return st;
	}
	if (export_kind_of(call->ino) == EXPORT_STATE) {
		st.st_size = 4096; /* as in sysfs: made when it is opened */
		st.st_blocks = 8;  /* or cp(1) would copy it as a hole */
		return st;
	}
	image = call->disk->image;
	image_refresh(image);
	st.st_size = (off_t)image->size;
	st.st_blocks = (blkcnt_t)((image_used(image) + 511) / 512);
	if (export_writable(call->export, call->disk))
		st.st_mode |= 0200;
	return st;
}

static void getattr_run(struct mail *mail)
{
	struct call *call = container_of(mail, struct call, mail);
	struct stat st = attributes(call);

	fuse_reply_attr(call->req, &st, 0);
	call_end(call);
}

static void on_getattr(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	(void)fi;
	call_loop(req, ino, getattr_run);
}

static void lookup_run(struct mail *mail)
{
	struct call *call = container_of(mail, struct call, mail);
	struct fuse_entry_param entry = {
		.ino = call->ino,
		.attr = attributes(call),
	};

	fuse_reply_entry(call->req, &entry);
	call_end(call);
}

static void on_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct export *export = export_of(req);

	if (parent != FUSE_ROOT_ID) {
		fuse_reply_err(req, ENOTDIR);
		return;
	}
	for (unsigned int i = 0; i < 2 * export->n_disks; i++) {
		const char *stem = export->disks[i / 2].name;
		size_t len = strlen(stem);

		if (strncmp(name, stem, len) ||
		    strcmp(name + len, suffixes[i % 2]))
			continue;
		call_loop(req, export_ino(i / 2, i % 2), lookup_run);
		return;
	}
	fuse_reply_err(req, ENOENT);
}

/* As with a block device: its size is what it is, times are nobody's to set. */
static void on_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr,
		       int which, struct fuse_file_info *fi)
{
	if (which & (FUSE_SET_ATTR_MODE | FUSE_SET_ATTR_UID |
		     FUSE_SET_ATTR_GID | FUSE_SET_ATTR_SIZE)) {
		bool same = which & FUSE_SET_ATTR_SIZE && ino != FUSE_ROOT_ID &&
			    (uint64_t)attr->st_size ==
				    image_size(export_disk_of(req, ino)->image);

		if (!same) {
			fuse_reply_err(req, which & FUSE_SET_ATTR_SIZE ? EINVAL
								       : EPERM);
			return;
		}
	}
	on_getattr(req, ino, fi);
}

static void statfs_run(struct mail *mail)
{
	struct call *call = container_of(mail, struct call, mail);
	struct statvfs st = {
		.f_bsize = 4096,
		.f_frsize = 4096,
		.f_files = 1 + 2 * (fsfilcnt_t)call->export->n_disks,
		.f_namemax = NAME_MAX,
	};
	uint64_t size = 0, used = 0;

	for (unsigned int i = 0; i < call->export->n_disks; i++) {
		struct image *image = call->export->disks[i].image;

		size += image->size;
		used += MIN(image_used(image), image->size);
	}
	st.f_blocks = size / st.f_bsize;
	st.f_bfree = st.f_bavail = (size - used) / st.f_bsize;
	fuse_reply_statfs(call->req, &st);
	call_end(call);
}

static void on_statfs(fuse_req_t req, fuse_ino_t ino)
{
	(void)ino;
	call_loop(req, FUSE_ROOT_ID, statfs_run);
}

/* --- The folder -------------------------------------------------------------------- */

static void on_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct export *export = export_of(req);
	unsigned int n = 2 + 2 * export->n_disks;
	char name[NAME_MAX + 1], *buf = malloc(size);
	size_t used = 0;

	(void)fi;
	if (!buf) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	for (unsigned int i = (unsigned int)MIN(off, n); i < n; i++) {
		struct stat st = { .st_ino = ino, .st_mode = S_IFDIR };
		size_t len;

		snprintf(name, sizeof(name), "%s", i ? ".." : ".");
		if (i >= 2) {
			st.st_ino = export_ino(i / 2 - 1, i % 2);
			st.st_mode = S_IFREG;
			snprintf(name, sizeof(name), "%s%s",
				 export->disks[i / 2 - 1].name,
				 suffixes[i % 2]);
		}
		len = fuse_add_direntry(req, buf + used, size - used, name, &st,
					i + 1);
		if (len > size - used)
			break;
		used += len;
	}
	fuse_reply_buf(req, buf, used);
	free(buf);
}

/* Files come and go with the disks. */
static void on_create(fuse_req_t req, fuse_ino_t parent, const char *name,
		      mode_t mode, struct fuse_file_info *fi)
{
	(void)parent;
	(void)name;
	(void)mode;
	(void)fi;
	fuse_reply_err(req, EPERM);
}

static void on_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	(void)parent;
	(void)name;
	fuse_reply_err(req, EPERM);
}

/* --- Opening ------------------------------------------------------------------------ */

#define DIRECT_IO (FOPEN_DIRECT_IO | FOPEN_PARALLEL_DIRECT_WRITES)

/*
 * Not by fuse_reply_open(): the oldest library that we build with cannot pass
 * on every flag that kernels know. One that they do not know they ignore.
 */
static int reply_open(fuse_req_t req, unsigned int flags, uint64_t fh,
		      int backing)
{
	struct fuse_open_out out = { .fh = fh, .open_flags = flags };

	/* "backing_id" since it is used, "padding" in older headers */
	memcpy((char *)&out + sizeof(out) - sizeof(backing), &backing,
	       sizeof(backing));
	return fuse_reply_buf(req, (const char *)&out, sizeof(out));
}

/*
 * The kernel reads from the file of a raw image without asking us. What is
 * written we want to hear of: direct I/O goes before passthrough. One id serves
 * all opens of a file, and once it is in use all opens must be such.
 */
static bool open_passthrough(struct call *call)
{
#ifdef FUSE_CAP_PASSTHROUGH
	struct export_disk *disk = call->disk;
	bool reads = (call->fi.flags & O_ACCMODE) == O_RDONLY;
	struct image_extent extent;

	if (!call->export->passthrough || disk->backing < 0 ||
	    !image_extent(disk->image, 0, false, &extent) || extent.off ||
	    extent.len != disk->image->size)
		return false;
	if (!disk->backing)
		disk->backing = fuse_passthrough_open(call->req, extent.fd);
	if (disk->backing <= 0) {
		disk->backing = -1; /* not root, or not that file system */
		return false;
	}
	reply_open(call->req, FOPEN_PASSTHROUGH | (reads ? 0 : DIRECT_IO), 0,
		   disk->backing);
	return true;
#else
	(void)call;
	return false;
#endif
}

static void warn_of_guest(const struct call *call)
{
	struct export_state state = { 0 };

	if ((call->fi.flags & O_ACCMODE) == O_RDONLY || !call->disk->state)
		return;
	call->disk->state(call->disk->arg, &state);
	if (state.attached)
		log_warn(
			"%s.img is opened for writing while a guest has the disk: its file system will not notice, and break",
			call->disk->name);
}

static void open_state(struct call *call)
{
	char *text = export_state_text(call->export, call->disk);

	if (!text)
		fuse_reply_err(call->req, ENOMEM);
	/* Else the reader was interrupted, and will not release it. */
	else if (reply_open(call->req, FOPEN_DIRECT_IO,
			    (uint64_t)(uintptr_t)text, 0) < 0)
		free(text);
}

static void open_image(struct call *call)
{
	warn_of_guest(call);
	if (open_passthrough(call))
		return;
	/* What the kernel has cached it drops at the next open: files that an
	 * image is made of may have been changed by their owner. */
	reply_open(call->req, private(call) ? 0 : DIRECT_IO, 0, 0);
}

static void open_run(struct mail *mail)
{
	struct call *call = container_of(mail, struct call, mail);

	if (export_kind_of(call->ino) == EXPORT_STATE)
		open_state(call);
	else
		open_image(call);
	call_end(call);
}

/* The kernel asks for permissions, but root need not have them. */
static bool may_open(fuse_req_t req, fuse_ino_t ino, int flags)
{
	return (flags & O_ACCMODE) == O_RDONLY ||
	       (export_kind_of(ino) == EXPORT_IMAGE &&
		export_writable(export_of(req), export_disk_of(req, ino)));
}

static void on_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct call *call;

	if (!may_open(req, ino, fi->flags)) {
		fuse_reply_err(req, EACCES);
		return;
	}
	call = call_new(req, ino, open_run);
	if (!call)
		return;
	call->fi = *fi;
	call_send(call);
}

static void on_release(fuse_req_t req, fuse_ino_t ino,
		       struct fuse_file_info *fi)
{
	if (export_kind_of(ino) == EXPORT_STATE)
		free((void *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

/* --- The session ---------------------------------------------------------------------- */

/* The library has its own way for flags since there are more than 32. */
static void want(struct fuse_conn_info *conn, unsigned int flag, bool on)
{
#ifdef FUSE_CAP_PASSTHROUGH
	if (on)
		fuse_set_feature_flag(conn, flag);
	else
		fuse_unset_feature_flag(conn, flag);
#else
	conn->want &= ~flag;
	if (on)
		conn->want |= conn->capable & flag;
#endif
}

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	struct export *export = userdata;

	conn->max_read = EXPORT_MAX_READ;
	conn->max_write = EXPORT_MAX_WRITE;
	/* Requests under way of those that do not wait for each one; the
	 * kernel's own bound of 12 is for spinning disks. */
	conn->max_background = 64;
	conn->congestion_threshold = 64;
	/* O_TRUNC does nothing, as with a block device. And what is written comes
	 * by read(2): a pipe costs a small write two more system calls, and
	 * saves a large one nothing that can be measured. */
	want(conn, FUSE_CAP_SPLICE_READ, false);
	want(conn, FUSE_CAP_SPLICE_WRITE, true);
	want(conn, FUSE_CAP_SPLICE_MOVE, true);
	want(conn, FUSE_CAP_ATOMIC_O_TRUNC, true);
	/* Else each read of a file that is cached asks for size and times first,
	 * one read after the other. Reads behind the known end ask anyway. */
	want(conn, FUSE_CAP_AUTO_INVAL_DATA, false);
#ifdef FUSE_CAP_PASSTHROUGH
	export->passthrough = fuse_set_feature_flag(conn, FUSE_CAP_PASSTHROUGH);
	conn->max_backing_stack_depth = 1;
#endif
	log_debug("kernel passthrough: %s",
		  export->passthrough ? "yes" : "not offered");
}

const struct fuse_lowlevel_ops export_ops = {
	.init = on_init,
	.lookup = on_lookup,
	.getattr = on_getattr,
	.setattr = on_setattr,
	.statfs = on_statfs,
	.readdir = on_readdir,
	.create = on_create,
	.unlink = on_unlink,
	.open = on_open,
	.release = on_release,
	.read = export_read,
	.write_buf = export_write,
	.fsync = export_fsync,
	.fallocate = export_fallocate,
	.lseek = export_lseek,
};
