// SPDX-License-Identifier: GPL-2.0-or-later
#include "frontend/vhci.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SYSFS "/sys/devices/platform/vhci_hcd.0"

/* A port that has no device: VDEV_ST_NULL in usbip_common.h. */
#define FREE 4

/* Controllers have a file each: "status", "status.1" and so on. */
#define MAX_CONTROLLERS 128

int vhci_free_port(const char *status, bool super, int after)
{
	const char *hub = super ? "ss" : "hs";

	/* hub port sta spd dev sockfd local_busid, and a line of these words */
	for (const char *line = status; line; line = strchr(line, '\n')) {
		unsigned int port, state;
		char which[4];

		line += *line == '\n';
		if (sscanf(line, "%3s %u %u", which, &port, &state) == 3 &&
		    !strcmp(which, hub) && state == FREE && (int)port > after)
			return (int)port;
	}
	return -1;
}

/* A whole file of sysfs; false: it cannot be read. */
static bool read_status(unsigned int controller, char *text, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	if (controller)
		snprintf(path, sizeof(path), SYSFS "/status.%u", controller);
	else
		snprintf(path, sizeof(path), SYSFS "/status");
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, size - 1);
	close(fd);
	text[MAX(n, 0)] = '\0';
	return n >= 0;
}

static int free_port(bool super, int after)
{
	char text[8192];

	for (unsigned int i = 0; i < MAX_CONTROLLERS; i++) {
		int port;

		if (!read_status(i, text, sizeof(text)))
			break;
		port = vhci_free_port(text, super, after);
		if (port >= 0)
			return port;
	}
	return -1;
}

static int attach_to(int port, int fd, uint32_t devid, enum usbip_speed speed)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "%d %d %u %d", port, fd, devid,
			 (int)speed);
	int attach = open(SYSFS "/attach", O_WRONLY | O_CLOEXEC);
	int ret = 0;

	if (attach < 0)
		return -errno;
	if (write(attach, text, (size_t)n) != n)
		ret = -errno;
	close(attach);
	return ret;
}

int vhci_check(char *why, size_t size)
{
	if (access(SYSFS, F_OK)) {
		snprintf(why, size,
			 "this kernel has no vhci_hcd; run: modprobe vhci-hcd");
		return -ENODEV;
	}
	if (access(SYSFS "/attach", W_OK)) {
		snprintf(why, size, "only root may write " SYSFS "/attach");
		return -EACCES;
	}
	return 0;
}

int vhci_attach(int fd, uint32_t devid, enum usbip_speed speed, char *why,
		size_t size)
{
	bool super = speed >= USBIP_SPEED_SUPER;
	int port = -1, ret = vhci_check(why, size);

	if (ret < 0)
		return ret;
	ret = -EBUSY;
	/* Somebody else may take a port between our look and our hand. */
	while (ret == -EBUSY && (port = free_port(super, port)) >= 0)
		ret = attach_to(port, fd, devid, speed);
	if (!ret)
		return port;
	if (ret == -EBUSY)
		snprintf(why, size,
			 "no port of vhci_hcd for %s-speed devices is free",
			 super ? "super" : "high");
	else
		snprintf(why, size, "vhci_hcd does not take it: %s",
			 strerror(-ret));
	return ret;
}
