// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/dial.h"

#include <stdio.h>
#include <string.h>

#include "transport/capture.h"

/* --- Access ------------------------------------------------------------------------- */

static unsigned int port_of(const struct spice_server *server)
{
	return server->tls_port ? server->tls_port : server->port;
}

static bool by_proxy(const struct spice_server *server)
{
	return server->proxy && !server->unix_path;
}

static int find_address(struct spice_access *a, const char **why)
{
	const struct spice_server *s = a->server;
	bool v6 = s->host && strchr(s->host, ':') && !by_proxy(s);
	char text[sizeof(a->address.text) + 32];

	*why = "is a unix socket, which has no TLS: leave the TLS port out";
	if (s->unix_path && s->tls_port)
		return -EINVAL;
	if (s->unix_path) {
		snprintf(text, sizeof(text), "unix:%s", s->unix_path);
		return socket_parse(text, &a->address, why);
	}
	*why = "has no host";
	if (!s->host)
		return -EINVAL;
	*why = "has no port: give it, or --tls-port";
	if (!port_of(s))
		return -EINVAL;
	if (by_proxy(s)) {
		int ret = proxy_parse(s->proxy, &a->proxy, why);

		a->address = a->proxy.address;
		return ret;
	}
	*why = "has a host name that is too long";
	if ((size_t)snprintf(text, sizeof(text),
			     v6 ? "tcp:[%s]:%u" : "tcp:%s:%u", s->host,
			     port_of(s)) >= sizeof(a->address.text))
		return -EINVAL;
	return socket_parse(text, &a->address, why);
}

