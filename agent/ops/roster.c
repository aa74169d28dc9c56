/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/roster.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/lane/lane.h"
#include "agent/ops/output_path.h"
#include "agent/trail/match.h"
#include "agent/trail/watch.h"

/* A trail that is read. */
struct entry {
    char *name;
    struct trail_conf conf; /* its path is our own */
    struct trail *trail;
};

struct member {
    struct roster *roster;
    const struct entry *entry;
    const struct conf_output *output;
    void *conf; /* the output's, for this trail */
    struct lane *lane;
    bool gone;  /* it takes nothing any more */
    bool ended; /* it has all there will ever be */
    bool closing;
};

/* A trail of the configuration that stands for those its pattern finds. */
struct pattern {
    struct roster *roster;
    const struct conf_trail *is;
    char *who;
    uv_timer_t timer;
    struct match known; /* paths that were found and dealt with */
    size_t entries;
    size_t refused; /* how many were too many, when it was last said */
    bool said_none;
    bool complained;
    bool from_start; /* what it finds is new: `start` does not matter */
};

struct roster {
    struct roster_env env;
    struct watcher *watcher;
    struct entry **entries;
    size_t nentries;
    struct member **members;
    size_t nmembers;
    struct pattern **patterns;
    size_t npatterns;
    bool *gone; /* for each output */
    bool running;
    bool stopping;
    size_t undrained;
    size_t unclosed;
    void (*drained)(void *arg);
    void *drained_arg;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* ---- lanes ---- */

/* Whether nothing more will become of standard input. */
static void check_ended(struct roster *r, const struct entry *entry)
{
    bool whole = true;

    for (size_t i = 0; i < r->nmembers; i++) {
        const struct member *m = r->members[i];

        if (m->entry == entry && !m->ended && !m->gone)
            return;
        whole &= m->entry != entry || m->ended;
    }
    if (r->stopping)
        return;
    if (r->env.conf->ntrails == 1)
        r->env.ended(r->env.arg, whole);
    else
        log_info("agent", "trail %s has ended; the others go on", entry->name);
}

static void on_ended(void *arg)
{
    struct member *m = arg;

    m->ended = true;
    check_ended(m->roster, m->entry);
}

static void on_gone(void *arg)
{
    struct member *m = arg;
    struct roster *r = m->roster;
    bool all = true;

    /* Other lanes to it will be told the same as soon as they send. */
    r->gone[m->output - r->env.conf->outputs] = true;
    for (size_t i = 0; i < r->env.conf->noutputs; i++)
        all &= r->gone[i];
    if (all)
        r->env.gone(r->env.arg);
    m->gone = true;
    if (trail_is_stdin(&m->entry->conf))
        check_ended(r, m->entry);
}

static void close_trails(struct roster *r)
{
    for (size_t i = 0; i < r->nentries; i++) {
        trail_close(r->entries[i]->trail);
        r->entries[i]->trail = NULL;
    }
    watcher_close(r->watcher);
}

static void on_all_closed(struct roster *r)
{
    void (*closed)(void *) = r->closed;

    close_trails(r);
    r->closed = NULL;
    closed(r->closed_arg);
}

static void on_lane_closed(void *arg)
{
    struct member *m = arg;
    struct roster *r = m->roster;

    m->lane = NULL;
    output_conf_free(m->output, m->conf);
    m->conf = NULL;
    if (--r->unclosed == 0 && r->closed != NULL)
        on_all_closed(r);
}

static void close_member(struct member *m)
{
    if (m->lane == NULL || m->closing)
        return;
    m->closing = true;
    m->roster->unclosed++;
    lane_close(m->lane, on_lane_closed, m);
}

static struct member *add_member(struct roster *r, const struct entry *entry,
                                 const struct conf_output *o)
{
    struct member *m = xcalloc(1, sizeof(*m));

    m->roster = r;
    m->entry = entry;
    m->output = o;
    m->conf = output_conf_for(o, entry->name);
    r->members = xrealloc(r->members, (r->nmembers + 1) * sizeof(*r->members));
    r->members[r->nmembers++] = m;
    return m;
}

static int open_lane(struct roster *r, const struct entry *entry,
                     const struct conf_output *o, struct err *e)
{
    struct member *m = add_member(r, entry, o);
    struct lane_env env = {
        .loop = r->env.loop,
        .state = r->env.state,
        .dead = r->env.state,
        .trail = entry->trail,
        .output = o->name,
        .ops = o->ops,
        .output_conf = m->conf,
        .conf = &o->lane,
        .gone = on_gone,
        .ended = on_ended,
        .arg = m,
    };
    int rc;

    m->lane = lane_open(&env, e);
    if (m->lane == NULL) {
        output_conf_free(o, m->conf);
        m->conf = NULL;
        err_prefix(e, "output %s", o->name);
        return e->code != 0 ? e->code : ERR_IO;
    }
    rc = lane_start(m->lane, e);
    if (rc != 0) {
        err_prefix(e, "%s", lane_who(m->lane));
        close_member(m);
    }
    return rc;
}

static bool is_wanted(const struct roster *r, const struct conf_output *o,
                      const char *trail)
{
    return conf_output_wants(o, trail) && !r->gone[o - r->env.conf->outputs];
}

/* The first failure is reported; while running the other lanes are opened all
 * the same. */
static int open_lanes(struct roster *r, const struct entry *entry,
                      const char *wanted_as, struct err *e)
{
    const struct conf *c = r->env.conf;

    for (size_t i = 0; i < c->noutputs; i++) {
        int rc = 0;

        if (is_wanted(r, &c->outputs[i], wanted_as))
            rc = open_lane(r, entry, &c->outputs[i], e);
        if (rc != 0 && !r->running)
            return rc;
        if (rc != 0)
            log_error("agent", "%s; this lane is left out", e->text);
    }
    return 0;
}

/* ---- trails ---- */

static struct entry *add_entry(struct roster *r, const char *name,
                               const struct trail_conf *conf, const char *path)
{
    struct entry *entry = xcalloc(1, sizeof(*entry));

    entry->name = xstrdup(name);
    entry->conf = *conf;
    entry->conf.path = xstrdup(path);
    r->entries = xrealloc(r->entries, (r->nentries + 1) * sizeof(*r->entries));
    r->entries[r->nentries++] = entry;
    return entry;
}

/* While a lane of it has no place yet, the others' being further on is no
 * reason to let a file go. */
static int open_trail(struct roster *r, struct entry *entry,
                      const char *wanted_as, struct err *e)
{
    int rc;

    if (trail_is_stdin(&entry->conf))
        entry->trail = trail_open_stdin(r->env.loop, r->env.state, entry->name,
                                        &entry->conf, e);
    else
        entry->trail = trail_open(r->watcher, r->env.loop, r->env.state,
                                  entry->name, &entry->conf);
    if (entry->trail == NULL)
        return ERR_IO;
    trail_hold(entry->trail);
    rc = open_lanes(r, entry, wanted_as, e);
    trail_release(entry->trail);
    return rc;
}

/* ---- patterns ---- */

static bool has_name(const struct roster *r, const char *name)
{
    for (size_t i = 0; i < r->nentries; i++) {
        if (strcmp(r->entries[i]->name, name) == 0)
            return true;
    }
    return false;
}

static bool is_our_own(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && file_is_our_own(&st);
}

/* A path that was not there before becomes a trail. */
static int take_path(struct pattern *p, const char *path, struct err *e)
{
    struct roster *r = p->roster;
    char *name = match_trail_name(p->is->name, path);
    struct entry *entry = NULL;
    int rc = 0;

    match_add(&p->known, path);
    if (is_our_own(path)) {
        log_warn(p->who, "%s is what this agent writes itself; it is not read",
                 path);
    } else if (has_name(r, name)) {
        log_error(p->who, "%s is not read: another trail is called %s already",
                  path, name);
    } else {
        log_info(p->who, "%s is trail %s", path, name);
        entry = add_entry(r, name, &p->is->conf, path);
        p->entries++;
    }
    if (entry != NULL && p->from_start)
        entry->conf.start = START_BEGINNING;
    if (entry != NULL)
        rc = open_trail(r, entry, p->is->name, e);
    free(name);
    return rc;
}

static void refuse(struct pattern *p, size_t refused)
{
    if (refused > p->refused)
        log_error(p->who,
                  "%zu more files match %s than max_matches, which is %" PRIu64
                  ": they are NOT read",
                  refused, p->is->conf.path, p->is->conf.max_matches);
    p->refused = refused;
}

static int take_paths(struct pattern *p, const struct match *found,
                      struct err *e)
{
    size_t refused = 0;
    int rc = 0;

