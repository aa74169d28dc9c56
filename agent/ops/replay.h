/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay - the dead letters of one output sent to it again, by the rules of
 * today, also while the agent runs.
 *
 *   dead/OUTPUT.ndjson -> OUTPUT-<time>.ndjson -> ship -> deleted
 *   dead/OUTPUT.ndjson <- what is not taken again <-'
 *
 * First they are set aside, so that nobody adds to them; then they are files
 * like any, and what is not taken is a dead letter once more. They are deleted
 * when all of them is settled: after a crash the next run goes on with them.
 */
#ifndef TALLYMAN_REPLAY_H
#define TALLYMAN_REPLAY_H

#include "agent/ops/ship.h"

struct replay_env {
    const struct conf *conf; /* its trails say how a line is read */
    const struct conf_output *output;
    const char *state_dir;
    unsigned parser; /* of lines from trails that it has not */
    uint64_t give_up_ms;
    /* As in ship_env. */
    void (*tick)(void *arg, const struct ship_view *v);
    void (*cut_short)(void);
    void *arg;
};

/* False: there are none; `result` is then that of nothing done. */
bool replay_run(const struct replay_env *env, struct ship_result *result);

/* How many there are, and why. */
struct replay_reason {
    char kind[16];
    unsigned status; /* 0: none */
    char text[100];  /* without what differs from letter to letter */
    uint64_t count;
};

#define REPLAY_REASONS 32

struct replay_count {
    uint64_t letters;
    uint64_t broken; /* among them, lines that are no dead letters */
    struct replay_reason reasons[REPLAY_REASONS]; /* the first ones that came */
    size_t n;
    uint64_t others; /* of reasons beyond these */
};

int replay_count(const char *state_dir, const char *output,
                 struct replay_count *count, struct err *e) MUST_CHECK;

#endif
