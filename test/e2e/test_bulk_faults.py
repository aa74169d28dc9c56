# SPDX-License-Identifier: Apache-2.0
"""Every way a bulk request can go wrong: nothing lost, nothing stored twice."""

from __future__ import annotations

import os
import random

import pytest

import faults
from auditlog import id_of, sequence
from checks import assert_once, assert_refused
from wait import wait_until

WAITED_FOR = ("whole_401", "whole_403", "whole_404", "whole_301")


@pytest.mark.parametrize("name", sorted(faults.PASSING))
def test_a_request_that_fails_as_a_whole_is_sent_again(rig, name):
    rig.bulk.plan(faults.PASSING[name], None, faults.PASSING[name])
    a = rig.start({"search": rig.search(batch_events=20), "archive": rig.file()})
    rig.log.append(100)
    rig.wait_delivered()
    rig.wait_archived()
    wait_until(lambda: rig.bulk.plan_left() == 0, "the plan was carried out")
    c = rig.wait_settled(a, read=100)["audit/search"]
    assert c["delivered"] + c["duplicate"] == 100 and c["dead"] == 0
    assert a.dead("search") == []
    if name in WAITED_FOR:
        assert c["blocked"] >= 1
        status = name.removeprefix("whole_")
        a.wait_log(rf"(warn|error) lane audit/search: .*{status}")


@pytest.mark.parametrize("name", sorted(faults.PASSING))
def test_the_same_without_gzip_one_request_at_a_time(rig, name):
    rig.bulk.plan(faults.PASSING[name], faults.PASSING[name])
    rig.start({"search": rig.search(compression="none", in_flight=1, batch_events=9)})
    rig.log.append(50)
    rig.wait_delivered()


@pytest.mark.parametrize("name", sorted(faults.RETRIED))
def test_an_item_that_may_pass_later_is_sent_again_alone(rig, name):
    """Twice it fails, then it is taken; its neighbours are not sent again."""
    fault = faults.RETRIED[name]
    failing = {3, 4, 17, 40}
    rig.bulk.item_fault = (
        lambda o: fault if sequence(o.doc) in failing and o.before < 2 else None)
    a = rig.start({"search": rig.search(batch_events=20), "archive": rig.file()})
    rig.log.append(60)
    rig.wait_delivered()
    rig.wait_archived()
    for d in rig.bulk.stored():
        assert d.offered == (3 if sequence(d.doc) in failing else 1)
    c = rig.wait_settled(a, read=60)["audit/search"]
    assert c["delivered"] == 60 and c["retried"] >= 2
    if fault.status == 403 or fault is faults.DISK_FULL:
        a.wait_log(r"(warn|error) lane audit/search: .*"
                   r"(blocked by|unauthorized|block_exception|security_exception)")


@pytest.mark.parametrize("name", sorted(faults.RETRIED))
def test_all_items_fail_for_a_while(rig, name):
    rig.bulk.item_fault = lambda o: faults.RETRIED[name] if o.before < 3 else None
    rig.start({"search": rig.search()})
    rig.log.append(40)
    rig.wait_delivered()
    assert all(d.offered == 4 for d in rig.bulk.stored())


@pytest.mark.parametrize("name", sorted(faults.REFUSED))
def test_a_refused_item_goes_to_the_dead_letters_with_its_reason(rig, name):
    fault = faults.REFUSED[name]
    bad = {5, 6, 33}
    rig.bulk.item_fault = lambda o: fault if sequence(o.doc) in bad else None
    a = rig.start()
    rig.log.append(50)
    good = [line for line in rig.log.lines if sequence(line) not in bad]
    rig.wait_delivered(lines=good)
    rig.wait_archived()
    c = rig.wait_settled(a, read=50)
    assert c["audit/search"]["refused"] == 3
    assert c["audit/archive"]["dead"] == 0 and a.dead("archive") == []
    letters = a.dead("search")
    assert len(letters) == 3
    by_id = {letter["id"]: letter for letter in letters}
    for line in rig.log.lines:
        if sequence(line) in bad:
            letter = by_id[id_of(line)]
            assert_refused(letter, line, fault.status, fault.type)
    assert all(len(d.answers) == 1 for d in rig.bulk.docs.values())


def test_an_event_that_is_there_already_counts_as_duplicate(rig):
    rig.log.append(30)
    first = rig.start({"search": rig.search()})
    rig.wait_delivered()
    first.stop()
    second = rig.agent({"search": rig.search()}, state_dir=rig.home / "new").start()
    rig.log.append(30)
    c = rig.wait_settled(second, read=60)["audit/search"]
    assert (c["duplicate"], c["delivered"], c["dead"]) == (30, 30, 0)
    rig.wait_delivered()


