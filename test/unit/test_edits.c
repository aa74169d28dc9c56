/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/edits.h"
#include "test/unit/unit.h"

static struct edits e;

static void start(const char *text)
{
    edits_start(&e, span(text, strlen(text)));
}

/* The first place where `part` stands in the text. */
static struct span find(const char *part)
{
    const char *at = strstr(e.text.at, part);

    OK(at != NULL);
    return span(at, strlen(part));
}

static void becomes(const char *want)
{
    char out[256];
    size_t n = edits_apply(&e, out);

    EQ(strlen(want), edits_size(&e));
    EQ_SPAN(span(want, strlen(want)), span(out, n));
    edits_free(&e);
}

TEST(no_edit_gives_the_text_itself)
{
    start("{\"a\":1}");
    becomes("{\"a\":1}");
}

TEST(edits_may_come_in_any_order)
{
    start("{\"a\":1,\"b\":2,\"c\":3}");
    edits_replace(&e, find("3"), SPAN("three"));
    edits_insert(&e, e.text.at + 1, SPAN("\"z\":0,"));
    edits_replace(&e, find("1"), SPAN("one"));
    becomes("{\"z\":0,\"a\":one,\"b\":2,\"c\":three}");
}

TEST(inserts_at_one_place_keep_their_order)
{
    start("ab");
    edits_insert(&e, e.text.at + 1, SPAN("1"));
    edits_insert(&e, e.text.at + 1, SPAN("2"));
    edits_insert(&e, e.text.at, SPAN("0"));
    edits_insert(&e, e.text.at + 2, SPAN("3"));
    becomes("0a12b3");
}

TEST(an_insert_stands_before_what_is_cut_at_its_place)
{
    start("abc");
    edits_cut(&e, find("b"));
    edits_insert(&e, e.text.at + 1, SPAN("X"));
    edits_insert(&e, e.text.at + 2, SPAN("Y"));
    becomes("aXYc");
}

TEST(a_cut_swallows_the_edits_within)
{
    start("{\"body\":{\"password\":\"x\"},\"n\":1}");
    edits_replace(&e, find("\"x\""), SPAN("\"***\""));
    edits_insert(&e, find("\"password\"").at + 1, SPAN("_"));
    edits_cut(&e, find("{\"password\":\"x\"}"));
    edits_replace(&e, find("password"), SPAN("late"));
    becomes("{\"body\":,\"n\":1}");
}

TEST(replacing_twice_keeps_the_last)
{
    start("abc");
    edits_replace(&e, find("b"), SPAN("1"));
    edits_replace(&e, find("b"), SPAN("22"));
    becomes("a22c");
}

TEST(a_cut_member_takes_its_comma_along)
{
    start("{\"a\":1,\"b\":2,\"c\":3}");
    edits_cut_member(&e, find("\"b\":2"));
    becomes("{\"a\":1,\"c\":3}");
    start("{\"a\":1,\"b\":2,\"c\":3}");
    edits_cut_member(&e, find("\"a\":1"));
    becomes("{\"b\":2,\"c\":3}");
    start("{\"a\":1}");
    edits_cut_member(&e, find("\"a\":1"));
    becomes("{}");
    start("[1 , 2 , 3]");
    edits_cut_member(&e, find("3"));
    becomes("[1 , 2 ]");
}

TEST(members_are_cut_in_every_order_and_number)
{
    static const char *const member[] = { "\"a\":1", "\"b\":2", "\"c\":3" };

    for (unsigned order = 0; order < 27; order++) {
        unsigned o[3] = { order % 3, order / 3 % 3, order / 9 };

        if (o[0] == o[1] || o[1] == o[2] || o[0] == o[2])
            continue;
        for (unsigned n = 1; n <= 3; n++) {
            char want[64] = "{", sep[2] = "";
            bool cut[3] = { false };

            start("{\"a\":1,\"b\":2,\"c\":3}");
            for (unsigned i = 0; i < n; i++) {
                edits_cut_member(&e, find(member[o[i]]));
                cut[o[i]] = true;
            }
            for (unsigned i = 0; i < 3; i++) {
                if (!cut[i]) {
                    strcat(strcat(want, sep), member[i]);
                    strcpy(sep, ",");
                }
            }
            becomes(strcat(want, "}"));
        }
    }
}

TEST(the_lists_are_used_again_without_allocating)
{
    start("abcdefgh");
    for (int i = 0; i < 8; i++)
        edits_replace(&e, span(e.text.at + i, 1), SPAN("xx"));
    struct edit *list = e.list;
    char *store = e.store.at;
    edits_start(&e, SPAN("ijklmnop"));
    for (int i = 0; i < 8; i++)
        edits_replace(&e, span(e.text.at + i, 1), SPAN("yy"));
    OK(list == e.list && store == e.store.at);
    becomes("yyyyyyyyyyyyyyyy");
}
