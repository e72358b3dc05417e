// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_udev.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libudev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

struct usbfs_udev {
	struct udev *udev;
	struct udev_monitor *monitor; /* NULL: not followed */
};

int usbfs_udev_create(struct usbfs_udev **out)
{
	struct usbfs_udev *u = calloc(1, sizeof(*u));

	if (u)
		u->udev = udev_new();
	if (!u || !u->udev) {
		free(u);
		return -ENOMEM;
	}
	*out = u;
	return 0;
}

void usbfs_udev_destroy(struct usbfs_udev *u)
{
	if (!u)
		return;
	udev_monitor_unref(u->monitor);
	udev_unref(u->udev);
	free(u);
}

/* --- What a device is known by -------------------------------------------------- */

static unsigned long attribute(struct udev_device *dev, const char *name,
			       int base)
{
	const char *text = udev_device_get_sysattr_value(dev, name);

	return text ? strtoul(text, NULL, base) : 0;
}

/* U+0080 to U+009F in UTF-8: some terminals obey them as they do ESC. */
static bool is_c1(const char *text)
{
	return (unsigned char)text[0] == 0xc2 &&
	       ((unsigned char)text[1] & 0xe0) == 0x80;
}

/* What the device says of itself is shown on terminals. */
static void text_attribute(struct udev_device *dev, const char *name, char *to,
			   size_t size)
{
	const char *text = udev_device_get_sysattr_value(dev, name);
	size_t n = 0;

	for (; text && *text && n + 1 < size; text++)
		if (is_c1(text))
			text++;
		else if ((unsigned char)*text >= ' ' && *text != 0x7f)
			to[n++] = *text;
	while (n && to[n - 1] == ' ')
		n--;
	to[n] = '\0';
}

static enum usb_speed speed_of(const char *mbits)
{
	double speed = strtod(mbits, NULL);

	return speed >= 5000  ? USB_SPEED_SUPER
	       : speed >= 480 ? USB_SPEED_HIGH
	       : speed >= 12  ? USB_SPEED_FULL
			      : USB_SPEED_LOW;
}

static void add_driver(struct usbfs_place *place, const char *driver)
{
	size_t used = strlen(place->drivers);

	if (!driver || strstr(place->drivers, driver))
		return;
	snprintf(place->drivers + used, sizeof(place->drivers) - used, "%s%s",
		 used ? "," : "", driver);
}

static void add_interface(struct usbfs_place *place, struct udev_device *intf)
{
	if (place->n_interfaces == USB_MAX_INTERFACES)
		return;
	place->interface[place->n_interfaces++] = (struct usb_interface){
		.number = (uint8_t)attribute(intf, "bInterfaceNumber", 16),
		.class = (uint8_t)attribute(intf, "bInterfaceClass", 16),
		.subclass = (uint8_t)attribute(intf, "bInterfaceSubClass", 16),
		.protocol = (uint8_t)attribute(intf, "bInterfaceProtocol", 16),
	};
}

static void look_at_interfaces(struct usbfs_udev *u, struct udev_device *dev,
			       struct usbfs_place *place)
{
	struct udev_enumerate *all = udev_enumerate_new(u->udev);
	struct udev_list_entry *entry;

	if (!all)
		return;
	udev_enumerate_add_match_parent(all, dev);
	udev_enumerate_add_match_subsystem(all, "usb");
	udev_enumerate_scan_devices(all);
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(all))
	{
		struct udev_device *intf = udev_device_new_from_syspath(
			u->udev, udev_list_entry_get_name(entry));
		struct udev_device *parent = intf ? udev_device_get_parent(intf)
						  : NULL;
		unsigned long class;

		/* Not those of what is behind a hub. */
		if (parent &&
		    !strcmp(udev_device_get_syspath(parent), place->syspath) &&
		    udev_device_get_sysattr_value(intf, "bInterfaceClass")) {
			class = attribute(intf, "bInterfaceClass", 16) & 0xff;
			place->interface_classes[class / 32] |= 1u
								<< class % 32;
			add_interface(place, intf);
			add_driver(place, udev_device_get_driver(intf));
		}
		udev_device_unref(intf);
	}
	udev_enumerate_unref(all);
}

/* Numbers of character devices: so many for each bus, from 1. */
#define DEVICES_OF_BUS 128

static bool describe(struct usbfs_udev *u, struct udev_device *dev,
		     struct usbfs_place *place)
{
	const char *syspath = udev_device_get_syspath(dev);
	const char *speed = udev_device_get_sysattr_value(dev, "speed");
	/* Its attribute devnum, and the name of its node with it, is another
	 * one while the device is being reset; this one stays. */
	dev_t number = udev_device_get_devnum(dev);

