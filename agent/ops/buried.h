/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buried - the ids of the events that an output refused, as its dead letters
 * tell.
 */
#ifndef TALLYMAN_BURIED_H
#define TALLYMAN_BURIED_H

#include "agent/base/err.h"
#include "agent/ops/idset.h"

/* Most ids that are kept: those that were refused last. */
#define BURIED_MOST ((size_t)1024 * 1024)

/* Adds them. Reads only; 0, too, where there is not one dead letter. ERR_IO
 * with `e` set. */
int buried_read(struct idset *ids, const char *state_dir, const char *output,
                struct err *e) MUST_CHECK;
/* The id in a record of dead.h; empty where it has none. */
struct span buried_id(struct span record);

#endif
