/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/accept.h"

#include "agent/base/sha256.h"
#include "test/unit/unit.h"

static struct buf doc, got;

static const char *text_of(struct buf *b)
{
    buf_room(b, 1);
    b->at[b->len] = '\0';
    return b->at;
}

/* What becomes of `in`; "" stands for no edit. */
static const char *edited(struct span in, enum accept_leaves leaves)
{
    struct accept *a = accept_new();
    struct edits e = { 0 };

    got.len = 0;
    if (accept_edit(a, in, leaves, &e))
        got.len = edits_apply(&e, buf_room(&got, edits_size(&e)));
    edits_free(&e);
    accept_free(a);
    return text_of(&got);
}

static const char *cured(const char *in)
{
    return edited(span(in, strlen(in)), ACCEPT_LEAVES_KEEP);
}

static void is_left_alone(const char *in)
{
    EQ_STR("", edited(span(in, strlen(in)), ACCEPT_LEAVES_ALL));
}

/* A document of a patch with `n` times `unit` between two texts. */
static struct span with_many(const char *before, const char *unit, size_t n,
                             const char *after)
{
    doc.len = 0;
    buf_printf(&doc, "%s", before);
    for (size_t i = 0; i < n; i++)
        buf_add(&doc, unit, strlen(unit));
    buf_printf(&doc, "%s", after);
    return span(doc.at, doc.len);
}

static const char *hash_of(const char *unit, size_t n)
{
    static char hex[SHA256_HEX_SIZE];
    unsigned char hash[SHA256_SIZE];
    struct buf all = { 0 };

    for (size_t i = 0; i < n; i++)
        buf_add(&all, unit, strlen(unit));
    sha256_of(span(all.at, all.len), hash);
    sha256_hex(hash, hex);
    buf_free(&all);
    return hex;
}

TEST(what_servers_take_is_left_alone)
{
    is_left_alone("{}");
    is_left_alone("{\"requestObject\":{\".\":{},\"\":1,\"a.b\":2,\"..\":[]}}");
    is_left_alone("{\"requestObject\":{\"a\":1e400,\"b\":1.50E+2,\"c\":-0}}");
    is_left_alone("{\"requestObject\":{\"a\":\"\\ud800\",\"b\":\"\\u0000\"}}");
    is_left_alone("{\"requestObject\":[{\"op\":\"add\",\"value\":1},null]}");
    is_left_alone(
        "{\"requestObject\":[[{\"a\":1}],[]],\"responseObject\":null}");
    is_left_alone(
        "{\"a\":{\"x\":1},\"b\":{\"x\":1},\"c\":[{\"x\":1},{\"x\":2}]}");
    is_left_alone(
        "{\"requestObject\":{\"\xe4\xb8\xad\":\"\xf0\x9f\x98\x80\"}}");
    is_left_alone("{\"verb\":\"patch\",\"code\":1,\"gone\":true}");
}

TEST(bytes_that_are_not_utf8_become_replacement_characters)
{
    EQ_STR("{\"a\":\"x\xef\xbf\xbdy\"}", cured("{\"a\":\"x\xffy\"}"));
    EQ_STR("{\"a\":\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"}",
           cured("{\"a\":\"\xed\xa0\x80\"}"));
    EQ_STR("{\"a\":\"\\n\xef\xbf\xbd\\u00e9\"}",
           cured("{\"a\":\"\\n\xc3\\u00e9\"}"));
    EQ_STR("{\"k\xef\xbf\xbd\":[\"\xef\xbf\xbd\"]}",
           cured("{\"k\xfe\":[\"\xc0\"]}"));
}

TEST(of_a_repeated_key_the_last_keeps_its_name)
{
    EQ_STR("{\"a#1\":1,\"b\":0,\"a#2\":2,\"a\":3}",
           cured("{\"a\":1,\"b\":0,\"a\":2,\"a\":3}"));
    EQ_STR("{\"a#1\":1,\"\\u0061\":2}", cured("{\"a\":1,\"\\u0061\":2}"));
    EQ_STR("{\"#1\":1,\"\":2}", cured("{\"\":1,\"\":2}"));
    EQ_STR("{\"x\":{\"a#1\":[{\"b#1\":1,\"b\":2}],\"a\":{}}}",
           cured("{\"x\":{\"a\":[{\"b\":1,\"b\":2}],\"a\":{}}}"));
}

