# SPDX-License-Identifier: Apache-2.0
"""Everything a user or a machine can get wrong: a clear message, the right exit
code or a retry, and nothing lost."""

from __future__ import annotations

import hashlib
import os
import re

import pytest

import faults
from agent import (
    CONFIG, LOCKED, PROGRAM, STATE, STOPPED, USAGE, run_program)
from auditlog import AuditLog
from checks import assert_once, assert_quarantined, file_has
from conftest import Disk, give
from wait import wait_until

GOOD = """\
state_dir: {home}/state
trails:
  audit:
    path: {home}/log/audit.log
outputs:
  archive:
    type: file
    path: {home}/archive.log
"""

# (what, text to replace, its replacement, line:column, words of the message)
MISTAKES = [
    ("unknown key at the top", "state_dir:", "stat_dir:", "1:1",
     ["stat_dir", "state_dir"]),
    ("unknown key of a trail", "    path: {home}/log", "    pth: {home}/log", "4:5",
     ["pth", "path"]),
    ("unknown key of an output", "    type: file\n", "    type: file\n    lingr: 1s\n",
     "8:5", ["lingr", "linger"]),
    ("key of another output", "    type: file\n",
     "    type: file\n    hosts: [http://x]\n", "8:5", ["hosts"]),
    ("unknown type of output", "type: file", "type: fil", "7:11", ["fil", "file"]),
    ("wrong parser", "log/audit.log\n", "log/audit.log\n    parser: audti\n", "5:13",
     ["audti", "audit"]),
    ("wrong start", "log/audit.log\n", "log/audit.log\n    start: middle\n", "5:12",
     ["middle", "beginning", "end"]),
    ("not a duration", "    type: file\n", "    type: file\n    linger: soon\n", "8:13",
     ["soon"]),
    ("a duration without unit", "    type: file\n",
     "    type: file\n    linger: 50\n", "8:13", ["50"]),
    ("not a size", "    type: file\n", "    type: file\n    memory: 5 apples\n", "8:13",
     ["5 apples"]),
    ("not a number", "    type: file\n", "    type: file\n    in_flight: x\n", "8:16",
     ["x"]),
    ("a number out of bounds", "    type: file\n",
     "    type: file\n    in_flight: 0\n", "8:16", ["0"]),
    ("a negative number", "    type: file\n",
     "    type: file\n    in_flight: -1\n", "8:16", ["-1"]),
    ("a size out of bounds", "log/audit.log\n",
     "log/audit.log\n    max_line: 2GiB\n", "5:15", ["2GiB"]),
    ("a list where one value belongs", "    path: {home}/log/audit.log",
     "    path: [a, b]", "4:11", ["path"]),
    ("a map where one value belongs", "state_dir: {home}/state",
     "state_dir: {{a: b}}", "1:12", ["state_dir"]),
    ("a value where a map belongs", "outputs:\n  archive:\n    type: file\n"
     "    path: {home}/archive.log\n", "outputs: yes\n", "5:10", ["outputs"]),
    ("a relative path", "path: {home}/log/audit.log", "path: log/audit.log", "4:11",
     ["absolute"]),
    ("an empty path", "path: {home}/log/audit.log", "path: ''", "4:11", ["path"]),
    ("an output of a trail that is not there", "    type: file\n",
     "    type: file\n    trails: [audt]\n", "8:14", ["audt", "audit"]),
    ("the same key twice", "    type: file\n", "    type: file\n    type: file\n",
     "8:5", ["type"]),
    ("a variable that is not set", "{home}/state", "${{E2E_NOT_SET}}/x", "1:12",
     ["E2E_NOT_SET"]),
    ("a file to expand that is missing", "{home}/state", "${{file:/no/such/file}}",
     "1:12", ["/no/such/file"]),
    ("not YAML", "trails:\n", "trails: [\n", None, []),
    ("a tab", "  audit:\n", "\taudit:\n", None, []),
    ("no state_dir", "state_dir: {home}/state\n", "", None, ["state_dir"]),
    ("no path", "    path: {home}/archive.log\n", "", None, ["path"]),
    ("no type", "    type: file\n", "", None, ["type"]),
    ("no trails", "trails:\n  audit:\n    path: {home}/log/audit.log\n", "", None,
     ["trail"]),
    ("no outputs", "outputs:\n  archive:\n    type: file\n"
     "    path: {home}/archive.log\n", "", None, ["output"]),
    ("a bad name", "  archive:", "  Archive/x:", "6:3", ["Archive/x"]),
    ("a wrong log level", "trails:\n", "log_level: loud\ntrails:\n", "2:12",
     ["loud"]),
]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda m: m[0].replace(" ", "_"))
def test_a_mistake_in_the_configuration_is_named_by_its_place(rig, mistake):
    _, old, new, place, words = mistake
    assert old in GOOD
    path = rig.home / "tallyman.yaml"
    path.write_text(GOOD.replace(old, new, 1).format(home=rig.home))
    for command in (["check", path], ["run", "-c", path]):
        done = run_program(*command)
        assert done.returncode == CONFIG, done
        assert done.stdout == ""
        want = re.escape(str(path)) + ":" + (re.escape(place) if place else r"\d+:\d+")
        assert re.search(f"(?m)^{want}: ", done.stderr), done.stderr
        assert len(done.stderr.splitlines()) <= 3, "more mistakes than there are"
        for word in words:
            assert word in done.stderr, done.stderr
    assert not rig.state.exists(), "a wrong configuration must change nothing"


