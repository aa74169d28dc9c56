/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roster - which trails there are and which lanes carry them: those that the
 * configuration names, and those that patterns find, at the start and later.
 *
 * Opens and closes them; what ends the agent is not decided here.
 */
#ifndef TALLYMAN_ROSTER_H
#define TALLYMAN_ROSTER_H

#include <uv.h>

#include "agent/ops/conf.h"

struct roster;

struct roster_env {
    uv_loop_t *loop;
    const struct conf *conf;
    int state; /* the state directory, open */
    /* No output will ever take anything again. */
    void (*gone)(void *arg);
    /* Standard input, the only trail, has ended; `whole`: every output has
     * taken all of it. */
    void (*ended)(void *arg, bool whole);
    void *arg;
};

struct roster *roster_new(const struct roster_env *env);
/* Opens all there is now. ERR_DAMAGED: a checkpoint; close it then. What is
 * found later and cannot be opened is said, and left. */
int roster_start(struct roster *r, struct err *e) MUST_CHECK;
/* Finds no more and reads no more; `drained` once all is settled: perhaps
 * never, perhaps at once. */
void roster_drain(struct roster *r, void (*drained)(void *arg), void *arg);
/* Says what is left behind and closes everything; `closed`, perhaps at once,
 * when only handles are left that close themselves on the loop. */
void roster_close(struct roster *r, void (*closed)(void *arg), void *arg);
/* Once the loop has nothing left to do. NULL is fine. */
void roster_free(struct roster *r);

size_t roster_trails(const struct roster *r);
size_t roster_lanes(const struct roster *r);
void roster_log_counters(const struct roster *r);

#endif
