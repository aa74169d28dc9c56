/* SPDX-License-Identifier: Apache-2.0 */
#include <fcntl.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/file.h"
#include "agent/trail/gunzip.h"
#include "agent/trail/known.h"

struct file *known_held(const struct chain *c, enum form form,
                        const struct stat *st)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->fd >= 0 && f->form == form && identity_has_inode(&f->id, st))
            return f;
    }
    return NULL;
}

/* A file system may have got another number since the last stop: the inode is
 * what counts of a file of which nothing was seen since, and then its head. */
static bool has_inode(const struct file *f, enum form form,
                      const struct stat *st)
{
    const struct name *n = &f->names[form];

    if (n->path != NULL && same_inode(&n->st, st))
        return true;
    return f->fd < 0 && f->loss != LOSS_TRUNCATED &&
           f->names[FORM_PLAIN].path == NULL &&
           f->names[FORM_GZ].path == NULL && f->id.ino == st->st_ino;
}

static bool same_state(const struct stat *a, const struct stat *b)
{
    return same_inode(a, b) && a->st_size == b->st_size &&
           clock_is_same(a->st_mtim, b->st_mtim);
}

/* Half a first line is all it held: it begins like many another file. */
static bool tells_little(const struct file *f)
{
    return f->has_text_size && f->text_size == f->id.head_len;
}

/* Whether the file system tells that what is open was made after `f` came into the
 * chain: the inode may have been used again, or it is a later form of it. */
static bool is_younger(const struct file *f, int fd)
{
    struct timespec born;
    struct statx st;

    if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_BTIME, &st) != 0 ||
        (st.stx_mask & STATX_BTIME) == 0)
        return false;
    born = (struct timespec){ st.stx_btime.tv_sec, st.stx_btime.tv_nsec };
    return clock_us_of(born) > f->entered_us;
}

/* Whether a file that had that inode, and does not hold it open, is still the
 * one that has it: what is open at `fd`, unless that is -1. */
static bool is_still(const struct file *f, enum form form, const char *path,
                     const struct stat *st, int fd, const struct head *seen)
{
    const struct name *n = &f->names[form];
    bool same_dev = n->path != NULL || f->id.dev == st->st_dev;
    struct head h;

    if (n->path != NULL && strcmp(n->path, path) == 0 && same_state(&n->st, st))
        return true;
    if (seen != NULL)
        h = *seen;
    else if (fd < 0 || head_read(fd, form == FORM_GZ, &h, NULL) != 0)
        return same_dev; /* it cannot be read yet: it has to do */
    if (n->path == NULL && tells_little(f) && is_younger(f, fd))
        return false;
    if (f->id.head_len == 0) /* what was empty and was read may be another */
        return same_dev && !f->passed && f->loss == LOSS_NONE;
    return identity_has_head(&f->id, &h);
}

struct file *known_by_name(const struct chain *c, enum form form,
                           const char *path, const struct stat *st, int fd,
                           const struct head *seen)
{
    struct file *held = known_held(c, form, st);

    if (held != NULL)
        return held; /* whatever had that inode before it */
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (has_inode(f, form, st) && is_still(f, form, path, st, fd, seen))
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
static bool is_copy_of_live(const struct live *l, int fd)
{
    struct stat st;

    return l->fd >= 0 && fstat(fd, &st) == 0 && st.st_size > 0 &&
           same_bytes(fd, l->fd, (uint64_t)st.st_size);
}

/* Whether the file was cut, and that is the copy of what it held. */
static bool is_copy_of_cut(const struct file *f, const struct entry *e,
                           const struct head *h)
{
    const struct live_end *end = f->cut != NULL ? &f->cut->end : NULL;
    char bytes[IDENTITY_GUARD_MAX];
    uint32_t isize;

    if (end == NULL || f->fd >= 0 ||
        (f->id.head_len > 0 && !identity_has_head(&f->id, h)))
        return false;
    if (e->sibling.is_gz)
        return f->id.head_len > 0 && gunzip_size(e->fd, &isize) &&
               isize >= (uint32_t)end->at;
    return end->at > 0 &&
           file_pread(e->fd, bytes, end->len, end->at - end->len) ==
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

/* And nothing else: any log may begin like that. */
static bool is_half_line(const struct entry *e, const struct head *h)
{
    return !h->is_whole && h->len == (size_t)e->st.st_size;
}

bool known_is_copy(const struct chain *c, const struct live *l,
                   const struct entry *e, const struct head *h)
{
    if (e->sibling.is_gz)
        return false;
    if (is_half_line(e, h) && !e->is_newest)
        return false; /* nobody is making a copy under an older name */
    if (is_copy_of_live(l, e->fd))
        return true;
    for (const struct file *f = c->oldest; f != NULL; f = f->next) {
        if (is_copy_of(f, e->fd, h))
            return true;
    }
    return false;
}

/* Whether it may have grown since its size was noted, and then got another inode:
 * what is being compressed, or was the log, which is copied. */
static bool may_have_grown(const struct file *f, const struct entry *e)
{
    return f->fd < 0 && f->might_grow &&
           (e->sibling.is_gz || strcmp(f->path, f->chain->path) == 0 ||
            f->cut != NULL || f->is_copy);
}

/* Whether the sizes allow that it is the text of `f` in another form. */
static bool has_size_of(struct file *f, const struct entry *e)
{
    uint64_t size;
    uint32_t isize;

    (void)file_text_size(f, &size);
    if (!f->has_text_size || may_have_grown(f, e))
        return true; /* it may have been cut before its size was noted */
    if (e->sibling.is_gz)
        return gunzip_size(e->fd, &isize) && isize == (uint32_t)size;
    return (uint64_t)e->st.st_size == size;
}

/* X.log and X.log.gz */
static bool has_name_of(const struct file *f, const struct entry *e)
{
    return f->sibling.kind == e->sibling.kind &&
           strcmp(f->sibling.key, e->sibling.key) == 0;
}

/* Half a first line, all that some files hold, begins like many another one. */
static bool tells_more(const struct file *f, const struct file *other)
{
    return other == NULL || f->id.head_len > other->id.head_len;
}

struct file *known_plain_of(const struct chain *c, const struct entry *gz)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->names[FORM_PLAIN].seen && has_name_of(f, gz))
            return f;
    }
    return NULL;
}

struct file *known_by_text(const struct chain *c, const struct file *live,
                           const struct entry *e, const struct head *h)
{
    struct file *found = NULL;

    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (is_copy_of_cut(f, e, h))
            return f;
    }
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f == live || f->names[form_of(e)].seen ||
            !identity_has_head(&f->id, h))
            continue;
        if (has_name_of(f, e))
            return f;
        if (!f->names[FORM_PLAIN].seen && has_size_of(f, e) &&
            tells_more(f, found))
            found = f;
    }
    return found;
}

struct file *known_by_pin(const struct chain *c, enum form form,
                          const struct stat *st, int fd)
{
    struct file *known = known_by_name(c, form, "", st, fd, NULL);
    struct head h;

    if (known != NULL)
        return known;
    if (head_read(fd, form == FORM_GZ, &h, NULL) != 0)
        return NULL;
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (identity_has_head(&f->id, &h) && tells_more(f, known))
            known = f;
    }
    return known;
}
