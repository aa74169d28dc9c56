/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/lane_conf.h"

const struct opt lane_opts[] = {
    OPT_LIST(struct lane_conf, trails,
             .help = "Names of the trails that go to this output. "
                     "Default: every one."),
    OPT_DURATION(struct lane_conf, linger, .def = "50ms", .max = 60000,
                 .help = "How long an event may wait for others to share a "
                         "request with."),
    OPT_COUNT(struct lane_conf, batch_events, .def = "5000", .min = 1,
              .max = 1000000, .help = "Most events in one request."),
    OPT_BYTES(struct lane_conf, batch_bytes, .def = "2MiB", .min = 4 * KIB,
              .max = 256 * MIB,
              .help = "Most bytes in one request, before compression; fewer "
                      "where the server takes no more. One larger event goes "
                      "alone."),
    OPT_COUNT(struct lane_conf, in_flight, .def = "4", .min = 1, .max = 256,
              .help = "Most requests under way at once; fewer while the "
                      "server is busy or its answers come ever later."),
    OPT_BYTES(struct lane_conf, memory, .def = "16MiB", .min = 64 * KIB,
              .max = 16384 * MIB,
              .help = "Bound on the events that this lane holds, as they are "
                      "sent; reading stops there. One larger event may exceed "
                      "it alone."),
    OPT_DURATION(struct lane_conf, backoff_min, .def = "200ms", .min = 1,
                 .max = 600000,
                 .help = "First pause after a failure; it doubles, with "
                         "jitter."),
    OPT_DURATION(struct lane_conf, backoff_max, .def = "30s", .min = 1,
                 .max = 3600000, .help = "Longest pause after failures."),
    OPT_END
};
