#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures tallyman and prints one Markdown table; README.md says how.

Being over a bar is said, never an error: the exit code is 1 only when a run
could not be made or delivered something wrong.
"""
from __future__ import annotations

import argparse
import os
import platform
import re
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Callable, Optional

import chain
from measure import Bench, Log, Run
from rig import BenchError

PEERS = """\
Peers, **measured elsewhere** (the same kind of log, another day and machine; see
the design notes): CPU s per GB, gzip off unless said.

| agent | CPU s/GB | peak RSS MiB |
|---|---|---|
| Fluent Bit | 2.8 raw, 6.2 parsed, 20.7 parsed with gzip | 62-221 |
| syslog-ng | 2.2 raw, 20.5 parsed | 49 |
| rsyslog | 6.7 raw, 17.8 parsed | 56-130 |
| Fluentd | 28-41 | 207 |
| Vector, OTel Collector, Filebeat | 9.8x, 13x, 20-30x the yajl pass | |

At 1,000 events/s: rsyslog p50 0.1 ms, p99 0.4 ms, 6.5-10 % of a core; Fluent Bit
507 / 997 ms, 5.2 % (1 s flush), 5 / 9 ms, 5.9 % (10 ms flush); syslog-ng 1.5 / 2.0 s,
0.5 %. Idle: rsyslog 12 MiB, no wake-ups; Fluent Bit 15 MiB, 54 wake-ups/s; Fluentd
45 MiB, 82.
"""


class Table:
    def __init__(self) -> None:
        self.rows: list = []

    def add(self, what: str, figure: str, bar: str = "", ok: Optional[bool] = None):
        verdict = "" if ok is None else "ok" if ok else "**over**"
        self.rows.append((what, figure, bar, verdict))

    def under(self, what: str, value: float, limit: float, unit: str, digits: int = 2):
        figure, bar = f"{value:.{digits}f} {unit}", f"<= {limit:g} {unit}"
        self.add(what, figure.strip(), bar.strip(), value <= limit)

    def text(self) -> str:
        head = [("what", "figure", "bar", ""), ("---",) * 4]
        return "\n".join("| " + " | ".join(row) + " |" for row in head + self.rows)


def progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text} ...", end="", file=sys.stderr, flush=True)


def median(runs: list, figure: Callable[[Run], float]) -> float:
    return statistics.median(figure(run) for run in runs)


def ratio(runs: list, base: list, figure: Callable[[Run], float]) -> float:
    """The median of the rounds' ratios: what disturbs a round disturbs both."""
    return statistics.median(figure(a) / figure(b) for a, b in zip(runs, base))


def cpu(run: Run) -> float:
    return run.cpu_per_gb


def speed(run: Run) -> float:
    return run.mb_per_s


def body_speed(run: Run) -> float:
    return run.wire_bytes / 1e6 / run.wall_s


def machine() -> str:
    info = Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*:\s*(.*)", info)
    tcp = Path("/proc/sys/net/ipv4/tcp_congestion_control").read_text().strip()
    load = os.getloadavg()[0]
    return (
        f"{os.cpu_count()} cores, {model[1] if model else platform.machine()}, "
        f"Linux {platform.release()}, TCP {tcp}, load {load:.1f} before the run"
    )


def alternate(kinds: dict, rounds: int) -> dict:
    """Runs every kind once a round, so that all share the machine's moods."""
    found: dict = {name: [] for name in kinds}
    for i in range(rounds):
        for name, run in kinds.items():
            progress(f"round {i + 1} of {rounds}: {name}")
            found[name].append(run())
    return found


def throughput(b: Bench, log: Log, rounds: int, table: Table) -> None:
    slow = {"delay_ms": 50, "in_flight": 48, "linger": "0ms"}
    fast = {"linger": "0ms"}
    kinds = {
        "cat": lambda: b.cat(log),
        "yajl": lambda: b.yajl(log),
        "yajl reused": lambda: b.yajl(log, "reused", "noop"),
        "plain": lambda: b.bulk(log, compression="none", **fast),
        "gzip": lambda: b.bulk(log, compression="gzip", **fast),
        "slow plain": lambda: b.bulk(log, compression="none", **slow),
        "slow gzip": lambda: b.bulk(log, compression="gzip", **slow),
        "slow 64": lambda: b.bulk(log, compression="none", memory="64MiB", **slow),
        "file": lambda: b.file(log),
        "stdout": lambda: b.stdout(log),
    }
    found = alternate(kinds, rounds)
    cost_rows(found, table)
    slow_rows(found, table)
    for name in ("file", "stdout"):
        where = "file output" if name == "file" else "stdout to /dev/null"
        table.add(where, cost_text(found[name]))
    table.add("file output: CPU to bare yajl pass", times(found, "file", "yajl"))


