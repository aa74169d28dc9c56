/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doubt - what may have been stored without our knowing, at an output that
 * could store it again: it is looked up before it is sent.
 *
 * In doubt is what was sent and got no clear answer, and after a crash what the
 * run before may have sent (horizon.h). Of what comes through a pipe nobody knows
 * whether it came before.
 */
#include "agent/lane/lane_impl.h"

void lane_doubts_start(struct lane *l, const struct checkpoint *c,
                       bool fell_back)
{
    const struct output_ops *ops = l->env.ops;

    l->may_repeat = ops->may_repeat != NULL && ops->may_repeat(l->output);
    if (l->may_repeat && l->saver != NULL)
        horizon_start(&l->horizon, c->has_horizon && !fell_back
                                       ? c->horizon
                                       : HORIZON_UNKNOWN);
}

void lane_doubt(struct shipment *s)
{
    if (!s->lane->may_repeat)
        return;
    s->in_doubt = true;
    s->doubt_ms = uv_now(s->lane->env.loop);
}

void lane_doubt_old(struct shipment *s)
{
    const struct lane *l = s->lane;

    s->in_doubt = l->saver == NULL ? l->may_repeat
                                   : horizon_is_in_doubt(&l->horizon, s->from);
    s->doubt_ms = 0;
}

/* ---- looking up ---- */

static void on_looked_up(struct send *send, const struct answer *a)
{
    struct shipment *s =
        (struct shipment *)((char *)send - offsetof(struct shipment, send));
    struct lane *l = s->lane;

    if (a->kind == ANSWER_ITEMS) {
        l->count.looked_up += send->count;
        s->in_doubt = false;
        pressure_nothing(&l->pressure, &s->ticket);
        lane_book(s);
    } else {
        lane_blocked(s, a);
    }
    lane_wake(l);
}

void lane_look_up(struct shipment *s)
{
    struct lane *l = s->lane;

    s->send = (struct send){
        .batch = &s->batch,
        .count = s->batch.n,
        .since_ms = s->doubt_ms,
        .answered = on_looked_up,
    };
    shipment_enter(s, SHIPMENT_SENDING);
    pressure_sent(&l->pressure, &s->ticket, 0, 1, uv_now(l->env.loop));
    l->env.ops->look_up(l->output, &s->send);
}

/* ---- the horizon ---- */

bool lane_lets(struct lane *l, const struct shipment *s)
{
    if (horizon_lets(&l->horizon, s->to))
        return true;
    if (!saver_is_hurrying(l->saver))
        saver_hurry(l->saver);
    return false;
}

void lane_passes(struct shipment *s)
{
    struct horizon *h = &s->lane->horizon;

    if (!h->is_on)
        return;
    horizon_sent(h, s->to);
    if (horizon_is_near(h) && !saver_is_hurrying(s->lane->saver))
        saver_hurry(s->lane->saver);
}

/* Up to where something is in doubt now, or will be once nothing is answered
 * any more. */
static uint64_t end_of_doubt(const struct lane *l)
{
    uint64_t end = 0;

    for (const struct shipment *s = l->first; s != NULL; s = s->next) {
        if ((s->in_doubt || s->state == SHIPMENT_SENDING) && s->to > end)
            end = s->to;
    }
    return end;
}

void lane_print_horizon(struct lane *l, const struct low_mark *m,
                        struct checkpoint *c)
{
    struct horizon *h = &l->horizon;

    if (!h->is_on)
        return;
    if (l->closing)
        c->horizon = horizon_print_last(h, m->passed, end_of_doubt(l));
    else
        c->horizon =
            horizon_print(h, m->passed, l->first != NULL ? l->first->to : 0);
    c->has_horizon = c->horizon != HORIZON_UNKNOWN;
}

void lane_skip_horizon(struct lane *l)
{
    uint64_t first = l->first != NULL ? l->first->to : 0;

    if (!l->horizon.is_on || first <= l->horizon.open)
        return;
    l->horizon.open = first;
    lane_wake(l);
}
