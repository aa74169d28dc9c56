/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/text.h"

#include <stdlib.h>

#include "agent/base/sha256.h"

/* As much of `s` as fits into `most` bytes, and no half character. */
static struct span beginning(struct span s, size_t most)
{
    if (s.len <= most)
        return s;
    for (int i = 0; i < 3 && most > 0 && (s.at[most] & 0xc0) == 0x80; i++)
        most--;
    return span(s.at, most);
}

void text_add_cut(struct buf *out, struct span s, size_t most)
{
    struct span kept = beginning(s, most);
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    buf_add_json(out, kept);
    if (kept.len == s.len)
        return;
    sha256_of(s, hash);
    sha256_hex(hash, hex);
    buf_printf(out, "... (cut by tallyman: %zu bytes, sha256 %s)", s.len, hex);
}

void text_add_utf8(struct buf *out, struct span s)
{
    while (s.len > 0) {
        size_t n = utf8_len(s);

        if (n == 0)
            buf_add(out, "\xef\xbf\xbd", 3);
        else
            buf_add(out, s.at, n);
        n = n > 0 ? n : 1;
        s = span(s.at + n, s.len - n);
    }
}

size_t text_utf8_len(struct span s)
{
    size_t len = 0;

    while (s.len > 0) {
        size_t n = utf8_len(s);

        len += n > 0 ? n : 3;
        n = n > 0 ? n : 1;
        s = span(s.at + n, s.len - n);
    }
    return len;
}

static unsigned hex4(const char *p)
{
    char text[5] = { p[0], p[1], p[2], p[3] };

    return (unsigned)strtoul(text, NULL, 16);
}

bool text_has_half_pair(struct span s)
{
    const char *p = s.at, *end = s.at + s.len;

    while ((p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        unsigned c = p[1] == 'u' ? hex4(p + 2) : 0;

        if ((c & 0xfc00) == 0xdc00)
            return true;
        if ((c & 0xfc00) == 0xd800) {
            p += 6;
            if (end - p < 6 || p[0] != '\\' || p[1] != 'u' ||
                (hex4(p + 2) & 0xfc00) != 0xdc00)
                return true;
        }
        p += p[1] == 'u' ? 6 : 2;
    }
    return false;
}

/*
 * Each stretch of half of that is looked at from its start for a quote that is
 * certainly none within a string: one without a backslash before it. A few bytes
 * of each, as a rule.
 */
bool text_may_hold_string(struct span s, size_t most)
{
    size_t step = most / 2;

    for (size_t at = 1; at + step <= s.len; at += step) {
        const char *p = s.at + at, *end = p + step;

        while ((p = memchr(p, '"', (size_t)(end - p))) != NULL && p[-1] == '\\')
            p++;
        if (p == NULL)
            return true;
    }
    return false;
}
