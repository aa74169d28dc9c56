# SPDX-License-Identifier: Apache-2.0
"""Where the log is: behind links, in directories that come and go, on other file
systems; and what happens when another file takes its name.

Each event is once in every output; what may be lost is told of."""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

import pytest

from auditlog import AuditLog, make_line
from checks import assert_gap
from conftest import give
from test_rotation import wait_stopped
from wait import wait_until

QUICK = {"poll": "100ms", "quiet": "200ms"}
# So long that only inotify can have told.
DEAF = {"poll": "60s", "quiet": "200ms"}


def wait_both(rig, gaps_apart: bool = False) -> None:
    """Every line of all logs, in the order in which they were opened, in both
    outputs."""
    lines = [line for log in rig.logs for line in log.lines]
    rig.wait_archived(text=b"".join(x + b"\n" for x in lines), gaps_apart=gaps_apart)
    rig.wait_delivered(lines=lines)


def new_log(rig, path: Path) -> AuditLog:
    """Another writer; its events follow those of the ones before."""
    log = rig.new_log(path)
    log.next_seq = 100_000 * (len(rig.logs) - 1)
    return log


def point(link: Path, to) -> None:
    """As `ln -sfn` and a rename do it: at no moment is it not there."""
    new = link.with_name(link.name + ".new")
    new.symlink_to(to)
    new.rename(link)


def behind_link(rig, link: Path, to: Path) -> AuditLog:
    """The agent is told `link`, the writer writes to `to`."""
    rig.log_path = link
    return new_log(rig, to)


def restart_reads(rig, a, n: int) -> None:
    """It goes on where it was, and reads so many lines."""
    rig.wait_caught_up(a)
    a.stop()
    a.start()
    lanes = rig.wait_caught_up(a)
    assert all(c["read"] == n for c in lanes.values()), lanes


@contextlib.contextmanager
def still(a):
    """It looks at nothing before all of this has happened: however long that takes
    here, for the agent it is no time."""
    wait_stopped(a)
    yield
    a.send(signal.SIGCONT)


# -- links ---------------------------------------------------------------------------


@pytest.mark.parametrize("relative", [False, True])
def test_a_link_to_a_file_in_its_directory(rig, relative):
    link, real = rig.log_dir / "current", rig.log_dir / "audit.log"
    link.symlink_to(real.name if relative else real)
    log = behind_link(rig, link, real)
    log.append(10)
    a = rig.start(trail=DEAF)
    for _ in range(2):                  # siblings bear the name of the real one
        log.append(10)
        log.rotate()
    log.append(10)
    wait_both(rig)
    a.stop()
    log.append(10)
    log.rotate()
    log.append(10)
    a.start()
    rig.wait_settled(a, read=20)
    wait_both(rig)


def test_a_link_into_another_directory(rig):
    """What happens there is noticed there: rotations, and at once."""
    there = rig.home / "there"
    there.mkdir()
    rig.log_path.symlink_to(there / "real.log")
    log = behind_link(rig, rig.log_path, there / "real.log")
    log.append(10)
    log.rotate()
    log.append(10)
    a = rig.start(trail=DEAF)
    log.append(10)
    log.rotate()
    log.append(10)
    wait_both(rig)
    restart_reads(rig, a, 0)


def test_a_link_of_the_directory_itself(rig):
    there = rig.home / "there"
    there.mkdir()
    rig.log_dir.rmdir()
    rig.log_dir.symlink_to(there)
    rig.log.append(10)
    a = rig.start(trail=DEAF)
    rig.log.rotate()
    rig.log.append(10)
    wait_both(rig)
    restart_reads(rig, a, 0)


