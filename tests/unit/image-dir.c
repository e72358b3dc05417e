// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Folders as disks, read back by a small FAT32 reader: layout, names, what is
 * left out, files that change while they are shared.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants those four first. */
#include <cmocka.h>
#include <dirent.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "image/dir.h"

static struct loop *loop;
static struct image *image;
static const char *why;

/* --- Files here ------------------------------------------------------------------ */

static void make(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static void make_text(const char *path, const char *text)
{
	make(path, text, strlen(text));
}

static void make_sparse(const char *path, off_t size)
{
	make(path, "begin", 5);
	assert_int_equal(truncate(path, size), 0);
}

static int setup(void **state)
{
	(void)state;
	log_level = LOG_LEVEL_ERR;
	if (system("rm -rf folder") || mkdir("folder", 0755) < 0)
		return -1;
	image = NULL;
	return loop_create(&loop);
}

static int teardown(void **state)
{
	(void)state;
	image_destroy(image);
	loop_destroy(loop);
	return system("rm -rf folder");
}

static void open_folder(void)
{
	image_destroy(image);
	image = NULL;
	assert_int_equal(dir_open(loop, "dir:folder", true, &image, &why), 0);
	assert_true(image->read_only);
}

/* --- Requests ----------------------------------------------------------------------- */

struct result {
	struct image_request request;
	int runs, res;
};

static void request_done(struct image_request *request, int res)
{
	struct result *r = container_of(request, struct result, request);

	r->runs++;
	r->res = res;
	loop_stop(loop);
}

static int run(struct result *r)
{
	r->request.done = request_done;
	image_submit(image, &r->request);
	assert_int_equal(r->runs, 0); /* never inside */
	assert_int_equal(loop_run(loop), 0);
	assert_int_equal(r->runs, 1);
	return r->res;
}

static int read_at(uint64_t off, void *buf, size_t len)
{
	struct iovec iov = { buf, len };
	struct result r = { .request = { .type = IMAGE_READ,
					 .off = off,
					 .len = len,
					 .iov = &iov,
					 .n_iov = 1 } };

	return run(&r);
}

/* --- A reader of FAT32 ---------------------------------------------------------------- */

static uint32_t le(const uint8_t *p, unsigned int width)
{
	uint32_t v = 0;

	while (width--)
		v = v << 8 | p[width];
	return v;
}

struct volume {
	uint64_t start, fat, data; /* on the disk */
	uint32_t cluster_size, clusters, fat_sectors;
};

static struct volume volume(void)
{
	uint8_t mbr[512], boot[512];
	struct volume v;

	assert_int_equal(read_at(0, mbr, 512), 0);
	assert_int_equal(le(mbr + 510, 2), 0xaa55);
	assert_int_equal(mbr[446 + 4], 0x0c);
	v.start = le(mbr + 446 + 8, 4) * (uint64_t)512;
	assert_int_equal(read_at(v.start, boot, 512), 0);
	v.cluster_size = 512u * boot[13];
	v.fat_sectors = le(boot + 36, 4);
	v.fat = v.start + le(boot + 14, 2) * 512;
	v.data = v.fat + (uint64_t)boot[16] * v.fat_sectors * 512;
	v.clusters = (uint32_t)((v.start + le(boot + 32, 4) * (uint64_t)512 -
				 v.data) /
				v.cluster_size);
	return v;
}

static uint64_t where(const struct volume *v, uint32_t cluster)
{
	return v->data + (uint64_t)(cluster - 2) * v->cluster_size;
}

static uint32_t next_cluster(const struct volume *v, uint32_t cluster)
{
	uint8_t entry[4];

	assert_int_equal(read_at(v->fat + cluster * 4, entry, 4), 0);
	return le(entry, 4);
}

struct found {
	char name[1024]; /* UTF-8 */
	uint8_t brief[11];
	uint8_t attributes;
	uint32_t start, size, time;
};

static uint8_t checksum(const uint8_t *brief)
{
	uint8_t sum = 0;

	for (int i = 0; i < 11; i++)
		sum = (uint8_t)(((sum & 1) ? 0x80 : 0) + (sum >> 1) + brief[i]);
	return sum;
}

static void to_utf8(const uint16_t *u, char *out)
{
	for (; *u; u++) {
		uint32_t c = *u;

		if (c >> 10 == 0x36) {
			c = 0x10000 + ((c & 0x3ff) << 10) + (u[1] & 0x3ff);
			u++;
			*out++ = (char)(0xf0 | c >> 18);
			*out++ = (char)(0x80 | (c >> 12 & 0x3f));
		} else if (c >= 0x800) {
			*out++ = (char)(0xe0 | c >> 12);
		}
		if (c >= 0x800)
			*out++ = (char)(0x80 | (c >> 6 & 0x3f));
		else if (c >= 0x80)
			*out++ = (char)(0xc0 | c >> 6);
		*out++ = (char)(c >= 0x80 ? 0x80 | (c & 0x3f) : c);
	}
	*out = '\0';
}

static void brief_name(const uint8_t *brief, char *out)
{
	for (int i = 0; i < 11; i++) {
		if (i == 8 && brief[8] != ' ')
			*out++ = '.';
		if (brief[i] != ' ')
			*out++ = (char)brief[i];
	}
	*out = '\0';
}

/* All entries of a folder but those of long names; *n of them, to be freed. */
static struct found *list(const struct volume *v, uint32_t cluster, size_t *n)
{
	struct found *all = NULL;
	uint16_t units[21 * 13] = { 0 };
	int expect = 0, sum = 0;

	*n = 0;
	for (; cluster < 0x0ffffff8; cluster = next_cluster(v, cluster)) {
		uint8_t data[32768];

		assert_int_equal(
			read_at(where(v, cluster), data, v->cluster_size), 0);
		for (uint8_t *s = data; s < data + v->cluster_size; s += 32) {
			struct found *f;

			if (!*s)
				return all;
			if (s[11] == 0x0f) {
				int ordinal = s[0] & 0x3f;

				if (s[0] & 0x40) {
					memset(units, 0, sizeof(units));
					sum = s[13];
				} else {
					assert_int_equal(ordinal, expect - 1);
				}
				assert_int_equal(s[13], sum);
				expect = ordinal;
				for (int i = 0; i < 13; i++) {
					int at = i < 5	  ? 1 + 2 * i
						 : i < 11 ? 4 + 2 * i
							  : 6 + 2 * i;
					uint16_t c = (uint16_t)le(s + at, 2);

					units[(ordinal - 1) * 13 + i] =
						c == 0xffff ? 0 : c;
				}
				continue;
			}
			if (!(*n & (*n - 1))) /* doubles */
				all = realloc(all, (2 * *n + 1) * sizeof(*all));
			assert_non_null(all);
			f = &all[(*n)++];
			memcpy(f->brief, s, 11);
			if (expect) {
				assert_int_equal(expect, 1);
				assert_int_equal(checksum(s), sum);
				to_utf8(units, f->name);
			} else {
				brief_name(s, f->name);
			}
			expect = 0;
			f->attributes = s[11];
			f->start = le(s + 20, 2) << 16 | le(s + 26, 2);
			f->time = le(s + 24, 2) << 16 | le(s + 22, 2);
			f->size = le(s + 28, 4);
		}
	}
	return all;
}

/* By path from the root; false when it is not there. */
static bool lookup(const struct volume *v, const char *path, struct found *out)
{
	char copy[1024], *rest = copy, *part;
	uint32_t cluster = 2;

	snprintf(copy, sizeof(copy), "%s", path);
	while ((part = strsep(&rest, "/"))) {
		size_t n, i;
		struct found *all = list(v, cluster, &n);

		for (i = 0; i < n; i++)
			if (!strcmp(all[i].name, part) &&
			    !(all[i].attributes & 0x08))
				break;
		if (i < n)
			*out = all[i];
		free(all);
		if (i == n)
			return false;
		cluster = out->start;
	}
	return true;
}

static bool there(const char *path)
{
	struct volume v = volume();
	struct found f;

	return lookup(&v, path, &f);
}

/* len bytes at off of a file, as the guest would. */
static int read_file(const char *path, uint64_t off, void *buf, size_t len)
{
	struct volume v = volume();
	struct found f;

	assert_true(lookup(&v, path, &f));
	return read_at(where(&v, f.start) + off, buf, len);
}

static void assert_file(const char *path, const char *text)
{
	char buf[256];

	assert_int_equal(read_file(path, 0, buf, strlen(text)), 0);
	assert_memory_equal(buf, text, strlen(text));
}

/* --- The tests --------------------------------------------------------------------------- */

static void test_layout(void **state)
{
	uint8_t a[1024], b[1024];
	struct volume v;

	(void)state;
	make_text("folder/file", "text");
	open_folder();
	v = volume();
	assert_int_equal(v.start, 1 << 20);
	assert_true(v.clusters >= 65525);
	assert_true((v.clusters + 2) * 4 <= v.fat_sectors * 512);
	assert_int_equal(v.data % 4096, 0);
	assert_true(where(&v, v.clusters + 2) == image->size);
	assert_int_equal(read_at(v.start, a, 1024), 0);
	assert_int_equal(read_at(v.start + 6 * 512, b, 1024), 0);
	assert_memory_equal(a, b, 1024);
	assert_memory_equal(a + 71, "FOLDER     FAT32   ", 19);
	/* free clusters: all but the root's and the file's */
	assert_int_equal(le(a + 512 + 488, 4), v.clusters - 2);
	assert_int_equal(next_cluster(&v, 0), 0x0ffffff8);
	assert_true(next_cluster(&v, 2) >= 0x0ffffff8);
	assert_true(next_cluster(&v, 3) >= 0x0ffffff8);
	assert_int_equal(next_cluster(&v, 4), 0);
	/* The second FAT is the same. */
	assert_int_equal(read_at(v.fat, a, 512), 0);
	assert_int_equal(read_at(v.fat + v.fat_sectors * 512, b, 512), 0);
	assert_memory_equal(a, b, 512);
}

static void test_contents(void **state)
{
	static char big[300000], got[300000];
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT },
				     { .tv_sec = 981173106 } };
	char cross[8192];
	struct iovec iov[3] = { { got, 1 },
				{ got + 1, 9999 },
				{ got + 10000, 90000 } };
	struct result r = { .request = { .type = IMAGE_READ,
					 .len = 100000,
					 .iov = iov,
					 .n_iov = 3 } };
	struct volume v;
	struct found f;

	(void)state;
	setenv("TZ", "UTC", 1);
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 2654435761u >> 13);
	assert_int_equal(mkdir("folder/sub", 0755), 0);
	assert_int_equal(mkdir("folder/sub/below", 0755), 0);
	make("folder/big", big, sizeof(big));
	make_text("folder/empty", "");
	make_text("folder/small", "small");
	make_text("folder/sub/below/deep", "deep");
	assert_int_equal(symlink("../small", "folder/sub/link"), 0);
	assert_int_equal(utimensat(AT_FDCWD, "folder/small", times, 0), 0);
	open_folder();
	v = volume();
	assert_int_equal(read_file("big", 0, got, sizeof(got)), 0);
	assert_memory_equal(got, big, sizeof(big));
	assert_file("sub/below/deep", "deep");
	assert_file("sub/link", "small");
	assert_true(lookup(&v, "empty", &f));
	assert_int_equal(f.start, 0);
	assert_int_equal(f.size, 0);
	assert_true(lookup(&v, "small", &f));
	/* 2001-02-03 04:05:06 */
	assert_int_equal(f.time, (21u << 9 | 2 << 5 | 3) << 16 |
					 (4 << 11 | 5 << 5 | 3));
	assert_true(lookup(&v, "sub/below/..", &f));
	assert_int_equal(f.attributes, 0x10);
	assert_true(lookup(&v, "sub/..", &f));
	assert_int_equal(f.start, 0); /* the root */
	/* Several pieces of memory; from the middle, over the end of a file,
	 * what pads it, and into the next one. */
	assert_true(lookup(&v, "big", &f));
	r.request.off = where(&v, f.start) + 4321;
	memset(got, 0xee, sizeof(got));
	assert_int_equal(run(&r), 0);
	assert_memory_equal(got, big + 4321, 100000);
	assert_int_equal(read_file("big", 299000, cross, 8192), 0);
	assert_memory_equal(cross, big + 299000, 1000);
	for (int i = 1000; i < 303104 - 299000; i++)
		assert_int_equal(cross[i], 0);
	assert_memory_equal(cross + 303104 - 299000, "small\0", 6);
	/* One request over all there is in the first 4 MiB. */
	r = (struct result){ .request = r.request };
	r.request.off = v.start - 5000;
	assert_int_equal(run(&r), 0);
	assert_int_equal(got[5000 + 510], 0x55);
}

