// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * TLS against a server session of gnutls: whom it believes, and what it says
 * when it does not.
 */
#include "../lib/tls-client.h"

/* Until the client has gone. */
static void wait_for_end(struct server *s)
{
	char buf[4096];

	while (read(s->fd, buf, sizeof(buf)) > 0)
		;
}

static void plain(struct server *s)
{
	if (write(s->fd, "HTTP/1.1 400 Bad Request\r\n\r\n", 28) == 28)
		wait_for_end(s);
}

static void closes_at_once(struct server *s)
{
	char c;

	s->result = (int)read(s->fd, &c, 1);
	shutdown(s->fd, SHUT_RDWR);
}

/* --- Whom it believes ------------------------------------------------------------------- */

/* The status and the sentence, and that a good connection works. */
static void expect(const struct tls_options *options, const struct identity *id,
		   const char *priority, int status, const char *why)
{
	struct bench b = { .server = { .serve = echo, .priority = priority } };
	char buf[5];

	shake(&b, options, id);
	if (strcmp(b.why, why))
		print_error("# said: %s\n", b.why);
	assert_string_equal(b.why, why);
	assert_int_equal(b.status, status);
	if (!status) {
		send_all(&b, "hello", 5);
		recv_all(&b, buf, 5, true);
		assert_int_equal(b.received, 5);
		assert_memory_equal(buf, "hello", 5);
	}
	end(&b);
	/* The server has heard of it in either case. */
	if (status == -EACCES)
		assert_int_equal(b.server.result,
				 GNUTLS_E_FATAL_ALERT_RECEIVED);
	else if (!status)
		assert_int_equal(b.server.result, 0);
}

static void test_authorities(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct identity old;

	(void)state;
	expect(&o, &usual, NULL, 0, "");
	o.ca = (char *)other_ca.crt_pem.data;
	expect(&o, &usual, NULL, -EACCES,
	       "the server's certificate is not signed by an authority that "
	       "is trusted here");
	o.ca = NULL;
	expect(&o, &usual, NULL, -EACCES,
	       "the server's certificate is not signed by an authority that "
	       "is trusted here");
	identity_make(&old, &ca,
		      &(struct wanted){ .name = "vm.example", .days = -1 });
	o = for_host("vm.example");
	expect(&o, &old, NULL, -EACCES, "the server's certificate has expired");
	identity_free(&old);
}

static void test_ca_file(void **state)
{
	struct tls_options o = { .ca_file = "/nonexistent",
				 .host = "vm.example" };
	char path[] = "/tmp/ryll-ca-XXXXXX", why[200], expected[200];
	struct tls_context *c;
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(tls_context_create(&o, &c, why, sizeof(why)), -ENOENT);
	assert_string_equal(why, "cannot read CA certificates from "
				 "/nonexistent: No such file or directory");
	o.ca_file = path;
	assert_int_equal(tls_context_create(&o, &c, why, sizeof(why)), -EINVAL);
	snprintf(expected, sizeof(expected), "%s has no CA certificate in PEM",
		 path);
	assert_string_equal(why, expected);
	assert_int_equal(write(fd, ca.crt_pem.data, ca.crt_pem.size),
			 ca.crt_pem.size);
	close(fd);
	expect(&o, &usual, NULL, 0, "");
	unlink(path);
}

static void test_hosts(void **state)
{
	struct tls_options o = for_host("127.0.0.1");

	(void)state;
	expect(&o, &usual, NULL, 0, "");
	o.host = "127.0.0.2";
	expect(&o, &usual, NULL, -EACCES,
	       "the server's certificate is not for 127.0.0.2");
	o.host = "other.example";
	expect(&o, &usual, NULL, -EACCES,
	       "the server's certificate is not for other.example");
}

static void expect_subject(const struct identity *id, const char *subject,
			   bool good)
{
	struct tls_options o = for_host("not.looked.at");
	char why[400] = "";

	o.subject = subject;
	if (!good)
		snprintf(why, sizeof(why),
			 "the server's certificate has the subject "
			 "C=AT,O=Ex  ample,OU=a\\,b\\\\c,CN=vm one, not %s",
			 subject);
	expect(&o, id, NULL, good ? 0 : -EACCES, why);
}

