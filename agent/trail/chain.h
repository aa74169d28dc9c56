/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chain - the files of a trail in the order they were written. For trail/ only:
 * trail.c shows it to the other rooms.
 *
 *   oldest -> ... -> a rotated file -> the live one
 *
 * chain.c keeps the list and says when a file is final; look.c holds it against
 * the disk.
 */
#ifndef TALLYMAN_CHAIN_H
#define TALLYMAN_CHAIN_H

#include <sys/stat.h>
#include <time.h>

#include "agent/trail/sibling.h"
#include "agent/trail/trail.h"

struct file {
    struct chain *chain;
    struct file *next; /* written after this one */
    char *path;
    dev_t dev;
    ino_t ino;
    int fd; /* -1: it cannot be opened */
    unsigned refs;
    bool is_named; /* it has a name in the directory */
    bool seen;     /* by the look under way */
    bool complained;
    struct sibling sibling; /* kind NONE: live, or it was when last seen */
};

struct chain {
    const char *who;
    const char *path; /* of the live file */
    char *dir;
    const char *base; /* of the path: the live file's name */
    struct file *oldest;
    struct file *live;         /* what the path names now, or NULL */
    struct timespec dir_mtime; /* at the last look; 0: look again */
    ino_t dir_ino;
    bool is_lumberjack; /* a name of its making was seen */
    bool has_unopened;  /* some file could not be opened */
    bool missed;        /* a name was gone when it was looked at */
    bool complained;    /* of the live file */
    bool dir_complained;
    bool gz_told;
};

/* Takes `fd`, which may be -1: then it tries to open the path. */
struct file *file_new(struct chain *c, const char *path, const struct stat *st,
                      int fd);
void file_free(struct file *f);
void file_open(struct file *f);
void file_rename(struct file *f, const char *path);

struct file *chain_find_inode(const struct chain *c, const struct stat *st);
struct file *chain_find(const struct chain *c, const struct identity *id);
void chain_append(struct chain *c, struct file *f);
void chain_remove(struct chain *c, struct file *f);
struct file *chain_after(const struct file *f);
/* Lets go what every reader is past and no name keeps. */
void chain_drop_passed(struct chain *c);

/* look.c: holds the chain against the disk, if that seems to have changed. */
void chain_look(struct chain *c);

#endif
