/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shapes are those of real servers: OpenSearch 1 to 3, Elasticsearch 7 to
 * 9, and what stands between them and us.
 */
#include "outputs/elasticsearch/answer.h"
#include "test/unit/unit.h"

static struct buf told;   /* one line for each item */
static uint32_t expected; /* number of the next item */

static void on_item(void *arg, uint32_t i, const struct answer_error *e)
{
    OK(arg == &told);
    EQ(expected, i);
    expected++;
    OK(strlen(e->type) < sizeof(e->type));
    OK(strlen(e->reason) < sizeof(e->reason));
    buf_printf(&told, "%u %u %s: %s\n", i, e->status, e->type, e->reason);
}

static struct answer_reader *a;

static void start(void)
{
    if (a == NULL)
        a = answer_new(on_item, &told);
    told.len = 0;
    expected = 0;
    answer_start(a);
}

static void stop(void)
{
    answer_free(a);
    a = NULL;
    buf_free(&told);
}

static bool reads(const char *text)
{
    start();
    answer_feed(a, text, strlen(text));
    bool whole = answer_end(a);
    EQ(expected, answer_items(a));
    return whole;
}

static void items_are(const char *want)
{
    EQ_SPAN(span(want, strlen(want)), span(told.at, told.len));
}

static void whole_is(unsigned status, const char *type, const char *reason)
{
    EQ(status, answer_whole(a)->status);
    EQ_STR(type, answer_whole(a)->type);
    EQ_STR(reason, answer_whole(a)->reason);
}

static const char opensearch[] =
    "{\"took\":30,\"errors\":true,\"items\":["
    "{\"create\":{\"_index\":\".ds-t-a-000001\",\"_id\":\"id1\",\"_version\":1,"
    "\"result\":\"created\",\"_shards\":{\"total\":2,\"successful\":1,"
    "\"failed\":0,\"status\":7},\"_seq_no\":0,\"_primary_term\":1,"
    "\"status\":201}},"
    "{\"create\":{\"_index\":\"t\",\"_id\":\"id1\",\"status\":409,\"error\":{"
    "\"type\":\"version_conflict_engine_exception\",\"reason\":\"[id1]: version"
    " conflict, document already exists (current version [1])\",\"index\":"
    "\"t\",\"shard\":\"0\",\"index_uuid\":\"x\"}}},"
    "{\"create\":{\"_index\":\"t\",\"_id\":\"3\",\"status\":400,\"error\":{"
    "\"type\":\"mapper_parsing_exception\",\"reason\":\"failed to parse\","
    "\"caused_by\":{\"type\":\"json_parse_exception\",\"reason\":\"Duplicate "
    "field 'a'\\n at [Source: \\\"x\\\"]\"}}}},"
    "{\"create\":{\"_index\":\"t\",\"_id\":\"4\",\"status\":429,\"error\":{"
    "\"type\":\"cluster_block_exception\",\"reason\":\"index [x] blocked\"}}}"
    "]}";

/* Other keys first, and numbers as the server likes them. */
static const char elasticsearch[] =
    "{\n \"errors\" : true ,\"took\": 1234567890123, \"ingest_took\":2,"
    "\"items\" : [ {\"create\":{\"error\":{\"reason\":\"[1:2] failed\","
    "\"type\":\"document_parsing_exception\"},\"status\":400,\"_id\":\"1\"}},"
    "{\"create\":{\"status\":201,\"_index\":\".ds-t-a-2026.11.23-000001\","
    "\"failure_store\":\"not_applicable_or_unknown\"}} ] }\n";

TEST(opensearch_is_understood)
{
    OK(reads(opensearch));
    OK(answer_has_items(a));
    items_are(
        "0 201 : \n"
        "1 409 version_conflict_engine_exception: [id1]: version conflict, "
        "document already exists (current version [1])\n"
        "2 400 mapper_parsing_exception: failed to parse; caused by: Duplicate "
        "field 'a'\n at [Source: \"x\"]\n"
        "3 429 cluster_block_exception: index [x] blocked\n");
    whole_is(0, "", "");
    stop();
}

TEST(elasticsearch_is_understood)
{
    OK(reads(elasticsearch));
    items_are("0 400 document_parsing_exception: [1:2] failed\n"
              "1 201 : \n");
    whole_is(0, "", "");
    stop();
}

static bool was_told(const char *text)
{
    return memmem(told.at, told.len, text, strlen(text)) != NULL;
}

