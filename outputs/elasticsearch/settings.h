/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings - of an output of type elasticsearch: where the cluster is, how to
 * be let in, and what to write to. Commands that talk to a cluster read them
 * as well.
 */
#ifndef TALLYMAN_SETTINGS_H
#define TALLYMAN_SETTINGS_H

#include "agent/base/opt.h"

enum compression {
    COMPRESSION_GZIP,
    COMPRESSION_NONE
};

struct tls_settings {
    char *ca_file;
};

struct elasticsearch_settings {
    struct opt_list hosts;
    char *index;       /* a pattern of dates; NULL where data_stream is set */
    char *data_stream; /* NULL: `index` */
    char *pipeline;    /* each NULL where unset */
    char *routing;
    unsigned require_alias; /* enum opt_switch */
    char *username;
    struct secret password;
    struct secret api_key;
    struct tls_settings tls;
    unsigned compression; /* enum compression */
    uint64_t timeout;     /* ms */
};

extern const struct opt elasticsearch_opts[];

/* What no option can say alone; NULL where nothing is wrong. */
const char *elasticsearch_check(const void *conf);

/* The index pattern or the stream that events go to. */
const char *elasticsearch_target(const struct elasticsearch_settings *s);

/*
 * Whether the target may have another index behind its name when an event is
 * sent again: a data stream, an alias. Then a repeated id is not refused, and
 * what is in doubt has to be looked up. An index whose name is made of the
 * event's own time is always the same one.
 */
bool elasticsearch_rolls_over(const struct elasticsearch_settings *s);

#endif
