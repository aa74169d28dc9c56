/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "parsers/parser.h"
#include "test/unit/unit.h"

static const struct parser_ops *ops;
static struct parser *p;
static struct event ev;

static void start(void)
{
    for (size_t i = 0; parsers[i] != NULL; i++) {
        if (strcmp(parser_names[i], "json") == 0)
            ops = parsers[i];
    }
    OK(ops != NULL);
    p = ops->open();
}

static int run(const char *line)
{
    return ops->run(p, span(line, strlen(line)), &ev);
}

TEST(the_parsers_have_their_names)
{
    size_t n = 0;

    for (; parsers[n] != NULL; n++) {
        EQ_STR(parser_names[n], parsers[n]->name);
        EQ('.', parsers[n]->help[strlen(parsers[n]->help) - 1]);
    }
    OK(parser_names[n] == NULL);
    EQ(2, n);
}

TEST(any_object_is_taken_whole)
{
    static const char line[] = " {\"level\":\"info\",\"msg\":\"x\"} ";

    start();
    EQ(0, run(line));
    EQ_SPAN(span(line + 1, strlen(line) - 2), ev.body);
    EQ_SPAN(ev.body, ev.identity);
    EQ(CLOCK_NO_TIME, ev.time_us);
    EQ(0, run("{}"));
    ops->close(p);
}

TEST(the_time_is_found_under_its_usual_names)
{
    static const char *const names[] = { "@timestamp", "timestamp", "time",
                                         "ts" };

    start();
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char line[128];

        snprintf(line, sizeof(line),
                 "{\"a\":1,\"%s\":\"1970-01-01T00:00:07Z\"}", names[i]);
        EQ(0, run(line));
        EQ(7000000, ev.time_us);
    }
    ops->close(p);
}

TEST(the_better_name_wins_if_it_holds_a_time)
{
    start();
    EQ(0, run("{\"ts\":\"1970-01-01T00:00:04Z\",\"time\":"
              "\"1970-01-01T00:00:03Z\",\"timestamp\":"
              "\"1970-01-01T00:00:02Z\",\"@timestamp\":"
              "\"1970-01-01T00:00:01Z\"}"));
    EQ(1000000, ev.time_us);
    EQ(0, run("{\"ts\":\"1970-01-01T00:00:04Z\",\"time\":12.5,"
              "\"timestamp\":\"noon\",\"@timestamp\":null}"));
    EQ(4000000, ev.time_us);
    EQ(0, run("{\"a\":{\"ts\":\"1970-01-01T00:00:04Z\"}}"));
    EQ(CLOCK_NO_TIME, ev.time_us);
    ops->close(p);
}

TEST(what_is_no_object_is_refused_with_a_reason)
{
    static const char *const bad[] = { "",  "[]",   "1",   "\"x\"",
                                       "{", "{}{}", "text" };

    start();
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        EQ(ERR_FORMAT, run(bad[i]));
        OK(strlen(ops->why(p)) > 0);
        EQ(0, run("{\"a\":1}"));
    }
    ops->close(p);
}