/* What a directory can be asked to hold, and back. */
static void test_names(void **state)
{
	static const char *const fixed[] = {
		"UPPER.TXT",
		"lower.txt",
		"Mixed.Txt",
		".hidden",
		"a.b.c",
		"no extension at all, and 13 x",
		"exactly13char",
		"EIGHT888.333",
		"NINE99999.333",
		"\xc3\xa9t\xc3\xa9.txt",
		"\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e",
		"\xf0\x9f\x98\x80 smile",
		"plus+comma,equal=semi;[]",
		"~1",
		"LONGNA~1",
		"long name 1",
		"long name 2",
		"long name 3",
		"long name 4",
		"long name 5",
		"long name 6",
	};
	char longest[256], path[600];
	struct volume v;
	size_t n, expected = ARRAY_SIZE(fixed) + 1;
	struct found *all, f;
	unsigned int seed = 1;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(fixed); i++) {
		snprintf(path, sizeof(path), "folder/%s", fixed[i]);
		make_text(path, fixed[i]);
	}
	memset(longest, 'x', 255);
	longest[255] = '\0';
	snprintf(path, sizeof(path), "folder/%s", longest);
	make_text(path, "longest");
	/* Random ones, of few letters, so that their short names meet. */
	for (int i = 0; i < 600; i++) {
		static const char *const letters[] = { "a", "B",	" ",
						       ".", "~",	"1",
						       "_", "\xc3\xb6", "+" };
		char name[128] = "r";
		int len = 3 + rand_r(&seed) % 12;

		while (len--)
			strcat(name, letters[(unsigned int)rand_r(&seed) %
					     ARRAY_SIZE(letters)]);
		snprintf(path, sizeof(path), "folder/%s%dx", name, i);
		make_text(path, path + 7);
		expected++;
	}
	open_folder();
	v = volume();
	all = list(&v, 2, &n);
	assert_int_equal(n, expected + 1); /* the label */
	assert_int_equal(all[0].attributes, 0x08);
	for (size_t i = 1; i < n; i++) {
		char text[256] = { 0 };
		struct stat st;

		snprintf(path, sizeof(path), "folder/%s", all[i].name);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(all[i].size, st.st_size);
		assert_int_equal(
			read_at(where(&v, all[i].start), text, all[i].size), 0);
		if (strcmp(all[i].name, longest))
			assert_string_equal(text, all[i].name);
		for (size_t j = 1; j < i; j++)
			assert_true(memcmp(all[i].brief, all[j].brief, 11));
		for (int j = 0; j < 11; j++)
			assert_non_null(strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
					       "0123456789 !#$%&'()-@^_`{}~",
					       all[i].brief[j]));
		assert_int_not_equal(all[i].brief[0], ' ');
	}
	free(all);
	/* Those that are short names keep them. */
	assert_true(lookup(&v, "UPPER.TXT", &f));
	assert_memory_equal(f.brief, "UPPER   TXT", 11);
	assert_true(lookup(&v, "lower.txt", &f));
	assert_memory_equal(f.brief, "LOWER   TXT", 11);
	assert_true(lookup(&v, "LONGNA~1", &f));
	assert_memory_equal(f.brief, "LONGNA~1   ", 11);
}

