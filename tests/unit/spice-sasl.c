// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * SASL against libsasl2's own server side, as spice-server uses it, and against
 * servers that lie; then the security layer, both ways.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#ifdef HAVE_SASL
#include <sasl/sasl.h>

#include "../lib/fake-transport.h"
#include "spice/sasl.h"

#define REALM "ryll"
#define PASSWORD "secret word"

static char db[256], mechanisms[64];

/* libdigestmd5 forgets some of its own, and what it has of OpenSSL's. */
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:libcrypto.so\nleak:libdigestmd5\n";
}

/* --- The server ------------------------------------------------------------------ */

struct server {
	sasl_conn_t *conn;
	char list[256];
	bool started, complete;
};

static int get_option(void *context, const char *plugin, const char *option,
		      const char **result, unsigned int *len)
{
	(void)context;
	(void)plugin;
	*result = NULL;
	if (!strcmp(option, "sasldb_path"))
		*result = db;
	else if (!strcmp(option, "auxprop_plugin"))
		*result = "sasldb";
	else if (!strcmp(option, "pwcheck_method"))
		*result = "auxprop";
	else if (!strcmp(option, "mech_list"))
		*result = mechanisms;
	if (*result && len)
		*len = (unsigned int)strlen(*result);
	return *result ? SASL_OK : SASL_FAIL;
}

static int no_log(void *context, int level, const char *message)
{
	(void)context;
	(void)level;
	(void)message;
	return SASL_OK;
}

static const sasl_callback_t callbacks[] = {
	{ SASL_CB_GETOPT, (int (*)(void))(void *)get_option, NULL },
	{ SASL_CB_LOG, (int (*)(void))(void *)no_log, NULL },
	{ SASL_CB_LIST_END, NULL, NULL },
};

static void server_open(struct server *v, const char *mechanism, bool secured)
{
	const sasl_security_properties_t properties = {
		.min_ssf = secured ? 0 : 56,
		.max_ssf = secured ? 0 : 100000,
		.maxbufsize = 8192,
		.security_flags = secured ? 0
					  : SASL_SEC_NOANONYMOUS |
						    SASL_SEC_NOPLAINTEXT,
	};
	const sasl_ssf_t external = 256;
	const char *list;

	*v = (struct server){ 0 };
	snprintf(mechanisms, sizeof(mechanisms), "%s", mechanism);
	assert_int_equal(sasl_server_new("spice", NULL, REALM, NULL, NULL,
					 callbacks, SASL_SUCCESS_DATA,
					 &v->conn),
			 SASL_OK);
	if (secured)
		assert_int_equal(
			sasl_setprop(v->conn, SASL_SSF_EXTERNAL, &external),
			SASL_OK);
	assert_int_equal(sasl_setprop(v->conn, SASL_SEC_PROPS, &properties),
			 SASL_OK);
	assert_int_equal(
		sasl_listmech(v->conn, NULL, ",", ",", ",", &list, NULL, NULL),
		SASL_OK);
	snprintf(v->list, sizeof(v->list), "%s", list);
}

/* Reads what the client says, and answers; false: it would close. */
static bool server_answer(struct server *v, struct span in,
			  struct span_writer *w)
{
	char mechanism[101] = "";
	const char *data = NULL, *out = NULL;
	unsigned int out_len = 0;
	uint32_t len;
	int ret;

	if (!v->started) {
		len = (uint32_t)span_le(&in, 4);
		assert_in_range(len, 1, 100);
		memcpy(mechanism, span_take(&in, len), len);
	}
	len = (uint32_t)span_le(&in, 4);
	data = (const char *)span_take(&in, len);
	assert_true(span_ok(&in) && !in.len);
	if (len)
		assert_int_equal(data[--len], 0);
	else
		data = NULL;
	ret = v->started ? sasl_server_step(v->conn, data, len, &out, &out_len)
			 : sasl_server_start(v->conn, mechanism, data, len,
					     &out, &out_len);
	v->started = true;
	if (ret != SASL_OK && ret != SASL_CONTINUE)
		return false;
	v->complete = ret == SASL_OK;
	span_put_le(w, out_len ? out_len + 1 : 0, 4);
	if (out_len) {
		span_put(w, out, out_len);
		span_put_zero(w, 1);
	}
	span_put_le(w, v->complete, 1);
	return true;
}

