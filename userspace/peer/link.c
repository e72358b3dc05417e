// SPDX-License-Identifier: GPL-2.0-or-later
#include "peer/link.h"

#include <stdlib.h>
#include <string.h>

static void receive(struct link *link);

static struct link *link_of(struct session *s)
{
	return s->context;
}

/* --- The end ------------------------------------------------------------------------ */

static void check_ended(struct link *link)
{
	if (!link->ending || link->transport || !link->session_closed)
		return;
	task_cancel(&link->flush);
	task_cancel(&link->end);
	timer_stop(&link->deadline);
	outq_fini(&link->out);
	link->ended(link);
}

static void end(struct link *link)
{
	if (link->ending)
		return;
	link->ending = true;
	timer_stop(&link->deadline);
	transport_close(link->transport);
	session_close(link->session);
}

static void end_task(struct task *task)
{
	end(container_of(task, struct link, end));
}

static void end_later(struct link *link)
{
	loop_post(link->session->loop, &link->end);
}

/* --- Sending ------------------------------------------------------------------------- */

static bool is_full(const struct link *link)
{
	return outq_memory(&link->out) > LINK_MAX_STREAMED;
}

static void flush(struct task *task)
{
	struct link *link = container_of(task, struct link, flush);
	struct iovec iov[TRANSPORT_IOV];
	size_t left = outq_bytes(&link->out);
	unsigned int n;

	if (link->ending)
		return;
	if (link->sending) {
		/* Sent lazily: ask for the outcome, this waits behind it. */
		loop_hurry(link->session->loop);
		return;
	}
	n = outq_iov(&link->out, iov, ARRAY_SIZE(iov));
	if (!n) {
		if (link->finishing && link->parted)
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
		loop_hurry(link->session->loop);
}

static void sent(struct transport *t, int res)
{
	struct link *link = t->context;

	link->sending = false;
	/* The device knows, and has the guest ask again. */
	if (res == -EFAULT && outq_repair(&link->out)) {
		log_limited(link->session->complaints, LOG_LEVEL_WARN,
			    "%s: a file became shorter while it was being sent",
			    t->peer);
		res = 0;
	}
	if (res < 0) {
		if (res != -ECANCELED && res != -EPIPE && res != -ECONNRESET)
			log_limited(link->session->complaints, LOG_LEVEL_WARN,
				    "%s: sending failed: %s", t->peer,
				    transport_why(t, res));
		end_later(link);
		return;
	}
	outq_consume(&link->out, (size_t)res);
	if (outq_bytes(&link->out) || link->finishing)
		loop_post(t->loop, &link->flush);
	if (!is_full(link))
		session_drained(link->session);
	receive(link);
}

static void session_sends(struct session *s, const void *head, size_t head_len,
			  struct buf *buf, uint32_t off, uint32_t len)
{
	struct link *link = link_of(s);

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

static void receive(struct link *link)
{
	size_t len;
	bool exact;
	void *p;

	if (link->receiving || link->ending || link->session->failed ||
	    outq_memory(&link->out) > LINK_MAX_UNSENT)
		return;
	p = session_space(link->session, &len, &exact);
	link->receiving = true;
	transport_recv(link->transport, p, len, exact);
}

static void received(struct transport *t, int res)
{
	struct link *link = t->context;

	link->receiving = false;
	if (res <= 0) {
		if (res < 0 && res != -ECANCELED && res != -ECONNRESET)
			log_limited(link->session->complaints, LOG_LEVEL_WARN,
				    "%s: receiving failed: %s", t->peer,
				    transport_why(t, res));
		end_later(link);
		return;
	}
	session_filled(link->session, (size_t)res);
	receive(link);
}

static void transport_closed(struct transport *t)
{
	struct link *link = t->context;

	link->transport = NULL;
	check_ended(link);
}

static const struct transport_user user = {
	.received = received,
	.sent = sent,
	.closed = transport_closed,
};

/* --- The session's events --------------------------------------------------------------- */

static bool session_full(struct session *s)
{
	return is_full(link_of(s));
}

static void session_failed(struct session *s)
{
	end_later(link_of(s));
}

static void session_detached(struct session *s)
{
	struct link *link = link_of(s);

	if (!link->finishing)
		return;
	link->parted = true;
	loop_post(s->loop, &link->flush); /* ends when all has left */
}

static void session_closed(struct session *s)
{
	struct link *link = link_of(s);

	link->session_closed = true;
	check_ended(link);
}

static const struct session_user session_user = {
	.send = session_sends,
	.full = session_full,
	.failed = session_failed,
	.detached = session_detached,
	.closed = session_closed,
};

static void too_late(struct timer *timer)
{
	end(container_of(timer, struct link, deadline));
}

void link_finish(struct link *link)
{
	if (link->finishing || link->ending)
		return;
	link->finishing = true;
	/* One that is paused neither acknowledges nor takes what is left. */
	timer_start(link->session->loop, &link->deadline, LINK_FINISH_MS);
	session_detach(link->session);
}

void link_drop(struct link *link)
{
	end_later(link);
}

int link_create(struct transport *t, struct session *session,
		void (*ended)(struct link *), void *owner, struct link **out)
{
	struct link *link = calloc(1, sizeof(*link));

	if (!link)
		return -ENOMEM;
	list_init(&link->node);
	link->transport = t;
	t->user = &user;
	t->context = link;
	outq_init(&link->out);
	link->out.own = t->copies;
	task_init(&link->flush, flush);
	task_init(&link->end, end_task);
	timer_init(&link->deadline, too_late);
	link->ended = ended;
	link->owner = owner;
	link->session = session;
	session->user = &session_user;
	session->context = link;
	session_start(session);
	receive(link);
	*out = link;
	return 0;
}

void link_free(struct link *link)
{
	link->session->ops->destroy(link->session);
	free(link);
}
