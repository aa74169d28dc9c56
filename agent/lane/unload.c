/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unload - from the shipments to the output, and what becomes of the verdicts.
 *
 * Oldest first. What was not taken stays in its shipment and is sent again; the
 * checkpoint follows the oldest shipment that is still open.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/backoff.h"
#include "agent/base/log.h"
#include "agent/lane/dead.h"
#include "agent/lane/lane_impl.h"

/* A server may ask for patience, but not stop the trail for a day. */
#define RETRY_AFTER_MAX 300000

static void bury(struct shipment *s);

/* ---- trouble ---- */

static uint64_t pause_ms(const struct lane *l, unsigned attempt,
                         uint64_t wanted_ms)
{
    uint64_t ms =
        backoff_ms(l->env.conf->backoff_min, l->env.conf->backoff_max, attempt);

    wanted_ms = wanted_ms < RETRY_AFTER_MAX ? wanted_ms : RETRY_AFTER_MAX;
    return ms > wanted_ms ? ms : wanted_ms;
}

/* Some of this lane were sent in vain and still wait to be taken. */
static bool any_left_over(const struct lane *l)
{
    for (const struct shipment *s = l->first; s != NULL; s = s->next) {
        if (s->attempts > 0)
            return true;
    }
    return false;
}

static void in_trouble(struct lane *l, const char *topic, const char *why,
                       uint64_t pause)
{
    l->trouble.attempts++;
    trouble_say(&l->trouble, l->who, topic,
                why != NULL ? why : "some events were not taken", pause,
                uv_now(l->env.loop));
}

/* Something was taken whole. It is not over while others are left. */
static void is_taken(struct lane *l)
{
    l->trouble.attempts = 0;
    l->trouble.until_ms = 0;
    if (!any_left_over(l))
        trouble_end(&l->trouble, l->who, uv_now(l->env.loop));
}

/* ---- verdicts ---- */

static void refuse(struct shipment *s, uint32_t i)
{
    const struct lane *l = s->lane;
    const struct item *it = &s->batch.items[i];

    lane_print_dead(l,
                    &(struct dead_letter){
                        .kind = "refused",
                        .reason = batch_reason(&s->batch, it),
                        .file = file_path(s->file),
                        .offset = it->place,
                        .length = it->line_len,
                        .status = it->status,
                        .id = l->env.ops->id_of != NULL
                                  ? l->env.ops->id_of(&s->batch, i)
                                  : SPAN(""),
                        .document = batch_item_doc(&s->batch, i),
                    },
                    &s->dead);
    s->refused++;
}

/* Books what the sending settled; returns how many of its items are left. */
static uint32_t book(struct shipment *s)
{
    struct counters *c = &s->lane->count;
    uint32_t left = 0;

    for (uint32_t i = s->send.first; i < s->send.first + s->send.count; i++) {
        const struct item *it = &s->batch.items[i];

        switch ((enum verdict)it->verdict) {
        case VERDICT_DELIVERED:
            c->delivered++;
            c->repaired += it->repaired;
            break;
        case VERDICT_DUPLICATE:
            c->duplicate++;
            c->repaired += it->repaired;
            break;
        case VERDICT_REFUSED:
            refuse(s, i);
            break;
        case VERDICT_NONE:
        case VERDICT_RETRY:
            left++;
            break;
        }
    }
    return left;
}

/* Every item has its verdict. */
static void finish(struct shipment *s)
{
    shipment_enter(s, s->dead.len > 0 ? SHIPMENT_BURYING : SHIPMENT_SETTLED);
    if (s->state == SHIPMENT_BURYING)
        bury(s);
}

/* Some are to be sent again, after a pause; until when. */
static uint64_t put_off(struct shipment *s, const struct answer *a,
                        uint32_t left)
{
    struct lane *l = s->lane;
    bool none = left == s->send.count;
    uint64_t pause =
        pause_ms(l, a->busy && none ? l->trouble.attempts : s->attempts,
                 a->retry_after_ms);
    uint64_t until = uv_now(l->env.loop) + pause;

    s->attempts++;
    in_trouble(l, a->topic, a->why, pause);
    if (!none)
        l->trouble.until_ms = 0; /* it takes something */
    else if (a->busy)
        l->trouble.until_ms = until;
    return until;
}

static void feel_items(struct shipment *s, const struct answer *a,
                       uint32_t left)
{
    struct pressure *p = &s->lane->pressure;

    if (left == 0 || a->again)
        pressure_taken(p, &s->ticket, uv_now(s->lane->env.loop));
    else if (a->busy && a->large && left == s->send.count)
        pressure_busy(p, &s->ticket);
    else if (a->busy) /* a full queue takes no request, however small */
        pressure_partly(p, &s->ticket);
    else
        pressure_nothing(p, &s->ticket);
}

