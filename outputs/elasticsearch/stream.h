/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream - a data stream never becomes a plain index.
 *
 * A server that is sent an event for a stream it has not makes one, or where no
 * template says so an index of that name, in which nothing rolls over. So each
 * bulk request says require_data_stream. A server that does not know the
 * parameter (Elasticsearch before 8.13, OpenSearch) stores nothing of such a
 * request; it is asked whether the stream is there, and told to make it where
 * it is not. Where that cannot be found out, or it cannot be made, nothing is
 * sent.
 */
#ifndef TALLYMAN_STREAM_H
#define TALLYMAN_STREAM_H

#include "outputs/elasticsearch/client.h"

struct stream;

/* Who waits until it is known. */
struct stream_waiter {
    /* `why`, for people, is NULL where requests may go; `topic` is its kind, in
     * fixed words. Never from within. */
    void (*done)(struct stream_waiter *w, const char *topic, const char *why);
    struct stream_waiter *next;
};

/* Uses one request of the client's at a time; `name` is borrowed. */
struct stream *stream_new(struct client *c, const char *name);
/* After the client is closed. */
void stream_free(struct stream *s);

/* Requests may go now. */
bool stream_is_ready(const struct stream *s);
/* They say require_data_stream. */
bool stream_is_required(const struct stream *s);
/* Else it is asked for; each waiter is told once. */
void stream_wait(struct stream *s, struct stream_waiter *w);

/* Whether a server's error says that it does not know the parameter. */
bool stream_is_unknown(unsigned status, const char *reason);
/* Then, or where it is known what server it is: it has to be asked. */
void stream_forgo(struct stream *s);
/* The cluster was not to be had: who knows what it is when it comes back. */
void stream_doubt(struct stream *s);

#endif
