# SPDX-License-Identifier: Apache-2.0
"""What a search server refuses is sent in a form that it takes; nobody else gets
anything but the event's own bytes."""

from __future__ import annotations

import json
import re

import pytest

import faults
from auditlog import id_of, sequence
from checks import assert_once, assert_refused

TWICE = b'{"spec":{"replicas":1,"replicas":2,"name":"caf\xe9"}}'
REPAIRED = {"spec": {"replicas#1": 1, "replicas": 2, "name": "caf\ufffd"}}


def write(rig, verb: bytes, member: bytes, body: bytes) -> bytes:
    """An event with this body; it counts among the log's lines."""
    event = json.loads(rig.log.make(pad=10))
    for name in ("requestObject", "responseObject"):
        del event[name]
    event["verb"] = verb.decode()
    line = json.dumps(event, separators=(",", ":")).encode()
    time = b'"requestReceivedTimestamp"'
    line = line.replace(time, b'"%s":%s,%s' % (member, body, time))
    rig.log.write(line + b"\n")
    rig.log.lines.append(line)
    return line


def doc_of(rig, line: bytes) -> dict:
    [doc] = [d for d in rig.bulk.stored() if d.id == id_of(line)]
    return json.loads(doc.doc)


def assert_others_once(rig, but: list[bytes]) -> None:
    """Each other event is stored as it is, and was offered once."""
    ids = {id_of(line) for line in but}
    others = [d for d in rig.bulk.stored() if d.id not in ids]
    assert len(others) == len(rig.log.lines) - len(but)
    assert all(d.offered == 1 for d in others)


def test_the_body_of_a_patch_is_repaired_before_it_is_sent(rig):
    rig.log.append(5)
    line = write(rig, b"patch", b"requestObject", TWICE)
    rig.log.append(5)
    a = rig.start()
    rig.wait_archived()             # the file output has the API server's bytes
    c = rig.wait_settled(a, read=11)
    assert doc_of(rig, line)["requestObject"] == REPAIRED
    assert_others_once(rig, [line])
    assert [d.answers for d in rig.bulk.stored()] == [[201]] * 11
    assert c["audit/search"]["repaired"] == 1 and c["audit/search"]["retried"] == 0
    assert c["audit/archive"]["repaired"] == 0
    assert a.dead("search") == []


def test_what_shows_no_sign_is_repaired_when_it_is_refused(rig):
    """Its neighbours are not sent again, nobody waits, and nothing is said."""
    rig.log.append(5)
    lines = [write(rig, b"create", b"requestObject", TWICE),
             write(rig, b"get", b"responseObject", TWICE)]
    rig.log.append(5)
    a = rig.start({"search": rig.search(backoff_min="10m", backoff_max="1h"),
                   "archive": rig.file()})
    rig.wait_archived()
    c = rig.wait_settled(a, read=12)["audit/search"]
    assert doc_of(rig, lines[0])["requestObject"] == REPAIRED
    assert doc_of(rig, lines[1])["responseObject"] == REPAIRED
    assert_others_once(rig, lines)
    assert (c["repaired"], c["retried"], c["dead"], c["blocked"]) == (2, 2, 0, 0)
    assert not re.search(r"^\S+ (warn|error) ", a.log(), re.M)


def test_without_gzip_and_one_item_a_request(rig):
    rig.log.append(3)
    line = write(rig, b"create", b"requestObject", TWICE)
    rig.log.append(3)
    a = rig.start({"search": rig.search(compression="none", batch_events=1)})
    c = rig.wait_settled(a, read=7)["audit/search"]
    assert (c["repaired"], c["delivered"]) == (1, 7)
    assert doc_of(rig, line)["requestObject"] == REPAIRED


def test_a_body_that_would_end_a_server_is_never_sent(rig):
    """OpenSearch's node dies of 500 levels in a flat_object."""
    deep = b'{"a":' * 600 + b"1" + b"}" * 600
    lines = [write(rig, verb, b"requestObject", deep) for verb in (b"patch", b"create")]
    a = rig.start()
    rig.wait_archived()
    c = rig.wait_settled(a, read=2)["audit/search"]
    assert (c["repaired"], c["retried"]) == (2, 0)
    for line in lines:
        text, levels = doc_of(rig, line)["requestObject"], 1
        while isinstance(text, dict):
            text, levels = text["a"], levels + 1
        assert levels == 100 and text.startswith('{"a":{"a":')


