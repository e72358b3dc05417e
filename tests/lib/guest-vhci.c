// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-vhci: USB devices in user space for the guest that has the devices,
 * plugged into its kernel's vhci_hcd, for what no gadget and no emulated device
 * does: isochronous data, requests without an answer, stalls on demand, and
 * descriptors that lie.
 *
 *	gcc -O2 -static -o guest-vhci guest-vhci.c
 *	guest-vhci streams [--unplug-after N] &
 *
 * It prints a line when it is plugged in.  Its end, by any signal, is an unplug;
 * so is the Nth URB with --unplug-after.
 *
 * The profile streams is 1209:0001, high speed:
 *
 *	81 interrupt IN		a report every 4 ms, see struct report
 *	01 interrupt OUT	reports are counted
 *	82 bulk IN		as much as is asked, byte i is i % 512 % 63
 *	83 bulk IN		never an answer
 *	04, 84 bulk		what was sent comes back, transfer by transfer
 *	interface 1 alt 1
 *	85 isochronous IN	a packet every ms, see struct packet
 *	06 isochronous OUT	the same, checked
 *
 * and has vendor requests, see enum request.  The profile hostile is 1209:0002;
 * everything about it is a function of SEED, but for these two numbers, without
 * which nobody would ask for it.
 */
#define _GNU_SOURCE
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>
#include <linux/usb/ch9.h>

#define VHCI "/sys/devices/platform/vhci_hcd.0/"
#define VENDOR 0x1209
#define PACKET 192 /* isochronous */
#define BULK_PACKET 512
#define MS UINT64_C(1000000)
#define REPORT_NS (4 * MS)
#define LATE_NS (100 * MS)
#define MAX_PACKETS 1024 /* the kernel's limit for one URB */
#define MAX_LENGTH (32 << 20)

static const char usage_text[] =
	"usage: guest-vhci streams [--unplug-after N]\n"
	"       guest-vhci hostile SEED [--unplug-after N]\n";

enum request {
	REQUEST_ECHO = 1, /* OUT keeps the data, IN gives it back */
	REQUEST_SILENT,	  /* never an answer */
	REQUEST_STALL,	  /* interrupt IN is halted from now on */
	REQUEST_COUNTERS, /* IN: struct counters */
	REQUEST_ZERO,	  /* the counters */
};

/* All little endian. */
struct report {
	uint32_t sequence;
	uint32_t unused;
	uint64_t sent_ns; /* the guest's CLOCK_MONOTONIC */
};

struct packet {
	uint32_t counter;
};

struct counters {
	uint32_t interrupt_out;
	uint32_t interrupt_gaps;
	uint32_t iso_out;
	uint32_t iso_gaps;
	uint32_t iso_empty;
	uint32_t halts_cleared;
	uint32_t alt_settings;
	uint32_t unlinked;
	uint32_t iso_backwards;
};

/* ---- the kernel's protocol: everything is big endian -------------------- */

enum command { CMD_SUBMIT = 1, CMD_UNLINK, RET_SUBMIT, RET_UNLINK };

struct header {
	uint32_t command;
	uint32_t seqnum;
	uint32_t devid;
	uint32_t in;
	uint32_t ep;
	union {
		struct {
			uint32_t flags;
			uint32_t length;
			uint32_t start_frame;
			uint32_t packets;
			uint32_t interval;
			struct usb_ctrlrequest setup;
		} submit;
		struct {
			uint32_t status;
			uint32_t length;
			uint32_t start_frame;
			uint32_t packets;
			uint32_t errors;
		} ret;
		uint32_t unlink;
		uint8_t pad[28];
	};
};

struct iso_desc {
	uint32_t offset;
	uint32_t length;
	uint32_t actual;
	uint32_t status;
};

#define URB_ZERO_PACKET 0x40

struct urb {
	struct urb *next;
	uint32_t seqnum;
	uint32_t flags;
	uint32_t length;
	uint32_t packets; /* not isochronous: 0 */
	uint8_t endpoint; /* with its direction */
	struct usb_ctrlrequest setup;
	struct iso_desc *iso;
	uint64_t due;  /* isochronous: when its last packet is over */
	uint8_t *data; /* of OUT, and room for IN */
};

