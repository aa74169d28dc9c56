/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plain SHA256_*() calls and not EVP: EVP allocates once for every hash it
 * starts, and this one is taken of every event.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "agent/base/sha256.h"

#include <openssl/sha.h>
#include <stdlib.h>

struct sha256 {
    SHA256_CTX ctx;
};

struct sha256 *sha256_new(void)
{
    struct sha256 *h = xmalloc(sizeof(*h));

    sha256_start(h);
    return h;
}

void sha256_free(struct sha256 *h)
{
    free(h);
}

void sha256_start(struct sha256 *h)
{
    if (SHA256_Init(&h->ctx) != 1)
        abort();
}

void sha256_add(struct sha256 *h, const void *bytes, size_t n)
{
    if (SHA256_Update(&h->ctx, bytes, n) != 1)
        abort();
}

void sha256_end(struct sha256 *h, unsigned char out[static SHA256_SIZE])
{
    if (SHA256_Final(out, &h->ctx) != 1)
        abort();
}

void sha256_of(struct span bytes, unsigned char out[static SHA256_SIZE])
{
    struct sha256 h;

    sha256_start(&h);
    sha256_add(&h, bytes.at, bytes.len);
    sha256_end(&h, out);
}

void sha256_hex(const unsigned char hash[static SHA256_SIZE],
                char out[static SHA256_HEX_SIZE])
{
    static const char digit[] = "0123456789abcdef";

    for (int i = 0; i < SHA256_SIZE; i++) {
        out[2 * i] = digit[hash[i] >> 4];
        out[2 * i + 1] = digit[hash[i] & 15];
    }
    out[2 * SHA256_SIZE] = '\0';
}
