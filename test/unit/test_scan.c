/* SPDX-License-Identifier: Apache-2.0 */
#include "parsers/scan.h"
#include "test/unit/unit.h"

static const struct scan_key user_keys[] = {
    { { "username", 8 }, EVENT_USER_USERNAME, NULL },
    { { "groups", 6 }, EVENT_USER_GROUPS, NULL },
    SCAN_END,
};

static const struct scan_key keys[] = {
    { { "level", 5 }, EVENT_LEVEL, NULL },
    { { "verb", 4 }, EVENT_VERB, NULL },
    { { "user", 4 }, EVENT_USER, user_keys },
    { { "requestObject", 13 }, EVENT_REQUEST_OBJECT, NULL },
    SCAN_END,
};

static struct scan *s;
static struct event ev;

static int scan(struct span line)
{
    if (s == NULL)
        s = scan_new(keys);
    return scan_line(s, line, &ev);
}

static int scan_text(const char *line)
{
    return scan(span(line, strlen(line)));
}

static void stop(void)
{
    scan_free(s);
    s = NULL;
}

static void has(enum event_field field, const char *want)
{
    EQ_SPAN(span(want, strlen(want)), ev.field[field]);
    OK(ev.field[field].at != NULL);
}

static void has_not(enum event_field field)
{
    OK(ev.field[field].at == NULL);
}

/* Refused, and the next line is not the worse for it. */
static void refused(struct span line)
{
    static const char good[] = "{\"verb\":\"get\",\"level\":\"x\",\"n\":1}";
    int rc = scan(line);

    if (rc == 0)
        FAIL("taken: %.*s", (int)(line.len < 200 ? line.len : 200), line.at);
    OK(rc == ERR_FORMAT || rc == ERR_LIMIT);
    OK(strlen(scan_why(s)) > 0);
    if (scan_text(good) != 0)
        FAIL("after %.*s: %s", (int)(line.len < 200 ? line.len : 200), line.at,
             scan_why(s));
    has(EVENT_VERB, "\"get\"");
    has(EVENT_LEVEL, "\"x\"");
    EQ_SPAN(span(good, strlen(good)), ev.body);
    EQ_SPAN(span(good + 14, strlen(good) - 14), ev.identity);
}

static void refused_text(const char *line)
{
    refused(span(line, strlen(line)));
}

/* `n` times `open`, then `middle`, then `n` times `close`. */
static struct span nested(size_t n, const char *open, const char *middle,
                          const char *close)
{
    static struct buf b;

    b.len = 0;
    for (size_t i = 0; i < n; i++)
        buf_add(&b, open, strlen(open));
    buf_add(&b, middle, strlen(middle));
    for (size_t i = 0; i < n; i++)
        buf_add(&b, close, strlen(close));
    return span(b.at, b.len);
}

TEST(values_are_found_as_they_are_written)
{
    EQ(0, scan_text("{\"level\":\"Metadata\",\"verb\":-1.50E+2,"
                    "\"user\":null,\"requestObject\":[1,{\"a\":[]}]}"));
    has(EVENT_LEVEL, "\"Metadata\"");
    has(EVENT_VERB, "-1.50E+2");
    has(EVENT_USER, "null");
    has(EVENT_REQUEST_OBJECT, "[1,{\"a\":[]}]");
    has_not(EVENT_USER_USERNAME);
    stop();
}

TEST(a_number_ends_where_its_object_does)
{
    EQ(0, scan_text("{\"verb\":12345678901234567890}"));
    has(EVENT_VERB, "12345678901234567890");
    EQ(0, scan_text("{\"user\":{\"groups\":-0.5e-3},\"verb\":0}"));
    has(EVENT_USER_GROUPS, "-0.5e-3");
    has(EVENT_VERB, "0");
    EQ(0, scan_text("{\"verb\":7 }"));
    has(EVENT_VERB, "7");
    stop();
}

TEST(strings_keep_their_escapes)
{
    EQ(0,
       scan_text("{\"verb\":\"a\\\"}\\\\\",\"level\":\"\\u0041\\ud800\\n\"}"));
    has(EVENT_VERB, "\"a\\\"}\\\\\"");
    has(EVENT_LEVEL, "\"\\u0041\\ud800\\n\"");
    EQ(0, scan_text("{\"verb\":\"\\\\\"}"));
    has(EVENT_VERB, "\"\\\\\"");
    EQ(0, scan_text("{\"verb\":\"\"}"));
    has(EVENT_VERB, "\"\"");
    stop();
}

