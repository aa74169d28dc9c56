/* SPDX-License-Identifier: Apache-2.0 */
/*
 * given - files that were named one by one, as a chain that ends.
 *
 *   FILE -> FILE.gz -> ... -> FILE -> an empty file
 *
 * The chain holds exactly these, in the order in which they were given. None
 * is live: each is read to the end it has when a reader comes there, and the
 * empty one says that nothing follows. They are known by what they are, not by
 * their names: nothing is looked for on the disk, remembered or pinned.
 *
 * Thread: loop only.
 */
#ifndef TALLYMAN_GIVEN_H
#define TALLYMAN_GIVEN_H

#include "agent/base/err.h"

struct chain;

/*
 * Opens all of `paths` and puts them into the chain, which is empty. What
 * begins as gzip does is read as such, whatever it is called. A file without a
 * byte is left out, which is said. ERR_MISSING, ERR_IO; ERR_FORMAT: no regular
 * file, or our own output; ERR_BUSY: one file twice; ERR_LIMIT: too many to be open at once. `e`
 * then names it, and the chain is to be freed.
 */
int given_open(struct chain *c, char *const *paths, size_t n,
               struct err *e) MUST_CHECK;

/* Makes a chain that was looked for on the disk into one that ends behind the
 * newest file it has now. */
void given_end(struct chain *c);

#endif
