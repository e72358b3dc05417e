// SPDX-License-Identifier: GPL-2.0-or-later
#include "transport/tls_subject.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define MAX_KEY 80
#define MAX_VALUE 512

struct entry {
	char key[MAX_KEY];
	char value[MAX_VALUE];
};

/* OpenSSL knows more; a key may also be an OID in digits. */
static const struct {
	const char *oid, *name, *long_name;
} names[] = {
	{ "2.5.4.3", "CN", "commonName" },
	{ "2.5.4.4", "SN", "surname" },
	{ "2.5.4.5", "serialNumber", "serialNumber" },
	{ "2.5.4.6", "C", "countryName" },
	{ "2.5.4.7", "L", "localityName" },
	{ "2.5.4.8", "ST", "stateOrProvinceName" },
	{ "2.5.4.9", "street", "streetAddress" },
	{ "2.5.4.10", "O", "organizationName" },
	{ "2.5.4.11", "OU", "organizationalUnitName" },
	{ "2.5.4.12", "title", "title" },
	{ "2.5.4.13", "description", "description" },
	{ "2.5.4.15", "businessCategory", "businessCategory" },
	{ "2.5.4.17", "postalCode", "postalCode" },
	{ "2.5.4.41", "name", "name" },
	{ "2.5.4.42", "GN", "givenName" },
	{ "2.5.4.43", "initials", "initials" },
	{ "2.5.4.44", "generationQualifier", "generationQualifier" },
	{ "2.5.4.46", "dnQualifier", "dnQualifier" },
	{ "2.5.4.65", "pseudonym", "pseudonym" },
	{ "1.2.840.113549.1.9.1", "emailAddress", "emailAddress" },
	{ "1.2.840.113549.1.9.2", "unstructuredName", "unstructuredName" },
	{ "0.9.2342.19200300.100.1.1", "UID", "userId" },
	{ "0.9.2342.19200300.100.1.25", "DC", "domainComponent" },
};

static const char *oid_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(key, names[i].name) ||
		    !strcmp(key, names[i].long_name))
			return names[i].oid;
	if (isdigit((unsigned char)key[0]) && !key[strspn(key, "0123456789.")])
		return key;
	return NULL;
}

static const char *name_of(const char *oid)
{
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		if (!strcmp(oid, names[i].oid))
			return names[i].name;
	return oid;
}

/* --- What was written ---------------------------------------------------------------- */

/* A character of it; *escaped if it stands for itself. -1: a bad escape. */
static int next_char(const char **p, bool *escaped)
{
	*escaped = **p == '\\';
	if (*escaped) {
		(*p)++;
		if (**p != '\\' && **p != ',')
			return -1;
	}
	return (unsigned char)*(*p)++;
}

/* Up to an unescaped end, which is eaten. The end's character, or -1. */
static int take_word(const char **p, const char *ends, char *out, size_t size)
{
	size_t len = 0;

	for (;;) {
		bool escaped;
		int c = next_char(p, &escaped);

		if (c < 0)
			return -1;
		if (!escaped && (!c || strchr(ends, c))) {
			out[len] = '\0';
			return c;
		}
		if (len + 1 == size)
			return -1;
		out[len++] = (char)c;
	}
}

/* 1: an entry; 0: there are no more; -EINVAL, and *why. */
static int next_entry(const char **p, struct entry *e, const char **why)
{
	int end;

	*p += strspn(*p, " ");
	if (!**p)
		return 0;
	end = take_word(p, "=", e->key, sizeof(e->key));
	*why = "a part of the subject is not NAME=VALUE, with a backslash "
	       "before each comma and backslash in VALUE";
	if (end != '=' || !e->key[0])
		return -EINVAL;
	end = take_word(p, ",", e->value, sizeof(e->value));
	if (end < 0 || !e->value[0])
		return -EINVAL;
	/* The end of the text is there to be seen again. */
	if (!end)
		(*p)--;
	*why = "the subject has an attribute whose name is not known";
	return oid_of(e->key) ? 1 : -EINVAL;
}

const char *tls_subject_check(const char *text)
{
	struct entry e;
	const char *why = NULL;
	unsigned int n = 0;
	int ret;

	while ((ret = next_entry(&text, &e, &why)) > 0)
		n++;
	if (ret < 0)
		return why;
	return n ? NULL : "the subject is empty";
}

/* --- What the certificate has ----------------------------------------------------------- */

/* Tags of ASN.1 */
enum {
	UTF8_STRING = 12,
	PRINTABLE_STRING = 19,
	T61_STRING = 20,
	IA5_STRING = 22,
	VISIBLE_STRING = 26,
	BMP_STRING = 30,
};

