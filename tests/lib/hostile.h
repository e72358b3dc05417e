/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What hostile peers have in common: seeded bytes, and connections that somebody
 * else may close at any time.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* How long a full socket may stay full before the abuse counts as done. */
#define FULL_MS 100
/* Connections that are left open, stuck. */
#define KEPT 64

static uint64_t state;

static inline uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static inline int dial(const struct sockaddr *address, socklen_t size)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK, 0);

	while (connect(fd, address, size) < 0) {
		if (errno == EINPROGRESS) {
			struct pollfd p = { .fd = fd, .events = POLLOUT };

			poll(&p, 1, -1);
		} else if (errno != EAGAIN && errno != EALREADY &&
			   errno != EISCONN) {
			err(1, "the bridge does not accept connections");
		} else if (errno == EISCONN) {
			break;
		}
	}
	return fd;
}

/* False when the bridge has closed, or takes nothing for FULL_MS. */
static inline bool put(int fd, const void *data, size_t len)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	const char *at = data;

	while (len) {
		ssize_t n = send(fd, at, len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0 && poll(&p, 1, FULL_MS) <= 0)
			return false;
		if (n > 0) {
			at += n;
			len -= (size_t)n;
		}
	}
	return true;
}

/* What has come is thrown away. */
static inline void drain(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[65536];

	while (poll(&p, 1, ms) > 0 && recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

static inline void put_random(int fd, size_t n)
{
	uint8_t buf[512];

	while (n) {
		size_t len = n < sizeof(buf) ? n : sizeof(buf);

		for (size_t i = 0; i < len; i++)
			buf[i] = (uint8_t)rnd();
		if (!put(fd, buf, len))
			return;
		n -= len;
	}
}

/* One abuse after another, each on a connection of its own, for some seconds. */
static inline void abuse(void (*const abuses[])(int fd), size_t n_abuses,
			 const struct sockaddr *address, socklen_t size,
			 const char *seed, const char *seconds)
{
	time_t end = time(NULL) + atoi(seconds);
	unsigned int n = 0;
	int kept[KEPT];

	state = strtoull(seed, NULL, 10) * 2654435761 + 88172645463325252;
	for (unsigned int i = 0; i < KEPT; i++)
		kept[i] = -1;
	do {
		int fd = dial(address, size);

		abuses[n % n_abuses](fd);
		if (kept[n % KEPT] >= 0)
			close(kept[n % KEPT]);
		kept[n % KEPT] = fd;
		/* Now and then all leave, so that others get the device. */
		for (unsigned int i = 0; !(n % 11) && i < KEPT; i++) {
			if (kept[i] >= 0)
				close(kept[i]);
			kept[i] = -1;
		}
		n++;
	} while (time(NULL) < end);
	printf("%u connections\n", n);
}

#endif
