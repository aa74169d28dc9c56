/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/verify_run.h"

#include <stdlib.h>

#include "agent/cli/verify_slot.h"
#include "agent/ops/walk.h"
#include "outputs/elasticsearch/action.h"

/* Questions at once: a server answers one while we prepare the next. */
#define SLOTS 4
/* Repeated lines are told within so many events, by 16 MiB. */
#define SEEN_MOST ((size_t)1024 * 1024)
#define AGAIN_MS  250

/* ---- what is kept ---- */

void verify_fail(struct verify *v, const char *why)
{
    if (v->failed.code == 0)
        err_set(&v->failed, ERR_IO, "%s", why);
}

static int by_number(const void *a, const void *b)
{
    const struct verify_place *p = a, *q = b;

    return (p->number > q->number) - (p->number < q->number);
}

/* Answers come in any order. */
static void sort_missing(struct verify *v)
{
    if (v->nmissing > 0)
        qsort(v->missing, v->nmissing, sizeof(*v->missing), by_number);
    while (v->nmissing > VERIFY_KEPT)
        free(v->missing[--v->nmissing].line);
}

void verify_keep_missing(struct verify *v, const struct verify_origin *from,
                         struct span action_line)
{
    if (v->missing == NULL)
        v->missing = xcalloc(2 * VERIFY_KEPT, sizeof(*v->missing));
    if (v->nmissing == 2 * VERIFY_KEPT)
        sort_missing(v);
    v->missing[v->nmissing++] = (struct verify_place){
        .number = from->number,
        .file = from->file,
        .offset = from->offset,
        .time_us = from->time_us,
        .line = xstrndup(action_line.at, action_line.len),
    };
}

/* The name of the file at hand, which outlives the file. */
static const char *keep_name(struct verify *v, const char *path)
{
    if (v->nfiles > 0 && strcmp(v->files[v->nfiles - 1], path) == 0)
        return v->files[v->nfiles - 1];
    v->files = xrealloc(v->files, (v->nfiles + 1) * sizeof(*v->files));
    v->files[v->nfiles] = xstrdup(path);
    return v->files[v->nfiles++];
}

/* ---- the walk ---- */

struct walking {
    struct verify *v;
    struct walk walk;
    struct edits edits;
    const struct file *file; /* of `name` */
    const char *name;
    uint64_t bytes_before; /* of the trails before this one */
    bool done;
};

static void take_event(struct walking *k, struct verify_slot *s)
{
    struct verify *v = k->v;
    const struct event *ev = &k->walk.event;

    v->count.lines++;
    v->count.events++;
    if (ev->time_us == CLOCK_NO_TIME) {
        v->count.untimed++;
        return;
    }
    if (k->file != k->walk.file) {
        k->file = k->walk.file;
        k->name = keep_name(v, file_path(k->walk.file));
    }
    if (v->first_us == CLOCK_NO_TIME || ev->time_us < v->first_us)
        v->first_us = ev->time_us;
    if (v->last_us == CLOCK_NO_TIME || ev->time_us > v->last_us)
        v->last_us = ev->time_us;
    verify_slot_add(s, ev,
                    &(struct verify_origin){ v->count.events, k->name,
                                             k->walk.offset, ev->time_us },
                    &k->edits);
}

static void take_gap(struct walking *k)
{
    const struct gap *gap = &k->walk.cursor.gap;

    k->v->count.gaps++;
    k->v->count.gap_bytes += gap->has_bytes ? gap->bytes : 0;
    k->v->count.unread += gap->loss != LOSS_NONE;
}

static void fill(struct walking *k, struct verify_slot *s)
{
    struct verify_counts *c = &k->v->count;

    while (!k->done && verify_slot_has_room(s)) {
        switch (walk_next(&k->walk)) {
        case WALK_EVENT:
            take_event(k, s);
            break;
        case WALK_NO_EVENT:
            c->lines++;
            c->quarantined++;
            break;
        case WALK_GAP:
            take_gap(k);
            break;
        case WALK_FAILED:
            c->unread++;
            k->done = true;
            break;
        case WALK_END:
            k->done = true;
            break;
        case WALK_MORE:
            break;
        }
    }
    c->bytes = k->bytes_before + k->walk.cursor.read_bytes;
}

/* ---- the slots ---- */

bool verify_is_over(const struct verify *v)
{
    return v->stopped || v->failed.code != 0;
}

static struct verify_slot *free_slot(struct verify *v)
{
    for (int i = 0; i < SLOTS; i++) {
        if (v->slots[i].state == SLOT_FREE)
            return &v->slots[i];
    }
    return NULL;
}

static bool is_busy(const struct verify *v)
{
    for (int i = 0; i < SLOTS; i++) {
        if (v->slots[i].state != SLOT_FREE)
            return true;
    }
    return false;
}

