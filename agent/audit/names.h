/* SPDX-License-Identifier: Apache-2.0 */
/*
 * names - the keys of the JSON objects that are open, and what the repeated
 * ones of an object are to be called.
 *
 *   {"a":1,"b":{"c":2,"c":3},"a":4}  ->  {"a#1":1,"b":{"c#1":2,"c":3},"a":4}
 *
 * The last one keeps its name: that is the value the API server obeys. Those
 * before it are numbered by the order of their names; a number that would make
 * a name that is there already is left out. What comes of it has no repeated
 * key. Takes n log n for n keys of an object, whatever they are. Borrows the
 * text; its memory is bounded by the text's length.
 */
#ifndef TALLYMAN_NAMES_H
#define TALLYMAN_NAMES_H

#include <stdint.h>

#include "agent/base/bytes.h"

/* What a number behind a name may take. */
#define NAMES_SUFFIX_MAX 11

struct name {
    uint32_t at; /* of the key in the text, behind its quote */
    uint32_t len;
    uint32_t own; /* in names->store, where the name is not as it is written */
    uint32_t own_len;
    bool in_store;
    bool changed; /* is to be written anew in any case */
};

struct names {
    const char *text;
    struct name *list;
    size_t n;
    size_t cap;
    struct buf store;
    uint32_t *order; /* of an object that is closed, by name */
    size_t order_cap;
};

/* Where an object's names begin. */
struct names_mark {
    size_t n;
    size_t store;
};

/* A zeroed struct names is ready for this. */
void names_start(struct names *t, const char *text);
void names_free(struct names *t);

struct names_mark names_open(const struct names *t);
/* `key` lies in the text; `name` is what it says. */
void names_add(struct names *t, struct span key, struct span name,
               bool changed);
/* Closes the object that was opened last. `rename` is called for each key that
 * is to be written anew, with its name and the number behind it, 0 for none; in
 * no order. */
void names_close(struct names *t, struct names_mark mark,
                 void (*rename)(void *arg, struct span key, struct span name,
                                uint32_t number),
                 void *arg);

#endif