TEST(a_new_name_is_none_that_is_there)
{
    EQ_STR("{\"a#2\":1,\"a#1\":2,\"a\":3}",
           cured("{\"a\":1,\"a#1\":2,\"a\":3}"));
    EQ_STR("{\"a#3\":1,\"a#1#4\":2,\"a\":3,\"a#1\":4,\"a#2\":5}",
           cured("{\"a\":1,\"a#1\":2,\"a\":3,\"a#1\":4,\"a#2\":5}"));
}

TEST(the_keys_of_a_large_object_are_told_apart_too)
{
    struct span in;

    doc.len = 0;
    buf_printf(&doc, "{\"requestObject\":{");
    for (int i = 0; i < 5000; i++)
        buf_printf(&doc, "\"k%d\":%d,", i % 4999, i);
    buf_printf(&doc, "\"z\":0}}");
    in = span(doc.at, doc.len);
    HAS(edited(in, ACCEPT_LEAVES_KEEP),
        "{\"requestObject\":{\"k0#1\":0,\"k1\":1,\"k2\":2,");
    HAS(text_of(&got), "\"k4998\":4998,\"k0\":4999,\"z\":0}}");
    EQ(doc.len + 2, got.len);
}

TEST(half_a_million_repeated_keys_are_renamed_in_no_time)
{
    struct span in = with_many("{\"a\":{", "\"\":1,", 500000, "\"\":2}}");

    edited(in, ACCEPT_LEAVES_KEEP);
    HAS(got.at + got.len - 40, "\"#500000\":1,\"\":2}}");
}

TEST(a_key_with_nul_or_half_a_pair_gets_another_name)
{
    EQ_STR("{\"a\xe2\x90\x80"
           "b\":1}",
           cured("{\"a\\u0000b\":1}"));
    EQ_STR("{\"?\":1}", cured("{\"\\ud800\":1}"));
    EQ_STR("{\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\":1}",
           cured("{\"\\udc00\":1}"));
    EQ_STR("", cured("{\"\\ud83d\\ude00\\n\":1}"));
    EQ_STR("{\"a\xe2\x90\x80#1\":1,\"a\xe2\x90\x80\":2}",
           cured("{\"a\\u0000\":1,\"a\\u0000\":2}"));
}

TEST(a_body_that_is_no_object_is_put_into_one)
{
    EQ_STR("{\"requestObject\":{\"body\":12},\"b\":1}",
           cured("{\"requestObject\":12,\"b\":1}"));
    EQ_STR("{\"requestObject\":{\"body\":\"\"}}",
           cured("{\"requestObject\":\"\"}"));
    EQ_STR("{\"requestObject\" : {\"body\":\"x\xef\xbf\xbd\"} }",
           cured("{\"requestObject\" : \"x\xff\" }"));
    EQ_STR("{\"responseObject\":{\"body\":true}}",
           cured("{\"responseObject\":true}"));
    EQ_STR("{\"requestObject\":{\"body\":[1]}}",
           cured("{\"requestObject\":[1]}"));
    EQ_STR(
        "{\"requestObject\":{\"body\":[{\"a#1\":1,\"a\":2},[null,\"x\"]]},\"z\":[1]}",
        cured(
            "{\"requestObject\":[{\"a\":1,\"a\":2},[null,\"x\"]],\"z\":[1]}"));
    EQ_STR("", cured("{\"requestObject\":null,\"x\":{\"requestObject\":1}}"));
}

TEST(what_is_nested_too_deep_becomes_text)
{
    struct span in = with_many("{\"requestObject\":", "[", 97, "{\"a\":1}");

    for (int i = 0; i < 97; i++)
        buf_add(&doc, "]", 1);
    buf_add(&doc, "}", 1);
    in = span(doc.at, doc.len);
    EQ_STR("", edited(in, ACCEPT_LEAVES_KEEP)); /* 99, all in all */

    in = with_many("{\"requestObject\":", "{\"b\":", 99, "{\"a\":[\"x\"]}");
    for (int i = 0; i < 100; i++)
        buf_add(&doc, "}", 1);
    in = span(doc.at, doc.len);
    HAS(edited(in, ACCEPT_LEAVES_KEEP),
        "{\"b\":{\"b\":\"{\\\"a\\\":[\\\"x\\\"]}\"}}");
}

