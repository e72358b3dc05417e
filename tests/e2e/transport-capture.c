// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Has a conversation over a captured transport, and writes what was said by
 * each side into DIR/out and DIR/in, the capture beside it.
 *
 *	transport-capture DIR
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/capture.h"

static bool waiting, closed;
static int outcome;

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "transport-capture: %s\n", what);
	exit(1);
}

static void ended(struct transport *t, int res)
{
	(void)t;
	waiting = false;
	outcome = res;
}

static void gone(struct transport *t)
{
	(void)t;
	closed = true;
}

static const struct transport_user user = { ended, ended, gone };

static void turn(struct loop *loop)
{
	loop_hurry(loop);
	need(!loop_turn(loop), "the loop ends");
}

static void say(struct transport *t, int peer, uint8_t *data, size_t len,
		FILE *log)
{
	struct iovec iov[] = { { data, len / 3 },
			       { data + len / 3, len - len / 3 } };

	waiting = true;
	transport_send(t, iov, 2);
	while (waiting)
		turn(t->loop);
	need(outcome == (int)len, "not all was sent");
	need(recv(peer, data, len, MSG_WAITALL) == (ssize_t)len, "recv");
	fwrite(data, 1, len, log);
}

static void hear(struct transport *t, int peer, uint8_t *data, size_t len,
		 FILE *log)
{
	need(send(peer, data, len, 0) == (ssize_t)len, "send");
	waiting = true;
	transport_recv(t, data, len, true);
	while (waiting)
		turn(t->loop);
	need(outcome == (int)len, "not all was received");
	fwrite(data, 1, len, log);
}

static FILE *open_log(const char *dir, const char *name)
{
	char path[400];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "w");
	need(f, path);
	return f;
}

int main(int argc, char **argv)
{
	static const size_t sizes[] = { 1,     16,	26,	31,   65000,
					65001, 1 << 20, 130000, 4096, 3 };
	uint8_t *data = malloc(1 << 20);
	int pair[2], size = 4 << 20;
	struct transport *t, *captured;
	struct loop *loop;
	FILE *out, *in;

	need(argc == 2 && data, "transport-capture DIR");
	need(!loop_create(&loop), "no loop");
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair), "no sockets");
	for (int i = 0; i < 2; i++)
		setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	need(!transport_over_fds(loop, pair[0], pair[0], "peer", &t), "memory");
	need(!capture_create(t, argv[1], "test", 5900, &captured), "no file");
	captured->user = &user;
	out = open_log(argv[1], "out");
	in = open_log(argv[1], "in");
	for (size_t i = 0; i < 1 << 20; i++)
		data[i] = (uint8_t)(i * 7 + (i >> 8) * 3 + (i >> 16));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		say(captured, pair[1], data, sizes[i], out);
		hear(captured, pair[1], data, sizes[ARRAY_SIZE(sizes) - 1 - i],
		     in);
	}
	transport_close(captured);
	while (!closed)
		turn(loop);
	fclose(out);
	fclose(in);
	free(data);
	close(pair[1]);
	loop_destroy(loop);
	return 0;
}
