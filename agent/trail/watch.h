/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - hints that something in a directory may have changed.
 *
 * By inotify on the loop, and by a slow timer, since queues overflow and some
 * mounts are silent. A hint says nothing but "look".
 *
 * One watcher serves the whole process: one inotify instance (there are 128 for
 * a user), one kernel watch for a directory however many watches look at it,
 * one timer. While no watch listens or guards the kernel merges what happens,
 * and only the timer wakes us.
 *
 * Thread: loop only. hint() is called by the loop, never from within a call to
 * this file; it may call anything here, watch_close() included.
 */
#ifndef TALLYMAN_WATCH_H
#define TALLYMAN_WATCH_H

#include <uv.h>

#include "agent/trail/passers.h"

struct watcher;
struct watch;

/* Never fails: without inotify the timer does it alone, and inotify is tried
 * again at each of its ticks. */
struct watcher *watcher_open(uv_loop_t *loop);
/* NULL is fine. Its watches may still be open, and go on: it frees itself, on
 * the loop, after the last of them was closed. */
void watcher_close(struct watcher *wr);
bool watcher_has_inotify(const struct watcher *wr);
/* How often the kernel's queue overflowed. */
uint64_t watcher_overflows(const struct watcher *wr);

/* Only names that begin with `prefix` count. All texts are copied. A directory
 * that is not there is waited for; one that is replaced is followed. Every
 * `poll_ms` the hint is called in any case, also while nobody listens. */
struct watch *watch_open(struct watcher *wr, const char *who, const char *dir,
                         const char *prefix, uint64_t poll_ms,
                         void (*hint)(void *arg), void *arg);
/* Watches another directory from now on. */
void watch_move(struct watch *w, const char *dir, const char *prefix);
/* What happens while it does not listen is hinted once it does again. */
void watch_listen(struct watch *w, bool on);
/* While it does not: that names changed is hinted at once all the same, until it
 * listened or forgot. Files that grow wake nobody for it, or once. */
void watch_guard(struct watch *w);
/* Forgets the hints so far that files grew: the caller is about to read to the
 * end anyway. That names changed stays until it is taken. */
void watch_forget(struct watch *w);
/* Whether names (or permissions) in the directory may have changed since this
 * was last asked, as far as is known without asking the kernel: see
 * watch_forget(). Always true where only the timer looks. */
bool watch_take_names(struct watch *w);
/* What becomes of names in the directory is noted there from now on; the caller's.
 * NULL: nowhere. */
void watch_follow(struct watch *w, struct passers *p);
/* What came and went in the directory since this was last asked, up to now, by what
 * was noted: watch_follow() comes first. */
enum passed_by watch_passed_by(struct watch *w);
/* Whether the kernel tells us, or only the timer does. */
bool watch_has_inotify(const struct watch *w);
/* NULL is fine. No hint comes after this. */
void watch_close(struct watch *w);

#endif
