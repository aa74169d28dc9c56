/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/sealed.h"
#include "test/unit/unit.h"

#define TITLE "thing 1"

/* A text of those lines between title and sum. */
static struct buf sealed(const char *lines)
{
    struct buf text = { 0 };

    buf_printf(&text, TITLE "\n%s", lines);
    sealed_end(&text);
    return text;
}

static void refused(struct span text, const char *why)
{
    struct err e = { 0 };
    struct span before = text;

    EQ(ERR_DAMAGED, sealed_open(&text, TITLE, &e));
    HAS(e.text, why);
    OK(before.at == text.at && before.len == text.len);
}

TEST(what_was_sealed_is_opened)
{
    static const char *const all[] = { "", "a 1\n", "a 1\nb 2\n", "sum x\n" };

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct buf text = sealed(all[i]);
        struct span s = { text.at, text.len };

        EQ(0, sealed_open(&s, TITLE, NULL));
        EQ_SPAN(span(all[i], strlen(all[i])), s);
        buf_free(&text);
    }
}

TEST(the_sum_is_the_last_line)
{
    struct buf text = sealed("a 1\n");
    unsigned char hash[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sha256_of(SPAN(TITLE "\na 1\n"), hash);
    sha256_hex(hash, hex);
    buf_add(&text, "", 1);
    HAS(text.at, "\na 1\nsum ");
    EQ_SPAN(span(hex, 64), span(text.at + text.len - 66, 64));
    buf_free(&text);
}

TEST(every_flipped_bit_and_every_cut_is_noticed)
{
    struct buf text = sealed("a 1\nb 2\n");

    for (size_t i = 0; i < 8 * text.len; i++) {
        text.at[i / 8] = (char)(text.at[i / 8] ^ 1 << i % 8);
        refused(span(text.at, text.len), "");
        text.at[i / 8] = (char)(text.at[i / 8] ^ 1 << i % 8);
    }
    for (size_t n = 0; n < text.len; n++) {
        char *exact = xmalloc(n); /* reading on behind it is seen */

        memcpy(exact, text.at, n);
        refused(span(exact, n), "");
        refused(span(text.at + text.len - n, n), "not a " TITLE);
        free(exact);
    }
    buf_free(&text);
}

TEST(each_damage_has_its_reason)
{
    struct buf text = sealed("a 1\n");

    refused(SPAN(""), "not a " TITLE);
    refused(SPAN("thing 2\n"), "not a " TITLE);
    refused(SPAN(TITLE), "not a " TITLE);
    refused(SPAN(TITLE "\n"), "its last line is missing");
    refused(SPAN(TITLE "\na 1\n"), "its last line is missing");
    refused(span(text.at, text.len - 1), "its last line is missing");
    text.at[sizeof(TITLE)] = 'b';
    refused(span(text.at, text.len), "its checksum does not match");
    buf_add(&text, "x\n", 2);
    refused(span(text.at, text.len), "its last line is missing");
    buf_free(&text);
}

TEST(a_title_that_is_only_longer_is_another)
{
    struct buf text = { 0 };

    buf_printf(&text, TITLE "0\n");
    sealed_end(&text);
    refused(span(text.at, text.len), "not a " TITLE);
    buf_free(&text);
}

TEST(lines_are_taken_in_turn)
{
    struct span text = SPAN("a 1\nab 2 3\nc \n"), out = SPAN("-");

    OK(!sealed_take(&text, "ab", &out));
    EQ_SPAN(SPAN("-"), out);
    OK(sealed_take(&text, "a", &out));
    EQ_SPAN(SPAN("1"), out);
    OK(!sealed_take(&text, "a", &out));
    OK(sealed_take(&text, "ab", &out));
    EQ_SPAN(SPAN("2 3"), out);
    OK(sealed_take(&text, "c", &out));
    EQ(0, out.len);
    EQ(0, text.len);
    OK(!sealed_take(&text, "c", &out));
}

TEST(what_is_no_line_is_not_taken)
{
    static const char *const all[] = { "",    "a",     "a 1",   "\n",
                                       "a\n", "b 1\n", " a 1\n" };
    struct span out;

    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct span text = { all[i], strlen(all[i]) };

        OK(!sealed_take(&text, "a", &out));
        EQ(strlen(all[i]), text.len);
    }
}

TEST(a_hash_is_read_back)
{
    unsigned char hash[SHA256_SIZE], again[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    for (unsigned i = 0; i < SHA256_SIZE; i++)
        hash[i] = (unsigned char)(i * 37);
    sha256_hex(hash, hex);
    OK(sealed_hash(hex, again));
    EQ(0, memcmp(hash, again, SHA256_SIZE));
    for (unsigned i = 0; i < 64; i++) {
        static const char bad[] = "/:@`gA \n";
        char digit = hex[i];

        for (size_t k = 0; k < sizeof(bad); k++) { /* and the NUL */
            hex[i] = bad[k];
            OK(!sealed_hash(hex, again));
        }
        hex[i] = digit;
    }
}
