/* SPDX-License-Identifier: Apache-2.0 */
/*
 * look - holds the chain against the disk.
 *
 * Three things must never happen: that a file comes into the chain before one
 * that was written earlier and was missed, that a file is taken for another
 * because it got its inode, and that the text of one file comes into the chain
 * twice because there are two forms of it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/trail/chain.h"
#include "agent/trail/gunzip.h"

/* A directory that changed so shortly before we read it may change again
 * without its time of change showing it: that clock ticks in 4 ms or 10 ms. */
#define RACY_NS    (50 * INT64_C(1000000))
#define SCAN_TRIES 16
/* A .gz that nothing can be made of may still be in the making for so long. */
#define GZ_YOUNG_MS 5000

/* A sibling that the directory holds. */
struct entry {
    char *path;
    struct sibling sibling;
    struct stat st;
    int fd;            /* of what is not surely known; -1: cannot be opened */
    struct file *file; /* what it was found to be, or NULL */
    bool is_new;       /* and nothing was known of that */
};

struct listing {
    struct entry *at;
    size_t n;
};

/* What the path names, held by a descriptor where it can be opened. */
struct live {
    bool is_there;
    struct stat st;
    int fd;
};

/* ---- reading the directory ---- */

static void listing_free(struct listing *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (list->at[i].fd >= 0)
            close(list->at[i].fd);
        free(list->at[i].path);
    }
    free(list->at);
    *list = (struct listing){ 0 };
}

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
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

/* No file of events: said once, and passed over. */
static void tell_strange(struct chain *c, const char *name, mode_t mode)
{
    if (!c->strange_complained)
        log_warn(c->who, "%s/%s is %s and no rotated file; it is passed over",
                 c->dir, name,
                 S_ISDIR(mode) ? "a directory" : "not a regular file");
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
        /* Renamed or deleted since it was listed, or a link to nowhere. */
        c->missed |= fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0;
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

/* Remembers the state of the directory that is about to be read; false where it
 * may change again without its time of change showing it. */
static bool note_dir(struct chain *c, int dir)
{
    struct timespec now;
    struct stat st;
    int64_t age;

    c->dir_mtime = (struct timespec){ 0 };
    if (fstat(dir, &st) != 0)
        return false;
    clock_gettime(CLOCK_REALTIME, &now);
    age = (now.tv_sec - st.st_mtim.tv_sec) * INT64_C(1000000000) + now.tv_nsec -
          st.st_mtim.tv_nsec;
    c->dir_ino = st.st_ino;
    if (age >= 0 && age <= RACY_NS)
        return false;
    c->dir_mtime = st.st_mtim;
    return true;
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

    listing_free(&again);
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

static enum form form_of(const struct entry *e)
{
    return e->sibling.is_gz ? FORM_GZ : FORM_PLAIN;
}

/* The file whose open descriptor is that inode: while it is open, no other file
 * can have got it. */
static struct file *find_held(const struct chain *c, enum form form,
                              const struct stat *st)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->fd >= 0 && f->form == form && identity_has_inode(&f->id, st))
            return f;
    }
    return NULL;
}

/* What a name held when it was listed, and no other file that has got it since;
 * false where one has. */