static int sock;
static bool hostile;
static uint64_t unplug_after;
static struct urb *queues[32];
static uint64_t random_state;

static _Noreturn void fail(const char *what)
{
	printf("ERROR %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(3);
}

static _Noreturn void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static uint32_t chance(uint32_t n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (uint32_t)(random_state >> 32) % n;
}

static void *memory(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		fail("memory");
	return p;
}

/* The kernel has let go of the device when either ends early. */
static void receive(void *buf, size_t len)
{
	char *p = buf;

	while (len) {
		ssize_t n = read(sock, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			puts("DETACHED");
			exit(0);
		}
		p += n;
		len -= (size_t)n;
	}
}

static void transmit(const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = send(sock, p, len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			puts("DETACHED");
			exit(0);
		}
		p += n;
		len -= (size_t)n;
	}
}

static unsigned int slot(uint8_t endpoint)
{
	return (endpoint & 15) | (endpoint & USB_DIR_IN ? 16 : 0);
}

static void put(struct urb *urb)
{
	struct urb **at = &queues[slot(urb->endpoint)];

	while (*at)
		at = &(*at)->next;
	urb->next = NULL;
	*at = urb;
}

static struct urb *take(uint8_t endpoint)
{
	struct urb *urb = queues[slot(endpoint)];

	if (urb)
		queues[slot(endpoint)] = urb->next;
	return urb;
}

static void drop(struct urb *urb)
{
	free(urb->data);
	free(urb->iso);
	free(urb);
}

/* Answer, and forget the URB: it must be in no queue. */
static void answer(struct urb *urb, int status, uint32_t actual)
{
	bool in = urb->endpoint & USB_DIR_IN;
	struct header h = {
		.command = htobe32(RET_SUBMIT),
		.seqnum = htobe32(urb->seqnum),
		.ret = {
			.status = htobe32((uint32_t)status),
			.length = htobe32(actual),
			.packets = htobe32(urb->packets),
		},
	};

	transmit(&h, sizeof(h));
	if (in && actual)
		transmit(urb->data, actual);
	if (urb->packets)
		transmit(urb->iso, urb->packets * sizeof(*urb->iso));
	drop(urb);
}

/* ---- the profile streams ------------------------------------------------ */

static struct counters counters;
static bool halted;
static uint8_t configuration, alt_setting;
static uint8_t echoed[4096];
static uint32_t echoed_length;
static uint32_t report_sequence, iso_counter;
static uint32_t next_interrupt_out, next_iso_out;
static uint64_t next_report;
static uint64_t iso_end[2]; /* of what is queued, OUT and IN */

/* Transfers that came by 04 and wait to go by 84. */
static struct transfer {
	struct transfer *next;
	uint32_t length, sent;
	bool complete;
	uint8_t *data;
} * transfers;

#define ENDPOINT(address, type, size, interval)                                \
	7, USB_DT_ENDPOINT, address, type, (size)&0xff, (size) >> 8, interval

static const uint8_t device_descriptor[] = {
	18,	     USB_DT_DEVICE, 0x00, 0x02, 0xff, 0, 0, 64, VENDOR & 0xff,
	VENDOR >> 8, 0x01,	    0x00, 0x00, 0x01, 1, 2, 3,	1
};

static const uint8_t config_descriptor[] = {
	9,
	USB_DT_CONFIG,
	9 + 9 + 6 * 7 + 9 + 9 + 2 * 7,
	0,
	2,
	1,
	0,
	0x80,
	50,
	9,
	USB_DT_INTERFACE,
	0,
	0,
	6,
	0xff,
	0,
	0,
	0,
	ENDPOINT(0x81, USB_ENDPOINT_XFER_INT, 64, 6),
	ENDPOINT(0x01, USB_ENDPOINT_XFER_INT, 64, 6),
	ENDPOINT(0x82, USB_ENDPOINT_XFER_BULK, BULK_PACKET, 0),
	ENDPOINT(0x83, USB_ENDPOINT_XFER_BULK, BULK_PACKET, 0),
	ENDPOINT(0x04, USB_ENDPOINT_XFER_BULK, BULK_PACKET, 0),
	ENDPOINT(0x84, USB_ENDPOINT_XFER_BULK, BULK_PACKET, 0),
	9,
	USB_DT_INTERFACE,
	1,
	0,
	0,
	0xff,
	0,
	0,
	0,
	9,
	USB_DT_INTERFACE,
	1,
	1,
	2,
	0xff,
	0,
	0,
	0,
	ENDPOINT(0x85, USB_ENDPOINT_XFER_ISOC | USB_ENDPOINT_SYNC_ASYNC, PACKET,
		 4),
	ENDPOINT(0x06, USB_ENDPOINT_XFER_ISOC | USB_ENDPOINT_SYNC_ASYNC, PACKET,
		 4),
};

