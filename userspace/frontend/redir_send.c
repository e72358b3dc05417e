// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_send.h"

#include <assert.h>
#include <string.h>

#include "core/outq.h"
#include "frontend/redir_describe.h"

void redir_fail(struct redir_session *s, const char *why)
{
	if (s->base.failed)
		return;
	log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
		    "%s: %s; closing the connection", s->base.peer, why);
	session_fail(&s->base);
}

void redir_send_data(struct redir_session *s, struct usbredir_msg *msg,
		     struct buf *buf, uint32_t off)
{
	uint8_t head[USBREDIR_MAX_HEAD];
	size_t len;

	len = usbredir_encode(msg, s->caps, head);
	if (len > OUTQ_HEAD) { /* only messages without payload are so long */
		assert(!buf);
		buf = bufpool_get(s->base.pool, len);
		if (!buf) {
			redir_fail(s, "out of memory");
			return;
		}
		memcpy(buf->data, head, len);
		session_send(&s->base, NULL, 0, buf, 0, (uint32_t)len);
		return;
	}
	session_send(&s->base, head, len, buf, off, msg->data_len);
}

void redir_send_msg(struct redir_session *s, struct usbredir_msg *msg)
{
	msg->data_len = 0;
	redir_send_data(s, msg, NULL, 0);
}

void redir_send_hello(struct redir_session *s)
{
	struct buf *buf = bufpool_get(s->base.pool, USBREDIR_HELLO_SIZE);
	size_t len;

	if (!buf) {
		redir_fail(s, "out of memory");
		return;
	}
	len = usbredir_encode_hello("ryll-bridge " RYLL_VERSION, REDIR_CAPS,
				    buf->data);
	session_send(&s->base, NULL, 0, buf, 0, (uint32_t)len);
}

void redir_send_endpoints(struct redir_session *s)
{
	struct usbredir_msg msg;

	redir_describe_endpoints(&s->device->info, &msg);
	redir_send_msg(s, &msg);
	redir_describe_interfaces(&s->device->info, &msg);
	redir_send_msg(s, &msg);
}

void redir_send_device(struct redir_session *s)
{
	struct usbredir_msg msg;

	redir_describe_device(&s->device->info, &msg);
	redir_send_msg(s, &msg);
}