static bool open_entries(const struct chain *c, struct listing *list)
{
    for (size_t i = 0; i < list->n; i++) {
        struct entry *e = &list->at[i];
        struct stat st;

        if (find_held(c, form_of(e), &e->st) != NULL)
            continue;
        e->fd = open(e->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (e->fd < 0 && errno == ENOENT)
            return false;
        if (e->fd >= 0 && (fstat(e->fd, &st) != 0 || !same_inode(&st, &e->st)))
            return false;
    }
    return true;
}

/*
 * Reads the directory at a moment when nothing was rotated: the path names the
 * same file before and after. Else a file could be seen while one that was
 * written before it is missed, and the chain would be out of order for good.
 * Where there is no live file, nothing later than a missed one can be seen.
 */
static bool read_at_rest(struct chain *c, struct live *l, struct listing *list)
{
    for (int tries = 0; tries < SCAN_TRIES; tries++) {
        bool last = tries + 1 == SCAN_TRIES;

        *l = live_now(c);
        if (read_dir(c, list) && open_entries(c, list) && live_is(c, l) &&
            (l->is_there || c->dir_mtime.tv_sec != 0 || last))
            return true;
        listing_free(list);
        if (l->fd >= 0)
            close(l->fd);
    }
    return false;
}

/* ---- what is it? ---- */

static bool has_inode(const struct file *f, enum form form,
                      const struct stat *st)
{
    const struct name *n = &f->names[form];

    if (n->path != NULL && n->st.st_dev == st->st_dev &&
        n->st.st_ino == st->st_ino)
        return true;
    return f->fd < 0 && f->loss != LOSS_TRUNCATED &&
           f->names[FORM_PLAIN].path == NULL &&
           f->names[FORM_GZ].path == NULL && identity_has_inode(&f->id, st);
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return same_inode(a, b) && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Whether a file that had that inode, and does not hold it open, is still the
 * one that has it: what is open at `fd`, unless that is -1. */
static bool is_still(const struct file *f, enum form form, const char *path,
                     const struct stat *st, int fd)
{
    const struct name *n = &f->names[form];
    struct head h;

    if (n->path != NULL && strcmp(n->path, path) == 0 && same_state(&n->st, st))
        return true;
    if (fd < 0 || head_read(fd, form == FORM_GZ, &h, NULL) != 0)
        return true;         /* it cannot be read yet: it has to do */
    if (f->id.head_len == 0) /* what was empty and was read may be another */
        return !f->passed && f->loss == LOSS_NONE;
    return identity_has_head(&f->id, &h);
}

/* The file of the chain that has that name, or NULL. */
static struct file *find_known(const struct chain *c, enum form form,
                               const char *path, const struct stat *st, int fd)
{
    struct file *held = find_held(c, form, st);

    if (held != NULL)
        return held; /* whatever had that inode before it */
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (has_inode(f, form, st) && is_still(f, form, path, st, fd))
            return f;
    }
    return NULL;
}

/* The bytes of both before `end`, and the first ones, are the same. */
static bool same_bytes(int a, int b, uint64_t end)
{
    char x[IDENTITY_HEAD_MAX], y[IDENTITY_HEAD_MAX];
    uint64_t n = end < sizeof(x) ? end : sizeof(x);

    return file_pread(a, x, n, 0) == (ssize_t)n &&
           file_pread(b, y, n, 0) == (ssize_t)n && memcmp(x, y, n) == 0 &&
           file_pread(a, x, n, end - n) == (ssize_t)n &&
           file_pread(b, y, n, end - n) == (ssize_t)n && memcmp(x, y, n) == 0;
}

/* Whether it is a copy that copytruncate is making, or has made, of the live
 * file, which has not been cut yet. */
static bool is_copy_of_live(const struct file *live, int fd)
{
    struct stat st;

    return live != NULL && live->fd >= 0 && fstat(fd, &st) == 0 &&
           st.st_size > 0 && same_bytes(fd, live->fd, (uint64_t)st.st_size);
}

/* Whether it holds what the file held that was cut. */
static bool is_copy_of_cut(const struct chain *c, int fd, bool is_gz,
                           const struct head *h)
{
    const struct live_end *end = &c->cut_end;
    char bytes[IDENTITY_GUARD_MAX];
    uint32_t isize;

    if (c->cut == NULL || c->cut->fd >= 0)
        return false;
    if (c->cut->id.head_len > 0 && !identity_has_head(&c->cut->id, h))
        return false;
    if (is_gz)
        return c->cut->id.head_len > 0 && gunzip_size(fd, &isize) &&
               isize >= (uint32_t)end->at;
    return end->at > 0 &&
           file_pread(fd, bytes, end->len, end->at - end->len) ==
               (ssize_t)end->len &&
           memcmp(bytes, end->bytes, end->len) == 0;
}

/* Whether it is a mere copy of a file that is there already, made by hand. */
static bool is_copy_of(const struct file *f, int fd, const struct head *h)
{
    const char *path = f->names[FORM_PLAIN].path;
    struct stat st;
    bool is_copy;
    int other;

    if (!f->names[FORM_PLAIN].seen || !identity_has_head(&f->id, h) ||
        fstat(fd, &st) != 0)
        return false;
    other = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (other < 0)
        return false;
    is_copy = same_bytes(fd, other, (uint64_t)st.st_size);
    close(other);
    return is_copy;
}

static bool is_copy_of_known(const struct chain *c, int fd,
                             const struct head *h)
{
    for (const struct file *f = c->oldest; f != NULL; f = f->next) {
        if (is_copy_of(f, fd, h))
            return true;
    }
    return false;
}

/* Whether the sizes allow that it is the text of `f` in another form. */
static bool has_size_of(const struct file *f, const struct entry *e, int fd)
{
    uint64_t size = (uint64_t)e->st.st_size;
    uint32_t isize;

    if (!f->has_text_size || (f->fd < 0 && f->was_live))
        return true; /* it may have been cut before its size was noted */
    if (e->sibling.is_gz)
        return gunzip_size(fd, &isize) &&
               (f->fd >= 0 ? isize == (uint32_t)f->text_size
                           : isize >= (uint32_t)f->text_size);
    return f->fd >= 0 ? size == f->text_size : size >= f->text_size;
}

static void refresh_size(struct file *f)
{
    struct stat st;

    if (f->fd < 0 || f->form != FORM_PLAIN || fstat(f->fd, &st) != 0)
        return;
    f->text_size = (uint64_t)st.st_size;
    f->has_text_size = true;
}

/* The file that has the name of that .gz without its ending. */
static struct file *find_plain(const struct chain *c, const struct entry *e)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->names[FORM_PLAIN].seen && f->sibling.kind == e->sibling.kind &&
            strcmp(f->sibling.key, e->sibling.key) == 0)
            return f;
    }
    return NULL;
}