static void test_subjects(void **state)
{
	static const struct rdn rdns[] = {
		{ GNUTLS_OID_X520_COUNTRY_NAME, "AT" },
		{ GNUTLS_OID_X520_ORGANIZATION_NAME, "Ex  ample" },
		{ GNUTLS_OID_X520_ORGANIZATIONAL_UNIT_NAME, "a,b\\c" },
		{ GNUTLS_OID_X520_COMMON_NAME, "vm one" },
		{ 0 }
	};
	struct identity id;

	(void)state;
	identity_make(&id, &ca, &(struct wanted){ .subject = rdns });
	expect_subject(&id, "C=AT,O=Ex  ample,OU=a\\,b\\\\c,CN=vm one", true);
	/* Spaces before a name, OIDs, letters and spaces as OpenSSL has it */
	expect_subject(&id,
		       "countryName=at,  2.5.4.10=EX AMPLE,"
		       "OU=a\\,b\\\\c, CN= vm one ,",
		       true);
	/* The order, one too few, one too many, another one, other spaces */
	expect_subject(&id, "CN=vm one,OU=a\\,b\\\\c,O=Ex ample,C=AT", false);
	expect_subject(&id, "C=AT,O=Ex ample,OU=a\\,b\\\\c", false);
	expect_subject(&id, "C=AT,O=Ex ample,OU=a\\,b\\\\c,CN=vm one,CN=x",
		       false);
	expect_subject(&id, "C=AT,O=Ex ample,OU=a\\,b\\\\c,CN=vm two", false);
	expect_subject(&id, "C=AT,O=Ex ample,L=a\\,b\\\\c,CN=vm one", false);
	expect_subject(&id, "C=AT,O=Example,OU=a\\,b\\\\c,CN=vm one", false);
	identity_free(&id);
}

static void test_bad_subjects(void **state)
{
	static const char *const bad[] = { "",	       " ",	 "CN",
					   "CN=",      "=a",	 "CN=a\\",
					   "CN=a,b",   "CN=\\a", "XY=a",
					   "CN=a,,O=b" };
	struct tls_options o = for_host(NULL);
	struct tls_context *c;
	char why[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		o.subject = bad[i];
		assert_int_equal(tls_context_create(&o, &c, why, sizeof(why)),
				 -EINVAL);
		assert_non_null(strstr(why, "subject"));
	}
}

static void test_versions(void **state)
{
	struct tls_options o = for_host("vm.example");

	(void)state;
	expect(&o, &usual, "NORMAL:-VERS-ALL:+VERS-TLS1.3", 0, "");
	expect(&o, &usual, "NORMAL:-VERS-ALL:+VERS-TLS1.2", 0, "");
	expect(&o, &usual, "LEGACY:-VERS-ALL:+VERS-TLS1.1", -EPROTO,
	       "the server speaks neither TLS 1.2 nor TLS 1.3");
}

/* --- What is no TLS ----------------------------------------------------------------------- */

static void test_no_tls(void **state)
{
	struct tls_options o = for_host("vm.example");
	struct bench b = { .server.serve = plain };
	struct bench e = { .server.serve = closes_at_once };

	(void)state;
	shake(&b, &o, &usual);
	assert_int_equal(b.status, -EPROTO);
	assert_string_equal(b.why, "the server does not speak TLS here");
	end(&b);
	shake(&e, &o, &usual);
	/* With what was not read in its socket the kernel resets. */
	assert_true(e.status == -EPROTO || e.status == -ECONNRESET);
	if (e.status == -EPROTO)
		assert_string_equal(e.why, "the server closed the connection "
					   "in the TLS handshake");
	end(&e);
}

static void test_cancel(void **state)
{
	struct tls_options o = for_host("vm.example");

	(void)state;
	for (int turns = 0; turns < 3; turns++) {
		struct bench b = { .server.serve = wait_for_end };

		start(&b, &o, &usual);
		for (int i = 0; i < turns; i++) {
			loop_hurry(b.loop);
			turn(&b);
		}
		b.inside = true;
		b.step->cancel(b.step);
		b.inside = false;
		while (!b.done)
			turn(&b);
		assert_int_equal(b.status, -ECANCELED);
		assert_null(b.t);
		end(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_authorities),
		cmocka_unit_test(test_ca_file),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_subjects),
		cmocka_unit_test(test_bad_subjects),
		cmocka_unit_test(test_versions),
		cmocka_unit_test(test_no_tls),
		cmocka_unit_test(test_cancel),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
