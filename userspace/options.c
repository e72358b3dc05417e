// SPDX-License-Identifier: GPL-2.0-or-later
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/disk.h"
#include "backend/scsi.h"
#include "base/cleanup.h"

const char options_help[] =
	"Usage: ryll-bridge [OPTION]... WHAT... WHERE...\n"
	"Gives disk images, as USB disks, and USB devices here to a virtual machine\n"
	"elsewhere.\n"
	"\n"
	"What to plug in (repeatable):\n"
	"  --usb-disk IMAGE      a raw image or block device, writable\n"
	"  --usb-disk-ro IMAGE   the same, read-only\n"
	"  --usb-cdrom ISO       a CD-ROM drive with an ISO image in it\n"
	"                        IMAGE: a file, a block device, dir:FOLDER, an\n"
	"                        NBD URI (nbd://HOST/EXPORT); then come options:\n"
	"                        ,serial=TEXT\n"
	"                        ,overlay=FILE (takes the writes) ,snapshot\n"
	"                        ,sector=512|4096 ,cache=writeback|writethrough\n"
	"                        ,speed=high ,fixed ,ro ,name=NAME\n"
	"                        IMAGE,...+IMAGE,... : several disks on one device\n"
	"  --usb-device DEVICE   a real USB device, now or whenever it is plugged in:\n"
	"                        VID:PID, BUS-DEV, BUS-PORT.PORT, port=BUS-PORT,\n"
	"                        serial=TEXT, class=HH; several with commas between;\n"
	"                        ,noreset (see --list)\n"
	"  --usb-remote ADDRESS  a device that another host offers: a usbredir host at\n"
	"                        tcp:HOST:PORT or unix:PATH, usbip://HOST/BUSID\n"
	"  --usb-filter RULES    which real devices may be given away:\n"
	"                        CLASS,VID,PID,VERSION,ALLOW|... (-1: any)\n"
	"  --force               take a device whose disk is mounted here\n"
	"\n"
	"Where the peer is (usbredir, but for the last two; repeatable):\n"
	"  --listen ADDRESS      each connection takes the next free device\n"
	"  --connect ADDRESS     the n-th one gives away the n-th device; tries\n"
	"                        again until it works, and when it is lost\n"
	"  --stdio               one session on standard input and output\n"
	"                        ADDRESS: unix:PATH, tcp:HOST:PORT\n"
	"  --usbip-listen [HOST:]PORT\n"
	"                        usbip clients: usbip list, usbip attach\n"
	"  --attach              this machine's own kernel, by vhci_hcd\n"
	"  --tls-cert FILE, --tls-key FILE, --tls-ca FILE\n"
	"                        TLS for all of TCP, --usb-remote too: who we are,\n"
	"                        and who signs the certificates of both sides (PEM)\n"
	"  --insecure            let everybody who reaches a listener have the devices\n"
	"\n"
	"Or a SPICE server, with a usbredir channel for each device:\n"
	"  --direct HOST:PORT    where it is; unix:PATH; HOST with --tls-port\n"
	"  --tls-port PORT       use TLS, at this port\n"
	"  --file CONN.vv        as this virt-viewer file says\n"
	"  --password-file FILE  its first line (else: RYLL_PASSWORD, a question)\n"
	"  --username NAME       if the server wants SASL\n"
	"  --ca-file FILE        who may have signed the server's certificate\n"
	"  --host-subject TEXT   whose certificate it is, if not HOST's\n"
	"  --lz4 WHEN            compress: auto (if it pays), always, never\n"
	"  --capture DIR         write what is said into pcapng files\n"
	"\n"
	"The images as files here (NAME.img, and NAME.json says how each is):\n"
	"  --mount DIR           by FUSE, on an empty folder\n"
	"  --mount-rw            the files may be written, too\n"
	"  --mount-allow-other   other users may read them\n"
	"\n"
	"Others:\n"
	"  --run COMMAND         run COMMAND by the shell, with RYLL_ADDRESS and\n"
	"                        RYLL_SOCKET in its environment; exit as it does\n"
	"  --fault SPEC          for tests: every device gets worse: seed=N,\n"
	"                        error=N,short=N,delay=N:MS (of 1000 transfers),\n"
	"                        unplug=N (at that transfer)\n"
	"  --commit OVERLAY      merge an overlay into its base, and end\n"
	"  --list                list what could be plugged in\n"
	"  --show-limits         list what a peer may use at most\n"
	"  --verbose             say more\n"
	"  --version             print the version\n"
	"  --help                print this\n"
	"\n"
	"See ryll-bridge(1).\n";

