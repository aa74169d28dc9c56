/* SPDX-License-Identifier: Apache-2.0 */
/*
 * outage - what it means that a request got no answer, for people.
 */
#ifndef TALLYMAN_OUTAGE_H
#define TALLYMAN_OUTAGE_H

#include <curl/curl.h>

struct outage {
    const char *topic;  /* its kind, in fixed words */
    const char *advice; /* what to do about it; NULL: nothing */
};

/* `why` is curl's own text. Never NULL; lives for ever. */
const struct outage *outage_of(CURLcode code, const char *why);

#endif
