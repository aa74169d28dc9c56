/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trail - what the other rooms see of a chain, and who waits for it to change.
 */
#include "agent/trail/trail.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/base/saver.h"
#include "agent/trail/chain.h"
#include "agent/trail/given.h"
#include "agent/trail/intake.h"
#include "agent/trail/retention.h"
#include "agent/trail/roll.h"
#include "agent/trail/watch.h"

struct trail {
    uv_loop_t *loop;
    const char *name;
    const struct trail_conf *conf;
    char *who;
    char *roll_name;
    char *watched; /* directory */
    struct watcher *watcher;
    struct watch *watch; /* NULL: there is an intake */
    struct passers *passers;
    struct intake *intake; /* of standard input, or NULL */
    struct waiter *waiters;
    struct saver *saver; /* of the roll; NULL: it is not remembered */
    struct chain chain;
    struct pace pace;
};

/* ---- hints ---- */

/* What every name of the log and its siblings begins with. */
static char *name_prefix(const char *base)
{
    const char *dot = strrchr(base, '.');

    return dot != NULL ? xstrndup(base, (size_t)(dot - base)) : xstrdup(base);
}

/* What comes and goes where the files are; until now that is unknown. */
static void follow_names(struct trail *t)
{
    struct passers *old = t->passers;

    t->passers = passers_new(t->chain.base);
    watch_follow(t->watch, t->passers);
    passers_free(old);
}

/* Watches where the files are: a link may lead elsewhere than it did. */
static void follow_place(struct trail *t)
{
    char *prefix;

    if (strcmp(t->watched, t->chain.dir) == 0)
        return;
    log_info(t->who, "%s leads to %s now", t->conf->path, t->chain.dir);
    prefix = name_prefix(t->chain.base);
    follow_names(t);
    watch_move(t->watch, t->chain.dir, prefix);
    free(prefix);
    free(t->watched);
    t->watched = xstrdup(t->chain.dir);
}

static enum passed_by passed_by(void *arg)
{
    struct trail *t = arg;

    return watch_passed_by(t->watch);
}

void trail_look_closely(struct trail *t)
{
    if (t->watch == NULL)
        return; /* standard input tells by itself */
    (void)watch_take_names(t->watch);
    chain_look(&t->chain);
    follow_place(t);
    pace_note(&t->pace, t->chain.grown, clock_mono_ms());
}

void trail_look(struct trail *t)
{
    if (t->watch != NULL && watch_take_names(t->watch))
        trail_look_closely(t);
}

static void listen_if_waited_for(struct trail *t)
{
    if (t->watch != NULL)
        watch_listen(t->watch, t->waiters != NULL);
}

static void on_hint(void *arg)
{
    struct trail *t = arg;
    struct waiter *list = t->waiters;

    /* While no reader has room for more, files are rotated all the same: they
     * are to be held open before retention takes them away. */
    if (list == NULL)
        trail_look(t);
    t->waiters = NULL;
    while (list != NULL) {
        struct waiter *w = list;

        list = w->next;
        w->waits = false;
        w->more(w->arg);
    }
    listen_if_waited_for(t);
}

void trail_wait(struct trail *t, struct waiter *w)
{
    if (w->waits)
        return;
    w->waits = true;
    w->next = t->waiters;
    t->waiters = w;
    listen_if_waited_for(t);
}

void trail_wait_cancel(struct trail *t, struct waiter *w)
{
    struct waiter **at = &t->waiters;

    if (!w->waits)
        return;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    w->waits = false;
    listen_if_waited_for(t);
}

void trail_guard(struct trail *t)
{
    if (t->watch != NULL)
        watch_guard(t->watch);
}

void trail_nudge(struct trail *t)
{
    on_hint(t);
}

void trail_forget_hints(struct trail *t)
{
    if (t->watch != NULL && t->waiters == NULL) /* else they are somebody's */
        watch_forget(t->watch);
}

/* ---- the roll ---- */

static int print_roll(void *arg, struct buf *text, struct err *e)
{
    struct trail *t = arg;

    (void)e;
    roll_print(&t->chain, text);
    return 0;
}

static void on_roll_saved(void *arg, bool hurried)
{
    struct trail *t = arg;

    (void)hurried;
    for (struct file *f = t->chain.oldest; f != NULL; f = f->next)
        f->remembered |= f->is_rolled;
}

static const struct saver_ops roll_ops = { print_roll, on_roll_saved };

