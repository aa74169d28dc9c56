/* SPDX-License-Identifier: Apache-2.0 */
/*
 * report - what a person, or a program, sees of a command that ships something
 * and ends: progress on standard error, one summary on standard output.
 */
#ifndef TALLYMAN_REPORT_H
#define TALLYMAN_REPORT_H

#include "agent/cli/cli.h"
#include "agent/cli/progress.h"
#include "agent/ops/ship.h"

struct report {
    const char *command;
    const char *output; /* its name */
    bool quiet;         /* errors only */
    bool json;          /* the summary */
    bool stdout_is_his; /* of the output: the summary goes to stderr */
    bool is_terminal;   /* standard error; set by report_start() */
    uint64_t shown_ms;
    struct progress progress;
};

void report_start(struct report *r);
/* For ship_env.tick. */
void report_tick(struct report *r, const struct ship_view *v);
/* The same for a command that ships nothing; with `progress.done` and `.total`
 * set. */
void report_show(struct report *r, const struct progress_point *now);
/* Takes the bar off the terminal. */
void report_stop(struct report *r);
/* The summary; with `dead`, a path, where there are dead letters. What went
 * wrong is said on standard error, with what to do. An exit code. */
int report_end(struct report *r, const struct ship_result *result,
               const char *dead);

/* For ship_env.cut_short: leaves the terminal as it was. */
void report_cut_short(void);

#endif
