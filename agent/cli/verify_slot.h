/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_slot - some thousand events on their way to a verdict: one question,
 * and where it is wanted one sending of what is missing, asked for again.
 *
 *   FREE -> FILLING -> ASKING -> FREE                   all are counted
 *              ^         | ^---- WAITING                it is to be tried again
 *              |         +-> SENDING -> ASKING          some are missing
 *
 * For verify_run alone.
 */
#ifndef TALLYMAN_VERIFY_SLOT_H
#define TALLYMAN_VERIFY_SLOT_H

#include "agent/base/edits.h"
#include "agent/cli/verify_run.h"
#include "outputs/elasticsearch/lookup.h"
#include "outputs/output.h"

enum verify_slot_state {
    SLOT_FREE, /* or being filled */
    SLOT_ASKING,
    SLOT_WAITING,
    SLOT_SENDING /* or looking up what may have been stored by that */
};

/* Where an item of a slot comes from; item.place is its number. */
struct verify_origin {
    uint64_t number; /* of the event */
    const char *file;
    uint64_t offset;
    int64_t time_us;
};

struct verify_slot {
    struct verify *v;
    enum verify_slot_state state;
    struct batch batch;
    struct verify_origin origin[LOOKUP_MOST];
    struct lookup *lookup;         /* by place or by search */
    struct lookup *counting;       /* NULL: by search */
    const struct lookup *answered; /* which of them was */
    struct client_request request;
    char *count_path; /* of the index at hand; NULL: none was yet */
    struct send send;
    bool was_asked;    /* what is missing is counted as that */
    bool in_doubt;     /* some of it may be stored all the same: a search has
                        * to come after a refresh */
    uint64_t doubt_ms; /* since then */
    uint32_t limit;    /* most items to send at once; 0: all */
    unsigned attempts; /* in a row that led to nothing */
    uint64_t since_ms; /* the first of these */
    uv_timer_t timer;
};

void verify_slot_open(struct verify_slot *s, struct verify *v);
/* Before the loop is run to its end. */
void verify_slot_stop(struct verify_slot *s);
/* After that. */
void verify_slot_free(struct verify_slot *s);

bool verify_slot_has_room(const struct verify_slot *s);
/* One more; `edits` is room for those of the event. */
void verify_slot_add(struct verify_slot *s, const struct event *ev,
                     const struct verify_origin *from, struct edits *edits);
/* Sets it going; it is free again some time, or v->failed is set. */
void verify_slot_go(struct verify_slot *s);

/* In verify_run.c: */

/* Sets v->failed, once. */
void verify_fail(struct verify *v, const char *why);
/* Nothing is judged any more. */
bool verify_is_over(const struct verify *v);
void verify_keep_missing(struct verify *v, const struct verify_origin *from,
                         struct span action_line);

#endif
