// SPDX-License-Identifier: GPL-2.0-or-later
#include "transport/socket.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

/* A whole 1 MiB reply fits: it leaves in one call. The kernel doubles it. */
#define SEND_BUFFER (2 << 20)

#define BACKLOG 128
#define ACCEPT_RETRY_MS 1000

/*
 * The kernel takes a moment to close the listening socket of a process that
 * was killed with requests on its ring: a restarted bridge waits that long
 * before it believes that somebody else is there.
 */
#define GOING_WAIT_MS 1000
#define GOING_POLL_MS 100

/* A peer that vanished from an idle connection is noticed after 30 + 3 * 10
 * seconds; one that owes us acknowledgements when TCP gives up. */
#define KEEP_IDLE 30
#define KEEP_INTERVAL 10
#define KEEP_COUNT 3

/* --- Addresses ------------------------------------------------------------------ */

static int parse_unix(const char *path, struct socket_address *a,
		      const char **why)
{
	a->is_unix = true;
	a->sun.sun_family = AF_UNIX;
	if (!*path) {
		*why = "has no path; write unix:PATH";
		return -EINVAL;
	}
	if (strlen(path) >= sizeof(a->sun.sun_path)) {
		*why = "has a path longer than 107 bytes, more than a unix socket can have";
		return -EINVAL;
	}
	strcpy(a->sun.sun_path, path);
	return 0;
}

static bool port_valid(const char *port)
{
	unsigned int n = 0;

	for (const char *p = port; *p; p++) {
		if (*p < '0' || *p > '9')
			return false;
		n = n * 10 + (unsigned int)(*p - '0');
		if (n > 65535)
			return false;
	}
	return *port && n;
}

static int parse_tcp(const char *text, struct socket_address *a,
		     const char **why)
{
	const char *colon = strrchr(text, ':');
	const char *host = text;
	size_t len;

	*why = "is not tcp:HOST:PORT (or tcp:[ADDRESS]:PORT)";
	if (!colon || colon == text)
		return -EINVAL;
	len = (size_t)(colon - text);
	if (host[0] == '[') {
		if (len < 3 || host[len - 1] != ']')
			return -EINVAL;
		host++;
		len -= 2;
	} else if (memchr(host, ':', len)) {
		*why = "has an IPv6 address without brackets; write tcp:[ADDRESS]:PORT";
		return -EINVAL;
	}
	if (len >= sizeof(a->host))
		return -EINVAL;
	memcpy(a->host, host, len);
	a->host[len] = '\0';
	if (!port_valid(colon + 1)) {
		*why = "has no port between 1 and 65535";
		return -EINVAL;
	}
	snprintf(a->port, sizeof(a->port), "%s", colon + 1);
	return 0;
}

int socket_parse(const char *text, struct socket_address *a, const char **why)
{
	*a = (struct socket_address){ 0 };
	snprintf(a->text, sizeof(a->text), "%s", text);
	if (!strncmp(text, "unix:", 5))
		return parse_unix(text + 5, a, why);
	if (!strncmp(text, "tcp:", 4))
		return parse_tcp(text + 4, a, why);
	*why = "is neither unix:PATH nor tcp:HOST:PORT";
	return -EINVAL;
}

bool socket_is_local(const struct socket_address *a)
{
	struct in6_addr six;
	struct in_addr four;

	if (a->is_unix || !strcmp(a->host, "localhost"))
		return true;
	if (inet_pton(AF_INET, a->host, &four) == 1)
		return ntohl(four.s_addr) >> 24 == 127;
	return inet_pton(AF_INET6, a->host, &six) == 1 &&
	       IN6_IS_ADDR_LOOPBACK(&six);
}

static int resolve(const struct socket_address *a, int flags,
		   struct addrinfo **found)
{
	struct addrinfo hints = {
		.ai_family = AF_UNSPEC,
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_NUMERICSERV | flags,
	};

	return getaddrinfo(a->host, a->port, &hints, found);
}

/* --- A connected socket ------------------------------------------------------------ */

static void set_int(int fd, int level, int name, int value)
{
	/* An optimisation each: the connection works without. */
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

static void tune(int fd, bool is_unix)
{
	int size = SEND_BUFFER;

	if (is_unix) {
		/* Beyond the limit of net.core.wmem_max only with privilege.
		 * TCP sizes its buffer by itself, better than we could. */
		if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size,
			       sizeof(size)) < 0)
			set_int(fd, SOL_SOCKET, SO_SNDBUF, size);
		return;
	}
	set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
	set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, KEEP_IDLE);
	set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, KEEP_INTERVAL);
	set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, KEEP_COUNT);
}

