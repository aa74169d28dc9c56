/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch - encoded events on their way, and the verdict on each.
 *
 *   bytes:   |  item 0  |     item 1      | item 2 | ...
 *            ^at         ^at
 *            [head][doc ]                             doc: the event itself
 *
 * Owns the bytes. Knows nothing of files, time or how to send. Items keep
 * their order; batch_compact() takes the settled ones out, so that what is
 * left can be sent again as it lies. Loop only. Giving an item two final
 * verdicts is a bug and aborts.
 */
#ifndef TALLYMAN_BATCH_H
#define TALLYMAN_BATCH_H

#include <stdint.h>

#include "agent/base/bytes.h"

enum verdict {
    VERDICT_NONE,  /* not known yet: it counts as to be sent */
    VERDICT_RETRY, /* send it again later */
    VERDICT_DELIVERED,
    VERDICT_DUPLICATE, /* it was there already */
    VERDICT_REFUSED    /* it will never be taken; the reason is kept */
};

struct item {
    uint64_t place;    /* of the lane: where the event came from */
    uint32_t line_len; /* of the event's own line, bytes */
    uint32_t at;       /* in batch->bytes */
    uint32_t doc;      /* the document's place behind `at` */
    uint32_t len;      /* of head and document */
    uint32_t reason;   /* in batch->reasons, NUL-ended, when refused */
    uint16_t status;   /* that came with the verdict, 0 where none */
    uint8_t verdict;
    bool repaired; /* the document is not the event's own any more */
};

struct batch {
    struct buf bytes;
    struct item *items;
    uint32_t n;
    uint32_t cap;
    struct buf reasons;
    size_t held; /* memory that an output holds for it elsewhere */
};

/* Large buffers that go from batch to batch instead of back to the system: one
 * that was just emptied is still in the cache. */
struct batch_buffers {
    struct buf at[8];
    size_t n;
    size_t most; /* a larger one goes back to the system */
};

void batch_init(struct batch *b);
void batch_free(struct batch *b);
/* Empty again; the memory stays for the next one. */
void batch_reset(struct batch *b);

/*
 * One more item: the caller adds its head to b->bytes, then calls
 * batch_doc(), adds the document, then batch_item_end().
 */
struct item *batch_item(struct batch *b);
void batch_doc(struct batch *b);
void batch_item_end(struct batch *b);

struct span batch_item_bytes(const struct batch *b, uint32_t i);
struct span batch_item_doc(const struct batch *b, uint32_t i);
/* Items i to i + count, as they lie. */
struct span batch_bytes_of(const struct batch *b, uint32_t i, uint32_t count);

/* `reason` may be NULL; it is copied, and cut to 1 KiB. */
void batch_verdict(struct batch *b, uint32_t i, enum verdict v, unsigned status,
                   const char *reason);
/* Takes verdicts back that turned out to be worth nothing. */
void batch_forget_verdicts(struct batch *b, uint32_t first, uint32_t count);
bool batch_is_final(const struct item *it);
const char *batch_reason(const struct batch *b, const struct item *it);

/* Gives items other documents. `write` adds that of an item to `out` and returns
 * true, or leaves it as it is; it is asked once for each. */
void batch_rewrite(struct batch *b,
                   bool (*write)(void *arg, uint32_t i, struct buf *out),
                   void *arg);

/* Takes the items with a final verdict out; the others' bytes move together.
 * Their verdicts become VERDICT_NONE. */
void batch_compact(struct batch *b);

/* Gives the bytes' memory away, while they exist in another form, and takes
 * some for them again, empty. The items stay as they are. */
void batch_give_bytes(struct batch *b, struct batch_buffers *to);
void batch_take_bytes(struct batch *b, struct batch_buffers *from);
void batch_buffers_free(struct batch_buffers *buffers);

/* What it takes of the memory of its lane: bytes of events, in whatever form they
 * are. Not what was reserved beyond them, and not the items (32 bytes each). */
size_t batch_memory(const struct batch *b);

#endif