/* A file that has the same text, and no form of that kind at present. */
static struct file *find_text(const struct chain *c, const struct file *live,
                              const struct entry *e, int fd,
                              const struct head *h)
{
    struct file *found = NULL;

    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f == live || f->names[form_of(e)].seen ||
            !identity_has_head(&f->id, h))
            continue;
        if (f->sibling.kind == e->sibling.kind &&
            strcmp(f->sibling.key, e->sibling.key) == 0)
            return f; /* X.log and X.log.gz */
        refresh_size(f);
        if (found == NULL && !f->names[FORM_PLAIN].seen &&
            has_size_of(f, e, fd))
            found = f;
    }
    return found;
}

/* The descriptor of an entry, for good. */
static int take_fd(struct entry *e)
{
    int fd = e->fd;

    e->fd = -1;
    return fd;
}

static void adopt(struct chain *c, struct file *f, struct entry *e)
{
    log_debug(c->who, "%s holds what %s held", e->path, f->path);
    e->file = f;
    f->sibling = e->sibling;
    name_set(f, form_of(e), e->path, &e->st);
    if (f->fd >= 0 || f->passed)
        return;
    file_take_fd(f, form_of(e), take_fd(e));
    if (f == c->cut) {
        log_info(c->who, "what was in it is read on in its copy %s", e->path);
        c->cut = NULL;
    }
}

/* A file of which nothing was known: behind all that were known. */
static void enter(struct chain *c, struct file *live, struct entry *e)
{
    struct file *f = chain_add(c, live);

    log_debug(c->who, "%s is new", e->path);
    e->file = f;
    e->is_new = true;
    f->sibling = e->sibling;
    name_set(f, form_of(e), e->path, &e->st);
    if (e->fd >= 0) {
        file_take_fd(f, form_of(e), take_fd(e));
        return;
    }
    f->id.dev = e->st.st_dev;
    f->id.ino = e->st.st_ino;
    file_open(f); /* says why it cannot */
}

