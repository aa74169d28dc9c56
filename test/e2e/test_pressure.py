# SPDX-License-Identifier: Apache-2.0
"""How much is asked of a server: what it cannot take is not asked for again and
again, and one that comes back is not overrun."""

from __future__ import annotations

import faults
from wait import wait_until

EVENTS = 3000


# Much slower than what a busy machine adds to it: an answer counts as late from four
# times of what was the soonest on, and late ones let no more requests out.
SLOW = faults.Whole("slow", seconds=0.5)


def together(n: int) -> faults.Whole:
    """As slow, and not before so many requests were there at once."""
    return faults.Whole("abreast", keep=n, seconds=SLOW.seconds)


def refusals(rig, status: int) -> int:
    return sum(r.status == status for r in rig.bulk.requests)


def test_a_server_that_is_too_busy_gets_one_request_at_a_time(rig):
    rig.bulk.whole_fault = lambda number: faults.TOO_MANY
    rig.log.append(EVENTS)
    a = rig.start({"search": rig.search(in_flight=16, batch_events=20)})
    wait_until(lambda: rig.bulk.request_count() >= 60, "it is tried again")
    requests = rig.bulk.requests[:60]
    assert all(r.abreast == 1 for r in requests[16:]), requests
    # Pauses are random, up to 50 ms here: on average far above this.
    assert requests[-1].at - requests[20].at > 40 * 0.004
    assert a.counters()["audit/search"]["window"] == 1
    rig.bulk.heal()
    rig.wait_delivered()


def test_items_that_are_all_too_many_are_pressure_too(rig):
    rig.bulk.item_fault = lambda o: faults.QUEUE_FULL
    rig.log.append(EVENTS)
    rig.start({"search": rig.search(in_flight=16, batch_events=20)})
    wait_until(lambda: rig.bulk.request_count() >= 60, "it is tried again")
    assert all(r.abreast == 1 for r in rig.bulk.requests[16:60])
    rig.bulk.heal()
    rig.wait_delivered()


def test_where_only_some_items_are_too_many_fewer_requests_are_under_way(rig):
    rig.bulk.item_fault = (
        lambda o: faults.QUEUE_FULL if o.position == 0 and o.before < 2 else None)
    rig.log.append(EVENTS)
    a = rig.start({"search": rig.search(in_flight=16, batch_events=20)},
                  log_level="debug")
    a.wait_log(r"debug lane audit/search: at most 2 requests at once")
    rig.bulk.heal()
    rig.wait_delivered()


def test_a_full_disk_is_no_matter_of_how_many(rig):
    """An item 429 as well, but fewer requests would not help."""
    rig.bulk.item_fault = lambda o: faults.DISK_FULL if o.before == 0 else None
    rig.log.append(100)
    a = rig.start({"search": rig.search(in_flight=8, batch_events=20)})
    rig.wait_delivered()
    assert rig.wait_settled(a, read=100)["audit/search"]["window"] == 8


def test_a_server_that_comes_back_is_tried_by_one_then_by_more(rig):
    rig.log.append(10)
    rig.bulk.plan(SLOW, SLOW)
    a = rig.start({"search": rig.search(in_flight=16, batch_events=5)})
    rig.wait_delivered()
    rig.wait_caught_up(a)
    rig.bulk.stop()
    rig.log.append(400)                 # 60 slow requests, and a few more
    wait_until(lambda: a.counters()["audit/search"]["blocked"] >= 10, "it is down")
    assert a.counters()["audit/search"]["window"] == 1
    before = rig.bulk.request_count()
    rig.bulk.plan(*[SLOW] * 45, *[together(16)] * 15)
    rig.bulk.start()
    rig.wait_delivered(deadline=40)
    came = [r.abreast for r in rig.bulk.requests[before:before + 60]]
    # One more for each that was answered, so that so many were at most abreast:
    for n, abreast in enumerate(came):
        assert abreast <= (n + 2) // 2, came
    assert max(came) == 16
    assert rig.wait_caught_up(a)["audit/search"]["window"] == 16


