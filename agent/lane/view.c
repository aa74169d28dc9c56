/* SPDX-License-Identifier: Apache-2.0 */
/*
 * view - what a lane says of itself: its books, and what it has left to do.
 */
#include <inttypes.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/lane/lane_impl.h"

const char *lane_who(const struct lane *l)
{
    return l->who;
}

/* What standard input gave is nowhere else. */
static void log_lost(const struct lane *l)
{
    struct low_mark m = lane_low_mark(l);
    struct trail_lag lag;

    trail_lag(l->env.trail, m.file, m.offset, &lag);
    if (lag.bytes > 0)
        log_error(l->who,
                  "lost: %" PRIu64 " bytes of standard input were not settled, "
                  "and cannot be read again",
                  lag.bytes);
}

void lane_log_left_behind(const struct lane *l)
{
    uint64_t n = 0;

    if (lane_is_piped(l)) {
        log_lost(l);
        return;
    }
    for (const struct shipment *s = l->first; s != NULL; s = s->next)
        n += s->end > s->start ? s->end - s->start : 0;
    if (n > 0)
        log_warn(l->who,
                 "left behind: %" PRIu64 " bytes of the log were read but not "
                 "settled; they come again at the next start",
                 n);
}

static uint64_t open_events(const struct lane *l)
{
    uint64_t n = l->filling != NULL ? shipment_open_events(l->filling) : 0;

    for (const struct shipment *s = l->first; s != NULL; s = s->next)
        n += shipment_open_events(s);
    return n;
}

void lane_look(const struct lane *l, struct lane_view *view)
{
    struct low_mark m = lane_low_mark(l);

    *view =
        (struct lane_view){ .count = l->count, .in_flight = open_events(l) };
    view->count.read_bytes = l->cursor.read_bytes;
    view->count.hole_bytes = l->cursor.hole_bytes;
    trail_lag(l->env.trail, m.file, m.offset, &view->lag);
    if (l->trouble.on) {
        view->trouble = l->trouble.why;
        view->trouble_ms = uv_now(l->env.loop) - l->trouble.since_ms;
    }
}

/* How far behind it is, and how long that may go on; "unknown" where nobody can
 * tell. */
static void add_lag(const struct lane *l, const struct trail_lag *lag,
                    struct buf *out)
{
    struct low_mark m = lane_low_mark(l);
    int64_t behind = 0;

    if (lag->bytes > 0 && m.last_us != CLOCK_NO_TIME)
        behind = (clock_wall_us() - m.last_us) / 1000000;
    buf_printf(out,
               "backlog_bytes=%" PRIu64 " backlog_seconds=%" PRIi64
               " backlog_files=%" PRIu64 " seconds_to_loss=",
               lag->bytes, behind > 0 ? behind : 0, lag->files);
    if (lag->seconds_left < 0)
        buf_printf(out, "unknown");
    else
        buf_printf(out, "%" PRIi64, lag->seconds_left);
}

/* How much it is asked to take at once. */
static void add_pressure(const struct lane *l, struct buf *out)
{
    buf_printf(out, "window=%" PRIu64 " request_limit=", l->pressure.window);
    if (l->pressure.limit == PRESSURE_ANY)
        buf_printf(out, "none ");
    else
        buf_printf(out, "%" PRIu64 " ", l->pressure.limit);
}

void lane_log_counters(const struct lane *l)
{
    struct lane_view v;
    const struct counters *c = &v.count;
    struct buf more = { 0 };

    lane_look(l, &v);
    add_pressure(l, &more);
    add_lag(l, &v.lag, &more);
    log_always(l->who,
               "counters read=%" PRIu64 " delivered=%" PRIu64
               " duplicate=%" PRIu64 " filtered=%" PRIu64 " dead=%" PRIu64
               " in_flight=%" PRIu64 " balanced=%s read_bytes=%" PRIu64
               " sent_bytes=%" PRIu64 " requests=%" PRIu64 " retried=%" PRIu64
               " looked_up=%" PRIu64 " blocked=%" PRIu64 " refused=%" PRIu64
               " quarantined=%" PRIu64 " hole_bytes=%" PRIu64 " gaps=%" PRIu64
               " gap_bytes=%" PRIu64 " repaired=%" PRIu64
               " checkpoints=%" PRIu64 " %.*s",
               c->read, c->delivered, c->duplicate, c->filtered,
               c->refused + c->quarantined, v.in_flight,
               counters_balance(c, v.in_flight) ? "yes" : "NO", c->read_bytes,
               c->sent_bytes, c->requests, c->retried, c->looked_up, c->blocked,
               c->refused, c->quarantined, c->hole_bytes, c->gaps, c->gap_bytes,
               c->repaired, c->checkpoints, (int)more.len, more.at);
    buf_free(&more);
}
