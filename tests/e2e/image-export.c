// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Writes an image to a file, holes as holes:
 *
 *   image-export IMAGE FILE
 *
 * IMAGE as on ryll-bridge's command line. A MiB that cannot be read is told,
 * and stays a hole; the status is 1 then. Prints how long opening took, in ms.
 */
#include <err.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "image/image.h"
#include "image/spec.h"

#define CHUNK (1u << 20)

static struct loop *loop;

struct pending {
	struct image_request request;
	int res;
};

static void request_done(struct image_request *request, int res)
{
	struct pending *p = container_of(request, struct pending, request);

	p->res = res;
	loop_stop(loop);
}

static int run(struct image *image, struct pending *p)
{
	p->request.done = request_done;
	image_submit(image, &p->request);
	if (loop_run(loop) < 0)
		errx(1, "the loop failed");
	return p->res;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

int main(int argc, char **argv)
{
	static char data[CHUNK];
	struct image_spec spec = { .read_only = true };
	struct image *image;
	const char *why;
	double start = now();
	int fd, status = 0;

	if (argc != 3)
		errx(2, "usage: image-export IMAGE FILE");
	spec.path = argv[1];
	if (loop_create(&loop) < 0)
		errx(1, "no io_uring");
	if (image_open(loop, &spec, &image, &why) < 0)
		errx(1, "%s %s", argv[1], why);
	printf("%.0f ms\n", now() - start);
	fflush(stdout);
	fd = open(argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || ftruncate(fd, (off_t)image->size) < 0)
		err(1, "%s", argv[2]);
	for (uint64_t off = 0, len; off < image->size; off += len) {
		struct iovec iov = { data, CHUNK };
		struct pending look = { .request = { .type = IMAGE_STATUS,
						     .off = off,
						     .len = image->size -
							    off } };
		struct pending read = { .request = { .type = IMAGE_READ,
						     .off = off,
						     .iov = &iov,
						     .n_iov = 1 } };

		len = MIN(CHUNK, image->size - off);
		if (!run(image, &look) && look.request.hole) {
			len = look.request.len;
			continue;
		}
		iov.iov_len = len;
		read.request.len = len;
		if (run(image, &read) < 0) {
			warnx("%llu cannot be read: %d",
			      (unsigned long long)off, read.res);
			status = 1;
		} else if (pwrite(fd, data, len, (off_t)off) != (ssize_t)len) {
			err(1, "%s", argv[2]);
		}
	}
	image_destroy(image);
	loop_destroy(loop);
	return status;
}
