// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Load generator: plays the usb-guest of a mass-storage disk at full speed,
 * without a guest. One BOT command at a time, as Linux does it: CBW, data,
 * CSW are three round trips.
 *
 *   redirload SOCKET CPU OP BLOCK COUNT
 *
 * OP: read, write (sequential, wrapping), randread, randwrite; idle holds
 * COUNT connections open until standard input ends. Prints
 *   MB/s IOPS us/command
 */
#include <sched.h>
#include <stdio.h>

#include "peer.h"
#include "wire/bot.h"
#include "wire/scsi.h"

#define EP_IN 0x81
#define EP_OUT 0x02
static void bulk_out(struct guest *g, const void *data, uint32_t len)
{
	struct usbredir_msg msg = { .type = USBREDIR_BULK_PACKET,
				    .id = g->id++,
				    .transfer = { .endpoint = EP_OUT,
						  .length = len } };
	uint8_t reply[26];

	send_msg(g, &msg, data, len);
	recv_all(g->fd, reply, sizeof(reply));
	if (reply[17])
		errx(1, "bulk OUT: status %u", reply[17]);
}

/* The data is behind 26 bytes of head in g->data. */
static void bulk_in(struct guest *g, uint32_t len)
{
	struct usbredir_msg msg = { .type = USBREDIR_BULK_PACKET,
				    .id = g->id++,
				    .transfer = { .endpoint = EP_IN,
						  .length = len } };

	send_msg(g, &msg, NULL, 0);
	recv_all(g->fd, g->data, 26 + (size_t)len);
	if (g->data[17])
		errx(1, "bulk IN: status %u", g->data[17]);
}

static int command(struct guest *g, const uint8_t *cdb, uint8_t cdb_len,
		   bool in, const void *out, uint32_t len)
{
	uint8_t cbw[BOT_CBW_SIZE];
	struct span_writer w = span_writer_of(cbw, sizeof(cbw));

	span_put_le(&w, 0x43425355, 4);
	span_put_le(&w, 1, 4);
	span_put_le(&w, len, 4);
	span_put_le(&w, in ? 0x80 : 0, 1);
	span_put_le(&w, 0, 1);
	span_put_le(&w, cdb_len, 1);
	span_put(&w, cdb, cdb_len);
	span_put_zero(&w, 16u - cdb_len);
	bulk_out(g, cbw, sizeof(cbw));
	if (len && in)
		bulk_in(g, len);
	else if (len)
		bulk_out(g, out, len);
	if (!in || !len) {
		bulk_in(g, BOT_CSW_SIZE);
		return g->data[26 + 12];
	}
	/* Keep the data of a read: the CSW goes elsewhere. */
	uint8_t *data = g->data, csw[26 + BOT_CSW_SIZE];

	g->data = csw;
	bulk_in(g, BOT_CSW_SIZE);
	g->data = data;
	return csw[26 + 12];
}

static void transfer(struct guest *g, bool write, uint64_t lba, uint32_t len)
{
	uint8_t cdb[16] = { write ? SCSI_WRITE_16 : SCSI_READ_16 };
	struct span_writer w = span_writer_of(cdb + 2, 12);

	span_put_be(&w, lba, 8);
	span_put_be(&w, len / g->block_size, 4);
	if (command(g, cdb, 16, !write, g->data + 26, len))
		errx(1, "a command failed");
}

static void capacity(struct guest *g)
{
	const uint8_t ready[6] = { SCSI_TEST_UNIT_READY };
	const uint8_t cdb[16] = { SCSI_SERVICE_ACTION_IN_16,
				  SCSI_SA_READ_CAPACITY_16, [13] = 32 };
	struct span s;

	while (command(g, ready, 6, false, NULL, 0))
		; /* unit attention */
	if (command(g, cdb, 16, true, NULL, 32))
		errx(1, "READ CAPACITY failed");
	s = span_of(g->data + 26, 12);
	g->blocks = span_be(&s, 8) + 1;
	g->block_size = (uint32_t)span_be(&s, 4);
}

static void idle(const char *path, unsigned int n)
{
	struct guest g = { 0 };
	char byte;

	for (unsigned int i = 0; i < n; i++) {
		g.caps = 0;
		attach(&g, path);
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
}

int main(int argc, char **argv)
{
	struct guest g = { 0 };
	uint64_t count, slots, seed = 88172645463325252;
	uint32_t block;
	bool write, random;
	cpu_set_t set;
	double start, t;

	if (argc != 6)
		errx(2, "usage: redirload SOCKET CPU OP BLOCK COUNT");
	CPU_ZERO(&set);
	CPU_SET((size_t)atoi(argv[2]), &set);
	if (atoi(argv[2]) >= 0 && sched_setaffinity(0, sizeof(set), &set) < 0)
		err(1, "CPU %s", argv[2]);
	block = (uint32_t)strtoul(argv[4], NULL, 10);
	count = strtoull(argv[5], NULL, 10);
	if (!strcmp(argv[3], "idle")) {
		idle(argv[1], (unsigned int)count);
		return 0;
	}
	write = strstr(argv[3], "write");
	random = !strncmp(argv[3], "rand", 4);
	g.data = aligned_alloc(4096, (block + 8192u) & ~4095u);
	if (!g.data)
		err(1, "memory");
	memset(g.data, 0x5a, block + 26);
	attach(&g, argv[1]);
	capacity(&g);
	slots = g.blocks * g.block_size / block;
	start = now();
	for (uint64_t i = 0; i < count; i++) {
		uint64_t slot = i;

		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		if (random)
			slot = seed;
		transfer(&g, write, slot % slots * (block / g.block_size),
			 block);
	}
	t = now() - start;
	printf("%.1f %.0f %.2f\n", (double)block * (double)count / t / 1e6,
	       (double)count / t, t / (double)count * 1e6);
	free(g.data);
	close(g.fd);
	return 0;
}
