/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/pressure.h"
#include "test/unit/unit.h"

#define WHOLE (2u << 20)

static struct pressure p;
static uint64_t now;

static void start(uint64_t most)
{
    pressure_init(&p, most, WHOLE);
    now = 1000000;
}

/* As many as may go, of that many bytes, 10 items each; how many. */
static unsigned fill(struct ticket *t, uint64_t bytes)
{
    unsigned n = 0;

    while (pressure_is_open(&p))
        pressure_sent(&p, &t[n++], bytes, 10, now);
    return n;
}

/* A window full, all of it taken after `ms`. */
static unsigned round_of(uint64_t bytes, uint64_t ms)
{
    struct ticket t[256];
    unsigned n = fill(t, bytes);

    now += ms;
    for (unsigned i = 0; i < n; i++)
        pressure_taken(&p, &t[i], now);
    return n;
}

static void one(uint64_t bytes, uint32_t items,
                void (*answer)(struct pressure *, const struct ticket *))
{
    struct ticket t;

    pressure_sent(&p, &t, bytes, items, now);
    answer(&p, &t);
}

static void one_taken(uint64_t bytes, uint32_t items)
{
    struct ticket t;

    pressure_sent(&p, &t, bytes, items, now);
    pressure_taken(&p, &t, now);
}

TEST(a_new_lane_may_use_all_its_requests)
{
    struct ticket t[256];

    start(4);
    EQ(4, fill(t, 1000));
    OK(!pressure_is_open(&p));
    EQ(PRESSURE_ANY, pressure_limit(&p));
    pressure_taken(&p, &t[2], now);
    OK(pressure_is_open(&p));
}

TEST(after_an_outage_one_tries_then_two_then_four)
{
    struct ticket t[256];
    unsigned n;

    start(16);
    n = fill(t, 1000);
    for (unsigned i = 0; i < n; i++)
        pressure_down(&p, &t[i]);
    for (int i = 0; i < 50; i++) {
        EQ(1, fill(t, 1000));
        pressure_down(&p, &t[0]);
    }
    EQ(1, round_of(1000, 5));
    EQ(2, round_of(1000, 5));
    EQ(4, round_of(1000, 5));
    EQ(8, round_of(1000, 5));
    EQ(16, round_of(1000, 5));
    EQ(16, round_of(1000, 5));
}

TEST(busy_answers_to_one_window_halve_it_once)
{
    struct ticket t[256];
    unsigned n;

    start(16);
    n = fill(t, 1000);
    for (unsigned i = 0; i < n; i++)
        pressure_busy(&p, &t[i]);
    EQ(8, p.window);
    n = fill(t, 1000);
    EQ(8, n);
    pressure_busy(&p, &t[0]);
    EQ(4, p.window);
    pressure_partly(&p, &t[1]);
    EQ(4, p.window);
    EQ(6, p.under_way);
    OK(!pressure_is_open(&p));
}

TEST(after_busy_answers_it_grows_by_one_for_a_window_full)
{
    struct ticket t;

    start(16);
    pressure_sent(&p, &t, 1000, 10, now);
    pressure_partly(&p, &t);
    EQ(8, p.window);
    round_of(1000, 5);
    EQ(9, p.window);
    round_of(1000, 5);
    EQ(10, p.window);
}

TEST(a_window_that_is_never_full_does_not_grow)
{
    start(16);
    one(1000, 10, pressure_partly);
    for (int i = 0; i < 100; i++)
        one_taken(1000, 10);
    EQ(8, p.window);
    EQ(0, p.under_way);
}

TEST(it_never_closes_for_good_and_never_exceeds_what_is_allowed)
{
    void (*const answers[])(struct pressure *, const struct ticket *) = {
        pressure_busy, pressure_partly, pressure_too_large, pressure_down,
        pressure_nothing
    };
    uint64_t dice = 1;

    start(5);
    for (int i = 0; i < 100000; i++) {
        struct ticket t[256];
        unsigned n = fill(t, 1 + dice % WHOLE);

        OK(n >= 1 && n <= 5);
        OK(p.window >= 1 && p.window <= 5);
        OK(pressure_limit(&p) > 0);
        now += dice % 1000;
        for (unsigned k = 0; k < n; k++) {
            dice = dice * 6364136223846793005u + 1442695040888963407u;
            if (dice >> 62 != 0)
                pressure_taken(&p, &t[k], now);
            else
                answers[(dice >> 33) % 5](&p, &t[k]);
        }
        EQ(0, p.under_way);
    }
}

TEST(a_server_that_is_always_slow_gets_all_there_is)
{
    start(8);
    one(1000, 10, pressure_down);
    for (int i = 0; i < 30; i++)
        round_of(1 << 20, 5000);
    EQ(8, p.window);
}

TEST(answers_that_come_ever_later_halve_the_window)
{
    start(8);
    for (int i = 0; i < 10; i++)
        round_of(1 << 20, 100);
    for (int i = 0; i < 3; i++)
        round_of(1 << 20, 1000);
    EQ(4, p.window);
    for (int i = 0; i < 3; i++)
        round_of(1 << 20, 1000);
    EQ(2, p.window);
    for (int i = 0; i < 20; i++)
        round_of(1 << 20, 100);
    EQ(8, p.window);
}

TEST(what_has_been_slow_for_a_while_is_its_usual_speed)
{
    start(8);
    for (int i = 0; i < 10; i++)
        round_of(1 << 20, 100);
    for (int i = 0; i < 10; i++)
        round_of(1 << 20, 1000);
    EQ(1, p.window);
    for (int i = 0; i < 200; i++)
        round_of(1 << 20, 1000);
    EQ(8, p.window);
}

