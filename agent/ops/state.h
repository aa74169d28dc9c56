/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state - the state directory, held by one agent at a time.
 */
#ifndef TALLYMAN_STATE_H
#define TALLYMAN_STATE_H

#include "agent/base/err.h"

struct state {
    int dir;  /* open */
    int lock; /* locked as long as it is open */
};

/*
 * Makes the directory (mode 0700) if need be, locks it and tries that it can
 * be written. ERR_BUSY: another agent has it, `e` names its process. ERR_IO: it
 * cannot be used.
 */
int state_open(struct state *s, const char *path, struct err *e) MUST_CHECK;
void state_close(struct state *s);

#endif
