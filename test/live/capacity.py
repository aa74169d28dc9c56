# SPDX-License-Identifier: Apache-2.0
"""How much: a long outage, and a server that takes less than tallyman gives.

The figures are printed; only what must hold on any machine is required.
"""

import json
import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Callable, Iterator

from agent import PROGRAM, Agent, settled, verify
from cluster import mapping
from scenarios import output
from recorder import Recorder
from server import SearchServer
from waiting import Skipped, require, wait_until

MIB = 1 << 20
OUTAGE_MIB = 1024
RATE_MIB = 768
IN_FLIGHT = 4
ROUNDS = 5
WARM_MOST = 8
# What an outage may add to the memory: DESIGN 5 wants it flat.
GROWTH_KIB = 2048


def generate(path: Path, mib: int) -> int:
    """The bench's log; how many lines it has."""
    gen = PROGRAM.parent / "bench/gen"
    if not gen.exists():
        raise Skipped(f"{gen} is not built")
    done = subprocess.run(
        [gen, "--mib", str(mib), "-o", path], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)["lines"]


def memory_kib(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ProcessLookupError(pid)


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Run:
    """One client's way through all requests, from its start to its last answer."""

    seconds: float
    cpu: float
    server_cpu: float = 0
    others_cpu: float = 0  # of the whole machine, without these two


def told(who: str, runs: list[Run], lines: int) -> str:
    seconds = median(r.seconds for r in runs)
    cpu = median(r.cpu for r in runs)
    server = median(r.server_cpu for r in runs)
    return (
        f"{who}={lines / seconds:.0f}/s ({seconds:.1f} s, cpu {cpu:.1f} s, "
        f"server's {server:.1f} s)"
    )


@contextmanager
def apart(server: int) -> Iterator[None]:
    """The last core is the clients', the others are the server's: so the one that
    works more beside its sending does not slow the server down by that."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        yield
        return
    for thread in Path(f"/proc/{server}/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores[:-1])
    os.sched_setaffinity(0, cores[-1:])
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def machine_cpu_seconds() -> float:
    """User, nice, system, interrupts and what the host took, of all cores."""
    fields = Path("/proc/stat").read_text().partition("\n")[0].split()[1:9]
    busy = sum(int(n) for i, n in enumerate(fields) if i not in (3, 4))
    return busy / os.sysconf("SC_CLK_TCK")


class Capacity:
    all = ("outage", "rate")

    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.agents: list[Agent] = []

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()

    def prepare(self, name: str) -> Path:
        """An empty log, and a template for its index."""
        log = self.home / name / "log/audit.log"
        log.parent.mkdir(parents=True)
        log.touch()
        self.server.template(name, f"{name}-*", mapping(1, 0))
        return log

    def agent(self, name: str, log: Path) -> Agent:
        search = output(self.server, name, backoff_max="5s")
        agent = Agent(self.home / name / "agent", log, {"search": search})
        self.agents.append(agent)
        return agent

    def rejected(self) -> int:
        stats = self.server.ask("GET", "/_nodes/stats/thread_pool,indexing_pressure")
        return sum(
            node["thread_pool"]["write"]["rejected"] for node in stats["nodes"].values()
        )

    def outage(self) -> str:
        """The server is gone, the log grows by 1 GiB, the server comes back."""
        log = self.prepare("outage")
        backlog = self.home / "outage/backlog"
        lines = generate(backlog, OUTAGE_MIB)
        agent = self.agent("outage", log).start()
        self.server.kill()
        wait_until("tallyman is ready", lambda: agent.counters()["read"] == 0)
        with log.open("ab") as out, backlog.open("rb") as rest:
            out.write(rest.read(64 * MIB))
            out.flush()
            wait_until("it is blocked", lambda: agent.counters()["blocked"] > 2)
            before = memory_kib(agent.process.pid)
            shutil.copyfileobj(rest, out, 16 * MIB)
        blocked = agent.counters()["blocked"]
        wait_until(
            "it goes on trying", lambda: agent.counters()["blocked"] > blocked + 5, 120
        )
        during = memory_kib(agent.process.pid)
        requests = agent.counters()["requests"]
        self.server.start()
        back, first = time.monotonic(), []

        def caught_up() -> bool:
            counters = agent.counters()
            first.append((time.monotonic() - back, counters["requests"] - requests))
            return settled(counters) >= lines and not counters["in_flight"]

        wait_until("it has caught up", caught_up, 600)
        seconds = time.monotonic() - back
        counters = agent.counters()
        early = max((n for at, n in first if at <= 5), default=0)
        rejected = self.rejected()
        agent.stop()
        said = verify(agent, "search")
        text = (
            f"events={lines} missing={said['missing']} before={before} KiB "
            f"during={during} KiB caught_up={seconds:.0f} s "
            f"({lines / seconds:.0f} events/s) requests={counters['requests'] - requests} "
            f"in_first_5_s={early} rejected={rejected} retried={counters['retried']}"
        )
        require(said["missing"] == 0 and said["present"] == lines, text)
        require(during - before <= GROWTH_KIB, text)
        return text

    # ---- beside curl ----

    def record(self, log: Path, lines: int) -> Recorder:
        """tallyman's own requests for this log, as files."""
        recorder = Recorder(self.home / "rate/bodies")
        try:
            agent = self.rate_agent("record", log, hosts=[recorder.url]).start()
            agent.wait_settled(lines, 300)
            agent.stop()
        finally:
            recorder.close()
        return recorder

    def rate_agent(self, name: str, log: Path, **more: object) -> Agent:
        search = {**output(self.server, "rate"), **more}
        agent = Agent(self.home / "rate" / name, log, {"search": search})
        self.agents.append(agent)
        return agent

    def by_curl(self, recorder: Recorder) -> Run:
        """As many requests at once as tallyman, and each must have been taken whole:
        curl itself does not look."""
        home = self.home / "rate"
        config = home / "curl.conf"
        config.write_text(
            "next\n".join(
                f'url = "{self.server.url}{recorder.path}"\n'
                f'data-binary = "@{body}"\n'
                'header = "Content-Type: application/x-ndjson"\n'
                'header = "Content-Encoding: gzip"\n'
                f'output = "{home}/answer-{body.name}"\n'
                "silent\n"
                for body in recorder.bodies()
            )
        )
        command = ["curl", "-Z", "--no-progress-meter", "--parallel-max"]
        cpu = os.times()
        started = time.monotonic()
        subprocess.run([*command, str(IN_FLIGHT), "-K", config], check=True)
        seconds = time.monotonic() - started
        now = os.times()
        for body in recorder.bodies():
            answer = (home / f"answer-{body.name}").read_bytes()
            require(json.loads(answer).get("errors") is False, f"curl: {answer[:300]}")
        return Run(
            seconds,
            now.children_user
            + now.children_system
            - cpu.children_user
            - cpu.children_system,
        )

    def by_tallyman(self, log: Path, lines: int) -> Run:
        agent = self.rate_agent(f"agent{len(self.agents)}", log)
        started = time.monotonic()
        agent.start().wait_settled(lines, 600)
        run = Run(time.monotonic() - started, cpu_seconds(agent.process.pid))
        agent.stop()
        return run

    def into_no_index_yet(self, lines: int, client: Callable[[], Run]) -> Run:
        """And all of them must be there in the end."""
        pid = self.server.pid(1)
        before, machine = cpu_seconds(pid), machine_cpu_seconds()
        run = client()
        run.server_cpu = cpu_seconds(pid) - before
        run.others_cpu = machine_cpu_seconds() - machine - run.server_cpu - run.cpu
        count = self.server.count("rate-*")
        require(count == lines, f"{count} of {lines} are stored")
        for index in self.server.ask("GET", "/rate-*/_settings"):
            self.server.ask("DELETE", f"/{index}")
        return run

    def warm_up(self, lines: int, client: Callable[[], Run]) -> None:
        """Until the server's work for it falls no more: it compiles what it does
        often, and that takes it minutes."""
        before = float("inf")
        for _ in range(WARM_MOST):
            cpu = self.into_no_index_yet(lines, client).server_cpu
            if cpu > 0.95 * before:
                break
            before = cpu

    def rate(self) -> str:
        """The server is the bottleneck: tallyman beside curl with the same bodies."""
        if not shutil.which("curl"):
            raise Skipped("curl is not installed")
        log = self.prepare("rate")
        self.server.template("rate", "rate-*", mapping(1, 0))
        lines = generate(log, RATE_MIB)
        recorder = self.record(log, lines)
        curls: list[Run] = []
        mines: list[Run] = []
        clients = [
            (curls, lambda: self.by_curl(recorder)),
            (mines, lambda: self.by_tallyman(log, lines)),
        ]
        self.warm_up(lines, lambda: self.by_curl(recorder))
        with apart(self.server.pid(1)):
            for _ in range(ROUNDS):
                for runs, client in clients:
                    runs.append(self.into_no_index_yet(lines, client))
                clients.reverse()
        others = median(r.others_cpu / r.seconds for r in curls + mines)
        ratios = sorted(c.seconds / m.seconds for c, m in zip(curls, mines))
        return (
            f"events={lines} requests={recorder.count} {told('curl', curls, lines)} "
            f"{told('tallyman', mines, lines)} ratio={median(ratios):.2f} "
            f"of {' '.join(f'{r:.2f}' for r in ratios)} others={others:.1f} cores"
        )
