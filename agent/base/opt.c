/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/opt.h"

#include <assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define NAME_MAX_BYTES 64 /* longer names resemble nothing */

const char *const opt_switch_names[] = { "false", "true", NULL };

struct scale {
    const char *unit;
    uint64_t of;
};

/* Largest first: a number is printed in the largest that divides it. */
static const struct scale sizes[] = {
    { "GiB", 1024 * MIB }, { "MiB", MIB }, { "KiB", KIB }, { "", 1 }, { 0 },
};
static const struct scale durations[] = {
    { "d", 86400000 }, { "h", 3600000 }, { "m", 60000 },
    { "s", 1000 },     { "ms", 1 },      { 0 },
};
static const struct scale counts[] = { { "", 1 }, { 0 } };

static const struct scale *scales_of(enum opt_type type)
{
    return type == OPT_T_BYTES      ? sizes
           : type == OPT_T_DURATION ? durations
                                    : counts;
}

static void *field(const struct opt *row, void *conf)
{
    return (char *)conf + row->at;
}

void opt_number(enum opt_type type, uint64_t value, char text[OPT_NUMBER_SIZE])
{
    const struct scale *s = scales_of(type);

    if (value == 0) {
        strcpy(text, "0");
        return;
    }
    while (value % s->of != 0)
        s++;
    snprintf(text, OPT_NUMBER_SIZE, "%" PRIu64 "%s", value / s->of, s->unit);
}

void opt_bounds(const struct opt *row, char text[OPT_BOUNDS_SIZE])
{
    char min[OPT_NUMBER_SIZE], max[OPT_NUMBER_SIZE];

    opt_number(row->type, row->min, min);
    opt_number(row->type, row->max, max);
    if (row->max > 0)
        snprintf(text, OPT_BOUNDS_SIZE, "%s to %s", min, max);
    else if (row->min > 0)
        snprintf(text, OPT_BOUNDS_SIZE, "at least %s", min);
    else
        text[0] = '\0';
}

/* The digits `text` begins with; ERR_FORMAT where none, ERR_LIMIT where they
 * do not fit. `rest` is what follows. */
static int digits(const char *text, uint64_t *value, const char **rest)
{
    int rc = isdigit((unsigned char)*text) ? 0 : ERR_FORMAT;

    for (*value = 0; isdigit((unsigned char)*text); text++) {
        if (__builtin_mul_overflow(*value, 10, value) ||
            __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value))
            rc = ERR_LIMIT;
    }
    *rest = text;
    return rc;
}

static size_t common_prefix(const char *a, const char *b)
{
    size_t n = 0;

    while (a[n] != '\0' &&
           tolower((unsigned char)a[n]) == tolower((unsigned char)b[n]))
        n++;
    return n;
}

/* The unit that "MB", "mib" or "sec" was meant to be. */
static const char *meant_unit(const struct scale *s, const char *rest)
{
    const char *best = NULL;
    size_t most = 0;

    while (*rest == ' ')
        rest++;
    for (; s->unit != NULL; s++) {
        size_t n = common_prefix(s->unit, rest);

        if (n > most) {
            most = n;
            best = s->unit;
        }
    }
    return best;
}

static int bad_number(const struct opt *row, const char *text, struct err *e)
{
    static const char size[] =
        "is not a size, such as 500 (bytes), 64KiB, 2MiB or 1GiB";
    static const char duration[] =
        "is not a duration, such as 50ms, 1s, 5m, 2h or 7d";
    const char *what = row->type == OPT_T_BYTES      ? size
                       : row->type == OPT_T_DURATION ? duration
                                                     : "is not a whole number";
    const char *unit, *rest;
    uint64_t value;

    if (digits(text, &value, &rest) != 0)
        return err_set(e, ERR_FORMAT, "%s", what);
    if (*rest == '\0')
        return err_set(e, ERR_FORMAT, "has no unit: ms, s, m, h or d");
    unit = meant_unit(scales_of(row->type), rest);
    if (unit == NULL)
        return err_set(e, ERR_FORMAT, "%s", what);
    return err_set(e, ERR_FORMAT, "%s; did you mean '%" PRIu64 "%s'?", what,
                   value, unit);
}

