/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/show.h"

/* The code point of 2 or 3 well-formed bytes, 0 of others. */
static unsigned code_point(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.at;

    if (s.len == 2)
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (s.len == 3)
        return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return 0;
}

/* C1 controls, marks that turn the direction of text about, and what cannot be
 * seen: nothing of that may reach a terminal. */
static bool is_treacherous(struct span s)
{
    unsigned c = code_point(s);

    return (c >= 0x80 && c < 0xa0) || c == 0xad || c == 0x61c ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

static bool is_plain(struct span letter)
{
    if (letter.len > 1)
        return !is_treacherous(letter);
    return letter.len == 1 && *letter.at >= 0x20 && *letter.at != 0x7f;
}

void show_add(struct buf *out, struct span s)
{
    while (s.len > 0) {
        size_t n = utf8_len(s);
        bool plain = is_plain(span(s.at, n));

        n = n > 0 ? n : 1;
        if (plain)
            buf_add(out, s.at, n);
        for (size_t i = 0; !plain && i < n; i++)
            buf_printf(out, "\\x%02x", (unsigned char)s.at[i]);
        s.at += n;
        s.len -= n;
    }
}
