/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doubt - asks a data stream or an alias which of some events are in any of the
 * indices behind it.
 *
 *   POST /TARGET/_refresh      where asked for: all that is stored is found
 *   POST /TARGET/_search       for the ids, see lookup.h
 *
 * A shard that cannot be searched makes the whole answer worth nothing. Where
 * there is no TARGET, nothing is in it. What is not seen: a request that a server
 * or a proxy still holds, and only begins with after it was asked for here.
 */
#ifndef TALLYMAN_DOUBT_H
#define TALLYMAN_DOUBT_H

#include "outputs/elasticsearch/client.h"

struct lookup;

struct doubt_result {
    const char *why; /* it could not be found out; NULL: it is known */
    unsigned status; /* of the request that failed, 0: none */
    uint64_t retry_after_ms;
    uint64_t refreshed_ms; /* uv_now() before the refresh; 0: none was made */
};

struct doubt_ops {
    /* The action line of event number i; borrowed during the call. */
    struct span (*line)(void *arg, uint32_t i);
    void (*found)(void *arg, uint32_t i); /* once for each that is there */
    /* From the loop, once, never from within doubt_ask(). */
    void (*done)(void *arg, const struct doubt_result *result);
};

/* One question at a time, in parts. */
struct doubt {
    uv_loop_t *loop;
    struct client *client;
    const struct elasticsearch_settings *settings;
    const struct doubt_ops *ops;
    void *arg;
    struct client_request request;
    struct lookup *lookup; /* while one is under way */
    char *path;
    uint32_t n;
    uint32_t asked;        /* events before this one have been asked for */
    uint64_t refresh_ms;   /* uv_now() when one was asked for */
    uint64_t refreshed_ms; /* the same, once it is made; 0: none was */
    char why[640];
};

/* All borrowed. */
void doubt_init(struct doubt *d, uv_loop_t *loop, struct client *client,
                const struct elasticsearch_settings *settings,
                const struct doubt_ops *ops, void *arg);
void doubt_free(struct doubt *d);
/* For events 0 to n - 1, of which there is one. `fresh`: some may have been
 * stored since the last refresh, so one is made. */
void doubt_ask(struct doubt *d, uint32_t n, bool fresh);

#endif
