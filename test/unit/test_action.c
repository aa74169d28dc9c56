/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "outputs/elasticsearch/action.h"
#include "test/unit/unit.h"

static struct buf out;

static struct event event(const char *identity, int64_t time_us)
{
    return (struct event){ .identity = span(identity, strlen(identity)),
                           .time_us = time_us };
}

static int64_t at(const char *time)
{
    int64_t us = clock_parse(span(time, strlen(time)));

    OK(us != CLOCK_NO_TIME);
    return us;
}

static void is(struct action *a, const char *identity, int64_t time_us,
               const char *want)
{
    struct event ev = event(identity, time_us);

    out.len = 0;
    action_add(a, &ev, &out);
    EQ_SPAN(span(want, strlen(want)), span(out.at, out.len));
    EQ(ACTION_ID_LEN, action_id(span(out.at, out.len)).len);
}

/* The ids were made with Python's hashlib and base64. */
TEST(the_id_is_time_and_hash_of_the_identity)
{
    struct action *a = action_new("x");

    is(a, "\"level\":\"Metadata\",\"auditID\":\"a\"}", 1795453203406123,
       "{\"create\":{\"_index\":\"x\",\"_id\":"
       "\"01a20959b3ce3c_14gvTPqaQCzgAl11goB\"}}\n");
    is(a, "{}", 0,
       "{\"create\":{\"_index\":\"x\",\"_id\":"
       "\"000000000000RBNvo1WzZ4oRRq0W9-hknp\"}}\n");
    is(a, "{}", 1999,
       "{\"create\":{\"_index\":\"x\",\"_id\":"
       "\"000000000001RBNvo1WzZ4oRRq0W9-hknp\"}}\n");
    is(a, "\"level\":\"x\"}", INT64_C(0xffffffffffff) * 1000,
       "{\"create\":{\"_index\":\"x\",\"_id\":"
       "\"ffffffffffffk3PMFU7x2AcKMMbtiJhdWp\"}}\n");
    action_free(a);
    buf_free(&out);
}

TEST(a_time_before_1970_counts_as_none_in_the_id)
{
    struct action *a = action_new("i-%Y");

    is(a, "{}", -1,
       "{\"create\":{\"_index\":\"i-1969\",\"_id\":"
       "\"000000000000RBNvo1WzZ4oRRq0W9-hknp\"}}\n");
    action_free(a);
    buf_free(&out);
}

static void index_is(struct action *a, const char *time, const char *want)
{
    char text[512];
    struct event ev = event("{}", at(time));

    out.len = 0;
    action_add(a, &ev, &out);
    snprintf(text, sizeof(text), "{\"create\":{\"_index\":\"%s\",\"_id\":\"",
             want);
    buf_add(&out, "", 1);
    if (strncmp(out.at, text, strlen(text)) != 0)
        FAIL("%s gave\n  %s  not\n  %s", time, out.at, text);
}

TEST(the_index_follows_the_events_hour_in_utc)
{
    struct action *a = action_new("a-%Y.%m.%d-%H");

    index_is(a, "2026-11-23T17:59:59.999999Z", "a-2026.11.23-17");
    index_is(a, "2026-11-23T18:00:00Z", "a-2026.11.23-18");
    index_is(a, "2026-11-23T17:00:00Z", "a-2026.11.23-17");
    index_is(a, "2026-11-24T05:29:59+05:30", "a-2026.11.23-23");
    index_is(a, "2026-12-31T23:59:59.999999Z", "a-2026.12.31-23");
    index_is(a, "2027-01-01T00:00:00Z", "a-2027.01.01-00");
    index_is(a, "2028-02-29T12:00:00Z", "a-2028.02.29-12");
    index_is(a, "1970-01-01T00:00:00Z", "a-1970.01.01-00");
    index_is(a, "1969-12-31T23:59:59.999999Z", "a-1969.12.31-23");
    index_is(a, "1969-12-31T22:00:00Z", "a-1969.12.31-22");
    index_is(a, "1904-02-29T00:00:00Z", "a-1904.02.29-00");
    index_is(a, "9999-12-31T23:59:59Z", "a-9999.12.31-23");
    action_free(a);
    buf_free(&out);
}

TEST(the_zone_of_the_machine_does_not_matter)
{
    struct action *a;

    setenv("TZ", "Asia/Kolkata", 1);
    a = action_new("a-%Y.%m.%d");
    index_is(a, "2026-11-23T23:59:59Z", "a-2026.11.23");
    action_free(a);
    unsetenv("TZ");
    buf_free(&out);
}

TEST(a_fixed_index_is_the_same_at_all_times)
{
    struct action *a = action_new("audit");

    index_is(a, "2026-11-23T17:00:00Z", "audit");
    index_is(a, "0001-01-01T00:00:00Z", "audit");
    index_is(a, "9999-12-31T23:00:00Z", "audit");
    action_free(a);
    buf_free(&out);
}

TEST(good_index_patterns_are_taken)
{
    static const char *const good[] = {
        "a",       "auditing-%Y.%m.%d", "audit",
        "%Y",      "%H%d%m%Y",          "1",
        "a_b-c+d", "k8s.audit",         "\xc3\xa9t\xc3\xa9",
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (action_check_index(good[i]) != NULL)
            FAIL("%s: %s", good[i], action_check_index(good[i]));
    }
}

