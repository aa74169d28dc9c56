/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sha256 - the hash behind identities: of files and of events (FIPS 180-4, by
 * libcrypto, which uses the processor's own instructions where it has them).
 * No allocation after sha256_new().
 */
#ifndef TALLYMAN_SHA256_H
#define TALLYMAN_SHA256_H

#include "agent/base/bytes.h"

#define SHA256_SIZE     32
#define SHA256_HEX_SIZE 65

struct sha256;

struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *h);
void sha256_start(struct sha256 *h);
void sha256_add(struct sha256 *h, const void *bytes, size_t n);
void sha256_end(struct sha256 *h, unsigned char out[static SHA256_SIZE]);

/* The same for bytes that are all there. */
void sha256_of(struct span bytes, unsigned char out[static SHA256_SIZE]);
void sha256_hex(const unsigned char hash[static SHA256_SIZE],
                char out[static SHA256_HEX_SIZE]);

#endif
