/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/base/show.h"

#define EVERY_MS 1000
#define BAR_MAX  40
#define BAR_MIN  8

void progress_count(struct buf *out, uint64_t n)
{
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%" PRIu64, n);

    for (int i = 0; i < len; i++)
        buf_printf(out, "%s%c", i > 0 && (len - i) % 3 == 0 ? "," : "",
                   digits[i]);
}

void progress_bytes(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = { "KiB", "MiB", "GiB", "TiB", "PiB" };
    double n = (double)bytes / 1024;
    size_t i = 0;

    if (bytes < 1024) {
        buf_printf(out, "%" PRIu64 " B", bytes);
        return;
    }
    for (; n >= 1023.95 && i + 1 < ARRAY_LEN(units); i++)
        n /= 1024;
    buf_printf(out, "%.1f %s", n, units[i]);
}

void progress_time(struct buf *out, uint64_t seconds)
{
    uint64_t h = seconds / 3600, m = seconds / 60 % 60, s = seconds % 60;

    if (h > 0)
        buf_printf(out, "%" PRIu64 ":%02" PRIu64 ":%02" PRIu64, h, m, s);
    else
        buf_printf(out, "%" PRIu64 ":%02" PRIu64, m, s);
}

/* ---- numbers ---- */

void progress_note(struct progress *p, const struct progress_point *now)
{
    p->now = *now;
    if (p->n > 0 && now->ms - p->points[p->n - 1].ms < EVERY_MS)
        return;
    if (p->n == PROGRESS_POINTS) {
        p->n--;
        memmove(p->points, p->points + 1, p->n * sizeof(*p->points));
    }
    p->points[p->n++] = *now;
}

/* A second, since the oldest point. */
static uint64_t per_second(const struct progress *p, uint64_t now,
                           uint64_t then)
{
    uint64_t ms = p->n > 0 ? p->now.ms - p->points[0].ms : 0;

    if (ms == 0 || now < then)
        return 0;
    return (uint64_t)((double)(now - then) * 1000 / (double)ms + 0.5);
}

static uint64_t events_per_second(const struct progress *p)
{
    return per_second(p, p->now.events, p->points[0].events);
}

/* Never all, before it is all. */
static unsigned percent(const struct progress *p)
{
    if (p->done >= p->total)
        return 100;
    return (unsigned)((double)p->done * 100 / (double)p->total);
}

static void add_left(const struct progress *p, struct buf *out)
{
    uint64_t speed = per_second(p, p->now.bytes, p->points[0].bytes);
    uint64_t left = p->done < p->total ? p->total - p->done : 0;

    if (speed == 0)
        buf_printf(out, "-:--");
    else
        progress_time(out, (left + speed - 1) / speed);
    buf_printf(out, " left");
}

/* ---- text ---- */

/* At most `width` letters of `s`. */
static size_t cut(struct span s, size_t width)
{
    size_t n = 0, i = 0;

    while (i < s.len && n < width) {
        size_t len = utf8_len(span(s.at + i, s.len - i));

        i += len > 0 ? len : 1;
        n++;
    }
    return i;
}

static void add_trouble(const struct progress *p, struct buf *out)
{
    buf_printf(out, "waiting ");
    progress_time(out, p->trouble_ms / 1000);
    buf_printf(out, ": ");
    show_add(out, span(p->trouble, strlen(p->trouble)));
}

/* Instead of the figures, where there is more to say. */
static bool add_state(const struct progress *p, struct buf *out)
{
    if (p->is_stopping)
        buf_printf(out, "stopping: what is in flight is waited for");
    else if (p->trouble != NULL)
        add_trouble(p, out);
    return p->is_stopping || p->trouble != NULL;
}

static void add_figures(const struct progress *p, struct buf *out)
{
    progress_bytes(out, p->done);
    buf_printf(out, " of ");
    progress_bytes(out, p->total);
    buf_printf(out, "  ");
    progress_count(out, events_per_second(p));
    buf_printf(out, " events/s  ");
    add_left(p, out);
}

static void add_bar(const struct progress *p, size_t width, struct buf *out)
{
    size_t full =
        p->done >= p->total
            ? width
            : (size_t)((double)p->done * (double)width / (double)p->total);

    buf_add(out, " [", 2);
    for (size_t i = 0; i < width; i++)
        buf_add(out, i < full ? "=" : i == full ? ">" : " ", 1);
    buf_add(out, "]", 1);
}

void progress_bar(const struct progress *p, size_t width, struct buf *out)
{
    struct buf rest = { 0 };
    size_t taken, start = out->len;
    bool has_figures;

    buf_printf(out, "%3u%%", percent(p));
    has_figures = !add_state(p, &rest);
    if (has_figures)
        add_figures(p, &rest);
    taken = out->len - start + strlen(" []") + 1 + rest.len;
    if (has_figures && taken + BAR_MIN <= width)
        add_bar(p, width - taken < BAR_MAX ? width - taken : BAR_MAX, out);
    buf_add(out, " ", 1);
    buf_add(out, rest.at, rest.len);
    out->len = start + cut(span(out->at + start, out->len - start), width);
    buf_free(&rest);
}

void progress_line(const struct progress *p, struct buf *out)
{
    buf_printf(out, "%u%%, ", percent(p));
    progress_count(out, p->now.events);
    buf_printf(out, " events, ");
    if (!add_state(p, out))
        add_figures(p, out);
}
