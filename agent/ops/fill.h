/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fill - one mapping of the file read into structs by their option tables.
 *
 * Knows tables and nodes, not which options tallyman has. A mistake is noted
 * and the rest is read on; the field keeps its default.
 */
#ifndef TALLYMAN_FILL_H
#define TALLYMAN_FILL_H

#include "agent/base/opt.h"
#include "agent/ops/tree.h"

#define WHERE_SIZE 200

struct fill_into {
    const struct opt *table;
    void *conf; /* has its defaults already */
};

struct fill {
    struct mistakes *mistakes;
    const char *where; /* "outputs.search"; NULL at the top */
    const char *what;  /* "a trail", "elasticsearch" */
    struct spot at;    /* where the mapping has its name */
    const struct node *node;
    struct fill_into into[4];  /* up to the first without a table */
    const char *const *others; /* keys that the caller reads; or NULL */
    /* Notes what is known about a key that no table has. */
    void (*unknown)(const struct fill *f, const struct node *key);
};

void fill_mapping(const struct fill *f);

/* "outputs.search" + "index"; for keys of the user's choice as well. */
void fill_where(char where[WHERE_SIZE], const char *parent, const char *key);
/* Whether `node` is a mapping, whose keys are all texts and each there once;
 * notes what is not. Only a node that is no mapping makes it false. */
bool fill_is_mapping(struct mistakes *m, const char *where, struct spot at,
                     const struct node *node, const char *of_what);
/* Adds the expanded, NUL-ended text of a value to `out`. `form` says what the
 * value should be: "a size". */
bool fill_text(struct mistakes *m, const char *where, const struct node *node,
               const char *form, struct buf *out);

#endif
