/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target - the output that a one-shot command works on: one of a configuration
 * (-c FILE --output NAME), or a cluster as if it had no other option
 * (--hosts URL[,URL...]).
 */
#ifndef TALLYMAN_TARGET_H
#define TALLYMAN_TARGET_H

#include "agent/cli/cli.h"
#include "agent/ops/conf.h"

/* Filled by cli_parse() through TARGET_FLAGS. */
struct target_args {
    const char *conf;   /* NULL: CLI_DEFAULT_CONF, where it is needed */
    const char *output; /* NULL: the only one that will do */
    const char *hosts;
};

#define TARGET_FLAGS(args)                                                \
    { "-c", &(args)->conf, NULL }, { "--output", &(args)->output, NULL }, \
    {                                                                     \
        "--hosts", &(args)->hosts, NULL                                   \
    }

struct target {
    /* Of --hosts: no trails, one output called "search", no state_dir. */
    struct conf *conf;
    const struct conf_output *output; /* in `conf` */
};

/*
 * `type` is the type of output that will do ("elasticsearch"), NULL: any. An
 * exit code; what is wrong is said on standard error.
 */
int target_open(struct target *t, const char *command,
                const struct target_args *args, const char *type);
/* The same for commands that work on every output where none is named: `output`
 * is NULL then. */
int target_open_all(struct target *t, const char *command,
                    const struct target_args *args);
void target_close(struct target *t);

#endif
