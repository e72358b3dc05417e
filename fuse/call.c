// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The way from a thread of the session to the loop.
 */
#include <stdlib.h>

#include "fuse/session.h"

struct call *call_new(fuse_req_t req, fuse_ino_t ino,
		      void (*run)(struct mail *mail))
{
	struct call *call = calloc(1, sizeof(*call));

	if (!call) {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	call->mail.run = run;
	call->export = export_of(req);
	call->req = req;
	call->ino = ino;
	if (ino != FUSE_ROOT_ID)
		call->disk = export_disk_of(req, ino);
	return call;
}

void call_send(struct call *call)
{
	__atomic_add_fetch(&call->export->calls, 1, __ATOMIC_RELAXED);
	mailbox_send(&call->export->mailbox, &call->mail);
}

void call_end(struct call *call)
{
	__atomic_sub_fetch(&call->export->calls, 1, __ATOMIC_RELAXED);
	free(call->data);
	free(call);
}

void call_loop(fuse_req_t req, fuse_ino_t ino, void (*run)(struct mail *mail))
{
	struct call *call = call_new(req, ino, run);

	if (call)
		call_send(call);
}