TEST(bad_index_patterns_are_refused_with_a_reason)
{
    static const struct {
        const char *index;
        const char *why;
    } bad[] = {
        { "", "empty" },           { "-a", "begin" },  { "_a", "begin" },
        { "+a", "begin" },         { ".a", "begin" },  { "..", "begin" },
        { "Audit", "lower case" }, { "a\tb", "hold" }, { "a b", "hold" },
        { "a/b", "hold" },         { "a\\b", "hold" }, { "a*", "hold" },
        { "a?", "hold" },          { "a\"b", "hold" }, { "a<b", "hold" },
        { "a>b", "hold" },         { "a|b", "hold" },  { "a,b", "hold" },
        { "a#b", "hold" },         { "a:b", "hold" },  { "a-%", "%" },
        { "a-%y", "%" },           { "a-%Y.%M", "%" }, { "a-%s", "%" },
        { "a-%%", "%" },           { "a-%-d", "%" },   { "a\nb", "hold" },
    };
    char name[300];

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (action_check_index(bad[i].index) == NULL)
            FAIL("\"%s\" was taken", bad[i].index);
        HAS(action_check_index(bad[i].index), bad[i].why);
    }
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    HAS(action_check_index(name), "longer");
}

/* Elasticsearch takes names of up to 255 bytes. */
TEST(what_was_checked_never_grows_too_long)
{
    for (size_t n = 2; n < 300; n++) {
        char pattern[304];
        const char *end;
        struct action *a;
        struct event ev = event("{}", at("2026-11-23T17:00:00Z"));

        memset(pattern, 'a', n);
        for (size_t i = n % 2; i + 1 < n; i += 2)
            memcpy(pattern + i, "%Y", 2);
        pattern[n] = '\0';
        if (action_check_index(pattern) != NULL)
            continue;
        a = action_new(pattern);
        out.len = 0;
        action_add(a, &ev, &out);
        end = memmem(out.at, out.len, "\",\"_id\"", 7);
        OK(end != NULL);
        OK(end - out.at - (long)strlen("{\"create\":{\"_index\":\"") <=
           ACTION_INDEX_MAX);
        action_free(a);
    }
    buf_free(&out);
}

TEST(lines_are_appended)
{
    struct action *a = action_new("x");
    struct event ev = event("{}", 0);

    action_add(a, &ev, &out);
    size_t first = out.len;
    action_add(a, &ev, &out);
    EQ(2 * first, out.len);
    EQ(0, memcmp(out.at, out.at + first, first));
    action_free(a);
    buf_free(&out);
}

TEST(the_id_is_found_in_its_line)
{
    struct action *a = action_new("x");
    struct event ev = event("{}", 0);
    struct span id;

    action_add(a, &ev, &out);
    id = action_id(span(out.at, out.len));
    EQ_SPAN(SPAN("000000000000RBNvo1WzZ4oRRq0W9-hknp"), id);
    OK(id.at > out.at && id.at < out.at + out.len);
    for (size_t n = 0; n + 4 < out.len; n++)
        EQ(0, action_id(span(out.at, n)).len);
    EQ(0, action_id(SPAN("")).len);
    EQ(0, action_id(SPAN("{\"create\":{}}\n")).len);
    action_free(a);
    action_free(NULL);
    buf_free(&out);
}

TEST(an_event_that_has_an_id_keeps_it)
{
    static const char id[] = "019ab1ffd3ce-_AAAAAAAAAAAAAAAAAAAA";
    struct action *a = action_new("x-%Y");
    struct event ev = { .identity = SPAN("{}"), .time_us = 1000000 };

    ev.id = SPAN(id);
    action_add(a, &ev, &out);
    EQ_SPAN(SPAN(id), action_id(span(out.at, out.len)));
    HAS(out.at, "\"_index\":\"x-1970\"");
    out.len = 0;
    ev.id = SPAN("019ab1ffd3ce\"\"AAAAAAAAAAAAAAAAAAAA"); /* none of ours */
    action_add(a, &ev, &out);
    OK(memcmp(action_id(span(out.at, out.len)).at, "0000000003e8", 12) == 0);
    out.len = 0;
    ev.id = SPAN("019ab1ffd3ce");
    action_add(a, &ev, &out);
    OK(memcmp(action_id(span(out.at, out.len)).at, "0000000003e8", 12) == 0);
    buf_free(&out);
    action_free(a);
}

TEST(the_index_and_the_place_are_found_in_their_line)
{
    struct action *a = action_new("i-%Y");
    struct event ev = event("{}", 0);

    out.len = 0;
    action_add(a, &ev, &out);
    EQ_SPAN(SPAN("i-1970"), action_index(span(out.at, out.len)));
    EQ_SPAN(SPAN("{\"_index\":\"i-1970\",\"_id\":"
                 "\"000000000000RBNvo1WzZ4oRRq0W9-hknp\"}"),
            action_place(span(out.at, out.len)));
    EQ(0, action_index(SPAN("{\"create\":{}}\n")).len);
    action_free(a);
    buf_free(&out);
}
