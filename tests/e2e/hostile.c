// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile usbredir peer: one kind of abuse after another on connections of
 * their own, seeded, for some seconds. Ends with status 0 if the bridge goes on
 * accepting connections.
 *
 *   hostile SOCKET SEED SECONDS
 */
#include <err.h>
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "wire/usbredir.h"

#define CAPS 0x7eu
/* How long a full socket may stay full before the abuse counts as done. */
#define FULL_MS 100

static uint64_t state;

static uint32_t rnd(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 16);
}

static int dial(const char *path)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strncpy(sun.sun_path, path, sizeof(sun.sun_path) - 1);
	while (connect(fd, (struct sockaddr *)&sun, sizeof(sun)) < 0)
		if (errno != EAGAIN)
			err(1, "the bridge does not accept connections");
	return fd;
}

/* False when the bridge has closed, or takes nothing for FULL_MS. */
static bool put(int fd, const void *data, size_t len)
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
static void drain(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	char buf[65536];

	while (poll(&p, 1, ms) > 0 && recv(fd, buf, sizeof(buf), 0) > 0)
		;
}

static bool put_msg(int fd, uint32_t caps, const struct usbredir_msg *msg,
		    const void *data)
{
	uint8_t head[USBREDIR_MAX_HEAD];
	size_t n = usbredir_encode(msg, caps, head);

	return put(fd, head, n) && (!data || put(fd, data, msg->data_len));
}

static bool hello(int fd)
{
	struct usbredir_msg msg = { .type = USBREDIR_HELLO, .data_len = 4 };
	uint8_t caps[4] = { CAPS };

	return put_msg(fd, 0, &msg, caps);
}

static void put_random(int fd, size_t n)
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

/* --- The abuses ----------------------------------------------------------------- */

static void random_bytes(int fd)
{
	put_random(fd, rnd() % 100000);
}

static void random_after_hello(int fd)
{
	hello(fd);
	put_random(fd, rnd() % 100000);
}

static void huge_length(int fd)
{
	uint8_t header[16] = {
		USBREDIR_BULK_PACKET, 0, 0, 0, 0xff, 0xff, 0xff, 0xff
	};

	hello(fd);
	put(fd, header, sizeof(header));
	put_random(fd, 1000);
}

static void half_header(int fd)
{
	hello(fd);
	put_random(fd, 1 + rnd() % 15);
}

static void control_flood(int fd)
{
	struct usbredir_msg msg = { .type = USBREDIR_CONTROL_PACKET,
				    .control = { .endpoint = 0x80,
						 .requesttype = 0x80,
						 .request = 6,
						 .value = 0x0200,
						 .length = 255 } };

	hello(fd);
	drain(fd, 20);
	for (unsigned int i = 0; i < 200000; i++, msg.id++)
		if (!put_msg(fd, CAPS, &msg, NULL))
			return; /* never reads: the bridge stops taking */
}

static void bulk_flood(int fd)
{
	struct usbredir_msg msg = { .type = USBREDIR_BULK_PACKET,
				    .transfer = { .endpoint = 0x81,
						  .length = 16 << 20 } };

	hello(fd);
	drain(fd, 20);
	for (unsigned int i = 0; i < 20000; i++, msg.id++)
		if (!put_msg(fd, CAPS, &msg, NULL))
			return;
}

static void half_payload(int fd)
{
	struct usbredir_msg msg = { .type = USBREDIR_BULK_PACKET,
				    .data_len = 16 << 20,
				    .transfer = { .endpoint = 0x02,
						  .length = 16 << 20 } };

	hello(fd);
	drain(fd, 20);
	put_msg(fd, CAPS, &msg, NULL);
	put_random(fd, rnd() % 200000);
}

/* A packet of any type with any fields, whole and of the right length. */
static void any_packets(int fd)
{
	static const uint32_t types[] = { 0,  3,   6,	7,   9,	  10, 12, 13,
					  15, 16,  18,	21,  22,  23, 24, 25,
					  26, 100, 101, 102, 103, 2,  77, 5 };
	uint8_t packet[16 + 300];

	hello(fd);
	drain(fd, 20);
	for (unsigned int i = 0; i < 5000; i++) {
		uint32_t type = types[rnd() % (sizeof(types) / sizeof(*types))];
		uint32_t len = rnd() % 3 ? rnd() % 16 : rnd() % 300;

		for (size_t n = 0; n < sizeof(packet); n++)
			packet[n] = rnd() % 2 ? (uint8_t)rnd() : 0;
		memcpy(packet, &type, 4);
		memcpy(packet + 4, &len, 4);
		if (!put(fd, packet, 16 + len))
			return;
		if (!(i % 64))
			drain(fd, 0);
	}
}

/* Commands to the disk that are not: random CBWs, with the right signature. */
static void any_commands(int fd)
{
	struct usbredir_msg out = { .type = USBREDIR_BULK_PACKET,
				    .data_len = 31,
				    .transfer = { .endpoint = 0x02,
						  .length = 31 } };
	struct usbredir_msg in = { .type = USBREDIR_BULK_PACKET,
				   .transfer = { .endpoint = 0x81,
						 .length = 4096 } };
	uint8_t cbw[31];

	hello(fd);
	drain(fd, 20);
	for (unsigned int i = 0; i < 5000; i++) {
		for (size_t n = 0; n < sizeof(cbw); n++)
			cbw[n] = rnd() % 2 ? (uint8_t)rnd() : 0;
		memcpy(cbw, "USBC", 4);
		cbw[12] &= 0x80;
		cbw[13] = 0;
		cbw[14] = 16;
		out.id++;
		in.id = out.id + 1000000;
		if (!put_msg(fd, CAPS, &out, cbw) ||
		    !put_msg(fd, CAPS, &in, NULL))
			return;
		drain(fd, 0);
	}
}

static void (*const abuses[])(int fd) = {
	random_bytes, random_after_hello, huge_length,
	half_header,  control_flood,	  bulk_flood,
	half_payload, any_packets,	  any_commands,
};

#define KEPT 64 /* connections that are left open, stuck */

int main(int argc, char **argv)
{
	int kept[KEPT];
	unsigned int n = 0;
	time_t end;

	if (argc != 4)
		errx(2, "usage: hostile SOCKET SEED SECONDS");
	state = strtoull(argv[2], NULL, 10) * 2654435761 + 88172645463325252;
	end = time(NULL) + atoi(argv[3]);
	for (unsigned int i = 0; i < KEPT; i++)
		kept[i] = -1;
	do {
		int fd = dial(argv[1]);

		abuses[n % (sizeof(abuses) / sizeof(*abuses))](fd);
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
	return 0;
}
