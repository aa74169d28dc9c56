/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/setup/normal.h"

#include "test/unit/unit.h"

static struct span text(const char *json)
{
    return span(json, strlen(json));
}

/* What a server gives back has the form of what it got. */
static void same(enum object_kind kind, const char *sent, const char *got)
{
    struct buf a = { 0 }, b = { 0 };
    struct object x, y;

    EQ(0, object_normal(kind, text(sent), &a));
    EQ(0, object_normal(kind, text(got), &b));
    EQ_SPAN(span(a.at, a.len), span(b.at, b.len));
    EQ(0, object_read(kind, text(sent), &x));
    EQ(0, object_read(kind, text(got), &y));
    EQ_STR(x.hash, y.hash);
    buf_free(&a);
    buf_free(&b);
}

static void differ(enum object_kind kind, const char *sent, const char *got)
{
    struct object x, y;

    EQ(0, object_read(kind, text(sent), &x));
    EQ(0, object_read(kind, text(got), &y));
    OK(strcmp(x.hash, y.hash) != 0);
}

#define COMPONENT(inner)                                                      \
    "{\"component_templates\":[{\"name\":\"x\",\"component_template\":" inner \
    "}]}"
#define INDEX(inner) \
    "{\"index_templates\":[{\"name\":\"x\",\"index_template\":" inner "}]}"

TEST(members_come_in_any_order_and_scalars_as_text)
{
    struct buf out = { 0 };

    EQ(0, object_normal(OBJECT_COMPONENT,
                        text("{\"version\":1,\"template\":{\"mappings\":{"
                             "\"dynamic\":false,\"b\":[1,null,\"x\"]}},"
                             "\"_meta\":{\"hash\":\"1\"}}"),
                        &out));
    EQ_SPAN(SPAN("{\"template\":{\"mappings\":{\"b\":[\"1\",\"null\",\"x\"],"
                 "\"dynamic\":\"false\"}},\"version\":\"1\"}"),
            span(out.at, out.len));
    buf_free(&out);
}

TEST(a_setting_is_the_same_nested_dotted_or_as_a_string)
{
    const char *sent = "{\"template\":{\"settings\":{\"codec\":\"zstd\","
                       "\"number_of_shards\":2}}}";

    same(OBJECT_COMPONENT, sent,
         COMPONENT("{\"template\":{\"settings\":{\"index\":{"
                   "\"number_of_shards\":\"2\",\"codec\":\"zstd\"}}}}"));
    same(OBJECT_COMPONENT, sent,
         COMPONENT("{\"template\":{\"settings\":{\"index.number_of_shards\":"
                   "\"2\",\"index.codec\":\"zstd\"}}}"));
    differ(OBJECT_COMPONENT, sent,
           COMPONENT("{\"template\":{\"settings\":{\"index\":{"
                     "\"number_of_shards\":\"3\",\"codec\":\"zstd\"}}}}"));
}

TEST(what_a_server_adds_to_a_template_is_no_change)
{
    same(OBJECT_INDEX,
         "{\"index_patterns\":[\"a-*\"],\"priority\":250,\"data_stream\":{},"
         "\"template\":{\"settings\":{}},\"composed_of\":[\"e\"]}",
         INDEX("{\"index_patterns\":[\"a-*\"],\"composed_of\":[\"e\"],"
               "\"priority\":250,\"created_date_millis\":1795881006264,"
               "\"data_stream\":{\"hidden\":false,\"allow_custom_routing\":"
               "false},\"ignore_missing_component_templates\":[]}"));
    same(OBJECT_INDEX, "{\"index_patterns\":[\"a-*\"],\"data_stream\":{}}",
         INDEX("{\"index_patterns\":[\"a-*\"],\"data_stream\":{"
               "\"timestamp_field\":{\"name\":\"@timestamp\"}}}"));
}

TEST(what_a_person_changes_in_a_template_is_a_change)
{
    const char *sent = "{\"index_patterns\":[\"a-*\"],\"data_stream\":{},"
                       "\"template\":{\"mappings\":{\"dynamic\":false}}}";

    differ(OBJECT_INDEX, sent,
           INDEX("{\"index_patterns\":[\"a-*\"],"
                 "\"template\":{\"mappings\":{\"dynamic\":\"false\"}}}"));
    differ(OBJECT_INDEX, sent,
           INDEX("{\"index_patterns\":[\"a-*\"],\"data_stream\":{},"
                 "\"template\":{\"mappings\":{\"dynamic\":\"true\"}}}"));
    differ(OBJECT_INDEX, sent,
           INDEX("{\"index_patterns\":[\"a-*\",\"b\"],\"data_stream\":{},"
                 "\"template\":{\"mappings\":{\"dynamic\":\"false\"}}}"));
    differ(OBJECT_INDEX, sent,
           INDEX("{\"index_patterns\":[\"a-*\"],\"data_stream\":{\"hidden\":"
                 "true},\"template\":{\"mappings\":{\"dynamic\":"
                 "\"false\"}}}"));
    differ(OBJECT_INDEX, sent,
           INDEX("{\"index_patterns\":[\"a-*\"],\"data_stream\":{},"
                 "\"template\":{\"mappings\":{\"dynamic\":\"false\"},"
                 "\"settings\":{\"index\":{\"priority\":\"1\"}}}}"));
}

