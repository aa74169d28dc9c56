/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An inotify descriptor of our own under uv_poll_t, not uv_fs_event_t: that one
 * hides the overflow of the queue, and it cannot stop listening without giving
 * up the watch, which would wake us once more each time.
 *
 *   watcher --- fd, timer --- watch --- wd --- directory
 *                         \-- watch --/
 *
 * The kernel answers with the same wd when a directory is added again. So each
 * tick simply adds every directory: that tells whether the path still names the
 * one we watch, also where a new one has got the inode of the old. Kernel wds
 * are not used twice, so what is queued for one that was removed finds nobody.
 */
#include "agent/trail/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "agent/base/log.h"

#define WHO "watch"

#define BYTES IN_MODIFY
#define NAMES                                                          \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | \
     IN_DELETE_SELF | IN_MOVE_SELF)
/* After these the path may name another directory. */
#define LEFT (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)

/* One call reads no more than this many times 4 KiB (about 100 events), for the
 * loop has others to serve while a storm of events goes on. */
#define MAX_READS 16
#define READ_SIZE 4096
/* Who has to know all reads on for so long: as much as the queue can hold, by
 * default, and half as much that comes meanwhile. */
#define MAX_DRAINS 16
#define LONGEST    (sizeof(struct inotify_event) + NAME_MAX + 1)

struct watcher {
    uv_loop_t *loop;
    uv_poll_t poll;
    uv_timer_t timer;
    uv_idle_t soon; /* hints that came up outside of on_inotify() */
    unsigned handles;
    int fd; /* inotify, -1 without */
    struct watch *watches;
    size_t heeding; /* how many of them listen, or guard */
    uint64_t overflows;
    bool telling; /* hints are being called: nothing leaves the list */
    bool closed;
    bool no_inotify_told;
    bool limit_told;
};

struct watch {
    struct watcher *watcher;
    struct watch *next;
    char *who;
    char *dir;
    char *prefix;
    void (*hint)(void *arg);
    void *arg;
    struct passers *passers; /* NULL: nobody asks */
    uint64_t poll_ms;
    uint64_t tick_at; /* in the loop's time */
    int wd;           /* -1 while the directory is not watched */
    int error;        /* why not */
    bool listening;
    bool guards; /* it does not listen, and is told of names all the same */
    bool closed;
    bool bytes;      /* a file grew: not hinted yet */
    bool names;      /* names changed: not taken yet */
    bool names_told; /* that was hinted */
    bool ticked;     /* the timer's hint is due */
    bool left;       /* look again which directory the path names */
    bool muted;      /* the wd does not tell of bytes; `bytes` is set */
    bool complained;
};

/* ---- flags ---- */

static void names_changed(struct watch *w)
{
    w->names = true;
    w->names_told = false;
}

static bool heeds(const struct watch *w)
{
    return w->listening || w->guards;
}

static bool is_due(const struct watch *w)
{
    return (w->listening && w->bytes) ||
           (heeds(w) && w->names && !w->names_told);
}

static bool wd_has(const struct watcher *wr, int wd, bool listening)
{
    for (const struct watch *w = wr->watches; w != NULL; w = w->next) {
        if (w->wd == wd && (w->listening || !listening))
            return true;
    }
    return false;
}

/* ---- the kernel's watch of a directory ---- */

/* Something keeps us from watching, or no longer does. */
static void tell_trouble(struct watch *w, int error)
{
    struct watcher *wr = w->watcher;

    w->error = error;
    if (error == 0) {
        if (w->complained)
            log_info(w->who, "%s is watched now", w->dir);
        w->complained = false;
    } else if (error == ENOSPC) {
        if (!wr->limit_told)
            log_warn(w->who,
                     "cannot watch %s: the limit of inotify watches is reached "
                     "(sysctl fs.inotify.max_user_watches); without one a "
                     "directory is looked at every %" PRIu64 " ms",
                     w->dir, w->poll_ms);
        wr->limit_told = true;
    } else if (error != ENOENT && error != ENOTDIR && !w->complained) {
        log_warn(w->who,
                 "cannot watch %s: %s; it is looked at every %" PRIu64 " ms",
                 w->dir, strerror(error), w->poll_ms);
        w->complained = true;
    }
}

/* Gives up the kernel's watch when nobody is left who looks at it. */
static void leave_wd(struct watcher *wr, int wd)
{
    if (wd >= 0 && !wd_has(wr, wd, false))
        inotify_rm_watch(wr->fd, wd); /* it may be gone already */
}

