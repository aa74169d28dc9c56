/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/trouble.h"
#include "test/unit/unit.h"

static struct trouble t;

static bool say(const char *topic, const char *why, uint64_t now)
{
    return trouble_say(&t, "lane a/b", topic, why, 5, now);
}

TEST(trouble_is_said_once_and_then_once_a_minute)
{
    unsigned said = 0;

    for (uint64_t now = 1000; now < 1000 + 180000; now += 100)
        said += say(NULL, "connection refused", now);
    EQ(3, said);
    EQ(1000, t.since_ms);
    OK(t.on);
}

TEST(another_kind_of_trouble_is_said_at_once)
{
    OK(say(NULL, "connection refused", 1));
    OK(say(NULL, "401", 2));
    OK(!say(NULL, "connection refused", 3));
    EQ_STR("connection refused", t.why);
}

TEST(two_kinds_in_turn_are_not_said_in_turn)
{
    unsigned said = 0;

    for (uint64_t now = 0; now < 50000; now++)
        said += say(NULL, now % 2 ? "a: refused" : "b: refused", now);
    EQ(2, said);
}

/* The reason of a server counts bytes, so no two are the same. */
TEST(a_kind_is_known_by_its_topic)
{
    char why[64];
    unsigned said = 0;

    for (uint64_t now = 0; now < 1000; now++) {
        snprintf(why, sizeof(why), "rejected [%" PRIu64 " bytes]", now);
        said += say("busy", why, now);
    }
    EQ(1, said);
    EQ_STR("rejected [999 bytes]", t.why);
}

TEST(endless_kinds_are_bounded)
{
    char why[64];
    unsigned said = 0;

    for (uint64_t now = 0; now < 59000; now++) {
        snprintf(why, sizeof(why), "kind %" PRIu64, now);
        said += say(NULL, why, now);
    }
    EQ(TROUBLE_KINDS, said);
}

TEST(what_comes_and_goes_is_said_once_a_minute)
{
    unsigned said = 0;

    for (uint64_t now = 1000; now < 1000 + 120000; now += 10) {
        said += say(NULL, "one of three is down", now);
        trouble_end(&t, "lane a/b", now + 5);
        OK(!t.on);
    }
    EQ(2, said);
}

TEST(what_comes_back_later_is_new)
{
    OK(say(NULL, "x", 1));
    trouble_end(&t, "lane a/b", 2);
    trouble_end(&t, "lane a/b", 3);
    OK(say(NULL, "x", 90000));
    EQ(90000, t.since_ms);
}
