# SPDX-License-Identifier: Apache-2.0
"""The processes of the benchmark: the agent, the sink, the steady writer.

Each is a context manager that ends what it started. What the agent costs is
asked of the kernel about that one process; nothing here knows what a good
figure is.
"""
from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Callable, Optional

DEADLINE_S = 180


class BenchError(Exception):
    """A run that cannot be measured, with the reason in one sentence."""


def wait_until(cond: Callable[[], object], what: str, seconds: float = DEADLINE_S):
    end = time.monotonic() + seconds
    while True:
        got = cond()
        if got:
            return got
        if time.monotonic() > end:
            raise BenchError(f"gave up after {seconds:.0f} s: {what}")
        time.sleep(0.01)


@dataclass
class Cost:
    user_s: float
    sys_s: float

    @property
    def cpu_s(self) -> float:
        return self.user_s + self.sys_s


def reap(proc: subprocess.Popen) -> Cost:
    """Waits for the process and says what it alone cost."""
    _, status, use = os.wait4(proc.pid, 0)
    proc.returncode = os.waitstatus_to_exitcode(status)
    return Cost(use.ru_utime, use.ru_stime)


def run_cost(argv: list, **kwargs) -> Cost:
    proc = subprocess.Popen(argv, **kwargs)
    cost = reap(proc)
    if proc.returncode != 0:
        raise BenchError(f"{argv[0]} ended with {proc.returncode}")
    return cost


def read_port(proc: subprocess.Popen) -> int:
    word, _, port = proc.stdout.readline().partition(b" ")
    if word != b"port":
        raise BenchError(f"{proc.args[0]} did not start")
    return int(port)


class Server:
    """A child that prints its port first; killed when the block ends."""

    def __init__(self, argv: list, **kwargs):
        self.proc = subprocess.Popen(argv, stdout=subprocess.PIPE, **kwargs)
        self.port = read_port(self.proc)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.kill()
        self.proc.wait()
        self.proc.stdout.close()


class Sink(Server):
    def __init__(self, tools: Path, delay_ms: int = 0):
        super().__init__([tools / "sink", "--delay", str(delay_ms)])

    def stats(self) -> dict:
        with urllib.request.urlopen(f"{self.url}/stats", timeout=10) as answer:
            return json.load(answer)


class Steady(Server):
    def __init__(self, tools: Path, log: Path, seconds: int):
        # A second to connect and to warm up, left out of the figures.
        argv = [tools / "steady", "--log", log, "--rate", "1000"]
        argv += ["--seconds", str(seconds), "--warmup", "1000"]
        super().__init__(argv, stdin=subprocess.PIPE)

    def go(self) -> None:
        self.proc.stdin.write(b"\n")
        self.proc.stdin.close()

    def report(self) -> dict:
        return json.loads(self.proc.stdout.readline() or b"{}")


CONFIG = """\
state_dir: {state}
trails:
  audit:
    path: {log}
    parser: audit
    start: beginning
outputs:
  search:
"""


def config(state: Path, log: Path, **options) -> str:
    """The configuration of one trail and one output, called `search`."""
    lines = [f"    {key}: {value}\n" for key, value in options.items()]
    return CONFIG.format(state=state, log=log) + "".join(lines)


def to_bulk(url: str, **options) -> dict:
    """An elasticsearch output's options, with the defaults said."""
    return {
        "type": "elasticsearch",
        "hosts": f"[{url}]",
        "index": "auditing-%Y.%m.%d",
        **options,
    }


class Agent:
    """One run of tallyman, in a directory of its own."""

    def __init__(self, program: Path, room: Path, text: str, env=None, stdout=None):
        room.mkdir(parents=True, exist_ok=True)
        conf = room / "tallyman.yaml"
        conf.write_text(text)
        self.log = room / "stderr"
        self.cost: Optional[Cost] = None
        with open(self.log, "wb") as err:
            self.started_ns = time.monotonic_ns()
            self.proc = subprocess.Popen(
                [program, "run", "-c", conf],
                stdin=subprocess.DEVNULL,
                stdout=stdout or subprocess.DEVNULL,
                stderr=err,
                env={**os.environ, **(env or {})},
            )

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if self.cost is None:
            self.proc.kill()
            self.cost = reap(self.proc)

    def said(self) -> str:
        return self.log.read_text(errors="replace")

    def alive(self) -> bool:
        info = os.waitid(os.P_PID, self.proc.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if info is not None:
            raise BenchError("the agent ended early:\n" + self.said()[-2000:])
        return True

    def wait_ready(self) -> None:
        wait_until(lambda: self.alive() and " ready" in self.said(), "agent ready", 20)

    def stop(self) -> Cost:
        self.proc.send_signal(signal.SIGTERM)
        self.cost = reap(self.proc)
        if self.proc.returncode != 0:
            raise BenchError(
                f"the agent ended with {self.proc.returncode}:\n{self.said()[-2000:]}"
            )
        return self.cost

    def counters(self) -> dict:
        """The last counters it printed, of its one lane."""
        lines = re.findall(r" lane \S+: counters (.*)\n", self.said())
        if not lines:
            raise BenchError("the agent printed no counters")
        return dict(pair.split("=", 1) for pair in lines[-1].split())

    def proc_file(self, name: str) -> str:
        return Path(f"/proc/{self.proc.pid}/{name}").read_text()

    def peak_rss_kib(self) -> int:
        # Not ru_maxrss: it starts with what the parent had before exec.
        return int(re.search(r"VmHWM:\s+(\d+)", self.proc_file("status"))[1])

    def rss_kib(self) -> tuple:
        """Resident now: all of it, and what is its own alone.

        That is Private_Dirty: a library's clean page counts as private too as
        long as nobody else on the machine happens to use that library.
        """
        text = self.proc_file("smaps_rollup")
        value = {k: int(v) for k, v in re.findall(r"(\w+):\s+(\d+) kB", text)}
        return value["Rss"], value["Private_Dirty"]

    def tasks(self) -> list:
        return sorted(Path(f"/proc/{self.proc.pid}/task").iterdir())

    def switches(self) -> int:
        text = "".join((task / "status").read_text() for task in self.tasks())
        return sum(map(int, re.findall(r"ctxt_switches:\s+(\d+)", text)))

    def preemptions(self) -> int:
        """Those of the switches that no wake-up follows: others took the core."""
        text = "".join((task / "status").read_text() for task in self.tasks())
        return sum(map(int, re.findall(r"nonvoluntary_ctxt_switches:\s+(\d+)", text)))

    def cpu_s(self) -> float:
        """CPU seconds so far, by the scheduler's own clock."""
        texts = [(task / "schedstat").read_text() for task in self.tasks()]
        return sum(int(text.split()[0]) for text in texts) / 1e9