static void on_chain_changed(void *arg, bool urgent)
{
    struct trail *t = arg;

    if (t->saver != NULL && urgent)
        saver_hurry(t->saver);
    else if (t->saver != NULL)
        saver_touch(t->saver);
}

static void forget_files(struct chain *c)
{
    while (c->oldest != NULL) {
        struct file *f = c->oldest;

        c->oldest = f->next;
        file_free(f);
    }
}

static int load_one_roll(struct trail *t, int state, const char *name,
                         struct err *e)
{
    struct buf text = { 0 };
    int rc = file_read(state, name, ROLL_MAX, &text, e);

    if (rc == 0)
        rc = roll_parse(&t->chain, span(text.at, text.len), e);
    if (rc != 0)
        forget_files(&t->chain);
    buf_free(&text);
    return rc;
}

/* A crash may have come between the two renames of a save: then the previous
 * one is all there is. */
static void load_roll(struct trail *t, int state)
{
    struct err e = { 0 }, e_prev = { 0 };
    int rc = load_one_roll(t, state, t->roll_name, &e), rc_prev;
    char *prev;

    if (rc == 0)
        return;
    prev = xprintf("%s.prev", t->roll_name);
    rc_prev = load_one_roll(t, state, prev, &e_prev);
    if (rc_prev == 0)
        log_warn(t->who, "%s is missing or damaged; the previous one is used",
                 t->roll_name);
    else if (rc != ERR_MISSING || rc_prev != ERR_MISSING)
        log_warn(t->who,
                 "cannot use %s: %s; the order of the files is taken from "
                 "their names",
                 t->roll_name, rc != ERR_MISSING ? e.text : e_prev.text);
    free(prev);
}

/* ---- life ---- */

/* With an empty chain. `pins`: the directory they are in, or -1: none. */
static struct trail *new_trail(uv_loop_t *loop, int pins, const char *name,
                               const struct trail_conf *conf)
{
    struct trail *t = xcalloc(1, sizeof(*t));

    t->loop = loop;
    t->name = name;
    t->conf = conf;
    t->who = xprintf("trail %s", name);
    t->chain.who = t->who;
    t->chain.path = conf->path;
    pins_open(&t->chain.pins, t->who, pins, name);
    return t;
}

static void open_chain(struct trail *t, int state)
{
    struct chain *c = &t->chain;

    c->quiet_ms = t->conf->quiet;
    c->pin_max_bytes = t->conf->pin_max_bytes;
    if (state >= 0)
        load_roll(t, state);
    c->seen_number = c->number;
    c->passed = PASSED_UNKNOWN; /* nobody saw what came and went since */
    c->changed = on_chain_changed;
    c->arg = t;
    chain_look(c);
    if (c->oldest == NULL && !c->complained)
        log_info(t->who, "%s is not there yet; waiting for it", c->path);
}

struct trail *trail_open(struct watcher *w, uv_loop_t *loop, int state,
                         const char *name, const struct trail_conf *conf)
{
    struct trail *t = new_trail(loop, state, name, conf);
    char *prefix;

    t->watcher = w;
    t->roll_name = xprintf("%s.roll", name);
    if (state >= 0)
        t->saver =
            saver_open(loop, t->who, state, t->roll_name, "roll", &roll_ops, t);
    open_chain(t, state);
    t->watched = xstrdup(t->chain.dir);
    prefix = name_prefix(t->chain.base);
    t->watch =
        watch_open(w, t->who, t->chain.dir, prefix, conf->poll, on_hint, t);
    free(prefix);
    follow_names(t);
    t->chain.passed_by = passed_by;
    chain_look(&t->chain); /* what came and went meanwhile is unknown */
    return t;
}

static void on_intake(void *arg)
{
    struct trail *t = arg;
    uint64_t size;

    if (file_text_size(t->chain.oldest, &size))
        pace_note(&t->pace, size, clock_mono_ms());
    on_hint(t);
}

struct trail *trail_open_stdin(uv_loop_t *loop, int state, const char *name,
                               const struct trail_conf *conf, struct err *e)
{
    struct trail *t = new_trail(loop, -1, name, conf);
    struct intake_env env = { .loop = loop,
                              .who = t->who,
                              .state = state,
                              .max_line = conf->max_line,
                              .more = on_intake,
                              .arg = t };

    t->intake = intake_open(&env, &t->chain, e);
    if (t->intake == NULL) {
        err_prefix(e, "trail %s", name);
        trail_close(t);
        return NULL;
    }
    return t;
}

