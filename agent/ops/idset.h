/* SPDX-License-Identifier: Apache-2.0 */
/*
 * idset - ids that were seen, as 8 bytes of a hash of each. That two of a
 * million are taken for one has a chance of 1 to 30 million.
 *
 * Bounded: when it is full, the older half is forgotten.
 */
#ifndef TALLYMAN_IDSET_H
#define TALLYMAN_IDSET_H

#include <stdint.h>

#include "agent/base/bytes.h"

struct idset;

/* `most` ids, a power of two; it grows up to there, 32 bytes for each. */
struct idset *idset_new(size_t most);
void idset_free(struct idset *s);
/* Whether it was there. */
bool idset_add(struct idset *s, struct span id);
bool idset_has(const struct idset *s, struct span id);
/* Whether any was forgotten. */
bool idset_has_forgotten(const struct idset *s);

#endif
