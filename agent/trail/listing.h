/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listing - what the directory of a trail holds, at one moment. For look.c.
 *
 * Knows names and inodes, not which file of the chain they are.
 */
#ifndef TALLYMAN_LISTING_H
#define TALLYMAN_LISTING_H

#include "agent/trail/chain.h"

/* A rotated file that the directory holds. */
struct entry {
    char *path;
    struct sibling sibling;
    struct stat st;
    int fd;            /* -1: the chain holds it open, or it cannot be opened */
    struct file *file; /* what it was found to be, or NULL */
    bool is_new;       /* and nothing was known of that */
    bool is_newest;    /* by its name, of all that are listed */
};

/* What the path names, held by a descriptor where it can be opened. */
struct live {
    bool is_there;
    struct stat st;
    int fd;
    bool has_head;
    struct head head; /* as it was while the directory was read */
};

struct listing {
    struct entry *at; /* by age, as their names tell */
    size_t n;
    struct live live;
};

/*
 * Reads the directory at a moment when nothing was rotated: the path names the
 * same file before and after, and it has not been cut. Else a file could be
 * seen while one that was written before it is missed, and the chain would be
 * out of order for good.
 * Where there is no live file, nothing later than a missed one can be seen.
 * False where there was no such moment: then there is nothing to free.
 */
bool listing_read(struct chain *c, struct listing *list);
void listing_free(struct listing *list);

/* Whether what the path named, open at `fd`, has been cut since. */
bool live_was_cut(const struct live *l, int fd);

/* The descriptor of an entry, for good. */
int entry_take_fd(struct entry *e);

static inline enum form form_of(const struct entry *e)
{
    return e->sibling.is_gz ? FORM_GZ : FORM_PLAIN;
}

static inline bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

#endif