#define complain(...) (fprintf(stderr, "ryll-bridge: " __VA_ARGS__), -EINVAL)

static int parse_disk_option(struct disk_spec *disk, const char *text)
{
	if (!strncmp(text, "serial=", 7)) {
		if (!disk_serial_valid(text + 7))
			return complain(
				"%s: \"%s\" is not a serial number: 1 to 20 letters, digits, - and _\n",
				disk->image.path, text + 7);
		free(disk->serial);
		disk->serial = strdup(text + 7);
		return disk->serial ? 0 : complain("out of memory\n");
	}
	if (disk->cdrom && strcmp(text, "speed=high"))
		return complain(
			"%s: a CD-ROM has no option \"%s\" (a comma in the path is written ,,)\n",
			disk->image.path, text);
	if (!strcmp(text, "sector=512"))
		disk->block_size = 512;
	else if (!strcmp(text, "sector=4096"))
		disk->block_size = 4096;
	else if (!strcmp(text, "cache=writeback"))
		disk->write_through = false;
	else if (!strcmp(text, "cache=writethrough"))
		disk->write_through = true;
	else if (!strcmp(text, "speed=high"))
		disk->high_speed = true;
	else if (!strcmp(text, "fixed"))
		disk->fixed = true;
	else
		return complain(
			"%s: unknown option \"%s\" (a comma in the path is written ,,)\n",
			disk->image.path, text);
	return 0;
}

/* What the options that name images differ in. */
static const struct disk_spec disk_writable = { .block_size = 512 };
static const struct disk_spec disk_read_only = {
	.block_size = 512,
	.image.read_only = true,
};
static const struct disk_spec cdrom = {
	.block_size = 2048,
	.image.read_only = true,
	.cdrom = true,
};

/* One IMAGE[,OPTION...] */
static int add_lun(struct options *o, const char *text,
		   const struct disk_spec *base)
{
	struct disk_spec *disk;
	const char *rest = text, *why;
	char *element;
	int ret;

	if (o->n_disks == OPTIONS_MAX_DISKS)
		return complain("more than %d disks\n", OPTIONS_MAX_DISKS);
	disk = realloc(o->disks, (o->n_disks + 1) * sizeof(*disk));
	if (!disk)
		return complain("out of memory\n");
	o->disks = disk;
	disk += o->n_disks++;
	*disk = *base;
	ret = image_spec_parse(&disk->image, &rest, &why);
	if (ret < 0)
		return complain("\"%s\" %s\n", text, why);
	disk->image.read_only = base->image.read_only;
	while (!ret && (element = image_spec_next(&rest))) {
		ret = image_spec_option(&disk->image, element, &why);
		if (ret < 0)
			ret = complain("%s: \"%s\" %s\n", disk->image.path,
				       element, why);
		else if (ret == 0)
			ret = parse_disk_option(disk, element);
		else
			ret = 0;
		free(element);
	}
	return ret;
}

/* A device: all that are joined by "+". */
static int add_disk(struct options *o, const char *list,
		    const struct disk_spec *kind)
{
	struct disk_spec base = *kind;
	char *text;
	int ret = 0;

	o->n_devices++;
	for (base.lun = 0; !ret; base.lun++) {
		const char *was = list;

		text = image_spec_split(&list);
		if (!text)
			return list ? complain("out of memory\n") : 0;
		base.joined |= list || strlen(text) != strlen(was);
		if (base.lun == SCSI_MAX_LUNS)
			ret = complain(
				"more than %u images on one device; \"%s\" is too much\n",
				SCSI_MAX_LUNS, text);
		else
			ret = add_lun(o, text, &base);
		free(text);
	}
	return ret;
}

static int add_usb(struct options *o, const char *text)
{
	struct usb_spec *usb;
	const char *why;

	usb = realloc(o->usb, (o->n_usb + 1) * sizeof(*usb));
	if (!usb)
		return complain("out of memory\n");
	o->usb = usb;
	usb += o->n_usb;
	if (usbfs_selector_parse(&usb->selector, text, &why) < 0)
		return complain("\"%s\" %s\n", text, why);
	usb->position = o->n_devices++;
	o->n_usb++;
	return 0;
}

static int add_remote(struct options *o, const char *text)
{
	struct remote_device *remote;
	const char *why;

	remote = realloc(o->remotes, (o->n_remotes + 1) * sizeof(*remote));
	if (!remote)
		return complain("out of memory\n");
	o->remotes = remote;
	remote += o->n_remotes;
	if (remote_parse(&remote->spec, text, &why) < 0)
		return complain("\"%s\" %s\n", text, why);
	remote->position = o->n_devices++;
	o->n_remotes++;
	return 0;
}

