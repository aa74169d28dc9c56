/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane - carries one trail to one output.
 *
 *   cursor -> line -> parser -> shape -> shipment -> output
 *      ^                                    |
 *      +--- checkpoint <- oldest open <- verdicts
 *
 * Owns the cursor, the shipments, retry and backoff, dead letters and the
 * checkpoint, which a lane of standard input has not. The only room that decides:
 * trails, parsers and outputs know nothing of each other. Lanes share nothing but
 * the loop and the trail's open files, so one that is stuck never holds up
 * another.
 */
#ifndef TALLYMAN_LANE_H
#define TALLYMAN_LANE_H

#include "agent/lane/counters.h"
#include "agent/lane/lane_conf.h"
#include "agent/trail/trail.h"
#include "outputs/output.h"

struct lane;
struct dead_letter;
struct parser;
struct parser_ops;

struct lane_env {
    uv_loop_t *loop;
    int state; /* the directory of its checkpoint, open */
    int dead;  /* the one that holds dead/, open; may be the same */
    struct trail *trail;
    const char *output; /* its name */
    const struct output_ops *ops;
    const void *output_conf;
    const struct lane_conf *conf;
    /* Instead of the trail's parser: opened, and closed with the lane. NULL:
     * that. */
    const struct parser_ops *parser_ops;
    struct parser *parser;
    /* Instead of dead_print(), on the loop. NULL: that. */
    void (*print_dead)(void *arg, const struct dead_letter *d, struct buf *out);
    /* The output will never take anything again. */
    void (*gone)(void *arg);
    /* The trail has ended, and all of it is settled. NULL: it never does. */
    void (*ended)(void *arg);
    void *arg;
};

/* Opens the output; NULL with `e` set. What `env` points at is borrowed until
 * the lane is closed. */
struct lane *lane_open(const struct lane_env *env, struct err *e);
/* Loads the checkpoint; from now on it reads. ERR_DAMAGED, or ERR_IO from the
 * checkpoint or the output; the lane is then to be closed. */
int lane_start(struct lane *l, struct err *e) MUST_CHECK;
/* Reads no more, of standard input only what has come; `drained` once all is
 * settled, perhaps never. */
void lane_drain(struct lane *l, void (*drained)(void *arg), void *arg);
/* Writes the last checkpoint and closes the output; sendings under way are
 * given up. `closed` on the loop, then it is gone. */
void lane_close(struct lane *l, void (*closed)(void *arg), void *arg);

/* How it stands. */
struct lane_view {
    struct counters count;
    uint64_t in_flight;   /* events */
    struct trail_lag lag; /* of what is settled */
    const char *trouble;  /* why nothing is taken; NULL: all is well */
    uint64_t trouble_ms;  /* for so long */
};
void lane_look(const struct lane *l, struct lane_view *view);
const char *lane_who(const struct lane *l);
/* Says what was read but not settled, if anything was. */
void lane_log_left_behind(const struct lane *l);
/* The books, as one log line. */
void lane_log_counters(const struct lane *l);

#endif