/* Whether there is nothing in it yet to know it by. */
static bool is_premature(const struct chain *c, const struct entry *e,
                         const struct head *h)
{
    int64_t age_ms = clock_wall_us() / 1000 - e->st.st_mtim.tv_sec * 1000;

    if (h->len > 0)
        return false;
    if (!e->sibling.is_gz)
        return c->was_scanned && e->st.st_size == 0;
    return age_ms > -GZ_YOUNG_MS && age_ms < GZ_YOUNG_MS;
}

/* A name that no known file has. `live` is the file that the path names now, if
 * it is known. */
static void see_unknown(struct chain *c, struct file *live, struct entry *e)
{
    bool is_gz = e->sibling.is_gz;
    struct file *f = NULL;
    struct head h = { 0 };

    if (e->fd < 0 || head_read(e->fd, is_gz, &h, NULL) != 0) {
        enter(c, live, e);
        return;
    }
    if (is_gz && !h.is_whole)
        f = find_plain(c, e); /* it is being compressed */
    if (f != NULL) {
        e->file = f;
        name_set(f, FORM_GZ, e->path, &e->st);
        return;
    }
    if (is_premature(c, e, &h)) {
        c->is_unsettled = true;
        return;
    }
    if (!is_gz &&
        (is_copy_of_live(live, e->fd) || is_copy_of_known(c, e->fd, &h))) {
        log_debug(c->who, "%s is a copy of what is read as well", e->path);
        return;
    }
    if (is_copy_of_cut(c, e->fd, is_gz, &h))
        f = c->cut;
    if (f == NULL)
        f = find_text(c, live, e, e->fd, &h);
    if (f == NULL && live != NULL && chain_check_live(c)) {
        live = c->live; /* cut just now: after it was copied, then */
        if (is_copy_of_cut(c, e->fd, is_gz, &h))
            f = c->cut;
    }
    if (f != NULL)
        adopt(c, f, e);
    else
        enter(c, live, e);
}

static void see_known(struct chain *c, struct entry *e)
{
    struct file *f = find_known(c, form_of(e), e->path, &e->st, e->fd);

    if (f == NULL)
        return;
    e->file = f;
    f->sibling = e->sibling;
    name_set(f, form_of(e), e->path, &e->st);
}

/* ---- the live file ---- */

static struct file *known_live(const struct chain *c, const struct live *l)
{
    return l->is_there ? find_known(c, FORM_PLAIN, c->path, &l->st, l->fd)
                       : NULL;
}

/* What the path names goes to the end of the chain. */
static void see_live(struct chain *c, struct live *l, struct file *f)
{
    if (f != c->live || f == NULL)
        c->live_end = (struct live_end){ 0 };
    c->live = NULL;
    if (!l->is_there)
        return;
    if (f == NULL) {
        f = chain_add(c, NULL);
    } else if (f->next != NULL) {
        chain_move(c, f, NULL); /* it has become the newest one again */
    }
    name_set(f, FORM_PLAIN, c->path, &l->st);
    f->sibling.kind = SIBLING_NONE;
    f->passed = false;
    if (f->fd < 0 && l->fd >= 0) {
        file_take_fd(f, FORM_PLAIN, l->fd);
        l->fd = -1;
    }
    c->live = f;
}

/* ---- after a look ---- */

static void clear_unseen(struct chain *c, struct file *f)
{
    const struct name *gz = &f->names[FORM_GZ];
    bool was_named = f->is_named;
    struct stat st;

    f->is_named = false;
    for (int i = 0; i < NFORMS; i++) {
        struct name *n = &f->names[i];

        if (n->path != NULL && !n->seen)
            name_clear(n);
        f->is_named |= n->path != NULL;
    }
    if (gz->path != NULL && f->names[FORM_PLAIN].path == NULL &&
        strcmp(f->path, gz->path) != 0) {
        free(f->path);
        f->path = xstrdup(gz->path);
    }
    if (was_named && !f->is_named && f->fd >= 0 && f->next == NULL &&
        fstat(f->fd, &st) == 0 && st.st_nlink <= f->pinned)
        log_warn(c->who,
                 "%s was deleted; what its writer still holds open is read on",
                 f->path);
}

