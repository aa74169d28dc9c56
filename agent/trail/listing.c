/* SPDX-License-Identifier: Apache-2.0 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"
#include "agent/trail/known.h"

/* A directory that changed so shortly before we read it may change again
 * without its time of change showing it: that clock ticks in 4 ms or 10 ms. */
#define RACY_US    (50 * INT64_C(1000))
#define SCAN_TRIES 16

/* ---- entries ---- */

static void entries_free(struct listing *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].fd >= 0)
            close(list->at[i].fd);
        free(list->at[i].path);
    }
    free(list->at);
    list->at = NULL;
    list->n = 0;
}

void listing_free(struct listing *list)
{
    entries_free(list);
    if (list->live.fd >= 0)
        close(list->live.fd);
    list->live.fd = -1;
}

int entry_take_fd(struct entry *e)
{
    int fd = e->fd;

    e->fd = -1;
    return fd;
}

static int by_age(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int order = sibling_compare(&x->sibling, &y->sibling);

    if (order != 0)
        return order;
    if (x->st.st_mtim.tv_sec != y->st.st_mtim.tv_sec)
        return x->st.st_mtim.tv_sec < y->st.st_mtim.tv_sec ? -1 : 1;
    return strcmp(x->path, y->path);
}

static void sort(struct listing *list)
{
    if (list->n == 0)
        return;
    qsort(list->at, list->n, sizeof(*list->at), by_age);
    list->at[list->n - 1].is_newest = true;
}

/* No file of events: said once, and passed over. */
static void tell_strange(struct chain *c, const char *name, mode_t mode)
{
    const char *what = S_ISDIR(mode)   ? "a directory"
                       : S_ISLNK(mode) ? "a link to nothing"
                                       : "not a regular file";

    if (!c->strange_complained)
        log_warn(c->who, "%s/%s is %s and no rotated file; it is passed over",
                 c->dir, name, what);
    c->strange_complained = true;
}

/* One name of the directory. */
static void list_name(struct chain *c, int dir, const char *name,
                      struct listing *list)
{
    struct sibling sib = sibling_of(c->base, name);
    struct stat st;

    if (sib.kind == SIBLING_NONE)
        return;
    if (fstatat(dir, name, &st, 0) != 0) {
        if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            c->missed = true; /* renamed or deleted since it was listed */
        else if (S_ISLNK(st.st_mode))
            tell_strange(c, name, st.st_mode);
        return;
    }
    if (!S_ISREG(st.st_mode)) {
        tell_strange(c, name, st.st_mode);
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        if (same_inode(&list->at[i].st, &st))
            return; /* renamed while we read the directory */
    }
    list->at = xrealloc(list->at, (list->n + 1) * sizeof(*list->at));
    list->at[list->n++] =
        (struct entry){ .path = xprintf("%s/%s", c->dir, name),
                        .sibling = sib,
                        .st = st,
                        .fd = -1 };
}

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
    l.has_head = l.fd >= 0 && head_read(l.fd, false, &l.head, NULL) == 0;
    return l;
}

bool live_was_cut(const struct live *l, int fd)
{
    struct stat now;
    struct head h;

    if (fstat(fd, &now) != 0 || now.st_size < l->st.st_size)
        return true;
    return l->has_head && head_read(fd, false, &h, NULL) == 0 &&
           (h.len < l->head.len ||
            memcmp(h.bytes, l->head.bytes, l->head.len) != 0);
}

/* Whether the path still names that file, and as it was: what copytruncate cut
 * meanwhile may have a copy that was not listed yet. */
static bool live_is(const struct chain *c, const struct live *l)
{
    struct stat st;

    if (stat(c->path, &st) != 0 || !S_ISREG(st.st_mode))
        return !l->is_there;
    return l->is_there && same_inode(&st, &l->st) &&
           (l->fd < 0 ? st.st_size >= l->st.st_size : !live_was_cut(l, l->fd));
}

/* Another directory than the one that was listed last: whoever tells what came and
 * went may tell of that later. */
static void lose_track(struct chain *c)
{
    if (c->passed == PASSED_NONE)
        c->passed = PASSED_UNKNOWN;
}