TEST(space_may_stand_anywhere)
{
    static const char line[] =
        " \t{ \"verb\" \t: \"get\" , \"user\"\r:  { \"groups\" : [ ] } ,\n"
        "\"requestObject\"   :{\"a\" :1 } , \"level\"\t: true } \r";

    EQ(0, scan_text(line));
    has(EVENT_VERB, "\"get\"");
    has(EVENT_USER, "{ \"groups\" : [ ] }");
    has(EVENT_USER_GROUPS, "[ ]");
    has(EVENT_REQUEST_OBJECT, "{\"a\" :1 }");
    has(EVENT_LEVEL, "true");
    EQ_SPAN(span(line + 2, strlen(line) - 4), ev.body);
    EQ_SPAN(SPAN("\"level\"\t: true }"), ev.identity);
    EQ_SPAN(span(line, strlen(line)), ev.line);
    stop();
}

TEST(keys_may_come_in_any_order)
{
    static const char *const member[] = {
        "\"level\":1",
        "\"verb\":2",
        "\"user\":{\"groups\":4,\"username\":3}",
        "\"requestObject\":5",
        "\"other\":{\"level\":6,\"username\":7}",
    };

    for (unsigned order = 0; order < 3125; order++) {
        unsigned o[5], left = order, seen = 0;
        char line[256] = "{";

        for (unsigned i = 0; i < 5; i++, left /= 5)
            seen |= 1u << (o[i] = left % 5);
        if (seen != 31)
            continue;
        for (unsigned i = 0; i < 5; i++) {
            strcat(line, i > 0 ? "," : "");
            strcat(line, member[o[i]]);
        }
        EQ(0, scan_text(strcat(line, "}")));
        has(EVENT_LEVEL, "1");
        has(EVENT_VERB, "2");
        has(EVENT_USER, "{\"groups\":4,\"username\":3}");
        has(EVENT_USER_USERNAME, "3");
        has(EVENT_USER_GROUPS, "4");
        has(EVENT_REQUEST_OBJECT, "5");
        OK(ev.identity.at == strstr(line, "\"level\":1"));
        OK(ev.identity.at + ev.identity.len == line + strlen(line));
    }
    stop();
}

TEST(only_the_members_of_the_right_object_count)
{
    EQ(0, scan_text("{\"username\":1,\"a\":{\"user\":{\"username\":2}},"
                    "\"requestObject\":{\"verb\":3,\"level\":4},"
                    "\"user\":{\"user\":{\"groups\":5},\"verb\":6}}"));
    has_not(EVENT_USER_USERNAME);
    has_not(EVENT_USER_GROUPS);
    has_not(EVENT_VERB);
    has_not(EVENT_LEVEL);
    has(EVENT_USER, "{\"user\":{\"groups\":5},\"verb\":6}");
    stop();
}

TEST(members_are_found_behind_nested_ones)
{
    EQ(0, scan_text("{\"user\":{\"extra\":{\"groups\":[{}],\"username\":1},"
                    "\"groups\":[[1],{\"username\":2}],\"username\":3},"
                    "\"verb\":4}"));
    has(EVENT_USER_GROUPS, "[[1],{\"username\":2}]");
    has(EVENT_USER_USERNAME, "3");
    has(EVENT_VERB, "4");
    stop();
}

TEST(an_array_in_the_place_of_an_object_is_not_looked_into)
{
    EQ(0, scan_text("{\"user\":[{\"username\":1}],\"verb\":2}"));
    has(EVENT_USER, "[{\"username\":1}]");
    has_not(EVENT_USER_USERNAME);
    has(EVENT_VERB, "2");
    EQ(0, scan_text("{\"user\":\"username\",\"verb\":2}"));
    has_not(EVENT_USER_USERNAME);
    stop();
}

TEST(of_a_repeated_key_the_first_counts)
{
    static const char line[] =
        "{\"level\":1,\"verb\":2,\"level\":3,\"verb\":4}";

    EQ(0, scan_text(line));
    has(EVENT_LEVEL, "1");
    has(EVENT_VERB, "2");
    EQ_SPAN(span(line + 1, strlen(line) - 1), ev.identity);
    EQ(0, scan_text("{\"user\":{\"groups\":1,\"groups\":2}}"));
    has(EVENT_USER_GROUPS, "1");
    stop();
}

TEST(a_repeated_object_adds_no_members_to_the_first)
{
    EQ(0, scan_text("{\"user\":{\"username\":1},"
                    "\"user\":{\"groups\":2,\"username\":3}}"));
    has(EVENT_USER, "{\"username\":1}");
    has(EVENT_USER_USERNAME, "1");
    has_not(EVENT_USER_GROUPS);
    EQ(0, scan_text("{\"user\":null,\"user\":{\"groups\":2}}"));
    has(EVENT_USER, "null");
    has_not(EVENT_USER_GROUPS);
    stop();
}