TEST(one_pause_of_the_server_is_no_reason)
{
    start(8);
    for (int i = 0; i < 10; i++) {
        for (int k = 0; k < 10; k++)
            round_of(1 << 20, 20);
        round_of(1 << 20, 3000);
    }
    EQ(8, p.window);
}

TEST(a_large_request_is_not_held_against_a_small_one)
{
    start(8);
    for (int i = 0; i < 100; i++)
        round_of(1000, 1);
    for (int i = 0; i < 20; i++)
        round_of(1 << 20, 900);
    EQ(8, p.window);
}

TEST(little_is_not_late)
{
    start(8);
    for (int i = 0; i < 100; i++)
        round_of(1000, 1);
    for (int i = 0; i < 100; i++)
        round_of(1000, 150);
    EQ(8, p.window);
}

TEST(a_line_of_waiting_requests_is_shortened_not_emptied)
{
    /* A server that does one request at a time, in 100 ms: with n under way an
     * answer comes after n * 100. Two are enough to keep it working. */
    start(32);
    one(1 << 20, 10, pressure_down);
    p.steady = 32;
    for (int i = 0; i < 100; i++) {
        round_of(1 << 20, 100 * p.window);
        OK(i < 5 || (p.window >= 2 && p.window <= 8));
    }
}

TEST(too_large_halves_the_size_of_all_that_follows)
{
    start(4);
    one(1 << 20, 10, pressure_too_large);
    EQ(1 << 19, pressure_limit(&p));
    one(1 << 19, 10, pressure_too_large);
    EQ(1 << 18, pressure_limit(&p));
    EQ(4, p.window);
}

TEST(what_was_sent_before_the_limit_was_known_does_not_halve_it_again)
{
    struct ticket t[256];
    unsigned n;

    start(4);
    n = fill(t, 1 << 20);
    for (unsigned i = 0; i < n; i++)
        pressure_too_large(&p, &t[i]);
    EQ(1 << 19, pressure_limit(&p));
}

/* Sends `n` as large as may be to a server that takes `most` bytes; how many
 * were refused. */
static unsigned ship(unsigned n, uint64_t most,
                     void (*refused)(struct pressure *, const struct ticket *))
{
    unsigned no = 0;

    for (unsigned i = 0; i < n; i++) {
        uint64_t bytes = pressure_limit(&p);
        struct ticket t;

        bytes = bytes < WHOLE ? bytes : WHOLE;
        pressure_sent(&p, &t, bytes, 10, now);
        now += 10;
        if (bytes > most) {
            refused(&p, &t);
            no++;
        } else {
            pressure_taken(&p, &t, now);
        }
    }
    return no;
}

TEST(a_fixed_limit_costs_a_few_refusals_however_long_it_lasts)
{
    start(4);
    OK(ship(10000, 300000, pressure_too_large) <= 12);
    OK(pressure_limit(&p) >= 150000);
    OK(ship(100000, 300000, pressure_too_large) <= 30);
}

TEST(a_size_that_is_always_busy_costs_few_more)
{
    start(4);
    OK(ship(10000, 300000, pressure_busy) <= 40);
    OK(p.limit >= 150000 && p.limit <= 300000);
}

TEST(a_limit_that_was_lifted_is_found_out)
{
    start(4);
    ship(1000, 300000, pressure_too_large);
    ship(20000, PRESSURE_ANY, pressure_too_large);
    EQ(PRESSURE_ANY, pressure_limit(&p));
}

TEST(after_a_busy_time_the_size_comes_back_soon)
{
    start(4);
    ship(40, 0, pressure_busy);
    OK(pressure_limit(&p) < 1000);
    ship(100, PRESSURE_ANY, pressure_busy);
    EQ(PRESSURE_ANY, pressure_limit(&p));
}

TEST(one_busy_answer_says_nothing_about_the_size)
{
    start(4);
    for (int i = 0; i < 100; i++) {
        one(1 << 20, 10, pressure_busy);
        one_taken(1 << 20, 10);
    }
    EQ(PRESSURE_ANY, pressure_limit(&p));
}

TEST(busy_with_others_under_way_says_nothing_about_the_size)
{
    struct ticket a, b;

    start(4);
    for (int i = 0; i < 10; i++) {
        p.window = 4;
        pressure_sent(&p, &a, 1 << 20, 10, now);
        pressure_sent(&p, &b, 1 << 20, 10, now);
        pressure_busy(&p, &a);
        pressure_busy(&p, &b);
    }
    EQ(PRESSURE_ANY, pressure_limit(&p));
}

TEST(only_one_at_a_time_tries_a_larger_size)
{
    struct ticket a, b;

    start(4);
    one(1 << 20, 10, pressure_too_large);
    for (int i = 0; i < 64; i++) {
        EQ(1 << 19, pressure_limit(&p));
        one_taken(1 << 19, 10);
    }
    EQ(1 << 20, pressure_limit(&p));
    pressure_sent(&p, &a, 1 << 20, 10, now);
    EQ(1 << 19, pressure_limit(&p));
    pressure_sent(&p, &b, 1 << 19, 10, now);
    pressure_too_large(&p, &a);
    pressure_taken(&p, &b, now);
    EQ(1 << 19, pressure_limit(&p));
}

TEST(a_single_event_has_no_size_that_could_be_less)
{
    start(4);
    one(1 << 20, 1, pressure_too_large);
    for (int i = 0; i < 10; i++)
        one(1 << 20, 1, pressure_busy);
    EQ(PRESSURE_ANY, pressure_limit(&p));
    one(3000, 2, pressure_too_large);
    EQ(1500, pressure_limit(&p));
    one_taken(2500, 1); /* alone, it had to be that large: and it was taken */
    EQ(2500, pressure_limit(&p));
}
