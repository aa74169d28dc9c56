/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/retention.h"
#include "test/unit/unit.h"

#define HOUR 3600000

/* 10 files of 1,000 bytes, and they grow by 10 bytes a second. */
static const struct retention_conf counted = { .max_size = 1000,
                                               .max_backups = 10 };
static const struct retention_conf aged = { .max_age = 24 * HOUR };

TEST(where_nothing_is_known_nothing_is_told)
{
    struct retention_conf none = { 0 };
    struct retention_view v = { .is_live = true, .per_s = 10 };

    EQ(-1, retention_left(&none, &v));
    v.per_s = 0; /* it does not grow: nothing is ever rotated */
    EQ(-1, retention_left(&counted, &v));
}

TEST(a_live_file_stays_until_all_backups_are_newer)
{
    struct retention_view v = { .is_live = true, .per_s = 10 };

    EQ(1100, retention_left(&counted, &v)); /* itself, and ten after it */
    v.live_size = 400;
    EQ(1060, retention_left(&counted, &v));
    v.live_size = 5000; /* a line may be longer than a file */
    EQ(1000, retention_left(&counted, &v));
}

TEST(a_rotated_file_stays_until_there_are_too_many_newer_ones)
{
    struct retention_view v = { .per_s = 10, .live_size = 400 };

    EQ(960, retention_left(&counted, &v));
    v.newer = 3;
    EQ(660, retention_left(&counted, &v));
    v.newer = 9;
    EQ(60, retention_left(&counted, &v)); /* at the next rotation */
    v.newer = 10;
    EQ(0, retention_left(&counted, &v));
    v.newer = 1000;
    EQ(0, retention_left(&counted, &v));
    v.per_s = 0; /* and that is so however slowly it grows */
    EQ(0, retention_left(&counted, &v));
}

TEST(without_a_size_it_is_that_of_lumberjack)
{
    struct retention_conf conf = { .max_backups = 1 };
    struct retention_view v = { .is_live = true, .per_s = (double)MIB };

    EQ(200, retention_left(&conf, &v));
}

TEST(a_file_stays_until_it_is_too_old)
{
    struct retention_view v = { .is_live = true, .now_ms = 100 * HOUR };

    EQ(24 * 3600, retention_left(&aged, &v)); /* rotated now, at the soonest */
    v.is_live = false;
    v.rotated_ms = 90 * HOUR;
    EQ(14 * 3600, retention_left(&aged, &v));
    v.rotated_ms = 76 * HOUR + 1500;
    EQ(1, retention_left(&aged, &v));
    v.rotated_ms = 10 * HOUR;
    EQ(0, retention_left(&aged, &v));
    v.rotated_ms = 101 * HOUR; /* the clock was set back */
    EQ(25 * 3600, retention_left(&aged, &v));
}

TEST(what_comes_first_counts)
{
    struct retention_conf both = { .max_size = 1000,
                                   .max_backups = 10,
                                   .max_age = 600000 };
    struct retention_view v = { .is_live = true, .per_s = 10 };

    EQ(600, retention_left(&both, &v));
    v.per_s = 100;
    EQ(110, retention_left(&both, &v));
    v.per_s = 0;
    EQ(600, retention_left(&both, &v));
}

/* ---- pace ---- */

static bool is_near(double want, double have)
{
    return have > want * 0.999 && have < want * 1.001;
}

TEST(a_pace_is_bytes_in_a_second)
{
    struct pace p = { 0 };

    pace_note(&p, 5000, 1000); /* where it begins tells nothing */
    OK(p.per_s == 0.0);
    pace_note(&p, 6000, 2000);
    OK(is_near(1000, p.per_s));
    for (unsigned s = 3; s < 100; s++)
        pace_note(&p, 4000 + s * 1000, s * 1000);
    OK(is_near(1000, p.per_s));
}

TEST(a_pace_follows_within_minutes)
{
    struct pace p = { 0 };

    pace_note(&p, 0, 1000);
    pace_note(&p, 1000, 2000);
    for (unsigned s = 3; s < 600; s++)
        pace_note(&p, 1000 + (s - 2) * 50, s * 1000);
    OK(p.per_s > 50 && p.per_s < 51);
    pace_note(&p, 1000 + 597 * 50, 3600000 * 10ull); /* long unseen: that */
    OK(p.per_s < 1);
}

TEST(a_pace_does_not_mind_a_clock_that_stands)
{
    struct pace p = { 0 };

    pace_note(&p, 0, 1000);
    pace_note(&p, 1000, 2000);
    pace_note(&p, 2000, 2000);
    pace_note(&p, 2000, 1500);
    OK(is_near(1000, p.per_s));
    pace_note(&p, 2000, 3000);
    OK(is_near(1000, p.per_s));
}