TEST(much_text_of_what_is_too_deep_is_cut)
{
    struct span in = with_many("{\"a\":", "[", 99, "");
    char want[200];

    buf_add(&doc, "[", 1);
    for (int i = 0; i < 10000; i++)
        buf_add(&doc, "[],", 3);
    buf_add(&doc, "0]", 2);
    for (int i = 0; i < 99; i++)
        buf_add(&doc, "]", 1);
    buf_add(&doc, "}", 1);
    in = span(doc.at, doc.len);
    edited(in, ACCEPT_LEAVES_KEEP);
    OK(got.len < 8500);
    snprintf(want, sizeof(want), "... (cut by tallyman: 30003 bytes, sha256 ");
    HAS(text_of(&got), want);
}

TEST(bodies_of_brackets_alone_are_wrapped_and_end)
{
    struct span in = with_many("{\"requestObject\":", "[", 500, "");

    for (int i = 0; i < 500; i++)
        buf_add(&doc, "]", 1);
    buf_add(&doc, "}", 1);
    in = span(doc.at, doc.len);
    HAS(edited(in, ACCEPT_LEAVES_KEEP), "{\"requestObject\":{\"body\":[[[");
    HAS(text_of(&got), "[\"[[[");
}

TEST(a_number_of_a_thousand_digits_becomes_text)
{
    struct span in = with_many("{\"a\":", "9", 1000, "}");

    edited(in, ACCEPT_LEAVES_KEEP);
    EQ(doc.len + 2, got.len);
    HAS(got.at, "{\"a\":\"999");
    in = with_many("{\"a\":", "9", 999, "}");
    EQ_STR("", edited(in, ACCEPT_LEAVES_KEEP));
}

TEST(a_value_too_long_for_a_term_is_cut_where_the_index_says_so)
{
    struct span in;
    char want[200];

    in = with_many("{\"requestObject\":{\"a\":\"", "x", 40000, "\"}}");
    EQ_STR("", edited(in, ACCEPT_LEAVES_KEEP));
    edited(in, ACCEPT_LEAVES_FLAT);
    snprintf(want, sizeof(want),
             "xxx... (cut by tallyman: 40000 bytes, sha256 %s)\"}}",
             hash_of("x", 40000));
    HAS(got.at, want);
    OK(got.len < 8300);

    in = with_many("{\"requestURI\":\"", "x", 40000, "\"}");
    EQ_STR("", edited(in, ACCEPT_LEAVES_FLAT));
    OK(edited(in, ACCEPT_LEAVES_ALL)[0] == '{');
    in = with_many("{\"user\":{\"extra\":{\"a\":[\"", "x", 40000, "\"]}}}");
    OK(edited(in, ACCEPT_LEAVES_FLAT)[0] == '{');
}

TEST(a_term_is_the_path_and_the_value)
{
    /* requestObject.a=...: 32,766 bytes in all */
    struct span in =
        with_many("{\"requestObject\":{\"a\":\"", "x", 32766 - 16, "\"}}");

    EQ_STR("", edited(in, ACCEPT_LEAVES_FLAT));
    in = with_many("{\"requestObject\":{\"a\":\"", "x", 32766 - 15, "\"}}");
    OK(edited(in, ACCEPT_LEAVES_FLAT)[0] == '{');
}

TEST(a_value_is_cut_between_characters)
{
    struct span in =
        with_many("{\"annotations\":{\"a\":\"x", "\xe4\xb8\xad", 20000, "\"}}");

    edited(in, ACCEPT_LEAVES_FLAT);
    HAS(got.at, "\xb8\xad... (cut by tallyman: 60001 bytes, sha256 ");
    OK(span_is_utf8(span(got.at, got.len)));
}

TEST(a_hash_is_that_of_the_value_and_not_of_its_escapes)
{
    struct span in =
        with_many("{\"requestObject\":{\"a\":\"", "\\u0041", 40000, "\"}}");
    char want[200];

    edited(in, ACCEPT_LEAVES_FLAT);
    snprintf(want, sizeof(want),
             "AAA... (cut by tallyman: 40000 bytes, sha256 %s)",
             hash_of("A", 40000));
    HAS(got.at, want);
}

TEST(a_key_too_long_for_a_path_is_cut)
{
    struct span in = with_many("{\"requestObject\":{\"", "k", 8300, "\":1}}");
    char want[200];

    edited(in, ACCEPT_LEAVES_KEEP);
    snprintf(want, sizeof(want),
             "kkk... (cut by tallyman: 8300 bytes, sha256 %s)\":1}}",
             hash_of("k", 8300));
    HAS(got.at, want);
    in = with_many("{\"requestObject\":{\"", "k", 8000, "\":1}}");
    EQ_STR("", edited(in, ACCEPT_LEAVES_ALL));
}