/* Watches the directory that the path names now, where it does not. */
static void add_dir(struct watch *w, bool quiet)
{
    struct watcher *wr = w->watcher;
    uint32_t mask = IN_ONLYDIR | NAMES | (quiet ? 0 : BYTES);
    int old = w->wd;

    if (wr->fd < 0)
        return;
    w->wd = inotify_add_watch(wr->fd, w->dir, mask);
    tell_trouble(w, w->wd < 0 ? errno : 0);
    w->muted = false;
    for (struct watch *o = wr->watches; o != NULL && w->wd >= 0; o = o->next) {
        if (o->wd == w->wd)
            o->muted = quiet;
    }
    if (w->wd == old)
        return;
    if (w->passers != NULL)
        passers_lose_track(w->passers);
    leave_wd(wr, old);
    w->bytes = true;
    names_changed(w);
}

/*
 * What grows in a directory that nobody listens to wakes us all the same while
 * somebody listens to another one. After the first time that is turned off
 * until one of its watches wants to know again.
 */
static void mute(struct watch *w)
{
    struct watcher *wr = w->watcher;
    int wd = w->wd;

    add_dir(w, true);
    if (w->wd != wd) { /* replaced: who knows who listens there */
        add_dir(w, false);
        return;
    }
    for (struct watch *o = wr->watches; o != NULL; o = o->next)
        o->bytes |= o->wd == wd;
}

static void unmute(struct watch *w)
{
    if (w->muted)
        add_dir(w, false);
}

static void mute_unheard(struct watcher *wr)
{
    for (struct watch *w = wr->watches; w != NULL; w = w->next) {
        if (w->wd >= 0 && w->bytes && !w->muted && !wd_has(wr, w->wd, true))
            mute(w);
    }
}

/* ---- events ---- */

static bool concerns(const struct watch *w, const struct inotify_event *ev)
{
    if (ev->mask & IN_Q_OVERFLOW)
        return true;
    if (ev->wd != w->wd)
        return false;
    if (ev->len == 0) /* the directory itself */
        return true;
    return strncmp(ev->name, w->prefix, strlen(w->prefix)) == 0;
}

static void note_name(struct watch *w, const struct inotify_event *ev)
{
    names_changed(w);
    if (w->passers == NULL)
        return;
    if (ev->mask & (LEFT | IN_Q_OVERFLOW))
        passers_lose_track(w->passers);
    else
        passers_note(w->passers, ev);
}

static void note(struct watcher *wr, const struct inotify_event *ev)
{
    wr->overflows += (ev->mask & IN_Q_OVERFLOW) != 0;
    for (struct watch *w = wr->watches; w != NULL; w = w->next) {
        if (!concerns(w, ev))
            continue;
        if (ev->mask & (BYTES | IN_Q_OVERFLOW))
            w->bytes = true;
        if (ev->mask & ~(uint32_t)BYTES)
            note_name(w, ev);
        if (ev->mask & (LEFT | IN_Q_OVERFLOW)) /* for all we know */
            w->left = true;
        if (ev->mask & IN_IGNORED)
            w->wd = -1;
    }
}

/* Whether all was read that is queued. */
static bool read_events(struct watcher *wr)
{
    _Alignas(struct inotify_event) char bytes[READ_SIZE];

    for (int i = 0; i < MAX_READS; i++) {
        ssize_t n = read(wr->fd, bytes, sizeof(bytes));

        for (char *p = bytes; p < bytes + n;) {
            const struct inotify_event *ev = (const void *)p;

            note(wr, ev);
            p += sizeof(*ev) + ev->len;
        }
        if (n < (ssize_t)(sizeof(bytes) - LONGEST))
            return true; /* one more would have had room */
    }
    return false;
}

static bool drain(struct watcher *wr)
{
    bool all;

    if (wr->fd < 0)
        return true;
    all = read_events(wr);
    for (struct watch *w = wr->watches; w != NULL; w = w->next) {
        if (w->left && !w->closed)
            add_dir(w, false);
        w->left = false;
    }
    return all;
}

/* ---- hints ---- */

static void on_closed(uv_handle_t *handle)
{
    struct watcher *wr = handle->data;

    if (--wr->handles > 0)
        return;
    if (wr->fd >= 0)
        close(wr->fd);
    free(wr);
}

