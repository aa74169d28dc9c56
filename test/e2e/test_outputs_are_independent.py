# SPDX-License-Identifier: Apache-2.0
"""One output that is down, slow or gone never slows another."""

from __future__ import annotations

import os
import signal
import threading
import time

import faults
from auditlog import sequences
from checks import assert_file_is
from wait import wait_until


class Pipe:
    """The reader of an agent's stdout, who reads only when told to."""

    def __init__(self, a) -> None:
        self.read_fd, a.stdout = os.pipe()
        self.write_fd = a.stdout
        self.got = b""

    def started(self) -> None:
        os.close(self.write_fd)             # the agent has its own

    def read(self) -> bytes:
        os.set_blocking(self.read_fd, False)
        try:
            while piece := os.read(self.read_fd, 1 << 20):
                self.got += piece
        except BlockingIOError:
            pass
        return self.got

    def close(self) -> None:
        os.close(self.read_fd)


def start_with_pipe(rig, a) -> Pipe:
    pipe = Pipe(a)
    a.launch()
    pipe.started()
    a.wait_log(" ready: ")
    return pipe


def test_the_file_completes_while_the_bulk_server_hangs(rig):
    rig.bulk.plan(*[faults.HANG] * 100)
    a = rig.start({"search": rig.search(memory="64KiB", batch_bytes="8KiB"),
                   "archive": rig.file()})
    for _ in range(5):
        rig.log.append(100)
        rig.log.rotate()
    rig.wait_archived()
    wait_until(lambda: a.counters()["audit/archive"]["delivered"] == 500,
               "what the file has is booked")
    assert a.counters()["audit/search"]["delivered"] == 0
    assert rig.bulk.stored_count() == 0
    rig.bulk.release()
    rig.wait_delivered()


def test_the_file_completes_while_nobody_listens(rig):
    rig.bulk.stop()
    a = rig.start()
    rig.log.append(500)
    rig.wait_archived()
    assert a.counters()["audit/search"]["delivered"] == 0
    rig.bulk.start()
    rig.wait_delivered()


def test_the_file_does_not_wait_for_a_slow_bulk_server(rig):
    rig.bulk.whole_fault = lambda n: faults.Whole("slow", seconds=1)
    rig.start({"search": rig.search(batch_events=5, in_flight=1, memory="64KiB",
                                    batch_bytes="8KiB"),
               "archive": rig.file()})
    rig.log.append_at_once(300)
    begin = time.monotonic()
    rig.wait_archived()
    # 300 events need 60 answers of a second; the file must be far ahead of that.
    assert rig.bulk.stored_count() < 200, time.monotonic() - begin
    rig.bulk.heal()
    rig.wait_delivered()


def test_one_bulk_server_hangs_another_completes(rig):
    stuck, fine = rig.new_bulk(), rig.new_bulk()
    stuck.plan(*[faults.HANG] * 100)
    rig.start({"stuck": rig.search(stuck, memory="64KiB", batch_bytes="8KiB"),
               "fine": rig.search(fine)})
    rig.log.append(300)
    rig.wait_delivered(bulk=fine)
    assert stuck.stored_count() == 0
    stuck.release()
    rig.wait_delivered(bulk=stuck)


def test_the_others_complete_while_the_reader_of_stdout_sleeps(rig):
    a = rig.agent({"search": rig.search(), "archive": rig.file(),
                   "console": rig.console(memory="64KiB", batch_bytes="8KiB")})
    pipe = start_with_pipe(rig, a)
    rig.log.append(1000)                    # ten times what a pipe holds
    rig.wait_archived()
    rig.wait_delivered()
    c = a.counters()["audit/console"]
    assert c["delivered"] < 1000
    want = rig.log.text()
    wait_until(lambda: len(pipe.read()) >= len(want), "stdout has every line",
               context=a.log)
    assert pipe.got == want
    pipe.close()


def test_a_reader_of_stdout_that_stops_and_goes_on(rig):
    a = rig.agent({"console": rig.console(memory="64KiB", batch_bytes="8KiB")})
    pipe = start_with_pipe(rig, a)
    for _ in range(5):
        rig.log.append(200)
        os.read(pipe.read_fd, 0)
        pipe.got += os.read(pipe.read_fd, 1000)
    want = rig.log.text()
    wait_until(lambda: len(pipe.read()) >= len(want), "stdout has every line",
               context=a.log)
    assert pipe.got == want
    pipe.close()


def test_the_reader_of_stdout_goes_away(rig):
    """EPIPE: the others go on, and the events wait for the next start."""
    a = rig.agent({"search": rig.search(), "archive": rig.file(),
                   "console": rig.console()})
    pipe = start_with_pipe(rig, a)
    pipe.close()
    rig.log.append(100)
    rig.wait_archived()
    rig.wait_delivered()
    a.wait_log(r"(warn|error) lane audit/console: ")
    rig.log.append(100)
    rig.wait_archived()
    rig.wait_delivered()
    assert a.counters()["audit/console"]["delivered"] == 0
    a.stop()
    out = rig.home / "stdout"
    with out.open("wb") as a.stdout:
        a.start()
    wait_until(lambda: out.stat().st_size >= len(rig.log.text()), "all on stdout",
               context=a.log)
    assert_file_is(out, rig.log.text())


def test_stopping_with_a_sleeping_reader_loses_no_line(rig):
    a = rig.agent({"console": rig.console(memory="64KiB", batch_bytes="8KiB")},
                  drain_timeout="200ms")
    pipe = start_with_pipe(rig, a)
    rig.log.append(1000)
    wait_until(lambda: a.counters()["audit/console"]["in_flight"] > 0, "stuck")
    a.send(signal.SIGTERM)
    assert a.wait_exit() == 0
    first = pipe.read().split(b"\n")[:-1]   # the rest may be a torn line
    pipe.close()
    out = rig.home / "stdout"
    with out.open("wb") as a.stdout:
        a.start()
    wanted = set(range(1000))

    def seen():
        second = out.read_bytes().split(b"\n")[:-1]
        return wanted <= set(sequences(first)) | set(sequences(second))

    wait_until(seen, "every line on one of the two", context=a.log)


def test_a_file_output_that_cannot_be_opened_waits_alone(rig):
    rig.archive = rig.home / "later" / "archive.log"
    a = rig.start()
    rig.log.append(100)
    rig.wait_delivered()
    a.wait_log(r"(warn|error) lane audit/archive: .*later")
    rig.archive.parent.mkdir()
    rig.wait_archived()


def test_a_fast_reader_of_stdout_sees_lines_while_they_come(rig):
    a = rig.agent({"console": rig.console()})
    pipe = start_with_pipe(rig, a)
    got: list[bytes] = []

    def read() -> None:
        with os.fdopen(pipe.read_fd, "rb") as f:
            got.extend(f)

    reader = threading.Thread(target=read)
    reader.start()
    rig.log.append(200)
    wait_until(lambda: len(got) == 200, "two hundred lines", context=a.log)
    a.stop()
    reader.join()
    assert b"".join(got) == rig.log.text()
