# SPDX-License-Identifier: Apache-2.0
"""Files that retention deleted before they were read: what is lost is told of in
every output, where it was, how much where that is known, and once; and before it
is lost, the counters say how long that will take."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import faults
from auditlog import AuditLog, gzip_file
from checks import archived_gaps, assert_gap
from test_compressed import QUICK, ship_some
from test_copytruncate import small
from test_crash import new_seed
from test_pins import delete, kill_after, pins
from wait import wait_until


def text_size(lines: list[bytes]) -> int:
    return sum(len(x) + 1 for x in lines)


def lose(log: AuditLog, lines: list[bytes]) -> None:
    """They are expected nowhere."""
    gone = set(lines)
    log.lines = [x for x in log.lines if x not in gone]


def wait_all(rig) -> None:
    """Every line is in each output there is."""
    rig.wait_delivered()
    if rig.archive.exists():
        rig.wait_archived(gaps_apart=True)


def assert_told_once(rig, a, *reasons: str) -> list[dict]:
    """The gap records, which a restart does not repeat."""
    gaps = rig.wait_gaps(*reasons)
    wait_all(rig)
    rig.wait_caught_up(a)
    a.stop()
    rig.log.append(2)
    a.start()
    wait_all(rig)
    lanes = rig.wait_caught_up(a)
    assert all(c["gaps"] == 0 and c["read"] == 2 for c in lanes.values()), lanes
    return gaps


def left_behind(rig, files: int = 3, outputs: int = 1, **kw):
    """Outputs that took little of the first file when the agent stopped, and no
    pins. The lines of each file; the last ones are in the live log."""
    bulks = [rig.new_bulk() for _ in range(outputs)]
    for b in bulks:
        b.whole_fault = lambda n: None if n < 3 else faults.TOO_MANY
    lines = []
    for _ in range(files):
        lines.append(rig.log.append_at_once(100))
        rig.log.rotate()
    lines.append(rig.log.append_at_once(10))
    a = rig.agent({f"search{n}": small(rig, hosts=[b.url])
                   for n, b in enumerate(bulks)}, trail=QUICK,
                  drain_timeout="100ms", **kw)
    a.start()
    for b in bulks:
        wait_until(lambda: b.request_count() > 4, "stuck", context=a.log)
    a.stop()
    for b in bulks:
        b.wait_alone()                  # what comes late is refused as well
        assert 0 < b.stored_count() < 100
        b.heal()
    delete(pins(rig))
    return a, bulks, lines


# -- while the agent was down --------------------------------------------------


def test_the_file_that_was_live_is_rotated_and_deleted(rig):
    """It may have grown since it was seen: nobody knows how much is lost."""
    a = ship_some(rig)
    last = rig.log.lines[-1]
    lost = rig.log.append_at_once(10)
    rig.log.rotate().unlink()
    new = rig.log.append_at_once(10)
    a.start()
    lose(rig.log, lost)
    [gap] = assert_told_once(rig, a, "Deleted")
    assert_gap(gap, "Deleted", last, new[0], None, rig.log_path)
    assert gap["behind"] == 20


def test_the_file_that_was_live_was_half_read(rig):
    """What was seen of it is not all that there was in the end."""
    rig.bulk.whole_fault = lambda n: None if n < 3 else faults.TOO_MANY
    a = rig.start({"search": small(rig)}, trail=QUICK, drain_timeout="100ms")
    lost = rig.log.append_at_once(100)
    wait_until(lambda: rig.bulk.request_count() > 4, "stuck", context=a.log)
    a.stop()
    rig.bulk.wait_alone()
    rig.bulk.heal()
    got = rig.bulk.stored_count()
    lost = lost[got:] + rig.log.append_at_once(50)
    rig.log.rotate().unlink()
    new = rig.log.append_at_once(10)
    a.start()
    lose(rig.log, lost)
    [gap] = assert_told_once(rig, a, "Deleted")
    assert_gap(gap, "Deleted", rig.log.lines[got - 1], new[0], None, rig.log_path)


def test_the_live_file_is_gone_and_nothing_has_come_yet(rig):
    """It is told of once there is something after it, not before."""
    a = ship_some(rig)
    last = rig.log.lines[-1]
    rig.log.close()
    rig.log_path.unlink()
    a.start()
    a.wait_log("audit.log, read up to offset .* is not there any more")
    rig.wait_settled(a)
    assert not archived_gaps(rig.archive) and not rig.bulk.gaps()
    rig.log.path = rig.log_dir / "fresh"        # it comes with its first events
    rig.log.open()
    new = rig.log.append(3)
    rig.log.path = rig.log.path.rename(rig.log_path)
    [gap] = assert_told_once(rig, a, "Deleted")
    assert_gap(gap, "Deleted", last, new[0], None, rig.log_path)


def test_one_in_the_middle_is_deleted(rig):
    a, bulks, lines = left_behind(rig, outputs=2)
    lost = rig.log.rotated[1]
    size = lost.stat().st_size
    lost.unlink()
    lose(rig.log, lines[1])
    a.start()
    for b in bulks:
        rig.wait_delivered(bulk=b)
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", lines[0][-1], lines[2][0], size, lost)
    assert gap["offset"] == 0
    for c in rig.wait_caught_up(a).values():
        assert c["gaps"] == 1 and c["gap_bytes"] == size


def test_one_in_the_middle_of_which_only_the_gz_is_left_is_not_lost(rig):
    a, bulks, lines = left_behind(rig)
    gzip_file(rig.log.rotated[1])
    a.start()
    rig.wait_delivered()


def test_a_half_read_file_is_deleted(rig):
    a, [bulk], lines = left_behind(rig)
    got = bulk.stored_count()
    lost = rig.log.rotated[0]
    size = lost.stat().st_size
    lost.unlink()
    lose(rig.log, lines[0][got:])
    a.start()
    [gap] = assert_told_once(rig, a, "Deleted")
    begin = text_size(lines[0][:got])
    assert_gap(gap, "Deleted", lines[0][got - 1], lines[1][0], size - begin, lost)
    assert gap["offset"] == begin


def test_all_that_was_rotated_is_deleted(rig):
    """Each that was known of is told of; between them there is no event."""
    a, [bulk], lines = left_behind(rig)
    got = bulk.stored_count()
    sizes = [path.stat().st_size for path in rig.log.rotated]
    delete(rig.log.rotated)
    lose(rig.log, lines[0][got:] + lines[1] + lines[2])
    a.start()
    gaps = assert_told_once(rig, a, *["Deleted"] * 3)
    sizes[0] -= text_size(lines[0][:got])
    for n, gap in enumerate(gaps):
        assert_gap(gap, "Deleted", lines[0][got - 1], lines[3][0] if n == 2 else None,
                   sizes[n], rig.log.rotated[n])


def test_what_was_read_to_its_end_may_be_deleted(rig):
    a = rig.start(trail=QUICK)
    for _ in range(3):
        rig.log.append_at_once(20)
        rig.log.rotate()
    rig.log.append_at_once(20)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    delete(rig.log.rotated)
    rig.log.append(5)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    assert all(c["gaps"] == 0 for c in rig.wait_caught_up(a).values())


# -- killed around the moment it is told of ---------------------------------


def lost_in_the_middle(rig):
    a, [bulk], lines = left_behind(rig)
    rig.log.rotated[1].unlink()
    lose(rig.log, lines[1])
    return a, bulk, lines


def test_killed_before_its_record_is_answered(rig):
    """Stored, and nobody knows: it is offered again, as the same document."""
    a, bulk, lines = lost_in_the_middle(rig)
    for n in range(0, 24, 2):           # through the first file, and beyond
        kill_after(rig, a, n)
    a.start()
    rig.wait_delivered()
    [gap] = assert_told_once(rig, a, "Deleted")
    assert_gap(gap, "Deleted", lines[0][-1], lines[2][0], text_size(lines[1]))


def test_killed_before_anything_else_was_delivered(rig):
    """There is no event before it that could say when it was."""
    rig.bulk.whole_fault = lambda n: faults.TOO_MANY
    lost = rig.log.append_at_once(100)
    gone = rig.log.rotate()
    new = rig.log.append_at_once(10)
    a = rig.start({"search": small(rig)}, trail=QUICK, drain_timeout="100ms")
    wait_until(lambda: rig.bulk.request_count() > 2, "stuck", context=a.log)
    a.stop()
    rig.bulk.wait_alone()
    delete([gone, *pins(rig)])
    rig.bulk.heal()
    lose(rig.log, lost)
    rig.log.append_at_once(200)
    for n in range(4):
        kill_after(rig, a, n)
    a.start()
    rig.wait_delivered()
    [gap] = assert_told_once(rig, a, "Deleted")
    assert_gap(gap, "Deleted", None, new[0], text_size(lost), gone)
    assert gap["offset"] == 0


@pytest.mark.parametrize("roll", ["whole", "lost"])
def test_killed_at_any_moment(rig, capsys, roll):
    """Both outputs have the one record, whatever the moment; also where the order
    of the files is not remembered any more."""
    seed = new_seed()
    r = random.Random(seed)
    a = ship_some(rig, 100)
    last = rig.log.lines[-1]
    lost = rig.log.append_at_once(10)
    rig.log.rotate().unlink()
    new = rig.log.append_at_once(300)
    lose(rig.log, lost)
    if roll == "lost":
        delete(list(rig.state.glob("audit.roll*")))
    told = 0
    for _ in range(25):
        a.launch()
        # Not synchronisation: the moment of death is the input of this test.
        time.sleep(r.uniform(0, 0.06))
        assert a.is_running(), f"it ended by itself:\n{a.log()}"
        a.kill()
        told += " lost: {" in a.log()
    a.start()
    rig.wait_archived(gaps_apart=True)
    rig.wait_delivered()
    [gap] = assert_told_once(rig, a, "Deleted")
    assert_gap(gap, "Deleted", last, new[0])
    assert gap["behind"] == 100
    with capsys.disabled():
        print(f"\nretention: kills=25 told={told} seed={seed}")


# -- before it is lost ---------------------------------------------------------


def behind(rig, retention: dict, files: int = 3):
    """An output that takes nothing, and one that keeps up. Its counters, and those
    of the other, and what there is to read."""
    rig.bulk.whole_fault = lambda n: faults.TOO_MANY
    for _ in range(files):
        rig.log.append_at_once(20)
        rig.log.rotate()
    rig.log.append_at_once(20)
    trail = QUICK | ({"retention": retention} if retention else {})
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=trail)
    wait_keeps_up(rig, a)
    return a


def wait_keeps_up(rig, a) -> None:
    """The archive has all, and its place is at the end."""
    rig.wait_archived()
    wait_until(lambda: lag(a, "archive")[:2] == (0, 0), "it keeps up", context=a.log)


def lag(a, output: str = "search") -> tuple[int, int, object]:
    c = a.counters()[f"audit/{output}"]
    return c["backlog_bytes"], c["backlog_files"], c["seconds_to_loss"]


def test_the_backlog_is_what_was_not_delivered(rig):
    a = behind(rig, {})
    assert lag(a) == (len(rig.log.text()), 3, "unknown")
    assert lag(a, "archive") == (0, 0, "unknown")
    rig.log.append_at_once(7)           # counted before anybody has read it
    wait_keeps_up(rig, a)
    assert lag(a)[:2] == (len(rig.log.text()), 3)
    delete(rig.log.rotated)             # held, so still to be delivered
    rig.log.append(1)
    wait_keeps_up(rig, a)
    assert lag(a)[:2] == (len(rig.log.text()), 3)
    rig.bulk.heal()
    rig.wait_delivered()
    wait_until(lambda: lag(a) == (0, 0, "unknown"), "nothing is left", context=a.log)
    assert a.counters()["audit/search"]["backlog_seconds"] == 0


def test_the_backlog_survives_a_restart(rig):
    a = behind(rig, {})
    a.kill()
    gzip_file(rig.log.rotated[1])
    a.start()
    wait_keeps_up(rig, a)
    assert lag(a) == (len(rig.log.text()), 3, "unknown")
    rig.bulk.heal()
    rig.wait_delivered()


def test_the_backlog_in_seconds_is_the_age_of_what_was_delivered_last(rig):
    a = rig.start({"search": small(rig)}, trail=QUICK)
    at = datetime.now(timezone.utc) - timedelta(hours=2)
    rig.log.append(1, at=at)
    rig.wait_delivered()
    assert rig.wait_caught_up(a)["audit/search"]["backlog_seconds"] == 0
    rig.bulk.whole_fault = lambda n: faults.TOO_MANY
    rig.log.append(1, at=at + timedelta(hours=1))
    wait_until(lambda: lag(a)[0] > 0, "one is left", context=a.log)
    least = int((datetime.now(timezone.utc) - at).total_seconds())
    got = a.counters()["audit/search"]["backlog_seconds"]
    most = int((datetime.now(timezone.utc) - at).total_seconds())
    assert least <= got <= most and least >= 7200
    rig.bulk.heal()


@pytest.mark.parametrize("retention, want", [
    ({"max_backups": 2}, 0),                    # two newer ones: it goes next
    ({"max_backups": 1, "max_size": "1KiB"}, 0),
    ({"max_backups": 10}, "unknown"),           # nothing grows
    ({"max_backups": 2, "max_age": "24h"}, 0),  # whatever is first
    ({"max_size": "1KiB"}, "unknown"),          # that alone deletes nothing
])
def test_seconds_to_loss_by_the_number_of_files(rig, retention, want):
    a = behind(rig, retention)
    # Only what is written while it looks makes it grow, and here nothing is.
    assert lag(a)[2] == want
    assert lag(a, "archive")[2] == "unknown"    # it has nothing to lose
    rig.bulk.heal()
    rig.wait_delivered()
    wait_until(lambda: lag(a)[2] == "unknown", "nothing to lose", context=a.log)


def test_seconds_to_loss_by_age(rig):
    """The age is that of the name, for its time of change may be later."""
    rig.log.append_at_once(20)
    old = datetime.now(timezone.utc) - timedelta(minutes=50)
    rig.log.close()
    rig.log_path.rename(named(rig, old))
    rig.log.open()
    a = behind(rig, {"max_age": "1h"}, files=0)
    most = 3600 - int((datetime.now(timezone.utc) - old).total_seconds())
    got = lag(a)[2]
    assert most - 60 < got <= most + 1
    rig.bulk.heal()
    rig.wait_delivered()


def test_seconds_to_loss_is_none_where_it_is_overdue(rig):
    rig.log.append_at_once(20)
    rig.log.close()
    rig.log_path.rename(named(rig, datetime.now(timezone.utc) - timedelta(hours=2)))
    rig.log.open()
    a = behind(rig, {"max_age": "1h", "max_backups": 10}, files=0)
    assert lag(a)[2] == 0
    rig.bulk.heal()
    rig.wait_delivered()


def named(rig, at: datetime) -> Path:
    text = at.strftime("%Y-%m-%dT%H-%M-%S.") + f"{at.microsecond // 1000:03d}"
    return rig.log_path.with_name(f"audit-{text}.log")


def test_seconds_to_loss_of_a_live_file(rig):
    """It has all of its time before it, counted from its rotation."""
    a = behind(rig, {"max_age": "1h"}, files=0)
    assert lag(a) == (len(rig.log.text()), 0, 3600)
    rig.bulk.heal()
    rig.wait_delivered()
