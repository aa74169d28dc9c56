/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tree - a YAML document as nodes that know where they stand in the file.
 *
 * Knows YAML, not options. Aliases share the node of their anchor, so a small
 * file stays a small tree; what it would be without sharing is bounded. Tags
 * and merge keys are refused: they would say in another way what a plain value
 * says already.
 */
#ifndef TALLYMAN_TREE_H
#define TALLYMAN_TREE_H

#include "agent/ops/mistakes.h"

enum node_kind {
    NODE_TEXT,
    NODE_LIST,
    NODE_MAPPING
};

struct node {
    enum node_kind kind;
    struct spot at;
    char *text;           /* of a text; no NUL inside */
    bool nothing;         /* a text that is null, ~ or not there at all */
    struct node **keys;   /* of a mapping; values[i] belongs to keys[i] */
    struct node **values; /* of a mapping or list */
    size_t n;
    size_t weight; /* nodes in it, counting shared ones each time */
    bool complete; /* its end has been read */
};

struct tree;

/* NULL where `text` is not one YAML document; `m` says why. The nodes borrow
 * nothing from `text`. */
struct tree *tree_read(struct span text, struct mistakes *m);
void tree_free(struct tree *t);

const struct node *tree_root(const struct tree *t);
/* The value of the first such key of a mapping, or NULL. */
const struct node *node_find(const struct node *mapping, const char *key);
/* Where that key stands, or `otherwise`. */
struct spot node_key_at(const struct node *mapping, const char *key,
                        struct spot otherwise);
/* "text", "a list", "a mapping". */
const char *node_kind_name(const struct node *node);

#endif
