// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a server is: on the command line and in virt-viewer files.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "spice/server.h"

static void check(const char *text, const char *host, unsigned int port,
		  const char *path)
{
	struct spice_server s = { 0 };
	const char *why;

	assert_int_equal(spice_server_parse(&s, text, &why), 0);
	assert_int_equal(s.port, port);
	if (host)
		assert_string_equal(s.host, host);
	else
		assert_null(s.host);
	if (path)
		assert_string_equal(s.unix_path, path);
	else
		assert_null(s.unix_path);
	spice_server_fini(&s);
}

static void test_addresses(void **state)
{
	static const char *const bad[] = {
		"",	   ":5900",	"host:",    "host:0",	  "host:65536",
		"host:-1", "host:59x0", "::1",	    "[::1",	  "[]:5900",
		"[::1]x",  "[::1]5900", "host:5:6", "host: 5900", "unix:",
	};
	struct spice_server s = { 0 };
	const char *why;

	(void)state;
	check("host:5900", "host", 5900, NULL);
	check("host", "host", 0, NULL);
	check("127.0.0.1:1", "127.0.0.1", 1, NULL);
	check("[::1]:65535", "::1", 65535, NULL);
	check("[fe80::1%eth0]", "fe80::1%eth0", 0, NULL);
	check("unix:/run/a:b", NULL, 0, "/run/a:b");
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		why = NULL;
		assert_int_equal(spice_server_parse(&s, bad[i], &why), -EINVAL);
		assert_non_null(why);
	}
	spice_server_fini(&s);
}

static int parse(struct spice_server *s, const char *text, bool *delete_file)
{
	char why[256] = "";
	int ret = spice_server_parse_vvfile(s, text, strlen(text), delete_file,
					    why, sizeof(why));

	assert_int_equal(ret < 0, why[0] != '\0');
	return ret;
}

#define PEM "-----BEGIN CERTIFICATE-----"

static void test_vvfile(void **state)
{
	/* As Proxmox writes it; with a certificate of 3000 bytes. */
	static char text[8192];
	struct spice_server s = { 0 };
	bool delete_file;
	int n;

	(void)state;
	n = snprintf(text, sizeof(text),
		     "[virt-viewer]\n"
		     "tls-port=61000\n"
		     "host=pvespiceproxy:65504a5e:100:pve::b1f5c2\n"
		     "# a comment\n"
		     "password=a ;b # c\n"
		     "proxy=http://pve.example.com:3128\n"
		     "type=spice\n"
		     "delete-this-file=1\n"
		     "title=VM 100 - \\tone\n"
		     "host-subject=OU=PVE Cluster Node,CN=a\\\\, b\n"
		     "ca=" PEM "\\n");
	memset(text + n, 'A', 3000);
	strcpy(text + n + 3000, "\\n-----END CERTIFICATE-----\\n\n"
				"[ovirt]\nhost=elsewhere\nport=1\n");
	assert_int_equal(parse(&s, text, &delete_file), 0);
	assert_true(delete_file);
	assert_int_equal(s.port, 0);
	assert_int_equal(s.tls_port, 61000);
	assert_string_equal(s.host, "pvespiceproxy:65504a5e:100:pve::b1f5c2");
	assert_string_equal(s.password, "a ;b # c");
	assert_string_equal(s.proxy, "http://pve.example.com:3128");
	assert_string_equal(s.title, "VM 100 - \tone");
	assert_string_equal(s.subject, "OU=PVE Cluster Node,CN=a\\, b");
	assert_int_equal(strlen(s.ca), strlen(PEM) + 1 + 3000 + 27);
	assert_memory_equal(s.ca, PEM "\nAAA", strlen(PEM) + 4);
	spice_server_fini(&s);
}

static void test_vvfile_ports(void **state)
{
	struct spice_server s = { .port = 1, .tls_port = 2 };
	bool delete_file;

	(void)state;
	assert_int_equal(parse(&s,
			       "[virt-viewer]\ntype=spice\nhost=h\nport=5900\n"
			       "tls-port=-1\n",
			       &delete_file),
			 0);
	assert_false(delete_file);
	assert_int_equal(s.port, 5900);
	assert_int_equal(s.tls_port, 0);
	spice_server_fini(&s);
}

static void test_vvfile_bad(void **state)
{
	static const char *const bad[] = {
		"",
		"type=spice\nhost=h\n",
		"[virt-viewer]\nhost=h\n",
		"[virt-viewer]\ntype=vnc\nhost=h\nport=5900\n",
		"[other]\ntype=spice\n",
		"[virt-viewer]\ntype=spice\nport=65536\n",
		"[virt-viewer]\ntype=spice\nport=\n",
		"[virt-viewer]\ntype=spice\ntls-port=1 2\n",
		"[virt-viewer]\ntype=spice\nnonsense\n",
		"\x7f"
		"ELF",
	};
	struct spice_server s = { 0 };
	bool delete_file;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(&s, bad[i], &delete_file), -EINVAL);
		assert_false(delete_file);
		spice_server_fini(&s);
	}
}

static void write_file(const char *path, const char *text, size_t len)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void test_vvfile_file(void **state)
{
	static const char text[] =
		"[virt-viewer]\ntype=spice\nhost=h\ndelete-this-file=1\n";
	struct spice_server s = { 0 };
	char *large = malloc(SPICE_VVFILE_MAX + 1);
	char why[256];

	(void)state;
	assert_non_null(large);
	write_file("c.vv", text, strlen(text));
	assert_int_equal(spice_server_read_vvfile(&s, "c.vv", why, sizeof(why)),
			 0);
	assert_string_equal(s.host, "h");
	assert_int_equal(access("c.vv", F_OK), -1);
	assert_int_equal(spice_server_read_vvfile(&s, "c.vv", why, sizeof(why)),
			 -ENOENT);
	/* Through a link: the file itself goes. */
	write_file("real.vv", text, strlen(text));
	assert_int_equal(symlink("real.vv", "c.vv"), 0);
	assert_int_equal(spice_server_read_vvfile(&s, "c.vv", why, sizeof(why)),
			 0);
	assert_int_equal(access("real.vv", F_OK), -1);
	assert_int_equal(unlink("c.vv"), 0);
	/* What is wrong in it is not repeated: it may be the password. */
	write_file("c.vv", "[virt-viewer]\npassword secret\n", 31);
	assert_int_equal(spice_server_read_vvfile(&s, "c.vv", why, sizeof(why)),
			 -EINVAL);
	assert_null(strstr(why, "secret"));
	/* One that makes no sense stays. */
	memset(large, '\n', SPICE_VVFILE_MAX + 1);
	memcpy(large, text, strlen(text));
	write_file("c.vv", large, SPICE_VVFILE_MAX + 1);
	assert_int_equal(spice_server_read_vvfile(&s, "c.vv", why, sizeof(why)),
			 -EINVAL);
	write_file("c.vv", large, SPICE_VVFILE_MAX);
	assert_int_equal(spice_server_read_vvfile(&s, "c.vv", why, sizeof(why)),
			 0);
	assert_int_equal(access("c.vv", F_OK), -1);
	spice_server_fini(&s);
	free(large);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_vvfile),
		cmocka_unit_test(test_vvfile_ports),
		cmocka_unit_test(test_vvfile_bad),
		cmocka_unit_test(test_vvfile_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
