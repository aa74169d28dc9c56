/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/lane.h"

#include <stdlib.h>

#include "agent/base/clock.h"
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
    l->saver = lane_open_saver(l);
    init_handles(l);
    return l;
}

int lane_start(struct lane *l, struct err *e)
{
    int rc = lane_find_place(l, e);

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
