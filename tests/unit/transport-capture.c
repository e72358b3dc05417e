// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Captures: all bytes of both directions are in the file, as segments whose
 * numbers fit; and what goes wrong with the file is not the connection's.
 * (What Wireshark makes of it: e2e/transport-capture.sh.)
 */
#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/span.h"
#include "transport/capture.h"

#define NOTHING 1000000000
#define PORT 5900

struct bench {
	struct loop *loop;
	struct transport *t;
	int peer; /* the other end */
	char dir[40];
	int received, sent;
	bool closed;
};

static void received(struct transport *t, int res)
{
	((struct bench *)t->context)->received = res;
}

static void sent(struct transport *t, int res)
{
	((struct bench *)t->context)->sent = res;
}

static void closed(struct transport *t)
{
	((struct bench *)t->context)->closed = true;
}

static const struct transport_user user = { received, sent, closed };

static void turn(struct bench *b)
{
	loop_hurry(b->loop);
	assert_int_equal(loop_turn(b->loop), 0);
}

static struct transport *make_inner(struct bench *b)
{
	struct transport *t;
	int pair[2], size = 2 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	b->peer = pair[1];
	assert_int_equal(
		transport_over_fds(b->loop, pair[0], pair[0], "peer", &t), 0);
	return t;
}

static void begin(struct bench *b)
{
	*b = (struct bench){ .dir = "/tmp/ryll-capture-XXXXXX" };
	assert_int_equal(loop_create(&b->loop), 0);
	assert_non_null(mkdtemp(b->dir));
	assert_int_equal(
		capture_create(make_inner(b), b->dir, "main", PORT, &b->t), 0);
	b->t->user = &user;
	b->t->context = b;
	assert_true(b->t->copies);
}

static void shut(struct bench *b)
{
	transport_close(b->t);
	assert_false(b->closed);
	while (!b->closed)
		turn(b);
	close(b->peer);
}

