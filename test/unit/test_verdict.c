/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What real servers answered (Elasticsearch 7 to 9, OpenSearch 1 to 3), and
 * what it means.
 */
#include "outputs/elasticsearch/verdict.h"
#include "test/unit/unit.h"

static struct answer_error error(unsigned status, const char *type,
                                 const char *reason)
{
    struct answer_error e = { .status = status };

    snprintf(e.type, sizeof(e.type), "%s", type);
    snprintf(e.reason, sizeof(e.reason), "%s", reason);
    return e;
}

TEST(items_get_the_verdict_that_their_answer_means)
{
    static const struct {
        unsigned status;
        const char *type;
        const char *reason;
        enum verdict want;
    } rows[] = {
        { 201, "", "", VERDICT_DELIVERED },
        { 200, "", "", VERDICT_DELIVERED },
        { 409, "version_conflict_engine_exception",
          "[id1]: version conflict, document already exists (current version "
          "[1])",
          VERDICT_DUPLICATE },
        { 400, "illegal_argument_exception",
          "only write ops with an op_type of create are allowed in data "
          "streams",
          VERDICT_REFUSED },
        { 400, "mapper_parsing_exception", "failed to parse", VERDICT_REFUSED },
        { 400, "document_parsing_exception", "[1:2] failed to parse",
          VERDICT_REFUSED },
        { 400, "illegal_argument_exception",
          "Document contains at least one immense term in field",
          VERDICT_REFUSED },
        { 400, "strict_dynamic_mapping_exception", "x", VERDICT_REFUSED },
        { 400, "illegal_argument_exception",
          "Limit of total fields [3] has been exceeded", VERDICT_REFUSED },
        { 400, "index_closed_exception", "closed", VERDICT_REFUSED },
        { 400, "invalid_index_name_exception", "Invalid", VERDICT_REFUSED },
        { 400, "routing_missing_exception", "routing is required for [x]/[y]",
          VERDICT_RETRY },
        { 404, "index_not_found_exception", "no such index [x]",
          VERDICT_RETRY },
        { 429, "cluster_block_exception",
          "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded "
          "flood-stage watermark, index has read-only-allow-delete block];",
          VERDICT_RETRY },
        { 403, "cluster_block_exception",
          "index [x] blocked by: [FORBIDDEN/8/index write (api)];",
          VERDICT_RETRY },
        { 403, "security_exception", "no permissions for [indices:data/write]",
          VERDICT_RETRY },
        { 401, "security_exception", "missing authentication", VERDICT_RETRY },
        { 429, "rejected_execution_exception", "rejected", VERDICT_RETRY },
        { 429, "es_rejected_execution_exception", "rejected", VERDICT_RETRY },
        { 408, "", "", VERDICT_RETRY },
        { 503, "unavailable_shards_exception", "primary shard is not active",
          VERDICT_RETRY },
        { 500, "node_not_connected_exception", "x", VERDICT_RETRY },
        { 502, "", "", VERDICT_RETRY },
        { 400, "cluster_block_exception", "blocked", VERDICT_RETRY },
        { 403, "cluster_block_exception",
          "index [x] blocked by: [FORBIDDEN/5/index read-only (api)];",
          VERDICT_RETRY },
        { 403, "cluster_block_exception",
          "index [x] blocked by: [FORBIDDEN/9/index metadata (api)];",
          VERDICT_RETRY },
        { 400, "illegal_argument_exception",
          "no write index is defined for alias [x]", VERDICT_RETRY },
        { 400, "illegal_argument_exception",
          "pipeline with id [x] does not exist", VERDICT_RETRY },
        { 400, "illegal_argument_exception",
          "if _id is specified it must not be empty", VERDICT_REFUSED },
        { 400, "document_parsing_exception",
          "Limit of total fields [3] has been exceeded", VERDICT_REFUSED },
        { 500, "node_disconnected_exception", "disconnected", VERDICT_RETRY },
        { 404, "index_not_found_exception",
          "no such index [x] and [require_alias] request flag is [true] and "
          "[x] is not an alias",
          VERDICT_RETRY },
        { 404, "resource_not_found_exception",
          "[require_data_stream] request flag is [true] and [x] is not a data "
          "stream",
          VERDICT_RETRY },
        { 404, "index_not_found_exception",
          "no such index [x] and the index creation request requires a data "
          "stream, but no matching index template with data stream template "
          "was found for it",
          VERDICT_RETRY },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct answer_error e =
            error(rows[i].status, rows[i].type, rows[i].reason);

        if (verdict_of_item(&e) != rows[i].want)
            FAIL("%u %s: %s gave %d, not %d", rows[i].status, rows[i].type,
                 rows[i].reason, verdict_of_item(&e), rows[i].want);
    }
}

