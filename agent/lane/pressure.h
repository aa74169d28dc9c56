/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pressure - how much an output is asked to take: how many requests may be
 * under way, and how large one may be. Both are learnt from the answers.
 *
 *   window, 1 to most:
 *     +1  for each request taken, up to where it last worked (`steady`);
 *         from there on for a window full of them
 *     /2  it is busy, or its answers come ever later
 *     =1  it is not to be had: one request tries
 *
 *   limit, bytes of a request:
 *     /2  too large, or busy twice with nothing else under way
 *     x2  when one request that was larger was taken. It is tried at once where
 *         nothing speaks against it, else after ever more of those that fit
 *
 * A slow server is no busy one: what counts is how much later an answer comes
 * than the soonest of late to a request of like size. At four times that, three
 * quarters of what is under way only waits in line, so half of it can go.
 *
 * Pure arithmetic: no clock, no loop. Times in ms from any one clock.
 */
#ifndef TALLYMAN_PRESSURE_H
#define TALLYMAN_PRESSURE_H

#include <stdbool.h>
#include <stdint.h>

#define PRESSURE_ANY UINT64_MAX
/* By powers of 4, from 4 KiB on. */
#define PRESSURE_SIZES 8

/* Of one request, from pressure_sent() to the call that ends it. */
struct ticket {
    uint64_t number;
    uint64_t bytes;
    uint32_t items;
    uint64_t at_ms;
    bool alone; /* nothing else was under way */
    bool probe; /* larger than the limit, to see */
};

/* The soonest answers, of this epoch and of the one before. */
struct soonest {
    uint64_t now;
    uint64_t before;
};

struct pressure {
    uint64_t most;
    uint64_t window;
    uint64_t steady;
    uint64_t under_way;
    uint64_t reached; /* most under way since the last cut */
    uint64_t taken;   /* since the window changed */
    uint64_t late;    /* answers in a row that came late */
    uint64_t sent;    /* requests, in all */
    uint64_t cut;     /* number of the first one after the last cut */

    uint64_t whole;   /* bytes: from here on the limit is none */
    uint64_t limit;   /* PRESSURE_ANY: none */
    uint64_t ceiling; /* so many were too much; PRESSURE_ANY: not known */
    unsigned busy;    /* in a row, with one alone */
    bool probing;
    uint64_t probe_in; /* requests to be taken before the next probe */
    uint64_t patience; /* what that is when the ceiling is to be tried */

    uint64_t epoch_ms;
    struct soonest soonest[PRESSURE_SIZES];
};

/* At most so many requests at once; nobody makes one of more than `whole`
 * bytes, but for a single large item. */
void pressure_init(struct pressure *p, uint64_t most, uint64_t whole);

/* Whether one more may go now. */
bool pressure_is_open(const struct pressure *p);
/* Bytes that the next request may have, unless it is a single item. */
uint64_t pressure_limit(const struct pressure *p);

void pressure_sent(struct pressure *p, struct ticket *t, uint64_t bytes,
                   uint32_t items, uint64_t now_ms);
/* Exactly one of these for each that was sent. */
void pressure_taken(struct pressure *p, const struct ticket *t,
                    uint64_t now_ms);
void pressure_busy(struct pressure *p, const struct ticket *t);
/* Busy, but some of it was taken: it is not too large. */
void pressure_partly(struct pressure *p, const struct ticket *t);
void pressure_too_large(struct pressure *p, const struct ticket *t);
/* The output is not to be had. */
void pressure_down(struct pressure *p, const struct ticket *t);
/* The answer says nothing about how much it takes. */
void pressure_nothing(struct pressure *p, const struct ticket *t);

#endif