def test_a_link_to_a_file_that_is_not_there_yet(rig):
    there = rig.home / "there"
    rig.log_path.symlink_to(there / "real.log")
    a = rig.start(trail=QUICK)
    a.wait_log(rf"info trail audit: {rig.log_path} is not there yet; waiting for it")
    there.mkdir()
    log = behind_link(rig, rig.log_path, there / "real.log")
    log.append(10)
    wait_both(rig)
    a.wait_log(rf"info trail audit: {rig.log_path} leads to {there} now")
    log.rotate()
    log.append(10)
    wait_both(rig)


def test_a_link_that_is_pointed_at_new_files_while_it_runs(rig):
    """As a container's 0.log, or a name.log -> name-DATE.log; the writer goes on in
    the old one for a moment, which is no longer than `quiet`."""
    link = rig.log_dir / "audit.log"
    log = behind_link(rig, link, rig.log_dir / "run-0.log")
    link.symlink_to(log.path.name)
    a = rig.start(trail=QUICK)
    for n in range(1, 3):
        log.append(10)
        wait_both(rig)
        new = new_log(rig, rig.log_dir / f"run-{n}.log")
        with still(a):
            point(link, new.path.name)
            log.append(5)
        new.append(10)
        log = new
    wait_both(rig)


def test_a_link_that_is_pointed_into_another_directory_while_it_runs(rig):
    link = rig.log_dir / "audit.log"
    log = behind_link(rig, link, rig.log_dir / "run.log")
    link.symlink_to(log.path)
    a = rig.start(trail=QUICK)
    log.append(10)
    wait_both(rig)
    there = rig.home / "there"
    there.mkdir()
    new = new_log(rig, there / "run.log")
    with still(a):
        point(link, new.path)
        log.append(5)
    new.append(10)
    a.wait_log(rf"info trail audit: {link} leads to {there} now")
    wait_both(rig)
    new.rotate()                        # the siblings are looked for there now
    new.append(10)
    wait_both(rig)
    restart_reads(rig, a, 0)


def test_a_link_is_pointed_at_a_new_file_while_the_agent_is_down(rig):
    """Nobody says that the two belong together, unless their names do: whether more
    was written to the old one is not known, and that is told."""
    link = rig.log_dir / "audit.log"
    log = behind_link(rig, link, rig.log_dir / "run-0.log")
    link.symlink_to(log.path.name)
    a = rig.start(trail=QUICK)
    log.append(10)
    wait_both(rig)
    a.stop()
    new = new_log(rig, rig.log_dir / "run-1.log")
    point(link, new.path.name)
    new.append(10)
    a.start()
    a.wait_log(rf"error lane \S+: {link}, read up to offset \d+, is not there any "
               "more; going on with what was written after it")
    wait_both(rig, gaps_apart=True)
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", log.lines[-1], new.lines[0], gap.get("bytes"))


def test_a_link_whose_targets_are_rotated_files_while_the_agent_is_down(rig):
    """A name-DATE that was rotated from name is found by its name."""
    log = behind_link(rig, rig.log_dir / "current", rig.log_path)
    rig.log_path = rig.log_dir / "current"
    rig.log_path.symlink_to("audit.log")
    a = rig.start(trail=QUICK)
    log.append(10)
    wait_both(rig)
    a.stop()
    log.append(10)
    log.logrotate()
    log.append(5)
    log.reopen()
    log.append(10)
    a.start()
    rig.wait_settled(a, read=25)
    wait_both(rig)


# -- directories ---------------------------------------------------------------------


def test_the_directory_is_moved_away_and_made_anew(rig):
    """Its writer goes on in the old one for a while."""
    a = rig.start(trail=QUICK)
    rig.log.append(10)
    wait_both(rig)
    for n in range(2):
        old = rig.logs[-1]
        rig.log_dir.rename(rig.home / f"old-{n}")
        old.append(5)
        rig.log_dir.mkdir()
        new = new_log(rig, rig.log_path)
        new.append(10)
        wait_both(rig)
        new.append(5)
        new.rotate()                    # the new one is watched as the old one was
        new.append(5)
        wait_both(rig)
    restart_reads(rig, a, 0)


