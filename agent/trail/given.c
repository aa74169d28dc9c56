/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/given.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/base/file.h"
#include "agent/base/log.h"
#include "agent/trail/chain.h"

static int no_file(const char *path, const struct stat *st, struct err *e)
{
    if (S_ISDIR(st->st_mode))
        return err_set(e, ERR_FORMAT, "%s is a directory; name the files in it",
                       path);
    if (S_ISFIFO(st->st_mode))
        return err_set(e, ERR_FORMAT,
                       "%s is a pipe, which cannot be read twice; a trail with "
                       "path \"-\" takes one",
                       path);
    return err_set(e, ERR_FORMAT, "%s is not a regular file", path);
}

/* The descriptor, or ERR_*. */
static int open_regular(const char *path, struct stat *st, struct err *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY), rc;

    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return err_set(e, ERR_LIMIT,
                       "cannot open %s: %m; raise the limit (ulimit -n), or "
                       "name fewer files at once",
                       path);
    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_MISSING : ERR_IO,
                       "cannot open %s: %m", path);
    if (fstat(fd, st) != 0)
        rc = err_set(e, ERR_IO, "cannot stat %s: %m", path);
    else if (!S_ISREG(st->st_mode))
        rc = no_file(path, st, e);
    else if (file_is_our_own(st))
        rc = err_set(e, ERR_FORMAT,
                     "%s is where this writes to: it would never end", path);
    else
        return fd;
    close(fd);
    return rc;
}

/* No line of a log begins with these bytes. -1 with errno. */
static int form_of(int fd)
{
    unsigned char magic[2];
    ssize_t n = file_pread(fd, magic, sizeof(magic), 0);

    if (n < 0)
        return -1;
    return n == 2 && magic[0] == 0x1f && magic[1] == 0x8b ? FORM_GZ
                                                          : FORM_PLAIN;
}

static const struct file *find(const struct chain *c, const struct stat *st)
{
    const struct file *f = c->oldest;

    while (f != NULL && !identity_has_inode(&f->id, st))
        f = f->next;
    return f;
}

static void add(struct chain *c, const char *path, int fd, enum form form)
{
    struct file *f = chain_add(c, NULL);
    char *real = realpath(path, NULL);

    f->path = xstrdup(real != NULL ? real : path);
    f->remembered = true; /* by whoever gave it */
    free(real);
    file_take_fd(f, form, fd);
}

static int open_one(struct chain *c, const char *path, struct err *e)
{
    const struct file *before;
    struct stat st;
    int fd = open_regular(path, &st, e), form, rc = 0;

    if (fd < 0)
        return fd;
    before = find(c, &st);
    form = form_of(fd);
    if (before != NULL)
        rc = err_set(e, ERR_BUSY, "%s was given before, as %s", path,
                     before->path);
    else if (form < 0)
        rc = err_set(e, ERR_IO, "cannot read %s: %m", path);
    else if (st.st_size == 0)
        log_warn(c->who, "%s is empty", path);
    if (rc != 0 || st.st_size == 0)
        close(fd);
    else
        add(c, path, fd, (enum form)form);
    return rc;
}

void given_end(struct chain *c)
{
    struct file *end = chain_add(c, NULL);

    end->path = xstrdup("<end>");
    end->is_end = true;
    c->live = NULL;
    c->is_given = true;
}

int given_open(struct chain *c, char *const *paths, size_t n, struct err *e)
{
    int rc = 0;

    c->is_given = true;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = open_one(c, paths[i], e);
    if (rc != 0)
        return rc;
    if (c->oldest == NULL)
        return err_set(e, ERR_MISSING, "there is nothing in %s",
                       n == 1 ? paths[0] : "any of the files");
    given_end(c);
    return 0;
}
