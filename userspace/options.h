/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The command line.
 */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/fault.h"
#include "backend/remote.h"
#include "backend/usbfs_select.h"
#include "base/err.h"
#include "image/spec.h"
#include "spice/lz4.h"
#include "transport/socket.h"
#include "wire/filter.h"

#define OPTIONS_MAX_DISKS 1024
#define OPTIONS_MAX_PORTS 64

/* An IMAGE[,OPTION...] of --usb-disk, --usb-disk-ro or --usb-cdrom. */
struct disk_spec {
	struct image_spec image;
	char *serial; /* owned; NULL: from the image's identity */
	uint32_t block_size;
	bool write_through, fixed, high_speed;
	bool cdrom;
	unsigned int lun; /* 0: the next device begins */
	bool joined;	  /* there was a plus sign: see image_spec_split() */
};

/* What to say besides when an image cannot be opened, or "". */
const char *disk_spec_hint(const struct disk_spec *spec, int error);

/* Of --usb-device. */
struct usb_spec {
	struct usbfs_selector selector;
	size_t position; /* among all devices, from 0 */
};

/* Of --usb-remote. */
struct remote_device {
	struct remote_spec spec;
	size_t position; /* among all devices, from 0 */
};

/* Where a SPICE server is. */
struct spice_spec {
	const char *direct, *file; /* NULL both: there is none */
	unsigned int tls_port;	   /* 0: none was given */
	const char *ca_file, *subject;
	const char *username, *password_file;
	enum spice_lz4_mode lz4;
	const char *other; /* an option that makes sense with one only */
};

struct options {
	struct disk_spec *disks; /* owned, in the order given */
	size_t n_disks;
	struct usb_spec *usb; /* owned, in the order given */
	size_t n_usb;
	struct remote_device *remotes; /* owned, in the order given */
	size_t n_remotes;
	size_t n_devices; /* of all kinds */
	bool force;
	bool filtered; /* --usb-filter, which is filter */
	struct filter filter;
	bool faulty; /* --fault, which says how */
	struct fault_spec fault;
	struct socket_address listen[OPTIONS_MAX_PORTS];
	size_t n_listen;
	struct socket_address usbip[OPTIONS_MAX_PORTS]; /* to listen on */
	size_t n_usbip;
	bool attach; /* to this machine's kernel */
	/* All or none. */
	const char *tls_cert, *tls_key, *tls_ca;
	bool insecure; /* whoever reaches a listener may have what it offers */
	struct socket_address connect[OPTIONS_MAX_PORTS];
	size_t n_connect;
	struct spice_spec spice;
	const char *capture; /* a folder; NULL: none */
	const char *mount;   /* NULL: nowhere */
	bool mount_rw, mount_allow_other;
	const char *commit; /* an overlay; NULL: none */
	const char *run;    /* NULL: none */
	bool stdio, list, show_limits, help, version, verbose;
};

/*
 * 0; or -EINVAL, and one line about what is wrong has been printed. Strings
 * are borrowed from argv where not marked as owned.
 */
int must_check options_parse(struct options *o, int argc, char **argv);
void options_fini(struct options *o);

/* What --help prints. */
extern const char options_help[];

#endif
