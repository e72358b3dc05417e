// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Exercises a file of fixed size against a model in memory, in the spirit of
 * fsx: reads, writes, holes, zeroing, mappings at any alignment, in an order
 * that the seed gives. What is read must be what the model has.
 *
 *   fsx [OPTION]... FILE
 *
 *   -n OPS     2000 if not given
 *   -s SEED    1
 *   -i FILE    what is in FILE at the beginning; zeros
 *   -o FILE    writes the model there at the end
 *   -d         O_DIRECT
 *   -b BLOCK   all offsets and lengths are multiples of it; 1
 *   -w         shared mappings, which are written through, too
 *
 * Exit status: 0; 1 when something differs or fails, after the last operations.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MAX_LEN (320u << 10) /* more than a request of the kernel moves */
#define HISTORY 40

static const char *path;
static bool direct, shared;
static uint64_t block = 1;
static uint64_t seed = 1;
static uint8_t *model, *buf;
static uint64_t size;
/* All operations go to one of two: a reader need not be the writer. */
static int writer = -1, reader = -1;
static uint64_t step;
static char history[HISTORY][96];

static uint64_t random_below(uint64_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (seed >> 11) % n;
}

static void note(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(history[step % HISTORY], sizeof(history[0]), format, args);
	va_end(args);
}

static _Noreturn void fail(const char *format, ...)
{
	uint64_t first = step < HISTORY ? 0 : step - HISTORY + 1;
	int error = errno;
	va_list args;

	for (uint64_t i = first; i <= step; i++)
		printf("%6llu %s\n", (unsigned long long)i,
		       history[i % HISTORY]);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf(" (errno: %s)\n", strerror(error));
	exit(1);
}

static void compare(const uint8_t *found, uint64_t off, uint64_t len)
{
	uint64_t i = 0, end = len;

	if (!memcmp(found, model + off, len))
		return;
	while (found[i] == model[off + i])
		i++;
	while (found[end - 1] == model[off + end - 1])
		end--;
	fail("MISMATCH from %llu to %llu: first byte %02x instead of %02x",
	     (unsigned long long)(off + i), (unsigned long long)(off + end),
	     found[i], model[off + i]);
}

/* A range that is not empty; small ones and those at the end more often than
 * chance would have them. */
static uint64_t range(uint64_t *off)
{
	uint64_t max = random_below(3) ? 20000 : MAX_LEN;
	uint64_t len = 1 + random_below(max);

	*off = random_below(20) ? random_below(size)
				: size - 1 - random_below(9000);
	if (!random_below(4))
		*off &= ~4095ull;
	if (!random_below(4))
		len = (len + 4095) & ~4095ull;
	*off -= *off % block;
	len += block - 1 - (len + block - 1) % block;
	return len < size - *off ? len : size - *off;
}

static int any(void)
{
	return random_below(2) ? reader : writer;
}

/* --- Operations ------------------------------------------------------------- */

static void do_read(uint64_t off, uint64_t len, int fd)
{
	uint64_t got = 0;

	while (got < len) {
		ssize_t n = pread(fd, buf + got, len - got, (off_t)(off + got));

		if (n <= 0)
			fail("read: %zd", n);
		got += (uint64_t)n;
	}
	compare(buf, off, len);
}

static void fill(uint8_t *p, uint64_t off, uint64_t len)
{
	uint8_t tag = (uint8_t)(1 + random_below(255));

	for (uint64_t i = 0; i < len; i++)
		p[i] = (uint8_t)(tag + (off + i) / 512 + (off + i));
}

static void do_write(uint64_t off, uint64_t len)
{
	uint64_t done = 0;

	fill(buf, off, len);
	while (done < len) {
		ssize_t n = pwrite(writer, buf + done, len - done,
				   (off_t)(off + done));

		if (n <= 0)
			fail("write: %zd", n);
		done += (uint64_t)n;
	}
	memcpy(model + off, buf, len);
}

static void do_clear(uint64_t off, uint64_t len, int mode)
{
	if (fallocate(writer, mode, (off_t)off, (off_t)len) < 0)
		fail("fallocate");
	memset(model + off, 0, len);
}

static void do_map(uint64_t off, uint64_t len, bool write)
{
	uint64_t skip = off % 4096;
	uint8_t *map = mmap(NULL, len + skip,
			    PROT_READ | (write ? PROT_WRITE : 0),
			    shared ? MAP_SHARED : MAP_PRIVATE,
			    write ? writer : any(), (off_t)(off - skip));

	if (map == MAP_FAILED)
		fail("mmap");
	if (write) {
		fill(map + skip, off, len);
		memcpy(model + off, map + skip, len);
		/* Else other opens need not see it. */
		if (msync(map, len + skip, MS_SYNC) < 0)
			fail("msync");
	} else {
		compare(map + skip, off, len);
	}
	munmap(map, len + skip);
}

