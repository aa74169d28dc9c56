/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/line.h"

void line_encode(struct output *o, struct batch *b, const struct event *ev,
                 const struct edits *edits)
{
    char *out = buf_room(&b->bytes, edits_size(edits) + 1);
    size_t n;

    (void)o;
    (void)ev;
    batch_item(b);
    batch_doc(b);
    n = edits_apply(edits, out);
    out[n] = '\n';
    b->bytes.len += n + 1;
    batch_item_end(b);
}

void line_verdicts(struct batch *b, uint32_t first, uint32_t count,
                   enum verdict v)
{
    for (uint32_t i = first; i < first + count; i++)
        batch_verdict(b, i, v, 0, NULL);
}
