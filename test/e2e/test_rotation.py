# SPDX-License-Identifier: Apache-2.0
"""Rotation by renaming: no line lost, none repeated, all in order.

The file output shows the order as well, so most tests look there first."""

from __future__ import annotations

import contextlib
import gzip
import os
import re
import signal

import pytest

from auditlog import AuditLog, make_line
from checks import assert_gap, assert_quarantined
from wait import wait_until


def wait_stopped(a) -> None:
    """SIGSTOP has taken effect: it looks at nothing any more."""
    def state() -> str:
        with open(f"/proc/{a.process.pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]

    a.send(signal.SIGSTOP)
    wait_until(lambda: state() == "T", "the agent is stopped")


def test_rotation_under_load(rig):
    rig.start()
    for _ in range(30):
        rig.log.append(60)
        rig.log.rotate()
    rig.log.append(60)
    rig.wait_archived()
    rig.wait_delivered()


def test_rotation_after_every_line(rig):
    rig.start()
    for _ in range(60):
        rig.log.append()
        rig.log.rotate()
    rig.log.append()
    rig.wait_archived()
    rig.wait_delivered()


def test_several_rotations_between_two_looks(rig):
    a = rig.start()
    rig.log.append(20)
    rig.wait_archived()
    wait_stopped(a)
    for _ in range(5):
        rig.log.append(20)
        rig.log.rotate()
    rig.log.append(20)
    a.send(signal.SIGCONT)
    rig.wait_archived()
    rig.wait_delivered()


def test_files_rotated_while_an_output_is_down_are_not_lost_to_retention(rig):
    """A lane that has no room reads nothing, but its trail is looked at: what is
    rotated meanwhile is held open before it can be deleted."""
    rig.bulk.stop()
    rig.log.append(200)
    a = rig.start({"search": rig.search(batch_bytes="8KiB", memory="64KiB",
                                        backoff_min="20ms", backoff_max="50ms")})
    a.wait_log("trying again")

    def held() -> set[str]:
        at, names = f"/proc/{a.process.pid}/fd", set()
        for fd in os.listdir(at):
            with contextlib.suppress(FileNotFoundError):    # closed since then
                names.add(os.readlink(f"{at}/{fd}"))
        return names

    for _ in range(4):
        to = rig.log.rotate()
        rig.log.append(50)
        # Whoever looks opens files that he may not take: it has to be counted, too.
        wait_until(lambda: str(to) in held() and a.trail_counters()["files"] ==
                   len(rig.log.rotated) + 1, f"{to.name} is held open")
    for old in rig.log.rotated:
        os.unlink(old)
    rig.bulk.start()
    rig.wait_delivered()


def test_several_rotations_while_down(rig):
    a = rig.agent()
    for _ in range(3):
        a.start()
        rig.log.append(20)
        rig.wait_delivered()
        rig.wait_archived()
        a.stop()
        rig.log.append(10)
        for _ in range(4):
            rig.log.rotate()
            rig.log.append(10)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    assert all(d.offered == 1 for d in rig.bulk.stored())


def test_resumes_inside_a_file_that_was_rotated_meanwhile(rig):
    """The checkpoint lies in the middle of what is now a sibling."""
    a = rig.start()
    rig.log.append(100)
    rig.wait_archived()
    rig.wait_delivered()
    a.kill()
    rig.log.append(100)
    rig.log.rotate()
    rig.log.append(10)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_first_start_takes_rotated_siblings_oldest_first(rig):
    for _ in range(4):
        rig.log.append(25)
        rig.log.rotate()
    rig.log.append(25)
    rig.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_names_that_are_no_rotated_siblings_are_left_alone(rig):
    rig.log.append(10)
    rig.log.rotate()
    rig.log.append(10)
    stranger = make_line(77_777_777) + b"\n"
    for name in ("audit-other.log", "audit-2026-11.log", "audit.log.bak",
                 "audit.log~", "audit2-2026-11-23T03-09-58.015.log",
                 "audit-2026-11-23T03-09-58.015.txt", "my-audit.log"):
        (rig.log_dir / name).write_bytes(stranger)
    rig.start()
    rig.log.append(10)
    rig.wait_archived()
    rig.wait_delivered()


def test_a_path_without_extension_rotates_too(rig):
    rig.log_path = rig.log_dir / "audit"
    log = rig.new_log(rig.log_path)
    a = rig.start()
    log.append(20)
    to = log.rotate()
    assert to.name.startswith("audit-2") and to.suffix[1:].isdigit()
    log.append(20)
    rig.wait_archived()
    a.stop()
    log.rotate()
    log.append(20)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_the_path_appears_late(rig):
    a = rig.start(trail={"poll": "60s"})
    a.wait_log(r"(warn|info) trail audit: .*audit\.log")
    rig.log.append(20)
    rig.wait_archived()
    rig.wait_delivered()


def test_the_directory_appears_late(rig):
    rig.log_path = rig.log_dir / "not" / "yet" / "audit.log"
    a = rig.start(trail={"poll": "100ms"})
    a.wait_log(r"(warn|info) trail audit: .*audit\.log")
    rig.log_path.parent.mkdir(parents=True)
    rig.log.append(20)
    rig.wait_archived()
    rig.wait_delivered()
    rig.log.rotate()
    rig.log.append(20)
    rig.wait_archived()


def test_empty_rotated_files_are_passed_over(rig):
    a = rig.start()
    rig.log.append(10)
    for _ in range(3):
        rig.log.rotate()
    rig.log.append(10)
    rig.wait_archived()
    a.stop()
    for _ in range(3):
        rig.log.rotate()
    rig.log.append(10)
    for _ in range(2):
        rig.log.rotate()
    a.start()
    rig.wait_archived()
    rig.log.append(10)
    rig.wait_archived()
    rig.wait_delivered()


def test_an_empty_live_file_after_rotation_while_down(rig):
    a = rig.start()
    rig.log.append(10)
    rig.wait_archived()
    a.stop()
    rig.log.append(5)
    rig.log.rotate()
    a.start()
    rig.wait_archived()
    rig.log.append(5)
    rig.wait_archived()
    rig.wait_delivered()


def test_a_torn_last_line_of_a_rotated_file_goes_to_the_dead_letters(rig):
    a = rig.start()
    rig.log.append(10)
    rig.log.begin_line()
    # The API server died here; the next one rotates at its first write.
    whole = rig.log.path.read_bytes()
    torn = whole[whole.rindex(b"\n") + 1:]
    rig.log.rotate()
    rig.log.append(10)
    rig.wait_archived()
    rig.wait_delivered()
    for output in ("search", "archive"):
        wait_until(lambda: a.dead(output), "a dead letter", context=a.log)
        [letter] = a.dead(output)
        assert_quarantined(letter, torn)
        assert letter["line"].encode() == torn
    wait_until(lambda: a.counters()["audit/search"]["quarantined"] == 1, "it counts")
    a.stop()
    rig.log.append(3)
    a.start()
    rig.wait_archived()
    assert len(a.dead("archive")) == 1


def test_a_torn_last_line_of_a_file_rotated_while_down(rig):
    a = rig.start()
    rig.log.append(10)
    rig.wait_archived()
    a.stop()
    rig.log.append(5)
    rig.log.begin_line()
    rig.log.rotate()
    rig.log.append(10)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    wait_until(lambda: len(a.dead("archive")) == 1, "a dead letter", context=a.log)


def test_the_api_server_dies_within_a_line_and_goes_on_in_the_same_file(rig):
    """It appends: the torn part and the next event share a line. That event is one,
    wherever the first was torn."""
    a = rig.start()
    torn = []
    for part in TEARS:
        rig.log.append(2)
        torn.append(tear(rig.log, part))
    rig.log.append(2)
    rig.wait_archived()
    rig.wait_delivered()
    for output in ("search", "archive"):
        wait_until(lambda: len(a.dead(output)) == len(torn), "the torn parts are set "
                   "aside", context=a.log)
        for letter, part in zip(sorted(a.dead(output), key=place), torn):
            assert_quarantined(letter, part)
            assert letter["line"].encode() == part
    rig.log.append(2)
    wait_until(lambda: all(c["read"] == len(rig.log.lines) + len(torn) and
                           c["quarantined"] == len(torn)
                           for c in a.counters().values()), "each part counts")
    a.stop()
    a.start()
    rig.log.append(2)
    rig.wait_archived()
    assert len(a.dead("archive")) == len(torn)


def place(letter: dict) -> int:
    """In the one file there is."""
    return letter["offset"]


# Ends of a torn line: within a key, a string, an escape, a list; where a key, a value
# or a comma is due.
TEARS = [b'{', b'{"ki', b'"leve', b'"level":', b'"level":"', b'fieldManager=',
         b'timeout=20s",', b'"groups":[', b'"groups":["system:masters",', b'"user":{',
         b'"sourceIPs":["127.0.0.1"]', b'\\u00', b'"objectRef":{"resource":']


def tear(log: AuditLog, end: bytes | None = None) -> bytes:
    """The writer is killed once it has written that, or all but its newline."""
    line = log.make()
    part = line[:line.index(end) + len(end)] if end else line
    log.write(part)
    log.close()
    log.open()
    return part


def test_the_api_server_dies_twice_within_a_line(rig):
    """Two torn parts in a row, and an event behind them, are one line."""
    a = rig.start()
    rig.log.append(2)
    torn = tear(rig.log, b'"level":') + tear(rig.log, b'"verb":"')
    rig.log.append(2)
    rig.wait_archived()
    rig.wait_delivered()
    wait_until(lambda: a.dead("archive"), "a dead letter", context=a.log)
    [letter] = a.dead("archive")
    assert_quarantined(letter, torn)


def test_the_api_server_dies_before_the_newline(rig):
    """Both events of the line are whole."""
    a = rig.start()
    rig.log.append(2)
    rig.log.lines.append(tear(rig.log))
    rig.log.append(2)
    rig.wait_archived()
    rig.wait_delivered()
    wait_until(lambda: all(c["read"] == 5 for c in a.counters().values()), "five events")
    assert not a.dead("archive")


def event_in_event(log: AuditLog, body: bytes) -> bytes:
    """One that a client sent, as a body; it may look like what it likes."""
    line = make_line(90_000_000)
    return line[:-1] + b',"requestObject":' + body + b"}"


def test_what_stands_within_an_event_is_never_taken_for_one(rig):
    """Neither in half of one, however it was torn, nor in a line that cannot be
    read for another reason."""
    a = rig.start()
    forged = make_line(90_000_001)
    whole = event_in_event(rig.log, forged)
    at = whole.index(forged)
    bad = [whole[:at + len(forged)],            # it would end the line
           whole[:at + len(forged) // 2],
           whole[:at] + forged[:-1] + b',"x":',  # and the next event is its last member
           whole[:-1],
           event_in_event(rig.log, b"[" + forged + b"," + forged + b"]")[:-2],
           event_in_event(rig.log, b'{"a":1 ' + forged + b"}")]
    for part in bad[:-1]:
        rig.log.append(1)
        rig.log.write(part)
    rig.log.append(1)
    rig.log.write(bad[-1] + b"\n")
    rig.log.append(1)
    rig.wait_archived()
    rig.wait_delivered()
    wait_until(lambda: len(a.dead("archive")) == len(bad), "dead letters", context=a.log)
    for letter, part in zip(sorted(a.dead("archive"), key=place), bad):
        assert_quarantined(letter, part)
    rig.log.append(1)
    rig.log.write(bad[0])
    rig.log.rotate()                            # nothing was appended
    rig.log.append(1)
    rig.wait_archived()
    rig.wait_delivered()
    wait_until(lambda: len(a.dead("archive")) == len(bad) + 1, "one more")
    assert_quarantined(a.dead("archive")[-1], bad[0])


def test_a_writer_that_reopens_late_is_drained(rig):
    """logrotate renames first; the writer goes on in the old file for a while."""
    rig.start()
    rig.log.append(10)
    rig.wait_archived()
    os.rename(rig.log.path, rig.log.path.with_name("audit.log.1"))
    rig.log.append(10)
    rig.wait_archived()
    rig.log.close()
    rig.log.open()
    rig.log.append(10)
    rig.wait_archived()
    rig.wait_delivered()


def test_an_unlinked_live_file_is_still_read(rig):
    """The API server does not notice and keeps writing to it."""
    a = rig.start(trail={"poll": "100ms"})
    rig.log.append(10)
    rig.wait_archived()
    rig.log.path.unlink()
    rig.log.append(10)
    rig.wait_archived()
    a.wait_log(r"(warn|error) trail audit: .*audit\.log")
    rig.log.close()
    rig.log.open()
    rig.log.append(10)
    rig.wait_archived()
    rig.wait_delivered()


@pytest.mark.parametrize("start", ["beginning", "end"])
def test_the_inode_of_a_log_that_was_empty_is_used_again(rig, start):
    """All that is known of the place is that inode; what was written while the agent
    was down came before the log that has it now."""
    old = rig.log.append(0)
    if start == "end":
        old = rig.log.append(5)
        rig.log.rotate()
    a = rig.start(trail={"start": start})
    roll = a.state / "audit.roll"
    wait_until(lambda: len(list(a.state.glob("*.checkpoint"))) == 2, "two checkpoints")
    if old:
        wait_until(lambda: roll.exists() and b" read " in roll.read_bytes(), "the roll")
    a.kill()
    inode = rig.log.path.stat().st_ino
    rig.log.append(20)
    rig.log.close()
    to = rig.log.rotated_name()
    to.with_name(to.name + ".gz").write_bytes(gzip.compress(rig.log.path.read_bytes()))
    rig.log.path.unlink()
    for n in range(100):
        rig.log.open()
        if rig.log.path.stat().st_ino == inode:
            break
        rig.log.close()
        rig.log.path.rename(rig.log.path.with_name(f"zzz{n}"))
    else:
        pytest.skip("no inode is used again here")
    a.start()
    new = rig.log.lines[len(old):] + rig.log.append(5)
    rig.wait_archived(text=b"".join(line + b"\n" for line in new))
    rig.wait_delivered(lines=new)


def test_a_new_file_with_an_old_inode_is_read_from_its_start(rig):
    """Nobody knows whether the old one had grown before it was deleted."""
    a = rig.start()
    rig.log.append(50)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    inode = rig.log.path.stat().st_ino
    before = rig.log.lines
    rig.log.close()
    rig.log.path.unlink()
    reused = None
    for _ in range(100):                    # most file systems reuse it at once
        again = AuditLog(rig.log.path, create=False)
        again.open()
        if again.path.stat().st_ino == inode:
            reused = again
            break
        again.close()
        again.path.rename(again.path.with_name(f"zzz{_}"))
    fresh = reused or AuditLog(rig.log.path)
    rig.logs.append(fresh)
    fresh.next_seq = 1000
    fresh.append(80)
    a.start()
    text = b"".join(line + b"\n" for line in before + fresh.lines)
    rig.wait_archived(text=text, gaps_apart=True)
    rig.wait_delivered(lines=before + fresh.lines)
    [gap] = rig.wait_gaps("Deleted")
    assert_gap(gap, "Deleted", before[-1], fresh.lines[0])
    assert gap["behind"] == 50


def test_rotation_while_an_output_is_far_behind(rig):
    """A lane that is stuck keeps its place in a file that has moved on twice."""
    rig.bulk.stop()
    rig.start({"search": rig.search(memory="64KiB", batch_bytes="8KiB"),
               "archive": rig.file()})
    for _ in range(6):
        rig.log.append(60)
        rig.log.rotate()
    rig.wait_archived()
    rig.bulk.start()
    rig.wait_delivered()


def test_rotated_files_deleted_after_they_were_opened_are_still_shipped(rig):
    """Retention takes a backup away while an output that is down needs it."""
    rig.bulk.stop()
    rig.start({"search": rig.search(memory="64KiB", batch_bytes="8KiB"),
               "archive": rig.file()})
    for _ in range(4):
        rig.log.append(80)
        rig.log.rotate()
    rig.wait_archived()
    for path in rig.log.rotated[:2]:
        path.unlink()
    rig.bulk.start()
    rig.wait_delivered()


def saved_offset(rig, output: str) -> int | None:
    """Where its checkpoint is, in whichever file."""
    path = rig.state / f"audit.{output}.checkpoint"
    if not path.exists():
        return None
    return int(re.search(rb"\noffset (\d+)\n", path.read_bytes())[1])


def test_a_lane_that_starts_behind_the_others_misses_nothing(rig):
    """Lanes find their places one after the other. The first is past files that
    the second has not read, and the oldest of those is gone."""
    outputs = {"console": rig.console(), "search": rig.search()}
    rig.bulk.stop()
    a = rig.start(outputs)
    rotated = []
    for _ in range(3):
        rig.log.append(5)
        rotated.append(rig.log.rotate())
    rig.log.append(5)

    size = rig.log_path.stat().st_size
    wait_until(lambda: saved_offset(rig, "console") == size and
               saved_offset(rig, "search") == 0,
               "the first is at the end, and both places are saved", context=a.log)
    a.kill()
    for name in [rotated[0], *(rig.state / "audit.pins").iterdir()]:
        name.unlink()
    rig.bulk.start()
    rig.start(outputs)
    rig.wait_gaps("Deleted")
    rig.wait_delivered(lines=rig.log.lines[5:])