def test_the_directory_is_deleted_and_made_anew(rig):
    """What was rotated and not read yet is held; so is what is still written. What
    came and went before the new directory was watched nobody knows."""
    rig.bulk.stop()
    a = rig.start({"search": rig.search(memory="64KiB", batch_bytes="8KiB"),
                   "archive": rig.file()}, trail=QUICK)
    rig.log.append_at_once(200)
    rig.log.rotate()
    rig.log.append_at_once(20)
    rig.wait_archived()
    for path in rig.log_dir.iterdir():
        path.unlink()
    rig.log_dir.rmdir()
    rig.log.append_at_once(20)
    rig.wait_archived()
    a.wait_log(rf"error trail audit: cannot list {rig.log_dir}: No such file or "
               "directory; rotated files are not found until it can be")
    later = rig.home / "later"          # it comes with its first events
    later.mkdir()
    new_log(rig, later / rig.log_path.name).append(10)
    later.rename(rig.log_dir)
    rig.bulk.start()
    rig.wait_gaps("Deleted")
    wait_both(rig, gaps_apart=True)
    assert a.log().count("cannot list") == 1


def test_the_directory_is_made_anew_while_the_agent_stands_still(rig):
    """It sees but the result: names like the old ones, other files."""
    a = rig.start(trail=QUICK)
    rig.log.append(10)
    wait_both(rig)
    wait_stopped(a)
    rig.log.append(5)
    rig.log_dir.rename(rig.home / "old")
    rig.log_dir.mkdir()
    new = new_log(rig, rig.log_path)
    new.append(5)
    new.rotate()
    new.append(5)
    a.send(signal.SIGCONT)
    wait_both(rig)


def test_parents_that_come_one_by_one(rig):
    rig.log_path = rig.log_dir / "a" / "b" / "audit.log"
    a = rig.start(trail=QUICK)
    a.wait_log(rf"info trail audit: {rig.log_path} is not there yet; waiting for it")
    for path in (rig.log_dir / "a", rig.log_dir / "a" / "b"):
        path.mkdir()
        a.counters()
    rig.log.append(5)
    rig.log.rotate()
    rig.log.append(5)
    wait_both(rig)
    assert a.log().count("is not there yet") == 1


def test_the_directory_is_on_another_file_system(rig, tmpfs):
    """Nothing there can be linked into the state directory: open descriptors hold
    it, which is said once."""
    rig.log_path = tmpfs("4m") / "audit.log"
    rig.bulk.stop()
    a = rig.start({"search": rig.search(memory="64KiB", batch_bytes="8KiB"),
                   "archive": rig.file()}, trail=QUICK)
    for _ in range(3):
        rig.log.append_at_once(100)
        rig.log.rotate()
        rig.log.append_at_once(10)
        rig.wait_archived()
    a.wait_log("info trail audit: rotated files are held by open descriptors only, not "
               "across restarts: cannot link them into the state directory: Invalid "
               "cross-device link")
    for path in rig.log.rotated:
        path.unlink()
    rig.bulk.start()
    wait_both(rig)
    assert a.log().count("held by open descriptors only") == 1
    restart_reads(rig, a, 0)


def test_a_file_system_is_mounted_over_the_directory(rig, tmpfs):
    """As the node's disk comes late: the path is another file from then on."""
    a = rig.start(trail=QUICK)
    rig.log.append(10)
    wait_both(rig)
    at = tmpfs("4m")
    disk_log = new_log(rig, at / "audit.log")
    disk_log.append(10)
    rig.log_dir.rename(rig.home / "hidden")
    rig.log_dir.symlink_to(at)
    wait_both(rig)
    disk_log.append(5)
    wait_both(rig)
    restart_reads(rig, a, 0)


# -- permissions ---------------------------------------------------------------------