static size_t put_utf8(char *out, unsigned int c)
{
	if (c < 0x80) {
		out[0] = (char)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (char)(0xc0 | c >> 6);
		out[1] = (char)(0x80 | (c & 0x3f));
		return 2;
	}
	out[0] = (char)(0xe0 | c >> 12);
	out[1] = (char)(0x80 | (c >> 6 & 0x3f));
	out[2] = (char)(0x80 | (c & 0x3f));
	return 3;
}

/* As text; false: it is none, or too long, or has an end in its middle. */
static bool value_of(const gnutls_x509_ava_st *ava, char out[MAX_VALUE])
{
	const uint8_t *p = ava->value.data;
	size_t width = ava->value_tag == BMP_STRING ? 2 : 1;
	bool latin1 = ava->value_tag == T61_STRING;
	size_t len = 0;

	switch (ava->value_tag) {
	case UTF8_STRING:
	case PRINTABLE_STRING:
	case T61_STRING:
	case IA5_STRING:
	case VISIBLE_STRING:
	case BMP_STRING:
		break;
	default:
		return false;
	}
	for (size_t i = 0; i + width <= ava->value.size; i += width) {
		unsigned int c = width == 2 ? p[i] << 8u | p[i + 1] : p[i];

		if (!c || len + 4 > MAX_VALUE)
			return false;
		if (width == 2 || latin1)
			len += put_utf8(out + len, c);
		else
			out[len++] = (char)c;
	}
	out[len] = '\0';
	return true;
}

/* The RDN number i, if it is one attribute. 0: there is no such. */
static int rdn(gnutls_x509_dn_t dn, int i, char oid[MAX_KEY],
	       char value[MAX_VALUE])
{
	gnutls_x509_ava_st ava, second;

	if (gnutls_x509_dn_get_rdn_ava(dn, i, 0, &ava) < 0)
		return 0;
	if (!gnutls_x509_dn_get_rdn_ava(dn, i, 1, &second) ||
	    ava.oid.size >= MAX_KEY || !value_of(&ava, value))
		return -EINVAL;
	memcpy(oid, ava.oid.data, ava.oid.size);
	oid[ava.oid.size] = '\0';
	return 1;
}

/* As OpenSSL compares: letters of ASCII are alike, spaces count once. */
static bool same_value(const char *a, const char *b)
{
	a += strspn(a, " \t\n\v\f\r");
	b += strspn(b, " \t\n\v\f\r");
	for (;;) {
		size_t a_space = strspn(a, " \t\n\v\f\r");
		size_t b_space = strspn(b, " \t\n\v\f\r");

		a += a_space;
		b += b_space;
		if (!*a || !*b)
			return *a == *b;
		if (!a_space != !b_space)
			return false;
		/* In the locale of a program that sets none: ASCII only. */
		if (tolower((unsigned char)*a++) !=
		    tolower((unsigned char)*b++))
			return false;
	}
}

bool tls_subject_matches(gnutls_x509_crt_t crt, const char *text)
{
	char oid[MAX_KEY], value[MAX_VALUE];
	gnutls_x509_dn_t dn;
	const char *why;

	if (gnutls_x509_crt_get_subject(crt, &dn) < 0)
		return false;
	for (int i = 0;; i++) {
		struct entry e;
		int wanted = next_entry(&text, &e, &why);
		int there = rdn(dn, i, oid, value);

		if (wanted < 0 || wanted != there)
			return false;
		if (!wanted)
			return i > 0;
		if (strcmp(oid_of(e.key), oid) || !same_value(e.value, value))
			return false;
	}
}

static void print_value(FILE *f, const char *value)
{
	for (; *value; value++) {
		/* It goes to a terminal. */
		unsigned char c = (unsigned char)*value;

		if (c == ',' || c == '\\')
			fputc('\\', f);
		fputc(c < ' ' || c == 0x7f ? '?' : c, f);
	}
}

void tls_subject_print(gnutls_x509_crt_t crt, char *out, size_t size)
{
	char oid[MAX_KEY], value[MAX_VALUE];
	gnutls_x509_dn_t dn;
	FILE *f = fmemopen(out, size, "w");
	int ret;

	out[0] = '\0';
	if (!f)
		return;
	if (gnutls_x509_crt_get_subject(crt, &dn) < 0)
		dn = NULL;
	for (int i = 0; dn && (ret = rdn(dn, i, oid, value)); i++) {
		fputs(i ? "," : "", f);
		if (ret < 0) {
			fputc('?', f);
			continue;
		}
		fprintf(f, "%s=", name_of(oid));
		print_value(f, value);
	}
	fclose(f);
	out[size - 1] = '\0';
}
