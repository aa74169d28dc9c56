/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/horizon.h"

/* A line that was torn may be whole now, and so a little longer. */
#define SLACK MIB

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

void horizon_start(struct horizon *h, uint64_t bytes)
{
    h->is_on = true;
    h->doubt = h->open = bytes;
    if (bytes > 0 && bytes < HORIZON_UNKNOWN - SLACK)
        h->doubt += SLACK;
}

void horizon_pass(struct horizon *h, uint64_t len)
{
    h->passed += len + 1;
}

void horizon_end(struct horizon *h)
{
    if (h->doubt > h->passed)
        h->doubt = h->passed;
}

bool horizon_is_in_doubt(const struct horizon *h, uint64_t from)
{
    return h->is_on && from < h->doubt;
}

bool horizon_lets(const struct horizon *h, uint64_t to)
{
    return !h->is_on || to <= h->open;
}

void horizon_sent(struct horizon *h, uint64_t to)
{
    h->sent = larger(h->sent, to);
}

bool horizon_is_near(const struct horizon *h)
{
    return h->is_on && h->open - h->sent < HORIZON_BYTES / 2;
}

/* Until it is on disk, both it and the one before hold. */
static uint64_t begin_saving(struct horizon *h, uint64_t low, uint64_t end)
{
    h->saving = end;
    if (h->open > end)
        h->open = end;
    return end == HORIZON_UNKNOWN ? end : end - low;
}

/* What an earlier run sent, where that is not behind us. */
static uint64_t old_doubt(const struct horizon *h, uint64_t low)
{
    return h->doubt > low ? h->doubt : low;
}

uint64_t horizon_print(struct horizon *h, uint64_t low, uint64_t first)
{
    uint64_t end = larger(low + HORIZON_BYTES, first);

    return begin_saving(h, low,
                        larger(larger(end, h->sent), old_doubt(h, low)));
}

uint64_t horizon_print_last(struct horizon *h, uint64_t low, uint64_t doubt)
{
    uint64_t old = h->doubt > h->passed ? h->doubt : low;

    return begin_saving(h, low, larger(larger(low, doubt), old));
}

void horizon_saved(struct horizon *h)
{
    h->open = h->saving;
}
