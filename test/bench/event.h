/* SPDX-License-Identifier: Apache-2.0 */
/*
 * event - makes audit.k8s.io/v1 events as a kube-apiserver writes them.
 *
 * A mix of requests at level Metadata and RequestResponse, both stages of
 * each, in the order of Go's encoder. The same seed gives the same bytes on
 * every machine: own random numbers, a clock of its own. Knows nothing of
 * files. Out of memory aborts.
 */
#ifndef BENCH_EVENT_H
#define BENCH_EVENT_H

#include <stddef.h>
#include <stdint.h>

struct event_gen;

struct event_gen *event_gen_new(uint64_t seed);
void event_gen_free(struct event_gen *g);

/*
 * The next line of the mix, newline included; borrowed until the next call.
 * stageTimestamp grows from line to line.
 */
const char *event_next(struct event_gen *g, size_t *len);

/*
 * A line of about 2.1 KB, always of one shape and a single stage, for a steady
 * rate. The last twelve digits of its auditID are `number` in hex.
 */
const char *event_steady(struct event_gen *g, uint64_t number, size_t *len);

#endif
