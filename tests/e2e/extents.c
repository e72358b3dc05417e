// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Where a file has data, and where holes, as lseek(2) tells it:
 *
 *   extents FILE
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	off_t at = 0, end, data;
	int fd;

	if (argc != 2)
		errx(2, "usage: extents FILE");
	fd = open(argv[1], O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		err(1, "%s", argv[1]);
	end = lseek(fd, 0, SEEK_END);
	while (at < end) {
		data = lseek(fd, at, SEEK_DATA);
		if (data < 0 && errno == ENXIO)
			data = end;
		if (data < at)
			err(1, "SEEK_DATA from %lld", (long long)at);
		if (data > at)
			printf("hole %lld %lld\n", (long long)at,
			       (long long)(data - at));
		if (data == end)
			break;
		at = lseek(fd, data, SEEK_HOLE);
		if (at <= data)
			err(1, "SEEK_HOLE from %lld", (long long)data);
		printf("data %lld %lld\n", (long long)data,
		       (long long)(at - data));
	}
	/* Behind the end there is nothing to be found. */
	if (lseek(fd, end, SEEK_DATA) >= 0 || errno != ENXIO ||
	    lseek(fd, end, SEEK_HOLE) >= 0 || errno != ENXIO)
		errx(1, "something is found behind the end");
	return 0;
}
