# SPDX-License-Identifier: Apache-2.0
"""What is measured, one function each; rig.py has the processes.

Every function starts from nothing (a new state directory, a new sink), checks
that all events arrived and that the agent's books balance, and returns plain
figures. What they should be is bench.py's business.
"""
from __future__ import annotations

import json
import os
import shutil
import struct
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from rig import (
    DEADLINE_S,
    Agent,
    BenchError,
    Cost,
    Sink,
    Steady,
    config,
    run_cost,
    to_bulk,
    wait_until,
)


@dataclass
class Log:
    path: Path
    lines: int
    bytes: int

    @property
    def gb(self) -> float:
        return self.bytes / 1e9


@dataclass
class Run:
    """One log from one end to the other."""

    cost: Cost
    wall_s: float
    log: Log
    peak_kib: int = 0
    requests: int = 0
    wire_bytes: int = 0
    open_requests: int = 0

    @property
    def cpu_per_gb(self) -> float:
        return self.cost.cpu_s / self.log.gb

    @property
    def mb_per_s(self) -> float:
        return self.log.bytes / 1e6 / self.wall_s

    @property
    def events_per_s(self) -> float:
        return self.log.lines / self.wall_s


class Bench:
    def __init__(self, bindir: Path, room: Path):
        self.program = bindir / "tallyman"
        self.tools = bindir / "bench"
        self.room = room
        self.runs = 0

    def fresh(self) -> Path:
        self.runs += 1
        room = self.room / f"run-{self.runs}"
        room.mkdir()
        return room

    def generate(self, name: str, *size: str) -> Log:
        path = self.room / name
        argv = [self.tools / "gen", "-o", path, *size]
        made = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
        return Log(path, made["lines"], made["bytes"])

    def cat(self, log: Log) -> Run:
        return self.timed(log, ["cat", log.path])

    def yajl(self, log: Log, handle: str = "line", callbacks: str = "none") -> Run:
        argv = [self.tools / "yajl_pass", "--handle", handle]
        return self.timed(log, argv + ["--callbacks", callbacks, log.path])

    def yajl_paced(self, log: Log, bytes_per_s: int) -> float:
        """The bare pass in twenty bursts a second: per cent of a core."""
        argv = [self.tools / "yajl_pass", "--pace", str(bytes_per_s), log.path]
        done = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
        return 100 * done["cpu_s"] / (done["bytes"] / bytes_per_s)

    def timed(self, log: Log, argv: list) -> Run:
        begin = time.monotonic()
        cost = run_cost(argv, stdout=subprocess.DEVNULL)
        return Run(cost, time.monotonic() - begin, log)

    def bulk(self, log: Log, delay_ms: int = 0, **options) -> Run:
        room = self.fresh()
        with Sink(self.tools, delay_ms) as sink:
            text = config(room / "state", log.path, **to_bulk(sink.url, **options))
            with Agent(self.program, room, text) as agent:
                wait_until(
                    lambda: agent.alive() and sink.stats()["events"] >= log.lines,
                    f"{log.lines} events at the sink",
                    DEADLINE_S + log.bytes / 20e6,
                )
                peak = agent.peak_rss_kib()
                cost = agent.stop()
            stats = sink.stats()
        check_delivered(agent, log.lines, stats)
        shutil.rmtree(room)
        return Run(
            cost,
            (stats["last_ns"] - agent.started_ns) / 1e9,
            log,
            peak,
            stats["requests"],
            stats["wire_bytes"],
            stats["max_open_requests"],
        )

    def file(self, log: Log) -> Run:
        room = self.fresh()
        out = room / "out.log"
        text = config(room / "state", log.path, type="file", path=out)
        with Agent(self.program, room, text) as agent:
            wait_until(
                lambda: agent.alive()
                and out.exists()
                and out.stat().st_size >= log.bytes,
                f"{log.bytes} bytes in the file output",
            )
            wall = (time.monotonic_ns() - agent.started_ns) / 1e9
            peak = agent.peak_rss_kib()
            cost = agent.stop()
        check_delivered(agent, log.lines)
        if subprocess.run(["cmp", "-s", log.path, out], check=False).returncode:
            raise BenchError("the file output differs from the log")
        shutil.rmtree(room)
        return Run(cost, wall, log, peak)

    def stdout(self, log: Log) -> Run:
        """To /dev/null; its checkpoint tells when all of it is out."""
        room = self.fresh()
        text = config(room / "state", log.path, type="stdout", format="json")
        with Agent(self.program, room, text) as agent:
            wait_until(
                lambda: agent.alive() and read_all(agent, log), "all of the log read"
            )
            wall = (time.monotonic_ns() - agent.started_ns) / 1e9
            peak = agent.peak_rss_kib()
            cost = agent.stop()
        check_delivered(agent, log.lines)
        shutil.rmtree(room)
        return Run(cost, wall, log, peak)

    def steady(self, seconds: int, **options) -> dict:
        room = self.fresh()
        log = room / "audit.log"
        log.touch()
        with Steady(self.tools, log, seconds) as steady:
            text = config(room / "state", log, **to_bulk(steady.url, **options))
            with Agent(self.program, room, text) as agent:
                agent.wait_ready()
                begin, cpu = time.monotonic(), agent.cpu_s()
                switches = agent.switches()
                steady.go()
                report = steady.report()
                took = time.monotonic() - begin
                if report:
                    report["cpu_percent"] = 100 * (agent.cpu_s() - cpu) / took
                    report["switches_per_s"] = (agent.switches() - switches) / took
                agent.stop()
        if not report or report["missing"] or report["repeated"]:
            raise BenchError(f"the steady run lost or repeated events: {report}")
        shutil.rmtree(room)
        return report

    def idle(self, log: Log, seconds: int) -> dict:
        """After delivering `log`, with nothing more to do."""
        room = self.fresh()
        with Sink(self.tools) as sink:
            text = config(room / "state", log.path, **to_bulk(sink.url))
            with Agent(self.program, room, text) as agent:
                wait_until(
                    lambda: agent.alive() and sink.stats()["events"] >= log.lines,
                    "the log before the idle time",
                )
                time.sleep(2)  # lets the last checkpoint and timers pass
                begin, switches, cpu = time.monotonic(), agent.switches(), agent.cpu_s()
                time.sleep(seconds)  # this is the measurement
                took = time.monotonic() - begin
                rss, private = agent.rss_kib()
                found = {
                    "rss_kib": rss,
                    "private_kib": private,
                    "wakeups_per_s": (agent.switches() - switches) / took,
                    "cpu_percent": 100 * (agent.cpu_s() - cpu) / took,
                    "threads": len(agent.tasks()),
                }
                agent.stop()
        shutil.rmtree(room)
        return found

    def mallocs(self, log: Log, **options) -> dict:
        """Calls of the allocator over a whole run, and the requests made."""
        room = self.fresh()
        counts = room / "mallocs"
        preload = {
            "LD_PRELOAD": str(self.tools / "malloc_count.so"),
            "MALLOC_COUNT": str(counts),
        }
        with Sink(self.tools) as sink:
            text = config(room / "state", log.path, **to_bulk(sink.url, **options))
            with Agent(self.program, room, text, env=preload) as agent:
                wait_until(
                    lambda: agent.alive() and sink.stats()["events"] >= log.lines,
                    "the log of the allocation count",
                )
                agent.stop()
            requests = sink.stats()["requests"]
        calls, size = struct.unpack("QQ", counts.read_bytes()[:16])
        shutil.rmtree(room)
        return {"calls": calls, "bytes": size, "requests": requests}

    def first_event(self, log: Log, resume: bool = False) -> dict:
        """From the start of the agent to its first request at the sink.

        With `resume` it is started twice, and stopped in the middle of the
        backlog the first time. No linger, which a small backlog would wait for.
        """
        room = self.fresh()
        for again in (True, False) if resume else (False,):
            # An answer that takes its time keeps the backlog from running out.
            with Sink(self.tools, 100) as sink:
                output = to_bulk(sink.url, linger="0ms")
                text = config(room / "state", log.path, **output)
                with Agent(self.program, room, text) as agent:
                    least = log.lines // 2 if again else 1
                    least = min(least, 20000)
                    wait_until(
                        lambda: agent.alive() and sink.stats()["events"] >= least,
                        "the first events",
                    )
                    agent.stop()
                first_ns = sink.stats()["first_ns"] - agent.started_ns
        sizes = [os.stat(f).st_size for f in (room / "state").glob("*.checkpoint")]
        shutil.rmtree(room)
        return {"first_ms": first_ns / 1e6, "checkpoint_bytes": sizes[0]}


def check_delivered(agent: Agent, lines: int, stats: Optional[dict] = None) -> None:
    count = agent.counters()
    if count.get("balanced") != "yes" or int(count["delivered"]) != lines:
        raise BenchError(f"{lines} lines, but the agent says {count}")
    if stats and (stats["events"] != lines or stats["faults"]):
        raise BenchError(f"{lines} lines, but the sink says {stats}")


def read_all(agent: Agent, log: Log) -> bool:
    """Whether its standard output has taken every byte of the log."""
    text = agent.proc_file("io")
    return int(text.split("wchar:")[1].split()[0]) >= log.bytes
