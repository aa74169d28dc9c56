/* SPDX-License-Identifier: Apache-2.0 */
/*
 * checkpoint - how far a lane is settled, as a small file of text.
 *
 *   tallyman checkpoint 1
 *   path /var/log/audit.log
 *   file 65024 1234567 512 <sha256 of the head>     device inode length hash
 *   offset 73441
 *   guard 256 <sha256>                               of what lies before it
 *   last 2026-11-23T17:00:03.406123Z                 of the event before it
 *   horizon 67108864                                 see horizon.h, if needed
 *   mark ...                                         of the output, if any
 *   sum <sha256 of all lines above>
 *
 * Reading and writing the text, and comparing it with files. When and by whom
 * it is written is saver's business.
 */
#ifndef TALLYMAN_CHECKPOINT_H
#define TALLYMAN_CHECKPOINT_H

#include "agent/trail/trail.h"

#define CHECKPOINT_MAX (64 * KIB)

struct checkpoint {
    struct buf path; /* where the file was last seen; for people */
    struct identity id;
    uint64_t offset;
    struct guard guard;
    int64_t last_us; /* time of the last event before; CLOCK_NO_TIME */
    bool has_horizon;
    uint64_t horizon;
    struct buf mark; /* of the output; empty: it has none */
};

/* The file, settled up to `offset`. Leaves the rest alone. */
void checkpoint_take(struct checkpoint *c, struct file *f, uint64_t offset);
void checkpoint_free(struct checkpoint *c);

void checkpoint_print(const struct checkpoint *c, struct buf *out);
/* ERR_DAMAGED where it is not what checkpoint_print() made. */
int checkpoint_parse(struct checkpoint *c, struct span text,
                     struct err *e) MUST_CHECK;

/* Reads NAME, else NAME.prev, in the directory `dir`. `*fell_back` says that
 * the newer one was missing or damaged. ERR_MISSING where there is none at all,
 * ERR_DAMAGED where none is whole. */
int checkpoint_load(struct checkpoint *c, int dir, const char *name,
                    bool *fell_back, struct err *e) MUST_CHECK;

#endif
