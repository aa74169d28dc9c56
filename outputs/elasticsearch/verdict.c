/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/verdict.h"

static bool is_block(const struct answer_error *e)
{
    return strcmp(e->type, "cluster_block_exception") == 0;
}

enum verdict verdict_of_item(const struct answer_error *e)
{
    if (e->status >= 200 && e->status < 300)
        return VERDICT_DELIVERED;
    if (e->status == 409)
        return VERDICT_DUPLICATE;
    /* Not allowed, or the index is read-only: the event is not at fault. */
    if (e->status == 401 || e->status == 403 || is_block(e))
        return VERDICT_RETRY;
    if (e->status == 408 || e->status == 429 || e->status < 400 ||
        e->status >= 500)
        return VERDICT_RETRY;
    return VERDICT_REFUSED;
}

bool verdict_is_busy(const struct answer_error *e)
{
    return e->status == 429 && !is_block(e);
}

enum answer_kind verdict_of_request(unsigned status,
                                    const struct answer_error *e)
{
    if (is_block(e))
        return ANSWER_BLOCKED;
    switch (status) {
    case 413: /* too large, after unpacking */
        return ANSWER_LARGE;
    case 400: /* one bad neighbour spoils all; not so where it
                               is not the server that says so */
        return e->type[0] != '\0' ? ANSWER_SPLIT : ANSWER_BLOCKED;
    case 429: /* busy, or for ever too large: both are met */
        return ANSWER_BUSY;
    default: /* redirects, 401, 403, 404, 5xx: none drops */
        return ANSWER_BLOCKED;
    }
}