/* --- A session ------------------------------------------------------------------------ */

struct talk {
	struct spice_credentials who;
	struct spice_sasl *s;
	uint8_t out[SPICE_SASL_MAX];
	size_t out_len, expected;
	bool no; /* the server has closed */
};

static void talk_open(struct talk *k, const char *name, const char *password,
		      bool secured)
{
	*k = (struct talk){ .who = { password, name, "localhost", secured } };
	assert_int_equal(spice_sasl_create(&k->who, &k->s), 0);
}

static int output(struct talk *k)
{
	struct span_writer w = span_writer_of(k->out, sizeof(k->out));
	int ret = spice_sasl_output(k->s, &w, &k->expected);

	k->out_len = w.len;
	return ret;
}

/* The server says len bytes, in the portions that are expected. */
static int say(struct talk *k, const void *data, size_t len)
{
	const uint8_t *p = data;
	int ret = 0;

	while (!ret && len) {
		size_t n = k->expected;

		assert_true(n && n <= len && n <= SPICE_SASL_MAX);
		ret = spice_sasl_input(k->s, span_of(p, n));
		p += n;
		len -= n;
		if (!ret)
			ret = output(k);
	}
	return ret;
}

static int say_list(struct talk *k, const char *list)
{
	uint8_t buf[4 + 512];
	struct span_writer w = span_writer_of(buf, sizeof(buf));

	assert_int_equal(output(k), 0);
	assert_int_equal(k->out_len, 0);
	span_put_le(&w, strlen(list), 4);
	span_put(&w, list, strlen(list));
	return say(k, buf, w.len);
}

static int say_data(struct talk *k, const char *text, int complete)
{
	uint8_t buf[1024];
	struct span_writer w = span_writer_of(buf, sizeof(buf));

	span_put_le(&w, text ? strlen(text) + 1 : 0, 4);
	if (text)
		span_put(&w, text, strlen(text) + 1);
	span_put_le(&w, (uint64_t)complete, 1);
	return say(k, buf, w.len);
}

/* To the end, or until somebody has had enough. */
static int converse(struct talk *k, struct server *v)
{
	uint8_t buf[16384];
	int ret = say_list(k, v->list);

	while (!ret && k->expected) {
		struct span_writer w = span_writer_of(buf, sizeof(buf));

		if (!server_answer(v, span_of(k->out, k->out_len), &w)) {
			k->no = true;
			break;
		}
		ret = say(k, buf, w.len);
	}
	return ret;
}

static int meet(struct talk *k, struct server *v, const char *mechanism,
		const char *name, const char *password, bool secured)
{
	server_open(v, mechanism, secured);
	talk_open(k, name, password, secured);
	return converse(k, v);
}

static void part(struct talk *k, struct server *v)
{
	spice_sasl_destroy(k->s);
	if (v)
		sasl_dispose(&v->conn);
}

/* --- Who gets in ------------------------------------------------------------------------ */

static void test_lets_in(void **state)
{
	static const struct {
		const char *mechanism;
		bool secured;
	} cases[] = {
		{ "DIGEST-MD5", false }, { "DIGEST-MD5", true },
		{ "SCRAM-SHA-1", true }, { "SCRAM-SHA-256", true },
		{ "CRAM-MD5", true },	 { "PLAIN", true },
	};
	struct fake_transport wire;
	struct transport *t;
	struct server v;
	struct talk k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(meet(&k, &v, cases[i].mechanism, "karl@" REALM,
				      PASSWORD, cases[i].secured),
				 0);
		assert_false(k.no);
		assert_true(v.complete);
		assert_int_equal(k.expected, 0);
		assert_false(spice_sasl_judged(k.s));
		if (cases[i].secured) {
			/* TLS is enough. */
			fake_transport_init(&wire, NULL);
			assert_int_equal(
				spice_sasl_layer(k.s, &wire.transport, &t), 0);
			assert_ptr_equal(t, &wire.transport);
			k.s = NULL;
		}
		part(&k, &v);
	}
}

