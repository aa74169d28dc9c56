/* SPDX-License-Identifier: Apache-2.0 */
/*
 * answer - reads what a search server answers to a bulk request, as it arrives.
 *
 *   {"took":3,"errors":true,"items":[{"create":{"status":201}},
 *    {"create":{"status":400,"error":{"type":"...","reason":"..."}}}]}
 *   {"error":{"type":"...","reason":"..."},"status":403}        or "error":"..."
 *
 * Keys come in any order, unknown ones are passed over. What a data stream's
 * failure store has taken ("failure_store":"used", with a 201) is told as an
 * error: it is not in the stream. Knows nothing of HTTP,
 * batches or what a status means. Bounded: texts are cut.
 */
#ifndef TALLYMAN_ANSWER_H
#define TALLYMAN_ANSWER_H

#include <stdint.h>

#include "agent/base/bytes.h"

#define ANSWER_TYPE_MAX   96
#define ANSWER_REASON_MAX 512

/* The type of that error, whose status is 400. */
#define ANSWER_FAILURE_STORE "failure_store"

struct answer_error {
    unsigned status; /* 0: it did not say */
    char type[ANSWER_TYPE_MAX];
    char reason[ANSWER_REASON_MAX];
};

struct answer_reader;

/* `item` is called for each item in its order, from answer_feed(). */
struct answer_reader *answer_new(void (*item)(void *arg, uint32_t i,
                                              const struct answer_error *e),
                                 void *arg);
void answer_free(struct answer_reader *a);
void answer_start(struct answer_reader *a);
void answer_feed(struct answer_reader *a, const char *bytes, size_t n);
/* Whether all that came was one whole JSON object. */
bool answer_end(struct answer_reader *a);

/* After answer_end(): */
uint32_t answer_items(const struct answer_reader *a);
bool answer_has_items(const struct answer_reader *a);
/* Of the whole request: type and reason, empty where there is none. */
const struct answer_error *answer_whole(const struct answer_reader *a);
/* How it began, for people: to be shown where it was no JSON. */
struct span answer_begin(const struct answer_reader *a);

#endif
