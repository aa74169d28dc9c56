/* SPDX-License-Identifier: Apache-2.0 */
#include "outputs/elasticsearch/verdict.h"

#define BLOCK    "cluster_block_exception"
#define ANY      0, 9999
#define ONE(s)   (s), (s)
#define CLASS(s) (s) * 100, (s)*100 + 99

/* Not these events' fault, and no smaller request would do. */
#define WAIT VERDICT_RETRY, ANSWER_BLOCKED
/* The same, unless it is the size. */
#define BUSY VERDICT_RETRY, ANSWER_BUSY
/* The event's own fault; of a whole request, that of one of its events: one bad
 * neighbour spoils all. */
#define FAULT VERDICT_REFUSED, ANSWER_SPLIT

/* The first that fits. `type` and `part` (of the reason) are NULL where any
 * will do. */
static const struct {
    unsigned from, to; /* status */
    const char *type;
    const char *part;
    struct meaning meaning;
} rules[] = {
    { CLASS(2),
      NULL,
      NULL,
      { VERDICT_DELIVERED, ANSWER_BLOCKED, "no verdicts",
        "that is no answer to a bulk request: does another program listen "
        "there, or stand between?" } },
    { ONE(409),
      NULL,
      NULL,
      { VERDICT_DUPLICATE, ANSWER_BLOCKED, "conflict", NULL } },

    { ANY,
      BLOCK,
      "flood-stage",
      { WAIT, "disk full",
        "the index is read-only, for the disk of a node passed the flood-stage "
        "watermark: free space or add a node, then the block goes by itself "
        "(before Elasticsearch 7.4: set index.blocks.read_only_allow_delete to "
        "null)" } },
    { ANY,
      BLOCK,
      "/12/",
      { WAIT, "disk full",
        "the index is read-only: free space, or set "
        "index.blocks.read_only_allow_delete to null" } },
    { ANY,
      BLOCK,
      "/13/",
      { WAIT, "cluster read-only",
        "the cluster is read-only: set cluster.blocks.read_only_allow_delete "
        "to null" } },
    { ANY,
      BLOCK,
      "/6/",
      { WAIT, "cluster read-only",
        "the cluster is read-only: set cluster.blocks.read_only to null" } },
    { ANY,
      BLOCK,
      "/8/",
      { WAIT, "write block",
        "writing to the index is blocked: set index.blocks.write to null, or "
        "write to another index" } },
    { ANY,
      BLOCK,
      "/5/",
      { WAIT, "index read-only",
        "the index is read-only: set index.blocks.read_only to null, or write "
        "to another index" } },
    { ANY,
      BLOCK,
      "/9/",
      { WAIT, "metadata block",
        "the mapping would have to change and may not: set "
        "index.blocks.metadata to null" } },
    { ANY,
      BLOCK,
      "/2/",
      { WAIT, "no master",
        "the cluster has no elected master: bring its master-eligible nodes "
        "back" } },
    { ANY,
      BLOCK,
      "/1/",
      { WAIT, "starting", "the cluster is still starting" } },
    { ANY, BLOCK, NULL, { WAIT, "blocked", "take that block away" } },

    { CLASS(3),
      NULL,
      NULL,
      { WAIT, "redirect",
        "redirects are not followed, lest credentials go to a stranger: put "
        "that address into hosts if it is right" } },

    { ONE(401),
      NULL,
      NULL,
      { WAIT, "credentials",
        "the credentials are not accepted: check username and password, "
        "api_key, bearer_token or aws (their files are read again)" } },
    { ONE(403),
      "security_exception",
      NULL,
      { WAIT, "rights",
        "the user may not write there: its role needs create_doc and "
        "auto_configure on the index (OpenSearch: index, create_index)" } },
    { ONE(403),
      NULL,
      NULL,
      { WAIT, "forbidden",
        "check what may be written by these credentials, and who answers" } },
    { ONE(407),
      NULL,
      NULL,
      { VERDICT_REFUSED, ANSWER_BLOCKED, "proxy credentials",
        "the proxy wants proxy_username and proxy_password" } },
    { ONE(408), NULL, NULL, { WAIT, "timeout", NULL } },
    { ONE(413),
      NULL,
      NULL,
      { VERDICT_REFUSED, ANSWER_LARGE, "too large", NULL } },
    { ONE(429),
      NULL,
      NULL,
      { BUSY, "busy",
        "the cluster is busy; if it lasts, it needs more nodes or fewer "
        "shards" } },

    /* Of require_alias and require_data_stream: no event is at fault. */
    { ONE(404),
      NULL,
      "is not a data stream",
      { WAIT, "no data stream",
        "an index or an alias has that name: delete it, or write to it as "
        "`index`" } },
    { ONE(404),
      NULL,
      "request flag is [true]",
      { WAIT, "no alias", "make the alias first, as `tallyman setup` does" } },
    { ONE(404),
      NULL,
      "requires a data stream",
      { WAIT, "no template",
        "make the data stream's index template first, as `tallyman setup` "
        "does" } },

    /* What is missing there; every event would be refused alike. */
    { ONE(404),
      "index_not_found_exception",
      NULL,
      { WAIT, "no index",
        "the cluster makes no index by itself: allow it "
        "(action.auto_create_index), or make it" } },
    { ONE(400),
      NULL,
      "no write index is defined for alias",
      { WAIT, "no write index",
        "set is_write_index on one of the alias's indices" } },
    { ONE(400),
      "illegal_argument_exception",
      "pipeline with id",
      { WAIT, "no pipeline",
        "make the ingest pipeline, or correct `pipeline`" } },
    { ONE(400),
      "routing_missing_exception",
      NULL,
      { WAIT, "no routing",
        "the index wants a routing value: set `routing`" } },

    /* What the server says of the request, not of what is in it. */
    { ONE(400),
      NULL,
      "contains unrecognized parameter",
      { VERDICT_REFUSED, ANSWER_BLOCKED, "parameter",
        "the server is too old for an option of this output" } },
    { ONE(400),
      "",
      NULL,
      { VERDICT_REFUSED, ANSWER_BLOCKED, "bad request",
        "that is no search server's answer: does another program listen there, "
        "or is this plain HTTP to a TLS port?" } },
    { ONE(400), NULL, NULL, { FAULT, "refused", NULL } },
    { ONE(404),
      NULL,
      NULL,
      { VERDICT_REFUSED, ANSWER_BLOCKED, "not found",
        "nothing there takes bulk requests: is the path in hosts right?" } },
    { ONE(406),
      NULL,
      NULL,
      { VERDICT_REFUSED, ANSWER_BLOCKED, "content type",
        "the request did not arrive as it was sent: does a proxy change "
        "headers?" } },
    { CLASS(4),
      NULL,
      NULL,
      { VERDICT_REFUSED, ANSWER_BLOCKED, "not accepted",
        "is that a search server, and the path in hosts right?" } },

    { ANY,
      "unavailable_shards_exception",
      NULL,
      { WAIT, "shard not allocated",
        "a primary shard has no node: GET /_cluster/allocation/explain says "
        "why" } },
    { ANY,
      "node_not_connected_exception",
      NULL,
      { WAIT, "node lost", "a node has left the cluster: bring it back" } },
    { ANY,
      "node_disconnected_exception",
      NULL,
      { WAIT, "node lost", "a node has left the cluster: bring it back" } },
    { ONE(502),
      NULL,
      NULL,
      { WAIT, "bad gateway",
        "a proxy answers, the server behind it does not: is it up?" } },
    { ONE(504),
      NULL,
      NULL,
      { WAIT, "gateway timeout",
        "a proxy answers, the server behind it does not in time: raise the "
        "proxy's timeout above this output's" } },
    { ONE(503), NULL, NULL, { WAIT, "unavailable", NULL } },
    { ANY, NULL, NULL, { WAIT, "server error", NULL } },
};

