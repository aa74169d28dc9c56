/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/credentials.h"

#include <openssl/evp.h>
#include <stdlib.h>

#include "agent/base/log.h"
#include "outputs/elasticsearch/sigv4.h"

#define LOOK_MS 1000

/* Where each stands in the settings, and of which environment variable it is
 * where nothing stands there. */
static const struct {
    size_t at;
    const char *name;
    const char *variable;
} rows[NCREDENTIALS] = {
#define ROW(field) offsetof(struct elasticsearch_settings, field), #field
    [CREDENTIAL_USERNAME] = { ROW(username), NULL },
    [CREDENTIAL_PASSWORD] = { ROW(password), NULL },
    [CREDENTIAL_API_KEY] = { ROW(api_key), NULL },
    [CREDENTIAL_BEARER_TOKEN] = { ROW(bearer_token), NULL },
    [CREDENTIAL_AWS_ID] = { ROW(aws.access_key_id), "AWS_ACCESS_KEY_ID" },
    [CREDENTIAL_AWS_KEY] = { ROW(aws.secret_access_key),
                             "AWS_SECRET_ACCESS_KEY" },
    [CREDENTIAL_AWS_TOKEN] = { ROW(aws.session_token), "AWS_SESSION_TOKEN" },
    [CREDENTIAL_TLS_KEY] = { ROW(tls.key_password), NULL },
    [CREDENTIAL_PROXY_USERNAME] = { ROW(proxy_username), NULL },
    [CREDENTIAL_PROXY_PASSWORD] = { ROW(proxy_password), NULL },
#undef ROW
};

struct credentials {
    const char *who;
    struct secret secrets[NCREDENTIALS];
    const char *region; /* NULL: nothing is signed */
    const char *service;
    unsigned version;
    uint64_t look_at_ms; /* not before */
    bool failed;         /* and it was said */
};

/* ---- the secrets ---- */

static void take(struct credentials *c, const struct elasticsearch_settings *s,
                 enum credential i)
{
    secret_copy(&c->secrets[i],
                (const struct secret *)((const char *)s + rows[i].at));
}

/* All three or none: a session of the environment does not go with a key of
 * the configuration. */
static void take_environment(struct credentials *c)
{
    for (int i = 0; i < NCREDENTIALS; i++) {
        const char *value =
            rows[i].variable != NULL ? getenv(rows[i].variable) : NULL;

        if (value != NULL && *value != '\0')
            secret_set(&c->secrets[i], value);
    }
}

struct credentials *credentials_new(const struct elasticsearch_settings *s,
                                    const char *who)
{
    struct credentials *c = xcalloc(1, sizeof(*c));

    c->who = who;
    c->version = 1;
    c->region = s->aws.region;
    c->service = aws_services[s->aws.service];
    for (int i = 0; i < NCREDENTIALS; i++)
        take(c, s, (enum credential)i);
    if (c->region != NULL && !secret_is_set(&c->secrets[CREDENTIAL_AWS_ID]))
        take_environment(c);
    return c;
}

void credentials_free(struct credentials *c)
{
    if (c == NULL)
        return;
    for (int i = 0; i < NCREDENTIALS; i++)
        secret_free(&c->secrets[i]);
    free(c);
}

static int refresh(struct credentials *c, int i, struct err *e)
{
    bool changed;
    int rc = secret_refresh(&c->secrets[i], &changed, e);

    if (rc != 0 || !changed)
        return rc;
    c->version++;
    log_info(c->who, "%s was read again from %s", rows[i].name,
             c->secrets[i].file);
    return 0;
}

void credentials_look(struct credentials *c, uint64_t now_ms)
{
    struct err e = { 0 }, first = { 0 };

    if (now_ms < c->look_at_ms)
        return;
    c->look_at_ms = now_ms + LOOK_MS;
    for (int i = 0; i < NCREDENTIALS; i++) {
        if (refresh(c, i, &e) != 0 && first.code == 0)
            first = e;
    }
    if (first.code != 0 && !c->failed)
        log_warn(c->who, "%s; the value before is used", first.text);
    else if (first.code == 0 && c->failed)
        log_info(c->who, "the files of secrets can be read again");
    c->failed = first.code != 0;
}

void credentials_refused(struct credentials *c)
{
    c->look_at_ms = 0;
}

unsigned credentials_version(const struct credentials *c)
{
    return c->version;
}

bool credentials_sign(const struct credentials *c)
{
    return c->region != NULL;
}

const char *credentials_get(const struct credentials *c, enum credential which)
{
    return c->secrets[which].value;
}

/* ---- the headers ---- */

struct sink {
    void (*add)(void *arg, const char *line);
    void *arg;
};

