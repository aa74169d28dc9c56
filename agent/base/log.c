/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"

#define LINE_MAX_BYTES 4096

const char *const log_level_names[LOG_NLEVELS + 1] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static enum log_level threshold = LOG_INFO;

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_is_on(enum log_level level)
{
    return level <= threshold;
}

/* C1 controls and the marks that turn the direction of text about. */
static bool is_treacherous(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.at;

    if (s.len == 2)
        return p[0] == 0xc2 && p[1] < 0xa0;
    if (s.len == 3 && p[0] == 0xe2)
        return (p[1] == 0x80 && (p[2] == 0x8e || p[2] == 0x8f ||
                                 (p[2] >= 0xa8 && p[2] <= 0xae))) ||
               (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9);
    return false;
}

static size_t escape(char *out, size_t room, struct span s)
{
    size_t used = 0;

    while (s.len > 0 && used + 16 < room) {
        size_t n = utf8_len(s);
        bool plain = n > 1 ? !is_treacherous(span(s.at, n))
                           : n == 1 && *s.at >= 0x20 && *s.at != 0x7f;

        n = n > 0 ? n : 1;
        for (size_t i = 0; i < n; i++) {
            if (plain)
                out[used++] = s.at[i];
            else
                used += (size_t)sprintf(out + used, "\\x%02x",
                                        (unsigned char)s.at[i]);
        }
        s.at += n;
        s.len -= n;
    }
    return used;
}

static void write_line(enum log_level level, const char *who,
                       const char *format, va_list args)
{
    char text[LINE_MAX_BYTES], line[LINE_MAX_BYTES], now[CLOCK_TEXT_SIZE];
    int len = vsnprintf(text, sizeof(text), format, args);
    size_t n;

    if (len < 0)
        return;
    if ((size_t)len >= sizeof(text))
        len = sizeof(text) - 1;
    clock_format(now, clock_wall_us(), 3);
    n = (size_t)snprintf(line, sizeof(line), "%s %s %.200s: ", now,
                         log_level_names[level], who);
    n += escape(line + n, sizeof(line) - n, span(text, (size_t)len));
    line[n++] = '\n';
    /* Where standard error is gone there is nobody left to tell. */
    if (file_write_all(STDERR_FILENO, line, n) != 0)
        return;
}

void log_line(enum log_level level, const char *who, const char *format, ...)
{
    va_list args;

    if (!log_is_on(level))
        return;
    va_start(args, format);
    write_line(level, who, format, args);
    va_end(args);
}

void log_always(const char *who, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    write_line(LOG_INFO, who, format, args);
    va_end(args);
}
