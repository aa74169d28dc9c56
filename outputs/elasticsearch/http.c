/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "outputs/elasticsearch/multi.h"

#define CONNECT_TIMEOUT_MS 10000
#define DNS_CACHE_S        60 /* unless a connection fails */
/* curl copies a body through a buffer of this size, one send() for each. */
#define UPLOAD_BYTES (128 * KIB)

struct slot {
    struct http *http;
    CURL *easy;
    struct http_request *request; /* under way, or NULL */
    CURLU *url;                   /* of the last request, parsed; NULL: none */
    char *url_text;
    char why[CURL_ERROR_SIZE];
};

struct http {
    struct multi *multi;
    struct curl_slist *headers[HTTP_NBODIES];
    struct slot *slots;
    unsigned nslots;
    void (*closed)(void *arg);
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

static struct slot *slot_of(CURL *easy)
{
    char *s = NULL;

    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &s);
    return (struct slot *)s;
}

static void on_ended(CURL *easy, CURLcode code)
{
    struct slot *s = slot_of(easy);
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
    multi_remove(s->http->multi, s->easy);
    s->request = NULL;
    q->done(q, &r);
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
    multi_adopt(h->multi, c);
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
    h->multi = multi_open(loop, slots, on_ended);
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

/* curl takes a URL apart and prints it anew for each request: it gets one that it
 * took apart before. One that it cannot read fails in the request. */
static void set_url(struct slot *s, const char *url)
{
    if (s->url_text != NULL && strcmp(s->url_text, url) == 0)
        return;
    free(s->url_text);
    s->url_text = xstrdup(url);
    curl_url_cleanup(s->url);
    s->url = curl_url();
    must(s->url != NULL);
    if (curl_url_set(s->url, CURLUPART_URL, url, 0) != CURLUE_OK) {
        curl_url_cleanup(s->url);
        s->url = NULL;
    }
    set_pointer(s->easy, CURLOPT_URL, url);
    set_pointer(s->easy, CURLOPT_CURLU, s->url);
}

void http_send(struct http *h, struct http_request *r)
{
    struct slot *s = h->slots;

    while (s->request != NULL)
        s++; /* the caller keeps to the number */
    s->request = r;
    s->why[0] = '\0';
    set_method(s->easy, r);
    set_url(s, r->url);
    set_pointer(s->easy, CURLOPT_HTTPHEADER, h->headers[r->kind]);
    set(s->easy, CURLOPT_FRESH_CONNECT, r->fresh);
    set(s->easy, CURLOPT_DNS_CACHE_TIMEOUT, r->fresh ? 0 : DNS_CACHE_S);
    multi_add(h->multi, s->easy);
}

/* ---- the end ---- */

static void on_multi_closed(void *arg)
{
    struct http *h = arg;
    void (*closed)(void *) = h->closed;
    void *closed_arg = h->arg;

    for (int kind = 0; kind < HTTP_NBODIES; kind++)
        curl_slist_free_all(h->headers[kind]);
    free(h->slots);
    free(h);
    closed(closed_arg);
}

void http_close(struct http *h, void (*closed)(void *arg), void *arg)
{
    h->closed = closed;
    h->arg = arg;
    for (unsigned i = 0; i < h->nslots; i++) {
        struct slot *s = &h->slots[i];

        if (s->request != NULL)
            multi_remove(h->multi, s->easy);
        curl_easy_cleanup(s->easy);
        curl_url_cleanup(s->url);
        free(s->url_text);
    }
    multi_close(h->multi, on_multi_closed, h);
}
