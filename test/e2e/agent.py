# SPDX-License-Identifier: Apache-2.0
"""One tallyman process: its configuration, its log, its counters, its end."""

from __future__ import annotations

import fcntl
import json
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

from wait import SCALE, wait_until

TOP = Path(__file__).resolve().parents[2]
PROGRAM = Path(os.environ.get("TALLYMAN") or TOP / "build/dev/tallyman")

READY = re.compile(r" info agent: tallyman \S+ ready: (\d+) trails?, (\d+) lanes?")
# The same, and what it says when a pattern has found more.
LANES = re.compile(
    r" info agent: (?:tallyman \S+ ready:|now) (\d+) trails?, (\d+) lanes?")
# With the end of the line: half of one may be read while it is written.
COUNTERS = re.compile(r" info lane (\S+): counters (.*)\n")
TRAIL_COUNTERS = re.compile(r" info trail (\S+): counters (.*)\n")
SANITIZER = re.compile(
    r"ERROR: \w+Sanitizer|runtime error:|LeakSanitizer|Assertion .* failed")

# What every exit code means; tests use the words.
STOPPED, FAILED, USAGE, CONFIG, STATE, LOCKED, CUT_SHORT = range(7)

Counters = dict[str, int]


def as_yaml(value: dict[str, Any], indent: str = "") -> str:
    """Block style; only what test configurations hold."""
    text = ""
    for key, item in value.items():
        if isinstance(item, dict):
            text += f"{indent}{key}:\n{as_yaml(item, indent + '  ')}"
        elif isinstance(item, (list, tuple)):
            text += f"{indent}{key}: [{', '.join(map(str, item))}]\n"
        else:
            text += f"{indent}{key}: {item}\n"
    return text


def run_program(*args: str, **kw) -> subprocess.CompletedProcess:
    """A command that ends by itself."""
    done = subprocess.run(
        [str(PROGRAM), *map(str, args)], stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", timeout=60 * SCALE, **kw)
    assert not SANITIZER.search(done.stderr), done.stderr
    return done


def read_dead(path: Path) -> bytes:
    """A file of dead letters. Who appends to it holds a lock on it meanwhile: without
    that one, half a letter might be read."""
    try:
        with path.open("rb") as f:
            fcntl.flock(f, fcntl.LOCK_SH)
            assert os.fstat(f.fileno()).st_mode & 0o777 == 0o600
            return f.read()
    except FileNotFoundError:
        return b""


def parse_counters(text: str) -> dict[str, Counters]:
    """The last counters of each lane in a piece of log."""
    return parse_pairs(COUNTERS, text)


def parse_pairs(which: re.Pattern, text: str) -> dict[str, Counters]:
    lanes = {}
    for lane, pairs in which.findall(text):
        values = dict(p.split("=", 1) for p in pairs.split())
        lanes[lane] = {
            k: int(v) if v.isdigit() else v for k, v in values.items()}
    return lanes


def assert_balanced(lanes: dict[str, Counters]) -> None:
    """DESIGN 1.7, for every lane."""
    for lane, c in lanes.items():
        settled = c["delivered"] + c["duplicate"] + c["filtered"] + c["dead"]
        assert c["read"] == settled + c["in_flight"], f"{lane} does not balance: {c}"
        assert c["dead"] == c["refused"] + c["quarantined"], f"{lane}: {c}"
        assert c["balanced"] == "yes", f"{lane}: {c}"


class Agent:
    """`tallyman run` with one configuration; can be started again and again."""

    def __init__(self, home: Path, config: Path, state: Path,
                 env: dict[str, str] | None = None, uid: int | None = None,
                 args: tuple[str, ...] = ()) -> None:
        self.config = config
        self.state = state
        self.env = env
        self.uid = uid
        self.args = args
        self.wrapper: list[str] = []    # a command that runs it, as the same process
        self.stdin: Any = subprocess.DEVNULL
        self.stdout: Any = subprocess.DEVNULL
        self.stderr_path = home / f"{config.stem}.stderr"
        self.stderr_path.touch()
        self.seen = 0               # where the stderr of this life begins
        self.process: subprocess.Popen | None = None
        self.expected_exit = {STOPPED}

    # -- life ----------------------------------------------------------------

    def launch(self) -> "Agent":
        """Starts it and does not wait for anything."""
        assert not self.is_running()
        with self.stderr_path.open("ab") as err:
            self.seen = err.seek(0, os.SEEK_END)
            # Not preexec_fn: the tests have threads.
            as_user = [] if self.uid is None else [
                "setpriv", f"--reuid={self.uid}", f"--regid={self.uid}",
                "--clear-groups", "--"]
            self.process = subprocess.Popen(
                [*as_user, *self.wrapper, str(PROGRAM), "run", "-c", str(self.config), *self.args],
                stdin=self.stdin, stdout=self.stdout, stderr=err,
                env=None if self.env is None else os.environ | self.env)
        return self

    def start(self) -> "Agent":
        self.launch()
        self.wait_log(READY.pattern)
        return self

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def is_ready(self) -> bool:
        return self.is_running() and bool(READY.search(self.log()))

    def send(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """SIGKILL, and gone."""
        if self.is_running():
            self.process.kill()
        self.process.wait()

    def wait_exit(self, deadline: float = 30.0) -> int:
        wait_until(lambda: self.process.poll() is not None, "the agent has ended",
                   deadline, self.log)
        return self.process.returncode

    def stop(self, number: int = signal.SIGTERM, expect: int = STOPPED
             ) -> dict[str, Counters]:
        """An orderly end; its counters, which balance."""
        self.send(number)
        code = self.wait_exit()
        assert code == expect, f"exit code {code}, not {expect}:\n{self.log()}"
        lanes = parse_counters(self.log())
        assert_balanced(lanes)
        return lanes

    # -- what it says ----------------------------------------------------------

    def log(self) -> str:
        """stderr since the last start."""
        with self.stderr_path.open("rb") as f:
            f.seek(self.seen)
            return f.read().decode(errors="replace")

    def all_output(self) -> bytes:
        return self.stderr_path.read_bytes()

    def wait_log(self, pattern: str, deadline: float = 20.0) -> re.Match:
        want = re.compile(pattern)

        def look():
            found = want.search(self.log())
            if not found and not self.is_running():
                found = want.search(self.log())     # the last words
                assert found, (f"ended with {self.process.returncode} before it "
                               f"said {pattern!r}:\n{self.log()}")
            return found

        return wait_until(look, f"the log says {pattern!r}", deadline, self.log)

    def counters(self) -> dict[str, Counters]:
        """What SIGUSR1 prints; it balances at any moment."""
        before = len(self.log())
        self.send(signal.SIGUSR1)

        def look():
            log = self.log()
            text = log[before:]
            got = parse_counters(text)
            lanes = int(LANES.findall(log)[-1][1])
            return got if len(got) >= lanes and text.endswith("\n") else None

        got = wait_until(look, "SIGUSR1 prints the counters",
                         context=self.log)
        assert_balanced(got)
        return got

    def trail_counters(self, trail: str = "audit") -> Counters:
        """What the trail itself counts, likewise."""
        self.counters()
        return parse_pairs(TRAIL_COUNTERS, self.log())[trail]

    def dead(self, output: str) -> list[dict]:
        """The dead letters of an output, as they were written: in the order in which
        requests were answered, not that of the log."""
        text = read_dead(self.state / "dead" / f"{output}.ndjson")
        assert text == b"" or text.endswith(b"\n"), "a torn dead letter"
        return [json.loads(line) for line in text.splitlines()]
