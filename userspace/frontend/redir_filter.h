/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Filters of a session, ours and the guest's, for redir.c. Ours are told to
 * the guest. The guest's, when they are there in time, save it a device that
 * it would reject; a guest may also reject one that it has heard of. Either
 * way the session does not take that device again: it goes on to others.
 */
#ifndef FRONTEND_REDIR_FILTER_H
#define FRONTEND_REDIR_FILTER_H

#include "frontend/redir.h"

/* Both hellos are known: sends registry->filter, if the guest has filters and
 * is not QEMU, which would crash. */
void redir_filter_send(struct redir_session *s);

/* The guest's filter_filter: len bytes. */
void redir_filter_take(struct redir_session *s, const uint8_t *text,
		       uint32_t len);

/* Would the guest take s->device, just opened? Logs why not. */
bool redir_filter_allows(const struct redir_session *s);

/* s->device is not for this guest, before it has been away. False: it has had too many of them. */
bool redir_filter_remember(struct redir_session *s);

/* registry_waiter.declines: one that is remembered. */
bool redir_filter_declines(const struct registry_waiter *waiter,
			   const struct usb_device *device);

#endif