static void test_keeps_out(void **state)
{
	static const char *const all[] = { "DIGEST-MD5", "SCRAM-SHA-256",
					   "PLAIN" };
	struct server v;
	struct talk k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		assert_int_equal(
			meet(&k, &v, all[i], "karl@" REALM, "wrong", true), 0);
		assert_true(k.no && spice_sasl_judged(k.s));
		part(&k, &v);
		assert_int_equal(
			meet(&k, &v, all[i], "fritz@" REALM, PASSWORD, true),
			0);
		assert_true(k.no && spice_sasl_judged(k.s));
		part(&k, &v);
		assert_int_equal(meet(&k, &v, all[i], NULL, PASSWORD, true),
				 -EACCES);
		assert_non_null(strstr(spice_sasl_why(k.s), "--username"));
		part(&k, &v);
	}
}

/* --- What is not safe ---------------------------------------------------------------------- */

static void test_insists(void **state)
{
	static const char *const weak[] = { "PLAIN",	 "LOGIN",
					    "ANONYMOUS", "SCRAM-SHA-256",
					    "CRAM-MD5",	 "NO-SUCH,PLAIN" };
	struct talk k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(weak); i++) {
		talk_open(&k, "karl", PASSWORD, false);
		assert_int_equal(say_list(&k, weak[i]), -EPROTO);
		assert_non_null(strstr(spice_sasl_why(k.s), weak[i]));
		assert_non_null(strstr(spice_sasl_why(k.s), "without TLS"));
		assert_false(spice_sasl_judged(k.s));
		part(&k, NULL);
	}
	talk_open(&k, "karl", PASSWORD, true);
	assert_int_equal(say_list(&k, "NO-SUCH\n\x1b[31m"), -EPROTO);
	assert_non_null(strstr(spice_sasl_why(k.s), "NO-SUCH??[31m"));
	part(&k, NULL);
}

/* A challenge that offers to sign only, or nothing. */
static void test_wants_a_layer(void **state)
{
	static const char *const qop[] = { "auth", "auth-int" };
	char challenge[256];
	struct talk k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(qop); i++) {
		snprintf(challenge, sizeof(challenge),
			 "realm=\"x\",nonce=\"abc\",qop=\"%s\","
			 "charset=utf-8,algorithm=md5-sess",
			 qop[i]);
		talk_open(&k, "karl", PASSWORD, false);
		assert_int_equal(say_list(&k, "DIGEST-MD5"), 0);
		assert_int_not_equal(say_data(&k, challenge, 0), 0);
		part(&k, NULL);
	}
}

/* --- Servers that lie -------------------------------------------------------------------------- */

static void test_bounds_lengths(void **state)
{
	static const uint8_t lists[][4] = { { 0 },
					    { 0x2d, 1, 0, 0 },
					    { 0xff, 0xff, 0xff, 0xff } };
	static const uint8_t datas[][4] = { { 0, 0, 1, 0 },
					    { 0xff, 0xff, 0xff, 0x7f },
					    { 0xff, 0xff, 0xff, 0xff } };
	static const uint8_t most[] = { 0xff, 0xff, 0, 0 };
	struct talk k;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lists); i++) {
		talk_open(&k, "karl", PASSWORD, true);
		assert_int_equal(output(&k), 0);
		assert_int_equal(k.expected, 4);
		assert_int_equal(say(&k, lists[i], 4), -EPROTO);
		part(&k, NULL);
	}
	for (size_t i = 0; i < ARRAY_SIZE(datas); i++) {
		talk_open(&k, "karl", PASSWORD, true);
		assert_int_equal(say_list(&k, "SCRAM-SHA-256"), 0);
		assert_int_equal(say(&k, datas[i], 4), -EPROTO);
		assert_int_not_equal(*spice_sasl_why(k.s), 0);
		part(&k, NULL);
	}
	talk_open(&k, "karl", PASSWORD, true);
	assert_int_equal(say_list(&k, "SCRAM-SHA-256"), 0);
	assert_int_equal(say(&k, most, 4), 0);
	assert_int_equal(k.expected, SPICE_SASL_MAX);
	part(&k, NULL);
}