static int add_filter(struct options *o, const char *text)
{
	int ret;

	o->filtered = true;
	ret = filter_parse(span_of(text, strlen(text)), &o->filter);
	if (ret == -E2BIG)
		return complain("--usb-filter: more than %d rules\n",
				FILTER_MAX_RULES);
	if (ret < 0)
		return complain(
			"--usb-filter: \"%s\" is no list of CLASS,VID,PID,VERSION,ALLOW joined by |\n",
			text);
	return 0;
}

static int add_fault(struct options *o, const char *text)
{
	const char *why;

	o->faulty = true;
	if (fault_parse(&o->fault, text, &why) < 0)
		return complain("--fault: \"%s\" %s\n", text, why);
	return 0;
}

static int add_port(struct socket_address *ports, size_t *n, const char *text)
{
	const char *why;

	if (*n == OPTIONS_MAX_PORTS)
		return complain("more than %d addresses\n", OPTIONS_MAX_PORTS);
	if (socket_parse(text, &ports[*n], &why) < 0)
		return complain("\"%s\" %s\n", text, why);
	(*n)++;
	return 0;
}

/* On loopback, if nothing else is said. */
static int add_usbip(struct options *o, const char *text)
{
	char address[300];

	snprintf(address, sizeof(address), "tcp:%s%s",
		 strchr(text, ':') ? "" : "127.0.0.1:", text);
	return add_port(o->usbip, &o->n_usbip, address);
}

static bool has_spice(const struct options *o)
{
	return o->spice.direct || o->spice.file;
}

/* An option that only a SPICE server gives a meaning. */
static int set_spice(struct options *o, const char *name, const char **value,
		     const char *arg)
{
	o->spice.other = name;
	*value = arg;
	return 0;
}

static int set_tls_port(struct options *o, const char *arg)
{
	char *end;
	unsigned long port = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end || !port || port > 65535)
		return complain(
			"--tls-port is between 1 and 65535, not \"%s\"\n", arg);
	o->spice.other = "--tls-port";
	o->spice.tls_port = (unsigned int)port;
	return 0;
}

static int set_lz4(struct options *o, const char *arg)
{
	static const char *const names[] = { [SPICE_LZ4_AUTO] = "auto",
					     [SPICE_LZ4_ALWAYS] = "always",
					     [SPICE_LZ4_NEVER] = "never" };

	o->spice.other = "--lz4";
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcmp(arg, names[i]))
			continue;
		o->spice.lz4 = (enum spice_lz4_mode)i;
		return 0;
	}
	return complain("--lz4 is auto, always or never, not \"%s\"\n", arg);
}

/* Neither usbredir nor usbip asks who somebody is. */
static int check_listener(const struct options *o,
			  const struct socket_address *a)
{
	if (o->insecure || o->tls_cert || socket_is_local(a))
		return 0;
	return complain(
		"%s: everybody who reaches it could take the devices, unencrypted; use --tls-cert, an address of this machine (127.0.0.1, unix:PATH), or --insecure where that is fine\n",
		a->text);
}

static int check_listeners(const struct options *o)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < o->n_listen; i++)
		ret = check_listener(o, &o->listen[i]);
	for (size_t i = 0; !ret && i < o->n_usbip; i++)
		ret = check_listener(o, &o->usbip[i]);
	return ret;
}

static int check(const struct options *o)
{
	if (o->help || o->version || o->list || o->show_limits || o->commit)
		return 0;
	if (!o->n_devices)
		return complain(
			"nothing to plug in; name an image with --usb-disk or a device with --usb-device (see --help)\n");
	if (!o->n_listen && !o->n_connect && !o->n_usbip && !o->attach &&
	    !o->stdio && !o->run && !o->mount && !has_spice(o))
		return complain(
			"nowhere to plug it in; use --listen, --connect, --stdio, --usbip-listen, --attach, --direct or --file (see --help)\n");
	if (o->spice.other && !has_spice(o))
		return complain("%s needs a SPICE server: --direct or --file\n",
				o->spice.other);
	if (o->spice.direct && o->spice.file)
		return complain("--direct and --file exclude each other\n");
	if (has_spice(o) && o->n_connect >= o->n_devices)
		return complain("no device is left for the SPICE server\n");
	if (o->mount && !o->n_disks)
		return complain("--mount needs an image: it shows those\n");
	if (!o->mount && (o->mount_rw || o->mount_allow_other))
		return complain("%s needs --mount\n",
				o->mount_rw ? "--mount-rw"
					    : "--mount-allow-other");
	if (o->n_connect > o->n_devices)
		return complain(
			"%zu --connect but %zu devices: each one takes a device of its own\n",
			o->n_connect, o->n_devices);
	if ((o->tls_cert || o->tls_key || o->tls_ca) &&
	    !(o->tls_cert && o->tls_key && o->tls_ca))
		return complain(
			"--tls-cert, --tls-key and --tls-ca are one thing: give all three\n");
	if (o->stdio && o->run)
		return complain("--stdio and --run exclude each other\n");
	return check_listeners(o);
}

