// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_link.h"

#include <stdlib.h>
#include <string.h>

static void receive(struct redir_link *link);

static struct redir_link *link_of(struct redir_session *s)
{
	return container_of(s, struct redir_link, session);
}

/* --- The end ------------------------------------------------------------------------ */

static void check_ended(struct redir_link *link)
{
	if (!link->ending || link->transport || !link->session_closed)
		return;
	task_cancel(&link->flush);
	task_cancel(&link->end);
	timer_stop(&link->ack);
	outq_fini(&link->out);
	redir_session_fini(&link->session);
	link->ended(link);
}

static void end(struct redir_link *link)
{
	if (link->ending)
		return;
	link->ending = true;
	timer_stop(&link->ack);
	transport_close(link->transport);
	redir_session_close(&link->session);
}

static void end_task(struct task *task)
{
	end(container_of(task, struct redir_link, end));
}

static void end_later(struct redir_link *link)
{
	loop_post(link->session.loop, &link->end);
}

/* --- Sending ------------------------------------------------------------------------- */

static bool is_full(const struct redir_link *link)
{
	return outq_memory(&link->out) > REDIR_MAX_STREAMED;
}

static void flush(struct task *task)
{
	struct redir_link *link = container_of(task, struct redir_link, flush);
	struct iovec iov[TRANSPORT_IOV];
	size_t left = outq_bytes(&link->out);
	unsigned int n;

	if (link->ending)
		return;
	if (link->sending) {
		/* Sent lazily: ask for the outcome, this waits behind it. */
		loop_hurry(link->session.loop);
		return;
	}
	n = outq_iov(&link->out, iov, ARRAY_SIZE(iov));
	if (!n) {
		/* All has left that was to leave. */
		if (link->finishing && !timer_running(&link->ack))
			end(link);
		return;
	}
	link->sending = true;
	transport_send(link->transport, iov, n);
	for (unsigned int i = 0; i < n; i++)
		left -= iov[i].iov_len;
	/* Success may be told lazily, with what the peer says next: not when
	 * it waits for the rest, nor when nobody listens to it, nor when
	 * streams wait for room. */
	if (left || !link->receiving || link->finishing || is_full(link))
		loop_hurry(link->session.loop);
}

static void sent(struct transport *t, int res)
{
	struct redir_link *link = t->context;

	link->sending = false;
	/* The device knows, and has the guest ask again. */
	if (res == -EFAULT && outq_repair(&link->out)) {
		log_limited(&link->session.registry->complaints, LOG_LEVEL_WARN,
			    "%s: a file became shorter while it was being sent",
			    t->peer);
		res = 0;
	}
	if (res < 0) {
		if (res != -ECANCELED && res != -EPIPE && res != -ECONNRESET)
			log_limited(&link->session.registry->complaints,
				    LOG_LEVEL_WARN, "%s: sending failed: %s",
				    t->peer, strerror(-res));
		end_later(link);
		return;
	}
	outq_consume(&link->out, (size_t)res);
	if (outq_bytes(&link->out) || link->finishing)
		loop_post(t->loop, &link->flush);
	if (!is_full(link))
		redir_session_drained(&link->session);
	receive(link);
}

static void session_send(struct redir_session *s, const void *head,
			 size_t head_len, struct buf *buf, uint32_t off,
			 uint32_t len)
{
	struct redir_link *link = link_of(s);

	if (link->ending) {
		buf_put(buf);
		return;
	}
	if (outq_push(&link->out, head, head_len, buf, off, len) < 0) {
		log_err("%s: out of memory; closing the connection", s->peer);
		end_later(link);
		return;
	}
	loop_post(s->loop, &link->flush);
}

/* --- Receiving ------------------------------------------------------------------------ */

static void receive(struct redir_link *link)
{
	size_t len;
	bool exact;
	void *p;

	if (link->receiving || link->ending || link->session.failed ||
	    outq_memory(&link->out) > REDIR_MAX_UNSENT)
		return;
	p = redir_session_space(&link->session, &len, &exact);
	link->receiving = true;
	transport_recv(link->transport, p, len, exact);
}

static void received(struct transport *t, int res)
{
	struct redir_link *link = t->context;

	link->receiving = false;
	if (res <= 0) {
		if (res < 0 && res != -ECANCELED && res != -ECONNRESET)
			log_limited(&link->session.registry->complaints,
				    LOG_LEVEL_WARN, "%s: receiving failed: %s",
				    t->peer, strerror(-res));
		end_later(link);
		return;
	}
	redir_session_filled(&link->session, (size_t)res);
	receive(link);
}

static void transport_closed(struct transport *t)
{
	struct redir_link *link = t->context;

	link->transport = NULL;
	check_ended(link);
}

static const struct transport_user user = {
	.received = received,
	.sent = sent,
	.closed = transport_closed,
};

/* --- The session's events --------------------------------------------------------------- */

static bool session_full(struct redir_session *s)
{
	return is_full(link_of(s));
}

static void session_failed(struct redir_session *s)
{
	end_later(link_of(s));
}

static void session_detached(struct redir_session *s)
{
	struct redir_link *link = link_of(s);

	if (!link->finishing)
		return;
	timer_stop(&link->ack);
	loop_post(s->loop, &link->flush); /* ends when all has left */
}

static void session_closed(struct redir_session *s)
{
	struct redir_link *link = link_of(s);

	link->session_closed = true;
	check_ended(link);
}

static const struct redir_session_ops session_ops = {
	.send = session_send,
	.full = session_full,
	.failed = session_failed,
	.detached = session_detached,
	.closed = session_closed,
};

static void ack_timeout(struct timer *timer)
{
	end(container_of(timer, struct redir_link, ack));
}

void redir_link_finish(struct redir_link *link)
{
	if (link->finishing || link->ending)
		return;
	link->finishing = true;
	/* A guest that is paused does not acknowledge. */
	timer_start(link->session.loop, &link->ack, REDIR_ACK_MS);
	redir_session_detach(&link->session);
}

void redir_link_drop(struct redir_link *link)
{
	end_later(link);
}

int redir_link_create(struct transport *t, struct bufpool *pool,
		      struct registry *registry, struct usb_device *wanted,
		      void (*ended)(struct redir_link *), void *owner,
		      struct redir_link **out)
{
	/* Not cleared: most of it is staging, see redir_session_init(). */
	struct redir_link *link = malloc(sizeof(*link));

	if (!link)
		return -ENOMEM;
	memset(link, 0, offsetof(struct redir_link, session));
	list_init(&link->node);
	link->transport = t;
	t->user = &user;
	t->context = link;
	outq_init(&link->out);
	link->out.own = t->copies;
	task_init(&link->flush, flush);
	task_init(&link->end, end_task);
	timer_init(&link->ack, ack_timeout);
	link->receiving = link->sending = link->ending = false;
	link->session_closed = link->finishing = false;
	link->ended = ended;
	link->owner = owner;
	redir_session_init(&link->session, &session_ops, t->loop, pool,
			   registry, wanted, t->peer);
	receive(link);
	*out = link;
	return 0;
}

void redir_link_free(struct redir_link *link)
{
	free(link);
}
