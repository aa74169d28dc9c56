/* SPDX-License-Identifier: Apache-2.0 */
/*
 * line - the encoding of every output that writes lines: the event, a newline.
 */
#ifndef TALLYMAN_LINE_H
#define TALLYMAN_LINE_H

#include "agent/base/edits.h"
#include "outputs/batch.h"
#include "parsers/event.h"

struct output;

void line_encode(struct output *o, struct batch *b, const struct event *ev,
                 const struct edits *edits);
/* Gives `count` items from `first` on the same verdict. */
void line_verdicts(struct batch *b, uint32_t first, uint32_t count,
                   enum verdict v);

#endif