    for (size_t i = 0; i < found->n && rc == 0; i++) {
        if (match_has(&p->known, found->paths[i]))
            continue;
        if (p->entries < p->is->conf.max_matches)
            rc = take_path(p, found->paths[i], e);
        else
            refused++;
    }
    refuse(p, refused);
    return rc;
}

static bool has_output(const struct pattern *p)
{
    const struct conf *c = p->roster->env.conf;

    for (size_t i = 0; i < c->noutputs; i++) {
        if (is_wanted(p->roster, &c->outputs[i], p->is->name))
            return true;
    }
    return false;
}

static int look(struct pattern *p, struct err *e)
{
    struct err why = { 0 };
    struct match found;
    int rc;

    if (!has_output(p))
        return 0;
    rc = match_find(&found, p->is->conf.path, &why);
    if (rc != 0 && !p->complained)
        log_error(p->who, "%s; what is in it is not found", why.text);
    p->complained = rc != 0;
    rc = take_paths(p, &found, e);
    if (found.n == 0 && p->known.n == 0 && !p->said_none) {
        p->said_none = true;
        log_info(p->who, "nothing matches %s yet; waiting for it",
                 p->is->conf.path);
    }
    match_free(&found);
    return rc;
}

static void on_look(uv_timer_t *timer)
{
    struct pattern *p = timer->data;
    struct roster *r = p->roster;
    size_t before = r->nentries;
    struct err e = { 0 };

    if (r->stopping)
        return;
    if (look(p, &e) != 0)
        log_error(p->who, "%s", e.text);
    if (r->nentries > before)
        log_info("agent", "now %zu trail%s, %zu lane%s", roster_trails(r),
                 roster_trails(r) == 1 ? "" : "s", roster_lanes(r),
                 roster_lanes(r) == 1 ? "" : "s");
}

/* Whether that output has a checkpoint of any trail of the pattern. */
static bool was_here(const struct roster *r, const char *pattern,
                     const char *output)
{
    char *first = xprintf("%s@", pattern);
    char *last = xprintf(".%s.checkpoint", output);
    int fd = openat(r->env.state, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    bool yes = false;

    while (dir != NULL && !yes && (entry = readdir(dir)) != NULL) {
        const char *name = entry->d_name;
        size_t len = strlen(name);

        yes = strncmp(name, first, strlen(first)) == 0 && len > strlen(last) &&
              strcmp(name + len - strlen(last), last) == 0;
    }
    if (dir != NULL)
        closedir(dir);
    free(first);
    free(last);
    return yes;
}

/* `start: end` is for what was there when the pattern was new. A file that
 * appears later, be it while no agent runs, is read from its start. */
static bool all_were_here(const struct roster *r, const char *pattern)
{
    const struct conf *c = r->env.conf;

    for (size_t i = 0; i < c->noutputs; i++) {
        if (conf_output_wants(&c->outputs[i], pattern) &&
            !was_here(r, pattern, c->outputs[i].name))
            return false;
    }
    return true;
}

static int open_pattern(struct roster *r, const struct conf_trail *t,
                        struct err *e)
{
    struct pattern *p = xcalloc(1, sizeof(*p));
    int rc;

    p->roster = r;
    p->is = t;
    p->who = xprintf("trail %s", t->name);
    p->from_start = all_were_here(r, t->name);
    uv_timer_init(r->env.loop, &p->timer);
    p->timer.data = p;
    r->patterns =
        xrealloc(r->patterns, (r->npatterns + 1) * sizeof(*r->patterns));
    r->patterns[r->npatterns++] = p;
    rc = look(p, e);
    p->from_start = true;
    uv_timer_start(&p->timer, on_look, t->conf.poll, t->conf.poll);
    return rc;
}

/* ---- life ---- */

struct roster *roster_new(const struct roster_env *env)
{
    struct roster *r = xcalloc(1, sizeof(*r));

    r->env = *env;
    r->watcher = watcher_open(env->loop);
    r->gone = xcalloc(env->conf->noutputs, sizeof(*r->gone));
    return r;
}

static int open_configured(struct roster *r, const struct conf_trail *t,
                           struct err *e)
{
    if (trail_is_pattern(&t->conf))
        return open_pattern(r, t, e);
    return open_trail(r, add_entry(r, t->name, &t->conf, t->conf.path), t->name,
                      e);
}

int roster_start(struct roster *r, struct err *e)
{
    const struct conf *c = r->env.conf;
    int rc = 0;

    for (size_t i = 0; i < c->ntrails && rc == 0; i++)
        rc = open_configured(r, &c->trails[i], e);
    r->running = rc == 0;
    return rc;
}

static void on_lane_drained(void *arg)
{
    struct roster *r = arg;

    if (--r->undrained == 0)
        r->drained(r->drained_arg);
}

static void stop_patterns(struct roster *r)
{
    r->stopping = true;
    for (size_t i = 0; i < r->npatterns; i++)
        uv_timer_stop(&r->patterns[i]->timer);
}

void roster_drain(struct roster *r, void (*drained)(void *arg), void *arg)
{
    stop_patterns(r);
    r->drained = drained;
    r->drained_arg = arg;
    r->undrained = roster_lanes(r);
    for (size_t i = 0; i < r->nmembers; i++) {
        if (r->members[i]->lane != NULL && !r->members[i]->closing)
            lane_drain(r->members[i]->lane, on_lane_drained, r);
    }
    if (roster_lanes(r) == 0)
        drained(arg);
}

void roster_close(struct roster *r, void (*closed)(void *arg), void *arg)
{
    stop_patterns(r);
    for (size_t i = 0; i < r->npatterns; i++)
        uv_close((uv_handle_t *)&r->patterns[i]->timer, NULL);
    r->closed = closed;
    r->closed_arg = arg;
    r->unclosed++; /* ours, so that the last one comes after this loop */
    for (size_t i = 0; i < r->nmembers; i++) {
        struct member *m = r->members[i];

        if (m->lane != NULL && !m->closing)
            lane_log_left_behind(m->lane);
        close_member(m);
    }
    if (--r->unclosed == 0)
        on_all_closed(r);
}

void roster_free(struct roster *r)
{
    if (r == NULL)
        return;
    for (size_t i = 0; i < r->nentries; i++) {
        free(r->entries[i]->conf.path);
        free(r->entries[i]->name);
        free(r->entries[i]);
    }
    for (size_t i = 0; i < r->npatterns; i++) {
        match_free(&r->patterns[i]->known);
        free(r->patterns[i]->who);
        free(r->patterns[i]);
    }
    for (size_t i = 0; i < r->nmembers; i++)
        free(r->members[i]);
    free(r->entries);
    free(r->patterns);
    free(r->members);
    free(r->gone);
    free(r);
}

/* ---- asking ---- */

size_t roster_trails(const struct roster *r)
{
    return r->nentries;
}

size_t roster_lanes(const struct roster *r)
{
    size_t n = 0;

    for (size_t i = 0; i < r->nmembers; i++)
        n += r->members[i]->lane != NULL && !r->members[i]->closing;
    return n;
}

void roster_log_counters(const struct roster *r)
{
    for (size_t i = 0; i < r->nentries; i++) {
        if (r->entries[i]->trail != NULL)
            trail_log_counters(r->entries[i]->trail);
    }
    for (size_t i = 0; i < r->nmembers; i++) {
        if (r->members[i]->lane != NULL && !r->members[i]->closing)
            lane_log_counters(r->members[i]->lane);
    }
}
