/* SPDX-License-Identifier: Apache-2.0 */
/*
 * place - where events go, as a cluster has to be told of it: the pattern of a
 * template, and how one index is followed by the next.
 */
#ifndef TALLYMAN_PLACE_H
#define TALLYMAN_PLACE_H

#include "outputs/elasticsearch/settings.h"

enum place_way {
    PLACE_DATED,  /* a new index with the events' time: auditing-%Y.%m.%d */
    PLACE_STREAM, /* a data stream, rolled over by its lifecycle */
    PLACE_ALIAS   /* one name without a date: an alias, likewise */
};

struct place {
    enum place_way way;
    char *name;       /* the stream or alias as configured; NULL where dated */
    char *patterns;   /* JSON: ["auditing-*"] */
    char *title;      /* of the index pattern of the dashboards: auditing-* */
    char *own;        /* of our template and policy: tallyman-auditing */
    uint64_t span_ms; /* the events' time in one index; 0: not dated */
};

/* ERR_CONFIG where the name is nothing but a date: its pattern would be that of
 * every index. */
int place_of(const struct elasticsearch_settings *s, struct place *out,
             struct err *e) MUST_CHECK;
void place_free(struct place *p);

/* Adds `name` as a part of the path of a URL. */
void place_add_url(struct buf *out, const char *name);

#endif
