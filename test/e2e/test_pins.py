# SPDX-License-Identifier: Apache-2.0
"""Retention deletes a file that was not read yet: the agent has it all the same,
by its descriptor while it runs, and by a link in its state directory across its
death; up to `pin_max_bytes`, and what is given up then is told of."""

from __future__ import annotations

from pathlib import Path

import faults
from auditlog import gzip_file, sequence
from bulk_server import BulkServer
from checks import assert_gap, assert_once, stored_gaps
from test_compressed import QUICK
from test_copytruncate import small
from wait import wait_until


def pins(rig) -> list[Path]:
    at = rig.state / "audit.pins"
    return sorted(at.iterdir()) if at.exists() else []


def wait_pins(rig, n: int) -> None:
    wait_until(lambda: len(pins(rig)) == n, f"{n} pins",
               context=lambda: f"{pins(rig)}\n{rig.logs_tail()}")


def fill(rig, files: int, n: int = 80) -> None:
    """Rotated files that hold more than a search output takes in, and a live one."""
    for _ in range(files):
        rig.log.append_at_once(n)
        rig.log.rotate()
    rig.log.append_at_once(n)


def delete(paths: list[Path]) -> None:
    for path in paths:
        path.unlink()


def ends_with(bulk: BulkServer, line: bytes) -> bool:
    return any(d.doc.endswith(line[-100:]) for d in bulk.stored()[-1:])


def kill_after(rig, a, n: int) -> None:
    """A life that ends after n requests were answered, and more stored without an
    answer."""
    bulk, start = rig.bulk, rig.bulk.request_count()
    bulk.whole_fault = lambda number: (None if number - start <= n else faults.LOST)
    a.start()
    wait_until(lambda: bulk.request_count() >= start + n + 3 or
               ends_with(bulk, rig.log.lines[-1]), f"{n} requests", context=a.log)
    a.kill()
    bulk.heal()


def test_deleted_while_an_output_was_down_and_the_agent_was_killed(rig):
    rig.bulk.stop()
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    fill(rig, 4)
    rig.wait_archived()
    wait_pins(rig, 4)
    a.kill()
    delete(rig.log.rotated)
    rig.log.append(5)
    a.start()
    rig.wait_archived()
    wait_pins(rig, 4)
    rig.bulk.start()
    rig.wait_delivered()
    wait_pins(rig, 0)


def holds(a, paths: list[Path]) -> bool:
    """Whether the agent has all of them open, and that for good: who looks opens files
    that he may not take. They, or those after the first, are still to be read."""
    if a.counters()["audit/search"]["backlog_files"] < len(paths):
        return False
    inodes = {path.stat().st_ino for path in paths}
    mine = set()
    for fd in Path(f"/proc/{a.process.pid}/fd").iterdir():
        try:
            mine.add(fd.stat().st_ino)
        except FileNotFoundError:
            pass                        # closed meanwhile
    return inodes <= mine


def test_rotated_while_no_output_has_room_is_held_at_once(rig):
    """Not at the next tick of the timer, which is a minute away."""
    rig.bulk.stop()
    a = rig.start({"search": small(rig)}, trail=QUICK | {"poll": "60s"})
    rig.log.append_at_once(200)
    a.wait_log("trying again")
    for _ in range(3):
        rig.log.rotate()
        rig.log.append_at_once(80)
        wait_until(lambda: holds(a, rig.log.rotated), "held", context=a.log)
    delete(rig.log.rotated)
    rig.bulk.start()
    rig.wait_delivered(60)


def test_deleted_while_it_runs_and_killed_after_that(rig):
    """There is a link, and no name any more that says what it was."""
    rig.bulk.stop()
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    for _ in range(3):
        rig.log.append_at_once(80)
        to = rig.log.rotate()
        wait_until(lambda: to.stat().st_nlink == 2, f"{to.name} has a pin",
                   context=a.log)
        to.unlink()
    rig.log.append_at_once(80)
    rig.wait_archived()
    a.kill()
    rig.bulk.start()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()
    wait_pins(rig, 0)


def test_killed_again_and_again_while_it_reads_what_was_deleted(rig):
    rig.bulk.stop()
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    fill(rig, 3)
    rig.wait_archived()
    wait_pins(rig, 3)
    a.kill()
    delete(rig.log.rotated)
    rig.bulk.start()
    for n in range(6):
        kill_after(rig, a, 8 * n)
    a.start()
    rig.wait_delivered()
    rig.wait_archived()
    wait_pins(rig, 0)


