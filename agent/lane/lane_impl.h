/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lane_impl - what the parts of a lane share: lane.c (its life), place.c (its
 * checkpoint), load.c (from the trail into shipments), unload.c (from shipments
 * to the output), doubt.c (what may be stored already), view.c (what it says of
 * itself). For nobody else.
 */
#ifndef TALLYMAN_LANE_IMPL_H
#define TALLYMAN_LANE_IMPL_H

#include "agent/base/edits.h"
#include "agent/base/saver.h"
#include "agent/lane/checkpoint.h"
#include "agent/lane/cursor.h"
#include "agent/lane/gap.h"
#include "agent/lane/horizon.h"
#include "agent/lane/lane.h"
#include "agent/lane/pressure.h"
#include "agent/lane/shipment.h"
#include "agent/lane/trouble.h"
#include "parsers/parser.h"

struct lane {
    struct lane_env env;
    char *who;
    char *checkpoint_name;

    /* from the trail */
    struct cursor cursor;
    const struct file *noted; /* where the cursor last was; only compared */
    struct waiter waiter;
    const struct parser_ops *parser_ops;
    struct parser *parser;
    struct event event; /* of the line at hand */
    struct edits edits;
    bool has_line; /* `line` was read but not yet taken */
    enum cursor_what line_what;
    struct line line;
    struct buf gap;  /* the record of one, while it is at hand */
    int64_t last_us; /* time of the last event taken; CLOCK_NO_TIME */
    bool reading;
    bool closing;  /* nothing is read, sent or booked any more */
    bool lingered; /* what is there now goes without waiting */
    bool was_idle; /* nothing had come at the last end */

    /* to the output: first (the oldest) to last; the filling one is not among
     * them until it is sealed */
    struct shipment *first;
    struct shipment *last;
    struct shipment *filling;
    uint64_t room;          /* bytes that the filling one may come to */
    struct shipment *spare; /* settled, to be used again; without bytes */
    struct batch_buffers buffers;
    struct output *output;
    uint64_t in_flight; /* most sendings at once */
    struct pressure pressure;
    uint64_t burying;
    struct trouble trouble;
    bool gone;  /* the output takes nothing any more */
    bool ended; /* so does standard input give nothing: it was told */

    /* to the checkpoint */
    struct saver *saver; /* NULL: standard input has no checkpoint */
    struct buf mark;     /* of the output, as of the low mark */
    bool mark_is_saved;  /* the checkpoint on disk has it */
    bool mark_is_saving; /* the one that is being written has */
    struct file *saved;  /* where the checkpoint on disk is: kept for it */
    struct file *saving; /* where the one that is being written is */
    bool has_checkpoint; /* there is one on disk */
    bool is_headless;    /* it is of an empty file, known by its inode alone */
    bool holds_all;      /* for what may come before that file yet */
    bool barrier;        /* no sending until a checkpoint is saved */
    bool may_repeat;     /* the output may store an event twice */
    struct horizon horizon;

    struct counters count;
    uv_idle_t idle; /* active while there is work at once */
    uv_timer_t linger;
    uv_timer_t retry;
    unsigned handles;
    void (*drained)(void *arg);
    void *drained_arg;
    void (*closed)(void *arg);
    void *closed_arg;
};

/* Runs the lane from the loop, soon. */
void lane_wake(struct lane *l);
bool lane_is_piped(const struct lane *l);
/* All there will ever be was read. */
bool lane_is_at_end(const struct lane *l);

/* Adds the record of an event or line of this lane to `out`. */
void lane_print_dead(const struct lane *l, struct dead_letter *d,
                     struct buf *out);

/* place.c: NULL for standard input, which has no checkpoint. */
struct saver *lane_open_saver(struct lane *l);
/* Puts cursor and output where the last checkpoint left them, or where a new lane
 * begins. ERR_DAMAGED, or ERR_IO from the checkpoint or the output. */
int lane_find_place(struct lane *l, struct err *e) MUST_CHECK;
/* The place has moved: a checkpoint is to be written some time. */
void lane_save(struct lane *l);
/* One is to be written before anything more is sent. */
void lane_raise_barrier(struct lane *l);

/* load.c: reads as much as there is room for, within a budget, or until a request
 * is made: that goes out first. Returns whether there is more to do at once. */
bool lane_load(struct lane *l);
/* It was at the end, and will be woken when there may be more. */
bool lane_expects_nothing(const struct lane *l);
/* Nothing more goes into the shipment that is being filled. */
void lane_seal(struct lane *l);

/* unload.c */
void lane_dispatch(struct lane *l);
void lane_settle_front(struct lane *l);
/* Books what the sending settled; the rest may go at once. */
void lane_book(struct shipment *s);
/* Nothing was settled: all of the lane waits. */
void lane_blocked(struct shipment *s, const struct answer *a);
/* The output's own place, at a moment when it fits the low mark. */
void lane_take_mark(struct lane *l);
/* The first place that is not settled. */
struct low_mark {
    struct file *file; /* NULL: none yet */
    uint64_t offset;
    int64_t last_us; /* time of the last event before it */
    uint64_t passed; /* as horizon.h counts */
};
struct low_mark lane_low_mark(const struct lane *l);

/* doubt.c: `c` is what the lane begins with; a zeroed one where there is no
 * checkpoint. */
void lane_doubts_start(struct lane *l, const struct checkpoint *c,
                       bool fell_back);
/* What of it has no verdict may be stored; the other: by an earlier run. */
void lane_doubt(struct shipment *s);
void lane_doubt_old(struct shipment *s);
void lane_look_up(struct shipment *s);
/* Whether the checkpoint lets it be sent; it is sent. */
bool lane_lets(struct lane *l, const struct shipment *s);
void lane_passes(struct shipment *s);
void lane_print_horizon(struct lane *l, const struct low_mark *m,
                        struct checkpoint *c);
/* No checkpoint can be written where the lane is: it goes on without. */
void lane_skip_horizon(struct lane *l);

#endif
