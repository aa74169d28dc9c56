/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gap - the record of what was lost: an event of our own, in the place of those
 * that no output will ever get.
 *
 *   {"kind":"Gap","apiVersion":"tallyman/v1","level":"Gap","trail":"audit",
 *    "reason":"Deleted","head":"1f00...","offset":73441,
 *    "after":"2026-11-23T02:13:07.104211Z",
 *    "before":"2026-11-23T02:19:55.900112Z","file":"/var/log/audit-....log",
 *    "bytes":104857,"message":"..."}
 *
 * after, before: times of the events on either side of it; bytes: of the log.
 * Each is left out where nobody knows. What comes before "file" is the same
 * however often the loss is found, and so is the id that is made of it: an
 * index holds it once. Where more has been deleted when it is found again, it
 * has another end, and so it is another record.
 */
#ifndef TALLYMAN_GAP_H
#define TALLYMAN_GAP_H

#include "agent/lane/cursor.h"
#include "parsers/event.h"

struct gap_record {
    const struct gap *gap;
    const char *trail;
    struct file *file;
    uint64_t offset;
    int64_t after_us;  /* CLOCK_NO_TIME */
    int64_t before_us; /* CLOCK_NO_TIME */
};

/* CamelCase, as reasons are in Kubernetes. */
const char *gap_reason(const struct gap *gap);

/* The record in `out`, which it replaces; `ev` borrows it. */
void gap_print(const struct gap_record *g, struct buf *out, struct event *ev);

#endif