	if (!syspath || strlen(syspath) >= sizeof(place->syspath) || !number ||
	    !speed)
		return false; /* it has gone meanwhile */
	*place = (struct usbfs_place){
		.bus = minor(number) / DEVICES_OF_BUS + 1,
		.dev = minor(number) % DEVICES_OF_BUS + 1,
		.vendor = (uint16_t)attribute(dev, "idVendor", 16),
		.product = (uint16_t)attribute(dev, "idProduct", 16),
		.release = (uint16_t)attribute(dev, "bcdDevice", 16),
		.class = (uint8_t)attribute(dev, "bDeviceClass", 16),
		.subclass = (uint8_t)attribute(dev, "bDeviceSubClass", 16),
		.protocol = (uint8_t)attribute(dev, "bDeviceProtocol", 16),
		.n_configurations =
			(uint8_t)attribute(dev, "bNumConfigurations", 10),
		.configuration =
			(uint8_t)attribute(dev, "bConfigurationValue", 10),
		.speed = speed_of(speed),
	};
	snprintf(place->syspath, sizeof(place->syspath), "%s", syspath);
	snprintf(place->node, sizeof(place->node), "/dev/bus/usb/%03u/%03u",
		 place->bus, place->dev);
	snprintf(place->port, sizeof(place->port), "%s",
		 udev_device_get_sysname(dev));
	snprintf(place->speed_text, sizeof(place->speed_text), "%s", speed);
	text_attribute(dev, "manufacturer", place->maker, sizeof(place->maker));
	text_attribute(dev, "product", place->model, sizeof(place->model));
	text_attribute(dev, "serial", place->serial, sizeof(place->serial));
	look_at_interfaces(u, dev, place);
	return true;
}

void usbfs_udev_each(struct usbfs_udev *u,
		     void (*visit)(const struct usbfs_place *, void *),
		     void *arg)
{
	struct udev_enumerate *all = udev_enumerate_new(u->udev);
	struct udev_list_entry *entry;
	struct usbfs_place place;

	if (!all)
		return;
	udev_enumerate_add_match_subsystem(all, "usb");
	udev_enumerate_add_match_property(all, "DEVTYPE", "usb_device");
	udev_enumerate_scan_devices(all);
	udev_list_entry_foreach(entry, udev_enumerate_get_list_entry(all))
	{
		struct udev_device *dev = udev_device_new_from_syspath(
			u->udev, udev_list_entry_get_name(entry));

		if (dev && describe(u, dev, &place))
			visit(&place, arg);
		udev_device_unref(dev);
	}
	udev_enumerate_unref(all);
}

/* --- Coming and going ---------------------------------------------------------------- */

int usbfs_udev_follow(struct usbfs_udev *u)
{
	/* Where udev runs, it gives the permissions first and tells then. */
	const char *source = access("/run/udev/control", F_OK) ? "kernel"
							       : "udev";

	u->monitor = udev_monitor_new_from_netlink(u->udev, source);
	if (!u->monitor)
		return -ENOMEM;
	if (udev_monitor_filter_add_match_subsystem_devtype(u->monitor, "usb",
							    "usb_device") < 0 ||
	    udev_monitor_enable_receiving(u->monitor) < 0)
		return -EIO;
	return udev_monitor_get_fd(u->monitor);
}

enum usbfs_event usbfs_udev_next(struct usbfs_udev *u,
				 struct usbfs_place *place)
{
	struct udev_device *dev = udev_monitor_receive_device(u->monitor);
	enum usbfs_event event = USBFS_OTHER;
	const char *action;

	if (!dev)
		return USBFS_NOTHING;
	action = udev_device_get_action(dev);
	if (action && !strcmp(action, "remove")) {
		snprintf(place->syspath, sizeof(place->syspath), "%s",
			 udev_device_get_syspath(dev));
		event = USBFS_WENT;
	} else if (describe(u, dev, place)) {
		event = USBFS_CAME;
	}
	udev_device_unref(dev);
	return event;
}

/* --- Disks ------------------------------------------------------------------------------- */