def test_lost_answers_are_settled_as_duplicates(rig):
    """The first request as often as that: ten events, for they are there already."""
    rig.bulk.plan(*[faults.LOST_RESET] * 4)
    rig.log.append(40)
    a = rig.start({"search": rig.search(in_flight=1, batch_events=10)})
    rig.wait_delivered()
    c = rig.wait_settled(a, read=40)["audit/search"]
    assert c["duplicate"] >= 10 and c["delivered"] + c["duplicate"] == 40


def test_a_short_answer_settles_what_it_names(rig):
    rig.bulk.plan(faults.Whole("short", keep=12))
    a = rig.start({"search": rig.search(in_flight=1)}, trail={"start": "beginning"})
    rig.log.append_at_once(30)
    rig.wait_delivered()
    rig.wait_settled(a, read=30)
    assert sum(d.offered == 1 for d in rig.bulk.stored()) >= 12


def test_one_poison_document_is_found_by_halving(rig):
    """A whole 400 says nothing about which; good neighbours must get through."""
    poison = {13, 38}
    rig.bulk.poison = lambda o: sequence(o.doc) in poison
    a = rig.agent({"search": rig.search()})
    rig.log.append(64)
    a.start()
    good = [line for line in rig.log.lines if sequence(line) not in poison]
    rig.wait_delivered(lines=good)
    rig.wait_settled(a, read=64)
    letters = a.dead("search")
    assert sorted(sequence(rig.log.lines[n]) for n in poison) == sorted(
        int(letter["document"]["objectRef"]["name"][4:])
        if isinstance(letter["document"], dict)
        else sequence(letter["document"].encode()) for letter in letters)
    assert {letter["status"] for letter in letters} == {400}


@pytest.mark.parametrize("compression", ["gzip", "none"])
def test_413_halves_until_it_fits(rig, compression):
    rig.bulk.max_body = 6000
    rig.log.append(200)
    a = rig.start({"search": rig.search(compression=compression)})
    rig.wait_delivered()
    assert rig.wait_settled(a, read=200)["audit/search"]["refused"] == 0


def test_413_of_one_single_event_is_refused(rig):
    rig.bulk.max_body = 6000
    rig.log.append(20)
    [big] = rig.log.append(pad=10_000)
    rig.log.append(20)
    a = rig.start()
    rig.wait_delivered(lines=[line for line in rig.log.lines if line != big])
    rig.wait_archived()
    rig.wait_settled(a, read=41)
    [letter] = a.dead("search")
    assert_refused(letter, big, 413, "")


def test_413_while_the_body_is_still_being_written(rig):
    """Elasticsearch 9 answers and closes without reading to the end."""
    rig.bulk.max_body = 50_000
    rig.bulk.close_on_413 = True
    rig.log.append(600)
    rig.start({"search": rig.search(compression="none", batch_bytes="256KiB")})
    rig.wait_delivered()


def test_a_429_that_is_permanent_for_this_size_halves(rig):
    """Indexing pressure: a request above the limit is refused for ever."""
    rig.bulk.max_pressure = 6000
    rig.log.append(100)
    rig.start({"search": rig.search()})
    rig.wait_delivered()


def test_retry_after_is_heeded_at_least_by_not_failing(rig):
    rig.bulk.plan(faults.status(429, retry_after=1))
    rig.start({"search": rig.search(batch_events=10)})
    rig.log.append(30)
    rig.wait_delivered()


def test_a_slow_answer_is_waited_for(rig):
    rig.bulk.plan(*[faults.Whole("slow", seconds=0.3)] * 3)
    rig.start({"search": rig.search(batch_events=10)})
    rig.log.append(60)
    rig.wait_delivered()
    assert all(d.offered == 1 for d in rig.bulk.stored())


@pytest.mark.parametrize("kind", [faults.HANG, faults.HANG_AFTER])
def test_a_server_that_never_answers_is_given_up_after_timeout(rig, kind):
    rig.bulk.plan(kind)
    a = rig.start({"search": rig.search(timeout="1s", batch_events=10)})
    rig.log.append(30)
    rig.wait_delivered()
    c = rig.wait_settled(a, read=30)["audit/search"]
    assert c["delivered"] + c["duplicate"] == 30


def test_nobody_listens_for_a_while(rig):
    a = rig.start()
    rig.log.append(50)
    rig.wait_delivered()
    for _ in range(3):
        rig.bulk.stop()
        rig.log.append(50)
        a.wait_log(r"(warn|error) lane audit/search: ")
        rig.wait_archived()
        rig.bulk.start()
        rig.log.append(50)
        rig.wait_delivered()


