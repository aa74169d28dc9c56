/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known - which file of the chain is it that the disk shows? For look.c.
 *
 * A file is known by its inode while we hold it open, else by its inode and its
 * head; another form or a copy of it by its head, its name and its size.
 * Changes nothing in the chain but what it learns of sizes.
 */
#ifndef TALLYMAN_KNOWN_H
#define TALLYMAN_KNOWN_H

#include "agent/trail/listing.h"

/* The file whose open descriptor is that inode: while it is open, no other file
 * can have got it. NULL where there is none. */
struct file *known_held(const struct chain *c, enum form form,
                        const struct stat *st);
/* The one that has that name; `fd` is it, open, unless -1; `seen` its head,
 * where that was read before, else NULL. NULL: none. */
struct file *known_by_name(const struct chain *c, enum form form,
                           const char *path, const struct stat *st, int fd,
                           const struct head *seen);
/* The one whose plain form has the name of that .gz without its ending. */
struct file *known_plain_of(const struct chain *c, const struct entry *gz);
/* One that has the same text as `e`, and no form of that kind at present; the
 * one that was cut, if `e` is its copy. */
struct file *known_by_text(const struct chain *c, const struct file *live,
                           const struct entry *e, const struct head *h);
/* The one that a pin of before the last stop belongs to: the one that has its
 * inode, else one with that text. */
struct file *known_by_pin(const struct chain *c, enum form form,
                          const struct stat *st, int fd);

/* Whether the entry is a mere copy of what is read as well: of the live file,
 * which copytruncate has not cut yet, or of another, made by hand. */
bool known_is_copy(const struct chain *c, const struct live *l,
                   const struct entry *e, const struct head *h);

#endif
