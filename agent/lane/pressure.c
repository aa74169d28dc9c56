/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/pressure.h"

#include <string.h>

/* An answer within this is never late. */
#define LATE_MS 200
/* This many times the soonest. */
#define LATE_TIMES 4
#define EPOCH_MS   30000

/* How many requests that fit come before the next that may not. A size that was
 * said to be too large is seldom tried again; one that met a busy server soon. */
struct patience {
    uint64_t least;
    uint64_t most;
};

static const struct patience with_large = { 64, 4096 };
static const struct patience with_busy = { 2, 512 };

static void forget_soonest(struct pressure *p)
{
    memset(p->soonest, 0xff, sizeof(p->soonest)); /* UINT64_MAX: none */
}

void pressure_init(struct pressure *p, uint64_t most, uint64_t whole)
{
    *p = (struct pressure){
        .most = most,
        .window = most,
        .steady = most,
        .whole = whole,
        .limit = PRESSURE_ANY,
        .ceiling = PRESSURE_ANY,
    };
    forget_soonest(p);
}

bool pressure_is_open(const struct pressure *p)
{
    return p->under_way < p->window;
}

static bool may_probe(const struct pressure *p)
{
    return p->limit != PRESSURE_ANY && p->probe_in == 0 && !p->probing;
}

uint64_t pressure_limit(const struct pressure *p)
{
    return may_probe(p) ? 2 * p->limit : p->limit;
}

void pressure_sent(struct pressure *p, struct ticket *t, uint64_t bytes,
                   uint32_t items, uint64_t now_ms)
{
    *t = (struct ticket){
        .number = p->sent++,
        .bytes = bytes,
        .items = items,
        .at_ms = now_ms,
        .alone = p->under_way == 0,
        .probe = may_probe(p) && items > 1 && bytes > p->limit,
    };
    p->probing |= t->probe;
    p->under_way++;
    if (p->reached < p->under_way)
        p->reached = p->under_way;
}

static void ended(struct pressure *p, const struct ticket *t)
{
    p->under_way--;
    if (t->probe)
        p->probing = false;
}

/* ---- the window ---- */

static void set_window(struct pressure *p, uint64_t window)
{
    p->window = window;
    p->taken = 0;
    p->late = 0;
}

/* Those that were under way at the last cut belong to what it was made for. */
static bool is_news(const struct pressure *p, const struct ticket *t)
{
    return t->number >= p->cut;
}

static void cut(struct pressure *p, uint64_t window)
{
    p->cut = p->sent;
    p->reached = p->under_way;
    set_window(p, window);
}

static void halve(struct pressure *p)
{
    p->steady = p->window > 1 ? p->window / 2 : 1;
    cut(p, p->steady);
}

/* What was never filled says nothing about whether more would be taken. */
static void grow(struct pressure *p)
{
    bool doubles = p->window < p->steady;

    if (p->window >= p->most ||
        p->reached < (doubles ? p->window / 2 + 1 : p->window))
        return;
    if (doubles || ++p->taken >= p->window)
        set_window(p, p->window + 1);
}

/* ---- late answers ---- */

static unsigned size_of(uint64_t bytes)
{
    unsigned i = 0;

    for (; bytes > 4096 && i < PRESSURE_SIZES - 1; i++)
        bytes /= 4;
    return i;
}

static void turn_epoch(struct pressure *p, uint64_t now_ms)
{
    if (now_ms - p->epoch_ms < EPOCH_MS)
        return;
    if (now_ms - p->epoch_ms >= UINT64_C(2) * EPOCH_MS)
        forget_soonest(p);
    for (unsigned i = 0; i < PRESSURE_SIZES; i++) {
        p->soonest[i].before = p->soonest[i].now;
        p->soonest[i].now = UINT64_MAX;
    }
    p->epoch_ms = now_ms;
}

static bool is_late(struct pressure *p, const struct ticket *t, uint64_t now_ms)
{
    struct soonest *s = &p->soonest[size_of(t->bytes)];
    uint64_t ms = now_ms - t->at_ms, least;

    turn_epoch(p, now_ms);
    if (ms < s->now)
        s->now = ms;
    least = s->before < s->now ? s->before : s->now;
    return ms >= LATE_MS && ms / LATE_TIMES > least;
}

/* A pause of the server makes all late that is under way, once; more than that
 * in a row is a server that cannot keep up. */
static void too_late(struct pressure *p)
{
    if (++p->late > 2 * p->window)
        halve(p);
}

/* ---- the size ---- */

static void set_limit(struct pressure *p, uint64_t limit)
{
    p->limit = limit > 0 ? limit : 1;
    p->probe_in = 2 * p->limit < p->ceiling ? 1 : p->patience;
    if (limit < p->ceiling && limit >= p->whole - p->whole / 4)
        p->limit = p->ceiling = PRESSURE_ANY; /* as large as they come */
}

static void shrink(struct pressure *p, const struct ticket *t,
                   const struct patience *with)
{
    if (t->items < 2)
        return;
    if (t->bytes < p->ceiling && (t->probe || with == &with_large))
        p->ceiling = t->bytes;
    if (t->probe && p->patience < with->most)
        p->patience *= 2;
    if (p->patience < with->least)
        p->patience = with->least;
    if (t->probe)
        set_limit(p, p->limit);
    else if (t->bytes / 2 < p->limit) /* else sent before the limit was there */
        set_limit(p, t->bytes / 2);
}

static void stretch(struct pressure *p, const struct ticket *t)
{
    if (p->limit == PRESSURE_ANY)
        return;
    if (t->probe && t->bytes >= p->ceiling) {
        p->ceiling = PRESSURE_ANY;
        p->patience = 0;
    }
    if (t->bytes > p->limit && t->bytes < p->ceiling)
        set_limit(p, t->bytes);
    else if (p->probe_in > 0 && t->bytes >= p->limit / 2)
        p->probe_in--;
}

/* ---- answers ---- */

void pressure_taken(struct pressure *p, const struct ticket *t, uint64_t now_ms)
{
    bool late = is_late(p, t, now_ms);

    ended(p, t);
    p->busy = 0;
    stretch(p, t);
    if (!is_news(p, t))
        return;
    if (late) {
        too_late(p);
    } else {
        p->late = 0;
        grow(p);
    }
}

void pressure_partly(struct pressure *p, const struct ticket *t)
{
    ended(p, t);
    p->busy = 0;
    if (is_news(p, t))
        halve(p);
}

void pressure_busy(struct pressure *p, const struct ticket *t)
{
    ended(p, t);
    if (is_news(p, t))
        halve(p);
    if (t->probe)
        shrink(p, t, &with_busy);
    else if (t->alone && p->sent == t->number + 1 && ++p->busy > 1)
        shrink(p, t, &with_busy);
}

void pressure_too_large(struct pressure *p, const struct ticket *t)
{
    ended(p, t);
    shrink(p, t, &with_large);
}

void pressure_down(struct pressure *p, const struct ticket *t)
{
    ended(p, t);
    if (!is_news(p, t))
        return;
    if (p->window > 1)
        p->steady = p->window;
    cut(p, 1);
}

void pressure_nothing(struct pressure *p, const struct ticket *t)
{
    ended(p, t);
}
