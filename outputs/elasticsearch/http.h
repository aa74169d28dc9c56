/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http - requests by libcurl, on the libuv loop by multi.h.
 *
 * Several at once, connections kept alive. Knows nothing of what is asked. URL
 * and body are borrowed until `done`, which comes from the loop, exactly once,
 * never from within http_send().
 */
#ifndef TALLYMAN_HTTP_H
#define TALLYMAN_HTTP_H

#include <uv.h>

#include "outputs/elasticsearch/settings.h"

struct http;

enum http_method {
    HTTP_GET,
    HTTP_HEAD,
    HTTP_POST,
    HTTP_PUT,
    HTTP_DELETE
};

/* What a body is; it decides the request's headers. */
enum http_body {
    HTTP_NO_BODY,
    HTTP_JSON,
    HTTP_NDJSON,
    HTTP_NDJSON_GZIP,
    HTTP_CONSOLE_JSON, /* to Kibana or OpenSearch Dashboards */
    HTTP_CONSOLE_FORM, /* multipart, between HTTP_BOUNDARY */
    HTTP_NBODIES
};

#define HTTP_BOUNDARY    "tallyman-7f4c1d5b9e2a"
#define HTTP_PRODUCT_MAX 64

struct http_result {
    unsigned status;         /* 0: there was no answer */
    bool complete;           /* the answer came whole */
    bool sent;               /* the server may have got some of the body, and
                              * begun with it: Elasticsearch does */
    uint64_t retry_after_ms; /* 0: it did not say */
    const char *why;         /* what failed; "" where nothing did */
    const char *topic;       /* its kind, in fixed words; NULL likewise */
    const char *advice;      /* what to do about it, or NULL */
    const char *location;    /* where a redirect points to, or "" */
    /* Headers X-elastic-product and X-OpenSearch-Version, "" where there are
     * none; only where `product` was asked for. */
    char elastic_product[HTTP_PRODUCT_MAX];
    char opensearch_version[HTTP_PRODUCT_MAX];
};

struct http_request {
    enum http_method method;
    const char *url;
    /* As curl's CURLOPT_CONNECT_TO, "::10.0.0.1:9200": where to connect to
     * instead of the URL's host, whose name is still what is asked for and
     * certified. NULL: there. */
    const char *connect_to;
    enum http_body kind;
    struct span body;
    bool fresh;   /* on a new connection, to a name that is looked up anew */
    bool product; /* tell what product answered */
    /* Not to be sent again by curl itself, as it does where a connection that
     * was used before is closed without an answer. */
    bool once;
    void (*data)(struct http_request *r, const char *bytes, size_t n);
    void (*done)(struct http_request *r, const struct http_result *result);
};

/* Secures the connections and lets them in as `settings` say, which it borrows;
 * no more than `slots` requests at once. `who` for log lines, borrowed. */
struct http *http_open(uv_loop_t *loop, const char *who,
                       const struct elasticsearch_settings *settings,
                       unsigned slots, struct err *e);
void http_send(struct http *h, struct http_request *r);
/* See credentials_hide(). */
void http_hide(const struct http *h, char *text);
/* Requests under way are given up, unanswered. */
void http_close(struct http *h, void (*closed)(void *arg), void *arg);

#endif
