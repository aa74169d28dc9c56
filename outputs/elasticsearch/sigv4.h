/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sigv4 - signs a request as AWS wants it (Signature Version 4).
 *
 * Pure. Not for S3: the path is encoded once more than it was sent, as all
 * other services have it. libcurl's own (7.88) does not sort or encode the
 * query, and signs no hash of the body in a header, which OpenSearch Serverless
 * requires.
 */
#ifndef TALLYMAN_SIGV4_H
#define TALLYMAN_SIGV4_H

#include <stdint.h>

#include "agent/base/sha256.h"

#define SIGV4_DATE_SIZE 17 /* 20261128T154500Z and a NUL */

struct sigv4_keys {
    const char *region;
    const char *service;
    const char *access_key_id;
    const char *secret_access_key;
};

struct sigv4_header {
    const char *name; /* in small letters */
    const char *value;
};

struct sigv4_request {
    const char *method;
    struct span path;                   /* as it is sent */
    struct span query;                  /* likewise, without '?' */
    const struct sigv4_header *headers; /* sorted by name; host among them */
    size_t nheaders;
    const char *body_hash; /* sigv4_hash() of the body */
    const char *date;      /* sigv4_date(); also the header x-amz-date */
};

/* `us` of clock_wall_us(). */
void sigv4_date(int64_t us, char out[SIGV4_DATE_SIZE]);
void sigv4_hash(struct span body, char out[SHA256_HEX_SIZE]);
/* Adds the canonical form of the request, which is what is signed. */
void sigv4_canonical(const struct sigv4_request *q, struct buf *out);
/* Adds the value of the header Authorization. */
void sigv4_sign(const struct sigv4_keys *k, const struct sigv4_request *q,
                struct buf *out);

#endif
