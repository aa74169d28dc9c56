# SPDX-License-Identifier: Apache-2.0
"""inotify only says when to look. Where it says too little or nothing, because its
queue overflows or the user has no watches left, the timer does; nothing is lost,
and the counters tell."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from agent import TRAIL_COUNTERS, parse_pairs
from checks import assert_gap
from test_places import DEAF, QUICK, new_log, start_as, wait_both
from test_rotation import wait_stopped
from wait import wait_until

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def overflow(rig, a) -> None:
    """More changes than the queue takes, of a kind that is always told of: bytes are
    not while no output has room. The agent stands still afterwards."""
    size = int(QUEUE.read_text())
    if size > 200_000:
        pytest.skip(f"skipped: {QUEUE.name} is {size}, which takes too long to fill")
    wait_stopped(a)
    fds = [os.open(rig.log_dir / x, os.O_CREAT | os.O_WRONLY) for x in "ab"]
    for n in range(size + 1):           # in turn, as equal ones are merged
        os.fchmod(fds[n % 2], 0o600)
    for fd in fds:
        os.close(fd)


def wait_counted(a) -> None:
    """The queue was read to its end: all may be delivered long before that."""
    wait_until(lambda: a.trail_counters()["inotify_overflows"] > 0,
               "the overflow is counted", context=a.log)
    assert a.trail_counters()["inotify_overflows"] == 1


# -- the queue overflows ---------------------------------------------------------------


def test_an_overflow_hides_what_happened_after_it(rig):
    """Rotations and lines that nobody was told of: the overflow itself is a hint."""
    a = rig.start(trail=DEAF)
    rig.log.append(10)
    wait_both(rig)
    overflow(rig, a)
    for _ in range(3):
        rig.log.append(10)
        rig.log.rotate()
    rig.log.append(10)
    a.send(18)
    wait_both(rig)
    wait_counted(a)
    assert a.trail_counters()["inotify"] == "yes"
    rig.log.append(10)                  # it is heard again
    rig.log.rotate()
    rig.log.append(10)
    wait_both(rig)


def come_and_go(log) -> None:
    """The log is rotated twice; of that nothing is left."""
    expected = list(log.lines)
    for _ in range(2):
        log.rotate()
        log.append(10)
    for path in log.rotated:
        path.unlink()
    log.lines = expected + log.lines[-10:]


def test_what_comes_and_goes_while_the_agent_stands_still_is_told_of(rig):
    a = rig.start(trail=QUICK)
    rig.log.append(10)
    wait_both(rig)
    wait_stopped(a)
    come_and_go(rig.log)
    a.send(18)
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", rig.log.lines[9], rig.log.lines[10])
    wait_both(rig, gaps_apart=True)


def test_an_overflow_may_hide_what_came_and_went(rig):
    a = rig.start(trail=QUICK)
    rig.log.append(10)
    wait_both(rig)
    overflow(rig, a)
    come_and_go(rig.log)
    a.send(18)
    rig.wait_gaps("Deleted")
    wait_both(rig, gaps_apart=True)


def test_an_overflow_without_any_change(rig):
    a = rig.start(trail=DEAF)
    rig.log.append(10)
    wait_both(rig)
    overflow(rig, a)
    a.send(18)
    wait_counted(a)
    assert all(c["read"] == 10 for c in a.counters().values())
    wait_both(rig)


def test_an_overflow_hides_that_the_directory_was_replaced(rig):
    """The new one is watched from then on, as any that is replaced."""
    a = rig.start(trail=QUICK | DEAF)
    rig.log.append(10)
    wait_both(rig)
    overflow(rig, a)
    rig.log_dir.rename(rig.home / "old")
    rig.log_dir.mkdir()
    new = new_log(rig, rig.log_path)
    new.append(10)
    new.rotate()
    a.send(18)
    wait_counted(a)
    for _ in range(3):
        new.append(10)
        wait_both(rig)


def test_overflows_while_an_output_is_down(rig):
    """A lane that has no room listens to nothing; the trail still does."""
    rig.bulk.stop()
    a = rig.start({"search": rig.search(memory="64KiB", batch_bytes="8KiB")},
                  trail=QUICK)
    rig.log.append_at_once(100)
    a.wait_log("trying again")
    overflow(rig, a)
    for _ in range(3):
        rig.log.append_at_once(50)
        rig.log.rotate()
    rig.log.append_at_once(10)
    a.send(18)
    wait_counted(a)
    rig.bulk.start()
    rig.wait_delivered()


# -- no watches ------------------------------------------------------------------------


def set_limit(a, what: str, value: int) -> None:
    """While it runs."""
    subprocess.run(["nsenter", "--user", "--preserve-credentials", "-t",
                    str(a.process.pid), "sh", "-c",
                    f"echo {value} >/proc/sys/user/max_inotify_{what}"], check=True)


def limited(a, what: str, value: int):
    """An agent in a user namespace of its own, whose limit that is."""
    in_namespace = ["unshare", "-Ur", "sh", "-c",
                    f'echo {value} >/proc/sys/user/max_inotify_{what} && exec "$@"',
                    "sh"]
    if not shutil.which("unshare") or not shutil.which("nsenter"):
        pytest.skip("skipped: unshare and nsenter are not installed")
    done = subprocess.run([*in_namespace, "true"], capture_output=True, text=True)
    if done.returncode != 0:
        pytest.skip(f"skipped: no user namespace: {done.stderr.strip()}")
    a.wrapper = in_namespace
    return a


def test_no_watch_is_left(rig):
    """The timer carries on; once there are watches again, they are used."""
    a = limited(rig.agent(trail=QUICK), "watches", 0).start()
    rig.log.append(10)
    a.wait_log(rf"warn trail audit: cannot watch {rig.log_dir}: the limit of inotify "
               r"watches is reached \(sysctl fs\.inotify\.max_user_watches\); without "
               "one a directory is looked at every 100 ms")
    for _ in range(3):
        rig.log.append(10)
        rig.log.rotate()
        rig.log.append(10)
        wait_both(rig)
    c = a.trail_counters()
    assert (c["inotify"], c["inotify_overflows"]) == ("no", 0)
    assert a.log().count("cannot watch") == 1
    set_limit(a, "watches", 10)
    a.wait_log("info watch: there are enough inotify watches again")
    assert a.trail_counters()["inotify"] == "yes"
    rig.log.append(10)
    wait_both(rig)


def test_one_watch_for_two_directories(rig):
    """Each trail says for itself how it hears; of the limit it is said once."""
    other = rig.home / "other"
    other.mkdir()
    trails = {"audit": {"path": rig.log_path} | QUICK,
              "more": {"path": other / "more.log"} | QUICK}
    a = limited(rig.agent({"search": rig.search()}, trails=trails), "watches", 1)
    rig.log.append(10)
    new_log(rig, other / "more.log").append(10)
    a.start()
    for log in rig.logs:
        log.append(10)
        log.rotate()
        log.append(10)
    rig.wait_delivered(lines=[x for log in rig.logs for x in log.lines])
    a.counters()
    got = parse_pairs(TRAIL_COUNTERS, a.log())
    assert sorted(c["inotify"] for c in got.values()) == ["no", "yes"]
    assert a.log().count("cannot watch") == 1


def test_no_inotify_instance_is_left(rig):
    a = limited(rig.agent(trail=QUICK), "instances", 0).start()
    assert re.search(r"warn watch: no inotify: Too many open files \(sysctl "
                     r"fs\.inotify\.max_user_instances, or the limit of open files\); "
                     "directories are looked at by a timer", a.log())
    for _ in range(3):
        rig.log.append(10)
        rig.log.rotate()
        rig.log.append(10)
        wait_both(rig)
    assert a.trail_counters()["inotify"] == "no"
    assert a.log().count("no inotify:") == 1
    set_limit(a, "instances", 1)
    a.wait_log("info watch: inotify works now")
    rig.log.append(10)
    wait_both(rig)
    assert a.trail_counters()["inotify"] == "yes"


def test_a_directory_that_may_not_be_watched(rig, plain_user):
    """One may go into it, and read the live file, but not list it."""
    rig.log.append(10)
    rig.log_path.chmod(0o644)
    rig.log_dir.chmod(0o311)
    a = start_as(rig, plain_user, trail=QUICK)
    a.wait_log(rf"warn trail audit: cannot watch {rig.log_dir}: Permission denied; it "
               "is looked at every 100 ms")
    a.wait_log(rf"error trail audit: cannot list {rig.log_dir}: Permission denied; "
               "rotated files are not found until it can be")
    rig.log.append(10)
    wait_both(rig)
    assert a.trail_counters()["inotify"] == "no"
    rig.log_dir.chmod(0o755)
    a.wait_log(rf"info trail audit: {rig.log_dir} is watched now")
    rig.log.rotate()
    rig.log_path.chmod(0o644)
    rig.log.append(10)
    wait_both(rig)
    assert a.trail_counters()["inotify"] == "yes"


# -- how long it takes -----------------------------------------------------------------


def wait_quick(rig) -> None:
    """One line that arrives within a second will do, since a machine may be busy."""
    def is_quick() -> bool:
        since = time.monotonic()
        rig.log.append()
        rig.wait_archived()
        return time.monotonic() - since < 1

    wait_until(is_quick, "a line arrives within a second", context=rig.logs_tail)


def test_with_inotify_a_line_arrives_at_once(rig):
    """Not at the next tick of the timer, which would be a minute."""
    rig.start({"archive": rig.file()}, trail=DEAF)
    wait_quick(rig)
    rig.log.rotate()                    # nor does a rotation take longer
    wait_quick(rig)


def test_without_inotify_a_line_arrives_with_the_next_tick(rig):
    a = limited(rig.agent({"archive": rig.file()}, trail={"poll": "100ms"}),
                "instances", 0).start()
    wait_quick(rig)
    rig.log.rotate()
    wait_quick(rig)
    assert a.trail_counters()["inotify"] == "no"