static void test_wants_proof(void **state)
{
	static const char *const last[] = { NULL,	  "",
					    "v=",	  "v=AAAA",
					    "rspauth=00", "e=other-error" };
	static const char *const mechanism[] = { "SCRAM-SHA-256", "SCRAM-SHA-1",
						 "DIGEST-MD5" };
	struct server v;
	struct talk k;
	uint8_t buf[16384];

	(void)state;
	for (size_t m = 0; m < ARRAY_SIZE(mechanism); m++) {
		/* At once */
		talk_open(&k, "karl", PASSWORD, true);
		assert_int_equal(say_list(&k, mechanism[m]), 0);
		assert_int_not_equal(say_data(&k, NULL, 1), 0);
		part(&k, NULL);
		/* With what has to be answered */
		for (int early = 0; early < 2; early++) {
			struct span_writer w = span_writer_of(buf, sizeof(buf));

			server_open(&v, mechanism[m], true);
			talk_open(&k, "karl@" REALM, PASSWORD, true);
			assert_int_equal(say_list(&k, v.list), 0);
			assert_true(server_answer(&v, span_of(k.out, k.out_len),
						  &w));
			buf[w.len - 1] = (uint8_t)early;
			assert_int_equal(say(&k, buf, w.len),
					 early ? -EPROTO : 0);
			part(&k, &v);
		}
		/* Instead of its last word */
		for (size_t i = 0; i < ARRAY_SIZE(last); i++) {
			struct span_writer w = span_writer_of(buf, sizeof(buf));

			server_open(&v, mechanism[m], true);
			talk_open(&k, "karl@" REALM, PASSWORD, true);
			assert_int_equal(say_list(&k, v.list), 0);
			assert_true(server_answer(&v, span_of(k.out, k.out_len),
						  &w));
			assert_int_equal(say(&k, buf, w.len), 0);
			assert_int_not_equal(say_data(&k, last[i], 1), 0);
			assert_int_not_equal(*spice_sasl_why(k.s), 0);
			part(&k, &v);
		}
	}
}

static void test_ends(void **state)
{
	struct talk k;
	int n = 0;

	(void)state;
	/* PLAIN has nothing more to say: the server may not go on. */
	talk_open(&k, "karl", PASSWORD, true);
	assert_int_equal(say_list(&k, "PLAIN"), 0);
	assert_int_equal(say_data(&k, NULL, 0), -EPROTO);
	part(&k, NULL);
	talk_open(&k, "karl", PASSWORD, true);
	assert_int_equal(say_list(&k, "PLAIN"), 0);
	assert_int_equal(say_data(&k, "more", 1), 0);
	assert_int_equal(k.expected, 0);
	part(&k, NULL);
	/* LOGIN asks for ever, if one lets it. */
	talk_open(&k, "karl", PASSWORD, true);
	assert_int_equal(say_list(&k, "LOGIN"), 0);
	while (!say_data(&k, "Password:", 0))
		assert_true(++n < 100);
	part(&k, NULL);
}

/* --- The layer -------------------------------------------------------------------------------------- */

struct pipe {
	struct loop *loop;
	struct fake_transport wire;
	struct transport *t;
	struct server v;
	uint8_t into[1 << 20];
	size_t got, sent;
	int received_last, sent_last;
	unsigned int received, n_sent;
	bool inside, closed;
};

static void user_received(struct transport *t, int res)
{
	struct pipe *p = t->context;

	assert_false(p->inside);
	p->received++;
	p->received_last = res;
	if (res > 0)
		p->got += (size_t)res;
}

static void user_sent(struct transport *t, int res)
{
	struct pipe *p = t->context;

	assert_false(p->inside);
	p->n_sent++;
	p->sent_last = res;
	if (res > 0)
		p->sent += (size_t)res;
}

static void user_closed(struct transport *t)
{
	struct pipe *p = t->context;

	assert_false(p->inside);
	p->closed = true;
}

static void turn(struct pipe *p)
{
	for (int i = 0; i < 3; i++) {
		loop_hurry(p->loop);
		assert_int_equal(loop_turn(p->loop), 0);
	}
}

static struct pipe *pipe_open(void)
{
	static const struct transport_user user = {
		.received = user_received,
		.sent = user_sent,
		.closed = user_closed,
	};
	struct pipe *p = calloc(1, sizeof(*p));
	struct talk k;

