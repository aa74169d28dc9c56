/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parser - says where things are in a line, in one pass, copying nothing.
 *
 * A parser knows bytes: not files, not outputs. One instance serves all lines
 * of a lane and allocates nothing per line once it has warmed up. A line that
 * is refused leaves no trace in it.
 */
#ifndef TALLYMAN_PARSER_H
#define TALLYMAN_PARSER_H

#include "agent/base/err.h"
#include "parsers/event.h"

struct parser;

struct parser_ops {
    const char *name;
    const char *help; /* one sentence */
    /* How its writer begins each event, and a client no string: so one that was
     * appended to half of another is found. Empty: it is not to be told. */
    struct span begin;
    struct parser *(*open)(void);
    /* 0 with `ev` filled, or ERR_FORMAT / ERR_LIMIT; then parser_why() has
     * the reason. */
    int (*run)(struct parser *p, struct span line, struct event *ev);
    /* Why the last line was refused; valid until the next one. */
    const char *(*why)(const struct parser *p);
    void (*close)(struct parser *p);
};

/* Every parser there is, NULL-ended; in the order of parser_names. */
extern const struct parser_ops *const parsers[];
extern const char *const parser_names[];

#endif
