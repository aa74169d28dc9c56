/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An inotify descriptor of our own under uv_poll_t, not uv_fs_event_t: that one
 * hides the overflow of the queue, and it cannot stop listening without giving
 * up the watch, which would wake us once more each time.
 */
#include "agent/trail/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"

#define MASK                                                           \
    (IN_MODIFY | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | \
     IN_DELETE_SELF | IN_MOVE_SELF)

struct watch {
    char *who;
    char *dir;
    char *prefix;
    void (*hint)(void *arg);
    void *arg;
    uint64_t poll_ms;
    uv_poll_t poll;
    uv_timer_t timer;
    unsigned handles; /* open libuv handles */
    int fd;           /* inotify, -1 without */
    int wd;           /* -1 while the directory is not watched */
    dev_t dev;        /* of the directory that is watched */
    ino_t ino;
    bool listening;
    bool complained;
};

/* Watches the directory that the path names now. */
static void add_watch(struct watch *w)
{
    struct stat st;

    if (w->fd < 0 || stat(w->dir, &st) != 0)
        return;
    if (w->wd >= 0 && st.st_dev == w->dev && st.st_ino == w->ino)
        return;
    if (w->wd >= 0)
        inotify_rm_watch(w->fd, w->wd);
    w->wd = inotify_add_watch(w->fd, w->dir, MASK | IN_ONLYDIR);
    if (w->wd < 0 && !w->complained) {
        w->complained = true;
        log_warn(w->who, "cannot watch %s: %s; it is looked at every %llu ms",
                 w->dir, strerror(errno), (unsigned long long)w->poll_ms);
    }
    w->dev = st.st_dev;
    w->ino = st.st_ino;
}

/* Whether the event may concern the log. */
static bool concerns(struct watch *w, const struct inotify_event *ev)
{
    if (ev->mask & IN_IGNORED) {
        if (ev->wd == w->wd)
            w->wd = -1;
        return true;
    }
    if (ev->len == 0) /* overflow, or the directory itself */
        return true;
    return strncmp(ev->name, w->prefix, strlen(w->prefix)) == 0;
}

/* Reads all that is queued; whether any of it was a hint. */
static bool drain(struct watch *w)
{
    _Alignas(struct inotify_event) char bytes[4096];
    bool hint = false;
    ssize_t n;

    if (w->fd < 0)
        return false;
    while ((n = read(w->fd, bytes, sizeof(bytes))) > 0) {
        for (char *p = bytes; p < bytes + n;) {
            const struct inotify_event *ev = (const void *)p;

            hint |= concerns(w, ev);
            p += sizeof(*ev) + ev->len;
        }
    }
    return hint;
}

static void on_inotify(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;

    (void)events;
    if (status < 0)
        return; /* the timer goes on */
    if (drain(w))
        w->hint(w->arg);
}

static void on_timer(uv_timer_t *timer)
{
    struct watch *w = timer->data;

    add_watch(w);
    w->hint(w->arg);
}

struct watch *watch_open(uv_loop_t *loop, const char *who, const char *dir,
                         const char *prefix, uint64_t poll_ms,
                         void (*hint)(void *arg), void *arg)
{
    struct watch *w = xcalloc(1, sizeof(*w));

    w->who = xstrdup(who);
    w->dir = xstrdup(dir);
    w->prefix = xstrdup(prefix);
    w->hint = hint;
    w->arg = arg;
    w->poll_ms = poll_ms;
    w->wd = -1;
    uv_timer_init(loop, &w->timer);
    w->timer.data = w;
    uv_timer_start(&w->timer, on_timer, poll_ms, poll_ms);
    w->handles = 1;
    w->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (w->fd >= 0 && uv_poll_init(loop, &w->poll, w->fd) != 0) {
        close(w->fd);
        w->fd = -1;
    }
    if (w->fd < 0) {
        log_warn(who, "no inotify: %s; %s is looked at every %llu ms",
                 strerror(errno), dir, (unsigned long long)poll_ms);
        return w;
    }
    w->poll.data = w;
    w->handles++;
    add_watch(w);
    return w;
}

void watch_listen(struct watch *w, bool on)
{
    if (on == w->listening)
        return;
    w->listening = on;
    if (w->fd < 0)
        return;
    if (on)
        uv_poll_start(&w->poll, UV_READABLE, on_inotify);
    else
        uv_poll_stop(&w->poll);
}

void watch_forget(struct watch *w)
{
    drain(w);
}

bool watch_has_inotify(const struct watch *w)
{
    return w->fd >= 0 && w->wd >= 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;

    if (--w->handles > 0)
        return;
    if (w->fd >= 0)
        close(w->fd);
    free(w->who);
    free(w->dir);
    free(w->prefix);
    free(w);
}

void watch_close(struct watch *w)
{
    if (w == NULL)
        return;
    watch_listen(w, false);
    if (w->fd >= 0)
        uv_close((uv_handle_t *)&w->poll, on_closed);
    uv_close((uv_handle_t *)&w->timer, on_closed);
}
