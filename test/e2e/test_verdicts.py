# SPDX-License-Identifier: Apache-2.0
"""What real servers answer (Elasticsearch 7 to 9, OpenSearch 1 to 3), row by row, and
what becomes of the events. What waits is said once, with what to do about it, and its
end is said; nothing is dropped. (unit/test_verdict.c has the same rows.)"""

from __future__ import annotations

import datetime
import re
from email.utils import format_datetime

import pytest

import faults
from auditlog import sequence
from checks import assert_once
from faults import Item, Whole
from wait import wait_until

BLOCK = "cluster_block_exception"


def warnings(a) -> list[str]:
    return [line for line in a.log().splitlines() if " warn lane audit/search" in line]


def tried(a, times: int):
    """So often the lane has been turned away."""
    def look() -> bool:
        return a.counters()["audit/search"]["retried"] >= times
    wait_until(look, f"tried {times} times", context=a.log)


# -- single items -------------------------------------------------------------

REFUSED = {
    "index_into_a_data_stream": Item(
        400, "illegal_argument_exception",
        "only write ops with an op_type of create are allowed in data streams"),
    "wrong_type_opensearch": Item(
        400, "mapper_parsing_exception", "failed to parse field [sourceIPs] of type [ip]"),
    "wrong_type": faults.BAD_DOCUMENT,
    "immense_term": faults.IMMENSE_TERM,
    "strict_mapping": Item(
        400, "strict_dynamic_mapping_exception",
        "mapping set to strict, dynamic introduction of [x] within [_doc] is not allowed"),
    "too_many_fields": Item(
        400, "illegal_argument_exception", "Limit of total fields [3] has been exceeded"),
    "too_many_fields_es9": Item(
        400, "document_parsing_exception",
        "[1:9] failed to parse: Limit of total fields [3] has been exceeded"),
    "index_closed": faults.INDEX_CLOSED,
    "bad_index_name": Item(
        400, "invalid_index_name_exception", "Invalid index name [X], must be lowercase"),
    "empty_id": Item(
        400, "illegal_argument_exception",
        "if _id is specified it must not be empty"),
}

# (item, what the log tells a person to look at)
WAITING = {
    "disk_full": (faults.DISK_FULL, "free space"),
    "write_block": (faults.WRITE_BLOCK, "index.blocks.write to null"),
    "read_only_index": (Item(
        403, BLOCK, "index [{index}] blocked by: [FORBIDDEN/5/index read-only (api)];"),
        "index.blocks.read_only to null"),
    "metadata_block": (Item(
        403, BLOCK, "index [{index}] blocked by: [FORBIDDEN/9/index metadata (api)];"),
        "index.blocks.metadata to null"),
    "no_right_to_an_index": (faults.NO_RIGHT, "create_doc"),
    "no_such_alias": (Item(
        404, "index_not_found_exception", "no such index [x] and [require_alias] request "
        "flag is [true] and [x] is not an alias"), "make the alias"),
    "alias_without_write_index": (Item(
        400, "illegal_argument_exception", "no write index is defined for alias [x]"),
        "is_write_index"),
    "unknown_pipeline": (Item(
        400, "illegal_argument_exception", "pipeline with id [x] does not exist"),
        "correct `pipeline`"),
    "no_routing": (Item(
        400, "routing_missing_exception", "routing is required for [{index}]/[{id}]"),
        "set `routing`"),
    "no_auto_create": (faults.NO_INDEX, "action.auto_create_index"),
    "no_data_stream": (faults.NO_STREAM, "write to it as"),
    "no_data_stream_template": (faults.NO_STREAM_TEMPLATE, "index template first"),
    "shard_not_allocated": (faults.NO_SHARD, "_cluster/allocation/explain"),
    "quorum_lost_opensearch": (faults.NODE_LOST, "a node has left"),
    "queue_full": (faults.QUEUE_FULL, "the cluster is busy"),
    "queue_full_opensearch": (faults.QUEUE_FULL_OPENSEARCH, "the cluster is busy"),
}


def every_fourth(o) -> bool:
    return sequence(o.doc) % 4 == 1


@pytest.mark.parametrize("name", REFUSED)
def test_an_item_that_is_refused_is_a_dead_letter_alone(rig, name):
    fault = REFUSED[name]
    rig.bulk.item_fault = lambda o: fault if every_fourth(o) else None
    rig.log.append(40)
    a = rig.start({"search": rig.search(batch_events=20)})
    rig.wait_settled(a, read=40)
    assert_once(rig.bulk, [x for x in rig.log.lines if sequence(x) % 4 != 1])
    letters = a.dead("search")
    assert len(letters) == 10
    assert all(d["status"] == fault.status and fault.type in d["reason"]
               for d in letters)


