/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/trail.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/trail/sibling.h"
#include "agent/trail/watch.h"

/* A writer that does not rotate by itself may reopen late: its old file counts
 * as final only when it has been quiet for so long. */
#define QUIET_US        (5 * INT64_C(1000000))
/* A directory that changed so shortly before we read it may change again
 * without its time of change showing it: that clock ticks in 4 ms or 10 ms. */
#define RACY_NS         (50 * INT64_C(1000000))
#define SCAN_TRIES      16

struct file {
    struct trail *trail;
    struct file *next;          /* written after this one */
    char *path;
    dev_t dev;
    ino_t ino;
    int fd;
    unsigned refs;
    bool is_named;              /* it has a name in the directory */
    bool seen;                  /* by the scan under way */
    bool complained;
    struct sibling sibling;     /* kind NONE: live, or it was when last seen */
};

struct trail {
    const char *name;
    const struct trail_conf *conf;
    char *who;
    char *dir;
    const char *base;           /* of the path: the live file's name */
    struct watch *watch;
    struct waiter *waiters;
    struct file *oldest;
    struct file *live;          /* what the path names now, or NULL */
    struct timespec dir_mtime;  /* at the last scan; 0: scan again */
    ino_t dir_ino;
    bool is_lumberjack;         /* a name of its making was seen */
    bool has_unopened;          /* some file could not be opened */
    bool complained;
    bool gz_told;
};

/* ---- files ---- */

static void open_file(struct file *f)
{
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0 && (fstat(fd, &st) != 0 || st.st_dev != f->dev ||
                    st.st_ino != f->ino)) {
        close(fd);              /* another one by now: the next look tells */
        return;
    }
    if (fd >= 0 && f->complained)
        log_info(f->trail->who, "%s can be read again", f->path);
    if (fd < 0 && errno != ENOENT && !f->complained)
        log_error(f->trail->who,
                  "cannot open %s: %s; waiting, nothing is skipped", f->path,
                  strerror(errno));
    f->complained = fd < 0;
    f->fd = fd;
}

/* Takes `fd`, which may be -1. */
static struct file *file_new(struct trail *t, const char *path,
                             const struct stat *st, int fd)
{
    struct file *f = xcalloc(1, sizeof(*f));

    f->trail = t;
    f->path = xstrdup(path);
    f->dev = st->st_dev;
    f->ino = st->st_ino;
    f->fd = fd;
    if (fd < 0)
        open_file(f);
    return f;
}

static void file_free(struct file *f)
{
    if (f->fd >= 0)
        close(f->fd);
    free(f->path);
    free(f);
}

struct file *file_ref(struct file *f)
{
    if (f != NULL)
        f->refs++;
    return f;
}

/* Lets go what every reader is past and no name keeps. */
static void drop_passed(struct trail *t)
{
    struct file **at = &t->oldest;

    while (*at != NULL && (*at)->refs == 0 && *at != t->live) {
        struct file *f = *at;

        if (f->is_named) {
            at = &f->next;
            continue;
        }
        *at = f->next;
        file_free(f);
    }
}

void file_unref(struct file *f)
{
    if (f == NULL)
        return;
    if (f->refs == 0)
        abort();
    f->refs--;
    if (f->refs == 0 && !f->is_named)
        drop_passed(f->trail);
}

int file_fd(const struct file *f)
{
    return f->fd;
}

const char *file_path(const struct file *f)
{
    return f->path;
}

/* ---- the chain ---- */

static struct file *find_inode(const struct trail *t, const struct stat *st)
{
    for (struct file *f = t->oldest; f != NULL; f = f->next) {
        if (f->dev == st->st_dev && f->ino == st->st_ino)
            return f;
    }
    return NULL;
}

static void append(struct trail *t, struct file *f)
{
    struct file **at = &t->oldest;

    while (*at != NULL)
        at = &(*at)->next;
    *at = f;
}

static void unlink_file(struct trail *t, struct file *f)
{
    struct file **at = &t->oldest;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->next = NULL;
}

static void rename_file(struct file *f, const char *path)
{
    if (strcmp(f->path, path) == 0)
        return;
    log_debug(f->trail->who, "%s is %s now", f->path, path);
    free(f->path);
    f->path = xstrdup(path);
}

/* A sibling that the directory holds; found: what is not in the chain yet. */
struct found {
    struct file *file;
    struct sibling sibling;
};

static int by_age(const void *a, const void *b)
{
    return sibling_compare(&((const struct found *)a)->sibling,
                           &((const struct found *)b)->sibling);
}

static void tell_of_gz(struct trail *t, const char *path)
{
    if (t->gz_told)
        return;
    t->gz_told = true;
    log_warn(t->who, "%s is compressed and is not read", path);
}

static bool holds(const struct found *list, size_t n, const struct stat *st)
{
    for (size_t i = 0; i < n; i++) {
        if (list[i].file->dev == st->st_dev && list[i].file->ino == st->st_ino)
            return true;
    }
    return false;
}

/* One name of the directory. A file that is known gets its present name; one
 * that is not is added to `list`. */