enum {
	OPT_USB_DISK = 256,
	OPT_USB_DISK_RO,
	OPT_USB_CDROM,
	OPT_USB_DEVICE,
	OPT_USB_REMOTE,
	OPT_FORCE,
	OPT_USB_FILTER,
	OPT_FAULT,
	OPT_LISTEN,
	OPT_CONNECT,
	OPT_STDIO,
	OPT_USBIP_LISTEN,
	OPT_ATTACH,
	OPT_TLS_CERT,
	OPT_TLS_KEY,
	OPT_TLS_CA,
	OPT_INSECURE,
	OPT_DIRECT,
	OPT_TLS_PORT,
	OPT_FILE,
	OPT_PASSWORD_FILE,
	OPT_USERNAME,
	OPT_CA_FILE,
	OPT_HOST_SUBJECT,
	OPT_LZ4,
	OPT_CAPTURE,
	OPT_MOUNT,
	OPT_MOUNT_RW,
	OPT_MOUNT_ALLOW_OTHER,
	OPT_RUN,
	OPT_COMMIT,
	OPT_LIST,
	OPT_SHOW_LIMITS,
	OPT_VERBOSE,
	OPT_VERSION,
	OPT_HELP,
};

static const struct option longs[] = {
	{ "usb-disk", required_argument, NULL, OPT_USB_DISK },
	{ "usb-disk-ro", required_argument, NULL, OPT_USB_DISK_RO },
	{ "usb-cdrom", required_argument, NULL, OPT_USB_CDROM },
	{ "usb-device", required_argument, NULL, OPT_USB_DEVICE },
	{ "usb-remote", required_argument, NULL, OPT_USB_REMOTE },
	{ "usb-filter", required_argument, NULL, OPT_USB_FILTER },
	{ "force", no_argument, NULL, OPT_FORCE },
	{ "fault", required_argument, NULL, OPT_FAULT },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "connect", required_argument, NULL, OPT_CONNECT },
	{ "stdio", no_argument, NULL, OPT_STDIO },
	{ "usbip-listen", required_argument, NULL, OPT_USBIP_LISTEN },
	{ "attach", no_argument, NULL, OPT_ATTACH },
	{ "tls-cert", required_argument, NULL, OPT_TLS_CERT },
	{ "tls-key", required_argument, NULL, OPT_TLS_KEY },
	{ "tls-ca", required_argument, NULL, OPT_TLS_CA },
	{ "insecure", no_argument, NULL, OPT_INSECURE },
	{ "direct", required_argument, NULL, OPT_DIRECT },
	{ "tls-port", required_argument, NULL, OPT_TLS_PORT },
	{ "file", required_argument, NULL, OPT_FILE },
	{ "password-file", required_argument, NULL, OPT_PASSWORD_FILE },
	{ "username", required_argument, NULL, OPT_USERNAME },
	{ "ca-file", required_argument, NULL, OPT_CA_FILE },
	{ "host-subject", required_argument, NULL, OPT_HOST_SUBJECT },
	{ "lz4", required_argument, NULL, OPT_LZ4 },
	{ "capture", required_argument, NULL, OPT_CAPTURE },
	{ "mount", required_argument, NULL, OPT_MOUNT },
	{ "mount-rw", no_argument, NULL, OPT_MOUNT_RW },
	{ "mount-allow-other", no_argument, NULL, OPT_MOUNT_ALLOW_OTHER },
	{ "run", required_argument, NULL, OPT_RUN },
	{ "commit", required_argument, NULL, OPT_COMMIT },
	{ "list", no_argument, NULL, OPT_LIST },
	{ "show-limits", no_argument, NULL, OPT_SHOW_LIMITS },
	{ "verbose", no_argument, NULL, OPT_VERBOSE },
	{ "version", no_argument, NULL, OPT_VERSION },
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static int parse_option(struct options *o, int option, const char *arg)
{
	switch (option) {
	case OPT_USB_DISK:
		return add_disk(o, arg, &disk_writable);
	case OPT_USB_DISK_RO:
		return add_disk(o, arg, &disk_read_only);
	case OPT_USB_CDROM:
		return add_disk(o, arg, &cdrom);
	case OPT_USB_DEVICE:
		return add_usb(o, arg);
	case OPT_USB_REMOTE:
		return add_remote(o, arg);
	case OPT_FORCE:
		o->force = true;
		return 0;
	case OPT_USB_FILTER:
		return add_filter(o, arg);
	case OPT_FAULT:
		return add_fault(o, arg);
	case OPT_LISTEN:
		return add_port(o->listen, &o->n_listen, arg);
	case OPT_CONNECT:
		return add_port(o->connect, &o->n_connect, arg);
	case OPT_STDIO:
		o->stdio = true;
		return 0;
	case OPT_USBIP_LISTEN:
		return add_usbip(o, arg);
	case OPT_ATTACH:
		o->attach = true;
		return 0;
	case OPT_TLS_CERT:
		o->tls_cert = arg;
		return 0;
	case OPT_TLS_KEY:
		o->tls_key = arg;
		return 0;
	case OPT_TLS_CA:
		o->tls_ca = arg;
		return 0;
	case OPT_INSECURE:
		o->insecure = true;
		return 0;
	case OPT_DIRECT:
		o->spice.direct = arg;
		return 0;
	case OPT_FILE:
		o->spice.file = arg;
		return 0;
	case OPT_TLS_PORT:
		return set_tls_port(o, arg);
	case OPT_PASSWORD_FILE:
		return set_spice(o, "--password-file", &o->spice.password_file,
				 arg);
	case OPT_USERNAME:
		return set_spice(o, "--username", &o->spice.username, arg);
	case OPT_CA_FILE:
		return set_spice(o, "--ca-file", &o->spice.ca_file, arg);
	case OPT_HOST_SUBJECT:
		return set_spice(o, "--host-subject", &o->spice.subject, arg);
	case OPT_LZ4:
		return set_lz4(o, arg);
	case OPT_CAPTURE:
		return set_spice(o, "--capture", &o->capture, arg);
	case OPT_MOUNT:
		o->mount = arg;
		return 0;
	case OPT_MOUNT_RW:
		o->mount_rw = true;
		return 0;
	case OPT_MOUNT_ALLOW_OTHER:
		o->mount_allow_other = true;
		return 0;
	case OPT_RUN:
		o->run = arg;
		return 0;
	case OPT_COMMIT:
		o->commit = arg;
		return 0;
	case OPT_LIST:
		o->list = true;
		return 0;
	case OPT_SHOW_LIMITS:
		o->show_limits = true;
		return 0;
	case OPT_VERBOSE:
		o->verbose = true;
		return 0;
	case OPT_VERSION:
		o->version = true;
		return 0;
	case OPT_HELP:
		o->help = true;
		return 0;
	case ':':
		return complain("%s needs an argument (see --help)\n", arg);
	default:
		return complain("unknown option %s (see --help)\n", arg);
	}
}

