// SPDX-License-Identifier: GPL-2.0-or-later
#include "backend/usbfs_descriptors.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* The kernel has bounds of its own; this is far above them. */
#define MOST (1u << 20)

int usbfs_descriptors_read(struct usbfs_descriptors *set,
			   const struct usbfs_place *place)
{
	char path[320];
	ssize_t n;
	int fd;

	*set = (struct usbfs_descriptors){ 0 };
	snprintf(path, sizeof(path), "%.256s/descriptors", place->syspath);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -ENODEV;
	set->data = malloc(MOST);
	n = set->data ? read(fd, set->data, MOST) : -1;
	close(fd);
	if (n < 0) {
		int ret = set->data ? -ENODEV : -ENOMEM;

		usbfs_descriptors_free(set);
		return ret;
	}
	set->len = (size_t)n;
	return 0;
}

void usbfs_descriptors_free(struct usbfs_descriptors *set)
{
	free(set->data);
	*set = (struct usbfs_descriptors){ 0 };
}
