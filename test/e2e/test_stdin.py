# SPDX-License-Identifier: Apache-2.0
"""Standard input as a trail: every event of a pipe once, an end of the agent's own
accord, a writer that waits, and no checkpoint."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

import faults
from agent import CONFIG, FAILED, PROGRAM, STOPPED, Agent, parse_counters, run_program
from auditlog import AuditLog, make_line
from checks import assert_file_is, assert_once, file_has
from wait import SCALE, wait_until

MIB = 1024 * 1024
STDIN = {"path": '"-"'}
# How far the slowest output may be behind, beside max_line.
BEHIND_MAX = 64 * MIB


def piped(rig, outputs: dict | None = None, trail: dict | None = None,
          trails: dict | None = None, **kw) -> tuple[Agent, AuditLog]:
    """An agent that is not started, with a pipe as its standard input, and the log
    that is written into that: closing it is the end."""
    log = rig.new_log(create=False)
    a = rig.agent(outputs, trails={"audit": STDIN | (trail or {})} | (trails or {}),
                  **kw)
    a.stdin, log.fd = os.pipe()
    return a, log


def launch(a: Agent) -> Agent:
    a.start()
    os.close(a.stdin)           # the agent has it: ours would keep the pipe alive
    return a


def ended(a: Agent, expect: int = STOPPED) -> dict:
    """It has ended by itself; its last counters."""
    assert a.wait_exit(60) == expect, a.log()
    assert not list(a.state.glob("*.checkpoint*")), "there is no place to remember"
    assert not list(a.state.glob("*.roll"))
    return parse_counters(a.log())


def spool_of(a: Agent) -> os.stat_result:
    """The file without a name in which the agent keeps what came."""
    for fd in Path(f"/proc/{a.process.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):    # closed meanwhile
            if str(a.state) in os.readlink(fd) and fd.stat().st_nlink == 0:
                return fd.stat()
    raise AssertionError("no spool is open")


class Writer(threading.Thread):
    """Writes into the pipe, which may make it wait, and closes it."""

    def __init__(self, log: AuditLog, lines: list[bytes]) -> None:
        super().__init__(daemon=True)
        self.log = log
        self.lines = lines
        self.written = 0
        self.start()

    def run(self) -> None:
        for line in self.lines:
            self.log.write(line + b"\n")
            self.written += len(line) + 1
        self.log.close()


def test_a_whole_log_through_a_pipe(rig):
    out = rig.home / "stdout.log"
    a, log = piped(rig, {"search": rig.search(), "archive": rig.file(),
                         "console": rig.console()})
    with out.open("wb") as a.stdout:
        launch(a)
    log.append_at_once(3000)
    log.close()
    lanes = ended(a)
    assert_once(rig.bulk, log.lines)
    assert all(d.offered == 1 for d in rig.bulk.stored())
    assert_file_is(rig.archive, log.text())
    assert_file_is(out, log.text())     # and nothing else is printed there
    assert set(lanes) == {"audit/search", "audit/archive", "audit/console"}
    for c in lanes.values():
        assert c["read"] == c["delivered"] == 3000 and c["in_flight"] == 0
        assert c["read_bytes"] == len(log.text())
        assert c["gaps"] == c["checkpoints"] == c["backlog_bytes"] == 0


def test_as_a_shell_runs_it(rig):
    """cat LOG | tallyman run -c FILE | ..."""
    rig.log.append(300)
    config = rig.write_config({"console": rig.console(linger="50ms")},
                              trails={"audit": STDIN})
    done = subprocess.run(
        ["bash", "-c", 'set -o pipefail; cat "$1" | "$0" run -c "$2" | cat',
         str(PROGRAM), str(rig.log_path), str(config)],
        stdin=subprocess.DEVNULL, capture_output=True, timeout=60 * SCALE)
    assert done.returncode == 0, done.stderr
    assert done.stdout == rig.log.text()
    assert b"standard input has ended, and all of it is settled" in done.stderr


def test_a_file_as_standard_input(rig):
    a, log = piped(rig)
    log.close()
    os.close(a.stdin)
    log.open()
    log.append_at_once(500)
    with log.path.open("rb") as a.stdin:
        a.start()
    ended(a)
    assert_once(rig.bulk, log.lines)
    assert_file_is(rig.archive, log.text())


def test_a_writer_that_is_slower_than_we_are(rig):
    """Each event goes out when it comes, whatever the slow timers of a log are;
    halves of lines wait for the other."""
    a, log = piped(rig)
    launch(a)
    for _ in range(20):
        log.append()
        rig.wait_delivered()
        rig.wait_archived()
    log.begin_line()
    rig.wait_settled(a, read=20)
    log.finish_line()
    rig.wait_delivered()
    log.close()
    ended(a)
    assert_file_is(rig.archive, log.text())


def test_the_end_does_not_wait_for_events_that_linger(rig):
    a, log = piped(rig, {"search": rig.search(linger="60s"),
                         "archive": rig.file(linger="60s")})
    launch(a)
    log.append(10)
    wait_until(lambda: a.counters()["audit/archive"]["read"] == 10, "all are read")
    begin = time.monotonic()
    log.close()
    ended(a)
    assert time.monotonic() - begin < 50
    assert_once(rig.bulk, log.lines)
    assert_file_is(rig.archive, log.text())


def test_a_last_line_needs_no_newline(rig):
    a, log = piped(rig)
    launch(a)
    log.append(5)
    last = log.make()
    log.write(last)
    log.lines.append(last)
    log.close()
    ended(a)
    assert_once(rig.bulk, log.lines)
    assert_file_is(rig.archive, log.text())


def test_a_last_line_of_which_there_is_half_goes_to_the_dead_letters(rig):
    a, log = piped(rig)
    launch(a)
    log.append(5)
    half = log.begin_line()[:100]
    log.close()
    lanes = ended(a)
    whole = len(log.text())
    for output in ("search", "archive"):
        letter, = a.dead(output)
        assert letter["kind"] == "quarantined" and letter["trail"] == "audit"
        assert letter["file"] == "<stdin>" and letter["offset"] == whole
        assert letter["line"].encode().startswith(half)
        assert lanes[f"audit/{output}"]["quarantined"] == 1
    assert_file_is(rig.archive, log.text())


def test_a_last_line_that_ends_within_an_event_is_no_event(rig):
    """Half of one that ends with what a client made look like another."""
    a, log = piped(rig)
    launch(a)
    log.append(5)
    half = log.make()[:-1] + b',"requestObject":' + log.make()
    log.write(half)
    log.close()
    ended(a)
    for output in ("search", "archive"):
        letter, = a.dead(output)
        assert letter["length"] == len(half)
    assert_once(rig.bulk, log.lines)
    assert_file_is(rig.archive, log.text())


def test_bad_lines_go_to_the_dead_letters_with_their_place(rig):
    a, log = piped(rig, trail={"max_line": "64KiB"})
    launch(a)
    rest = log.make(pad=300_000)
    bad = [b"no event", rest, b"\xff\xfe{}"]
    places = []
    for line in bad:
        log.append(2)
        places.append(len(log.text()) + sum(len(b) + 1 for b in bad[:len(places)]))
        log.write(line + b"\n")
    log.append(2)
    log.close()
    lanes = ended(a)
    assert_once(rig.bulk, log.lines)
    assert_file_is(rig.archive, log.text())
    for output in ("search", "archive"):
        letters = sorted(a.dead(output), key=lambda d: d["offset"])
        assert [d["offset"] for d in letters] == places
        assert [d["length"] for d in letters] == [len(line) for line in bad]
        assert {d["file"] for d in letters} == {"<stdin>"}
        assert "max_line" in letters[1]["reason"]
        assert lanes[f"audit/{output}"]["quarantined"] == 3


def test_a_line_that_is_longer_than_all_that_may_be_unread(rig):
    a, log = piped(rig, {"archive": rig.file()}, trail={"max_line": "64KiB"})
    launch(a)
    log.append(1)
    for _ in range(2 * BEHIND_MAX // MIB):
        log.write(b"x" * MIB)
    log.write(b"\n")
    log.append(1)
    log.close()
    ended(a)
    assert_file_is(rig.archive, log.text())
    letter, = a.dead("archive")
    assert letter["length"] == 2 * BEHIND_MAX


def test_a_hole_is_told_of_and_nothing_else_is_a_gap(rig):
    """As in a file: where a log was cut under its writer, cat brings NULs."""
    a, log = piped(rig)
    launch(a)
    log.append(5)
    log.write(b"\0" * (3 * MIB))
    log.append(5)
    log.close()
    ended(a)
    gap, *_ = rig.wait_gaps("Hole")
    assert gap["bytes"] == 3 * MIB and gap["file"] == "<stdin>"
    rig.wait_archived(gaps_apart=True)


def test_the_writer_waits_while_an_output_is_down(rig):
    """At the limit, and nothing is lost."""
    rig.bulk.stop()
    limit = BEHIND_MAX + 2 * MIB
    a, log = piped(rig, {"search": rig.search(memory="2MiB", batch_bytes="1MiB"),
                         "archive": rig.file()}, trail={"max_line": "2MiB"})
    launch(a)
    lines = [log.make(pad=MIB) for _ in range(120)]
    writer = Writer(log, lines)
    wait_until(lambda: spool_of(a).st_size >= limit, "the spool is full", context=a.log)
    for _ in range(5):
        a.counters()                    # it has had its turns
    assert limit <= spool_of(a).st_size < limit + 8 * MIB
    assert writer.written < limit + 10 * MIB and writer.is_alive()
    assert spool_of(a).st_blocks * 512 < limit + 8 * MIB
    rig.bulk.start()
    lanes = ended(a)
    writer.join()
    assert_once(rig.bulk, lines)
    assert_file_is(rig.archive, b"".join(line + b"\n" for line in lines))
    assert lanes["audit/search"]["delivered"] == 120


def test_room_is_given_back(rig):
    """What every output has read is punched out of the spool."""
    a, log = piped(rig)
    launch(a)
    for _ in range(8):
        log.append_at_once(20, pad=200_000)
        rig.wait_delivered()
        rig.wait_archived()
    assert spool_of(a).st_size == len(log.text()) > 30 * MIB
    wait_until(lambda: spool_of(a).st_blocks * 512 < 3 * MIB, "the room is given back",
               context=lambda: str(spool_of(a)))
    log.close()
    ended(a)


@pytest.mark.parametrize("seed", [random.randrange(10**6) for _ in range(2)])
def test_pieces_of_any_size_under_chaos(rig, seed):
    print(f"seed {seed}")
    r = random.Random(seed)
    rig.bulk.chaos = faults.Chaos(seed, 0.3)
    a, log = piped(rig)
    launch(a)
    lines = [log.make(pad=r.choice((0, 0, 0, 5000, 70_000))) for _ in range(800)]
    text = b"".join(line + b"\n" for line in lines)
    log.lines = lines
    at = 0
    while at < len(text):
        n = r.choice((1, 100, 4096, 65_536, 1_000_000))
        log.write(text[at:at + n])
        at += n
    log.close()
    ended(a)
    assert_once(rig.bulk, lines)
    assert_file_is(rig.archive, text)


# -- stopping ---------------------------------------------------------------------


def test_a_stop_settles_what_has_come(rig):
    """Its writer goes on; what it had handed over would not come again."""
    rig.bulk.whole_fault = lambda n: faults.Whole("slow", seconds=0.05)
    a, log = piped(rig, {"search": rig.search(batch_events=50), "archive": rig.file()})
    launch(a)
    log.append_at_once(500)
    half = log.begin_line()
    come = len(log.text()) + len(half) // 2
    wait_until(lambda: spool_of(a).st_size == come, "all has come", context=a.log)
    begin = time.monotonic()
    lanes = a.stop()
    assert time.monotonic() - begin < 20 * SCALE
    rig.bulk.heal()
    assert_once(rig.bulk, log.lines)
    assert_file_is(rig.archive, log.text())
    for c in lanes.values():
        assert c["delivered"] == 500 and c["quarantined"] == 1


def test_a_stop_with_an_output_that_is_down_says_what_is_lost(rig):
    rig.bulk.stop()
    a, log = piped(rig, drain_timeout="300ms")
    launch(a)
    log.append_at_once(100)
    wait_until(lambda: a.counters()["audit/archive"]["delivered"] == 100, "archived",
               context=a.log)
    begin = time.monotonic()
    lanes = a.stop()
    assert time.monotonic() - begin < 20 * SCALE
    assert lanes["audit/search"]["delivered"] == 0
    assert f"lane audit/search: lost: {len(log.text())} bytes of" in a.log()
    assert "lane audit/archive: lost" not in a.log()


def test_a_stop_with_nothing_read(rig):
    a, log = piped(rig)
    launch(a)
    lanes = a.stop()
    assert all(c["read"] == 0 for c in lanes.values())


def test_after_a_kill_the_next_pipe_is_read_from_its_start(rig):
    a, log = piped(rig)
    launch(a)
    log.append(50)
    rig.wait_delivered()
    rig.wait_archived()
    a.kill()
    log.close()
    a.stdin, log.fd = os.pipe()
    launch(a)
    log.append(50)
    log.close()
    ended(a)
    assert_once(rig.bulk, log.lines)
    assert_file_is(rig.archive, log.text())


def test_the_first_event_does_not_join_half_a_line_of_the_output(rig):
    """A kill has left it there, and no mark tells where to cut."""
    rig.archive.write_bytes(b'{"half')
    a, log = piped(rig, {"archive": rig.file()})
    launch(a)
    log.append(3)
    log.close()
    ended(a)
    assert_file_is(rig.archive, b'{"half\n' + log.text())


def test_a_reader_of_standard_output_that_goes_holds_up_no_other(rig):
    """More comes than may be unread; that not all was delivered, the exit says."""
    a, log = piped(rig, {"console": rig.console(), "archive": rig.file()},
                   trail={"max_line": "2MiB"})
    reader, a.stdout = os.pipe()
    launch(a)
    os.close(a.stdout)
    os.close(reader)
    lines = [log.make(pad=MIB) for _ in range(100)]
    writer = Writer(log, lines)
    ended(a, expect=FAILED)
    writer.join()
    assert_file_is(rig.archive, b"".join(line + b"\n" for line in lines))
    assert "not every output took all of it" in a.log()
    assert "lane audit/console: lost: " in a.log()


def test_other_trails_go_on(rig):
    other = rig.new_log()
    a, log = piped(rig, {"archive": rig.file(path=rig.home / "{trail}.out")},
                   trails={"other": {"path": other.path}})
    launch(a)
    log.append(20)
    log.close()
    a.wait_log("trail audit has ended; the others go on")
    other.append(20)
    out = rig.home / "other.out"
    wait_until(file_has(out, other.text()), "the other trail is read", context=a.log)
    assert_file_is(rig.home / "audit.out", log.text())
    a.stop()
    assert [p.name for p in a.state.glob("*.checkpoint")] == ["other.archive.checkpoint"]


# -- what standard input may be ----------------------------------------------------


def test_dev_null_has_ended(rig):
    a = rig.agent(trails={"audit": STDIN})
    a.start()
    lanes = ended(a)
    assert all(c["read"] == 0 for c in lanes.values())


def test_a_terminal_is_read_until_its_end(rig):
    a = rig.agent(trails={"audit": STDIN})
    typed, a.stdin = pty.openpty()
    try:
        launch(a)
        a.wait_log("standard input is a terminal")
        lines = [make_line(n) for n in range(3)]
        for line in lines:
            os.write(typed, line + b"\n")
            os.read(typed, 65536)       # its echo
        os.write(typed, b"\x04")
        ended(a)
    finally:
        os.close(typed)
    assert_once(rig.bulk, lines)


@pytest.mark.parametrize("closed,words", [
    ("<&-", "standard input is not open for reading"),
    (">&-", "standard output is not open for writing")])
def test_a_missing_stream_is_an_error_and_no_file_takes_its_place(rig, closed, words):
    config = rig.write_config({"console": rig.console()}, trails={"audit": STDIN})
    done = subprocess.run(
        ["bash", "-c", f'exec "$0" run -c "$1" {closed}', str(PROGRAM), str(config)],
        input=make_line(0) + b"\n", capture_output=True, timeout=60 * SCALE)
    assert done.returncode == FAILED, done.stderr
    assert words in done.stderr.decode()
    assert (rig.state / "lock").read_bytes().strip().isdigit()


# -- configuration ------------------------------------------------------------------


def test_it_can_be_read_by_one_trail_only(rig):
    config = rig.write_config({"console": rig.console()},
                              trails={"a": STDIN, "b": STDIN})
    for command in (["check", config], ["run", "-c", config]):
        done = run_program(*command)
        assert done.returncode == CONFIG
        assert (":7:5: trails.b.path: there is one standard input, and trail 'a' "
                "reads it") in done.stderr, done.stderr


@pytest.mark.parametrize("key,value", [
    ("start", "end"), ("poll", "1s"), ("quiet", "1s"), ("pin_max_bytes", "1GiB"),
    ("max_matches", 5), ("retention", {"max_age": "1d"})])
def test_options_that_say_nothing_of_it_are_mistakes(rig, key, value):
    config = rig.write_config({"console": rig.console()},
                              trails={"a": STDIN | {key: value}})
    done = run_program("check", config)
    assert done.returncode == CONFIG
    assert f":6:5: trails.a.{key}: " in done.stderr, done.stderr
