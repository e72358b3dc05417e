// SPDX-License-Identifier: GPL-2.0-or-later
#include "transport/capture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/span.h"
#include "wire/pcapng.h"

#define FILE_BUFFER (256 << 10)
#define FLUSH_MS 1000
#define MAX_NAMES 1000 /* of one second */

/* A segment of TCP: of what IPv4 can carry, something round. */
#define SEGMENT 65000u
#define IP_HEADER 20u
#define TCP_HEADER 20u
#define SYN_OPTIONS 4u
#define HEADERS_MAX (IP_HEADER + TCP_HEADER + SYN_OPTIONS)

/* As large as there is: 1 GiB. Who only sends is acknowledged before that. */
#define WINDOW 0xffffu
#define WINDOW_SHIFT 14u
#define UNACKNOWLEDGED (256u << 20)

enum { FIN = 1, SYN = 2, PSH = 8, ACK = 16 };

/* Both have an address of documentation (RFC 5737). */
enum side { US, PEER };
#define ADDRESS 0xc0000201u
#define OUR_PORT 49152u

struct capture {
	struct transport transport;
	struct transport *inner; /* owned */
	FILE *file;		 /* NULL: given up */
	char *buffer;		 /* the file's */
	char *path;
	struct timer flush;
	unsigned int port;
	uint32_t seq[2];   /* of what each side sends next */
	uint32_t acked[2]; /* what the other one has last said it has */
	bool ended[2];	   /* has sent a FIN */
	uint8_t *recv_buf;
	struct iovec iov[TRANSPORT_IOV];
};

static struct capture *capture_of(struct transport *t)
{
	return container_of(t, struct capture, transport);
}

/* --- The file --------------------------------------------------------------------------- */

static void give_up(struct capture *c)
{
	log_warn("%s: the capture %s ends here: %s", c->transport.peer, c->path,
		 strerror(errno));
	timer_stop(&c->flush);
	fclose(c->file);
	c->file = NULL;
}

static void put(struct capture *c, const void *data, size_t len)
{
	if (c->file && fwrite(data, 1, len, c->file) != len)
		give_up(c);
}

static void flush(struct timer *timer)
{
	struct capture *c = container_of(timer, struct capture, flush);

	if (c->file && fflush(c->file))
		give_up(c);
}

static void flush_soon(struct capture *c)
{
	if (c->file && !timer_running(&c->flush))
		timer_start(c->transport.loop, &c->flush, FLUSH_MS);
}

/* --- Packets ------------------------------------------------------------------------------- */

static uint16_t ip_checksum(const uint8_t *header)
{
	struct span s = span_of(header, IP_HEADER);
	uint32_t sum = 0;

	while (s.len)
		sum += (uint32_t)span_be(&s, 2);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t) ~((sum & 0xffff) + (sum >> 16));
}

static void put_ip(struct span_writer *w, enum side from, size_t len)
{
	uint16_t checksum;

	span_put_be(w, 0x4500, 2); /* version 4, five words */
	span_put_be(w, len, 2);
	span_put_be(w, 0x4000, 4);	/* no number; not to be split */
	span_put_be(w, 64 << 8 | 6, 2); /* TCP */
	span_put_be(w, 0, 2);
	span_put_be(w, ADDRESS + from, 4);
	span_put_be(w, ADDRESS + !from, 4);
	checksum = ip_checksum(w->p);
	w->p[10] = (uint8_t)(checksum >> 8);
	w->p[11] = (uint8_t)checksum;
}

/* Without a checksum, as with network cards that make it: who looks at each
 * byte once more for that would be slow. */
static void put_tcp(struct span_writer *w, const struct capture *c,
		    enum side from, unsigned int flags)
{
	unsigned int words = flags & SYN ? 6 : 5;

