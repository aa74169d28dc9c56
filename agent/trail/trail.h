/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trail - the live log and its rotated siblings, seen as one chain of files.
 *
 *   audit-<time 1>.log -> audit-<time 2>.log -> ... -> audit.log
 *   oldest                                             live, still growing
 *
 * Answers which file comes after this one, and whether this one can still grow.
 * Every file of the chain is held open while its name is there or a reader is
 * at it or before it: so no retention takes it away unread, and its inode
 * cannot be given to another file. Knows nothing of lines, lanes or
 * checkpoints; readers keep their own offsets.
 *
 * Thread: loop only. Files are shared by all readers of a trail: read them with
 * pread().
 */
#ifndef TALLYMAN_TRAIL_H
#define TALLYMAN_TRAIL_H

#include <uv.h>

#include "agent/base/err.h"
#include "agent/trail/identity.h"
#include "agent/trail/trail_conf.h"

struct trail;
struct file;
struct watcher;

/* One who waits for more; embed it. Called once for every trail_wait(). */
struct waiter {
    void (*more)(void *arg);
    void *arg;
    struct waiter *next;
    bool waits;
};

/* Never fails: a log that is not there yet is waited for. `name` and `conf`
 * live as long as the trail. */
struct trail *trail_open(struct watcher *w, uv_loop_t *loop, const char *name,
                         const struct trail_conf *conf);
/* All files must have been let go. */
void trail_close(struct trail *t);

/* Looks at the disk again, if it seems to have changed. */
void trail_look(struct trail *t);
/* `w` is called, from the loop, once anything may have changed. */
void trail_wait(struct trail *t, struct waiter *w);
void trail_wait_cancel(struct trail *t, struct waiter *w);
/* What was hinted so far is known: the caller reads to the end now. */
void trail_forget_hints(struct trail *t);

/* NULL where there is none. */
struct file *trail_oldest(const struct trail *t);
struct file *trail_live(const struct trail *t);
struct file *trail_newest(const struct trail *t);
struct file *trail_find(const struct trail *t, const struct identity *id);
/* The file after this one, once this one will not grow any more; NULL until
 * then. Look first. What was written before it became final is to be read. */
struct file *trail_after(const struct file *f);

struct file *file_ref(struct file *f);
void file_unref(struct file *f); /* NULL is fine */
/* -1 where it cannot be opened (any more); it is tried again at every look. */
int file_fd(const struct file *f);
/* Its present path, or the last one it had. */
const char *file_path(const struct file *f);
const char *trail_name(const struct trail *t);
const struct trail_conf *trail_settings(const struct trail *t);

#endif
