/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appended - the event that stands behind half of another, in one line.
 *
 * An API server that was killed in the middle of a line, or had no room for it
 * on the disk, appends the next one to what is there.
 */
#ifndef TALLYMAN_APPENDED_H
#define TALLYMAN_APPENDED_H

#include "parsers/parser.h"

/*
 * Where an event begins that takes up the rest of the line; 0: nowhere. What
 * stands within an event does not: the end of that event comes behind it. Half
 * of one might end with it, but only where nothing was appended: such a line
 * has no newline, and is not to be given here. `ev` is left changed.
 */
size_t appended_find(const struct parser_ops *ops, struct parser *p,
                     struct span line, struct event *ev);

#endif
