/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the guest asks of the device, for redir.c: transfers are URBs, and
 * requests that change the device go to the hub as what they are.
 */
#ifndef FRONTEND_REDIR_TRANSFER_H
#define FRONTEND_REDIR_TRANSFER_H

#include "frontend/redir.h"

/* A control, bulk or interrupt packet is whole. Takes payload. */
void redir_transfer_packet(struct redir_session *s,
			   const struct usbredir_msg *msg, struct buf *payload);
/* Reset, configurations, alternate settings, bulk streams. */
void redir_transfer_admin(struct redir_session *s,
			  const struct usbredir_msg *msg);
void redir_transfer_cancel(struct redir_session *s, uint64_t id);

/* The bulk data that is to come: is it within what the peer may have? 0,
 * REDIR_EARLY, or -errno. */
int must_check redir_transfer_admit(struct redir_session *s,
				    const struct usbredir_msg *msg);
/* Of early data: it begins (takes payload), and have bytes are there. */
void redir_transfer_early(struct redir_session *s,
			  const struct usbredir_msg *msg, struct buf *payload);
void redir_transfer_arrived(struct redir_session *s, uint32_t have);
/* The packet's data was not taken. */
void redir_transfer_refuse(struct redir_session *s,
			   const struct usbredir_msg *msg, int error);

/* Nobody waits for answers, or for what comes by itself, any more. */
void redir_transfer_forget(struct redir_session *s);

#endif
