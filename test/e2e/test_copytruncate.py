# SPDX-License-Identifier: Apache-2.0
"""copytruncate: the log is copied to NAME.1 and cut to nothing, and its writer goes
on in the same file. What was not read yet is read from the copy.

Between its copy and its cut logrotate itself loses what is written; here nothing
is, so each event has to be there once."""

from __future__ import annotations

import os
import shutil

import faults
from auditlog import gzip_file
from checks import assert_gap
from test_rotation import wait_stopped
from wait import wait_until

QUICK = {"poll": "100ms", "quiet": "200ms"}


def small(rig, **over) -> dict:
    """A search output that does not read ahead."""
    return rig.search(memory="64KiB", batch_bytes="8KiB", in_flight=1) | over


def text_of(*lines: list[bytes]) -> bytes:
    return b"".join(x + b"\n" for part in lines for x in part)


def test_nothing_is_repeated_where_the_reader_had_caught_up(rig):
    a = rig.start(trail=QUICK)
    for n in range(4):
        rig.log.append_at_once(20)
        rig.wait_archived()
        rig.wait_delivered()
        rig.log.logrotate(copy=True)
        rig.log.append_at_once(1 + 10 * n)
        rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    rig.log.append(3)
    a.start()
    rig.wait_archived()
    assert a.counters()["audit/archive"]["read"] == 3


def test_what_was_not_read_is_read_from_the_copy(rig):
    rig.bulk.stop()
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    rig.log.append_at_once(300)
    rig.wait_archived()
    copy = rig.log.logrotate(copy=True)
    rig.log.append_at_once(30)
    a.wait_log(r"info trail audit: what was in it is read on in its copy "
               + str(copy))
    rig.bulk.start()
    rig.wait_delivered()
    rig.wait_archived()


def test_the_file_has_grown_beyond_its_old_end_before_anyone_looked(rig):
    """Its size alone would not tell: the bytes before the old place do."""
    a = rig.start(trail=QUICK)
    rig.log.append_at_once(20)
    rig.wait_archived()
    wait_stopped(a)
    rig.log.append_at_once(20)
    rig.log.logrotate(copy=True)
    rig.log.append_at_once(100)
    a.send(18)
    rig.wait_archived()
    rig.wait_delivered()


def test_cut_to_nothing_and_not_written_since(rig):
    a = rig.start(trail=QUICK)
    rig.log.append_at_once(20)
    rig.wait_archived()
    wait_stopped(a)
    rig.log.append_at_once(20)
    rig.log.logrotate(copy=True)
    a.send(18)
    rig.wait_archived()
    rig.log.append(1)
    rig.wait_archived()
    rig.wait_delivered()


def test_while_the_agent_is_down_and_had_caught_up(rig):
    a = rig.start(trail=QUICK)
    rig.log.append_at_once(20)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    rig.log.logrotate(copy=True)
    rig.log.append_at_once(20)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()
    assert a.counters()["audit/archive"]["read"] == 20


def test_while_the_agent_is_down_and_was_behind(rig):
    a = rig.start(trail=QUICK)
    rig.log.append_at_once(20)
    rig.wait_archived()
    rig.wait_delivered()
    a.kill()
    rig.log.append_at_once(50)
    rig.log.logrotate(copy=True)
    rig.log.append_at_once(100)         # longer than the place that is remembered
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_several_times_while_the_agent_is_down(rig):
    a = rig.start(trail=QUICK)
    rig.log.append_at_once(20)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    for n in range(4):
        rig.log.append_at_once(10 + 20 * n)
        rig.log.logrotate(copy=True, compress="later")
    rig.log.append_at_once(5)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_with_delaycompress_while_it_runs(rig):
    rig.start(trail=QUICK)
    for n in range(4):
        rig.log.append_at_once(20 + n)
        rig.wait_archived()
        rig.log.logrotate(copy=True, compress="later")
    rig.log.append_at_once(5)
    rig.wait_archived()
    rig.wait_delivered()


def test_copied_and_compressed_at_once_while_the_agent_is_down(rig):
    a = rig.start(trail=QUICK)
    rig.log.append_at_once(50)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    rig.log.append_at_once(50)
    rig.log.logrotate(copy=True, compress="now")
    rig.log.append_at_once(30)
    a.start()
    rig.wait_archived()
    rig.wait_delivered()


def test_the_copy_is_there_before_the_cut(rig):
    """As long as both hold the same it is no sibling, whatever its name."""
    a = rig.start(trail=QUICK)
    rig.log.append_at_once(40)
    rig.wait_archived()
    copy = rig.log_path.with_name("audit.log.1")
    with copy.open("wb", buffering=0) as f:     # in pieces: it is looked at meanwhile
        whole = rig.log_path.read_bytes()
        for at in range(0, len(whole), 3000):
            f.write(whole[at:at + 3000])
            a.counters()
    os.truncate(rig.log_path, 0)
    rig.log.append(5)
    rig.wait_archived()
    rig.wait_delivered()
    assert a.counters()["audit/archive"]["read"] == 45


