# SPDX-License-Identifier: Apache-2.0
"""A data stream refuses a repeated id only within its current backing index. What
is in doubt is looked up before it is sent again, so it is stored once all the same.

The server of these tests begins a new backing index with every request: whatever is
sent twice is stored twice.
"""

from __future__ import annotations

import os
import random
import shutil
import time

import pytest

import faults
from agent import STOPPED, parse_counters
from auditlog import sequence, sequences
from checks import assert_once, has_all
from conftest import Disk
from test_crash import Writer, life_span, new_seed
from wait import SCALE, wait_until

STREAM = "logs-kubernetes.audit-default"
IN_DOUBT = ("closed_mid_answer", "garbage", "html_with_200", "long", "lost_answer",
            "lost_answer_reset", "no_items", "reset_mid_answer", "reset_mid_body", "short",
            "truncated", "whole_408", "whole_500", "whole_500_with_items", "whole_502_html",
            "whole_503", "whole_504_html")
REFUSED = ("whole_301", "whole_401", "whole_403", "whole_404", "whole_429")
STORED = ("closed_mid_answer", "garbage", "long", "lost_answer", "lost_answer_reset",
          "no_items", "reset_mid_answer", "short", "truncated")


def stream(rig, **over):
    return {"search": rig.search(data_stream=STREAM, **over)}


def roll(rig, plan: dict[int, faults.Whole] | None = None, name: str = STREAM) -> None:
    """A rollover before every request; faults by the number of the request, from
    now on."""
    first = rig.bulk.request_count()

    def fault(number: int) -> faults.Whole | None:
        rig.bulk.rollovers[name] += 1       # it is called with the lock held
        return (plan or {}).get(number - first)

    rig.bulk.whole_fault = fault


def begin(rig, outputs: dict):
    """An agent that is past what was there when it started, all of which is in doubt
    where there is no checkpoint: here one event."""
    rig.log.append(1)
    a = rig.start(outputs)
    wait_once(rig, outputs["search"].get("index", STREAM))
    assert rig.wait_settled(a, read=1)["audit/search"]["looked_up"] == 1
    return a


def wait_once(rig, index: str = STREAM, deadline: float = 20.0) -> None:
    wait_until(has_all(rig.bulk, rig.log.lines), "all is stored", deadline,
               rig.logs_tail)
    assert_once(rig.bulk, rig.log.lines, index)


@pytest.mark.parametrize("name", IN_DOUBT)
def test_what_got_no_clear_answer_is_looked_up_and_stored_once(rig, name):
    roll(rig, dict.fromkeys((0, 2, 5), faults.PASSING[name]))
    rig.log.append(100)
    a = rig.start(stream(rig, batch_events=10))
    wait_once(rig)
    c = rig.wait_settled(a, read=100)["audit/search"]
    assert c["looked_up"] >= 20 and c["delivered"] + c["duplicate"] == 100
    if name in STORED:
        assert c["duplicate"] >= 18         # "short" named some of them


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_clearly_refused_is_not_looked_up(rig, name):
    a = begin(rig, stream(rig, batch_events=10))
    roll(rig, dict.fromkeys((0, 2, 5), faults.PASSING[name]))
    rig.log.append(100)
    wait_once(rig)
    assert rig.wait_settled(a, read=101)["audit/search"]["looked_up"] == 1
    assert len(rig.bulk.questions("_search")) <= 1


@pytest.mark.parametrize("name", sorted(faults.RETRIED))
def test_items_are_in_doubt_only_where_they_may_be_stored(rig, name):
    fault = faults.RETRIED[name]
    a = begin(rig, stream(rig, batch_events=20))
    rig.bulk.item_fault = lambda o: (
        fault if o.position == 3 and o.before == 0 else None)
    rig.log.append_at_once(60)
    wait_once(rig)
    c = rig.wait_settled(a, read=61)["audit/search"]
    assert (c["looked_up"] > 1) == (fault.status == 408 or fault.status >= 500)


def test_what_was_never_sent_is_not_looked_up(rig):
    a = begin(rig, stream(rig))
    rig.bulk.stop()
    rig.log.append(50)
    a.wait_log(r"warn lane audit/search: ")
    rig.bulk.start()
    wait_once(rig)
    assert rig.wait_settled(a, read=51)["audit/search"]["looked_up"] == 1


def test_a_server_that_never_answers_has_stored_it_all_the_same(rig):
    # So long that a machine without time for us does not answer late as well.
    a = begin(rig, stream(rig, timeout=f"{3 * SCALE:.0f}s", batch_events=10,
                          in_flight=1))
    roll(rig, {0: faults.HANG_AFTER})
    rig.log.append_at_once(30)
    wait_once(rig)
    rig.bulk.release()
    c = rig.wait_settled(a, read=31)["audit/search"]
    assert c["duplicate"] == c["looked_up"] - 1 >= 1


