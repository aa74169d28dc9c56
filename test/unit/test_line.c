/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/line.h"
#include "test/unit/unit.h"

TEST(an_event_becomes_a_line)
{
    static const char text[] = "{\"a\":1}";
    struct edits edits = { 0 };
    struct event ev = { 0 };
    struct batch b;

    batch_init(&b);
    edits_start(&edits, SPAN(text));
    line_encode(NULL, &b, &ev, &edits);
    edits_insert(&edits, edits.text.at + 1, SPAN("\"b\":2,"));
    line_encode(NULL, &b, &ev, &edits);
    edits_start(&edits, SPAN(""));
    line_encode(NULL, &b, &ev, &edits);
    EQ(3, b.n);
    EQ_SPAN(SPAN("{\"a\":1}\n"), batch_item_bytes(&b, 0));
    EQ_SPAN(SPAN("{\"b\":2,\"a\":1}\n"), batch_item_bytes(&b, 1));
    EQ_SPAN(SPAN("\n"), batch_item_bytes(&b, 2));
    EQ_SPAN(SPAN("{\"b\":2,\"a\":1}"), batch_item_doc(&b, 1));
    EQ_SPAN(SPAN("{\"a\":1}\n{\"b\":2,\"a\":1}\n\n"), batch_bytes_of(&b, 0, 3));
    batch_free(&b);
    edits_free(&edits);
}

TEST(the_bytes_of_the_event_are_kept)
{
    static const char text[] = "{\"a\":\"\xff\xfe\\u0000\"}";
    struct edits edits = { 0 };
    struct event ev = { 0 };
    struct batch b;

    batch_init(&b);
    edits_start(&edits, SPAN(text));
    line_encode(NULL, &b, &ev, &edits);
    EQ_SPAN(SPAN(text), batch_item_doc(&b, 0));
    batch_free(&b);
    edits_free(&edits);
}

TEST(a_range_of_items_gets_one_verdict)
{
    struct edits edits = { 0 };
    struct event ev = { 0 };
    struct batch b;

    batch_init(&b);
    edits_start(&edits, SPAN("{}"));
    for (int i = 0; i < 5; i++)
        line_encode(NULL, &b, &ev, &edits);
    line_verdicts(&b, 1, 3, VERDICT_DELIVERED);
    line_verdicts(&b, 0, 0, VERDICT_DELIVERED);
    EQ(VERDICT_NONE, b.items[0].verdict);
    for (int i = 1; i < 4; i++)
        EQ(VERDICT_DELIVERED, b.items[i].verdict);
    EQ(VERDICT_NONE, b.items[4].verdict);
    batch_free(&b);
    edits_free(&edits);
}