TEST(a_path_of_many_keys_ends_in_text)
{
    struct span in = with_many("{\"requestObject\":", "{\"", 0, "");

    doc.len = 0;
    buf_printf(&doc, "{\"requestObject\":");
    for (int i = 0; i < 50; i++)
        buf_printf(&doc, "{\"%0500d\":", i);
    buf_printf(&doc, "1");
    for (int i = 0; i < 51; i++)
        buf_add(&doc, "}", 1);
    in = span(doc.at, doc.len);
    edited(in, ACCEPT_LEAVES_KEEP);
    HAS(got.at, "\":\"{\\\"");
}

static struct event event_of(const char *verb, struct span body, uint32_t depth)
{
    struct event ev = { .depth = depth };

    ev.field[EVENT_VERB] = span(verb, strlen(verb));
    ev.field[EVENT_REQUEST_OBJECT] = body;
    return ev;
}

static bool suspects(const char *verb, struct span body, uint32_t depth,
                     enum accept_leaves leaves)
{
    struct accept *a = accept_new();
    struct event ev = event_of(verb, body, depth);
    bool suspect = accept_is_suspect(a, &ev, body, leaves);

    accept_free(a);
    return suspect;
}

TEST(the_body_of_a_patch_is_looked_at_and_no_other)
{
    struct span bad = SPAN("{\"a\":1,\"a\":2}"), good = SPAN("{\"a\":1}");

    OK(suspects("\"patch\"", bad, 2, ACCEPT_LEAVES_KEEP));
    OK(!suspects("\"create\"", bad, 2, ACCEPT_LEAVES_KEEP));
    OK(!suspects("\"patch\"", good, 2, ACCEPT_LEAVES_KEEP));
    OK(suspects("\"patch\"", SPAN("[1]"), 2, ACCEPT_LEAVES_KEEP));
    OK(suspects("\"patch\"", SPAN("\"x\""), 2, ACCEPT_LEAVES_KEEP));
    OK(suspects("\"patch\"", SPAN("{\"a\":\"\xff\"}"), 2, ACCEPT_LEAVES_KEEP));
    OK(!suspects("\"patch\"", SPAN("[{\"a\":1}]"), 2, ACCEPT_LEAVES_KEEP));
    OK(!suspects("\"patch\"", SPAN("null"), 1, ACCEPT_LEAVES_KEEP));
    OK(!suspects("\"patch\"", span(NULL, 0), 1, ACCEPT_LEAVES_KEEP));
}

TEST(depth_is_a_sign_of_its_own)
{
    OK(suspects("\"get\"", span(NULL, 0), 101, ACCEPT_LEAVES_KEEP));
    OK(!suspects("\"get\"", span(NULL, 0), 100, ACCEPT_LEAVES_KEEP));
}

TEST(a_long_string_is_seen_wherever_it_stands)
{
    for (size_t before = 0; before < 30000; before += 997) {
        doc.len = 0;
        buf_printf(&doc, "{\"a\":\"");
        for (size_t i = 0; i < before; i += 4)
            buf_printf(&doc, "\",\"\"");
        buf_printf(&doc, "\",\"b\":\"");
        for (size_t i = 0; i < 32766; i += 2)
            buf_printf(&doc, "\\\"");
        buf_printf(&doc, "\"}");
        OK(suspects("\"get\"", span(doc.at, doc.len), 2, ACCEPT_LEAVES_FLAT));
        OK(!suspects("\"get\"", span(doc.at, doc.len), 2, ACCEPT_LEAVES_KEEP));
    }
}

TEST(many_short_strings_are_no_long_one)
{
    struct span in =
        with_many("{\"a\":[", "\"xxxxxxxxxxxx\\\"\",", 50000, "1]}");

    OK(!suspects("\"get\"", in, 2, ACCEPT_LEAVES_FLAT));
}

TEST(what_is_no_json_is_left_alone_and_forgotten)
{
    struct accept *a = accept_new();
    struct edits e = { 0 };

    OK(!accept_edit(a, SPAN("{\"a\":1,\"a\":2,]"), ACCEPT_LEAVES_ALL, &e));
    OK(accept_edit(a, SPAN("{\"a\":1,\"a\":2}"), ACCEPT_LEAVES_ALL, &e));
    edits_free(&e);
    accept_free(a);
}
