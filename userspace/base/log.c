// SPDX-License-Identifier: GPL-2.0-or-later
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define WINDOW_MS 10000

enum log_level log_level = LOG_LEVEL_INFO;

static const char *const level_names[] = {
	[LOG_LEVEL_ERR] = "error: ",
	[LOG_LEVEL_WARN] = "warning: ",
	[LOG_LEVEL_INFO] = "",
	[LOG_LEVEL_DEBUG] = "debug: ",
};

void log_write(enum log_level level, const char *fmt, ...)
{
	int saved = errno;
	char line[1024];
	va_list args;
	int head, body;
	size_t len;

	if (level > log_level)
		return;
	head = snprintf(line, sizeof(line), "%s: %s",
			program_invocation_short_name, level_names[level]);
	va_start(args, fmt);
	body = vsnprintf(line + head, sizeof(line) - (size_t)head, fmt, args);
	va_end(args);
	if (body < 0)
		body = 0;
	len = MIN((size_t)head + (size_t)body, sizeof(line) - 2);
	/* A peer's text may stand in the line; it must stay one line. */
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	line[len++] = '\n';
	/* One write a line, so that lines of several processes do not mix. */
	if (write(STDERR_FILENO, line, len) < 0) {
		/* Nobody is left to tell. */
	}
	errno = saved;
}

bool log_allowed(struct log_limit *limit)
{
	struct timespec ts;
	int64_t now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	now = (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
	if (!limit->window || now - limit->window >= WINDOW_MS) {
		if (limit->dropped)
			log_warn("%u similar messages were not shown",
				 limit->dropped);
		*limit = (struct log_limit){ .window = now ? now : 1 };
	}
	if (limit->used >= LOG_BURST) {
		limit->dropped++;
		return false;
	}
	limit->used++;
	return true;
}
