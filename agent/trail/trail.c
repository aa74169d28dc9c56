/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trail - what the other rooms see of a chain, and who waits for it to change.
 */
#include "agent/trail/trail.h"

#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/trail/chain.h"
#include "agent/trail/watch.h"

struct trail {
    const char *name;
    const struct trail_conf *conf;
    char *who;
    struct watch *watch;
    struct waiter *waiters;
    struct chain chain;
};

static void on_hint(void *arg)
{
    struct trail *t = arg;
    struct waiter *list = t->waiters;

    /* While no reader has room for more, files are rotated all the same: they
     * are to be held open before retention takes them away. */
    if (list == NULL)
        chain_look(&t->chain);
    t->waiters = NULL;
    while (list != NULL) {
        struct waiter *w = list;

        list = w->next;
        w->waits = false;
        w->more(w->arg);
    }
    watch_listen(t->watch, t->waiters != NULL);
}

void trail_wait(struct trail *t, struct waiter *w)
{
    if (w->waits)
        return;
    w->waits = true;
    w->next = t->waiters;
    t->waiters = w;
    watch_listen(t->watch, true);
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
    watch_listen(t->watch, t->waiters != NULL);
}

void trail_forget_hints(struct trail *t)
{
    if (t->waiters == NULL) /* else they are somebody's */
        watch_forget(t->watch);
}

void trail_look(struct trail *t)
{
    chain_look(&t->chain);
}

struct file *trail_oldest(const struct trail *t)
{
    return t->chain.oldest;
}

struct file *trail_live(const struct trail *t)
{
    return t->chain.live;
}

struct file *trail_newest(const struct trail *t)
{
    struct file *f = t->chain.oldest;

    while (f != NULL && f->next != NULL)
        f = f->next;
    return f;
}

struct file *trail_find(const struct trail *t, const struct identity *id)
{
    return chain_find(&t->chain, id);
}

struct file *trail_after(const struct file *f)
{
    return chain_after(f);
}

/* What every name of the log and its siblings begins with. */
static char *name_prefix(const char *base)
{
    const char *dot = strrchr(base, '.');

    return dot != NULL ? xstrndup(base, (size_t)(dot - base)) : xstrdup(base);
}

struct trail *trail_open(struct watcher *w, uv_loop_t *loop, const char *name,
                         const struct trail_conf *conf)
{
    struct trail *t = xcalloc(1, sizeof(*t));
    struct chain *c = &t->chain;
    const char *slash = strrchr(conf->path, '/');
    char *prefix;

    (void)loop;
    t->name = name;
    t->conf = conf;
    t->who = xprintf("trail %s", name);
    c->who = t->who;
    c->path = conf->path;
    c->base = slash + 1;
    c->dir = slash == conf->path
                 ? xstrdup("/")
                 : xstrndup(conf->path, (size_t)(slash - conf->path));
    prefix = name_prefix(c->base);
    t->watch = watch_open(w, t->who, c->dir, prefix, conf->poll, on_hint, t);
    free(prefix);
    chain_look(c);
    if (c->oldest == NULL && !c->complained)
        log_info(t->who, "%s is not there yet; waiting for it", conf->path);
    return t;
}

void trail_close(struct trail *t)
{
    if (t == NULL)
        return;
    watch_close(t->watch);
    while (t->chain.oldest != NULL) {
        struct file *f = t->chain.oldest;

        t->chain.oldest = f->next;
        file_free(f);
    }
    free(t->chain.dir);
    free(t->who);
    free(t);
}

const char *trail_name(const struct trail *t)
{
    return t->name;
}

const struct trail_conf *trail_settings(const struct trail *t)
{
    return t->conf;
}