static void test_left_out(void **state)
{
	static const char *const bad[] = {
		"a:b",	 "a*b",	      "a?b",
		"a<b",	 "a>b",	      "a|b",
		"a\"b",	 "a\\b",      "a\tb",
		"a\x7f", "dot.",      "space ",
		"a\xff", "a\xc0\x80", "a\xed\xa0\x80",
		"\xc3",	 "CASE",      "\xc3\x84hnlich",
	};
	char path[512];
	struct volume v;
	size_t n;

	(void)state;
	make_text("folder/good", "good");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(path, sizeof(path), "folder/%s", bad[i]);
		make_text(path, "bad");
	}
	make_text("folder/CASe", "loses");
	make_text("folder/\xc3\xa4hnlich", "loses");
	make_text("outside", "secret");
	assert_int_equal(mkdir("folder/sub", 0755), 0);
	assert_int_equal(symlink("../outside", "folder/leak"), 0);
	assert_int_equal(symlink("/etc/passwd", "folder/absolute"), 0);
	assert_int_equal(symlink("nothing", "folder/dangling"), 0);
	assert_int_equal(symlink("sub", "folder/folderlink"), 0);
	assert_int_equal(symlink("..", "folder/sub/up"), 0);
	assert_int_equal(symlink("loop", "folder/loop"), 0);
	assert_int_equal(mkfifo("folder/fifo", 0644), 0);
	make_sparse("folder/toolarge", (off_t)1 << 32);
	open_folder();
	v = volume();
	free(list(&v, 2, &n));
	/* the label, good, sub, CASE, AEHNLICH */
	assert_int_equal(n, 5);
	assert_true(there("good"));
	assert_true(there("sub"));
	assert_true(there("CASE"));
	assert_file("\xc3\x84hnlich", "bad"); /* the first in order */
	free(list(&v, 3, &n));
	assert_int_equal(unlink("outside"), 0);
}

