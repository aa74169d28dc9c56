/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/base/clock.h"

#include <stdio.h>

#define US_PER_S    INT64_C(1000000)
#define S_PER_DAY   INT64_C(86400)
#define YEAR_0_US   (INT64_C(-62167219200) * US_PER_S)
#define YEAR_10K_US (INT64_C(253402300800) * US_PER_S)

int64_t clock_wall_us(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_REALTIME, &ts);
    return clock_us_of(ts);
}

uint64_t clock_mono_ms(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

int64_t clock_us_of(struct timespec t)
{
    return (int64_t)t.tv_sec * US_PER_S + t.tv_nsec / 1000;
}

bool clock_is_same(struct timespec a, struct timespec b)
{
    return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

bool clock_is_before(struct timespec a, struct timespec b)
{
    return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

/* Years begin in March here, so that the leap day comes last. */
static int64_t days_from_civil(int64_t y, int64_t m, int64_t d)
{
    y -= m <= 2;

    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
    int64_t doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;

    return era * 146097 + doe - 719468;
}

void clock_civil(int64_t days, int *year, unsigned *month, unsigned *day)
{
    days += 719468;

    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;

    *day = (unsigned)(doy - (153 * mp + 2) / 5 + 1);
    *month = (unsigned)(mp < 10 ? mp + 3 : mp - 9);
    *year = (int)(yoe + era * 400 + (*month <= 2));
}

/* Exactly `n` digits, else -1. */
static int64_t digits(const char *at, int n)
{
    int64_t v = 0;

    for (int i = 0; i < n; i++) {
        if (at[i] < '0' || at[i] > '9')
            return -1;
        v = v * 10 + (at[i] - '0');
    }
    return v;
}

/* "Z", "+hh:mm" or "-hh:mm" in seconds; CLOCK_NO_TIME where it is none. */
static int64_t parse_zone(struct span s)
{
    int64_t h, m;

    if (s.len == 1 && (*s.at == 'Z' || *s.at == 'z'))
        return 0;
    if (s.len != 6 || (s.at[0] != '+' && s.at[0] != '-') || s.at[3] != ':')
        return CLOCK_NO_TIME;
    h = digits(s.at + 1, 2);
    m = digits(s.at + 4, 2);
    if (h < 0 || h > 23 || m < 0 || m > 59)
        return CLOCK_NO_TIME;
    return (s.at[0] == '-' ? -1 : 1) * (h * 3600 + m * 60);
}

/* ".123456" at `*at`, which moves behind it; -1 where there are no digits. */
static int64_t parse_fraction(const char **at, const char *end)
{
    int64_t us = 0, unit = US_PER_S / 10;
    const char *p = *at;

    if (p == end || *p != '.')
        return 0;
    for (p++; p < end && *p >= '0' && *p <= '9'; p++) {
        us += (*p - '0') * unit;
        unit /= 10;
    }
    if (p == *at + 1)
        return -1;
    *at = p;
    return us;
}

static int64_t days_in(int64_t year, int64_t month)
{
    return days_from_civil(month == 12 ? year + 1 : year,
                           month == 12 ? 1 : month + 1, 1) -
           days_from_civil(year, month, 1);
}

int64_t clock_parse(struct span s)
{
    const char *p = s.at, *end = s.at + s.len;
    int64_t y, mo, d, h, mi, sec, us, zone;

    if (s.len < 20 || p[4] != '-' || p[7] != '-' ||
        (p[10] != 'T' && p[10] != 't') || p[13] != ':' || p[16] != ':')
        return CLOCK_NO_TIME;
    y = digits(p, 4);
    mo = digits(p + 5, 2);
    d = digits(p + 8, 2);
    h = digits(p + 11, 2);
    mi = digits(p + 14, 2);
    sec = digits(p + 17, 2);
    if (y < 0 || mo < 1 || mo > 12 || d < 1 || d > days_in(y, mo) || h < 0 ||
        h > 23 || mi < 0 || mi > 59 || sec < 0 || sec > 60)
        return CLOCK_NO_TIME;
    p += 19;
    us = parse_fraction(&p, end);
    zone = parse_zone(span(p, (size_t)(end - p)));
    if (us < 0 || zone == CLOCK_NO_TIME)
        return CLOCK_NO_TIME;
    return (days_from_civil(y, mo, d) * S_PER_DAY + h * 3600 + mi * 60 + sec -
            zone) *
               US_PER_S +
           us;
}

static void put(char *out, unsigned v, int n)
{
    while (n-- > 0) {
        out[n] = (char)('0' + v % 10);
        v /= 10;
    }
}

size_t clock_format(char out[static CLOCK_TEXT_SIZE], int64_t us, int digits_)
{
    int64_t day, in_day;
    unsigned month, d, sec, fraction;
    int year;
    size_t n = 19;

    us = us < YEAR_0_US ? YEAR_0_US : us;
    us = us >= YEAR_10K_US ? YEAR_10K_US - 1 : us;
    day = (us >= 0 ? us : us - (S_PER_DAY * US_PER_S - 1)) /
          (S_PER_DAY * US_PER_S);
    in_day = us - day * S_PER_DAY * US_PER_S;
    sec = (unsigned)(in_day / US_PER_S);
    fraction = (unsigned)(in_day % US_PER_S);
    clock_civil(day, &year, &month, &d);

    memcpy(out, "0000-00-00T00:00:00", n);
    put(out, (unsigned)year, 4);
    put(out + 5, month, 2);
    put(out + 8, d, 2);
    put(out + 11, sec / 3600, 2);
    put(out + 14, sec / 60 % 60, 2);
    put(out + 17, sec % 60, 2);
    if (digits_ > 0) {
        out[n++] = '.';
        put(out + n, digits_ == 3 ? fraction / 1000 : fraction, digits_);
        n += (size_t)digits_;
    }
    out[n++] = 'Z';
    out[n] = '\0';
    return n;
}
