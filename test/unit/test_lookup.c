/* SPDX-License-Identifier: Apache-2.0 */
/* The answers are those of OpenSearch 3.8 and Elasticsearch 9.5. */
#include <stdlib.h>

#include "outputs/elasticsearch/lookup.h"
#include "test/unit/unit.h"

#define ID_A     "01a20959b3ce3c_14gvTPqaQCzgAl11goB"
#define ID_B     "000000000001RBNvo1WzZ4oRRq0W9-hknp"
#define LINE(id) "{\"create\":{\"_index\":\"i-1\",\"_id\":\"" id "\"}}\n"

static struct lookup *l;
static struct err e;

static void add(const char *line)
{
    lookup_add(l, span(line, strlen(line)));
}

static void ask_both(enum lookup_how how)
{
    l = lookup_new(how);
    lookup_start(l);
    add(LINE(ID_A));
    add(LINE(ID_B));
    (void)lookup_body(l);
}

static int reads(const char *answer)
{
    e = (struct err){ 0 };
    return lookup_read(l, span(answer, strlen(answer)), &e);
}

static void copies_are(unsigned a, unsigned b)
{
    EQ(a, lookup_copies(l, 0));
    EQ(b, lookup_copies(l, 1));
}

TEST(by_place_it_asks_for_index_and_id)
{
    char *path = lookup_path(LOOKUP_BY_PLACE, "i-%d", NULL);
    struct span body;

    ask_both(LOOKUP_BY_PLACE);
    EQ(2, lookup_count(l));
    body = lookup_body(l);
    EQ_SPAN(SPAN("{\"docs\":[{\"_index\":\"i-1\",\"_id\":\"" ID_A "\"},"
                 "{\"_index\":\"i-1\",\"_id\":\"" ID_B "\"}]}"),
            body);
    OK(strncmp(path, "/_mget?", 7) == 0);
    lookup_free(l);
    free(path);
}

TEST(by_search_it_asks_for_ids_in_whatever_index)
{
    char *path = lookup_path(LOOKUP_BY_SEARCH, "audit", "r1");
    struct span body;
    char *text;

    ask_both(LOOKUP_BY_SEARCH);
    body = lookup_body(l);
    text = xstrndup(body.at, body.len);
    HAS(text, "\"ids\":{\"values\":[\"" ID_A "\",\"" ID_B "\"]}}}");
    HAS(text, "\"size\":10000,");
    OK(strncmp(path, "/audit/_search?", 15) == 0);
    HAS(path, "&routing=r1");
    lookup_free(l);
    free(text);
    free(path);
}

TEST(what_is_found_is_told_apart_in_its_order)
{
    ask_both(LOOKUP_BY_PLACE);
    EQ(0, reads("{\"docs\":[{\"found\":true},{\"found\":false}]}"));
    copies_are(1, 0);
    OK(!lookup_lacks_index(l));
    EQ(0, reads("{\"docs\":[{\"found\":false},{\"found\":true}]}"));
    copies_are(0, 1);
    lookup_free(l);
}

TEST(what_has_no_index_is_not_there)
{
    ask_both(LOOKUP_BY_PLACE);
    EQ(0, reads("{\"docs\":[{\"error\":{\"type\":\"index_not_found_exception\","
                "\"reason\":\"no such index [i-1]\"}},{\"found\":true}]}"));
    copies_are(0, 1);
    OK(lookup_lacks_index(l));
    lookup_free(l);
}

TEST(another_error_of_a_document_leaves_all_unknown)
{
    ask_both(LOOKUP_BY_PLACE);
    EQ(ERR_IO, reads("{\"docs\":[{\"error\":{\"reason\":\"action \\u001b[2J "
                     "is unauthorized\",\"type\":\"security_exception\"}},"
                     "{\"found\":true}]}"));
    EQ_STR("security_exception: action \\x1b[2J is unauthorized", e.text);
    lookup_free(l);
}

TEST(an_answer_for_fewer_or_more_documents_is_none)
{
    ask_both(LOOKUP_BY_PLACE);
    EQ(ERR_FORMAT, reads("{\"docs\":[{\"found\":true}]}"));
    EQ(ERR_FORMAT, reads("{\"docs\":[{\"found\":true},{\"found\":true},"
                         "{\"found\":true}]}"));
    EQ(ERR_FORMAT, reads("{\"docs\":[{\"found\":true},{\"found\":tr"));
    EQ(ERR_IO, reads("{\"docs\":[{\"found\":true},{}]}"));
    EQ(ERR_FORMAT, reads("<html>\x1b[2J</html>"));
    HAS(e.text, "<html>\\x1b[2J</html>");
    EQ(ERR_FORMAT, reads("{}"));
    EQ(ERR_FORMAT, reads(""));
    lookup_free(l);
}

