// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ryll-bridge: what the command line says is wired together here, and runs
 * until a signal, the end of --run's command or of --stdio's session.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "backend/disk.h"
#include "backend/fault.h"
#include "backend/remote.h"
#include "backend/scsi.h"
#include "backend/usbfs.h"
#include "base/log.h"
#include "core/signal.h"
#include "core/worker.h"
#include "frontend/port.h"
#include "frontend/usbip.h"
#include "fuse/export.h"
#include "image/spec.h"
#include "list.h"
#include "options.h"
#include "spice.h"
#include "usb/registry.h"

#define EXIT_USAGE 2

/* A logical unit of a device. */
struct bridge_image {
	const struct disk_spec *spec;
	struct image *image;	   /* the device's */
	struct usb_device *device; /* the registry's */
};

struct bridge {
	struct options options;
	struct loop *loop;
	struct bufpool pool;
	struct worker worker;
	struct registry registry;
	struct bridge_image *images; /* owned; as in options.disks */
	struct usbfs_keeper keeper;
	/* --tls-*: who comes, and those who are called, which differ in the name
	 * that their certificates must have; owned. */
	struct tls_context *tls_server, **tls;
	size_t n_tls;
	struct usbfs *usbfs;	     /* NULL: no real device is wanted */
	struct usb_device **remotes; /* owned; the registry's, or a filter's */
	size_t n_remotes;
	size_t calling;	 /* remotes that have not stopped */
	size_t attached; /* devices that are, or shall be, this machine's */
	struct ports ports;
	struct spice spice;
	struct export *export; /* --mount; else NULL */
	bool mounted;
	struct signals signals;
	char temp[64]; /* folder of --run's own socket; empty: none */
	struct socket_address address; /* of that socket */
	pid_t child;		       /* --run; 0: none */
	int status;		       /* to exit with */
};

static int open_lun(struct bridge *b, const struct disk_spec *spec,
		    struct disk_lun *lun)
{
	const char *why;
	int ret;

	ret = image_open(b->loop, &spec->image, &lun->image, &why);
	if (ret < 0) {
		log_err("%s %s%s", spec->image.path, why,
			disk_spec_hint(spec, ret));
		return ret;
	}
	lun->name = spec->image.path;
	lun->options = (struct disk_options){
		.block_size = spec->block_size,
		.cdrom = spec->cdrom,
		.write_through = spec->write_through,
		.fixed = spec->fixed,
		.high_speed = spec->high_speed,
		.serial = spec->serial,
	};
	if (lun->image->block_size &&
	    lun->image->block_size != spec->block_size)
		log_err("%s %s=%u", spec->image.path,
			spec->cdrom ? "is no CD-ROM: it has sector"
				    : "needs sector",
			lun->image->block_size);
	else if (lun->image->size < spec->block_size)
		log_err("%s is smaller than one block", spec->image.path);
	else
		return 0;
	image_destroy(lun->image);
	return -EINVAL;
}

/* Takes the device; --fault makes it worse. */
static int plug(struct bridge *b, struct usb_device *device)
{
	if (b->options.faulty) {
		int ret = fault_create(device, &b->options.fault, &device);

		if (ret < 0) {
			usb_device_destroy(device);
			return ret;
		}
	}
	registry_add(&b->registry, device);
	return 0;
}

/* The device of the units specs[0] to specs[n - 1]. */
static int add_device(struct bridge *b, const struct disk_spec *specs,
		      struct bridge_image *entries, unsigned int n)
{
	struct disk_lun luns[SCSI_MAX_LUNS];
	struct usb_device *device;
	int ret;

	for (unsigned int i = 0; i < n; i++) {
		ret = open_lun(b, &specs[i], &luns[i]);
		if (ret < 0) {
			while (i)
				image_destroy(luns[--i].image);
			return ret;
		}
	}
	ret = disk_create(b->loop, &b->pool, luns, n, &device);
	if (!ret)
		ret = plug(b, device);
	if (ret < 0) {
		log_err("%s: %s", specs->image.path, strerror(-ret));
		return ret;
	}
	for (unsigned int i = 0; i < n; i++)
		entries[i] = (struct bridge_image){ &specs[i], luns[i].image,
						    device };
	return 0;
}