/* Elasticsearch 9: the reason quotes the value, of whatever length. */
TEST(the_cause_of_an_error_is_told_behind_a_long_reason)
{
    struct buf text = { 0 };

    buf_printf(&text, "{\"items\":[{\"create\":{\"error\":{\"caused_by\":{"
                      "\"reason\":\"one immense term\",\"caused_by\":{"
                      "\"reason\":\"not this\"}},\"type\":\"t\","
                      "\"reason\":\"Preview: ");
    for (int i = 0; i < 40000; i++)
        buf_add(&text, "x", 1);
    buf_printf(&text, "\"},\"status\":400}},{\"create\":{\"status\":400,"
                      "\"error\":{\"reason\":\"a: b\",\"caused_by\":{"
                      "\"reason\":\"b\"}}}},{\"create\":{\"status\":201,"
                      "\"caused_by\":{\"reason\":\"of no error\"}}}]}");
    start();
    answer_feed(a, text.at, text.len);
    OK(answer_end(a));
    OK(was_told("0 400 t: Preview: xxx"));
    OK(was_told("xx; caused by: one immense term\n"));
    OK(was_told("1 400 : a: b\n2 201 : \n"));
    buf_free(&text);
    stop();
}

TEST(filtered_answers_are_understood)
{
    OK(reads("{\"items\":[{\"create\":{\"status\":201}},"
             "{\"create\":{\"status\":201}}]}"));
    items_are("0 201 : \n1 201 : \n");
    OK(reads("{\"items\":[]}"));
    OK(answer_has_items(a));
    EQ(0, answer_items(a));
    OK(reads("{}"));
    OK(!answer_has_items(a));
    stop();
}

TEST(what_is_in_the_failure_store_is_no_success)
{
    OK(reads("{\"errors\":false,\"items\":[{\"create\":{\"_index\":\".fs-a-1\","
             "\"_id\":\"x\",\"failure_store\":\"used\",\"status\":201}},"
             "{\"create\":{\"status\":201}},"
             "{\"create\":{\"status\":400,\"failure_store\":\"not_enabled\","
             "\"error\":{\"type\":\"t\",\"reason\":\"r\"}}}]}"));
    items_are("0 400 failure_store: the data stream put it into its failure "
              "store, which has the reason\n"
              "1 201 : \n"
              "2 400 t: r\n");
    stop();
}

TEST(an_error_of_the_whole_request_is_understood)
{
    OK(reads("{\"error\":{\"root_cause\":[{\"type\":\"inner\",\"reason\":"
             "\"not this\"}],\"type\":\"action_request_validation_exception\","
             "\"reason\":\"Validation Failed: 1: id is too long;\","
             "\"caused_by\":{\"type\":\"no\",\"reason\":\"nor this\"}},"
             "\"status\":400}"));
    OK(!answer_has_items(a));
    whole_is(400, "action_request_validation_exception",
             "Validation Failed: 1: id is too long;");
    OK(reads("{\"status\":503,\"error\":{\"reason\":\"r\",\"type\":\"t\"}}"));
    whole_is(503, "t", "r");
    stop();
}

TEST(an_error_may_be_a_string)
{
    OK(reads("{\"error\":\"Content-Type header [text/plain] is not supported\","
             "\"status\":406}"));
    whole_is(406, "", "Content-Type header [text/plain] is not supported");
    OK(reads("{\"items\":[{\"create\":{\"status\":400,\"error\":\"old\"}}]}"));
    items_are("0 400 : old\n");
    OK(reads("{\"error\":null,\"items\":[{\"create\":{\"status\":201,\"error\":"
             "null}}]}"));
    items_are("0 201 : \n");
    stop();
}

TEST(what_is_no_json_object_is_not_whole)
{
    static const char *const bad[] = {
        "",
        " ",
        "Unauthorized",
        "<html><body>502 Bad Gateway</body></html>",
        "[]",
        "[{\"create\":{\"status\":201}}]",
        "201",
        "true",
        "null",
        "\"x\"",
        "{",
        "}",
        "{\"items\":[",
        "{\"items\":[}",
        "{\"items\":[]}x",
        "{\"items\":[]}{}",
        "{\"items\":[]} 1",
        "{\"items\":[]}null",
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "\x1f\x8b\x08",
        "{\"a\":tru}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (reads(bad[i]))
            FAIL("\"%s\" counts as whole", bad[i]);
        items_are("");
        EQ(strlen(bad[i]), answer_begin(a).len);
        EQ_SPAN(span(bad[i], strlen(bad[i])), answer_begin(a));
    }
    stop();
}

