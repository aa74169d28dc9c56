/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_conf - the settings of a lane; any output has them beside its own.
 */
#ifndef TALLYMAN_LANE_CONF_H
#define TALLYMAN_LANE_CONF_H

#include "agent/base/opt.h"

struct lane_conf {
    struct opt_list trails; /* names; empty: every trail */
    uint64_t linger;        /* ms */
    uint64_t batch_events;
    uint64_t batch_bytes;
    uint64_t in_flight;
    uint64_t memory;      /* bytes */
    uint64_t backoff_min; /* ms */
    uint64_t backoff_max; /* ms */
};

extern const struct opt lane_opts[];

#endif
