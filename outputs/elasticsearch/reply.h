/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reply - what came back for a bulk request: a verdict for each item, and what
 * it means for the request as a whole, with words for people.
 *
 *   bytes -> answer -> verdict_of_item() -> batch
 *                   -> struct answer, for the lane
 *
 * Between the reading of an answer (answer.h), what a status means (verdict.h)
 * and the output that sent the request. Loop only.
 */
#ifndef TALLYMAN_REPLY_H
#define TALLYMAN_REPLY_H

#include "outputs/elasticsearch/client.h"
#include "outputs/output.h"

struct reply;

struct reply *reply_new(void);
void reply_free(struct reply *r);

/* A request for the items of `s` goes out, which lives until it is answered. */
void reply_start(struct reply *r, struct send *s);
/* Gives items their verdicts as they come. */
void reply_feed(struct reply *r, const char *bytes, size_t n);
/* No more comes. The reason of the request's error as a whole, "" where it has
 * none; once. */
const char *reply_end(struct reply *r);
/* After that: what is to be told of the request that `c` was. Its texts live
 * until the next start. */
struct answer reply_tell(struct reply *r, const struct client_request *c,
                         const struct http_result *h);

#endif
