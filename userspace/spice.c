// SPDX-License-Identifier: GPL-2.0-or-later
#include "spice.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "base/cleanup.h"

#define MAX_SECRET 4096

/* --- The password -------------------------------------------------------------------- */

/* The first line of what fd gives. */
static int read_line(int fd, char **line)
{
	char text[MAX_SECRET];
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < sizeof(text) && !memchr(text, '\n', len)) {
		n = read(fd, text + len, sizeof(text) - len);
		if (n < 0)
			return -errno;
		len += (size_t)n;
	}
	if (len == sizeof(text) && !memchr(text, '\n', len))
		return -E2BIG;
	*line = strndup(text, len);
	explicit_bzero(text, sizeof(text));
	if (!*line)
		return -ENOMEM;
	(*line)[strcspn(*line, "\r\n")] = '\0';
	return 0;
}

static int read_password_file(const char *path, char **password)
{
	cleanup_close int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : read_line(fd, password);
}

static void interrupted(int signo)
{
	(void)signo;
}

/* Signals end the question, with the terminal as it was. */
static int ask(const char *where, char **password)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	const struct sigaction action = { .sa_handler = interrupted };
	cleanup_close int fd = open("/dev/tty", O_RDWR | O_CLOEXEC);
	struct sigaction old[ARRAY_SIZE(signals)];
	struct termios before, silent;
	int ret;

	if (fd < 0 || tcgetattr(fd, &before) < 0)
		return 0; /* there is nobody to ask */
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &action, &old[i]);
	dprintf(fd, "Password for %s (empty: none): ", where);
	silent = before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fd, TCSAFLUSH, &silent);
	ret = read_line(fd, password);
	tcsetattr(fd, TCSAFLUSH, &before);
	dprintf(fd, "\n");
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		sigaction(signals[i], &old[i], NULL);
	return ret;
}

/* The later one wins: virt-viewer file, environment, file. */
static int find_password(const struct spice_spec *spec,
			 struct spice_server *server)
{
	const char *env = getenv("RYLL_PASSWORD");
	char *password = NULL;
	int ret = 0;

	if (spec->password_file) {
		ret = read_password_file(spec->password_file, &password);
	} else if (env) {
		password = strdup(env);
		ret = password ? 0 : -ENOMEM;
	} else if (!server->password && isatty(STDIN_FILENO)) {
		ret = ask(spec->direct ? spec->direct : spec->file, &password);
	}
	unsetenv("RYLL_PASSWORD"); /* not --run's command's business */
	if (password) {
		free(server->password);
		server->password = password;
	}
	return ret;
}

/* --- The server ----------------------------------------------------------------------- */

/* Options win over the file. */
int spice_describe(struct spice *s, const struct options *o)
{
	const struct spice_spec *spec = &o->spice;
	struct spice_server *server = &s->server;
	const char *name = spec->direct ? spec->direct : spec->file, *text;
	char why[512];
	int ret;

	if (!name)
		return 0;
	if (spec->direct) {
		ret = spice_server_parse(server, spec->direct, &text);
		snprintf(why, sizeof(why), "%s", text);
	} else {
		ret = spice_server_read_vvfile(server, spec->file, why,
					       sizeof(why));
	}
	if (ret < 0) {
		log_err("%s: %s", name, why);
		return ret;
	}
	if (spec->tls_port)
		server->tls_port = spec->tls_port;
	if ((spec->ca_file || spec->subject) && !server->tls_port) {
		log_err("%s: %s is for TLS: give its port by --tls-port", name,
			spec->ca_file ? "--ca-file" : "--host-subject");
		return -EINVAL;
	}
	ret = spice_server_set(&server->ca_file, spec->ca_file);
	if (!ret)
		ret = spice_server_set(&server->subject, spec->subject);
	if (!ret)
		ret = spice_server_set(&server->username, spec->username);
	if (!ret && spec->ca_file) {
		free(server->ca);
		server->ca = NULL;
	}
	if (ret < 0) {
		log_err("%s: %s", name, strerror(-ret));
		return ret;
	}
	ret = find_password(spec, server);
	if (ret < 0)
		log_err("%s cannot be read: %s",
			spec->password_file ? spec->password_file
					    : "the password",
			strerror(-ret));
	return ret;
}

