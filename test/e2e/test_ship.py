# SPDX-License-Identifier: Apache-2.0
"""`tallyman ship FILE...`: every event of given files once, through faults, stops
and kills; an exit code that says whether all was delivered."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import random
import re
import signal
import struct
import subprocess
import termios

import pytest

import faults
from agent import PROGRAM, run_program
from auditlog import gzip_file
from checks import assert_file_is, assert_once, assert_quarantined, assert_refused
from shipping import (
    CONFIG, CUT_SHORT, DEAD, FAILED, LOCKED, SHIPPED, STATE, USAGE, Job, places, run,
    stop, summary_of)
from test_rollover import STREAM, roll
from wait import SCALE, wait_until


def hosts(rig) -> tuple[str, str]:
    return "--hosts", rig.bulk.url


def has_a_place(rig) -> bool:
    """A run that is killed now is gone on from."""
    return any(list(place.glob("*.checkpoint")) for place in places(rig))


def slow(rig, n: int, seconds: float = 0.05) -> None:
    """So many requests are answered late, so that it is caught in the middle."""
    rig.bulk.plan(*[faults.Whole("slow", seconds=seconds)] * n)


def test_a_log_twice_is_there_once(rig):
    rig.log.append_at_once(500)
    one = run(rig, "ship", rig.log_path, *hosts(rig))
    assert (one["delivered"], one["duplicate"]) == (500, 0)
    assert one["all_delivered"] and not one["went_on"]
    assert_once(rig.bulk, rig.log.lines)
    two = run(rig, "ship", rig.log_path, *hosts(rig))
    assert (two["delivered"], two["duplicate"]) == (0, 500)
    assert two["all_delivered"] and not two["went_on"]
    assert_once(rig.bulk, rig.log.lines)
    assert places(rig) == []            # nothing is left to remember


def test_what_was_delivered_is_found_at_once(rig):
    """A count right after it has all: who stores something refreshes the index."""
    rig.log.append(3)
    for refreshes in (1, 1):            # the second time there is nothing new
        run(rig, "ship", rig.log_path, *hosts(rig))
        assert len(rig.bulk.questions("_refresh")) == refreshes


def test_plain_and_gzip_files(rig):
    paths = []
    for n in (300, 200, 100):
        rig.log.append_at_once(n)
        paths.append(rig.log.rotate())
    paths[0], paths[1] = gzip_file(paths[0]), gzip_file(paths[1])
    done = run(rig, "ship", paths[1], paths[2], paths[0], *hosts(rig))
    assert done["delivered"] == 600 and done["bytes"] == len(rig.log.text())
    assert_once(rig.bulk, rig.log.lines)


def test_the_agent_ships_the_same_events(rig):
    """The same ids and documents, whoever sends them."""
    rig.log.append_at_once(100)
    run(rig, "ship", rig.log_path, *hosts(rig))
    a = rig.start({"search": rig.search()})
    lanes = rig.wait_settled(a, read=100)
    assert lanes["audit/search"]["duplicate"] == 100
    assert_once(rig.bulk, rig.log.lines)


def test_the_last_line_needs_no_newline(rig):
    rig.log.append(3)
    rig.log.close()
    os.truncate(rig.log_path, rig.log_path.stat().st_size - 1)
    assert run(rig, "ship", rig.log_path, *hosts(rig))["delivered"] == 3
    assert_once(rig.bulk, rig.log.lines)


def test_through_every_fault_that_passes(rig):
    rig.log.append_at_once(400)
    config = rig.write_config({"search": rig.search(batch_events=20)})
    rig.bulk.plan(*faults.PASSING.values())
    done = run(rig, "ship", rig.log_path, "-c", config)
    assert done["all_delivered"] and rig.bulk.plan_left() == 0
    assert_once(rig.bulk, rig.log.lines)


def test_an_output_of_a_configuration(rig):
    rig.log.append_at_once(50)
    one, other = rig.new_bulk(), rig.new_bulk()
    config = rig.write_config({
        "search": rig.search(one), "other": rig.search(other, index="elsewhere-%Y")})
    run(rig, "ship", rig.log_path, "-c", config, "--output", "other")
    assert_once(other, rig.log.lines, "elsewhere-%Y")
    assert one.stored_count() == 0
    assert not rig.state.exists()       # that is the agent's


# -- stops ---------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_is_gone_on_from(rig, number):
    rig.log.append_at_once(3000)
    config = rig.write_config({"search": rig.search(batch_events=50, in_flight=1)})
    slow(rig, 60)
    args = ("ship", rig.log_path, "-c", config)
    job = Job(rig, *args, "--json")
    wait_until(lambda: rig.bulk.stored_count() > 200, "some events are there")
    one = stop(job, number)
    assert one["in_flight"] == 0, "what was in flight was not waited for"
    assert not one["finished"] and 0 < one["delivered"] < 3000
    assert re.fullmatch(r"tallyman ship: stopped at \d+%; the same command goes on from "
                        r"there\n", job.log()), job.log()
    assert len(places(rig)) == 1
    two = run(rig, *args)
    assert two["went_on"] and two["finished"] and two["duplicate"] == 0
    assert one["delivered"] + two["delivered"] == 3000
    assert_once(rig.bulk, rig.log.lines)
    assert all(d.offered == 1 for d in rig.bulk.stored())
    assert places(rig) == []


def test_a_stop_inside_a_gzip_file(rig):
    rig.log.append_at_once(1500)
    first = rig.log.rotate()
    rig.log.append_at_once(1500)
    paths = [gzip_file(first), gzip_file(rig.log.rotate())]
    config = rig.write_config({"search": rig.search(batch_events=50, in_flight=1)})
    args = ("ship", *paths, "-c", config)
    slow(rig, 60)
    job = Job(rig, *args, "--json")
    wait_until(lambda: rig.bulk.stored_count() > 1700, "it is in the second file")
    stop(job)
    assert run(rig, *args)["went_on"]
    assert_once(rig.bulk, rig.log.lines)
    assert all(d.offered == 1 for d in rig.bulk.stored())


def test_kills_under_faults(rig):
    """However often it is killed: everything once, and the place moves."""
    seed = int(os.environ.get("TALLYMAN_SEED", random.randrange(10**6)))
    print(f"TALLYMAN_SEED={seed}")
    r = random.Random(seed)
    rig.log.append_at_once(2000)
    first = gzip_file(rig.log.rotate())
    rig.log.append_at_once(2000)
    config = rig.write_config({"search": rig.search(batch_events=100)})
    args = ("ship", first, rig.log_path, "-c", config)
    rig.bulk.chaos = faults.Chaos(seed, p_whole=0.2, p_item=0.2)
    for _ in range(12):
        before = rig.bulk.request_count()
        job = Job(rig, *args)
        more = r.randrange(1, 12)
        wait_until(lambda: rig.bulk.request_count() >= before + more
                   or not job.is_running(), "some requests", 30.0, job.log)
        job.kill()
    rig.bulk.chaos = None
    done = run(rig, *args)
    assert done["all_delivered"]
    assert_once(rig.bulk, rig.log.lines)
    assert places(rig) == []


def test_a_data_stream_that_rolls_over_has_each_once(rig):
    """It takes every id again after a rollover, and there is one before each request:
    what an agent, a killed run and one that came to its end have sent is looked up."""
    rig.log.append_at_once(300)
    outputs = {"search": rig.search(data_stream=STREAM, batch_events=20)}
    roll(rig)
    a = rig.start(outputs)
    rig.wait_settled(a, read=300)
    a.stop()
    rig.log.append_at_once(1500)
    args = ("ship", rig.log_path, "-c", a.config)
    # After 50 requests no answer comes any more: it is there to be killed.
    roll(rig, {n: faults.HANG_AFTER for n in range(50, 200)})
    job = Job(rig, *args)
    wait_until(lambda: rig.bulk.open_now == 4 and has_a_place(rig),
               "it waits for answers, and has a place", 30.0, job.log)
    job.kill()
    rig.bulk.heal()
    rig.bulk.wait_alone()
    roll(rig)
    one = run(rig, *args)
    assert one["went_on"] and one["all_delivered"]
    assert run(rig, *args)["duplicate"] == 1800
    assert_once(rig.bulk, rig.log.lines, STREAM)
    assert all(d.stored == 1 for d in rig.bulk.stored())


def test_a_second_signal_ends_it_at_once(rig):
    rig.log.append(10)
    rig.bulk.plan(faults.HANG)
    job = Job(rig, "ship", rig.log_path, *hosts(rig))
    wait_until(lambda: rig.bulk.open_now > 0, "a request is held")
    job.send(signal.SIGINT)
    job.send(signal.SIGTERM)    # another one: two of a kind may become one
    job.wait(CUT_SHORT)


def test_an_output_that_is_down_is_waited_for(rig):
    rig.log.append(10)
    port = rig.bulk.port
    rig.bulk.stop()
    config = rig.write_config({"search": rig.search()})
    job = Job(rig, "ship", rig.log_path, "-c", config, "--json")
    job.wait_log("trying again")
    rig.bulk.start()
    assert rig.bulk.port == port
    assert summary_of(job.wait())["delivered"] == 10
    assert_once(rig.bulk, rig.log.lines)


def test_a_stop_does_not_wait_for_an_output_that_is_down(rig):
    rig.log.append(10)
    rig.bulk.stop()
    config = rig.write_config({"search": rig.search()}, drain_timeout="10m")
    job = Job(rig, "ship", rig.log_path, "-c", config, "--json")
    job.wait_log("trying again")
    assert stop(job)["in_flight"] == 10
    assert re.search(r"stopped at 0%: .*onnect.*; the same command", job.log())
    rig.bulk.start()


def test_it_gives_up_when_told_to(rig):
    rig.log.append(10)
    rig.bulk.stop()
    args = ("ship", rig.log_path, *hosts(rig))
    job = Job(rig, *args, "--json", "--give-up", "300ms")
    done = summary_of(job.wait(FAILED))
    assert not done["finished"] and "onnect" in done["error"]
    assert "given up at 0%" in job.log()
    rig.bulk.start()
    assert run(rig, *args)["delivered"] == 10


def test_it_does_not_give_up_while_it_gets_on(rig):
    rig.log.append_at_once(400)
    config = rig.write_config({"search": rig.search(batch_events=10, in_flight=1)})
    slow(rig, 40, 0.15)
    done = run(rig, "ship", rig.log_path, "-c", config, "--give-up", "5s")
    assert done["all_delivered"] and done["seconds"] > 5


def test_one_at_a_time(rig):
    rig.log.append(10)
    rig.bulk.plan(faults.HANG)
    args = ("ship", rig.log_path, *hosts(rig))
    job = Job(rig, *args)
    wait_until(lambda: rig.bulk.open_now > 0, "a request is held")
    second = Job(rig, *args)
    second.wait(LOCKED)
    assert "it is under way already" in second.log()
    assert f"process {job.process.pid}" in second.log()
    rig.bulk.release()
    job.wait()


# -- what is not delivered -------------------------------------------------------


def test_dead_letters_have_an_exit_code(rig):
    rig.log.append(5)
    rig.log.write(b"E1123 this is no event\n")
    lines = rig.log.append(5)
    rig.bulk.item_fault = lambda o: (
        faults.BAD_DOCUMENT if o.doc.find(b"e2e-00000007") > 0 else None)
    job = Job(rig, "ship", rig.log_path, *hosts(rig), "--json")
    done = summary_of(job.wait(DEAD))
    assert (done["delivered"], done["refused"], done["quarantined"]) == (9, 1, 1)
    assert done["finished"] and not done["all_delivered"]
    [place] = places(rig)
    assert [p.name for p in place.iterdir()] == ["dead"]
    path = place / "dead/search.ndjson"
    assert done["dead_letters"] == str(path) and str(path) in job.log()
    bad, refused = [json.loads(x) for x in path.read_text().splitlines()]
    if bad["kind"] == "refused":
        bad, refused = refused, bad
    assert_refused(refused, lines[2], 400, "document_parsing_exception", "ship")
    assert_quarantined(bad, b"E1123 this is no event", "ship")
    # Once the cause is gone all is sent again, and the old ones are put aside.
    rig.bulk.heal()
    os.truncate(rig.log_path, 0)
    rig.log.reopen()
    for line in rig.log.lines:
        rig.log.write(line + b"\n")
    assert run(rig, "ship", rig.log_path, *hosts(rig))["delivered"] == 1
    assert_once(rig.bulk, rig.log.lines)


def test_dead_letters_before_a_stop_count(rig):
    rig.log.write(b"no event\n")
    rig.log.append_at_once(1000)
    config = rig.write_config({"search": rig.search(batch_events=50, in_flight=1)})
    slow(rig, 20)
    args = ("ship", rig.log_path, "-c", config)
    job = Job(rig, *args, "--json")
    wait_until(lambda: rig.bulk.stored_count() > 200, "some events are there")
    assert stop(job)["quarantined"] == 1
    done = run(rig, *args, expect=DEAD)
    assert done["went_on"] and done["quarantined"] == 0 and not done["all_delivered"]
    assert_once(rig.bulk, rig.log.lines)


def test_a_damaged_gzip_file_is_not_all(rig):
    rig.log.append_at_once(2000)
    gz = gzip_file(rig.log.rotate())
    text = bytearray(gz.read_bytes())
    os.truncate(gz, len(text) // 2)
    more = rig.log.append(10)
    job = Job(rig, "ship", gz, rig.log_path, *hosts(rig), "--json")
    done = summary_of(job.wait(DEAD))
    assert done["gaps"] == 1 and not done["all_delivered"] and done["finished"]
    assert "could not be read" in job.log()
    [gap] = rig.wait_gaps("Damaged")
    assert gap["trail"] == "ship" and gap["file"] == str(gz)
    stored = {d.id for d in rig.bulk.stored()}
    assert len(stored) >= done["delivered"] - 1 and len(stored) > len(more)


# -- files -----------------------------------------------------------------------


def test_a_file_output_is_gone_on_with_exactly(rig):
    rig.log.append_at_once(20000)
    config = rig.write_config({"archive": rig.file(batch_events=10)})
    args = ("ship", rig.log_path, "-c", config)
    kills = 0
    for size in (10_000, 3_000_000, 9_000_000):
        job = Job(rig, *args)
        wait_until(lambda: rig.archive.exists()
                   and rig.archive.stat().st_size >= size or not job.is_running(),
                   f"{size} bytes are written", 30.0, job.log)
        job.kill()
        if job.process.returncode == SHIPPED:
            break                       # it was through before we had looked
        kills += 1
    else:
        run(rig, *args)
    assert kills > 0
    assert_file_is(rig.archive, rig.log.text())
    assert places(rig) == []


def test_a_file_output_takes_a_file_of_its_own(rig):
    """What is behind a mark is cut off: it must not be somebody else's."""
    rig.log.append(10)
    config = rig.write_config({"archive": rig.file()})
    rig.archive.write_text("mine\n")
    job = Job(rig, "ship", rig.log_path, "-c", config)
    job.wait(FAILED)
    assert f"{rig.archive} holds something already" in job.log()
    rig.archive.unlink()
    a = rig.start({"archive": rig.file()})
    rig.wait_archived()
    a.stop()
    rig.archive.unlink()
    job = Job(rig, "ship", rig.log_path, "-c", a.config)
    job.wait(USAGE)
    assert "writes the file of output 'archive'" in job.log()
    assert not rig.archive.exists()


