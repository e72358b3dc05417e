// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * guest-usb: transfers of every type with a device in a guest, straight through
 * usbdevfs, so that between the test and the kernel there is no library whose
 * own behaviour would be tested as well.
 *
 *	gcc -O2 -static -o guest-usb guest-usb.c
 *
 * Endpoints are in hexadecimal, with their direction.  Sizes take the suffixes k
 * and m; MB/s counts 10^6 bytes.  Exit status: 0 good, 1 data differs or the
 * device did not behave, 2 wrong usage, 3 a system call failed.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <linux/usb/ch9.h>
#include <linux/usbdevice_fs.h>

#define MAX_DEPTH 64
#define ISO_URBS 16
#define ISO_PACKETS 8
#define WAIT_MS 20000
#define MS UINT64_C(1000000)

static const char usage_text[] =
	"usage: guest-usb wait VID:PID [SECONDS]\n"
	"       guest-usb bulk-in|bulk-out VID:PID EP BLOCK TOTAL DEPTH [zero|mod63]\n"
	"       guest-usb loop VID:PID OUT-EP IN-EP SIZE COUNT\n"
	"       guest-usb interrupt-in|interrupt-out VID:PID EP COUNT\n"
	"       guest-usb iso-in|iso-out VID:PID EP INTERFACE/ALT SECONDS\n"
	"       guest-usb control VID:PID descriptor|echo|silent\n"
	"       guest-usb request VID:PID TYPE REQUEST VALUE INDEX LENGTH\n"
	"       guest-usb clear-halt|cancel VID:PID EP\n"
	"       guest-usb reset VID:PID\n"
	"       guest-usb set-config VID:PID N\n"
	"       guest-usb set-alt VID:PID INTERFACE ALT\n"
	"       guest-usb streams VID:PID EP,EP... N\n";

/* What guest-vhci sends, see there. */
struct report {
	uint32_t sequence;
	uint32_t unused;
	uint64_t sent_ns;
};

static int fd;
static uint8_t descriptors[65536];
static size_t descriptors_length;

