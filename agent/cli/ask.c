/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/ask.h"

#include <stdio.h>
#include <stdlib.h>

int ask_open(struct ask *a, const struct elasticsearch_settings *settings,
             struct err *e)
{
    *a = (struct ask){ .hosts = settings->hosts.n };
    if (uv_loop_init(&a->loop) != 0)
        abort();
    a->client = client_open(&a->loop, "cluster", settings, ASK_SLOTS, e);
    if (a->client != NULL)
        return 0;
    uv_loop_close(&a->loop);
    return ERR_IO;
}

static void on_closed(void *arg)
{
    (void)arg;
}

void ask_close(struct ask *a)
{
    if (a->client == NULL)
        return;
    client_close(a->client, on_closed, NULL);
    uv_run(&a->loop, UV_RUN_DEFAULT);
    client_request_free(&a->request);
    if (uv_loop_close(&a->loop) != 0)
        abort(); /* something is still open */
    *a = (struct ask){ 0 };
}

void ask_came(struct ask *a)
{
    uv_stop(&a->loop);
}

static void answered(struct ask *a)
{
    a->done = true;
    ask_came(a);
}

static void wait_for_it(struct ask *a)
{
    while (!a->done)
        uv_run(&a->loop, UV_RUN_ONCE);
}

static void on_answered(struct client_request *r,
                        const struct http_result *result)
{
    struct ask *a = (struct ask *)((char *)r - offsetof(struct ask, request));

    a->status = result->complete ? result->status : 0;
    a->again = a->status == 0 && (r->method == HTTP_GET ||
                                  r->method == HTTP_HEAD || !result->sent);
    answered(a);
    a->why[0] = '\0';
    if (a->status < 200 || a->status >= 300)
        client_why(r, result, a->why, sizeof(a->why));
}

unsigned ask_as(struct ask *a, enum http_method method, const char *path,
                enum http_body kind, struct span body)
{
    a->request.method = method;
    a->request.path = path;
    a->request.kind = kind;
    a->request.body = body;
    a->request.done = on_answered;
    a->again = true;
    for (size_t i = 0; i < a->hosts && a->again; i++) {
        a->done = false;
        client_send(a->client, &a->request);
        wait_for_it(a);
    }
    return a->status;
}

unsigned ask(struct ask *a, enum http_method method, const char *path,
             const struct span *json)
{
    if (json == NULL)
        return ask_as(a, method, path, HTTP_NO_BODY, SPAN(""));
    return ask_as(a, method, path, HTTP_JSON, *json);
}

static void on_product(void *arg, const struct product *p, const char *why)
{
    struct ask *a = arg;

    a->product = *p;
    answered(a);
    snprintf(a->why, sizeof(a->why), "%s", why != NULL ? why : "");
}

int ask_product(struct ask *a)
{
    size_t i = 0;

    do {
        a->done = false;
        client_ask_product(a->client, on_product, a);
        wait_for_it(a);
    } while (a->why[0] != '\0' && ++i < a->hosts);
    return a->why[0] == '\0' ? 0 : ERR_IO;
}