def test_standard_output_holds_events_alone(rig):
    rig.log.append(100)
    config = rig.write_config({"console": rig.console()})
    job = Job(rig, "ship", rig.log_path, "-c", config)
    assert job.wait().encode() == rig.log.text()
    assert "100 events: 100 delivered" in job.log()


def test_what_it_writes_to_is_not_read(rig):
    rig.log.append(5)
    config = rig.write_config({"console": rig.console()})
    before = rig.log_path.read_bytes()
    with rig.log_path.open("ab") as out:
        job = Job(rig, "ship", rig.log_path, "-c", config, stdout=out)
        job.wait(FAILED)
    assert "is where this writes to" in job.log()
    assert rig.log_path.read_bytes() == before


def test_a_reader_of_standard_output_that_is_gone(rig):
    rig.log.append_at_once(2000)
    config = rig.write_config({"console": rig.console()})
    r, w = os.pipe()
    job = Job(rig, "ship", rig.log_path, "-c", config, stdout=w)
    os.close(w)
    os.read(r, 100)
    os.close(r)
    job.wait(FAILED)
    assert "the output is gone" in job.log()


# -- what changes between two runs -------------------------------------------------


def test_a_file_that_has_grown_before_the_place_is_read_again(rig):
    old = rig.new_log(rig.log_dir / "old.log")
    new = rig.new_log(rig.log_dir / "new.log")
    old.append_at_once(500)
    new.next_seq = 1000
    new.append_at_once(1000)
    config = rig.write_config({"search": rig.search(batch_events=50, in_flight=1)})
    args = ("ship", old.path, new.path, "-c", config)
    slow(rig, 30)
    job = Job(rig, *args, "--json")
    wait_until(lambda: rig.bulk.stored_count() > 700, "it is in the second file")
    stop(job)
    old.append(1)
    job = Job(rig, *args, "--json")
    done = summary_of(job.wait())
    assert not done["went_on"] and "all is sent again" in job.log()
    assert_once(rig.bulk, old.lines + new.lines)


