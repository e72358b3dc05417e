// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-io: the workload that tests run inside a guest, where there is little
 * else: timed transfers, a crash-test journal, patterns at any offset, and raw
 * SCSI commands.  One static program, so that it needs nothing of the guest.
 *
 *	gcc -O2 -static -pthread -o guest-io guest-io.c
 *
 * Sizes take the suffixes k, m and g (powers of 1024); MB/s counts 10^6 bytes.
 * Exit status: 0 good, 1 data differs, 2 wrong usage, 3 a system call failed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <linux/fs.h>
#include <scsi/sg.h>

#define ALIGN 4096
#define MAX_THREADS 256

static const char usage_text[] =
	"usage: guest-io seqread|seqwrite|bufread DEV BLOCKSIZE TOTAL [OFFSET]\n"
	"       guest-io randread DEV BLOCKSIZE COUNT [DEPTH]\n"
	"       guest-io journal DEV START [GENERATION [COUNT]]\n"
	"       guest-io journal-check FILE FIRST LAST GENERATION\n"
	"       guest-io pattern-write|pattern-check DEV OFFSET LEN SEED\n"
	"       guest-io eject DEV\n"
	"       guest-io tsc\n"
	"       guest-io sgcmd DEV HEXCDB [in LEN | out HEXDATA | none]\n";

static _Noreturn void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

/* On stdout: what runs in a guest has one console, and tests read that. */
static _Noreturn void fail(const char *what)
{
	printf("ERROR %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(3);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (end == text || errno)
		usage();
	switch (*end) {
	case 'k':
	case 'K':
		n <<= 10;
		end++;
		break;
	case 'm':
	case 'M':
		n <<= 20;
		end++;
		break;
	case 'g':
	case 'G':
		n <<= 30;
		end++;
		break;
	}
	if (*end)
		usage();
	return n;
}

static int open_or_fail(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC, 0644);

	if (fd < 0)
		fail(path);
	return fd;
}

/* Works for block devices and for files alike. */
static uint64_t size_of(int fd)
{
	off_t size = lseek(fd, 0, SEEK_END);

	if (size < 0)
		fail("lseek");
	return (uint64_t)size;
}

static void *buffer(size_t size)
{
	void *p;

	errno = posix_memalign(&p, ALIGN, size ? size : 1);
	if (errno)
		fail("memory");
	memset(p, 0, size);
	return p;
}