def test_a_pin_stays_until_the_last_output_has_read_its_file(rig):
    fine, stuck = rig.new_bulk(), rig.new_bulk()
    stuck.whole_fault = lambda n: faults.TOO_MANY
    a = rig.start({"fine": rig.search(fine), "stuck": small(rig, hosts=[stuck.url])},
                  trail=QUICK, drain_timeout="100ms")
    fill(rig, 3)
    rig.wait_delivered(bulk=fine)
    wait_settled(a, "fine")
    wait_pins(rig, 3)
    a.stop()
    assert len(pins(rig)) == 3          # nobody who stops has read all
    delete(rig.log.rotated)
    a.start()
    stuck.heal()
    rig.wait_delivered(bulk=stuck)
    wait_pins(rig, 0)
    assert_once(fine, rig.log.lines)
    assert rig.wait_caught_up(a)["audit/fine"]["read"] == 0


def test_the_files_of_outputs_that_keep_up_leave_no_link_behind(rig):
    a = rig.start(trail=QUICK)
    fill(rig, 5)
    rig.wait_archived()
    rig.wait_delivered()
    wait_pins(rig, 0)
    assert all(path.stat().st_nlink == 1 for path in rig.log.rotated)
    a.stop()
    a.start()
    assert not pins(rig)


def test_a_gz_that_is_deleted_as_well(rig):
    """What is compressed while it runs is held as it was; what was before, as it
    is."""
    rig.bulk.stop()
    fill(rig, 2)
    before = [gzip_file(path) for path in rig.log.rotated]
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    rig.log.rotate()
    rig.log.append_at_once(80)
    rig.wait_archived()
    wait_pins(rig, 3)
    assert [p.suffix for p in pins(rig)].count(".gz") == 2
    late = gzip_file(rig.log.rotated[2])
    rig.log.append(1)
    rig.wait_archived()
    a.kill()
    delete([*before, late])
    rig.bulk.start()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()
    wait_pins(rig, 0)


# -- too much -------------------------------------------------------------------


def start_behind(rig, bulks: list[BulkServer]):
    """Outputs that take nothing any more, three files that they have to read, and
    room for one of them; all are deleted. The sizes, and which is kept."""
    for b in bulks:
        b.whole_fault = lambda n: None if n < 3 else faults.TOO_MANY
    lines = [rig.log.append_at_once(150)]
    rig.log.rotate()
    for _ in range(2):
        lines.append(rig.log.append_at_once(150))
        rig.log.rotate()
    lines.append(rig.log.append_at_once(10))
    sizes = [p.stat().st_size for p in rig.log.rotated]
    a = rig.agent({f"search{n}": small(rig, hosts=[b.url])
                   for n, b in enumerate(bulks)},
                  trail=QUICK | {"pin_max_bytes": max(sizes) + 1000},
                  drain_timeout="100ms")
    a.start()
    for b in bulks:
        wait_until(lambda: b.stored_count() > 0 and b.request_count() > 4, "stuck",
                   context=a.log)
    delete(rig.log.rotated)
    wait_until(lambda: a.log().count(" is given up, for pin_max_bytes is ") == 2,
               "two are given up", context=a.log)
    return a, lines, sizes


def wait_settled(a, output: str) -> None:
    def is_settled() -> bool:
        c = a.counters()[f"audit/{output}"]
        return c["in_flight"] == c["backlog_bytes"] == 0

    wait_until(is_settled, f"{output} has nothing left to do", context=a.log)


def assert_given_up(a, output: str, bulk: BulkServer, lines: list[list[bytes]],
                    sizes: list[int], paths: list[Path]) -> None:
    """A part of the first file, then all from the third on; two gaps between. The
    line that was under way is a dead letter."""
    wait_until(lambda: ends_with(bulk, lines[3][-1]), "the end is delivered",
               context=a.log)
    wait_settled(a, output)             # with its dead letter, if there is one
    got = sum(sequence(d.doc) < 150 for d in bulk.stored())
    assert 0 < got < 150
    assert_once(bulk, lines[0][:got] + lines[2] + lines[3])
    assert len(bulk.gaps()) == 2, a.log()
    first, second = stored_gaps(bulk)
    begin = sum(len(x) + 1 for x in lines[0][:got])
    torn = sum(d["length"] for d in a.dead(output))
    assert first["offset"] == begin + torn and second["offset"] == 0
    assert_gap(first, "GivenUp", lines[0][got - 1], None, sizes[0] - begin - torn,
               paths[0])
    assert_gap(second, "GivenUp", lines[0][got - 1], lines[2][0], sizes[1], paths[1])


