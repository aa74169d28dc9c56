# SPDX-License-Identifier: Apache-2.0
"""One storm from its beginning to the verdict."""

from __future__ import annotations

import collections
import shutil
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path

import wait
from agent import SANITIZER, Agent, as_yaml
from auditlog import SEQUENCE, document_of, id_of, index_of
from bulk_server import BulkServer
from plan import Plan, make_plan
from sky import Disk, Sky
from verdict import Judge, Report
from wait import wait_until
from writer import WARM_UP, make_writer

# After this long without any change nothing more is going to come: a writer that
# is not kube-apiserver has to be quiet for seconds before its file is left.
QUIET = 12.0
LONGEST = 120.0


@dataclass
class Result:
    plan: Plan
    faults: collections.Counter[str] = field(default_factory=collections.Counter)
    events: int = 0
    torn: int = 0
    reports: list[Report] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    home: str = ""                  # where everything was kept, if it was
    seconds: float = 0.0

    def is_good(self) -> bool:
        return not self.trouble and all(r.is_good() for r in self.reports)

    def total(self, what: str) -> int:
        return sum(len(getattr(r, what)) for r in self.reports)


class Storm:
    def __init__(self, plan: Plan, home: Path) -> None:
        self.plan, self.home = plan, home
        self.bulk = BulkServer().start()
        self.archive = home / "archive.log"
        self.disk = Disk(home / "disk") if plan.small_disk else None
        self.state = (home / "disk" if self.disk else home) / "state"
        (home / "log").mkdir()
        agent = Agent(home, self.write_config(), self.state)
        self.sky = Sky(plan, agent, self.bulk, self.archive, self.disk)
        self.writer = make_writer(plan, home / "log/audit.log", self.sky)
        self.sky.writer = self.writer
        self.agent = agent

    def write_config(self) -> Path:
        quick = {"linger": "5ms", "backoff_min": "5ms", "backoff_max": "50ms",
                 "batch_events": self.plan.batch_events}
        path = self.home / "tallyman.yaml"
        path.write_text(as_yaml({
            "state_dir": self.state, "drain_timeout": "500ms",
            "trails": {"audit": {"path": self.home / "log/audit.log",
                                 "poll": "100ms", "quiet": "200ms"}},
            "outputs": {
                "search": {"type": "elasticsearch", "hosts": [self.bulk.url]} | quick,
                "archive": {"type": "file", "path": self.archive} | quick}}))
        return path

    # -- before, during, after ---------------------------------------------------

    def rage(self) -> None:
        writer, sky = self.writer, self.sky
        sky.start(True)
        # Without a checkpoint there is nothing to tell a deleted file by.
        writer.append(WARM_UP)
        wait_until(lambda: len(list(self.state.glob("*.checkpoint"))) == 2,
                   "both lanes have a checkpoint", 20, self.agent.log)
        writer.base = writer.count
        writer.start()
        try:
            sky.follow(writer.base)
        finally:
            writer.halt.set()
            writer.join()
        if writer.error:
            raise writer.error
        writer.calm_down()
        sky.heal()

    def settle(self) -> list[Report]:
        """Waits until all is there, or nothing changes any more."""
        began = changed = time.monotonic()
        seen = judged = reports = None
        while True:
            now = time.monotonic()
            state = self.progress()
            if state != seen:
                seen, changed = state, now
            elif seen != judged and now - changed > 0.2:
                judged, reports = seen, self.judge()
                if all(r.is_good() for r in reports):
                    return reports
            if (now - changed > QUIET * wait.SCALE
                    or now - began > LONGEST * wait.SCALE):
                return self.judge()
            time.sleep(0.05)            # between two looks

    def progress(self) -> tuple:
        self.sky.check_alive()
        size = self.archive.stat().st_size if self.archive.exists() else 0
        letters = [p.stat().st_size for p in sorted(self.state.glob("dead/*"))]
        return len(self.bulk.records()), size, letters

    def judge(self) -> list[Report]:
        judge = self.judge_of = Judge(self.writer.ledger, self.sky.killed,
                                      self.sky.cut_short)
        search = judge.judge("search", [d.doc for d in self.bulk.records()],
                             document_of, self.agent.dead("search"))
        text = self.archive.read_bytes() if self.archive.exists() else b""
        archive = judge.judge("archive", text.splitlines(), lambda line: line,
                              self.agent.dead("archive"))
        return [search, archive]

    def end(self) -> list[Report]:
        """It stops as asked, goes on where it was, and its books balance."""
        self.sky.term()
        self.sky.start(True)
        self.writer.append(20)
        reports = self.settle()
        self.sky.term()
        return self.judge() if all(r.is_good() for r in reports) else reports

    def questions(self) -> list[str]:
        trouble = [f"bulk server: {v}" for v in self.bulk.violations[:5]]
        output = self.agent.all_output().decode(errors="replace")
        if m := SANITIZER.search(output):
            trouble.append(f"sanitizer: {output[m.start():m.start() + 2000]}")
        lines = self.writer.ledger.lines
        for d in self.bulk.stored():
            n = number_of(d.doc, len(lines))
            if n is None:
                continue
            if (d.id, d.index) != (id_of(lines[n]), index_of(lines[n])):
                trouble.append(f"event {n}: id {d.id} in {d.index}")
                break
        return trouble

    def explain(self, reports: list[Report]) -> list[str]:
        return [t for r in reports for t in self.judge_of.explain(r)]

    # -- housekeeping --------------------------------------------------------------

    def close(self) -> None:
        self.writer.halt.set()
        if self.writer.is_alive():
            self.writer.join()
        self.writer.close()
        if self.agent.process is not None:
            self.agent.kill()
        self.bulk.close()

    def keep(self, trouble: list[str]) -> None:
        """For people: the plan, and what the search server had."""
        plan = "\n".join(map(str, self.plan.steps))
        (self.home / "plan.txt").write_text(plan + "\n")
        (self.home / "verdict.txt").write_text("\n".join(trouble) + "\n")
        with (self.home / "search.ndjson").open("wb") as f:
            for d in self.bulk.records():
                f.write(d.doc + b"\n")
        with (self.home / "events.txt").open("w") as f:
            for file in self.writer.ledger.files:
                f.write(f"{file.born}..{file.last} {file}\n")
        if self.disk and self.state.exists():
            shutil.copytree(self.state, self.home / "state")


