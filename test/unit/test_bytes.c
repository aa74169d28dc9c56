/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/bytes.h"
#include "test/unit/unit.h"

static struct buf b;

static void json_of(struct span in, const char *want)
{
    b.len = 0;
    buf_add_json(&b, in);
    EQ_SPAN(span(want, strlen(want)), span(b.at, b.len));
    buf_free(&b);
}

/* The UTF-8 of a code point, also of one that may not be written. */
static struct span encode(unsigned c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return span(out, 1);
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return span(out, 2);
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return span(out, 3);
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return span(out, 4);
}

TEST(a_buffer_grows_and_keeps_its_bytes)
{
    for (unsigned i = 0; i < 10000; i++)
        buf_add(&b, &(char){ (char)i }, 1);
    EQ(10000, b.len);
    OK(b.cap >= b.len);
    for (unsigned i = 0; i < 10000; i++)
        EQ((char)i, b.at[i]);
    buf_free(&b);
    OK(b.at == NULL && b.len == 0 && b.cap == 0);
}

TEST(room_is_behind_the_end_and_adds_nothing)
{
    buf_add_span(&b, SPAN("abc"));
    char *at = buf_room(&b, 100000);
    OK(at == b.at + 3);
    EQ(3, b.len);
    OK(b.cap - b.len >= 100000);
    memset(at, 'x', 100000);
    EQ_SPAN(SPAN("abc"), span(b.at, b.len));
    buf_free(&b);
}

TEST(nothing_may_be_added_to_nothing)
{
    buf_add(&b, NULL, 0);
    buf_add_span(&b, span(NULL, 0));
    buf_add_json(&b, span(NULL, 0));
    EQ(0, b.len);
    buf_free(&b);
}

TEST(printing_appends)
{
    buf_printf(&b, "%s=%d", "a", 1);
    buf_printf(&b, ",%0300d", 2);
    EQ(3 + 301, b.len);
    EQ(0, memcmp(b.at, "a=1,000", 7));
    buf_free(&b);
    char *text = xprintf("%s-%u", "x", 7u);
    EQ_STR("x-7", text);
    free(text);
}

TEST(a_span_is_compared_by_length_and_bytes)
{
    OK(span_is(SPAN("abc"), "abc"));
    OK(!span_is(SPAN("abc"), "ab"));
    OK(!span_is(SPAN("abc"), "abcd"));
    OK(!span_is(SPAN("abc"), "abd"));
    OK(span_is(span(NULL, 0), ""));
}

TEST(quotes_backslashes_and_controls_are_escaped)
{
    json_of(SPAN("a\"b\\c"), "a\\\"b\\\\c");
    json_of(span("\0\n\t\x1f\x7f", 5), "\\u0000\\u000a\\u0009\\u001f\\u007f");
    json_of(SPAN("\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7"),
            "\xc3\xa9 \xe2\x82\xac \xf0\x9f\x90\xa7");
}

TEST(bytes_that_are_not_utf8_become_the_replacement_character)
{
    json_of(SPAN("\xff\xfe"), "\\ufffd\\ufffd");
    json_of(SPAN("a\x80z"), "a\\ufffdz");
    json_of(SPAN("\xe2\x82"), "\\ufffd\\ufffd");
    json_of(SPAN("\xe2\x82z"), "\\ufffd\\ufffdz");
    json_of(SPAN("\xed\xa0\x80"), "\\ufffd\\ufffd\\ufffd");
    json_of(SPAN("\xc0\x80"), "\\ufffd\\ufffd");
}

TEST(every_code_point_but_the_surrogates_is_utf8)
{
    char text[4];

    for (unsigned c = 0; c <= 0x10ffff; c++) {
        struct span s = encode(c, text);
        bool is_surrogate = c >= 0xd800 && c <= 0xdfff;

        EQ(is_surrogate ? 0 : s.len, utf8_len(s));
        if (s.len > 1)
            EQ(0, utf8_len(span(text, s.len - 1)));
    }
    EQ(0, utf8_len(encode(0x110000, text)));
    EQ(0, utf8_len(encode(0x1fffff, text)));
}

/* Of every lead byte and the two behind it: what is taken is what encode()
 * makes of it, so there is no second way to write a letter. */
TEST(no_overlong_form_is_utf8)
{
    for (unsigned v = 0x800000; v < 1u << 24; v++) {
        char text[4] = { (char)(v >> 16), (char)(v >> 8), (char)v, (char)0x80 };
        char again[4];
        size_t n = utf8_len(span(text, 4));
        unsigned c = n > 0 ? v >> 16 & (0x7fu >> n) : 0;

        for (size_t i = 1; i < n; i++)
            c = c << 6 | ((unsigned char)text[i] & 0x3fu);
        if (n > 0 && (encode(c, again).len != n || memcmp(again, text, n) != 0))
            FAIL("%06x was taken as %zu bytes", v, n);
    }
}

TEST(what_was_escaped_is_always_utf8)
{
    uint32_t seed = 1;
    char in[64];

    for (int round = 0; round < 20000; round++) {
        size_t n = seed % sizeof(in);

        for (size_t i = 0; i < n; i++) {
            seed = seed * 1664525 + 1013904223;
            in[i] = (char)(seed >> 24);
        }
        seed = seed * 1664525 + 1013904223;
        b.len = 0;
        buf_add_json(&b, span(in, n));
        OK(span_is_utf8(span(b.at, b.len)));
        OK(b.len == 0 || memchr(b.at, '\n', b.len) == NULL);
    }
    buf_free(&b);
}

TEST(utf8_is_told_wherever_the_character_stands)
{
    char text[40];

    for (size_t at = 0; at + 2 <= sizeof(text); at++) {
        memset(text, 'a', sizeof(text));
        OK(span_is_utf8(span(text, sizeof(text))));
        memcpy(text + at, "\xc3\xa9", 2);
        OK(span_is_utf8(span(text, sizeof(text))));
        text[at] = 'a';
        OK(!span_is_utf8(span(text, sizeof(text))));
        OK(span_is_utf8(span(text, at + 1)));
    }
}
