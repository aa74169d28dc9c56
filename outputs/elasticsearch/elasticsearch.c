/* SPDX-License-Identifier: Apache-2.0 */
/*
 * elasticsearch - events to Elasticsearch or OpenSearch, by bulk requests.
 *
 * "create" with an id made of the event's own bytes, in an index named after
 * the event's own time: however often an event is sent, it is stored once. A
 * data stream or an alias may have another index behind it the next time: what
 * is in doubt is looked up there first.
 * While a request is under way its batch exists only as the gzip that is sent;
 * where something of it is left over, it is unpacked again.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "outputs/elasticsearch/action.h"
#include "outputs/elasticsearch/client.h"
#include "outputs/elasticsearch/doubt.h"
#include "outputs/elasticsearch/gzip.h"
#include "outputs/elasticsearch/repair.h"
#include "outputs/elasticsearch/reply.h"
#include "outputs/elasticsearch/stream.h"
#include "outputs/output.h"

/* Only what decides: the answer shrinks to some 30 bytes an item. */
#define BULK_PATH                                             \
    "/_bulk?filter_path=took,errors,error,status,"            \
    "items.*.status,items.*.error.type,items.*.error.reason," \
    "items.*.error.caused_by.reason,"                         \
    "items.*.failure_store"

/* A server waits a minute for a shard that has no node, and then answers for
 * all items at once: it is told to do so a quarter before we give up, else none
 * of them would get its verdict. */
#define SERVER_WAITS_LESS 4

/* Beside those that carry events: whether there is a data stream. */
#define OTHER_REQUESTS 1

/* One large event does not keep its memory. */
#define PACKED_KEPT MIB

/* A request under way. */
struct request {
    struct output *output;
    struct send *send; /* NULL: free */
    struct client_request client;
    struct reply *reply;
    struct doubt doubt;
    struct stream_waiter waiter;
    struct buf packed;
    size_t plain_len; /* of the batch that was given away */
};

struct output {
    const struct elasticsearch_settings *settings;
    const char *who;
    uv_loop_t *loop;
    struct batch_buffers *buffers;
    struct action *action;
    struct gzip *gzip; /* NULL: not compressed */
    struct repair *repair;
    struct client *client;
    struct stream *stream; /* NULL: it writes to none */
    char *path;            /* of a bulk request */
    char *stream_path;     /* the same, where the server sees to the stream */
    struct request *requests;
    uint64_t nrequests;
    uint64_t refreshed_ms; /* all stored by then can be found; 0: none yet */
    void (*closed)(void *arg);
    void *arg;
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
    repair_new_item(o->repair, b, ev);
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
        b->held = r->packed.len;
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

static struct request *request_of(struct client_request *c)
{
    return (struct request *)((char *)c - offsetof(struct request, client));
}

static void on_data(struct client_request *c, const char *bytes, size_t n)
{
    reply_feed(request_of(c)->reply, bytes, n);
}

static void finish(struct request *r, struct answer *a)
{
    struct send *s = r->send;

    if (a->kind != ANSWER_ITEMS) /* items of an error page, say */
        batch_forget_verdicts(s->batch, s->first, s->count);
    unpack(r->output, r);
    if (a->kind == ANSWER_ITEMS &&
        repair_refused(r->output->repair, s->batch, s->first, s->count) > 0)
        a->again = a->why == NULL;
    if (r->packed.cap > PACKED_KEPT)
        buf_free(&r->packed);
    r->send = NULL;
    s->answered(s, a);
}

static void start(struct request *r);

/* The server knows no require_data_stream, so it stored nothing. */
static bool has_to_ask(struct request *r, const struct http_result *h,
                       const char *reason)
{
    struct stream *stream = r->output->stream;

    if (stream == NULL)
        return false;
    if (h->status == 0)
        stream_doubt(stream);
    if (!stream_is_unknown(h->status, reason))
        return false;
    stream_forgo(stream);
    return true;
}

static void on_done(struct client_request *c, const struct http_result *h)
{
    struct request *r = request_of(c);
    const char *reason = reply_end(r->reply);
    struct answer a;

    if (has_to_ask(r, h, reason)) {
        start(r);
        return;
    }
    a = reply_tell(r->reply, c, h);
    finish(r, &a);
}

static void on_stream(struct stream_waiter *w, const char *topic,
                      const char *why)
{
    struct request *r =
        (struct request *)((char *)w - offsetof(struct request, waiter));
    struct answer a = { .kind = ANSWER_BLOCKED, .topic = topic, .why = why };

    if (why == NULL)
        start(r);
    else
        finish(r, &a);
}

/* Sends what is packed. */
static void start(struct request *r)
{
    struct output *o = r->output;

    reply_start(r->reply, r->send);
    r->waiter.done = on_stream;
    if (o->stream != NULL && !stream_is_ready(o->stream)) {
        stream_wait(o->stream, &r->waiter);
        return;
    }
    r->client.path = o->stream != NULL && stream_is_required(o->stream)
                         ? o->stream_path
                         : o->path;
    client_send(o->client, &r->client);
}

/* There are as many as may be under way. */
static struct request *free_request(struct output *o, struct send *s)
{
    struct request *r = o->requests;

    while (r->send != NULL)
        r++;
    r->send = s;
    return r;
}

static void es_send(struct output *o, struct send *s)
{
    struct request *r = free_request(o, s);

    r->client.body = pack(o, r);
    start(r);
}

/* ---- what is there already ---- */

static bool es_may_repeat(const struct output *o)
{
    return elasticsearch_rolls_over(o->settings);
}

static struct span line_in_doubt(void *arg, uint32_t i)
{
    const struct request *r = arg;
    const struct batch *b = r->send->batch;
    const struct item *it = &b->items[r->send->first + i];

