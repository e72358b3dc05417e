// SPDX-License-Identifier: GPL-2.0-or-later
#include "transport/proxy.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_PORT "3128" /* as virt-viewer and Squid have it */
#define MAX_ANSWER 8192	    /* of one answer's headers */

/* --- Where it is ----------------------------------------------------------------- */

/* %41 and the like, in place. False: there is no such byte, or it is a
 * control. */
static bool decode(char *text)
{
	char *out = text;

	while (*text) {
		unsigned int c = (unsigned char)*text++;

		if (c == '%') {
			if (!isxdigit((unsigned char)text[0]) ||
			    !isxdigit((unsigned char)text[1]))
				return false;
			c = (unsigned int)strtoul(
				(char[]){ text[0], text[1], '\0' }, NULL, 16);
			text += 2;
		}
		if (c < ' ' || c == 0x7f)
			return false;
		*out++ = (char)c;
	}
	*out = '\0';
	return true;
}

/* text up to end is "USER[:PASSWORD]". */
static int parse_credentials(const char *text, const char *end,
			     struct proxy *proxy, const char **why)
{
	size_t len = (size_t)(end - text);

	*why = "out of memory";
	/* Basic credentials have a colon, also without a password. */
	if (asprintf(&proxy->credentials, "%.*s%s", (int)len, text,
		     memchr(text, ':', len) ? "" : ":") < 0) {
		proxy->credentials = NULL;
		return -ENOMEM;
	}
	*why = "the user name or the password is not valid; write @ as %40";
	return decode(proxy->credentials) ? 0 : -EINVAL;
}

static int parse_address(const char *text, struct socket_address *address,
			 const char **why)
{
	size_t len = strcspn(text, "/");
	const char *bracket = memchr(text, ']', len);
	const char *after = bracket ? bracket : text;
	bool has_port = memchr(after, ':', len - (size_t)(after - text));
	char tcp[sizeof(address->text)];
	int n = snprintf(tcp, sizeof(tcp), "tcp:%.*s%s", (int)len, text,
			 has_port ? "" : ":" DEFAULT_PORT);

	*why = "not http://[USER:PASSWORD@]HOST[:PORT]";
	if ((size_t)n >= sizeof(tcp) || (text[len] && text[len + 1]))
		return -EINVAL;
	return socket_parse(tcp, address, why);
}

int proxy_parse(const char *text, struct proxy *proxy, const char **why)
{
	static const char http[] = "http://";
	const char *at;
	int ret = 0;

	*proxy = (struct proxy){ 0 };
	if (!strncasecmp(text, http, strlen(http))) {
		text += strlen(http);
	} else if (strstr(text, "://")) {
		*why = "only proxies of HTTP are known: http://HOST:PORT";
		return -EINVAL;
	}
	at = memrchr(text, '@', strcspn(text, "/"));
	if (at) {
		ret = parse_credentials(text, at, proxy, why);
		text = at + 1;
	}
	if (!ret)
		ret = parse_address(text, &proxy->address, why);
	if (ret < 0)
		proxy_fini(proxy);
	return ret;
}

void proxy_fini(struct proxy *proxy)
{
	free(proxy->credentials);
	proxy->credentials = NULL;
}

/* --- What is asked ------------------------------------------------------------------ */

static void print_base64(FILE *f, const char *text)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				     "abcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = (const uint8_t *)text;
	size_t len = strlen(text);

	for (size_t i = 0; i < len; i += 3) {
		uint32_t v = (uint32_t)p[i] << 16;

		v |= i + 1 < len ? (uint32_t)p[i + 1] << 8 : 0;
		v |= i + 2 < len ? p[i + 2] : 0;
		fputc(digits[v >> 18], f);
		fputc(digits[v >> 12 & 63], f);
		fputc(i + 1 < len ? digits[v >> 6 & 63] : '=', f);
		fputc(i + 2 < len ? digits[v & 63] : '=', f);
	}
}

/* Whatever it is, it does not become a line of its own, or a word. */
static bool can_be_told(const char *host)
{
	if (!*host)
		return false;
	for (; *host; host++)
		if ((unsigned char)*host <= ' ' || *host == 0x7f)
			return false;
	return true;
}

/* NULL: no memory. */
static char *make_request(const struct proxy *proxy, const char *host,
			  unsigned int port, size_t *len)
{
	struct in6_addr v6;
	bool is_v6 = inet_pton(AF_INET6, host, &v6) == 1;
	const char *open = is_v6 ? "[" : "", *close = is_v6 ? "]" : "";
	char *text = NULL;
	FILE *f = open_memstream(&text, len);

	if (!f)
		return NULL;
	fprintf(f, "CONNECT %s%s%s:%u HTTP/1.1\r\n", open, host, close, port);
	fprintf(f, "Host: %s%s%s:%u\r\n", open, host, close, port);
	if (proxy->credentials) {
		fprintf(f, "Proxy-Authorization: Basic ");
		print_base64(f, proxy->credentials);
		fprintf(f, "\r\n");
	}
	fprintf(f, "\r\n");
	if (!fclose(f))
		return text;
	free(text);
	return NULL;
}

/* --- Asking -------------------------------------------------------------------------- */

struct proxy_start {
	struct transport_step step;
	struct transport *transport; /* owned, until it is handed on */
	char *request;
	struct iovec left; /* of request */
	bool bad_host, sending, answered, closing;
	struct task begin;
	int status;
	char why[200];
	size_t len;
	char answer[MAX_ANSWER + 1]; /* with an end, when it is complete */
};

