// SPDX-License-Identifier: GPL-2.0-or-later
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "transport/transport.h"

struct fd_transport {
	struct transport transport;
	int in, out; /* may be the same */
	bool in_is_socket, out_is_socket;
	bool closing;
	struct op recv, send;
	struct task closed; /* so that closed never runs inside close */
	struct msghdr msg;
	struct iovec iov[TRANSPORT_IOV];
	bool tried; /* the send in flight is the attempt that does not wait */
};

static struct fd_transport *fd_of(struct transport *t)
{
	return container_of(t, struct fd_transport, transport);
}

static void fd_closed(struct task *task)
{
	struct fd_transport *f =
		container_of(task, struct fd_transport, closed);

	if (op_busy(&f->recv) || op_busy(&f->send))
		return;
	if (f->transport.user)
		f->transport.user->closed(&f->transport);
	close(f->in);
	if (f->out != f->in)
		close(f->out);
	free(f);
}

static void recv_done(struct op *op, int res)
{
	struct fd_transport *f = container_of(op, struct fd_transport, recv);

	if (f->closing)
		loop_post(f->transport.loop, &f->closed);
	else
		f->transport.user->received(&f->transport, res);
}

static void start_send(struct fd_transport *f, bool now)
{
	struct loop *loop = f->transport.loop;

	f->tried = now;
	if (f->out_is_socket)
		op_sendmsg(loop, &f->send, f->out, &f->msg, 0,
			   now ? OP_NOW | OP_LAZY : 0);
	else
		op_writev(loop, &f->send, f->out, f->msg.msg_iov,
			  (unsigned int)f->msg.msg_iovlen);
}

static void send_done(struct op *op, int res)
{
	struct fd_transport *f = container_of(op, struct fd_transport, send);

	if (f->closing)
		loop_post(f->transport.loop, &f->closed);
	else if (res == -EAGAIN && f->tried)
		start_send(f, false); /* the peer's queue is full: wait */
	else
		f->transport.user->sent(&f->transport, res ? res : -EPIPE);
}

static void fd_recv(struct transport *t, void *buf, size_t len, bool exact)
{
	struct fd_transport *f = fd_of(t);

	/* A length is an int in completions. */
	len = MIN(len, (size_t)1 << 30);
	if (f->in_is_socket)
		op_recv(t->loop, &f->recv, f->in, buf, len,
			exact ? MSG_WAITALL : 0);
	else
		op_read(t->loop, &f->recv, f->in, buf, len);
}

static void fd_send(struct transport *t, const struct iovec *iov,
		    unsigned int n)
{
	struct fd_transport *f = fd_of(t);

	memcpy(f->iov, iov, n * sizeof(*iov));
	f->msg = (struct msghdr){ .msg_iov = f->iov, .msg_iovlen = n };
	start_send(f, f->out_is_socket);
}

static void fd_close(struct transport *t)
{
	struct fd_transport *f = fd_of(t);

	f->closing = true;
	/* Wakes up what waits in it, and tells the peer at once. */
	if (f->out_is_socket)
		shutdown(f->out, SHUT_RDWR);
	op_cancel(t->loop, &f->recv);
	op_cancel(t->loop, &f->send);
	loop_post(t->loop, &f->closed);
}

static const struct transport_ops fd_ops = {
	.recv = fd_recv,
	.send = fd_send,
	.close = fd_close,
};

static bool is_socket(int fd)
{
	int type;
	socklen_t len = sizeof(type);

	return !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
}

int transport_over_fds(struct loop *loop, int in, int out, const char *peer,
		       struct transport **t)
{
	struct fd_transport *f = calloc(1, sizeof(*f));

	if (!f) {
		close(in);
		if (out != in)
			close(out);
		return -ENOMEM;
	}
	f->transport.ops = &fd_ops;
	f->transport.loop = loop;
	f->transport.fd = out;
	snprintf(f->transport.peer, sizeof(f->transport.peer), "%s", peer);
	f->in = in;
	f->out = out;
	f->in_is_socket = is_socket(in);
	f->out_is_socket = is_socket(out);
	op_init(&f->recv, recv_done);
	op_init(&f->send, send_done);
	task_init(&f->closed, fd_closed);
	*t = &f->transport;
	return 0;
}