static void choose_name(struct spice_access *a)
{
	const struct spice_server *s = a->server;

	if (s->title)
		snprintf(a->name, sizeof(a->name), "%s", s->title);
	else if (s->unix_path)
		snprintf(a->name, sizeof(a->name), "unix:%s", s->unix_path);
	else
		snprintf(a->name, sizeof(a->name), "%s:%u",
			 s->host ? s->host : "", port_of(s));
	for (char *p = a->name; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
}

int spice_access_init(struct spice_access *a, struct loop *loop,
		      struct worker *worker, const struct spice_server *server,
		      const char *capture, char *why, size_t size)
{
	const struct tls_options tls = { .ca = server->ca,
					 .ca_file = server->ca_file,
					 .subject = server->subject,
					 .host = server->host };
	const char *text;
	int ret;

	*a = (struct spice_access){ .loop = loop,
				    .worker = worker,
				    .server = server,
				    .capture = capture };
	a->credentials = (struct spice_credentials){
		.password = server->password ? server->password : "",
		.username = server->username,
		.host = server->host,
		.secured = server->tls_port,
	};
	choose_name(a);
	ret = find_address(a, &text);
	if (ret < 0) {
		snprintf(why, size, "%s", text);
	} else if (strlen(a->credentials.password) > SPICE_MAX_PASSWORD &&
		   !server->username) {
		snprintf(
			why, size,
			"has a password of more than %d characters, which SPICE cannot have",
			SPICE_MAX_PASSWORD);
		ret = -EINVAL;
	} else if (a->credentials.secured) {
		ret = tls_context_create(&tls, &a->tls, why, size);
	}
	if (ret < 0)
		spice_access_fini(a);
	return ret;
}

void spice_access_fini(struct spice_access *a)
{
	tls_context_destroy(a->tls);
	a->tls = NULL;
	proxy_fini(&a->proxy);
}

/* --- Dialing ------------------------------------------------------------------------- */

static void end(struct spice_dialer *d, struct transport *t,
		const struct spice_channel_link *link, int status,
		const char *why)
{
	timer_stop(&d->deadline);
	d->busy = false;
	d->step = NULL;
	if (d->late && status == -ECANCELED) {
		status = -ETIMEDOUT;
		why = "it does not answer";
	}
	d->connected(d, t, link, status, why);
}

/* Closes t, which nobody uses. */
static void give_up(struct spice_dialer *d, struct transport *t, int status)
{
	transport_close(t);
	end(d, NULL, NULL, status, strerror(-status));
}

static void linked(struct transport_step *step, struct transport *t, int status,
		   const char *why)
{
	struct spice_dialer *d = step->owner;
	const struct spice_link_result *result = spice_link_result(step);
	struct spice_channel_link link = { .type = d->request.type,
					   .id = d->request.id,
					   .mini = result->mini,
					   .caps = result->caps };

	/* It does not understand us, wants TLS or wants none. */
	if (result->error >= SPICE_LINK_INVALID_MAGIC &&
	    result->error <= SPICE_LINK_NEED_UNSECURED)
		status = -EPROTO;
	end(d, t, &link, status, why);
}

static int capture(struct spice_dialer *d, struct transport **t)
{
	char name[64];

	if (!d->access->capture)
		return 0;
	snprintf(name, sizeof(name), "spice-%s-%u",
		 spice_channel_name(d->request.type), d->request.id);
	return capture_create(*t, d->access->capture, name,
			      port_of(d->access->server), t);
}

static void start_link(struct spice_dialer *d, struct transport *t)
{
	int ret = capture(d, &t);

	if (!ret)
		ret = spice_link_start(t, &d->request, &d->access->credentials,
				       linked, d, &d->step);
	if (ret < 0)
		give_up(d, t, ret);
}

/* A step has ended: what comes next, with the transport that it has left. */
static void go_on(struct transport_step *step, struct transport *t, int status,
		  const char *why,
		  void (*next)(struct spice_dialer *, struct transport *))
{
	struct spice_dialer *d = step->owner;

	d->step = NULL;
	if (status < 0)
		end(d, NULL, NULL, status, why);
	else
		next(d, t);
}

static void secured(struct transport_step *step, struct transport *t,
		    int status, const char *why)
{
	go_on(step, t, status, why, start_link);
}

static void start_tls(struct spice_dialer *d, struct transport *t)
{
	int ret;

	if (!d->access->tls) {
		start_link(d, t);
		return;
	}
	ret = tls_start(d->access->tls, t, secured, d, &d->step);
	if (ret < 0)
		give_up(d, t, ret);
}

static void through(struct transport_step *step, struct transport *t,
		    int status, const char *why)
{
	go_on(step, t, status, why, start_tls);
}

static void connected(struct socket_dialer *socket, struct transport *t,
		      int status, const char *why)
{
	struct spice_dialer *d =
		container_of(socket, struct spice_dialer, socket);
	const struct spice_server *server = d->access->server;

	if (status < 0) {
		end(d, NULL, NULL, status, why);
		return;
	}
	timer_start(d->access->loop, &d->deadline, SPICE_LINK_MS);
	if (!by_proxy(server)) {
		start_tls(d, t);
		return;
	}
	status = proxy_start(&d->access->proxy, t, server->host,
			     port_of(server), through, d, &d->step);
	if (status < 0)
		give_up(d, t, status);
}

static void deadline(struct timer *timer)
{
	struct spice_dialer *d =
		container_of(timer, struct spice_dialer, deadline);

	d->late = true;
	(void)spice_dialer_cancel(d);
}

void spice_dialer_init(struct spice_dialer *d,
		       const struct spice_access *access,
		       void (*done)(struct spice_dialer *, struct transport *,
				    const struct spice_channel_link *, int,
				    const char *))
{
	*d = (struct spice_dialer){ .access = access, .connected = done };
	timer_init(&d->deadline, deadline);
}

void spice_dial(struct spice_dialer *d, const struct spice_link *request)
{
	const struct spice_access *a = d->access;

	d->busy = true;
	d->late = false;
	d->request = *request;
	socket_dialer_init(&d->socket, a->loop, a->worker, &a->address,
			   connected);
	timer_start(a->loop, &d->deadline, SPICE_LINK_MS);
	socket_dial(&d->socket);
}

bool spice_dialer_cancel(struct spice_dialer *d)
{
	if (!d->busy)
		return true;
	if (!d->step)
		return socket_dialer_cancel(&d->socket);
	d->step->cancel(d->step);
	return true;
}
