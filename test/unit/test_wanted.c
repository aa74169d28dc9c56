/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/setup/wanted.h"

#include "test/unit/unit.h"

#define DAY_MS UINT64_C(86400000)

static struct place place;
static struct product product;
static struct wanted w;
static char *body_text;

static void go_to(const char *index, const char *stream)
{
    char i[64], d[64];
    struct elasticsearch_settings s = { 0 };
    struct err e;

    snprintf(i, sizeof(i), "%s", index != NULL ? index : "");
    snprintf(d, sizeof(d), "%s", stream != NULL ? stream : "");
    s.index = index != NULL ? i : NULL;
    s.data_stream = stream != NULL ? d : NULL;
    place_free(&place);
    EQ(0, place_of(&s, &place, &e));
}

static void be(enum product_name name, const char *version)
{
    char json[256];

    snprintf(json, sizeof(json),
             name == PRODUCT_OPENSEARCH
                 ? "{\"version\":{\"distribution\":\"opensearch\","
                   "\"number\":\"%s\"}}"
                 : "{\"tagline\":\"You Know, for Search\",\"version\":{"
                   "\"number\":\"%s\"}}",
             version);
    EQ(0, product_from_root(&product, span(json, strlen(json))));
}

static void make(enum wanted_what what, uint64_t days)
{
    const struct wanted_how how = {
        .place = &place,
        .product = &product,
        .flat = wanted_flat(&product),
        .lifecycle = true,
        .retention_ms = days * DAY_MS,
    };
    struct buf b = { 0 };

    wanted_free(&w);
    wanted_make(&w, what, &how);
    wanted_body(&w, w.hash, &b);
    free(body_text);
    body_text = xstrndup(b.at, b.len);
    buf_free(&b);
}

static struct object read_back(void)
{
    struct object o;

    EQ(0, object_read(w.kind, span(body_text, strlen(body_text)), &o));
    return o;
}

TEST(a_pattern_of_dates_is_a_pattern_of_names)
{
    go_to(NULL, NULL);
    EQ(PLACE_DATED, place.way);
    EQ_STR("[\"auditing-*\"]", place.patterns);
    EQ_STR("auditing-*", place.title);
    EQ_STR("tallyman-auditing", place.own);
    EQ(DAY_MS, place.span_ms);
    go_to("a-%Y.%m-b", NULL);
    EQ_STR("[\"a-*-b\"]", place.patterns);
    EQ_STR("tallyman-a-b", place.own);
    EQ(31 * DAY_MS, place.span_ms);
    go_to("%Y-x", NULL);
    EQ_STR("[\"*-x\"]", place.patterns);
    EQ_STR("tallyman-x", place.own);
}

TEST(a_name_without_a_date_is_an_alias)
{
    go_to("audits", NULL);
    EQ(PLACE_ALIAS, place.way);
    EQ_STR("[\"audits\",\"audits-*\"]", place.patterns);
    EQ_STR("audits", place.name);
    EQ(0, place.span_ms);
}

TEST(a_stream_has_its_own_name)
{
    go_to(NULL, "logs-kubernetes.audit-default");
    EQ(PLACE_STREAM, place.way);
    EQ_STR("[\"logs-kubernetes.audit-default\"]", place.patterns);
    EQ_STR("tallyman-logs-kubernetes.audit-default", place.own);
}

TEST(a_name_of_nothing_but_a_date_is_refused)
{
    char index[] = "%Y.%m.%d";
    struct elasticsearch_settings s = { .index = index };
    struct place p;
    struct err e;

    EQ(ERR_CONFIG, place_of(&s, &p, &e));
    HAS(e.text, "nothing but a date");
}

TEST(a_name_in_a_url_is_escaped)
{
    struct buf b = { 0 };

    place_add_url(&b, "a-b_c.9/?# \xc3\xa9");
    EQ_SPAN(SPAN("a-b_c.9%2F%3F%23%20%C3%A9"), span(b.at, b.len));
    buf_free(&b);
}

/* Nothing is left to be filled in, and it is what the hash says. */
static void is_whole(void)
{
    struct object o = read_back();

    OK(strstr(body_text, "\"$") == NULL);
    OK(o.mark.ours);
    EQ_STR(w.hash, o.hash);
    EQ_STR(w.hash, o.mark.hash);
    EQ_STR(w.hash, o.mark.stored);
    EQ(w.version, o.mark.version);
    OK(w.version > 0);
}

TEST(every_object_is_whole_for_every_product_and_place)
{
    static const char *const places[][2] = { { "auditing-%Y.%m.%d", NULL },
                                             { "audits", NULL },
                                             { NULL, "stream" } };

    for (size_t i = 0; i < 4 * ARRAY_LEN(places); i++) {
        be(i % 2 == 0 ? PRODUCT_OPENSEARCH : PRODUCT_ELASTICSEARCH,
           i % 4 < 2 ? "3.8.0" : "9.5.3");
        if (product.major == 3 && product.name == PRODUCT_ELASTICSEARCH)
            be(PRODUCT_ELASTICSEARCH, "7.17.29");
        go_to(places[i / 4][0], places[i / 4][1]);
        for (enum wanted_what what = 0; what < WANTED_N; what++) {
            make(what, 365);
            is_whole();
        }
    }
}

TEST(the_fields_of_bodies_are_as_flat_as_the_server_can)
{
    go_to(NULL, NULL);
    be(PRODUCT_ELASTICSEARCH, "8.19.21");
    make(WANTED_EVENT, 365);
    HAS(body_text, "\"requestObject\": {\"type\": \"flattened\"");
    be(PRODUCT_OPENSEARCH, "2.19.6");
    make(WANTED_EVENT, 365);
    HAS(body_text, "\"requestObject\": {\"type\": \"flat_object\"");
    be(PRODUCT_OPENSEARCH, "1.3.20");
    make(WANTED_EVENT, 365);
    HAS(body_text, "\"enabled\": false");
}