TEST(the_identity_begins_at_the_first_level)
{
    static const char line[] =
        "{\"kind\":\"level\",\"a\":{\"level\":0},\"level\" :1,\"z\":2} ";

    EQ(0, scan_text(line));
    EQ_SPAN(SPAN("\"level\" :1,\"z\":2}"), ev.identity);
    stop();
}

TEST(without_a_level_the_identity_is_the_whole_object)
{
    static const char line[] = " {\"a\":{\"level\":0},\"z\":\"level\"} ";

    EQ(0, scan_text(line));
    EQ_SPAN(span(line + 1, strlen(line) - 2), ev.identity);
    OK(ev.identity.at == ev.body.at);
    stop();
}

TEST(a_key_with_escapes_is_found_but_begins_no_identity)
{
    static const char line[] = "{\"\\u006cevel\":1,\"\\u0076erb\":2}";

    EQ(0, scan_text(line));
    has(EVENT_LEVEL, "1");
    has(EVENT_VERB, "2");
    EQ_SPAN(span(line, strlen(line)), ev.identity);
    stop();
}

TEST(keys_that_only_look_alike_are_others)
{
    EQ(0, scan_text("{\"leve\":1,\"levels\":2,\"Level\":3,\"\":4,"
                    "\"x\\\"level\":5,\"level\\u0000\":6,\" level\":7}"));
    has_not(EVENT_LEVEL);
    stop();
}

/* A key is looked for by its length and first byte: here those of several give
 * the same place. */
TEST(keys_that_share_a_slot_are_told_apart)
{
    static const struct scan_key close[] = {
        { { "hb", 2 }, EVENT_LEVEL, NULL },   { { "hc", 2 }, EVENT_VERB, NULL },
        { { "pb", 2 }, EVENT_STAGE, NULL },   { { "p", 1 }, EVENT_USER, NULL },
        { { "x", 1 }, EVENT_AUDIT_ID, NULL }, SCAN_END,
    };
    static const char line[] =
        "{\"x\":5,\"hd\":0,\"p\":4,\"pb\":3,\"hc\":2,\"hb\":1,\"pc\":6}";

    s = scan_new(close);
    EQ(0, scan_text(line));
    has(EVENT_LEVEL, "1");
    has(EVENT_VERB, "2");
    has(EVENT_STAGE, "3");
    has(EVENT_USER, "4");
    has(EVENT_AUDIT_ID, "5");
    stop();
}

TEST(an_empty_object_is_an_object)
{
    EQ(0, scan_text("{}"));
    EQ_SPAN(SPAN("{}"), ev.body);
    EQ_SPAN(SPAN("{}"), ev.identity);
    EQ(0, scan_text("  { }  "));
    EQ_SPAN(SPAN("{ }"), ev.body);
    for (int f = 0; f < EVENT_NFIELDS; f++)
        has_not((enum event_field)f);
    stop();
}

TEST(what_is_no_object_is_refused)
{
    static const char *const bad[] = {
        "",
        " ",
        "null",
        "true",
        "false",
        "1",
        "-1.5",
        "\"level\"",
        "[]",
        "[{\"level\":1}]",
        "nul",
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "{\"a\":.5}",
        "{\"a\":+1}",
        "{\"a\":1e}",
        "{\"a\":NaN}",
        "{\"a\":tru}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12g4\"}",
        "{\"a\":\"\t\"}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":[1,]}",
        "{\"a\":[}",
        "{\"a\":{]}",
        "{1:2}",
        "{null:2}",
        "{\"a\":1}}",
        "{\"a\":1},",
        "{\"a\":1}]",
        "/* */{}",
        "// {}",
        "{}//",
        "klog text",
        "\xef\xbb\xbf{}",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused_text(bad[i]);
    stop();
}