def test_all_mistakes_are_told_at_once(rig):
    path = rig.home / "tallyman.yaml"
    text = GOOD.replace("state_dir", "stat_dir").replace("type: file", "type: fil")
    path.write_text(text.format(home=rig.home))
    done = run_program("check", path)
    assert done.returncode == CONFIG
    assert f"{path}:1:1: " in done.stderr and f"{path}:7:11: " in done.stderr


def test_a_good_configuration_is_said_to_be_good(rig):
    path = rig.home / "tallyman.yaml"
    path.write_text(GOOD.format(home=rig.home))
    done = run_program("check", path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{path}: ok, 1 trail")
    assert not rig.state.exists(), "check opens nothing"


def test_a_missing_configuration(rig):
    for command in (["check", "/no/such.yaml"], ["run", "-c", "/no/such.yaml"]):
        done = run_program(*command)
        assert done.returncode == CONFIG
        assert "/no/such.yaml" in done.stderr and "No such file" in done.stderr


def test_the_configuration_is_a_directory_or_empty_or_binary(rig):
    empty, binary = rig.home / "empty.yaml", rig.home / "binary.yaml"
    empty.write_text("")
    binary.write_bytes(bytes(range(256)) * 40)
    for path in (rig.home, empty, binary):
        done = run_program("check", path)
        assert done.returncode == CONFIG and str(path) in done.stderr, done


@pytest.mark.parametrize("args, word", [
    (["frobnicate"], "frobnicate"),
    ([], "run"),
    (["run", "--confg", "x"], "--confg"),
    (["run", "-x"], "-x"),
    (["run", "-c"], "-c"),
    (["run", "--log-level", "loud", "-c", "{good}"], "loud"),
    (["run", "extra"], "extra"),
    (["check", "a", "b"], "b"),
    (["--nonsense"], "--nonsense"),
], ids=lambda v: "_".join(v) if isinstance(v, list) else "")
def test_a_wrong_command_line(rig, args, word):
    good = rig.home / "good.yaml"
    good.write_text(GOOD.format(home=rig.home))
    done = run_program(*[a.format(good=good) for a in args])
    assert done.returncode == USAGE, done
    assert word in done.stderr and done.stdout == ""


@pytest.mark.parametrize("args", [["--help"], ["run", "--help"], ["check", "--help"],
                                  ["--version"]])
def test_help_and_version(rig, args):
    done = run_program(*args)
    assert done.returncode == 0 and "tallyman" in done.stdout and done.stderr == ""


# -- the log -------------------------------------------------------------------------


def test_a_log_that_may_not_be_read_yet(rig, plain_user):
    rig.log.append(20)
    rig.log_path.chmod(0o000)
    give(rig.state, plain_user)
    give(rig.home / "out", plain_user)
    rig.archive = rig.home / "out" / "archive.log"
    a = rig.start(trail={"poll": "100ms"}, uid=plain_user)
    a.wait_log(r"(warn|error) trail audit: .*audit\.log.*[Pp]ermission denied")
    assert a.is_running()
    rig.log_path.chmod(0o644)
    rig.wait_archived()
    rig.wait_delivered()


def test_a_directory_of_logs_that_may_not_be_read_yet(rig, plain_user):
    rig.log.append(20)
    rig.log_path.chmod(0o644)
    rig.log_dir.chmod(0o000)
    give(rig.state, plain_user)
    give(rig.home / "out", plain_user)
    rig.archive = rig.home / "out" / "archive.log"
    a = rig.start(trail={"poll": "100ms"}, uid=plain_user)
    a.wait_log(r"(warn|error) trail audit: .*[Pp]ermission denied")
    rig.log_dir.chmod(0o755)
    rig.wait_archived()
    rig.wait_delivered()


def test_the_log_is_a_directory(rig):
    rig.log_path.mkdir()
    a = rig.start(trail={"poll": "100ms"})
    a.wait_log(r"(warn|error) (trail audit|lane \S+): .*audit\.log.*[Dd]irectory")
    rig.log_path.rmdir()
    rig.log.append(5)
    rig.wait_archived()


NOT_EVENTS = [
    b"E1123 17:00:01.000000       1 controller.go:1] klog got in between",
    b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Metadata"',
    b'{"kind":"Event"}{"kind":"Event"}',
    b'{"kind":"Event"} trailing',
    b"[1,2,3]",
    b'"just a string"',
    b"12345",
    b"{'single':'quotes'}",
    b'{"a":01}',
    b'{"a":"\x01"}',
    b"\xff\xfe\x00binary\x80\x81",
    b"}",
    b'{"' + b"x" * 5000,
    b"[" * 20_000,
]


def test_lines_that_are_not_json_go_to_the_dead_letters(rig):
    for bad in NOT_EVENTS:
        rig.log.append(2)
        rig.log.write(bad + b"\n")
    rig.log.append(2)
    a = rig.start()
    rig.wait_archived()
    rig.wait_delivered()
    lanes = rig.wait_settled(a, read=len(rig.log.lines) + len(NOT_EVENTS))
    for output in ("search", "archive"):
        letters = a.dead(output)
        assert len(letters) == len(NOT_EVENTS)
        for letter, bad in zip(letters, NOT_EVENTS):
            assert_quarantined(letter, bad)
            assert letter["file"] == str(rig.log_path)
        assert lanes[f"audit/{output}"]["quarantined"] == len(NOT_EVENTS)
    assert letters[0]["line"].encode() == NOT_EVENTS[0]
    # They are settled: the next start does not meet them again.
    a.stop()
    rig.log.append(2)
    a.start()
    rig.wait_archived()
    assert len(a.dead("archive")) == len(NOT_EVENTS)


def test_only_lines_that_are_not_json(rig):
    """A whole batch of nothing still moves the cursor."""
    for n in range(50):
        rig.log.write(b"not json %d\n" % n)
    a = rig.start()
    rig.wait_settled(a, read=50)
    a.stop()
    a.start()
    rig.log.append(1)
    rig.wait_archived()
    assert len(a.dead("archive")) == 50


@pytest.mark.parametrize("parser", ["audit", "json"])
def test_json_that_is_hard_is_kept(rig, parser):
    """Real files hold these; they are events, and never stop the trail."""
    head = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request",'
    base = (b'"auditID":"%d","stage":"Panic","requestURI":"/e2e-%08d","verb":"patch",'
            b'"stageTimestamp":"2026-11-23T17:00:00.00000%dZ",')
    bodies = [
        b'"requestObject":[{"op":"add","path":"/a","value":"\\ud800"}]',
        b'"requestObject":{"n":1.50E+2,"big":123456789012345678901234567890}',
        b'"requestObject":' + b'[' * 90 + b']' * 90,
        b'"objectRef":null,"user":{},"responseStatus":{"code":"x"}',
        b'"userAgent":"\xf0\x9f\xa6\x80 \\u0000\\u001b[31m"',
        b'"new":{"field":[true,false,null]}',
    ]
    rig.log_path.touch()
    log = rig.log
    for n, body in enumerate(bodies):
        line = head + base % (n, n, n) + body + b"}"
        log.write(line + b"\n")
        log.lines.append(line)
    a = rig.start(trail={"parser": parser})
    rig.wait_archived()
    wait_until(lambda: rig.bulk.stored_count() == len(bodies), "all stored",
               context=a.log)
    if parser == "audit":
        assert_once(rig.bulk, log.lines)
    assert a.dead("search") == []


def test_a_line_of_100_mib_is_quarantined_and_the_file_goes_on(rig):
    rig.log.append(5)
    at = rig.log_path.stat().st_size
    size = 100 * 1024 * 1024
    huge = b'{"kind":"Event","level":"Metadata","x":"' + b"y" * size + b'"}'
    rig.log.write(huge + b"\n")
    rig.log.append(5)
    a = rig.start()
    rig.wait_archived(deadline=60)
    rig.wait_delivered(deadline=60)
    for output in ("search", "archive"):
        wait_until(lambda: a.dead(output), "a dead letter", context=a.log)
        [letter] = a.dead(output)
        assert letter["kind"] == "quarantined"
        assert (letter["file"], letter["offset"]) == (str(rig.log_path), at)
        assert letter["length"] == len(huge)
        assert letter["sha256"] == hashlib.sha256(huge).hexdigest()
        kept = letter["line"].encode()
        assert huge.startswith(kept) and 100 < len(kept) < 1024 * 1024
        assert "max_line" in letter["reason"] or "long" in letter["reason"]
    if b"__asan_init" not in PROGRAM.read_bytes():
        wait_until(lambda: rss_mib(a) < 40, "the memory is given back")


def test_a_line_of_100_mib_is_shipped_where_max_line_allows_it(rig):
    rig.new_bulk(max_body=300 * 1024 * 1024)
    rig.log.append(5)
    rig.log.append(pad=100 * 1024 * 1024)
    rig.log.append(5)
    rig.start(trail={"max_line": "128MiB"})
    rig.wait_archived(deadline=90)
    rig.wait_delivered(deadline=90)


def test_a_line_of_22_mb_at_level_metadata_passes_whole(rig):
    """With the defaults: it is larger than any batch, and than all the memory that
    batches may have; then it goes alone. VmHWM, the peak of RSS, was 95 MiB: two
    lanes, each with what it reads and what it sends."""
    rig.log.append(5)
    size = 22_000_000
    while b'"level":"Metadata"' not in (short := rig.log.make()):
        pass
    key = b'"userAgent":"'
    line = short.replace(key, key + b"x" * (size - len(short)), 1)
    assert len(line) == size
    rig.log.write(line + b"\n")
    rig.log.lines.append(line)
    rig.log.append(5)
    a = rig.start()
    rig.wait_archived(deadline=60)
    rig.wait_delivered(deadline=60)
    assert a.dead("search") == a.dead("archive") == []
    rig.wait_settled(a, read=11)
    if b"__asan_init" not in PROGRAM.read_bytes():
        assert rss_mib(a, "VmHWM") < 128
        wait_until(lambda: rss_mib(a) < 40, "the memory is given back")


def rss_mib(a, which: str = "VmRSS") -> float:
    with open(f"/proc/{a.process.pid}/status") as f:
        text = f.read()
    return int(re.search(rf"{which}:\s+(\d+)", text)[1]) / 1024


@pytest.mark.parametrize("where", ["start", "between", "large"])
def test_a_run_of_nul_is_a_hole_and_not_an_event(rig, where):
    hole = 64 * 1024 * 1024 if where == "large" else 5000
    if where == "between":
        rig.log.append(5)
    at = os.lseek(rig.log.fd, 0, os.SEEK_END)
    os.ftruncate(rig.log.fd, at + hole)
    rig.log.append(5)
    a = rig.start()
    gaps = rig.wait_gaps("Hole")
    assert [g["bytes"] for g in gaps] == [hole]
    rig.wait_archived(gaps_apart=True)
    rig.wait_delivered()
    lanes = rig.wait_settled(a, read=len(rig.log.lines) + 1)
    for c in lanes.values():
        assert c["hole_bytes"] == hole and c["dead"] == 0 and c["gaps"] == 1
    a.wait_log(r"error lane \S+: lost: .*Hole")


def test_a_line_that_holds_nul_bytes_is_set_aside(rig):
    rig.log.append(2)
    bad = b'{"level":"Metadata",\0\0\0"x":1}'
    rig.log.write(bad + b"\n")
    rig.log.append(2)
    a = rig.start()
    rig.wait_archived()
    rig.wait_delivered()
    rig.wait_settled(a, 5)
    [letter] = a.dead("archive")
    assert_quarantined(letter, bad)


def test_what_a_client_writes_cannot_break_the_agents_log(rig):
    rig.log.write(b'{"x":"\x1b[2J\x1b]0;evil\x07\r2026-11-23T00:00:00.000Z info\n')
    rig.log.append(2)
    rig.bulk.item_fault = lambda o: faults.Item(400, "bad\x1b[2J", "line\nbreak \x07")
    a = rig.start()
    rig.wait_archived()
    rig.wait_settled(a, read=3)
    a.stop()
    for line in a.log().splitlines():
        assert re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z "
                        r"(error|warn|info|debug) [^:]+: ", line), line
        assert all(c.isprintable() for c in line), repr(line)