TEST(an_index_is_deleted_once_its_youngest_event_is_old_enough)
{
    go_to("a-%Y.%m", NULL);
    be(PRODUCT_ELASTICSEARCH, "9.5.3");
    make(WANTED_POLICY, 365);
    EQ_STR("/_ilm/policy/tallyman-a", w.path);
    HAS(body_text, "\"min_age\": \"396d\"");
    HAS(body_text, "\"actions\": {}");
    HAS(body_text, "\"retention\": \"365d\"");
    be(PRODUCT_OPENSEARCH, "3.8.0");
    make(WANTED_POLICY, 365);
    EQ_STR("/_plugins/_ism/policies/tallyman-a", w.path);
    HAS(body_text, "\"min_index_age\": \"396d\"");
    HAS(body_text, "kept for 365d.");
}

TEST(what_has_no_date_is_rolled_over)
{
    go_to(NULL, "s");
    be(PRODUCT_ELASTICSEARCH, "9.5.3");
    make(WANTED_POLICY, 365);
    HAS(body_text, "\"rollover\":{\"max_age\":\"30d\",\"max_size\":\"50gb\"}");
    HAS(body_text, "\"min_age\": \"365d\""); /* from the rollover on */
    be(PRODUCT_OPENSEARCH, "3.8.0");
    make(WANTED_POLICY, 40);
    HAS(body_text, "\"rollover\":{\"min_index_age\":\"3d\"");
    HAS(body_text, "\"min_index_age\": \"43d\""); /* from the first event on */
    make(WANTED_POLICY, 1);
    HAS(body_text, "\"rollover\":{\"min_index_age\":\"2h\"");
    HAS(body_text, "\"min_index_age\": \"26h\"");
}

TEST(a_template_names_its_policy_where_there_can_be_one)
{
    struct wanted_how how = { .place = &place,
                              .product = &product,
                              .flat = "none",
                              .retention_ms = DAY_MS };

    go_to("audits", NULL);
    be(PRODUCT_ELASTICSEARCH, "9.5.3");
    make(WANTED_TEMPLATE, 365);
    HAS(body_text, "{\"index.lifecycle.name\":\"tallyman-audits\","
                   "\"index.lifecycle.rollover_alias\":\"audits\"}");
    be(PRODUCT_OPENSEARCH, "3.8.0");
    make(WANTED_TEMPLATE, 365);
    HAS(body_text, "{\"plugins.index_state_management.rollover_alias\":"
                   "\"audits\"}");
    wanted_free(&w);
    wanted_make(&w, WANTED_TEMPLATE, &how);
    w.text.at[w.text.len - 1] = '\0';
    HAS(w.text.at, "\"settings\": {}");
}

TEST(the_longer_of_two_patterns_counts)
{
    be(PRODUCT_OPENSEARCH, "3.8.0");
    go_to("audit-%Y.%m.%d", NULL);
    make(WANTED_TEMPLATE, 365);
    HAS(body_text, "\"priority\": 256,");
    make(WANTED_POLICY, 365);
    HAS(body_text, "\"priority\": 256}");
    go_to("audit-%Y-x", NULL);
    make(WANTED_TEMPLATE, 365);
    HAS(body_text, "\"priority\": 258,");
    go_to(NULL, "audit-stream");
    make(WANTED_TEMPLATE, 365);
    HAS(body_text, "\"priority\": 262,");
}

TEST(an_old_ilm_has_no_place_for_a_mark)
{
    go_to(NULL, NULL);
    be(PRODUCT_ELASTICSEARCH, "7.13.4");
    make(WANTED_POLICY, 365);
    OK(strstr(body_text, "_meta") == NULL);
    OK(!read_back().mark.ours);
    EQ_STR(w.hash, read_back().hash);
}

static enum wanted_verdict judge(struct object o)
{
    return wanted_judge(&w, &o);
}

TEST(only_what_is_as_we_left_it_is_updated)
{
    struct object there;

    go_to(NULL, NULL);
    be(PRODUCT_OPENSEARCH, "3.8.0");
    make(WANTED_POLICY, 30);
    there = read_back();
    make(WANTED_POLICY, 365);
    EQ(WANTED_CREATE, wanted_judge(&w, NULL));
    EQ(WANTED_KEEP, judge(read_back()));
    EQ(WANTED_UPDATE, judge(there));
    EQ(30 * DAY_MS, wanted_retention(&there));
    there.mark.version = 99;
    EQ(WANTED_NEWER, judge(there));
    strcpy(there.hash, "other");
    EQ(WANTED_CHANGED, judge(there));
    there.mark.ours = false;
    EQ(WANTED_FOREIGN, judge(there));
    EQ(0, wanted_retention(&there));
}

TEST(what_a_server_gives_back_in_a_form_of_its_own_is_kept)
{
    struct object there;

    go_to(NULL, NULL);
    be(PRODUCT_ELASTICSEARCH, "9.5.3");
    make(WANTED_EVENT, 365);
    there = read_back();
    strcpy(there.hash, "as it is");
    strcpy(there.mark.stored, "as it is");
    EQ(WANTED_KEEP, judge(there));
    strcpy(there.mark.hash, "older");
    EQ(WANTED_UPDATE, judge(there));
}

TEST(a_retention_that_is_none_is_not_taken_over)
{
    struct object there = { .mark = { .ours = true } };

    EQ(0, wanted_retention(&there));
    strcpy(there.mark.retention, "soon");
    EQ(0, wanted_retention(&there));
    strcpy(there.mark.retention, "1s");
    EQ(0, wanted_retention(&there));
}
