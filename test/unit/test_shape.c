/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/audit/shape.h"
#include "agent/base/clock.h"
#include "parsers/parser.h"
#include "test/unit/unit.h"

/* parsers[1] takes any object. */
static void becomes(enum shape shape, const char *line, int64_t now,
                    const char *want)
{
    struct parser *p = parsers[1]->open();
    struct edits edits = { 0 };
    struct event ev;
    char out[512];
    size_t n;

    EQ(0, parsers[1]->run(p, span(line, strlen(line)), &ev));
    edits_start(&edits, ev.body);
    if (ev.time_us == CLOCK_NO_TIME)
        ev.time_us = now;
    shape_event(shape, &ev, &edits);
    n = edits_apply(&edits, out);
    EQ(n, edits_size(&edits));
    EQ_SPAN(span(want, strlen(want)), span(out, n));
    edits_free(&edits);
    parsers[1]->close(p);
}

TEST(the_timestamp_goes_first)
{
    becomes(SHAPE_RAW, "{\"a\":1,\"time\":\"2026-11-23T17:00:03.4061239Z\"}", 0,
            "{\"@timestamp\":\"2026-11-23T17:00:03.406123Z\",\"a\":1,"
            "\"time\":\"2026-11-23T17:00:03.4061239Z\"}");
    becomes(SHAPE_RAW, "{ \"time\":\"1970-01-01T05:30:00+05:30\"}", 7,
            "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\", "
            "\"time\":\"1970-01-01T05:30:00+05:30\"}");
}

TEST(a_timestamp_that_is_there_is_kept)
{
    becomes(SHAPE_RAW, "{\"a\":1,\"@timestamp\":\"2026-11-23T17:00:03Z\"}", 0,
            "{\"a\":1,\"@timestamp\":\"2026-11-23T17:00:03Z\"}");
    becomes(SHAPE_RAW, "{\"@timestamp\":null}", 0, "{\"@timestamp\":null}");
    becomes(SHAPE_RAW, "{\"\\u0040timestamp\":1}", 0,
            "{\"\\u0040timestamp\":1}");
}

TEST(a_timestamp_further_in_is_not_the_events)
{
    becomes(SHAPE_RAW, "{\"a\":{\"@timestamp\":1}}", 0,
            "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\","
            "\"a\":{\"@timestamp\":1}}");
}

TEST(without_a_time_it_is_when_it_was_read)
{
    becomes(SHAPE_RAW, "{\"a\":1}", 1500000,
            "{\"@timestamp\":\"1970-01-01T00:00:01.500000Z\",\"a\":1}");
}

TEST(an_empty_object_gets_no_comma)
{
    becomes(SHAPE_RAW, "{}", 0,
            "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\"}");
    becomes(SHAPE_RAW, "{ \t}", 0,
            "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\" \t}");
}

TEST(space_around_the_event_is_no_part_of_it)
{
    becomes(SHAPE_RAW, "  {\"a\":1} ", 0,
            "{\"@timestamp\":\"1970-01-01T00:00:00.000000Z\",\"a\":1}");
}

TEST(the_shape_of_bytes_changes_nothing)
{
    becomes(SHAPE_BYTES, "{ \"a\" : 1 }", 0, "{ \"a\" : 1 }");
    becomes(SHAPE_BYTES, "{}", 0, "{}");
}

TEST(years_out_of_range_are_still_a_timestamp)
{
    becomes(SHAPE_RAW, "{\"a\":1}", INT64_MAX,
            "{\"@timestamp\":\"9999-12-31T23:59:59.999999Z\",\"a\":1}");
}
