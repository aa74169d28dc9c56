/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elasticsearch - events to Elasticsearch or OpenSearch, by bulk requests.
 *
 * "create" with an id made of the event's own bytes, in an index named after
 * the event's own time: however often an event is sent, it is stored once.
 * While a request is under way its batch exists only as the gzip that is sent;
 * where something of it is left over, it is unpacked again.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "outputs/elasticsearch/action.h"
#include "outputs/elasticsearch/answer.h"
#include "outputs/elasticsearch/gzip.h"
#include "outputs/elasticsearch/hosts.h"
#include "outputs/elasticsearch/http.h"
#include "outputs/elasticsearch/verdict.h"
#include "outputs/output.h"

/* Only what decides: the answer shrinks to some 30 bytes an item. */
#define BULK_PATH                                  \
    "/_bulk?filter_path=took,errors,error,status," \
    "items.*.status,items.*.error.type,items.*.error.reason"

/* One large event does not keep its memory. */
#define PACKED_KEPT MIB

enum compression {
    COMPRESSION_GZIP,
    COMPRESSION_NONE
};

struct tls_conf {
    char *ca_file;
};

struct elasticsearch_conf {
    struct opt_list hosts;
    char *index;
    char *username;
    char *password;
    char *api_key;
    struct tls_conf tls;
    unsigned compression;
    uint64_t timeout; /* ms */
};

/* A request under way. */
struct request {
    struct output *output;
    struct send *send; /* NULL: free */
    struct http_post post;
    struct host *host;
    struct answer_reader *answer;
    struct buf packed;
    size_t plain_len;          /* of the batch that was given away */
    struct answer_error retry; /* the first that is to be retried */
    char why[1024];
};

struct output {
    const struct elasticsearch_conf *conf;
    struct batch_buffers *buffers;
    uv_loop_t *loop;
    struct action *action;
    struct gzip *gzip; /* NULL: not compressed */
    struct hosts *hosts;
    struct http *http;
    struct request *requests;
    uint64_t nrequests;
    bool fresh; /* the last connection failed */
    void (*closed)(void *arg);
    void *arg;
};

static const char *const compressions[] = { "gzip", "none", NULL };

static const struct opt tls_opts[] = {
    OPT_PATH(struct tls_conf, ca_file,
             .help = "Certificates to trust instead of the system's, PEM."),
    OPT_END
};

static const struct opt elasticsearch_opts[] = {
    OPT_LIST(struct elasticsearch_conf, hosts, .required = true,
             .check = hosts_check_url,
             .help = "URLs of the cluster's nodes, taken in turn."),
    OPT_STRING(struct elasticsearch_conf, index, .def = "auditing-%Y.%m.%d",
               .check = action_check_index,
               .help = "Index, by the event's own time (UTC): %Y %m %d %H."),
    OPT_STRING(struct elasticsearch_conf, username,
               .help = "For basic authentication."),
    OPT_SECRET(struct elasticsearch_conf, password,
               .help = "For basic authentication; best as ${file:/path}."),
    OPT_SECRET(struct elasticsearch_conf, api_key,
               .help = "The encoded API key, instead of username and "
                       "password."),
    OPT_GROUP(struct elasticsearch_conf, tls, struct tls_conf, tls_opts,
              .help = "For https hosts."),
    OPT_CHOICE(struct elasticsearch_conf, compression, .def = "gzip",
               .choices = compressions, .help = "Of request bodies."),
    OPT_DURATION(struct elasticsearch_conf, timeout, .def = "60s", .min = 100,
                 .max = 3600000,
                 .help = "Of one request; after that it is sent again."),
    OPT_END
};

/* ---- the way out ---- */

static void es_encode(struct output *o, struct batch *b, const struct event *ev,
                      const struct edits *edits)
{
    size_t n;

    batch_item(b);
    action_add(o->action, ev, &b->bytes);
    batch_doc(b);
    buf_room(&b->bytes, edits_size(edits) + 1);
    n = edits_apply(edits, b->bytes.at + b->bytes.len);
    b->bytes.len += n;
    b->bytes.at[b->bytes.len++] = '\n';
    batch_item_end(b);
}

static struct span es_id_of(const struct batch *b, uint32_t i)
{
    const struct item *it = &b->items[i];

    return action_id(span(b->bytes.at + it->at, it->doc));
}

/* The body of a request. When it is the whole batch, the batch's own bytes are
 * given back, for others to be loaded into. */
