/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/batch.h"

#include <stdlib.h>

#define REASON_MAX 1024

void batch_init(struct batch *b)
{
    *b = (struct batch){ 0 };
}

void batch_free(struct batch *b)
{
    buf_free(&b->bytes);
    buf_free(&b->reasons);
    free(b->items);
    batch_init(b);
}

void batch_reset(struct batch *b)
{
    b->bytes.len = 0;
    b->reasons.len = 0;
    b->n = 0;
}

struct item *batch_item(struct batch *b)
{
    struct item *it;

    if (b->n == b->cap) {
        b->cap = b->cap > 0 ? 2 * b->cap : 64;
        b->items = xrealloc(b->items, b->cap * sizeof(*b->items));
    }
    if (b->bytes.len > UINT32_MAX)
        abort();
    it = &b->items[b->n++];
    *it = (struct item){ .at = (uint32_t)b->bytes.len };
    return it;
}

static struct item *last(struct batch *b)
{
    return &b->items[b->n - 1];
}

void batch_doc(struct batch *b)
{
    last(b)->doc = (uint32_t)(b->bytes.len - last(b)->at);
}

void batch_item_end(struct batch *b)
{
    if (b->bytes.len > UINT32_MAX)
        abort();
    last(b)->len = (uint32_t)(b->bytes.len - last(b)->at);
}

struct span batch_item_bytes(const struct batch *b, uint32_t i)
{
    return span(b->bytes.at + b->items[i].at, b->items[i].len);
}

/* Without the newline that ends it. */
struct span batch_item_doc(const struct batch *b, uint32_t i)
{
    const struct item *it = &b->items[i];
    struct span doc = { b->bytes.at + it->at + it->doc, it->len - it->doc };

    if (doc.len > 0 && doc.at[doc.len - 1] == '\n')
        doc.len--;
    return doc;
}

struct span batch_bytes_of(const struct batch *b, uint32_t i, uint32_t count)
{
    const struct item *from, *to;

    if (count == 0)
        return SPAN("");
    from = &b->items[i];
    to = from + count - 1;
    return span(b->bytes.at + from->at, to->at + to->len - from->at);
}

bool batch_is_final(const struct item *it)
{
    return it->verdict >= VERDICT_DELIVERED;
}

void batch_verdict(struct batch *b, uint32_t i, enum verdict v, unsigned status,
                   const char *reason)
{
    struct item *it = &b->items[i];

    if (i >= b->n || batch_is_final(it))
        abort();
    it->verdict = (uint8_t)v;
    it->status = (uint16_t)status;
    if (v != VERDICT_REFUSED)
        return;
    reason = reason != NULL ? reason : "no reason was given";
    it->reason = (uint32_t)b->reasons.len;
    buf_add(&b->reasons, reason, strnlen(reason, REASON_MAX));
    buf_add(&b->reasons, "", 1);
}

void batch_forget_verdicts(struct batch *b, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        b->items[i].verdict = VERDICT_NONE;
}

const char *batch_reason(const struct batch *b, const struct item *it)
{
    return b->reasons.at + it->reason;
}

void batch_rewrite(struct batch *b,
                   bool (*write)(void *arg, uint32_t i, struct buf *out),
                   void *arg)
{
    struct buf fresh = { 0 };

    buf_reserve(&fresh, b->bytes.len);
    for (uint32_t i = 0; i < b->n; i++) {
        struct span old = batch_item_bytes(b, i);
        struct item *it = &b->items[i];
        size_t at = fresh.len;

        buf_add(&fresh, old.at, it->doc);
        if (write(arg, i, &fresh)) {
            buf_add(&fresh, "\n", 1);
            it->repaired = true;
        } else {
            buf_add(&fresh, old.at + it->doc, old.len - it->doc);
        }
        if (fresh.len > UINT32_MAX)
            abort();
        it->at = (uint32_t)at;
        it->len = (uint32_t)(fresh.len - at);
    }
    buf_free(&b->bytes);
    b->bytes = fresh;
}

void batch_compact(struct batch *b)
{
    uint32_t kept = 0;
    size_t used = 0;

    for (uint32_t i = 0; i < b->n; i++) {
        struct item it = b->items[i];

        if (batch_is_final(&it))
            continue;
        memmove(b->bytes.at + used, b->bytes.at + it.at, it.len);
        it.at = (uint32_t)used;
        it.verdict = VERDICT_NONE;
        used += it.len;
        b->items[kept++] = it;
    }
    b->n = kept;
    b->bytes.len = used;
    b->reasons.len = 0;
}

void batch_give_bytes(struct batch *b, struct batch_buffers *to)
{
    if (b->bytes.cap == 0)
        return;
    if (to->n == ARRAY_LEN(to->at) || b->bytes.cap > to->most) {
        buf_free(&b->bytes);
        return;
    }
    b->bytes.len = 0;
    to->at[to->n++] = b->bytes;
    b->bytes = (struct buf){ 0 };
}

void batch_take_bytes(struct batch *b, struct batch_buffers *from)
{
    if (b->bytes.at == NULL && from->n > 0)
        b->bytes = from->at[--from->n];
}

void batch_buffers_free(struct batch_buffers *buffers)
{
    while (buffers->n > 0)
        buf_free(&buffers->at[--buffers->n]);
}

size_t batch_memory(const struct batch *b)
{
    return b->held + b->bytes.len + b->reasons.len;
}