int verify_walk(struct verify *v, struct trail *t, bool is_live)
{
    struct walking k = { .v = v, .bytes_before = v->count.bytes };

    walk_open(&k.walk, t, is_live);
    while (v->failed.code == 0 && (!k.done || is_busy(v))) {
        struct verify_slot *s = k.done ? NULL : free_slot(v);

        if (s != NULL) {
            fill(&k, s);
            verify_slot_go(s);
            if (v->options->progress != NULL)
                v->options->progress(v->options->arg, &v->count);
        }
        uv_run(&v->ask->loop, s != NULL ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    }
    sort_missing(v);
    walk_close(&k.walk);
    edits_free(&k.edits);
    v->repeated_is_partial = idset_has_forgotten(v->seen);
    return v->failed.code;
}

/* ---- again ---- */

static void on_pause(uv_timer_t *timer)
{
    *(bool *)timer->data = true;
}

static void pause_for(struct verify *v, uint64_t ms)
{
    bool over = false;
    uv_timer_t timer;

    uv_timer_init(&v->ask->loop, &timer);
    timer.data = &over;
    uv_timer_start(&timer, on_pause, ms, 0);
    while (!over)
        uv_run(&v->ask->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&timer, NULL);
    uv_run(&v->ask->loop, UV_RUN_NOWAIT); /* it is closed now */
}

/* Asks for `n` of the missing from number `at` on; those that are there by now
 * have no line any more. */
static int ask_some(struct verify *v, struct lookup *l, size_t at, size_t n)
{
    struct span body;
    int rc;

    lookup_start(l);
    for (size_t i = at; i < at + n; i++)
        lookup_add(l, span(v->missing[i].line, strlen(v->missing[i].line)));
    body = lookup_body(l);
    if (ask(v->ask, HTTP_POST, v->path, &body) != 200) {
        verify_fail(v, v->ask->why);
        return ERR_IO;
    }
    rc = lookup_read(
        l, span(v->ask->request.answer.at, v->ask->request.answer.len),
        &v->failed);
    for (size_t i = 0; i < n && rc == 0; i++) {
        if (lookup_copies(l, (uint32_t)i) == 0)
            continue;
        free(v->missing[at + i].line);
        v->missing[at + i].line = NULL;
        v->count.missing--;
        v->count.present++;
    }
    return rc;
}

static void drop_found(struct verify *v)
{
    size_t kept = 0;

    for (size_t i = 0; i < v->nmissing; i++) {
        if (v->missing[i].line != NULL)
            v->missing[kept++] = v->missing[i];
    }
    v->nmissing = kept;
}

int verify_ask_again(struct verify *v, uint64_t wait_ms)
{
    uint64_t until = clock_mono_ms() + wait_ms;
    struct lookup *l =
        lookup_new(v->by_search ? LOOKUP_BY_SEARCH : LOOKUP_BY_PLACE);

    while (v->failed.code == 0 && v->nmissing > 0 &&
           v->nmissing == v->count.missing && clock_mono_ms() < until) {
        pause_for(v, AGAIN_MS);
        for (size_t at = 0; at < v->nmissing && v->failed.code == 0;
             at += LOOKUP_MOST) {
            size_t n = v->nmissing - at;

            (void)ask_some(v, l, at, n < LOOKUP_MOST ? n : LOOKUP_MOST);
        }
        drop_found(v);
    }
    lookup_free(l);
    return v->failed.code;
}

/* ---- life ---- */

static struct output *open_repairer(struct verify *v, struct err *e)
{
    struct output_env env = {
        .loop = &v->ask->loop,
        .who = "verify",
        .in_flight = SLOTS,
        .buffers = &v->buffers,
    };

    v->buffers.most = 2 * v->output->lane.batch_bytes;
    return v->output->ops->open(&env, v->output->conf, e);
}

int verify_open(struct verify *v, struct ask *a, const struct conf_output *o,
                const struct verify_options *options, struct err *e)
{
    const struct elasticsearch_settings *settings = o->conf;
    enum lookup_how how;

    *v = (struct verify){
        .ask = a,
        .output = o,
        .settings = settings,
        .options = options,
        .by_search = elasticsearch_rolls_over(settings),
        .first_us = CLOCK_NO_TIME,
        .last_us = CLOCK_NO_TIME,
    };
    if (options->repair) {
        v->repairer = open_repairer(v, e);
        if (v->repairer == NULL)
            return ERR_IO;
    }
    how = v->by_search ? LOOKUP_BY_SEARCH : LOOKUP_BY_PLACE;
    v->path =
        lookup_path(how, elasticsearch_target(settings), settings->routing);
    v->action = action_new(elasticsearch_target(settings));
    v->seen = idset_new(SEEN_MOST);
    v->slots = xcalloc(SLOTS, sizeof(*v->slots));
    for (int i = 0; i < SLOTS; i++)
        verify_slot_open(&v->slots[i], v);
    return 0;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

void verify_stop(struct verify *v)
{
    bool closed = v->repairer == NULL;

    v->stopped = true;
    for (int i = 0; i < SLOTS; i++)
        verify_slot_stop(&v->slots[i]);
    if (!closed)
        v->output->ops->close(v->repairer, on_closed, &closed);
    while (!closed)
        uv_run(&v->ask->loop, UV_RUN_ONCE);
}

void verify_free(struct verify *v)
{
    for (int i = 0; i < SLOTS; i++)
        verify_slot_free(&v->slots[i]);
    for (size_t i = 0; i < v->nmissing; i++)
        free(v->missing[i].line);
    for (size_t i = 0; i < v->nfiles; i++)
        free(v->files[i]);
    free(v->slots);
    free(v->missing);
    free(v->files);
    free(v->path);
    action_free(v->action);
    idset_free(v->seen);
    batch_buffers_free(&v->buffers);
    *v = (struct verify){ 0 };
}

bool verify_is_complete(const struct verify *v)
{
    const struct verify_counts *c = &v->count;

    return c->events > 0 && c->present == c->events && c->twice == 0 &&
           c->unread == 0;
}