/* The device that begins with the disk of this number; how many it has. */
static int add_disk(struct bridge *b, size_t i)
{
	const struct disk_spec *specs = b->options.disks;
	unsigned int n = 1;
	int ret;

	while (i + n < b->options.n_disks && specs[i + n].lun)
		n++;
	ret = add_device(b, &specs[i], &b->images[i], n);
	return ret < 0 ? ret : (int)n;
}

static int add_usb_device(struct bridge *b, const struct usbfs_selector *which)
{
	struct usb_device *device;
	int ret = 0;

	if (!b->usbfs)
		ret = usbfs_create(b->loop, &b->pool, &b->keeper,
				   b->options.force, b->registry.filter,
				   &b->usbfs);
	if (!ret)
		ret = usbfs_add(b->usbfs, which, &device);
	if (!ret)
		ret = plug(b, device);
	if (ret < 0)
		log_err("--usb-device %s: %s", which->text, strerror(-ret));
	return ret;
}

/* For the peer at address, which we call; *tls stays NULL without --tls-* and
 * for a unix socket, whose file says who may. */
static int call_by_tls(struct bridge *b, const struct socket_address *address,
		       struct tls_context **tls)
{
	const struct options *o = &b->options;
	struct tls_options options = {
		.cert_file = o->tls_cert,
		.key_file = o->tls_key,
		.ca_file = o->tls_ca,
		.host = address->host,
	};
	char why[512];
	int ret;

	*tls = NULL;
	if (!o->tls_cert || address->is_unix)
		return 0;
	ret = tls_context_create(&options, tls, why, sizeof(why));
	if (ret < 0)
		log_err("%s", why);
	else
		b->tls[b->n_tls++] = *tls;
	return ret;
}

static int listen_by_tls(struct bridge *b)
{
	const struct options *o = &b->options;
	struct tls_options options = {
		.server = true,
		.cert_file = o->tls_cert,
		.key_file = o->tls_key,
		.ca_file = o->tls_ca,
	};
	char why[512];
	int ret;

	if (!o->tls_cert || (!o->n_listen && !o->n_usbip))
		return 0;
	ret = tls_context_create(&options, &b->tls_server, why, sizeof(why));
	if (ret < 0)
		log_err("%s", why);
	b->ports.tls_server = b->tls_server;
	return ret;
}

static int add_remote(struct bridge *b, const struct remote_spec *spec)
{
	struct usb_device *device;
	struct tls_context *tls;
	int ret = call_by_tls(b, &spec->address, &tls);

	if (ret < 0)
		return ret;
	ret = remote_create(b->loop, &b->pool, &b->worker, spec, tls, &device);
	if (ret < 0) {
		log_err("--usb-remote %s: %s", spec->text, strerror(-ret));
		return ret;
	}
	b->calling++;
	ret = plug(b, device);
	if (!ret)
		b->remotes[b->n_remotes++] = device;
	return ret;
}

/* In the order in which they were named, which --connect counts on. */
static int add_devices(struct bridge *b)
{
	const struct options *o = &b->options;
	size_t disk = 0, usb = 0, remote = 0;
	int ret;

	b->images = calloc(o->n_disks + 1, sizeof(*b->images));
	b->remotes = calloc(o->n_remotes + 1, sizeof(struct usb_device *));
	b->tls = calloc(o->n_remotes + o->n_connect + 1,
			sizeof(struct tls_context *));
	if (!b->images || !b->remotes || !b->tls)
		return -ENOMEM;
	for (size_t i = 0; i < o->n_devices; i++) {
		if (usb < o->n_usb && o->usb[usb].position == i) {
			ret = add_usb_device(b, &o->usb[usb++].selector);
		} else if (remote < o->n_remotes &&
			   o->remotes[remote].position == i) {
			ret = add_remote(b, &o->remotes[remote++].spec);
		} else {
			ret = add_disk(b, disk);
			disk += (size_t)MAX(ret, 0);
		}
		if (ret < 0)
			return ret;
	}
	if (b->usbfs && usbfs_follow(b->usbfs) < 0) {
		log_err("--usb-device: what is plugged in cannot be followed");
		return -EIO;
	}
	return 0;
}

static int listen_on(struct bridge *b, const struct socket_address *address,
		     enum port_protocol protocol)
{
	const char *why;
	int ret = ports_listen(&b->ports, address, protocol, &why);

	if (ret < 0)
		log_err("%s: %s", address->text, why);
	return ret;
}