# -- what is said -------------------------------------------------------------------


def test_lines_where_there_is_no_terminal(rig):
    rig.log.append(10)
    job = Job(rig, "ship", rig.log_path, *hosts(rig))
    out = job.wait()
    assert out.startswith("search: 10 events: 10 delivered, 0 duplicate, 0 dead; ")
    assert out.count("\n") == 1 and out.endswith(" events/s\n")
    assert job.log() == ""


def test_quiet_is_quiet(rig):
    rig.log.append(10)
    job = Job(rig, "ship", rig.log_path, *hosts(rig), "--quiet")
    assert job.wait() == "" and job.log() == ""


def test_a_bar_on_a_terminal(rig):
    """As wide as that is, redrawn in its place, gone at the end."""
    rig.log.append_at_once(1000)
    config = rig.write_config({"search": rig.search(batch_events=50, in_flight=1)})
    slow(rig, 10)
    rig.bulk.plan(faults.UNAVAILABLE)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 60, 0, 0))
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        os.dup2(theirs, 1)
        os.dup2(theirs, 2)
        os.execve(str(PROGRAM), [
            "tallyman", "ship", str(rig.log_path), "-c", str(config)],
            os.environ | {"HOME": str(rig.home), "TERM": "xterm"})
    os.close(theirs)
    text = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:
            break               # the terminal has no other end any more
        if not piece:
            break
        text += piece
    os.close(ours)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, text
    bars = [b for b in text.split(b"\r") if b.endswith(b"\x1b[K") and b"%" in b]
    assert len(bars) >= 2, text
    for bar in bars:
        assert len(bar) - 3 <= 59, bar
    assert any(b"events/s" in bar for bar in bars)
    # What is logged stands on a line of its own.
    assert re.search(rb"\r\x1b\[K\d{4}-\d\d-\S+ warn lane ship/search: .*503", text), text
    assert re.search(rb"(\r\x1b\[K|\n)search: 1,000 events: 1,000 delivered", text), text
    assert b"\x1b[3" not in text                # no colours


