// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The way through a proxy: what it is asked, which answers are understood, and
 * that nothing of what follows them is lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "transport/proxy.h"

/* --- Where it is --------------------------------------------------------------------- */

static void expect_parsed(const char *text, const char *host, const char *port,
			  const char *credentials)
{
	struct proxy proxy;
	const char *why = NULL;

	assert_int_equal(proxy_parse(text, &proxy, &why), 0);
	assert_string_equal(proxy.address.host, host);
	assert_string_equal(proxy.address.port, port);
	if (credentials)
		assert_string_equal(proxy.credentials, credentials);
	else
		assert_null(proxy.credentials);
	proxy_fini(&proxy);
}

static void test_parse(void **state)
{
	(void)state;
	expect_parsed("http://pve.example:8080/", "pve.example", "8080", NULL);
	expect_parsed("HTTP://pve.example", "pve.example", "3128", NULL);
	expect_parsed("pve.example:3128", "pve.example", "3128", NULL);
	expect_parsed("http://[::1]:99", "::1", "99", NULL);
	expect_parsed("http://[::1]/", "::1", "3128", NULL);
	expect_parsed("http://a:b:c@d@h", "h", "3128", "a:b:c@d");
	expect_parsed("http://us%65r@h:1", "h", "1", "user:");
	expect_parsed("http://a:p%40%2f@h:1", "h", "1", "a:p@/");
}

static void test_parse_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"https://h:1",
		"socks5://h:1",
		"http://",
		"http://h:1/path",
		"http://h:0",
		"http://h:x",
		"http://a%4@h",
		"http://a%0ab@h",
		"http://a%zz@h",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct proxy proxy;
		const char *why = NULL;

		if (proxy_parse(bad[i], &proxy, &why) != -EINVAL)
			fail_msg("%s was taken", bad[i]);
		assert_non_null(why);
		assert_null(proxy.credentials);
	}
}

/* --- Asking --------------------------------------------------------------------------- */

struct bench {
	struct loop *loop;
	struct proxy proxy;
	struct transport_step *step;
	struct transport *t; /* what done has handed on */
	int fd;		     /* the proxy's end */
	bool inside, done, closed;
	int status, received;
	char why[200];
};

static void received(struct transport *t, int res)
{
	struct bench *b = t->context;

	b->received = res;
}

static void closed(struct transport *t)
{
	struct bench *b = t->context;

	b->closed = true;
}

static const struct transport_user user = { .received = received,
					    .closed = closed };

static void done(struct transport_step *step, struct transport *t, int status,
		 const char *why)
{
	struct bench *b = step->owner;

	assert_false(b->inside);
	assert_false(b->done);
	b->done = true;
	b->status = status;
	b->t = t;
	snprintf(b->why, sizeof(b->why), "%s", why ? why : "");
	assert_true(!status == !!t);
	if (!t)
		return;
	t->user = &user;
	t->context = b;
}

static void turns(struct bench *b)
{
	for (int i = 0; i < 10; i++) {
		loop_hurry(b->loop);
		assert_int_equal(loop_turn(b->loop), 0);
	}
}