struct trail *trail_open_files(uv_loop_t *loop, const char *name,
                               const struct trail_conf *conf,
                               char *const *paths, size_t n, struct err *e)
{
    struct trail *t = new_trail(loop, -1, name, conf);

    if (given_open(&t->chain, paths, n, e) == 0)
        return t;
    trail_close(t);
    return NULL;
}

static void close_watch(struct trail *t)
{
    watch_close(t->watch);
    t->watch = NULL;
    t->chain.passed_by = NULL;
    passers_free(t->passers);
    t->passers = NULL;
}

void trail_end_here(struct trail *t)
{
    close_watch(t);
    given_end(&t->chain);
}

static void on_saver_closed(void *arg)
{
    struct trail *t = arg;
    struct chain *c = &t->chain;

    forget_files(c);
    pins_close(&c->pins);
    free(c->dir);
    free(c->base);
    free(t->watched);
    free(t->roll_name);
    free(t->who);
    free(t);
}

void trail_close(struct trail *t)
{
    if (t == NULL)
        return;
    close_watch(t);
    intake_close(t->intake);
    if (t->saver != NULL)
        saver_close(t->saver, on_saver_closed);
    else
        on_saver_closed(t);
}

void trail_hold(struct trail *t)
{
    t->chain.holds++;
}

void trail_release(struct trail *t)
{
    t->chain.holds--;
    t->chain.began = true;
    chain_drop_passed(&t->chain);
}

/* ---- the files ---- */

struct file *trail_oldest(const struct trail *t)
{
    return t->chain.oldest;
}

struct file *trail_newest(const struct trail *t)
{
    struct file *f = t->chain.oldest;

    while (f != NULL && f->next != NULL)
        f = f->next;
    return f;
}

struct file *trail_last(const struct trail *t)
{
    struct file *f = t->chain.oldest;

    while (f != NULL && f->next != NULL && !f->next->is_end)
        f = f->next;
    return f != NULL && f->is_end ? NULL : f;
}

/* Whether that is known by the whole head, and not by the inode alone of a file
 * that is not open and had less when it was last seen. */
static bool is_sure(const struct file *f, const struct identity *id)
{
    return f->fd >= 0 || f->id.head_len == id->head_len;
}

static struct file *find(const struct trail *t, const struct identity *id,
                         bool sure)
{
    struct file *copy = NULL;

    for (struct file *f = t->chain.oldest; f != NULL; f = f->next) {
        if (is_sure(f, id) != sure || !file_is(f, id))
            continue;
        if (f->id.dev == id->dev && f->id.ino == id->ino)
            return f;
        copy = copy != NULL ? copy : f;
    }
    return copy;
}

struct file *trail_find(const struct trail *t, const struct identity *id)
{
    struct file *f = find(t, id, true);

    return f != NULL ? f : find(t, id, false);
}

struct file *trail_find_unread(const struct trail *t, const struct identity *id)
{
    struct file *unread = NULL, *found;
    bool on_record = false;

    for (struct file *f = t->chain.oldest; f != NULL; f = f->next) {
        if (unread == NULL && !f->passed)
            unread = f;
        on_record |= f->remembered;
    }
    if (on_record || t->conf->start == START_BEGINNING)
        return unread;
    found = trail_find(t, id);
    return found != NULL ? found : unread;
}

struct file *trail_add_lost(struct trail *t, const struct identity *id,
                            struct span path)
{
    struct file *next = t->chain.oldest, *f;

    while (next != NULL && next->passed)
        next = next->next;
    f = chain_add(&t->chain, next);
    f->id = *id;
    f->path = xstrndup(path.at, path.len);
    f->loss = LOSS_DELETED;
    f->number = 0; /* it did not come just now */
    f->might_grow = true;
    chain_changed(&t->chain, true); /* the roll that is on its way lacks it */
    return f;
}

uint64_t trail_last_number(const struct trail *t)
{
    return t->chain.number;
}

struct file *trail_missed(const struct trail *t, const struct file *f,
                          uint64_t since)
{
    struct file *missed = NULL;

    for (struct file *g = t->chain.oldest; g != NULL && g != f; g = g->next) {
        if (g->number <= since)
            missed = NULL;
        else if (missed == NULL)
            missed = g;
    }
    return missed;
}

