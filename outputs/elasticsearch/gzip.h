/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gzip - whole buffers, by ISA-L at level 1: some 1 GB/s, ten times zlib, for
 * a little less compression.
 */
#ifndef TALLYMAN_GZIP_H
#define TALLYMAN_GZIP_H

#include "agent/base/bytes.h"
#include "agent/base/err.h"

struct gzip;

struct gzip *gzip_new(void);
void gzip_free(struct gzip *z);

/* Adds `in` as one gzip member to `out`. */
void gzip_pack(struct gzip *z, struct span in, struct buf *out);
/* Adds what `in` unpacks to, which is `len` bytes. It came from gzip_pack(): if
 * it is damaged, memory is, and it aborts. */
void gzip_unpack(struct gzip *z, struct span in, size_t len, struct buf *out);

#endif
