# SPDX-License-Identifier: Apache-2.0
"""What a long chain of rotated files, a .gz and many trails cost."""
from __future__ import annotations

import gzip
import json
import shutil
import statistics
import subprocess
import time
from pathlib import Path
from typing import Callable

from measure import Bench, Log, check_delivered
from rig import Agent, BenchError, Sink, config, to_bulk, wait_until

FILE_MIB = 100      # kube-apiserver's --audit-log-maxsize


def rotated(n: int) -> str:
    """A name as kube-apiserver gives it; a later one for a greater number."""
    minutes, seconds = divmod(n, 60)
    hours, minutes = divmod(minutes, 60)
    return f"audit-2026-11-{1 + hours // 24:02}T{hours % 24:02}-{minutes:02}-" \
           f"{seconds:02}.000.log"


def need_room(b: Bench, mib: int) -> None:
    """Says so before the disk is full, with 1 GiB for whoever else needs it."""
    free = shutil.disk_usage(b.room).free >> 20
    if free < mib + 1024:
        raise BenchError(f"{mib} MiB are to be written, and {free} MiB are free")


def generate(b: Bench, path: Path, seed: int, *size: str) -> tuple[int, int]:
    argv = [b.tools / "gen", "--seed", str(seed), "-o", path, *size]
    made = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)
    return made["lines"], made["bytes"]


def make_chain(b: Bench, name: str, files: int, *size: str) -> Log:
    """So many files, the last of them live; each has other events."""
    room = b.room / name
    room.mkdir()
    lines = count = 0
    for i in range(files):
        live = i + 1 == files
        path = room / ("audit.log" if live else rotated(i))
        more = generate(b, path, i + 1, *size)
        lines, count = lines + more[0], count + more[1]
    return Log(room / "audit.log", lines, count)


def open_chain(b: Bench, log: Log, again: bool) -> dict:
    """From the start to "ready", and to the first request; `again`: of a second
    start, at the end of the chain, where one event is new."""
    room = b.fresh()
    with Sink(b.tools) as sink:
        text = config(room / "state", log.path, **to_bulk(sink.url, linger="0ms"))
        with Agent(b.program, room, text) as agent:
            ready = wait_for(agent, lambda: " ready" in agent.said())
            wait_until(
                lambda: agent.alive()
                and sink.stats()["events"] >= (log.lines if again else 1),
                "events of the chain",
            )
            first = (sink.stats()["first_ns"] - agent.started_ns) / 1e9
            agent.stop()
    if again:
        with open(log.path, "rb+") as live:
            line = live.readline()
            live.seek(0, 2)
            live.write(line)
        with Sink(b.tools) as sink:
            text = config(room / "state", log.path, **to_bulk(sink.url, linger="0ms"))
            with Agent(b.program, room, text) as agent:
                ready = wait_for(agent, lambda: " ready" in agent.said())
                wait_until(lambda: sink.stats()["events"] >= 1, "the new event")
                first = (sink.stats()["first_ns"] - agent.started_ns) / 1e9
                agent.stop()
                if sink.stats()["events"] != 1:
                    raise BenchError("what was delivered came again")
        with open(log.path, "rb+") as live:
            live.truncate(live.seek(0, 2) - len(line))
    shutil.rmtree(room)
    return {"ready_s": ready, "first_s": first}


def wait_for(agent: Agent, is_so: Callable[[], bool]) -> float:
    wait_until(lambda: agent.alive() and is_so(), "the agent", 60)
    return (time.monotonic_ns() - agent.started_ns) / 1e9


def resume_in_gz(b: Bench, lines: int, path: Path, tail: int) -> dict:
    """CPU of a run that begins just before the last `tail` events of a .gz: so
    much of it was read when it was the live file; then it grew, was rotated and
    compressed. The live file that follows has one event."""
    room = b.fresh()
    logs = room / "logs"
    logs.mkdir()
    live = logs / "audit.log"

    def text(sink: Sink) -> str:
        return config(room / "state", live,
                      **to_bulk(sink.url, linger="0ms", compression="none"))

    with gzip.open(path, "rb") as packed, open(live, "wb") as out:
        for _ in range(lines - tail):
            out.write(packed.readline())
    with Sink(b.tools) as sink, Agent(b.program, room, text(sink)) as agent:
        wait_for(agent, lambda: sink.stats()["events"] >= lines - tail)
        agent.stop()
    live.unlink()
    (logs / path.name).hardlink_to(path)
    generate(b, live, 2, "--lines", "1")
    with Sink(b.tools) as sink, Agent(b.program, room, text(sink)) as agent:
        wait_for(agent, lambda: sink.stats()["events"] > tail)
        first = (sink.stats()["first_ns"] - agent.started_ns) / 1e9
        cost = agent.stop()
        check_delivered(agent, tail + 1, sink.stats())
    shutil.rmtree(room)
    return {"cpu_s": cost.cpu_s, "first_s": first}


def whole_gz(b: Bench, lines: int, path: Path) -> float:
    room = b.fresh()
    with Sink(b.tools) as sink:
        text = config(room / "state", path.parent / "audit.log",
                      **to_bulk(sink.url, linger="0ms", compression="none"))
        with Agent(b.program, room, text) as agent:
            wait_for(agent, lambda: sink.stats()["events"] >= lines)
            cost = agent.stop()
        check_delivered(agent, lines)
    shutil.rmtree(room)
    return cost.cpu_s


