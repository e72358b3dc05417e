// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/remote.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/remote_session.h"
#include "peer/caller.h"
#include "peer/link.h"

/* After an open that was refused. */
#define RETRY_MS 500

struct remote {
	struct usb_device device;
	struct bufpool *pool; /* borrows */
	struct remote_spec spec;
	struct caller caller;
	struct link *link;	    /* NULL: no connection */
	struct remote_session *rs;  /* the link's; NULL: no device */
	void (*stopped)(void *arg); /* NULL: it is to go on */
	void *arg;
	const char *said;    /* see struct remote_session */
	const char *refused; /* why it could not be opened; NULL: it could */
	struct timer retry;  /* of that: it is offered again */
	struct log_limit complaints;
};

static struct remote *remote_of(struct usb_device *device)
{
	return container_of(device, struct remote, device);
}

/* --- What is given ------------------------------------------------------------- */

static int parse_usbip(struct remote_spec *spec, const char *text,
		       const char **why)
{
	const char *slash = strchr(text, '/');
	size_t host = slash ? (size_t)(slash - text) : 0;
	char tcp[300], busid[USBIP_BUSID_SIZE] = { 0 };
	bool has_port;

	*why = "is not usbip://HOST/BUSID (see: usbip list -r HOST)";
	if (!host || host > 260 || strlen(slash + 1) >= sizeof(busid))
		return -EINVAL;
	memcpy(busid, slash + 1, strlen(slash + 1));
	if (usbip_decode_busid(span_of(busid, sizeof(busid)), spec->busid) < 0)
		return -EINVAL;
	has_port = memchr(text, ':', host) && text[host - 1] != ']';
	snprintf(tcp, sizeof(tcp), "tcp:%.*s%s", (int)host, text,
		 has_port ? "" : ":" USBIP_PORT);
	return socket_parse(tcp, &spec->address, why);
}

int remote_parse(struct remote_spec *spec, const char *text, const char **why)
{
	*spec = (struct remote_spec){ 0 };
	snprintf(spec->text, sizeof(spec->text), "%s", text);
	if (!strncmp(text, "usbip://", 8))
		return parse_usbip(spec, text + 8, why);
	return socket_parse(text, &spec->address, why);
}

/* --- The device comes and goes ---------------------------------------------------- */

static void present(struct remote_session *rs)
{
	struct remote *r = rs->owner;

	r->rs = rs;
	r->said = r->refused = NULL;
	snprintf(r->device.name, sizeof(r->device.name), "%.80s (%04x:%04x)",
		 r->spec.text, rs->info.vendor, rs->info.product);
	log_limited(&r->device.comings, LOG_LEVEL_INFO, "%s: it is there",
		    r->device.name);
	usb_set_absent(&r->device, false);
}

static void changed(struct remote_session *rs)
{
	struct remote *r = rs->owner;

	if (r->device.state == USB_DEVICE_OPEN)
		r->device.info = rs->info;
}

static void absent(struct remote_session *rs)
{
	struct remote *r = rs->owner;

	r->rs = NULL;
	log_limited(&r->device.comings, LOG_LEVEL_INFO, "%s: it has gone",
		    r->device.name);
	if (r->device.state == USB_DEVICE_OPEN)
		usb_leave(&r->device);
	else
		usb_set_absent(&r->device, true);
}

static const struct remote_session_user session_user = {
	.present = present,
	.changed = changed,
	.absent = absent,
};

void remote_session_present(struct remote_session *rs)
{
	rs->here = true;
	rs->user->present(rs);
}

void remote_session_changed(struct remote_session *rs)
{
	if (rs->here)
		rs->user->changed(rs);
}

void remote_session_absent(struct remote_session *rs)
{
	if (!rs->here)
		return;
	rs->here = false;
	rs->ops->abandon(rs);
	rs->user->absent(rs);
}

void remote_session_fail(struct remote_session *rs, const char *why)
{
	if (rs->base.failed)
		return;
	if (*rs->said != why)
		log_limited(rs->base.complaints, LOG_LEVEL_WARN,
			    "%s: %s; closing the connection, and trying again",
			    rs->base.peer, why);
	*rs->said = why;
	session_fail(&rs->base);
}

bool remote_session_full(struct remote_session *rs)
{
	return rs->base.user->full(&rs->base);
}

/* --- The connection ----------------------------------------------------------------- */

/* It is to be called again. */
static void again(struct remote *r, bool good)
{
	if (r->spec.address.text[0])
		caller_again(&r->caller, good);
}

static void link_ended(struct link *link)
{
	struct remote *r = link->owner;
	bool good = link->session->greeted && !link->session->failed;

	link_free(link);
	r->link = NULL;
	if (r->stopped)
		r->stopped(r->arg);
	else
		again(r, good);
}