static int read_number(const struct opt *row, const char *text, uint64_t *out,
                       struct err *e)
{
    const struct scale *s = scales_of(row->type);
    const char *rest;
    char bounds[OPT_BOUNDS_SIZE];
    uint64_t value;
    int rc;

    rc = digits(text, &value, &rest);
    if (rc == ERR_FORMAT)
        return bad_number(row, text, e);
    while (s->unit != NULL && strcmp(s->unit, rest) != 0)
        s++;
    if (s->unit == NULL && !(value == 0 && *rest == '\0'))
        return bad_number(row, text, e);
    if (s->unit != NULL && __builtin_mul_overflow(value, s->of, &value))
        rc = ERR_LIMIT;
    if (rc == 0 && value >= row->min && (row->max == 0 || value <= row->max)) {
        *out = value;
        return 0;
    }
    opt_bounds(row, bounds);
    if (rc == ERR_LIMIT && row->max == 0)
        return err_set(e, ERR_LIMIT, "is too large a number");
    return err_set(e, ERR_LIMIT, "is out of bounds: %s", bounds);
}

void opt_choices(const char *const *choices, struct buf *out)
{
    for (size_t i = 0; choices[i] != NULL; i++)
        buf_printf(out, "%s%s",
                   i == 0                   ? ""
                   : choices[i + 1] == NULL ? " or "
                                            : ", ",
                   choices[i]);
}

static int read_choice(const struct opt *row, const char *text, unsigned *out,
                       struct err *e)
{
    struct buf all = { 0 };
    const char *nearest;
    unsigned i;

    for (i = 0; row->choices[i] != NULL; i++) {
        if (strcmp(row->choices[i], text) == 0) {
            *out = i;
            return 0;
        }
    }
    opt_choices(row->choices, &all);
    nearest = opt_nearest(row->choices, text);
    err_set(e, ERR_FORMAT, "is not %s%s%s%s", all.at,
            nearest ? "; did you mean '" : "", nearest ? nearest : "",
            nearest ? "'?" : "");
    buf_free(&all);
    return ERR_FORMAT;
}

static int check_text(const struct opt *row, const char *text, struct err *e)
{
    const char *wrong;

    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            return err_set(e, ERR_FORMAT,
                           "holds a control character or a line break");
    }
    if (row->dash && strcmp(text, "-") == 0)
        return 0;
    if (row->type == OPT_T_PATH && *text != '/')
        return err_set(e, ERR_FORMAT, "is not an absolute path");
    if (row->type == OPT_T_PATH && strlen(text) >= PATH_MAX)
        return err_set(e, ERR_LIMIT, "is longer than a path can be");
    wrong = row->check != NULL ? row->check(text) : NULL;
    if (wrong != NULL)
        return err_set(e, ERR_FORMAT, "%s", wrong);
    return 0;
}

static void replace(char **field, const char *text)
{
    free(*field);
    *field = xstrdup(text);
}

static void drop(char **field)
{
    free(*field);
    *field = NULL;
}

int opt_set(const struct opt *row, void *conf, const char *text, struct err *e)
{
    int rc;

    if (*text == '\0')
        return err_set(e, ERR_FORMAT, "is empty");
    switch (row->type) {
    case OPT_T_BYTES:
    case OPT_T_DURATION:
    case OPT_T_COUNT:
        return read_number(row, text, field(row, conf), e);
    case OPT_T_CHOICE:
        return read_choice(row, text, field(row, conf), e);
    case OPT_T_STRING:
    case OPT_T_PATH:
        rc = check_text(row, text, e);
        if (rc == 0)
            replace(field(row, conf), text);
        return rc;
    case OPT_T_SECRET:
        rc = check_text(row, text, e);
        if (rc == 0)
            secret_set(field(row, conf), text);
        return rc;
    case OPT_T_LIST:
    case OPT_T_GROUP:
        break;
    }
    abort();
}

