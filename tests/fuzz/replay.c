// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Runs a fuzz target over files and folders, without libFuzzer: so that every
 * build, with any compiler, replays what fuzzing once found.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static _Noreturn void die(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

/* The input is as long as its allocation: ASan sees a byte too many. */
static void replay_file(const char *path, size_t size)
{
	uint8_t *data = malloc(size);
	FILE *file = fopen(path, "rb");

	if (!file || (!data && size) || fread(data, 1, size, file) != size)
		die(path);
	fclose(file);
	LLVMFuzzerTestOneInput(data, size);
	free(data);
}

static unsigned int replay(const char *path);

static unsigned int replay_folder(const char *path)
{
	DIR *folder = opendir(path);
	unsigned int count = 0;
	struct dirent *entry;
	char *file;

	if (!folder)
		die(path);
	while ((entry = readdir(folder))) {
		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&file, "%s/%s", path, entry->d_name) < 0)
			die(path);
		count += replay(file);
		free(file);
	}
	closedir(folder);
	return count;
}

/* Returns the number of inputs. */
static unsigned int replay(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		die(path);
	if (S_ISDIR(st.st_mode))
		return replay_folder(path);
	replay_file(path, (size_t)st.st_size);
	return 1;
}

int main(int argc, char **argv)
{
	unsigned int count = 0;

	for (int i = 1; i < argc; i++)
		count += replay(argv[i]);
	printf("%u inputs replayed\n", count);
	/* A corpus that was not found must not look like one that passed. */
	return count ? 0 : 1;
}
