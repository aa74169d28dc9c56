# SPDX-License-Identifier: Apache-2.0
"""A directory of logs that is not as it should be: siblings that are no files, or
cannot be read, or bear wrong times; and a state directory that remembers others.

Each event is once in every output, the log says what is the matter, and what is
lost has a gap record."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket

import pytest

from auditlog import AuditLog, gzip_file
from checks import assert_gap
from test_bad_input import DAMAGE
from test_compressed import fill, make_old, ship_some
from test_copytruncate import small
from test_places import QUICK, new_log, restart_reads, start_as, wait_both
from test_rotation import wait_stopped
from wait import wait_until


def rotate_as(log: AuditLog, time: str, ext: str = ".log"):
    """lumberjack, by a clock that may be wrong."""
    log.rotated_name = lambda: log.path.with_name(f"{log.path.stem}-{time}{ext}")
    to = log.rotate()
    del log.rotated_name
    return to


def wait_remembered(rig, path) -> None:
    """Its place among the others would outlive a kill."""
    inode = path.stat().st_ino

    def is_remembered() -> bool:
        with contextlib.suppress(FileNotFoundError):        # between two renames
            lines = (rig.state / "audit.roll").read_text().splitlines()
            return any(f" {inode} " in x and x.endswith(f" {path}") for x in lines)
        return False

    wait_until(is_remembered, f"the roll has {path}", context=rig.logs_tail)


def text_of(lines: list[bytes]) -> bytes:
    return b"".join(x + b"\n" for x in lines)


def wait_in_any_order(rig) -> None:
    """Names alone had to say what comes first, and were wrong."""
    rig.wait_delivered()
    want = sorted(rig.log.lines)
    wait_until(lambda: rig.archive.exists() and
               sorted(rig.archive.read_bytes().splitlines()) == want,
               "the file output has every line once", context=rig.logs_tail)


# -- siblings that cannot be read ------------------------------------------------------


@pytest.mark.parametrize("form", ["plain", "gz"])
def test_an_unreadable_sibling_in_the_middle_is_waited_for(rig, plain_user, form):
    """What was written after it is not read before it; nothing is taken for lost."""
    fill(rig.log, 3)
    middle = rig.log.rotated[1]
    if form == "gz":
        middle = gzip_file(middle)
    for path in rig.log.rotated:
        if path.exists():
            path.chmod(0o644)
    middle.chmod(0)
    a = start_as(rig, plain_user, trail=QUICK)
    a.wait_log(rf"error trail audit: cannot open {middle}: Permission denied; waiting, "
               "nothing is skipped")
    rig.wait_archived(text=text_of(rig.log.lines[:20]))
    rig.log.append(5)                   # many a hint, but no way on
    rig.wait_settled(a, read=20)
    assert all(c["read"] == 20 and c["gaps"] == 0 for c in a.counters().values())
    assert all(c["backlog_files"] == 2 for c in a.counters().values())
    middle.chmod(0o644)
    wait_both(rig)
    a.wait_log(rf"info trail audit: {middle} can be read again")
    assert a.log().count("cannot open") == 1


def test_an_unreadable_sibling_that_is_deleted_is_a_gap(rig, plain_user):
    fill(rig.log, 3)
    for path in rig.log.rotated:
        path.chmod(0o644)
    rig.log.rotated[1].chmod(0)
    size = rig.log.rotated[1].stat().st_size
    a = start_as(rig, plain_user, trail=QUICK)
    a.wait_log("cannot open")
    rig.wait_archived(text=text_of(rig.log.lines[:20]))
    rig.log.rotated[1].unlink()
    lines = rig.log.lines
    lost = lines[20:40]
    del lines[20:40]
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", lines[19], lines[20], gap.get("bytes"),
               rig.log.rotated[1])
    assert gap.get("bytes") in (None, size) and len(lost) == 20
    wait_both(rig, gaps_apart=True)


# -- siblings that are no files --------------------------------------------------------


def make_strange(path, kind: str) -> None:
    if kind == "directory":
        path.mkdir()
        (path / "audit.log").write_bytes(b"{}\n")
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "dangling":
        path.symlink_to("/nowhere/to/be/found")
    else:
        path.symlink_to(path.name)


STRANGE = {
    "directory": "a directory",
    "fifo": "not a regular file",
    "socket": "not a regular file",
    "device": "not a regular file",
    "dangling": "a link to nothing",
    "loop": "a link to nothing",
}


@pytest.mark.parametrize("kind", STRANGE)
def test_a_sibling_that_is_no_file_is_passed_over(rig, kind):
    """Before the start and while it runs, between others and with .gz."""
    rig.log.append(5)
    rig.log.rotate()
    strange = rotate_as(rig.log, "2026-11-24T03-09-58.015")
    strange.unlink()
    make_strange(strange, kind)
    rig.log.append(5)
    a = rig.start(trail=QUICK)
    wait_both(rig)
    a.wait_log(rf"warn trail audit: {strange} is {STRANGE[kind]} and no rotated file; "
               "it is passed over")
    make_strange(rig.log_dir / "audit-2026-11-24T03-09-59.015.log.gz", kind)
    make_strange(rig.log_dir / "audit.log.1", kind)
    rig.log.append(5)
    rig.log.rotate()
    rig.log.append(5)
    wait_both(rig)
    assert a.log().count("passed over") == 1
    restart_reads(rig, a, 0)


@pytest.mark.parametrize("kind", ["fifo", "socket"])
def test_the_live_file_is_no_file(rig, kind):
    make_strange(rig.log_path, kind)
    a = rig.start(trail=QUICK)
    a.wait_log(rf"error trail audit: cannot read {rig.log_path}: not a regular file; "
               "trying again")
    rig.log_path.unlink()
    rig.log.append(5)
    wait_both(rig)
    assert a.log().count("cannot read") == 1


# -- names that do not tell the order --------------------------------------------------


BACKWARDS = [f"2026-11-24T{h:02d}-00-00.000" for h in (9, 8, 10, 7, 3)]


def test_the_clock_is_set_back_while_it_runs(rig):
    """Files that were seen keep their places, whatever their names say."""
    a = rig.start(trail=QUICK)
    for time in BACKWARDS:
        rig.log.append(10)
        rotate_as(rig.log, time)
        rig.log.append(10)
        wait_both(rig)
    restart_reads(rig, a, 0)


def test_the_clock_is_set_back_while_an_output_is_behind_and_it_is_killed(rig):
    """The order is remembered across a SIGKILL, for files not read yet as well."""
    rig.bulk.stop()
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    for time in BACKWARDS:
        rig.log.append_at_once(60)
        rotate_as(rig.log, time)
        rig.log.append(1)
        rig.wait_archived()
        wait_remembered(rig, rig.log_path)
    a.kill()
    rig.log.append(5)
    rotate_as(rig.log, "2026-11-24T02-00-00.000")
    rig.log.append(5)
    a.start()
    rig.wait_archived()
    rig.bulk.start()
    rig.wait_delivered()


def test_the_clock_is_set_back_twice_while_the_agent_is_down(rig):
    """Of files that nobody saw only the names tell: the order may be wrong, but none
    is passed over."""
    a = ship_some(rig)
    for time in BACKWARDS:
        rig.log.append(10)
        rotate_as(rig.log, time)
    rig.log.append(10)
    a.start()
    wait_in_any_order(rig)
    restart_reads(rig, a, 0)


def test_the_clock_is_set_back_while_it_stands_still(rig):
    a = rig.start(trail=QUICK)
    rig.log.append(10)
    rotate_as(rig.log, "2026-11-24T09-00-00.000")
    rig.log.append(10)
    wait_both(rig)
    wait_stopped(a)
    rig.log.append(10)
    rotate_as(rig.log, "2026-11-24T02-00-00.000")
    rig.log.append(10)
    a.send(18)
    wait_both(rig)


SAME = {
    "plain_and_gz": ("audit-2026-11-24T03-00-00.000.log",
                     "audit-2026-11-24T03-00-00.000.log.gz"),
    "dated_plain_and_gz": ("audit.log-20261124", "audit.log-20261124.gz"),
    "two_namings": ("audit.log-20261124", "audit-20261124.log"),
    "two_namings_gz": ("audit.log.1.gz", "audit.1.log.gz"),
}


@pytest.mark.parametrize("names", SAME)
@pytest.mark.parametrize("when", ["start", "down", "runs"])
def test_two_siblings_of_one_time(rig, names, when):
    """Different texts are different files; the one that was changed last is the
    later one."""
    a = None if when == "start" else rig.start(trail=QUICK)
    rig.log.append(10)
    if a is not None:
        wait_both(rig)
        if when == "down":
            a.stop()
        else:
            wait_stopped(a)
    for n, name in enumerate(SAME[names]):
        rig.log.append(10)
        rig.log.close()
        to = rig.log_dir / name
        plain = to.with_name(to.name.removesuffix(".gz") + f".{n}.tmp")
        rig.log_path.rename(plain)
        if to.suffix == ".gz":
            plain = gzip_file(plain)
        make_old(plain, 100 - n)
        plain.rename(to)
        rig.log.open()
    rig.log.append(10)
    if when == "start":
        a = rig.start(trail=QUICK)
    elif when == "down":
        a.start()
    else:
        a.send(18)
    wait_both(rig)
    restart_reads(rig, a, 0)


# -- files with little in them ---------------------------------------------------------


def test_nothing_but_empty_files(rig):
    rig.log_path.touch()
    for name in ("audit-2026-11-24T03-00-00.000.log", "audit.log.1",
                 "audit-20261124.log"):
        (rig.log_dir / name).touch()
    a = rig.start(trail=QUICK)
    assert all(c["read"] == 0 for c in a.counters().values())
    rig.log.append(5)
    wait_both(rig)
    restart_reads(rig, a, 0)


def test_an_empty_gz_is_damaged(rig):
    """gzip never leaves one: what was in it is lost. A young one is waited for."""
    fill(rig.log, 1)
    bad = rig.log_dir / "audit-2020-01-01T00-00-00.000.log.gz"
    bad.touch()
    make_old(bad)
    a = rig.start(trail=QUICK)
    a.wait_log(rf"error trail audit: {bad} is damaged: it ends after 0 bytes of text")
    [gap] = rig.wait_gaps("Damaged")
    assert_gap(gap, "Damaged", None, rig.log.lines[0], gap.get("bytes"), bad)
    wait_both(rig, gaps_apart=True)
    restart_reads(rig, a, 0)


def test_an_empty_gz_beside_its_file(rig):
    """The compressor has just begun, or died at once: the file itself is read."""
    fill(rig.log, 2)
    for path, age in zip(rig.log.rotated, (0, 3600)):
        gz = path.with_name(path.name + ".gz")
        gz.touch()
        make_old(gz, age)
    a = rig.start(trail=QUICK)
    wait_both(rig)
    restart_reads(rig, a, 0)


def test_a_live_file_of_half_a_line(rig):
    """It is waited for, also across restarts."""
    rig.log.begin_line()
    a = rig.start(trail=QUICK)
    for _ in range(2):
        assert all(c["read"] == 0 for c in rig.wait_settled(a).values())
        a.stop()
        a.start()
    rig.log.finish_line()
    wait_both(rig)


@pytest.mark.parametrize("form", ["plain", "gz"])
def test_a_rotated_file_of_half_a_line(rig, form):
    """Nothing can come after it: it is set aside, not passed over in silence."""
    rig.log.append(5)
    rig.log.rotate()
    half = rig.log.begin_line(upto=300)[:300]
    path = rig.log.rotate()
    rig.log.append(5)
    if form == "gz":
        path = gzip_file(path)
    a = rig.start(trail=QUICK)
    wait_both(rig)
    rig.wait_settled(a, read=11)
    for output in ("search", "archive"):
        [letter] = a.dead(output)
        assert letter["kind"] == "quarantined" and letter["reason"]
        assert (letter["file"], letter["offset"]) == (str(path), 0)
        assert (letter["length"], letter["line"]) == (300, half.decode())
    restart_reads(rig, a, 0)


def test_half_a_line_in_a_renamed_file_whose_writer_goes_on(rig):
    """logrotate without a signal yet: the other half follows in NAME.1."""
    a = rig.start(trail=QUICK)
    rig.log.begin_line()
    rig.log.logrotate()
    a.counters()
    rig.log.finish_line()
    rig.log.append(5)
    rig.log.reopen()
    rig.log.append(5)
    wait_both(rig)
    assert a.dead("archive") == a.dead("search") == []


# -- a state directory that remembers other files --------------------------------------


def replace_all(rig) -> list[bytes]:
    """Other logs under the names of those there were."""
    rig.log.close()
    shutil.rmtree(rig.log_dir)
    rig.log_dir.mkdir()
    new = new_log(rig, rig.log_path)
    fill(new, 2)
    return new.lines


@pytest.mark.parametrize("roll", ["kept", "lost"])
def test_a_checkpoint_for_a_file_that_is_nowhere(rig, roll):
    """A gap record says so; what there is, is read from the oldest on."""
    a = ship_some(rig)
    new = replace_all(rig)
    if roll == "lost":
        damage_roll(rig, "missing")
    a.start()
    a.wait_log(rf"error lane audit/archive: {rig.log_path}, read up to offset \d+, is "
               "not there any more; going on with what was written after it")
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", rig.log.lines[-1], new[0], gap.get("bytes"),
               rig.log_path)
    assert gap["behind"] == 20
    wait_both(rig, gaps_apart=True)
    restart_reads(rig, a, 0)


def test_a_checkpoint_where_there_are_no_files_at_all(rig):
    """The loss is told of once there is something to go on with; a kill before that
    does not make it two."""
    a = ship_some(rig)
    rig.log.close()
    shutil.rmtree(rig.log_dir)
    a.start()
    a.wait_log(rf"error trail audit: cannot list {rig.log_dir}: No such file or "
               "directory; rotated files are not found until it can be")
    assert all(c["gaps"] == 0 for c in a.counters().values())
    a.kill()
    a.start()
    later = rig.home / "later"
    later.mkdir()
    new = new_log(rig, later / rig.log_path.name)
    new.append(5)
    later.rename(rig.log_dir)
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", rig.log.lines[-1], new.lines[0], gap.get("bytes"))
    wait_both(rig, gaps_apart=True)
    restart_reads(rig, a, 0)


UNUSABLE = DAMAGE | {"missing": None}


def damage_roll(rig, damage: str) -> None:
    """And the previous one, which would do."""
    for path in rig.state.glob("audit.roll*"):
        if UNUSABLE[damage] is None:
            path.unlink()
        else:
            path.write_bytes(UNUSABLE[damage](path.read_bytes()))


@pytest.mark.parametrize("damage", UNUSABLE)
def test_an_unusable_roll(rig, damage):
    """The order is taken from the names then; where they are right it is as well."""
    a = rig.start(trail=QUICK)
    fill(rig.log, 2)
    wait_both(rig)
    a.stop()
    damage_roll(rig, damage)
    fill(rig.log, 2)
    a.start()
    if damage != "missing":
        a.wait_log(r"warn trail audit: cannot use audit\.roll: .*; the order of the "
                   "files is taken from their names")
    wait_both(rig)
    assert all(c["read"] == 60 for c in rig.wait_caught_up(a).values())
    restart_reads(rig, a, 0)
    assert "cannot use" not in a.log()


@pytest.mark.parametrize("damage", UNUSABLE)
def test_without_the_last_roll_the_one_before_is_used(rig, damage):
    """A crash between its two renames leaves no other."""
    a = rig.start(trail=QUICK)
    fill(rig.log, 2)
    wait_both(rig)
    a.stop()
    roll = rig.state / "audit.roll"
    (rig.state / "audit.roll.prev").write_bytes(roll.read_bytes())
    if UNUSABLE[damage] is None:
        roll.unlink()
    else:
        roll.write_bytes(UNUSABLE[damage](roll.read_bytes()))
    fill(rig.log, 2)
    a.start()
    a.wait_log(r"warn trail audit: audit\.roll is missing or damaged; the previous one "
               "is used")
    wait_both(rig)
    restart_reads(rig, a, 0)


@pytest.mark.parametrize("damage", ["empty", "missing"])
def test_an_unusable_roll_while_an_output_is_behind(rig, damage):
    """What was deleted meanwhile is held by its link in the state directory, which
    does not need the roll. Without it nobody knows what came behind the last one."""
    rig.bulk.stop()
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    for _ in range(3):
        rig.log.append_at_once(100)
        rig.log.rotate()
        rig.log.append(1)
        rig.wait_archived()
    wait_until(lambda: a.counters()["audit/archive"]["in_flight"] == 0, "it is settled",
               context=a.log)
    a.kill()
    for path in rig.log.rotated:
        path.unlink()
    damage_roll(rig, damage)
    a.start()
    rig.bulk.start()
    rig.wait_delivered()
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", rig.log.lines[-2], rig.log.lines[-1])
    rig.wait_archived(gaps_apart=True)


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_previous_checkpoint_alone_is_not_looked_at(rig, damage):
    a = ship_some(rig)
    for path in rig.state.glob("*.prev"):
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    rig.log.append(5)
    a.start()
    wait_both(rig)
    assert a.counters()["audit/archive"]["read"] == 5
