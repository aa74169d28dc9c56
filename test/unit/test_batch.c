/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/batch.h"
#include "test/unit/unit.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static struct batch b;

static void add(const char *head, const char *doc)
{
    struct item *it = batch_item(&b);

    it->place = b.n;
    buf_add(&b.bytes, head, strlen(head));
    batch_doc(&b);
    buf_add(&b.bytes, doc, strlen(doc));
    batch_item_end(&b);
}

static void add_three(void)
{
    batch_init(&b);
    add("head 1\n", "doc 1\n");
    add("", "doc two\n");
    add("head 3\n", "");
}

static void is(struct span have, const char *want)
{
    EQ_SPAN(span(want, strlen(want)), have);
}

/* Whether `what` ends in abort(). */
static bool aborts(void (*what)(void))
{
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct rlimit none = { 0, 0 };

        setrlimit(RLIMIT_CORE, &none);
        signal(SIGABRT, SIG_DFL);
        what();
        _exit(0);
    }
    EQ(pid, waitpid(pid, &status, 0));
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

TEST(items_lie_one_behind_the_other)
{
    add_three();
    EQ(3, b.n);
    is(batch_item_bytes(&b, 0), "head 1\ndoc 1\n");
    is(batch_item_bytes(&b, 1), "doc two\n");
    is(batch_item_bytes(&b, 2), "head 3\n");
    is(batch_item_doc(&b, 0), "doc 1");
    is(batch_item_doc(&b, 1), "doc two");
    is(batch_item_doc(&b, 2), "");
    is(batch_bytes_of(&b, 0, 3), "head 1\ndoc 1\ndoc two\nhead 3\n");
    is(batch_bytes_of(&b, 1, 2), "doc two\nhead 3\n");
    is(batch_bytes_of(&b, 1, 1), "doc two\n");
    batch_free(&b);
}

TEST(no_items_are_no_bytes)
{
    batch_init(&b);
    EQ(0, batch_bytes_of(&b, 0, 0).len);
    batch_compact(&b);
    EQ(0, b.n);
    add("a", "b");
    EQ(0, batch_bytes_of(&b, 0, 0).len);
    EQ(0, batch_bytes_of(&b, 1, 0).len);
    batch_free(&b);
    batch_free(&b);
}

TEST(verdicts_are_final_or_not)
{
    add_three();
    for (unsigned i = 0; i < 3; i++)
        EQ(VERDICT_NONE, b.items[i].verdict);
    batch_verdict(&b, 0, VERDICT_RETRY, 503, "busy");
    OK(!batch_is_final(&b.items[0]));
    batch_verdict(&b, 0, VERDICT_RETRY, 429, NULL);
    batch_verdict(&b, 0, VERDICT_DELIVERED, 201, NULL);
    batch_verdict(&b, 1, VERDICT_DUPLICATE, 409, NULL);
    batch_verdict(&b, 2, VERDICT_REFUSED, 400, "not that");
    for (unsigned i = 0; i < 3; i++)
        OK(batch_is_final(&b.items[i]));
    EQ(201, b.items[0].status);
    EQ(400, b.items[2].status);
    EQ_STR("not that", batch_reason(&b, &b.items[2]));
    batch_free(&b);
}

TEST(reasons_are_kept_apart_and_cut)
{
    char reason[5000];

    memset(reason, 'r', sizeof(reason) - 1);
    reason[sizeof(reason) - 1] = '\0';
    add_three();
    batch_verdict(&b, 2, VERDICT_REFUSED, 400, reason);
    batch_verdict(&b, 0, VERDICT_REFUSED, 400, NULL);
    batch_verdict(&b, 1, VERDICT_REFUSED, 404, "");
    EQ(1024, strlen(batch_reason(&b, &b.items[2])));
    OK(strlen(batch_reason(&b, &b.items[0])) > 0);
    EQ_STR("", batch_reason(&b, &b.items[1]));
    batch_free(&b);
}

static void settle_twice(void)
{
    batch_verdict(&b, 0, VERDICT_DELIVERED, 201, NULL);
    batch_verdict(&b, 0, VERDICT_DUPLICATE, 409, NULL);
}

static void retry_what_is_settled(void)
{
    batch_verdict(&b, 0, VERDICT_REFUSED, 400, "no");
    batch_verdict(&b, 0, VERDICT_RETRY, 503, NULL);
}

static void settle_what_is_not_there(void)
{
    batch_verdict(&b, 3, VERDICT_DELIVERED, 201, NULL);
}

static void settle_once(void)
{
    batch_verdict(&b, 0, VERDICT_DELIVERED, 201, NULL);
}

TEST(a_second_final_verdict_aborts)
{
    add_three();
    OK(!aborts(settle_once));
    OK(aborts(settle_twice));
    OK(aborts(retry_what_is_settled));
    OK(aborts(settle_what_is_not_there));
    batch_free(&b);
}

TEST(verdicts_can_be_taken_back)
{
    add_three();
    for (unsigned i = 0; i < 3; i++)
        batch_verdict(&b, i, VERDICT_DELIVERED, 201, NULL);
    batch_forget_verdicts(&b, 1, 2);
    batch_forget_verdicts(&b, 0, 0);
    OK(batch_is_final(&b.items[0]));
    EQ(VERDICT_NONE, b.items[1].verdict);
    EQ(VERDICT_NONE, b.items[2].verdict);
    batch_verdict(&b, 2, VERDICT_REFUSED, 400, "no");
    EQ_STR("no", batch_reason(&b, &b.items[2]));
    batch_compact(&b);
    is(batch_bytes_of(&b, 0, b.n), "doc two\n");
    batch_free(&b);
}