@pytest.mark.parametrize("name", WAITING)
def test_an_item_that_waits_is_told_of_once_and_holds_no_neighbour(rig, name):
    """But a cluster that is busy is left alone for a while, with all there is."""
    fault, advice = WAITING[name]
    rig.bulk.item_fault = lambda o: fault if every_fourth(o) else None
    rig.log.append_at_once(40)
    a = rig.start({"search": rig.search(batch_events=20)})
    if "busy" not in advice:
        wait_until(lambda: rig.bulk.stored_count() == 30, "the others are stored",
                   context=a.log)
    tried(a, 60)
    [said] = warnings(a)
    assert fault.type in said and advice in said and str(fault.status) in said
    assert a.dead("search") == [] and "taken again" not in a.log()
    rig.bulk.heal()
    rig.wait_delivered()
    a.wait_log("events are taken again after")
    assert len(warnings(a)) == 1


def test_the_same_id_again_is_a_duplicate(rig):
    rig.log.append(20)
    rig.bulk.plan(faults.LOST)
    a = rig.start({"search": rig.search(in_flight=1)})
    rig.wait_delivered()
    c = rig.wait_settled(a, read=20)["audit/search"]
    assert c["duplicate"] >= 1 and c["dead"] == 0


# -- whole requests -----------------------------------------------------------

# (fault, what the log says)
BLOCKED = {
    "read_only_cluster": (faults.READ_ONLY, "cluster.blocks.read_only_allow_delete"),
    "no_master": (Whole("status", 503, type=BLOCK,
                        reason="blocked by: [SERVICE_UNAVAILABLE/2/no master];"),
                  "no elected master"),
    "not_recovered": (Whole("status", 503, type=BLOCK,
                            reason="blocked by: [SERVICE_UNAVAILABLE/1/state not "
                            "recovered / initialized];"), "still starting"),
    "disk_full": (Whole("status", 429, type=BLOCK,
                        reason="index [x] blocked by: [TOO_MANY_REQUESTS/12/disk usage "
                        "exceeded flood-stage watermark, index has read-only-allow-"
                        "delete block];"), "free space"),
    "no_bulk_right": (faults.FORBIDDEN, "create_doc"),
    "wrong_content_type": (faults.WRONG_TYPE, r"Content-Type header .* is not supported"),
    "unknown_parameter": (Whole("status", 400, type="illegal_argument_exception",
                                reason="request [/_bulk] contains unrecognized "
                                "parameter: [pipeline]"), "too old"),
    "not_found": (faults.NOT_FOUND, "is the path in hosts right"),
    "moved": (faults.MOVED, r"go to https://elsewhere.invalid/_bulk; redirects are not "
              "followed"),
    "moved_for_good": (Whole("status", 308, location="https://elsewhere.invalid/"),
                       "redirects are not followed"),
    "html": (faults.HTML_200, "<html>.*no answer to a bulk request"),
    "bad_gateway": (faults.BAD_GATEWAY, "502 Bad Gateway.*the server behind it"),
    "gateway_timeout": (faults.GATEWAY_TIMEOUT, "the proxy's timeout"),
    "unavailable": (faults.UNAVAILABLE, "answered 503"),
    "server_error": (faults.SERVER_ERROR, "answered 500"),
    "timeout": (faults.TIMEOUT, "answered 408"),
    "memory_pressure": (faults.TOO_MANY, "the cluster is busy"),
    "no_answer": (faults.LOST, "https://"),
    "reset": (faults.RESET_BODY, "reset|[Bb]roken pipe|onnection"),
    "too_many_items": (faults.LONG, "answered for 22 of 20 events"),
}


@pytest.mark.parametrize("name", BLOCKED)
def test_a_whole_request_that_waits_is_told_of_once(rig, name):
    fault, words = BLOCKED[name]
    rig.bulk.whole_fault = lambda n: fault
    rig.log.append_at_once(20)
    a = rig.start({"search": rig.search(batch_events=20, in_flight=1)})
    a.wait_log("warn lane audit/search: .*(" + words + ")")
    tried(a, 100)
    assert len(warnings(a)) == 1, warnings(a)
    assert a.dead("search") == [] and "taken again" not in a.log()
    rig.bulk.heal()
    rig.wait_delivered()
    a.wait_log("events are taken again after")
    assert len(warnings(a)) == 1


@pytest.mark.parametrize("flavour", ["elasticsearch", "opensearch"])
def test_no_credentials_are_told_of_once(rig, flavour):
    """JSON and three headers of one, text/plain of the other."""
    rig.new_bulk(flavour=flavour, basic=("tallyman", "right"))
    rig.log.append(20)
    a = rig.start({"search": rig.search()})
    a.wait_log(r"warn lane audit/search: .*401.*credentials are not accepted")
    tried(a, 60)
    assert len(warnings(a)) == 1, warnings(a)
    rig.bulk.basic = None
    rig.wait_delivered()
    a.wait_log("events are taken again after")