const struct meaning *verdict_meaning(unsigned status,
                                      const struct answer_error *e)
{
    size_t i = 0;

    while (status < rules[i].from || status > rules[i].to ||
           (rules[i].type != NULL && strcmp(rules[i].type, e->type) != 0) ||
           (rules[i].part != NULL && strstr(e->reason, rules[i].part) == NULL))
        i++; /* the last one fits all */
    return &rules[i].meaning;
}

enum verdict verdict_of_item(const struct answer_error *e)
{
    if (e->status >= 200 && e->status < 300)
        return VERDICT_DELIVERED;
    return verdict_meaning(e->status, e)->item;
}

bool verdict_is_busy(const struct answer_error *e)
{
    return verdict_meaning(e->status, e)->whole == ANSWER_BUSY;
}

bool verdict_is_doubtful(unsigned status)
{
    /* A 2xx that says nothing; a time that was over; a node or a proxy that
     * does not know what became of it. What is wrong with a request may be seen
     * when a part of it is stored: Elasticsearch takes it in pieces. All else is
     * a clear no. */
    return status < 300 || status == 400 || status == 408 || status == 413 ||
           status >= 500;
}

/* "rejected execution of primary operation [primary_bytes=...]", and not of a
 * task that found the queue full. */
bool verdict_is_large(const struct answer_error *e)
{
    return verdict_is_busy(e) && strstr(e->reason, " operation [") != NULL;
}

enum answer_kind verdict_of_request(unsigned status,
                                    const struct answer_error *e)
{
    return verdict_meaning(status, e)->whole;
}
