/* SPDX-License-Identifier: Apache-2.0 */
/*
 * loss - what of a chain cannot be read any more: files that are gone, or that take
 * too much of the disk, and those which came and went before anybody saw them. For
 * look.c, at the end of a look.
 */
#ifndef TALLYMAN_LOSS_H
#define TALLYMAN_LOSS_H

#include "agent/trail/chain.h"

/* Where there is nothing left of a file that somebody has yet to read. */
void loss_note(struct chain *c, struct file *f);
/* Deleted files that are held take up the disk all the same: the oldest are given up
 * where it is more than pin_max_bytes. */
void loss_bound_held(struct chain *c);
/* Where those stood that passed by since the last look, or may have. By then each
 * file has its name, if it has one. */
void loss_note_passers(struct chain *c);

#endif