def test_an_index_of_the_events_own_time_needs_no_asking(rig):
    rig.bulk.plan(*[faults.LOST] * 3)
    rig.log.append(50)
    a = rig.start({"search": rig.search(batch_events=10)})
    rig.wait_delivered()
    c = rig.wait_settled(a, read=50)["audit/search"]
    # How often the same request is lost is not ours to say: libcurl sends one again
    # on its own, where a kept connection was closed.
    again = sum(d.offered > 1 for d in rig.bulk.stored())
    assert c["looked_up"] == 0 and c["duplicate"] == again >= 10
    a.kill()
    a.start()
    rig.log.append(10)
    rig.wait_delivered()
    rig.wait_caught_up(a)
    assert rig.bulk.questions("_refresh") == rig.bulk.questions("_search") == []


def test_a_request_that_is_split_may_be_stored_in_part(rig):
    """A whole 400, and 413: it may have been taken in pieces."""
    a = begin(rig, stream(rig, batch_events=64, linger="500ms"))     # one batch
    rig.bulk.poison = lambda o: sequence(o.doc) == 20
    roll(rig)
    rig.log.append_at_once(50)
    good = [line for line in rig.log.lines if sequence(line) != 20]
    wait_until(has_all(rig.bulk, good), "all but one is stored", context=a.log)
    assert_once(rig.bulk, good, STREAM)
    c = rig.wait_settled(a, read=51)["audit/search"]
    assert c["refused"] == 1 and c["looked_up"] > 50


def test_what_comes_through_a_pipe_again_is_stored_once(rig):
    roll(rig)
    lines = rig.new_log().append(50)
    for _ in range(2):
        a = rig.agent(stream(rig), trail={"path": '"-"'})
        with rig.log_path.open("rb") as a.stdin:
            a.start()
        assert a.wait_exit() == STOPPED, a.log()
    assert_once(rig.bulk, lines, STREAM)
    c = parse_counters(a.log())["audit/search"]
    assert c["duplicate"] == c["looked_up"] == 50


def test_an_alias_is_asked_too(rig):
    name = "auditing-write"
    roll(rig, {0: faults.LOST}, name)
    rig.log.append(30)
    a = rig.start({"search": rig.search(index=name, require_alias="true",
                                        batch_events=10)})
    wait_once(rig, name)
    assert rig.wait_settled(a, read=30)["audit/search"]["duplicate"] == 10


@pytest.mark.parametrize("what", ["_refresh", "_search"])
@pytest.mark.parametrize("fault", [faults.UNAVAILABLE, faults.FORBIDDEN,
                                   faults.TOO_MANY, faults.Whole("lost"),
                                   faults.HTML_200],
                         ids=lambda f: f"{f.kind}-{f.status}")
def test_nothing_is_sent_while_it_cannot_be_looked_up(rig, what, fault):
    a = begin(rig, stream(rig, in_flight=1))
    roll(rig, {0: faults.LOST})
    rig.bulk.question_fault = lambda path: fault if path.endswith(what) else None
    sent = rig.bulk.request_count()
    asked = len(rig.bulk.questions(what))
    rig.log.append_at_once(10)
    wait_until(lambda: len(rig.bulk.questions(what)) >= asked + 5, "it asks again",
               context=a.log)
    assert rig.bulk.request_count() == sent + 1
    a.wait_log(rf"warn lane audit/search: cannot find out whether .* {STREAM}")
    rig.bulk.question_fault = None
    wait_once(rig)
    assert rig.wait_settled(a, read=11)["audit/search"]["duplicate"] >= 1


def test_a_stream_that_is_not_there_has_nothing(rig):
    roll(rig, {0: faults.UNAVAILABLE, 1: faults.UNAVAILABLE})
    rig.log.append(10)
    a = rig.start(stream(rig))
    wait_once(rig)
    assert rig.wait_settled(a, read=10)["audit/search"]["duplicate"] == 0


def test_many_events_are_looked_up_in_parts(rig):
    roll(rig, {0: faults.LOST})
    rig.log.append_at_once(12_000)
    a = rig.start(stream(rig, batch_events=12_000, batch_bytes="64MiB",
                         memory="256MiB", linger="1s"))
    wait_once(rig)
    c = rig.wait_settled(a, read=12_000)["audit/search"]
    assert c["looked_up"] >= c["duplicate"] > 5000


def test_a_kill_between_sending_and_its_answer(rig):
    rig.bulk.plan(*[faults.HANG_AFTER] * 4)
    rig.log.append(100)
    a = rig.start(stream(rig, batch_events=10))
    wait_until(lambda: rig.bulk.stored_count() == 40, "four requests are stored")
    a.kill()
    rig.bulk.heal()
    rig.bulk.wait_alone()
    roll(rig)
    a.start()
    wait_once(rig)
    c = rig.wait_settled(a, read=100)["audit/search"]
    assert c["duplicate"] == 40 and c["looked_up"] >= 40


def test_after_a_clean_stop_nothing_is_in_doubt(rig):
    a = begin(rig, stream(rig))
    roll(rig)
    rig.log.append(50)
    wait_once(rig)
    a.stop()
    rig.log.append(50)
    a.start()
    wait_once(rig)
    assert rig.wait_settled(a, read=50)["audit/search"]["looked_up"] == 0


