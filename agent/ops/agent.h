/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent - trails, outputs and the lanes between them, from start to stop.
 */
#ifndef TALLYMAN_AGENT_H
#define TALLYMAN_AGENT_H

#include "agent/ops/conf.h"

enum agent_end {
    AGENT_STOPPED, /* as asked */
    AGENT_FAILED,  /* it could not start, or nothing was left to do */
    AGENT_STATE,   /* the state directory cannot be used */
    AGENT_LOCKED   /* another agent holds it */
};

/* Runs until a signal ends it. What goes wrong is logged. A second signal calls
 * `cut_short`, which must not return: threads may be stuck in a write. */
enum agent_end agent_run(const struct conf *conf, void (*cut_short)(void));

#endif
