/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hosts - several servers of one cluster, taken in turn; one that failed is
 * passed over for a while, longer each time, with jitter.
 *
 * Those of the configuration stay. Nodes that the cluster was found to have
 * (discover.h) go first; while none of them is up, the configured ones are
 * taken.
 */
#ifndef TALLYMAN_HOSTS_H
#define TALLYMAN_HOSTS_H

#include "agent/base/opt.h"

/* Most nodes that are found; others are left out. */
#define HOSTS_FOUND_MAX 256

struct host {
    char *url;         /* without a slash at the end */
    char *name;        /* for people: as it was configured or found */
    char *connect_to;  /* see http_request; NULL: the URL's host */
    unsigned failures; /* in a row */
    uint64_t down_until_ms;
    bool fresh; /* the last connection failed: the next is to be a new one */
    unsigned users; /* requests to it that are under way */
};

struct hosts;

/* `server_name` is that of the certificates, NULL: the hosts' own. */
struct hosts *hosts_new(const struct opt_list *urls, const char *server_name);
void hosts_free(struct hosts *h);
/* NULL, or what is wrong with a URL. */
const char *hosts_check_url(const char *url);

/* The next one that is up; where none is, the one that is up soonest. It stays
 * until it is given back. */
struct host *hosts_take(struct hosts *h, uint64_t now_ms);
void hosts_give(struct host *host);
void host_failed(struct host *host, uint64_t now_ms);
void host_works(struct host *host);

/* The nodes there are now, as NAME:PORT; those of before that are among them
 * stay as they are. Returns how many of them were not known before. */
size_t hosts_found(struct hosts *h, const struct opt_list *addresses);

#endif
