/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settings - of an output of type elasticsearch: where the cluster is, how to
 * be let in, and what to write to. Commands that talk to a cluster read them
 * as well.
 */
#ifndef TALLYMAN_SETTINGS_H
#define TALLYMAN_SETTINGS_H

#include "agent/base/opt.h"

enum compression {
    COMPRESSION_GZIP,
    COMPRESSION_NONE
};

enum tls_version {
    TLS_1_2,
    TLS_1_3
};

/* Each NULL where unset. Files are read again for each new connection, but the
 * CA's at most once a minute while all is well. */
struct tls_settings {
    char *ca_file;
    char *ca_fingerprint;
    char *cert_file;
    char *key_file;
    struct secret key_password;
    char *server_name;
    unsigned min_version; /* enum tls_version */
};

enum aws_service {
    AWS_ES,
    AWS_AOSS
};

extern const char *const aws_services[];

/* Requests are signed where there is a region. */
struct aws_settings {
    char *region;
    unsigned service; /* enum aws_service */
    /* Where none is set, of the environment, as AWS names them. */
    struct secret access_key_id;
    struct secret secret_access_key;
    struct secret session_token;
};

struct elasticsearch_settings {
    struct opt_list hosts;
    char *index;       /* a pattern of dates; NULL where data_stream is set */
    char *data_stream; /* NULL: `index` */
    char *pipeline;    /* each NULL where unset */
    char *routing;
    unsigned require_alias; /* enum opt_switch */
    struct secret username;
    struct secret password;
    struct secret api_key;
    struct secret bearer_token;
    struct aws_settings aws;
    struct tls_settings tls;
    char *proxy; /* NULL: as the environment says; "none" */
    struct secret proxy_username;
    struct secret proxy_password;
    char *unix_socket;
    unsigned discover;          /* enum opt_switch */
    uint64_t discover_interval; /* ms */
    unsigned compression;       /* enum compression */
    uint64_t timeout;           /* ms */
};

extern const struct opt elasticsearch_opts[];

/* What no option can say alone; NULL where nothing is wrong. */
const char *elasticsearch_check(const void *conf);

/* The index pattern or the stream that events go to. */
const char *elasticsearch_target(const struct elasticsearch_settings *s);

/*
 * Whether the target may have another index behind its name when an event is
 * sent again: a data stream, an alias. Then a repeated id is not refused, and
 * what is in doubt has to be looked up. An index whose name is made of the
 * event's own time is always the same one.
 */
bool elasticsearch_rolls_over(const struct elasticsearch_settings *s);

#endif
