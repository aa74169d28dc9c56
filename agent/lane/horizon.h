/* SPDX-License-Identifier: Apache-2.0 */
/*
 * horizon - how far beyond the checkpoint events may have been sent, so that
 * after a crash those are known that have to be looked up first.
 *
 *   trail:  ...settled|<------------- horizon ------------->|
 *                     ^ checkpoint      ^ sent              ^ nothing is sent
 *                                                             beyond it
 *
 * Kept in each checkpoint, before anything beyond the last one's horizon is
 * sent. Only for an output that may store an event twice. Counts bytes of lines
 * in the trail's order, from where this run began: the same lines are the same
 * bytes in the next run, whatever files they lie in then. A gap counts nothing.
 *
 * Pure.
 */
#ifndef TALLYMAN_HORIZON_H
#define TALLYMAN_HORIZON_H

#include "agent/base/bytes.h"

#include <stdint.h>

/* Nobody knows: all there was when the run began may have been sent. */
#define HORIZON_UNKNOWN UINT64_MAX
#define HORIZON_BYTES   (64 * MIB)

struct horizon {
    bool is_on;
    uint64_t passed; /* of lines taken from the trail */
    uint64_t doubt;  /* what lies before may have been sent by an earlier run */
    uint64_t sent;   /* end of what was sent by this one */
    uint64_t open;   /* nothing beyond is to be sent: the checkpoint's */
    uint64_t saving; /* of the one that is being written */
};

/* `bytes`: of the checkpoint, or HORIZON_UNKNOWN. */
void horizon_start(struct horizon *h, uint64_t bytes);
/* A line of `len` bytes was taken. */
void horizon_pass(struct horizon *h, uint64_t len);
/* All that was there at the start has been taken. */
void horizon_end(struct horizon *h);

/* Whether what begins at `from` may have been sent by an earlier run. */
bool horizon_is_in_doubt(const struct horizon *h, uint64_t from);
/* Whether what ends at `to` may be sent. */
bool horizon_lets(const struct horizon *h, uint64_t to);
void horizon_sent(struct horizon *h, uint64_t to);
/* The next checkpoint is to be written soon, lest somebody waits. */
bool horizon_is_near(const struct horizon *h);

/*
 * What a checkpoint at `low` is to hold: bytes, or HORIZON_UNKNOWN. `first` is
 * the end of what will be sent first, however long it is.
 */
uint64_t horizon_print(struct horizon *h, uint64_t low, uint64_t first);
/* The same for the last one of a run: what is in doubt ends at `doubt`. */
uint64_t horizon_print_last(struct horizon *h, uint64_t low, uint64_t doubt);
/* The printed one is on disk. */
void horizon_saved(struct horizon *h);

#endif
