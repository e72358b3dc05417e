/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The usb-guest's end of a connection, for load generators: blocking, and no
 * more than they need. What goes wrong ends the program.
 */
#ifndef TESTS_BENCH_PEER_H
#define TESTS_BENCH_PEER_H

#include <err.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "wire/usbredir.h"

/* What both ends must have: 64-bit ids, 32-bit lengths, and the rest. */
#define CAPS                                                                   \
	(USBREDIR_CAPS_ALL &                                                   \
	 ~(USBREDIR_CAP_BULK_STREAMS | USBREDIR_CAP_BULK_RECEIVING))

struct guest {
	int fd;
	uint64_t id;
	uint32_t caps;
	uint64_t blocks;
	uint32_t block_size;
	uint8_t *data; /* packet head and payload of the largest transfer */
};

static inline void send_all(int fd, const struct iovec *iov, size_t n)
{
	struct msghdr msg = { .msg_iov = (struct iovec *)iov, .msg_iovlen = n };
	size_t len = 0;

	for (size_t i = 0; i < n; i++)
		len += iov[i].iov_len;
	if (sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_WAITALL) != (ssize_t)len)
		err(1, "send");
}

static inline void recv_all(int fd, void *buf, size_t len)
{
	if (recv(fd, buf, len, MSG_WAITALL) != (ssize_t)len)
		errx(1, "the bridge closed the connection");
}

static inline void send_msg(struct guest *g, struct usbredir_msg *msg,
			    const void *data, uint32_t len)
{
	uint8_t head[USBREDIR_MAX_HEAD];
	struct iovec iov[2] = { { head, 0 }, { (void *)data, len } };

	msg->data_len = len;
	iov[0].iov_len = usbredir_encode(msg, g->caps, head);
	send_all(g->fd, iov, len ? 2 : 1);
}

/* Takes any packet; its payload is dropped. Returns the type. */
static inline uint32_t take_packet(struct guest *g, uint32_t *caps)
{
	uint8_t head[USBREDIR_MAX_HEADER], body[1024];
	size_t size = usbredir_header_size(g->caps);
	struct usbredir_header header;

	recv_all(g->fd, head, size);
	if (usbredir_decode_header(span_of(head, size), g->caps, &header) < 0 ||
	    header.length > sizeof(body))
		errx(1, "not a usbredir packet");
	recv_all(g->fd, body, header.length);
	if (caps)
		*caps = usbredir_decode_caps(
			span_of(body + USBREDIR_VERSION_SIZE,
				header.length - USBREDIR_VERSION_SIZE));
	return header.type;
}

static inline int dial_unix(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), size = 4 << 20;

	strncpy(sun.sun_path, path, sizeof(sun.sun_path) - 1);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	if (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		err(1, "%s", path);
	return fd;
}

/* Of this machine. */
static inline int dial_tcp(const char *port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons((uint16_t)atoi(port)),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0)
		err(1, "port %s", port);
	return fd;
}

/* A path, or a port of this machine. */
static inline int dial(const char *where)
{
	return strchr(where, '/') ? dial_unix(where) : dial_tcp(where);
}

static inline void attach(struct guest *g, const char *where)
{
	struct usbredir_msg hello = { .type = USBREDIR_HELLO };
	struct usbredir_msg config = { .type = USBREDIR_SET_CONFIGURATION,
				       .configuration.configuration = 1 };
	uint8_t caps[4] = { CAPS };
	uint32_t theirs;

	g->fd = dial(where);
	memcpy(hello.hello.version, "load", 4);
	send_msg(g, &hello, caps, sizeof(caps));
	take_packet(g, &theirs);
	g->caps = CAPS & theirs;
	if ((g->caps & CAPS) != CAPS)
		errx(1, "the bridge lacks capabilities (0x%x)", theirs);
	while (take_packet(g, NULL) != USBREDIR_DEVICE_CONNECT)
		;
	send_msg(g, &config, NULL, 0);
	while (take_packet(g, NULL) != USBREDIR_CONFIGURATION_STATUS)
		;
}

static inline double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

#endif