static void begin(struct bench *b, const char *proxy, const char *host,
		  unsigned int port)
{
	struct transport *t;
	const char *why;
	int pair[2];

	*b = (struct bench){ .inside = true };
	assert_int_equal(proxy_parse(proxy, &b->proxy, &why), 0);
	assert_int_equal(loop_create(&b->loop), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	b->fd = pair[1];
	assert_int_equal(
		transport_over_fds(b->loop, pair[0], pair[0], "proxy", &t), 0);
	assert_int_equal(
		proxy_start(&b->proxy, t, host, port, done, b, &b->step), 0);
	b->inside = false;
}

static void end(struct bench *b)
{
	if (b->t) {
		transport_close(b->t);
		turns(b);
		assert_true(b->closed);
	}
	if (b->fd >= 0)
		close(b->fd);
	proxy_fini(&b->proxy);
	loop_destroy(b->loop);
}

static void expect_request(const char *proxy, const char *host,
			   const char *request)
{
	struct bench b;
	char buf[1000];
	ssize_t n;

	begin(&b, proxy, host, 61000);
	turns(&b);
	n = recv(b.fd, buf, sizeof(buf) - 1, MSG_DONTWAIT);
	assert_true(n > 0);
	buf[n] = '\0';
	assert_string_equal(buf, request);
	assert_false(b.done);
	b.step->cancel(b.step);
	assert_false(b.done);
	turns(&b);
	assert_int_equal(b.status, -ECANCELED);
	end(&b);
}

static void test_request(void **state)
{
	(void)state;
	expect_request("http://h", "vm.example",
		       "CONNECT vm.example:61000 HTTP/1.1\r\n"
		       "Host: vm.example:61000\r\n\r\n");
	/* Of Proxmox: no name at all */
	expect_request(
		"http://h", "pvespiceproxy:5C0:100:pve1::a+b/c=",
		"CONNECT pvespiceproxy:5C0:100:pve1::a+b/c=:61000 "
		"HTTP/1.1\r\n"
		"Host: pvespiceproxy:5C0:100:pve1::a+b/c=:61000\r\n\r\n");
	expect_request("http://h", "fe80::1",
		       "CONNECT [fe80::1]:61000 HTTP/1.1\r\n"
		       "Host: [fe80::1]:61000\r\n\r\n");
	/* RFC 7617, section 2; and the other two lengths */
	expect_request("http://Aladdin:open%20sesame@h", "v",
		       "CONNECT v:61000 HTTP/1.1\r\nHost: v:61000\r\n"
		       "Proxy-Authorization: Basic "
		       "QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
	expect_request("http://a:b@h", "v",
		       "CONNECT v:61000 HTTP/1.1\r\nHost: v:61000\r\n"
		       "Proxy-Authorization: Basic YTpi\r\n\r\n");
	expect_request("http://a:bcd@h", "v",
		       "CONNECT v:61000 HTTP/1.1\r\nHost: v:61000\r\n"
		       "Proxy-Authorization: Basic YTpiY2Q=\r\n\r\n");
}

static void test_bad_host(void **state)
{
	static const char *const bad[] = { "", "a b", "a\r\nX: y", "a\tb" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bench b;
		char c;

		begin(&b, "h", bad[i], 1);
		turns(&b);
		assert_int_equal(b.status, -EINVAL);
		assert_string_equal(b.why, "the server's name cannot be told "
					   "to a proxy");
		assert_int_equal(recv(b.fd, &c, 1, MSG_DONTWAIT), 0);
		end(&b);
	}
}

static void say(struct bench *b, const char *text)
{
	assert_int_equal(send(b->fd, text, strlen(text), MSG_NOSIGNAL),
			 strlen(text));
	for (int i = 0; i < 1000 && !b->done; i++)
		turns(b);
}

static void expect_answer(const char *answer, int status, const char *why)
{
	struct bench b;
	char request[100];

	begin(&b, "h", "vm", 1);
	turns(&b);
	assert_true(recv(b.fd, request, sizeof(request), MSG_DONTWAIT) > 0);
	say(&b, answer);
	close(b.fd);
	b.fd = -1;
	turns(&b);
	if (strcmp(b.why, why))
		print_error("# said: %s\n", b.why);
	assert_true(b.done);
	assert_string_equal(b.why, why);
	assert_int_equal(b.status, status);
	end(&b);
}

static void test_answers(void **state)
{
	static const char no_proxy[] = "the other end is not an HTTP proxy";
	char much[9000];

	(void)state;
	expect_answer("HTTP/1.1 200 OK\r\n\r\n", 0, "");
	expect_answer("HTTP/1.0 200\n\n", 0, "");
	expect_answer("HTTP/1.1 100 Continue\r\na: b\r\n\r\n"
		      "HTTP/1.1 201 Fine\r\nc: d\r\n\r\n",
		      0, "");
	expect_answer("HTTP/1.1 403 For\x1b"
		      "bidden\r\na: b\r\n\r\n<html>",
		      -EACCES, "the proxy refused: 403 For?bidden");
	expect_answer("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
		      -EACCES,
		      "the proxy refused: 407 Proxy Authentication Required");
	expect_answer("HTTP/1.1 503 No\r\n\r\n", -ECONNREFUSED,
		      "the proxy refused: 503 No");
	expect_answer("SSH-2.0-OpenSSH", -EPROTO, no_proxy);
	expect_answer("HTTP/2.0 200 OK\r\n\r\n", -EPROTO, no_proxy);
	expect_answer("HTTP/1.1 2000 OK\r\n\r\n", -EPROTO, no_proxy);
	expect_answer("HTTP/1.1 20 OK\r\n\r\n", -EPROTO, no_proxy);
	expect_answer("HTTP/1.1200 OK\r\n\r\n", -EPROTO, no_proxy);
	expect_answer("HTTP/1.1 200 OK\r\n", -ECONNRESET,
		      "the proxy closed the connection before it answered");
	memset(much, 'a', sizeof(much));
	memcpy(much, "HTTP/1.1 200 OK\r\n", 17);
	much[sizeof(much) - 1] = '\0';
	expect_answer(much, -EPROTO, "the proxy's answer is too long");
}

/* What the server says at once is the tunnel's, each byte of it. */
static void test_nothing_is_lost(void **state)
{
	struct bench b;
	char buf[20];

	(void)state;
	begin(&b, "h", "vm", 1);
	turns(&b);
	say(&b, "HTTP/1.1 200 OK\r\na: b\r\n\r\n\r\nREDQ");
	assert_int_equal(b.status, 0);
	transport_recv(b.t, buf, sizeof(buf), false);
	turns(&b);
	assert_int_equal(b.received, 6);
	assert_memory_equal(buf, "\r\nREDQ", 6);
	end(&b);
}

/* An answer in pieces, one a turn. */
static void test_slow_proxy(void **state)
{
	static const char answer[] = "HTTP/1.1 200 OK\r\na: b\r\n\r\n";
	struct bench b;

	(void)state;
	begin(&b, "h", "vm", 1);
	for (size_t i = 0; i < strlen(answer); i++) {
		assert_false(b.done);
		assert_int_equal(send(b.fd, answer + i, 1, 0), 1);
		turns(&b);
	}
	assert_true(b.done);
	assert_int_equal(b.status, 0);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_request),
		cmocka_unit_test(test_bad_host),
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_nothing_is_lost),
		cmocka_unit_test(test_slow_proxy),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