TEST(items_before_a_break_are_told)
{
    OK(!reads("{\"items\":[{\"create\":{\"status\":201}},"
              "{\"create\":{\"status\":400}},{\"create\":{\"sta"));
    items_are("0 201 : \n1 400 : \n");
    OK(!reads("{\"items\":[{\"create\":{\"status\":201}},rubbish"));
    items_are("0 201 : \n");
    stop();
}

TEST(a_cut_at_any_byte_tells_only_what_was_whole)
{
    struct buf all = { 0 };

    OK(reads(opensearch));
    buf_add(&all, told.at, told.len);
    for (size_t n = 0; n < strlen(opensearch); n++) {
        start();
        answer_feed(a, opensearch, n);
        OK(!answer_end(a));
        OK(told.len <= all.len);
        OK(told.len == 0 || memcmp(told.at, all.at, told.len) == 0);
        EQ(expected, answer_items(a));
    }
    OK(reads(opensearch));
    EQ_SPAN(span(all.at, all.len), span(told.at, told.len));
    buf_free(&all);
    stop();
}

TEST(every_split_gives_the_same)
{
    struct buf all = { 0 };
    size_t len = strlen(opensearch);

    OK(reads(opensearch));
    buf_add(&all, told.at, told.len);
    for (size_t n = 0; n <= len; n++) {
        /* In pieces of their own, so that nothing behind them is read. */
        char *head = xmalloc(n), *tail = xmalloc(len - n);

        memcpy(head, opensearch, n);
        memcpy(tail, opensearch + n, len - n);
        start();
        answer_feed(a, head, n);
        free(head);
        answer_feed(a, tail, len - n);
        free(tail);
        OK(answer_end(a));
        EQ_SPAN(span(all.at, all.len), span(told.at, told.len));
    }
    for (size_t step = 1; step < 9; step++) {
        start();
        for (size_t i = 0; i < len; i += step)
            answer_feed(a, opensearch + i, step < len - i ? step : len - i);
        OK(answer_end(a));
        EQ_SPAN(span(all.at, all.len), span(told.at, told.len));
        EQ(160, answer_begin(a).len);
        EQ(0, memcmp(answer_begin(a).at, opensearch, 160));
    }
    buf_free(&all);
    stop();
}

TEST(a_split_error_of_the_whole_is_the_same)
{
    static const char text[] =
        "{\"error\":{\"type\":\"t\\u00e9\",\"reason\":\"r\\\"\"},\"status\":"
        "503}";

    for (size_t n = 0; n <= strlen(text); n++) {
        start();
        answer_feed(a, text, n);
        answer_feed(a, text + n, strlen(text) - n);
        OK(answer_end(a));
        whole_is(503, "t\xc3\xa9", "r\"");
    }
    stop();
}

TEST(nesting_without_end_is_refused)
{
    size_t n = 1000000;
    char *bomb = xmalloc(n);
    static const char *const heads[] = {
        "",
        "{\"items\":",
        "{\"items\":[{\"create\":{\"error\":",
        "{\"error\":",
        "{\"x\":",
    };

    memset(bomb, '[', n);
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        start();
        answer_feed(a, heads[i], strlen(heads[i]));
        answer_feed(a, bomb, n);
        answer_feed(a, bomb, n);
        OK(!answer_end(a));
        items_are("");
    }
    for (size_t i = 0; i + 5 <= n; i += 5)
        memcpy(bomb + i, "{\"a\":", 5);
    start();
    answer_feed(a, bomb, n);
    OK(!answer_end(a));
    free(bomb);
    stop();
}

TEST(an_answer_without_end_is_refused)
{
    size_t n = MIB;
    char *text = xmalloc(n);

    memset(text, 'x', n);
    start();
    answer_feed(a, "{\"error\":\"", 10);
    for (size_t fed = 0; fed < 64 * MIB; fed += n)
        answer_feed(a, text, n);
    answer_feed(a, "\"}", 2);
    OK(!answer_end(a));
    free(text);
    stop();
}

TEST(moderate_nesting_is_passed_over)
{
    OK(reads("{\"x\":[[[[[[[[[[{\"items\":[{\"create\":{\"status\":500}}]}]]]]]"
             "]]]]],\"items\":[{\"create\":{\"status\":201,\"x\":[{\"status\":"
             "500,\"error\":{\"type\":\"no\"}}],\"error\":{\"x\":[[{\"type\":"
             "\"no\"}]],\"type\":\"t\"}}}]}"));
    items_are("0 201 t: \n");
    stop();
}

