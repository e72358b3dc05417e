// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS against a server session of gnutls: all bytes arrive, whatever the server
 * does meanwhile.
 */
#include "../lib/tls-client.h"

static uint8_t pattern(size_t i)
{
	return (uint8_t)(i * 7 + (i >> 8) * 31 + (i >> 16));
}

static uint8_t *patterned(size_t len)
{
	uint8_t *p = malloc(len);

	for (size_t i = 0; i < len; i++)
		p[i] = pattern(i);
	return p;
}

/* Echoes, and after each message has all keys changed. */
static void update_keys(struct server *s)
{
	char buf[100];
	ssize_t n;

	if (server_shake(s) < 0)
		return;
	while ((n = server_read(s, buf, sizeof(buf))) > 0) {
		s->result =
			gnutls_session_key_update(s->session, GNUTLS_KU_PEER);
		if (s->result < 0 || !server_write(s, buf, (size_t)n))
			return;
	}
}

static void rehandshake(struct server *s)
{
	if (server_shake(s) < 0)
		return;
	s->result = gnutls_rehandshake(s->session);
	server_write(s, "after", 5);
	/* The answer: a warning. */
	do {
		s->result =
			(int)gnutls_record_recv(s->session, &(char){ 0 }, 1);
	} while (s->result == GNUTLS_E_AGAIN);
	server_write(s, "again", 5);
}

#define ONE_MESSAGE (1 << 20)

/* When it has all of a message. */
static void answers_once(struct server *s)
{
	char *buf = malloc(ONE_MESSAGE);
	size_t got = 0;
	ssize_t n;

	if (!server_shake(s)) {
		while (got < ONE_MESSAGE &&
		       (n = server_read(s, buf, ONE_MESSAGE)) > 0)
			got += (size_t)n;
		server_write(s, "ok", 2);
	}
	free(buf);
}

static void says_hello_only(struct server *s)
{
	if (!server_shake(s))
		server_write(s, "hello", 5);
}

static void says_bye(struct server *s)
{
	if (server_shake(s) < 0)
		return;
	server_write(s, "hello", 5);
	gnutls_bye(s->session, GNUTLS_SHUT_WR);
	/* The connection stays. */
	s->result = (int)server_read(s, &(char){ 0 }, 1);
}

static void reads_nothing(struct server *s)
{
	if (!server_shake(s))
		sleep(1);
}

/* --- What a server does meanwhile ----------------------------------------------------------- */

static void test_ends(void **state)
{
	void (*const servers[])(struct server *) = { says_hello_only,
						     says_bye };
	struct tls_options o = for_host("vm.example");
	char buf[10];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(servers); i++) {
		struct bench b = { .server.serve = servers[i] };

		shake(&b, &o, &usual);
		/* Not all that was wanted, then the end, as often as asked. */
		recv_all(&b, buf, sizeof(buf), true);
		assert_int_equal(b.received, 5);
		recv_all(&b, buf, sizeof(buf), true);
		assert_int_equal(b.received, 0);
		recv_all(&b, buf, sizeof(buf), false);
		assert_int_equal(b.received, 0);
		end(&b);
		assert_int_equal(b.server.result, 0); /* it heard our bye */
	}
}

static void test_key_update(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct bench b = { .server = {
				   .serve = update_keys,
				   .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.3",
			   } };
	char out[20], in[20];

	(void)state;
	shake(&b, &o, &usual);
	for (int i = 0; i < 5; i++) {
		memset(out, 'a' + i, sizeof(out));
		send_all(&b, out, sizeof(out));
		recv_all(&b, in, sizeof(in), true);
		assert_int_equal(b.received, sizeof(in));
		assert_memory_equal(in, out, sizeof(in));
	}
	end(&b);
	assert_int_equal(b.server.result, 0);
}

static void test_rehandshake(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct bench b = { .server = {
				   .serve = rehandshake,
				   .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2",
			   } };
	char buf[10];

	(void)state;
	shake(&b, &o, &usual);
	recv_all(&b, buf, sizeof(buf), true);
	assert_memory_equal(buf, "afteragain", 10);
	end(&b);
	assert_int_equal(b.server.result, GNUTLS_E_WARNING_ALERT_RECEIVED);
}

/* All of a long message leaves, though nobody asks for the outcome. */
static void test_lazy(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct bench b = { .server = {
				   .serve = answers_once,
				   /* Says nothing by itself */
				   .priority = "NORMAL:-VERS-ALL:+VERS-TLS1.2",
			   } };
	uint8_t *data = patterned(ONE_MESSAGE);
	struct iovec iov = { data, ONE_MESSAGE };
	char buf[2];

	(void)state;
	shake(&b, &o, &usual);
	turn(&b); /* nobody's hurry is left */
	b.sent = NOTHING;
	transport_send(b.t, &iov, 1);
	recv_all(&b, buf, 2, true);
	assert_memory_equal(buf, "ok", 2);
	assert_int_equal(b.sent, ONE_MESSAGE);
	free(data);
	end(&b);
}

/* Two messages in one record: the second is here when it is asked for. */
static void test_small_steps(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct bench b = { .server.serve = echo };
	char buf[10];

	(void)state;
	shake(&b, &o, &usual);
	send_all(&b, "0123456789", 10);
	for (int i = 0; i < 5; i++)
		recv_all(&b, buf + 2 * i, 2, i & 1);
	assert_memory_equal(buf, "0123456789", 10);
	end(&b);
}

