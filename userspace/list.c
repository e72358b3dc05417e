// SPDX-License-Identifier: GPL-2.0-or-later
#include "list.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backend/usbfs_udev.h"
#include "core/loop.h"
#include "image/blockdev.h"
#include "wire/usbdesc.h"

/* May it be taken, and if not, what is to be done? */
static void usb_state(struct usbfs_udev *udev, const struct usbfs_place *place,
		      char *state, size_t size)
{
	if (place->class == USBDESC_CLASS_HUB)
		snprintf(state, size, "a hub: it stays here");
	else if (strstr(place->syspath, "/vhci_hcd."))
		snprintf(state, size, "attached here by vhci_hcd");
	else if (access(place->node, R_OK | W_OK))
		snprintf(state, size,
			 "no permission for %s (root, or a udev rule)",
			 place->node);
	else if (!usbfs_udev_disk_in_use(udev, place, state, size))
		snprintf(state, size, "ready");
}

static void list_usb_device(const struct usbfs_place *place, void *arg)
{
	char dev[16], state[400];

	snprintf(dev, sizeof(dev), "%u-%u", place->bus, place->dev);
	usb_state(arg, place, state, sizeof(state));
	printf("%-8s %-10s %04x:%04x %6s %-16s %-28.28s %-14s %s\n", dev,
	       place->port, place->vendor, place->product, place->speed_text,
	       *place->serial ? place->serial : "-",
	       *place->model ? place->model : place->maker,
	       *place->drivers ? place->drivers : "-", state);
}

static void list_usb(void)
{
	struct usbfs_udev *udev;

	if (usbfs_udev_create(&udev) < 0)
		return;
	printf("\n%-8s %-10s %-9s %6s %-16s %-28s %-14s %s\n", "bus-dev",
	       "port", "id", "Mbit/s", "serial", "name", "driver", "state");
	usbfs_udev_each(udev, list_usb_device, udev);
	usbfs_udev_destroy(udev);
}

static void list_blockdev(const struct blockdev *dev)
{
	printf("%-20s %9.1f GiB  %-3s %-20s %s\n", dev->path,
	       (double)dev->size / (1 << 30), dev->read_only ? "ro" : "rw",
	       dev->model, dev->problem ? dev->problem : "ready");
}

int list_devices(const struct options *o)
{
	struct loop *loop;
	int ret = loop_create(&loop);

	if (ret < 0)
		return ret;
	printf("%-20s %13s  %-3s %-20s %s\n", "disk", "size", "", "model",
	       "state");
	for (size_t i = 0; i < o->n_disks; i++) {
		const struct disk_spec *spec = &o->disks[i];
		struct image *image;
		const char *why;

		int error = image_open(loop, &spec->image, &image, &why);

		if (error < 0) {
			printf("%-20s %13s  %-3s %-20s %s%s\n",
			       spec->image.path, "-", "", "", why,
			       disk_spec_hint(spec, error));
			ret = -ENODEV;
			continue;
		}
		printf("%-20s %9.1f GiB  %-3s %-20s ready\n", spec->image.path,
		       (double)image->size / (1 << 30),
		       image->read_only ? "ro" : "rw", "image");
		image_destroy(image);
	}
	blockdev_list(list_blockdev);
	loop_destroy(loop);
	list_usb();
	return ret;
}
