/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a session says, for redir.c: messages on their way to ops->send. A
 * session that is closing says nothing any more.
 */
#ifndef FRONTEND_REDIR_SEND_H
#define FRONTEND_REDIR_SEND_H

#include "frontend/redir.h"

/* Gives the stream up, logs why, tells the owner; once. */
void redir_fail(struct redir_session *s, const char *why);

/* Takes buf; msg->data_len bytes at off of it follow the message. */
void redir_send_data(struct redir_session *s, struct usbredir_msg *msg,
		     struct buf *buf, uint32_t off);
/* A message without payload. */
void redir_send_msg(struct redir_session *s, struct usbredir_msg *msg);

void redir_send_hello(struct redir_session *s);
/* ep_info and interface_info: what the guest must know of the device now. */
void redir_send_endpoints(struct redir_session *s);
/* device_connect */
void redir_send_device(struct redir_session *s);

#endif