/* Only what is known to be so is final: 2xx, 409 and other 4xx. */
TEST(no_other_status_settles_an_item)
{
    for (unsigned status = 0; status < 10000; status++) {
        struct answer_error e = error(status, "x", "y");
        enum verdict want = VERDICT_RETRY;

        if (status / 100 == 2)
            want = VERDICT_DELIVERED;
        else if (status == 409)
            want = VERDICT_DUPLICATE;
        else if (status / 100 == 4 && status != 401 && status != 403 &&
                 status != 408 && status != 429)
            want = VERDICT_REFUSED;
        if (verdict_of_item(&e) != want)
            FAIL("%u gave %d, not %d", status, verdict_of_item(&e), want);
    }
}

TEST(whole_requests_wait_split_or_back_off)
{
    static const struct {
        unsigned status;
        const char *type;
        const char *reason;
        enum answer_kind want;
    } rows[] = {
        { 403, "cluster_block_exception",
          "blocked by: [FORBIDDEN/13/cluster read-only / allow delete (api)];",
          ANSWER_BLOCKED },
        { 503, "cluster_block_exception",
          "blocked by: [SERVICE_UNAVAILABLE/2/no master]", ANSWER_BLOCKED },
        { 429, "cluster_block_exception", "disk", ANSWER_BLOCKED },
        { 400, "cluster_block_exception", "x", ANSWER_BLOCKED },
        { 400, "action_request_validation_exception", "id is too long",
          ANSWER_SPLIT },
        { 400, "json_parse_exception", "x", ANSWER_SPLIT },
        { 400, "x_content_parse_exception", "x", ANSWER_SPLIT },
        { 400, "x_content_e_o_f_exception", "x", ANSWER_SPLIT },
        { 400, "parse_exception", "request body is required", ANSWER_SPLIT },
        { 400, "action_request_validation_exception", "no requests added",
          ANSWER_SPLIT },
        { 400, "illegal_argument_exception", "x", ANSWER_SPLIT },
        { 400, "", "", ANSWER_BLOCKED },
        { 413, "", "", ANSWER_LARGE },
        { 429, "rejected_execution_exception",
          "rejected execution of coordinating operation", ANSWER_BUSY },
        { 429, "es_rejected_execution_exception", "x", ANSWER_BUSY },
        { 429, "", "", ANSWER_BUSY },
        { 401, "security_exception", "missing authentication", ANSWER_BLOCKED },
        { 401, "", "", ANSWER_BLOCKED },
        { 403, "security_exception", "x", ANSWER_BLOCKED },
        { 404, "index_not_found_exception", "x", ANSWER_BLOCKED },
        { 404, "", "", ANSWER_BLOCKED },
        { 405, "", "Incorrect HTTP method", ANSWER_BLOCKED },
        { 406, "", "Content-Type header [text/plain] is not supported",
          ANSWER_BLOCKED },
        { 408, "", "", ANSWER_BLOCKED },
        { 301, "", "", ANSWER_BLOCKED },
        { 307, "", "", ANSWER_BLOCKED },
        { 500, "", "", ANSWER_BLOCKED },
        { 502, "", "", ANSWER_BLOCKED },
        { 503, "", "", ANSWER_BLOCKED },
        { 504, "", "", ANSWER_BLOCKED },
        { 200, "", "", ANSWER_BLOCKED },
        { 204, "", "", ANSWER_BLOCKED },
        { 0, "", "", ANSWER_BLOCKED },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct answer_error e =
            error(rows[i].status, rows[i].type, rows[i].reason);

        if (verdict_of_request(rows[i].status, &e) != rows[i].want)
            FAIL("%u %s gave %d, not %d", rows[i].status, rows[i].type,
                 verdict_of_request(rows[i].status, &e), rows[i].want);
    }
}

/* A parameter that the server does not know is nobody's fault among the events:
 * they would all be dead letters. */
TEST(a_parameter_that_is_not_known_refuses_no_event)
{
    struct answer_error e = error(
        400, "illegal_argument_exception",
        "request [/_bulk] contains unrecognized parameter: [require_alias]");

    EQ(ANSWER_BLOCKED, verdict_of_request(400, &e));
}

