# SPDX-License-Identifier: Apache-2.0
"""Whether each event is there once: the ledger against an output and its dead
letters. Pure; knows nothing of agents."""

from __future__ import annotations

import collections
import hashlib
import json
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Callable, Iterable

from auditlog import SEQUENCE, time_text
from ledger import Ledger, LogFile

GAP = re.compile(rb'"kind":"Gap"')
REASONS = ("Deleted", "Truncated", "Hole", "Damaged", "GivenUp")
# The reasons of gaps that stand for files which the storm has deleted; what was
# deleted may have been the copy of a log that was cut while nobody looked.
OF_DELETION = ("Deleted", "GivenUp", "Truncated")


def moment(text: str | None) -> float | None:
    return datetime.fromisoformat(text).timestamp() if text else None


def short(data: bytes) -> str:
    return repr(data if len(data) < 200 else data[:200] + b"...")


def is_part_of(lost: list[bytes], letter: dict) -> bool:
    """Whether that much of a lost event had been read."""
    n = letter["length"]
    return any(len(line) > n
               and hashlib.sha256(line[:n]).hexdigest() == letter["sha256"]
               for line in lost)


@dataclass
class Gap:
    key: tuple
    reason: str
    after: float | None
    before: float | None
    text: str

    def covers(self, at: float) -> bool:
        return ((self.after is None or self.after <= at)
                and (self.before is None or at <= self.before))


def read_gap(data: bytes) -> Gap | str:
    """The record, or what is wrong with it."""
    try:
        g = json.loads(data)
        if g["apiVersion"] != "tallyman/v1" or g["level"] != "Gap":
            return "apiVersion or level"
        if g["reason"] not in REASONS:
            return f"reason {g['reason']!r}"
        if not isinstance(g["message"], str) or not isinstance(g.get("bytes", 0), int):
            return "message or bytes"
        key = (g["trail"], g.get("head", g["file"]), g["offset"], g["reason"],
               g.get("before"))
        after, before = moment(g.get("after")), moment(g.get("before"))
    except (ValueError, KeyError, TypeError) as e:
        return f"{type(e).__name__}: {e}"
    return Gap(key, g["reason"], after, before, data.decode())


@dataclass
class Report:
    """Of one output."""

    output: str
    missing: list[int] = field(default_factory=list)        # nothing excuses it
    unaccounted: list[int] = field(default_factory=list)    # deleted, and not told
    accounted: list[int] = field(default_factory=list)
    repeated: list[int] = field(default_factory=list)
    altered: list[str] = field(default_factory=list)        # nothing that was written
    gaps: list[Gap] = field(default_factory=list)
    unneeded: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    letters: list[str] = field(default_factory=list)        # wrong, too few, too many

    def is_good(self) -> bool:
        return not (self.missing or self.unaccounted or self.repeated or self.altered
                    or self.unneeded or self.letters)


