/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/backoff.h"

#include <sys/random.h>
#include <time.h>

/* Not for secrets. Without entropy at hand the clock will do. */
static uint64_t random_u64(void)
{
    struct timespec now;
    uint64_t v;

    if (getrandom(&v, sizeof(v), GRND_NONBLOCK) == sizeof(v))
        return v;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_nsec * UINT64_C(0x9e3779b97f4a7c15);
}

uint64_t backoff_ms(uint64_t min_ms, uint64_t max_ms, unsigned attempt)
{
    uint64_t most = min_ms;

    while (attempt-- > 0 && most < max_ms)
        most *= 2;
    if (most > max_ms)
        most = max_ms;
    return 1 + random_u64() % (most > 0 ? most : 1);
}