static const char *const strings[] = { "", "ryll-bridge tests", "Streams",
				       "S1" };

static void give(struct urb *urb, const void *data, size_t len)
{
	if (len > urb->length)
		len = urb->length;
	if (len)
		memcpy(urb->data, data, len);
	answer(urb, 0, (uint32_t)len);
}

static void give_string(struct urb *urb, unsigned int index)
{
	uint8_t d[128] = { 4, USB_DT_STRING, 0x09, 0x04 };
	const char *text;

	if (index >= sizeof(strings) / sizeof(*strings)) {
		answer(urb, -EPIPE, 0);
		return;
	}
	text = strings[index];
	if (index) {
		d[0] = (uint8_t)(2 + 2 * strlen(text));
		for (size_t i = 0; text[i]; i++) {
			d[2 + 2 * i] = (uint8_t)text[i];
			d[3 + 2 * i] = 0;
		}
	}
	give(urb, d, d[0]);
}

static void get_descriptor(struct urb *urb, unsigned int value)
{
	switch (value >> 8) {
	case USB_DT_DEVICE:
		give(urb, device_descriptor, sizeof(device_descriptor));
		return;
	case USB_DT_CONFIG:
		give(urb, config_descriptor, sizeof(config_descriptor));
		return;
	case USB_DT_STRING:
		give_string(urb, value & 0xff);
		return;
	}
	answer(urb, -EPIPE, 0);
}

static void standard_request(struct urb *urb)
{
	unsigned int value = le16toh(urb->setup.wValue);
	unsigned int index = le16toh(urb->setup.wIndex);
	uint8_t status[2] = { 0 };

	switch (urb->setup.bRequest) {
	case USB_REQ_GET_DESCRIPTOR:
		get_descriptor(urb, value);
		return;
	case USB_REQ_GET_STATUS:
		status[0] = index == 0x81 && halted;
		give(urb, status, 2);
		return;
	case USB_REQ_GET_CONFIGURATION:
		give(urb, &configuration, 1);
		return;
	case USB_REQ_GET_INTERFACE:
		status[0] = index == 1 ? alt_setting : 0;
		give(urb, status, 1);
		return;
	case USB_REQ_SET_CONFIGURATION:
		if (value > 1)
			break;
		configuration = (uint8_t)value;
		alt_setting = 0;
		halted = false;
		answer(urb, 0, 0);
		return;
	case USB_REQ_SET_INTERFACE:
		if (value > (index == 1 ? 1 : 0))
			break;
		if (index == 1) {
			alt_setting = (uint8_t)value;
			counters.alt_settings++;
			iso_counter = 0;
			next_iso_out = 0;
		}
		answer(urb, 0, 0);
		return;
	case USB_REQ_CLEAR_FEATURE:
		if (index == 0x81) {
			counters.halts_cleared++;
			halted = false;
		}
		answer(urb, 0, 0);
		return;
	case USB_REQ_SET_FEATURE:
		answer(urb, 0, 0);
		return;
	}
	answer(urb, -EPIPE, 0);
}

