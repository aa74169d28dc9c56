/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bulk_server - the receiving end of the benchmarks: a search server that
 * takes every _bulk request, counts its events and says 201 to each.
 *
 * HTTP/1.1, keep-alive, many connections on one epoll descriptor, bodies with
 * a Content-Length, plain or gzip. A body is counted as it passes and not
 * kept, unless `keep_body`. Single thread. Knows nothing of timing a test.
 *
 * Setting up exits with a message on failure; a client's faults are answered
 * and counted.
 */
#ifndef BENCH_BULK_SERVER_H
#define BENCH_BULK_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bulk_server;

struct bulk_server_conf {
    uint16_t port; /* 0: any free one */
    int delay_ms;  /* from a request's last byte to its answer */
    bool keep_body;
    /* Called per _bulk request that is complete; body is NULL unless kept. */
    void (*on_request)(void *ctx, int64_t arrived_ns, const char *body,
                       size_t len);
    void *ctx;
};

struct bulk_stats {
    uint64_t requests, gzip_requests, events, faults;
    uint64_t wire_bytes, plain_bytes; /* bodies before and after inflating */
    uint64_t connections;
    uint64_t open_requests, max_open_requests; /* waiting for an answer */
    int64_t first_ns, last_ns; /* CLOCK_MONOTONIC of the first, last request */
};

struct bulk_server *bulk_server_open(const struct bulk_server_conf *conf);
void bulk_server_close(struct bulk_server *s);

uint16_t bulk_server_port(const struct bulk_server *s);

/* Readable when bulk_server_turn has something to do. */
int bulk_server_fd(const struct bulk_server *s);
void bulk_server_turn(struct bulk_server *s);

const struct bulk_stats *bulk_server_stats(const struct bulk_server *s);
int bulk_stats_json(const struct bulk_stats *st, char *to, size_t size);

int64_t now_ns(void); /* CLOCK_MONOTONIC */

#endif
