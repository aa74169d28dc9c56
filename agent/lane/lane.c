/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/lane.h"

#include <inttypes.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/lane/dead.h"
#include "agent/lane/lane_impl.h"

/* ---- the loop's side ---- */

bool lane_is_piped(const struct lane *l)
{
    return trail_intake(l->env.trail) != NULL;
}

bool lane_is_at_end(const struct lane *l)
{
    return !l->has_line && l->cursor.file != NULL &&
           file_is_end(l->cursor.file);
}

/* Nothing that can still be had is not settled. */
static bool is_done(const struct lane *l)
{
    if (l->gone)
        return true;
    if (lane_is_piped(l) && !lane_is_at_end(l))
        return false;
    return l->first == NULL &&
           (l->filling == NULL || shipment_is_empty(l->filling));
}

static void tell_ended(struct lane *l)
{
    if (l->ended || l->gone || l->env.ended == NULL || !lane_is_at_end(l) ||
        !is_done(l))
        return;
    l->ended = true;
    l->env.ended(l->env.arg);
}

static void tell_drained(struct lane *l)
{
    void (*drained)(void *) = l->drained;

    if (drained == NULL || !is_done(l))
        return;
    l->drained = NULL;
    drained(l->drained_arg);
}

static void on_idle(uv_idle_t *idle)
{
    struct lane *l = idle->data;
    uint64_t sent = l->count.requests;
    bool more = false;

    if (l->closing) { /* what comes now comes again */
        uv_idle_stop(&l->idle);
        return;
    }
    lane_settle_front(l);
    lane_dispatch(l);
    if (l->reading && !l->gone && !lane_expects_nothing(l))
        more = l->count.requests > sent || lane_load(l);
    if (!more)
        uv_idle_stop(&l->idle);
    tell_ended(l);
    tell_drained(l);
}

void lane_wake(struct lane *l)
{
    if (!l->closing)
        uv_idle_start(&l->idle, on_idle);
}

static void on_more(void *arg)
{
    lane_wake(arg);
}

/* ---- the checkpoint ---- */

void lane_save(struct lane *l)
{
    if (l->saver == NULL)
        return;
    if (l->barrier)
        saver_hurry(l->saver);
    else
        saver_touch(l->saver);
}

void lane_raise_barrier(struct lane *l)
{
    l->barrier = l->saver != NULL;
    lane_save(l);
}

static void note_saving(struct lane *l, struct file *f)
{
    struct file *old = l->saving;

    l->saving = file_ref(f);
    file_unref(old);
}

static void lift_barrier(struct lane *l)
{
    l->barrier = false;
    lane_wake(l);
}

static int print_checkpoint(void *arg, struct buf *text, struct err *e)
{
    struct lane *l = arg;
    struct low_mark m = lane_low_mark(l);
    struct checkpoint c = { .last_us = m.last_us };

    (void)e;
    if (m.file == NULL)
        return ERR_AGAIN;
    checkpoint_take(&c, m.file, m.offset);
    if (l->has_checkpoint && c.id.head_len == 0) {
        /* Known by its inode alone, which may soon be another's: the place
         * before it is the better one. It may stay like that, as a .gz without
         * any text does. */
        checkpoint_free(&c);
        if (l->barrier && l->mark_is_saved)
            lift_barrier(l);
        lane_skip_horizon(l);
        return ERR_AGAIN;
    }
    if (c.id.head_len > 0 && !file_is_remembered(m.file) && !l->closing) {
        checkpoint_free(&c);
        return ERR_BUSY; /* the roll first: it has the file's place */
    }
    l->is_headless = c.id.head_len == 0;
    c.mark = l->mark;
    lane_print_horizon(l, &m, &c);
    checkpoint_print(&c, text);
    c.mark = (struct buf){ 0 };
    checkpoint_free(&c);
    note_saving(l, m.file);
    l->mark_is_saving = true;
    return 0;
}

static void on_saved(void *arg, bool hurried)
{
    struct lane *l = arg;

    l->count.checkpoints++;
    file_unref(l->saved);
    l->saved = l->saving;
    l->saving = NULL;
    l->has_checkpoint = true;
    l->mark_is_saved = l->mark_is_saving;
    if (l->horizon.is_on) {
        horizon_saved(&l->horizon);
        lane_wake(l);
    }
    if (hurried && l->barrier)
        lift_barrier(l);
}

static const struct saver_ops saver_ops = { print_checkpoint, on_saved };

/*
 * Goes to the place of the checkpoint, which may be in a file that is there no
 * more: then it begins with that loss, once there is anything after it.
 */
