/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/http.h"

#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define CONNECT_TIMEOUT_MS 10000
#define DNS_CACHE_S        60 /* unless a connection fails */
/* curl copies a body through a buffer of this size, one send() for each. */
#define UPLOAD_BYTES (128 * KIB)
/* Most of these in a row before others get their turn. */
#define UPLOADS_AT_ONCE 16

struct slot {
    struct http *http;
    CURL *easy;
    struct http_request *request; /* under way, or NULL */
    char why[CURL_ERROR_SIZE];
};

/* A socket of curl's, watched for it. */
struct sock {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t fd;
    int events; /* what curl waits for; 0: it is done with it */
};

struct http {
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *multi;
    struct curl_slist *headers[HTTP_NBODIES];
    struct slot *slots;
    unsigned nslots;
    unsigned busy;             /* slots that have a request under way */
    unsigned handles;          /* open libuv handles */
    void (*closed)(void *arg); /* set: closing */
    void *arg;
};

static void must(bool ok)
{
    if (!ok)
        abort(); /* out of memory, or a wrong option */
}

/* ---- what has ended ---- */

static void copy_header(CURL *easy, const char *name, char *out)
{
    struct curl_header *h;

    out[0] = '\0';
    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK)
        snprintf(out, HTTP_PRODUCT_MAX, "%s", h->value);
}

static void end_request(struct slot *s, CURLcode code)
{
    struct http_request *q = s->request;
    struct http_result r = { .complete = code == CURLE_OK, .why = "" };
    curl_off_t retry_after = 0, took = 0, sent = 0;
    long status = 0;

    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(s->easy, CURLINFO_TOTAL_TIME_T, &took);
    curl_easy_getinfo(s->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    r.status = (unsigned)status;
    r.sent = (uint64_t)sent >= q->body.len;
    r.retry_after_ms = retry_after > 0 ? (uint64_t)retry_after * 1000 : 0;
    r.took_ms = (uint64_t)took / 1000;
    if (code != CURLE_OK)
        r.why = s->why[0] != '\0' ? s->why : curl_easy_strerror(code);
    if (q->product) {
        copy_header(s->easy, "X-elastic-product", r.elastic_product);
        copy_header(s->easy, "X-OpenSearch-Version", r.opensearch_version);
    }
    curl_multi_remove_handle(s->http->multi, s->easy);
    s->request = NULL;
    s->http->busy--;
    q->done(q, &r);
}

/* Not from within curl: here handles may be added and removed. */
static void collect(struct http *h)
{
    CURLMsg *msg;
    int left;

    while (h->closed == NULL &&
           (msg = curl_multi_info_read(h->multi, &left)) != NULL) {
        struct slot *s = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&s);
        end_request(s, msg->data.result);
    }
}

static void act(struct http *h, curl_socket_t fd, int events)
{
    int running;

    if (h->closed != NULL)
        return;
    must(curl_multi_socket_action(h->multi, fd, events, &running) == CURLM_OK);
    collect(h);
}

/* ---- sockets and time, for curl ---- */

/* One of our libuv handles is closed; after the last, all goes. */
static void release(struct http *h)
{
    void (*closed)(void *) = h->closed;
    void *arg = h->arg;

    if (--h->handles > 0)
        return;
    for (int kind = 0; kind < HTTP_NBODIES; kind++)
        curl_slist_free_all(h->headers[kind]);
    free(h->slots);
    free(h);
    closed(arg);
}

static void on_sock_closed(uv_handle_t *handle)
{
    struct sock *k = handle->data;
    struct http *h = k->http;

    free(k);
    release(h);
}

/*
 * Whether curl has more to send and it can go at once: curl sends one buffer a
 * call. While several are under way, the server is slow to answer and each turn
 * of the loop that a body waits is lost. One alone keeps the pace at which the
 * next is made, which costs both sides less.
 */