static void see_sibling(struct trail *t, int dir, const char *name,
                        struct found **list, size_t *n)
{
    struct sibling sib = sibling_of(t->base, name);
    struct stat st;
    struct file *f;
    char *path;

    if (sib.kind == SIBLING_NONE || fstatat(dir, name, &st, 0) != 0 ||
        !S_ISREG(st.st_mode))
        return;
    t->is_lumberjack |= sib.kind == SIBLING_TIMED;
    f = find_inode(t, &st);
    if (f == NULL && holds(*list, *n, &st))
        return;                 /* renamed while we read the directory */
    path = xprintf("%s/%s", t->dir, name);
    if (sib.is_gz) {
        tell_of_gz(t, path);
        free(path);
        return;
    }
    if (f == NULL) {
        f = file_new(t, path, &st, -1);
        *list = xrealloc(*list, (*n + 1) * sizeof(**list));
        (*list)[(*n)++] = (struct found){ f, sib };
    }
    rename_file(f, path);
    f->sibling = sib;
    f->is_named = f->seen = true;
    free(path);
}

/* What the path names, held by a descriptor where it can be opened. */
struct live {
    bool is_there;
    struct stat st;
    int fd;
};

static struct live live_now(struct trail *t)
{
    const char *path = t->conf->path;
    struct live l = { .fd = -1 };

    const char *why = NULL;

    if (stat(path, &l.st) != 0)
        why = errno != ENOENT ? strerror(errno) : NULL;
    else if (!S_ISREG(l.st.st_mode))
        why = S_ISDIR(l.st.st_mode) ? strerror(EISDIR) : "not a regular file";
    else
        l.is_there = true;
    if (why != NULL && !t->complained)
        log_error(t->who, "cannot read %s: %s; trying again", path, why);
    t->complained = why != NULL;
    if (!l.is_there)
        return l;
    l.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (l.fd >= 0 && fstat(l.fd, &l.st) != 0)
        l.is_there = false;
    return l;
}

/* Whether the path still names that file. */
static bool live_is(const struct trail *t, const struct live *l)
{
    struct stat st;

    if (stat(t->conf->path, &st) != 0 || !S_ISREG(st.st_mode))
        return !l->is_there;
    return l->is_there && st.st_dev == l->st.st_dev &&
           st.st_ino == l->st.st_ino;
}

/* What the path names goes to the end of the chain. */
static void see_live(struct trail *t, struct live *l)
{
    struct file *f;

    t->live = NULL;
    if (!l->is_there)
        return;
    f = find_inode(t, &l->st);
    if (f == NULL) {
        f = file_new(t, t->conf->path, &l->st, l->fd);
        l->fd = -1;
        append(t, f);
    } else if (f->next != NULL) {
        unlink_file(t, f);      /* it has become the newest one again */
        append(t, f);
    }
    rename_file(f, t->conf->path);
    f->sibling.kind = SIBLING_NONE;
    f->is_named = f->seen = true;
    t->live = f;
}

/* Remembers the state of the directory that is about to be read. */
static void note_dir(struct trail *t, int dir)
{
    struct timespec now;
    struct stat st;
    int64_t age;

    t->dir_mtime = (struct timespec){ 0 };
    if (fstat(dir, &st) != 0)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    age = (now.tv_sec - st.st_mtim.tv_sec) * INT64_C(1000000000) +
          now.tv_nsec - st.st_mtim.tv_nsec;
    t->dir_ino = st.st_ino;
    if (age < 0 || age > RACY_NS)
        t->dir_mtime = st.st_mtim;
}

static void read_dir(struct trail *t, struct found **list, size_t *n)
{
    DIR *dir = opendir(t->dir);
    struct dirent *entry;

    for (struct file *f = t->oldest; f != NULL; f = f->next)
        f->seen = false;
    if (dir == NULL)
        return;
    note_dir(t, dirfd(dir));
    while ((entry = readdir(dir)) != NULL)
        see_sibling(t, dirfd(dir), entry->d_name, list, n);
    closedir(dir);
}

static void forget_found(struct found *list, size_t *n)
{
    while (*n > 0)
        file_free(list[--*n].file);
}

/*
 * Reads the directory at a moment when nothing was rotated: the path names the
 * same file before and after. Else a file could be seen while one that was
 * written before it is missed, and the chain would be out of order for good.
 * Where there is no live file, nothing later than a missed one can be seen.
 */
static bool read_at_rest(struct trail *t, struct live *l, struct found **list,
                         size_t *n)
{
    for (int tries = 0; tries < SCAN_TRIES; tries++) {
        *l = live_now(t);
        read_dir(t, list, n);
        if (live_is(t, l) && (l->is_there || t->dir_mtime.tv_sec != 0 ||
                              tries + 1 == SCAN_TRIES))
            return true;
        forget_found(*list, n);
        if (l->fd >= 0)
            close(l->fd);
    }
    return false;
}