static void test_changed(void **state)
{
	char buf[8192];
	static const char *const names[] = { "stays",  "vanishes", "shrinks",
					     "grows",  "renamed",  "reborn",
					     "linked", "pipe",	   "moved" };
	char path[64];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		memset(buf, 'a' + (int)i, sizeof(buf));
		snprintf(path, sizeof(path), "folder/%s", names[i]);
		make(path, buf, sizeof(buf));
	}
	make("outside", buf, sizeof(buf));
	/* Twice: with nothing open yet, and with all of them open. */
	for (int warm = 0; warm < 2; warm++) {
		open_folder();
		for (size_t i = 0; warm && i < ARRAY_SIZE(names); i++)
			assert_int_equal(read_file(names[i], 0, buf, 8192), 0);
		assert_int_equal(unlink("folder/vanishes"), 0);
		assert_int_equal(truncate("folder/shrinks", 5000), 0);
		assert_int_equal(truncate("folder/grows", 20000), 0);
		make("other", buf, sizeof(buf));
		assert_int_equal(rename("other", "folder/renamed"), 0);
		assert_int_equal(unlink("folder/reborn"), 0);
		make("folder/reborn", buf, sizeof(buf));
		assert_int_equal(unlink("folder/linked"), 0);
		assert_int_equal(symlink("../outside", "folder/linked"), 0);
		assert_int_equal(unlink("folder/pipe"), 0);
		assert_int_equal(mkfifo("folder/pipe", 0644), 0);
		assert_int_equal(rename("folder/moved", "moved"), 0);

		assert_int_equal(read_file("stays", 0, buf, 8192), 0);
		assert_int_equal(buf[8191], 'a');
		assert_int_equal(read_file("vanishes", 0, buf, 8192), -EIO);
		assert_int_equal(read_file("shrinks", 0, buf, 4096), 0);
		assert_int_equal(read_file("shrinks", 4096, buf, 4096), -EIO);
		assert_int_equal(read_file("shrinks", 0, buf, 8192), -EIO);
		assert_int_equal(read_file("grows", 0, buf, 8192), 0);
		assert_int_equal(buf[8191], 'd');
		assert_int_equal(read_file("renamed", 0, buf, 8192), -EIO);
		assert_int_equal(read_file("reborn", 0, buf, 8192), -EIO);
		assert_int_equal(read_file("linked", 0, buf, 8192), -EIO);
		assert_int_equal(read_file("pipe", 0, buf, 8192), -EIO);
		if (!warm)
			assert_int_equal(read_file("moved", 0, buf, 8192),
					 -EIO);
		assert_int_equal(rename("moved", "folder/moved"), 0);
		assert_int_equal(read_file("moved", 0, buf, 8192), 0);
		assert_int_equal(read_file("stays", 4096, buf, 4096), 0);

		for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
			snprintf(path, sizeof(path), "folder/%s", names[i]);
			unlink(path);
			memset(buf, 'a' + (int)i, sizeof(buf));
			make(path, buf, sizeof(buf));
		}
	}
	assert_int_equal(unlink("outside"), 0);
}

