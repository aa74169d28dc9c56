/* SPDX-License-Identifier: Apache-2.0 */
/*
 * saver - keeps a small file of the state directory up to date: a checkpoint, a
 * roll. Writes it off the loop's thread, at most once a second while something
 * moves, and once more at the end.
 *
 * A write that fails is said once and tried again: what was settled stays
 * settled, only a crash would then repeat more of it.
 */
#ifndef TALLYMAN_SAVER_H
#define TALLYMAN_SAVER_H

#include <uv.h>

#include "agent/base/err.h"

struct saver;

struct saver_ops {
    /* Prints the file as of now into `text`; ERR_AGAIN: there is nothing to be
     * written yet; ERR_BUSY: there will be in a moment, ask again. */
    int (*print)(void *arg, struct buf *text, struct err *e);
    /* What a print() said is on disk; `hurried`: one that came after the last
     * saver_hurry(). */
    void (*saved)(void *arg, bool hurried);
};

/* Writes NAME in the directory `dir`, which is called `what` before people; all
 * borrowed. */
struct saver *saver_open(uv_loop_t *loop, const char *who, int dir,
                         const char *name, const char *what,
                         const struct saver_ops *ops, void *arg);
/* Something moved. */
void saver_touch(struct saver *s);
/* Something moved and somebody waits for saved(). */
void saver_hurry(struct saver *s);
bool saver_is_hurrying(const struct saver *s);
/* Writes what is left to write, then `closed` on the loop. */
void saver_close(struct saver *s, void (*closed)(void *arg));

#endif