static bool takes_more(const struct sock *k)
{
    struct pollfd p = { .fd = k->fd, .events = POLLOUT };

    return k->http->busy > 1 && (k->events & UV_WRITABLE) != 0 &&
           poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

static void on_ready(uv_poll_t *handle, int status, int events)
{
    struct sock *k = handle->data;
    int flags = 0;

    if (status < 0)
        flags = CURL_CSELECT_ERR;
    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    act(k->http, k->fd, flags);
    for (int i = 1; i < UPLOADS_AT_ONCE && takes_more(k); i++)
        act(k->http, k->fd, CURL_CSELECT_OUT);
}

static void drop_sock(struct http *h, curl_socket_t fd, struct sock *k)
{
    if (k == NULL)
        return;
    curl_multi_assign(h->multi, fd, NULL);
    k->events = 0;
    uv_poll_stop(&k->poll);
    uv_close((uv_handle_t *)&k->poll, on_sock_closed);
}

static struct sock *new_sock(struct http *h, curl_socket_t fd)
{
    struct sock *k = xcalloc(1, sizeof(*k));

    k->http = h;
    k->fd = fd;
    must(uv_poll_init_socket(h->loop, &k->poll, fd) == 0);
    k->poll.data = k;
    h->handles++;
    curl_multi_assign(h->multi, fd, k);
    return k;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg,
                     void *sockp)
{
    struct http *h = arg;
    struct sock *k = sockp;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        drop_sock(h, fd, k);
        return 0;
    }
    if (k == NULL)
        k = new_sock(h, fd);
    if (what != CURL_POLL_OUT)
        events |= UV_READABLE;
    if (what != CURL_POLL_IN)
        events |= UV_WRITABLE;
    k->events = events;
    uv_poll_start(&k->poll, events, on_ready);
    return 0;
}