/* ext4 gives a new file the inode of the one that was just deleted. */
static void test_same_inode(void **state)
{
	struct stat old, new;
	char buf[512];

	(void)state;
	for (int i = 0; i < 50; i++) {
		make("folder/file", buf, sizeof(buf));
		assert_int_equal(stat("folder/file", &old), 0);
		open_folder();
		usleep(10000); /* births are told by the tick */
		assert_int_equal(unlink("folder/file"), 0);
		make("folder/file", buf, sizeof(buf));
		assert_int_equal(stat("folder/file", &new), 0);
		if (new.st_ino == old.st_ino) {
			assert_int_equal(read_file("file", 0, buf, 512), -EIO);
			return;
		}
		assert_int_equal(unlink("folder/file"), 0);
	}
	skip();
}

/* A sandbox that has no openat2(2): all is well but for symbolic links. */
static void test_no_openat2(void **state)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { ARRAY_SIZE(code), code };

	(void)state;
	assert_int_equal(mkdir("folder/sub", 0755), 0);
	assert_int_equal(mkdir("folder/sub/below", 0755), 0);
	make_text("folder/sub/below/file", "text");
	assert_int_equal(symlink("sub/below/file", "folder/link"), 0);
	/* For the rest of this program: this test is the last. */
	assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		skip();
	open_folder();
	assert_file("sub/below/file", "text");
	assert_false(there("link"));
	open_folder();
	assert_int_equal(rename("folder/sub/below", "folder/sub/away"), 0);
	assert_int_equal(symlink("away", "folder/sub/below"), 0);
	assert_int_equal(read_file("sub/below/file", 0, (char[4]){ 0 }, 4),
			 -EIO);
}