/* --- Much ------------------------------------------------------------------------------------ */

#define MUCH (24u << 20)

static void *write_much(void *arg)
{
	uint8_t *data = patterned(MUCH);
	bool ok = server_write(arg, data, MUCH);

	free(data);
	return ok ? arg : NULL;
}

/* Both directions at once, each in a thread of its own. */
static void much(struct server *s)
{
	uint8_t *buf = malloc(1 << 20);
	pthread_t writer;
	size_t got = 0;
	bool same = true;
	void *written;
	ssize_t n;

	if (server_shake(s) < 0)
		return;
	pthread_create(&writer, NULL, write_much, s);
	while (got < MUCH && (n = server_read(s, buf, 1 << 20)) > 0) {
		for (ssize_t i = 0; i < n; i++)
			same &= buf[i] == pattern(got + (size_t)i);
		got += (size_t)n;
	}
	pthread_join(writer, &written);
	free(buf);
	s->result = same && got == MUCH && written ? 0 : -1;
}

/* Of all sizes, an empty one among them; the number of pieces. */
static unsigned int pieces(uint8_t *data, size_t from, struct iovec *iov)
{
	static const size_t sizes[] = {
		26, 1 << 20, 0, 26, 300000, 3, 16384, 28, 100, 1, 16383, 70000
	};
	unsigned int n = 0;

	while (n < ARRAY_SIZE(sizes) && from < MUCH) {
		size_t len = MIN(sizes[n], MUCH - from);

		iov[n++] = (struct iovec){ data + from, len };
		from += len;
	}
	return n;
}

static void exchange_much(struct bench *b)
{
	uint8_t *out = patterned(MUCH), *in = malloc(MUCH);
	size_t sent_to = 0, got = 0;
	struct iovec iov[TRANSPORT_IOV];

	b->sent = b->received = 0;
	while (sent_to < MUCH || got < MUCH) {
		if (b->sent != NOTHING && sent_to < MUCH) {
			unsigned int n = pieces(out, sent_to, iov);

			b->sent = NOTHING;
			transport_send(b->t, iov, n);
			loop_hurry(b->loop);
		}
		if (b->received != NOTHING && got < MUCH) {
			b->received = NOTHING;
			transport_recv(b->t, in + got,
				       MIN((size_t)777777, MUCH - got),
				       got & 1);
		}
		turn(b);
		assert_true(b->sent > 0 && b->received > 0);
		sent_to += b->sent == NOTHING || sent_to >= MUCH ? 0 : b->sent;
		got += b->received == NOTHING || got >= MUCH ? 0 : b->received;
	}
	assert_memory_equal(in, out, MUCH);
	free(in);
	free(out);
}

static void test_much(void **state)
{
	static const char *const versions[] = {
		"NORMAL:-VERS-ALL:+VERS-TLS1.3",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2",
		"NORMAL:-VERS-ALL:+VERS-TLS1.2:-CIPHER-ALL:+AES-128-CBC",
	};
	struct tls_options o = for_host("vm.example");

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(versions); i++) {
		struct bench b = { .server = { .serve = much,
					       .priority = versions[i] } };

		shake(&b, &o, &usual);
		assert_int_equal(b.status, 0);
		exchange_much(&b);
		end(&b);
		assert_int_equal(b.server.result, 0);
	}
}

/* Much is to be sent, and nobody reads: it ends all the same, and soon. */
static void test_close_while_sending(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct bench b = { .server.serve = reads_nothing };
	struct iovec iov;
	int64_t from;
	char buf[10];

	(void)state;
	shake(&b, &o, &usual);
	iov = (struct iovec){ patterned(MUCH), MUCH };
	b.sent = b.received = NOTHING;
	transport_send(b.t, &iov, 1);
	transport_recv(b.t, buf, sizeof(buf), true);
	for (int i = 0; i < 50; i++) {
		loop_hurry(b.loop);
		turn(&b);
	}
	assert_int_equal(b.sent, NOTHING);
	from = loop_now(b.loop);
	b.inside = true;
	transport_close(b.t);
	b.inside = false;
	while (!b.closed)
		turn(&b);
	assert_true(loop_now(b.loop) - from < 500);
	end(&b);
	assert_int_equal(b.sent, NOTHING);
	assert_int_equal(b.received, NOTHING);
	free(iov.iov_base);
}

/* The server goes in the middle. */
static void test_peer_gone_while_sending(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct bench b = { .server.serve = says_hello_only };
	struct iovec iov;

	(void)state;
	shake(&b, &o, &usual);
	iov = (struct iovec){ patterned(MUCH), MUCH };
	do {
		b.sent = NOTHING;
		transport_send(b.t, &iov, 1);
		loop_hurry(b.loop);
		while (b.sent == NOTHING)
			turn(&b);
	} while (b.sent > 0);
	assert_true(b.sent == -EPIPE || b.sent == -ECONNRESET);
	free(iov.iov_base);
	end(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_key_update),
		cmocka_unit_test(test_rehandshake),
		cmocka_unit_test(test_lazy),
		cmocka_unit_test(test_small_steps),
		cmocka_unit_test(test_much),
		cmocka_unit_test(test_close_while_sending),
		cmocka_unit_test(test_peer_gone_while_sending),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
