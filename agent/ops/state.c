/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/file.h"

static int locked_by_other(int fd, const char *path, struct err *e)
{
    char pid[16] = "";
    ssize_t n = file_pread(fd, pid, sizeof(pid) - 1, 0);

    if (n < 0)
        n = 0;
    pid[strspn(pid, "0123456789")] = '\0';
    return err_set(e, ERR_BUSY,
                   "%s is in use by another tallyman%s%s; two agents need two "
                   "state directories",
                   path, pid[0] != '\0' ? ", process " : "", pid);
}

static int lock(struct state *s, const char *path, struct err *e)
{
    char pid[16];
    int n = snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());

    s->lock =
        openat(s->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (s->lock < 0)
        return err_set(e, ERR_IO, "cannot write in state_dir %s: %m", path);
    if (flock(s->lock, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            return locked_by_other(s->lock, path, e);
        return err_set(e, ERR_IO, "cannot lock state_dir %s: %m", path);
    }
    /* For people; a full disk is no reason not to run. */
    if (ftruncate(s->lock, 0) != 0 || pwrite(s->lock, pid, (size_t)n, 0) != n)
        return 0;
    return 0;
}

int state_open(struct state *s, const char *path, struct err *e)
{
    int rc;

    *s = (struct state){ -1, -1 };
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_set(e, ERR_IO, "cannot make state_dir %s: %m", path);
    s->dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->dir < 0)
        return err_set(e, ERR_IO, "cannot open state_dir %s: %m", path);
    if (faccessat(s->dir, ".", W_OK | X_OK, AT_EACCESS) != 0)
        rc = err_set(e, ERR_IO, "cannot write in state_dir %s: %m", path);
    else
        rc = lock(s, path, e);
    if (rc != 0)
        state_close(s);
    return rc;
}

void state_close(struct state *s)
{
    if (s->lock >= 0)
        close(s->lock);
    if (s->dir >= 0)
        close(s->dir);
    *s = (struct state){ -1, -1 };
}
