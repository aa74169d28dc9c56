/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/http.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/base/clock.h"
#include "outputs/elasticsearch/credentials.h"
#include "outputs/elasticsearch/multi.h"
#include "outputs/elasticsearch/outage.h"
#include "outputs/elasticsearch/tls.h"

#define CONNECT_TIMEOUT_MS 10000
/* Addresses, and certificates of CAs, are looked up anew after so long, and at
 * once when a connection failed. */
#define CACHE_S 60
/* curl copies a body through a buffer of this size, one send() for each. */
#define UPLOAD_BYTES (128 * KIB)

struct slot {
    struct http *http;
    CURL *easy;
    struct http_request *request; /* under way, or NULL */
    CURLU *url;                   /* of the last request, parsed; NULL: none */
    char *url_text;
    bool began; /* it has been handed to a connection */
    bool again; /* and was not to another one */
    char why[CURL_ERROR_SIZE];
    struct tls_pin pin;
    struct curl_slist *headers[HTTP_NBODIES]; /* made when first used */
    struct curl_slist *connect_to;
    unsigned version; /* of the credentials that it has */
};

struct http {
    uv_loop_t *loop;
    struct multi *multi;
    struct credentials *credentials;
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

/* Why there is no whole answer, for people. */
static void tell_outage(struct slot *s, CURLcode code, struct http_result *r)
{
    const struct outage *o;

    if (s->pin.missed)
        snprintf(s->why, sizeof(s->why),
                 "no certificate the server sent has the fingerprint "
                 "tls.ca_fingerprint; the last one has %s",
                 s->pin.sent[0] != '\0' ? s->pin.sent : "none");
    else if (s->why[0] == '\0')
        snprintf(s->why, sizeof(s->why), "%s", curl_easy_strerror(code));
    s->pin.missed = false;
    o = outage_of(code, s->why);
    r->why = s->why;
    r->topic = o->topic;
    r->advice = o->advice;
}

static void on_ended(CURL *easy, CURLcode code)
{
    struct slot *s = slot_of(easy);
    struct http_request *q = s->request;
    struct http_result r = { .complete = code == CURLE_OK,
                             .why = "",
                             .location = "" };
    curl_off_t retry_after = 0, sent = 0;
    char *location = NULL;
    long status = 0;

    curl_easy_getinfo(s->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(s->easy, CURLINFO_RETRY_AFTER, &retry_after);
    curl_easy_getinfo(s->easy, CURLINFO_SIZE_UPLOAD_T, &sent);
    curl_easy_getinfo(s->easy, CURLINFO_REDIRECT_URL, &location);
    r.status = (unsigned)status;
    r.sent = s->again || (s->began && (sent > 0 || q->body.len == 0));
    r.retry_after_ms = retry_after > 0 ? (uint64_t)retry_after * 1000 : 0;
    if (location != NULL)
        r.location = location;
    if (s->again) { /* what curl would not have told at all */
        code = CURLE_RECV_ERROR;
        snprintf(s->why, sizeof(s->why),
                 "the connection was closed without an answer");
    }
    if (code != CURLE_OK)
        tell_outage(s, code, &r);
    if (status == 401 || status == 403 || status == 407)
        credentials_refused(s->http->credentials);
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

/* A connection is there, and the request goes out on it now. */
static int on_begin(void *arg, char *to, char *from, int to_port, int from_port)
{
    struct slot *s = arg;

    (void)to;
    (void)from;
    (void)to_port;
    (void)from_port;
    s->again = s->began && s->request->once;
    s->began = true;
    return s->again ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static void set(CURL *easy, CURLoption option, long value)
{
    must(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

static void set_pointer(CURL *easy, CURLoption option, const void *value)
{
    must(curl_easy_setopt(easy, option, value) == CURLE_OK);
}

static void set_way(CURL *c, const struct elasticsearch_settings *conf)
{
    if (conf->unix_socket != NULL)
        set_pointer(c, CURLOPT_UNIX_SOCKET_PATH, conf->unix_socket);
    if (conf->unix_socket != NULL ||
        (conf->proxy != NULL && strcmp(conf->proxy, "none") == 0))
        set_pointer(c, CURLOPT_PROXY, ""); /* nor that of the environment */
    else if (conf->proxy != NULL)
        set_pointer(c, CURLOPT_PROXY, conf->proxy);
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
    must(curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_begin) == CURLE_OK);
    set_pointer(c, CURLOPT_PREREQDATA, s);
    set_pointer(c, CURLOPT_USERAGENT, "tallyman/" TALLYMAN_VERSION);
    set_pointer(c, CURLOPT_PROTOCOLS_STR, "http,https");
    set(c, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    /* Answers are small; one that is packed all the same is unpacked. */
    set_pointer(c, CURLOPT_ACCEPT_ENCODING, "identity");
    set(c, CURLOPT_NOSIGNAL, 1);
    set(c, CURLOPT_TCP_KEEPALIVE, 1);
    set(c, CURLOPT_DNS_SHUFFLE_ADDRESSES, 1); /* all pods of a service */
    set(c, CURLOPT_TIMEOUT_MS, (long)conf->timeout);
    set(c, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    set(c, CURLOPT_UPLOAD_BUFFERSIZE, (long)UPLOAD_BYTES);
    set_way(c, conf);
    must(tls_apply(c, &conf->tls, &s->pin, NULL) == 0);
}

/* ---- headers ---- */

static void add_header(void *arg, const char *line)
{
    struct curl_slist **list = arg;
    struct curl_slist *longer = curl_slist_append(*list, line);

    must(longer != NULL);
    *list = longer;
}

static void forget_headers(struct slot *s)
{
    for (int kind = 0; kind < HTTP_NBODIES; kind++) {
        for (struct curl_slist *h = s->headers[kind]; h != NULL; h = h->next)
            explicit_bzero(h->data, strlen(h->data));
        curl_slist_free_all(s->headers[kind]);
        s->headers[kind] = NULL;
    }
}

static const char *method_of(const struct http_request *r)
{
    static const char *const names[] = {
        [HTTP_GET] = "GET", [HTTP_HEAD] = "HEAD",     [HTTP_POST] = "POST",
        [HTTP_PUT] = "PUT", [HTTP_DELETE] = "DELETE",
    };

    return names[r->method];
}

static void make_headers(struct slot *s, const struct http_request *r)
{
    struct curl_slist **list = &s->headers[r->kind];
    const struct credentials_request q = { method_of(r), r->url, r->body,
                                           clock_wall_us() };

    if (r->kind == HTTP_CONSOLE_JSON || r->kind == HTTP_CONSOLE_FORM) {
        add_header(list, "kbn-xsrf: tallyman"); /* else it answers 400 */
        add_header(list, "osd-xsrf: tallyman");
    }
    if (r->kind == HTTP_CONSOLE_FORM)
        add_header(list, "Content-Type: multipart/form-data; "
                         "boundary=" HTTP_BOUNDARY);
    if (r->kind == HTTP_JSON || r->kind == HTTP_CONSOLE_JSON)
        add_header(list, "Content-Type: application/json");
    if (r->kind == HTTP_NDJSON || r->kind == HTTP_NDJSON_GZIP)
        add_header(list, "Content-Type: application/x-ndjson");
    if (r->kind == HTTP_NDJSON_GZIP)
        add_header(list, "Content-Encoding: gzip");
    add_header(list, "Accept: application/json");
    add_header(list, "Expect:"); /* no 100-continue: a round trip less */
    credentials_headers(s->http->credentials, &q, add_header, list);
}

/* Those of the last request will do, unless something has changed. */
static void set_headers(struct slot *s, const struct http_request *r)
{
    struct credentials *c = s->http->credentials;

    credentials_look(c, uv_now(s->http->loop));
    if (s->version != credentials_version(c)) {
        forget_headers(s);
        set_pointer(s->easy, CURLOPT_KEYPASSWD,
                    credentials_get(c, CREDENTIAL_TLS_KEY));
        set_pointer(s->easy, CURLOPT_PROXYUSERNAME,
                    credentials_get(c, CREDENTIAL_PROXY_USERNAME));
        set_pointer(s->easy, CURLOPT_PROXYPASSWORD,
                    credentials_get(c, CREDENTIAL_PROXY_PASSWORD));
        s->version = credentials_version(c);
    }
    if (credentials_sign(c))
        forget_headers(s);
    if (s->headers[r->kind] == NULL)
        make_headers(s, r);
    set_pointer(s->easy, CURLOPT_HTTPHEADER, s->headers[r->kind]);
}

static void free_slot(struct slot *s)
{
    curl_easy_cleanup(s->easy);
    curl_url_cleanup(s->url);
    free(s->url_text);
    forget_headers(s);
    curl_slist_free_all(s->connect_to);
}

static void free_slots(struct http *h)
{
    for (unsigned i = 0; i < h->nslots; i++) {
        struct slot *s = &h->slots[i];

        if (s->request != NULL)
            multi_remove(h->multi, s->easy);
        free_slot(s);
    }
}

static void free_http(void *arg)
{
    struct http *h = arg;
    void (*closed)(void *) = h->closed;
    void *closed_arg = h->arg;

    credentials_free(h->credentials);
    free(h->slots);
    free(h);
    closed(closed_arg);
}

/* Whether this libcurl can do what is wanted, before anything is open. */
static int try_out(const struct elasticsearch_settings *conf, struct err *e)
{
    struct tls_pin pin;
    CURL *c;
    int rc;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
        return err_set(e, ERR_IO, "libcurl cannot be used");
    c = curl_easy_init();
    must(c != NULL);
    rc = tls_apply(c, &conf->tls, &pin, e);
    curl_easy_cleanup(c);
    return rc;
}

struct http *http_open(uv_loop_t *loop, const char *who,
                       const struct elasticsearch_settings *conf,
                       unsigned slots, struct err *e)
{
    struct http *h;

    if (try_out(conf, e) != 0)
        return NULL;
    h = xcalloc(1, sizeof(*h));
    h->loop = loop;
    h->multi = multi_open(loop, slots, on_ended);
    h->credentials = credentials_new(conf, who);
    h->nslots = slots;
    h->slots = xcalloc(slots, sizeof(*h->slots));
    for (unsigned i = 0; i < slots; i++)
        init_slot(h, &h->slots[i], conf);
    return h;
}

/* A POST as curl knows it has a body; everything else of that kind is one by
 * another name. */
static void set_method(CURL *c, const struct http_request *r)
{
    bool has_body = r->method == HTTP_POST || r->method == HTTP_PUT ||
                    r->kind != HTTP_NO_BODY;
    bool is_plain = r->method <= HTTP_POST; /* curl's own name for it */

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
                is_plain && (!has_body || r->method == HTTP_POST)
                    ? NULL
                    : method_of(r));
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

/* To another address than the URL's. */
static void set_address(struct slot *s, const struct http_request *r)
{
    const char *now = s->connect_to != NULL ? s->connect_to->data : "";
    const char *want = r->connect_to != NULL ? r->connect_to : "";

    if (strcmp(now, want) == 0)
        return;
    curl_slist_free_all(s->connect_to);
    s->connect_to = NULL;
    if (*want != '\0')
        add_header(&s->connect_to, want);
    set_pointer(s->easy, CURLOPT_CONNECT_TO, s->connect_to);
}

void http_send(struct http *h, struct http_request *r)
{
    struct slot *s = h->slots;

    while (s->request != NULL)
        s++; /* the caller keeps to the number */
    s->request = r;
    s->began = s->again = false;
    s->why[0] = '\0';
    set_method(s->easy, r);
    set_url(s, r->url);
    set_address(s, r);
    set_headers(s, r);
    set(s->easy, CURLOPT_FRESH_CONNECT, r->fresh);
    set(s->easy, CURLOPT_DNS_CACHE_TIMEOUT, r->fresh ? 0 : CACHE_S);
#if LIBCURL_VERSION_NUM >= 0x075700
    set(s->easy, CURLOPT_CA_CACHE_TIMEOUT, r->fresh ? 0 : CACHE_S);
#endif
    multi_add(h->multi, s->easy);
}

void http_hide(const struct http *h, char *text)
{
    credentials_hide(h->credentials, text);
}

/* ---- the end ---- */

void http_close(struct http *h, void (*closed)(void *arg), void *arg)
{
    h->closed = closed;
    h->arg = arg;
    free_slots(h);
    multi_close(h->multi, free_http, h);
}
