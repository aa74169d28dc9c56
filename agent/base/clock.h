/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock - the two clocks, and RFC 3339.
 *
 * Wall time is microseconds since 1970-01-01 UTC; it may jump and is only for
 * what people and indices see. Durations come from the monotonic clock.
 */
#ifndef TALLYMAN_CLOCK_H
#define TALLYMAN_CLOCK_H

#include <stdint.h>
#include <time.h>

#include "agent/base/bytes.h"

#define CLOCK_NO_TIME   INT64_MIN
#define CLOCK_TEXT_SIZE 28 /* 2026-11-23T17:00:03.406123Z and a NUL */

int64_t clock_wall_us(void);
uint64_t clock_mono_ms(void);

/* What the kernel says of files. */
int64_t clock_us_of(struct timespec t);
bool clock_is_same(struct timespec a, struct timespec b);
bool clock_is_before(struct timespec a, struct timespec b);

/* RFC 3339, "2026-11-23T17:00:03[.fraction](Z|+hh:mm)", to microseconds;
 * further digits are cut off. CLOCK_NO_TIME where `s` is none. */
int64_t clock_parse(struct span s);

/* With `digits` (0, 3 or 6) of the fraction, always in Z. Returns the length.
 * Times outside the years 0000 to 9999 are moved to the nearest end. */
size_t clock_format(char out[static CLOCK_TEXT_SIZE], int64_t us, int digits);

/* Days since 1970-01-01 to year, month (1-12) and day (1-31), in the
 * proleptic Gregorian calendar. */
void clock_civil(int64_t days, int *year, unsigned *month, unsigned *day);

#endif
