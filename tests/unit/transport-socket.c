// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Listeners: who comes is accepted, an address that is closed is free at once,
 * and one that is taken gets a line.
 */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "transport/socket.h"

static struct loop *loop;
static struct transport *came;

static int setup(void **state)
{
	(void)state;
	came = NULL;
	return loop_create(&loop);
}

static int teardown(void **state)
{
	(void)state;
	loop_destroy(loop);
	return 0;
}

static void accepted(struct socket_listener *l, struct transport *t)
{
	(void)l;
	came = t;
}

static int bound_to(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (struct sockaddr *)&sin, sizeof(sin)) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int port_of(int fd)
{
	struct sockaddr_in sin = { 0 };
	socklen_t len = sizeof(sin);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
	return ntohs(sin.sin_port);
}

/* A socket that is bound to a free port, which *address says. */
static int bound(struct socket_address *address)
{
	int fd = bound_to(0);
	const char *why = NULL;
	char text[32];

	assert_true(fd >= 0);
	snprintf(text, sizeof(text), "tcp:127.0.0.1:%d", port_of(fd));
	assert_int_equal(socket_parse(text, address, &why), 0);
	return fd;
}

static void come(int port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
				   .sin_port = htons(port),
				   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
	while (!came)
		assert_int_equal(loop_turn(loop), 0);
	transport_close(came);
	close(fd);
}

static void nothing(struct timer *timer)
{
	(void)timer;
}

static void test_free_at_once(void **state)
{
	struct socket_address address;
	struct socket_listener l;
	struct timer timer;
	const char *why = NULL;
	int fd = bound(&address), port = port_of(fd);

	(void)state;
	close(fd);
	assert_int_equal(socket_listen(&l, loop, &address, accepted, &why), 0);
	come(port);
	/* The ring waits for the next one. */
	timer_init(&timer, nothing);
	timer_start(loop, &timer, 1);
	assert_int_equal(loop_turn(loop), 0);

	socket_listener_close(&l);
	fd = bound_to(port);
	assert_true(fd >= 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd);
	assert_int_equal(loop_turn(loop), 0);
}

static void test_taken(void **state)
{
	struct socket_address address;
	struct socket_listener l;
	const char *why = NULL;
	int fd = bound(&address);

	(void)state;
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(socket_listen(&l, loop, &address, accepted, &why),
			 -EADDRINUSE);
	assert_non_null(strstr(why, "another program"));
	close(fd);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_free_at_once, setup,
						teardown),
		cmocka_unit_test_setup_teardown(test_taken, setup, teardown),
	};

	return cmocka_run_group_tests_name("transport-socket", tests, NULL,
					   NULL);
}