def test_a_server_that_is_always_slow_gets_all_requests_there_may_be(rig):
    rig.bulk.whole_fault = lambda number: together(8)
    rig.log.append(800)                 # 40 requests
    a = rig.start({"search": rig.search(in_flight=8, batch_events=20)})
    rig.wait_delivered(deadline=40)
    assert max(r.abreast for r in rig.bulk.requests) == 8
    assert rig.wait_caught_up(a)["audit/search"]["window"] == 8


def test_what_is_too_large_is_not_sent_again_and_again(rig):
    rig.bulk.max_body = 40_000
    rig.bulk.whole_fault = lambda number: faults.Whole("slow", seconds=0.1)
    rig.log.append(EVENTS)
    a = rig.start({"search": rig.search(batch_bytes="256KiB")})
    rig.wait_delivered(deadline=40)
    fit = [r for r in rig.bulk.requests if r.status == 200]
    assert len(fit) >= 80
    # The four under way at first may meet it, and four of each halving; and a try now
    # and then.
    assert refusals(rig, 413) <= 4 * 3 + 2, rig.bulk.requests
    c = rig.wait_caught_up(a)["audit/search"]
    assert c["request_limit"] <= 40_000 and c["window"] == 4
    assert sum(r.body_bytes for r in fit) / len(fit) > 10_000


def test_an_event_above_the_limit_goes_alone(rig):
    """The last of a batch, when those before it have gone."""
    rig.bulk.max_body = 40_000
    for _ in range(10):
        rig.log.append(19)
        rig.log.append(1, pad=35_000)
    a = rig.start({"search": rig.search(batch_events=20)})
    rig.wait_delivered(deadline=40)
    alone = [r for r in rig.bulk.requests if r.status == 200 and r.body_bytes > 34_000]
    assert len(alone) == 10 and all(r.items == 1 for r in alone)
    assert rig.wait_caught_up(a)["audit/search"]["request_limit"] <= 40_000


def test_a_size_that_is_always_too_much_is_not_asked_for_again_and_again(rig):
    """A 429 of indexing pressure: nothing tells it from a server that is busy, but
    that it comes again with one request alone."""
    rig.bulk.max_pressure = 40_000
    rig.log.append(EVENTS)
    a = rig.start({"search": rig.search(batch_bytes="256KiB")})
    rig.wait_delivered(deadline=40)
    assert refusals(rig, 429) <= 25, rig.bulk.requests
    assert rig.wait_caught_up(a)["audit/search"]["request_limit"] <= 40_000


def test_a_limit_that_is_lifted_is_found_out(rig):
    rig.bulk.max_pressure = 20_000
    rig.log.append(300)
    a = rig.start({"search": rig.search(batch_bytes="64KiB")})
    rig.wait_delivered()
    assert rig.wait_caught_up(a)["audit/search"]["request_limit"] <= 20_000
    rig.bulk.heal()
    rig.log.append(EVENTS)
    rig.wait_delivered()
    assert rig.wait_caught_up(a)["audit/search"]["request_limit"] == "none"


THREAD_POOL = faults.Item(
    429, "es_rejected_execution_exception",
    "rejected execution of TimedRunnable{original=...} on EsThreadPoolExecutor[name = "
    "node1/write, queue capacity = 1, active threads = 1, queued tasks = 1]")


def test_a_full_queue_makes_no_request_smaller(rig):
    """It is busy with others and takes one now and then, whatever its size: of small
    ones the log would never be delivered."""
    rig.bulk.item_fault = lambda o: THREAD_POOL
    rig.log.append(400)
    a = rig.start({"search": rig.search(batch_events=100)})
    wait_until(lambda: a.counters()["audit/search"]["retried"] >= 2000, "refused often",
               context=a.log)
    assert a.counters()["audit/search"]["request_limit"] == "none"
    rig.bulk.heal()
    rig.wait_delivered()
