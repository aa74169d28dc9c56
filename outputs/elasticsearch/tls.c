/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/tls.h"

#include <ctype.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool tls_parse_fingerprint(const char *text, unsigned char hash[SHA256_SIZE])
{
    size_t n = 0;

    while (n < SHA256_SIZE && digit_of(text[0]) >= 0 &&
           digit_of(text[1]) >= 0) {
        hash[n++] = (unsigned char)(digit_of(text[0]) * 16 + digit_of(text[1]));
        text += 2;
        if (*text == ':' && n < SHA256_SIZE)
            text++;
    }
    return n == SHA256_SIZE && *text == '\0';
}

/* ---- a CA by its fingerprint ---- */

static void hash_of(X509 *cert, unsigned char hash[SHA256_SIZE])
{
    unsigned len;

    if (X509_digest(cert, EVP_sha256(), hash, &len) != 1)
        abort();
}

static void print_hash(const unsigned char *hash, char *out, size_t size)
{
    size_t at = 0;

    for (size_t i = 0; i < SHA256_SIZE && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%02X", i > 0 ? ":" : "",
                               hash[i]);
}

/* The one that is meant, among those that the server sent; borrowed. */
static X509 *find_pinned(struct tls_pin *pin, STACK_OF(X509) * sent)
{
    unsigned char hash[SHA256_SIZE];

    for (int i = 0; sent != NULL && i < sk_X509_num(sent); i++) {
        X509 *cert = sk_X509_value(sent, i);

        hash_of(cert, hash);
        print_hash(hash, pin->sent, sizeof(pin->sent));
        if (memcmp(hash, pin->hash, sizeof(hash)) == 0 &&
            X509_check_ca(cert) != 0)
            return cert;
    }
    return NULL;
}

/* Instead of OpenSSL's own look at a chain: the same, but only the pinned
 * certificate is trusted. It may stand anywhere in the chain. */
static int verify(X509_STORE_CTX *ctx, void *arg)
{
    struct tls_pin *pin = arg;
    X509 *ca = find_pinned(pin, X509_STORE_CTX_get0_untrusted(ctx));
    STACK_OF(X509) * trusted;
    int ok;

    pin->missed = ca == NULL;
    if (ca == NULL) {
        X509_STORE_CTX_set_error(ctx,
                                 X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
        return 0;
    }
    trusted = sk_X509_new_null();
    if (trusted == NULL || sk_X509_push(trusted, ca) <= 0)
        abort();
    X509_STORE_CTX_set0_trusted_stack(ctx, trusted);
    X509_STORE_CTX_set_flags(ctx, X509_V_FLAG_PARTIAL_CHAIN);
    ok = X509_verify_cert(ctx);
    sk_X509_free(trusted);
    return ok;
}

static CURLcode on_ssl_ctx(CURL *easy, void *ssl_ctx, void *arg)
{
    (void)easy;
    SSL_CTX_set_cert_verify_callback(ssl_ctx, verify, arg);
    return CURLE_OK;
}

/* ---- all of it ---- */

static bool set_text(CURL *easy, CURLoption option, const char *text)
{
    return text == NULL || curl_easy_setopt(easy, option, text) == CURLE_OK;
}

int tls_apply(CURL *easy, const struct tls_settings *t, struct tls_pin *pin,
              struct err *e)
{
    static const long versions[] = {
        [TLS_1_2] = CURL_SSLVERSION_TLSv1_2,
        [TLS_1_3] = CURL_SSLVERSION_TLSv1_3,
    };

    if (!set_text(easy, CURLOPT_CAINFO, t->ca_file) ||
        !set_text(easy, CURLOPT_SSLCERT, t->cert_file) ||
        !set_text(easy, CURLOPT_SSLKEY, t->key_file) ||
        curl_easy_setopt(easy, CURLOPT_SSLVERSION, versions[t->min_version]) !=
            CURLE_OK)
        return err_set(e, ERR_CONFIG, "this libcurl does not know TLS so far");
    if (t->ca_fingerprint == NULL)
        return 0;
    if (!tls_parse_fingerprint(t->ca_fingerprint, pin->hash) ||
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, pin) != CURLE_OK ||
        curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_ctx) !=
            CURLE_OK)
        return err_set(e, ERR_CONFIG,
                       "this libcurl is not built with OpenSSL, which "
                       "ca_fingerprint needs");
    return 0;
}