/* Where there is nothing left of a file that somebody has yet to read. */
static void note_lost(struct chain *c, struct file *f)
{
    if (f->fd >= 0 || f->passed || f->is_named || f->loss != LOSS_NONE)
        return;
    f->loss = f == c->cut ? LOSS_TRUNCATED : LOSS_DELETED;
    chain_changed(c, false);
}

static void give_up(struct chain *c, struct file *f, uint64_t n)
{
    pins_remove(&c->pins, f);
    file_close(f);
    file_open(f); /* there may be a .gz of it */
    if (f->fd >= 0)
        return;
    log_error(c->who,
              "%s was deleted and not read to its end yet; it took %llu bytes "
              "of the disk and is given up, for pin_max_bytes is %llu",
              f->path, (unsigned long long)n,
              (unsigned long long)c->pin_max_bytes);
    f->loss = LOSS_GIVEN_UP;
    c->given_up_bytes += n;
}

/* Deleted files that are held take up the disk all the same. */
static void bound_held(struct chain *c)
{
    uint64_t held = 0;

    for (struct file *f = c->oldest; f != NULL; f = f->next)
        held += file_held_bytes(f);
    for (struct file *f = c->oldest; f != NULL && held > c->pin_max_bytes;
         f = f->next) {
        uint64_t n = file_held_bytes(f);

        if (n > 0)
            give_up(c, f, n);
        held -= n;
    }
}

static void end_scan(struct chain *c)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        clear_unseen(c, f);
        if (f->fd < 0 && !f->passed && f->loss == LOSS_NONE)
            file_open(f);
        file_update_head(f);
        note_lost(c, f);
        c->is_unsettled |= f->fd < 0 && !f->passed && f->loss == LOSS_NONE;
        if (f != c->live && f->fd >= 0 && f->is_named)
            f->was_live = false; /* it has been rotated since */
        if (f != c->live && !f->passed)
            pins_add(&c->pins, f);
    }
    c->cut = NULL;
    bound_held(c);
    chain_drop_passed(c);
}

/* ---- the look ---- */

static void unsee(struct chain *c)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        for (int i = 0; i < NFORMS; i++)
            f->names[i].seen = false;
    }
}

/* The file that a pin of before the last stop belongs to: the one that has its
 * inode, else one with that text. */
static struct file *find_pinned(const struct chain *c, enum form form,
                                const struct stat *st, int fd)
{
    struct file *known = find_known(c, form, "", st, fd);
    struct head h;

    if (known != NULL)
        return known;
    if (head_read(fd, form == FORM_GZ, &h, NULL) != 0)
        return NULL;
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (identity_has_head(&f->id, &h))
            return f;
    }
    return NULL;
}

struct pin_seer {
    struct chain *chain;
    const struct live *now; /* what the path names: no pin keeps that */
    struct file *live;      /* the same, if it is known */
};

static bool is_older(const struct stat *a, const struct stat *b)
{
    if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
        return a->st_mtim.tv_sec < b->st_mtim.tv_sec;
    return a->st_mtim.tv_nsec < b->st_mtim.tv_nsec;
}

/* A pin that is all there is of a file, for the roll was not saved any more:
 * behind all that are known, among its like by age. */
static struct file *enter_pin(const struct pin_seer *see, const struct stat *st)
{
    struct chain *c = see->chain;
    struct file *f = c->oldest;
    struct stat other;

    while (
        f != NULL && f != see->live &&
        !(f->is_bare_pin && fstat(f->fd, &other) == 0 && is_older(st, &other)))
        f = f->next;
    f = chain_add(c, f);
    f->is_bare_pin = true;
    f->path = xprintf("%s/?", c->dir);
    f->sibling.kind = SIBLING_TIMED;
    return f;
}