/* --run without an address of its own: a socket in a new folder. */
static int make_temp_socket(struct bridge *b)
{
	const char *tmp = getenv("TMPDIR"), *why;
	char text[96];

	snprintf(b->temp, sizeof(b->temp), "%s/ryll-XXXXXX",
		 tmp && strlen(tmp) < 40 ? tmp : "/tmp");
	if (!mkdtemp(b->temp)) {
		log_err("%s: %s", b->temp, strerror(errno));
		b->temp[0] = '\0';
		return -EIO;
	}
	snprintf(text, sizeof(text), "unix:%s/socket", b->temp);
	if (socket_parse(text, &b->address, &why) < 0)
		return -EINVAL;
	return listen_on(b, &b->address, PORT_REDIR);
}

static void spice_failed(struct spice *s);
static void spice_closed(struct spice *s);

static void unattached(struct ports *ports, bool failed);

/* All of them are this machine's own. */
static int attach_here(struct bridge *b)
{
	struct usb_device *device;
	const char *why;
	int ret = 0;

	b->ports.unattached = unattached;
	for (unsigned int i = 0;
	     !ret && (device = registry_nth(&b->registry, i)); i++) {
		b->attached++;
		ret = ports_attach(&b->ports, device, &why);
		if (ret < 0)
			log_err("--attach: %s", why);
	}
	return ret;
}

static int connect_to(struct bridge *b, size_t i)
{
	const struct socket_address *address = &b->options.connect[i];
	struct tls_context *tls;
	int ret = call_by_tls(b, address, &tls);

	if (ret < 0)
		return ret;
	return ports_connect(&b->ports, address, tls,
			     registry_nth(&b->registry, (unsigned int)i));
}

static int add_ports(struct bridge *b)
{
	const struct options *o = &b->options;
	int ret = listen_by_tls(b);

	for (size_t i = 0; !ret && i < o->n_listen; i++)
		ret = listen_on(b, &o->listen[i], PORT_REDIR);
	for (size_t i = 0; !ret && i < o->n_usbip; i++)
		ret = listen_on(b, &o->usbip[i], PORT_USBIP);
	for (size_t i = 0; !ret && i < o->n_connect; i++)
		ret = connect_to(b, i);
	if (!ret && (o->spice.direct || o->spice.file))
		ret = spice_start(&b->spice, o, &b->ports,
				  (unsigned int)o->n_connect, spice_failed,
				  spice_closed);
	if (!ret && o->stdio)
		ret = ports_stdio(&b->ports, STDIN_FILENO, STDOUT_FILENO);
	if (!ret && o->attach)
		ret = attach_here(b);
	if (!ret && o->run && !o->n_listen && !o->n_connect && !o->n_usbip &&
	    !o->attach && !b->spice.started)
		ret = make_temp_socket(b);
	return ret;
}

/* --- The images as files ------------------------------------------------------- */

static void state_of(void *arg, struct export_state *state)
{
	const struct bridge_image *entry = arg;

	state->source = entry->spec->image.path;
	state->attached = entry->device->state != USB_DEVICE_FREE;
}

static void unmounted(void *arg);

static int mount_images(struct bridge *b)
{
	const struct export_options options = {
		.folder = b->options.mount,
		.writable = b->options.mount_rw,
		.allow_other = b->options.mount_allow_other,
		.stopped = unmounted,
		.arg = b,
	};
	const char *why = strerror(ENOMEM);
	char name[256];
	int ret = export_create(b->loop, &options, &b->export);

	for (size_t i = 0; !ret && i < b->options.n_disks; i++) {
		struct bridge_image *entry = &b->images[i];

		image_spec_name(&entry->spec->image, name, sizeof(name));
		ret = export_add(b->export, name, entry->image, state_of,
				 entry);
	}
	if (!ret)
		ret = export_start(b->export, &why);
	if (ret < 0) {
		log_err("--mount %s: %s", options.folder, why);
		return ret;
	}
	b->mounted = true;
	log_info("mounted on %s", options.folder);
	return 0;
}

