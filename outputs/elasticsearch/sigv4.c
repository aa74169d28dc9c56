/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/sigv4.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#include "agent/base/clock.h"

#define ALGORITHM "AWS4-HMAC-SHA256"

void sigv4_hash(struct span body, char out[SHA256_HEX_SIZE])
{
    unsigned char hash[SHA256_SIZE];

    sha256_of(body, hash);
    sha256_hex(hash, out);
}

/* Of "2026-11-28T15:45:00Z" all but '-' and ':'. */
void sigv4_date(int64_t us, char out[SIGV4_DATE_SIZE])
{
    char text[CLOCK_TEXT_SIZE];

    clock_format(text, us, 0);
    for (const char *p = text; *p != '\0'; p++) {
        if (*p != '-' && *p != ':')
            *out++ = *p;
    }
    *out = '\0';
}

/* ---- the canonical request ---- */

static bool is_unreserved(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

static void add_encoded(struct buf *out, struct span s, bool is_path)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (is_unreserved(c) || (is_path && c == '/'))
            buf_add(out, &c, 1);
        else
            buf_printf(out, "%%%02X", (unsigned char)c);
    }
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* What was sent may be encoded in part; encoded anew it is so in full. */
static void add_recoded(struct buf *out, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.at[i];

        if (c == '%' && i + 2 < s.len && hex_value(s.at[i + 1]) >= 0 &&
            hex_value(s.at[i + 2]) >= 0) {
            c = (char)(hex_value(s.at[i + 1]) * 16 + hex_value(s.at[i + 2]));
            i += 2;
        }
        add_encoded(out, span(&c, 1), false);
    }
}

struct pair {
    char *name; /* both encoded */
    char *value;
};

static char *recode(struct span s)
{
    struct buf b = { 0 };

    add_recoded(&b, s);
    buf_add(&b, "", 1);
    return b.at;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    int by_name = strcmp(x->name, y->name);

    return by_name != 0 ? by_name : strcmp(x->value, y->value);
}

static struct span cut_at(struct span *rest, char c)
{
    const char *end = rest->len > 0 ? memchr(rest->at, c, rest->len) : NULL;
    size_t len = end != NULL ? (size_t)(end - rest->at) : rest->len;
    struct span part = span(rest->at, len);
    size_t skip = end != NULL ? len + 1 : len;

    *rest = span(rest->at + skip, rest->len - skip);
    return part;
}

static void add_query(struct buf *out, struct span query)
{
    struct pair *pairs = NULL;
    size_t n = 0;

    while (query.len > 0) {
        struct span value = cut_at(&query, '&');
        struct span name = cut_at(&value, '=');

        pairs = xrealloc(pairs, (n + 1) * sizeof(*pairs));
        pairs[n].name = recode(name);
        pairs[n++].value = recode(value);
    }
    if (n > 0)
        qsort(pairs, n, sizeof(*pairs), compare_pairs);
    for (size_t i = 0; i < n; i++) {
        buf_printf(out, "%s%s=%s", i > 0 ? "&" : "", pairs[i].name,
                   pairs[i].value);
        free(pairs[i].name);
        free(pairs[i].value);
    }
    free(pairs);
}

static void add_names(struct buf *out, const struct sigv4_request *q)
{
    for (size_t i = 0; i < q->nheaders; i++)
        buf_printf(out, "%s%s", i > 0 ? ";" : "", q->headers[i].name);
}

void sigv4_canonical(const struct sigv4_request *q, struct buf *out)
{
    buf_printf(out, "%s\n", q->method);
    add_encoded(out, q->path.len > 0 ? q->path : SPAN("/"), true);
    buf_printf(out, "\n");
    add_query(out, q->query);
    buf_printf(out, "\n");
    for (size_t i = 0; i < q->nheaders; i++)
        buf_printf(out, "%s:%s\n", q->headers[i].name, q->headers[i].value);
    buf_printf(out, "\n");
    add_names(out, q);
    buf_printf(out, "\n%s", q->body_hash);
}

/* ---- the signature ---- */

static void hmac(unsigned char key[SHA256_SIZE], struct span text)
{
    unsigned char out[SHA256_SIZE];
    unsigned len;

    if (HMAC(EVP_sha256(), key, SHA256_SIZE, (const unsigned char *)text.at,
             text.len, out, &len) == NULL)
        abort();
    memcpy(key, out, SHA256_SIZE);
}

static void hmac_text(unsigned char key[SHA256_SIZE], const char *text)
{
    hmac(key, span(text, strlen(text)));
}

/* The key of a day, a region and a service. */
static void derive(const struct sigv4_keys *k, struct span day,
                   unsigned char key[SHA256_SIZE])
{
    char *secret = xprintf("AWS4%s", k->secret_access_key);
    unsigned len;

    if (HMAC(EVP_sha256(), secret, (int)strlen(secret),
             (const unsigned char *)day.at, day.len, key, &len) == NULL)
        abort();
    hmac_text(key, k->region);
    hmac_text(key, k->service);
    hmac_text(key, "aws4_request");
    explicit_bzero(secret, strlen(secret));
    free(secret);
}

void sigv4_sign(const struct sigv4_keys *k, const struct sigv4_request *q,
                struct buf *out)
{
    struct span day = span(q->date, 8);
    struct buf text = { 0 };
    unsigned char key[SHA256_SIZE];
    char hex[SHA256_HEX_SIZE];

    sigv4_canonical(q, &text);
    sigv4_hash(span(text.at, text.len), hex);
    text.len = 0;
    buf_printf(&text, ALGORITHM "\n%s\n%.8s/%s/%s/aws4_request\n%s", q->date,
               day.at, k->region, k->service, hex);
    derive(k, day, key);
    hmac(key, span(text.at, text.len));
    sha256_hex(key, hex);
    explicit_bzero(key, sizeof(key));
    buf_printf(out,
               ALGORITHM " Credential=%s/%.8s/%s/%s/aws4_request, "
                         "SignedHeaders=",
               k->access_key_id, day.at, k->region, k->service);
    add_names(out, q);
    buf_printf(out, ", Signature=%s", hex);
    buf_free(&text);
}
