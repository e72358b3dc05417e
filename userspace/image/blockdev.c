// SPDX-License-Identifier: GPL-2.0-or-later
#include "image/blockdev.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"

static void read_line(const char *name, const char *attribute, char *out,
		      size_t size)
{
	char path[512];
	FILE *f;

	out[0] = '\0';
	snprintf(path, sizeof(path), "/sys/block/%s/%s", name, attribute);
	f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(out, (int)size, f))
		out[strcspn(out, "\n")] = '\0';
	fclose(f);
}

static const char *problem_of(const char *path, bool read_only)
{
	int fd = open(path,
		      (read_only ? O_RDONLY : O_RDWR) | O_EXCL | O_CLOEXEC);

	if (fd < 0)
		return errno == EBUSY ? "in use here (mounted?): unmount it"
		       : errno == EACCES
			       ? "no permission: run as root or join its group"
			       : strerror(errno);
	close(fd);
	return NULL;
}

void blockdev_list(void (*found)(const struct blockdev *dev))
{
	struct dirent **names;
	int n = scandir("/sys/block", &names, NULL, alphasort);

	for (int i = 0; i < n; i++) {
		const char *name = names[i]->d_name;
		struct blockdev dev = { 0 };
		char text[64];

		snprintf(dev.path, sizeof(dev.path), "/dev/%.58s", name);
		read_line(name, "size", text, sizeof(text));
		dev.size = strtoull(text, NULL, 10) * 512;
		read_line(name, "ro", text, sizeof(text));
		dev.read_only = text[0] == '1';
		read_line(name, "device/model", dev.model, sizeof(dev.model));
		if (name[0] != '.' && dev.size) {
			dev.problem = problem_of(dev.path, dev.read_only);
			found(&dev);
		}
		free(names[i]);
	}
	if (n >= 0)
		free(names);
}
