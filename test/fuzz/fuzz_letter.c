/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_letter - any bytes as a record of the dead letters, and any bytes as the
 * line of one. What is read and printed again says the same; what was printed
 * is read, and its line comes back byte for byte.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "agent/lane/letter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_KEPT (64 * KIB)

static struct letter_reader *reader, *other;
static struct parser *parser;

static unsigned parser_of(void *arg, const char *trail)
{
    (void)arg;
    return trail[0] == 'j'; /* json, or audit */
}

static bool same(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.at, b.at, a.len) == 0);
}

/* As the lane would after the output has refused it once more. */
static void print_again(const struct letter *l, struct span record)
{
    struct dead_letter d = { .kind = "refused",
                             .reason = "again",
                             .trail = "replay",
                             .output = "search",
                             .file = "/dead" };
    struct buf out = { 0 };
    struct letter again;

    letter_print_again(other, &d, record, &out);
    assert(out.len > 0 && out.at[out.len - 1] == '\n');
    assert(memchr(out.at, '\n', out.len) == out.at + out.len - 1);
    assert(letter_read(other, span(out.at, out.len - 1), &again) == 0);
    assert(strcmp(l->is.trail, again.is.trail) == 0);
    assert(strcmp(l->is.file, again.is.file) == 0);
    assert(l->is.offset == again.is.offset && l->is.length == again.is.length);
    assert(!l->is_whole || same(l->text, again.text));
    buf_free(&out);
}

/* Lines have no newline: the cursor has taken it. */
static void read_record(struct span record)
{
    struct event ev;
    struct letter l;

    if (record.len > 0 && memchr(record.at, '\n', record.len) != NULL)
        return;
    if (letter_read(reader, record, &l) == 0)
        print_again(&l, record);
    else
        assert(letter_why(reader)[0] != '\0');
    if (letter_parser.run(parser, record, &ev) != 0)
        assert(letter_parser.why(parser)[0] != '\0');
    else
        assert(ev.body.len >= 2);
}

static void read_line(struct span line)
{
    struct dead_letter d = { .kind = "quarantined",
                             .reason = "why",
                             .trail = "audit",
                             .output = "search",
                             .file = "/f",
                             .length = line.len,
                             .line = line };
    struct buf out = { 0 };
    struct letter l;

    dead_print(&d, &out);
    assert(letter_read(reader, span(out.at, out.len - 1), &l) == 0);
    assert(l.is_whole == (line.len <= HEAD_KEPT));
    assert(!l.is_whole || same(line, l.text));
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *own = xmalloc(size); /* reading on behind it is seen */

    if (reader == NULL) {
        reader = letter_reader_new();
        other = letter_reader_new();
        parser = letter_parser_new(parser_of, NULL);
    }
    memcpy(own, data, size);
    read_record(span(own, size));
    read_line(span(own, size));
    free(own);
    return 0;
}