def times(found: dict, name: str, base: str) -> str:
    return f"{ratio(found[name], found[base], cpu):.2f}x"


def cost_text(runs: list) -> str:
    return (
        f"{median(runs, cpu):.2f} CPU s/GB, {median(runs, speed):.0f} MB/s, "
        f"{median(runs, lambda r: r.events_per_s):,.0f} events/s"
    )


def cost_rows(found: dict, table: Table) -> None:
    table.add("`cat` of the log", f"{median(found['cat'], cpu):.3f} CPU s/GB")
    table.add(
        "bare yajl pass (a handle per line)",
        f"{median(found['yajl'], cpu):.2f} CPU s/GB",
    )
    table.add(
        "yajl, one handle, empty callbacks",
        f"{median(found['yajl reused'], cpu):.2f} CPU s/GB",
    )
    for name, title, bar in (("plain", "no gzip", 1.8), ("gzip", "gzip", 2.6)):
        runs = found[name]
        table.add(f"file to bulk, {title}", cost_text(runs))
        by_yajl = ratio(runs, found["yajl"], cpu)
        table.under(f"- {title}: CPU to bare yajl pass", by_yajl, bar, "x")
        table.add(f"- {title}: CPU to `cat`", times(found, name, "cat"))
        peak = max(run.peak_kib for run in runs) / 1024
        table.under(f"- {title}: peak RSS", peak, 24, "MiB", 1)
        table.add(
            f"- {title}: requests, body per log byte",
            f"{median(runs, lambda r: r.requests):.0f}, "
            f"{median(runs, lambda r: r.wire_bytes / r.log.bytes):.3f}",
        )


def slow_rows(found: dict, table: Table) -> None:
    title = "50 ms sink, in_flight 48"
    for name, base, more in (
        ("slow gzip", "gzip", "gzip"),
        ("slow plain", "plain", "no gzip"),
        ("slow 64", "plain", "no gzip, memory 64MiB"),
    ):
        runs = found[name]
        share = ratio(runs, found[base], speed)
        got = median(runs, speed)
        ok = share >= 0.95 or (name == "slow plain" and got >= 300)
        bar = "or 300 MB/s" if name == "slow plain" else ""
        table.add(
            f"{title}, {more}",
            f"{got:.0f} MB/s of log, "
            f"{median(runs, body_speed):.0f} of bodies, "
            f"{100 * share:.0f} % of no delay, "
            f"{max(run.open_requests for run in runs)} requests open, "
            f"peak RSS {max(run.peak_kib for run in runs) / 1024:.1f} MiB",
            f"the same (95 %) {bar}".strip(),
            ok,
        )


def steady_rows(b: Bench, log: Log, seconds: int, table: Table) -> None:
    for linger, p50, p99, share in (("50ms", 30, 60, 1.0), ("0ms", 0.5, 2, None)):
        progress(f"steady 1,000 events/s, linger {linger}")
        r = b.steady(seconds, linger=linger)
        title = f"1,000 events/s, linger {linger}"
        table.under(f"{title}: p50", r["p50_ms"], p50, "ms", 3)
        table.under(f"- p99 (max {r['max_ms']:.1f} ms)", r["p99_ms"], p99, "ms", 3)
        figure = f"{r['cpu_percent']:.2f} %"
        bar, ok = ("", None) if share is None else (f"< {share:g} %", None)
        if share is not None:
            ok = r["cpu_percent"] < share
        table.add("- of a core", figure, bar, ok)
        table.add(
            "- context switches, requests, late ticks",
            f"{r['switches_per_s']:.0f}/s, {r['requests']}, {r['late_ticks']}",
        )
    progress("the yajl pass at that pace")
    paced = b.yajl_paced(log, 2100000)
    title = "the bare yajl pass at that pace, 20 bursts/s"
    table.add(title, f"{paced:.2f} % of a core")


def idle_rows(b: Bench, log: Log, seconds: int, table: Table) -> None:
    small = b.generate("idle.log", "--mib", "1")
    for title, what in (("idle", small), (f"idle, after {log.bytes >> 20} MiB", log)):
        progress(title)
        r = b.idle(what, seconds)
        table.under(f"{title}: RSS", r["rss_kib"] / 1024, 12, "MiB", 1)
        table.under("- of which private", r["private_kib"] / 1024, 3, "MiB", 1)
        table.under(
            f"- wake-ups ({r['threads']} threads, {seconds} s)",
            r["wakeups_per_s"],
            1,
            "/s",
        )


