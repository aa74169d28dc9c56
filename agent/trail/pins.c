/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/pins.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/base/log.h"
#include "agent/trail/chain.h"

void pins_open(struct pins *p, const char *who, int state, const char *trail)
{
    *p = (struct pins){ .who = who, .state = state, .dir = -1 };
    p->off = state < 0;
    p->name = xprintf("%s.pins", trail);
    if (!p->off)
        p->dir = openat(state, p->name,
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

void pins_close(struct pins *p)
{
    if (p->dir >= 0)
        close(p->dir);
    free(p->name);
}

static bool make_dir(struct pins *p)
{
    if (p->dir >= 0)
        return true;
    if (mkdirat(p->state, p->name, 0700) == 0 || errno == EEXIST)
        p->dir = openat(p->state, p->name,
                        O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return p->dir >= 0;
}

static void pin_name(char out[static 64], uint64_t dev, uint64_t ino,
                     bool is_gz)
{
    snprintf(out, 64, "%" PRIx64 "-%" PRIx64 "%s", dev, ino,
             is_gz ? ".gz" : "");
}

static void name_of(const struct file *f, char out[static 64])
{
    pin_name(out, f->id.dev, f->id.ino, f->form == FORM_GZ);
}

/* Whether the link is of the file that is open, and not of one that took its
 * name meanwhile. */
static bool is_of(const struct pins *p, const char *name, const struct file *f)
{
    struct stat st;

    return fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           identity_has_inode(&f->id, &st);
}

void pins_add(struct pins *p, struct file *f)
{
    const char *path = f->names[f->form].path;
    char name[64];

    if (p->off || f->pinned || f->fd < 0 || path == NULL)
        return;
    name_of(f, name);
    if (make_dir(p) &&
        (linkat(AT_FDCWD, path, p->dir, name, 0) == 0 || errno == EEXIST)) {
        f->pinned = is_of(p, name, f);
        if (!f->pinned)
            unlinkat(p->dir, name, 0);
        return;
    }
    if (errno == ENOENT || errno == ENOSPC || errno == EDQUOT)
        return; /* gone meanwhile, or no room now: tried again */
    p->off = true;
    log_info(p->who,
             "rotated files are held by open descriptors only, not across "
             "restarts: cannot link them into the state directory: %s",
             strerror(errno));
}

static void remove_name(struct pins *p, const char *name)
{
    if (unlinkat(p->dir, name, 0) != 0 && errno != ENOENT)
        log_warn(p->who, "cannot remove %s/%s: %s", p->name, name,
                 strerror(errno));
}

void pins_remove(struct pins *p, struct file *f)
{
    char name[64];

    if (!f->pinned)
        return;
    f->pinned = false;
    name_of(f, name);
    remove_name(p, name);
}

void pins_remove_inode(struct pins *p, const struct stat *st, bool is_gz)
{
    char name[64];

    pin_name(name, st->st_dev, st->st_ino, is_gz);
    remove_name(p, name);
}

/* DEV-INODE[.gz] */
static bool is_pin_name(const char *name, bool *is_gz)
{
    static const char digits[] = "0123456789abcdef";
    size_t dev = strspn(name, digits), ino;

    if (dev == 0 || name[dev] != '-')
        return false;
    name += dev + 1;
    ino = strspn(name, digits);
    *is_gz = strcmp(name + ino, ".gz") == 0;
    return ino > 0 && (*is_gz || name[ino] == '\0');
}

/* After a start of the machine a file system may have another number, and what
 * a backup brought back has other inodes: by its old name it would never be
 * found again, and never removed. */
static void set_name_right(struct pins *p, const char *name)
{
    char right[64];
    struct stat st, other;
    bool is_gz;

    if (!is_pin_name(name, &is_gz) ||
        fstatat(p->dir, name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(st.st_mode))
        return;
    pin_name(right, st.st_dev, st.st_ino, is_gz);
    if (strcmp(name, right) == 0)
        return;
    if (linkat(p->dir, name, p->dir, right, 0) == 0 ||
        (errno == EEXIST &&
         fstatat(p->dir, right, &other, AT_SYMLINK_NOFOLLOW) == 0 &&
         other.st_dev == st.st_dev && other.st_ino == st.st_ino))
        remove_name(p, name);
    else
        log_warn(p->who, "cannot rename %s/%s to %s: %s", p->name, name, right,
                 strerror(errno));
}

struct each {
    void (*call)(void *arg, bool is_gz, int fd);
    void *arg;
};

static void show(struct pins *p, const char *name, const struct each *each)
{
    struct stat st;
    bool is_gz;
    int fd;

    if (!is_pin_name(name, &is_gz)) {
        log_warn(p->who, "%s/%s is no pin; it is left alone", p->name, name);
        return;
    }
    fd = openat(p->dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0) {
        log_error(p->who, "cannot open %s/%s: %s", p->name, name,
                  strerror(errno));
        return;
    }
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        each->call(each->arg, is_gz, fd);
        return;
    }
    log_warn(p->who, "%s/%s is no regular file; it is left alone", p->name,
             name);
    close(fd);
}

/* Names first: whoever is shown a pin may remove it by its right one. */
static void list(struct pins *p, DIR *dir, const struct each *each)
{
    struct dirent *entry;

    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            set_name_right(p, entry->d_name);
    }
    rewinddir(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.')
            show(p, entry->d_name, each);
    }
}

void pins_each(struct pins *p, void (*each)(void *arg, bool is_gz, int fd),
               void *arg)
{
    DIR *dir;
    int copy;

    if (p->dir < 0)
        return;
    copy = openat(p->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    dir = copy >= 0 ? fdopendir(copy) : NULL;
    if (dir == NULL) {
        log_error(p->who, "cannot list %s: %s", p->name, strerror(errno));
        if (copy >= 0)
            close(copy);
        return;
    }
    list(p, dir, &(struct each){ each, arg });
    closedir(dir);
}
