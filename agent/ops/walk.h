/* SPDX-License-Identifier: Apache-2.0 */
/*
 * walk - the events of a trail that ends, from its first line to its last,
 * taken apart as a lane does. Reads only: it has no place, state or output.
 *
 * Of a trail that is still written (trail_end_here()) what was whole when the
 * walk began is walked; the half line behind it is no part of it.
 */
#ifndef TALLYMAN_WALK_H
#define TALLYMAN_WALK_H

#include "agent/lane/cursor.h"
#include "parsers/parser.h"

enum walk_what {
    WALK_EVENT,    /* `event`, at `offset` of `file` */
    WALK_NO_EVENT, /* a line that a lane would put into quarantine */
    WALK_GAP,      /* what is lost: see `cursor.gap` */
    WALK_MORE,     /* nothing at present: come back */
    WALK_FAILED,   /* the file cannot be read: come back, or give up */
    WALK_END
};

struct walk {
    struct cursor cursor;
    const struct parser_ops *parser_ops;
    struct parser *parser;
    bool is_live; /* the last file may be growing */
    struct file *last;
    uint64_t last_size; /* of its text, as the walk began */

    /* of what walk_next() gave; valid until the next one */
    struct file *file;
    uint64_t offset; /* of the event, or the line */
    struct event event;

    struct line line;
    size_t rest; /* where an event begins that was appended to half of another,
                  * which is dealt with; 0: there is none */
};

/* `t` has an end; it is walked once. `is_live`: it is not of files that were
 * given. */
void walk_open(struct walk *w, struct trail *t, bool is_live);
void walk_close(struct walk *w);
enum walk_what walk_next(struct walk *w);

#endif
