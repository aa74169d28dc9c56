/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress - how far something with a known end has come, as text.
 *
 *    42% [==========>             ] 412.0/981.0 MiB  183,000 events/s  0:03 left
 *
 * Speeds are those of the last seconds. Pure: numbers and a width come in, text
 * goes out; when and where it is shown is the caller's business.
 */
#ifndef TALLYMAN_PROGRESS_H
#define TALLYMAN_PROGRESS_H

#include <stdint.h>

#include "agent/base/bytes.h"

struct progress_point {
    uint64_t ms; /* since it began */
    uint64_t bytes;
    uint64_t events;
};

#define PROGRESS_POINTS 16

struct progress {
    struct progress_point now;
    /* One a second, the oldest first. */
    struct progress_point points[PROGRESS_POINTS];
    size_t n;
    uint64_t done; /* bytes; `total` of them are all */
    uint64_t total;
    bool is_stopping;
    const char *trouble; /* why it does not get on; NULL: it does */
    uint64_t trouble_ms; /* for so long */
};

/* What was there at `now`. `bytes` and `events` never shrink. */
void progress_note(struct progress *p, const struct progress_point *now);

/* One line for a terminal of that width, without its end; never longer. */
void progress_bar(const struct progress *p, size_t width, struct buf *out);
/* One line for a log. */
void progress_line(const struct progress *p, struct buf *out);

/* 1,234,567; 12.3 MiB; 1:02:03. */
void progress_count(struct buf *out, uint64_t n);
void progress_bytes(struct buf *out, uint64_t bytes);
void progress_time(struct buf *out, uint64_t seconds);

#endif
