/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conf - the configuration file, read, checked and filled with defaults.
 *
 * Reads YAML by libyaml and hands every value to an option table. All mistakes
 * of a file are found at once, each with file, line, column, key and the
 * nearest valid name. Opens nothing but the file and what ${file:...} names.
 */
#ifndef TALLYMAN_CONF_H
#define TALLYMAN_CONF_H

#include <stdio.h>

#include "agent/lane/lane_conf.h"
#include "agent/trail/trail_conf.h"
#include "outputs/output.h"

struct conf_trail {
    char *name;
    struct trail_conf conf;
};

struct conf_output {
    char *name;
    const struct output_ops *ops;
    struct lane_conf lane;
    void *conf; /* ops->conf_size bytes, by ops->opts */
};

struct conf_agent {
    char *state_dir;
    uint64_t drain_timeout; /* ms */
    unsigned log_level;     /* enum log_level */
};

extern const struct opt agent_opts[];

struct conf {
    struct conf_agent agent;
    struct conf_trail *trails;
    size_t ntrails;
    struct conf_output *outputs;
    size_t noutputs;
};

/* NULL where there was a mistake; each is one line on `errors`, as
 * "FILE:LINE:COL: text". ERR_MISSING and the like go there too. */
struct conf *conf_read(const char *path, FILE *errors);
/* The same from memory; `name` stands for the file in messages. */
struct conf *conf_parse(const char *name, struct span text, FILE *errors);
/* No trails, and one output with nothing but defaults: what it requires is to
 * be set yet. */
struct conf *conf_new_output(const char *name, const struct output_ops *ops);
void conf_free(struct conf *c);

/* Whether that output ships that trail: `trails:` names it, or is not set. */
bool conf_output_wants(const struct conf_output *o, const char *trail);

/* Every option there is, as commented YAML, for `tallyman check --options`. */
void conf_print_options(FILE *out);

#endif