static bool shout(void *arg, uint32_t i, struct buf *out)
{
    unsigned *asked = arg;

    ++*asked;
    if (i == 1)
        return false;
    buf_printf(out, "LONGER %u", i);
    return true;
}

TEST(items_get_other_documents_and_keep_their_heads)
{
    unsigned asked = 0;

    add_three();
    batch_rewrite(&b, shout, &asked);
    EQ(3, asked);
    is(batch_item_bytes(&b, 0), "head 1\nLONGER 0\n");
    is(batch_item_doc(&b, 0), "LONGER 0");
    is(batch_item_bytes(&b, 1), "doc two\n");
    is(batch_item_bytes(&b, 2), "head 3\nLONGER 2\n");
    is(batch_bytes_of(&b, 0, 3),
       "head 1\nLONGER 0\ndoc two\nhead 3\nLONGER 2\n");
    OK(b.items[0].repaired && !b.items[1].repaired && b.items[2].repaired);
    batch_free(&b);
}

TEST(what_is_settled_goes_and_the_rest_keeps_order_and_bytes)
{
    for (unsigned settled = 0; settled < 256; settled++) {
        char want[256] = "";
        unsigned n = 0;

        batch_init(&b);
        for (unsigned i = 0; i < 8; i++) {
            char head[16], doc[16];

            snprintf(head, sizeof(head), "h%u%.*s\n", i, (int)i, "-------");
            snprintf(doc, sizeof(doc), "d%u\n", i);
            add(head, doc);
        }
        for (unsigned i = 0; i < 8; i++) {
            if (settled >> i & 1)
                batch_verdict(
                    &b, i, i % 2 ? VERDICT_DELIVERED : VERDICT_REFUSED, 0, "x");
            else if (i % 3 == 0)
                batch_verdict(&b, i, VERDICT_RETRY, 429, NULL);
        }
        batch_compact(&b);
        for (unsigned i = 0; i < 8; i++) {
            char line[32];

            if (settled >> i & 1)
                continue;
            snprintf(line, sizeof(line), "h%u%.*s\nd%u\n", i, (int)i, "-------",
                     i);
            is(batch_item_bytes(&b, n), line);
            strcat(want, line);
            snprintf(line, sizeof(line), "d%u", i);
            is(batch_item_doc(&b, n), line);
            EQ(i + 1, b.items[n].place);
            EQ(VERDICT_NONE, b.items[n].verdict);
            n++;
        }
        EQ(n, b.n);
        is(batch_bytes_of(&b, 0, n), want);
        EQ(strlen(want), b.bytes.len);
        batch_free(&b);
    }
}

TEST(a_compacted_batch_takes_more)
{
    add_three();
    batch_verdict(&b, 0, VERDICT_DELIVERED, 201, NULL);
    batch_compact(&b);
    add("head 4\n", "doc 4\n");
    is(batch_bytes_of(&b, 0, 3), "doc two\nhead 3\nhead 4\ndoc 4\n");
    batch_verdict(&b, 2, VERDICT_REFUSED, 400, "fourth");
    EQ_STR("fourth", batch_reason(&b, &b.items[2]));
    batch_free(&b);
}

TEST(a_reset_keeps_the_memory)
{
    const char *at;

    batch_init(&b);
    for (int i = 0; i < 1000; i++)
        add("head\n", "doc\n");
    at = b.bytes.at;
    batch_reset(&b);
    EQ(0, b.n);
    EQ(0, b.bytes.len);
    add("a", "b");
    OK(b.bytes.at == at);
    is(batch_item_bytes(&b, 0), "ab");
    batch_free(&b);
}

TEST(bytes_are_given_away_and_taken_again)
{
    struct batch_buffers buffers = { .most = MIB };
    const char *at;

    add_three();
    at = b.bytes.at;
    batch_give_bytes(&b, &buffers);
    EQ(1, buffers.n);
    OK(b.bytes.at == NULL && b.bytes.cap == 0);
    EQ(3, b.n);
    batch_give_bytes(&b, &buffers); /* there is nothing more to give */
    EQ(1, buffers.n);
    batch_take_bytes(&b, &buffers);
    OK(b.bytes.at == at);
    EQ(0, b.bytes.len);
    EQ(0, buffers.n);
    batch_take_bytes(&b, &buffers); /* it has some */
    OK(b.bytes.at == at);
    batch_free(&b);
    batch_take_bytes(&b, &buffers); /* there are none */
    OK(b.bytes.at == NULL);
    batch_buffers_free(&buffers);
}

TEST(no_more_buffers_are_kept_than_there_is_room_for)
{
    struct batch_buffers buffers = { .most = 4096 };

    for (unsigned i = 0; i < 20; i++) {
        batch_init(&b);
        buf_room(&b.bytes, 1000);
        batch_give_bytes(&b, &buffers);
        EQ(i < 8 ? i + 1 : 8, buffers.n);
        batch_free(&b);
    }
    batch_buffers_free(&buffers);
    EQ(0, buffers.n);
    buf_room(&b.bytes, 10000); /* a large one goes to the system */
    batch_give_bytes(&b, &buffers);
    EQ(0, buffers.n);
    OK(b.bytes.at == NULL);
    batch_free(&b);
}

TEST(bytes_of_events_are_counted)
{
    size_t before;

    add_three();
    before = batch_memory(&b);
    EQ(b.bytes.len, before);
    buf_reserve(&b.bytes, 100000);
    EQ(before, batch_memory(&b));
    b.held = 1000;
    EQ(before + 1000, batch_memory(&b));
    b.held = 0;
    batch_free(&b);
    EQ(0, batch_memory(&b));
}
