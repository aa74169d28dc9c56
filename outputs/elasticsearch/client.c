/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/client.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "agent/base/show.h"
#include "outputs/elasticsearch/answer.h"
#include "outputs/elasticsearch/discover.h"

#define WHY_MAX 512

/* The client's own requests, beside its users': who is it, and which nodes. */
#define OWN_REQUESTS 2
/* The nodes are asked for again where that failed. */
#define DISCOVER_AGAIN_MS 10000

struct client {
    uv_loop_t *loop;
    const char *who;
    struct hosts *hosts;
    struct http *http;
    unsigned handles; /* that are open, the http client one of them */
    void (*closed)(void *arg);
    void *closed_arg;

    /* who is it? */
    struct client_request asking;
    struct product product;
    char why[WHY_MAX];
    void (*asked)(void *arg, const struct product *p, const char *why);
    void *asked_arg;

    /* which nodes are there? */
    uv_timer_t timer;
    struct client_request looking;
    uint64_t discover_ms; /* 0: never */
    bool lost_sight;      /* they could not be had, and it was said */
};

static struct client_request *request_of(struct http_request *h)
{
    return (struct client_request *)((char *)h -
                                     offsetof(struct client_request, http));
}

/* A host that could not be reached, or that is in trouble, is left for a while,
 * so that another one gets the next request. */
static void judge_host(const struct client *c, struct host *host,
                       const struct http_result *h)
{
    host->fresh = !h->complete;
    if (!h->complete || h->status == 502 || h->status == 503 ||
        h->status == 504)
        host_failed(host, uv_now(c->loop));
    else
        host_works(host);
}

static void on_data(struct http_request *h, const char *bytes, size_t n)
{
    struct client_request *r = request_of(h);
    size_t room = CLIENT_ANSWER_MAX - r->answer.len;

    if (r->data != NULL) {
        r->data(r, bytes, n);
        return;
    }
    r->too_long |= n > room;
    buf_add(&r->answer, bytes, n < room ? n : room);
}

static void on_done(struct http_request *h, const struct http_result *result)
{
    struct client_request *r = request_of(h);
    struct host *host = r->host;

    judge_host(r->client, host, result);
    r->done(r, result); /* which may send it again, elsewhere */
    hosts_give(host);
}

void client_send(struct client *c, struct client_request *r)
{
    r->client = c;
    r->host = hosts_take(c->hosts, uv_now(c->loop));
    r->answer.len = 0;
    r->too_long = false;
    r->url.len = 0;
    buf_add(&r->url, r->host->url, strlen(r->host->url));
    buf_add(&r->url, r->path, strlen(r->path) + 1);
    r->http = (struct http_request){
        .method = r->method,
        .url = r->url.at,
        .connect_to = r->host->connect_to,
        .kind = r->kind,
        .body = r->body,
        .fresh = r->host->fresh,
        .product = r->product,
        .once = r->once,
        .data = on_data,
        .done = on_done,
    };
    http_send(c->http, &r->http);
}

void client_request_free(struct client_request *r)
{
    buf_free(&r->answer);
    buf_free(&r->url);
}

const char *client_host(const struct client_request *r)
{
    return r->host->name;
}

static void no_item(void *arg, uint32_t i, const struct answer_error *e)
{
    (void)arg;
    (void)i;
    (void)e;
}

/* Type and reason of an error, or how the answer began. */
static void print_error(struct span answer, char *out, size_t size)
{
    struct answer_reader *a = answer_new(no_item, NULL);
    const struct answer_error *e = answer_whole(a);
    struct buf shown = { 0 };

    answer_start(a);
    answer_feed(a, answer.at, answer.len);
    (void)answer_end(a);
    if (e->type[0] != '\0' || e->reason[0] != '\0') {
        show_add(&shown, span(e->type, strlen(e->type)));
        buf_printf(&shown, "%s", e->type[0] != '\0' ? ": " : "");
        show_add(&shown, span(e->reason, strlen(e->reason)));
    } else {
        show_add(&shown, answer_begin(a));
    }
    snprintf(out, size, "%.*s", (int)shown.len, shown.at);
    buf_free(&shown);
    answer_free(a);
}

void client_hide(const struct client *c, char *text)
{
    http_hide(c->http, text);
}

void client_why(const struct client_request *r,
                const struct http_result *result, char *out, size_t size)
{
    char error[WHY_MAX] = "";

    if (result->status == 0 || !result->complete) {
        snprintf(out, size, "%s: %s", client_host(r), result->why);
        return;
    }
    if (r->answer.len > 0)
        print_error(span(r->answer.at, r->answer.len), error, sizeof(error));
    snprintf(out, size, "%s answered %u%s%s", client_host(r), result->status,
             error[0] != '\0' ? " " : "", error);
    client_hide(r->client, out);
}

/* ---- who is it? ---- */

