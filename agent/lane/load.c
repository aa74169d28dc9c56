/* SPDX-License-Identifier: Apache-2.0 */
/*
 * load - the way of a line: from the cursor through the parser into the
 * shipment that is being filled.
 */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/lane/appended.h"
#include "agent/lane/dead.h"
#include "agent/lane/lane_impl.h"

/* What is read before the loop gets its turn again: little, so that what is
 * ready goes out while more is read. */
#define BUDGET    (128 * KIB)
#define SHARE_MIN (64 * KIB)
/* What an output adds to a line: action, id, time. */
#define ITEM_OVERHEAD 256
/* What is looked at of the file after a gap, for the time of its first event. */
#define PEEK (64 * KIB)
/* The record of a gap; a path may be long. */
#define GAP_MAX (8 * KIB)

static uint64_t memory_held(const struct lane *l)
{
    uint64_t n = l->filling != NULL ? shipment_memory(l->filling) : 0;

    for (struct shipment *s = l->first; s != NULL; s = s->next)
        n += shipment_memory(s);
    return n;
}

/* The part of the memory that each of the sendings, and the one that is filled,
 * can have at the same time. */
static size_t share(const struct lane *l)
{
    const struct lane_conf *conf = l->env.conf;
    uint64_t n = conf->memory / (l->in_flight + 1);

    n = n > SHARE_MIN ? n : SHARE_MIN;
    return n < conf->batch_bytes ? n : conf->batch_bytes;
}

static bool any_ready(const struct lane *l)
{
    for (struct shipment *s = l->first; s != NULL; s = s->next) {
        if (s->state == SHIPMENT_READY)
            return true;
    }
    return false;
}

/*
 * An empty shipment, or NULL: there is no room. One that waits to be sent is
 * enough: to read further ahead would only cost memory.
 *
 * Where events are large a shipment ends well before its share does. So it may
 * come to a bit more than that, or less, as the others leave room: together they
 * use all of the memory.
 */
static struct shipment *get_shipment(struct lane *l)
{
    const struct lane_conf *conf = l->env.conf;
    struct shipment *s = l->spare;
    uint64_t held = memory_held(l), most = share(l);

    if (any_ready(l) || (l->first != NULL && held + most / 2 > conf->memory))
        return NULL;
    if (s != NULL)
        l->spare = s->next;
    else
        s = shipment_new(l);
    most = most + most / 8 < conf->batch_bytes ? most + most / 8 : most;
    if (l->first != NULL && most > conf->memory - held)
        most = conf->memory - held;
    l->room = most;
    batch_take_bytes(&s->batch, &l->buffers);
    buf_reserve(&s->batch.bytes, most);
    shipment_enter(s, SHIPMENT_FILLING);
    return s;
}

void lane_seal(struct lane *l)
{
    struct shipment *s = l->filling;

    l->filling = NULL;
    l->lingered = false;
    uv_timer_stop(&l->linger);
    s->next = NULL;
    if (l->first == NULL)
        l->first = s;
    else
        l->last->next = s;
    l->last = s;
    lane_doubt_old(s);
    shipment_enter(s, s->batch.n > 0 ? SHIPMENT_READY : SHIPMENT_BURYING);
    lane_dispatch(l);
}

/* Bytes of a request that is worth filling. */
static uint64_t largest(const struct lane *l)
{
    uint64_t limit = pressure_limit(&l->pressure);

    return limit < l->env.conf->batch_bytes ? limit : l->env.conf->batch_bytes;
}

/* More than its share, up to batch_bytes, where enough stays for the others, if
 * they hold as much as those under way do: outputs that pack what they send leave
 * nearly all of it. */
static bool grow(struct lane *l)
{
    const struct lane_conf *conf = l->env.conf;
    struct buf *bytes = &l->filling->batch.bytes;
    uint64_t held = memory_held(l) - shipment_memory(l->filling);
    uint64_t n = l->pressure.under_way, each = n > 0 ? held / n : share(l);
    uint64_t others = (l->in_flight - n) * each;

    if (l->room >= conf->batch_bytes ||
        held + conf->batch_bytes + others > conf->memory)
        return false;
    l->room = conf->batch_bytes;
    buf_reserve(bytes, l->room);
    return true;
}

/* Whether a line of `len` bytes still goes into what is being filled. */
static bool fits(struct lane *l, uint64_t len)
{
    const struct lane_conf *conf = l->env.conf;
    const struct shipment *s = l->filling;
    uint64_t want = s->batch.bytes.len + s->dead.len + len + ITEM_OVERHEAD;

    if (shipment_is_empty(s))
        return true;
    if (s->file != l->cursor.file || want > largest(l) ||
        s->batch.n + s->quarantined >= conf->batch_events)
        return false;
    return want <= l->room || grow(l);
}