TEST(a_search_finds_by_id_in_any_order_and_counts)
{
    ask_both(LOOKUP_BY_SEARCH);
    EQ(0, reads("{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":"
                "{\"hits\":[{\"_id\":\"" ID_B "\"},{\"_id\":\"other\"},"
                "{\"_id\":\"" ID_B "\"}]}}"));
    copies_are(0, 2);
    EQ(0, reads("{\"timed_out\":false,\"_shards\":{\"failed\":0}}"));
    copies_are(0, 0);
    lookup_free(l);
}

TEST(a_search_of_a_name_that_is_not_there_finds_nothing)
{
    ask_both(LOOKUP_BY_SEARCH);
    EQ(0, reads("{\"error\":{\"root_cause\":[{\"type\":"
                "\"index_not_found_exception\"}],\"type\":"
                "\"index_not_found_exception\"},\"status\":404}"));
    copies_are(0, 0);
    OK(lookup_lacks_index(l));
    EQ(ERR_FORMAT, reads("{\"error\":{\"type\":\"other\"},\"status\":404}"));
    lookup_free(l);
}

TEST(a_count_tells_whether_all_are_there)
{
    char *path = lookup_path(LOOKUP_BY_COUNT, "i-1", NULL);
    struct span body;

    ask_both(LOOKUP_BY_COUNT);
    body = lookup_body(l);
    EQ_SPAN(
        SPAN("{\"query\":{\"ids\":{\"values\":[\"" ID_A "\",\"" ID_B "\"]}}}"),
        body);
    OK(strncmp(path, "/i-1/_count?", 12) == 0);
    EQ(0, reads("{\"count\":2,\"_shards\":{\"failed\":0}}"));
    copies_are(1, 1);
    EQ(ERR_MISSING, reads("{\"count\":1,\"_shards\":{\"failed\":0}}"));
    EQ(ERR_MISSING, reads("{\"count\":3,\"_shards\":{\"failed\":0}}"));
    copies_are(0, 0);
    EQ(ERR_AGAIN, reads("{\"count\":2,\"_shards\":{\"failed\":1}}"));
    EQ(ERR_FORMAT, reads("{\"count\":-2}"));
    EQ(ERR_FORMAT, reads("{\"count\":99999999999999999999999}"));
    EQ(ERR_FORMAT, reads("{}"));
    lookup_free(l);
    free(path);
}

TEST(an_id_that_is_asked_for_twice_is_counted_once)
{
    l = lookup_new(LOOKUP_BY_COUNT);
    lookup_start(l);
    add(LINE(ID_A));
    add(LINE(ID_A));
    EQ(0, reads("{\"count\":1}"));
    copies_are(1, 1);
    EQ(ERR_MISSING, reads("{\"count\":2}"));
    lookup_free(l);
}

TEST(a_search_that_a_shard_did_not_answer_tells_nothing)
{
    ask_both(LOOKUP_BY_SEARCH);
    EQ(ERR_AGAIN, reads("{\"timed_out\":true,\"_shards\":{\"failed\":0}}"));
    EQ(ERR_AGAIN, reads("{\"timed_out\":false,\"_shards\":{\"failed\":1}}"));
    EQ(ERR_FORMAT, reads("{\"hits\":{\"hits\":[{\"_id\":\"" ID_B "\"}]}}"));
    lookup_free(l);
}

TEST(an_id_that_is_asked_for_twice_is_found_twice)
{
    l = lookup_new(LOOKUP_BY_SEARCH);
    lookup_start(l);
    add(LINE(ID_A));
    add(LINE(ID_B));
    add(LINE(ID_A));
    (void)lookup_body(l);
    EQ(0, reads("{\"timed_out\":false,\"_shards\":{\"failed\":0},\"hits\":"
                "{\"hits\":[{\"_id\":\"" ID_A "\"}]}}"));
    EQ(1, lookup_copies(l, 0));
    EQ(0, lookup_copies(l, 1));
    EQ(1, lookup_copies(l, 2));
    lookup_free(l);
}

/* Nothing is left over of the question before. */
TEST(a_new_question_begins_empty)
{
    ask_both(LOOKUP_BY_SEARCH);
    lookup_start(l);
    EQ(0, lookup_count(l));
    add(LINE(ID_B));
    EQ(0, reads("{\"timed_out\":false,\"hits\":{\"hits\":[{\"_id\":\"" ID_A
                "\"},{\"_id\":\"" ID_B "\"}]}}"));
    EQ(1, lookup_copies(l, 0));
    lookup_free(l);
}
