/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Error convention of the whole program: functions that can fail return an
 * int, 0 (or a count) on success and a negative errno on failure, as io_uring
 * does. Nobody reads the global errno except directly behind a libc call.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <errno.h>
#include <stddef.h>

#define must_check __attribute__((warn_unused_result))
#define printf_like(fmt, args) __attribute__((format(printf, fmt, args)))

#define container_of(ptr, type, member)                                        \
	((type *)((char *)(ptr)-offsetof(type, member)))

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

#endif