static void vendor_request(struct urb *urb)
{
	bool in = urb->endpoint & USB_DIR_IN;

	switch (urb->setup.bRequest) {
	case REQUEST_ECHO:
		if (in) {
			give(urb, echoed, echoed_length);
			return;
		}
		if (urb->length > sizeof(echoed))
			break;
		memcpy(echoed, urb->data, urb->length);
		echoed_length = urb->length;
		answer(urb, 0, urb->length);
		return;
	case REQUEST_SILENT:
		put(urb);
		return;
	case REQUEST_STALL:
		halted = true;
		answer(urb, 0, 0);
		return;
	case REQUEST_COUNTERS:
		give(urb, &counters, sizeof(counters));
		return;
	case REQUEST_ZERO:
		counters = (struct counters){ 0 };
		next_interrupt_out = 0;
		answer(urb, 0, 0);
		return;
	}
	answer(urb, -EPIPE, 0);
}

/* A transfer ends with a packet that is not full, and only then is it sent. */
static void loop_out(struct urb *urb)
{
	struct transfer **at = &transfers, *t;

	while (*at && (*at)->complete)
		at = &(*at)->next;
	if (!*at)
		*at = memory(sizeof(**at));
	t = *at;
	if (t->length + urb->length > MAX_LENGTH) {
		answer(urb, -EPIPE, 0);
		return;
	}
	t->data = realloc(t->data, t->length + urb->length + 1);
	if (!t->data)
		fail("memory");
	memcpy(t->data + t->length, urb->data, urb->length);
	t->length += urb->length;
	t->complete = !urb->length || urb->length % BULK_PACKET ||
		      urb->flags & URB_ZERO_PACKET;
	answer(urb, 0, urb->length);
}

static void loop_in(void)
{
	struct transfer *t;

	while ((t = transfers) && t->complete && queues[slot(0x84)]) {
		struct urb *urb = take(0x84);
		uint32_t n = t->length - t->sent;

		if (n > urb->length)
			n = urb->length;
		if (n)
			memcpy(urb->data, t->data + t->sent, n);
		t->sent += n;
		/* Unless a short packet has ended it, an empty one must. */
		if (t->sent == t->length &&
		    (n < urb->length || n % BULK_PACKET)) {
			transfers = t->next;
			free(t->data);
			free(t);
		}
		answer(urb, 0, n);
	}
}

static void interrupt_out(struct urb *urb)
{
	uint32_t sequence = 0;

	if (urb->length >= 4) {
		memcpy(&sequence, urb->data, 4);
		sequence = le32toh(sequence);
	}
	if (sequence != next_interrupt_out)
		counters.interrupt_gaps++;
	next_interrupt_out = sequence + 1;
	counters.interrupt_out++;
	answer(urb, 0, urb->length);
}

static void queue_iso(struct urb *urb)
{
	uint64_t *end = &iso_end[!!(urb->endpoint & USB_DIR_IN)];
	uint64_t t = now();

	/* One packet a millisecond, also when URBs come late. */
	if (*end + LATE_NS < t)
		*end = t;
	*end += urb->packets * MS;
	urb->due = *end;
	put(urb);
}

static void answer_iso(struct urb *urb)
{
	bool in = urb->endpoint & USB_DIR_IN;
	uint32_t total = 0;

	for (uint32_t i = 0; i < urb->packets; i++) {
		struct iso_desc *d = &urb->iso[i];
		uint32_t offset = be32toh(d->offset);
		uint32_t length = be32toh(d->length);
		struct packet p = { 0 };

		d->actual = 0;
		d->status = 0;
		if (offset > urb->length || length > urb->length - offset) {
			d->status = htobe32((uint32_t)-EINVAL);
			continue;
		}
		if (in) {
			/* The kernel wants the packets without gaps. */
			if (length > PACKET)
				length = PACKET;
			if (length < sizeof(p) || total + length > urb->length)
				continue;
			p.counter = htole32(iso_counter++);
			memset(urb->data + total, 0x5a, length);
			memcpy(urb->data + total, &p, sizeof(p));
		} else if (length < sizeof(p)) {
			counters.iso_empty++;
		} else {
			memcpy(&p, urb->data + offset, sizeof(p));
			p.counter = le32toh(p.counter);
			if (p.counter != next_iso_out)
				counters.iso_gaps++;
			if (p.counter < next_iso_out)
				counters.iso_backwards++;
			next_iso_out = p.counter + 1;
			counters.iso_out++;
		}
		d->actual = htobe32(length);
		total += length;
	}
	answer(urb, 0, total);
}

