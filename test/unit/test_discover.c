/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/discover.h"
#include "test/unit/unit.h"

static struct opt_list nodes;

static int discover(const char *json)
{
    discover_free(&nodes);
    return discover_nodes(span(json, strlen(json)), &nodes);
}

TEST(nodes_that_hold_data_or_run_pipelines_are_found)
{
    EQ(0, discover("{\"nodes\":{"
                   "\"a\":{\"roles\":[\"master\"],\"http\":{"
                   "\"publish_address\":\"10.0.0.1:9200\"}},"
                   "\"b\":{\"roles\":[\"master\",\"data\"],\"http\":{"
                   "\"publish_address\":\"10.0.0.2:9200\"}},"
                   "\"c\":{\"http\":{\"publish_address\":\"10.0.0.3:9200\"},"
                   "\"roles\":[\"data_hot\"]},"
                   "\"d\":{\"roles\":[\"ingest\"],\"http\":{"
                   "\"publish_address\":\"[::1]:9204\"}},"
                   "\"e\":{\"roles\":[],\"http\":{"
                   "\"publish_address\":\"10.0.0.5:9200\"}},"
                   "\"f\":{\"roles\":[\"data\"]}}}"));
    EQ(3, nodes.n);
    EQ_STR("10.0.0.2:9200", nodes.at[0]);
    EQ_STR("10.0.0.3:9200", nodes.at[1]);
    EQ_STR("[::1]:9204", nodes.at[2]);
    discover_free(&nodes);
}

TEST(a_published_name_is_what_the_certificate_has)
{
    EQ(0, discover("{\"nodes\":{\"a\":{\"roles\":[\"data\"],\"http\":{"
                   "\"publish_address\":\"es-0.es.svc/10.0.0.1:9200\"}},"
                   "\"b\":{\"roles\":[\"data\"],\"http\":{"
                   "\"publish_address\":\"/10.0.0.2:9200\"}}}}"));
    EQ_STR("es-0.es.svc:9200", nodes.at[0]);
    EQ_STR("10.0.0.2:9200", nodes.at[1]);
    discover_free(&nodes);
}

#define NODE(address)                                    \
    "{\"nodes\":{\"a\":{\"roles\":[\"data\"],\"http\":{" \
    "\"publish_address\":\"" address "\"}}}}"

TEST(an_address_that_would_be_another_url_is_left_out)
{
    static const char *const answers[] = {
        NODE(""),
        NODE("10.0.0.1"),
        NODE(":9200"),
        NODE("u:p@h:1"),
        NODE("a b:1"),
        NODE("h:1?x"),
        NODE("\\u0000h:1"),
        "{\"nodes\":{}}",
        "{\"nodes\":{\"a\":{\"roles\":\"data\"}}}",
        "{\"nodes\":{\"a\":7}}",
        "{\"nodes\":{\"a\":{\"roles\":[7],\"http\":7}}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        if (discover(answers[i]) != ERR_MISSING)
            FAIL("%s: %s", answers[i], nodes.n > 0 ? nodes.at[0] : "?");
    }
}

TEST(what_is_no_such_answer_is_told)
{
    static const char *const answers[] = {
        "", "[]", "<html>", "{\"a\":1}", "{\"nodes\":[]}", "7"
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++)
        EQ(ERR_FORMAT, discover(answers[i]));
}

/* Freed by recursion, it would take more stack than there is. */
TEST(an_answer_that_is_nested_without_end_is_no_answer)
{
    size_t depth = 400000;
    char *json = xmalloc(2 * depth + 16);
    size_t n = (size_t)sprintf(json, "{\"nodes\":");

    memset(json + n, '[', depth);
    memset(json + n + depth, ']', depth);
    strcpy(json + n + 2 * depth, "}");
    EQ(ERR_FORMAT, discover(json));
    free(json);
}