TEST(two_values_in_a_line_are_refused)
{
    static const char *const bad[] = {
        "{} {}",
        "{}{}",
        "{\"a\":1}{\"b\":2}",
        "{} []",
        "{} null",
        "{} true ",
        "{} 1 ",
        "{} \"a\"",
        "{\"a\":1}\t1\t",
        "{} {\"level\":1,\"verb\":2,",
        "{}{",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused_text(bad[i]);
    stop();
}

/* yajl waits for the rest of a token that the end of the line may have cut. */
TEST(the_beginning_of_a_second_value_is_refused)
{
    static const char *const bad[] = {
        "{}1",      "{} -",      "{}0",
        "{} 1.5",   "{} 1e",     "{} \"a",
        "{}\"",     "{} \"a\\",  "{} t",
        "{} tru",   "{} null",   "{} true",
        "{} false", "{} fals",   "{} n",
        "{} /",     "{} \"\xff", "{\"level\":1,\"verb\":2}12",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        refused_text(bad[i]);
    stop();
}

TEST(a_nul_inside_is_refused)
{
    refused(span("{\"a\":\"b\0c\"}", 11));
    refused(span("{\"a\"\0:1}", 8));
    refused(span("{\"level\"\0:1}", 12));
    refused(span("{\"level\":\0"
                 "1}",
                 12));
    refused(span("\0{}", 3));
    refused(span("{}\0", 3));
    refused(span("\0\0\0\0", 4));
    stop();
}

TEST(bytes_that_are_not_utf8_are_kept)
{
    static const char line[] =
        "{\"verb\":\"\xff\xfe\",\"level\":\"\xc0\x80\xed\xa0\x80\","
        "\"\x80\":{\"\xf8\":\"\xe2\x82\"}}";

    EQ(0, scan_text(line));
    has(EVENT_VERB, "\"\xff\xfe\"");
    has(EVENT_LEVEL, "\"\xc0\x80\xed\xa0\x80\"");
    EQ(strlen(line), ev.body.len);
    stop();
}

TEST(nesting_is_allowed_up_to_the_limit)
{
    struct span line;

    line = nested(SCAN_MAX_DEPTH, "{\"a\":", "1", "}");
    EQ(0, scan(line));
    EQ(line.len, ev.body.len);
    EQ(0, scan_text("{\"verb\":\"get\"}"));
    has(EVENT_VERB, "\"get\"");
    stop();
}

TEST(deeper_nesting_is_refused_as_a_limit)
{
    EQ(ERR_LIMIT, scan(nested(SCAN_MAX_DEPTH + 1, "{\"a\":", "1", "}")));
    HAS(scan_why(s), "deep");
    refused(nested(SCAN_MAX_DEPTH + 1, "{\"a\":", "1", "}"));
    refused(nested(1000000, "{\"user\":", "", ""));
    refused(nested(1000000, "[", "", ""));
    refused(nested(1000000, "{\"a\":[", "", ""));
    refused(nested(1, "{\"user\":{\"groups\":", "", ""));
    stop();
}

TEST(a_reason_quotes_nothing_of_the_line)
{
    EQ(ERR_FORMAT, scan_text("{\"a\":1,hunter2:\"hunter2\"}"));
    HAS(scan_why(s), "not JSON at byte ");
    OK(strstr(scan_why(s), "hunter2") == NULL);
    EQ(ERR_FORMAT, scan_text("{\"a\":\"hunter2"));
    OK(strstr(scan_why(s), "hunter2") == NULL);
    stop();
}

TEST(a_plain_string_is_one_without_escapes)
{
    EQ_SPAN(SPAN("abc"), scan_plain_string(SPAN("\"abc\"")));
    EQ(0, scan_plain_string(SPAN("\"\"")).len);
    OK(scan_plain_string(SPAN("\"a\\nb\"")).at == NULL);
    OK(scan_plain_string(SPAN("12")).at == NULL);
    OK(scan_plain_string(SPAN("\"")).at == NULL);
    OK(scan_plain_string(span(NULL, 0)).at == NULL);
    OK(scan_plain_string(SPAN("{\"a\":\"\"}")).at == NULL);
}

TEST(nothing_is_read_behind_the_line)
{
    static const char text[] = "{\"level\":1,\"verb\":{\"a\":[12,\"x\"]}}";

    for (size_t n = 0; n <= strlen(text); n++) {
        char *exact = xmalloc(n);

        memcpy(exact, text, n);
        EQ(n == strlen(text) ? 0 : ERR_FORMAT, scan(span(exact, n)));
        free(exact);
    }
    stop();
    scan_free(NULL);
}

TEST(the_depth_is_that_of_the_deepest_value)
{
    static const struct {
        const char *line;
        unsigned depth;
    } lines[] = {
        { "{}", 1 },
        { "{\"verb\":\"get\",\"a\":1}", 1 },
        { "{\"user\":{\"username\":\"jai\"}}", 2 },
        { "{\"user\":{\"groups\":[\"a\"]},\"level\":\"x\"}", 3 },
        { "{\"a\":[[[]]],\"b\":{}}", 4 },
        { "{\"requestObject\":{\"a\":{\"b\":[{}]}}}", 5 },
        { "{\"a\":1}", 1 }, /* it starts anew */
    };

    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        EQ(0, scan_text(lines[i].line));
        EQ(lines[i].depth, ev.depth);
    }
    stop();
}
