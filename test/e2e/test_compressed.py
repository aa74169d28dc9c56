# SPDX-License-Identifier: Apache-2.0
"""Rotated files that are compressed: a file and its .gz are one file, and a place
in the one is a place in the other."""

from __future__ import annotations

import gzip
import os
import time
import zlib

import pytest

import faults
from auditlog import AuditLog, gzip_file
from checks import assert_gap
from wait import wait_until

QUICK = {"poll": "100ms", "quiet": "200ms"}


def make_old(path, seconds: float = 3600) -> None:
    """Nobody has written to it for that long."""
    at = time.time() - seconds
    os.utime(path, (at, at))


def fill(log: AuditLog, files: int, n: int = 20) -> None:
    for _ in range(files):
        log.append_at_once(n)
        log.rotate()
    log.append_at_once(n)


def ship_some(rig, n: int = 20, **kw):
    """An agent that has delivered a few events, and was stopped."""
    a = rig.start(trail=QUICK | kw)
    rig.log.append_at_once(n)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    return a


def test_the_first_start_begins_with_the_oldest_gz(rig):
    fill(rig.log, 4)
    for path in rig.log.rotated[:3]:
        gzip_file(path)
    rig.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_start_at_the_end_skips_what_is_compressed(rig):
    fill(rig.log, 3)
    gzip_file(rig.log.rotated[-1])
    a = rig.start(trail={"start": "end"})
    rig.log.lines.clear()
    rig.log.append(5)
    rig.wait_archived()
    assert a.counters()["audit/archive"]["read"] == 5


def test_start_at_the_end_where_there_is_only_a_gz(rig):
    """The live file has been taken away; what comes next is new."""
    fill(rig.log, 2)
    rig.log.rotate()
    for path in rig.log.rotated:
        gzip_file(path)
    rig.log.close()
    rig.log_path.unlink()
    rig.start(trail=QUICK | {"start": "end"})
    rig.log.lines.clear()
    rig.log.open()
    rig.log.append(5)
    rig.wait_archived()


def test_all_that_was_rotated_and_compressed_while_down_is_read_in_order(rig):
    a = ship_some(rig)
    fill(rig.log, 5)
    for path in rig.log.rotated:
        gzip_file(path)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    assert all(d.offered == 1 for d in rig.bulk.stored())


def test_resumes_inside_a_file_that_was_compressed_meanwhile(rig):
    a = ship_some(rig, 150)
    rig.log.append_at_once(150)
    rig.log.rotate()
    gzip_file(rig.log.rotated[0])
    rig.log.append(5)
    a.start()
    assert "resuming " in a.log() and ".log.gz at offset " in a.log()
    rig.wait_archived()
    rig.wait_delivered()
    assert a.counters()["audit/archive"]["read"] == 155


def test_killed_and_started_again_inside_a_gz(rig):
    """The place is an offset in the text, not in the file."""
    rig.log.append_at_once(400)
    rig.log.rotate()
    gzip_file(rig.log.rotated[0])
    rig.log.append(5)
    a = rig.agent({"search": rig.search(batch_events=20, in_flight=1),
                   "archive": rig.file(batch_events=20)})
    for _ in range(4):
        count = rig.bulk.request_count() + 2
        rig.bulk.plan(None, None, faults.HANG)
        a.start()
        wait_until(lambda: rig.bulk.request_count() >= count or
                   rig.bulk.stored_count() == 405, "two requests", context=a.log)
        a.kill()
        rig.bulk.heal()
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_numbered_files_with_delaycompress(rig):
    a = ship_some(rig)
    for _ in range(4):
        rig.log.append_at_once(20)
        rig.log.logrotate(compress="later")
        rig.log.reopen()
    rig.log.append_at_once(20)
    names = {p.name for p in rig.log_dir.iterdir()}
    assert names == {"audit.log", "audit.log.1", "audit.log.2.gz", "audit.log.3.gz",
                     "audit.log.4.gz"}
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_numbered_files_are_compressed_and_renamed_while_it_runs(rig):
    rig.start(trail=QUICK)
    for _ in range(4):
        rig.log.append_at_once(20)
        rig.log.logrotate(compress="later")
        rig.log.append_at_once(5)           # the writer is not told at once
        rig.log.reopen()
        rig.log.append_at_once(20)
        rig.wait_archived()
    rig.wait_delivered()


