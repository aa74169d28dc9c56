/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trail_conf - the settings of a trail.
 */
#ifndef TALLYMAN_TRAIL_CONF_H
#define TALLYMAN_TRAIL_CONF_H

#include "agent/base/opt.h"

enum trail_start {
    START_BEGINNING,
    START_END
};

struct trail_conf {
    char *path;
    unsigned parser;   /* index into parsers[] */
    unsigned start;    /* enum trail_start */
    uint64_t max_line; /* bytes */
    uint64_t poll;     /* ms */
};

extern const struct opt trail_opts[];

#endif