static void free_closed(struct watcher *wr)
{
    struct watch **at = &wr->watches;

    while (*at != NULL) {
        struct watch *w = *at;

        if (!w->closed) {
            at = &w->next;
            continue;
        }
        *at = w->next;
        free(w->who);
        free(w->dir);
        free(w->prefix);
        free(w);
    }
    if (wr->watches == NULL)
        uv_timer_stop(&wr->timer);
    if (!wr->closed || wr->watches != NULL)
        return;
    if (wr->fd >= 0)
        uv_close((uv_handle_t *)&wr->poll, on_closed);
    uv_close((uv_handle_t *)&wr->timer, on_closed);
    uv_close((uv_handle_t *)&wr->soon, on_closed);
}

/* A watch that is opened by a hint comes before all others: it waits. */
static void tell(struct watcher *wr)
{
    wr->telling = true;
    for (struct watch *w = wr->watches; w != NULL; w = w->next) {
        if (w->closed || (!w->ticked && !is_due(w)))
            continue;
        w->ticked = false;
        w->names_told = true;
        if (w->listening) /* else who reads is told when it listens */
            w->bytes = false;
        w->hint(w->arg);
    }
    wr->telling = false;
    free_closed(wr);
}

static void on_soon(uv_idle_t *soon)
{
    uv_idle_stop(soon);
    tell(soon->data);
}

/* An idle handle and not a timer of 0 ms: libuv runs those until none is left,
 * so hints that lead to hints would keep everyone else waiting. */
static void tell_soon(struct watcher *wr)
{
    for (const struct watch *w = wr->watches; w != NULL; w = w->next) {
        if (is_due(w)) {
            uv_idle_start(&wr->soon, on_soon);
            return;
        }
    }
}

static void on_inotify(uv_poll_t *poll, int status, int events)
{
    struct watcher *wr = poll->data;

    (void)events;
    if (status < 0)
        return; /* the timer goes on */
    drain(wr);
    mute_unheard(wr);
    tell(wr);
}

static void poll_or_not(struct watcher *wr)
{
    if (wr->fd < 0)
        return;
    if (wr->heeding > 0)
        uv_poll_start(&wr->poll, UV_READABLE, on_inotify);
    else
        uv_poll_stop(&wr->poll);
}

static void open_inotify(struct watcher *wr)
{
    int rc;

    wr->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    rc = wr->fd < 0 ? -errno : uv_poll_init(wr->loop, &wr->poll, wr->fd);
    if (rc == 0) {
        wr->poll.data = wr;
        wr->handles++;
        poll_or_not(wr);
        if (wr->no_inotify_told)
            log_info(WHO, "inotify works now");
        wr->no_inotify_told = false;
        return;
    }
    if (wr->fd >= 0)
        close(wr->fd);
    wr->fd = -1;
    if (!wr->no_inotify_told)
        log_warn(WHO, "no inotify: %s%s; directories are looked at by a timer",
                 strerror(-rc),
                 rc == -EMFILE ? " (sysctl fs.inotify.max_user_instances, or "
                                 "the limit of open files)"
                               : "");
    wr->no_inotify_told = true;
}

/* ---- the timer ---- */

static void on_tick(uv_timer_t *timer);

static void start_timer(struct watcher *wr)
{
    uint64_t now = uv_now(wr->loop), at = UINT64_MAX;

    for (const struct watch *w = wr->watches; w != NULL; w = w->next)
        at = w->tick_at < at ? w->tick_at : at;
    if (wr->watches != NULL)
        uv_timer_start(&wr->timer, on_tick, at > now ? at - now : 1, 0);
}

/* At multiples of the period, so that all who have the same tick at once. */
static void set_tick(struct watch *w)
{
    uint64_t now = uv_now(w->watcher->loop);

    w->tick_at = now - now % w->poll_ms + w->poll_ms;
}

static void tell_of_limit(struct watcher *wr)
{
    if (!wr->limit_told)
        return;
    for (const struct watch *w = wr->watches; w != NULL; w = w->next) {
        if (w->error == ENOSPC)
            return;
    }
    wr->limit_told = false;
    log_info(WHO, "there are enough inotify watches again");
}

