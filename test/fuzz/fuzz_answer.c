/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz_answer - any bytes as a server's answer, whole and in pieces: both tell
 * the same. The first byte says how long the pieces are.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "outputs/elasticsearch/answer.h"
#include "outputs/elasticsearch/verdict.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct told {
    uint32_t items;
    struct buf text;
};

static void on_item(void *arg, uint32_t i, const struct answer_error *e)
{
    struct told *told = arg;
    enum verdict v = verdict_of_item(e);

    assert(i == told->items);
    told->items++;
    assert(strnlen(e->type, sizeof(e->type)) < sizeof(e->type));
    assert(strnlen(e->reason, sizeof(e->reason)) < sizeof(e->reason));
    assert(v != VERDICT_NONE);
    /* Nothing is settled without a status that says so. */
    assert(v == VERDICT_RETRY || e->status >= 200);
    buf_printf(&told->text, "%u %s %s\n", e->status, e->type, e->reason);
}

static bool feed(struct answer_reader *a, const uint8_t *data, size_t size,
                 size_t piece)
{
    answer_start(a);
    for (size_t at = 0; at < size; at += piece) {
        size_t n = piece < size - at ? piece : size - at;
        char *own = malloc(n);

        memcpy(own, data + at, n);
        answer_feed(a, own, n);
        free(own);
    }
    return answer_end(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct told one = { 0 }, other = { 0 };
    struct answer_reader *a, *b;
    const struct answer_error *x, *y;
    bool whole, again;

    if (size == 0)
        return 0;
    a = answer_new(on_item, &one);
    b = answer_new(on_item, &other);
    whole = feed(a, data + 1, size - 1, size);
    again = feed(b, data + 1, size - 1, 1 + data[0] % 64u);
    x = answer_whole(a);
    y = answer_whole(b);
    assert(answer_items(a) == one.items && answer_items(b) == other.items);
    assert(answer_begin(a).len <= size - 1);
    /* Broken in the middle of a piece, what is before it may be told or not. */
    if (whole || again) {
        assert(whole == again && one.items == other.items);
        assert(answer_has_items(a) == answer_has_items(b));
        assert(x->status == y->status && strcmp(x->type, y->type) == 0 &&
               strcmp(x->reason, y->reason) == 0);
    }
    assert(one.text.len == other.text.len || !whole);
    if (one.text.len > 0 && other.text.len >= one.text.len)
        assert(memcmp(one.text.at, other.text.at, one.text.len) == 0);
    assert(verdict_of_request(x->status, x) != ANSWER_ITEMS);
    answer_free(a);
    answer_free(b);
    buf_free(&one.text);
    buf_free(&other.text);
    return 0;
}