static void end_scan(struct trail *t)
{
    t->has_unopened = false;
    for (struct file *f = t->oldest; f != NULL; f = f->next) {
        struct stat st;

        if (f->is_named && !f->seen && f->fd >= 0 &&
            fstat(f->fd, &st) == 0 && st.st_nlink == 0 && f->next == NULL)
            log_warn(t->who,
                     "%s was deleted; what its writer still holds open is "
                     "read on", f->path);
        f->is_named = f->seen;
        if (f->fd < 0)
            open_file(f);
        t->has_unopened |= f->fd < 0;
    }
    drop_passed(t);
}

/*
 * Reads the directory. Files that were known keep their places; new ones come
 * behind them, in the order of their names. So a clock that was set back does
 * not put a new file before one that was read. Only at the first scan do names
 * alone decide.
 */
static void scan(struct trail *t)
{
    struct found *list = NULL;
    struct live live;
    size_t n = 0;

    if (!read_at_rest(t, &live, &list, &n)) {
        t->dir_mtime = (struct timespec){ 0 };
        free(list);
        return;
    }
    if (n > 0)
        qsort(list, n, sizeof(*list), by_age);
    for (size_t i = 0; i < n; i++)
        append(t, list[i].file);
    free(list);
    see_live(t, &live);
    if (live.fd >= 0)
        close(live.fd);
    end_scan(t);
}

/* Whether the disk is as it was at the last scan. */
static bool is_unchanged(const struct trail *t)
{
    struct stat st;

    if (t->dir_mtime.tv_sec == 0 || t->has_unopened || stat(t->dir, &st) != 0 ||
        st.st_ino != t->dir_ino || st.st_mtim.tv_sec != t->dir_mtime.tv_sec ||
        st.st_mtim.tv_nsec != t->dir_mtime.tv_nsec)
        return false;
    if (stat(t->conf->path, &st) != 0 || !S_ISREG(st.st_mode))
        return t->live == NULL;
    return t->live != NULL && t->live->dev == st.st_dev && t->live->ino == st.st_ino;
}

void trail_look(struct trail *t)
{
    if (!is_unchanged(t))
        scan(t);
}

/*
 * lumberjack closes a file before it renames it, so that one is final at once.
 * Another writer may go on for a while.
 */
static bool is_final(const struct file *f)
{
    struct stat st;
    int64_t changed_us;

    if (f == f->trail->live || f->next == NULL)
        return false;
    if (f->fd < 0 && f->is_named)
        return false;           /* not read yet, and it is still there */
    if (f->sibling.kind == SIBLING_TIMED || f->trail->is_lumberjack)
        return true;
    if (f->fd < 0 || fstat(f->fd, &st) != 0)
        return false;
    changed_us = st.st_mtim.tv_sec * INT64_C(1000000) +
                 st.st_mtim.tv_nsec / 1000;
    return clock_wall_us() - changed_us >= QUIET_US;
}

struct file *trail_after(const struct file *f)
{
    return is_final(f) ? f->next : NULL;
}

struct file *trail_oldest(const struct trail *t)
{
    return t->oldest;
}

struct file *trail_live(const struct trail *t)
{
    return t->live;
}

struct file *trail_find(const struct trail *t, const struct identity *id)
{
    struct file *copy = NULL;

    for (struct file *f = t->oldest; f != NULL; f = f->next) {
        enum identity_match m =
            f->fd >= 0 ? identity_match(f->fd, id) : IDENTITY_OTHER;

        if (m == IDENTITY_SAME)
            return f;
        if (m == IDENTITY_SAME_HEAD && copy == NULL)
            copy = f;
    }
    return copy;
}

/* ---- waiting ---- */

static void on_hint(void *arg)
{
    struct trail *t = arg;
    struct waiter *list = t->waiters;

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
    watch_forget(t->watch);
}

/* ---- life ---- */

struct trail *trail_open(uv_loop_t *loop, const char *name,
                         const struct trail_conf *conf)
{
    struct trail *t = xcalloc(1, sizeof(*t));
    const char *slash = strrchr(conf->path, '/');
    const char *dot;
    char *prefix;

    t->name = name;
    t->conf = conf;
    t->who = xprintf("trail %s", name);
    t->base = slash + 1;
    t->dir = slash == conf->path ? xstrdup("/")
                                 : xstrndup(conf->path,
                                            (size_t)(slash - conf->path));
    dot = strrchr(t->base, '.');
    prefix = dot != NULL ? xstrndup(t->base, (size_t)(dot - t->base))
                         : xstrdup(t->base);
    t->watch = watch_open(loop, t->who, t->dir, prefix, conf->poll, on_hint,
                          t);
    free(prefix);
    scan(t);
    if (t->oldest == NULL && !t->complained)
        log_info(t->who, "%s is not there yet; waiting for it", conf->path);
    return t;
}

void trail_close(struct trail *t)
{
    if (t == NULL)
        return;
    watch_close(t->watch);
    while (t->oldest != NULL) {
        struct file *f = t->oldest;

        t->oldest = f->next;
        file_free(f);
    }
    free(t->who);
    free(t->dir);
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
