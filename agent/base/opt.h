/* SPDX-License-Identifier: Apache-2.0 */
/*
 * opt - option tables: the one reader of configuration values.
 *
 * A part that has settings owns a struct for them and a const table of rows;
 * each row says name, type, place, default (as a user would type it), bounds
 * and help. Defaults are parsed by the same code as the user's values. A row
 * whose field has another type than the row does not compile.
 *
 * Knows nothing of YAML: it turns text into values and says what is wrong.
 */
#ifndef TALLYMAN_OPT_H
#define TALLYMAN_OPT_H

#include <stdint.h>

#include "agent/base/secret.h"

enum opt_type {
    OPT_T_STRING,   /* char *, NULL where unset */
    OPT_T_PATH,     /* char *, an absolute path */
    OPT_T_SECRET,   /* struct secret, never printed */
    OPT_T_BYTES,    /* uint64_t: 500, 64KiB, 2MiB, 1GiB */
    OPT_T_DURATION, /* uint64_t in milliseconds: 0, 50ms, 1s, 5m, 2h, 7d */
    OPT_T_COUNT,    /* uint64_t */
    OPT_T_CHOICE,   /* unsigned: index into choices */
    OPT_T_LIST,     /* struct opt_list of strings, at least one */
    OPT_T_GROUP     /* a mapping with a table of its own */
};

/* Of a choice between opt_switch_names. */
enum opt_switch {
    OPT_FALSE,
    OPT_TRUE
};

extern const char *const opt_switch_names[];

struct opt_list {
    char **at;
    size_t n;
};

struct opt {
    const char *name;
    enum opt_type type;
    size_t at;                  /* offset in the struct of the table */
    const char *def;            /* as typed; NULL: unset */
    uint64_t min, max;          /* of numbers; max 0: no bound */
    const char *const *choices; /* NULL-terminated */
    const struct opt *group;
    bool required;
    bool dash; /* of a path: "-" is one as well */
    /* A further look at a string or at each one of a list: NULL or what is
     * wrong with it, as in "is not a URL". */
    const char *(*check)(const char *value);
    const char *help;
};

/* The offset of a field, refusing to compile when it has another type. */
#define OPT_AT(S, f, T) (offsetof(S, f) + 0 * sizeof((T *)0 == &((S *)0)->f))

#define OPT_STRING(S, f, ...)                                         \
    {                                                                 \
        .name = #f, .type = OPT_T_STRING, .at = OPT_AT(S, f, char *), \
        __VA_ARGS__                                                   \
    }
#define OPT_PATH(S, f, ...)                                         \
    {                                                               \
        .name = #f, .type = OPT_T_PATH, .at = OPT_AT(S, f, char *), \
        __VA_ARGS__                                                 \
    }
#define OPT_SECRET(S, f, ...)                                                \
    {                                                                        \
        .name = #f, .type = OPT_T_SECRET, .at = OPT_AT(S, f, struct secret), \
        __VA_ARGS__                                                          \
    }
#define OPT_BYTES(S, f, ...)                                           \
    {                                                                  \
        .name = #f, .type = OPT_T_BYTES, .at = OPT_AT(S, f, uint64_t), \
        __VA_ARGS__                                                    \
    }
#define OPT_DURATION(S, f, ...)                                           \
    {                                                                     \
        .name = #f, .type = OPT_T_DURATION, .at = OPT_AT(S, f, uint64_t), \
        __VA_ARGS__                                                       \
    }
#define OPT_COUNT(S, f, ...)                                           \
    {                                                                  \
        .name = #f, .type = OPT_T_COUNT, .at = OPT_AT(S, f, uint64_t), \
        __VA_ARGS__                                                    \
    }
#define OPT_CHOICE(S, f, ...)                                           \
    {                                                                   \
        .name = #f, .type = OPT_T_CHOICE, .at = OPT_AT(S, f, unsigned), \
        __VA_ARGS__                                                     \
    }
#define OPT_LIST(S, f, ...)                                                  \
    {                                                                        \
        .name = #f, .type = OPT_T_LIST, .at = OPT_AT(S, f, struct opt_list), \
        __VA_ARGS__                                                          \
    }
/* The group's own struct is the field itself. */
#define OPT_GROUP(S, f, T, table, ...)                          \
    {                                                           \
        .name = #f, .type = OPT_T_GROUP, .at = OPT_AT(S, f, T), \
        .group = table, __VA_ARGS__                             \
    }
#define OPT_END      \
    {                \
        .name = NULL \
    }

/* `value` as a user would type it in a row of that type: 64MiB, 1s, 4. */
#define OPT_NUMBER_SIZE 32
void opt_number(enum opt_type type, uint64_t value, char text[OPT_NUMBER_SIZE]);
/* The bounds of a row: "64KiB to 1GiB", "at least 1"; empty where none. */
#define OPT_BOUNDS_SIZE (2 * OPT_NUMBER_SIZE + 16)
void opt_bounds(const struct opt *row, char text[OPT_BOUNDS_SIZE]);

/* Adds "a, b or c". */
void opt_choices(const char *const *choices, struct buf *out);

/* Gives every field its default. `conf` must be zeroed before. A default that
 * does not parse is a bug and aborts. */
void opt_defaults(const struct opt *table, void *conf);
/* Parses `text` into the row's field, replacing what was there. Not for groups
 * and lists. `e` says what is wrong as the end of a sentence that begins with
 * the value ("is not a size"); it names neither the option nor the value. */
int opt_set(const struct opt *row, void *conf, const char *text,
            struct err *e) MUST_CHECK;
int opt_add(const struct opt *row, void *conf, const char *text,
            struct err *e) MUST_CHECK; /* one more of a list */
/* Frees what the fields own and zeroes secrets. */
void opt_free(const struct opt *table, void *conf);

const struct opt *opt_find(const struct opt *table, struct span name);
/* The name nearest to `name` among the first column of `names` (NULL-ended),
 * or NULL where none is near enough to be what was meant. */
const char *opt_nearest(const char *const *names, const char *name);

#endif
