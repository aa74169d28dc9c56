/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - POST requests by libcurl's multi interface on the libuv loop.
 *
 * Several at once, connections kept alive. Knows nothing of what is posted. The
 * body is borrowed until `done`, which comes from the loop, exactly once, never
 * from within http_post().
 */
#ifndef TALLYMAN_HTTP_H
#define TALLYMAN_HTTP_H

#include <uv.h>

#include "agent/base/err.h"

struct http;

struct http_conf {
    const char *username; /* basic authentication, or NULL */
    const char *password;
    const char *api_key; /* "Authorization: ApiKey ...", or NULL */
    const char *ca_file; /* NULL: the system's */
    bool gzip;           /* bodies are gzip */
    uint64_t timeout_ms; /* of one request, from start to end */
    unsigned slots;      /* requests at once */
};

struct http_result {
    unsigned status;         /* 0: there was no answer */
    bool complete;           /* the answer came whole */
    uint64_t retry_after_ms; /* 0: it did not say */
    const char *why;         /* what failed; "" where nothing did */
};

struct http_post {
    const char *url;
    struct span body;
    void (*data)(struct http_post *p, const char *bytes, size_t n);
    void (*done)(struct http_post *p, const struct http_result *r);
    bool fresh; /* on a new connection */
};

/* `conf` is copied, with its secrets. */
struct http *http_open(uv_loop_t *loop, const struct http_conf *conf,
                       struct err *e);
/* No more than conf.slots at once. */
void http_post(struct http *h, struct http_post *p);
/* Requests under way are given up, unanswered. */
void http_close(struct http *h, void (*closed)(void *arg), void *arg);

#endif