static void read_all(int fd, void *buf, size_t len, uint64_t at)
{
	char *p = buf;

	while (len) {
		ssize_t n = pread(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENODATA;
		if (n <= 0)
			fail("read");
		p += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
}

static void write_all(int fd, const void *buf, size_t len, uint64_t at)
{
	const char *p = buf;

	while (len) {
		ssize_t n = pwrite(fd, p, len, (off_t)at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = ENOSPC;
		if (n <= 0)
			fail("write");
		p += n;
		len -= (size_t)n;
		at += (uint64_t)n;
	}
}

/*
 * What was just written is still in the guest's page cache: a check must see
 * the device's data.  One of the two applies, to a device or to a file.
 */
static void drop_cache(int fd)
{
	if (fsync(fd) && errno != EROFS && errno != EINVAL)
		fail("fsync");
	if (ioctl(fd, BLKFLSBUF, 0))
		posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
}

/* splitmix64's finish: every number gives an unrelated looking one. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

static uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* ---- timed transfers ---------------------------------------------------- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* us/op is what one operation took, so with depth it is not 1/iops. */
static void result(const char *name, uint64_t ops, uint64_t bytes,
		   double seconds, unsigned int depth)
{
	if (seconds <= 0)
		seconds = 1e-9;
	printf("RESULT %s MB/s=%.1f iops=%.0f us/op=%.1f\n", name,
	       (double)bytes / seconds / 1e6, (double)ops / seconds,
	       ops ? seconds * 1e6 * depth / (double)ops : 0.0);
}

static int sequential(const char *name, int args, char **arg)
{
	bool writing = !strcmp(name, "seqwrite");
	bool direct = strcmp(name, "bufread") != 0;
	int fd = open_or_fail(arg[0], (writing ? O_RDWR : O_RDONLY) |
					      (direct ? O_DIRECT : 0));
	size_t block = number(arg[1]);
	uint64_t total = number(arg[2]);
	uint64_t start_at = args > 3 ? number(arg[3]) : 0;
	uint64_t blocks, ops, i;
	uint64_t seed = 1;
	uint64_t *buf;
	double start;

	if (!block || size_of(fd) < start_at + block)
		usage();
	blocks = (size_of(fd) - start_at) / block;
	ops = total / block;
	buf = buffer(block);
	/* Not zeros: something on the way may treat those specially. */
	for (i = 0; i < block / sizeof(*buf); i++)
		buf[i] = xorshift(&seed);
	if (!direct)
		drop_cache(fd);

	start = now();
	for (i = 0; i < ops; i++) {
		uint64_t at = start_at + i % blocks * block;

		if (writing)
			write_all(fd, buf, block, at);
		else
			read_all(fd, buf, block, at);
	}
	/* A write counts when it is safe. */
	if (writing && fsync(fd))
		fail("fsync");
	result(name, ops, ops * block, now() - start, 1);
	return 0;
}

struct reader {
	pthread_t thread;
	int fd;
	size_t block;
	uint64_t blocks;
	uint64_t count;
	uint64_t seed;
	void *buf;
};

static void *random_reader(void *arg)
{
	struct reader *r = arg;
	uint64_t i;

	for (i = 0; i < r->count; i++)
		read_all(r->fd, r->buf, r->block,
			 xorshift(&r->seed) % r->blocks * r->block);
	return NULL;
}

static int randread(int args, char **arg)
{
	struct reader readers[MAX_THREADS];
	int fd = open_or_fail(arg[0], O_RDONLY | O_DIRECT);
	size_t block = number(arg[1]);
	uint64_t count = number(arg[2]);
	uint64_t depth = args > 3 ? number(arg[3]) : 1;
	uint64_t blocks;
	double start;
	uint64_t i;

	if (!block || size_of(fd) < block || !depth || depth > MAX_THREADS)
		usage();
	blocks = size_of(fd) / block;
	for (i = 0; i < depth; i++)
		readers[i] = (struct reader){
			.fd = fd,
			.block = block,
			.blocks = blocks,
			.count = count / depth + (i < count % depth),
			.seed = mix(i + 1),
			.buf = buffer(block),
		};

	start = now();
	for (i = 0; i < depth; i++) {
		errno = pthread_create(&readers[i].thread, NULL, random_reader,
				       &readers[i]);
		if (errno)
			fail("thread");
	}
	for (i = 0; i < depth; i++)
		pthread_join(readers[i].thread, NULL);
	result("randread", count, count * block, now() - start,
	       (unsigned int)depth);
	return 0;
}

/* ---- journal: what was synced must outlive a crash ---------------------- */

#define RECORD 4096
#define MAGIC UINT64_C(0x314e524a4c4c5952) /* "RYLLJRN1" */
#define MAX_BATCH 16

struct record {
	uint64_t magic;
	uint64_t number;
	uint64_t generation; /* tells this run's records from older ones */
	uint64_t sum;
	uint64_t body[(RECORD - 32) / 8];
};

/* FNV-1a over words: enough to tell a torn record from a whole one. */
static uint64_t record_sum(const struct record *r)
{
	uint64_t sum = UINT64_C(0xcbf29ce484222325);
	size_t i;

	sum = (sum ^ r->number) * UINT64_C(0x100000001b3);
	sum = (sum ^ r->generation) * UINT64_C(0x100000001b3);
	for (i = 0; i < sizeof(r->body) / 8; i++)
		sum = (sum ^ r->body[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static void record_fill(struct record *r, uint64_t n, uint64_t generation)
{
	uint64_t state = mix(n ^ mix(generation));
	size_t i;

	r->magic = MAGIC;
	r->number = n;
	r->generation = generation;
	for (i = 0; i < sizeof(r->body) / 8; i++)
		r->body[i] = xorshift(&state);
	r->sum = record_sum(r);
}

static int journal(int args, char **arg)
{
	int fd = open_or_fail(arg[0], O_RDWR);
	uint64_t slots = size_of(fd) / RECORD;
	uint64_t n = number(arg[1]);
	uint64_t generation = args > 2 ? number(arg[2]) : 1;
	uint64_t left = args > 3 ? number(arg[3]) : UINT64_MAX;
	uint64_t random = mix(n ^ generation);
	struct record *r = buffer(sizeof(*r));

	if (!slots)
		usage();
	setvbuf(stdout, NULL, _IONBF, 0);
	while (left) {
		uint64_t batch = xorshift(&random) % MAX_BATCH + 1;

		if (batch > left)
			batch = left;
		left -= batch;
		for (; batch; batch--, n++) {
			record_fill(r, n, generation);
			write_all(fd, r, RECORD, n % slots * RECORD);
		}
		if (fsync(fd))
			fail("fsync");
		/* One write: lines stay whole when the guest is killed. */
		dprintf(STDOUT_FILENO, "SYNCED %" PRIu64 "\n", n - 1);
	}
	return 0;
}

static int journal_check(char **arg)
{
	int fd = open_or_fail(arg[0], O_RDONLY);
	uint64_t slots = size_of(fd) / RECORD;
	uint64_t first = number(arg[1]);
	uint64_t last = number(arg[2]);
	uint64_t generation = number(arg[3]);
	struct record *r = buffer(sizeof(*r));
	/*
	 * The writer was ahead of the last line seen: by the batch in flight,
	 * and by one whose line was lost.  Where it had wrapped, those lie over
	 * the oldest records, and may be torn: leave these out.
	 */
	uint64_t ahead = 2 * MAX_BATCH;
	const char *wrong = NULL;
	uint64_t n;

	if (slots <= ahead)
		usage();
	if (last + 1 + ahead > first + slots)
		first = last + 1 + ahead - slots;
	for (n = first; n <= last; n++) {
		read_all(fd, r, RECORD, n % slots * RECORD);
		if (r->magic != MAGIC)
			wrong = "no record";
		else if (r->sum != record_sum(r))
			wrong = "torn or damaged";
		else if (r->generation != generation)
			wrong = "another generation's record";
		else if (r->number != n)
			wrong = "another record";
		if (wrong) {
			printf("BAD record=%" PRIu64 " offset=%" PRIu64
			       " %s (number=%" PRIu64 " generation=%" PRIu64
			       ")\n",
			       n, n % slots * RECORD, wrong, r->number,
			       r->generation);
			return 1;
		}
	}
	printf("GOOD records %" PRIu64 "..%" PRIu64 "\n", first, last);
	return 0;
}

/* ---- patterns ----------------------------------------------------------- */

/*
 * A byte depends on the seed and its own place alone, so any part of what was
 * written can be checked, in any pieces.
 */
static void pattern_fill(uint8_t *p, size_t len, uint64_t at, uint64_t seed)
{
	uint64_t key = mix(seed);

	while (len) {
		uint64_t word = mix(key ^ (at / 8));
		size_t skip = at % 8;
		size_t n = 8 - skip < len ? 8 - skip : len;

		memcpy(p, (uint8_t *)&word + skip, n);
		p += n;
		at += n;
		len -= n;
	}
}

static int pattern(bool writing, char **arg)
{
	/* A file may be new; a device that is missing must not become one. */
	bool device = !strncmp(arg[0], "/dev/", 5);
	int flags = writing ? O_RDWR | (device ? 0 : O_CREAT) : O_RDONLY;
	int fd = open_or_fail(arg[0], flags);
	uint64_t at = number(arg[1]);
	uint64_t left = number(arg[2]);
	uint64_t seed = number(arg[3]);
	size_t chunk = 1 << 20;
	uint8_t *want = buffer(chunk);
	uint8_t *got = buffer(chunk);

	if (!writing)
		drop_cache(fd);
	while (left) {
		size_t n = left < chunk ? (size_t)left : chunk;
		size_t i;

		pattern_fill(want, n, at, seed);
		if (writing) {
			write_all(fd, want, n, at);
		} else {
			read_all(fd, got, n, at);
			for (i = 0; i < n && got[i] == want[i]; i++)
				;
			if (i < n) {
				printf("BAD offset=%" PRIu64
				       " want=%02x got=%02x\n",
				       at + i, want[i], got[i]);
				return 1;
			}
		}
		at += n;
		left -= n;
	}
	if (writing && fsync(fd))
		fail("fsync");
	puts(writing ? "WRITTEN" : "GOOD");
	return 0;
}

/* ---- raw SCSI ----------------------------------------------------------- */

static size_t unhex(const char *text, uint8_t *out, size_t max)
{
	size_t n = 0;

	for (; *text; text += 2) {
		unsigned int byte;

		if (n == max || !text[1] || sscanf(text, "%2x", &byte) != 1)
			usage();
		out[n++] = (uint8_t)byte;
	}
	return n;
}

static int sgcmd(int args, char **arg)
{
	uint8_t cdb[16], sense[96] = { 0 };
	uint8_t key = 0, asc = 0, ascq = 0;
	struct sg_io_hdr io = {
		.interface_id = 'S',
		.dxfer_direction = SG_DXFER_NONE,
		.cmdp = cdb,
		.sbp = sense,
		.mx_sb_len = sizeof(sense),
		.timeout = 30000,
	};
	uint8_t *data = NULL;
	size_t i, got = 0;
	int fd;

	io.cmd_len = (uint8_t)unhex(arg[1], cdb, sizeof(cdb));
	if (args == 4 && !strcmp(arg[2], "in")) {
		io.dxfer_direction = SG_DXFER_FROM_DEV;
		io.dxfer_len = (unsigned int)number(arg[3]);
		data = buffer(io.dxfer_len);
	} else if (args == 4 && !strcmp(arg[2], "out")) {
		io.dxfer_direction = SG_DXFER_TO_DEV;
		data = buffer(strlen(arg[3]) / 2);
		io.dxfer_len =
			(unsigned int)unhex(arg[3], data, strlen(arg[3]) / 2);
	} else if (args > 3 || (args == 3 && strcmp(arg[2], "none"))) {
		usage();
	}
	io.dxferp = data;

	/* Not ready media and read-only disks must open as well. */
	fd = open(arg[0], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		fd = open_or_fail(arg[0], O_RDONLY | O_NONBLOCK);
	if (ioctl(fd, SG_IO, &io))
		fail("SG_IO");

	if (io.sb_len_wr) {
		/* Descriptor format holds at 1..3 what fixed has further on. */
		bool descriptor = (sense[0] & 0x7f) >= 0x72;

		key = (descriptor ? sense[1] : sense[2]) & 0x0f;
		asc = descriptor ? sense[2] : sense[12];
		ascq = descriptor ? sense[3] : sense[13];
	}
	printf("SG status=%02x sense=%02X/%02X/%02X resid=%d", io.status, key,
	       asc, ascq, io.resid);
	/* No such thing as a good status when the transport has failed. */
	if (io.host_status)
		printf(" host=%02x", io.host_status);
	printf(" data=");
	if (io.dxfer_direction == SG_DXFER_FROM_DEV && io.resid >= 0 &&
	    (unsigned int)io.resid <= io.dxfer_len)
		got = io.dxfer_len - (unsigned int)io.resid;
	for (i = 0; i < got; i++)
		printf("%02x", data[i]);
	putchar('\n');
	return 0;
}

/* As eject(1) does: unlock, then out, without closing the device between. */
static int eject(const char *dev)
{
	static const uint8_t cdbs[2][6] = { { 0x1e }, { 0x1b, 0, 0, 0, 0x02 } };
	int fd = open_or_fail(dev, O_RDONLY | O_NONBLOCK);

	for (int i = 0; i < 2; i++) {
		struct sg_io_hdr io = {
			.interface_id = 'S',
			.dxfer_direction = SG_DXFER_NONE,
			.cmdp = (uint8_t *)cdbs[i],
			.cmd_len = sizeof(cdbs[i]),
			.timeout = 30000,
		};

		if (ioctl(fd, SG_IO, &io))
			fail("SG_IO");
		if (io.status)
			return 1;
	}
	return 0;
}

/*
 * The frequency of this processor's time stamp counter in kHz, which is that of
 * an emulated guest as well; nothing where there is no such counter.
 */
static int tsc(void)
{
#if defined(__x86_64__)
	struct timespec start, end;
	uint64_t from, to;
	double ms;

	clock_gettime(CLOCK_MONOTONIC_RAW, &start);
	from = __builtin_ia32_rdtsc();
	usleep(50000);
	clock_gettime(CLOCK_MONOTONIC_RAW, &end);
	to = __builtin_ia32_rdtsc();
	ms = (double)(end.tv_sec - start.tv_sec) * 1e3 +
	     (double)(end.tv_nsec - start.tv_nsec) / 1e6;
	printf("%.0f\n", (double)(to - from) / ms);
#endif
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	char **arg = argv + 2;
	int args = argc - 2;

	if ((!strcmp(name, "seqread") || !strcmp(name, "seqwrite") ||
	     !strcmp(name, "bufread")) &&
	    (args == 3 || args == 4))
		return sequential(name, args, arg);
	if (!strcmp(name, "randread") && (args == 3 || args == 4))
		return randread(args, arg);
	if (!strcmp(name, "journal") && args >= 2 && args <= 4)
		return journal(args, arg);
	if (!strcmp(name, "journal-check") && args == 4)
		return journal_check(arg);
	if (!strcmp(name, "pattern-write") && args == 4)
		return pattern(true, arg);
	if (!strcmp(name, "pattern-check") && args == 4)
		return pattern(false, arg);
	if (!strcmp(name, "tsc") && args == 0)
		return tsc();
	if (!strcmp(name, "eject") && args == 1)
		return eject(arg[0]);
	if (!strcmp(name, "sgcmd") && args >= 2 && args <= 4)
		return sgcmd(args, arg);
	usage();
}