def start_as(rig, uid: int | None, **kw):
    """As somebody who may not read all. Others have to let him in."""
    for path in (rig.state, rig.home / "out"):
        give(path, uid)
    rig.archive = rig.home / "out" / "archive.log"
    rig.log_path.chmod(0o644)
    return rig.start(uid=uid, **kw)


@pytest.fixture
def reader(plain_user) -> int:
    """Another user than the one who writes the log."""
    if plain_user is None:
        pytest.skip("skipped: only root can write what its own agent may not read")
    return plain_user


def test_the_permission_to_read_the_live_file_is_lost_and_regained(rig, reader):
    """What is open is read on. What is not is waited for: the ones after it are
    not read before it."""
    rig.log.append(10)
    a = start_as(rig, reader, trail=QUICK)
    wait_both(rig)
    rig.log_path.chmod(0)
    rig.log.append(10)
    wait_both(rig)
    a.stop()
    rig.log.append(10)
    a.start()
    a.wait_log(rf"error trail audit: cannot open {rig.log_path}: Permission denied; "
               "waiting, nothing is skipped")
    rig.log.rotate()                    # the new one bears its mode
    rig.log.append(10)
    rig.log_path.chmod(0o644)
    wait_until(lambda: a.trail_counters()["files"] >= 2, "it has seen the new one",
               context=a.log)
    assert all(c["read"] == 0 for c in a.counters().values())
    rig.log.rotated[0].chmod(0o644)
    a.wait_log(rf"info trail audit: {rig.log.rotated[0]} can be read again")
    wait_both(rig)


def test_a_new_live_file_that_may_not_be_read_at_first(rig, reader):
    """Its writer makes it 0600, and somebody sets it right a moment later."""
    rig.log.append(10)
    a = start_as(rig, reader, trail=QUICK)
    wait_both(rig)
    rig.log_path.chmod(0)
    rig.log.rotate()
    rig.log.append(10)
    a.wait_log(rf"error trail audit: cannot open {rig.log_path}: Permission denied; "
               "waiting, nothing is skipped")
    rig.log_path.chmod(0o644)
    wait_both(rig)
    a.wait_log(rf"info trail audit: {rig.log_path} can be read again")


def test_the_permission_of_the_directory_is_lost_and_regained(rig, reader):
    rig.log.append(10)
    a = start_as(rig, reader, trail=QUICK)
    wait_both(rig)
    rig.log_dir.chmod(0)
    rig.log.append(5)                   # what is open is read on
    wait_both(rig)
    a.wait_log(rf"error trail audit: cannot (list {rig.log_dir}|read {rig.log_path}): "
               "Permission denied; ")
    for _ in range(2):
        rig.log.rotate()
        rig.log_path.chmod(0o644)
        rig.log.append(10)
    rig.log_dir.chmod(0o755)
    wait_both(rig)


# -- other files of that name ----------------------------------------------------------


def test_unlinked_under_its_writer_who_goes_on_for_a_while(rig):
    a = rig.start(trail=QUICK)

    def told() -> int:
        return a.log().count("was deleted; what its writer still holds open")

    rig.log.append(10)
    wait_both(rig)
    for n in range(2):
        rig.log.path.unlink()
        for _ in range(3):
            rig.log.append(5)
            rig.wait_archived()
        wait_until(lambda: told() == n + 1, "it is said", context=a.log)
        rig.log.close()
        rig.log.open()
        rig.log.append(10)
        rig.wait_archived()
    wait_both(rig)
    assert told() == 2
    restart_reads(rig, a, 0)


def test_unlinked_and_a_new_one_while_both_are_written(rig):
    """The one that has no name comes first, until it is quiet."""
    rig.start(trail=QUICK | {"quiet": "3s"})
    rig.log.append(10)
    wait_both(rig)
    rig.log.path.unlink()
    new = new_log(rig, rig.log_path)
    for _ in range(3):
        rig.log.append(2)
        new.append(2)
    wait_both(rig)