# -- the state directory ---------------------------------------------------------------


def test_a_second_agent_on_the_state_directory(rig):
    rig.log.append(5)
    rig.start()
    second = rig.agent()
    second.launch()
    assert second.wait_exit() == LOCKED
    assert str(rig.state) in second.log()
    rig.log.append(5)
    rig.wait_archived()
    rig.wait_delivered()


def test_a_state_directory_that_cannot_be_made(rig):
    (rig.home / "file").write_text("")
    a = rig.agent(state_dir=rig.home / "file" / "state")
    a.launch()
    assert a.wait_exit() == STATE
    assert str(rig.home / "file") in a.log()


def test_a_state_directory_that_may_not_be_written(rig, plain_user):
    rig.log.append(5)
    rig.log_path.chmod(0o644)
    rig.state.mkdir(mode=0o555)
    a = rig.agent(uid=plain_user)
    a.launch()
    assert a.wait_exit() == STATE
    assert str(rig.state) in a.log() and "ermission denied" in a.log()
    assert rig.bulk.request_count() == 0


def test_a_state_directory_is_made_where_there_is_none(rig):
    rig.log.append(5)
    a = rig.start(state_dir=rig.home / "new")
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    assert (rig.home / "new").stat().st_mode & 0o077 == 0


def checkpoints(rig) -> list:
    return sorted(rig.state.glob("*.checkpoint"))