	assert_non_null(p);
	assert_int_equal(loop_create(&p->loop), 0);
	fake_transport_init(&p->wire, p->loop);
	assert_int_equal(
		meet(&k, &p->v, "DIGEST-MD5", "karl@" REALM, PASSWORD, false),
		0);
	assert_int_equal(k.expected, 0);
	assert_int_equal(spice_sasl_layer(k.s, &p->wire.transport, &p->t), 0);
	assert_ptr_not_equal(p->t, &p->wire.transport);
	assert_true(p->t->copies);
	p->t->user = &user;
	p->t->context = p;
	return p;
}

static void pipe_close(struct pipe *p)
{
	unsigned int calls = p->n_sent + p->received;

	p->inside = true;
	transport_close(p->t);
	p->inside = false;
	turn(p);
	assert_true(p->wire.closing && !p->closed);
	assert_int_equal(p->n_sent + p->received, calls);
	fake_transport_closed(&p->wire);
	assert_true(p->closed);
	fake_transport_fini(&p->wire);
	sasl_dispose(&p->v.conn);
	loop_destroy(p->loop);
	free(p);
}

static void want(struct pipe *p, size_t len, bool exact)
{
	p->inside = true;
	transport_recv(p->t, p->into + p->got, len, exact);
	p->inside = false;
	turn(p);
}

/* The server sends len bytes from data, in a piece. */
static void server_sends(struct pipe *p, const void *data, size_t len,
			 size_t step)
{
	const char *coded;
	unsigned int n;

	assert_int_equal(
		sasl_encode(p->v.conn, data, (unsigned int)len, &coded, &n),
		SASL_OK);
	for (size_t at = 0; at < n; at += step)
		assert_true(fake_transport_arrive(&p->wire, coded + at,
						  MIN(step, n - at)));
}

static void test_receives(void **state)
{
	static const char text[] = "0123456789abcdef";
	struct pipe *p = pipe_open();

	(void)state;
	want(p, 4, true);
	assert_int_equal(p->received, 0);
	server_sends(p, text, 16, 1000); /* whole */
	assert_int_equal(p->received, 1);
	assert_int_equal(p->got, 4);
	want(p, 100, false); /* what is there */
	assert_int_equal(p->received, 2);
	assert_int_equal(p->got, 16);
	want(p, 16, true);
	server_sends(p, text, 10, 1); /* byte by byte */
	assert_int_equal(p->received, 2);
	server_sends(p, text + 10, 6, 3);
	assert_int_equal(p->received, 3);
	assert_memory_equal(p->into, text, 16);
	assert_memory_equal(p->into + 16, text, 16);
	/* An end comes again. */
	want(p, 4, true);
	fake_transport_end(&p->wire, 0);
	assert_int_equal(p->received, 4);
	assert_int_equal(p->received_last, 0);
	want(p, 4, true);
	assert_int_equal(p->received, 5);
	assert_int_equal(p->received_last, 0);
	pipe_close(p);
}

static void test_notices(void **state)
{
	static const char text[] = "0123456789abcdef";

	(void)state;
	/* Each byte of the message, in turn, is not what was sent. */
	for (size_t i = 0; i < 64; i++) {
		struct pipe *p = pipe_open();
		char bad[256];
		const char *coded;
		unsigned int n;

		assert_int_equal(sasl_encode(p->v.conn, text, 16, &coded, &n),
				 SASL_OK);
		assert_in_range(n, 17, sizeof(bad));
		memcpy(bad, coded, n);
		bad[i % n] ^= 0x40;
		want(p, 16, true);
		(void)fake_transport_arrive(&p->wire, bad, n);
		/* A length that is longer may just be waited for. */
		if (p->received)
			assert_int_equal(p->received_last, -EBADMSG);
		else
			assert_in_range(i % n, 0, 3);
		assert_int_equal(p->got, 0);
		pipe_close(p);
	}
}

