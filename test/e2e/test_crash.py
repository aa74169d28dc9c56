# SPDX-License-Identifier: Apache-2.0
"""SIGKILL at random moments, while the log is written and rotated and the bulk
server fails at random: afterwards every event is there, exactly once.

    TALLYMAN_CRASH_RESTARTS=2000 TALLYMAN_SEED=7 pytest test_crash.py
"""

from __future__ import annotations

import collections
import os
import random
import threading
import time
from pathlib import Path

import faults
from auditlog import AuditLog, sequences
from checks import assert_file_is, assert_once
from wait import TookTooLong, wait_until

RESTARTS = int(os.environ.get("TALLYMAN_CRASH_RESTARTS") or 200)


class Writer(threading.Thread):
    """Appends and rotates until told to stop; pauses are part of the load."""

    def __init__(self, log: AuditLog, seed: int) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.random = random.Random(seed)
        self.done = threading.Event()

    def run(self) -> None:
        r = self.random
        while not self.done.wait(r.choice((0.0005, 0.002, 0.01, 0.03))):
            dice = r.random()
            if dice < 0.07:
                self.log.rotate()
                if r.random() < 0.2:
                    self.log.rotate()       # an empty one in between
            elif dice < 0.17:
                self.log.begin_line(upto=r.randrange(1, 300))
                self.done.wait(r.choice((0, 0.005, 0.02)))
                self.log.finish_line()
            elif dice < 0.20:
                self.log.append(pad=r.randrange(20_000, 150_000))
            else:
                self.log.append(r.randrange(1, 8))

    def stop(self) -> None:
        self.done.set()
        self.join()


def life_span(r: random.Random) -> tuple[bool, float]:
    """(wait until it is ready?, seconds to live). Some die before they have read
    their checkpoints, some live long enough to write a few."""
    dice = r.random()
    if dice < 0.2:
        return False, r.uniform(0, 0.03)
    if dice < 0.8:
        return True, r.uniform(0.0, 0.15)
    return True, r.uniform(0.2, 0.5)


def count_repeats(bulk, archive: Path, lines: list[bytes]) -> tuple[int, int]:
    """(repeated, missing), both outputs together."""
    repeated = missing = 0
    want = set(sequences(lines))
    for got in (sequences(d.doc for d in bulk.stored()),
                sequences(archive.read_bytes().splitlines())):
        count = collections.Counter(got)
        repeated += sum(n - 1 for n in count.values())
        missing += len(want - count.keys())
    return repeated, missing


def crash(rig, capsys, restarts: int, seed: int, chaos: bool, name: str) -> None:
    r = random.Random(seed)
    bulk, log = rig.bulk, rig.log
    if chaos:
        bulk.chaos = faults.Chaos(seed, p_whole=0.15, p_item=0.15)
    a = rig.agent({"search": rig.search(batch_events=200), "archive": rig.file()})
    writer = Writer(log, seed)
    writer.start()
    try:
        for _ in range(restarts):
            ready, seconds = life_span(r)
            if ready:
                a.start()
            else:
                a.launch()
            # Not synchronisation: the moment of death is the input of this test.
            time.sleep(seconds)
            assert a.is_running(), f"it ended by itself:\n{a.log()}"
            a.kill()
    finally:
        writer.stop()
    bulk.heal()
    a.start()
    text = log.text()
    late = None
    try:
        wait_until(lambda: rig.archive.exists()
                   and rig.archive.stat().st_size >= len(text)
                   and bulk.stored_count() >= len(log.lines),
                   "everything has arrived", 60)
    except TookTooLong as e:
        late = e                    # the summary says what is missing
    lanes = a.counters() if late else rig.wait_caught_up(a)
    a.stop()
    repeated, missing = count_repeats(bulk, rig.archive, log.lines)
    with capsys.disabled():
        print(f"\n{name}: restarts={restarts} events={len(log.lines)} "
              f"repeated={repeated} missing={missing} seed={seed}")
    assert not late, f"{late}\n{a.log()[-3000:]}"
    assert_file_is(rig.archive, text)
    assert_once(bulk, log.lines)
    assert a.dead("search") == [] and a.dead("archive") == []
    assert all(c["dead"] == 0 for c in lanes.values())


def new_seed() -> int:
    return int(os.environ.get("TALLYMAN_SEED") or random.randrange(2**31))


def test_every_event_exactly_once_through_kills(rig, capsys):
    crash(rig, capsys, RESTARTS, new_seed(), chaos=True, name="crash")


def test_kills_in_the_first_milliseconds(rig, capsys):
    """Start-up, resuming and the first checkpoint are where most can break."""
    seed = new_seed()
    r = random.Random(seed)
    a = rig.agent()
    rig.log.append(50)
    for n in range(40):
        a.launch()
        time.sleep(r.uniform(0, 0.04))      # see crash()
        assert a.is_running(), f"it ended by itself:\n{a.log()}"
        a.kill()
        rig.log.append(5)
        if n % 5 == 4:
            rig.log.rotate()
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    with capsys.disabled():
        print(f"\ncrash at start: restarts=40 events={len(rig.log.lines)} seed={seed}")


def test_a_kill_between_sending_and_its_answer(rig):
    """What was stored without the agent knowing is not stored again."""
    rig.bulk.plan(*[faults.HANG_AFTER] * 4)
    rig.log.append(100)
    a = rig.start({"search": rig.search(batch_events=10), "archive": rig.file()})
    wait_until(lambda: rig.bulk.stored_count() == 40, "four requests are stored")
    a.kill()
    rig.bulk.heal()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()


def test_a_file_output_longer_than_its_checkpoint_is_cut_back(rig):
    """Bytes behind the settled ones, whole lines and a torn one, are no event."""
    rig.log.append(30)
    a = rig.start({"archive": rig.file()})
    rig.wait_archived()
    a.stop()
    with rig.archive.open("ab") as f:
        f.write(b'{"kind":"Event","not":"settled"}\n{"kind":"Ev')
    rig.log.append(30)
    a.start()
    rig.wait_archived()


def test_a_killed_agent_leaves_the_state_directory_free(rig):
    a = rig.start()
    a.kill()
    b = rig.agent()
    b.start()
    rig.log.append(3)
    rig.wait_delivered()
    rig.wait_archived()


def test_a_file_output_that_somebody_else_renamed_repeats_nothing(rig):
    rig.log.append(30)
    a = rig.start({"archive": rig.file()})
    rig.wait_archived()
    first = rig.archive.read_bytes()
    old = rig.archive.with_suffix(".old")
    rig.archive.rename(old)
    rig.log.append(30)
    wait_until(lambda: rig.archive.exists() and
               rig.archive.read_bytes() == rig.log.text()[len(first):],
               "the new file has the rest")
    a.kill()
    a.start()
    rig.log.append(5)
    rig.wait_archived(text=rig.log.text()[len(first):])
    assert old.read_bytes() == first