def test_killed_while_it_reads_the_copy(rig):
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    rig.bulk.plan(*[None] * 2, *[faults.HANG])
    rig.log.append_at_once(300)
    wait_until(lambda: rig.bulk.request_count() >= 2, "some are delivered")
    rig.wait_archived()
    rig.log.logrotate(copy=True)
    rig.log.append_at_once(30)
    a.wait_log("is read on in its copy")
    rig.wait_archived()
    rig.bulk.release()
    wait_until(lambda: rig.bulk.stored_count() > 50, "it goes on", context=a.log)
    a.kill()
    a.start()
    rig.wait_delivered()
    rig.wait_archived()


def test_a_writer_that_does_not_append_leaves_a_hole(rig):
    """It goes on at its old offset; what is before it was never written."""
    rig.log.close()
    rig.log.fd = os.open(rig.log_path, os.O_WRONLY | os.O_CREAT, 0o600)
    a = rig.start(trail=QUICK)
    first = rig.log.append_at_once(40)
    rig.wait_archived()
    rig.wait_delivered()
    hole = rig.log_path.stat().st_size
    rig.log.logrotate(copy=True)
    second = rig.log.append_at_once(20)
    [gap] = rig.wait_gaps("Hole")
    assert_gap(gap, "Hole", first[-1], second[0], hole, rig.log_path)
    assert gap["behind"] == 40 and gap["offset"] == 0
    rig.wait_archived(gaps_apart=True)
    rig.wait_delivered()
    c = a.counters()["audit/archive"]
    assert (c["hole_bytes"], c["gaps"], c["gap_bytes"]) == (hole, 1, hole)
    a.stop()
    a.start()
    assert all(c["read"] == 0 for c in rig.wait_caught_up(a).values())


def test_cut_without_a_copy_is_said_to_be_a_loss(rig):
    """Nobody knows whether all of it had been read."""
    a = rig.start(trail=QUICK)
    first = rig.log.append_at_once(40)
    rig.wait_archived()
    rig.wait_delivered()
    os.truncate(rig.log_path, 0)
    a.wait_log(r"warn trail audit: \S+audit\.log was cut")
    [gap] = rig.wait_gaps("Truncated")
    rig.log.append_at_once(20)
    assert_gap(gap, "Truncated", first[-1])     # told at once: nothing came yet
    assert gap["behind"] == 40
    rig.wait_archived(gaps_apart=True)
    rig.wait_delivered()


def test_cut_without_a_copy_while_an_output_was_behind(rig):
    """What was lost differs by output: so does the place, not the file."""
    rig.bulk.plan(None, faults.HANG)
    a = rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    first = rig.log.append_at_once(300)
    rig.wait_archived()
    wait_until(lambda: rig.bulk.stored_count() > 0, "some are delivered")
    os.truncate(rig.log_path, 0)
    second = rig.log.append_at_once(20)
    a.wait_log("was cut")
    rig.bulk.release()
    rig.gaps = ["Truncated"]
    wait_until(lambda: rig.bulk.gaps() and rig.bulk.stored()[-1].doc.endswith(
        second[-1][-100:]), "the end is delivered", context=a.log)
    rig.wait_archived(gaps_apart=True)
    got = rig.bulk.stored_count() - 20
    assert 0 < got < 300
    rig.wait_delivered(lines=first[:got] + second)


def test_cut_without_a_copy_while_the_agent_is_down(rig):
    a = rig.start(trail=QUICK)
    first = rig.log.append_at_once(40)
    rig.wait_archived()
    rig.wait_delivered()
    a.stop()
    rig.log.append_at_once(20)
    del rig.log.lines[40:]
    os.truncate(rig.log_path, 0)
    second = rig.log.append_at_once(10)
    a.start()
    rig.wait_archived(gaps_apart=True)
    rig.wait_delivered()
    [gap] = archived = rig.wait_gaps(*[g["reason"] for g in archive_gaps(rig)])
    assert gap["reason"] in ("Truncated", "Deleted") and len(archived) == 1
    assert_gap(gap, gap["reason"], first[-1], second[0], gap.get("bytes"))


def archive_gaps(rig) -> list[dict]:
    from checks import archived_gaps

    return archived_gaps(rig.archive)


def test_the_copy_comes_by_another_name_order(rig):
    """dateext: NAME-20261123 is the copy."""
    rig.bulk.stop()
    rig.start({"search": small(rig), "archive": rig.file()}, trail=QUICK)
    rig.log.append_at_once(300)
    rig.wait_archived()
    copy = rig.log_path.with_name("audit.log-20261123")
    shutil.copyfile(rig.log_path, copy)
    os.truncate(rig.log_path, 0)
    rig.log.append_at_once(30)
    rig.wait_archived()
    gzip_file(copy)
    rig.log.append_at_once(30)
    rig.wait_archived()
    rig.bulk.start()
    rig.wait_delivered()
