/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts - several servers of one cluster, taken in turn; one that failed is
 * passed over for a while.
 */
#ifndef TALLYMAN_HOSTS_H
#define TALLYMAN_HOSTS_H

#include "agent/base/opt.h"

struct host {
    char *url;         /* without a slash at the end */
    char *name;        /* for people: as it was configured */
    unsigned failures; /* in a row */
    uint64_t down_until_ms;
};

struct hosts;

struct hosts *hosts_new(const struct opt_list *urls);
void hosts_free(struct hosts *h);
/* NULL, or what is wrong with a URL. */
const char *hosts_check_url(const char *url);

/* The next one that is up; where none is, the one that is up soonest. */
struct host *hosts_next(struct hosts *h, uint64_t now_ms);
void host_failed(struct host *host, uint64_t now_ms);
void host_works(struct host *host);

#endif
