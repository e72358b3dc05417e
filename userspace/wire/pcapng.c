// SPDX-License-Identifier: GPL-2.0-or-later
#include "wire/pcapng.h"

#include "base/span.h"

enum {
	SECTION_HEADER = 0x0a0d0d0a, /* 4.1 */
	BYTE_ORDER_MAGIC = 0x1a2b3c4d,
	INTERFACE_DESCRIPTION = 1, /* 4.2 */
	IF_TSRESOL = 9,
	ENHANCED_PACKET = 6, /* 4.3 */
};

#define SECTION_SIZE 28u
#define INTERFACE_SIZE 32u

void pcapng_start(uint8_t *out, uint16_t link_type, uint32_t max)
{
	struct span_writer w = span_writer_of(out, PCAPNG_START);

	span_put_le(&w, SECTION_HEADER, 4);
	span_put_le(&w, SECTION_SIZE, 4);
	span_put_le(&w, BYTE_ORDER_MAGIC, 4);
	span_put_le(&w, 1, 2); /* version 1.0 */
	span_put_le(&w, 0, 2);
	span_put_le(&w, UINT64_MAX, 8); /* a length that nobody knows */
	span_put_le(&w, SECTION_SIZE, 4);

	span_put_le(&w, INTERFACE_DESCRIPTION, 4);
	span_put_le(&w, INTERFACE_SIZE, 4);
	span_put_le(&w, link_type, 2);
	span_put_le(&w, 0, 2);
	span_put_le(&w, max, 4);
	span_put_le(&w, IF_TSRESOL, 2);
	span_put_le(&w, 1, 2);
	span_put_le(&w, 9, 4); /* 10^-9 s, and padding */
	span_put_le(&w, 0, 4); /* no more options */
	span_put_le(&w, INTERFACE_SIZE, 4);
}

static uint32_t padding(uint32_t len)
{
	return -len & 3;
}

static uint32_t packet_size(uint32_t len)
{
	return PCAPNG_PACKET + len + padding(len) + 4;
}

void pcapng_packet(uint8_t *out, uint64_t ns, uint32_t len)
{
	struct span_writer w = span_writer_of(out, PCAPNG_PACKET);

	span_put_le(&w, ENHANCED_PACKET, 4);
	span_put_le(&w, packet_size(len), 4);
	span_put_le(&w, 0, 4); /* the interface */
	/* The high half comes first, whatever the byte order. */
	span_put_le(&w, ns >> 32, 4);
	span_put_le(&w, ns & UINT32_MAX, 4);
	span_put_le(&w, len, 4); /* that are here */
	span_put_le(&w, len, 4); /* that it had */
}

size_t pcapng_end(uint8_t *out, uint32_t len)
{
	struct span_writer w = span_writer_of(out, PCAPNG_END);

	span_put_zero(&w, padding(len));
	span_put_le(&w, packet_size(len), 4);
	return w.len;
}
