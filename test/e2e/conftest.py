# SPDX-License-Identifier: Apache-2.0
"""Fixtures. Every test that uses `rig` ends by the same questions: do the books
balance, did the agent stop as asked, did a sanitizer speak, did the bulk server
see anything it should not have, was a loss told of that the test does not expect?"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

import agent as agent_module
from agent import Agent, SANITIZER, as_yaml, assert_balanced, parse_counters
from auditlog import AuditLog
from bulk_server import BulkServer
from checks import (
    archived_gaps, assert_ends_whole, assert_file_is, assert_once, file_has, has_all,
    stored_gaps)
from wait import SCALE, wait_until

NOBODY = 65534


def without_place(gap: dict) -> dict:
    """What a gap record is in every output."""
    return {k: v for k, v in gap.items() if k not in ("@timestamp", "behind")}


class Rig:
    """A log, a bulk server, a place for outputs, and agents between them."""

    def __init__(self, home: Path, node=None) -> None:
        self.home = home
        self.node = node
        self.log_dir = home / "log"
        self.log_dir.mkdir()
        self.log_path = self.log_dir / "audit.log"
        self.archive = home / "archive.log"
        self.state = home / "state"
        self.agents: list[Agent] = []
        self.bulks: list[BulkServer] = []
        self.logs: list[AuditLog] = []
        self.gaps: list[str] = []       # the reasons of those that are right
        self.archives = False           # an agent writes, or will, to self.archive

    # -- parts ---------------------------------------------------------------

    def new_log(self, path: Path | None = None, **kw) -> AuditLog:
        log = AuditLog(path or self.log_path, **kw)
        self.logs.append(log)
        return log

    def new_bulk(self, **kw) -> BulkServer:
        bulk = BulkServer(**kw).start()
        self.bulks.append(bulk)
        return bulk

    @property
    def log(self) -> AuditLog:
        return self.logs[0] if self.logs else self.new_log()

    @property
    def bulk(self) -> BulkServer:
        return self.bulks[0] if self.bulks else self.new_bulk()

    # -- configuration -------------------------------------------------------

    def search(self, bulk: BulkServer | None = None, **over) -> dict[str, Any]:
        """An elasticsearch output that does not dawdle."""
        return {"type": "elasticsearch", "hosts": [(bulk or self.bulk).url],
                "linger": "5ms", "backoff_min": "5ms", "backoff_max": "50ms"} | over

    def file(self, **over) -> dict[str, Any]:
        return {"type": "file", "path": self.archive, "linger": "5ms",
                "backoff_min": "5ms", "backoff_max": "50ms"} | over

    def console(self, **over) -> dict[str, Any]:
        return {"type": "stdout", "linger": "5ms", "backoff_min": "5ms",
                "backoff_max": "50ms"} | over

    def write_config(self, outputs: dict[str, dict], name: str = "tallyman",
                     trail: dict | None = None, **top) -> Path:
        path = self.home / f"{name}.yaml"
        trails = top.pop("trails", None) or {
            "audit": {"path": self.log_path} | (trail or {})}
        path.write_text(as_yaml(
            {"state_dir": self.state, "drain_timeout": f"{3 * SCALE:.0f}s"} | top
            | {"trails": trails, "outputs": outputs}))
        return path

    def agent(self, outputs: dict[str, dict] | None = None, trail: dict | None = None,
              env: dict[str, str] | None = None, uid: int | None = None,
              args: tuple[str, ...] = (), **top) -> Agent:
        """An agent that is not started; by default to a bulk server and a file."""
        if outputs is None:
            outputs = {"search": self.search(), "archive": self.file()}
        self.archives |= any(o.get("path") == self.archive for o in outputs.values())
        name = f"tallyman{len(self.agents) or ''}"
        config = self.write_config(outputs, name, trail, **top)
        a = Agent(self.home, config, Path(top.get("state_dir", self.state)),
                  env, uid, args)
        self.agents.append(a)
        return a

    def start(self, *args, **kw) -> Agent:
        return self.agent(*args, **kw).start()

    # -- the usual end ---------------------------------------------------------

    def wait_delivered(self, deadline: float = 20.0, bulk: BulkServer | None = None,
                       lines: list[bytes] | None = None) -> None:
        """All of the log's lines are in the bulk server, each once."""
        bulk = bulk or self.bulk
        lines = self.log.lines if lines is None else lines
        wait_until(has_all(bulk, lines), "the bulk server has every event", deadline,
                   lambda: f"{bulk.stored_count()} of {len(lines)}\n{self.logs_tail()}")
        assert_once(bulk, lines)

    def wait_archived(self, deadline: float = 20.0, text: bytes | None = None,
                      gaps_apart: bool = False) -> None:
        """The file output equals what was written, byte for byte."""
        text = self.log.text() if text is None else text
        wait_until(file_has(self.archive, text, gaps_apart),
                   "the file output has every line", deadline, self.logs_tail)
        assert_file_is(self.archive, text, gaps_apart)

    def wait_gaps(self, *reasons: str, deadline: float = 20.0) -> list[dict]:
        """Every output has these gap records, the same in each; from now on they
        are right, and any other is not."""
        self.gaps = list(reasons)
        seen = [lambda: stored_gaps(b) for b in self.bulks]
        if self.archives or self.archive.exists():
            seen += [lambda: archived_gaps(self.archive)]
        assert seen, "no output to look into"
        for look in seen:
            wait_until(lambda: len(look()) >= len(reasons), f"gap records {reasons}",
                       deadline, self.logs_tail)
        self.assert_gaps()
        first, *others = [sorted(map(without_place, look()), key=str)
                          for look in seen]
        for other in others:
            assert other == first, (first, other)
        return seen[-1]()

    def assert_gaps(self) -> None:
        """No output tells of a loss that the test does not expect."""
        for b in self.bulks:            # in any order, as requests overtake
            got = sorted(g["reason"] for g in stored_gaps(b))
            assert got == sorted(self.gaps), f"{stored_gaps(b)}\n{self.logs_tail()}"
        if self.archive.exists():
            gaps = archived_gaps(self.archive)
            got = [g["reason"] for g in gaps]
            assert got == self.gaps, f"{gaps}\n{self.logs_tail()}"

    def wait_settled(self, a: Agent, read: int | None = None) -> dict:
        """Nothing is in flight any more (and so many lines were read)."""
        def look():
            lanes = a.counters()
            done = all(c["in_flight"] == 0 and (read is None or c["read"] >= read)
                       for c in lanes.values())
            return lanes if done else None

        return wait_until(look, f"{read} read, none in flight", 20.0, self.logs_tail)

    def wait_caught_up(self, a: Agent) -> dict:
        """All there is was read and settled, whichever life delivered it. That
        nothing is in flight is not enough: so it is before the first line."""
        def look():
            lanes = a.counters()
            done = all(c["in_flight"] == c["backlog_bytes"] == 0
                       for c in lanes.values())
            return lanes if done else None

        return wait_until(look, "nothing is left to do", 20.0, self.logs_tail)

    def logs_tail(self) -> str:
        return "\n".join(a.log()[-4000:] for a in self.agents)

    def finish(self) -> None:
        """Stops what still runs and asks the questions."""
        for b in self.bulks:
            b.heal()
        for a in self.agents:
            if a.is_ready():
                a.counters()
                a.stop()
            elif a.is_running():
                a.kill()
        for a in self.agents:
            assert_balanced(parse_counters(a.log()))
        if self.archives and self.archive.exists():
            assert_ends_whole(self.archive)
        for b in self.bulks:
            assert b.violations == [], b.violations[:5]
        self.assert_gaps()

    def clean(self) -> None:
        for a in self.agents:
            if a.process is not None:
                a.kill()
        for log in self.logs:
            log.close()
        for b in self.bulks:
            b.close()

    def sanitizer_words(self) -> list[str]:
        return [m[0] for a in self.agents
                for m in [SANITIZER.search(a.all_output().decode(errors="replace"))]
                if m]