/* A place for the line at hand, or false: there is none now. */
static bool find_place(struct lane *l)
{
    uint64_t len = l->line_what == CURSOR_GAP ? GAP_MAX : l->line.len;

    if (l->filling != NULL && !fits(l, len))
        lane_seal(l);
    if (l->filling == NULL)
        l->filling = get_shipment(l);
    if (l->filling == NULL)
        return false;
    if (shipment_is_empty(l->filling)) {
        shipment_start(l->filling, l->cursor.file, l->line.offset);
        l->filling->last_us = l->last_us;
        l->filling->from = l->horizon.passed;
    }
    return true;
}

static bool parse(struct lane *l, struct span text)
{
    return l->parser_ops->run(l->parser, text, &l->event) == 0;
}

/* No event: to the dead letters, never to the output, for what cannot be read
 * cannot be redacted. */
static void quarantine(struct lane *l, const char *reason,
                       const struct line *line)
{
    struct shipment *s = l->filling;

    lane_print_dead(l,
                    &(struct dead_letter){
                        .kind = "quarantined",
                        .reason = reason,
                        .file = file_path(l->cursor.file),
                        .offset = line->offset,
                        .length = line->len,
                        .line = line->bytes,
                        .hash = l->line_what == CURSOR_LONG ? line->hash : NULL,
                    },
                    &s->dead);
    s->quarantined++;
}

/* What the parser, or a gap, has left in l->event; it stands at `place`. */
static void add_event(struct lane *l, uint64_t place)
{
    struct shipment *s = l->filling;
    struct event *ev = &l->event;
    enum shape shape = l->env.ops->shape;
    struct item *it;

    if (ev->time_us != CLOCK_NO_TIME)
        l->last_us = ev->time_us;
    edits_start(&l->edits, shape == SHAPE_BYTES ? ev->line : ev->body);
    if (ev->time_us == CLOCK_NO_TIME)
        ev->time_us = clock_wall_us();
    shape_event(shape, ev, &l->edits);
    l->env.ops->encode(l->output, &s->batch, ev, &l->edits);
    it = &s->batch.items[s->batch.n - 1];
    it->place = place;
    it->line_len = (uint32_t)ev->line.len;
}

/* The time of the event that comes next, if it is there and can be read. */
static int64_t next_time(struct lane *l)
{
    int64_t time_us = CLOCK_NO_TIME;
    struct reader r;
    struct file *f;
    size_t got = 0;
    char *bytes = xmalloc(PEEK);
    uint64_t offset = cursor_place(&l->cursor, &f);
    const char *newline;

    reader_open(&r);
    reader_seek(&r, f, offset, NULL);
    if (reader_read(&r, bytes, PEEK, &got) == READER_BYTES) {
        newline = memchr(bytes, '\n', got);
        if (newline != NULL && parse(l, span(bytes, (size_t)(newline - bytes))))
            time_us = l->event.time_us;
    }
    reader_close(&r);
    free(bytes);
    return time_us;
}

/* What is lost gets an event of its own in the place of those that are. */
static void add_gap(struct lane *l)
{
    const struct gap *gap = &l->cursor.gap;
    struct gap_record g = {
        .gap = gap,
        .trail = trail_name(l->env.trail),
        .file = l->cursor.file,
        .offset = l->line.offset,
        .after_us = l->last_us,
        .before_us = next_time(l),
    };
    int64_t last_us = l->last_us;

    gap_print(&g, &l->gap, &l->event);
    log_error(l->who, "lost: %.*s", (int)l->gap.len, l->gap.at);
    add_event(l, l->line.offset);
    l->last_us = last_us;
    l->count.gaps++;
    l->count.gap_bytes += gap->has_bytes ? gap->bytes : 0;
}

/* Behind half of another; 0: there is none. */
static size_t find_appended(struct lane *l)
{
    struct span line = l->line.bytes;

    if (l->cursor.offset == l->line.offset + line.len)
        return 0; /* no newline */
    return appended_find(l->parser_ops, l->parser, line, &l->event);
}

static void take_part(struct lane *l, size_t from, size_t len)
{
    struct line part = { .bytes = span(l->line.bytes.at + from, len),
                         .offset = l->line.offset + from,
                         .len = len };

    if (parse(l, part.bytes))
        add_event(l, part.offset);
    else
        quarantine(l, "half an event; the one that was appended to it is whole",
                   &part);
}