static void peer_name(int fd, const struct socket_address *a, char *out,
		      size_t size)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	char host[NI_MAXHOST], port[NI_MAXSERV];

	if (!a->is_unix && !getpeername(fd, (struct sockaddr *)&ss, &len) &&
	    !getnameinfo((struct sockaddr *)&ss, len, host, sizeof(host), port,
			 sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV))
		snprintf(out, size,
			 strchr(host, ':') ? "tcp:[%s]:%s" : "tcp:%s:%s", host,
			 port);
	else
		snprintf(out, size, "%.120s", a->text);
}

static int make_transport(struct loop *loop, int fd,
			  const struct socket_address *a, struct transport **t)
{
	char peer[128];

	tune(fd, a->is_unix);
	peer_name(fd, a, peer, sizeof(peer));
	return transport_over_fds(loop, fd, fd, peer, t);
}

/* --- Listening ------------------------------------------------------------------------ */

static void start_accept(struct socket_listener *l)
{
	op_accept(l->loop, &l->accept, l->fd);
}

static void retry_accept(struct timer *timer)
{
	start_accept(container_of(timer, struct socket_listener, retry));
}

static void accept_done(struct op *op, int res)
{
	struct socket_listener *l =
		container_of(op, struct socket_listener, accept);
	struct transport *t;

	if (l->fd < 0) {
		if (res >= 0)
			close(res);
		return;
	}
	if (res < 0 && res != -ECONNABORTED && res != -EINTR) {
		log_err("%s: cannot accept a connection: %s; trying again every second",
			l->address.text, strerror(-res));
		timer_start(l->loop, &l->retry, ACCEPT_RETRY_MS);
		return;
	}
	if (res >= 0 && !make_transport(l->loop, res, &l->address, &t))
		l->accepted(l, t);
	if (l->fd >= 0)
		start_accept(l);
}

/* True when nobody listens on the socket any more. */
static bool is_stale(const struct sockaddr_un *sun)
{
	bool stale;
	int fd;

	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	stale = connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0 &&
		errno == ECONNREFUSED;
	close(fd);
	return stale;
}