static _Noreturn void usage(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

/* On stdout: what runs in a guest has one console, and tests read that. */
static _Noreturn void fail(const char *what)
{
	printf("ERROR %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(3);
}

static _Noreturn void bad(const char *what, int64_t at, int64_t want,
			  int64_t got)
{
	printf("BAD %s at=%" PRId64 " want=%" PRId64 " got=%" PRId64 "\n", what,
	       at, want, got);
	exit(1);
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t n;

	errno = 0;
	n = strtoull(text, &end, 0);
	if (end == text || errno)
		usage();
	if (*end == 'k' || *end == 'm')
		n <<= *end++ == 'k' ? 10 : 20;
	if (*end)
		usage();
	return n;
}

static uint8_t endpoint_of(const char *text)
{
	char *end;
	unsigned long n = strtoul(text, &end, 16);

	if (end == text || (*end && *end != ',') || n > 255)
		usage();
	return (uint8_t)n;
}

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

static uint64_t xorshift(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void *memory(size_t size)
{
	void *p = calloc(1, size ? size : 1);

	if (!p)
		fail("memory");
	return p;
}

/* ---- the device --------------------------------------------------------- */

static unsigned long attribute(const char *device, const char *name, int base)
{
	char path[512], text[64] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/sys/bus/usb/devices/%s/%s", device,
		 name);
	f = fopen(path, "re");
	if (!f)
		return ULONG_MAX;
	if (!fgets(text, sizeof(text), f))
		text[0] = 0;
	fclose(f);
	return strtoul(text, NULL, base);
}

static bool find_device(const char *ids)
{
	unsigned int vid, pid;
	struct dirent *e;
	DIR *dir;

	if (sscanf(ids, "%x:%x", &vid, &pid) != 2)
		usage();
	dir = opendir("/sys/bus/usb/devices");
	if (!dir)
		fail("/sys/bus/usb/devices");
	while ((e = readdir(dir))) {
		char path[64];
		ssize_t n;

		if (attribute(e->d_name, "idVendor", 16) != vid ||
		    attribute(e->d_name, "idProduct", 16) != pid)
			continue;
		/* Until it is configured, there is nothing to do with it. */
		if (!attribute(e->d_name, "bConfigurationValue", 10))
			continue;
		snprintf(path, sizeof(path), "/dev/bus/usb/%03lu/%03lu",
			 attribute(e->d_name, "busnum", 10),
			 attribute(e->d_name, "devnum", 10));
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd < 0)
			continue;
		n = read(fd, descriptors, sizeof(descriptors));
		if (n >= 18) {
			descriptors_length = (size_t)n;
			closedir(dir);
			return true;
		}
		close(fd);
	}
	closedir(dir);
	return false;
}

static void wait_device(const char *ids, uint64_t seconds)
{
	uint64_t end = now() + seconds * 1000 * MS;

	while (!find_device(ids)) {
		if (now() > end) {
			printf("ERROR no device %s\n", ids);
			exit(1);
		}
		usleep(20000);
	}
}

/* The descriptor of an endpoint; *interface is where it was. */
static const struct usb_endpoint_descriptor *find_endpoint(uint8_t address,
							   unsigned int *number)
{
	size_t at = 18;

	while (at + 2 <= descriptors_length && descriptors[at]) {
		const uint8_t *d = descriptors + at;

		if (d[1] == USB_DT_INTERFACE)
			*number = d[2];
		if (d[1] == USB_DT_ENDPOINT && d[2] == address)
			return (const void *)d;
		at += d[0];
	}
	printf("ERROR no endpoint %02x\n", address);
	exit(3);
}

static unsigned int packet_size(uint8_t address)
{
	unsigned int interface;

	return find_endpoint(address, &interface)->wMaxPacketSize & 0x7ff;
}

static void claim(unsigned int interface)
{
	struct usbdevfs_disconnect_claim c = { .interface = interface };

	if (ioctl(fd, USBDEVFS_DISCONNECT_CLAIM, &c))
		fail("claim");
}

static void claim_endpoint(uint8_t address)
{
	unsigned int interface = 0;

	find_endpoint(address, &interface);
	claim(interface);
}

static struct usbdevfs_urb *new_urb(unsigned char type, uint8_t endpoint,
				    size_t length, int packets)
{
	struct usbdevfs_urb *urb =
		memory(sizeof(*urb) +
		       (size_t)packets * sizeof(urb->iso_frame_desc[0]));

	urb->type = type;
	urb->endpoint = endpoint;
	urb->buffer = memory(length);
	urb->buffer_length = (int)length;
	urb->number_of_packets = packets;
	return urb;
}

static void submit(struct usbdevfs_urb *urb)
{
	urb->status = 0;
	urb->actual_length = 0;
	if (ioctl(fd, USBDEVFS_SUBMITURB, urb))
		fail("submit");
}

/* The next URB that is done, or NULL. */
static struct usbdevfs_urb *reap(int wait_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	struct usbdevfs_urb *urb;

	for (;;) {
		if (!ioctl(fd, USBDEVFS_REAPURBNDELAY, &urb))
			return urb;
		if (errno != EAGAIN)
			fail("reap");
		if (poll(&p, 1, wait_ms) == 0)
			return NULL;
	}
}

static struct usbdevfs_urb *reap_or_fail(const char *what)
{
	struct usbdevfs_urb *urb = reap(WAIT_MS);

	if (!urb) {
		errno = ETIMEDOUT;
		fail(what);
	}
	return urb;
}

static void status_or_fail(const struct usbdevfs_urb *urb, const char *what)
{
	if (urb->status) {
		errno = -urb->status;
		fail(what);
	}
}

/* Returns what was transferred, or a negative errno. */
static int control(uint8_t type, uint8_t request, uint16_t value,
		   uint16_t index, void *data, uint16_t length,
		   unsigned int timeout)
{
	struct usbdevfs_ctrltransfer c = {
		.bRequestType = type,
		.bRequest = request,
		.wValue = value,
		.wIndex = index,
		.wLength = length,
		.timeout = timeout,
		.data = data,
	};
	int n = ioctl(fd, USBDEVFS_CONTROL, &c);

	return n < 0 ? -errno : n;
}

/* ---- bulk --------------------------------------------------------------- */

/* The patterns of Linux's source/sink gadget */
static uint8_t pattern_byte(bool mod63, size_t at, unsigned int packet)
{
	return mod63 ? (uint8_t)(at % packet % 63) : 0;
}

static int bulk(bool in, int args, char **arg)
{
	uint8_t ep = endpoint_of(arg[0]);
	size_t block = number(arg[1]);
	uint64_t ops = number(arg[2]) / block;
	uint64_t depth = number(arg[3]);
	bool mod63 = args > 4 && !strcmp(arg[4], "mod63");
	unsigned int packet = packet_size(ep);
	uint64_t submitted = 0, done = 0, bytes = 0, start, i;
	uint8_t *want = memory(block);
	double seconds;

	if (!depth || depth > MAX_DEPTH)
		usage();
	claim_endpoint(ep);
	for (i = 0; i < block; i++)
		want[i] = pattern_byte(mod63, i, packet);
	start = now();
	for (; submitted < depth && submitted < ops; submitted++) {
		struct usbdevfs_urb *urb =
			new_urb(USBDEVFS_URB_TYPE_BULK, ep, block, 0);

		if (!in)
			memcpy(urb->buffer, want, block);
		submit(urb);
	}
	for (; done < ops; done++) {
		struct usbdevfs_urb *urb = reap_or_fail("bulk");
		const uint8_t *got = urb->buffer;
		size_t n = (size_t)urb->actual_length;

		status_or_fail(urb, "bulk");
		if (n != block)
			bad("length", (int64_t)done, (int64_t)block,
			    (int64_t)n);
		if (in && memcmp(got, want, n)) {
			for (i = 0; got[i] == want[i]; i++)
				;
			bad("data", (int64_t)(bytes + i), want[i], got[i]);
		}
		bytes += n;
		if (submitted++ < ops)
			submit(urb);
	}
	seconds = (double)(now() - start) / 1e9;
	printf("RESULT %s MB/s=%.1f us/op=%.1f\n", in ? "bulk-in" : "bulk-out",
	       (double)bytes / seconds / 1e6,
	       seconds * 1e6 * (double)depth / (double)ops);
	return 0;
}

/*
 * What goes out comes back, as transfers of the same length: one byte, a packet
 * less one, whole packets (which an empty one ends), nothing, and any.
 */
static int loop(char **arg)
{
	uint8_t ep_out = endpoint_of(arg[0]), ep_in = endpoint_of(arg[1]);
	size_t max = number(arg[2]);
	uint64_t count = number(arg[3]);
	unsigned int packet = packet_size(ep_out);
	size_t room = (max / packet + 2) * packet;
	struct usbdevfs_urb *out =
		new_urb(USBDEVFS_URB_TYPE_BULK, ep_out, room, 0);
	struct usbdevfs_urb *in =
		new_urb(USBDEVFS_URB_TYPE_BULK, ep_in, room, 0);
	uint64_t state = 88172645463325252u, i, bytes = 0;
	const size_t special[] = { 1, packet - 1, packet, packet + 1,
				   0, 2 * packet, 3 };

	claim_endpoint(ep_out);
	out->flags = USBDEVFS_URB_ZERO_PACKET;
	for (i = 0; i < count; i++) {
		size_t n = xorshift(&state) % (max + 1), j;
		const uint8_t *a = out->buffer, *b = in->buffer;

		if (i < sizeof(special) / sizeof(*special))
			n = special[i];
		if (n > max)
			n = max;
		for (j = 0; j < n; j++)
			((uint8_t *)out->buffer)[j] = (uint8_t)xorshift(&state);
		memset(in->buffer, 0xee, room);
		out->buffer_length = (int)n;
		submit(in);
		submit(out);
		for (j = 0; j < 2; j++) {
			struct usbdevfs_urb *urb = reap(WAIT_MS);

			if (!urb)
				bad("no answer for length", (int64_t)i,
				    (int64_t)n, -1);
			status_or_fail(urb, urb == in ? "loop in" : "loop out");
		}
		if ((size_t)out->actual_length != n)
			bad("sent", (int64_t)i, (int64_t)n, out->actual_length);
		if ((size_t)in->actual_length != n)
			bad("length", (int64_t)i, (int64_t)n,
			    in->actual_length);
		for (j = 0; j < n; j++)
			if (a[j] != b[j])
				bad("data", (int64_t)j, a[j], b[j]);
		bytes += n;
	}
	printf("RESULT loop transfers=%" PRIu64 " bytes=%" PRIu64 "\n", count,
	       bytes);
	return 0;
}

/* ---- interrupt ---------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/*
 * The clocks of the two guests have nothing in common, so of the way only the
 * part that varies is known: what is printed is beyond the fastest report.
 */
static void print_delays(uint64_t *delay, uint64_t n)
{
	qsort(delay, n, sizeof(*delay), by_value);
	printf(" p50=+%.0fus p99=+%.0fus",
	       (double)(delay[n / 2] - delay[0]) / 1e3,
	       (double)(delay[n * 99 / 100] - delay[0]) / 1e3);
}

static int interrupt_in(char **arg)
{
	uint8_t ep = endpoint_of(arg[0]);
	uint64_t count = number(arg[1]), got = 0, gaps = 0, stalls = 0;
	uint64_t *delay = memory((count + 1) * sizeof(*delay));
	int64_t first_gap = -1;
	uint32_t next = 0;
	unsigned int packet = packet_size(ep), halted = ep;
	struct usbdevfs_setinterface set = { 0 };
	uint64_t submitted = 0;
	bool timed = false;

	find_endpoint(ep, &set.interface);
	claim(set.interface);
	/* Nobody on the way has old reports then. */
	if (ioctl(fd, USBDEVFS_SETINTERFACE, &set))
		fail("set interface");
	for (; submitted < 4 && submitted < count; submitted++)
		submit(new_urb(USBDEVFS_URB_TYPE_INTERRUPT, ep, packet, 0));
	while (got < count) {
		struct usbdevfs_urb *urb = reap_or_fail("interrupt");
		struct report r = { 0 };
		size_t n = (size_t)urb->actual_length;

		if (urb->status == -EPIPE) {
			/* The others that are queued end the same way. */
			if (!stalls++ &&
			    ioctl(fd, USBDEVFS_CLEAR_HALT, &halted))
				fail("clear halt");
			if (stalls > 4)
				bad("stalls", (int64_t)got, 4, (int64_t)stalls);
			submit(urb);
			continue;
		}
		status_or_fail(urb, "interrupt");
		if (n < 4)
			bad("length", (int64_t)got, 4, (int64_t)n);
		memcpy(&r, urb->buffer, n < sizeof(r) ? n : sizeof(r));
		r.sequence = le32toh(r.sequence);
		timed = n >= sizeof(r);
		delay[got] = now() - le64toh(r.sent_ns);
		if (got && r.sequence != next) {
			if (!gaps++)
				first_gap = (int64_t)got;
		}
		next = r.sequence + 1;
		got++;
		/*
		 * None is left to cancel at the end: Linux makes such a request
		 * a no-op for the controller, and QEMU's loses a report by it.
		 */
		if (submitted++ < count)
			submit(urb);
	}
	printf("RESULT interrupt-in reports=%" PRIu64 " gaps=%" PRIu64
	       " first-gap=%" PRId64 " stalls=%" PRIu64,
	       got, gaps, first_gap, stalls);
	if (timed) {
		/* Relative to the least, so that none is negative. */
		uint64_t base = delay[0] - UINT64_C(1) * 1000 * 1000 * MS;

		for (uint64_t i = 0; i < got; i++)
			delay[i] -= base;
		print_delays(delay, got);
	}
	putchar('\n');
	return gaps != 0;
}

static int interrupt_out(char **arg)
{
	uint8_t ep = endpoint_of(arg[0]);
	uint64_t count = number(arg[1]), sent = 0, done = 0;

	claim_endpoint(ep);
	while (done < count) {
		struct usbdevfs_urb *urb;
		uint32_t sequence = htole32((uint32_t)sent);

		if (sent < 4)
			urb = new_urb(USBDEVFS_URB_TYPE_INTERRUPT, ep, 8, 0);
		else
			urb = reap_or_fail("interrupt");
		if (sent >= 4) {
			status_or_fail(urb, "interrupt");
			if (urb->actual_length != 8)
				bad("length", (int64_t)done, 8,
				    urb->actual_length);
			done++;
		}
		if (sent++ >= count + 4 || sent > count)
			continue;
		memcpy(urb->buffer, &sequence, 4);
		submit(urb);
	}
	printf("RESULT interrupt-out reports=%" PRIu64 "\n", done);
	return 0;
}

/* ---- isochronous -------------------------------------------------------- */

static int iso(bool in, char **arg)
{
	uint8_t ep = endpoint_of(arg[0]);
	struct usbdevfs_setinterface set;
	uint64_t seconds = number(arg[2]);
	unsigned int packet = packet_size(ep);
	uint64_t packets = 0, empty = 0, gaps = 0, lost = 0, errors = 0;
	uint64_t first_gap = 0, end, start;
	unsigned int flying = 0;
	uint32_t next = 0;
	bool first = true;

	if (sscanf(arg[1], "%u/%u", &set.interface, &set.altsetting) != 2)
		usage();
	claim(set.interface);
	if (ioctl(fd, USBDEVFS_SETINTERFACE, &set))
		fail("set interface");
	start = now();
	end = start + seconds * 1000 * MS;
	for (;;) {
		struct usbdevfs_urb *urb;

		if (flying < ISO_URBS && now() < end) {
			urb = new_urb(USBDEVFS_URB_TYPE_ISO, ep,
				      (size_t)packet * ISO_PACKETS,
				      ISO_PACKETS);
			urb->flags = USBDEVFS_URB_ISO_ASAP;
		} else if (!flying) {
			break;
		} else {
			uint8_t *p;

			urb = reap_or_fail("isochronous");
			flying--;
			if (urb->status)
				errors++;
			p = urb->buffer;
			for (int i = 0; i < ISO_PACKETS; i++, p += packet) {
				struct usbdevfs_iso_packet_desc *d =
					&urb->iso_frame_desc[i];
				uint32_t counter;

				errors += d->status != 0;
				packets += d->actual_length != 0;
				if (!in || d->status)
					continue;
				if (d->actual_length < 4) {
					empty++;
					continue;
				}
				memcpy(&counter, p, 4);
				counter = le32toh(counter);
				if (!first && counter != next) {
					if (!gaps++)
						first_gap = packets;
					lost += counter - next;
				}
				first = false;
				next = counter + 1;
			}
			if (now() >= end) {
				free(urb->buffer);
				free(urb);
				continue;
			}
		}
		for (int i = 0; i < ISO_PACKETS; i++) {
			uint32_t counter = htole32(next);

			urb->iso_frame_desc[i].length = packet;
			if (in)
				continue;
			memcpy((uint8_t *)urb->buffer + (size_t)i * packet,
			       &counter, 4);
			next++;
		}
		submit(urb);
		flying++;
	}
	printf("RESULT %s packets=%" PRIu64 " per-second=%.0f gaps=%" PRIu64
	       " first-gap=%" PRIu64 " lost=%" PRIu64 " empty=%" PRIu64
	       " errors=%" PRIu64 "\n",
	       in ? "iso-in" : "iso-out", packets,
	       (double)packets * 1e9 / (double)(now() - start), gaps, first_gap,
	       lost, empty, errors);
	return gaps || errors || (in && first);
}

/* ---- control, and the rest ---------------------------------------------- */

static void check_descriptor(void)
{
	uint8_t d[18];
	int n = control(USB_DIR_IN, USB_REQ_GET_DESCRIPTOR, USB_DT_DEVICE << 8,
			0, d, sizeof(d), 5000);

	if (n < 0) {
		errno = -n;
		fail("get descriptor");
	}
	/* The kernel has turned nothing in these around on x86. */
	if (n != sizeof(d) || memcmp(d, descriptors, sizeof(d)))
		bad("device descriptor", 0, sizeof(d), n);
}

static int control_echo(void)
{
	static const uint16_t sizes[] = { 1, 8, 64, 65, 512, 4096 };
	uint8_t out[4096], in[4096];
	uint64_t state = 1;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		int n;

		for (int j = 0; j < sizes[i]; j++)
			out[j] = (uint8_t)xorshift(&state);
		n = control(USB_TYPE_VENDOR, 1, 0, 0, out, sizes[i], 5000);
		if (n != sizes[i])
			bad("sent", (int64_t)i, sizes[i], n);
		n = control(USB_DIR_IN | USB_TYPE_VENDOR, 1, 0, 0, in,
			    sizeof(in), 5000);
		if (n != sizes[i])
			bad("received", (int64_t)i, sizes[i], n);
		if (memcmp(in, out, sizes[i]))
			bad("data", (int64_t)i, 0, 0);
	}
	puts("RESULT control echo");
	return 0;
}

