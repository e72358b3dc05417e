// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile usbredir peer: one kind of abuse after another on connections of
 * their own, seeded, for some seconds. Ends with status 0 if the bridge goes on
 * accepting connections.
 *
 *   hostile SOCKET SEED SECONDS
 */
#include <string.h>
#include <sys/un.h>

#include "../lib/hostile.h"
#include "wire/usbredir.h"

#define CAPS 0x7eu

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

int main(int argc, char **argv)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };

	if (argc != 4)
		errx(2, "usage: hostile SOCKET SEED SECONDS");
	strncpy(sun.sun_path, argv[1], sizeof(sun.sun_path) - 1);
	abuse(abuses, sizeof(abuses) / sizeof(*abuses),
	      (const struct sockaddr *)&sun, sizeof(sun), argv[2], argv[3]);
	return 0;
}
