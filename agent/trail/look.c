/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look - holds the chain against the disk.
 *
 * Two things must never happen: that a file comes into the chain before one
 * that was written earlier and was missed, and that a file is taken for another
 * because it got its inode.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/trail/chain.h"

/* A directory that changed so shortly before we read it may change again
 * without its time of change showing it: that clock ticks in 4 ms or 10 ms. */
#define RACY_NS    (50 * INT64_C(1000000))
#define SCAN_TRIES 16

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

static void tell_of_gz(struct chain *c, const char *path)
{
    if (c->gz_told)
        return;
    c->gz_told = true;
    log_warn(c->who, "%s is compressed and is not read", path);
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
static void see_sibling(struct chain *c, int dir, const char *name,
                        struct found **list, size_t *n)
{
    struct sibling sib = sibling_of(c->base, name);
    struct stat st;
    struct file *f;
    char *path;

    if (sib.kind == SIBLING_NONE)
        return;
    if (fstatat(dir, name, &st, 0) != 0) {
        /* Renamed or deleted since it was listed, or a link to nowhere. */
        c->missed |= fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
        return;
    }
    if (!S_ISREG(st.st_mode))
        return;
    c->is_lumberjack |= sib.kind == SIBLING_TIMED;
    f = chain_find_inode(c, &st);
    if (f == NULL && holds(*list, *n, &st))
        return; /* renamed while we read the directory */
    path = xprintf("%s/%s", c->dir, name);
    if (sib.is_gz) {
        tell_of_gz(c, path);
        free(path);
        return;
    }
    if (f == NULL) {
        f = file_new(c, path, &st, -1);
        *list = xrealloc(*list, (*n + 1) * sizeof(**list));
        (*list)[(*n)++] = (struct found){ f, sib };
    }
    file_rename(f, path);
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

static struct live live_now(struct chain *c)
{
    const char *path = c->path;
    struct live l = { .fd = -1 };
    const char *why = NULL;

    if (stat(path, &l.st) != 0)
        why = errno != ENOENT ? strerror(errno) : NULL;
    else if (!S_ISREG(l.st.st_mode))
        why = S_ISDIR(l.st.st_mode) ? strerror(EISDIR) : "not a regular file";
    else
        l.is_there = true;
    if (why != NULL && !c->complained)
        log_error(c->who, "cannot read %s: %s; trying again", path, why);
    c->complained = why != NULL;
    if (!l.is_there)
        return l;
    l.fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (l.fd >= 0 && fstat(l.fd, &l.st) != 0)
        l.is_there = false;
    return l;
}

/* Whether the path still names that file. */
static bool live_is(const struct chain *c, const struct live *l)
{
    struct stat st;

    if (stat(c->path, &st) != 0 || !S_ISREG(st.st_mode))
        return !l->is_there;
    return l->is_there && st.st_dev == l->st.st_dev &&
           st.st_ino == l->st.st_ino;
}

/* What the path names goes to the end of the chain. */
static void see_live(struct chain *c, struct live *l)
{
    struct file *f;

    c->live = NULL;
    if (!l->is_there)
        return;
    f = chain_find_inode(c, &l->st);
    if (f == NULL) {
        f = file_new(c, c->path, &l->st, l->fd);
        l->fd = -1;
        chain_append(c, f);
    } else if (f->next != NULL) {
        chain_remove(c, f); /* it has become the newest one again */
        chain_append(c, f);
    }
    file_rename(f, c->path);
    f->sibling.kind = SIBLING_NONE;
    f->is_named = f->seen = true;
    c->live = f;
}

/* Remembers the state of the directory that is about to be read. */
static void note_dir(struct chain *c, int dir)
{
    struct timespec now;
    struct stat st;
    int64_t age;

    c->dir_mtime = (struct timespec){ 0 };
    if (fstat(dir, &st) != 0)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    age = (now.tv_sec - st.st_mtim.tv_sec) * INT64_C(1000000000) + now.tv_nsec -
          st.st_mtim.tv_nsec;
    c->dir_ino = st.st_ino;
    if (age < 0 || age > RACY_NS)
        c->dir_mtime = st.st_mtim;
}

/* What a listing missed or saw twice shows in the directory's time of change. */
static bool has_changed(int dir, const struct stat *before)
{
    struct stat now;

    return fstat(dir, &now) != 0 ||
           now.st_mtim.tv_sec != before->st_mtim.tv_sec ||
           now.st_mtim.tv_nsec != before->st_mtim.tv_nsec;
}

/* Without a listing, what is known stays; where we may not list, at least the
 * live file can be followed. */
static bool without_listing(struct chain *c)
{
    bool forbidden = errno == EACCES;

    if (!c->dir_complained && errno != ENOENT)
        log_error(c->who,
                  "cannot list %s: %s; rotated files are not found until it "
                  "can be",
                  c->dir, strerror(errno));
    c->dir_complained |= errno != ENOENT;
    for (struct file *f = c->oldest; f != NULL; f = f->next)
        f->seen = f->is_named;
    c->dir_mtime = (struct timespec){ 0 };
    return forbidden;
}

/* Whether the listing is whole, and of one moment. */
static bool read_dir(struct chain *c, struct found **list, size_t *n)
{
    DIR *dir = opendir(c->dir);
    struct dirent *entry;
    struct stat before;
    bool whole;

    for (struct file *f = c->oldest; f != NULL; f = f->next)
        f->seen = false;
    c->missed = false;
    if (dir == NULL || fstat(dirfd(dir), &before) != 0) {
        bool enough = without_listing(c);

        if (dir != NULL)
            closedir(dir);
        return enough;
    }
    note_dir(c, dirfd(dir));
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        see_sibling(c, dirfd(dir), entry->d_name, list, n);
        errno = 0;
    }
    whole = errno == 0 && !c->missed && !has_changed(dirfd(dir), &before);
    closedir(dir);
    c->dir_complained &= !whole;
    return whole;
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
static bool read_at_rest(struct chain *c, struct live *l, struct found **list,
                         size_t *n)
{
    for (int tries = 0; tries < SCAN_TRIES; tries++) {
        bool last = tries + 1 == SCAN_TRIES;

        *l = live_now(c);
        if (read_dir(c, list, n) && live_is(c, l) &&
            (l->is_there || c->dir_mtime.tv_sec != 0 || last))
            return true;
        forget_found(*list, n);
        if (l->fd >= 0)
            close(l->fd);
    }
    return false;
}

static void end_scan(struct chain *c)
{
    c->has_unopened = false;
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        struct stat st;

        if (f->is_named && !f->seen && f->fd >= 0 && fstat(f->fd, &st) == 0 &&
            st.st_nlink == 0 && f->next == NULL)
            log_warn(c->who,
                     "%s was deleted; what its writer still holds open is "
                     "read on",
                     f->path);
        if (f->is_named && !f->seen && f->fd < 0)
            log_error(c->who,
                      "%s was deleted before it could be opened; its events "
                      "are lost",
                      f->path);
        f->is_named = f->seen;
        if (f->fd < 0)
            file_open(f);
        c->has_unopened |= f->fd < 0;
    }
    chain_drop_passed(c);
}

/*
 * Reads the directory. Files that were known keep their places; new ones come
 * behind them, in the order of their names. So a clock that was set back does
 * not put a new file before one that was read. Only at the first scan do names
 * alone decide.
 */
static void scan(struct chain *c)
{
    struct found *list = NULL;
    struct live live;
    size_t n = 0;

    if (!read_at_rest(c, &live, &list, &n)) {
        c->dir_mtime = (struct timespec){ 0 };
        free(list);
        return;
    }
    if (n > 0)
        qsort(list, n, sizeof(*list), by_age);
    for (size_t i = 0; i < n; i++)
        chain_append(c, list[i].file);
    free(list);
    see_live(c, &live);
    if (live.fd >= 0)
        close(live.fd);
    end_scan(c);
}

/* Whether the disk is as it was at the last scan. */
static bool is_unchanged(const struct chain *c)
{
    struct stat st;

    if (c->dir_mtime.tv_sec == 0 || c->has_unopened || stat(c->dir, &st) != 0 ||
        st.st_ino != c->dir_ino || st.st_mtim.tv_sec != c->dir_mtime.tv_sec ||
        st.st_mtim.tv_nsec != c->dir_mtime.tv_nsec)
        return false;
    if (stat(c->path, &st) != 0 || !S_ISREG(st.st_mode))
        return c->live == NULL;
    return c->live != NULL && c->live->dev == st.st_dev &&
           c->live->ino == st.st_ino;
}

void chain_look(struct chain *c)
{
    if (!is_unchanged(c))
        scan(c);
}
