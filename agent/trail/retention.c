/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/trail/retention.h"

/* What lumberjack takes where --audit-log-maxsize is 0. */
#define DEFAULT_MAX_SIZE (100 * MIB)
#define PACE_MS          60000.0

void pace_note(struct pace *p, uint64_t bytes, uint64_t now_ms)
{
    double ms = (double)(now_ms - p->ms), share, per_s;

    if (p->ms != 0 && now_ms <= p->ms)
        return;
    if (p->ms != 0) {
        per_s = (double)(bytes - p->bytes) * 1000.0 / ms;
        share = ms < PACE_MS ? ms / PACE_MS : 1.0;
        p->per_s =
            p->per_s > 0.0 ? p->per_s + share * (per_s - p->per_s) : per_s;
    }
    p->bytes = bytes;
    p->ms = now_ms;
}

static int64_t by_count(const struct retention_conf *conf,
                        const struct retention_view *v)
{
    uint64_t size = conf->max_size > 0 ? conf->max_size : DEFAULT_MAX_SIZE;
    uint64_t rotations, bytes;

    if (conf->max_backups == 0)
        return -1;
    if (!v->is_live && v->newer >= conf->max_backups)
        return 0;
    rotations = conf->max_backups + 1;
    if (!v->is_live)
        rotations -= v->newer + 1;
    bytes = rotations * size;
    bytes -= v->live_size < size ? v->live_size : size;
    return v->per_s > 0.0 ? (int64_t)((double)bytes / v->per_s) : -1;
}

static int64_t by_age(const struct retention_conf *conf,
                      const struct retention_view *v)
{
    int64_t left = (int64_t)conf->max_age;

    if (conf->max_age == 0)
        return -1;
    if (!v->is_live)
        left -= v->now_ms - v->rotated_ms;
    return left > 0 ? left / 1000 : 0;
}

int64_t retention_left(const struct retention_conf *conf,
                       const struct retention_view *view)
{
    int64_t count = by_count(conf, view), age = by_age(conf, view);

    if (count < 0)
        return age;
    return age >= 0 && age < count ? age : count;
}
