/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/show.h"

#define LINE_MAX_BYTES 4096

const char *const log_level_names[LOG_NLEVELS + 1] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

static enum log_level threshold = LOG_INFO;
static void (*clear_line)(void);

void log_set_clear(void (*clear)(void))
{
    clear_line = clear;
}

void log_set_level(enum log_level level)
{
    threshold = level;
}

bool log_is_on(enum log_level level)
{
    return level <= threshold;
}

/* At most `n` bytes, whole letters. */
static void cut(struct buf *line, size_t n)
{
    if (line->len <= n)
        return;
    while (n > 0 && ((unsigned char)line->at[n] & 0xc0) == 0x80)
        n--;
    line->len = n;
}

static void write_line(enum log_level level, const char *who,
                       const char *format, va_list args)
{
    char text[LINE_MAX_BYTES], now[CLOCK_TEXT_SIZE];
    int len = vsnprintf(text, sizeof(text), format, args);
    struct buf line = { 0 };

    if (len < 0)
        return;
    if ((size_t)len >= sizeof(text))
        len = sizeof(text) - 1;
    clock_format(now, clock_wall_us(), 3);
    buf_printf(&line, "%s %s %s: ", now, log_level_names[level], who);
    show_add(&line, span(text, (size_t)len));
    cut(&line, LINE_MAX_BYTES - 1);
    buf_add(&line, "\n", 1);
    if (clear_line != NULL)
        clear_line();
    /* Where standard error is gone there is nobody left to tell. */
    if (file_write_all(STDERR_FILENO, line.at, line.len) != 0)
        line.len = 0;
    buf_free(&line);
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
