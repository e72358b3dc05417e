// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/nbd_uri.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char nbd_uri_knows_not[] =
	"needs something to know the server by: ?tls-certificates=DIR with a readable ca-cert.pem in DIR, or a readable ?tls-psk-file=FILE";

/* What the URI's query says of key, undecoded, up to '&'; or NULL. */
static const char *parameter(const char *uri, const char *key, int *len)
{
	for (const char *p = strchr(uri, '?'); p; p = strchr(p, '&')) {
		p++;
		if (strncmp(p, key, strlen(key)) || p[strlen(key)] != '=')
			continue;
		p += strlen(key) + 1;
		*len = (int)strcspn(p, "&");
		return p;
	}
	return NULL;
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *digit = c ? strchr(digits, c) : NULL;

	return digit ? (int)(digit - digits) % 16 : -1;
}

/* Is there a file at the path that key gives, and what goes behind it? */
static bool readable(const char *uri, const char *key, const char *behind)
{
	char path[4096];
	const char *p;
	size_t n = 0;
	int len;

	p = parameter(uri, key, &len);
	if (!p || (size_t)len + strlen(behind) >= sizeof(path))
		return false;
	for (const char *end = p + len; p < end; p++) {
		if (*p == '%' && hex(p[1]) >= 0 && hex(p[2]) >= 0) {
			path[n++] = (char)(hex(p[1]) << 4 | hex(p[2]));
			p += 2;
		} else {
			path[n++] = *p;
		}
	}
	strcpy(path + n, behind);
	return !access(path, R_OK);
}

bool nbd_uri_knows_server(const char *uri)
{
	int len;

	if (strncmp(uri, "nbds", 4))
		return true;
	/* If there is this one, libnbd does not look at the other. */
	if (parameter(uri, "tls-psk-file", &len))
		return readable(uri, "tls-psk-file", "");
	return readable(uri, "tls-certificates", "/ca-cert.pem");
}

char *nbd_uri_name(const char *uri)
{
	const char *host = strstr(uri, "//") + 2, *socket;
	const char *at = memchr(host, '@', strcspn(host, "/?"));
	const char *rest = at ? at + 1 : host;
	char *name;
	int len = 0;

	socket = parameter(uri, "socket", &len);
	if (asprintf(&name, "%.*s%.*s%s%.*s", (int)(host - uri), uri,
		     (int)strcspn(rest, "?"), rest, socket ? "?socket=" : "",
		     len, socket ? socket : "") < 0)
		return NULL;
	return name;
}

const char *nbd_uri_explain(const char *words)
{
	static const struct {
		const char *theirs, *ours;
	} table[] = {
		{ "requires TLS", "is refused: the server demands TLS (nbds)" },
		{ "refused TLS",
		  "is refused: the server has no TLS (nbd does without)" },
		{ "certificate verification",
		  "is not trusted: the server's certificate is not by this CA, or for another name" },
	};
	static const char no_export[] = "server has no export named ";
	static char text[320];
	const char *name = strstr(words, no_export);

	for (size_t i = 0; i < ARRAY_SIZE(table); i++)
		if (strstr(words, table[i].theirs))
			return table[i].ours;
	if (name)
		/* Behind the name is what strerror() says. */
		snprintf(text, sizeof(text), "is not there: the %.*s",
			 (int)(strrchr(name, ':') ? strrchr(name, ':') - name
						  : (long)strlen(name)),
			 name);
	else if (!strcmp(words, nbd_uri_knows_not))
		return nbd_uri_knows_not; /* outlives words */
	else
		snprintf(text, sizeof(text), "cannot be opened: %s", words);
	return text;
}
