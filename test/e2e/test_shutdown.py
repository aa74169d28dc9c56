# SPDX-License-Identifier: Apache-2.0
"""The exit contract: what a signal does, what is left behind, what it says."""

from __future__ import annotations

import signal
import time

import pytest

import faults
from agent import CUT_SHORT, parse_counters
from wait import SCALE, wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_what_was_read(rig, number):
    rig.bulk.whole_fault = lambda n: faults.Whole("slow", seconds=0.2)
    rig.log.append(300)
    a = rig.start({"search": rig.search(batch_events=50), "archive": rig.file()})
    wait_until(lambda: rig.bulk.open_now > 0, "a request is under way")
    lanes = a.stop(number)
    for c in lanes.values():
        assert c["in_flight"] == 0 and c["read"] == c["delivered"]
    assert rig.bulk.stored_count() == lanes["audit/search"]["delivered"] > 0
    # What it did not read any more comes at the next start; nothing twice.
    rig.bulk.heal()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()
    assert all(d.offered == 1 for d in rig.bulk.stored())


def test_an_orderly_stop_leaves_nothing_to_repeat(rig):
    rig.log.append(100)
    a = rig.start()
    rig.wait_delivered()
    rig.wait_archived()
    a.stop()
    a.start()
    lanes = rig.wait_caught_up(a)
    assert all(c["read"] == 0 for c in lanes.values())
    rig.log.append(1)
    rig.wait_delivered()
    assert all(d.offered == 1 for d in rig.bulk.stored())


def test_drain_timeout_with_a_hanging_server(rig):
    rig.bulk.plan(*[faults.HANG] * 20)
    rig.log.append(100)
    a = rig.start(drain_timeout="300ms")
    wait_until(lambda: rig.bulk.open_now > 0, "a request is held")

    def all_read() -> bool:
        lanes = a.counters()
        return (lanes["audit/search"]["read"] == 100 ==
                lanes["audit/archive"]["delivered"])

    wait_until(all_read, "one has delivered all, the other waits", context=a.log)
    begin = time.monotonic()
    lanes = a.stop()
    took = time.monotonic() - begin
    assert 0.2 < took < 20 * SCALE
    c = lanes["audit/search"]
    assert c["in_flight"] == 100 and c["delivered"] == 0
    assert lanes["audit/archive"]["delivered"] == 100
    # Left-behind events are reported, and safe.
    assert [line for line in a.log().splitlines()
            if " warn " in line and "audit/search" in line], a.log()
    rig.bulk.heal()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()


def test_stopping_during_backoff_loses_nothing(rig):
    rig.bulk.stop()
    rig.log.append(100)
    a = rig.start({"search": rig.search(backoff_min="60s", backoff_max="60s")},
                  drain_timeout="300ms")
    a.wait_log(r"(warn|error) lane audit/search: ")
    begin = time.monotonic()
    a.stop()
    assert time.monotonic() - begin < 20 * SCALE
    rig.bulk.start()
    a.start()
    rig.wait_delivered()


def test_a_second_signal_stops_at_once(rig):
    rig.bulk.plan(*[faults.HANG] * 20)
    rig.log.append(100)
    a = rig.start(drain_timeout="60s")
    wait_until(lambda: rig.bulk.open_now > 0, "a request is held")
    rig.wait_archived()
    begin = time.monotonic()
    before = len(a.log())
    a.send(signal.SIGTERM)
    # Only once the first one has been seen can there be a second.
    wait_until(lambda: " agent: " in a.log()[before:], "it says that it drains",
               context=a.log)
    assert a.is_running()
    a.send(signal.SIGTERM)
    assert a.wait_exit() == CUT_SHORT
    assert time.monotonic() - begin < 20 * SCALE
    rig.bulk.heal()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()


def test_sigusr1_prints_the_counters_and_goes_on(rig):
    a = rig.start()
    for n in range(1, 6):
        rig.log.append(10)
        rig.wait_delivered()
        rig.wait_archived()
        lanes = rig.wait_settled(a, read=10 * n)
        for c in lanes.values():
            assert c["read"] == c["delivered"] == 10 * n
    assert lanes["audit/search"]["requests"] == rig.bulk.request_count()
    assert lanes["audit/search"]["sent_bytes"] > 0
    assert lanes["audit/archive"]["checkpoints"] >= 1


def test_counters_balance_at_any_moment(rig):
    rig.bulk.chaos = faults.Chaos(5, p_whole=0.3, p_item=0.5)
    rig.bulk.item_fault = (
        lambda o: faults.BAD_DOCUMENT if o.doc.count(b"e2e-000001") else None)
    a = rig.start({"search": rig.search(batch_events=20), "archive": rig.file()})
    for _ in range(40):
        rig.log.append(10)
        a.counters()                        # asserts it
    rig.wait_settled(a, read=400)


def test_it_stops_while_the_log_is_missing(rig):
    a = rig.start()
    a.stop()
    assert a.process.returncode == 0


def test_it_stops_at_once_when_there_is_nothing_to_drain(rig):
    rig.log.append(10)
    a = rig.start(drain_timeout="60s")
    rig.wait_delivered()
    rig.wait_archived()
    begin = time.monotonic()
    a.stop()
    assert time.monotonic() - begin < 20 * SCALE


def test_sigterm_before_it_is_ready(rig):
    rig.log.append(10)
    a = rig.agent()
    for _ in range(10):
        a.launch()
        a.send(signal.SIGTERM)
        # Before it has set up its signals the system's default applies.
        assert a.wait_exit() in (0, -signal.SIGTERM)
    a.start()
    rig.wait_delivered()
    rig.wait_archived()


def test_the_counters_are_printed_at_exit_at_any_log_level(rig):
    rig.log.append(10)
    a = rig.agent(args=("--log-level", "error"))
    a.launch()
    rig.wait_delivered()
    rig.wait_archived()
    a.send(signal.SIGTERM)
    assert a.wait_exit() == 0
    lanes = parse_counters(a.log())
    assert lanes["audit/search"]["delivered"] == 10
    assert lanes["audit/archive"]["delivered"] == 10


def test_sigpipe_is_ignored(rig):
    a = rig.start()
    a.send(signal.SIGPIPE)
    rig.log.append(10)
    rig.wait_delivered()
    rig.wait_archived()
