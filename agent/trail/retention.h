/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention - how long it takes until a file that was not read is deleted.
 *
 * By what kube-apiserver was told: --audit-log-maxsize, -maxbackup, -maxage;
 * its lumberjack deletes when it rotates. Pure: looks at numbers only.
 */
#ifndef TALLYMAN_RETENTION_H
#define TALLYMAN_RETENTION_H

#include "agent/trail/trail_conf.h"

/* Bytes a second, over the last minute or so. */
struct pace {
    uint64_t bytes; /* in all, when last noted */
    uint64_t ms;
    double per_s;
};

void pace_note(struct pace *p, uint64_t bytes, uint64_t now_ms);

struct retention_view {
    bool is_live;       /* the reader is in the live file */
    uint64_t newer;     /* rotated files that are newer than the reader's */
    uint64_t live_size; /* bytes */
    int64_t rotated_ms; /* when the reader's was, by the wall clock */
    int64_t now_ms;
    double per_s; /* bytes */
};

/* Seconds; -1 where it cannot be told. */
int64_t retention_left(const struct retention_conf *conf,
                       const struct retention_view *view);

#endif