def test_dated_files_compressed_while_down(rig):
    a = ship_some(rig)
    for n in range(3):
        rig.log.append_at_once(20)
        to = rig.log_path.with_name(f"audit.log-202611{20 + n}")
        rig.log_path.rename(to)
        gzip_file(to)
        rig.log.reopen()
    rig.log.append_at_once(20)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_a_file_is_compressed_while_an_output_is_inside_it(rig):
    """lumberjack writes X.log.gz piece by piece and then takes X.log away."""
    rig.bulk.stop()
    a = rig.start({"search": rig.search(memory="64KiB", batch_bytes="8KiB"),
                   "archive": rig.file()}, trail=QUICK)
    for _ in range(3):
        rig.log.append_at_once(150)
        rig.log.rotate()
    rig.log.append_at_once(10)
    rig.wait_archived()
    for path in rig.log.rotated:
        whole = gzip.compress(path.read_bytes())
        with path.with_name(path.name + ".gz").open("wb", buffering=0) as f:
            for at in range(0, len(whole), 700):
                f.write(whole[at:at + 700])
        path.unlink()
    a.kill()
    rig.bulk.start()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()


def test_a_gz_that_is_in_the_making_at_the_start_is_waited_for(rig):
    """Nobody says that it is damaged while it may still grow."""
    rig.log.append_at_once(200)
    text = rig.log.text()
    rig.log.rotate()
    path = rig.log.rotated[0]
    path.unlink()
    rig.log.append_at_once(10)
    whole = gzip.compress(text)
    with path.with_name(path.name + ".gz").open("wb", buffering=0) as f:
        f.write(whole[:len(whole) // 2])
        a = rig.start(trail=QUICK)

        def is_delivered() -> bool:     # while something is done to it now and then
            os.utime(f.fileno())
            return rig.archive.exists() and rig.archive.stat().st_size > 100

        wait_until(is_delivered, "what is there is delivered", context=a.log)
        f.write(whole[len(whole) // 2:])
    rig.wait_archived()
    rig.wait_delivered()


def test_while_a_file_and_its_gz_are_both_there_the_plain_one_is_read(rig):
    """The API server died while it compressed: the .gz is only a part."""
    fill(rig.log, 2)
    for path in rig.log.rotated:
        gz = gzip_file(path, keep=True)
        whole = gz.read_bytes()
        gz.write_bytes(whole[:len(whole) // 2])
        make_old(gz)
    a = rig.start(trail=QUICK)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    rig.log.append(5)
    for path in rig.log.rotated:        # the next one finishes its work
        path.with_name(path.name + ".gz").unlink()
        gzip_file(path)
    a.start()
    rig.wait_archived()
    assert a.counters()["audit/archive"]["read"] == 5


def test_a_whole_gz_beside_its_file_is_not_read_as_well(rig):
    a = ship_some(rig)
    fill(rig.log, 3)
    for path in rig.log.rotated:
        gzip_file(path, keep=True)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    assert a.counters()["audit/archive"]["read"] == 80


def test_what_was_read_is_not_read_again_once_it_is_compressed(rig):
    a = rig.start(trail=QUICK)
    for _ in range(4):
        rig.log.append_at_once(20)
        rig.log.rotate()
    rig.log.append_at_once(20)
    rig.wait_archived()
    rig.wait_delivered()
    for path in rig.log.rotated[:2]:
        gzip_file(path)
    rig.log.append(5)
    rig.wait_archived()
    a.stop()
    for path in rig.log.rotated[2:]:
        gzip_file(path)
    rig.log.append(5)
    a.start()
    rig.wait_archived()
    assert a.counters()["audit/archive"]["read"] == 5


CUTS = {
    "cut": lambda whole: whole[:len(whole) * 2 // 3],
    "cut_by_its_last_byte": lambda whole: whole[:-1],
    "wrong_checksum": lambda whole: whole[:-8] + b"\0\0\0\1" + whole[-4:],
    "overwritten": lambda whole: (whole[:len(whole) // 2] + b"\xff" * 64
                                  + whole[len(whole) // 2 + 64:]),
}


@pytest.mark.parametrize("damage", CUTS)
def test_a_damaged_gz_gives_what_stands_before_the_damage(rig, damage):
    """Then a gap record, once; the torn line is set aside; the trail goes on."""
    before = rig.log.append_at_once(200)
    rig.log.rotate()
    after = rig.log.append_at_once(20)
    gz = gzip_file(rig.log.rotated[0])
    whole = CUTS[damage](gz.read_bytes())
    gz.write_bytes(whole)
    make_old(gz)
    a = rig.start(trail=QUICK)
    [gap] = rig.wait_gaps("Damaged")
    kept = before[:gap["behind"]]
    text = b"".join(line + b"\n" for line in kept + after)
    rig.wait_archived(text=text, gaps_apart=True)
    rig.wait_delivered(lines=kept + after)
    assert_gap(gap, "Damaged", kept[-1], after[0], gap.get("bytes"), gz)
    a.wait_log(r"error trail audit: \S+\.log\.gz is damaged: ")

    rig.wait_settled(a, read=len(kept + after) + 1)     # with the gap

    # As zlib sees it: all whole lines are there, and no more.
    have = plain_part(whole)
    if damage == "overwritten":
        assert len(kept) >= 10
    else:
        lines = have.split(b"\n")
        assert kept == lines[:-1]
        letters = a.dead("archive")
        assert len(letters) == (lines[-1] != b"")
        if letters:
            assert letters[0]["line"].encode() == lines[-1]
    a.stop()
    rig.log.append(3)
    a.start()
    rig.wait_archived(text=text + b"".join(x + b"\n" for x in rig.log.lines[-3:]),
                      gaps_apart=True)
    assert a.counters()["audit/archive"]["read"] == 3


def plain_part(gz: bytes) -> bytes:
    """What can be had of it."""
    z, out = zlib.decompressobj(31), b""
    try:
        for n in range(len(gz)):
            out += z.decompress(gz[n:n + 1])
    except zlib.error:
        pass
    return out


def test_a_gz_that_is_no_gzip_at_all(rig):
    rig.log.append_at_once(20)
    rig.log.rotate()
    bad = rig.log_dir / "audit-2020-01-01T00-00-00.000.log.gz"
    bad.write_bytes(b"this is no gzip, it never was\n" * 50)
    make_old(bad)
    rig.log.append_at_once(20)
    a = rig.start(trail=QUICK)
    rig.wait_archived(gaps_apart=True)
    rig.wait_delivered()
    [gap] = rig.wait_gaps("Damaged")
    assert_gap(gap, "Damaged", None, rig.log.lines[0], gap.get("bytes"), bad)
    assert gap["behind"] == 0
    a.stop()
    a.start()
    assert all(c["read"] == 0 for c in rig.wait_caught_up(a).values())


def test_the_gz_of_an_empty_file_and_an_empty_gz(rig):
    rig.log.append_at_once(20)
    for _ in range(2):
        rig.log.rotate()
    gzip_file(rig.log.rotated[1])
    rig.log.append_at_once(20)
    rig.start(trail=QUICK)
    rig.wait_archived()
    rig.wait_delivered()


def test_a_gz_of_several_members_is_one_text(rig):
    lines = rig.log.append_at_once(60)
    rig.log.rotate()
    path = rig.log.rotated[0]
    path.unlink()
    parts = [b"".join(x + b"\n" for x in lines[n:n + 20]) for n in (0, 20, 40)]
    path.with_name(path.name + ".gz").write_bytes(
        b"".join(gzip.compress(p) for p in parts))
    rig.log.append(5)
    rig.start(trail=QUICK)
    rig.wait_archived()
    rig.wait_delivered()


def test_a_torn_last_line_inside_a_gz_goes_to_the_dead_letters(rig):
    a = ship_some(rig)
    rig.log.begin_line()
    whole = rig.log_path.read_bytes()
    torn = whole[whole.rindex(b"\n") + 1:]
    to = rig.log.rotate()
    rig.log.append(10)
    gzip_file(to)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    wait_until(lambda: len(a.dead("archive")) == 1, "a dead letter", context=a.log)
    [letter] = a.dead("archive")
    assert letter["line"].encode() == torn and letter["length"] == len(torn)


def test_an_old_file_that_is_put_back_is_not_taken_for_a_new_one(rig):
    """It was not written since, for the live file is the same: it is not read."""
    a = ship_some(rig)
    old = AuditLog(rig.log_dir / "audit-2020-01-01T00-00-00.000.log", seed=5)
    old.next_seq = 70_000_000
    old.append(5)
    old.close()
    gzip_file(old.path)
    rig.log.append(5)
    a.start()
    rig.wait_archived()
    rig.log.rotate()
    rig.log.append(5)
    rig.wait_archived()
    rig.wait_delivered()
