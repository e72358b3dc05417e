// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice/server.h"

#include <stdlib.h>
#include <string.h>

static void free_secret(char *text)
{
	if (text)
		explicit_bzero(text, strlen(text));
	free(text);
}

void spice_server_fini(struct spice_server *server)
{
	free(server->title);
	free(server->host);
	free(server->unix_path);
	free_secret(server->password);
	free(server->username);
	free(server->ca);
	free(server->ca_file);
	free(server->subject);
	free_secret(server->proxy);
	*server = (struct spice_server){ 0 };
}

int spice_server_set(char **field, const char *text)
{
	char *copy;

	if (!text)
		return 0;
	copy = strdup(text);
	if (!copy)
		return -ENOMEM;
	free_secret(*field);
	*field = copy;
	return 0;
}

int spice_server_copy(struct spice_server *to, const struct spice_server *from)
{
	*to = (struct spice_server){ .port = from->port,
				     .tls_port = from->tls_port };
	if (spice_server_set(&to->title, from->title) < 0 ||
	    spice_server_set(&to->host, from->host) < 0 ||
	    spice_server_set(&to->unix_path, from->unix_path) < 0 ||
	    spice_server_set(&to->password, from->password) < 0 ||
	    spice_server_set(&to->username, from->username) < 0 ||
	    spice_server_set(&to->ca, from->ca) < 0 ||
	    spice_server_set(&to->ca_file, from->ca_file) < 0 ||
	    spice_server_set(&to->subject, from->subject) < 0 ||
	    spice_server_set(&to->proxy, from->proxy) < 0)
		return -ENOMEM;
	return 0;
}

static int parse_port(const char *text, unsigned int *port)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !n || n > 65535)
		return -EINVAL;
	*port = (unsigned int)n;
	return 0;
}

int spice_server_parse(struct spice_server *server, const char *text,
		       const char **why)
{
	const char *host = text, *end, *colon;
	char **out = &server->host;

	if (!strncmp(text, "unix:", 5)) {
		host = text + 5;
		end = host + strlen(host);
		colon = NULL;
		out = &server->unix_path;
	} else if (*text == '[') {
		host = text + 1;
		end = strchr(host, ']');
		colon = end && end[1] ? end + 1 : NULL;
		if (!end || (colon && *colon != ':')) {
			*why = "is not [ADDRESS]:PORT";
			return -EINVAL;
		}
	} else {
		colon = strchr(text, ':');
		end = colon ? colon : text + strlen(text);
		if (colon && strchr(colon + 1, ':')) {
			*why = "has an IPv6 address without brackets; write [ADDRESS]:PORT";
			return -EINVAL;
		}
	}
	*why = "is none of HOST:PORT, HOST (with --tls-port) and unix:PATH";
	if (end == host)
		return -EINVAL;
	if (colon && parse_port(colon + 1, &server->port) < 0) {
		*why = "has no port between 1 and 65535";
		return -EINVAL;
	}
	free(*out);
	*out = strndup(host, (size_t)(end - host));
	if (!*out) {
		*why = strerror(ENOMEM);
		return -ENOMEM;
	}
	return 0;
}
