// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_handle.h"

#include <errno.h>
#include <fcntl.h>
#include <libusb-1.0/libusb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/usbfs_udev.h"
#include "base/log.h"

static int error_of(int libusb)
{
	switch (libusb) {
	case LIBUSB_ERROR_INVALID_PARAM:
		return -EINVAL;
	case LIBUSB_ERROR_ACCESS:
		return -EACCES;
	case LIBUSB_ERROR_NO_DEVICE:
		return -ENODEV;
	case LIBUSB_ERROR_NOT_FOUND:
		return -ENOENT;
	case LIBUSB_ERROR_BUSY:
		return -EBUSY;
	case LIBUSB_ERROR_TIMEOUT:
		return -ETIMEDOUT;
	case LIBUSB_ERROR_OVERFLOW:
		return -EOVERFLOW;
	case LIBUSB_ERROR_PIPE:
		return -EPIPE;
	case LIBUSB_ERROR_NO_MEM:
		return -ENOMEM;
	default:
		return libusb < 0 ? -EIO : libusb;
	}
}

static enum usbdesc_speed speed_of(libusb_device_handle *usb)
{
	switch (libusb_get_device_speed(libusb_get_device(usb))) {
	case LIBUSB_SPEED_SUPER:
	case LIBUSB_SPEED_SUPER_PLUS:
		return USBDESC_SUPER;
	case LIBUSB_SPEED_HIGH:
		return USBDESC_HIGH;
	default:
		return USBDESC_FULL;
	}
}

/* config, as the configuration of this value and alts are. */
static int describe(struct usbfs_handle *h, uint8_t value)
{
	memset(&h->config, 0, sizeof(h->config));
	if (!value)
		return 0;
	return usbdesc_read_config(usbfs_descriptors_span(&h->descriptors),
				   value, h->alts, speed_of(h->usb),
				   &h->config);
}

static int refuse(struct usbfs_handle *h, int error, const char *why)
{
	snprintf(h->why, sizeof(h->why), "%s", why);
	return error;
}

/* --- Taking it ------------------------------------------------------------------ */

static int open_node(struct usbfs_handle *h, const struct usbfs_place *place)
{
	h->fd = open(place->node, O_RDWR | O_CLOEXEC);
	if (h->fd >= 0)
		return 0;
	if (errno == EACCES || errno == EPERM)
		snprintf(
			h->why, sizeof(h->why),
			"no permission for %s: see \"As an ordinary user\" in ryll-bridge(1)",
			place->node);
	else
		snprintf(h->why, sizeof(h->why), "%s: %s", place->node,
			 strerror(errno));
	return -errno;
}

static int read_descriptors(struct usbfs_handle *h,
			    const struct usbfs_place *place)
{
	struct usbdesc_device device;
	int ret = usbfs_descriptors_read(&h->descriptors, place);

	if (ret < 0)
		return refuse(h, ret, "it has gone");
	if (usbdesc_read_device(usbfs_descriptors_span(&h->descriptors),
				&device) < 0)
		return refuse(h, -EPROTO, "its descriptors make no sense");
	return 0;
}

static int wrap(struct usbfs_handle *h)
{
	int value = 0;
	int ret = libusb_wrap_sys_device(h->libusb, h->fd, &h->usb);

	if (ret < 0) {
		h->usb = NULL;
		return refuse(h, error_of(ret),
			      ret == LIBUSB_ERROR_NO_DEVICE
				      ? "it has gone"
				      : "its descriptors make no sense");
	}
	if (libusb_get_configuration(h->usb, &value) < 0)
		value = 0;
	if (describe(h, (uint8_t)value) < 0)
		return refuse(h, -EPROTO, "its descriptors make no sense");
	h->former.configuration = (uint8_t)value;
	for (unsigned int i = 0; i < h->config.n_interfaces; i++) {
		uint8_t number = h->config.interface[i].number;

		if (libusb_kernel_driver_active(h->usb, number) == 1)
			h->former.drivers |= 1u << number;
	}
	return 0;
}

static int claim(struct usbfs_handle *h, uint8_t number)
{
	/* It has none, or a driver that comes with the next line's error. */
	(void)libusb_detach_kernel_driver(h->usb, number);
	return error_of(libusb_claim_interface(h->usb, number));
}

static int claim_all(struct usbfs_handle *h)
{
	for (unsigned int i = 0; i < h->config.n_interfaces; i++) {
		uint8_t number = h->config.interface[i].number;
		int ret = claim(h, number);

		if (ret < 0) {
			snprintf(
				h->why, sizeof(h->why),
				ret == -EBUSY
					? "interface %u is in use by another program"
					: "interface %u cannot be claimed",
				number);
			return ret;
		}
	}
	return 0;
}

