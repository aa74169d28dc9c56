/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit - the test library: a test is a sentence, a failure shows both values.
 *
 * Every TEST() registers itself; main() in unit.c runs the one named as
 * argument, or all. ctest runs each in a process of its own.
 */
#ifndef TALLYMAN_UNIT_H
#define TALLYMAN_UNIT_H

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    void (*run)(void);
    struct unit *next;
};

void unit_add(struct unit *u);
void unit_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4), noreturn));
/* A directory of this test's own, removed at the end; borrowed. */
const char *unit_dir(void);

#define TEST(test_name)                                                    \
    static void test_name(void);                                           \
    static struct unit unit_##test_name = { #test_name, test_name, NULL }; \
    __attribute__((constructor)) static void add_##test_name(void)         \
    {                                                                      \
        unit_add(&unit_##test_name);                                       \
    }                                                                      \
    static void test_name(void)

#define FAIL(...) unit_fail(__FILE__, __LINE__, __VA_ARGS__)

#define OK(condition)                         \
    do {                                      \
        if (!(condition))                     \
            FAIL("not true: %s", #condition); \
    } while (0)

#define EQ(want, have)                                                  \
    do {                                                                \
        long long want_ = (long long)(want), have_ = (long long)(have); \
        if (want_ != have_)                                             \
            FAIL("%s is %lld, not %lld", #have, have_, want_);          \
    } while (0)

#define EQ_STR(want, have)                                \
    do {                                                  \
        const char *want_ = (want), *have_ = (have);      \
        if (have_ == NULL || strcmp(want_, have_) != 0)   \
            FAIL("%s is\n  \"%s\", not\n  \"%s\"", #have, \
                 have_ ? have_ : "(null)", want_);        \
    } while (0)

#define EQ_SPAN(want, have)                                                   \
    do {                                                                      \
        struct span want_ = (want), have_ = (have);                           \
        if (want_.len != have_.len ||                                         \
            (want_.len > 0 && memcmp(want_.at, have_.at, want_.len) != 0))    \
            FAIL("%s is\n  \"%.*s\", not\n  \"%.*s\"", #have, (int)have_.len, \
                 have_.at ? have_.at : "", (int)want_.len,                    \
                 want_.at ? want_.at : "");                                   \
    } while (0)

#define HAS(text, part)                                       \
    do {                                                      \
        const char *text_ = (text), *part_ = (part);          \
        if (text_ == NULL || strstr(text_, part_) == NULL)    \
            FAIL("%s is\n  \"%s\", without\n  \"%s\"", #text, \
                 text_ ? text_ : "(null)", part_);            \
    } while (0)

#endif