TEST(a_hundred_thousand_items_are_counted)
{
    static const char head[] = "{\"items\":[{\"create\":{\"status\":201}}";
    static const char more[] = ",{\"create\":{\"status\":409}}";

    start();
    answer_feed(a, head, strlen(head));
    for (unsigned i = 1; i < 100000; i++) {
        answer_feed(a, more, strlen(more));
        told.len = 0;
    }
    answer_feed(a, "]}", 2);
    OK(answer_end(a));
    EQ(100000, answer_items(a));
    stop();
}

TEST(long_texts_are_cut)
{
    struct buf text = { 0 };
    char want[ANSWER_REASON_MAX];

    buf_printf(&text, "{\"error\":{\"type\":\"%0200d\",\"reason\":\"%0*d\"}}",
               1, 100000, 2);
    start();
    answer_feed(a, text.at, text.len);
    OK(answer_end(a));
    memset(want, '0', sizeof(want));
    EQ(ANSWER_TYPE_MAX - 1, strlen(answer_whole(a)->type));
    EQ(ANSWER_REASON_MAX - 1, strlen(answer_whole(a)->reason));
    EQ(0, memcmp(want, answer_whole(a)->reason, ANSWER_REASON_MAX - 1));
    buf_free(&text);
    stop();
}

TEST(a_status_that_is_no_status_settles_nothing)
{
    static const char *const odd[] = {
        "\"201\"", "null", "true", "[201]",  "{\"status\":201}",
        "-201",    "20",   "2e2",  "201000", "99999999999999999999",
        "0.201",   "-1",
    };

    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        char text[128];
        unsigned n, status;

        snprintf(text, sizeof(text),
                 "{\"items\":[{\"create\":{\"status\":%s}}]}", odd[i]);
        OK(reads(text));
        buf_add(&told, "", 1);
        EQ(2, sscanf(told.at, "%u %u", &n, &status));
        if (status / 100 == 2 || status == 409 || status / 100 == 4)
            FAIL("a status of %s counts as %u", odd[i], status);
    }
    stop();
}

TEST(an_item_without_status_has_none)
{
    OK(reads("{\"items\":[{},{\"create\":{}},{\"create\":null},"
             "{\"create\":[201]},{\"create\":{\"x\":{\"status\":201}}},"
             "{\"create\":{\"status\":201}}]}"));
    items_are("0 0 : \n1 0 : \n2 0 : \n3 0 : \n4 0 : \n5 201 : \n");
    stop();
}

/* One that is no object must not let the next one take its place. */
TEST(an_item_that_is_no_object_counts_or_breaks)
{
    static const char *const odd[] = { "1",  "null",  "\"x\"", "true",
                                       "[]", "[201]", "0.5" };

    for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
        char text[128];

        snprintf(text, sizeof(text),
                 "{\"items\":[%s,{\"create\":{\"status\":201}}]}", odd[i]);
        reads(text);
        buf_add(&told, "", 1);
        if (strncmp(told.at, "0 201", 5) == 0)
            FAIL("behind %s the second item's verdict went to the first",
                 odd[i]);
    }
    stop();
}

TEST(numbers_in_other_places_are_no_status)
{
    OK(reads("{\"took\":200,\"status_x\":201,\"error\":{\"status\":404},"
             "\"items\":[{\"status\":500,\"create\":{\"_shards\":{\"status\":"
             "409},\"status\":201}}]}"));
    items_are("0 201 : \n");
    EQ(0, answer_whole(a)->status);
    stop();
}

TEST(bytes_that_are_not_utf8_do_no_harm)
{
    OK(reads("{\"items\":[{\"create\":{\"status\":400,\"error\":{\"type\":"
             "\"t\",\"reason\":\"\xff\xc3\"}}}]}"));
    items_are("0 400 t: \xff\xc3\n");
    stop();
}

TEST(a_nul_in_a_reason_ends_it)
{
    OK(reads("{\"items\":[{\"create\":{\"status\":400,\"error\":{\"type\":"
             "\"t\\u0000x\",\"reason\":\"a\\u0000b\"}}}]}"));
    items_are("0 400 t: a\n");
    stop();
}

TEST(a_reader_starts_again_from_nothing)
{
    OK(!reads("{\"error\":{\"type\":\"t\",\"reason\":\"r\"},\"status\":500,"));
    OK(reads(elasticsearch));
    whole_is(0, "", "");
    EQ(2, answer_items(a));
    OK(!reads("<html>"));
    OK(!answer_has_items(a));
    EQ(0, answer_items(a));
    EQ_SPAN(SPAN("<html>"), answer_begin(a));
    start();
    OK(!answer_end(a));
    EQ(0, answer_begin(a).len);
    stop();
    answer_free(NULL);
}
