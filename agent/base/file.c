/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int file_write_all(int fd, const void *bytes, size_t n)
{
    const char *at = bytes;

    while (n > 0) {
        ssize_t w = write(fd, at, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0)
            return -1;
        at += w;
        n -= (size_t)w;
    }
    return 0;
}

ssize_t file_pread(int fd, void *bytes, size_t n, uint64_t offset)
{
    ssize_t r;

    do
        r = pread(fd, bytes, n, (off_t)offset);
    while (r < 0 && errno == EINTR);
    return r;
}

int64_t file_last_line(int fd, uint64_t size)
{
    char piece[4096];

    while (size > 0) {
        size_t n = size < sizeof(piece) ? (size_t)size : sizeof(piece);
        const char *newline;

        if (file_pread(fd, piece, n, size - n) != (ssize_t)n)
            return -1;
        newline = memrchr(piece, '\n', n);
        if (newline != NULL)
            return (int64_t)(size - n) + (newline - piece) + 1;
        size -= n;
    }
    return 0;
}

bool file_is_our_own(const struct stat *st)
{
    struct stat ours;

    for (int fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fstat(fd, &ours) == 0 && ours.st_dev == st->st_dev &&
            ours.st_ino == st->st_ino)
            return true;
    }
    return false;
}

int file_make_dirs(const char *path, struct err *e)
{
    char *part = xstrdup(path), *slash = part;
    int failed = 0;

    do {
        slash = strchr(slash + 1, '/');
        if (slash != NULL)
            *slash = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            failed = errno;
        if (failed == 0 && slash != NULL)
            *slash = '/';
    } while (failed == 0 && slash != NULL && slash[1] != '\0');
    if (failed != 0)
        err_set(e, ERR_IO, "cannot make the directory %s: %s", part,
                strerror(failed));
    free(part);
    return failed != 0 ? ERR_IO : 0;
}

void file_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
}

static int write_new(int dir, const char *name, struct span text,
                     const char **step)
{
    int fd, rc = -1;

    *step = "open";
    fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return -1;
    *step = "write";
    if (file_write_all(fd, text.at, text.len) != 0 ||
        ftruncate(fd, (off_t)text.len) != 0)
        goto out;
    *step = "fsync";
    if (fsync(fd) != 0)
        goto out;
    rc = 0;
out:
    if (rc != 0) {
        int keep = errno;

        close(fd);
        errno = keep;
        return -1;
    }
    *step = "close";
    return close(fd);
}

/* 1: one of them is not there, or nobody here knows how. */
static int exchange(int dir, const char *a, const char *b)
{
    if (renameat2(dir, a, dir, b, RENAME_EXCHANGE) == 0)
        return 0;
    switch (errno) {
    case ENOENT:
    case EINVAL: /* of the file system */
    case EOPNOTSUPP:
    case EXDEV:
    case ENOSYS: /* of the kernel, or what stands before it */
    case EPERM:
        return 1;
    default:
        return -1;
    }
}

/*
 * The three files change places: to make one and remove one each time costs more
 * than all the rest. Before, between and after the two steps NAME and NAME.prev
 * are whole. 1: nothing was done.
 */
static int rotate(int dir, const char *fresh, const char *name,
                  const char *prev)
{
    int rc = exchange(dir, fresh, prev);

    if (rc != 0)
        return rc;
    rc = exchange(dir, name, prev);
    if (rc == 1 && exchange(dir, fresh, prev) != 0)
        return -1; /* back, for NAME is not there */
    return rc;
}

int file_replace(int dir, const char *name, struct span text, struct err *e)
{
    char fresh[256], prev[256];
    const char *step = "name";
    int rc;

    if (snprintf(fresh, sizeof(fresh), "%s.new", name) >= (int)sizeof(fresh) ||
        snprintf(prev, sizeof(prev), "%s.prev", name) >= (int)sizeof(prev)) {
        errno = ENAMETOOLONG;
        goto failed;
    }
    if (write_new(dir, fresh, text, &step) != 0)
        goto failed;
    step = "keep the previous";
    rc = rotate(dir, fresh, name, prev);
    if (rc < 0 ||
        (rc > 0 && renameat(dir, name, dir, prev) != 0 && errno != ENOENT))
        goto failed;
    step = "rename";
    if (rc > 0 && renameat(dir, fresh, dir, name) != 0)
        goto failed;
    step = "fsync the directory after";
    if (fsync(dir) != 0) /* else the rename may not survive */
        goto failed;
    return 0;
failed:
    return err_set(e, ERR_IO, "cannot %s %s: %m", step, name);
}

int file_read(int dir, const char *name, size_t limit, struct buf *out,
              struct err *e)
{
    int fd, rc = 0;
    ssize_t r = 1;

    fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, errno == ENOENT ? ERR_MISSING : ERR_IO,
                       "cannot open %s: %m", name);
    while (rc == 0 && r > 0) {
        buf_room(out, 4096);
        r = read(fd, out->at + out->len, out->cap - out->len);
        if (r < 0 && errno == EINTR)
            r = 1;
        else if (r < 0)
            rc = err_set(e, ERR_IO, "cannot read %s: %m", name);
        else
            out->len += (size_t)r;
        if (rc == 0 && out->len > limit)
            rc = err_set(e, ERR_LIMIT, "%s is larger than %zu bytes", name,
                         limit);
    }
    close(fd);
    return rc;
}