static int run_command(struct bridge *b)
{
	const struct options *o = &b->options;
	const struct socket_address *a = o->n_listen	? &o->listen[0]
					 : o->n_connect ? &o->connect[0]
							: &b->address;

	b->child = fork();
	if (b->child < 0) {
		log_err("--run: %s", strerror(errno));
		return -errno;
	}
	if (b->child)
		return 0;
	signals_unblock();
	signal(SIGPIPE, SIG_DFL);
	if (a->text[0])
		setenv("RYLL_ADDRESS", a->text, 1);
	if (a->is_unix)
		setenv("RYLL_SOCKET", a->sun.sun_path, 1);
	execl("/bin/sh", "sh", "-c", o->run, (char *)NULL);
	_exit(127);
}

static void finish(struct bridge *b)
{
	ports_finish(&b->ports);
	spice_close(&b->spice);
	if (b->mounted)
		export_stop(b->export);
}

static void check_over(struct bridge *b);

static void remote_stopped(void *arg)
{
	struct bridge *b = arg;

	b->calling--;
	check_over(b);
}

/* No connection is left, no command and no mount; then no device elsewhere. */
static void check_over(struct bridge *b)
{
	if (!b->ports.over || b->child)
		return;
	if (b->mounted) {
		export_stop(b->export);
	} else if (!b->spice.started) {
		while (b->n_remotes)
			remote_stop(b->remotes[--b->n_remotes], remote_stopped,
				    b);
		if (!b->calling)
			loop_stop(b->loop);
	}
}

/* There is no sense in going on. */
static void give_up(struct bridge *b)
{
	b->status = EXIT_FAILURE;
	if (b->child)
		kill(b->child, SIGTERM);
	finish(b);
}

static void spice_failed(struct spice *s)
{
	give_up(container_of(s, struct bridge, spice));
}

static void spice_closed(struct spice *s)
{
	check_over(container_of(s, struct bridge, spice));
}

/* Somebody else has ended what we were started for, perhaps the last of it. */
static void check_idle(struct bridge *b)
{
	const struct options *o = &b->options;

	if (!o->n_listen && !o->n_connect && !o->n_usbip && !o->stdio &&
	    !b->attached && !b->mounted && !b->spice.started && !b->child)
		ports_finish(&b->ports);
}

static void unmounted(void *arg)
{
	struct bridge *b = arg;

	b->mounted = false;
	check_idle(b);
	check_over(b);
}

static void unattached(struct ports *ports, bool failed)
{
	struct bridge *b = container_of(ports, struct bridge, ports);

	b->attached--;
	if (failed)
		give_up(b);
	else
		check_idle(b);
}

static void child_ended(struct bridge *b)
{
	int status;

	if (!b->child || waitpid(b->child, &status, WNOHANG) != b->child)
		return;
	b->child = 0;
	b->status = WIFEXITED(status) ? WEXITSTATUS(status)
				      : 128 + WTERMSIG(status);
	finish(b);
	check_over(b);
}

static void caught(struct signals *signals, int signo)
{
	struct bridge *b = container_of(signals, struct bridge, signals);

	if (signo == SIGCHLD) {
		child_ended(b);
		return;
	}
	log_info("%s: detaching", strsignal(signo));
	/* Its status is ours. One that does not listen is asked twice. */
	if (b->child)
		kill(b->child, b->ports.finishing ? SIGKILL : SIGTERM);
	finish(b);
}

static void finished(struct ports *ports)
{
	struct bridge *b = container_of(ports, struct bridge, ports);

	spice_close(&b->spice);
	check_over(b);
}

static bool data_lost(struct bridge *b)
{
	struct usb_device *device;

	for (unsigned int i = 0; (device = registry_nth(&b->registry, i)); i++)
		if (device->data_lost)
			return true;
	return false;
}

static int serve(struct bridge *b)
{
	sigset_t set;
	int ret;

	ret = spice_describe(&b->spice, &b->options);
	if (ret < 0)
		return ret;
	if (b->options.n_usb)
		usbfs_keeper_start(&b->keeper);
	ret = loop_create(&b->loop);
	if (ret < 0) {
		log_err("io_uring is not available: %s%s", strerror(-ret),
			ret == -EPERM
				? " (forbidden by kernel.io_uring_disabled or a container's seccomp profile?)"
			: ret == -ENOMEM ? " (locked memory: see ulimit -l)"
					 : "");
		return ret;
	}
	bufpool_init(&b->pool);
	worker_init(&b->worker, b->loop);
	registry_init(&b->registry);
	b->registry.filter = b->options.filtered ? &b->options.filter : NULL;
	ports_init(&b->ports, b->loop, &b->pool, &b->registry, &b->worker,
		   finished);
	b->signals.fd = -1;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGCHLD);
	signal(SIGPIPE, SIG_IGN);
	ret = add_devices(b);
	if (!ret)
		ret = signals_init(&b->signals, b->loop, &set, caught);
	if (!ret)
		ret = add_ports(b);
	if (!ret && b->options.mount)
		ret = mount_images(b);
	if (!ret && b->options.run)
		ret = run_command(b);
	if (!ret)
		ret = loop_run(b->loop);
	/* It has been said; a script must hear of it, too. */
	if (!ret && data_lost(b))
		ret = -EIO;
	return ret;
}

