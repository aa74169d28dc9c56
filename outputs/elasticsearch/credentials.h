/* SPDX-License-Identifier: Apache-2.0 */
/*
 * credentials - what lets a request in, and the files it came from.
 *
 * Basic, API key and bearer are one header that stays; AWS SigV4 signs each
 * request. A secret that is the whole text of a file is read again when the
 * file has changed: looked at once a second at most, and before the next
 * request after one that was refused. What cannot be read is said once, and the
 * value before it stays.
 */
#ifndef TALLYMAN_CREDENTIALS_H
#define TALLYMAN_CREDENTIALS_H

#include <uv.h>

#include "outputs/elasticsearch/settings.h"

enum credential {
    CREDENTIAL_USERNAME,
    CREDENTIAL_PASSWORD,
    CREDENTIAL_API_KEY,
    CREDENTIAL_BEARER_TOKEN,
    CREDENTIAL_AWS_ID,
    CREDENTIAL_AWS_KEY,
    CREDENTIAL_AWS_TOKEN,
    CREDENTIAL_TLS_KEY,
    CREDENTIAL_PROXY_USERNAME,
    CREDENTIAL_PROXY_PASSWORD,
    NCREDENTIALS
};

/* What is signed. */
struct credentials_request {
    const char *method;
    const char *url;
    struct span body;
    int64_t wall_us;
};

struct credentials;

/* Takes copies of the secrets. `who` for log lines, borrowed. */
struct credentials *credentials_new(const struct elasticsearch_settings *s,
                                    const char *who);
void credentials_free(struct credentials *c);

/* Before each request. */
void credentials_look(struct credentials *c, uint64_t now_ms);
/* A request was not let in. */
void credentials_refused(struct credentials *c);

/* Another number whenever any of them is another. */
unsigned credentials_version(const struct credentials *c);
/* The headers are of one request alone. */
bool credentials_sign(const struct credentials *c);
/* NULL where there is none. */
const char *credentials_get(const struct credentials *c, enum credential which);
/* Calls `add` for each header line that lets the request in; the line is wiped
 * after the call. */
void credentials_headers(const struct credentials *c,
                         const struct credentials_request *q,
                         void (*add)(void *arg, const char *line), void *arg);

/* Puts asterisks in the place of every secret in a text that came back from a
 * server: some show a request's headers in their errors. */
void credentials_hide(const struct credentials *c, char *text);

#endif