static void see_pin(void *arg, bool is_gz, int fd)
{
    enum form form = is_gz ? FORM_GZ : FORM_PLAIN;
    const struct pin_seer *see = arg;
    struct chain *c = see->chain;
    struct stat st = { 0 };
    struct file *f;

    if (fstat(fd, &st) != 0) {
        close(fd);
        return;
    }
    if (see->now->is_there && same_inode(&st, &see->now->st)) {
        close(fd); /* what is written in place needs no pin */
        pins_remove_inode(&c->pins, &st, is_gz);
        return;
    }
    f = find_pinned(c, form, &st, fd);
    if (f == NULL)
        f = enter_pin(see, &st);
    if (!f->passed && (f->fd < 0 || f->form == FORM_GZ))
        file_take_fd(f, form, fd);
    else
        close(fd);
    f->pinned = !f->passed && f->fd >= 0 && f->form == form &&
                identity_has_inode(&f->id, &st);
    if (!f->pinned)
        pins_remove_inode(&c->pins, &st, is_gz);
}

/*
 * Files that were known keep their places; new ones come behind them, in the
 * order of their names. So a clock that was set back does not put a new file
 * before one that was read. Only where nothing is remembered do names alone
 * decide. Plain files first: a .gz is one of them, where it can be.
 */
static void take_listing(struct chain *c, struct listing *list, struct live *l)
{
    struct file *live;

    if (list->n > 0)
        qsort(list->at, list->n, sizeof(*list->at), by_age);
    for (size_t i = 0; i < list->n; i++) {
        c->is_lumberjack |= list->at[i].sibling.kind == SIBLING_TIMED;
        see_known(c, &list->at[i]);
    }
    live = known_live(c, l);
    for (int form = 0; form < NFORMS; form++) {
        for (size_t i = 0; i < list->n; i++) {
            if (list->at[i].file != NULL || (int)form_of(&list->at[i]) != form)
                continue;
            see_unknown(c, live, &list->at[i]);
            if (live != NULL && c->cut != NULL)
                live = c->live;
        }
    }
    if (!c->was_scanned) {
        struct pin_seer see = { c, l, live };

        pins_each(&c->pins, see_pin, &see);
    }
    for (size_t i = 0; i < list->n; i++) { /* plain or not, by age */
        if (list->at[i].is_new)
            chain_move(c, list->at[i].file, live);
    }
    see_live(c, l, live);
}

/* Where the files are, once links are followed. */
static void find_place(struct chain *c)
{
    char *real = realpath(c->path, NULL);
    const char *path = real != NULL ? real : c->path;
    const char *slash = strrchr(path, '/');

    if (real == NULL && c->dir != NULL)
        return; /* gone for now: it was here */
    free(c->dir);
    free(c->base);
    c->dir =
        slash == path ? xstrdup("/") : xstrndup(path, (size_t)(slash - path));
    c->base = xstrdup(slash + 1);
    free(real);
}

static void scan(struct chain *c)
{
    struct listing list = { 0 };
    struct live live;

    find_place(c);
    if (!read_at_rest(c, &live, &list)) {
        c->dir_mtime = (struct timespec){ 0 };
        return;
    }
    c->is_unsettled = false;
    c->is_looking = true;
    if (!c->is_blind)
        unsee(c);
    take_listing(c, &list, &live);
    end_scan(c);
    c->is_looking = false;
    if (c->has_changed) /* whoever is told sees it in order */
        chain_changed(c, c->is_urgent);
    (void)chain_check_live(c);
    c->was_scanned = true;
    listing_free(&list);
    if (live.fd >= 0)
        close(live.fd);
}

/* Whether the disk is as it was at the last scan. */
static bool is_unchanged(const struct chain *c)
{
    struct stat st;

    if (c->dir_mtime.tv_sec == 0 || c->is_unsettled || stat(c->dir, &st) != 0 ||
        st.st_ino != c->dir_ino || st.st_mtim.tv_sec != c->dir_mtime.tv_sec ||
        st.st_mtim.tv_nsec != c->dir_mtime.tv_nsec)
        return false;
    if (stat(c->path, &st) != 0 || !S_ISREG(st.st_mode))
        return c->live == NULL;
    return c->live != NULL && identity_has_inode(&c->live->id, &st);
}

void chain_look(struct chain *c)
{
    if (c->cut == NULL && chain_check_live(c))
        return; /* it has looked */
    if (!is_unchanged(c))
        scan(c);
}
