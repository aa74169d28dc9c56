/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passers - files of a log that came into its directory and went again, while
 * nobody looked: what was in them is lost, and no listing shows it.
 *
 * Goes by the names that inotify tells, in the order in which it tells them. A
 * file is followed through its renames, and into the .gz that is made of it.
 * Knows only what came since it was last asked, which is little.
 */
#ifndef TALLYMAN_PASSERS_H
#define TALLYMAN_PASSERS_H

#include <sys/inotify.h>

#include "agent/base/bytes.h"

/* Each weighs more than the one before. */
enum passed_by {
    PASSED_NONE,
    PASSED_UNKNOWN, /* not all was told */
    PASSED_SOME
};

struct passers;

/* Of the log called `live`, which is copied. Until it is asked for the first
 * time it knows nothing. */
struct passers *passers_new(const char *live);
/* NULL is fine. */
void passers_free(struct passers *p);

void passers_note(struct passers *p, const struct inotify_event *ev);
/* The queue overflowed, or the directory is another one: what came and went
 * until now is unknown. */
void passers_lose_track(struct passers *p);
/* Since this was last asked. What is there now has come, from now on. */
enum passed_by passers_take(struct passers *p);

#endif
