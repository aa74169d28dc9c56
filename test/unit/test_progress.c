/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/progress.h"
#include "test/unit/unit.h"

static struct progress p;
static struct buf out;

static const char *text(void)
{
    buf_add(&out, "", 1);
    out.len = 0;
    return out.at;
}

static const char *bar(size_t width)
{
    progress_bar(&p, width, &out);
    return text();
}

static const char *line(void)
{
    progress_line(&p, &out);
    return text();
}

static void note(uint64_t ms, uint64_t bytes, uint64_t events)
{
    progress_note(&p, &(struct progress_point){ ms, bytes, events });
}

static const char *count(uint64_t n)
{
    progress_count(&out, n);
    return text();
}

static const char *bytes(uint64_t n)
{
    progress_bytes(&out, n);
    return text();
}

static const char *clock_time(uint64_t n)
{
    progress_time(&out, n);
    return text();
}

TEST(counts_have_commas)
{
    EQ_STR("0", count(0));
    EQ_STR("999", count(999));
    EQ_STR("1,000", count(1000));
    EQ_STR("12,345", count(12345));
    EQ_STR("18,446,744,073,709,551,615", count(UINT64_MAX));
}

TEST(bytes_have_the_unit_that_fits)
{
    EQ_STR("0 B", bytes(0));
    EQ_STR("1023 B", bytes(1023));
    EQ_STR("1.0 KiB", bytes(1024));
    EQ_STR("1.4 MiB", bytes(1452028));
    EQ_STR("1.0 MiB", bytes(MIB - 1));
    EQ_STR("100.0 GiB", bytes(102400 * MIB));
    EQ_STR("16384.0 PiB", bytes(UINT64_MAX));
}

TEST(times_are_as_on_a_clock)
{
    EQ_STR("0:00", clock_time(0));
    EQ_STR("0:59", clock_time(59));
    EQ_STR("12:05", clock_time(725));
    EQ_STR("1:00:00", clock_time(3600));
    EQ_STR("100:02:03", clock_time(360123));
}

TEST(a_bar_shows_how_far_how_fast_and_how_long)
{
    p.done = 256 * MIB;
    p.total = 1024 * MIB;
    note(0, 0, 0);
    note(2000, 256 * MIB, 400000);
    EQ_STR(" 25% [====>              ] 256.0 MiB of 1.0 GiB  200,000 events/s "
           " 0:06 left",
           bar(76));
}

TEST(a_bar_is_never_wider_than_it_may_be)
{
    p.done = 999 * MIB;
    p.total = 1024 * MIB;
    note(0, 0, 0);
    note(1000, 1, 1000000000);
    for (size_t width = 0; width < 300; width++) {
        size_t len = strlen(bar(width));

        if (len > width)
            FAIL("%zu letters, not %zu", len, width);
    }
    EQ_STR(" 97%", bar(4));
    EQ_STR(" 97% 999.0 MiB of 1.0 GiB  1,0", bar(30));
}

TEST(what_it_waits_for_stands_in_its_place)
{
    p.done = 1;
    p.total = 2;
    p.trouble = "http://x: \033[31mrefus\xc3\xa9 by the other side";
    p.trouble_ms = 65999;
    EQ_STR(" 50% waiting 1:05: http://x: \\x1b[31mrefus\xc3\xa9 by the other "
           "side",
           bar(200));
    EQ_STR(" 50% waiting 1:05: http://x: \\x1b[31mrefus\xc3\xa9", bar(43));
    EQ_STR(" 50% waiting 1:05: http://x: \\x1b[31mrefus", bar(42));
    note(1, 1, 7);
    EQ_STR("50%, 7 events, waiting 1:05: http://x: \\x1b[31mrefus\xc3\xa9 by "
           "the other side",
           line());
}

TEST(a_stop_is_told_of)
{
    p.done = 1;
    p.total = 4;
    p.trouble = "refused";
    p.is_stopping = true;
    EQ_STR(" 25% stopping: what is in flight is waited for", bar(80));
    EQ_STR("25%, 0 events, stopping: what is in flight is waited for", line());
}

TEST(speed_is_that_of_the_last_seconds)
{
    p.total = 100 * MIB;
    for (uint64_t s = 0; s <= 100; s++) /* fast at first, then slow */
        note(s * 1000, s < 50 ? s * 1000000 : 50000000, s * 10);
    HAS(line(), "10 events/s  -:-- left");
    for (uint64_t s = 101; s <= 120; s++)
        note(s * 1000, 50000000 + (s - 100) * 1000000, s * 10);
    p.done = p.total - 10000000;
    HAS(line(), "0:10 left");
}

TEST(many_notes_in_one_second_are_one_point)
{
    note(0, 0, 0);
    for (uint64_t ms = 200; ms <= 1000; ms += 200)
        note(ms, ms, ms);
    EQ(2, p.n);
    EQ(1000, p.now.ms);
}

TEST(all_is_only_said_of_all)
{
    p.total = 1000000;
    p.done = 999999;
    HAS(line(), "99%, ");
    p.done = p.total;
    HAS(line(), "100%, ");
    p.done = p.total = 0; /* nothing is known of their sizes */
    HAS(line(), "100%, 0 events, 0 B of 0 B");
}
