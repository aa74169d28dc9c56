/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls - what the options of `tls:` mean for a connection of libcurl's.
 *
 * A CA is pinned by its fingerprint as Elasticsearch means it: the SHA-256 of
 * the CA's certificate, which the server sends along with its own. That
 * certificate and no other is then trusted; name and dates are checked as
 * always.
 */
#ifndef TALLYMAN_TLS_H
#define TALLYMAN_TLS_H

#include <curl/curl.h>

#include "agent/base/err.h"
#include "agent/base/sha256.h"
#include "outputs/elasticsearch/settings.h"

struct tls_pin {
    unsigned char hash[SHA256_SIZE];
    bool missed;    /* no certificate that the server sent was it */
    char sent[128]; /* the hash of the last one it sent, for people */
};

/* 64 hexadecimal digits, with or without colons; false: they are not. */
bool tls_parse_fingerprint(const char *text, unsigned char hash[SHA256_SIZE]);

/* `pin` lives as long as `easy`. ERR_CONFIG: this libcurl cannot do it. */
int tls_apply(CURL *easy, const struct tls_settings *t, struct tls_pin *pin,
              struct err *e) MUST_CHECK;

#endif
