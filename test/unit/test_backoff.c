/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/backoff.h"
#include "test/unit/unit.h"

/* The largest of many, which is close to the most there can be. */
static uint64_t largest(uint64_t min, uint64_t max, unsigned attempt)
{
    uint64_t most = 0;

    for (int i = 0; i < 2000; i++) {
        uint64_t ms = backoff_ms(min, max, attempt);

        OK(ms >= 1);
        most = ms > most ? ms : most;
    }
    return most;
}

TEST(the_wait_doubles_up_to_its_limit)
{
    for (unsigned attempt = 0; attempt < 20; attempt++) {
        uint64_t most = attempt < 8 ? UINT64_C(200) << attempt : 30000;
        uint64_t have;

        most = most < 30000 ? most : 30000;
        have = largest(200, 30000, attempt);
        OK(have <= most);
        OK(have > most * 9 / 10);
    }
}

TEST(many_agents_do_not_come_back_together)
{
    unsigned in_tenth[10] = { 0 };

    for (int i = 0; i < 10000; i++)
        in_tenth[(backoff_ms(1000, 1000, 3) - 1) / 100]++;
    for (int i = 0; i < 10; i++)
        OK(in_tenth[i] > 700 && in_tenth[i] < 1300);
}

TEST(odd_limits_do_no_harm)
{
    EQ(1, backoff_ms(1, 1, 0));
    EQ(1, backoff_ms(1, 1, 4000000000u));
    EQ(1, backoff_ms(0, 0, 0));
    EQ(1, backoff_ms(0, 0, 4000000000u));
    OK(largest(500, 100, 0) <= 100);
    OK(backoff_ms(1, UINT64_MAX / 2, 1000) >= 1);
    OK(backoff_ms(3, UINT64_MAX, 4000000000u) >= 1);
}