static void find_place(struct lane *l, const struct checkpoint *c)
{
    struct file *f;

    l->last_us = c->last_us;
    l->is_headless = c->id.head_len == 0;
    if (c->id.head_len == 0 && c->offset == 0) {
        f = trail_find_unread(l->env.trail, &c->id);
        log_info(l->who, "nothing was read yet: starting at the start of %s",
                 f != NULL ? file_path(f) : "the log");
        cursor_seek(&l->cursor, f, 0, NULL);
        return;
    }
    f = trail_find(l->env.trail, &c->id);
    if (f == NULL)
        f = trail_add_lost(l->env.trail, &c->id, span(c->path.at, c->path.len));
    if (file_loss(f) != LOSS_NONE)
        log_error(l->who,
                  "%s, read up to offset %" PRIu64 ", is not there any more; "
                  "going on with what was written after it",
                  file_path(f), c->offset);
    else
        log_info(l->who, "resuming %s at offset %" PRIu64, file_path(f),
                 c->offset);
    cursor_seek(&l->cursor, f, c->offset, &c->guard);
}

/* Where there is no checkpoint. */
static int start_anew(struct lane *l, struct err *e)
{
    const struct trail_conf *conf = trail_settings(l->env.trail);
    int rc = 0;

    if (conf->start == START_END)
        rc = cursor_seek_end(&l->cursor, e);
    else
        cursor_seek(&l->cursor, trail_oldest(l->env.trail), 0, NULL);
    if (rc == 0 && l->cursor.file != NULL)
        log_info(l->who, "no checkpoint: starting at offset %" PRIu64 " of %s",
                 l->cursor.offset, file_path(l->cursor.file));
    return rc;
}

/* Standard input is where it is, and so is the output. */
static int begin_piped(struct lane *l, struct err *e)
{
    const struct output_ops *ops = l->env.ops;

    cursor_seek(&l->cursor, trail_oldest(l->env.trail), 0, NULL);
    lane_doubts_start(l, &(struct checkpoint){ 0 }, false);
    return ops->resume != NULL ? ops->resume(l->output, SPAN(""), e) : 0;
}

/* Puts cursor and output where the last checkpoint left them. */
static int resume(struct lane *l, struct err *e)
{
    const struct output_ops *ops = l->env.ops;
    struct checkpoint c = { 0 };
    bool fell_back = false;
    int rc =
        checkpoint_load(&c, l->env.state, l->checkpoint_name, &fell_back, e);

    if (fell_back)
        log_warn(l->who,
                 "checkpoint %s is missing or damaged; the previous "
                 "one is used",
                 l->checkpoint_name);
    if (rc == 0) {
        l->has_checkpoint = true;
        find_place(l, &c);
        buf_add(&l->mark, c.mark.at, c.mark.len);
    } else if (rc == ERR_MISSING) {
        rc = start_anew(l, e);
    }
    if (rc == 0 && ops->resume != NULL)
        rc = ops->resume(l->output, span(l->mark.at, l->mark.len), e);
    if (rc == 0)
        lane_doubts_start(l, &c, fell_back);
    if (rc == 0 && ops->mark != NULL) {
        l->mark_is_saved = l->has_checkpoint;
        lane_take_mark(l);
        l->barrier = true; /* nothing is written before it can be cut */
    }
    checkpoint_free(&c);
    return rc;
}

/* ---- life ---- */

static void init_handles(struct lane *l)
{
    uv_idle_init(l->env.loop, &l->idle);
    uv_timer_init(l->env.loop, &l->linger);
    uv_timer_init(l->env.loop, &l->retry);
    l->idle.data = l->linger.data = l->retry.data = l;
    l->handles = 3;
}

static void free_shipments(struct shipment *s)
{
    while (s != NULL) {
        struct shipment *next = s->next;

        shipment_free(s);
        s = next;
    }
}

static void lane_free(struct lane *l)
{
    if (l->cursor.bytes != NULL)
        cursor_close(&l->cursor); /* first: from now on all is kept */
    file_unref(l->saving);
    file_unref(l->saved);
    free_shipments(l->first);
    free_shipments(l->filling);
    free_shipments(l->spare);
    batch_buffers_free(&l->buffers);
    if (l->parser != NULL)
        l->parser_ops->close(l->parser);
    edits_free(&l->edits);
    buf_free(&l->mark);
    buf_free(&l->gap);
    free(l->checkpoint_name);
    free(l->who);
    free(l);
}

static bool open_output(struct lane *l, struct err *e)
{
    const struct output_ops *ops = l->env.ops;
    struct output_env env = {
        .loop = l->env.loop,
        .who = l->who,
        .in_flight = l->in_flight,
        .buffers = &l->buffers,
    };

    l->output = ops->open(&env, l->env.output_conf, e);
    return l->output != NULL;
}