static void tell_product(struct client *c, const char *why)
{
    client_request_free(&c->asking);
    c->asking = (struct client_request){ 0 };
    c->asked(c->asked_arg, &c->product, why);
}

/* It is known what it is; its version may stay unknown. */
static void on_version(struct client_request *r,
                       const struct http_result *result)
{
    struct client *c = r->client;

    if (result->complete && result->status == 200 &&
        product_add_version(&c->product, span(r->answer.at, r->answer.len)) !=
            0)
        c->product.version[0] = '\0';
    tell_product(c, NULL);
}

static void ask_version(struct client *c)
{
    c->asking.path = "/_nodes?filter_path=nodes.*.version";
    c->asking.product = false;
    c->asking.done = on_version;
    client_send(c, &c->asking);
}

static void on_root(struct client_request *r, const struct http_result *result)
{
    struct client *c = r->client;
    struct product *p = &c->product;

    *p = (struct product){ 0 };
    if (result->complete && result->status == 200 &&
        product_from_root(p, span(r->answer.at, r->answer.len)) == 0) {
        tell_product(c, NULL);
    } else if (result->complete &&
               product_from_headers(p, result->elastic_product,
                                    result->opensearch_version) == 0) {
        if (p->version[0] != '\0')
            tell_product(c, NULL);
        else
            ask_version(c);
    } else {
        client_why(r, result, c->why, sizeof(c->why));
        tell_product(c, c->why);
    }
}

void client_ask_product(struct client *c,
                        void (*done)(void *arg, const struct product *p,
                                     const char *why),
                        void *arg)
{
    c->asked = done;
    c->asked_arg = arg;
    c->asking = (struct client_request){
        .method = HTTP_GET, .path = "/", .product = true, .done = on_root
    };
    client_send(c, &c->asking);
}

/* ---- which nodes are there? ---- */

static void look_again(struct client *c, uint64_t ms);

static void use_nodes(struct client *c, struct span json)
{
    struct opt_list nodes;
    int rc = discover_nodes(json, &nodes);
    size_t fresh = rc == 0 ? hosts_found(c->hosts, &nodes) : 0;

    if (rc != 0)
        log_warn(c->who, "the cluster names no data or ingest nodes: those of "
                         "before are used");
    else if (fresh > 0)
        log_info(c->who, "the cluster has %zu data and ingest nodes, %zu new",
                 nodes.n, fresh);
    discover_free(&nodes);
}

static void on_nodes(struct client_request *r, const struct http_result *result)
{
    struct client *c = r->client;
    bool ok = result->complete && result->status == 200;

    if (ok) {
        use_nodes(c, span(r->answer.at, r->answer.len));
    } else if (!c->lost_sight) {
        client_why(r, result, c->why, sizeof(c->why));
        log_warn(c->who, "cannot ask for the cluster's nodes: %s", c->why);
    }
    c->lost_sight = !ok;
    look_again(c, ok || c->discover_ms < DISCOVER_AGAIN_MS ? c->discover_ms
                                                           : DISCOVER_AGAIN_MS);
}

static void on_timer(uv_timer_t *timer)
{
    struct client *c = timer->data;

    c->looking.method = HTTP_GET;
    c->looking.path = DISCOVER_PATH;
    c->looking.done = on_nodes;
    client_send(c, &c->looking);
}

static void look_again(struct client *c, uint64_t ms)
{
    uv_timer_start(&c->timer, on_timer, ms, 0);
}

/* ---- life ---- */

struct client *client_open(uv_loop_t *loop, const char *who,
                           const struct elasticsearch_settings *settings,
                           unsigned slots, struct err *e)
{
    struct client *c = xcalloc(1, sizeof(*c));

    c->loop = loop;
    c->who = who;
    c->http = http_open(loop, who, settings, slots + OWN_REQUESTS, e);
    if (c->http == NULL) {
        free(c);
        return NULL;
    }
    c->hosts = hosts_new(&settings->hosts, settings->tls.server_name);
    uv_timer_init(loop, &c->timer);
    c->timer.data = c;
    c->handles = 2;
    if (settings->discover == OPT_TRUE) {
        c->discover_ms = settings->discover_interval;
        look_again(c, 0);
    }
    return c;
}

static void release(struct client *c)
{
    void (*closed)(void *) = c->closed;
    void *closed_arg = c->closed_arg;

    if (--c->handles > 0)
        return;
    client_request_free(&c->asking);
    client_request_free(&c->looking);
    hosts_free(c->hosts);
    free(c);
    closed(closed_arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void on_http_closed(void *arg)
{
    release(arg);
}

void client_close(struct client *c, void (*closed)(void *arg), void *arg)
{
    c->closed = closed;
    c->closed_arg = arg;
    uv_close((uv_handle_t *)&c->timer, on_timer_closed);
    http_close(c->http, on_http_closed, c);
}