/* The other end must give up, after 5 s: long before this kernel does. */
static int control_silent(void)
{
	uint64_t start = now();
	uint8_t data[8];
	double seconds;
	int n;

	n = control(USB_DIR_IN | USB_TYPE_VENDOR, 2, 0, 0, data, sizeof(data),
		    15000);
	seconds = (double)(now() - start) / 1e9;
	printf("RESULT control silent seconds=%.1f status=%s\n", seconds,
	       n < 0 ? strerror(-n) : "0");
	check_descriptor();
	return n >= 0 || seconds < 4 || seconds > 8;
}

static int control_command(const char *what)
{
	if (!strcmp(what, "echo"))
		return control_echo();
	if (!strcmp(what, "silent"))
		return control_silent();
	if (strcmp(what, "descriptor"))
		usage();
	for (int i = 0; i < 100; i++)
		check_descriptor();
	puts("RESULT control descriptor");
	return 0;
}

static int request(char **arg)
{
	uint8_t data[65536] = { 0 };
	uint8_t type = endpoint_of(arg[0]);
	int n = control(type, (uint8_t)number(arg[1]), (uint16_t)number(arg[2]),
			(uint16_t)number(arg[3]), data,
			(uint16_t)number(arg[4]), 8000);

	if (n < 0) {
		errno = -n;
		fail("request");
	}
	printf("DATA ");
	for (int i = 0; i < n && type & USB_DIR_IN; i++)
		printf("%02x", data[i]);
	putchar('\n');
	return 0;
}

