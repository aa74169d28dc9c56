/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/horizon.h"
#include "test/unit/unit.h"

static struct horizon h;

static void start(uint64_t bytes)
{
    h = (struct horizon){ 0 };
    horizon_start(&h, bytes);
}

/* A line of so many bytes in all; where it ends. */
static uint64_t line(uint64_t bytes)
{
    horizon_pass(&h, bytes - 1);
    return h.passed;
}

TEST(an_output_that_needs_none_is_never_held_up)
{
    h = (struct horizon){ 0 };
    OK(horizon_lets(&h, UINT64_MAX));
    OK(!horizon_is_in_doubt(&h, 0));
    OK(!horizon_is_near(&h));
}

TEST(nothing_goes_before_a_checkpoint_is_saved_that_lets_it)
{
    start(0);
    OK(!horizon_lets(&h, 1));
    EQ(HORIZON_BYTES, horizon_print(&h, 0, 0));
    OK(!horizon_lets(&h, 1));
    horizon_saved(&h);
    OK(horizon_lets(&h, HORIZON_BYTES));
    OK(!horizon_lets(&h, HORIZON_BYTES + 1));
}

TEST(the_horizon_moves_with_what_is_settled)
{
    start(0);
    horizon_print(&h, 0, 0);
    horizon_saved(&h);
    EQ(HORIZON_BYTES, horizon_print(&h, 1000, 0));
    horizon_saved(&h);
    OK(horizon_lets(&h, HORIZON_BYTES + 1000));
    OK(!horizon_lets(&h, HORIZON_BYTES + 1001));
}

TEST(one_line_that_is_longer_can_go_all_the_same)
{
    uint64_t first = 3 * HORIZON_BYTES;

    start(0);
    EQ(first, horizon_print(&h, 0, first));
    horizon_saved(&h);
    OK(horizon_lets(&h, first));
}

TEST(a_save_that_fails_lets_nothing_more)
{
    start(0);
    horizon_print(&h, 0, 0);
    horizon_saved(&h);
    horizon_print(&h, 5000, 0);
    horizon_print(&h, 6000, 0);
    OK(!horizon_lets(&h, HORIZON_BYTES + 1));
}

TEST(the_next_one_is_asked_for_before_anybody_waits)
{
    start(0);
    horizon_print(&h, 0, 0);
    horizon_saved(&h);
    OK(!horizon_is_near(&h));
    horizon_sent(&h, HORIZON_BYTES / 2);
    OK(!horizon_is_near(&h));
    horizon_sent(&h, HORIZON_BYTES / 2 + 1);
    OK(horizon_is_near(&h));
    horizon_sent(&h, 7);
    OK(horizon_is_near(&h));
}

TEST(after_a_crash_what_may_have_been_sent_is_in_doubt)
{
    start(5000);
    OK(horizon_is_in_doubt(&h, 0));
    OK(horizon_is_in_doubt(&h, 4999));
    OK(!horizon_is_in_doubt(&h, 5000 + 2 * MIB));
    OK(horizon_lets(&h, 5000)); /* the checkpoint on disk says so */
    OK(!horizon_lets(&h, 5001));
}

TEST(after_a_clean_stop_nothing_is)
{
    start(0);
    OK(!horizon_is_in_doubt(&h, 0));
}

TEST(what_came_after_the_start_is_not_in_doubt)
{
    start(HORIZON_BYTES);
    line(100);
    horizon_end(&h);
    OK(horizon_is_in_doubt(&h, 99));
    OK(!horizon_is_in_doubt(&h, 100));
    line(100);
    horizon_end(&h);
    OK(!horizon_is_in_doubt(&h, 100));
}

TEST(where_nothing_is_known_all_there_was_is_in_doubt)
{
    start(HORIZON_UNKNOWN);
    for (int i = 0; i < 100; i++)
        OK(horizon_is_in_doubt(&h, line(HORIZON_BYTES)));
    horizon_end(&h);
    OK(!horizon_is_in_doubt(&h, h.passed));
}

TEST(what_is_not_known_stays_so_until_all_of_it_was_read)
{
    start(HORIZON_UNKNOWN);
    OK(horizon_lets(&h, UINT64_MAX - 1));
    line(100);
    horizon_sent(&h, 100);
    OK(horizon_print(&h, 100, 0) == HORIZON_UNKNOWN);
    horizon_saved(&h);
    OK(horizon_lets(&h, UINT64_MAX - 1));
    horizon_end(&h);
    EQ(HORIZON_BYTES, horizon_print(&h, 100, 0));
    OK(!horizon_lets(&h, HORIZON_BYTES + 101)); /* not while it is written */
    horizon_saved(&h);
    OK(horizon_lets(&h, HORIZON_BYTES + 100));
}

TEST(a_run_that_ends_soon_does_not_forget_the_doubt_of_the_one_before)
{
    start(50000);
    line(100);
    OK(horizon_print_last(&h, 100, 0) >= 49900);
    start(HORIZON_UNKNOWN);
    line(100);
    OK(horizon_print_last(&h, 100, 0) == HORIZON_UNKNOWN);
}

TEST(the_last_one_of_a_run_names_what_got_no_answer)
{
    start(0);
    horizon_print(&h, 0, 0);
    horizon_saved(&h);
    line(100);
    horizon_sent(&h, line(200));
    EQ(0, horizon_print_last(&h, 300, 0)); /* all of it did */
    EQ(200, horizon_print_last(&h, 100, 300));
}

/* Whatever is saved, fails to be saved, or is sent in between: what was sent
 * lies within the horizon of the checkpoint that a crash would find. */
TEST(a_crash_at_any_time_finds_all_that_was_sent_within_the_horizon)
{
    uint64_t dice = 7, low = 0, on_disk = 0, written = 0, sent = 0;

    start(0);
    for (int i = 0; i < 200000; i++) {
        dice = dice * 6364136223846793005u + 1442695040888963407u;
        switch (dice >> 61) {
        case 0: /* a checkpoint begins to be written */
            written = horizon_print(&h, low, low + dice % 1000);
            written += low;
            break;
        case 1: /* and is there, or never will be */
            if (dice % 3 != 0 && written > 0) {
                on_disk = written;
                horizon_saved(&h);
            }
            written = 0;
            break;
        case 2:
            low = low < sent ? low + dice % (sent - low + 1) : low;
            break;
        default:
            line(1 + dice % (HORIZON_BYTES / 8));
            if (horizon_lets(&h, h.passed)) {
                sent = h.passed;
                horizon_sent(&h, sent);
            } else {
                h.passed = sent; /* it waits */
            }
        }
        OK(sent <= on_disk);
    }
    OK(sent > HORIZON_BYTES);
}
