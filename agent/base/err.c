/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *e, int code, const char *format, ...)
{
    va_list args;

    if (e != NULL) {
        e->code = code;
        va_start(args, format);
        vsnprintf(e->text, sizeof(e->text), format, args);
        va_end(args);
    }
    return code;
}

void err_prefix(struct err *e, const char *format, ...)
{
    char before[sizeof(e->text)];
    char after[sizeof(e->text)];
    va_list args;

    if (e == NULL)
        return;
    va_start(args, format);
    vsnprintf(before, sizeof(before), format, args);
    va_end(args);
    memcpy(after, e->text, sizeof(after));
    snprintf(e->text, sizeof(e->text), "%.400s: %.600s", before, after);
}

const char *err_text(int code)
{
    switch (code) {
#define X(name, text) \
    case ERR_##name:  \
        return text;
        ERR_MAP(X)
#undef X
    default:
        return "no error";
    }
}