def malloc_rows(b: Bench, table: Table) -> None:
    """Two unknowns, what an event and what a request costs: three runs."""
    few = b.generate("few.log", "--lines", "10000")
    many = b.generate("many.log", "--lines", "110000")
    for compression in ("none", "gzip"):
        progress(f"allocations, compression {compression}")
        x = b.mallocs(few, compression=compression)
        y = b.mallocs(many, compression=compression)
        z = b.mallocs(many, compression=compression, batch_bytes="512KiB")
        title = f"allocations, compression {compression}"
        calls = y["calls"] - x["calls"]
        request = (z["calls"] - y["calls"]) / max(1, z["requests"] - y["requests"])
        event = (calls - request * (y["requests"] - x["requests"])) / 100000
        table.under(f"{title}: per event", max(event, 0.0), 0.01, "", 4)
        table.add(
            "- per request; 100,000 events more, all in all; a whole run",
            f"{request:.1f}; {calls}; {y['calls']}",
        )
    for log in (few, many):
        log.path.unlink()


def backlog_rows(b: Bench, log: Log, mib: int, table: Table) -> None:
    small = b.generate("small.log", "--mib", "1")
    big = b.generate("big.log", "--mib", str(mib))
    rows = {
        "1 MiB": lambda: b.first_event(small),
        f"{mib} MiB": lambda: b.first_event(big),
        f"{mib} MiB, resumed inside": lambda: b.first_event(big, resume=True),
    }
    times_ = alternate(rows, 5)
    base = statistics.median(r["first_ms"] for r in times_["1 MiB"])
    for name, runs in times_.items():
        first = statistics.median(r["first_ms"] for r in runs)
        table.add(
            f"start to first event, backlog {name}",
            f"{first:.1f} ms, checkpoint {runs[-1]['checkpoint_bytes']} bytes",
            "" if name == "1 MiB" else "as with 1 MiB (+ 20 ms)",
            None if name == "1 MiB" else first <= base + 20,
        )
    progress("the whole of the big backlog")
    sizes = {
        "big": lambda: b.bulk(big, compression="none"),
        "mid": lambda: b.bulk(log, compression="none"),
    }
    whole = alternate(sizes, 3)
    share = ratio(whole["big"], whole["mid"], cpu)
    table.under(
        f"CPU per GB, {mib} MiB of backlog to {log.bytes >> 20}", share, 1.1, "x"
    )
    big.path.unlink()


def measure(b: Bench, args: argparse.Namespace) -> Table:
    table = Table()
    if args.only != "trail":
        measure_lane(b, args, table)
    if args.only != "lane":
        rounds = 1 if args.quick or args.chain_mib > 2048 else 3
        chain.rows(b, table, alternate, progress, args.chain_mib, rounds)
    return table


def measure_lane(b: Bench, args: argparse.Namespace, table: Table) -> None:
    progress("writing the log")
    log = b.generate("audit.log", "--mib", str(args.mib))
    table.add(
        "the log",
        f"{log.bytes / 1e6:.1f} MB, {log.lines:,} events, mean "
        f"{log.bytes / log.lines:.0f} bytes",
    )
    throughput(b, log, 3 if args.quick else 5, table)
    steady_rows(b, log, 5 if args.quick else 20, table)
    idle_rows(b, log, 5 if args.quick else 20, table)
    malloc_rows(b, table)
    backlog_rows(b, log, 256 if args.quick else 1024, table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, required=True, help="the build directory")
    parser.add_argument("--mib", type=int, default=256, help="size of the log")
    parser.add_argument("--only", choices=("lane", "trail"), help="half of it")
    parser.add_argument(
        "--chain-mib", type=int, default=1024, help="size of the chain of files"
    )
    parser.add_argument("--quick", action="store_true", help="fewer, shorter runs")
    parser.add_argument("--keep", action="store_true", help="keep the directory")
    args = parser.parse_args()
    room = tempfile.TemporaryDirectory(prefix="tallyman-bench-")
    head = machine()
    try:
        table = measure(Bench(args.bin.resolve(), Path(room.name)), args)
    except BenchError as e:
        print(f"bench: {e}", file=sys.stderr)
        return 1
    finally:
        progress("")
        if args.keep:
            room._finalizer.detach()
            print(f"bench: kept {room.name}", file=sys.stderr)
        else:
            room.cleanup()
    print(f"Machine: {head}.\n\n{table.text()}\n\n{PEERS}", end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
