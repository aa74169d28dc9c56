/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_answer - the body of a _bulk answer when every item was created.
 *
 * What filter_path asks for is in it and nothing else, as Elasticsearch 9
 * does. The items are the same for everybody, so one text of them is kept and
 * only a length is chosen.
 */
#ifndef BENCH_BULK_ANSWER_H
#define BENCH_BULK_ANSWER_H

#include <stddef.h>
#include <stdint.h>

enum answer_part {
    ANSWER_ERRORS = 1,
    ANSWER_TOOK = 2,
    ANSWER_STATUS = 4, /* items, each {"create":{"status":201}} */
    ANSWER_ITEMS = 8,  /* whole items */
    ANSWER_ALL = ANSWER_ERRORS | ANSWER_TOOK | ANSWER_ITEMS,
};

struct answer {
    char head[64];
    size_t head_len;
    const char *items; /* borrowed until the next answer_make */
    size_t items_len;
    const char *tail;
    size_t tail_len;
};

/* Which parts the request line's filter_path lets through. */
unsigned answer_parts(const char *target);

void answer_make(struct answer *a, unsigned parts, uint64_t items,
                 int64_t took_ms);

#endif