DAMAGE = {
    "empty": lambda b: b"",
    "cut": lambda b: b[:len(b) // 2],
    "one_bit": lambda b: b[:20] + bytes([b[20] ^ 1]) + b[21:],
    "nul": lambda b: b"\0" * len(b),
    "garbage": lambda b: b"\xff" * 3000,
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_checkpoint_falls_back_to_the_previous(rig, damage):
    a = rig.agent()
    for _ in range(3):
        rig.log.append(20)
        a.start()
        rig.wait_archived()
        rig.wait_delivered()
        a.stop()
    assert [p.name for p in checkpoints(rig)] == [
        "audit.archive.checkpoint", "audit.search.checkpoint"]
    for p in checkpoints(rig):
        assert p.with_name(p.name + ".prev").exists()
        p.write_bytes(DAMAGE[damage](p.read_bytes()))
    rig.log.append(20)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    assert re.search(r"(warn|error) .*checkpoint", a.log()), a.log()


def test_both_checkpoints_damaged_is_no_reason_to_guess(rig):
    a = rig.agent()
    for _ in range(3):
        rig.log.append(20)
        a.start()
        rig.wait_archived()
        rig.wait_delivered()
        a.stop()
    for p in rig.state.glob("*.checkpoint*"):
        p.write_bytes(b"damaged")
    a.launch()
    assert a.wait_exit() == STATE
    assert "checkpoint" in a.log()
    wait_until(file_has(rig.archive, rig.log.text()), "the archive is untouched")


def wait_full(rig, a, disk: Disk) -> None:
    """What a save that was under way gives back is taken as well, and there is more
    to save."""
    def is_said() -> bool:
        disk.fill()
        rig.log.append()
        return bool(re.search(r"(warn|error) .*No space left", a.log()))

    wait_until(is_said, "it says that the disk is full", context=a.log)


def test_a_full_disk_under_the_state_directory(rig, tmpfs):
    """Checkpoints fail, and are not damaged; nothing is lost or repeated."""
    at = tmpfs("2m")
    a = rig.start(state_dir=at / "state")
    rig.log.append(20)
    rig.wait_archived()
    rig.wait_delivered()
    rig.wait_settled(a, read=20)
    disk = Disk(at)
    disk.fill()
    rig.log.append(50)
    rig.log.rotate()
    rig.log.append(50)
    wait_full(rig, a, disk)
    a.kill()
    disk.free()
    a.start()
    rig.log.append(20)
    rig.wait_archived()
    rig.wait_delivered()


def test_a_full_state_disk_that_gets_room_again(rig, tmpfs):
    at = tmpfs("2m")
    a = rig.start(state_dir=at / "state")
    rig.log.append(20)
    rig.wait_delivered()
    rig.wait_archived()
    disk = Disk(at)
    disk.fill()
    rig.log.append(50)
    wait_full(rig, a, disk)
    disk.free()
    rig.log.append(20)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    a.start()
    assert all(c["read"] == 0 for c in rig.wait_caught_up(a).values())


def test_dead_letters_wait_for_room(rig, tmpfs):
    """An event is not settled before its dead letter is on the disk."""
    at = tmpfs("2m")
    a = rig.start(state_dir=at / "state")
    rig.log.append(10)
    rig.wait_delivered()
    disk = Disk(at)
    disk.fill()
    for n in range(300):
        rig.log.write(b"not json, number %d, %s\n" % (n, b"." * 100))
    wait_full(rig, a, disk)
    disk.free()
    rig.wait_delivered()
    rig.wait_archived()
    rig.wait_settled(a, read=len(rig.log.lines) + 300)
    for output in ("search", "archive"):
        assert len(a.dead(output)) == 300


def test_a_full_disk_under_the_file_output(rig, tmpfs):
    at = tmpfs("1m")
    rig.archive = at / "archive.log"
    a = rig.start()
    rig.log.append(20)
    rig.wait_archived()
    disk = Disk(at)
    disk.fill()
    rig.log.append(300)
    rig.wait_delivered()
    a.wait_log(r"(warn|error) lane audit/archive: .*No space left")
    assert a.counters()["audit/archive"]["in_flight"] > 0
    disk.free()
    rig.wait_archived()


def test_a_full_disk_under_the_file_output_and_a_kill(rig, tmpfs):
    at = tmpfs("1m")
    rig.archive = at / "archive.log"
    a = rig.start()
    rig.log.append(20)
    rig.wait_archived()
    disk = Disk(at)
    disk.fill()
    rig.log.append(300)
    a.wait_log(r"(warn|error) lane audit/archive: .*No space left")
    a.kill()
    disk.free()
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


# -- the server ------------------------------------------------------------------------


def test_nobody_listens_then_somebody_does(rig):
    rig.bulk.stop()
    rig.log.append(50)
    a = rig.start()
    a.wait_log(rf"(warn|error) lane audit/search: .*{rig.bulk.port}")
    rig.bulk.start()
    rig.wait_delivered()


def test_a_wrong_password_then_the_right_one(rig):
    rig.new_bulk(basic=("tallyman", "right"))
    rig.log.append(50)
    a = rig.start({"search": rig.search(username="tallyman", password="wrong"),
                   "archive": rig.file()})
    a.wait_log(r"(warn|error) lane audit/search: .*401")
    rig.wait_archived()
    c = a.counters()["audit/search"]
    assert c["delivered"] == 0 and c["blocked"] > 0 and c["dead"] == 0
    assert rig.bulk.auth_failures > 0 and rig.bulk.stored_count() == 0
    # The server's side is set right: no restart is needed.
    rig.bulk.basic = ("tallyman", "wrong")
    rig.wait_delivered()


def test_a_wrong_password_set_right_by_a_restart(rig):
    rig.new_bulk(basic=("tallyman", "right"))
    rig.log.append(50)
    a = rig.start({"search": rig.search(username="tallyman", password="wrong")},
                  drain_timeout="200ms")
    a.wait_log(r"(warn|error) lane audit/search: .*401")
    assert a.stop()["audit/search"]["delivered"] == 0
    b = rig.agent({"search": rig.search(username="tallyman", password="right")})
    b.start()
    rig.wait_delivered()


def test_a_server_that_does_not_speak_http(rig):
    import socket
    import threading

    s = socket.create_server(("127.0.0.1", 0))
    s.settimeout(0.1)
    done = threading.Event()

    def serve() -> None:
        while not done.is_set():
            try:
                with s.accept()[0] as c:
                    c.sendall(b"SSH-2.0-OpenSSH_9.2p1\r\n")
            except OSError:
                pass

    t = threading.Thread(target=serve)
    t.start()
    try:
        rig.log.append(10)
        a = rig.start({"search": rig.search(
            hosts=[f"http://127.0.0.1:{s.getsockname()[1]}"]),
            "archive": rig.file()}, drain_timeout="200ms")
        a.wait_log(r"(warn|error) lane audit/search: ")
        rig.wait_archived()
        assert a.stop()["audit/search"]["delivered"] == 0
    finally:
        done.set()
        t.join()
        s.close()


def test_a_host_name_that_does_not_exist(rig):
    rig.log.append(10)
    a = rig.start({"search": rig.search(hosts=["http://no-such-host.invalid:9200"]),
                   "archive": rig.file()}, drain_timeout="200ms")
    # As long as a resolver takes that nobody answers.
    a.wait_log(r"(warn|error) lane audit/search: .*no-such-host", deadline=60)
    rig.wait_archived()
    assert a.stop()["audit/search"]["delivered"] == 0


def test_unusual_but_right_logs_start_an_agent(rig):
    """An empty log, and one that is only rotated files."""
    rig.log_path.touch()
    a = rig.start()
    assert all(c["read"] == 0 for c in a.counters().values())
    a.stop()
    log = AuditLog(rig.log_path)
    rig.logs.append(log)
    log.append(5)
    log.rotate()
    log.close()
    rig.log_path.unlink()
    a.start()
    rig.wait_archived()
    assert a.stop() is not None and a.process.returncode == STOPPED
