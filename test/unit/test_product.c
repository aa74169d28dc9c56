/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/product.h"

#include "test/unit/unit.h"

static struct product p;

static int root(const char *json)
{
    return product_from_root(&p, span(json, strlen(json)));
}

static int versions(const char *json)
{
    return product_add_version(&p, span(json, strlen(json)));
}

static bool can(unsigned what)
{
    return (p.can & what) == what;
}

TEST(opensearch_says_its_name)
{
    EQ(0, root("{\"name\":\"n\",\"cluster_name\":\"c\",\"version\":{"
               "\"distribution\":\"opensearch\",\"number\":\"2.19.4\"},"
               "\"tagline\":\"The OpenSearch Project: https://x/\"}"));
    EQ(PRODUCT_OPENSEARCH, p.name);
    EQ_STR("OpenSearch", product_title(&p));
    EQ_STR("2.19.4", p.version);
    EQ_STR("c", p.cluster);
    EQ(2, p.major);
    EQ(19, p.minor);
    EQ(4, p.patch);
    OK(can(CAN_DATA_STREAMS | CAN_FLAT_OBJECT | CAN_ISM));
    OK((p.can & (CAN_FLATTENED | CAN_ILM | CAN_REQUIRE_DATA_STREAM)) == 0);
}

TEST(elasticsearch_is_known_by_its_greeting)
{
    EQ(0, root("{\"version\":{\"number\":\"7.17.29\",\"build_flavor\":"
               "\"default\"},\"tagline\":\"You Know, for Search\"}"));
    EQ(PRODUCT_ELASTICSEARCH, p.name);
    OK(can(CAN_DATA_STREAMS | CAN_FLATTENED | CAN_ILM));
    OK(!can(CAN_REQUIRE_DATA_STREAM) && !p.serverless);
    EQ(0, root("{\"version\":{\"number\":\"8.13.0-SNAPSHOT\"},"
               "\"tagline\":\"You Know, for Search\"}"));
    OK(can(CAN_REQUIRE_DATA_STREAM));
}

TEST(a_serverless_one_has_no_lifecycle_policies)
{
    EQ(0, root("{\"version\":{\"number\":\"9.0.0\",\"build_flavor\":"
               "\"serverless\"},\"tagline\":\"You Know, for Search\"}"));
    OK(p.serverless && !can(CAN_ILM) && can(CAN_FLATTENED));
}

TEST(early_opensearch_has_no_flat_object)
{
    EQ(0, root("{\"version\":{\"distribution\":\"opensearch\",\"number\":"
               "\"1.3.20\"}}"));
    OK(can(CAN_DATA_STREAMS) && !can(CAN_FLAT_OBJECT));
}

TEST(what_says_nothing_of_that_kind_is_not_known)
{
    static const char *const answers[] = {
        "",
        "{}",
        "[]",
        "\"x\"",
        "<html>",
        "{\"version\":\"1\"}",
        "{\"tagline\":7}",
        "{\"version\":{\"distribution\":\"manticore\"}}",
    };

    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        EQ(ERR_FORMAT, root(answers[i]));
        EQ(PRODUCT_UNKNOWN, p.name);
    }
}

TEST(headers_tell_the_product)
{
    EQ(0, product_from_headers(&p, "", "OpenSearch/3.8.0 (opensearch)"));
    EQ(PRODUCT_OPENSEARCH, p.name);
    EQ_STR("3.8.0", p.version);
    EQ(0, product_from_headers(&p, "Elasticsearch", ""));
    EQ(PRODUCT_ELASTICSEARCH, p.name);
    EQ_STR("", p.version);
    OK(can(CAN_REQUIRE_DATA_STREAM)); /* the newest, as long as it is open */
    EQ(ERR_MISSING, product_from_headers(&p, "", ""));
    EQ(ERR_MISSING, product_from_headers(&p, "nginx", "nginx/1"));
}

TEST(the_oldest_node_counts)
{
    EQ(0, product_from_headers(&p, "Elasticsearch", ""));
    EQ(0, versions("{\"nodes\":{\"a\":{\"version\":\"9.5.3\"},"
                   "\"b\":{\"version\":\"8.12.2\"},\"c\":{}}}"));
    EQ_STR("8.12.2", p.version);
    OK(!can(CAN_REQUIRE_DATA_STREAM));
    EQ(ERR_MISSING, versions("{\"nodes\":{}}"));
    EQ(ERR_MISSING, versions("<html>"));
    EQ_STR("8.12.2", p.version);
}
