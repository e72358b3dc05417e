// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/redir_send.h"

#include <assert.h>
#include <string.h>

#include "core/outq.h"
#include "frontend/redir_describe.h"

void redir_fail(struct redir_session *s, const char *why)
{
	if (s->failed)
		return;
	log_limited(&s->registry->complaints, LOG_LEVEL_WARN,
		    "%s: %s; closing the connection", s->peer, why);
	s->failed = true;
	redir_parser_stop(&s->parser);
	s->ops->failed(s);
}

void redir_send_data(struct redir_session *s, struct usbredir_msg *msg,
		     struct buf *buf, uint32_t off)
{
	uint8_t head[USBREDIR_MAX_HEAD];
	size_t len;

	if (s->closing) {
		buf_put(buf);
		return;
	}
	len = usbredir_encode(msg, s->caps, head);
	if (len > OUTQ_HEAD) { /* only messages without payload are so long */
		assert(!buf);
		buf = bufpool_get(s->pool, len);
		if (!buf) {
			redir_fail(s, "out of memory");
			return;
		}
		memcpy(buf->data, head, len);
		s->ops->send(s, NULL, 0, buf, 0, (uint32_t)len);
		return;
	}
	s->ops->send(s, head, len, buf, off, msg->data_len);
}

void redir_send_msg(struct redir_session *s, struct usbredir_msg *msg)
{
	msg->data_len = 0;
	redir_send_data(s, msg, NULL, 0);
}

void redir_send_hello(struct redir_session *s)
{
	struct usbredir_msg msg = { .type = USBREDIR_HELLO, .data_len = 4 };
	struct span_writer w;
	struct buf *buf = bufpool_get(s->pool, USBREDIR_MAX_HEAD);
	uint8_t head[USBREDIR_MAX_HEAD];

	if (!buf) {
		redir_fail(s, "out of memory");
		return;
	}
	memcpy(msg.hello.version, "ryll-bridge " RYLL_VERSION,
	       MIN(sizeof("ryll-bridge " RYLL_VERSION),
		   sizeof(msg.hello.version) - 1));
	w = span_writer_of(buf->data, USBREDIR_MAX_HEAD);
	span_put(&w, head, usbredir_encode(&msg, 0, head));
	span_put_le(&w, REDIR_CAPS, 4);
	s->ops->send(s, NULL, 0, buf, 0, (uint32_t)w.len);
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
