/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ship - given files to one output, from start to end: an agent of one lane
 * that has an end.
 *
 * What is done to a line is the lane's business, as in the agent. Here is when
 * it is over: all was settled, a signal came, or the output took nothing for
 * too long. The next run goes on where this one was.
 */
#ifndef TALLYMAN_SHIP_H
#define TALLYMAN_SHIP_H

#include "agent/lane/lane.h"
#include "agent/ops/conf.h"

enum ship_end {
    SHIP_DONE,    /* all is settled */
    SHIP_STOPPED, /* by a signal */
    SHIP_GAVE_UP, /* the output took nothing for give_up_ms */
    SHIP_GONE,    /* it will never take anything again */
    SHIP_FAILED,  /* it could not begin; nothing was sent */
    SHIP_STATE,   /* because of the directory of its place */
    SHIP_LOCKED   /* because another process is at it */
};

struct ship_view {
    struct lane_view lane;
    uint64_t total;   /* bytes of text in all files, as far as is known */
    uint64_t done;    /* of them settled, also by earlier runs */
    uint64_t ms;      /* since it began */
    bool is_stopping; /* by a signal: what is in flight is waited for */
};

struct ship_env {
    const char *trail; /* its name */
    const struct trail_conf *trail_conf;
    const struct conf_output *output;
    char *const *paths;
    size_t n;
    const char *place;   /* directory, made if need be */
    int dead;            /* open, what holds dead/; -1: the place */
    uint64_t give_up_ms; /* 0: never */
    uint64_t drain_ms;
    /* As in lane_env. The parser is closed in any case. */
    const struct parser_ops *parser_ops;
    struct parser *parser;
    void (*print_dead)(void *arg, const struct dead_letter *d, struct buf *out);
    /* Several times a second; `v` is valid until it returns. May be NULL. */
    void (*tick)(void *arg, const struct ship_view *v);
    /* All is settled, and the place not yet forgotten. May be NULL. */
    void (*done)(void *arg);
    /* At a second signal; must not return: threads may be stuck in a write. */
    void (*cut_short)(void);
    void *arg;
};

struct ship_result {
    enum ship_end end;
    struct ship_view view; /* without the text of a trouble: that is in `err` */
    bool went_on;          /* from where an earlier run was */
    bool has_dead;         /* there are dead letters, of this or earlier runs */
    bool has_lost;         /* likewise */
    struct err err;        /* why it did not get to SHIP_DONE */
};

void ship_run(const struct ship_env *env, struct ship_result *result);

#endif
