/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/verify_slot.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/audit/shape.h"
#include "agent/base/backoff.h"
#include "outputs/elasticsearch/action.h"

/* What is tried again: soon, and then now and then. */
#define PAUSE_MIN_MS 100
#define PAUSE_MAX_MS 2000

static void ask_now(struct verify_slot *s);
static void look_up_now(struct verify_slot *s);

/* ---- filling ---- */

bool verify_slot_has_room(const struct verify_slot *s)
{
    const struct lane_conf *conf = &s->v->output->lane;
    uint64_t most =
        s->v->repairer != NULL ? conf->batch_events : (uint64_t)LOOKUP_MOST;

    return s->batch.n < LOOKUP_MOST && s->batch.n < most &&
           s->batch.bytes.len < conf->batch_bytes;
}

static void add_line(struct verify_slot *s, const struct event *ev)
{
    batch_item(&s->batch);
    action_add(s->v->action, ev, &s->batch.bytes);
    batch_doc(&s->batch);
    batch_item_end(&s->batch);
}

/* As a lane does. */
static void add_document(struct verify_slot *s, const struct event *ev,
                         struct edits *edits)
{
    const struct output_ops *ops = s->v->output->ops;

    edits_start(edits, ops->shape == SHAPE_BYTES ? ev->line : ev->body);
    shape_event(ops->shape, ev, edits);
    ops->encode(s->v->repairer, &s->batch, ev, edits);
}

static struct span line_of(const struct verify_slot *s, uint32_t i)
{
    const struct item *it = &s->batch.items[i];

    return span(s->batch.bytes.at + it->at, it->doc);
}

void verify_slot_add(struct verify_slot *s, const struct event *ev,
                     const struct verify_origin *from, struct edits *edits)
{
    uint32_t i = s->batch.n;

    if (s->v->repairer != NULL)
        add_document(s, ev, edits);
    else
        add_line(s, ev);
    s->origin[i] = *from;
    s->batch.items[i].place = i;
    s->v->count.repeated += idset_add(s->v->seen, action_id(line_of(s, i)));
}

/* ---- trying again ---- */

static void set_free(struct verify_slot *s)
{
    s->state = SLOT_FREE;
    s->attempts = 0;
    s->limit = 0;
    s->was_asked = false;
    s->in_doubt = false;
    batch_reset(&s->batch);
}

/* What is still to be sent is asked for once more: it may be there by now. */
static void go_on(struct verify_slot *s)
{
    if (s->in_doubt)
        look_up_now(s);
    else
        ask_now(s);
}

static void on_timer(uv_timer_t *timer)
{
    go_on(timer->data);
}

/* Until the time for it is over. */
static void try_again(struct verify_slot *s, const char *why)
{
    uint64_t now = uv_now(&s->v->ask->loop);
    uint64_t wait = s->v->options->wait_ms;
    char text[1200];

    if (s->attempts == 0)
        s->since_ms = now;
    if (now - s->since_ms >= wait) {
        snprintf(text, sizeof(text), "%s; tried for %" PRIu64 " s", why,
                 wait / 1000);
        verify_fail(s->v, text);
        return;
    }
    s->state = SLOT_WAITING;
    uv_timer_start(&s->timer, on_timer,
                   backoff_ms(PAUSE_MIN_MS, PAUSE_MAX_MS, s->attempts++), 0);
}

/* ---- sending what is missing ---- */

static void refuse(struct verify_slot *s, uint32_t i, const char *why)
{
    struct verify *v = s->v;

    if (v->count.refused++ == 0)
        snprintf(v->refusal, sizeof(v->refusal), "%s", why);
    verify_keep_missing(v, &s->origin[s->batch.items[i].place], line_of(s, i));
}

static void on_verdicts(struct verify_slot *s, const struct answer *a)
{
    struct verify_counts *c = &s->v->count;
    uint32_t before = s->batch.n;

    for (uint32_t i = s->send.first; i < s->send.first + s->send.count; i++) {
        const struct item *it = &s->batch.items[i];

        if (it->verdict == VERDICT_DELIVERED) {
            c->missing--;
            c->present++;
            c->repaired++;
        } else if (it->verdict == VERDICT_DUPLICATE) {
            c->missing--;
            c->present++;
        } else if (it->verdict == VERDICT_REFUSED) {
            refuse(s, i, batch_reason(&s->batch, it));
        }
    }
    batch_compact(&s->batch);
    if (s->batch.n == 0) {
        set_free(s);
    } else if (s->batch.n < before || a->again) {
        s->attempts = 0;
        go_on(s);
    } else {
        try_again(s, a->why != NULL ? a->why : "the events were not taken");
    }
}