    return span(b->bytes.at + it->at, it->doc);
}

static void on_found(void *arg, uint32_t i)
{
    struct request *r = arg;

    batch_verdict(r->send->batch, r->send->first + i, VERDICT_DUPLICATE, 0,
                  NULL);
}

static void on_looked_up(void *arg, const struct doubt_result *result)
{
    struct request *r = arg;
    struct send *s = r->send;
    struct answer a = {
        .kind = result->why == NULL ? ANSWER_ITEMS : ANSWER_BLOCKED,
        .status = result->status,
        .retry_after_ms = result->retry_after_ms,
        .why = result->why,
        .topic = "look-up",
    };

    if (result->refreshed_ms > r->output->refreshed_ms)
        r->output->refreshed_ms = result->refreshed_ms;
    if (a.kind != ANSWER_ITEMS)
        batch_forget_verdicts(s->batch, s->first, s->count);
    r->send = NULL;
    s->answered(s, &a);
}

static const struct doubt_ops doubt_ops = { line_in_doubt, on_found,
                                            on_looked_up };

static void es_look_up(struct output *o, struct send *s)
{
    struct request *r = free_request(o, s);

    doubt_ask(&r->doubt, s->count, s->since_ms >= o->refreshed_ms);
}

/* ---- life ---- */

static void open_requests(struct output *o, uint64_t n)
{
    o->nrequests = n;
    o->requests = xcalloc(n, sizeof(*o->requests));
    for (uint64_t i = 0; i < n; i++) {
        struct request *r = &o->requests[i];

        r->output = o;
        r->reply = reply_new();
        r->client.method = HTTP_POST;
        r->client.kind = o->gzip != NULL ? HTTP_NDJSON_GZIP : HTTP_NDJSON;
        r->client.once = elasticsearch_rolls_over(o->settings);
        r->client.data = on_data;
        r->client.done = on_done;
        doubt_init(&r->doubt, o->loop, o->client, o->settings, &doubt_ops, r);
    }
}

static void es_free(struct output *o)
{
    for (uint64_t i = 0; i < o->nrequests; i++) {
        reply_free(o->requests[i].reply);
        buf_free(&o->requests[i].packed);
        client_request_free(&o->requests[i].client);
        doubt_free(&o->requests[i].doubt);
    }
    free(o->requests);
    action_free(o->action);
    gzip_free(o->gzip);
    repair_free(o->repair);
    stream_free(o->stream);
    free(o->path);
    free(o->stream_path);
    free(o);
}

/* The bulk endpoint with what is the same for every event. */
static char *bulk_path(const struct elasticsearch_settings *s)
{
    struct buf path = { 0 };

    buf_printf(&path, "%s&timeout=%" PRIu64 "ms", BULK_PATH,
               s->timeout - s->timeout / SERVER_WAITS_LESS);
    if (s->pipeline != NULL)
        buf_printf(&path, "&pipeline=%s", s->pipeline);
    if (s->routing != NULL)
        buf_printf(&path, "&routing=%s", s->routing);
    if (s->require_alias == OPT_TRUE)
        buf_printf(&path, "&require_alias=true");
    buf_add(&path, "", 1);
    return path.at;
}

static void on_product(void *arg, const struct product *p, const char *why)
{
    struct output *o = arg;

    if (o->stream != NULL && why == NULL && p->version[0] != '\0' &&
        (p->can & CAN_REQUIRE_DATA_STREAM) == 0)
        stream_forgo(o->stream);
    if (why != NULL)
        log_debug(o->who, "it is not known what answers: %s", why);
    else
        log_info(o->who, "writes to %s%s%s", product_title(p),
                 p->version[0] != '\0' ? " " : "", p->version);
}

static struct output *es_open(const struct output_env *env, const void *conf,
                              struct err *e)
{
    const struct elasticsearch_settings *c = conf;
    struct output *o = xcalloc(1, sizeof(*o));

    o->settings = c;
    o->who = env->who;
    o->loop = env->loop;
    o->buffers = env->buffers;
    o->client = client_open(env->loop, env->who, c,
                            (unsigned)env->in_flight + OTHER_REQUESTS, e);
    if (o->client == NULL) {
        free(o);
        return NULL;
    }
    o->action = action_new(elasticsearch_target(c));
    o->repair = repair_new();
    o->path = bulk_path(c);
    if (c->data_stream != NULL) {
        o->stream = stream_new(o->client, c->data_stream);
        o->stream_path = xprintf("%s&require_data_stream=true", o->path);
    }
    if (c->compression == COMPRESSION_GZIP)
        o->gzip = gzip_new();
    open_requests(o, env->in_flight);
    client_ask_product(o->client, on_product, o);
    return o;
}

static void on_client_closed(void *arg)
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
    client_close(o->client, on_client_closed, o);
}

extern const struct output_ops output_elasticsearch;

const struct output_ops output_elasticsearch = {
    .name = "elasticsearch",
    .help = "Store events in Elasticsearch or OpenSearch, each once.",
    .opts = elasticsearch_opts,
    .conf_size = sizeof(struct elasticsearch_settings),
    .shape = SHAPE_RAW,
    .check = elasticsearch_check,
    .open = es_open,
    .encode = es_encode,
    .id_of = es_id_of,
    .send = es_send,
    .may_repeat = es_may_repeat,
    .look_up = es_look_up,
    .rest = es_rest,
    .close = es_close,
};