@pytest.mark.parametrize("args,says", [
    ((), "which FILE?"),
    (("x.log", "--frob"), "unknown option '--frob'"),
    (("-", "--hosts", "http://127.0.0.1:1"), "standard input is no FILE"),
    (("x.log", "--hosts", "nonsense"), "--hosts: 'nonsense'"),
    (("x.log", "--hosts", "http://127.0.0.1:1", "--output", "a"), "--hosts goes without"),
    (("x.log", "--hosts", "http://127.0.0.1:1", "--give-up", "soon"),
     "--give-up: 'soon' is not a duration"),
    (("x.log", "--hosts", "http://127.0.0.1:1", "--parser", "xml"), "--parser: 'xml'"),
    (("x.log", "--hosts", "http://127.0.0.1:1", "--log-level", "loud"),
     "'loud' is no log level"),
    (("", "--hosts", "http://127.0.0.1:1"), "a FILE without a name"),
])
def test_wrong_command_lines(rig, args, says):
    done = run_program("ship", *args)
    assert done.returncode == USAGE
    assert says in done.stderr and "Try 'tallyman ship --help'." in done.stderr


def test_wrong_configurations(rig):
    rig.log.append(1)
    job = Job(rig, "ship", rig.log_path, "-c", rig.home / "none.yaml")
    job.wait(CONFIG)
    config = rig.write_config({"search": rig.search(), "archive": rig.file()})
    job = Job(rig, "ship", rig.log_path, "-c", config)
    job.wait(USAGE)
    assert "choose with --output" in job.log()