def test_more_than_pin_max_bytes_is_given_up_and_told_of_once(rig):
    bulks = [rig.new_bulk(), rig.new_bulk()]
    a, lines, sizes = start_behind(rig, bulks)
    trail = a.trail_counters()
    assert trail["given_up_bytes"] == sizes[0] + sizes[1]
    assert trail["held_deleted_bytes"] == sizes[2]
    rig.gaps = ["GivenUp", "GivenUp"]
    for b in bulks:
        b.heal()
    for n, b in enumerate(bulks):
        assert_given_up(a, f"search{n}", b, lines, sizes, rig.log.rotated)
    lanes = rig.wait_caught_up(a)
    for n, b in enumerate(bulks):
        lost = sum(g["bytes"] for g in stored_gaps(b))
        assert lanes[f"audit/search{n}"]["gaps"] == 2
        assert lanes[f"audit/search{n}"]["gap_bytes"] == lost
    assert a.log().count(" is given up, for pin_max_bytes is ") == 2
    wait_pins(rig, 0)
    wait_until(lambda: a.trail_counters()["held_deleted_bytes"] == 0, "none is held",
               context=a.log)
    a.stop()
    rig.log.append(3)
    a.start()
    wait_until(lambda: all(c["delivered"] == 3 for c in a.counters().values()),
               "the new ones are delivered", context=a.log)
    assert all(c["gaps"] == 0 for c in a.counters().values())


def test_killed_before_and_after_what_was_given_up_is_told_of(rig):
    """It is told of as what it was, and so once."""
    a, lines, sizes = start_behind(rig, [rig.bulk])
    wait_pins(rig, 1)
    a.stop()                            # its place is what it has delivered
    rig.bulk.wait_alone()
    rig.bulk.heal()
    for n in range(6):
        kill_after(rig, a, n)
    rig.gaps = ["GivenUp", "GivenUp"]
    a.start()
    assert_given_up(a, "search0", rig.bulk, lines, sizes, rig.log.rotated)
    rig.wait_caught_up(a)
    wait_pins(rig, 0)


# -- no links -------------------------------------------------------------------


def test_a_state_directory_on_another_file_system(rig, tmpfs):
    """No links: the descriptors keep them while it runs, and no longer."""
    rig.state = tmpfs("8m") / "state"
    rig.bulk.whole_fault = lambda n: faults.TOO_MANY
    a = rig.start({"search": small(rig)}, trail=QUICK, drain_timeout="100ms")
    fill(rig, 3)
    a.wait_log("rotated files are held by open descriptors only, not across "
               "restarts: cannot link")
    wait_until(lambda: holds(a, rig.log.rotated), "all are open", context=a.log)
    delete(rig.log.rotated)
    rig.bulk.heal()
    rig.wait_delivered()                # while it runs
    rig.bulk.whole_fault = lambda n: faults.TOO_MANY
    lost = [rig.log.lines[-1]]
    before = len(rig.log.lines)
    fill(rig, 2)
    new = rig.log.rotated[3:]
    wait_until(lambda: holds(a, new), "all are open", context=a.log)
    assert a.log().count("open descriptors only") == 1
    sizes = [p.stat().st_size for p in new]
    a.stop()                            # the sizes are remembered
    delete(new)
    rig.bulk.heal()
    a.start()
    first, second = rig.wait_gaps("Deleted", "Deleted")
    kept = rig.log.lines[:before] + rig.log.lines[-80:]
    rig.wait_delivered(lines=kept)
    assert_gap(first, "Deleted", lost[-1], None, first.get("bytes"), new[0])
    assert_gap(second, "Deleted", lost[-1], rig.log.lines[-80], sizes[1], new[1])
    assert first["bytes"] + first["offset"] == sizes[0]
    assert not pins(rig)