static void free_start(struct proxy_start *p)
{
	free(p->request);
	free(p);
}

static void fail(struct proxy_start *p, int status, const char *why)
{
	if (p->closing)
		return;
	p->closing = true;
	p->status = status;
	snprintf(p->why, sizeof(p->why), "%s", why);
	task_cancel(&p->begin);
	transport_close(p->transport);
}

static void fail_io(struct proxy_start *p, int res)
{
	if (res)
		fail(p, res, strerror(-res));
	else
		fail(p, -ECONNRESET,
		     "the proxy closed the connection before it answered");
}

static void succeed(struct proxy_start *p)
{
	/* It may have answered before it has read all: that must not be lent
	 * any more. */
	p->answered = true;
	if (p->sending) {
		loop_hurry(p->transport->loop);
		return;
	}
	p->step.done(&p->step, p->transport, 0, NULL);
	free_start(p);
}

/* A byte: what follows the blank line is not ours. */
static void receive(struct proxy_start *p)
{
	transport_recv(p->transport, p->answer + p->len, 1, true);
}

/* Of "HTTP/1.1 200 text"; -1: it is none. *text is the whole from 200 on. */
static int status_of(char *answer, const char **text)
{
	char *p = answer + strlen("HTTP/1.");

	answer[strcspn(answer, "\r\n")] = '\0';
	if (!isdigit((unsigned char)p[0]) || p[1] != ' ' ||
	    strspn(p + 2, "0123456789") != 3 || (p[5] && p[5] != ' '))
		return -1;
	*text = p + 2;
	/* It goes to a terminal. */
	for (p += 2; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return atoi(*text);
}

static void check_answer(struct proxy_start *p)
{
	const char *text;
	char why[sizeof(p->why)];
	int status;

	p->answer[p->len] = '\0';
	status = status_of(p->answer, &text);
	p->len = 0;
	if (status >= 100 && status < 200) {
		receive(p); /* not the last word */
	} else if (status >= 200 && status < 300) {
		succeed(p);
	} else if (status < 0) {
		fail(p, -EPROTO, "the other end is not an HTTP proxy");
	} else {
		snprintf(why, sizeof(why), "the proxy refused: %.150s", text);
		fail(p,
		     status == 403 || status == 407 ? -EACCES : -ECONNREFUSED,
		     why);
	}
}

static bool ends_with(const struct proxy_start *p, const char *end)
{
	size_t len = strlen(end);

	return p->len >= len && !memcmp(p->answer + p->len - len, end, len);
}

static void received(struct transport *t, int res)
{
	static const char first[] = "HTTP/1.";
	struct proxy_start *p = t->context;

	if (res <= 0) {
		fail_io(p, res);
		return;
	}
	p->len++;
	if (memcmp(p->answer, first, MIN(p->len, strlen(first))))
		fail(p, -EPROTO, "the other end is not an HTTP proxy");
	/* Lines of LF only are allowed, too. */
	else if (ends_with(p, "\n\r\n") || ends_with(p, "\n\n"))
		check_answer(p);
	else if (p->len == MAX_ANSWER)
		fail(p, -EPROTO, "the proxy's answer is too long");
	else
		receive(p);
}

static void send_request(struct proxy_start *p)
{
	p->sending = true;
	transport_send(p->transport, &p->left, 1);
}

static void sent(struct transport *t, int res)
{
	struct proxy_start *p = t->context;

	p->sending = false;
	if (res < 0) {
		/* What it has said meanwhile says more. */
		if (p->answered)
			fail_io(p, res);
		return;
	}
	p->left.iov_base = (char *)p->left.iov_base + res;
	p->left.iov_len -= (size_t)res;
	if (p->left.iov_len)
		send_request(p);
	else if (p->answered)
		succeed(p);
}

static void closed(struct transport *t)
{
	struct proxy_start *p = t->context;

	p->step.done(&p->step, NULL, p->status, p->why);
	free_start(p);
}

static const struct transport_user user = {
	.received = received,
	.sent = sent,
	.closed = closed,
};

static void begin(struct task *task)
{
	struct proxy_start *p = container_of(task, struct proxy_start, begin);

	if (p->bad_host) {
		fail(p, -EINVAL, "the server's name cannot be told to a proxy");
		return;
	}
	send_request(p);
	receive(p);
}

static void cancel(struct transport_step *step)
{
	fail(container_of(step, struct proxy_start, step), -ECANCELED,
	     "cancelled");
}

int proxy_start(const struct proxy *proxy, struct transport *t,
		const char *host, unsigned int port,
		void (*done)(struct transport_step *, struct transport *, int,
			     const char *),
		void *owner, struct transport_step **step)
{
	struct proxy_start *p = calloc(1, sizeof(*p));

	if (!p)
		return -ENOMEM;
	p->request = make_request(proxy, host, port, &p->left.iov_len);
	if (!p->request) {
		free(p);
		return -ENOMEM;
	}
	p->left.iov_base = p->request;
	p->bad_host = !can_be_told(host);
	p->transport = t;
	t->user = &user;
	t->context = p;
	p->step = (struct transport_step){ done, owner, cancel };
	task_init(&p->begin, begin);
	loop_post(t->loop, &p->begin);
	*step = &p->step;
	return 0;
}
