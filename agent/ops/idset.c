/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/ops/idset.h"

#include <stdlib.h>

#define FIRST_SLOTS 1024

/* Open addressing, at most half full; 0 is an empty slot. */
struct table {
    uint64_t *slots;
    size_t nslots;
    size_t n;
};

struct idset {
    size_t most; /* of each half */
    struct table now;
    struct table before;
    bool has_forgotten;
};

struct idset *idset_new(size_t most)
{
    struct idset *s = xcalloc(1, sizeof(*s));

    s->most = most / 2;
    return s;
}

void idset_free(struct idset *s)
{
    if (s == NULL)
        return;
    free(s->now.slots);
    free(s->before.slots);
    free(s);
}

/* FNV-1a, and then mixed, for the low bits choose the slot. */
static uint64_t key_of(struct span id)
{
    uint64_t h = UINT64_C(14695981039346656037);

    for (size_t i = 0; i < id.len; i++)
        h = (h ^ (unsigned char)id.at[i]) * UINT64_C(1099511628211);
    h ^= h >> 32;
    return h != 0 ? h : 1;
}

static uint64_t *find(const struct table *t, uint64_t key)
{
    size_t i = key & (t->nslots - 1);

    while (t->slots[i] != 0 && t->slots[i] != key)
        i = (i + 1) & (t->nslots - 1);
    return &t->slots[i];
}

static bool has(const struct table *t, uint64_t key)
{
    return t->n > 0 && *find(t, key) == key;
}

static void grow(struct table *t)
{
    struct table old = *t;

    t->nslots = old.nslots > 0 ? 2 * old.nslots : FIRST_SLOTS;
    t->slots = xcalloc(t->nslots, sizeof(*t->slots));
    for (size_t i = 0; i < old.nslots; i++) {
        if (old.slots[i] != 0)
            *find(t, old.slots[i]) = old.slots[i];
    }
    free(old.slots);
}

/* The older half goes. */
static void turn_over(struct idset *s)
{
    s->has_forgotten |= s->before.n > 0;
    free(s->before.slots);
    s->before = s->now;
    s->now = (struct table){ 0 };
}

bool idset_add(struct idset *s, struct span id)
{
    uint64_t key = key_of(id);

    if (has(&s->now, key) || has(&s->before, key))
        return true;
    if (s->now.n == s->most)
        turn_over(s);
    if (2 * (s->now.n + 1) > s->now.nslots)
        grow(&s->now);
    *find(&s->now, key) = key;
    s->now.n++;
    return false;
}

bool idset_has(const struct idset *s, struct span id)
{
    uint64_t key = key_of(id);

    return has(&s->now, key) || has(&s->before, key);
}

bool idset_has_forgotten(const struct idset *s)
{
    return s->has_forgotten;
}
