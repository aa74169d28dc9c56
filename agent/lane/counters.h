/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters - the books of a lane.
 *
 *   read = delivered + duplicate + filtered + refused + quarantined + in flight
 *
 * at all times. `in flight` is not kept here: it is counted from the shipments
 * themselves whenever the books are looked at, so that a mistake shows.
 */
#ifndef TALLYMAN_COUNTERS_H
#define TALLYMAN_COUNTERS_H

#include "agent/base/bytes.h"

#include <stdint.h>

#define COUNTERS(X)                                                \
    X(read, "events and lines taken from the trail")               \
    X(delivered, "confirmed by the output")                        \
    X(duplicate, "the output had them already")                    \
    X(filtered, "dropped by a rule")                               \
    X(refused, "not taken by the output; now dead letters")        \
    X(quarantined, "no events; now dead letters")                  \
    X(read_bytes, "bytes read from the trail")                     \
    X(sent_bytes, "bytes of batches handed to the output")         \
    X(requests, "batches, or parts of them, handed to the output") \
    X(retried, "events handed to the output again")                \
    X(looked_up, "events asked for, lest they be there twice")     \
    X(blocked, "times the output could not take anything")         \
    X(hole_bytes, "NUL bytes passed over between lines")           \
    X(gaps, "records of what is lost, among the events read")      \
    X(gap_bytes, "bytes of the log that are lost, where known")    \
    X(repaired, "changed so that the output takes them")           \
    X(checkpoints, "checkpoints written")

struct counters {
#define X(name, text) uint64_t name;
    COUNTERS(X)
#undef X
};

static inline bool counters_balance(const struct counters *c,
                                    uint64_t in_flight)
{
    return c->read == c->delivered + c->duplicate + c->filtered + c->refused +
                          c->quarantined + in_flight;
}

#endif
