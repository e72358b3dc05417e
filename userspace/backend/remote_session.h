/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the protocols have in common by which a device elsewhere is reached: a
 * session in which we are the usb-guest of somebody else's host.
 */
#ifndef BACKEND_REMOTE_SESSION_H
#define BACKEND_REMOTE_SESSION_H

#include "peer/session.h"
#include "usb/device.h"

struct remote_session;

/* What a protocol implements. */
struct remote_session_ops {
	/* As those of struct usb_device_ops; only while there is a device. */
	int (*submit)(struct remote_session *rs, struct urb *urb);
	void (*cancel)(struct remote_session *rs, struct urb *urb);
	void (*admin)(struct remote_session *rs, struct usb_admin *admin);
	/* Completes all that it has taken, now, with -ESHUTDOWN; what the host
	 * says of it later is dropped. */
	void (*abandon)(struct remote_session *rs);
};

/* What the device implements. */
struct remote_session_user {
	/* The device is there; rs->info says what it is. */
	void (*present)(struct remote_session *rs);
	/* rs->info is another now. */
	void (*changed)(struct remote_session *rs);
	/* It has gone, and nothing is in flight. The session goes on. */
	void (*absent)(struct remote_session *rs);
};

struct remote_session {
	struct session base;
	const struct remote_session_ops *ops;
	const struct remote_session_user *user;
	void *owner; /* the user's */
	bool here;   /* present has run, and absent has not */
	/* The user's: why the last session failed; not said again. */
	const char **said;
	struct usb_info info;
};

/* For protocols: tells the user, once. */
void remote_session_present(struct remote_session *rs);
/* Before the request is answered that has changed the device. */
void remote_session_changed(struct remote_session *rs);
void remote_session_absent(struct remote_session *rs);

/* For protocols: logs why, which is static, and ends the session. */
void remote_session_fail(struct remote_session *rs, const char *why);

/* The host does not take what is sent: what has no answer, and so no bound of
 * its own, has to be refused or dropped. */
bool remote_session_full(struct remote_session *rs);

/* A usbredir host's device. Borrows all; peer is copied. -ENOMEM. */
int must_check remote_redir_create(struct loop *loop, struct bufpool *pool,
				   struct log_limit *complaints,
				   const char *peer,
				   struct remote_session **rs);

/* The device busid of a usbip server, which is copied. */
int must_check remote_usbip_create(struct loop *loop, struct bufpool *pool,
				   struct log_limit *complaints,
				   const char *peer, const char *busid,
				   struct remote_session **rs);

#endif
