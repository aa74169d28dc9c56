/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/doubt.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/json_tree.h"
#include "outputs/elasticsearch/lookup.h"

#define REFRESH "/%s/_refresh?filter_path=_shards.failed,error,status"

static struct doubt *doubt_of(struct client_request *r)
{
    return (struct doubt *)((char *)r - offsetof(struct doubt, request));
}

/* ---- asking ---- */

static void ask(struct doubt *d, char *path, struct span body,
                void (*done)(struct client_request *r,
                             const struct http_result *h))
{
    free(d->path);
    d->path = path;
    d->request.method = HTTP_POST;
    d->request.path = d->path;
    d->request.kind = body.len > 0 ? HTTP_JSON : HTTP_NO_BODY;
    d->request.body = body;
    d->request.done = done;
    client_send(d->client, &d->request);
}

static void end(struct doubt *d, struct doubt_result *result)
{
    result->refreshed_ms = d->refreshed_ms;
    client_request_free(&d->request);
    d->request = (struct client_request){ 0 };
    lookup_free(d->lookup);
    d->lookup = NULL;
    d->ops->done(d->arg, result);
}

static void fail(struct doubt *d, const struct http_result *h, const char *why)
{
    bool no_right = h->status == 401 || h->status == 403;

    snprintf(d->why, sizeof(d->why),
             "cannot find out whether events whose answer was lost are in %s: "
             "%s%s",
             elasticsearch_target(d->settings), why,
             no_right ? " (that takes the rights to search and to refresh it: "
                        "read, maintenance)"
                      : "");
    end(d, &(struct doubt_result){ .why = d->why,
                                   .status = h->status,
                                   .retry_after_ms = h->retry_after_ms });
}

/* ---- answers ---- */

static yajl_val value_at(yajl_val root, const char *first, const char *second,
                         yajl_type type)
{
    const char *path[] = { first, second, NULL };

    return root != NULL ? yajl_tree_get(root, path, type) : NULL;
}

static yajl_val parse(const struct client_request *r)
{
    return json_tree(span(r->answer.at, r->answer.len), CLIENT_ANSWER_MAX);
}

static bool is_missing(const struct client_request *r,
                       const struct http_result *h)
{
    yajl_val root, type;
    bool is;

    if (!h->complete || h->status != 404)
        return false;
    root = parse(r);
    type = value_at(root, "error", "type", yajl_t_string);
    is = type != NULL &&
         strcmp(type->u.string, "index_not_found_exception") == 0;
    yajl_tree_free(root);
    return is;
}

/* Whether the answer is one to be read; else it has ended. */
static bool is_good(struct doubt *d, const struct http_result *h)
{
    char why[400];

    if (is_missing(&d->request, h)) {
        d->refreshed_ms = d->refresh_ms;
        end(d, &(struct doubt_result){ 0 });
        return false;
    }
    if (h->complete && h->status == 200)
        return true;
    client_why(&d->request, h, why, sizeof(why));
    fail(d, h, why);
    return false;
}

static void ask_part(struct doubt *d);

static void on_found(struct client_request *r, const struct http_result *h)
{
    struct doubt *d = doubt_of(r);
    struct err e;

    if (!is_good(d, h))
        return;
    if (lookup_read(d->lookup, span(r->answer.at, r->answer.len), &e) != 0) {
        fail(d, h, e.text);
        return;
    }
    for (uint32_t i = 0; i < lookup_count(d->lookup); i++) {
        if (lookup_copies(d->lookup, i) > 0)
            d->ops->found(d->arg, d->asked + i);
    }
    d->asked += lookup_count(d->lookup);
    if (d->asked < d->n)
        ask_part(d);
    else
        end(d, &(struct doubt_result){ 0 });
}

static void ask_part(struct doubt *d)
{
    lookup_start(d->lookup);
    for (uint32_t i = d->asked; i < d->n; i++) {
        if (lookup_count(d->lookup) == LOOKUP_MOST)
            break;
        lookup_add(d->lookup, d->ops->line(d->arg, i));
    }
    ask(d,
        lookup_path(LOOKUP_BY_SEARCH, elasticsearch_target(d->settings),
                    d->settings->routing),
        lookup_body(d->lookup), on_found);
}

static void on_refreshed(struct client_request *r, const struct http_result *h)
{
    struct doubt *d = doubt_of(r);
    yajl_val root, failed;
    bool all;

    if (!is_good(d, h))
        return;
    root = parse(r);
    failed = value_at(root, "_shards", "failed", yajl_t_number);
    all = failed != NULL && strcmp(YAJL_GET_NUMBER(failed), "0") == 0;
    yajl_tree_free(root);
    if (!all) {
        fail(d, h, "a part of it could not be refreshed");
        return;
    }
    d->refreshed_ms = d->refresh_ms;
    ask_part(d);
}

void doubt_ask(struct doubt *d, uint32_t n, bool fresh)
{
    d->n = n;
    d->asked = 0;
    d->refresh_ms = d->refreshed_ms = 0;
    d->lookup = lookup_new(LOOKUP_BY_SEARCH);
    if (!fresh) {
        ask_part(d);
        return;
    }
    d->refresh_ms = uv_now(d->loop);
    ask(d, xprintf(REFRESH, elasticsearch_target(d->settings)), SPAN(""),
        on_refreshed);
}

/* ---- life ---- */

void doubt_init(struct doubt *d, uv_loop_t *loop, struct client *client,
                const struct elasticsearch_settings *settings,
                const struct doubt_ops *ops, void *arg)
{
    *d = (struct doubt){
        .loop = loop,
        .client = client,
        .settings = settings,
        .ops = ops,
        .arg = arg,
    };
}

void doubt_free(struct doubt *d)
{
    client_request_free(&d->request);
    lookup_free(d->lookup);
    free(d->path);
}