/* An IN without an answer holds nobody up, and can be taken back. */
static int cancel(char **arg)
{
	uint8_t ep = endpoint_of(arg[0]);
	struct usbdevfs_urb *urb;
	uint64_t start;

	claim_endpoint(ep);
	urb = new_urb(USBDEVFS_URB_TYPE_BULK, ep, 4096, 0);
	for (int i = 0; i < 5; i++) {
		submit(urb);
		check_descriptor();
		if (reap(100))
			bad("answered", i, 0, urb->status);
		start = now();
		if (ioctl(fd, USBDEVFS_DISCARDURB, urb))
			fail("discard");
		if (!reap(5000))
			bad("not cancelled", i, -ENOENT, 0);
		if (urb->status != -ENOENT)
			bad("status", i, -ENOENT, urb->status);
		if (now() - start > 1000 * MS)
			bad("slow to cancel", i, 0,
			    (int64_t)((now() - start) / MS));
		check_descriptor();
	}
	puts("RESULT cancel");
	return 0;
}

static int streams(char **arg)
{
	struct usbdevfs_streams *s = memory(sizeof(*s) + 32);
	const char *p = arg[0];
	int n;

	s->num_streams = (unsigned int)number(arg[1]);
	for (;;) {
		if (s->num_eps == 30)
			usage();
		s->eps[s->num_eps++] = endpoint_of(p);
		p = strchr(p, ',');
		if (!p++)
			break;
	}
	claim_endpoint(s->eps[0]);
	n = ioctl(fd, USBDEVFS_ALLOC_STREAMS, s);
	if (n < 0)
		fail("alloc streams");
	if (ioctl(fd, USBDEVFS_FREE_STREAMS, s) < 0)
		fail("free streams");
	printf("RESULT streams allocated=%d\n", n);
	return 0;
}