/* What is called a hole reads as zeros. */
static void do_seek(uint64_t off)
{
	off_t data, hole = lseek(any(), (off_t)off, SEEK_HOLE);

	if (hole < (off_t)off || hole > (off_t)size)
		fail("SEEK_HOLE: %lld", (long long)hole);
	data = lseek(any(), (off_t)off, SEEK_DATA);
	if (data < 0 && errno == ENXIO)
		data = (off_t)size;
	if (data < (off_t)off || data > (off_t)size)
		fail("SEEK_DATA: %lld", (long long)data);
	for (; off < (uint64_t)data; off++)
		if (model[off])
			fail("MISMATCH at %llu: %02x is called a hole",
			     (unsigned long long)off, model[off]);
}

static void do_open(void)
{
	int flags = O_CLOEXEC | (direct ? O_DIRECT : 0);

	if (writer >= 0)
		close(writer);
	if (reader >= 0)
		close(reader);
	writer = open(path, O_RDWR | flags);
	reader = open(path, O_RDONLY | flags);
	if (writer < 0 || reader < 0)
		fail("open %s", path);
}

static void do_something(void)
{
	unsigned int what = (unsigned int)random_below(100);
	uint64_t off, len = range(&off);
	unsigned long long o = off, l = len, e = off + len;

	if (what < 35) {
		note("write   %llu + %llu = %llu", o, l, e);
		do_write(off, len);
	} else if (what < 68) {
		int fd = any();

		note("read    %llu + %llu = %llu %s", o, l, e,
		     fd == reader ? "read-only" : "");
		do_read(off, len, fd);
	} else if (what < 76) {
		note("punch   %llu + %llu = %llu", o, l, e);
		do_clear(off, len, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	} else if (what < 82) {
		note("zero    %llu + %llu = %llu", o, l, e);
		do_clear(off, len,
			 FALLOC_FL_ZERO_RANGE |
				 (random_below(2) ? FALLOC_FL_KEEP_SIZE : 0));
	} else if (what < 90) {
		bool write = shared && random_below(2);

		note("map     %llu + %llu = %llu %s", o, l, e,
		     write ? "write" : "");
		do_map(off, len, write);
	} else if (what < 94) {
		note("seek    %llu", o);
		do_seek(off);
	} else if (what < 97) {
		note("fsync");
		if (random_below(2) ? fsync(writer) : fdatasync(writer))
			fail("fsync");
	} else if (what < 98) {
		note("compare all");
		for (off = 0; off < size; off += len) {
			len = size - off < MAX_LEN ? size - off : MAX_LEN;
			do_read(off, len, any());
		}
	} else {
		note("reopen");
		do_open();
	}
}

/* --- The whole ---------------------------------------------------------------- */

static void load(const char *from)
{
	FILE *file = fopen(from, "r");

	if (!file || fread(model, 1, size, file) != size)
		fail("%s", from);
	fclose(file);
}

static void save(const char *to)
{
	FILE *file = fopen(to, "w");

	if (!file || fwrite(model, 1, size, file) != size || fclose(file))
		fail("%s", to);
}

int main(int argc, char **argv)
{
	const char *in = NULL, *out = NULL;
	uint64_t n = 2000;
	int option;
	off_t end;

	while ((option = getopt(argc, argv, "n:s:i:o:db:w")) >= 0) {
		switch (option) {
		case 'n':
			n = strtoull(optarg, NULL, 0);
			break;
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'i':
			in = optarg;
			break;
		case 'o':
			out = optarg;
			break;
		case 'd':
			direct = true;
			break;
		case 'b':
			block = strtoull(optarg, NULL, 0);
			break;
		case 'w':
			shared = true;
			break;
		default:
			return 2;
		}
	}
	if (optind != argc - 1 || !block) {
		fprintf(stderr, "usage: fsx [OPTION]... FILE\n");
		return 2;
	}
	path = argv[optind];
	/* Neighbouring seeds are to differ, and none may be zero. */
	printf("seed %llu\n", (unsigned long long)seed);
	seed = (seed + 1) * 0x9e3779b97f4a7c15ull;
	note("open");
	do_open();
	end = lseek(writer, 0, SEEK_END);
	if (end < (off_t)MAX_LEN || end % (off_t)block)
		fail("%s: too small, or no whole blocks", path);
	size = (uint64_t)end;
	model = calloc(1, size);
	if (!model || posix_memalign((void **)&buf, 4096, MAX_LEN + 4096))
		fail("memory");
	if (in)
		load(in);
	for (step = 1; step <= n; step++)
		do_something();
	do_open();
	for (uint64_t off = 0, len; off < size; off += len) {
		len = size - off < MAX_LEN ? size - off : MAX_LEN;
		note("the end: read %llu + %llu", (unsigned long long)off,
		     (unsigned long long)len);
		do_read(off, len, reader);
	}
	if (out)
		save(out);
	printf("%llu operations\n", (unsigned long long)n);
	return 0;
}
