/* SPDX-License-Identifier: Apache-2.0 */
/*
 * edits - a text and a few changes to it, carried out in one copy.
 *
 *   text:    {"level":"Metadata","requestObject":{...},"stage":"..."}
 *             ^ insert           |---- replace/cut ---|
 *   out:     what lies between the edits, with the edits' own bytes
 *
 * Edits may come in any order. Inserts at one place keep the order in which
 * they came. A cut or replace swallows every edit that lies within it; one
 * that overlaps another only in part is a bug and aborts. Borrows the text;
 * copies replacement bytes. Allocates only to grow.
 */
#ifndef TALLYMAN_EDITS_H
#define TALLYMAN_EDITS_H

#include "agent/base/bytes.h"

struct edit {
    size_t at;   /* in the text */
    size_t len;  /* of the text that goes; 0: an insert */
    size_t with; /* in edits->store */
    size_t with_len;
    size_t core_at;  /* of members cut: what was cut but for its comma */
    size_t core_end; /* 0: not that kind */
};

struct edits {
    struct span text;
    struct edit *list;
    size_t n;
    size_t cap;
    struct buf store;
};

/* A zeroed struct edits is ready for this. */
void edits_start(struct edits *e, struct span text);
void edits_free(struct edits *e);

void edits_insert(struct edits *e, const char *at, struct span with);
void edits_replace(struct edits *e, struct span what, struct span with);
void edits_cut(struct edits *e, struct span what);
/* Cuts a member out of an object or an element out of an array, together with
 * the comma that is no longer needed; `what` is `"key":value` or the element.
 * Any number of them, in any order: what stays is JSON. */
void edits_cut_member(struct edits *e, struct span what);

/* The exact length of the result. */
size_t edits_size(const struct edits *e);
/* Writes the result to `out`, which has room; returns its length. */
size_t edits_apply(const struct edits *e, char *out);

#endif