@pytest.fixture
def rig(request):
    """Not below pytest's own directory: that one is closed to other users."""
    if not agent_module.PROGRAM.exists():
        # No skip: a suite that found nothing to test must not look green.
        pytest.fail(f"no program at {agent_module.PROGRAM}: build it, or set TALLYMAN")
    home = Path(tempfile.mkdtemp(prefix="tallyman-e2e-"))
    home.chmod(0o755)
    r = Rig(home, request.node)
    try:
        yield r
        failed = getattr(request.node, "failed_call", False)
        if not failed:
            r.finish()
        assert not r.sanitizer_words(), r.logs_tail()
        for a in r.agents:
            assert b"Sanitizer" not in a.all_output(), a.all_output().decode()
    finally:
        if getattr(request.node, "failed_call", False):
            print(f"the agents' last words:\n{r.logs_tail()}")
        r.clean()
        shutil.rmtree(home, ignore_errors=True)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed_call = report.failed


@pytest.fixture
def tmpfs(rig):
    """tmpfs(size) gives a small file system to fill; only root can mount it."""
    mounted: list[Path] = []

    def mount(size: str) -> Path:
        if os.geteuid() != 0:
            pytest.skip("skipped: only root can mount a small file system")
        at = rig.home / f"disk{len(mounted)}"
        at.mkdir()
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tallyman", at],
            capture_output=True, text=True)
        if done.returncode != 0:
            pytest.skip(f"skipped: cannot mount a tmpfs: {done.stderr.strip()}")
        mounted.append(at)
        return at

    yield mount
    try:
        if not getattr(rig.node, "failed_call", False):
            rig.finish()
    finally:
        rig.clean()
        for at in mounted:
            subprocess.run(["umount", "-l", at], check=True)


class Disk:
    """Takes all the room there is on a file system, and gives it back."""

    def __init__(self, at: Path) -> None:
        self.filler = at / "filler"

    def fill(self) -> None:
        with self.filler.open("ab", buffering=0) as f:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        f.write(b"\0" * size)
                except OSError:
                    pass

    def free(self) -> None:
        self.filler.unlink()


@pytest.fixture
def plain_user():
    """The uid to start an agent with that has no rights beyond the files'; None
    where the tests themselves run as such a user."""
    if os.geteuid() != 0:
        return None
    if shutil.which("setpriv") is None:
        pytest.skip("skipped: setpriv is not installed, and root may read all")
    return NOBODY


def give(path: Path, uid: int | None) -> None:
    """A directory that belongs to that user."""
    path.mkdir()
    if uid is not None:
        os.chown(path, uid, uid)