/* What a person reads at three in the morning. */
TEST(what_waits_comes_with_a_topic_and_advice)
{
    static const struct {
        unsigned status;
        const char *type, *reason, *topic, *advice;
    } rows[] = {
        { 429, "cluster_block_exception",
          "index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage exceeded "
          "flood-stage watermark, index has read-only-allow-delete block];",
          "disk full", "free space" },
        { 403, "cluster_block_exception",
          "index [x] blocked by: [FORBIDDEN/12/index read-only / allow delete "
          "(api)];",
          "disk full", "index.blocks.read_only_allow_delete" },
        { 403, "cluster_block_exception",
          "index [x] blocked by: [FORBIDDEN/8/index write (api)];",
          "write block", "index.blocks.write" },
        { 403, "cluster_block_exception",
          "index [x] blocked by: [FORBIDDEN/5/index read-only (api)];",
          "index read-only", "index.blocks.read_only" },
        { 403, "cluster_block_exception",
          "index [x] blocked by: [FORBIDDEN/9/index metadata (api)];",
          "metadata block", "index.blocks.metadata" },
        { 403, "cluster_block_exception",
          "blocked by: [FORBIDDEN/13/cluster read-only / allow delete (api)];",
          "cluster read-only", "cluster.blocks.read_only_allow_delete" },
        { 403, "cluster_block_exception",
          "blocked by: [FORBIDDEN/6/cluster read-only (api)];",
          "cluster read-only", "cluster.blocks.read_only" },
        { 503, "cluster_block_exception",
          "blocked by: [SERVICE_UNAVAILABLE/2/no master];", "no master",
          "master" },
        { 503, "cluster_block_exception",
          "blocked by: [SERVICE_UNAVAILABLE/1/state not recovered / "
          "initialized];",
          "starting", "starting" },
        { 403, "cluster_block_exception", "something new", "blocked", "block" },
        { 403, "security_exception",
          "action [indices:data/write/bulk[s]] is unauthorized", "rights",
          "create_doc" },
        { 401, "security_exception", "unable to authenticate", "credentials",
          "api_key" },
        { 401, "", "", "credentials", "api_key" },
        { 403, "", "{\"message\":\"User: anonymous is not authorized\"}",
          "forbidden", "credentials" },
        { 429, "es_rejected_execution_exception", "rejected", "busy", "busy" },
        { 503, "unavailable_shards_exception", "primary shard is not active",
          "shard not allocated", "_cluster/allocation/explain" },
        { 500, "node_not_connected_exception", "x", "node lost", "node" },
        { 301, "", "", "redirect", "hosts" },
        { 308, "", "", "redirect", "hosts" },
        { 404, "", "", "not found", "path" },
        { 405, "", "Incorrect HTTP method", "not accepted", "path" },
        { 406, "", "Content-Type header [text/plain] is not supported",
          "content type", "proxy" },
        { 407, "", "", "proxy credentials", "proxy_username" },
        { 400, "", "<html>", "bad request", "search server" },
        { 502, "", "<html>", "bad gateway", "proxy" },
        { 504, "", "<html>", "gateway timeout", "timeout" },
        { 200, "", "<html>", "no verdicts", "between" },
        { 503, "", "", "unavailable", NULL },
        { 500, "", "", "server error", NULL },
        { 408, "", "", "timeout", NULL },
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct answer_error e =
            error(rows[i].status, rows[i].type, rows[i].reason);
        const struct meaning *m = verdict_meaning(rows[i].status, &e);

        EQ_STR(rows[i].topic, m->topic);
        EQ(ANSWER_ITEMS == m->whole, 0);
        if (rows[i].advice != NULL)
            HAS(m->advice, rows[i].advice);
        else
            OK(m->advice == NULL);
    }
}

TEST(no_status_of_a_whole_request_settles_anything)
{
    for (unsigned status = 0; status < 1000; status++) {
        struct answer_error e = error(status, "x", "y");
        enum answer_kind kind = verdict_of_request(status, &e);

        OK(kind != ANSWER_ITEMS && kind != ANSWER_GONE);
    }
}

TEST(only_a_clear_no_leaves_no_doubt)
{
    static const unsigned doubtful[] = { 200, 204, 400, 408, 413,
                                         500, 502, 503, 504 };
    static const unsigned clear[] = { 301, 307, 401, 403, 404,
                                      405, 406, 409, 415, 429 };

    for (size_t i = 0; i < ARRAY_LEN(doubtful); i++)
        OK(verdict_is_doubtful(doubtful[i]));
    for (size_t i = 0; i < ARRAY_LEN(clear); i++)
        OK(!verdict_is_doubtful(clear[i]));
}

TEST(only_a_want_of_memory_depends_on_the_size)
{
    struct answer_error memory =
        error(429, "es_rejected_execution_exception",
              "rejected execution of primary operation "
              "[coordinating_and_primary_bytes=0, replica_bytes=0]");
    struct answer_error queue =
        error(429, "es_rejected_execution_exception",
              "rejected execution of TimedRunnable{...} on "
              "EsThreadPoolExecutor[name = node1/write, queue capacity = 1]");
    struct answer_error other = error(503, "x", "no operation [y]");

    OK(verdict_is_large(&memory));
    OK(verdict_is_busy(&queue) && !verdict_is_large(&queue));
    OK(!verdict_is_large(&other));
}
