/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trouble - something keeps events from being taken: loud once, then quiet with
 * a reminder, and loud when it ends.
 *
 * Each kind of trouble is said at most once a minute, whether it lasts or comes
 * and goes: two hosts that fail in different ways, or one of three that is down
 * for a day, do not bring a line for every attempt.
 */
#ifndef TALLYMAN_TROUBLE_H
#define TALLYMAN_TROUBLE_H

#include <stdbool.h>
#include <stdint.h>

#define TROUBLE_REMIND_MS 60000
#define TROUBLE_KINDS     8 /* most that are said within that time */

struct trouble {
    /* for the backoff: kept by the lane */
    unsigned attempts; /* in a row of which nothing was taken */
    uint64_t until_ms; /* no sending before */

    bool on;
    bool loud;      /* this time it was said */
    char why[1024]; /* the latest */
    uint64_t since_ms;
    struct trouble_kind {
        uint64_t hash; /* 0: none */
        uint64_t said_ms;
    } kinds[TROUBLE_KINDS];
};

/* There is, or still is. `topic` names its kind (NULL: `why` does). Returns
 * whether it was said. */
bool trouble_say(struct trouble *t, const char *who, const char *topic,
                 const char *why, uint64_t pause_ms, uint64_t now_ms);
/* It is over, if there was any; said where its begin was. */
void trouble_end(struct trouble *t, const char *who, uint64_t now_ms);

#endif