def idle_trails(b: Bench, trails: int, dirs: int, seconds: int) -> dict:
    """Many logs in so many directories, by a pattern, with nothing going on."""
    room = b.fresh()
    logs = room / "logs"
    logs.mkdir()
    for i in range(trails):
        place = logs / f"d{i % dirs}"
        place.mkdir(exist_ok=True)
        generate(b, place / f"cluster{i}.log", i + 1, "--lines", "10")
    pattern = logs / ("d0" if dirs == 1 else "*") / "*.log"
    with Sink(b.tools) as sink:
        text = config(room / "state", pattern, **to_bulk(sink.url))
        with Agent(b.program, room, text) as agent:
            wait_until(lambda: agent.alive() and sink.stats()["events"] >= 10 * trails,
                       "the events of all trails")
            time.sleep(3)       # lets the last checkpoints and timers pass
            cpu, switches = agent.cpu_s(), agent.switches()
            preempted = agent.preemptions()
            begin = time.monotonic()
            time.sleep(seconds)     # this is the measurement
            took = time.monotonic() - begin
            found = {
                "cpu_percent": 100 * (agent.cpu_s() - cpu) / took,
                "wakeups_per_s": (agent.switches() - switches) / took,
                "preempted_per_s": (agent.preemptions() - preempted) / took,
                "watches": watches(agent.proc.pid),
                "rss_kib": agent.rss_kib()[0],
            }
            agent.stop()
    shutil.rmtree(room)
    return found


def watches(pid: int) -> int:
    infos = Path(f"/proc/{pid}/fdinfo").iterdir()
    return sum(info.read_text().count("inotify wd:") for info in infos)


def rows(b: Bench, table, alternate, progress, mib: int, rounds: int) -> None:
    read_rows(b, table, alternate, progress, mib, rounds)
    open_rows(b, table, progress)
    gz_rows(b, table, progress)
    idle_rows(b, table, progress)


def idle_rows(b: Bench, table, progress) -> None:
    for dirs, where in ((1, "one directory"), (100, "100 directories")):
        progress(f"100 idle trails in {where}")
        r = idle_trails(b, 100, dirs, 20)
        title = f"100 idle trails in {where}"
        rss = f"{r['rss_kib'] / 1024:.1f}"
        table.under(f"{title} (RSS {rss} MiB): CPU", r["cpu_percent"], 0.5, "%", 3)
        preempted = f"{r['preempted_per_s']:.1f}/s of them preemptions"
        table.under(f"- wake-ups ({preempted})", r["wakeups_per_s"], 1, "/s")
        table.under("- inotify watches", r["watches"], dirs, "", 0)


def read_rows(b: Bench, table, alternate, progress, mib: int, rounds: int) -> None:
    need_room(b, mib + min(mib, 1024))
    progress("writing the chain")
    chain = make_chain(b, "chain", max(2, mib // FILE_MIB), "--mib", str(FILE_MIB))
    one = b.generate("one.log", "--mib", str(min(mib, 1024)))
    found = alternate({
        "one": lambda: b.bulk(one, compression="none", linger="0ms"),
        "chain": lambda: b.bulk(chain, compression="none", linger="0ms"),
    }, rounds)
    for what, key in (("CPU", lambda r: r.cpu_per_gb), ("time", lambda r: 1 / r.mb_per_s)):
        share = statistics.median(
            key(c) / key(o) for c, o in zip(found["chain"], found["one"]))
        table.under(
            f"a chain of {chain.bytes >> 20} MiB in files of {FILE_MIB} to one of "
            f"{one.bytes >> 20}: {what} per byte", share, 1.1, "x")
    shutil.rmtree(chain.path.parent)
    one.path.unlink()


def open_rows(b: Bench, table, progress) -> None:
    progress("1,000 siblings")
    many = make_chain(b, "many", 1000, "--lines", "20")
    for title, again in (("without a checkpoint", False), ("one at its end", True)):
        r = open_chain(b, many, again)
        table.under(f"1,000 siblings, {title}: start to ready", r["ready_s"], 1, "s", 3)
        table.under("- to the first event", r["first_s"], 1, "s", 3)
    shutil.rmtree(many.path.parent)


def gz_rows(b: Bench, table, progress) -> None:
    """A file that kube-apiserver compressed, and a .gz of 100 MiB itself."""
    for text_mib in (FILE_MIB, 690):
        progress(f"a .gz of {text_mib} MiB of text")
        need_room(b, 3 * text_mib)
        gz_of(b, table, text_mib)


def gz_of(b: Bench, table, text_mib: int, tail: int = 1000) -> None:
    room = b.room / "gz"
    room.mkdir()
    path = room / rotated(1)
    lines, size = generate(b, path, 1, "--mib", str(text_mib))
    subprocess.run(["gzip", "-1", path], check=True)
    path = path.with_name(path.name + ".gz")
    generate(b, room / "audit.log", 2, "--lines", "1")
    few = b.generate("few.log", "--lines", str(tail + 1))
    whole = whole_gz(b, lines + 1, path)
    near = [resume_in_gz(b, lines, path, tail) for _ in range(3)]
    alone = [b.bulk(few, compression="none", linger="0ms") for _ in range(3)]
    cpu = statistics.median(r["cpu_s"] for r in near)
    base = statistics.median(r.cost.cpu_s for r in alone)
    first = statistics.median(r["first_s"] for r in near)
    table.add(
        f"a .gz of {path.stat().st_size >> 20} MiB, {size >> 20} of text: all of it",
        f"{whole:.2f} CPU s")
    table.under(f"- resumed {tail:,} events before its end", cpu, 1, "CPU s", 2)
    table.add("- more than as many events in a plain file", f"{cpu - base:.2f} CPU s")
    table.add("- to the first event", f"{first:.2f} s")
    few.path.unlink()
    shutil.rmtree(room)
