/* SPDX-License-Identifier: Apache-2.0 */
/*
 * repair - documents changed so that the server takes them: those that show at
 * once that they need it, and those that a server has refused.
 *
 * What is to be changed is agent/audit/accept.h; this decides when. A document
 * that is refused is changed and sent again; one that needs no change, as is
 * every one that was changed, stays refused. So it ends, after three times at
 * most: the last steps cut long values, which is done only where a server has
 * said that it takes none.
 */
#ifndef TALLYMAN_REPAIR_H
#define TALLYMAN_REPAIR_H

#include "outputs/batch.h"
#include "parsers/event.h"

struct repair;

struct repair *repair_new(void);
void repair_free(struct repair *r);

/* Looks at the item that was added last, which was made of `ev`. */
void repair_new_item(struct repair *r, struct batch *b, const struct event *ev);
/* Takes the verdict back of each item from `first` on that is refused for what
 * its document is, and has got another one now; returns how many. */
uint32_t repair_refused(struct repair *r, struct batch *b, uint32_t first,
                        uint32_t count);

#endif