static struct span pack(struct output *o, struct request *r)
{
    struct batch *b = r->send->batch;
    struct span body = batch_bytes_of(b, r->send->first, r->send->count);

    r->plain_len = 0;
    if (o->gzip == NULL)
        return body;
    r->packed.len = 0;
    gzip_pack(o->gzip, body, &r->packed);
    if (body.len == b->bytes.len) {
        r->plain_len = body.len;
        batch_give_bytes(b, o->buffers);
        b->held = r->packed.cap;
    }
    return span(r->packed.at, r->packed.len);
}

/* Whether anything of it is needed again: to be sent, or as a dead letter. */
static bool is_needed(const struct send *s)
{
    for (uint32_t i = s->first; i < s->first + s->count; i++) {
        enum verdict v = s->batch->items[i].verdict;

        if (v != VERDICT_DELIVERED && v != VERDICT_DUPLICATE)
            return true;
    }
    return false;
}

static void unpack(struct output *o, struct request *r)
{
    struct batch *b = r->send->batch;

    if (r->plain_len == 0)
        return;
    b->held = 0;
    if (!is_needed(r->send))
        return;
    batch_take_bytes(b, o->buffers);
    gzip_unpack(o->gzip, span(r->packed.at, r->packed.len), r->plain_len,
                &b->bytes);
}

static void es_rest(struct output *o)
{
    for (uint64_t i = 0; i < o->nrequests; i++)
        buf_free(&o->requests[i].packed);
}

/* ---- the answer ---- */

static void on_item(void *arg, uint32_t i, const struct answer_error *e)
{
    struct request *r = arg;
    struct send *s = r->send;
    enum verdict v = verdict_of_item(e);
    char reason[ANSWER_TYPE_MAX + ANSWER_REASON_MAX + 4];
    const char *why = NULL; /* no text is made for what was delivered */

    if (i >= s->count)
        return; /* more than were sent */
    if (v == VERDICT_RETRY && r->retry.status == 0)
        r->retry = *e;
    if (v == VERDICT_REFUSED) {
        snprintf(reason, sizeof(reason), "%s: %s", e->type, e->reason);
        why = reason;
    }
    batch_verdict(s->batch, s->first + i, v, e->status, why);
}

static void on_data(struct http_post *p, const char *bytes, size_t n)
{
    struct request *r =
        (struct request *)((char *)p - offsetof(struct request, post));

    answer_feed(r->answer, bytes, n);
}

/* Verdicts came, for all or some. */
static struct answer with_items(struct request *r, bool whole)
{
    uint32_t n = answer_items(r->answer);
    struct answer a = { .kind = ANSWER_ITEMS };

    if (r->retry.status != 0)
        snprintf(r->why, sizeof(r->why),
                 "%s did not take some events: %u %s: "
                 "%s",
                 r->host->name, r->retry.status, r->retry.type,
                 r->retry.reason);
    else if (!whole || n != r->send->count)
        snprintf(r->why, sizeof(r->why), "%s answered for %u of %u events",
                 r->host->name, n, r->send->count);
    else
        return a;
    a.why = r->why;
    return a;
}

static struct answer without_items(struct request *r,
                                   const struct http_result *h)
{
    const struct answer_error *e = answer_whole(r->answer);
    struct span begin = answer_begin(r->answer);
    struct answer a = { .kind = ANSWER_BLOCKED, .status = h->status };

    if (h->status == 0 || !h->complete)
        snprintf(r->why, sizeof(r->why), "%s: %s", r->host->name, h->why);
    else if (e->type[0] != '\0' || e->reason[0] != '\0')
        snprintf(r->why, sizeof(r->why), "%s answered %u %s: %s", r->host->name,
                 h->status, e->type, e->reason);
    else
        snprintf(r->why, sizeof(r->why),
                 "%s answered %u and no verdicts: "
                 "%.*s",
                 r->host->name, h->status, (int)begin.len, begin.at);
    if (h->complete && (h->status < 200 || h->status >= 300))
        a.kind = verdict_of_request(h->status, e);
    a.retry_after_ms = h->retry_after_ms;
    a.why = r->why;
    return a;
}

/* A host that could not be reached, or that is in trouble, is left for a while,
 * so that another one gets the next request. */
static void judge_host(struct request *r, const struct http_result *h)
{
    struct output *o = r->output;

    o->fresh = !h->complete;
    if (!h->complete || h->status == 502 || h->status == 503 ||
        h->status == 504)
        host_failed(r->host, uv_now(o->loop));
    else
        host_works(r->host);
}

