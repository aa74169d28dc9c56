#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Storms: whatever happens to the log, the agent, its outputs and its disk, each
event comes out once, or a gap record says why not.

A storm is one seed: a writer of numbered events, and at least 20 faults of at
least 6 kinds. TALLYMAN names the program. Exit: 0 nothing was missing, repeated or
unaccounted for; 1 something was; 2 wrong arguments.
"""

from __future__ import annotations

import argparse
import collections
import multiprocessing
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "e2e")]

from agent import PROGRAM                                           # noqa: E402
from plan import CLASSES, KINDS                                     # noqa: E402
from run import Result, run                                         # noqa: E402
from sky import why_no_disk, why_no_overflow                        # noqa: E402

FIGURES = ("missing", "repeated", "accounted", "unaccounted", "gaps", "unneeded")


def main() -> int:
    options = parse()
    if not PROGRAM.exists():
        print(f"no program at {PROGRAM}: build it, or set TALLYMAN", file=sys.stderr)
        return 1
    without = leave_out(options.without)
    first = 1 if options.seed is None else options.seed
    seeds = options.seeds or (12 if options.seed is None else 1)
    work = [(seed, options.seconds, options.cls, without, options.keep)
            for seed in range(first, first + seeds)]
    began, results = time.monotonic(), []
    # Not forked: a storm has threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.jobs, context) as pool:
        futures = [pool.submit(run, *w) for w in work]
        try:
            for future in as_completed(futures):
                results.append(future.result())
                clear_progress()
                tell(results[-1], options)
                progress(len(results), seeds, began)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            return 1
    clear_progress()
    total(results, time.monotonic() - began)
    return 0 if all(r.is_good() for r in results) else 1


def parse() -> argparse.Namespace:
    p = argparse.ArgumentParser(
        prog="./dev storm", description=__doc__.split("\n\n", 1)[0])
    p.add_argument("--seeds", type=int, metavar="N", help="how many (12)")
    p.add_argument("--seed", type=int, metavar="S",
                   help="this one; with --seeds, the first (1)")
    p.add_argument("--seconds", type=float, default=5.0, metavar="S",
                   help="of faults, for each seed (5)")
    p.add_argument("--jobs", type=int, default=2, metavar="J",
                   help="storms at the same time (2)")
    p.add_argument("--keep", action="store_true", help="keep the files of each seed")
    p.add_argument("--class", dest="cls", choices=CLASSES,
                   help="instead of the one that the seed picks")
    p.add_argument("--without", type=lambda s: s.split(","), default=[],
                   metavar="KIND,...", help=f"leave faults out: {', '.join(KINDS)}")
    options = p.parse_args()
    if unknown := set(options.without) - set(KINDS):
        p.error(f"no kind of fault: {', '.join(sorted(unknown))}")
    if options.jobs < 1 or options.seconds <= 0:
        p.error("--jobs and --seconds are more than 0")
    return options


def leave_out(kinds: list[str]) -> tuple[str, ...]:
    """With those that cannot be had here, which it says."""
    out = set(kinds)

    def no_disk() -> str:
        with tempfile.TemporaryDirectory(prefix="tallyman-storm-") as at:
            return why_no_disk(Path(at) / "disk")

    for kind, why in (("disk", no_disk), ("overflow", why_no_overflow)):
        if kind not in out and (reason := why()):
            print(f"skipped: no {kind} faults: {reason}", file=sys.stderr)
            out.add(kind)
    return tuple(sorted(out))


def counted(faults: collections.Counter[str]) -> str:
    kinds = " ".join(f"{k}={n}" for k, n in sorted(faults.items()))
    return f"faults={faults.total()} kinds={len(faults)} ({kinds})"


def figures(results: list[Result]) -> str:
    return " ".join(f"{f}={sum(r.total(f) for r in results)}" for f in FIGURES)


def tell(r: Result, options: argparse.Namespace) -> None:
    more = "".join(f" {what}={n}" for what, n in
                   (("doubtful", r.total("doubtful")), ("torn", r.torn)) if n)
    print(f"seed={r.plan.seed} class={r.plan.cls} {counted(r.faults)} "
          f"events={r.events} {figures([r])}{more}", flush=True)
    if not r.is_good():
        print(f"seed {r.plan.seed} FAILED:")
        for text in r.trouble:
            print("  " + text.rstrip().replace("\n", "\n  "))
    if r.home:
        print(f"  kept in {r.home}")
    if not r.is_good():
        again = f"--seed {r.plan.seed} --seconds {options.seconds:g}"
        again += f" --class {options.cls}" if options.cls else ""
        again += f" --without {','.join(options.without)}" if options.without else ""
        print(f"  again: ./dev storm {again}", flush=True)


def total(results: list[Result], seconds: float) -> None:
    faults = sum((r.faults for r in results), collections.Counter())
    failed = sorted(r.plan.seed for r in results if not r.is_good())
    print(f"total: seeds={len(results)} failed={len(failed)} {counted(faults)} "
          f"events={sum(r.events for r in results)} {figures(results)} "
          f"seconds={seconds:.0f}")
    if failed:
        print(f"failed: {' '.join(map(str, failed))}")


def progress(done: int, of: int, began: float) -> None:
    if sys.stdout.isatty():
        print(f"\r{done}/{of} storms, {time.monotonic() - began:.0f} s", end="",
              flush=True)


def clear_progress() -> None:
    if sys.stdout.isatty():
        print("\r\033[K", end="")


if __name__ == "__main__":
    sys.exit(main())
