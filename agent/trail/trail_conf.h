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

/* What the log's writer was told to keep; 0 where it is not known. */
struct retention_conf {
    uint64_t max_size;    /* bytes, of a file before it is rotated */
    uint64_t max_backups; /* rotated files */
    uint64_t max_age;     /* ms, of a rotated file */
};

struct trail_conf {
    char *path; /* absolute, maybe with wildcards, or "-" */
    uint64_t max_matches;
    unsigned parser;   /* index into parsers[] */
    unsigned start;    /* enum trail_start */
    uint64_t max_line; /* bytes */
    uint64_t poll;     /* ms */
    uint64_t quiet;    /* ms */
    struct retention_conf retention;
    uint64_t pin_max_bytes; /* 0: none */
};

extern const struct opt trail_opts[];

/* Whether the path has wildcards, so that it stands for several trails. */
bool trail_is_pattern(const struct trail_conf *conf);
bool trail_is_stdin(const struct trail_conf *conf);

#endif