/* Runs visit for each disk and partition of the device until one says true. */
static bool each_disk(struct usbfs_udev *u, const struct usbfs_place *place,
		      bool (*visit)(struct udev_device *disk, char *what,
				    size_t size),
		      char *what, size_t size)
{
	struct udev_device *dev =
		udev_device_new_from_syspath(u->udev, place->syspath);
	struct udev_enumerate *all = udev_enumerate_new(u->udev);
	struct udev_list_entry *entry;
	bool stop = false;

	if (dev && all) {
		udev_enumerate_add_match_parent(all, dev);
		udev_enumerate_add_match_subsystem(all, "block");
		udev_enumerate_scan_devices(all);
		udev_list_entry_foreach(entry,
					udev_enumerate_get_list_entry(all))
		{
			struct udev_device *disk = udev_device_new_from_syspath(
				u->udev, udev_list_entry_get_name(entry));

			stop = stop || (disk && visit(disk, what, size));
			udev_device_unref(disk);
		}
	}
	udev_enumerate_unref(all);
	udev_device_unref(dev);
	return stop;
}

/* Undoes the \040 of /proc/self/mountinfo. */
static void unescape(char *text)
{
	char *to = text;

	while (*text) {
		if (text[0] == '\\' && text[1] && text[2] && text[3]) {
			*to++ = (char)((text[1] - '0') << 6 |
				       (text[2] - '0') << 3 | (text[3] - '0'));
			text += 4;
		} else {
			*to++ = *text++;
		}
	}
	*to = '\0';
}

static bool is_mounted(dev_t number, char *where, size_t size)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t room = 0;
	bool found = false;

	/* Its 3rd field is MAJOR:MINOR, its 5th the mount point. */
	while (file && !found && getline(&line, &room, file) > 0) {
		unsigned int major, minor;
		char point[256];

		found = sscanf(line, "%*s %*s %u:%u %*s %255s", &major, &minor,
			       point) == 3 &&
			makedev(major, minor) == number;
		if (found) {
			unescape(point);
			snprintf(where, size, "%s", point);
		}
	}
	free(line);
	if (file)
		fclose(file);
	return found;
}

static bool is_swap(const char *node)
{
	FILE *file = fopen("/proc/swaps", "re");
	char *line = NULL;
	size_t room = 0, n = strlen(node);
	bool found = false;

	while (file && !found && getline(&line, &room, file) > 0)
		found = !strncmp(line, node, n) &&
			(line[n] == ' ' || line[n] == '\t');
	free(line);
	if (file)
		fclose(file);
	return found;
}

/* A volume group, a RAID or an encrypted volume stands on it. */
static bool has_holder(struct udev_device *disk, char *name, size_t size)
{
	char path[320];
	struct dirent *entry;
	bool found = false;
	DIR *dir;

	snprintf(path, sizeof(path), "%.256s/holders",
		 udev_device_get_syspath(disk));
	dir = opendir(path);
	while (dir && !found && (entry = readdir(dir))) {
		found = entry->d_name[0] != '.';
		if (found)
			snprintf(name, size, "%s", entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static bool disk_in_use(struct udev_device *disk, char *what, size_t size)
{
	const char *node = udev_device_get_devnode(disk);
	char where[256];

	if (!node)
		return false;
	if (is_mounted(udev_device_get_devnum(disk), where, sizeof(where)))
		snprintf(what, size, "%s is mounted on %s", node, where);
	else if (is_swap(node))
		snprintf(what, size, "%s is in use as swap", node);
	else if (has_holder(disk, where, sizeof(where)))
		snprintf(what, size, "%s is in use by %s", node, where);
	else
		return false;
	return true;
}

/* By somebody who is none of those: a btrfs of several disks, say. */
static bool disk_is_claimed(struct udev_device *disk, char *what, size_t size)
{
	const char *node = udev_device_get_devnode(disk);
	int fd = node ? open(node, O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK)
		      : -1;

	if (fd < 0 && node && errno == EBUSY) {
		snprintf(what, size, "%s is in use", node);
		return true;
	}
	if (fd >= 0)
		close(fd);
	return false;
}

bool usbfs_udev_disk_in_use(struct usbfs_udev *u,
			    const struct usbfs_place *place, char *what,
			    size_t size)
{
	return each_disk(u, place, disk_in_use, what, size) ||
	       each_disk(u, place, disk_is_claimed, what, size);
}

static bool sync_disk(struct udev_device *disk, char *what, size_t size)
{
	const char *node = udev_device_get_devnode(disk);
	int fd = node ? open(node, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;

	(void)what;
	(void)size;
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	return false;
}

void usbfs_udev_sync_disks(struct usbfs_udev *u,
			   const struct usbfs_place *place)
{
	each_disk(u, place, sync_disk, NULL, 0);
}