def replacement(rig, how: str) -> AuditLog:
    """Another log beside the live one, to be renamed over it."""
    new = new_log(rig, rig.log_dir / "new.tmp")
    size = len(rig.log.text())
    if how == "shorter":
        new.append(5)
    elif how == "longer":
        new.append(60)
    else:
        new.append(5)
        left = size - len(new.text()) - 1
        short = len(make_line(new.next_seq, pad=1))
        new.append(pad=1 + left - short)
        assert new.path.stat().st_size == size
    return new


@pytest.mark.parametrize("how", ["shorter", "longer", "same_size"])
@pytest.mark.parametrize("state", ["runs", "stands_still", "down"])
def test_another_file_is_renamed_over_it(rig, how, state):
    """Neither size nor time tells them apart. What is open is read to its end; if
    nobody had it open, nobody knows what else was in it."""
    a = rig.start(trail=QUICK)
    rig.log.append(30)
    wait_both(rig)
    new = replacement(rig, how)
    times = rig.log_path.stat()
    os.utime(new.path, ns=(times.st_atime_ns, times.st_mtime_ns))
    if state == "stands_still":
        wait_stopped(a)
    elif state == "down":
        a.stop()
    new.path.rename(rig.log_path)
    new.path = rig.log_path
    if state == "stands_still":
        a.send(signal.SIGCONT)
    elif state == "down":
        a.start()
    wait_both(rig, gaps_apart=state == "down")
    if state == "down":
        [gap] = rig.wait_gaps("Deleted")
        assert_gap(gap, "Deleted", rig.log.lines[-1], new.lines[0], gap.get("bytes"))
        assert gap["behind"] == 30
    new.append(5)
    wait_both(rig, gaps_apart=state == "down")
    restart_reads(rig, a, 0)


# -- holes ---------------------------------------------------------------------------


def punch(rig, n: int) -> None:
    """What a crash of the machine leaves at the end of a file: NULs."""
    os.ftruncate(rig.log.fd, os.lseek(rig.log.fd, 0, os.SEEK_END) + n)


def test_a_hole_while_it_is_read(rig):
    """It is told of once there is something behind it, and passed over."""
    a = rig.start(trail=QUICK)
    before = rig.log.append(10)
    wait_both(rig)
    at = rig.log_path.stat().st_size
    punch(rig, 3000)
    a.counters()
    punch(rig, 5192)
    a.counters()
    after = rig.log.append(10)
    [gap] = rig.wait_gaps("Hole")
    assert_gap(gap, "Hole", before[-1], after[0], 8192, rig.log_path)
    assert gap["offset"] == at
    wait_both(rig, gaps_apart=True)
    assert all((c["hole_bytes"], c["gaps"]) == (8192, 1)
               for c in rig.wait_caught_up(a).values())
    restart_reads(rig, a, 0)


def test_a_hole_at_the_end_of_a_rotated_file(rig):
    a = rig.start(trail=QUICK)
    before = rig.log.append(10)
    wait_both(rig)
    punch(rig, 4096)
    rig.log.rotate()
    after = rig.log.append(10)
    [gap] = rig.wait_gaps("Hole")
    assert_gap(gap, "Hole", before[-1], None, 4096)
    wait_both(rig, gaps_apart=True)
    assert len(after) == 10
    restart_reads(rig, a, 0)


def test_killed_inside_a_hole(rig):
    """It is the same hole after the restart, and told of once."""
    a = rig.start(trail=QUICK)
    rig.log.append(10)
    wait_both(rig)
    punch(rig, 100_000)
    wait_until(lambda: all(c["hole_bytes"] == 100_000 for c in a.counters().values()),
               "both are in it", context=a.log)
    a.kill()
    rig.log.append(10)
    a.start()
    [gap] = rig.wait_gaps("Hole")
    assert gap["bytes"] == 100_000
    wait_both(rig, gaps_apart=True)
