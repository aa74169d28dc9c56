/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch - hints that something in a directory may have changed.
 *
 * By inotify on the loop, and by a slow timer, since queues overflow and some
 * mounts are silent. A hint says nothing but "look". While nobody listens the
 * kernel merges what happens, and only the timer wakes us.
 */
#ifndef TALLYMAN_WATCH_H
#define TALLYMAN_WATCH_H

#include <uv.h>

#include "agent/base/bytes.h"

struct watch;

/* Only names that begin with `prefix` count. All texts are copied. */
struct watch *watch_open(uv_loop_t *loop, const char *who, const char *dir,
                         const char *prefix, uint64_t poll_ms,
                         void (*hint)(void *arg), void *arg);
void watch_listen(struct watch *w, bool on);
/* Forgets the hints so far: the caller is about to look anyway. */
void watch_forget(struct watch *w);
/* Whether the kernel tells us, or only the timer does. */
bool watch_has_inotify(const struct watch *w);
/* Stop now, free later, on the loop. */
void watch_close(struct watch *w);

#endif