static void release(struct bridge *b)
{
	/* One that failed half-way leaves the rest to the end of the process,
	 * but no file behind. */
	if (!b->loop) {
		spice_fini(&b->spice);
		return;
	}
	if (!b->ports.finishing)
		ports_finish(&b->ports);
	signals_fini(&b->signals);
	if (b->temp[0])
		rmdir(b->temp);
	if (!export_destroy(b->export) || b->ports.n_links ||
	    b->spice.started || b->calling || worker_busy(&b->worker))
		return;
	worker_fini(&b->worker);
	spice_fini(&b->spice);
	ports_fini(&b->ports);
	registry_fini(&b->registry);
	usbfs_destroy(b->usbfs);
	loop_destroy(b->loop);
	bufpool_fini(&b->pool);
	free(b->images);
	free(b->remotes);
	while (b->n_tls)
		tls_context_destroy(b->tls[--b->n_tls]);
	free(b->tls);
	tls_context_destroy(b->tls_server);
}

static void show_limits(void)
{
	printf("connections                     %u\n"
	       "one transfer                    %u bytes\n"
	       "transfers in flight per device  %u, %u bytes\n"
	       "requests that change a device   %u waiting, more fail\n"
	       "answers not yet taken           %u bytes, then no request is read\n"
	       "writes not yet done per disk    %u bytes, then none is answered\n"
	       "read ahead per disk             %u bytes\n"
	       "usbredir packet                 %u bytes, longer ends the connection\n"
	       "usbredir filter                 %u bytes\n"
	       "usbip transfer                  %u isochronous packets\n"
	       "usbip client without a device   %u s, then it has to go\n"
	       "TLS handshakes per listener     %u, %u s each\n"
	       "SPICE message                   %u bytes, compressed or not\n",
	       PORTS_MAX_LINKS, USB_MAX_URB_BYTES, USB_MAX_INFLIGHT_URBS,
	       USB_MAX_INFLIGHT_BYTES, USB_MAX_ADMINS, LINK_MAX_UNSENT,
	       SCSI_MAX_PENDING, SCSI_WINDOW, USBREDIR_MAX_LENGTH,
	       USBREDIR_MAX_FILTER, USB_MAX_ISO_PACKETS,
	       USBIP_REQUEST_MS / 1000, LISTENER_MAX_HANDSHAKES,
	       LISTENER_TLS_MS / 1000, SPICE_MAX_UNPACKED);
}

static int commit(struct bridge *b)
{
	const char *overlay = b->options.commit, *why;
	int ret = loop_create(&b->loop);

	if (ret < 0) {
		log_err("io_uring is not available: %s", strerror(-ret));
		return ret;
	}
	ret = image_commit(b->loop, overlay, &why);
	if (ret < 0)
		log_err("%s %s", overlay, why);
	else
		log_info("%s: committed to its base, and empty now", overlay);
	loop_destroy(b->loop);
	return ret;
}

int main(int argc, char **argv)
{
	struct bridge bridge = { .keeper.socket = -1 };
	struct options *o = &bridge.options;
	int ret = options_parse(o, argc, argv);

	if (ret < 0) {
		options_fini(o);
		return EXIT_USAGE;
	}
	if (o->verbose)
		log_level = LOG_LEVEL_DEBUG;
	if (o->help) {
		fputs(options_help, stdout);
	} else if (o->version) {
		puts("ryll-bridge " RYLL_VERSION);
	} else if (o->show_limits) {
		show_limits();
	} else if (o->list) {
		ret = list_devices(o);
	} else if (o->commit) {
		ret = commit(&bridge);
	} else {
		ret = serve(&bridge);
		release(&bridge);
	}
	options_fini(o);
	return ret < 0 ? EXIT_FAILURE : bridge.status;
}