TEST(a_policy_of_ilm_is_found_below_its_name)
{
    struct object o;
    const char *sent =
        "{\"policy\":{\"phases\":{\"delete\":{\"min_age\":\"365d\",\"actions\":"
        "{\"delete\":{\"delete_searchable_snapshot\":true}}}},\"_meta\":{"
        "\"managed_by\":\"tallyman\",\"version\":3,\"hash\":\"a\",\"stored\":"
        "\"b\",\"retention\":\"365d\"}}}";

    same(OBJECT_ILM, sent,
         "{\"tallyman-x\":{\"version\":1,\"modified_date\":\"2026-11-28\","
         "\"policy\":{\"phases\":{\"delete\":{\"actions\":{\"delete\":{"
         "\"delete_searchable_snapshot\":true}},\"min_age\":\"365d\"}}},"
         "\"in_use_by\":{\"indices\":[\"i\"]}}}");
    EQ(0, object_read(OBJECT_ILM, text(sent), &o));
    OK(o.mark.ours);
    EQ(3, o.mark.version);
    EQ_STR("a", o.mark.hash);
    EQ_STR("b", o.mark.stored);
    EQ_STR("365d", o.mark.retention);
}

#define ISM_SENT                                                             \
    "{\"policy\":{\"description\":\"Kubernetes audit events, kept for 90d. " \
    "Managed by tallyman: version 2, hash 0123456789abcdef, stored "         \
    "fedcba9876543210.\",\"default_state\":\"hot\",\"states\":[{\"name\":"   \
    "\"hot\",\"actions\":[],\"transitions\":[{\"state_name\":\"delete\","    \
    "\"conditions\":{\"min_index_age\":\"91d\"}}]},{\"name\":\"delete\","    \
    "\"actions\":[{\"delete\":{}}],\"transitions\":[]}],\"ism_template\":[{" \
    "\"index_patterns\":[\"a-*\"],\"priority\":250}]}}"

TEST(what_ism_adds_to_a_policy_is_no_change)
{
    struct object o;

    same(OBJECT_ISM, ISM_SENT,
         "{\"_id\":\"x\",\"_version\":1,\"_seq_no\":7,\"_primary_term\":2,"
         "\"policy\":{\"policy_id\":\"x\",\"description\":\"d\","
         "\"last_updated_time\":1577990761311,\"schema_version\":17,"
         "\"error_notification\":null,\"default_state\":\"hot\",\"states\":[{"
         "\"name\":\"hot\",\"actions\":[],\"transitions\":[{\"state_name\":"
         "\"delete\",\"conditions\":{\"min_index_age\":\"91d\"}}]},{\"name\":"
         "\"delete\",\"actions\":[{\"retry\":{\"count\":3,\"backoff\":"
         "\"exponential\",\"delay\":\"1m\"},\"delete\":{}}],\"transitions\":[]"
         "}],\"ism_template\":[{\"index_patterns\":[\"a-*\"],\"priority\":250,"
         "\"last_updated_time\":1577990761311}]}}");
    EQ(0, object_read(OBJECT_ISM, text(ISM_SENT), &o));
    OK(o.mark.ours);
    EQ(2, o.mark.version);
    EQ_STR("0123456789abcdef", o.mark.hash);
    EQ_STR("fedcba9876543210", o.mark.stored);
    EQ_STR("90d", o.mark.retention);
}

TEST(a_change_of_a_policy_of_ism_tells_which_form_it_knows)
{
    struct object o;

    EQ(0, object_read(OBJECT_ISM,
                      text("{\"_seq_no\":7,\"_primary_term\":2,\"policy\":{"
                           "\"default_state\":\"x\"}}"),
                      &o));
    EQ(7, o.seq_no);
    EQ(2, o.primary_term);
    OK(!o.mark.ours);
}

TEST(an_action_that_is_gone_is_a_change)
{
    differ(OBJECT_ISM,
           "{\"policy\":{\"states\":[{\"actions\":[{\"delete\":{}}]}]}}",
           "{\"policy\":{\"states\":[{\"actions\":[{}]}]}}");
    differ(OBJECT_ILM, "{\"policy\":{\"phases\":{\"delete\":{}}}}",
           "{\"policy\":{\"phases\":{}}}");
}

TEST(a_description_of_somebody_else_is_no_mark)
{
    static const char *const descriptions[] = {
        "",
        "kept for 3d",
        "Managed by tallyman: version 1, hash 12",
        "kept for ever. Managed by tallyman: version x",
        "kept for 3d. Managed by tallyman: version 1, hash zz, stored 1.",
    };

    for (size_t i = 0; i < ARRAY_LEN(descriptions); i++) {
        char json[256];
        struct object o;

        snprintf(json, sizeof(json),
                 "{\"policy\":{\"description\":\"%s\",\"states\":[]}}",
                 descriptions[i]);
        EQ(0, object_read(OBJECT_ISM, text(json), &o));
        OK(!o.mark.ours);
    }
}

TEST(what_is_no_such_object_is_told)
{
    struct object o;
    struct buf deep = { 0 };

    EQ(ERR_FORMAT, object_read(OBJECT_INDEX, text(""), &o));
    EQ(ERR_FORMAT, object_read(OBJECT_INDEX, text("[]"), &o));
    EQ(ERR_FORMAT, object_read(OBJECT_INDEX, text("<html>"), &o));
    EQ(ERR_FORMAT,
       object_read(OBJECT_INDEX, text("{\"index_templates\":[]}"), &o));
    EQ(ERR_FORMAT,
       object_read(OBJECT_INDEX, text("{\"index_templates\":{}}"), &o));
    EQ(ERR_FORMAT, object_read(OBJECT_ILM, text("{\"policy\":1}"), &o));
    for (int i = 0; i < 100000; i++)
        buf_add(&deep, "[", 1);
    EQ(ERR_LIMIT, object_read(OBJECT_ILM, span(deep.at, deep.len), &o));
    buf_free(&deep);
}
