/* SPDX-License-Identifier: Apache-2.0 */
/*
 * intake - standard input as the one file of a chain.
 *
 *   standard input -> spool -> <stdin> (live) ... at its end -> an empty file
 *
 * The file is live while there may be more. The empty one behind it says that
 * there will not be, so that readers come to the end of it as of any file.
 * Nothing of it can be read again once all are past it, by this agent or the
 * next: it is not remembered, rotated, looked at or lost.
 *
 * Thread: loop only.
 */
#ifndef TALLYMAN_INTAKE_H
#define TALLYMAN_INTAKE_H

#include <uv.h>

#include "agent/base/err.h"

struct chain;
struct intake;

/* How far a reader is; embed it. */
struct place {
    uint64_t offset;
    struct place *next;
};

struct intake_env {
    uv_loop_t *loop;
    const char *who;
    int state; /* the state directory, open */
    uint64_t max_line;
    /* There is more, or the end. */
    void (*more)(void *arg);
    void *arg;
};

/* Puts the file into the chain, which is empty. What `env` points at is
 * borrowed. NULL with `e` set. */
struct intake *intake_open(const struct intake_env *env, struct chain *c,
                           struct err *e);
/* Takes no more: what has come so far is all of it. NULL is fine. */
void intake_stop(struct intake *in);
/* Before the chain is freed. NULL is fine. */
void intake_close(struct intake *in);

/* What every reader is past is given back to the disk, and while one is too far
 * behind the writer of the pipe waits. With NULL nothing happens. */
void intake_join(struct intake *in, struct place *p);
void intake_leave(struct intake *in, struct place *p);
void intake_passed(struct intake *in, struct place *p, uint64_t offset);

#endif
