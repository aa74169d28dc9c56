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
    SHAPE_BYTES,        /* as the API server wrote it */
    SHAPE_RAW           /* the event's own fields and "@timestamp" */
};

/* The time an event is filed under: its own, else `now_us`. */
int64_t shape_time_us(const struct event *ev, int64_t now_us);

/* Adds the edits. `ev` and `edits` borrow from each other until the next
 * edits_start(). */
void shape_event(enum shape shape, const struct event *ev, int64_t time_us,
                 struct edits *edits);

#endif