/* Too many at once; one alone is not to be had. */
static void on_too_large(struct verify_slot *s, const struct answer *a)
{
    if (s->send.count > 1) {
        s->limit = s->send.count / 2;
        go_on(s);
        return;
    }
    batch_verdict(&s->batch, s->send.first, VERDICT_REFUSED, a->status, a->why);
    on_verdicts(s, a);
}

static struct verify_slot *slot_of(struct send *send)
{
    return (struct verify_slot *)((char *)send -
                                  offsetof(struct verify_slot, send));
}

static void note_doubt(struct verify_slot *s, const struct answer *a)
{
    const struct output_ops *ops = s->v->output->ops;

    if (!a->doubt || ops->may_repeat == NULL ||
        !ops->may_repeat(s->v->repairer))
        return;
    s->in_doubt = true;
    s->doubt_ms = uv_now(&s->v->ask->loop);
}

static void on_sent(struct send *send, const struct answer *a)
{
    struct verify_slot *s = slot_of(send);

    ask_came(s->v->ask);
    if (verify_is_over(s->v))
        return;
    note_doubt(s, a);
    switch (a->kind) {
    case ANSWER_ITEMS:
        on_verdicts(s, a);
        break;
    case ANSWER_LARGE:
    case ANSWER_SPLIT:
        on_too_large(s, a);
        break;
    case ANSWER_BUSY:
    case ANSWER_BLOCKED:
        if (a->status == 401 || a->status == 403)
            verify_fail(s->v, a->why);
        else
            try_again(s, a->why);
        break;
    case ANSWER_GONE:
        verify_fail(s->v, a->why);
        break;
    }
}

static void send_missing(struct verify_slot *s)
{
    uint32_t n = s->batch.n;

    s->send = (struct send){
        .batch = &s->batch,
        .count = s->limit > 0 && s->limit < n ? s->limit : n,
        .answered = on_sent,
    };
    s->state = SLOT_SENDING;
    s->v->output->ops->send(s->v->repairer, &s->send);
}

/* ---- what may have been stored ---- */

static void on_looked_up(struct send *send, const struct answer *a)
{
    struct verify_slot *s = slot_of(send);
    struct verify_counts *c = &s->v->count;

    ask_came(s->v->ask);
    if (verify_is_over(s->v))
        return;
    if (a->kind != ANSWER_ITEMS) {
        try_again(s, a->why);
        return;
    }
    for (uint32_t i = 0; i < s->batch.n; i++) {
        bool is_there = s->batch.items[i].verdict == VERDICT_DUPLICATE;

        c->missing -= is_there;
        c->present += is_there;
        c->repaired += is_there;
    }
    s->in_doubt = false;
    batch_compact(&s->batch);
    if (s->batch.n == 0)
        set_free(s);
    else
        send_missing(s);
}

static void look_up_now(struct verify_slot *s)
{
    s->send = (struct send){
        .batch = &s->batch,
        .count = s->batch.n,
        .since_ms = s->doubt_ms,
        .answered = on_looked_up,
    };
    s->state = SLOT_SENDING;
    s->v->output->ops->look_up(s->v->repairer, &s->send);
}

/* ---- what is there ---- */

/* What is not there: it is counted once, and stays in the batch if it is to be
 * sent. */
static void is_missing(struct verify_slot *s, uint32_t i)
{
    struct verify *v = s->v;
    struct span line = line_of(s, i);

    if (!s->was_asked && v->options->dead != NULL &&
        idset_has(v->options->dead, action_id(line))) {
        v->count.dead++;
        batch_verdict(&s->batch, i, VERDICT_DELIVERED, 0, NULL);
        return;
    }
    v->count.missing += !s->was_asked;
    if (v->repairer != NULL)
        return;
    verify_keep_missing(v, &s->origin[s->batch.items[i].place], line);
    batch_verdict(&s->batch, i, VERDICT_DELIVERED, 0, NULL);
}

/* It was sent, if it was missing before, and the answer was lost. */
static void is_present(struct verify_slot *s, uint32_t i)
{
    struct verify_counts *c = &s->v->count;

    c->present++;
    c->missing -= s->was_asked;
    c->repaired += s->was_asked;
    c->twice += lookup_copies(s->answered, i) > 1;
    batch_verdict(&s->batch, i, VERDICT_DELIVERED, 0, NULL);
}

static void judge(struct verify_slot *s)
{
    for (uint32_t i = 0; i < s->batch.n; i++) {
        if (lookup_copies(s->answered, i) > 0)
            is_present(s, i);
        else
            is_missing(s, i);
    }
    s->v->lacks_index |= lookup_lacks_index(s->answered);
    s->was_asked = true;
    batch_compact(&s->batch);
    if (s->batch.n == 0)
        set_free(s);
    else
        send_missing(s);
}

