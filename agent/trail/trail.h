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
struct intake;
struct watcher;

/* Why the rest of a file can never be read. */
enum loss {
    LOSS_NONE,
    LOSS_DELETED,   /* before it could be read */
    LOSS_TRUNCATED, /* cut in its place, and there is no copy */
    LOSS_DAMAGED,   /* a .gz that cannot be inflated to its end */
    LOSS_GIVEN_UP   /* deleted, and more than pin_max_bytes were held */
};

/* One who waits for more; embed it. Called once for every trail_wait(). */
struct waiter {
    void (*more)(void *arg);
    void *arg;
    struct waiter *next;
    bool waits;
};

/* Never fails: a log that is not there yet is waited for. `name` and `conf`
 * live as long as the trail. `state`: the state directory, or -1: then nothing
 * is remembered. */
struct trail *trail_open(struct watcher *w, uv_loop_t *loop, int state,
                         const char *name, const struct trail_conf *conf);
/* Of standard input; `state` is open. NULL with `e` set. */
struct trail *trail_open_stdin(uv_loop_t *loop, int state, const char *name,
                               const struct trail_conf *conf, struct err *e);
/* Of exactly these files, in that order; it ends behind the last one. Errors
 * are those of given_open(). NULL with `e` set. */
struct trail *trail_open_files(uv_loop_t *loop, const char *name,
                               const struct trail_conf *conf,
                               char *const *paths, size_t n, struct err *e);
/* From now on the disk is not looked at any more: the trail, which trail_open()
 * gave and nobody reads yet, ends behind the newest file it has now. */
void trail_end_here(struct trail *t);
/* Whether it has an end: standard input, or files that were given. */
bool trail_ends(const struct trail *t);
/* NULL unless it is of standard input. */
struct intake *trail_intake(const struct trail *t);
/* All files must have been let go. On the loop: gone soon after. */
void trail_close(struct trail *t);

/* Looks at the disk again, if it seems to have changed. */
void trail_look(struct trail *t);
/* The same, though nothing was heard from it. */
void trail_look_closely(struct trail *t);
/* `w` is called, from the loop, once anything may have changed. */
void trail_wait(struct trail *t, struct waiter *w);
void trail_wait_cancel(struct trail *t, struct waiter *w);
/* The caller cannot read for now, nor may anybody else: what is rotated meanwhile
 * is held as soon as it is. */
void trail_guard(struct trail *t);
/* Calls all who wait: of what was given nobody hints that it can be read. */
void trail_nudge(struct trail *t);
/* What was hinted so far is known: the caller reads to the end now. */
void trail_forget_hints(struct trail *t);

/* While somebody who will read has no place yet, or does not want to be taken
 * for one who has read all, every file is kept. */
void trail_hold(struct trail *t);
void trail_release(struct trail *t);

/* NULL where there is none. */
struct file *trail_oldest(const struct trail *t);
struct file *trail_newest(const struct trail *t);
/* Of a trail that ends, the last one with anything in it. */
struct file *trail_last(const struct trail *t);
/* The one that is, or was, this one; NULL where nothing is known of it. */
struct file *trail_find(const struct trail *t, const struct identity *id);
/* Where somebody goes who has read nothing, and was at the start of a file that
 * was empty: its inode alone, which may be another's by now, does not tell. The
 * first file that was not read; where the order of the files is not on record
 * and old ones are not wanted, the one with that inode. NULL: there is none. */
struct file *trail_find_unread(const struct trail *t,
                               const struct identity *id);
/* A file of which there is nothing left but this: it comes before all that were
 * not read to their ends. */
struct file *trail_add_lost(struct trail *t, const struct identity *id,
                            struct span path);
/* The number of the file that came into the chain last; and the first of those
 * right before `f` that came after that one did. Files come before the live one
 * where copytruncate has made copies of what was in it since we looked. NULL:
 * none. */
uint64_t trail_last_number(const struct trail *t);
struct file *trail_missed(const struct trail *t, const struct file *f,
                          uint64_t since);
/* The file after this one, once this one will not grow any more, or is lost;
 * NULL until then. Look first. What was written before it became final is to be
 * read. */
struct file *trail_after(const struct file *f);

struct file *file_ref(struct file *f);
/* NULL is fine. What nobody holds any more, and nobody comes to again, is let
 * go: its readers have read it. */
void file_unref(struct file *f);
const char *file_path(const struct file *f); /* present, or the last one */
const struct identity *file_identity(struct file *f);
/* Of the bytes before `offset`; none where they are not to be had cheaply. */
void file_guard(const struct file *f, uint64_t offset, struct guard *g);
/* When it was first seen, by the wall clock; remembered. */
int64_t file_entered_us(const struct file *f);
enum loss file_loss(const struct file *f);
bool file_is_open(const struct file *f);
/* The end of a trail that has one: all of it was read, no more will come. */
bool file_is_end(const struct file *f);
/* Whether it has turned out to be the copy of another, and is read there. */
bool file_is_void(const struct file *f);
/* Of a lost file: whether it was read to its end when it was still there, and
 * nothing can have come between it and the next one. */
bool trail_is_nothing_lost(struct file *f, uint64_t offset);
/* Whether what was written after it and before the next one was deleted before
 * anybody saw it, or may have been. */
bool trail_may_lack(const struct file *f);
/* Whether a crash now would leave it in its place in the chain. */
bool file_is_remembered(const struct file *f);
/* How much text there is, or was when last seen; false where nobody knows. */
bool file_text_size(struct file *f, uint64_t *size);

const char *trail_name(const struct trail *t);
const struct trail_conf *trail_settings(const struct trail *t);

/* How a reader at that place stands. */
struct trail_lag {
    uint64_t bytes;       /* not read yet, as far as sizes are known */
    uint64_t files;       /* after this one */
    int64_t seconds_left; /* until what is not read is deleted; -1: unknown */
};
void trail_lag(struct trail *t, struct file *f, uint64_t offset,
               struct trail_lag *lag);
/* What all its readers share. */
void trail_log_counters(const struct trail *t);

#endif