static void streams_urb(struct urb *urb)
{
	switch (urb->endpoint) {
	case 0x81:
	case 0x83:
		put(urb);
		return;
	case 0x01:
		interrupt_out(urb);
		return;
	case 0x82:
		for (uint32_t i = 0; i < urb->length; i++)
			urb->data[i] = i % BULK_PACKET % 63;
		answer(urb, 0, urb->length);
		return;
	case 0x04:
		loop_out(urb);
		loop_in();
		return;
	case 0x84:
		put(urb);
		loop_in();
		return;
	case 0x85:
	case 0x06:
		queue_iso(urb);
		return;
	}
	answer(urb, -EPIPE, 0);
}

/* What time brings.  Returns when to look again. */
static uint64_t tick(void)
{
	static const uint8_t iso[2] = { 0x06, 0x85 };
	uint64_t t = now();
	uint64_t next = t + 1000 * MS;
	struct urb *urb;

	if (halted)
		while ((urb = take(0x81)))
			answer(urb, -EPIPE, 0);
	if (next_report + LATE_NS < t)
		next_report = t;
	for (; next_report <= t; next_report += REPORT_NS) {
		struct report r = {
			.sequence = htole32(report_sequence),
			.sent_ns = htole64(t),
		};

		/* A device keeps its report until somebody asks. */
		urb = take(0x81);
		if (!urb)
			continue;
		report_sequence++;
		give(urb, &r, sizeof(r));
	}
	if (next_report < next)
		next = next_report;
	for (int i = 0; i < 2; i++) {
		while ((urb = queues[slot(iso[i])]) && urb->due <= t)
			answer_iso(take(iso[i]));
		if (urb && urb->due < next)
			next = urb->due;
	}
	return next;
}

/* ---- the profile hostile ------------------------------------------------ */

static uint8_t lie_device[sizeof(device_descriptor)];
static uint8_t lie_config[4096];
static uint32_t lie_length;

/* A place of the descriptor set where one of this type begins. */
static uint32_t find_descriptor(uint8_t type)
{
	uint32_t found = 0, at = 0, n = 1;

	while (at + 2 <= lie_length && lie_config[at]) {
		if (lie_config[at + 1] == type && !chance(n++))
			found = at;
		at += lie_config[at];
	}
	return found;
}

static void insert_descriptor(uint32_t at, const uint8_t *d, uint32_t len)
{
	if (lie_length + len > sizeof(lie_config))
		return;
	memmove(lie_config + at + len, lie_config + at, lie_length - at);
	memcpy(lie_config + at, d, len);
	lie_length += len;
}

static const char *lie(void)
{
	static const uint8_t sizes[] = { 0, 1, 2, 3, 6, 8, 10, 255 };
	uint32_t interface = find_descriptor(USB_DT_INTERFACE);
	uint32_t endpoint = find_descriptor(USB_DT_ENDPOINT);
	uint8_t copy[255];
	uint32_t n;

	switch (chance(14)) {
	case 0:
		lie_config[2] = (uint8_t)chance(256);
		lie_config[3] = (uint8_t)chance(8);
		return "total";
	case 1:
		lie_config[4] = chance(2) ? 255 : (uint8_t)chance(5);
		return "interfaces";
	case 2:
		lie_device[17] = (uint8_t)(1 + chance(8));
		return "configurations";
	case 3:
		lie_config[endpoint] = sizes[chance(sizeof(sizes))];
		return "endpoint-length";
	case 4:
		lie_config[interface] = sizes[chance(sizeof(sizes))];
		return "interface-length";
	case 5:
		memcpy(copy, lie_config + endpoint, 7);
		insert_descriptor(endpoint, copy, 7);
		return "endpoint-twice";
	case 6:
		lie_config[interface + 4] = (uint8_t)chance(256);
		return "endpoints";
	case 7:
		lie_config[interface + 2] = (uint8_t)chance(256);
		return "interface-number";
	case 8:
		lie_config[interface + 3] = (uint8_t)chance(256);
		return "alt-setting";
	case 9:
		lie_config[endpoint + 4] = (uint8_t)chance(256);
		lie_config[endpoint + 5] = (uint8_t)chance(256);
		return "packet-size";
	case 10:
		lie_config[endpoint + 2] = (uint8_t)chance(256);
		lie_config[endpoint + 3] = (uint8_t)chance(256);
		return "endpoint-type";
	case 11:
		/* Beyond the configuration, so that something is left. */
		lie_length = 9 + chance(lie_length - 8);
		return "truncated";
	case 12:
		n = 2 + chance(250);
		copy[0] = (uint8_t)n;
		for (uint32_t i = 1; i < n; i++)
			copy[i] = (uint8_t)chance(256);
		insert_descriptor(endpoint, copy, n);
		return "unknown";
	default:
		for (n = 1 + chance(8); n; n--)
			lie_config[4 + chance(lie_length - 4)] =
				(uint8_t)chance(256);
		return "bytes";
	}
}