static void on_tick(uv_timer_t *timer)
{
    struct watcher *wr = timer->data;
    uint64_t now = uv_now(wr->loop);
    bool had_none = wr->fd < 0;

    if (had_none)
        open_inotify(wr);
    for (struct watch *w = wr->watches; w != NULL; w = w->next) {
        bool ticks = w->tick_at <= now;

        if (ticks || had_none)
            add_dir(w, false);
        if (!ticks)
            continue;
        set_tick(w);
        w->names = w->ticked = true;
    }
    tell_of_limit(wr);
    tell(wr);
    start_timer(wr);
}

/* ---- what the others see ---- */

struct watcher *watcher_open(uv_loop_t *loop)
{
    struct watcher *wr = xcalloc(1, sizeof(*wr));

    wr->loop = loop;
    uv_timer_init(loop, &wr->timer);
    wr->timer.data = wr;
    uv_idle_init(loop, &wr->soon);
    wr->soon.data = wr;
    wr->handles = 2;
    open_inotify(wr);
    return wr;
}

void watcher_close(struct watcher *wr)
{
    if (wr == NULL)
        return;
    wr->closed = true;
    if (!wr->telling)
        free_closed(wr);
}

bool watcher_has_inotify(const struct watcher *wr)
{
    return wr->fd >= 0;
}

uint64_t watcher_overflows(const struct watcher *wr)
{
    return wr->overflows;
}

struct watch *watch_open(struct watcher *wr, const char *who, const char *dir,
                         const char *prefix, uint64_t poll_ms,
                         void (*hint)(void *arg), void *arg)
{
    struct watch *w = xcalloc(1, sizeof(*w));

    w->watcher = wr;
    w->who = xstrdup(who);
    w->dir = xstrdup(dir);
    w->prefix = xstrdup(prefix);
    w->hint = hint;
    w->arg = arg;
    w->poll_ms = poll_ms > 0 ? poll_ms : 1;
    w->wd = -1;
    w->next = wr->watches;
    wr->watches = w;
    set_tick(w);
    start_timer(wr);
    add_dir(w, false);
    w->bytes = false; /* whoever opens it looks now */
    w->names = w->names_told = true;
    return w;
}

void watch_move(struct watch *w, const char *dir, const char *prefix)
{
    if (strcmp(w->dir, dir) == 0 && strcmp(w->prefix, prefix) == 0)
        return;
    free(w->dir);
    free(w->prefix);
    w->dir = xstrdup(dir);
    w->prefix = xstrdup(prefix);
    w->complained = false;
    add_dir(w, false);
    w->bytes = true;
    names_changed(w);
    tell_soon(w->watcher);
}

static void heed(struct watch *w, bool listening, bool guards)
{
    struct watcher *wr = w->watcher;
    size_t before = wr->heeding;

    wr->heeding -= heeds(w);
    w->listening = listening;
    w->guards = guards;
    wr->heeding += heeds(w);
    if ((before > 0) != (wr->heeding > 0))
        poll_or_not(wr);
}

void watch_listen(struct watch *w, bool on)
{
    if (on == w->listening)
        return;
    heed(w, on, false);
    if (!on)
        return;
    unmute(w);
    tell_soon(w->watcher);
}

void watch_guard(struct watch *w)
{
    if (heeds(w))
        return;
    heed(w, false, true);
    tell_soon(w->watcher);
}

void watch_forget(struct watch *w)
{
    if (w->guards)
        heed(w, false, false);
    unmute(w);
    if (!drain(w->watcher))
        names_changed(w); /* for all we know */
    w->bytes = false;
    tell_soon(w->watcher);
}

bool watch_take_names(struct watch *w)
{
    bool names = w->names || w->wd < 0;

    w->names = false;
    return names;
}

void watch_follow(struct watch *w, struct passers *p)
{
    w->passers = p;
}

enum passed_by watch_passed_by(struct watch *w)
{
    bool all = drain(w->watcher);

    for (int i = 0; i < MAX_DRAINS && !all; i++)
        all = drain(w->watcher);
    if (!all || w->wd < 0)
        passers_lose_track(w->passers);
    tell_soon(w->watcher);
    return passers_take(w->passers);
}

bool watch_has_inotify(const struct watch *w)
{
    return w->wd >= 0;
}

void watch_close(struct watch *w)
{
    struct watcher *wr;
    int wd;

    if (w == NULL)
        return;
    wr = w->watcher;
    wd = w->wd;
    heed(w, false, false);
    w->passers = NULL; /* it stays in the list while hints are told */
    w->closed = true;
    w->wd = -1;
    leave_wd(wr, wd);
    if (!wr->telling)
        free_closed(wr);
}
