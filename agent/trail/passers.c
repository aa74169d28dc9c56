/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/passers.h"

#include <stdlib.h>

#include "agent/trail/sibling.h"

/* More than come between two looks; who has so many to follow says so. */
#define MOST 4096
/* Renames of which one half was told. The other half comes next, but for what
 * others do in the directory at that moment. */
#define MOVES 8

/* A file that has come. */
struct passer {
    char *name; /* its present one, be it a log's or not */
    bool is_gz; /* of a file that came as well, and may still be there */
};

/* A name that was given up, for another one. */
struct move {
    uint32_t cookie; /* 0: none */
    bool was_log;
    bool has_come; /* what had it came since we were asked */
    bool is_gz;
};

struct passers {
    char *live;
    struct passer *at;
    size_t n, cap;
    struct move moves[MOVES];
    unsigned move;
    bool went;
    bool is_lost; /* not all was told */
};

struct passers *passers_new(const char *live)
{
    struct passers *p = xcalloc(1, sizeof(*p));

    p->live = xstrdup(live);
    p->is_lost = true;
    return p;
}

static bool is_log(const struct passers *p, const char *name)
{
    return strcmp(name, p->live) == 0 ||
           sibling_of(p->live, name).kind != SIBLING_NONE;
}

static void forget(struct passers *p)
{
    for (size_t i = 0; i < p->n; i++)
        free(p->at[i].name);
    p->n = 0;
    memset(p->moves, 0, sizeof(p->moves));
}

void passers_free(struct passers *p)
{
    if (p == NULL)
        return;
    forget(p);
    free(p->at);
    free(p->live);
    free(p);
}

void passers_lose_track(struct passers *p)
{
    forget(p);
    p->is_lost = true;
}

/* What was given up for a name in another directory is gone. */
static void end_move(struct passers *p, struct move *m)
{
    p->went |= m->cookie != 0 && m->has_come && !m->is_gz;
    m->cookie = 0;
}

enum passed_by passers_take(struct passers *p)
{
    enum passed_by what;

    for (size_t i = 0; i < MOVES; i++)
        end_move(p, &p->moves[i]);
    for (size_t i = 0; i < p->n; i++) /* no listing shows it under that name */
        p->went |= !p->at[i].is_gz && !is_log(p, p->at[i].name);
    what = p->went ? PASSED_SOME : p->is_lost ? PASSED_UNKNOWN : PASSED_NONE;

    forget(p);
    p->went = p->is_lost = false;
    return what;
}

/* ---- names ---- */

static bool ends_in_gz(struct span name)
{
    return name.len > 3 && memcmp(name.at + name.len - 3, ".gz", 3) == 0;
}

static struct passer *find(struct passers *p, struct span name)
{
    for (size_t i = 0; i < p->n; i++) {
        const char *have = p->at[i].name;

        if (strlen(have) == name.len && memcmp(have, name.at, name.len) == 0)
            return &p->at[i];
    }
    return NULL;
}

/* X for X.gz. */
static struct passer *find_plain(struct passers *p, struct span gz)
{
    return ends_in_gz(gz) ? find(p, span(gz.at, gz.len - 3)) : NULL;
}

/* X.gz for X. */
static struct passer *find_gz(struct passers *p, struct span plain)
{
    for (size_t i = 0; i < p->n; i++) {
        struct span have = span(p->at[i].name, strlen(p->at[i].name));

        if (ends_in_gz(have) && have.len - 3 == plain.len &&
            memcmp(have.at, plain.at, plain.len) == 0)
            return &p->at[i];
    }
    return NULL;
}

static void drop(struct passers *p, struct passer *at)
{
    free(at->name);
    *at = p->at[--p->n];
}

static void add(struct passers *p, struct span name, bool is_gz)
{
    if (p->n == MOST) {
        passers_lose_track(p);
        return;
    }
    if (p->n == p->cap) {
        p->cap = p->cap > 0 ? 2 * p->cap : 8;
        p->at = xrealloc(p->at, p->cap * sizeof(*p->at));
    }
    p->at[p->n++] = (struct passer){ xstrndup(name.at, name.len), is_gz };
}

/* ---- what becomes of them ---- */

static void came(struct passers *p, struct span name)
{
    if (find(p, name) != NULL)
        return;
    /* A .gz is a form of a file that is there; only of one that came is it of
     * any interest. */
    if (find_plain(p, name) != NULL)
        add(p, name, true);
    else if (!ends_in_gz(name) && is_log(p, name.at))
        add(p, name, false);
}

/* What was in it is gone, unless there is another form of it. */
static void went(struct passers *p, struct span name)
{
    struct passer *it = find(p, name), *gz;

    if (it == NULL)
        return; /* a look has seen it */
    gz = it->is_gz ? NULL : find_gz(p, name);
    if (gz != NULL)
        gz->is_gz = false; /* it is the file now */
    else if (!it->is_gz || find_plain(p, name) == NULL)
        p->went = true;
    drop(p, it);
}

static void moves_from(struct passers *p, struct span name, uint32_t cookie)
{
    struct passer *it = find(p, name);
    struct move *m = &p->moves[p->move++ % MOVES];

    end_move(p, m);
    *m = (struct move){ .cookie = cookie,
                        .was_log = is_log(p, name.at),
                        .has_come = it != NULL,
                        .is_gz = it != NULL && it->is_gz };
    if (it != NULL)
        drop(p, it);
}

static void moves_to(struct passers *p, struct span name, uint32_t cookie)
{
    struct move *m = p->moves;

    while (m < p->moves + MOVES && m->cookie != cookie)
        m++;
    went(p, name); /* whatever had that name */
    if (m < p->moves + MOVES && m->has_come)
        add(p, name, m->is_gz);
    else if (m == p->moves + MOVES || !m->was_log)
        came(p, name);
    if (m < p->moves + MOVES)
        m->cookie = 0;
}

void passers_note(struct passers *p, const struct inotify_event *ev)
{
    struct span name = span(ev->name, ev->len > 0 ? strlen(ev->name) : 0);

    if (name.len == 0 || (ev->mask & IN_ISDIR) != 0)
        return;
    if (ev->mask & IN_CREATE)
        came(p, name);
    else if (ev->mask & IN_DELETE)
        went(p, name);
    else if (ev->mask & IN_MOVED_FROM)
        moves_from(p, name, ev->cookie);
    else if (ev->mask & IN_MOVED_TO)
        moves_to(p, name, ev->cookie);
}
