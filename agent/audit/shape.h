/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shape - what an event looks like to an output: edits on its own bytes.
 */
#ifndef TALLYMAN_SHAPE_H
#define TALLYMAN_SHAPE_H

#include <stdint.h>

#include "agent/base/edits.h"
#include "parsers/event.h"

enum shape {
    SHAPE_BYTES, /* as the API server wrote it */
    SHAPE_RAW    /* the event's own fields and "@timestamp" */
};

/* Adds the edits. `ev->time_us` is set: where the event had no time, to when it
 * was read. */
void shape_event(enum shape shape, const struct event *ev, struct edits *edits);

#endif
