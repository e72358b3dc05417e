/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Where a SPICE server is and how to get in: from the command line or from a
 * virt-viewer file.
 */
#ifndef SPICE_SERVER_H
#define SPICE_SERVER_H

#include <stdbool.h>

#include "base/err.h"

struct spice_server {
	char *title;	 /* for log lines; NULL: the address */
	char *host;	 /* a name, an address, or what only the proxy knows */
	char *unix_path; /* instead of a host */
	unsigned int port, tls_port; /* 0: there is none. With a TLS port,
				      * nothing is ever said in plain. */
	char *password;		     /* NULL: none is known */
	char *username;		     /* SASL; NULL: none */
	char *ca;		     /* PEM text; NULL: see ca_file */
	char *ca_file; /* a path; NULL: the system's authorities */
	char *subject; /* of the certificate; NULL: the host name counts */
	char *proxy;   /* see transport/proxy.h; NULL: none */
};

/* -ENOMEM; *to is to be freed by spice_server_fini() in any case. */
int must_check spice_server_copy(struct spice_server *to,
				 const struct spice_server *from);

/* A copy of text in the place of a field; NULL leaves it as it is. -ENOMEM. */
int must_check spice_server_set(char **field, const char *text);

/* Frees all that is in it, the password overwritten. */
void spice_server_fini(struct spice_server *server);

/*
 * "HOST:PORT", "HOST" (with a TLS port that comes by itself), "[ADDRESS]:PORT",
 * "unix:PATH". Sets host, port, unix_path. -EINVAL or -ENOMEM, and *why says
 * what is wrong with text.
 */
int must_check spice_server_parse(struct spice_server *server, const char *text,
				  const char **why);

/* Longest virt-viewer file. */
#define SPICE_VVFILE_MAX (256 << 10)

/*
 * Sets what the len bytes of a virt-viewer file (group [virt-viewer], type
 * spice) say. *delete_file: it asks to be removed once it is read. -EINVAL or
 * -ENOMEM, and why (size bytes) says in words what is wrong.
 */
int must_check spice_server_parse_vvfile(struct spice_server *server,
					 const char *text, size_t len,
					 bool *delete_file, char *why,
					 size_t size);

/* The same from a file; removes it when it asks for that. */
int must_check spice_server_read_vvfile(struct spice_server *server,
					const char *path, char *why,
					size_t size);

#endif
