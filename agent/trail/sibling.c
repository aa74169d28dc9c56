/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/sibling.h"

#include <stdio.h>
#include <stdlib.h>

/* Whether `s` looks like `form`, in which 0 stands for a digit. */
static bool has_form(struct span s, const char *form)
{
    if (s.len != strlen(form))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        bool digit = s.at[i] >= '0' && s.at[i] <= '9';

        if (form[i] == '0' ? !digit : s.at[i] != form[i])
            return false;
    }
    return true;
}

static bool all_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9')
            return false;
    }
    return s.len > 0;
}

static bool strip_suffix(struct span *s, const char *suffix)
{
    size_t n = strlen(suffix);

    if (s->len < n || memcmp(s->at + s->len - n, suffix, n) != 0)
        return false;
    s->len -= n;
    return true;
}

static bool strip_prefix(struct span *s, struct span prefix)
{
    if (s->len < prefix.len || memcmp(s->at, prefix.at, prefix.len) != 0)
        return false;
    s->at += prefix.len;
    s->len -= prefix.len;
    return true;
}

static void set_key(struct sibling *sib, enum sibling_kind kind, struct span k)
{
    sib->kind = kind;
    snprintf(sib->key, sizeof(sib->key), "%.*s", (int)k.len, k.at);
}

/* PREFIX-2006-01-02T15-04-05.000EXT, as lumberjack's backupName makes it. */
static bool is_timed(struct span live, struct span name, struct sibling *sib)
{
    const char *dot = memrchr(live.at, '.', live.len);
    const char *ext = dot != NULL ? dot : live.at + live.len;

    if (!strip_suffix(&name, ext) ||
        !strip_prefix(&name, span(live.at, (size_t)(ext - live.at))) ||
        !has_form(name, "-0000-00-00T00-00-00.000"))
        return false;
    set_key(sib, SIBLING_TIMED, span(name.at + 1, name.len - 1));
    return true;
}

static bool is_dated(struct span rest, struct sibling *sib)
{
    struct span more = { rest.at + 10, rest.len > 10 ? rest.len - 10 : 0 };

    if (rest.len > 25 || rest.len < 9 ||
        !has_form(span(rest.at, 9), "-00000000"))
        return false;
    if (rest.len > 9 && (rest.at[9] != '-' || !all_digits(more)))
        return false;
    set_key(sib, SIBLING_DATED, span(rest.at + 1, rest.len - 1));
    return true;
}

/* The higher the number, the older: the key counts down from it. */
static bool is_numbered(struct span rest, struct sibling *sib)
{
    char key[32];

    if (rest.len < 2 || rest.len > 7 || rest.at[0] != '.' ||
        !all_digits(span(rest.at + 1, rest.len - 1)))
        return false;
    snprintf(key, sizeof(key), "%07ld", 9999999 - atol(rest.at + 1));
    set_key(sib, SIBLING_NUMBERED, span(key, strlen(key)));
    return true;
}

struct sibling sibling_of(const char *live, const char *name)
{
    struct span l = { live, strlen(live) }, n = { name, strlen(name) };
    struct sibling sib = { .kind = SIBLING_NONE };
    struct span rest;

    sib.is_gz = strip_suffix(&n, ".gz");
    rest = n;
    if (is_timed(l, n, &sib))
        return sib;
    if (strip_prefix(&rest, l) &&
        (is_dated(rest, &sib) || is_numbered(rest, &sib)))
        return sib;
    return (struct sibling){ .kind = SIBLING_NONE };
}

int sibling_compare(const struct sibling *a, const struct sibling *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return strcmp(a->key, b->key);
}