/* "Name: value", and no trace of it afterwards. */
static void add_line(const struct sink *out, const char *name,
                     const char *value)
{
    char *line = xprintf("%s%s", name, value);

    out->add(out->arg, line);
    explicit_bzero(line, strlen(line));
    free(line);
}

/* Base64 of "username:password", to be wiped; NULL where there is none. */
static char *basic_of(const struct credentials *c)
{
    const char *username = credentials_get(c, CREDENTIAL_USERNAME);
    const char *password = credentials_get(c, CREDENTIAL_PASSWORD);
    char *pair, *code;
    size_t len;

    if (username == NULL || password == NULL)
        return NULL;
    pair = xprintf("%s:%s", username, password);
    len = strlen(pair);
    code = xmalloc((len + 2) / 3 * 4 + 1);
    EVP_EncodeBlock((unsigned char *)code, (unsigned char *)pair, (int)len);
    explicit_bzero(pair, len);
    free(pair);
    return code;
}

static void free_text(char *text)
{
    if (text != NULL)
        explicit_bzero(text, strlen(text));
    free(text);
}

static void add_basic(const struct credentials *c, const struct sink *out)
{
    char *code = basic_of(c);

    add_line(out, "Authorization: Basic ", code);
    free_text(code);
}

/* Host, path and query of a URL as they are sent. */
static char *split_url(const char *url, struct span *path, struct span *query)
{
    const char *host = strstr(url, "://") + 3;
    size_t len = strcspn(host, "/?");
    const char *port = strncmp(url, "https:", 6) == 0 ? ":443" : ":80";
    size_t n = strlen(port);

    *path = span(host + len, strcspn(host + len, "?"));
    *query = span(path->at + path->len, strlen(path->at + path->len));
    if (query->len > 0)
        *query = span(query->at + 1, query->len - 1);
    /* curl leaves out a port that goes without saying. */
    if (len > n && memcmp(host + len - n, port, n) == 0)
        len -= n;
    return xstrndup(host, len);
}

static void add_signature(const struct credentials *c,
                          const struct credentials_request *q,
                          const struct sink *out)
{
    const char *token = credentials_get(c, CREDENTIAL_AWS_TOKEN);
    const struct sigv4_keys keys = { c->region, c->service,
                                     credentials_get(c, CREDENTIAL_AWS_ID),
                                     credentials_get(c, CREDENTIAL_AWS_KEY) };
    char date[SIGV4_DATE_SIZE], hash[SHA256_HEX_SIZE];
    struct sigv4_header headers[] = {
        { "host", NULL },
        { "x-amz-content-sha256", hash },
        { "x-amz-date", date },
        { "x-amz-security-token", token },
    };
    struct sigv4_request r = { .method = q->method,
                               .headers = headers,
                               .nheaders = token != NULL ? 4 : 3,
                               .body_hash = hash,
                               .date = date };
    char *host = split_url(q->url, &r.path, &r.query);
    struct buf value = { 0 };

    headers[0].value = host;
    sigv4_date(q->wall_us, date);
    sigv4_hash(q->body, hash);
    sigv4_sign(&keys, &r, &value);
    buf_add(&value, "", 1);
    add_line(out, "Authorization: ", value.at);
    add_line(out, "x-amz-content-sha256: ", hash);
    add_line(out, "x-amz-date: ", date);
    if (token != NULL)
        add_line(out, "x-amz-security-token: ", token);
    buf_free(&value);
    free(host);
}

void credentials_headers(const struct credentials *c,
                         const struct credentials_request *q,
                         void (*add)(void *arg, const char *line), void *arg)
{
    const struct sink out = { add, arg };
    const char *key = credentials_get(c, CREDENTIAL_API_KEY);
    const char *token = credentials_get(c, CREDENTIAL_BEARER_TOKEN);

    if (credentials_sign(c))
        add_signature(c, q, &out);
    else if (credentials_get(c, CREDENTIAL_USERNAME) != NULL)
        add_basic(c, &out);
    else if (key != NULL)
        add_line(&out, "Authorization: ApiKey ", key);
    else if (token != NULL)
        add_line(&out, "Authorization: Bearer ", token);
}

/* Shorter ones are words that stand anywhere. */
#define HIDDEN_MIN 6

static void hide(char *text, const char *secret)
{
    size_t n = secret != NULL ? strlen(secret) : 0;

    if (n < HIDDEN_MIN)
        return;
    while ((text = strstr(text, secret)) != NULL)
        memset(text, '*', n);
}

void credentials_hide(const struct credentials *c, char *text)
{
    char *basic = basic_of(c);

    hide(text, basic);
    for (int i = 0; i < NCREDENTIALS; i++) {
        if (i != CREDENTIAL_USERNAME && i != CREDENTIAL_PROXY_USERNAME &&
            i != CREDENTIAL_AWS_ID)
            hide(text, c->secrets[i].value);
    }
    free_text(basic);
}