/* getopt_long() takes --pass for --password-file: nobody shall count on that,
 * nor give a password to an option that he believes to be there. */
static bool written_out(const char *arg)
{
	size_t len = strcspn(arg, "=");

	for (const struct option *o = longs; o->name; o++)
		if (len == strlen(o->name) + 2 &&
		    !strncmp(arg + 2, o->name, len - 2))
			return true;
	return false;
}

int options_parse(struct options *o, int argc, char **argv)
{
	*o = (struct options){ 0 };
	optind = 0;
	for (;;) {
		int at = MAX(optind, 1);
		int option = getopt_long(argc, argv, "+:", longs, NULL);
		bool bad = option == '?' || option == ':';

		if (option < 0)
			break;
		if (!bad && !written_out(argv[at]))
			return complain("unknown option %.*s (see --help)\n",
					(int)strcspn(argv[at], "="), argv[at]);
		if (parse_option(o, option, bad ? argv[optind - 1] : optarg) <
		    0)
			return -EINVAL;
	}
	if (optind < argc)
		return complain("\"%s\" is not an option (see --help)\n",
				argv[optind]);
	return check(o);
}

void options_fini(struct options *o)
{
	for (size_t i = 0; i < o->n_disks; i++) {
		image_spec_fini(&o->disks[i].image);
		free(o->disks[i].serial);
	}
	free(o->disks);
	free(o->usb);
	free(o->remotes);
}

const char *disk_spec_hint(const struct disk_spec *spec, int error)
{
	return error == -ENOENT && spec->joined
		       ? " (a plus sign in a path is written ++)"
		       : "";
}