/* Nothing but the root: all is there, and nothing in it. */
static void test_empty(void **state)
{
	struct volume v;
	size_t n;

	(void)state;
	open_folder();
	v = volume();
	free(list(&v, 2, &n));
	assert_int_equal(n, 1);
}

static void test_large(void **state)
{
	char path[64], buf[4096];
	struct volume v;
	struct found f;

	(void)state;
	for (int i = 0; i < 5; i++) {
		int fd;

		snprintf(path, sizeof(path), "folder/%d", i);
		make_sparse(path, (off_t)3 << 30);
		fd = open(path, O_WRONLY);
		assert_int_equal(pwrite(fd, path, 8, ((off_t)3 << 30) - 8), 8);
		close(fd);
	}
	make_sparse("folder/most", ((off_t)1 << 32) - 1);
	open_folder();
	v = volume();
	assert_true(image->size > (uint64_t)18 << 30);
	assert_int_equal(v.cluster_size, 16384);
	assert_true(where(&v, v.clusters + 2) == image->size);
	assert_true(lookup(&v, "4", &f));
	assert_true(where(&v, f.start) > (uint64_t)12 << 30);
	assert_int_equal(next_cluster(&v, f.start), f.start + 1);
	assert_true(next_cluster(&v, f.start + (3u << 30) / 16384 - 1) >=
		    0x0ffffff8);
	assert_int_equal(read_file("4", ((uint64_t)3 << 30) - 4096, buf, 4096),
			 0);
	assert_memory_equal(buf + 4096 - 8, "folder/4", 8);
	assert_true(lookup(&v, "most", &f));
	assert_int_equal(f.size, UINT32_MAX);
	assert_int_equal(read_file("most", UINT32_MAX - 4095, buf, 4096), 0);
}

