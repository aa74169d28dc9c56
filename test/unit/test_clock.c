/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"
#include "test/unit/unit.h"

#define DAY_US INT64_C(86400000000)

static int64_t parse(const char *text)
{
    return clock_parse(span(text, strlen(text)));
}

static void formats(int64_t us, int digits, const char *want)
{
    char out[CLOCK_TEXT_SIZE];

    EQ(strlen(want), clock_format(out, us, digits));
    EQ_STR(want, out);
}

static bool is_leap(int y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

static unsigned days_in(int y, unsigned m)
{
    static const unsigned days[] = { 31, 28, 31, 30, 31, 30,
                                     31, 31, 30, 31, 30, 31 };

    return m == 2 && is_leap(y) ? 29 : days[m - 1];
}

TEST(times_of_the_api_server_are_read)
{
    EQ(INT64_C(1795453203406123), parse("2026-11-23T17:00:03.406123Z"));
    EQ(INT64_C(1795453203000000), parse("2026-11-23T17:00:03Z"));
    EQ(0, parse("1970-01-01T00:00:00Z"));
    EQ(-1, parse("1969-12-31T23:59:59.999999Z"));
    EQ(INT64_C(-62135596800000000), parse("0001-01-01T00:00:00Z"));
}

TEST(a_fraction_may_have_any_number_of_digits)
{
    EQ(100000, parse("1970-01-01T00:00:00.1Z"));
    EQ(123000, parse("1970-01-01T00:00:00.123Z"));
    EQ(123456, parse("1970-01-01T00:00:00.123456Z"));
    EQ(123456, parse("1970-01-01T00:00:00.123456999Z"));
    EQ(1, parse("1970-01-01T00:00:00.0000010000000000000000000000001Z"));
}

TEST(zones_are_taken_off)
{
    EQ(0, parse("1970-01-01T05:30:00+05:30"));
    EQ(0, parse("1969-12-31T16:00:00-08:00"));
    EQ(500000, parse("1970-01-01T01:00:00.5+01:00"));
    EQ(0, parse("1970-01-01t00:00:00z"));
    EQ(0, parse("1970-01-01T00:00:00-00:00"));
}

TEST(what_is_no_time_is_refused)
{
    static const char *const bad[] = {
        "",
        "2026",
        "2026-11-23",
        "2026-11-23T17:00:03",
        "2026-11-23 17:00:03Z",
        "2026-11-23T17:00:03 Z",
        "2026-11-23T17:00:03.Z",
        "2026-11-23T17:00:03,5Z",
        "2026-11-23T17:00:03.5",
        "2026-11-23T17:00:03.5ZZ",
        "2026-11-23T17:00:03Z ",
        " 2026-11-23T17:00:03Z",
        "2026-11-23T17:00Z",
        "2026-11-23T17:00:3Z",
        "2026-00-23T17:00:03Z",
        "2026-13-23T17:00:03Z",
        "2026-11-00T17:00:03Z",
        "2026-11-32T17:00:03Z",
        "2026-11-23T24:00:00Z",
        "2026-11-23T17:60:03Z",
        "2026-11-23T17:00:61Z",
        "2026-1a-23T17:00:03Z",
        "+026-11-23T17:00:03Z",
        "-026-11-23T17:00:03Z",
        "02026-11-23T17:00:03Z",
        "2026-11-23T17:00:03+05",
        "2026-11-23T17:00:03+0530",
        "2026-11-23T17:00:03+24:00",
        "2026-11-23T17:00:03+05:60",
        "2026-11-23T17:00:03+05:3x",
        "2026-11-23T17:00:03*05:30",
        "2026-11-23T17:00:03.5+",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (parse(bad[i]) != CLOCK_NO_TIME)
            FAIL("\"%s\" was taken for a time", bad[i]);
    }
}

TEST(a_time_that_is_cut_anywhere_is_refused)
{
    static const char whole[] = "2026-11-23T17:00:03.406123+05:30";

    for (size_t n = 0; n < sizeof(whole) - 1; n++) {
        char *exact = xmalloc(n); /* a byte too far would be seen */

        memcpy(exact, whole, n);
        EQ(CLOCK_NO_TIME, clock_parse(span(exact, n)));
        free(exact);
    }
}

TEST(a_nul_is_no_digit)
{
    EQ(CLOCK_NO_TIME, clock_parse(span("2026-11-23T17:00:0\0Z", 20)));
    EQ(CLOCK_NO_TIME, clock_parse(span("2026-11-23T17:00:03Z\0", 21)));
}

TEST(a_day_that_its_month_does_not_have_is_refused)
{
    for (int y = 1899; y < 2105; y++) {
        for (unsigned m = 1; m <= 12; m++) {
            for (unsigned d = 1; d <= 31; d++) {
                char text[40];

                snprintf(text, sizeof(text), "%04d-%02u-%02uT00:00:00Z", y, m,
                         d);
                if ((parse(text) != CLOCK_NO_TIME) != (d <= days_in(y, m)))
                    FAIL("%s was %s", text,
                         d <= days_in(y, m) ? "refused" : "taken");
            }
        }
    }
}

TEST(the_calendar_is_right_for_ten_thousand_years)
{
    int64_t day = -719528; /* 0000-01-01 */
    int y = 0;
    unsigned m = 1, d = 1;

    while (y < 10000) {
        int year;
        unsigned month, mday;

        clock_civil(day++, &year, &month, &mday);
        if (year != y || month != m || mday != d)
            FAIL("day %lld is %d-%u-%u, not %d-%u-%u", (long long)day - 1, year,
                 month, mday, y, m, d);
        if (d++ == days_in(y, m)) {
            d = 1;
            m = m % 12 + 1;
            y += m == 1;
        }
    }
    EQ(2932897, day); /* 10000-01-01 */
}

TEST(leap_days_are_where_they_belong)
{
    EQ(INT64_C(951782400) * 1000000, parse("2000-02-29T00:00:00Z"));
    EQ(INT64_C(1709164800) * 1000000, parse("2024-02-29T00:00:00Z"));
    formats(INT64_C(951782400) * 1000000, 0, "2000-02-29T00:00:00Z");
    formats(INT64_C(4107542400) * 1000000, 0, "2100-03-01T00:00:00Z");
    formats(INT64_C(4107542400) * 1000000 - 1, 6,
            "2100-02-28T23:59:59.999999Z");
}

TEST(a_leap_second_is_the_next_minute)
{
    EQ(parse("2017-01-01T00:00:00Z"), parse("2016-12-31T23:59:60Z"));
}

TEST(times_are_written_with_0_3_or_6_digits)
{
    formats(INT64_C(1795453203406123), 0, "2026-11-23T17:00:03Z");
    formats(INT64_C(1795453203406123), 3, "2026-11-23T17:00:03.406Z");
    formats(INT64_C(1795453203406123), 6, "2026-11-23T17:00:03.406123Z");
    formats(-1, 3, "1969-12-31T23:59:59.999Z");
    formats(0, 6, "1970-01-01T00:00:00.000000Z");
}

TEST(times_outside_of_four_digit_years_go_to_the_nearest_end)
{
    formats(INT64_MIN, 6, "0000-01-01T00:00:00.000000Z");
    formats(INT64_MAX, 6, "9999-12-31T23:59:59.999999Z");
    formats(INT64_C(253402300800) * 1000000, 0, "9999-12-31T23:59:59Z");
}

TEST(what_is_written_is_read_back)
{
    uint64_t seed = 1;
    int64_t low = parse("0000-01-01T00:00:00Z");
    uint64_t range = (uint64_t)(parse("9999-12-31T23:59:59.999999Z") - low);

    for (int i = 0; i < 200000; i++) {
        char out[CLOCK_TEXT_SIZE];
        size_t n;
        int64_t us;

        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        us = low + (int64_t)((seed >> 1) % range);
        n = clock_format(out, us, 6);
        EQ(27, n);
        EQ(us, clock_parse(span(out, n)));
    }
    for (int64_t us = -2 * DAY_US; us < 2 * DAY_US; us += 7654321) {
        char out[CLOCK_TEXT_SIZE];
        size_t n = clock_format(out, us, 6);

        EQ(us, clock_parse(span(out, n)));
    }
}

TEST(the_clocks_run)
{
    uint64_t mono = clock_mono_ms();

    OK(clock_wall_us() > parse("2020-01-01T00:00:00Z"));
    OK(clock_mono_ms() >= mono);
}

TEST(times_of_files_are_compared_to_the_nanosecond)
{
    struct timespec a = { 3, 999999999 }, b = { 4, 0 };

    OK(clock_is_before(a, b) && !clock_is_before(b, a));
    OK(!clock_is_before(a, a) && clock_is_same(a, a) && !clock_is_same(a, b));
    b = (struct timespec){ 3, 999999998 };
    OK(clock_is_before(b, a) && !clock_is_same(a, b));
    EQ(3999999, clock_us_of(a));
}
