/* SPDX-License-Identifier: Apache-2.0 */
/*
 * err - what went wrong: a code for the program, a sentence for the user.
 *
 * Functions return 0 or a negative ERR_*. Cold paths fill a struct err as
 * well; hot paths return the code alone and count.
 */
#ifndef TALLYMAN_ERR_H
#define TALLYMAN_ERR_H

#include "agent/base/bytes.h"

#define ERR_MAP(X)                                 \
    X(AGAIN, "not now, nothing was changed")       \
    X(IO, "input or output failed")                \
    X(FORMAT, "not in the form that was expected") \
    X(LIMIT, "a limit was reached")                \
    X(CONFIG, "the configuration is wrong")        \
    X(BUSY, "somebody else has it")                \
    X(MISSING, "there is no such thing")           \
    X(DAMAGED, "it is there, but damaged")

enum err_code {
    ERR_NONE = 0,
#define X(name, text) ERR_POS_##name,
    ERR_MAP(X)
#undef X
};

enum {
#define X(name, text) ERR_##name = -(int)ERR_POS_##name,
    ERR_MAP(X)
#undef X
};

struct err {
    int code;
    char text[1024];
};

/* Sets `e` (NULL is fine) and returns `code`. */
int err_set(struct err *e, int code, const char *format, ...) PRINTF(3, 4);
/* Puts "prefix: " before what `e` says. */
void err_prefix(struct err *e, const char *format, ...) PRINTF(2, 3);
const char *err_text(int code);

#endif
