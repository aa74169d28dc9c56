/* SPDX-License-Identifier: Apache-2.0 */
/*
 * backoff - how long to wait before trying again: full jitter, so that many
 * agents that were refused together do not come back together.
 */
#ifndef TALLYMAN_BACKOFF_H
#define TALLYMAN_BACKOFF_H

#include <stdint.h>

/* A random time from 1 ms to min(max_ms, min_ms * 2^attempt). The first attempt
 * that failed is number 0. */
uint64_t backoff_ms(uint64_t min_ms, uint64_t max_ms, unsigned attempt);

#endif