/* Takes t. */
static void use(struct remote *r, struct transport *t)
{
	struct remote_session *rs;
	int ret = *r->spec.busid
			  ? remote_usbip_create(t->loop, r->pool,
						&r->complaints, t->peer,
						r->spec.busid, &rs)
			  : remote_redir_create(t->loop, r->pool,
						&r->complaints, t->peer, &rs);

	if (!ret) {
		rs->user = &session_user;
		rs->owner = r;
		rs->said = &r->said;
		ret = link_create(t, &rs->base, link_ended, r, &r->link);
		if (ret < 0)
			rs->base.ops->destroy(&rs->base);
	}
	if (ret < 0) {
		log_err("%s: out of memory", r->spec.text);
		transport_close(t);
		again(r, false);
	}
}

static void connected(struct caller *c, struct transport *t)
{
	use(container_of(c, struct remote, caller), t);
}

void remote_adopt(struct usb_device *device, struct transport *t)
{
	use(remote_of(device), t);
}

/* --- The device ------------------------------------------------------------------------ */

static bool is_here(const struct remote *r)
{
	return r->rs && r->rs->here;
}

static bool remote_describe(struct usb_device *device, struct usb_info *info)
{
	struct remote *r = remote_of(device);

	if (r->rs)
		*info = r->rs->info;
	return r->rs;
}

static void try_again(struct timer *timer)
{
	struct remote *r = container_of(timer, struct remote, retry);

	if (is_here(r) && r->device.state == USB_DEVICE_FREE)
		usb_set_absent(&r->device, false);
}

/* Of a device that is there: offered again later, perhaps to somebody else. */
static void refuse_open(struct remote *r, int error, const char *why)
{
	r->device.told = r->refused == why;
	r->refused = why;
	snprintf(r->device.why, sizeof(r->device.why), "%s", why);
	timer_start(r->device.loop, &r->retry, RETRY_MS);
	usb_opened(&r->device, error);
}

static void remote_open(struct usb_device *device, enum usb_speed max_speed)
{
	struct remote *r = remote_of(device);

	if (!is_here(r)) {
		usb_opened(device, -ENODEV);
	} else if (r->rs->info.speed > max_speed) {
		refuse_open(
			r, -EPROTONOSUPPORT,
			"it is a super-speed device, and the guest takes none (it lacks capabilities of usbredir)");
	} else if (remote_session_full(r->rs)) {
		/* What the last one has left behind waits for it still. */
		refuse_open(r, -EBUSY, "its host takes nothing");
	} else {
		r->refused = NULL;
		device->info = r->rs->info;
		usb_opened(device, 0);
	}
}

static void remote_close(struct usb_device *device)
{
	struct remote *r = remote_of(device);

	if (r->rs)
		r->rs->ops->abandon(r->rs);
	usb_closed(device);
}

static int remote_submit(struct usb_device *device, struct urb *urb)
{
	struct remote *r = remote_of(device);

	return is_here(r) ? r->rs->ops->submit(r->rs, urb) : -ESHUTDOWN;
}

static void remote_cancel(struct usb_device *device, struct urb *urb)
{
	struct remote *r = remote_of(device);

	if (is_here(r))
		r->rs->ops->cancel(r->rs, urb);
}

static void remote_admin(struct usb_device *device, struct usb_admin *admin)
{
	struct remote *r = remote_of(device);

	if (is_here(r))
		r->rs->ops->admin(r->rs, admin);
	else
		usb_admin_complete(admin, -ESHUTDOWN);
}

static void remote_destroy(struct usb_device *device)
{
	free(remote_of(device));
}

static const struct usb_device_ops remote_ops = {
	.name = "remote",
	.describe = remote_describe,
	.open = remote_open,
	.close = remote_close,
	.submit = remote_submit,
	.cancel = remote_cancel,
	.admin = remote_admin,
	.destroy = remote_destroy,
};

static void rested(struct caller *c)
{
	struct remote *r = container_of(c, struct remote, caller);

	r->stopped(r->arg);
}

int remote_create(struct loop *loop, struct bufpool *pool,
		  struct worker *worker, const struct remote_spec *spec,
		  struct tls_context *tls, struct usb_device **device)
{
	struct remote *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	usb_device_init(&r->device, &remote_ops, loop, spec->text);
	r->device.absent = true;
	r->device.own_speed = true;
	r->pool = pool;
	r->spec = *spec;
	timer_init(&r->retry, try_again);
	caller_init(&r->caller, loop, worker, &spec->address, tls, connected,
		    rested);
	if (spec->address.text[0])
		caller_start(&r->caller);
	*device = &r->device;
	return 0;
}

void remote_stop(struct usb_device *device, void (*stopped)(void *arg),
		 void *arg)
{
	struct remote *r = remote_of(device);

	r->stopped = stopped;
	r->arg = arg;
	timer_stop(&r->retry);
	if (caller_stop(&r->caller))
		return;
	if (r->link)
		link_finish(r->link);
	else
		stopped(arg);
}