/* What was sent is booked, but for `left` of it. */
static void go_on(struct shipment *s, const struct answer *a, uint32_t left)
{
    struct lane *l = s->lane;

    s->retry_at_ms = 0;
    if (left > 0 && !a->again) {
        s->retry_at_ms = put_off(s, a, left);
    } else {
        s->attempts = 0;
        s->limit *= 2; /* what was halved may grow again */
        is_taken(l);
    }
    l->count.retried += left;
    s->checkpoint_first |= a->checkpoint_first;
    batch_compact(&s->batch);
    if (s->batch.n == 0) {
        finish(s);
        return;
    }
    if (s->limit >= s->batch.n)
        s->limit = 0;
    shipment_enter(s, SHIPMENT_READY);
}

void lane_book(struct shipment *s)
{
    (void)book(s);
    batch_compact(&s->batch);
    s->retry_at_ms = 0;
    if (s->batch.n == 0)
        finish(s);
    else
        shipment_enter(s, SHIPMENT_READY);
}

static void on_items(struct shipment *s, const struct answer *a)
{
    uint32_t left = book(s);

    feel_items(s, a, left);
    go_on(s, a, left);
}

void lane_take_mark(struct lane *l)
{
    struct buf fresh = { 0 };

    if (l->env.ops->mark == NULL)
        return;
    l->env.ops->mark(l->output, &fresh);
    if (fresh.len == l->mark.len &&
        (fresh.len == 0 || memcmp(fresh.at, l->mark.at, fresh.len) == 0)) {
        buf_free(&fresh);
    } else if (fresh.len > 0) { /* else the one we have is better than none */
        buf_free(&l->mark);
        l->mark = fresh;
        l->mark_is_saved = l->mark_is_saving = false;
    }
}

/* The output is not to be had: all of this lane waits, then one tries. */
void lane_blocked(struct shipment *s, const struct answer *a)
{
    struct lane *l = s->lane;
    uint64_t pause = pause_ms(l, l->trouble.attempts, a->retry_after_ms);

    in_trouble(l, a->topic, a->why, pause);
    if (a->kind == ANSWER_BUSY)
        pressure_busy(&l->pressure, &s->ticket);
    else
        pressure_down(&l->pressure, &s->ticket);
    if (a->checkpoint_first) {
        lane_take_mark(l);
        lane_raise_barrier(l);
    }
    l->count.blocked++;
    l->trouble.until_ms = uv_now(l->env.loop) + pause;
    shipment_enter(s, SHIPMENT_READY);
}

static void on_split(struct shipment *s, const struct answer *a)
{
    struct lane *l = s->lane;

    if (a->kind == ANSWER_LARGE)
        pressure_too_large(&l->pressure, &s->ticket);
    else
        pressure_nothing(&l->pressure, &s->ticket);
    if (s->send.count > 1) {
        if (a->kind == ANSWER_SPLIT)
            s->limit = s->send.count / 2;
        l->count.retried += s->send.count;
        shipment_enter(s, SHIPMENT_READY);
        return;
    }
    batch_verdict(&s->batch, s->send.first, VERDICT_REFUSED, a->status, a->why);
    go_on(s, a, book(s));
}

static void on_gone(struct shipment *s, const struct answer *a)
{
    struct lane *l = s->lane;

    pressure_nothing(&l->pressure, &s->ticket);
    log_error(l->who, "%s; this output is given up%s", a->why,
              lane_is_piped(l) ? "" : ", its place is kept");
    l->gone = true;
    cursor_give_up(&l->cursor);
    shipment_enter(s, SHIPMENT_READY);
    l->env.gone(l->env.arg);
}

static void tell_pressure(const struct lane *l, const struct pressure *was)
{
    const struct pressure *p = &l->pressure;

    if (p->window == was->window && p->limit == was->limit)
        return;
    if (p->limit == PRESSURE_ANY)
        log_debug(l->who, "at most %" PRIu64 " requests at once", p->window);
    else
        log_debug(l->who,
                  "at most %" PRIu64 " requests at once, of %" PRIu64 " bytes",
                  p->window, p->limit);
}

static void on_answered(struct send *send, const struct answer *a)
{
    struct shipment *s =
        (struct shipment *)((char *)send - offsetof(struct shipment, send));
    struct lane *l = s->lane;
    struct pressure was = l->pressure;

    if (a->doubt)
        lane_doubt(s);
    switch (a->kind) {
    case ANSWER_ITEMS:
        on_items(s, a);
        break;
    case ANSWER_BLOCKED:
    case ANSWER_BUSY:
        l->count.retried += send->count;
        lane_blocked(s, a);
        break;
    case ANSWER_LARGE:
    case ANSWER_SPLIT:
        on_split(s, a);
        break;
    case ANSWER_GONE:
        on_gone(s, a);
        break;
    }
    tell_pressure(l, &was);
    lane_wake(l);
}

/* ---- dead letters ---- */

/* Runs on a thread of the pool. */
static void write_dead(uv_work_t *work)
{
    struct shipment *s = work->data;

    s->work_rc = dead_append(s->lane->env.dead, s->lane->env.output,
                             span(s->dead.at, s->dead.len), &s->work_err);
}

