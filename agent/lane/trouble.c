/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/lane/trouble.h"

#include <inttypes.h>
#include <stdio.h>

#include "agent/base/log.h"

/* FNV-1a. Two kinds of one hash: the second waits for the reminder. */
static uint64_t hash_of(const char *text)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);

    while (*text != '\0')
        h = (h ^ (unsigned char)*text++) * UINT64_C(0x100000001b3);
    return h;
}

/* Where a kind is noted that may be said now; NULL: not now. */
static struct trouble_kind *place_for(struct trouble *t, uint64_t hash,
                                      uint64_t now_ms)
{
    struct trouble_kind *free_one = NULL;

    for (unsigned i = 0; i < TROUBLE_KINDS; i++) {
        struct trouble_kind *k = &t->kinds[i];
        bool is_old = now_ms - k->said_ms >= TROUBLE_REMIND_MS;

        if (k->hash == hash)
            return is_old ? k : NULL;
        if (k->hash == 0 || is_old)
            free_one = k;
    }
    return free_one;
}

bool trouble_say(struct trouble *t, const char *who, const char *topic,
                 const char *why, uint64_t pause_ms, uint64_t now_ms)
{
    uint64_t hash = hash_of(topic != NULL ? topic : why);
    struct trouble_kind *kind = place_for(t, hash, now_ms);

    snprintf(t->why, sizeof(t->why), "%s", why);
    if (!t->on) {
        t->on = true;
        t->loud = false;
        t->since_ms = now_ms;
    }
    if (kind == NULL)
        return false;
    *kind = (struct trouble_kind){ hash, now_ms };
    t->loud = true;
    log_warn(who,
             "%s; trying again (next in %" PRIu64 " ms, for %" PRIu64
             " s so far), nothing is dropped",
             t->why, pause_ms, (now_ms - t->since_ms) / 1000);
    return true;
}

void trouble_end(struct trouble *t, const char *who, uint64_t now_ms)
{
    if (t->on && t->loud)
        log_info(who,
                 "events are taken again after %" PRIu64 " ms (it was: %s)",
                 now_ms - t->since_ms, t->why);
    t->on = false;
}