def test_what_a_stop_leaves_behind_unanswered_is_in_doubt(rig):
    rig.bulk.plan(faults.HANG_AFTER)
    rig.log.append(20)
    a = rig.agent(stream(rig), drain_timeout="100ms").start()
    wait_until(lambda: rig.bulk.stored_count() == 20, "it is stored")
    a.stop()
    rig.bulk.heal()
    rig.bulk.wait_alone()
    roll(rig)
    rig.log.append(20)
    a.start()
    wait_once(rig)
    c = rig.wait_settled(a, read=40)["audit/search"]
    assert c["duplicate"] == 20 and c["delivered"] == 20


def test_only_what_was_there_at_the_start_is_in_doubt(rig):
    roll(rig)
    rig.log.append(50)
    a = rig.start(stream(rig))
    wait_once(rig)
    a.kill()
    a.start()
    rig.wait_caught_up(a)
    rig.log.append(50)
    wait_once(rig)
    assert rig.wait_caught_up(a)["audit/search"]["looked_up"] <= 50


def test_a_lost_state_directory_stores_nothing_twice(rig):
    roll(rig)
    rig.log.append(50)
    a = rig.start(stream(rig))
    wait_once(rig)
    a.stop()
    shutil.rmtree(a.state)
    rig.log.append(50)
    a.start()
    wait_once(rig)
    c = rig.wait_settled(a, read=100)["audit/search"]
    assert c["duplicate"] == 50 and c["delivered"] == 50


def test_a_checkpoint_without_a_horizon_tells_nothing(rig):
    """As an agent wrote it that did not look up, or wrote to an index by date."""
    rig.log.append(50)
    a = rig.start({"search": rig.search()})
    rig.wait_delivered()
    checkpoint = a.state / "audit.search.checkpoint"
    wait_until(checkpoint.exists, "a checkpoint")
    assert b"horizon" not in checkpoint.read_bytes()
    a.kill()
    b = rig.agent(stream(rig))
    rig.log.append(50)
    b.start()
    c = rig.wait_caught_up(b)["audit/search"]
    assert c["looked_up"] == c["read"] == c["delivered"] >= 50
    wait_until(lambda: b"\nhorizon " in checkpoint.read_bytes(), "it has one now")


def test_nothing_is_sent_beyond_what_the_checkpoint_lets(rig, tmpfs):
    """64 MiB, and then it waits for the disk."""
    state = tmpfs("1m")
    disk = Disk(state)
    rig.log.append(10)
    a = rig.start(stream(rig), state_dir=state / "state")
    wait_once(rig)
    disk.fill()
    for _ in range(80):
        rig.log.append(pad=1_000_000)
    sent = lambda: a.counters()["audit/search"]["sent_bytes"]
    wait_until(lambda: sent() >= 60 * 2**20, "it sends what it may", 60, a.log)
    a.wait_log("cannot save the checkpoint")
    wait_until(lambda: a.counters()["audit/search"]["in_flight"] > 0, "some wait")
    assert all(sent() <= 66 * 2**20 for _ in range(20))
    assert rig.bulk.stored_count() < 80
    disk.free()
    wait_once(rig, deadline=60)


def test_stored_once_through_kills_faults_and_rollovers(rig, capsys):
    seed = new_seed()
    r = random.Random(seed)
    chaos = faults.Chaos(seed, p_whole=0.15, p_item=0.15)

    def fault(number: int) -> faults.Whole | None:
        rig.bulk.rollovers[STREAM] += 1
        return chaos.next_whole()

    rig.bulk.whole_fault = fault
    a = rig.agent(stream(rig, batch_events=100))
    writer = Writer(rig.log, seed)
    writer.start()
    restarts = int(os.environ.get("TALLYMAN_CRASH_RESTARTS") or 200) // 4
    try:
        for _ in range(restarts):
            ready, seconds = life_span(r)
            if ready:
                a.start()
            else:
                a.launch()
            time.sleep(seconds)         # the moment of death is the input
            assert a.is_running(), f"it ended by itself:\n{a.log()}"
            a.kill()
            # Its requests come before the questions of the next one: else the answer
            # would be that nothing is there, and soon after it were.
            rig.bulk.wait_alone()
    finally:
        writer.stop()
    roll(rig)
    a.start()
    lines = rig.log.lines
    wait_until(lambda: len(set(sequences(d.doc for d in rig.bulk.stored())))
               >= len(lines), "all is stored", 60, rig.logs_tail)
    c = rig.wait_caught_up(a)["audit/search"]
    with capsys.disabled():
        print(f"\nrollover: restarts={restarts} events={len(lines)} "
              f"stored={rig.bulk.stored_count()} "
              f"rollovers={rig.bulk.rollovers[STREAM]} "
              f"questions={len(rig.bulk.questions('_search'))} seed={seed}")
    assert c["dead"] == 0
    assert_once(rig.bulk, lines, STREAM)
