/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Log lines on stderr. One failure, one line: codecs never log, they return;
 * the code that knows the peer or the file logs once and names it.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum log_level {
	LOG_LEVEL_ERR,
	LOG_LEVEL_WARN,
	LOG_LEVEL_INFO,
	LOG_LEVEL_DEBUG
};

/* Lines above this level are dropped. Default: LOG_LEVEL_INFO. */
extern enum log_level log_level;

/* Preserves errno. A trailing newline is added. */
void log_write(enum log_level level, const char *fmt, ...) printf_like(2, 3);

#define log_err(...) log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                         \
	do {                                                                   \
		if (log_level >= LOG_LEVEL_DEBUG)                              \
			log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);               \
	} while (0)

/*
 * For anything that a peer can trigger: at most LOG_BURST lines in any ten
 * seconds. The first line that is let through after some were dropped is
 * preceded by their number. Zero-initialised is ready for use.
 */
struct log_limit {
	int64_t window; /* start of the current window, ms */
	unsigned int used;
	unsigned int dropped;
};

#define LOG_BURST 5

bool log_allowed(struct log_limit *limit);

#define log_limited(limit, level, ...)                                         \
	do {                                                                   \
		if (log_allowed(limit))                                        \
			log_write(level, __VA_ARGS__);                         \
	} while (0)

#endif