@pytest.mark.parametrize("refused", [faults.IMMENSE_TERM, faults.IMMENSE_TERM_BELOW])
def test_long_values_are_cut_once_a_server_has_refused_one(rig, refused):
    """The first is refused and cut; those after it are cut at once. Where none is
    refused, none is cut: test_bad_input has lines of many MiB."""
    rig.bulk.item_fault = (
        lambda o: refused if len(max(o.doc.split(b'"'), key=len)) > 32766
        else None)
    rig.log.append(3)
    first = write(rig, b"create", b"requestObject", b'{"a":"' + b"x" * 40000 + b'"}')
    a = rig.start()
    rig.wait_settled(a, read=4)
    rig.log.append(3)
    more = [write(rig, b"get", b"responseObject",
                  b'{"%d":"' % n + b"y" * 50000 + b'"}') for n in range(3)]
    rig.wait_archived()
    c = rig.wait_settled(a, read=10)["audit/search"]
    assert (c["repaired"], c["retried"], c["dead"]) == (4, 1, 0)
    assert_others_once(rig, [first, *more])
    for line in more:
        [value] = doc_of(rig, line)["responseObject"].values()
        assert re.fullmatch(r"y{8000}\.\.\. \(cut by tallyman: 50000 bytes, "
                            r"sha256 [0-9a-f]{64}\)", value)


def test_what_stays_refused_is_a_dead_letter_with_its_place(rig):
    """Repaired once, and refused for something else: not sent for ever."""
    bad = {}
    rig.bulk.item_fault = (
        lambda o: faults.BAD_DOCUMENT if sequence(o.doc) in bad else None)
    rig.log.append(3)
    line = write(rig, b"create", b"requestObject", TWICE)
    bad[sequence(line)] = line
    rig.log.append(3)
    a = rig.start()
    c = rig.wait_settled(a, read=7)["audit/search"]
    assert (c["repaired"], c["retried"], c["dead"]) == (0, 1, 1)
    assert_once(rig.bulk, [x for x in rig.log.lines if x is not line])
    [letter] = a.dead("search")
    assert letter["id"] == id_of(line) and letter["length"] == len(line)
    with rig.log_path.open("rb") as f:
        f.seek(letter["offset"])
        assert f.read(letter["length"]) == line


def test_what_is_refused_for_no_reason_of_ours_is_sent_once(rig):
    rig.log.append(5)
    bad = rig.log.lines[2]
    rig.bulk.item_fault = (
        lambda o: faults.BAD_DOCUMENT if sequence(o.doc) == sequence(bad) else None)
    a = rig.start()
    c = rig.wait_settled(a, read=5)["audit/search"]
    assert (c["repaired"], c["retried"], c["dead"]) == (0, 0, 1)
    [letter] = a.dead("search")
    assert_refused(letter, bad, 400, faults.BAD_DOCUMENT.type)


def test_a_failure_store_is_not_the_stream(rig):
    """Elasticsearch says 201 of what it sets aside there: that is repaired too, or a
    dead letter; it never counts as delivered."""
    bad = {}

    def set_aside(o):
        return faults.FAILURE_STORE if o.problem or sequence(o.doc) in bad else None

    rig.bulk.item_fault = set_aside
    rig.log.append(3)
    line = write(rig, b"create", b"requestObject", TWICE)
    rig.log.append(3)
    bad[5] = rig.log.lines[5]
    a = rig.start()
    c = rig.wait_settled(a, read=7)["audit/search"]
    assert (c["delivered"], c["repaired"], c["dead"]) == (6, 1, 1)
    assert doc_of(rig, line)["requestObject"] == REPAIRED
    [letter] = a.dead("search")
    assert letter["id"] == id_of(bad[5])
    assert letter["reason"].startswith("failure_store: the data stream put it into")


def test_repaired_events_stay_what_they_are_after_a_crash(rig):
    """The id is that of the event's own bytes: sent again, it is a duplicate."""
    lines = [write(rig, b"patch", b"requestObject", TWICE),
             write(rig, b"create", b"requestObject", TWICE)]
    first = rig.start({"search": rig.search()})
    rig.wait_settled(first, read=2)
    first.kill()
    second = rig.agent({"search": rig.search()}, state_dir=rig.home / "new").start()
    c = rig.wait_settled(second, read=2)["audit/search"]
    assert (c["duplicate"], c["delivered"]) == (2, 0)
    assert [d.stored for d in rig.bulk.stored()] == [1, 1]
    assert all(doc_of(rig, line)["requestObject"] == REPAIRED for line in lines)
