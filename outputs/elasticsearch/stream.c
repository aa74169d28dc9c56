/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/stream.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/base/json_tree.h"

#define JSON_MAX MIB

enum state {
    REQUIRED, /* the server sees to it */
    UNKNOWN,  /* to be asked */
    THERE     /* it was */
};

struct stream {
    struct client *client;
    const char *name;
    enum state state;
    bool asking;
    struct client_request request;
    char *path;
    struct stream_waiter *waiting;
    char why[1024];
};

static struct stream *stream_of(struct client_request *r)
{
    return (struct stream *)((char *)r - offsetof(struct stream, request));
}

struct stream *stream_new(struct client *c, const char *name)
{
    struct stream *s = xcalloc(1, sizeof(*s));

    s->client = c;
    s->name = name;
    return s;
}

void stream_free(struct stream *s)
{
    if (s == NULL)
        return;
    client_request_free(&s->request);
    free(s->path);
    free(s);
}

bool stream_is_ready(const struct stream *s)
{
    return s->state != UNKNOWN;
}

bool stream_is_required(const struct stream *s)
{
    return s->state == REQUIRED;
}

bool stream_is_unknown(unsigned status, const char *reason)
{
    return status == 400 && strstr(reason, "unrecognized parameter") != NULL &&
           strstr(reason, "require_data_stream") != NULL;
}

void stream_forgo(struct stream *s)
{
    if (s->state == REQUIRED)
        s->state = UNKNOWN;
}

void stream_doubt(struct stream *s)
{
    if (s->state == THERE)
        s->state = UNKNOWN;
}

/* ---- asking ---- */

/* Those who wait now: one that fails may come back with the next question. */
static void tell(struct stream *s, const char *topic, const char *why)
{
    struct stream_waiter *w = s->waiting;

    s->waiting = NULL;
    s->asking = false;
    if (why == NULL)
        s->state = THERE;
    while (w != NULL) {
        struct stream_waiter *next = w->next;

        w->done(w, topic, why);
        w = next;
    }
}

/* A sentence about it: what, and the answer that says so. */
static void tell_answer(struct stream *s, const struct http_result *result,
                        const char *what, const char *advice)
{
    char answer[512];

    client_why(&s->request, result, answer, sizeof(answer));
    snprintf(s->why, sizeof(s->why), "%s data stream %s: %s%s%s", what, s->name,
             answer, advice != NULL ? "; " : "", advice != NULL ? advice : "");
    tell(s, result->complete ? what : "data stream", s->why);
}

static void send_request(struct stream *s, enum http_method method,
                         const char *path,
                         void (*done)(struct client_request *r,
                                      const struct http_result *result))
{
    free(s->path);
    s->path = xprintf("%s%s", path, s->name);
    s->request.method = method;
    s->request.path = s->path;
    s->request.done = done;
    client_send(s->client, &s->request);
}

static void on_made(struct client_request *r, const struct http_result *result)
{
    struct stream *s = stream_of(r);
    struct span answer = span(r->answer.at, r->answer.len);

    if (result->complete && result->status == 200)
        tell(s, NULL, NULL);
    else if (result->complete && result->status == 400 && answer.len > 0 &&
             memmem(answer.at, answer.len, "resource_already_exists", 23) !=
                 NULL &&
             memmem(answer.at, answer.len, "data_stream [", 13) != NULL)
        tell(s, NULL, NULL); /* it is there, only not shown to us */
    else
        tell_answer(s, result, "cannot make",
                    "make it or its index template first, as `tallyman setup` "
                    "does");
}

enum found {
    FOUND_STREAM,
    FOUND_OTHER, /* an index or an alias has the name */
    FOUND_NOTHING,
    FOUND_NONSENSE
};

static bool lists(yajl_val root, const char *kind, const char *name)
{
    const char *const path[] = { kind, NULL };
    yajl_val list = yajl_tree_get(root, (const char **)path, yajl_t_array);

    for (size_t i = 0; list != NULL && i < YAJL_GET_ARRAY(list)->len; i++) {
        static const char *const key[] = { "name", NULL };
        yajl_val v = yajl_tree_get(YAJL_GET_ARRAY(list)->values[i],
                                   (const char **)key, yajl_t_string);
        const char *text = YAJL_GET_STRING(v);

        if (text != NULL && strcmp(text, name) == 0)
            return true;
    }
    return false;
}

/* {"indices":[],"aliases":[],"data_streams":[{"name":"logs-x",...}]} */
static enum found read_answer(struct span json, const char *name)
{
    enum found found = FOUND_NOTHING;
    yajl_val root = json_tree(json, JSON_MAX);

    if (!YAJL_IS_OBJECT(root))
        found = FOUND_NONSENSE;
    else if (lists(root, "data_streams", name))
        found = FOUND_STREAM;
    else if (lists(root, "indices", name) || lists(root, "aliases", name))
        found = FOUND_OTHER;
    yajl_tree_free(root);
    return found;
}

static void on_resolved(struct client_request *r,
                        const struct http_result *result)
{
    struct stream *s = stream_of(r);
    enum found found = FOUND_NONSENSE;

    if (result->complete && result->status == 200)
        found = read_answer(span(r->answer.at, r->answer.len), s->name);
    else if (result->complete && result->status == 404)
        found = FOUND_NOTHING;
    if (found == FOUND_STREAM) {
        tell(s, NULL, NULL);
    } else if (found == FOUND_NOTHING) {
        send_request(s, HTTP_PUT, "/_data_stream/", on_made);
    } else if (found == FOUND_OTHER) {
        snprintf(s->why, sizeof(s->why),
                 "%s is no data stream but an index or an alias; delete it, or "
                 "write to it as `index`",
                 s->name);
        tell(s, "no data stream", s->why);
    } else {
        tell_answer(s, result, "cannot find out whether there is a",
                    result->status == 403 ? "the user needs "
                                            "view_index_metadata on it"
                                          : NULL);
    }
}

void stream_wait(struct stream *s, struct stream_waiter *w)
{
    w->next = s->waiting;
    s->waiting = w;
    if (s->asking)
        return;
    s->asking = true;
    send_request(s, HTTP_GET, "/_resolve/index/", on_resolved);
}