static void prepare_lies(uint64_t seed)
{
	random_state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15);
	memcpy(lie_device, device_descriptor, sizeof(lie_device));
	lie_device[10] = 0x02;
	memcpy(lie_config, config_descriptor, sizeof(config_descriptor));
	lie_length = sizeof(config_descriptor);
	printf("HOSTILE seed=%" PRIu64 " lies:", seed);
	for (uint32_t n = 1 + chance(3); n; n--) {
		printf(" %s", lie());
		/* Some of them are consistent where that gets them further. */
		if (chance(2)) {
			lie_config[2] = (uint8_t)lie_length;
			lie_config[3] = (uint8_t)(lie_length >> 8);
		}
	}
	putchar('\n');
}

static void hostile_answer(struct urb *urb)
{
	static const int errors[] = { EPIPE, EPROTO, EILSEQ, EOVERFLOW, ETIME };
	uint32_t length = urb->length;

	for (uint32_t i = 0; i < urb->packets; i++) {
		urb->iso[i].actual = 0;
		urb->iso[i].status = htobe32(chance(2) ? 0 : (uint32_t)-EXDEV);
	}
	switch (chance(8)) {
	case 0:
		put(urb); /* never */
		return;
	case 1:
	case 2:
		answer(urb, -errors[chance(5)], 0);
		return;
	case 3:
	case 4:
		length = chance(length + 1);
		break;
	}
	for (uint32_t i = 0; i < length && urb->endpoint & USB_DIR_IN; i++)
		urb->data[i] = (uint8_t)chance(256);
	answer(urb, 0, urb->packets ? 0 : length);
}

static void hostile_control(struct urb *urb)
{
	unsigned int value = le16toh(urb->setup.wValue);

	if ((urb->setup.bRequestType & USB_TYPE_MASK) == USB_TYPE_STANDARD) {
		switch (urb->setup.bRequest) {
		case USB_REQ_GET_DESCRIPTOR:
			if (value >> 8 == USB_DT_DEVICE) {
				give(urb, lie_device, sizeof(lie_device));
				return;
			}
			if (value >> 8 == USB_DT_CONFIG) {
				give(urb, lie_config, lie_length);
				return;
			}
			break;
		case USB_REQ_SET_CONFIGURATION:
			answer(urb, 0, 0);
			return;
		}
	}
	/* Each silence costs the kernel five seconds. */
	if (chance(16)) {
		if (chance(2)) {
			answer(urb, -EPIPE, 0);
			return;
		}
		for (uint32_t i = 0; i < urb->length; i++)
			urb->data[i] = (uint8_t)chance(256);
		answer(urb, 0, chance(urb->length + 1));
		return;
	}
	hostile_answer(urb);
}

/* ---- the connection to the kernel --------------------------------------- */