/* 600 files of 4 GiB - 1 are more than 2 TiB. */
static void test_too_large(void **state)
{
	char path[64];

	(void)state;
	for (int i = 0; i < 600; i++) {
		snprintf(path, sizeof(path), "folder/%d", i);
		make_sparse(path, ((off_t)1 << 32) - 1);
		if (i == 500)
			open_folder();
	}
	assert_int_equal(dir_open(loop, "dir:folder", true, &image, &why),
			 -EFBIG);
	assert_non_null(strstr(why, "too large"));
}

static unsigned int open_files(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned int n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

static void test_many(void **state)
{
	static uint8_t data[1 << 20];
	struct volume v;
	struct found *all;
	char path[64];
	size_t n;
	unsigned int before;

	(void)state;
	for (int i = 0; i < 300; i++) {
		snprintf(path, sizeof(path), "folder/file%d", i);
		make_text(path, path);
	}
	open_folder();
	before = open_files();
	v = volume();
	all = list(&v, 2, &n);
	assert_int_equal(n, 301);
	/* All of them in two requests. */
	assert_int_equal(read_at(where(&v, all[1].start), data, sizeof(data)),
			 0);
	for (size_t i = 1; i < 257; i++)
		assert_memory_equal(data + (i - 1) * 4096 + 7, all[i].name,
				    strlen(all[i].name) + 1);
	free(all);
	assert_true(open_files() <= before + 64);
	assert_true(open_files() > before + 50);
}

/* A folder of more than FAT can hold shows what it can. */
static void test_full(void **state)
{
	struct volume v;
	char path[64];
	size_t n;

	(void)state;
	make_text("file", "");
	for (int i = 0; i < 33000; i++) {
		snprintf(path, sizeof(path), "folder/f%05d", i);
		/* ext4 has 65000 links at most; these need two slots each */
		assert_int_equal(link("file", path), 0);
	}
	assert_int_equal(unlink("file"), 0);
	open_folder();
	v = volume();
	free(list(&v, 2, &n));
	assert_int_equal(n, 1 + 65533 / 2);
}

/* Large files are sent from memory, as long as they are what they were. */
static void test_map(void **state)
{
	static uint8_t data[3 << 20], tail[4096];
	struct volume v;
	struct found f;
	const void *map;
	uint64_t at;

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + (i >> 12));
	make("folder/large", data, sizeof(data));
	make("folder/other", data, sizeof(data));
	make("folder/small", data, 65536);
	open_folder();
	v = volume();
	assert_true(lookup(&v, "large", &f));
	at = where(&v, f.start);
	map = image_map(image, at + 4096, 1 << 20);
	assert_non_null(map);
	assert_memory_equal(map, data + 4096, 1 << 20);
	/* Not over the end of a file, nor of one that is read as quickly. */
	assert_null(image_map(image, at + sizeof(data) - 4096, 8192));
	assert_null(image_map(image, 0, 4096));
	assert_true(lookup(&v, "small", &f));
	assert_null(image_map(image, where(&v, f.start), 65536));
	/* Cut, it is read up to there, and an error beyond. */
	assert_int_equal(truncate("folder/large", 1 << 20), 0);
	assert_null(image_map(image, at + (1 << 20) - 4096, 8192));
	assert_int_equal(read_file("large", (1 << 20) - 4096, tail, 4096), 0);
	assert_memory_equal(tail, data + (1 << 20) - 4096, 4096);
	assert_int_equal(read_file("large", 1 << 20, tail, 4096), -EIO);
	/* Deleted, it is no more. */
	assert_true(lookup(&v, "other", &f));
	assert_non_null(image_map(image, where(&v, f.start), 1 << 20));
	assert_int_equal(unlink("folder/other"), 0);
	assert_null(image_map(image, where(&v, f.start), 1 << 20));
}