static int check_capture(const char *dir)
{
	struct stat st;
	int ret = 0;

	if (!dir)
		return 0;
	if (stat(dir, &st) < 0)
		ret = -errno;
	else if (!S_ISDIR(st.st_mode))
		ret = -ENOTDIR;
	else if (access(dir, W_OK | X_OK) < 0)
		ret = -errno;
	if (ret < 0)
		log_err("--capture %s: %s", dir, strerror(-ret));
	return ret;
}

/* --- Channels -------------------------------------------------------------------------- */

struct channel {
	struct spice *spice;
	unsigned int n;
};

static void channel_ended(void *arg, enum port_heard heard)
{
	struct channel *channel = arg;
	struct spice *s = channel->spice;
	unsigned int n = channel->n;

	free(channel);
	s->up[n] = NULL;
	spice_client_channel_ended(&s->client, n, heard == PORT_HEARD_HELLO,
				   heard == PORT_HEARD_NOTHING);
}

static struct spice *spice_of(struct spice_client *client)
{
	return container_of(client, struct spice, client);
}

static void channel_up(struct spice_client *client, unsigned int n,
		       struct transport *t)
{
	struct spice *s = spice_of(client);
	struct channel *channel = malloc(sizeof(*channel));
	int ret = -ENOMEM;

	if (channel) {
		*channel = (struct channel){ s, n };
		ret = ports_adopt(
			s->ports, t,
			registry_nth(s->ports->registry, s->first + n),
			channel_ended, channel, &s->up[n]);
	} else {
		transport_close(t);
	}
	if (ret < 0) {
		free(channel);
		spice_client_channel_ended(client, n, false, false);
	}
}

static void channel_drop(struct spice_client *client, unsigned int n)
{
	struct spice *s = spice_of(client);

	if (s->up[n])
		port_drop(s->up[n]);
}

static void too_few(struct spice_client *client, unsigned int n)
{
	struct spice *s = spice_of(client);
	struct usb_device *first =
		registry_nth(s->ports->registry, s->first + n);
	unsigned int more = client->n_slots - n - 1;
	char others[32] = "";

	if (more)
		snprintf(others, sizeof(others), " (and %u more)", more);
	log_warn(
		"%s: the virtual machine has %u usbredir channel%s: %s%s stays here; give it more of them (QEMU: -device usb-redir, libvirt: <redirdev>)",
		client->access.name, n, n == 1 ? "" : "s", first->name, others);
}

static void client_failed(struct spice_client *client)
{
	struct spice *s = spice_of(client);

	s->failed(s);
}

static void client_closed(struct spice_client *client)
{
	struct spice *s = spice_of(client);

	s->started = false;
	s->closed(s);
}

static const struct spice_client_ops client_ops = {
	.channel = channel_up,
	.drop = channel_drop,
	.few = too_few,
	.failed = client_failed,
	.closed = client_closed,
};

int spice_start(struct spice *s, const struct options *o, struct ports *ports,
		unsigned int first, void (*failed)(struct spice *s),
		void (*closed)(struct spice *s))
{
	const struct spice_client_options options = {
		.server = &s->server,
		.capture = o->capture,
		.lz4 = o->spice.lz4,
		.devices = (unsigned int)o->n_devices - first,
	};
	char why[512];
	int ret = check_capture(o->capture);

	if (ret < 0)
		return ret;
	s->ports = ports;
	s->first = first;
	s->failed = failed;
	s->closed = closed;
	s->up = calloc(options.devices, sizeof(*s->up));
	snprintf(why, sizeof(why), "%s", strerror(ENOMEM));
	ret = -ENOMEM;
	if (s->up)
		ret = spice_client_init(&s->client, &client_ops, ports->loop,
					ports->worker, ports->pool, &options,
					why, sizeof(why));
	if (ret < 0)
		log_err("%s: %s",
			o->spice.direct ? o->spice.direct : o->spice.file, why);
	s->started = !ret;
	return ret;
}

void spice_close(struct spice *s)
{
	if (s->started)
		spice_client_close(&s->client);
}

void spice_fini(struct spice *s)
{
	if (s->client.ops)
		spice_client_fini(&s->client);
	spice_server_fini(&s->server);
	free(s->up);
	s->up = NULL;
}