static int set_config(char **arg)
{
	unsigned int n = (unsigned int)number(arg[0]);

	/* Not with a driver at work. */
	for (int i = 0; i < 32; i++) {
		struct usbdevfs_ioctl c = { .ifno = i,
					    .ioctl_code = USBDEVFS_DISCONNECT };

		ioctl(fd, USBDEVFS_IOCTL, &c);
	}
	if (ioctl(fd, USBDEVFS_SETCONFIGURATION, &n))
		fail("set configuration");
	puts("RESULT set-config");
	return 0;
}

static int set_alt(char **arg)
{
	struct usbdevfs_setinterface set = {
		.interface = (unsigned int)number(arg[0]),
		.altsetting = (unsigned int)number(arg[1]),
	};

	claim(set.interface);
	if (ioctl(fd, USBDEVFS_SETINTERFACE, &set))
		fail("set interface");
	puts("RESULT set-alt");
	return 0;
}

static int clear_halt(char **arg)
{
	unsigned int ep = endpoint_of(arg[0]);

	claim_endpoint((uint8_t)ep);
	if (ioctl(fd, USBDEVFS_CLEAR_HALT, &ep))
		fail("clear halt");
	puts("RESULT clear-halt");
	return 0;
}

static int reset(void)
{
	if (ioctl(fd, USBDEVFS_RESET, 0))
		fail("reset");
	check_descriptor();
	puts("RESULT reset");
	return 0;
}

