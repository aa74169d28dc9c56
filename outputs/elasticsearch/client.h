/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client - requests to a cluster: its hosts in turn, those that fail left for
 * a while.
 *
 * Any method, path and body; whoever asks reads the answer, as it arrives or
 * whole. One request goes to one host, once: trying again is the caller's
 * business.
 */
#ifndef TALLYMAN_CLIENT_H
#define TALLYMAN_CLIENT_H

#include "outputs/elasticsearch/hosts.h"
#include "outputs/elasticsearch/http.h"
#include "outputs/elasticsearch/product.h"

struct client;

/* Embed it, zeroed at first; may be used again after `done`. */
struct client_request {
    /* set by the caller, borrowed until `done` */
    enum http_method method;
    const char *path; /* "/_bulk?refresh=true" */
    enum http_body kind;
    struct span body;
    bool product; /* see http_request */
    bool once;    /* the same */
    /* The answer as it arrives. NULL: it is kept in `answer`. */
    void (*data)(struct client_request *r, const char *bytes, size_t n);
    /* From the loop, once, never from within client_send(). */
    void (*done)(struct client_request *r, const struct http_result *result);

    /* to be read in `done` */
    struct buf answer; /* what came of it, at most CLIENT_ANSWER_MAX */
    bool too_long;     /* there was more */

    /* the client's own */
    struct client *client;
    struct host *host;
    struct http_request http;
    struct buf url;
};

#define CLIENT_ANSWER_MAX (64 * MIB)

/* `settings` and `who`, for log lines, live as long as the client. */
struct client *client_open(uv_loop_t *loop, const char *who,
                           const struct elasticsearch_settings *settings,
                           unsigned slots, struct err *e);
/* Requests under way are given up, unanswered. */
void client_close(struct client *c, void (*closed)(void *arg), void *arg);

/* No more than `slots` at once, of the caller's. */
void client_send(struct client *c, struct client_request *r);
/* Gives back what it holds; not while it is under way. */
void client_request_free(struct client_request *r);
/* The host it went to, for people; in `done`. */
const char *client_host(const struct client_request *r);
/* Makes a text that holds part of an answer fit to be shown: no secret is left
 * in it. */
void client_hide(const struct client *c, char *text);
/* What went wrong, for people: what curl says, or status, type and reason of
 * the server's error, or how the answer began. Any status. */
void client_why(const struct client_request *r,
                const struct http_result *result, char *out, size_t size);

/* ---- who is it? ---- */

/* Asks what the cluster is (product.h). `done` from the loop; `why` is NULL
 * where it is known, else for people. One at a time. */
void client_ask_product(struct client *c,
                        void (*done)(void *arg, const struct product *p,
                                     const char *why),
                        void *arg);

#endif
