/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan - one yajl pass over a line that holds one JSON object.
 *
 * Notes where the values of wanted members lie, at depth one and, for some, at
 * depth two. Strings are never decoded, numbers never read. Inside everything
 * else yajl only counts brackets: its callbacks are switched off there.
 *
 * One handle serves all lines (yajl_allow_multiple_values); an error is for
 * good, so after one the next line gets a new handle. UTF-8 is not checked:
 * real logs hold what is none (a patch body's raw bytes), and such an event is
 * to be kept.
 */
#ifndef TALLYMAN_SCAN_H
#define TALLYMAN_SCAN_H

#include "agent/base/err.h"
#include "parsers/event.h"

/* What to look for: rows of depth one, each with a table of its members. */
struct scan_key {
    struct span key;
    enum event_field field;
    const struct scan_key *members; /* NULL: not looked into */
};

#define SCAN_END                         \
    {                                    \
        { NULL, 0 }, EVENT_NFIELDS, NULL \
    }

/* Deeper nesting is refused. Go's own limit, so the API server's too. */
#define SCAN_MAX_DEPTH 10000

struct scan;

struct scan *scan_new(const struct scan_key *keys);
void scan_free(struct scan *s);

/* Fills all of `ev` but its time. ERR_FORMAT or ERR_LIMIT where the line is not
 * one JSON object; scan_why() has the reason then. Of a repeated key the first
 * one counts. */
int scan_line(struct scan *s, struct span line, struct event *ev) MUST_CHECK;
const char *scan_why(const struct scan *s);

/* A string value's inside, where it needs no decoding; else empty. */
struct span scan_plain_string(struct span value);

#endif
