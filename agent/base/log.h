/* SPDX-License-Identifier: Apache-2.0 */
/*
 * log - one line per message on standard error.
 *
 *   2026-11-23T19:45:00.123Z info lane audit/search: text
 *
 * Control characters and bytes that are not UTF-8 are written as escapes, so
 * text that a client of the API server chose cannot break a line or a
 * terminal. Never give it a secret. Blocks when standard error does.
 */
#ifndef TALLYMAN_LOG_H
#define TALLYMAN_LOG_H

#include "agent/base/bytes.h"

enum log_level {
    LOG_ERROR,
    LOG_WARN,
    LOG_INFO,
    LOG_DEBUG,
    LOG_NLEVELS
};

extern const char *const log_level_names[LOG_NLEVELS + 1];

void log_set_level(enum log_level level);
bool log_is_on(enum log_level level);

/* Called before each line: whoever keeps a line of a terminal clears it. */
void log_set_clear(void (*clear)(void));

/* `who` names the speaker: "agent", "trail audit", "lane audit/search". */
void log_line(enum log_level level, const char *who, const char *format, ...)
    PRINTF(3, 4);

/* The same at whatever level is set: what was asked for, or the last word. */
void log_always(const char *who, const char *format, ...) PRINTF(2, 3);

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                        \
    do {                                      \
        if (log_is_on(LOG_DEBUG))             \
            log_line(LOG_DEBUG, __VA_ARGS__); \
    } while (0)

#endif
