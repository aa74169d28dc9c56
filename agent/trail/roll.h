/* SPDX-License-Identifier: Apache-2.0 */
/*
 * roll - the chain as it is remembered across restarts, as text.
 *
 *   tallyman roll 1
 *   file <device inode length hash> <text bytes, or -> <time it was first seen>
 *     <read|rotated|live|cut|given-up>[,lacking] <path>   all in one line
 *   ...                                               oldest first
 *   sum <sha256 of all lines above>
 *
 * "live": it might grow, as what was renamed just now does while its writer has
 * it open; its size then is no end. "lacking": what came between it and the next
 * one is gone, or may be, and not every reader has told of it yet. Files of which
 * nothing is known but an inode are left out.
 *
 * Names alone do not tell the order in which files were written, for a clock
 * may have been set back; nor which of them are gone.
 */
#ifndef TALLYMAN_ROLL_H
#define TALLYMAN_ROLL_H

#include "agent/trail/chain.h"

#define ROLL_MAX (64 * MIB)

void roll_print(struct chain *c, struct buf *out);
/* Fills an empty chain with files that are not found yet; ERR_DAMAGED. */
int roll_parse(struct chain *c, struct span text, struct err *e) MUST_CHECK;

#endif