static void test_status(void **state)
{
	struct result r = { .request = { .type = IMAGE_STATUS } };
	uint64_t data = 0, next;

	(void)state;
	make_sparse("folder/a", 1000000);
	open_folder();
	assert_true(image_used(image) < 16 << 20);
	for (uint64_t off = 0; off < image->size; off = next) {
		r = (struct result){ .request = { .type = IMAGE_STATUS,
						  .off = off,
						  .len = image->size - off } };
		assert_int_equal(run(&r), 0);
		assert_true(r.request.len > 0);
		next = off + r.request.len;
		assert_true(next <= image->size);
		if (r.request.hole) {
			char buf[4096];
			size_t len = MIN(r.request.len, 4096);

			assert_int_equal(read_at(next - len, buf, len), 0);
			for (size_t i = 0; i < len; i++)
				assert_int_equal(buf[i], 0);
		} else {
			data += r.request.len;
		}
	}
	assert_true(data > 1000000 && data < 1100000);
	r = (struct result){ .request = { .type = IMAGE_FLUSH } };
	assert_int_equal(run(&r), 0);
	r = (struct result){ .request = { .type = IMAGE_ZERO, .len = 512 } };
	assert_int_equal(run(&r), -EROFS);
}

/* The same folder, the same disk. */
static void test_again(void **state)
{
	static char a[3 << 20], b[3 << 20];
	uint64_t identity;
	char path[64];

	(void)state;
	for (int i = 0; i < 50; i++) {
		snprintf(path, sizeof(path), "folder/some file %d", i * 7 % 50);
		make_text(path, path);
	}
	open_folder();
	identity = image->identity;
	assert_int_equal(read_at(0, a, sizeof(a)), 0);
	image_destroy(image);
	assert_int_equal(
		dir_open(loop, "dir:./folder/../folder/", true, &image, &why),
		0);
	assert_true(identity == image->identity);
	assert_int_equal(read_at(0, b, sizeof(b)), 0);
	assert_memory_equal(a, b, sizeof(a));
}

static void test_refusals(void **state)
{
	(void)state;
	assert_int_equal(dir_open(loop, "dir:none", true, &image, &why),
			 -ENOENT);
	assert_string_equal(why, "does not exist");
	make_text("folder/file", "");
	assert_int_equal(dir_open(loop, "dir:folder/file", true, &image, &why),
			 -ENOTDIR);
	assert_string_equal(why, "is not a folder");
	if (geteuid())
		skip();
	assert_int_equal(mkdir("folder/closed", 0700), 0);
	make_text("folder/private", "secret");
	assert_int_equal(chmod("folder/private", 0600), 0);
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(seteuid(65534), 0);
	assert_int_equal(
		dir_open(loop, "dir:folder/closed", true, &image, &why),
		-EACCES);
	assert_non_null(strstr(why, "may not be read"));
	open_folder();
	assert_int_equal(seteuid(0), 0);
	assert_true(there("file"));
	assert_false(there("closed"));
	assert_false(there("private"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_layout),     TEST(test_contents),
		TEST(test_names),      TEST(test_left_out),
		TEST(test_changed),    TEST(test_empty),
		TEST(test_large),      TEST(test_too_large),
		TEST(test_many),       TEST(test_full),
		TEST(test_map),	       TEST(test_status),
		TEST(test_again),      TEST(test_refusals),
		TEST(test_same_inode), TEST(test_no_openat2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
