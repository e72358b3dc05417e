// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Load generator: plays the usb-guest of a real device whose endpoints take and
 * give whatever is asked of them, without a guest.
 *
 *   usbload WHERE bulk EP BLOCK COUNT DEPTH     prints MB/s
 *   usbload WHERE interrupt EP COUNT            prints p50 and p99, in us
 *
 * WHERE: the path of a unix socket, or a port of this machine. bulk keeps DEPTH
 * transfers in flight. interrupt takes the reports of guest-vhci, which say when
 * they were sent, by the clock of the same machine.
 */
#include <stdio.h>

#include "peer.h"

#define HEAD 26

/* A packet of any kind; what does not fit in g->data is an error. */
static struct usbredir_header take(struct guest *g, size_t room)
{
	uint8_t head[USBREDIR_MAX_HEADER];
	size_t size = usbredir_header_size(g->caps);
	struct usbredir_header header;

	recv_all(g->fd, head, size);
	if (usbredir_decode_header(span_of(head, size), g->caps, &header) < 0 ||
	    header.length > room)
		errx(1, "not a usbredir packet");
	recv_all(g->fd, g->data, header.length);
	return header;
}

/* OUT data is zeros, which a SourceSink gadget wants. */
static uint8_t *zeros;

static void ask(struct guest *g, uint8_t ep, uint32_t len)
{
	struct usbredir_msg msg = { .type = USBREDIR_BULK_PACKET,
				    .id = g->id++,
				    .transfer = { .endpoint = ep,
						  .length = len } };

	send_msg(g, &msg, zeros, ep & 0x80 ? 0 : len);
}

static void take_answer(struct guest *g, size_t room)
{
	while (take(g, room).type != USBREDIR_BULK_PACKET)
		;
	if (g->data[1])
		errx(1, "bulk: status %u", g->data[1]);
}

static void bulk(struct guest *g, uint8_t ep, uint32_t block, uint64_t count,
		 uint64_t depth)
{
	double start = now(), t;

	for (uint64_t i = 0; i < depth; i++)
		ask(g, ep, block);
	for (uint64_t i = 0; i < count; i++) {
		take_answer(g, block + HEAD);
		if (i + depth < count)
			ask(g, ep, block);
	}
	t = now() - start;
	printf("%.2f\n", (double)block * (double)count / t / 1e6);
}

static int by_size(const void *a, const void *b)
{
	double d = *(const double *)a - *(const double *)b;

	return d < 0 ? -1 : d > 0;
}

static void interrupt(struct guest *g, uint8_t ep, size_t count)
{
	struct usbredir_msg start = {
		.type = USBREDIR_START_INTERRUPT_RECEIVING,
		.interrupt_receiving.endpoint = ep
	};
	double *us = calloc(count, sizeof(*us));

	if (!us)
		err(1, "memory");
	send_msg(g, &start, NULL, 0);
	for (size_t i = 0; i < count;) {
		uint64_t sent;

		if (take(g, 4096).type != USBREDIR_INTERRUPT_PACKET)
			continue;
		/* Behind four bytes of head, two numbers of 32 bits. */
		memcpy(&sent, g->data + 4 + 8, sizeof(sent));
		us[i++] = now() * 1e6 - (double)sent / 1e3;
	}
	qsort(us, count, sizeof(*us), by_size);
	printf("%.0f %.0f\n", us[count / 2], us[count * 99 / 100]);
	free(us);
}

int main(int argc, char **argv)
{
	struct guest g = { 0 };
	uint32_t block = 4096;
	uint8_t ep;

	if (argc < 5 || argc != (strcmp(argv[2], "bulk") ? 5 : 7))
		errx(2,
		     "usage: usbload WHERE bulk EP BLOCK COUNT DEPTH | interrupt EP COUNT");
	ep = (uint8_t)strtoul(argv[3], NULL, 16);
	if (argc == 7)
		block = (uint32_t)strtoul(argv[4], NULL, 10);
	g.data = calloc(1, block + 4096);
	zeros = calloc(1, block);
	if (!g.data || !zeros)
		err(1, "memory");
	attach(&g, argv[1]);
	if (argc == 7)
		bulk(&g, ep, block, strtoull(argv[5], NULL, 10),
		     strtoull(argv[6], NULL, 10));
	else
		interrupt(&g, ep, strtoul(argv[4], NULL, 10));
	free(g.data);
	free(zeros);
	close(g.fd);
	return 0;
}