static void take_parser(struct lane *l)
{
    l->parser_ops = l->env.parser_ops;
    l->parser = l->env.parser;
    if (l->parser_ops != NULL)
        return;
    l->parser_ops = parsers[trail_settings(l->env.trail)->parser];
    l->parser = l->parser_ops->open();
}

struct lane *lane_open(const struct lane_env *env, struct err *e)
{
    struct lane *l = xcalloc(1, sizeof(*l));
    const char *trail = trail_name(env->trail);
    uint64_t most = env->ops->max_in_flight;

    l->env = *env;
    l->who = xprintf("lane %s/%s", trail, env->output);
    l->checkpoint_name = xprintf("%s.%s.checkpoint", trail, env->output);
    l->in_flight = env->conf->in_flight;
    if (most > 0 && l->in_flight > most)
        l->in_flight = most;
    pressure_init(&l->pressure, l->in_flight, env->conf->batch_bytes);
    l->buffers.most = 2 * env->conf->batch_bytes;
    take_parser(l);
    l->waiter = (struct waiter){ .more = on_more, .arg = l };
    l->last_us = CLOCK_NO_TIME;
    cursor_open(&l->cursor, env->trail, l->who);
    if (!open_output(l, e)) {
        lane_free(l);
        return NULL;
    }
    if (!lane_is_piped(l))
        l->saver = saver_open(env->loop, l->who, env->state, l->checkpoint_name,
                              "checkpoint", &saver_ops, l);
    init_handles(l);
    return l;
}

int lane_start(struct lane *l, struct err *e)
{
    int rc = lane_is_piped(l) ? begin_piped(l, e) : resume(l, e);

    if (rc != 0)
        return rc;
    l->reading = true;
    l->noted = l->cursor.file;
    l->saved = l->has_checkpoint ? file_ref(l->cursor.file) : NULL;
    if (l->saver != NULL)
        saver_hurry(l->saver);
    lane_wake(l);
    return 0;
}

void lane_drain(struct lane *l, void (*drained)(void *arg), void *arg)
{
    l->drained = drained;
    l->drained_arg = arg;
    lane_wake(l);
    if (lane_is_piped(l)) { /* what has come would not come again */
        intake_stop(trail_intake(l->env.trail));
        return;
    }
    l->reading = false;
    trail_wait_cancel(l->env.trail, &l->waiter);
    uv_timer_stop(&l->linger);
    if (l->filling != NULL && !shipment_is_empty(l->filling))
        lane_seal(l);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct lane *l = handle->data;
    void (*closed)(void *) = l->closed;
    void *arg = l->closed_arg;

    if (--l->handles > 0)
        return;
    lane_free(l);
    closed(arg);
}

static void close_handles(struct lane *l)
{
    uv_close((uv_handle_t *)&l->idle, on_handle_closed);
    uv_close((uv_handle_t *)&l->linger, on_handle_closed);
    uv_close((uv_handle_t *)&l->retry, on_handle_closed);
}

/* Dead letters on their way to disk are waited for: they hold a shipment. */
static void wait_for_burials(uv_idle_t *idle)
{
    struct lane *l = idle->data;

    if (l->burying == 0)
        close_handles(l);
}

static void on_output_closed(void *arg)
{
    struct lane *l = arg;

    uv_idle_stop(&l->idle);
    uv_idle_start(&l->idle, wait_for_burials);
}

static void on_saver_closed(void *arg)
{
    struct lane *l = arg;

    l->env.ops->close(l->output, on_output_closed, l);
}

void lane_close(struct lane *l, void (*closed)(void *arg), void *arg)
{
    l->reading = false;
    l->closing = true;
    l->drained = NULL;
    l->closed = closed;
    l->closed_arg = arg;
    trail_wait_cancel(l->env.trail, &l->waiter);
    uv_timer_stop(&l->linger);
    uv_timer_stop(&l->retry);
    if (l->horizon.is_on)
        saver_touch(l->saver); /* from now on nothing is sent */
    if (l->saver != NULL)
        saver_close(l->saver, on_saver_closed);
    else
        on_saver_closed(l);
}

void lane_print_dead(const struct lane *l, struct dead_letter *d,
                     struct buf *out)
{
    d->trail = trail_name(l->env.trail);
    d->output = l->env.output;
    if (l->env.print_dead != NULL)
        l->env.print_dead(l->env.arg, d, out);
    else
        dead_print(d, out);
}

/* ---- asking ---- */

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