def test_files_that_cannot_be_read_send_nothing(rig, plain_user):
    rig.log.append(5)
    link = rig.log_dir / "link"
    link.symlink_to(rig.log_path)
    for path, says in ((rig.home / "none", "none: No such file"),
                       (rig.log_dir, "is a directory; name the files in it"),
                       (link, f"was given before, as {rig.log_path}")):
        job = Job(rig, "ship", rig.log_path, path, *hosts(rig), "--json")
        done = summary_of(job.wait(FAILED))
        assert says in done["error"] and not done["all_delivered"]
        assert says in job.log() and "nothing was sent" in job.log()
    empty = rig.log_dir / "empty.log"
    empty.touch()
    job = Job(rig, "ship", empty, *hosts(rig))
    job.wait(FAILED)
    assert "there is nothing in" in job.log()
    assert rig.bulk.request_count() == 0
    job = Job(rig, "ship", empty, rig.log_path, *hosts(rig))
    job.wait()
    assert f"{empty} is empty" in job.log()
    assert_once(rig.bulk, rig.log.lines)


def test_a_file_without_the_right_to_read_it(rig, plain_user):
    if plain_user is None:
        pytest.skip("skipped: only root can be another user")
    rig.log.append(5)
    done = run_as(plain_user, "ship", rig.log_path, *hosts(rig))
    assert done.returncode == FAILED and "Permission denied" in done.stderr
    assert rig.bulk.request_count() == 0


def run_as(uid: int, *args):
    return subprocess.run(
        ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--",
         str(PROGRAM), *map(str, args)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60 * SCALE,
        env=os.environ | {"HOME": "/nonexistent", "XDG_STATE_HOME": ""})


def test_a_state_directory_that_cannot_be_made(rig):
    rig.log.append(5)
    job = Job(rig, "ship", rig.log_path, *hosts(rig), "--state", "/proc/nowhere")
    job.wait(STATE)
    assert "cannot make the directory /proc/nowhere" in job.log()
    assert rig.bulk.request_count() == 0
    done = Job(rig, "ship", rig.log_path, *hosts(rig), "--state", rig.home / "own" / "x")
    done.wait()
    assert (rig.home / "own/x").is_dir() and places(rig) == []