static void on_buried(uv_work_t *work, int status)
{
    struct shipment *s = work->data;
    struct lane *l = s->lane;

    l->burying--;
    if (status != 0 || s->work_rc != 0) {
        uint64_t pause = pause_ms(l, s->attempts++, 0);

        in_trouble(l, NULL, s->work_err.text, pause);
        s->retry_at_ms = uv_now(l->env.loop) + pause;
    } else {
        if (s->attempts > 0) { /* the disk was full, say */
            s->attempts = 0;
            is_taken(l);
        }
        l->count.refused += s->refused;
        l->count.quarantined += s->quarantined;
        s->refused = s->quarantined = 0;
        s->dead.len = 0;
        shipment_enter(s, SHIPMENT_SETTLED);
    }
    lane_wake(l);
}

static void bury(struct shipment *s)
{
    struct lane *l = s->lane;

    s->work.data = s;
    s->retry_at_ms = UINT64_MAX; /* until this try has ended */
    l->burying++;
    if (uv_queue_work(l->env.loop, &s->work, write_dead, on_buried) != 0)
        abort(); /* only for wrong arguments */
}

/* ---- sending ---- */

/* As many of its items as may go at once, and one in any case. */
static uint32_t how_many(const struct shipment *s)
{
    const struct batch *b = &s->batch;
    uint64_t most = pressure_limit(&s->lane->pressure);
    uint32_t n = s->limit > 0 && s->limit < b->n ? s->limit : b->n;
    uint32_t fit = 1;

    if (batch_bytes_of(b, 0, n).len <= most)
        return n;
    while (fit < n && batch_bytes_of(b, 0, fit + 1).len <= most)
        fit++;
    return fit;
}

static void send_off(struct shipment *s)
{
    struct lane *l = s->lane;
    uint32_t n = how_many(s);
    uint64_t bytes = batch_bytes_of(&s->batch, 0, n).len;

    s->send = (struct send){
        .batch = &s->batch,
        .count = n,
        .answered = on_answered,
    };
    shipment_enter(s, SHIPMENT_SENDING);
    lane_passes(s);
    pressure_sent(&l->pressure, &s->ticket, bytes, n, uv_now(l->env.loop));
    l->count.requests++;
    l->count.sent_bytes += bytes;
    l->env.ops->send(l->output, &s->send);
}

/* Whether this one may go now. */
static bool may_send(struct lane *l, const struct shipment *s)
{
    if (l->gone || l->barrier || !pressure_is_open(&l->pressure))
        return false;
    if (l->trouble.until_ms > 0 && l->pressure.under_way > 0)
        return false; /* one at a time until it works again */
    /* An output that keeps a mark is told to go on only from what is settled,
     * else mark and low mark would not be of one moment. */
    return (l->env.ops->mark == NULL || s == l->first) && lane_lets(l, s);
}

static void on_retry(uv_timer_t *timer)
{
    lane_wake(timer->data);
}

void lane_dispatch(struct lane *l)
{
    uint64_t now = uv_now(l->env.loop), next = UINT64_MAX;

    if (l->barrier && l->first != NULL && !saver_is_hurrying(l->saver))
        saver_hurry(l->saver);
    for (struct shipment *s = l->first; s != NULL; s = s->next) {
        uint64_t at = s->retry_at_ms;

        if (s->state == SHIPMENT_BURYING && at <= now) {
            bury(s);
        } else if (s->state == SHIPMENT_READY) {
            at = at > l->trouble.until_ms ? at : l->trouble.until_ms;
            if (at <= now && may_send(l, s)) {
                if (s->in_doubt)
                    lane_look_up(s);
                else
                    send_off(s);
                continue;
            }
        }
        if (s->state == SHIPMENT_READY || s->state == SHIPMENT_BURYING)
            next = at > now && at < next ? at : next;
    }
    if (next != UINT64_MAX)
        uv_timer_start(&l->retry, on_retry, next - now, 0);
}

/* ---- settling ---- */

struct low_mark lane_low_mark(const struct lane *l)
{
    const struct shipment *s = l->first != NULL ? l->first : l->filling;
    struct low_mark m = { .last_us = l->last_us, .passed = l->horizon.passed };

    if (s != NULL && (s == l->first || !shipment_is_empty(s)))
        return (struct low_mark){ s->file, s->start, s->last_us, s->from };
    if (l->has_line) {
        m.file = l->cursor.file;
        m.offset = l->line.offset;
    } else {
        m.offset = cursor_place(&l->cursor, &m.file);
    }
    return m;
}

static void recycle(struct shipment *s)
{
    struct lane *l = s->lane;

    batch_reset(&s->batch);
    batch_give_bytes(&s->batch, &l->buffers);
    shipment_start(s, NULL, 0);
    s->next = l->spare;
    l->spare = s;
}

void lane_settle_front(struct lane *l)
{
    bool moved = false;

    while (l->first != NULL && l->first->state == SHIPMENT_SETTLED) {
        struct shipment *s = l->first;

        l->first = s->next;
        l->barrier |= s->checkpoint_first && l->saver != NULL;
        recycle(s);
        moved = true;
        lane_take_mark(l);
    }
    if (moved)
        lane_save(l);
}