static int check_disks(struct usbfs_handle *h, const struct usbfs_place *place,
		       bool force)
{
	struct usbfs_udev *udev;
	char what[100];
	int ret = usbfs_udev_create(&udev);

	if (ret < 0)
		return refuse(h, ret, "out of memory");
	if (!force && usbfs_udev_disk_in_use(udev, place, what, sizeof(what))) {
		snprintf(h->why, sizeof(h->why),
			 "%s (unmount it, or take it with --force)", what);
		ret = -EBUSY;
	} else {
		usbfs_udev_sync_disks(udev, place);
	}
	usbfs_udev_destroy(udev);
	return ret;
}

static void let_go(struct usbfs_handle *h)
{
	if (h->usb)
		libusb_close(h->usb);
	h->usb = NULL;
	usbfs_descriptors_free(&h->descriptors);
}

int usbfs_handle_open(struct usbfs_handle *h, const struct usbfs_place *place,
		      const struct usbfs_handle_options *options)
{
	int ret;

	memset(h->alts, 0, sizeof(h->alts));
	h->former = (struct usbfs_former){ .no_reset = options->no_reset };
	ret = open_node(h, place);
	if (ret < 0)
		return ret;
	ret = read_descriptors(h, place);
	if (!ret)
		ret = check_disks(h, place, options->force);
	if (!ret)
		ret = wrap(h);
	if (ret < 0)
		goto close;
	usbfs_keeper_hold(h->keeper, h->id, h->fd, &h->former);
	ret = claim_all(h);
	if (ret < 0)
		goto give_back;
	return 0;

give_back:
	h->former.no_reset = true; /* nobody has touched it */
	usbfs_give_back(h->fd, &h->former);
	usbfs_keeper_drop(h->keeper, h->id);
close:
	let_go(h);
	usbfs_handle_close(h);
	return ret;
}

void usbfs_handle_release(struct usbfs_handle *h)
{
	usbfs_give_back(h->fd, &h->former);
	usbfs_keeper_drop(h->keeper, h->id);
	let_go(h);
}

void usbfs_handle_close(struct usbfs_handle *h)
{
	close(h->fd);
	h->fd = -1;
}

/* --- Changing it ------------------------------------------------------------------ */

/* The same configuration again: what matters of it, without its drivers. */
static int same_config(struct usbfs_handle *h)
{
	for (unsigned int i = 0; i < USBDESC_MAX_INTERFACES; i++) {
		int ret;

		if (!h->alts[i])
			continue;
		ret = usbfs_handle_set_alt(h, (uint8_t)i, 0);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int usbfs_handle_set_config(struct usbfs_handle *h, uint8_t value)
{
	uint8_t before = h->config.value;
	int ret;

	if (value == before)
		return same_config(h);
	for (unsigned int i = 0; i < h->config.n_interfaces; i++)
		(void)libusb_release_interface(h->usb,
					       h->config.interface[i].number);
	ret = error_of(libusb_set_configuration(h->usb, value ? value : -1));
	memset(h->alts, 0, sizeof(h->alts));
	if (describe(h, ret < 0 ? before : value) < 0 && !ret)
		ret = -EINVAL;
	/* The kernel has started the drivers of the new one. */
	if (claim_all(h) < 0 && !ret)
		ret = -EIO;
	return ret;
}

int usbfs_handle_set_alt(struct usbfs_handle *h, uint8_t interface, uint8_t alt)
{
	int ret;

	if (interface >= USBDESC_MAX_INTERFACES ||
	    !usbdesc_has_alt(usbfs_descriptors_span(&h->descriptors),
			     h->config.value, interface, alt))
		return -EINVAL;
	ret = error_of(
		libusb_set_interface_alt_setting(h->usb, interface, alt));
	if (ret < 0)
		return ret;
	h->alts[interface] = alt;
	return describe(h, h->config.value);
}

int usbfs_handle_clear_halt(struct usbfs_handle *h, uint8_t ep)
{
	return error_of(libusb_clear_halt(h->usb, ep));
}

int usbfs_handle_reset(struct usbfs_handle *h)
{
	int ret;

	if (h->former.no_reset)
		return 0;
	ret = error_of(libusb_reset_device(h->usb));
	if (ret == -ENOENT)
		ret = -ENODEV; /* it came back as another one */
	memset(h->alts, 0, sizeof(h->alts));
	if (!ret)
		ret = describe(h, h->config.value);
	return ret;
}

static int list_endpoints(uint32_t endpoints, unsigned char *list)
{
	int n = 0;

	for (unsigned int i = 0; i < USBDESC_ENDPOINTS; i++)
		if (endpoints >> i & 1)
			list[n++] =
				(unsigned char)((i & 0x10) << 3 | (i & 0x0f));
	return n;
}

int usbfs_handle_alloc_streams(struct usbfs_handle *h, uint32_t endpoints,
			       uint32_t streams)
{
	unsigned char list[USBDESC_ENDPOINTS];
	int n = list_endpoints(endpoints, list);

	return error_of(libusb_alloc_streams(h->usb, streams, list, n));
}

int usbfs_handle_free_streams(struct usbfs_handle *h, uint32_t endpoints)
{
	unsigned char list[USBDESC_ENDPOINTS];
	int n = list_endpoints(endpoints, list);

	return error_of(libusb_free_streams(h->usb, list, n));
}
