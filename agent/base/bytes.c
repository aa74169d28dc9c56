/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/bytes.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static void *or_abort(void *p)
{
    if (p == NULL) {
        fputs("tallyman: out of memory\n", stderr);
        abort();
    }
    return p;
}

void *xmalloc(size_t n)
{
    return or_abort(malloc(n > 0 ? n : 1));
}

void *xcalloc(size_t n, size_t each)
{
    return or_abort(calloc(n > 0 ? n : 1, each));
}

void *xrealloc(void *p, size_t n)
{
    return or_abort(realloc(p, n > 0 ? n : 1));
}

char *xstrdup(const char *text)
{
    return or_abort(strdup(text));
}

char *xstrndup(const char *text, size_t n)
{
    return or_abort(strndup(text, n));
}

char *xprintf(const char *format, ...)
{
    char *out = NULL;
    va_list args;

    va_start(args, format);
    if (vasprintf(&out, format, args) < 0)
        out = or_abort(NULL);
    va_end(args);
    return out;
}

char *buf_room(struct buf *b, size_t more)
{
    size_t cap = b->cap > 0 ? b->cap : 256;

    if (b->cap - b->len < more) {
        if (more > SIZE_MAX / 4 || b->len > SIZE_MAX / 4)
            abort();
        while (cap - b->len < more)
            cap *= 2;
        b->at = xrealloc(b->at, cap);
        b->cap = cap;
    }
    return b->at + b->len;
}

void buf_reserve(struct buf *b, size_t cap)
{
    if (cap <= b->cap)
        return;
    b->at = xrealloc(b->at, cap);
    b->cap = cap;
}

void buf_add(struct buf *b, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_room(b, n), bytes, n);
    b->len += n;
}

void buf_add_span(struct buf *b, struct span s)
{
    buf_add(b, s.at, s.len);
}

void buf_printf(struct buf *b, const char *format, ...)
{
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (n < 0)
        abort();
    buf_room(b, (size_t)n + 1);
    va_start(args, format);
    vsnprintf(b->at + b->len, (size_t)n + 1, format, args);
    va_end(args);
    b->len += (size_t)n;
}

size_t utf8_len(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.at;
    unsigned char low = 0x80, high = 0xbf;
    size_t n;

    if (s.len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (s.len < n)
        return 0;
    /* Overlong forms, surrogates, and what lies above U+10FFFF. */
    if (p[0] == 0xe0)
        low = 0xa0;
    else if (p[0] == 0xed)
        high = 0x9f;
    else if (p[0] == 0xf0)
        low = 0x90;
    else if (p[0] == 0xf4)
        high = 0x8f;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    return n;
}

/* How many ASCII characters it begins with, in whole words. */
static size_t ascii_words(struct span s)
{
    size_t n = 0;
    uint64_t word;

    for (; n + sizeof(word) <= s.len; n += sizeof(word)) {
        memcpy(&word, s.at + n, sizeof(word));
        if ((word & UINT64_C(0x8080808080808080)) != 0)
            break;
    }
    return n;
}

bool span_is_utf8(struct span s)
{
    while (s.len > 0) {
        size_t n = ascii_words(s);

        n = n > 0 ? n : utf8_len(s);
        if (n == 0)
            return false;
        s.at += n;
        s.len -= n;
    }
    return true;
}

static void add_json_byte(struct buf *b, unsigned char c)
{
    if (c == '"' || c == '\\')
        buf_printf(b, "\\%c", c);
    else if (c < 0x20 || c == 0x7f)
        buf_printf(b, "\\u%04x", c);
    else
        buf_add(b, &c, 1);
}

void buf_add_json(struct buf *b, struct span s)
{
    while (s.len > 0) {
        size_t n = utf8_len(s);

        if (n == 0)
            buf_add(b, "\\ufffd", 6);
        else if (n == 1)
            add_json_byte(b, (unsigned char)*s.at);
        else
            buf_add(b, s.at, n);
        n = n > 0 ? n : 1;
        s.at += n;
        s.len -= n;
    }
}

void buf_free(struct buf *b)
{
    free(b->at);
    *b = (struct buf){ 0 };
}