	span_put_be(w, from == US ? OUR_PORT : c->port, 2);
	span_put_be(w, from == US ? c->port : OUR_PORT, 2);
	span_put_be(w, c->seq[from], 4);
	span_put_be(w, flags & ACK ? c->seq[!from] : 0, 4);
	span_put_be(w, words << 12 | flags, 2);
	span_put_be(w, WINDOW, 2);
	span_put_zero(w, 4);
	if (flags & SYN)
		span_put_be(w, 0x01030300u | WINDOW_SHIFT, SYN_OPTIONS);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Up to len bytes of payload are the caller's to put, and then end_packet(). */
static void begin_packet(struct capture *c, enum side from, unsigned int flags,
			 size_t len)
{
	uint8_t block[PCAPNG_PACKET], headers[HEADERS_MAX];
	struct span_writer w = span_writer_of(headers, sizeof(headers));
	size_t size = IP_HEADER + TCP_HEADER + len;

	size += flags & SYN ? SYN_OPTIONS : 0;
	put_ip(&w, from, size);
	put_tcp(&w, c, from, flags);
	pcapng_packet(block, now_ns(), (uint32_t)size);
	put(c, block, sizeof(block));
	put(c, headers, w.len);
	if (flags & ACK)
		c->acked[!from] = c->seq[!from];
}

static void end_packet(struct capture *c, enum side from, unsigned int flags,
		       size_t len)
{
	uint8_t end[PCAPNG_END];
	size_t size = IP_HEADER + TCP_HEADER + len;

	size += flags & SYN ? SYN_OPTIONS : 0;
	put(c, end, pcapng_end(end, (uint32_t)size));
	/* These two count as a byte each. */
	c->seq[from] += (uint32_t)len + !!(flags & (SYN | FIN));
}

static void put_empty(struct capture *c, enum side from, unsigned int flags)
{
	begin_packet(c, from, flags, 0);
	end_packet(c, from, flags, 0);
}

static void put_end(struct capture *c, enum side from)
{
	if (c->ended[from])
		return;
	c->ended[from] = true;
	put_empty(c, from, FIN | ACK);
	flush_soon(c);
}

/* Off the front of iov, whose first entries may be used up. */
static void put_segment(struct capture *c, enum side from, struct iovec *iov,
			size_t len)
{
	size_t left = len;

	begin_packet(c, from, PSH | ACK, len);
	for (; left; iov++) {
		size_t n = MIN(iov->iov_len, left);

		put(c, iov->iov_base, n);
		iov->iov_base = (uint8_t *)iov->iov_base + n;
		iov->iov_len -= n;
		left -= n;
	}
	end_packet(c, from, PSH | ACK, len);
	if (c->seq[from] - c->acked[from] > UNACKNOWLEDGED)
		put_empty(c, !from, ACK);
}

/* The first len bytes of iov. */
static void put_data(struct capture *c, enum side from, struct iovec *iov,
		     size_t len)
{
	while (len && c->file) {
		size_t n = MIN(len, (size_t)SEGMENT);

		put_segment(c, from, iov, n);
		len -= n;
	}
	flush_soon(c);
}

/* --- The transport --------------------------------------------------------------------------- */

static void capture_recv(struct transport *t, void *buf, size_t len, bool exact)
{
	struct capture *c = capture_of(t);

	c->recv_buf = buf;
	transport_recv(c->inner, buf, len, exact);
}

static void capture_send(struct transport *t, const struct iovec *iov,
			 unsigned int n)
{
	struct capture *c = capture_of(t);

	memcpy(c->iov, iov, n * sizeof(*iov));
	transport_send(c->inner, iov, n);
	/* What has left is written down when that is told. */
	loop_hurry(t->loop);
}

static void capture_close(struct transport *t)
{
	transport_close(capture_of(t)->inner);
}

static const char *capture_why(const struct transport *t, int res)
{
	return transport_why(container_of(t, struct capture, transport)->inner,
			     res);
}

static const struct transport_ops capture_ops = {
	.recv = capture_recv,
	.send = capture_send,
	.close = capture_close,
	.why = capture_why,
};

static void inner_received(struct transport *inner, int res)
{
	struct capture *c = inner->context;

	if (res > 0)
		put_data(c, PEER, &(struct iovec){ c->recv_buf, (size_t)res },
			 (size_t)res);
	else
		put_end(c, PEER);
	c->transport.user->received(&c->transport, res);
}

static void inner_sent(struct transport *inner, int res)
{
	struct capture *c = inner->context;

	if (res > 0)
		put_data(c, US, c->iov, (size_t)res);
	c->transport.user->sent(&c->transport, res);
}

static void free_capture(struct capture *c)
{
	timer_stop(&c->flush);
	if (c->file && fclose(c->file))
		log_warn("%s: the end of the capture %s is missing: %s",
			 c->transport.peer, c->path, strerror(errno));
	free(c->buffer);
	free(c->path);
	free(c);
}

static void inner_closed(struct transport *inner)
{
	struct capture *c = inner->context;

	put_end(c, US);
	if (c->transport.user)
		c->transport.user->closed(&c->transport);
	free_capture(c);
}

static const struct transport_user inner_user = {
	.received = inner_received,
	.sent = inner_sent,
	.closed = inner_closed,
};

/* --- The beginning --------------------------------------------------------------------------- */

/* A new file: its descriptor, or -errno; *path is owned by the caller. */
static int create_file(const char *dir, const char *name, char **path)
{
	time_t now = time(NULL);
	char when[32], number[16] = "";
	struct tm tm;

	localtime_r(&now, &tm);
	strftime(when, sizeof(when), "%Y%m%d-%H%M%S", &tm);
	for (int i = 2; i < MAX_NAMES; i++) {
		int fd;

		if (asprintf(path, "%s/%s-%s%s.pcapng", dir, name, when,
			     number) < 0) {
			*path = NULL;
			return -ENOMEM;
		}
		/* It may have passwords in it. */
		fd = open(*path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0)
			return fd;
		if (errno != EEXIST)
			return -errno;
		free(*path);
		*path = NULL;
		snprintf(number, sizeof(number), "-%d", i);
	}
	return -EEXIST;
}

static int open_file(struct capture *c, const char *dir, const char *name)
{
	int fd = create_file(dir, name, &c->path);

	if (fd < 0)
		return fd;
	c->file = fdopen(fd, "w");
	if (!c->file) {
		close(fd);
		return -ENOMEM;
	}
	setvbuf(c->file, c->buffer, _IOFBF, FILE_BUFFER);
	return 0;
}

static void put_start(struct capture *c)
{
	uint8_t start[PCAPNG_START];

	pcapng_start(start, PCAPNG_LINK_RAW, 0);
	put(c, start, sizeof(start));
	put_empty(c, US, SYN);
	put_empty(c, PEER, SYN | ACK);
	put_empty(c, US, ACK);
	flush_soon(c);
}

int capture_create(struct transport *t, const char *dir, const char *name,
		   unsigned int port, struct transport **captured)
{
	struct capture *c = calloc(1, sizeof(*c));
	int ret = -ENOMEM;

	if (!c)
		return ret;
	timer_init(&c->flush, flush);
	c->buffer = malloc(FILE_BUFFER);
	if (c->buffer)
		ret = open_file(c, dir, name);
	if (ret < 0) {
		free_capture(c);
		return ret;
	}
	c->transport = *t; /* the same socket, the same peer */
	c->transport.ops = &capture_ops;
	c->transport.user = NULL;
	c->transport.copies = true;
	c->port = port;
	c->inner = t;
	t->user = &inner_user;
	t->context = c;
	put_start(c);
	*captured = &c->transport;
	return 0;
}