static void submitted(const struct header *h)
{
	static uint64_t seen;
	struct urb *urb = memory(sizeof(*urb));
	bool in = be32toh(h->in) == 1;
	uint32_t ep = be32toh(h->ep);

	urb->seqnum = be32toh(h->seqnum);
	urb->flags = be32toh(h->submit.flags);
	urb->length = be32toh(h->submit.length);
	urb->packets = be32toh(h->submit.packets);
	urb->setup = h->submit.setup;
	urb->endpoint = (uint8_t)((ep & 15) | (in ? USB_DIR_IN : 0));
	if (urb->packets == UINT32_MAX)
		urb->packets = 0;
	if (urb->length > MAX_LENGTH || urb->packets > MAX_PACKETS) {
		errno = EMSGSIZE;
		fail("URB");
	}
	urb->data = memory(urb->length);
	if (!in)
		receive(urb->data, urb->length);
	if (urb->packets) {
		urb->iso = memory(urb->packets * sizeof(*urb->iso));
		receive(urb->iso, urb->packets * sizeof(*urb->iso));
	}
	if (++seen == unplug_after) {
		puts("UNPLUGGED");
		exit(0);
	}

	if (hostile && !ep)
		hostile_control(urb);
	else if (hostile)
		hostile_answer(urb);
	else if (ep)
		streams_urb(urb);
	else if ((urb->setup.bRequestType & USB_TYPE_MASK) == USB_TYPE_VENDOR)
		vendor_request(urb);
	else
		standard_request(urb);
}

static void unlinked(const struct header *h)
{
	uint32_t seqnum = be32toh(h->unlink);
	struct header r = {
		.command = htobe32(RET_UNLINK),
		.seqnum = h->seqnum,
	};

	for (size_t i = 0; i < sizeof(queues) / sizeof(*queues); i++) {
		struct urb **at = &queues[i], *urb;

		while (*at && (*at)->seqnum != seqnum)
			at = &(*at)->next;
		if (!*at)
			continue;
		urb = *at;
		*at = urb->next;
		drop(urb);
		counters.unlinked++;
		/* An answer to the URB itself does not follow then. */
		r.ret.status = htobe32((uint32_t)-ECONNRESET);
	}
	transmit(&r, sizeof(r));
}

/* A free port of the high speed hub */
static int free_port(void)
{
	FILE *f = fopen(VHCI "status", "re");
	char hub[8], line[256];
	int port, state, found = -1;

	if (!f)
		fail(VHCI "status");
	while (found < 0 && fgets(line, sizeof(line), f))
		if (sscanf(line, "%7s %d %d", hub, &port, &state) == 3 &&
		    !strcmp(hub, "hs") && state == 4)
			found = port;
	fclose(f);
	if (found < 0) {
		errno = EBUSY;
		fail("no free port");
	}
	return found;
}

static void attach(void)
{
	int pair[2];
	int fd, port;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		fail("socketpair");
	sock = pair[0];
	port = free_port();
	fd = open(VHCI "attach", O_WRONLY | O_CLOEXEC);
	/* Device 1:1; the kernel only gives it back. */
	if (fd < 0 || dprintf(fd, "%d %d %d %d\n", port, pair[1], 1 << 16 | 1,
			      USB_SPEED_HIGH) < 0)
		fail(VHCI "attach");
	close(fd);
	close(pair[1]); /* the kernel has its own */
	printf("ATTACHED port=%d\n", port);
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	int args = argc;

	/* Lines must be out when it is ended by a signal. */
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (args >= 4 && !strcmp(argv[args - 2], "--unplug-after")) {
		unplug_after = strtoull(argv[args - 1], NULL, 0);
		args -= 2;
	}
	if (!strcmp(name, "hostile") && args == 3) {
		hostile = true;
		prepare_lies(strtoull(argv[2], NULL, 0));
	} else if (strcmp(name, "streams") || args != 2) {
		usage();
	}
	attach();
	for (;;) {
		struct pollfd p = { .fd = sock, .events = POLLIN };
		uint64_t next = hostile ? UINT64_MAX : tick();
		uint64_t t = now();
		struct timespec wait = { .tv_sec = 1 };
		struct header h;

		if (next <= t)
			next = t;
		if (next - t < 1000 * MS)
			wait = (struct timespec){ .tv_nsec = (long)(next - t) };
		if (ppoll(&p, 1, &wait, NULL) <= 0)
			continue;
		receive(&h, sizeof(h));
		if (be32toh(h.command) == CMD_SUBMIT)
			submitted(&h);
		else if (be32toh(h.command) == CMD_UNLINK)
			unlinked(&h);
	}
}