/* Remembers the state of the directory that is about to be read; false where it
 * may change again without its time of change showing it. */
static bool note_dir(struct chain *c, int dir)
{
    struct stat st;
    int64_t age_us;

    c->dir_mtime = (struct timespec){ 0 };
    if (fstat(dir, &st) != 0)
        return false;
    age_us = clock_wall_us() - clock_us_of(st.st_mtim);
    if (c->dir_ino != 0 && c->dir_ino != st.st_ino)
        lose_track(c);
    c->dir_ino = st.st_ino;
    if (age_us >= 0 && age_us <= RACY_US)
        return false;
    c->dir_mtime = st.st_mtim;
    return true;
}

/* What a listing missed or saw twice shows in the directory's time of change. */
static bool has_changed(int dir, const struct stat *before)
{
    struct stat now;

    return fstat(dir, &now) != 0 ||
           !clock_is_same(now.st_mtim, before->st_mtim);
}

/* Without a listing, what is known stays; where we may not list, at least the
 * live file can be followed. */
static bool without_listing(struct chain *c)
{
    bool forbidden = errno == EACCES;
    bool is_to_come = errno == ENOENT && c->oldest == NULL;

    if (!c->dir_complained && !is_to_come)
        log_error(c->who,
                  "cannot list %s: %s; rotated files are not found until it "
                  "can be",
                  c->dir, strerror(errno));
    c->dir_complained |= !is_to_come;
    if (!is_to_come && !forbidden)
        lose_track(c);
    c->dir_mtime = (struct timespec){ 0 };
    c->is_blind = true;
    return forbidden;
}

static bool list_all(struct chain *c, DIR *dir, struct listing *list)
{
    struct dirent *entry;

    rewinddir(dir);
    errno = 0;
    while ((entry = readdir(dir)) != NULL) {
        list_name(c, dirfd(dir), entry->d_name, list);
        errno = 0;
    }
    return errno == 0 && !c->missed;
}

static bool same_names(const struct listing *a, const struct listing *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        if (strcmp(a->at[i].path, b->at[i].path) != 0 ||
            !same_inode(&a->at[i].st, &b->at[i].st))
            return false;
    }
    return true;
}

/* Where the time of change does not tell, a second listing does. */
static bool lists_the_same(struct chain *c, DIR *dir,
                           const struct listing *list)
{
    struct listing again = { 0 };
    bool same = list_all(c, dir, &again) && same_names(list, &again);

    entries_free(&again);
    return same;
}

/* Whether the listing is whole, and of one moment. */
static bool read_dir(struct chain *c, struct listing *list)
{
    DIR *dir = opendir(c->dir);
    struct stat before;
    bool whole, telling;

    c->missed = c->is_blind = false;
    if (dir == NULL || fstat(dirfd(dir), &before) != 0) {
        bool enough = without_listing(c);

        if (dir != NULL)
            closedir(dir);
        return enough;
    }
    telling = note_dir(c, dirfd(dir));
    whole = list_all(c, dir, list) && !has_changed(dirfd(dir), &before) &&
            (telling || lists_the_same(c, dir, list));
    closedir(dir);
    c->dir_complained &= !whole;
    return whole;
}

/* What a name held when it was listed, and no other file that has got it since;
 * false where one has. */
static bool open_entries(const struct chain *c, struct listing *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct entry *e = &list->at[i];
        struct stat st;

        if (known_held(c, form_of(e), &e->st) != NULL)
            continue;
        e->fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (e->fd < 0 && errno == ENOENT)
            return false;
        if (e->fd >= 0 && (fstat(e->fd, &st) != 0 || !same_inode(&st, &e->st)))
            return false;
    }
    return true;
}

bool listing_read(struct chain *c, struct listing *list)
{
    *list = (struct listing){ .live.fd = -1 };
    for (int tries = 0; tries < SCAN_TRIES; tries++) {
        bool last = tries + 1 == SCAN_TRIES;

        list->live = live_now(c);
        if (read_dir(c, list) && open_entries(c, list) &&
            live_is(c, &list->live) &&
            (list->live.is_there || c->dir_mtime.tv_sec != 0 || last)) {
            sort(list);
            return true;
        }
        listing_free(list);
    }
    return false;
}
