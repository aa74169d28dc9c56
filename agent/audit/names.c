/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/names.h"

#include <stdio.h>
#include <stdlib.h>

/* Up to this many, each is compared with each: nearly every object. */
#define FEW 12
/* A large object does not keep its memory. */
#define KEPT (64 * KIB)

void names_start(struct names *t, const char *text)
{
    t->text = text;
    t->n = 0;
    t->store.len = 0;
    if (t->cap * sizeof(*t->list) > KEPT || t->store.cap > KEPT ||
        t->order_cap * sizeof(*t->order) > KEPT) {
        names_free(t);
        t->text = text;
    }
}

void names_free(struct names *t)
{
    free(t->list);
    free(t->order);
    buf_free(&t->store);
    *t = (struct names){ 0 };
}

struct names_mark names_open(const struct names *t)
{
    return (struct names_mark){ t->n, t->store.len };
}

void names_add(struct names *t, struct span key, struct span name, bool changed)
{
    struct name *k;

    if (t->n == t->cap) {
        t->cap = t->cap > 0 ? 2 * t->cap : 64;
        t->list = xrealloc(t->list, t->cap * sizeof(*t->list));
    }
    k = &t->list[t->n++];
    *k = (struct name){
        .at = (uint32_t)(key.at - t->text),
        .len = (uint32_t)key.len,
        .changed = changed,
    };
    if (name.at == key.at)
        return;
    k->in_store = true;
    k->own = (uint32_t)t->store.len;
    k->own_len = (uint32_t)name.len;
    buf_add_span(&t->store, name);
}

static struct span key_of(const struct names *t, const struct name *k)
{
    return span(t->text + k->at, k->len);
}

static struct span name_of(const struct names *t, const struct name *k)
{
    if (k->in_store)
        return span(t->store.at + k->own, k->own_len);
    return key_of(t, k);
}

static int compare(struct span a, struct span b)
{
    if (a.len != b.len)
        return a.len < b.len ? -1 : 1;
    return a.len > 0 ? memcmp(a.at, b.at, a.len) : 0;
}

/* Equal names stay in the order of the text. */
static int by_name(const void *a, const void *b, void *arg)
{
    const struct names *t = arg;
    uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
    int c = compare(name_of(t, &t->list[i]), name_of(t, &t->list[j]));

    return c != 0 ? c : i < j ? -1 : 1;
}

/* The object's names in order, in t->order. */
static void sort(struct names *t, struct names_mark mark)
{
    size_t n = t->n - mark.n;

    if (n > t->order_cap) {
        t->order_cap = t->cap; /* no object has more */
        t->order = xrealloc(t->order, t->order_cap * sizeof(*t->order));
    }
    for (size_t i = 0; i < n; i++)
        t->order[i] = (uint32_t)(mark.n + i);
    qsort_r(t->order, n, sizeof(*t->order), by_name, t);
}

static bool are_same(const struct names *t, const struct name *a,
                     const struct name *b)
{
    return compare(name_of(t, a), name_of(t, b)) == 0;
}

static bool any_repeated(struct names *t, struct names_mark mark)
{
    size_t n = t->n - mark.n;

    if (n > FEW) {
        sort(t, mark);
        for (size_t i = 1; i < n; i++) {
            if (are_same(t, &t->list[t->order[i - 1]], &t->list[t->order[i]]))
                return true;
        }
        return false;
    }
    for (size_t i = mark.n; i < t->n; i++) {
        for (size_t j = mark.n; j < i; j++) {
            if (are_same(t, &t->list[i], &t->list[j]))
                return true;
        }
    }
    return false;
}

/* Whether the object, which is sorted, has `name` followed by the number. */
static bool is_taken(const struct names *t, size_t n, struct span name,
                     uint32_t number)
{
    char suffix[NAMES_SUFFIX_MAX + 1];
    size_t len = (size_t)snprintf(suffix, sizeof(suffix), "#%u", number);
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = (low + high) / 2;
        struct span other = name_of(t, &t->list[t->order[mid]]);
        int c;

        if (other.len != name.len + len)
            c = other.len < name.len + len ? -1 : 1;
        else if ((c = compare(span(other.at, name.len), name)) == 0)
            c = memcmp(other.at + name.len, suffix, len);
        if (c == 0)
            return true;
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return false;
}

void names_close(struct names *t, struct names_mark mark,
                 void (*rename)(void *arg, struct span key, struct span name,
                                uint32_t number),
                 void *arg)
{
    size_t n = t->n - mark.n;
    uint32_t number = 0; /* one for the object: names never meet */

    if (n > 1 && any_repeated(t, mark)) {
        if (n <= FEW)
            sort(t, mark); /* else it is */
        for (size_t i = 0; i + 1 < n; i++) {
            struct name *k = &t->list[t->order[i]];

            if (!are_same(t, k, &t->list[t->order[i + 1]]))
                continue;
            while (is_taken(t, n, name_of(t, k), ++number))
                ;
            rename(arg, key_of(t, k), name_of(t, k), number);
            k->changed = false;
        }
    }
    for (size_t i = mark.n; i < t->n; i++) {
        const struct name *k = &t->list[i];

        if (k->changed)
            rename(arg, key_of(t, k), name_of(t, k), 0);
    }
    t->n = mark.n;
    t->store.len = mark.store;
}
