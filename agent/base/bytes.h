/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes - borrowed text, growing buffers, and allocation that cannot fail.
 *
 * A span borrows: it never owns what it points at. A buf owns its bytes.
 * Out of memory aborts: the agent starts again from its checkpoints, which is
 * safer than any half-done thing. Limits are checked by those who know them.
 */
#ifndef TALLYMAN_BYTES_H
#define TALLYMAN_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#define MUST_CHECK   __attribute__((warn_unused_result))
#define PRINTF(f, a) __attribute__((format(printf, f, a)))
#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define KIB          ((size_t)1024)
#define MIB          (1024 * KIB)

struct span {
    const char *at;
    size_t len;
};

struct buf {
    char *at;
    size_t len;
    size_t cap;
};

#define SPAN(literal) ((struct span){ literal, sizeof(literal) - 1 })

static inline struct span span(const char *at, size_t len)
{
    return (struct span){ at, len };
}

static inline bool span_is(struct span s, const char *text)
{
    return strlen(text) == s.len &&
           (s.len == 0 || memcmp(s.at, text, s.len) == 0);
}

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t each);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *text);
char *xstrndup(const char *text, size_t n);
char *xprintf(const char *format, ...) PRINTF(1, 2);

/* Room for `more` bytes behind the end; returns that place. */
char *buf_room(struct buf *b, size_t more);
/* Room for at least `cap` bytes in all, and not more than is asked for. */
void buf_reserve(struct buf *b, size_t cap);
void buf_add(struct buf *b, const void *bytes, size_t n);
void buf_add_span(struct buf *b, struct span s);
void buf_printf(struct buf *b, const char *format, ...) PRINTF(2, 3);
/* Adds `s` as the inside of a JSON string; bytes that are not UTF-8 become
 * U+FFFD, so the result always is. */
void buf_add_json(struct buf *b, struct span s);
void buf_free(struct buf *b);

/* Whether all of `s` is well-formed UTF-8 (RFC 3629). */
bool span_is_utf8(struct span s);
/* How many bytes of well-formed UTF-8 stand at the start of `s`: 0 (ill-formed
 * or empty) to 4. */
size_t utf8_len(struct span s);

#endif