@pytest.mark.parametrize("type_, reason", [
    ("json_parse_exception", "Unexpected character"),
    ("x_content_parse_exception", "[1:1] Unexpected character"),
    ("x_content_e_o_f_exception", "Unexpected end-of-input"),
    ("parse_exception", "request body is required"),
    ("illegal_argument_exception", "Malformed action/metadata line [1]"),
    ("action_request_validation_exception",
     "Validation Failed: 1: id [x] is too long, must be no longer than 512 bytes"),
])
def test_a_whole_400_is_halved_until_it_is_taken(rig, type_, reason):
    rig.bulk.plan(*[Whole("status", 400, type=type_, reason=reason)] * 3)
    rig.log.append_at_once(64)
    a = rig.start({"search": rig.search(in_flight=1)})
    rig.wait_delivered()
    assert rig.wait_settled(a, read=64)["audit/search"]["dead"] == 0
    assert [r.items or 64 for r in rig.bulk.requests][3] <= 32


def test_a_packed_answer_nobody_asked_for_is_read(rig):
    rig.bulk.plan(*[faults.PACKED] * 3)
    rig.log.append(30)
    a = rig.start({"search": rig.search(batch_events=10)})
    rig.wait_delivered()
    c = rig.wait_settled(a, read=30)["audit/search"]
    assert c["delivered"] == 30 and c["duplicate"] == 0


def test_a_redirect_is_not_followed(rig):
    """Credentials and events do not go to a stranger."""
    stranger = rig.new_bulk()
    bulk = rig.new_bulk(api_key="mine")
    for code in (301, 302, 307, 308):
        bulk.plan(Whole("status", code, location=stranger.url + "/_bulk"))
    rig.log.append(20)
    a = rig.start({"search": rig.search(bulk, api_key="mine")})
    rig.wait_delivered(bulk=bulk)
    a.wait_log(f"go to {stranger.url}/_bulk; redirects are not followed")
    assert stranger.connections == 0


# -- patience -----------------------------------------------------------------


def pause_of(a) -> int:
    return int(a.wait_log(r"next in (\d+) ms")[1])


@pytest.mark.parametrize("code", [429, 503])
def test_retry_after_in_seconds_is_heeded(rig, code):
    rig.bulk.plan(faults.status(code, retry_after=1))
    rig.log.append(20)
    a = rig.start({"search": rig.search(in_flight=1)})
    assert 1000 <= pause_of(a) < 2000
    rig.wait_delivered()


def test_retry_after_as_a_date_is_heeded(rig):
    at = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)
    rig.bulk.whole_fault = lambda n: faults.status(
        503, retry_after=format_datetime(at, usegmt=True))
    rig.log.append(20)
    a = rig.start({"search": rig.search(in_flight=1)}, drain_timeout="100ms")
    assert pause_of(a) == 300_000       # no more than five minutes


@pytest.mark.parametrize("value", ["Wed, 21 Oct 2015 07:28:00 GMT", "soon", "-1", "0"])
def test_a_retry_after_that_says_nothing_does_no_harm(rig, value):
    rig.bulk.plan(faults.status(503, retry_after=value))
    rig.log.append(20)
    a = rig.start({"search": rig.search(in_flight=1)})
    assert pause_of(a) <= 50
    rig.wait_delivered()


def test_a_connection_that_hangs_and_then_answers_half_503(rig):
    """A primary died: the server waits a minute for its shard, then answers for all
    items at once. It is told to do that before we give up."""
    rig.bulk.plan(faults.HANG)
    rig.bulk.item_fault = lambda o: (
        faults.NO_SHARD if sequence(o.doc) % 2 and o.before == 0 else None)
    rig.log.append_at_once(20)
    a = rig.start({"search": rig.search(in_flight=1)})
    wait_until(lambda: rig.bulk.open_now == 1, "it hangs", context=a.log)
    [held] = rig.bulk.requests
    assert int(re.search(r"timeout=(\d+)ms", held.target)[1]) == 45_000   # of 60 s
    assert rig.bulk.stored_count() == 0
    rig.bulk.release()
    rig.wait_delivered()
    a.wait_log(r"warn lane audit/search: .*_cluster/allocation/explain")
    for d in rig.bulk.stored():
        assert d.offered == (2 if sequence(d.doc) % 2 else 1)


@pytest.mark.parametrize("timeout, servers", [("1s", 750), ("100ms", 75), ("1h", 2700000)])
def test_the_server_gives_up_before_we_do(rig, timeout, servers):
    rig.log.append(5)
    rig.start({"search": rig.search(timeout=timeout)})
    rig.wait_delivered()
    assert f"timeout={servers}ms" in rig.bulk.requests[0].target
