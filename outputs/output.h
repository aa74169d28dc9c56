/* SPDX-License-Identifier: Apache-2.0 */
/*
 * output - encodes events into a batch, sends batches, reports verdicts.
 *
 * An output knows nothing of retry, backoff, offsets, checkpoints or other
 * outputs: the lane decides. One instance belongs to one lane. Everything runs
 * on the loop's thread.
 */
#ifndef TALLYMAN_OUTPUT_H
#define TALLYMAN_OUTPUT_H

#include <uv.h>

#include "agent/audit/shape.h"
#include "agent/base/opt.h"
#include "outputs/batch.h"
#include "parsers/event.h"

struct output;
struct edits;
struct send;

enum answer_kind {
    /* Every item has a verdict; those without one count as RETRY. */
    ANSWER_ITEMS,
    /* Nothing was taken, and it is not these items' fault: cannot reach it,
     * not allowed, read-only, disk full. Wait, say so, try again. */
    ANSWER_BLOCKED,
    /* Busy: as BLOCKED, but a smaller request may get through. */
    ANSWER_BUSY,
    /* Too large: send fewer bytes, now and later; an item alone is refused. */
    ANSWER_LARGE,
    /* One of these items cannot be taken, and spoils it for all: send fewer of
     * them; an item alone is refused. */
    ANSWER_SPLIT,
    /* It will never take anything again (the reader of a pipe has gone). */
    ANSWER_GONE
};

struct answer {
    enum answer_kind kind;
    unsigned status;         /* HTTP status or errno, 0 where neither */
    uint64_t retry_after_ms; /* 0: the lane's own backoff */
    const char *why;         /* for people; borrowed during the call */
    /* What kind of trouble `why` tells of, in words that do not change from one
     * request to the next: each kind is said once. NULL: `why` itself. */
    const char *topic;
    bool busy;               /* ITEMS: some were left because it is busy, */
    bool large;              /* and a smaller request may get through */
    bool again; /* ITEMS: those left were changed; they may go at once */
    /* What has no final verdict may have been taken all the same. */
    bool doubt;
    /* Do not send again before a checkpoint holds what was settled so far. */
    bool checkpoint_first;
};

/* One sending of consecutive items. The lane owns it; from send() until
 * `answered` it and the batch belong to the output, which may hold the bytes in
 * any form in between, but gives back those of unsettled and refused items. */
struct send {
    struct batch *batch;
    uint32_t first;
    uint32_t count;
    uint64_t since_ms; /* of look_up(): uv_now() when the doubt came up; 0: it
                        * is from before this output was opened */
    void (*answered)(struct send *s, const struct answer *a);
    void *own; /* of the output */
};

struct output_env {
    uv_loop_t *loop;
    const char *who;    /* for log lines; lives as long as the lane */
    uint64_t in_flight; /* how many sends may be under way at once */
    struct batch_buffers *buffers; /* of the lane */
};

struct output_ops {
    const char *name;
    const char *help; /* one sentence */
    const struct opt *opts;
    size_t conf_size;
    uint64_t max_in_flight; /* 0: any number; 1: order matters */
    enum shape shape;       /* what is done to an event before encode() */

    /* What no option can say alone, as "username needs a password"; NULL where
     * nothing is wrong. Opens nothing. May be NULL. */
    const char *(*check)(const void *conf);
    /* `conf` lives as long as the output. NULL with `e` set. */
    struct output *(*open)(const struct output_env *env, const void *conf,
                           struct err *e);
    /* What mark() gave when the checkpoint was written, or empty at the first
     * start. Called once, before all else. May be NULL. */
    int (*resume)(struct output *o, struct span mark, struct err *e);
    /* Appends exactly one item to the batch. Cannot fail. */
    void (*encode)(struct output *o, struct batch *b, const struct event *ev,
                   const struct edits *edits);
    /* The id an item has at the output, for its dead letter. May be NULL. */
    struct span (*id_of)(const struct batch *b, uint32_t i);
    /* Answers later, exactly once, never from within. */
    void (*send)(struct output *o, struct send *s);
    /* Whether an event that is sent once more may be there twice. NULL: never.
     * Then look_up() is called instead of send(), for items that are in doubt:
     * it answers with ANSWER_ITEMS once those that are there have their verdict
     * DUPLICATE and no other is, or that it could not be found out. */
    bool (*may_repeat)(const struct output *o);
    void (*look_up)(struct output *o, struct send *s);
    /* Adds what has to be known to resume after the last settled send; one
     * line without newline. May be NULL. */
    void (*mark)(struct output *o, struct buf *line);
    /* Nothing is under way and nothing came for a while: gives memory back that
     * is only kept for speed. May be NULL. */
    void (*rest)(struct output *o);
    /* Stops now: sends under way are never answered. `closed` runs on the loop
     * once no callback can reach the output any more. */
    void (*close)(struct output *o, void (*closed)(void *arg), void *arg);
};

/* Every output there is, NULL-ended. */
extern const struct output_ops *const outputs[];
extern const char *const output_names[];
/* NULL where there is none of that name. */
const struct output_ops *outputs_find(const char *name);

#endif
