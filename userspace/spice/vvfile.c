// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The virt-viewer connection file, see remote-viewer(1). It is a GKeyFile and
 * read as one: certificates are lines of over a thousand bytes, with escapes.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "spice/server.h"

/* Last: it has its own MIN and MAX. */
#include <glib.h>

#define GROUP "virt-viewer"

/* Replaces *out if the file has the key. GLib's memory is the heap's. */
static void take_text(GKeyFile *file, const char *key, char **out)
{
	char *value = g_key_file_get_string(file, GROUP, key, NULL);

	if (!value)
		return;
	free(*out);
	*out = value;
	if (!*value) {
		free(value);
		*out = NULL;
	}
}

static int take_port(GKeyFile *file, const char *key, unsigned int *port,
		     char *why, size_t size)
{
	char *text = g_key_file_get_string(file, GROUP, key, NULL);
	char *end;
	long n;
	int ret = 0;

	if (!text)
		return 0;
	n = strtol(text, &end, 10);
	/* 0 and -1 are written for a port that there is not. */
	if (!*text || *end || n < -1 || n > 65535) {
		snprintf(why, size, "has a %s that is no port", key);
		ret = -EINVAL;
	} else {
		*port = n > 0 ? (unsigned int)n : 0;
	}
	g_free(text);
	return ret;
}

static int take_all(struct spice_server *server, GKeyFile *file,
		    bool *delete_file, char *why, size_t size)
{
	char *type = g_key_file_get_string(file, GROUP, "type", NULL);
	bool spice = type && !strcmp(type, "spice");
	int ret;

	g_free(type);
	if (!spice) {
		snprintf(
			why, size,
			"does not describe a SPICE server (type=spice in its group [virt-viewer])");
		return -EINVAL;
	}
	*delete_file = g_key_file_get_integer(file, GROUP, "delete-this-file",
					      NULL) == 1;
	take_text(file, "title", &server->title);
	take_text(file, "host", &server->host);
	take_text(file, "unix-path", &server->unix_path);
	take_text(file, "password", &server->password);
	take_text(file, "username", &server->username);
	take_text(file, "ca", &server->ca);
	take_text(file, "host-subject", &server->subject);
	take_text(file, "proxy", &server->proxy);
	ret = take_port(file, "port", &server->port, why, size);
	if (!ret)
		ret = take_port(file, "tls-port", &server->tls_port, why, size);
	return ret;
}

int spice_server_parse_vvfile(struct spice_server *server, const char *text,
			      size_t len, bool *delete_file, char *why,
			      size_t size)
{
	GKeyFile *file = g_key_file_new();
	int ret;

	*delete_file = false;
	if (len && len <= SPICE_VVFILE_MAX &&
	    g_key_file_load_from_data(file, text, len, G_KEY_FILE_NONE, NULL)) {
		ret = take_all(server, file, delete_file, why, size);
	} else {
		/* Not in GLib's words: they have the line in them, which may
		 * be the password's. */
		snprintf(why, size, "is not a virt-viewer file");
		ret = -EINVAL;
	}
	g_key_file_unref(file);
	return ret;
}

/* At most SPICE_VVFILE_MAX bytes; more are as many as say that it is too long. */
static ssize_t read_all(int fd, char *text)
{
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len <= SPICE_VVFILE_MAX) {
		n = read(fd, text + len, SPICE_VVFILE_MAX + 1 - len);
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	return (ssize_t)len;
}

/* The file that fd is, wherever links have led to it; no pipe and no device. */
static void remove_file(int fd, const char *path)
{
	cleanup_free char *real = realpath(path, NULL);
	struct stat is, there;

	if (fstat(fd, &is) < 0 || !S_ISREG(is.st_mode))
		return;
	if (!real || lstat(real, &there) < 0 || is.st_dev != there.st_dev ||
	    is.st_ino != there.st_ino || unlink(real) < 0)
		log_warn("%s: cannot be removed, as it asks for", path);
}

int spice_server_read_vvfile(struct spice_server *server, const char *path,
			     char *why, size_t size)
{
	cleanup_free char *text = malloc(SPICE_VVFILE_MAX + 1);
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t len = fd < 0 ? -errno : -ENOMEM;
	bool delete_file;
	int ret;

	if (fd >= 0 && text)
		len = read_all(fd, text);
	if (len < 0) {
		snprintf(why, size, "cannot be read: %s", strerror((int)-len));
		return (int)len;
	}
	ret = spice_server_parse_vvfile(server, text, (size_t)len, &delete_file,
					why, size);
	explicit_bzero(text, SPICE_VVFILE_MAX + 1);
	if (!ret && delete_file)
		remove_file(fd, path);
	return ret;
}
