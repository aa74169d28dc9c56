/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/reply.h"

#include <stdio.h>
#include <stdlib.h>

#include "outputs/elasticsearch/answer.h"
#include "outputs/elasticsearch/verdict.h"

/* Of an error's reason in a warning: what to do about it has room as well. */
#define REASON_SHOWN 320

struct reply {
    struct answer_reader *reader;
    struct send *send;
    bool whole;                /* all of an answer came */
    struct answer_error retry; /* the first that is to be retried */
    bool busy;                 /* that is why some are, */
    bool large;                /* be it for what they need of memory */
    bool doubtful;             /* and some may be stored all the same */
    char why[1024];
};

/* ---- items ---- */

static void on_item(void *arg, uint32_t i, const struct answer_error *e)
{
    struct reply *r = arg;
    struct send *s = r->send;
    enum verdict v = verdict_of_item(e);
    char reason[ANSWER_TYPE_MAX + ANSWER_REASON_MAX + 4];
    const char *why = NULL; /* no text is made for what was delivered */

    if (i >= s->count)
        return; /* more than were sent */
    if (v == VERDICT_RETRY && r->retry.status == 0)
        r->retry = *e;
    r->busy |= v == VERDICT_RETRY && verdict_is_busy(e);
    r->large |= v == VERDICT_RETRY && verdict_is_large(e);
    r->doubtful |= v == VERDICT_RETRY && verdict_is_doubtful(e->status);
    if (v == VERDICT_REFUSED) {
        snprintf(reason, sizeof(reason), "%s: %s", e->type, e->reason);
        why = reason;
    }
    batch_verdict(s->batch, s->first + i, v, e->status, why);
}

struct reply *reply_new(void)
{
    struct reply *r = xcalloc(1, sizeof(*r));

    r->reader = answer_new(on_item, r);
    return r;
}

void reply_free(struct reply *r)
{
    if (r == NULL)
        return;
    answer_free(r->reader);
    free(r);
}

void reply_start(struct reply *r, struct send *s)
{
    r->send = s;
    r->retry = (struct answer_error){ 0 };
    r->busy = r->large = r->doubtful = false;
    answer_start(r->reader);
}

void reply_feed(struct reply *r, const char *bytes, size_t n)
{
    answer_feed(r->reader, bytes, n);
}

const char *reply_end(struct reply *r)
{
    r->whole = answer_end(r->reader);
    return answer_whole(r->reader)->reason;
}

/* ---- the request ---- */

/* An answer that names no error: where it points to, or how it begins. */
static void describe(const struct reply *r, const struct http_result *h,
                     struct answer_error *e)
{
    struct span begin = answer_begin(r->reader);

    if (h->location[0] != '\0')
        snprintf(e->reason, sizeof(e->reason), "go to %s", h->location);
    else
        snprintf(e->reason, sizeof(e->reason), "%.*s", (int)begin.len,
                 begin.len > 0 ? begin.at : "");
}

/* Type and reason of an error, and what to do about it. */
static void print_why(struct reply *r, const struct client_request *c,
                      const char *what, unsigned status,
                      const struct answer_error *e, struct answer *a)
{
    const struct meaning *m = verdict_meaning(status, e);

    snprintf(r->why, sizeof(r->why), "%s %s %u%s%s%s%.*s%s%s", client_host(c),
             what, status, e->type[0] != '\0' ? " " : "", e->type,
             e->reason[0] != '\0' ? ": " : "", REASON_SHOWN, e->reason,
             m->advice != NULL ? "; " : "", m->advice != NULL ? m->advice : "");
    client_hide(c->client, r->why);
    a->why = r->why;
    a->topic = m->topic;
}

/* Verdicts came, for all or some. */
static struct answer with_items(struct reply *r, const struct client_request *c)
{
    uint32_t n = answer_items(r->reader);
    struct answer a = {
        .kind = ANSWER_ITEMS,
        .busy = r->busy,
        .large = r->large,
        .doubt = r->doubtful || !r->whole || n < r->send->count,
    };

    if (n > r->send->count) { /* then none of them is sure */
        a.kind = ANSWER_BLOCKED;
        a.doubt = true;
    }
    if (a.kind == ANSWER_ITEMS && r->retry.status != 0) {
        print_why(r, c, "did not take some events:", r->retry.status, &r->retry,
                  &a);
    } else if (!r->whole || n != r->send->count) {
        snprintf(r->why, sizeof(r->why), "%s answered for %u of %u events",
                 client_host(c), n, r->send->count);
        a.why = r->why;
        a.topic = "other items";
    }
    return a;
}

static struct answer without_items(struct reply *r,
                                   const struct client_request *c,
                                   const struct http_result *h)
{
    struct answer_error e = *answer_whole(r->reader);
    struct answer a = { .kind = ANSWER_BLOCKED, .status = h->status };

    if (h->status == 0 || !h->complete) {
        snprintf(r->why, sizeof(r->why), "%s: %s%s%s", client_host(c), h->why,
                 h->advice != NULL ? "; " : "",
                 h->advice != NULL ? h->advice : "");
        a.why = r->why;
        a.topic = h->topic;
    } else {
        if (e.type[0] == '\0' && e.reason[0] == '\0')
            describe(r, h, &e);
        print_why(r, c, "answered", h->status, &e, &a);
        if (h->status < 200 || h->status >= 300)
            a.kind = verdict_of_request(h->status, &e);
    }
    a.doubt = h->status == 0 || !h->complete ? h->sent
                                             : verdict_is_doubtful(h->status);
    a.retry_after_ms = h->retry_after_ms;
    return a;
}

struct answer reply_tell(struct reply *r, const struct client_request *c,
                         const struct http_result *h)
{
    r->whole &= h->complete;
    if (h->status == 200 && answer_has_items(r->reader))
        return with_items(r, c);
    return without_items(r, c, h);
}
