/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/repair.h"

#include <stdlib.h>

#include "agent/audit/accept.h"
#include "outputs/elasticsearch/answer.h"

/* Memory that is kept for the next document. */
#define KEPT (64 * KIB)

struct repair {
    struct accept *accept;
    struct edits edits;
    struct buf text;
    enum accept_leaves leaves; /* what the server has taught us */
    /* while items that were refused are looked at: */
    struct batch *batch;
    uint32_t first;
    uint32_t count;
    uint32_t done;
};

struct repair *repair_new(void)
{
    struct repair *r = xcalloc(1, sizeof(*r));

    r->accept = accept_new();
    return r;
}

void repair_free(struct repair *r)
{
    if (r == NULL)
        return;
    accept_free(r->accept);
    edits_free(&r->edits);
    buf_free(&r->text);
    free(r);
}

static void add_edited(struct repair *r, struct buf *out)
{
    out->len += edits_apply(&r->edits, buf_room(out, edits_size(&r->edits)));
}

void repair_new_item(struct repair *r, struct batch *b, const struct event *ev)
{
    struct item *it = &b->items[b->n - 1];
    struct span doc = batch_item_doc(b, b->n - 1);

    if (!accept_is_suspect(r->accept, ev, doc, r->leaves) ||
        !accept_edit(r->accept, doc, r->leaves, &r->edits))
        return;
    r->text.len = 0;
    add_edited(r, &r->text);
    b->bytes.len = it->at + it->doc;
    buf_add(&b->bytes, r->text.at, r->text.len);
    buf_add(&b->bytes, "\n", 1);
    batch_item_end(b);
    it->repaired = true;
    if (r->text.cap > KEPT)
        buf_free(&r->text);
}

/* As little as helps. */
static bool edit(struct repair *r, struct span doc, const char *reason)
{
    static const char aside[] = ANSWER_FAILURE_STORE ":";
    /* Lucene's own word, in every version, for a term that is too long. */
    bool too_long = strstr(reason, "immense") != NULL;
    bool unknown = strncmp(reason, aside, sizeof(aside) - 1) == 0;

    if (accept_edit(r->accept, doc, r->leaves, &r->edits))
        return true;
    if (!too_long && !unknown)
        return false;
    if (accept_edit(r->accept, doc, ACCEPT_LEAVES_FLAT, &r->edits)) {
        if (too_long) /* from now on without being told */
            r->leaves = ACCEPT_LEAVES_FLAT;
        return true;
    }
    return accept_edit(r->accept, doc, ACCEPT_LEAVES_ALL, &r->edits);
}

static bool is_refused_for_itself(const struct item *it)
{
    return it->verdict == VERDICT_REFUSED && it->status == 400;
}

static bool rewrite(void *arg, uint32_t i, struct buf *out)
{
    struct repair *r = arg;
    struct batch *b = r->batch;
    struct item *it = &b->items[i];

    if (i < r->first || i - r->first >= r->count || !is_refused_for_itself(it))
        return false;
    if (!edit(r, batch_item_doc(b, i), batch_reason(b, it)))
        return false;
    add_edited(r, out);
    batch_forget_verdicts(b, i, 1);
    r->done++;
    return true;
}

uint32_t repair_refused(struct repair *r, struct batch *b, uint32_t first,
                        uint32_t count)
{
    uint32_t refused = 0;

    for (uint32_t i = first; i < first + count; i++)
        refused += is_refused_for_itself(&b->items[i]);
    if (refused == 0)
        return 0;
    r->batch = b;
    r->first = first;
    r->count = count;
    r->done = 0;
    batch_rewrite(b, rewrite, r);
    return r->done;
}