struct file *trail_after(const struct file *f)
{
    return chain_after(f);
}

const char *file_path(const struct file *f)
{
    return f->path;
}

const struct identity *file_identity(struct file *f)
{
    file_update_head(f);
    return &f->id;
}

void file_guard(const struct file *f, uint64_t offset, struct guard *g)
{
    bool is_live = f == f->chain->live;

    if (f->fd < 0 || f->form != FORM_PLAIN ||
        guard_of(f->fd, offset, g, NULL) != 0)
        *g = (struct guard){ 0 };
    /* It may have been cut, and written anew up to there, since it was read. */
    if (is_live && chain_check_live(f->chain))
        *g = (struct guard){ 0 };
}

int64_t file_entered_us(const struct file *f)
{
    return f->entered_us;
}

enum loss file_loss(const struct file *f)
{
    return f->loss;
}

bool file_is_open(const struct file *f)
{
    return f->fd >= 0;
}

bool file_is_end(const struct file *f)
{
    return f->is_end;
}

bool file_is_void(const struct file *f)
{
    return f->is_void;
}

bool trail_is_nothing_lost(struct file *f, uint64_t offset)
{
    if (f->is_void)
        return true;
    return f->loss == LOSS_DELETED && !f->might_grow && !f->leaves_gap &&
           f->has_text_size && offset == f->text_size && f->next != NULL &&
           f->next->remembered;
}

bool trail_may_lack(const struct file *f)
{
    return f->leaves_gap;
}

bool file_is_remembered(const struct file *f)
{
    return f->remembered;
}

bool file_text_size(struct file *f, uint64_t *size)
{
    struct stat st;

    if (f->fd >= 0 && f->form == FORM_PLAIN && fstat(f->fd, &st) == 0) {
        f->text_size = (uint64_t)st.st_size;
        f->has_text_size = true;
    }
    *size = f->text_size;
    if (f->loss == LOSS_DELETED && f->might_grow)
        return false; /* it may have grown since it was last seen */
    return f->has_text_size && f->loss != LOSS_DAMAGED;
}

const char *trail_name(const struct trail *t)
{
    return t->name;
}

const struct trail_conf *trail_settings(const struct trail *t)
{
    return t->conf;
}

bool trail_ends(const struct trail *t)
{
    return t->intake != NULL || t->chain.is_given;
}

struct intake *trail_intake(const struct trail *t)
{
    return t->intake;
}

/* ---- how readers stand ---- */

/* Whoever is at the end of a file that is final is at the start of the next. */
static bool is_behind(struct file *f, uint64_t offset)
{
    uint64_t size;

    return file_text_size(f, &size) && offset >= size && chain_is_final(f);
}

void trail_lag(struct trail *t, struct file *f, uint64_t offset,
               struct trail_lag *lag)
{
    struct retention_view view = { .now_ms = clock_wall_us() / 1000,
                                   .per_s = t->pace.per_s };
    uint64_t size;

    *lag = (struct trail_lag){ .seconds_left = -1 };
    if (f == NULL)
        return;
    if (is_behind(f, offset)) {
        f = f->next;
        offset = 0;
    }
    view.is_live = f == t->chain.live;
    view.rotated_ms = file_rotated_ms(f);
    for (struct file *g = f; g != NULL; g = g->next) {
        uint64_t from = g == f ? offset : 0;

        if (file_text_size(g, &size) && size > from)
            lag->bytes += size - from;
        if (g == t->chain.live)
            view.live_size = g->text_size;
        else if (g != f)
            view.newer++;
        lag->files += g != f;
    }
    if (lag->bytes > 0)
        lag->seconds_left = retention_left(&t->conf->retention, &view);
}

void trail_log_counters(const struct trail *t)
{
    uint64_t held = 0, files = 0;

    for (const struct file *f = t->chain.oldest; f != NULL; f = f->next) {
        held += file_held_bytes(f);
        files++;
    }
    log_always(t->who,
               "counters files=%" PRIu64 " held_deleted_bytes=%" PRIu64
               " given_up_bytes=%" PRIu64 " bytes_per_second=%.0f inotify=%s "
               "inotify_overflows=%" PRIu64,
               files, held, t->chain.given_up_bytes, t->pace.per_s,
               t->watch != NULL && watch_has_inotify(t->watch) ? "yes" : "no",
               t->watcher != NULL ? watcher_overflows(t->watcher) : 0);
}