def test_the_server_goes_away_in_the_middle_of_requests(rig):
    rig.bulk.plan(*[faults.HANG] * 2, *[faults.HANG_AFTER] * 2)
    rig.start({"search": rig.search(batch_events=10)})
    rig.log.append(60)
    wait_until(lambda: rig.bulk.open_now == 4, "four requests are held")
    rig.bulk.stop()
    rig.bulk.start()
    rig.wait_delivered()


def test_a_connection_that_is_closed_while_idle_is_no_fault(rig):
    a = rig.start({"search": rig.search(in_flight=1)})      # one connection at most
    for _ in range(5):
        rig.log.append(3)
        rig.wait_delivered()
        rig.wait_settled(a, read=len(rig.log.lines))
        were = rig.bulk.connections
        rig.bulk.hang_up()
        rig.log.append(3)
        rig.wait_delivered()
        assert rig.bulk.connections == were + 1
    assert "trying again" not in a.log()


def test_an_outage_is_told_once_and_its_end_too(rig):
    """Not a line per attempt: the log must stay readable."""
    rig.bulk.stop()
    a = rig.start({"search": rig.search(backoff_min="1ms", backoff_max="2ms")})
    rig.log.append(20)

    def attempts() -> int:
        c = a.counters()["audit/search"]
        return c["retried"] + c["blocked"]

    wait_until(lambda: attempts() >= 100, "a hundred attempts", context=a.log)
    warnings = [line for line in a.log().splitlines()
                if " warn lane audit/search" in line
                or " error lane audit/search" in line]
    assert 1 <= len(warnings) <= 20, warnings
    rig.bulk.start()
    rig.wait_delivered()


def test_every_fault_at_random(rig):
    seed = int(os.environ.get("TALLYMAN_SEED") or random.randrange(2**31))
    print(f"TALLYMAN_SEED={seed}")
    rig.bulk.chaos = faults.Chaos(seed, p_whole=0.4, p_item=0.5)
    a = rig.start({"search": rig.search(batch_events=25), "archive": rig.file()})
    for _ in range(10):
        rig.log.append(60)
        rig.log.rotate()
    rig.wait_archived()
    rig.wait_delivered(deadline=40)
    c = rig.wait_settled(a, read=600)["audit/search"]
    assert c["delivered"] + c["duplicate"] == 600 and c["dead"] == 0


def test_every_fault_at_random_with_refusals(rig):
    seed = int(os.environ.get("TALLYMAN_SEED") or random.randrange(2**31))
    print(f"TALLYMAN_SEED={seed}")
    bad = set(random.Random(seed).sample(range(500), 40))
    rig.bulk.chaos = faults.Chaos(seed, p_whole=0.3, p_item=0.3)
    rig.bulk.item_fault = (
        lambda o: faults.BAD_DOCUMENT if sequence(o.doc) in bad else None)
    a = rig.start({"search": rig.search(batch_events=25)})
    rig.log.append(500)
    good = [line for line in rig.log.lines if sequence(line) not in bad]
    rig.wait_delivered(deadline=40, lines=good)
    c = rig.wait_settled(a, read=500)["audit/search"]
    assert c["refused"] == 40
    assert len({letter["id"] for letter in a.dead("search")}) == 40


def warnings_of(a) -> list[str]:
    return [line for line in a.log().splitlines()
            if " warn lane audit/search" in line]


def test_some_items_that_stay_blocked_are_told_of_once(rig):
    """Though their neighbours are taken all the time, and the reasons differ."""
    stuck = {3, 14}
    numbers = iter(range(10**9))
    rig.bulk.item_fault = lambda o: faults.Item(
        403, faults.NO_RIGHT.type, f"{next(numbers)} times not allowed"
    ) if sequence(o.doc) in stuck else None
    a = rig.start({"search": rig.search(batch_events=5, backoff_max="5ms")})
    for n in range(20):
        rig.log.append(5)
        want = 5 * (n + 1) - len(stuck & set(range(5 * (n + 1))))
        wait_until(lambda: rig.bulk.stored_count() == want, "the others are taken")
    wait_until(lambda: a.counters()["audit/search"]["retried"] > 50, "tried often")
    assert len(warnings_of(a)) == 1, warnings_of(a)
    assert "taken again" not in a.log()
    rig.bulk.heal()
    rig.wait_delivered()
    a.wait_log("events are taken again")
    assert len(warnings_of(a)) == 1, warnings_of(a)