static void on_done(struct http_post *p, const struct http_result *h)
{
    struct request *r =
        (struct request *)((char *)p - offsetof(struct request, post));
    bool whole = answer_end(r->answer) && h->complete;
    struct send *s = r->send;
    struct answer a;

    judge_host(r, h);
    if (h->status == 200 && answer_has_items(r->answer))
        a = with_items(r, whole);
    else
        a = without_items(r, h);
    if (a.kind != ANSWER_ITEMS) /* items of an error page, say */
        batch_forget_verdicts(s->batch, s->first, s->count);
    unpack(r->output, r);
    if (r->packed.cap > PACKED_KEPT)
        buf_free(&r->packed);
    r->send = NULL;
    s->answered(s, &a);
}

static void es_send(struct output *o, struct send *s)
{
    struct request *r = o->requests;

    while (r->send != NULL)
        r++; /* there are as many as may be under way */
    r->send = s;
    r->retry = (struct answer_error){ 0 };
    r->host = hosts_next(o->hosts, uv_now(o->loop));
    answer_start(r->answer);
    r->post = (struct http_post){
        .url = r->host->url,
        .body = pack(o, r),
        .data = on_data,
        .done = on_done,
        .fresh = o->fresh,
    };
    http_post(o->http, &r->post);
}

/* ---- life ---- */

static const char *es_check(const void *conf)
{
    const struct elasticsearch_conf *c = conf;

    if (c->api_key != NULL && (c->username != NULL || c->password != NULL))
        return "api_key and username exclude each other";
    if (c->username != NULL && c->password == NULL)
        return "username needs a password";
    if (c->password != NULL && c->username == NULL)
        return "password needs a username";
    return NULL;
}

static void open_requests(struct output *o, uint64_t n)
{
    o->nrequests = n;
    o->requests = xcalloc(n, sizeof(*o->requests));
    for (uint64_t i = 0; i < n; i++) {
        o->requests[i].output = o;
        o->requests[i].answer = answer_new(on_item, &o->requests[i]);
    }
}

static void es_free(struct output *o)
{
    for (uint64_t i = 0; i < o->nrequests; i++) {
        answer_free(o->requests[i].answer);
        buf_free(&o->requests[i].packed);
    }
    free(o->requests);
    action_free(o->action);
    gzip_free(o->gzip);
    hosts_free(o->hosts);
    free(o);
}

static struct output *es_open(const struct output_env *env, const void *conf,
                              struct err *e)
{
    const struct elasticsearch_conf *c = conf;
    struct output *o = xcalloc(1, sizeof(*o));

    o->conf = c;
    o->loop = env->loop;
    o->buffers = env->buffers;
    o->action = action_new(c->index);
    o->hosts = hosts_new(&c->hosts, BULK_PATH);
    if (c->compression == COMPRESSION_GZIP)
        o->gzip = gzip_new();
    open_requests(o, env->in_flight);
    o->http = http_open(env->loop,
                        &(struct http_conf){
                            .username = c->username,
                            .password = c->password,
                            .api_key = c->api_key,
                            .ca_file = c->tls.ca_file,
                            .gzip = o->gzip != NULL,
                            .timeout_ms = c->timeout,
                            .slots = (unsigned)env->in_flight,
                        },
                        e);
    if (o->http == NULL) {
        es_free(o);
        return NULL;
    }
    return o;
}

static void on_http_closed(void *arg)
{
    struct output *o = arg;
    void (*closed)(void *) = o->closed;
    void *closed_arg = o->arg;

    es_free(o);
    closed(closed_arg);
}

static void es_close(struct output *o, void (*closed)(void *arg), void *arg)
{
    o->closed = closed;
    o->arg = arg;
    http_close(o->http, on_http_closed, o);
}

extern const struct output_ops output_elasticsearch;

const struct output_ops output_elasticsearch = {
    .name = "elasticsearch",
    .help = "Store events in Elasticsearch or OpenSearch, each once.",
    .opts = elasticsearch_opts,
    .conf_size = sizeof(struct elasticsearch_conf),
    .shape = SHAPE_RAW,
    .check = es_check,
    .open = es_open,
    .encode = es_encode,
    .id_of = es_id_of,
    .send = es_send,
    .rest = es_rest,
    .close = es_close,
};