class Judge:
    """`killed` are the lives of the agent that ended by SIGKILL; `cut_short` those
    that were asked to stop and could not settle what they had read: an event that was
    stored may have had no answer."""

    def __init__(self, ledger: Ledger, killed: set[int],
                 cut_short: set[int] = frozenset()) -> None:
        self.ledger, self.killed, self.cut_short = ledger, killed, cut_short

    def judge(self, output: str, records: Iterable[bytes],
              expected: Callable[[bytes], bytes], letters: list[dict]) -> Report:
        """`expected` is what becomes of a line in this output."""
        report = Report(output)
        count = self.count(records, expected, report)
        report.repeated = sorted(n for n, times in count.items() if times > 1)
        self.look_for_all(count, report)
        self.look_at_gaps(report)
        self.look_at_letters(letters, report)
        return report

    def count(self, records: Iterable[bytes], expected: Callable[[bytes], bytes],
              report: Report) -> collections.Counter[int]:
        count: collections.Counter[int] = collections.Counter()
        lines = self.ledger.lines
        for data in records:
            if GAP.search(data, 0, 200):
                gap = read_gap(data)
                if isinstance(gap, Gap):
                    report.gaps.append(gap)
                else:
                    report.altered.append(f"gap record: {gap}: {short(data)}")
                continue
            m = SEQUENCE.search(data)
            n = int(m[1]) if m else -1
            if not 0 <= n < len(lines):
                report.altered.append(f"was never a line: {short(data)}")
            elif data != expected(lines[n]):
                report.altered.append(f"event {n} is {short(data)}")
            else:
                count[n] += 1
        return count

    def look_for_all(self, count: collections.Counter[int], report: Report) -> None:
        gaps = [g for g in report.gaps if g.reason in OF_DELETION]
        for n, file in enumerate(self.ledger.where):
            if n in count:
                continue
            at = self.time_of(n)
            if not file.doomed:
                report.missing.append(n)
            elif any(g.covers(at) for g in gaps):
                report.accounted.append(n)
            else:
                report.unaccounted.append(n)

    def time_of(self, n: int) -> float:
        return moment(time_text(self.ledger.lines[n]))

    def look_at_gaps(self, report: Report) -> None:
        times = [self.time_of(n) for n in report.accounted]
        keys = collections.Counter(g.key for g in report.gaps)
        for g in report.gaps:
            if keys[g.key] > 1:
                report.unneeded.append(f"{keys[g.key]} times: {g.text}")
            elif g.reason not in OF_DELETION or not any(map(g.covers, times)):
                doubt = g.reason in OF_DELETION and self.had_to_doubt(g)
                (report.doubtful if doubt else report.unneeded).append(g.text)

    def had_to_doubt(self, gap: Gap) -> bool:
        """The agent could not know that nothing was lost: a file of that time was
        deleted while nobody looked, or before what was read of it was on record."""
        ended = self.killed | self.cut_short
        return any((not f.watched or f.life in ended) and self.touches(f, gap)
                   for f in self.ledger.files if f.doomed)

    def touches(self, f: LogFile, gap: Gap) -> bool:
        # An empty file, or one with a torn line alone, lies where it was begun.
        n = min(f.last if f.last >= 0 else f.born, len(self.ledger.lines) - 1)
        return gap.covers(self.time_of(n)) or n > 0 and gap.covers(self.time_of(n - 1))

    def look_at_letters(self, letters: list[dict], report: Report) -> None:
        want: collections.Counter[tuple] = collections.Counter()
        may: collections.Counter[tuple] = collections.Counter()
        for s in self.ledger.scraps:
            key = (len(s.data), hashlib.sha256(s.data).hexdigest())
            may[key] += 1
            want[key] += not s.file.doomed
        got = collections.Counter((d["length"], d["sha256"]) for d in letters)
        for s in self.ledger.scraps:
            key = (len(s.data), hashlib.sha256(s.data).hexdigest())
            if got[key] < want[key]:
                report.letters.append(f"no dead letter for {short(s.data)} in {s.file}")
            elif got[key] > may[key] and not self.killed:
                # A kill may come between a dead letter and its checkpoint.
                report.letters.append(f"{got[key]} dead letters for {short(s.data)}")
        lost = [self.ledger.lines[n] for n in report.accounted]
        for d in letters:
            if (d["length"], d["sha256"]) not in may and not is_part_of(lost, d):
                report.letters.append(f"dead letter for no torn line: {str(d)[:400]}")

    # -- for people ----------------------------------------------------------------

    def explain(self, report: Report, most: int = 5) -> list[str]:
        def places(what: str, numbers: list[int]) -> list[str]:
            by_file: dict[LogFile, list[int]] = {}
            for n in numbers:
                by_file.setdefault(self.ledger.where[n], []).append(n)
            return [f"{report.output}: {len(ns)} {what}, {ns[0]} to {ns[-1]}, "
                    f"of events {f.born} to {f.last} in {f}"
                    for f, ns in list(by_file.items())[:most]]

        text = places("missing", report.missing)
        text += places("unaccounted", report.unaccounted)
        text += places("repeated", report.repeated)
        for what in ("altered", "unneeded", "letters"):
            text += [f"{report.output}: {what}: {t}"
                     for t in getattr(report, what)[:most]]
        return text