def number_of(doc: bytes, count: int) -> int | None:
    """The number of the event that a document is, if it is one."""
    m = SEQUENCE.search(doc)
    return int(m[1]) if m and int(m[1]) < count else None


def run(seed: int, seconds: float = 5.0, cls: str | None = None,
        without: tuple[str, ...] = (), keep: bool = False, tamper=None) -> Result:
    """`tamper` is for those who test the test: it gets the storm before the end."""
    plan = make_plan(seed, seconds, cls, without)
    began = time.monotonic()
    home = Path(tempfile.mkdtemp(prefix=f"tallyman-storm-{seed}-"))
    result = Result(plan)
    storm = None
    try:
        storm = Storm(plan, home)
        try:
            storm.rage()
            result.reports = storm.settle()
            if all(r.is_good() for r in result.reports):
                result.reports = storm.end()
            if tamper:
                tamper(storm)
                result.reports = storm.judge()
            result.trouble = storm.explain(result.reports) + storm.questions()
        except Exception as e:
            words = "".join(traceback.format_exception(e)[-2:])
            result.trouble = [words, "its last words:", storm.agent.log()[-3000:]]
        result.faults = storm.writer.counts + storm.sky.counts
        result.events = storm.writer.count
        result.torn = len(storm.writer.ledger.scraps)
    except Exception as e:
        result.trouble = ["".join(traceback.format_exception(e))]
    finally:
        if storm:
            storm.close()
            if keep or result.trouble:
                storm.keep(result.trouble)
                result.home = str(home)
            if storm.disk:
                storm.disk.remove()
        if not result.home:
            shutil.rmtree(home, ignore_errors=True)
    result.seconds = time.monotonic() - began
    return result
