/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_range - what else an index has of the time of the events that were
 * walked: other logs' events, those of files that are gone, records of gaps.
 */
#ifndef TALLYMAN_VERIFY_RANGE_H
#define TALLYMAN_VERIFY_RANGE_H

#include "agent/cli/verify_run.h"

struct verify_range {
    bool is_known;      /* else `why` */
    uint64_t documents; /* in that time, whatever they are */
    uint64_t extra;     /* of these, not of the events that were walked */
    uint64_t gaps;      /* of these, records of what was lost */
    bool is_stale;      /* no right to refresh: of some seconds ago */
    char why[1024];
};

/* After the walk. */
void verify_range_count(struct verify_range *r, const struct verify *v);

#endif