static void on_timer(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

/* -1 stops the timer; 0 means soon, and never from in here. */
static int on_timeout(CURLM *multi, long ms, void *arg)
{
    struct http *h = arg;

    (void)multi;
    if (uv_is_closing((uv_handle_t *)&h->timer))
        return 0;
    if (ms < 0)
        uv_timer_stop(&h->timer);
    else
        uv_timer_start(&h->timer, on_timer, (uint64_t)ms, 0);
    return 0;
}

/* ---- requests ---- */

static size_t on_data(char *bytes, size_t size, size_t n, void *arg)
{
    struct slot *s = arg;

    s->request->data(s->request, bytes, size * n);
    return size * n;
}

static void set(CURL *easy, CURLoption option, long value)
{
    must(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

static void set_pointer(CURL *easy, CURLoption option, const void *value)
{
    must(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

static void set_credentials(CURL *c, const struct elasticsearch_settings *conf)
{
    if (conf->username == NULL)
        return;
    set(c, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC);
    set_pointer(c, CURLOPT_USERNAME, conf->username);
    set_pointer(c, CURLOPT_PASSWORD, conf->password.value);
}

static void init_slot(struct http *h, struct slot *s,
                      const struct elasticsearch_settings *conf)
{
    CURL *c = curl_easy_init();

    must(c != NULL);
    s->http = h;
    s->easy = c;
    set_pointer(c, CURLOPT_PRIVATE, s);
    set_pointer(c, CURLOPT_ERRORBUFFER, s->why);
    set_pointer(c, CURLOPT_WRITEDATA, s);
    must(curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_data) == CURLE_OK);
    set_pointer(c, CURLOPT_USERAGENT, "tallyman/" TALLYMAN_VERSION);
    set_pointer(c, CURLOPT_PROTOCOLS_STR, "http,https");
    set(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    set(c, CURLOPT_NOSIGNAL, 1);
    set(c, CURLOPT_TCP_KEEPALIVE, 1);
    set(c, CURLOPT_TIMEOUT_MS, (long)conf->timeout);
    set(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    set(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
    if (conf->tls.ca_file != NULL)
        set_pointer(c, CURLOPT_CAINFO, conf->tls.ca_file);
    set_credentials(c, conf);
}

static void add_header(struct http *h, enum http_body kind, const char *line)
{
    struct curl_slist *list = curl_slist_append(h->headers[kind], line);

    must(list != NULL);
    h->headers[kind] = list;
}

static void make_headers(struct http *h, enum http_body kind,
                         const struct elasticsearch_settings *conf)
{
    if (kind == HTTP_JSON)
        add_header(h, kind, "Content-Type: application/json");
    if (kind == HTTP_NDJSON || kind == HTTP_NDJSON_GZIP)
        add_header(h, kind, "Content-Type: application/x-ndjson");
    if (kind == HTTP_NDJSON_GZIP)
        add_header(h, kind, "Content-Encoding: gzip");
    add_header(h, kind, "Accept: application/json");
    add_header(h, kind, "Expect:"); /* no 100-continue: a round trip less */
    if (secret_is_set(&conf->api_key)) {
        char *line = xprintf("Authorization: ApiKey %s", conf->api_key.value);

        add_header(h, kind, line);
        explicit_bzero(line, strlen(line));
        free(line);
    }
}

struct http *http_open(uv_loop_t *loop,
                       const struct elasticsearch_settings *conf,
                       unsigned slots, struct err *e)
{
    struct http *h;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0) {
        err_set(e, ERR_IO, "libcurl cannot be used");
        return NULL;
    }
    h = xcalloc(1, sizeof(*h));
    h->loop = loop;
    h->multi = curl_multi_init();
    must(h->multi != NULL);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)slots);
    uv_timer_init(loop, &h->timer);
    h->timer.data = h;
    h->handles = 1;
    for (int kind = 0; kind < HTTP_NBODIES; kind++)
        make_headers(h, (enum http_body)kind, conf);
    h->nslots = slots;
    h->slots = xcalloc(h->nslots, sizeof(*h->slots));
    for (unsigned i = 0; i < h->nslots; i++)
        init_slot(h, &h->slots[i], conf);
    return h;
}

/* A POST as curl knows it has a body; everything else of that kind is one by
 * another name. */
static void set_method(CURL *c, const struct http_request *r)
{
    static const char *const names[] = {
        [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE", /* NULL: curl's own */
    };
    bool has_body = r->method == HTTP_POST || r->method == HTTP_PUT ||
                    r->kind != HTTP_NO_BODY;

    if (r->method == HTTP_HEAD)
        set(c, CURLOPT_NOBODY, 1);
    else
        set(c, has_body ? CURLOPT_POST : CURLOPT_HTTPGET, 1);
    if (has_body) {
        set_pointer(c, CURLOPT_POSTFIELDS, r->body.len > 0 ? r->body.at : "");
        must(curl_easy_setopt(c, CURLOPT_POSTFIELDSIZE_LARGE,
                              (curl_off_t)r->body.len) == CURLE_OK);
    }
    set_pointer(c, CURLOPT_CUSTOMREQUEST,
                r->method < ARRAY_LEN(names) ? names[r->method] : NULL);
}

void http_send(struct http *h, struct http_request *r)
{
    struct slot *s = h->slots;

    while (s->request != NULL)
        s++; /* the caller keeps to the number */
    s->request = r;
    h->busy++;
    s->why[0] = '\0';
    set_method(s->easy, r);
    set_pointer(s->easy, CURLOPT_URL, r->url);
    set_pointer(s->easy, CURLOPT_HTTPHEADER, h->headers[r->kind]);
    set(s->easy, CURLOPT_FRESH_CONNECT, r->fresh);
    set(s->easy, CURLOPT_DNS_CACHE_TIMEOUT, r->fresh ? 0 : DNS_CACHE_S);
    must(curl_multi_add_handle(h->multi, s->easy) == CURLM_OK);
}

/* ---- the end ---- */

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void http_close(struct http *h, void (*closed)(void *arg), void *arg)
{
    h->closed = closed;
    h->arg = arg;
    for (unsigned i = 0; i < h->nslots; i++) {
        struct slot *s = &h->slots[i];

        if (s->request != NULL)
            curl_multi_remove_handle(h->multi, s->easy);
        curl_easy_cleanup(s->easy);
    }
    curl_multi_cleanup(h->multi);
    uv_close((uv_handle_t *)&h->timer, on_timer_closed);
}