static void test_sends(void **state)
{
	struct pipe *p = pipe_open();
	size_t size = 300000, at = 0, plain = 0;
	uint8_t *data = malloc(size), *back = malloc(size);
	uint8_t zero[4] = { 0 };

	(void)state;
	assert_true(data && back);
	for (size_t i = 0; i < size; i++)
		data[i] = (uint8_t)(i * 7 + i / 251);
	while (p->sent < size) {
		/* In odd pieces, one of which is empty. */
		size_t n = size - p->sent, a = MIN(n, 1001);
		const struct iovec iov[] = { { data + p->sent, a },
					     { zero, 0 },
					     { data + p->sent + a, n - a } };
		unsigned int before = p->n_sent;

		p->inside = true;
		transport_send(p->t, iov, 3);
		p->inside = false;
		turn(p);
		assert_true(p->wire.sending);
		while (p->n_sent == before)
			fake_transport_sent(&p->wire, 50001);
		assert_true(p->sent_last > 0);
	}
	/* As spice-server reads it */
	while (at < p->wire.out_len) {
		size_t n = MIN(4096, p->wire.out_len - at);
		const char *text;
		unsigned int len;

		assert_int_equal(sasl_decode(p->v.conn,
					     (char *)p->wire.out + at,
					     (unsigned int)n, &text, &len),
				 SASL_OK);
		assert_true(plain + len <= size);
		if (len)
			memcpy(back + plain, text, len);
		plain += len;
		at += n;
	}
	assert_int_equal(plain, size);
	assert_memory_equal(back, data, size);
	free(data);
	free(back);
	pipe_close(p);
}

static void test_reports_errors(void **state)
{
	struct pipe *p = pipe_open();
	struct iovec iov = { p->into, 1000 };

	(void)state;
	transport_send(p->t, &iov, 1);
	p->wire.sending = false;
	p->wire.transport.user->sent(&p->wire.transport, -EPIPE);
	assert_int_equal(p->sent_last, -EPIPE);
	transport_send(p->t, &iov, 1);
	assert_int_equal(p->n_sent, 1);
	turn(p);
	assert_int_equal(p->n_sent, 2);
	want(p, 4, false);
	fake_transport_end(&p->wire, -ECONNRESET);
	assert_int_equal(p->received_last, -ECONNRESET);
	/* Both would be told now, but for the end. */
	transport_send(p->t, &iov, 1);
	transport_recv(p->t, p->into, 10, true);
	pipe_close(p);
}

/* Closed with both ways busy: nobody is called but closed. */
static void test_closes(void **state)
{
	struct pipe *p = pipe_open();
	struct iovec iov = { p->into, 1000 };

	(void)state;
	transport_send(p->t, &iov, 1);
	transport_recv(p->t, p->into, 10, true);
	pipe_close(p);
}

/* --- A user ------------------------------------------------------------------------------------------ */

static int set_up(void **state)
{
	const char *tmp = getenv("TEST_TMP");
	sasl_conn_t *conn;

	(void)state;
	snprintf(db, sizeof(db), "%s/spice-sasl-%d.db", tmp ? tmp : "/tmp",
		 (int)getpid());
	if (sasl_server_init(callbacks, "ryll-test") != SASL_OK ||
	    sasl_server_new("spice", NULL, REALM, NULL, NULL, callbacks, 0,
			    &conn) != SASL_OK ||
	    sasl_setpass(conn, "karl@" REALM, PASSWORD, strlen(PASSWORD), NULL,
			 0, SASL_SET_CREATE) != SASL_OK) {
		printf("# cannot make a user: %s\n", sasl_errdetail(conn));
		return -1;
	}
	sasl_dispose(&conn);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return unlink(db);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lets_in),
		cmocka_unit_test(test_keeps_out),
		cmocka_unit_test(test_insists),
		cmocka_unit_test(test_wants_a_layer),
		cmocka_unit_test(test_bounds_lengths),
		cmocka_unit_test(test_wants_proof),
		cmocka_unit_test(test_ends),
		cmocka_unit_test(test_receives),
		cmocka_unit_test(test_notices),
		cmocka_unit_test(test_sends),
		cmocka_unit_test(test_reports_errors),
		cmocka_unit_test(test_closes),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}

#else

int main(void)
{
	printf("SKIP: built without SASL\n");
	return 77;
}

#endif
