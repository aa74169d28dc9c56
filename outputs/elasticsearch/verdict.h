/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict - what a status and an error of a search server mean for an event,
 * and what somebody can do about it.
 *
 * One table, pure. Follows what Elasticsearch 7 to 9 and OpenSearch 1 to 3 were
 * seen to answer.
 */
#ifndef TALLYMAN_VERDICT_H
#define TALLYMAN_VERDICT_H

#include "outputs/elasticsearch/answer.h"
#include "outputs/output.h"

struct meaning {
    enum verdict item;      /* of one item with that status and error */
    enum answer_kind whole; /* of a request with that HTTP status, no items */
    const char *topic;      /* the kind of trouble, in fixed words */
    const char *advice;     /* what to do about it; NULL: nothing */
};

/* Never NULL; lives for ever. */
const struct meaning *verdict_meaning(unsigned status,
                                      const struct answer_error *e);

/* Of one item. */
enum verdict verdict_of_item(const struct answer_error *e);
/* Whether an item was not taken because there is too much to do. */
bool verdict_is_busy(const struct answer_error *e);
/* ... for the memory that it needs, so that a smaller request may get through;
 * a queue that is full takes none, however small. */
bool verdict_is_large(const struct answer_error *e);
/* Whether what was answered so, an item or a whole request, and is no verdict
 * may be stored all the same, now or soon. */
bool verdict_is_doubtful(unsigned status);
/* Of a whole request that was answered with this HTTP status and no items. */
enum answer_kind verdict_of_request(unsigned status,
                                    const struct answer_error *e);

#endif
