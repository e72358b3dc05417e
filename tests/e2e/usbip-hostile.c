// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A hostile usbip client: one kind of abuse after another on connections of
 * their own, seeded, for some seconds. Ends with status 0 if the bridge goes on
 * accepting connections.
 *
 *   usbip-hostile PORT BUSID SEED SECONDS
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "../lib/hostile.h"
#include "wire/usbip.h"

static const char *busid;

static bool ask(int fd, enum usbip_op_code what)
{
	uint8_t head[USBIP_OP_SIZE + USBIP_BUSID_SIZE];
	struct span_writer w = span_writer_of(head, sizeof(head));

	usbip_encode_op(&w, what, 0);
	if (what == USBIP_REQ_IMPORT)
		usbip_encode_busid(&w, busid);
	return put(fd, head, w.len);
}

/* Whether it gets the device or not: what comes then is the same. */
static void import(int fd)
{
	ask(fd, USBIP_REQ_IMPORT);
	drain(fd, 20);
}

static bool put_msg(int fd, const struct usbip_msg *msg)
{
	uint8_t head[USBIP_HEADER_SIZE];

	usbip_encode(msg, head);
	return put(fd, head, sizeof(head));
}

static struct usbip_msg submit_in(uint32_t length)
{
	return (struct usbip_msg){
		.command = USBIP_CMD_SUBMIT,
		.ep = 0x81,
		.submit = { .flags = USBIP_FLAG_DIR_IN, .length = length },
	};
}

/* --- The abuses ----------------------------------------------------------------- */

static void random_bytes(int fd)
{
	put_random(fd, rnd() % 100000);
}

static void half_a_request(int fd)
{
	uint8_t version[3] = { 1, 0x11, 0x80 };

	put(fd, version, 1 + rnd() % 3);
}

static void list_flood(int fd)
{
	for (unsigned int i = 0; i < 100000; i++)
		if (!ask(fd, USBIP_REQ_DEVLIST))
			return; /* never reads: the bridge stops taking */
}

static void other_bus_id(int fd)
{
	uint8_t head[USBIP_OP_SIZE];
	struct span_writer w = span_writer_of(head, sizeof(head));

	usbip_encode_op(&w, USBIP_REQ_IMPORT, 0);
	put(fd, head, w.len);
	put_random(fd, USBIP_BUSID_SIZE);
}

static void random_after_import(int fd)
{
	import(fd);
	put_random(fd, rnd() % 100000);
}

static void huge_length(int fd)
{
	static const uint32_t lengths[] = { UINT32_MAX, INT32_MAX, 1u << 30,
					    (16 << 20) + 1 };
	struct usbip_msg msg = submit_in(lengths[rnd() % 4]);

	import(fd);
	if (rnd() % 2) {
		msg.ep = 0x02;
		msg.submit.flags = 0;
	}
	put_msg(fd, &msg);
	put_random(fd, 1000);
}

static void iso_counts(int fd)
{
	static const uint32_t counts[] = { 0,	 1,	    128,	   1024,
					   1025, INT32_MAX, UINT32_MAX - 1 };
	struct usbip_msg msg = submit_in(4096);

	import(fd);
	for (unsigned int i = 0; i < 100; i++) {
		msg.seqnum++;
		msg.submit.packets = counts[rnd() % 7];
		if (!put_msg(fd, &msg))
			return;
	}
}

static void half_payload(int fd)
{
	struct usbip_msg msg = { .command = USBIP_CMD_SUBMIT,
				 .ep = 0x02,
				 .submit.length = 16 << 20 };

	import(fd);
	put_msg(fd, &msg);
	put_random(fd, rnd() % 200000);
}

static void submit_flood(int fd)
{
	struct usbip_msg msg = submit_in(16 << 20);

	import(fd);
	for (unsigned int i = 0; i < 20000; i++, msg.seqnum++)
		if (!put_msg(fd, &msg))
			return;
}

static void control_flood(int fd)
{
	struct usbip_msg msg = submit_in(255);

	import(fd);
	msg.ep = 0x80;
	memcpy(msg.submit.setup, "\x80\x06\x00\x02\x00\x00\xff\x00", 8);
	for (unsigned int i = 0; i < 200000; i++, msg.seqnum++)
		if (!put_msg(fd, &msg))
			return;
}

/* Of what is there, what was there, and what has never been. */
static void unlink_storm(int fd)
{
	struct usbip_msg submit = submit_in(512);
	struct usbip_msg msg = { .command = USBIP_CMD_UNLINK };

	import(fd);
	for (unsigned int i = 1; i < 50000; i++) {
		submit.seqnum = i;
		msg.seqnum = i + 1000000;
		msg.unlink_seqnum = rnd() % 3 ? i - rnd() % 3 : rnd();
		if ((rnd() % 2 && !put_msg(fd, &submit)) || !put_msg(fd, &msg))
			return;
		if (rnd() % 64 == 0)
			drain(fd, 0);
	}
}

/* One number for all. */
static void one_seqnum(int fd)
{
	struct usbip_msg submit = submit_in(512);
	struct usbip_msg msg = { .command = USBIP_CMD_UNLINK };

	import(fd);
	for (unsigned int i = 0; i < 2000; i++)
		if (!put_msg(fd, rnd() % 2 ? &submit : &msg))
			return;
}

/* Commands with any fields; lengths are mostly small, so that others follow. */
static void any_commands(int fd)
{
	uint8_t head[USBIP_HEADER_SIZE];

	import(fd);
	for (unsigned int i = 0; i < 5000; i++) {
		for (size_t n = 0; n < sizeof(head); n++)
			head[n] = rnd() % 4 ? 0 : (uint8_t)rnd();
		memcpy(head, "\0\0\0\1", 4);
		head[3] = 1 + rnd() % 2;
		memset(head + 12, 0, 3);
		head[15] = rnd() % 2;
		memset(head + 16, 0, 3);
		head[19] = rnd() % 16;
		memset(head + 24, 0, 3);
		memset(head + 32, 0, 3);
		if (!put(fd, head, sizeof(head)))
			return;
		if (!(i % 64))
			drain(fd, 0);
	}
}

static void (*const abuses[])(int fd) = {
	random_bytes, half_a_request,	   list_flood,	  other_bus_id,
	huge_length,  iso_counts,	   half_payload,  submit_flood,
	one_seqnum,   random_after_import, control_flood, unlink_storm,
	any_commands,
};

int main(int argc, char **argv)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };

	if (argc != 5)
		errx(2, "usage: usbip-hostile PORT BUSID SEED SECONDS");
	sin.sin_port = htons((uint16_t)atoi(argv[1]));
	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	busid = argv[2];
	abuse(abuses, sizeof(abuses) / sizeof(*abuses),
	      (const struct sockaddr *)&sin, sizeof(sin), argv[3], argv[4]);
	return 0;
}
