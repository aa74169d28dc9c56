/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/edits.h"

#include <stdlib.h>

void edits_start(struct edits *e, struct span text)
{
    e->text = text;
    e->n = 0;
    e->store.len = 0;
}

void edits_free(struct edits *e)
{
    free(e->list);
    buf_free(&e->store);
    *e = (struct edits){ 0 };
}

/* Whether `e` goes before `other`. At one place an insert stands before what is
 * taken away there; of two inserts the first comer does. */
static bool goes_before(const struct edit *e, const struct edit *other)
{
    if (e->at != other->at)
        return e->at < other->at;
    return e->len == 0 && other->len > 0;
}

/* Whether `inner` is swallowed by the cut or replace `outer`: it lies within,
 * and an insert lies behind its first byte and before its last. */
static bool swallows(const struct edit *outer, const struct edit *inner)
{
    size_t end = outer->at + outer->len;

    if (inner->len == 0)
        return inner->at > outer->at && inner->at < end;
    return inner->at >= outer->at && inner->at + inner->len <= end;
}

static bool overlaps(const struct edit *a, const struct edit *b)
{
    return a->len > 0 && b->len > 0 && a->at < b->at + b->len &&
           b->at < a->at + a->len;
}

static void make_room(struct edits *e)
{
    if (e->n < e->cap)
        return;
    e->cap = e->cap > 0 ? 2 * e->cap : 16;
    e->list = xrealloc(e->list, e->cap * sizeof(*e->list));
}

/* Removes what `fresh` swallows; true where an earlier edit swallows it. */
static bool settle_with_others(struct edits *e, const struct edit *fresh)
{
    size_t kept = 0;

    for (size_t i = 0; i < e->n; i++) {
        const struct edit *old = &e->list[i];

        if (old->len > fresh->len && swallows(old, fresh))
            return true; /* nothing was removed: it cannot hold both */
        if (swallows(fresh, old))
            continue;
        if (overlaps(fresh, old))
            abort();
        e->list[kept++] = *old;
    }
    e->n = kept;
    return false;
}

/* Whether all others end before `fresh`: nothing to settle, and its place is
 * the last. */
static bool is_behind_all(const struct edits *e, const struct edit *fresh)
{
    const struct edit *last;

    if (e->n == 0)
        return true;
    last = &e->list[e->n - 1];
    return last->at + last->len <= fresh->at;
}

/* Puts `fresh` into its place in the order. */
static void add(struct edits *e, struct edit fresh, struct span with)
{
    size_t i;

    if (fresh.at > e->text.len || fresh.len > e->text.len - fresh.at)
        abort();
    if (!is_behind_all(e, &fresh) && settle_with_others(e, &fresh))
        return;
    fresh.with = e->store.len;
    fresh.with_len = with.len;
    make_room(e);
    for (i = e->n; i > 0 && goes_before(&fresh, &e->list[i - 1]); i--)
        e->list[i] = e->list[i - 1];
    e->list[i] = fresh;
    e->n++;
    buf_add_span(&e->store, with);
}

static size_t place_of(const struct edits *e, const char *at)
{
    if (at < e->text.at)
        abort();
    return (size_t)(at - e->text.at);
}

void edits_insert(struct edits *e, const char *at, struct span with)
{
    if (with.len > 0)
        add(e, (struct edit){ .at = place_of(e, at) }, with);
}

void edits_replace(struct edits *e, struct span what, struct span with)
{
    if (what.len > 0)
        add(e, (struct edit){ .at = place_of(e, what.at), .len = what.len },
            with);
    else
        edits_insert(e, what.at, with);
}

void edits_cut(struct edits *e, struct span what)
{
    edits_replace(e, what, SPAN(""));
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The place before `at`, or behind it, where spaces end. */
static size_t spaces_before(const struct edits *e, size_t at)
{
    while (at > 0 && is_space(e->text.at[at - 1]))
        at--;
    return at;
}

static size_t spaces_behind(const struct edits *e, size_t at)
{
    while (at < e->text.len && is_space(e->text.at[at]))
        at++;
    return at;
}

static bool comma_before(const struct edits *e, size_t at)
{
    return at > 0 && e->text.at[at - 1] == ',';
}

static bool comma_behind(const struct edits *e, size_t at)
{
    return at < e->text.len && e->text.at[at] == ',';
}

/* Where a neighbour was cut already, both become one cut. */
static void join_neighbours(struct edits *e, size_t *from, size_t *to)
{
    size_t before = spaces_before(e, *from), behind = spaces_behind(e, *to);
    size_t end = 0, start = 0;

    if (comma_before(e, before))
        end = spaces_before(e, before - 1);
    if (comma_behind(e, behind))
        start = spaces_behind(e, behind + 1);
    for (size_t i = 0; i < e->n; i++) {
        const struct edit *d = &e->list[i];

        if (d->core_end == 0)
            continue;
        if (d->core_end == end)
            *from = d->core_at;
        else if (start != 0 && d->core_at == start)
            *to = d->core_end;
    }
}

/* The comma before goes along; the first member has none and takes the one
 * behind. */
void edits_cut_member(struct edits *e, struct span what)
{
    struct edit d = { .core_at = place_of(e, what.at) };
    size_t from, to;

    d.core_end = d.core_at + what.len;
    if (what.len == 0 || d.core_end > e->text.len)
        abort();
    join_neighbours(e, &d.core_at, &d.core_end);
    from = spaces_before(e, d.core_at);
    to = spaces_behind(e, d.core_end);
    if (comma_before(e, from))
        from--, to = d.core_end;
    else if (comma_behind(e, to))
        from = d.core_at, to++;
    else
        from = d.core_at, to = d.core_end;
    d.at = from;
    d.len = to - from;
    add(e, d, SPAN(""));
}
size_t edits_size(const struct edits *e)
{
    size_t size = e->text.len;

    for (size_t i = 0; i < e->n; i++)
        size = size - e->list[i].len + e->list[i].with_len;
    return size;
}

static char *put(char *out, const char *at, size_t n)
{
    if (n > 0)
        memcpy(out, at, n);
    return out + n;
}

size_t edits_apply(const struct edits *e, char *out)
{
    const char *begin = out;
    size_t from = 0;

    for (size_t i = 0; i < e->n; i++) {
        const struct edit *d = &e->list[i];

        out = put(out, e->text.at + from, d->at - from);
        if (d->with_len > 0)
            out = put(out, e->store.at + d->with, d->with_len);
        from = d->at + d->len;
    }
    out = put(out, e->text.at + from, e->text.len - from);
    return (size_t)(out - begin);
}
