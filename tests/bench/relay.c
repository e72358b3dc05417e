// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A relay of TCP connections on loopback: a link that can be cut (by killing it),
 * whose bytes are counted, and whose rate can be limited.
 *
 *	relay PORT TARGET-PORT [MB/S]
 *
 * The limit is for each direction, of all connections together, as on a cable. On
 * SIGUSR1 it prints three numbers: bytes to the target, bytes from it, connections.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536
#define PIECE_LIMITED 16384

/* One direction of the cable. */
struct lane {
	pthread_mutex_t lock;
	uint64_t free_at; /* ns: when what was sent last has passed */
	_Atomic uint64_t bytes;
};

struct way {
	struct lane *lane;
	int from;
	int to;
};

static struct lane lanes[2] = { { .lock = PTHREAD_MUTEX_INITIALIZER },
				{ .lock = PTHREAD_MUTEX_INITIALIZER } };
static _Atomic unsigned int connections;
static double rate; /* bytes a nanosecond, or 0 */

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Until n more bytes have passed at the rate. */
static void pass(struct lane *lane, size_t n)
{
	struct timespec until;
	uint64_t at;

	atomic_fetch_add(&lane->bytes, n);
	if (rate <= 0)
		return;
	pthread_mutex_lock(&lane->lock);
	at = now();
	if (lane->free_at < at)
		lane->free_at = at;
	lane->free_at += (uint64_t)((double)n / rate);
	at = lane->free_at;
	pthread_mutex_unlock(&lane->lock);
	until.tv_sec = (time_t)(at / 1000000000u);
	until.tv_nsec = (long)(at % 1000000000u);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) ==
	       EINTR)
		;
}

static void *carry(void *arg)
{
	struct way way = *(struct way *)arg;
	char *piece = malloc(PIECE);
	ssize_t n;

	free(arg);
	while (piece && (n = recv(way.from, piece,
				  rate > 0 ? PIECE_LIMITED : PIECE, 0)) > 0) {
		char *p = piece;

		pass(way.lane, (size_t)n);
		while (n > 0) {
			ssize_t sent = send(way.to, p, (size_t)n, MSG_NOSIGNAL);

			if (sent <= 0)
				break;
			p += sent;
			n -= sent;
		}
		if (n > 0)
			break;
	}
	free(piece);
	/* The other way ends by itself; descriptors go with the process. */
	shutdown(way.to, SHUT_WR);
	shutdown(way.from, SHUT_RD);
	return NULL;
}

static int carry_start(struct lane *lane, int from, int to)
{
	struct way *way = malloc(sizeof(*way));
	pthread_t thread;

	if (!way)
		return -1;
	*way = (struct way){ .lane = lane, .from = from, .to = to };
	if (pthread_create(&thread, NULL, carry, way))
		return -1;
	pthread_detach(thread);
	return 0;
}

/* What waits in the relay's buffers has not passed the cable. */
static void shrink(int fd)
{
	int size = 65536;

	if (rate <= 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

static struct sockaddr_in loopback(const char *port)
{
	return (struct sockaddr_in){
		.sin_family = AF_INET,
		.sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
}

static void *report(void *arg)
{
	sigset_t *set = arg;
	int got;

	while (!sigwait(set, &got)) {
		printf("%llu %llu %u\n", (unsigned long long)lanes[0].bytes,
		       (unsigned long long)lanes[1].bytes, connections);
		fflush(stdout);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	struct sockaddr_in at, target;
	static sigset_t set;
	pthread_t thread;
	int one = 1;
	int fd;

	if (argc < 3 || argc > 4) {
		fprintf(stderr, "usage: relay PORT TARGET-PORT [MB/S]\n");
		return 2;
	}
	at = loopback(argv[1]);
	target = loopback(argv[2]);
	if (argc > 3)
		rate = atof(argv[3]) / 1000;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (pthread_create(&thread, NULL, report, &set))
		return 1;
	fd = socket(AF_INET, SOCK_STREAM, 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	shrink(fd); /* inherited by what is accepted */
	if (bind(fd, (struct sockaddr *)&at, sizeof(at)) || listen(fd, 64)) {
		perror("relay");
		return 1;
	}
	for (;;) {
		int near = accept(fd, NULL, NULL);
		int far;

		if (near < 0)
			continue;
		connections++;
		far = socket(AF_INET, SOCK_STREAM, 0);
		shrink(far);
		setsockopt(near, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		setsockopt(far, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
		if (connect(far, (struct sockaddr *)&target, sizeof(target)) ||
		    carry_start(&lanes[0], near, far) ||
		    carry_start(&lanes[1], far, near)) {
			close(near);
			close(far);
		}
	}
}