/* The path of the first, by name; the number of files. */
static int files(struct bench *b, char path[400])
{
	struct dirent **list;
	int n = scandir(b->dir, &list, NULL, alphasort);

	assert_true(n >= 2);
	for (int i = 0; i < n; i++) {
		/* Behind . and .. */
		if (i == 2)
			snprintf(path, 400, "%s/%s", b->dir, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return n - 2;
}

static void end(struct bench *b)
{
	char path[400];

	while (files(b, path))
		unlink(path);
	rmdir(b->dir);
	loop_destroy(b->loop);
}

static void ask_recv(struct bench *b, void *buf, size_t len, int expected)
{
	b->received = NOTHING;
	transport_recv(b->t, buf, len, true);
	while (b->received == NOTHING)
		turn(b);
	assert_int_equal(b->received, expected);
}

static void ask_send(struct bench *b, const struct iovec *iov, unsigned int n,
		     int expected)
{
	b->sent = NOTHING;
	transport_send(b->t, iov, n);
	while (b->sent == NOTHING)
		turn(b);
	assert_int_equal(b->sent, expected);
}

/* --- What is in a file ------------------------------------------------------------- */

struct stream {
	uint8_t *data;
	size_t len;
	uint32_t next; /* the sequence number that must come */
	bool ended;
};

struct contents {
	struct stream side[2];
	unsigned int packets;
	uint64_t last; /* time, ns */
};

static void read_segment(struct contents *c, struct span s)
{
	struct stream *from, *to;
	unsigned int port, flags;
	size_t len = s.len;

	assert_int_equal(span_be(&s, 2), 0x4500);
	assert_int_equal(span_be(&s, 2), len);
	span_take(&s, 5);
	assert_int_equal(span_u8(&s), 6);
	span_take(&s, 10);
	port = (unsigned int)span_be(&s, 2);
	from = &c->side[port == PORT];
	to = &c->side[port != PORT];
	assert_true(port == PORT || span_be(&s, 2) == PORT);
	if (port == PORT)
		span_take(&s, 2);
	assert_int_equal(span_be(&s, 4), from->next);
	if (c->packets > 1)
		assert_int_equal(span_be(&s, 4), to->next);
	else
		span_take(&s, 4);
	flags = (unsigned int)span_be(&s, 2);
	span_take(&s, (flags >> 12) * 4 - 14);
	assert_true(span_ok(&s) && !from->ended);
	assert_true(s.len <= 65000);
	assert_int_equal(flags & 2, c->packets < 2 ? 2 : 0);
	from->data = realloc(from->data, from->len + s.len + 1);
	memcpy(from->data + from->len, s.p, s.len);
	from->len += s.len;
	from->ended = flags & 1;
	from->next += (uint32_t)s.len + !!(flags & 3);
	c->packets++;
}

static void read_block(struct contents *c, struct span s)
{
	uint64_t when;
	uint32_t len;

	assert_int_equal(span_le(&s, 4), 0);
	when = span_le(&s, 4) << 32;
	when |= span_le(&s, 4);
	assert_true(when >= c->last);
	c->last = when;
	len = (uint32_t)span_le(&s, 4);
	assert_int_equal(span_le(&s, 4), len);
	assert_true(s.len >= len && s.len < len + 4);
	read_segment(c, span_of(s.p, len));
}

static struct contents read_file(const char *path)
{
	struct contents c = { 0 };
	struct stat st;
	FILE *f = fopen(path, "r");
	uint8_t *data;
	struct span s;

	assert_non_null(f);
	fstat(fileno(f), &st);
	assert_int_equal(st.st_mode & 0777, 0600);
	data = malloc((size_t)st.st_size);
	assert_int_equal(fread(data, 1, (size_t)st.st_size, f), st.st_size);
	fclose(f);
	s = span_of(data, (size_t)st.st_size);
	for (unsigned int i = 0; s.len; i++) {
		uint32_t type = (uint32_t)span_le(&s, 4);
		uint32_t size = (uint32_t)span_le(&s, 4);
		const uint8_t *p;

		assert_true(size >= 12 && size % 4 == 0);
		p = span_take(&s, size - 12);
		assert_int_equal(span_le(&s, 4), size);
		assert_true(span_ok(&s));
		assert_int_equal(type, i == 0 ? 0x0a0d0d0a : i == 1 ? 1 : 6);
		if (i > 1)
			read_block(&c, span_of(p, size - 12));
	}
	free(data);
	return c;
}

static void free_contents(struct contents *c)
{
	free(c->side[0].data);
	free(c->side[1].data);
}

/* --- Tests ----------------------------------------------------------------------------- */

#define MUCH 150001

static void test_both_directions(void **state)
{
	struct bench b;
	struct contents c;
	uint8_t *out = malloc(MUCH), *in = malloc(MUCH), *got = malloc(MUCH);
	struct iovec iov[] = { { out, 26 },
			       { out, 0 },
			       { out + 26, 64999 },
			       { out + 65025, MUCH - 65025 } };
	char path[400];

	(void)state;
	begin(&b);
	for (size_t i = 0; i < MUCH; i++) {
		out[i] = (uint8_t)(i * 3 + (i >> 8));
		in[i] = (uint8_t)(i * 5 + (i >> 9));
	}
	ask_send(&b, iov, 4, MUCH);
	assert_int_equal(recv(b.peer, got, MUCH, MSG_WAITALL), MUCH);
	assert_memory_equal(got, out, MUCH);
	assert_int_equal(send(b.peer, in, MUCH, 0), MUCH);
	ask_recv(&b, got, MUCH, MUCH);
	assert_memory_equal(got, in, MUCH);
	for (size_t i = 1; i < 6; i++)
		ask_send(&b, &(struct iovec){ out, i }, 1, (int)i);
	shutdown(b.peer, SHUT_WR);
	ask_recv(&b, got, 1, 0);
	ask_recv(&b, got, 1, 0);
	shut(&b);
	assert_int_equal(files(&b, path), 1);
	c = read_file(path);
	/* Three to begin, three for each 150,001, five, two at the end */
	assert_int_equal(c.packets, 3 + 3 + 3 + 5 + 2);
	assert_in_range(c.last / 1000000000u, time(NULL) - 60, time(NULL));
	assert_true(c.side[0].ended && c.side[1].ended);
	assert_int_equal(c.side[0].len, MUCH + 15);
	assert_memory_equal(c.side[0].data, out, MUCH);
	assert_memory_equal(c.side[0].data + MUCH + 10, out, 5);
	assert_int_equal(c.side[1].len, MUCH);
	assert_memory_equal(c.side[1].data, in, MUCH);
	free_contents(&c);
	free(out);
	free(in);
	free(got);
	end(&b);
}

static void test_names(void **state)
{
	struct transport *inner, *t;
	struct bench b;
	char path[400];

	(void)state;
	begin(&b);
	/* In the same second, or not */
	inner = make_inner(&b);
	assert_int_equal(capture_create(inner, b.dir, "main", PORT, &t), 0);
	transport_close(t);
	assert_int_equal(files(&b, path), 2);
	assert_true(!strncmp(path + strlen(b.dir), "/main-20", 8));
	assert_non_null(strstr(path, ".pcapng"));
	/* The transport stays who asked's. */
	inner = make_inner(&b);
	assert_int_equal(
		capture_create(inner, "/nonexistent", "main", PORT, &t),
		-ENOENT);
	transport_close(inner);
	shut(&b);
	end(&b);
}

/* Who looks while it runs sees all that is older than a second. */
static void test_flush(void **state)
{
	struct bench b;
	char path[400];
	struct stat st;
	int64_t from;

	(void)state;
	begin(&b);
	files(&b, path);
	ask_send(&b, &(struct iovec){ "hello", 5 }, 1, 5);
	from = loop_now(b.loop);
	/* Sleeps, but for the timer. */
	do {
		assert_int_equal(loop_turn(b.loop), 0);
		stat(path, &st);
	} while (!st.st_size);
	assert_in_range(loop_now(b.loop) - from, 500, 2000);
	assert_int_equal(st.st_size,
			 60 + 3 * 32 + (44 + 44 + 40) + (32 + 45 + 3));
	shut(&b);
	end(&b);
}

/* A full disk, or nearly that. */
static void test_file_fails(void **state)
{
	static char much[400000];
	struct rlimit old, small;
	struct bench b;
	char path[400];
	struct stat st;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	begin(&b);
	getrlimit(RLIMIT_FSIZE, &old);
	small = old;
	small.rlim_cur = 100000;
	setrlimit(RLIMIT_FSIZE, &small);
	log_level = LOG_LEVEL_ERR;
	for (int i = 0; i < 3; i++) {
		ask_send(&b, &(struct iovec){ much, sizeof(much) }, 1,
			 sizeof(much));
		assert_int_equal(recv(b.peer, much, sizeof(much), MSG_WAITALL),
				 sizeof(much));
	}
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(send(b.peer, "hello", 5, 0), 5);
	ask_recv(&b, much, 5, 5);
	assert_memory_equal(much, "hello", 5);
	shut(&b);
	/* It ends where it failed: nothing stands behind a gap. */
	files(&b, path);
	stat(path, &st);
	assert_true(st.st_size <= 100000);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_directions),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_flush),
		cmocka_unit_test(test_file_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