static void remove_stale(const struct sockaddr_un *sun)
{
	struct stat st;

	for (int ms = 0; ms < GOING_WAIT_MS; ms += GOING_POLL_MS) {
		if (lstat(sun->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
			return;
		if (is_stale(sun)) {
			unlink(sun->sun_path);
			return;
		}
		usleep(GOING_POLL_MS * 1000);
	}
}

static int listen_unix(struct socket_listener *l, const char **why)
{
	const struct sockaddr_un *sun = &l->address.sun;
	int ret = 0;

	remove_stale(sun);
	l->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0 ||
	    bind(l->fd, (const struct sockaddr *)sun, sizeof(*sun)) < 0) {
		ret = -errno;
		*why = ret == -EADDRINUSE
			       ? "exists already; another program listens there, or it is a file: remove it or choose another path"
			       : strerror(-ret);
		return ret;
	}
	l->created = true;
	if (listen(l->fd, BACKLOG) < 0) {
		ret = -errno;
		*why = strerror(-ret);
	}
	return ret;
}

/* Binds and listens: two sockets may bind to a port, one listens to it. */
static int listen_at(struct socket_listener *l, const struct addrinfo *ai)
{
	int ret = 0;

	l->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (l->fd < 0)
		return -errno;
	set_int(l->fd, SOL_SOCKET, SO_REUSEADDR, 1);
	if (bind(l->fd, ai->ai_addr, ai->ai_addrlen) < 0 ||
	    listen(l->fd, BACKLOG) < 0) {
		ret = -errno;
		close(l->fd);
		l->fd = -1;
	}
	return ret;
}

static int listen_tcp(struct socket_listener *l, const char **why)
{
	struct addrinfo *found = NULL;
	int ret = resolve(&l->address, AI_PASSIVE, &found);

	if (ret) {
		*why = gai_strerror(ret);
		return -EADDRNOTAVAIL;
	}
	ret = -EADDRNOTAVAIL;
	for (struct addrinfo *ai = found; ai && ret < 0; ai = ai->ai_next) {
		ret = listen_at(l, ai);
		for (int ms = 0; ret == -EADDRINUSE && ms < GOING_WAIT_MS;
		     ms += GOING_POLL_MS) {
			usleep(GOING_POLL_MS * 1000);
			ret = listen_at(l, ai);
		}
	}
	freeaddrinfo(found);
	if (ret == -EADDRINUSE)
		*why = "another program listens there: choose another port";
	else if (ret < 0)
		*why = strerror(-ret);
	return ret;
}

int socket_listen(struct socket_listener *l, struct loop *loop,
		  const struct socket_address *address,
		  void (*accepted)(struct socket_listener *,
				   struct transport *),
		  const char **why)
{
	int ret;

	*l = (struct socket_listener){ .loop = loop,
				       .address = *address,
				       .fd = -1,
				       .accepted = accepted };
	op_init(&l->accept, accept_done);
	timer_init(&l->retry, retry_accept);
	ret = address->is_unix ? listen_unix(l, why) : listen_tcp(l, why);
	if (ret < 0) {
		if (l->fd >= 0)
			close(l->fd);
		if (l->created)
			unlink(address->sun.sun_path);
		return ret;
	}
	start_accept(l);
	return 0;
}

void socket_listener_close(struct socket_listener *l)
{
	int fd = l->fd;

	if (fd < 0)
		return;
	l->fd = -1;
	timer_stop(&l->retry);
	op_cancel(l->loop, &l->accept);
	/* Now, not when the ring lets go of it: its port is free for the next. */
	shutdown(fd, SHUT_RDWR);
	close(fd);
	if (l->created)
		unlink(l->address.sun.sun_path);
}

/* --- Connecting -------------------------------------------------------------------------- */

static void dial_end(struct socket_dialer *d, int status, const char *why)
{
	struct transport *t = NULL;

	if (d->found)
		freeaddrinfo(d->found);
	d->found = d->next = NULL;
	d->busy = false;
	if (!status && d->cancelled)
		status = -ECANCELED;
	if (!status) {
		int fd = d->fd;

		d->fd = -1;
		status = make_transport(d->loop, fd, &d->address, &t);
	}
	if (d->fd >= 0) {
		close(d->fd);
		d->fd = -1;
	}
	d->connected(d, t, status,
		     why      ? why
		     : status ? strerror(-status)
			      : NULL);
}

static void try_next(struct socket_dialer *d, int last)
{
	struct addrinfo *ai = d->next;

	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	if (!ai || d->cancelled) {
		dial_end(d, d->cancelled ? -ECANCELED : last, NULL);
		return;
	}
	d->next = ai->ai_next;
	d->fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d->fd < 0) {
		try_next(d, -errno);
		return;
	}
	op_connect(d->loop, &d->connect, d->fd, ai->ai_addr, ai->ai_addrlen);
}

static void connect_done(struct op *op, int res)
{
	struct socket_dialer *d =
		container_of(op, struct socket_dialer, connect);

	if (!res || d->address.is_unix)
		dial_end(d, res, NULL);
	else
		try_next(d, res);
}

static void resolve_work(struct worker_job *job)
{
	struct socket_dialer *d = container_of(job, struct socket_dialer, job);

	d->gai = resolve(&d->address, 0, &d->found);
}

static void resolve_done(struct worker_job *job)
{
	struct socket_dialer *d = container_of(job, struct socket_dialer, job);

	d->resolving = false;
	if (d->gai) {
		d->found = NULL;
		dial_end(d, -EHOSTUNREACH, gai_strerror(d->gai));
		return;
	}
	d->next = d->found;
	try_next(d, -EHOSTUNREACH);
}

void socket_dialer_init(struct socket_dialer *d, struct loop *loop,
			struct worker *worker,
			const struct socket_address *address,
			void (*connected)(struct socket_dialer *,
					  struct transport *, int,
					  const char *))
{
	*d = (struct socket_dialer){ .loop = loop,
				     .worker = worker,
				     .address = *address,
				     .fd = -1,
				     .connected = connected };
	d->job.work = resolve_work;
	d->job.done = resolve_done;
	op_init(&d->connect, connect_done);
}

void socket_dial(struct socket_dialer *d)
{
	int ret;

	d->busy = true;
	d->cancelled = false;
	if (!d->address.is_unix) {
		ret = worker_submit(d->worker, &d->job);
		d->resolving = !ret;
		if (ret < 0)
			dial_end(d, ret, NULL);
		return;
	}
	d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (d->fd < 0) {
		dial_end(d, -errno, NULL);
		return;
	}
	op_connect(d->loop, &d->connect, d->fd,
		   (const struct sockaddr *)&d->address.sun,
		   sizeof(d->address.sun));
}

bool socket_dialer_cancel(struct socket_dialer *d)
{
	if (!d->busy)
		return true;
	d->cancelled = true;
	op_cancel(d->loop, &d->connect);
	return !d->resolving;
}
