/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Encoder of capture files that Wireshark reads: pcapng, draft-ietf-opsawg-
 * pcapng. One section, one interface, time stamps in nanoseconds.
 */
#ifndef WIRE_PCAPNG_H
#define WIRE_PCAPNG_H

#include <stddef.h>
#include <stdint.h>

/* Link types of the registry at tcpdump.org */
#define PCAPNG_LINK_RAW 101	  /* IPv4 or IPv6 */
#define PCAPNG_LINK_USB_LINUX 220 /* a usbmon header of 64 bytes each */

#define PCAPNG_START 60
#define PCAPNG_PACKET 28
#define PCAPNG_END 7 /* at most */

/*
 * A file begins with a section header and an interface description; a packet
 * of it has at most max bytes (0: any number). PCAPNG_START bytes into out.
 */
void pcapng_start(uint8_t *out, uint16_t link_type, uint32_t max);

/* What comes before a packet of len bytes; ns: since 1970. PCAPNG_PACKET. */
void pcapng_packet(uint8_t *out, uint64_t ns, uint32_t len);

/* What comes behind it. The number of bytes, at most PCAPNG_END. */
size_t pcapng_end(uint8_t *out, uint32_t len);

#endif
