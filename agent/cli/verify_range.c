/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/cli/verify_range.h"

#include <stdio.h>
#include <stdlib.h>

#include "agent/cli/visible.h"

#define LENIENT "ignore_unavailable=true&allow_no_indices=true"

/* The number in {"count":N,...}, of all shards. */
static bool read_count(struct span answer, uint64_t *n)
{
    static const char key[] = "\"count\":", failed[] = "\"failed\":";
    const char *at = memmem(answer.at, answer.len, key, sizeof(key) - 1);
    const char *f = memmem(answer.at, answer.len, failed, sizeof(failed) - 1);
    const char *end = answer.at + answer.len;

    if (at == NULL || f == NULL || end - f < (long)sizeof(failed) ||
        f[sizeof(failed) - 1] != '0')
        return false;
    *n = 0;
    for (at += sizeof(key) - 1; at < end && *at >= '0' && *at <= '9'; at++)
        *n = *n * 10 + (uint64_t)(*at - '0');
    return true;
}

static bool count(struct ask *a, const char *path, const struct buf *query,
                  uint64_t *n, char *why, size_t size)
{
    struct span body = span(query->at, query->len);

    if (ask(a, HTTP_POST, path, &body) != 200) {
        snprintf(why, size, "%s", a->why);
        return false;
    }
    if (read_count(span(a->request.answer.at, a->request.answer.len), n))
        return true;
    snprintf(why, size, "a part of the index did not answer");
    return false;
}

static void add_query(struct buf *out, const struct verify *v,
                      const char *filter)
{
    char first[CLOCK_TEXT_SIZE], last[CLOCK_TEXT_SIZE];

    clock_format(first, v->first_us, 6);
    clock_format(last, v->last_us, 6);
    out->len = 0;
    buf_printf(out,
               "{\"query\":{\"bool\":{\"filter\":[{\"range\":{\"@timestamp\":"
               "{\"gte\":\"%s\",\"lte\":\"%s\"}}}%s]}}}",
               first, last, filter);
}

void verify_range_count(struct verify_range *r, const struct verify *v)
{
    static const char is_gap[] =
        ",{\"match_phrase\":{\"apiVersion\":\"tallyman/v1\"}}";
    const char *target = elasticsearch_target(v->settings);
    char *name = visible_name(target);
    char *path = xprintf("/%s/_count?" LENIENT
                         "&filter_path=count,_shards.failed,error,status",
                         name);
    uint64_t ours = v->count.present - v->count.repeated + v->count.twice;
    struct buf query = { 0 };

    *r = (struct verify_range){ 0 };
    if (v->first_us != CLOCK_NO_TIME) {
        r->is_stale = !visible_refresh(v->ask, target);
        add_query(&query, v, "");
        r->is_known =
            count(v->ask, path, &query, &r->documents, r->why, sizeof(r->why));
        add_query(&query, v, is_gap);
        r->is_known = r->is_known && count(v->ask, path, &query, &r->gaps,
                                           r->why, sizeof(r->why));
        r->extra = r->documents > ours ? r->documents - ours : 0;
    }
    buf_free(&query);
    free(path);
    free(name);
}