/* A line that is no event: perhaps half of one, and another. */
static void take_broken(struct lane *l)
{
    char why[256];
    size_t half;

    snprintf(why, sizeof(why), "%s", l->parser_ops->why(l->parser));
    half = find_appended(l);
    if (half == 0) {
        quarantine(l, why, &l->line);
        return;
    }
    take_part(l, 0, half);
    take_part(l, half, l->line.bytes.len - half);
    l->count.read++; /* and once as each line */
}

static bool is_blank(const struct lane *l)
{
    struct span s = l->line.bytes;

    return l->line_what == CURSOR_LINE &&
           (s.len == 0 || (s.len == 1 && *s.at == '\r'));
}

/* Takes the line at hand; false: there is no room for it yet. */
static bool take_line(struct lane *l)
{
    if (is_blank(l)) {
        horizon_pass(&l->horizon, l->line.len);
        return true;
    }
    if (!find_place(l))
        return false;
    if (l->line_what == CURSOR_GAP)
        add_gap(l);
    else if (l->line_what == CURSOR_LONG)
        quarantine(l, "the line is longer than max_line", &l->line);
    else if (l->line_what == CURSOR_TORN)
        quarantine(l, "the file ended in the middle of the line", &l->line);
    else if (parse(l, l->line.bytes))
        add_event(l, l->line.offset);
    else
        take_broken(l);
    if (l->line_what != CURSOR_GAP)
        horizon_pass(&l->horizon, l->line.len);
    l->filling->to = l->horizon.passed;
    l->filling->end = l->cursor.offset;
    l->count.read++;
    return true;
}

static void on_linger(uv_timer_t *timer)
{
    struct lane *l = timer->data;

    l->lingered = true;
    trail_forget_hints(l->env.trail);
    lane_wake(l);
}

static void start_linger(struct lane *l)
{
    if (!uv_is_active((uv_handle_t *)&l->linger))
        uv_timer_start(&l->linger, on_linger, l->env.conf->linger, 0);
}

/* Nothing has come for a while: what was held for more goes back. */
static void rest(struct lane *l)
{
    while (l->spare != NULL) {
        struct shipment *s = l->spare;

        l->spare = s->next;
        shipment_free(s);
    }
    batch_buffers_free(&l->buffers);
    if (l->env.ops->rest != NULL)
        l->env.ops->rest(l->output);
    malloc_trim(0);
}

/* Whether events came so close to each other that the next one may be expected
 * before `linger` is over. */
static bool is_flowing(const struct lane *l)
{
    return l->lingered && l->filling->batch.n > 1;
}

/* Nothing more to read at present. While events linger, or flow, nobody listens
 * to the trail: the timer looks at it anyway. Only a pipe's end is not to wait. */
static void at_end(struct lane *l)
{
    bool empty = l->filling == NULL || shipment_is_empty(l->filling);
    bool lingers = false;

    if (!empty && l->env.conf->linger > 0 && !lane_is_at_end(l))
        lingers = !l->lingered || is_flowing(l);
    if (!empty && (!lingers || l->lingered))
        lane_seal(l);
    else if (empty && l->was_idle && l->first == NULL && l->spare != NULL)
        rest(l);
    l->was_idle = empty;
    l->lingered = false;
    if (lingers)
        start_linger(l);
    if (!lingers || lane_is_piped(l))
        trail_wait(l->env.trail, &l->waiter);
}

bool lane_expects_nothing(const struct lane *l)
{
    if (l->lingered)
        return false;
    return l->waiter.waits ||
           (uv_is_active((const uv_handle_t *)&l->linger) && !lane_is_piped(l));
}

/* A new file is a new place, even while nothing of it is settled: the old one
 * may be gone at the next start. So is one that has a head now. */
static void note_file(struct lane *l)
{
    if (l->is_headless && l->cursor.read_bytes > 0)
        lane_save(l);
    if (l->cursor.file == l->noted)
        return;
    l->noted = l->cursor.file;
    lane_save(l);
}

bool lane_load(struct lane *l)
{
    uint64_t stop = l->cursor.work_bytes + BUDGET, sent = l->count.requests;

    cursor_wake(&l->cursor);
    while (l->cursor.work_bytes < stop && l->count.requests == sent) {
        if (!l->has_line) {
            l->line_what = cursor_next(&l->cursor, &l->line);
            note_file(l);
            if (l->line_what == CURSOR_MORE)
                continue;
            if (l->line_what == CURSOR_END) {
                if (l->cursor.at_last_end)
                    horizon_end(&l->horizon);
                at_end(l);
                return false;
            }
        }
        l->has_line = !take_line(l);
        if (l->has_line) {
            trail_guard(l->env.trail);
            return false;
        }
    }
    return true;
}
