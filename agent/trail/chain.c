/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/chain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/clock.h"
#include "agent/base/log.h"

/* A writer that does not rotate by itself may reopen late: its old file counts
 * as final only when it has been quiet for so long. */
#define QUIET_US (5 * INT64_C(1000000))

void file_open(struct file *f)
{
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

    if (fd >= 0 &&
        (fstat(fd, &st) != 0 || st.st_dev != f->dev || st.st_ino != f->ino)) {
        close(fd); /* another one by now: the next look tells */
        return;
    }
    if (fd >= 0 && f->complained)
        log_info(f->chain->who, "%s can be read again", f->path);
    if (fd < 0 && errno != ENOENT && !f->complained)
        log_error(f->chain->who,
                  "cannot open %s: %s; waiting, nothing is skipped", f->path,
                  strerror(errno));
    f->complained = fd < 0;
    f->fd = fd;
}

struct file *file_new(struct chain *c, const char *path, const struct stat *st,
                      int fd)
{
    struct file *f = xcalloc(1, sizeof(*f));

    f->chain = c;
    f->path = xstrdup(path);
    f->dev = st->st_dev;
    f->ino = st->st_ino;
    f->fd = fd;
    if (fd < 0)
        file_open(f);
    return f;
}

void file_free(struct file *f)
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

void chain_drop_passed(struct chain *c)
{
    struct file **at = &c->oldest;

    while (*at != NULL && (*at)->refs == 0 && *at != c->live) {
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
        chain_drop_passed(f->chain);
}

int file_fd(const struct file *f)
{
    return f->fd;
}

const char *file_path(const struct file *f)
{
    return f->path;
}

struct file *chain_find_inode(const struct chain *c, const struct stat *st)
{
    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        if (f->dev == st->st_dev && f->ino == st->st_ino)
            return f;
    }
    return NULL;
}

void chain_append(struct chain *c, struct file *f)
{
    struct file **at = &c->oldest;

    while (*at != NULL)
        at = &(*at)->next;
    *at = f;
}

void chain_remove(struct chain *c, struct file *f)
{
    struct file **at = &c->oldest;

    while (*at != f)
        at = &(*at)->next;
    *at = f->next;
    f->next = NULL;
}

void file_rename(struct file *f, const char *path)
{
    if (strcmp(f->path, path) == 0)
        return;
    log_debug(f->chain->who, "%s is %s now", f->path, path);
    free(f->path);
    f->path = xstrdup(path);
}

/*
 * lumberjack closes a file before it renames it, so that one is final at once.
 * Another writer may go on for a while.
 */
static bool is_final(const struct file *f)
{
    struct stat st;
    int64_t changed_us;

    if (f == f->chain->live || f->next == NULL)
        return false;
    if (f->fd < 0)
        return !f->is_named; /* while it is there it may yet be opened */
    if (f->sibling.kind == SIBLING_TIMED || f->chain->is_lumberjack)
        return true;
    if (fstat(f->fd, &st) != 0)
        return false;
    changed_us =
        st.st_mtim.tv_sec * INT64_C(1000000) + st.st_mtim.tv_nsec / 1000;
    return clock_wall_us() - changed_us >= QUIET_US;
}

struct file *chain_after(const struct file *f)
{
    return is_final(f) ? f->next : NULL;
}

struct file *chain_find(const struct chain *c, const struct identity *id)
{
    struct file *copy = NULL;

    for (struct file *f = c->oldest; f != NULL; f = f->next) {
        enum identity_match m = IDENTITY_OTHER;

        if (f->fd >= 0)
            m = identity_match(f->fd, id);
        else if (f->dev == id->dev && f->ino == id->ino)
            m = IDENTITY_SAME; /* not to be opened yet: it has to do */
        if (m == IDENTITY_SAME)
            return f;
        if (m == IDENTITY_SAME_HEAD && copy == NULL)
            copy = f;
    }
    return copy;
}
