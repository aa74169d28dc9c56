/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/appended.h"

/* Beginnings of events that are tried in a line that cannot be read: each may
 * cost a pass over the rest of it. */
#define BEGINS_MAX 16

size_t appended_find(const struct parser_ops *ops, struct parser *p,
                     struct span line, struct event *ev)
{
    struct span begin = ops->begin;
    size_t at = 0;

    if (begin.len == 0)
        return 0;
    for (unsigned tries = 0; at < line.len && tries < BEGINS_MAX; tries++) {
        const char *found =
            memmem(line.at + at + 1, line.len - at - 1, begin.at, begin.len);

        if (found == NULL)
            return 0;
        at = (size_t)(found - line.at);
        if (ops->run(p, span(found, line.len - at), ev) == 0)
            return at;
    }
    return 0;
}
