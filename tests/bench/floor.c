// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the machine could do if the bridge cost nothing. Two processes, each
 * pinned to a CPU, a unix socket between them:
 *
 *   floor sendfile FILE BLOCK TOTAL CPU CPU    sendfile against recv
 *   floor recvwrite FILE BLOCK TOTAL CPU CPU   recv and pwrite against send
 *   floor roundtrip - 64 COUNT CPU CPU         64 bytes there and back
 *
 * The second CPU is that of the side that stands for the guest. Prints MB/s,
 * or microseconds a round trip.
 */
#include <err.h>
#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static size_t block;
static uint64_t total;
static off_t file_size;
static int file = -1;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void pin(const char *cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)atoi(cpu), &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "CPU %s", cpu);
}

static void *memory(void)
{
	void *p = aligned_alloc(4096, (block + 4095) & ~(size_t)4095);

	if (!p)
		err(1, "memory");
	memset(p, 0x5a, block);
	return p;
}

static void host_sendfile(int fd)
{
	for (uint64_t at = 0; at < total; at += block) {
		off_t off = (off_t)(at % (uint64_t)file_size);
		size_t left = block;

		while (left) {
			ssize_t n = sendfile(fd, file, &off, left);

			if (n <= 0)
				err(1, "sendfile");
			left -= (size_t)n;
		}
	}
}

static void guest_recv(int fd)
{
	void *p = memory();

	for (uint64_t at = 0; at < total; at += block)
		if (recv(fd, p, block, MSG_WAITALL) != (ssize_t)block)
			err(1, "recv");
}

static void host_recvwrite(int fd)
{
	void *p = memory();

	for (uint64_t at = 0; at < total; at += block) {
		if (recv(fd, p, block, MSG_WAITALL) != (ssize_t)block)
			err(1, "recv");
		if (pwrite(file, p, block, (off_t)(at % (uint64_t)file_size)) !=
		    (ssize_t)block)
			err(1, "pwrite");
	}
}

static void guest_send(int fd)
{
	void *p = memory();

	for (uint64_t at = 0; at < total; at += block)
		if (send(fd, p, block, MSG_WAITALL) != (ssize_t)block)
			err(1, "send");
}

static void host_echo(int fd)
{
	void *p = memory();

	for (uint64_t i = 0; i < total; i++)
		if (recv(fd, p, block, MSG_WAITALL) != (ssize_t)block ||
		    send(fd, p, block, 0) != (ssize_t)block)
			err(1, "echo");
}

static void guest_ping(int fd)
{
	void *p = memory();

	for (uint64_t i = 0; i < total; i++)
		if (send(fd, p, block, 0) != (ssize_t)block ||
		    recv(fd, p, block, MSG_WAITALL) != (ssize_t)block)
			err(1, "ping");
}

static const struct {
	const char *name;
	void (*host)(int fd);
	void (*guest)(int fd);
} modes[] = {
	{ "sendfile", host_sendfile, guest_recv },
	{ "recvwrite", host_recvwrite, guest_send },
	{ "roundtrip", host_echo, guest_ping },
};

int main(int argc, char **argv)
{
	int pair[2], size = 4 << 20;
	unsigned int m = 0;
	struct stat st;
	double start, t;
	pid_t child;

	while (argc == 7 && m < 3 && strcmp(argv[1], modes[m].name))
		m++;
	if (argc != 7 || m == 3)
		errx(2, "usage: floor MODE FILE BLOCK TOTAL CPU CPU");
	block = strtoul(argv[3], NULL, 10);
	total = strtoull(argv[4], NULL, 10);
	if (m < 2) {
		file = open(argv[2], O_RDWR);
		if (file < 0 || fstat(file, &st) < 0)
			err(1, "%s", argv[2]);
		file_size = st.st_size / (off_t)block * (off_t)block;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
		err(1, "socketpair");
	/* The same buffers as the bridge and the load generator have. */
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	start = now();
	child = fork();
	if (!child) {
		pin(argv[6]);
		modes[m].guest(pair[1]);
		return 0;
	}
	pin(argv[5]);
	modes[m].host(pair[0]);
	waitpid(child, NULL, 0);
	t = now() - start;
	if (m == 2)
		printf("%.2f\n", t / (double)total * 1e6);
	else
		printf("%.1f\n", (double)total / t / 1e6);
	return 0;
}