/* ---- asking ---- */

/* Whether the same question may have another answer soon. */
static bool may_change(const struct http_result *h, const struct err *e)
{
    if (!h->complete)
        return true;
    if (h->status == 200)
        return strncmp(e->text, "security_exception", 18) != 0 &&
               strncmp(e->text, "illegal_argument", 16) != 0;
    return h->status == 408 || h->status == 429 || h->status >= 500;
}

static void on_asked(struct client_request *r, const struct http_result *h)
{
    struct verify_slot *s =
        (struct verify_slot *)((char *)r -
                               offsetof(struct verify_slot, request));
    struct err e = { .code = ERR_IO };
    int rc = ERR_IO;

    ask_came(s->v->ask);
    if (verify_is_over(s->v))
        return;
    if (h->complete && (h->status == 200 || h->status == 404))
        rc = lookup_read(s->lookup, span(r->answer.at, r->answer.len), &e);
    else
        client_why(r, h, e.text, sizeof(e.text));
    if (h->complete && h->status == 200 && rc != 0)
        err_prefix(&e, "%s", client_host(r));
    s->answered = s->lookup;
    if (rc == 0)
        judge(s);
    else if (may_change(h, &e))
        try_again(s, e.text);
    else
        verify_fail(s->v, e.text);
}

static void send_question(struct verify_slot *s, struct lookup *l,
                          const char *path,
                          void (*done)(struct client_request *r,
                                       const struct http_result *h))
{
    lookup_start(l);
    for (uint32_t i = 0; i < s->batch.n; i++)
        lookup_add(l, line_of(s, i));
    s->state = SLOT_ASKING;
    s->request.path = path;
    s->request.body = lookup_body(l);
    s->request.done = done;
    client_send(s->v->ask->client, &s->request);
}

static void ask_now(struct verify_slot *s)
{
    send_question(s, s->lookup, s->v->path, on_asked);
}

/* Only where all of them are there it is an answer. */
static void on_counted(struct client_request *r, const struct http_result *h)
{
    struct verify_slot *s =
        (struct verify_slot *)((char *)r -
                               offsetof(struct verify_slot, request));
    struct err e;

    ask_came(s->v->ask);
    if (verify_is_over(s->v))
        return;
    s->answered = s->counting;
    if (h->complete && h->status == 200 &&
        lookup_read(s->counting, span(r->answer.at, r->answer.len), &e) == 0)
        judge(s);
    else
        ask_now(s);
}

/* The index of all its events; empty where they are of several. */
static struct span index_of_all(const struct verify_slot *s)
{
    struct span first = action_index(line_of(s, 0));

    for (uint32_t i = 1; i < s->batch.n; i++) {
        struct span index = action_index(line_of(s, i));

        if (index.len != first.len ||
            memcmp(index.at, first.at, first.len) != 0)
            return SPAN("");
    }
    return first;
}

static bool ask_by_count(struct verify_slot *s)
{
    struct span index = s->v->may_count ? index_of_all(s) : SPAN("");
    char *name;

    if (index.len == 0)
        return false;
    name = xstrndup(index.at, index.len);
    free(s->count_path);
    s->count_path = lookup_path(LOOKUP_BY_COUNT, name, s->v->settings->routing);
    free(name);
    send_question(s, s->counting, s->count_path, on_counted);
    return true;
}

void verify_slot_go(struct verify_slot *s)
{
    if (s->batch.n > 0 && !ask_by_count(s))
        ask_now(s);
}

/* ---- life ---- */

void verify_slot_open(struct verify_slot *s, struct verify *v)
{
    s->v = v;
    batch_init(&s->batch);
    s->lookup = lookup_new(v->by_search ? LOOKUP_BY_SEARCH : LOOKUP_BY_PLACE);
    s->request = (struct client_request){
        .method = HTTP_POST,
        .kind = HTTP_JSON,
    };
    if (!v->by_search)
        s->counting = lookup_new(LOOKUP_BY_COUNT);
    uv_timer_init(&v->ask->loop, &s->timer);
    s->timer.data = s;
}

void verify_slot_stop(struct verify_slot *s)
{
    uv_close((uv_handle_t *)&s->timer, NULL);
}

void verify_slot_free(struct verify_slot *s)
{
    client_request_free(&s->request);
    lookup_free(s->lookup);
    lookup_free(s->counting);
    free(s->count_path);
    batch_free(&s->batch);
}