int main(int argc, char **argv)
{
	const char *name = argc > 2 ? argv[1] : "";
	char **arg = argv + 3;
	int args = argc - 3;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc < 3)
		usage();
	wait_device(argv[2],
		    !strcmp(name, "wait") && args ? number(arg[0]) : 20);
	if (!strcmp(name, "wait") && args <= 1)
		return 0;
	if (!strcmp(name, "bulk-in") && (args == 4 || args == 5))
		return bulk(true, args, arg);
	if (!strcmp(name, "bulk-out") && (args == 4 || args == 5))
		return bulk(false, args, arg);
	if (!strcmp(name, "loop") && args == 4)
		return loop(arg);
	if (!strcmp(name, "interrupt-in") && args == 2)
		return interrupt_in(arg);
	if (!strcmp(name, "interrupt-out") && args == 2)
		return interrupt_out(arg);
	if (!strcmp(name, "iso-in") && args == 3)
		return iso(true, arg);
	if (!strcmp(name, "iso-out") && args == 3)
		return iso(false, arg);
	if (!strcmp(name, "control") && args == 1)
		return control_command(arg[0]);
	if (!strcmp(name, "request") && args == 5)
		return request(arg);
	if (!strcmp(name, "cancel") && args == 1)
		return cancel(arg);
	if (!strcmp(name, "streams") && args == 2)
		return streams(arg);
	if (!strcmp(name, "set-config") && args == 1)
		return set_config(arg);
	if (!strcmp(name, "set-alt") && args == 2)
		return set_alt(arg);
	if (!strcmp(name, "clear-halt") && args == 1)
		return clear_halt(arg);
	if (!strcmp(name, "reset") && args == 0)
		return reset();
	usage();
}
