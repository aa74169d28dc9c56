# SPDX-License-Identifier: Apache-2.0
"""A data stream never becomes a plain index, on a server that sees to it and on one
that does not. (The server counts it as a violation where it does.)"""

from __future__ import annotations

import pytest

import faults
from wait import wait_until

NAME = "logs-kubernetes.audit-default"


@pytest.fixture(params=["knows_require", "does_not"])
def bulk(request, rig):
    b = rig.new_bulk(
        flavour="elasticsearch" if request.param == "knows_require" else "opensearch")
    b.streams = set()
    return b


def stream(rig, **over):
    return {"search": rig.search(data_stream=NAME, **over)}


def wait_stored(rig, n: int, index: str = NAME) -> None:
    wait_until(lambda: rig.bulk.stored_count() == n, f"{n} are stored",
               context=rig.logs_tail)
    assert {d.index for d in rig.bulk.stored()} == {index}


def test_a_stream_that_is_there_is_written_to(rig, bulk):
    bulk.streams.add(NAME)
    rig.log.append(50)
    a = rig.start(stream(rig, batch_events=10))
    wait_stored(rig, 50)
    assert rig.wait_settled(a, read=50)["audit/search"]["dead"] == 0


def test_a_stream_that_a_template_makes_is_written_to(rig, bulk):
    rig.log.append(50)
    rig.start(stream(rig, batch_events=10))
    wait_stored(rig, 50)
    assert bulk.streams == {NAME}


def test_without_a_template_nothing_is_sent_until_there_is_one(rig, bulk):
    """Neither an index nor dead letters: it waits, and says what to do."""
    bulk.template = False
    rig.log.append(50)
    a = rig.start(stream(rig))
    a.wait_log(r"warn lane audit/search: .*tallyman setup")
    assert bulk.stored_count() == 0 and a.dead("search") == []
    bulk.template = True
    wait_stored(rig, 50)
    assert rig.wait_settled(a, read=50)["audit/search"]["dead"] == 0


def test_a_stream_that_the_user_may_not_see_is_written_to(rig):
    """The server leaves it out of its answer, but will not make it again."""
    rig.new_bulk(flavour="opensearch")
    rig.bulk.streams = {NAME}
    rig.bulk.hidden = {NAME}
    rig.log.append(20)
    rig.start(stream(rig))
    wait_stored(rig, 20)


def test_who_may_not_look_is_told_which_right_it_takes(rig):
    rig.new_bulk(flavour="opensearch")
    rig.bulk.streams = {NAME}
    rig.bulk.may_resolve = False
    rig.log.append(20)
    a = rig.start(stream(rig))
    a.wait_log(r"warn lane audit/search: cannot find out .*403.*view_index_metadata")
    assert rig.bulk.request_count() <= 4        # which stored nothing
    assert rig.bulk.stored_count() == 0
    rig.bulk.may_resolve = True
    wait_stored(rig, 20)


def test_an_index_of_that_name_is_not_written_to(rig, bulk):
    bulk.plain = {NAME}
    rig.log.append(20)
    a = rig.start(stream(rig), drain_timeout="100ms")
    a.wait_log(r"warn lane audit/search: .*write to it as `?index")
    assert bulk.stored_count() == 0 and a.dead("search") == []


def test_a_cluster_that_went_away_is_asked_again(rig):
    """It may come back as another one, without the stream."""
    rig.new_bulk(flavour="opensearch")
    rig.bulk.streams = {NAME}
    rig.log.append(10)
    a = rig.start(stream(rig))
    wait_stored(rig, 10)
    rig.bulk.stop()
    rig.log.append(10)
    a.wait_log(r"warn lane audit/search: ")
    rig.bulk.streams, rig.bulk.template = set(), False
    rig.bulk.start()
    a.wait_log(r"warn lane audit/search: .*no matching index template")
    assert rig.bulk.stored_count() == 10
    rig.bulk.template = True
    wait_stored(rig, 20)


def test_a_server_that_is_not_known_is_tried_with_the_parameter(rig):
    """Who may not ask who it is learns from the answer."""
    rig.new_bulk(flavour="opensearch")
    rig.bulk.streams = {NAME}
    rig.bulk.hides_itself = True
    rig.log.append(20)
    a = rig.start(stream(rig, in_flight=1))
    wait_stored(rig, 20)
    first = rig.bulk.requests[0]
    assert "require_data_stream=true" in first.target and first.status == 400
    assert "warn" not in a.log()
    assert rig.wait_settled(a, read=20)["audit/search"]["blocked"] == 0


def test_an_alias_that_is_required_and_missing_is_waited_for(rig):
    fault = faults.Item(404, "index_not_found_exception",
                        "no such index [{index}] and [require_alias] request flag is "
                        "[true] and [{index}] is not an alias")
    rig.bulk.item_fault = lambda o: fault
    rig.log.append(20)
    a = rig.start({"search": rig.search(index="audit", require_alias="true")})
    a.wait_log(r"warn lane audit/search: .*alias")
    assert a.dead("search") == []
    assert "require_alias=true" in rig.bulk.requests[0].target
    rig.bulk.heal()
    wait_stored(rig, 20, "audit")
