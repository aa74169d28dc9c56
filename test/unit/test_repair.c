/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/repair.h"
#include "test/unit/unit.h"

static struct batch b;
static struct repair *r;

/* A document, as the output adds one that was made of `ev`. */
static void add(const char *doc, const struct event *ev)
{
    batch_item(&b);
    buf_add(&b.bytes, "head\n", 5);
    batch_doc(&b);
    buf_add(&b.bytes, doc, strlen(doc));
    buf_add(&b.bytes, "\n", 1);
    batch_item_end(&b);
    repair_new_item(r, &b, ev);
}

static void add_plain(const char *doc)
{
    add(doc, &(struct event){ .depth = 2 });
}

static void start(void)
{
    batch_init(&b);
    r = repair_new();
}

static void stop(void)
{
    repair_free(r);
    repair_free(NULL);
    batch_free(&b);
}

static void is(uint32_t i, const char *want)
{
    EQ_SPAN(span(want, strlen(want)), batch_item_doc(&b, i));
}

/* {"requestObject":{"a":"xxx..."}} or another field. */
static char *with_long(const char *before, const char *after)
{
    char *text = xmalloc(40200);
    size_t n = strlen(before);

    memcpy(text, before, n);
    memset(text + n, 'x', 40000);
    strcpy(text + n + 40000, after);
    return text;
}

static void refuse(uint32_t i, const char *reason)
{
    batch_verdict(&b, i, VERDICT_REFUSED, 400, reason);
}

TEST(a_patch_is_repaired_before_it_is_sent)
{
    struct event ev = { .depth = 2 };

    start();
    ev.field[EVENT_VERB] = SPAN("\"patch\"");
    ev.field[EVENT_REQUEST_OBJECT] = SPAN("{\"a\":1,\"a\":2}");
    add_plain("{\"b\":0}");
    add("{\"requestObject\":{\"a\":1,\"a\":2}}", &ev);
    add_plain("{\"c\":0}");
    is(0, "{\"b\":0}");
    is(1, "{\"requestObject\":{\"a#1\":1,\"a\":2}}");
    is(2, "{\"c\":0}");
    OK(!b.items[0].repaired && b.items[1].repaired && !b.items[2].repaired);
    EQ_SPAN(SPAN("head\n{\"requestObject\":{\"a#1\":1,\"a\":2}}\n"),
            batch_item_bytes(&b, 1));
    stop();
}

TEST(what_is_refused_is_repaired_and_its_verdict_taken_back)
{
    start();
    add_plain("{\"a\":1,\"a\":2}");
    add_plain("{\"b\":0}");
    add_plain("{\"c\":\"\xff\"}");
    refuse(0, "document_parsing_exception: Duplicate field");
    batch_verdict(&b, 1, VERDICT_DELIVERED, 201, NULL);
    refuse(2, "document_parsing_exception: Invalid UTF-8");
    EQ(2, repair_refused(r, &b, 0, 3));
    is(0, "{\"a#1\":1,\"a\":2}");
    is(1, "{\"b\":0}");
    is(2, "{\"c\":\"\xef\xbf\xbd\"}");
    EQ(VERDICT_NONE, b.items[0].verdict);
    EQ(VERDICT_DELIVERED, b.items[1].verdict);
    EQ(VERDICT_NONE, b.items[2].verdict);
    OK(b.items[0].repaired && !b.items[1].repaired);
    stop();
}

TEST(what_is_refused_again_stays_refused)
{
    start();
    add_plain("{\"a\":1,\"a\":2}");
    refuse(0, "no");
    EQ(1, repair_refused(r, &b, 0, 1));
    refuse(0, "no again");
    EQ(0, repair_refused(r, &b, 0, 1));
    EQ(VERDICT_REFUSED, b.items[0].verdict);
    EQ_STR("no again", batch_reason(&b, &b.items[0]));
    is(0, "{\"a#1\":1,\"a\":2}");
    stop();
}

TEST(only_what_is_sent_and_refused_with_400_is_looked_at)
{
    start();
    for (int i = 0; i < 3; i++)
        add_plain("{\"a\":1,\"a\":2}");
    refuse(0, "no");
    refuse(2, "no");
    batch_verdict(&b, 1, VERDICT_REFUSED, 404, "no such index");
    EQ(1, repair_refused(r, &b, 1, 2));
    is(0, "{\"a\":1,\"a\":2}");
    is(1, "{\"a\":1,\"a\":2}");
    is(2, "{\"a#1\":1,\"a\":2}");
    stop();
}

TEST(long_values_are_cut_only_once_a_server_takes_none)
{
    char *body = with_long("{\"requestObject\":{\"a\":\"", "\"}}");

    start();
    add_plain(body);
    is(0, body);
    refuse(0, "mapper_parsing_exception: some other reason");
    EQ(0, repair_refused(r, &b, 0, 1));
    batch_forget_verdicts(&b, 0, 1);
    refuse(0, "illegal_argument_exception: at least one immense term in");
    EQ(1, repair_refused(r, &b, 0, 1));
    OK(batch_item_doc(&b, 0).len < 9000);
    add_plain(body); /* from now on at once */
    OK(batch_item_doc(&b, 1).len < 9000 && b.items[1].repaired);
    free(body);
    stop();
}

TEST(where_no_reason_is_told_values_are_cut_but_nothing_is_learnt)
{
    char *body = with_long("{\"requestObject\":{\"a\":\"", "\"}}");

    start();
    add_plain(body);
    refuse(0, "failure_store: it has the reason");
    EQ(1, repair_refused(r, &b, 0, 1));
    OK(batch_item_doc(&b, 0).len < 9000);
    add_plain(body);
    is(1, body);
    free(body);
    stop();
}

TEST(a_long_value_outside_of_bodies_is_cut_when_that_is_what_it_was)
{
    char *other = with_long("{\"requestURI\":\"", "\"}");

    start();
    add_plain(other);
    refuse(0, "immense term");
    EQ(1, repair_refused(r, &b, 0, 1));
    OK(batch_item_doc(&b, 0).len < 9000);
    add_plain(other); /* that was one; the next may be another field */
    is(1, other);
    free(other);
    stop();
}