int opt_add(const struct opt *row, void *conf, const char *text, struct err *e)
{
    struct opt_list *list = field(row, conf);
    int rc;

    assert(row->type == OPT_T_LIST);
    if (*text == '\0')
        return err_set(e, ERR_FORMAT, "is empty");
    rc = check_text(row, text, e);
    if (rc != 0)
        return rc;
    list->at = xrealloc(list->at, (list->n + 1) * sizeof(*list->at));
    list->at[list->n++] = xstrdup(text);
    return 0;
}

void opt_defaults(const struct opt *table, void *conf)
{
    struct err e;
    int rc;

    for (const struct opt *row = table; row->name != NULL; row++) {
        rc = 0;
        if (row->type == OPT_T_GROUP)
            opt_defaults(row->group, field(row, conf));
        else if (row->def != NULL && row->type == OPT_T_LIST)
            rc = opt_add(row, conf, row->def, &e);
        else if (row->def != NULL)
            rc = opt_set(row, conf, row->def, &e);
        if (rc != 0) {
            fprintf(stderr, "default of %s: '%s' %s\n", row->name, row->def,
                    e.text);
            abort();
        }
    }
}

static void free_list(struct opt_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        free(list->at[i]);
    free(list->at);
    *list = (struct opt_list){ 0 };
}

void opt_free(const struct opt *table, void *conf)
{
    for (const struct opt *row = table; row->name != NULL; row++) {
        switch (row->type) {
        case OPT_T_STRING:
        case OPT_T_PATH:
            drop(field(row, conf));
            break;
        case OPT_T_SECRET:
            secret_free(field(row, conf));
            break;
        case OPT_T_LIST:
            free_list(field(row, conf));
            break;
        case OPT_T_GROUP:
            opt_free(row->group, field(row, conf));
            break;
        case OPT_T_BYTES:
        case OPT_T_DURATION:
        case OPT_T_COUNT:
        case OPT_T_CHOICE:
            break;
        }
    }
}

const struct opt *opt_find(const struct opt *table, struct span name)
{
    for (const struct opt *row = table; row->name != NULL; row++) {
        if (span_is(name, row->name))
            return row;
    }
    return NULL;
}

/* Case and the choice of dash do not count as differences. */
static int folded(char c)
{
    return c == '-' ? '_' : tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Damerau-Levenshtein, no letter being moved twice (optimal string
 * alignment): insert, delete, replace, swap neighbours. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][NAME_MAX_BYTES + 1];
    unsigned *before = rows[0], *last = rows[1], *now = rows[2], *spare;
    size_t alen = strlen(a), blen = strlen(b);

    for (unsigned j = 0; j <= blen; j++)
        last[j] = j;
    for (size_t i = 1; i <= alen; i++) {
        now[0] = (unsigned)i;
        for (size_t j = 1; j <= blen; j++) {
            unsigned differ = folded(a[i - 1]) != folded(b[j - 1]);

            now[j] =
                least(least(last[j], now[j - 1]) + 1, last[j - 1] + differ);
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]))
                now[j] = least(now[j], before[j - 2] + 1);
        }
        spare = before;
        before = last;
        last = now;
        now = spare;
    }
    return last[blen];
}

const char *opt_nearest(const char *const *names, const char *name)
{
    size_t len = strlen(name);
    unsigned nearest = len <= 3 ? 1 : len <= 7 ? 2 : 3;
    const char *found = NULL;

    if (len == 0 || len > NAME_MAX_BYTES)
        return NULL;
    for (; *names != NULL; names++) {
        size_t n = strlen(*names), same = common_prefix(*names, name);
        unsigned far;

        if (n == 0 || n > NAME_MAX_BYTES)
            continue;
        far = distance(*names, name);
        /* One being the beginning of the other is a near miss: "user". */
        if (same >= 4 && (same == n || same == len))
            far = least(far, 2);
        if (far < n && (far < nearest || (far == nearest && found == NULL))) {
            nearest = far;
            found = *names;
        }
    }
    return found;
}
