/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/sibling.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define TAIL_DIGITS 15 /* of what follows a date */

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

/* -2006-01-02T15-04-05.000, as lumberjack's backupName makes it. */
static bool is_timed(struct span s, struct sibling *sib)
{
    if (!has_form(s, "-0000-00-00T00-00-00.000"))
        return false;
    set_key(sib, SIBLING_TIMED, span(s.at + 1, s.len - 1));
    return true;
}

/* The next `n` digits of `s`, whose value is within the bounds, go to `key`. */
static bool take_digits(struct span *s, size_t n, long min, long max,
                        struct buf *key)
{
    char text[8];
    long value;

    if (s->len < n || !all_digits(span(s->at, n)))
        return false;
    snprintf(text, sizeof(text), "%.*s", (int)n, s->at);
    value = atol(text);
    if (value < min || value > max)
        return false;
    buf_add(key, s->at, n);
    s->at += n;
    s->len -= n;
    return true;
}

static bool take_one_of(struct span *s, const char *chars)
{
    if (s->len == 0 || s->at[0] == '\0' || strchr(chars, s->at[0]) == NULL)
        return false;
    s->at++;
    s->len--;
    return true;
}

/* 20261123 or 2026-11-23. */
static bool take_date(struct span *s, struct buf *key)
{
    bool dashes;

    if (!take_digits(s, 4, 1970, 2999, key))
        return false;
    dashes = take_one_of(s, "-");
    return take_digits(s, 2, 1, 12, key) && (!dashes || take_one_of(s, "-")) &&
           take_digits(s, 2, 1, 31, key);
}

/* All of `s`: nothing, 03, 0309, 030958, 03-09, 03-09-58. */
static bool is_clock(struct span s, struct buf *key)
{
    if (s.len == 0)
        return true;
    if (!take_digits(&s, 2, 0, 23, key))
        return false;
    for (int i = 0; i < 2 && s.len > 0; i++) {
        take_one_of(&s, "-:_");
        if (!take_digits(&s, 2, 0, 60, key))
            return false;
    }
    return s.len == 0;
}

/* All of `s` is what may follow a date: a time of day; or seconds since 1970,
 * or the number of the rotation on that day. */
static bool is_time(struct span s, struct buf *key)
{
    size_t len = key->len;

    if (is_clock(s, key))
        return true;
    key->len = len;
    if (!take_one_of(&s, "-_T"))
        return false;
    if (s.len > 0 && is_clock(s, key))
        return true;
    key->len = len;
    if (s.len > TAIL_DIGITS || !all_digits(s))
        return false;
    buf_printf(key, "-%0*lld", TAIL_DIGITS, atoll(s.at));
    return true;
}

/* Seconds since 1970 alone: ten digits, from 2001 to 2286. */
static bool is_epoch(struct span s, struct buf *key)
{
    char text[16];
    struct tm tm;
    time_t t;

    if (s.len != 10 || !all_digits(s))
        return false;
    t = (time_t)atoll(s.at);
    if (t < 1000000000 || gmtime_r(&t, &tm) == NULL)
        return false;
    strftime(text, sizeof(text), "%Y%m%d%H%M%S", &tm);
    buf_add(key, text, strlen(text));
    return true;
}

/* `s` is -DATE, -DATE-TIME or the like, as logrotate's dateformat may be. */
static bool is_dated(struct span s, struct sibling *sib)
{
    struct buf key = { 0 };
    struct span rest;
    bool yes;

    if (!take_one_of(&s, "-._"))
        return false;
    rest = s;
    yes = take_date(&rest, &key) && is_time(rest, &key);
    if (!yes) {
        key.len = 0;
        yes = is_epoch(s, &key);
    }
    if (yes)
        set_key(sib, SIBLING_DATED, span(key.at, key.len));
    buf_free(&key);
    return yes;
}

/* The higher the number, the older: the key counts down from it. */
static bool is_numbered(struct span s, struct sibling *sib)
{
    char key[32];

    if (s.len < 2 || s.len > 7 || s.at[0] != '.' ||
        !all_digits(span(s.at + 1, s.len - 1)))
        return false;
    snprintf(key, sizeof(key), "%07ld", 9999999 - atol(s.at + 1));
    set_key(sib, SIBLING_NUMBERED, span(key, strlen(key)));
    return true;
}

/* What logrotate puts behind the name, or before its extension. */
static bool is_mark(struct span s, struct sibling *sib)
{
    return is_dated(s, sib) || is_numbered(s, sib);
}

/* From the last dot of a name on; empty where there is none. */
static struct span extension(struct span name)
{
    const char *dot = memrchr(name.at, '.', name.len);

    return dot != NULL ? span(dot, (size_t)(name.at + name.len - dot))
                       : span(name.at + name.len, 0);
}

struct sibling sibling_of(const char *live, const char *name)
{
    struct span l = { live, strlen(live) }, n = { name, strlen(name) };
    struct span ext = extension(l), stem = { live, l.len - ext.len };
    struct sibling sib = { .kind = SIBLING_NONE };
    struct span rest;

    sib.is_gz = strip_suffix(&n, ".gz");
    rest = n;
    if (strip_prefix(&rest, l) && is_mark(rest, &sib))
        return sib;
    rest = n;
    if (strip_suffix(&rest, ext.at) && strip_prefix(&rest, stem) &&
        (is_timed(rest, &sib) || is_mark(rest, &sib)))
        return sib;
    return (struct sibling){ .kind = SIBLING_NONE };
}

int sibling_compare(const struct sibling *a, const struct sibling *b)
{
    if (a->kind != b->kind)
        return a->kind < b->kind ? -1 : 1;
    return strcmp(a->key, b->key);
}

/* ---- names without their live file ---- */

/* Nobody writes into these. */
static bool is_compressed(struct span name)
{
    static const char *const suffixes[] = { ".gz",  ".bz2", ".xz", ".zst",
                                            ".lz4", ".Z",   ".zip" };

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
        if (strip_suffix(&name, suffixes[i]))
            return true;
    }
    return false;
}

/* Whether `s` has a date or a lumberjack time at its end, behind something. */
static bool ends_dated(struct span s)
{
    struct sibling sib;

    for (size_t i = 1; i < s.len; i++) {
        struct span end = { s.at + i, s.len - i };

        if (is_timed(end, &sib) || is_dated(end, &sib))
            return true;
    }
    return false;
}

/* The number at the end of `s`, with its dot; empty where there is none. */
static struct span number_of(struct span s)
{
    struct span end = extension(s);
    struct sibling sib;

    return end.len < s.len && is_numbered(end, &sib) ? end
                                                     : span(s.at + s.len, 0);
}

/* 10.0.0.1, app-9.6: the number belongs to another before it. */
static bool has_number(struct span s)
{
    struct span number = number_of(s);
    size_t before = s.len - number.len;

    return number.len > 0 && (s.at[before - 1] < '0' || s.at[before - 1] > '9');
}

bool sibling_is_rotated_name(const char *name)
{
    struct span all = { name, strlen(name) };
    struct span stem = { name, all.len - extension(all).len };

    return is_compressed(all) || ends_dated(all) || ends_dated(stem) ||
           has_number(all) || has_number(stem);
}

char *sibling_live_of_numbered(const char *name)
{
    struct span all = { name, strlen(name) }, ext = extension(all);
    struct span stem = { name, all.len - ext.len };

    if (number_of(all).len > 0)
        return xstrndup(name, all.len - number_of(all).len);
    if (number_of(stem).len > 0)
        return xprintf("%.*s%s", (int)(stem.len - number_of(stem).len), name,
                       ext.at);
    return NULL;
}
