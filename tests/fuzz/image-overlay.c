// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * An overlay's file that nobody vouches for: its header, the length of the
 * file, and then the maps, are the input.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "image/overlay_file.h"
#include "image/spec.h"

#define MAX_FILE (64 << 20)

static struct loop *loop;

static void look(const char *path, uint64_t size)
{
	struct overlay_file file;
	const char *why;
	bool in_file;

	if (overlay_file_read(loop, path, &file, &why) < 0)
		return;
	/* Whatever it says, it says it of every byte of the disk. */
	for (uint64_t off = 0; off < file.size && off < size;)
		off += overlay_run(&file, off, file.size - off, &in_file);
	overlay_file_close(&file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char path[40];
	uint32_t pages;
	int fd;

	log_level = LOG_LEVEL_ERR;
	if (len < 4 || (!loop && loop_create(&loop) < 0))
		return 0;
	/* How long the file is, in pages, comes first. */
	pages = data[0] | (uint32_t)data[1] << 8 | (uint32_t)data[2] << 16;
	fd = memfd_create("overlay", MFD_CLOEXEC);
	if (fd < 0 || write(fd, data + 4, len - 4) < 0 ||
	    ftruncate(fd, (off_t)pages * 4096 % MAX_FILE) < 0)
		abort();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	look(path, MAX_FILE);
	close(fd);
	return 0;
}
