/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verdict - what a status and an error of a search server mean for an event.
 *
 * Pure. Follows what Elasticsearch 7 to 9 and OpenSearch 1 to 3 were seen to
 * answer.
 */
#ifndef TALLYMAN_VERDICT_H
#define TALLYMAN_VERDICT_H

#include "outputs/elasticsearch/answer.h"
#include "outputs/output.h"

/* Of one item. */
enum verdict verdict_of_item(const struct answer_error *e);
/* Whether an item was not taken because there is too much to do. */
bool verdict_is_busy(const struct answer_error *e);
/* Of a whole request that was answered with this HTTP status and no items. */
enum answer_kind verdict_of_request(unsigned status,
                                    const struct answer_error *e);

#endif
