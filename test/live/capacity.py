# SPDX-License-Identifier: Apache-2.0
"""How much: a long outage, and a server that takes less than tallyman gives.

The figures are printed; only what must hold on any machine is required.
"""

import gzip
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import auditlog
from agent import PROGRAM, Agent, settled, verify
from cluster import mapping
from scenarios import output
from server import SearchServer
from waiting import Skipped, require, wait_until

MIB = 1 << 20
OUTAGE_MIB = 1024
RATE_MIB = 96
BATCH = 2 * MIB
IN_FLIGHT = 4
ROUNDS = 3
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

    def bodies(self, log: Path, into: Path) -> int:
        """The requests that tallyman would make of the log, as files."""
        into.mkdir()
        lines: list[bytes] = []
        size = count = 0

        def flush() -> None:
            nonlocal lines, size, count
            body = gzip.compress(b"".join(lines), 1, mtime=0)
            (into / f"{count:05d}").write_bytes(body)
            lines, size, count = [], 0, count + 1

        for line in log.read_bytes().splitlines():
            key = auditlog.key_of_line(line)
            at = line.index(b'"stageTimestamp":"') + 18
            lines.append(b'{"create":{"_id":"000000000000%s"}}\n' % key.encode())
            lines.append(b'{"@timestamp":"%s",%s\n' % (line[at : at + 27], line[1:]))
            size += len(lines[-1]) + 100  # the action of a real one
            if size >= BATCH:
                flush()
        flush()
        return count

    def by_curl(self, bodies: Path, n: int, index: str) -> float:
        """Seconds that curl takes for all of them, as many at once as tallyman."""
        config = bodies.parent / "curl.conf"
        config.write_text(
            "next\n".join(
                f'url = "{self.server.url}/{index}/_bulk?filter_path=errors"\n'
                f'data-binary = "@{bodies}/{i:05d}"\n'
                'header = "Content-Type: application/x-ndjson"\n'
                'header = "Content-Encoding: gzip"\n'
                f'output = "{bodies.parent}/answer-{i % IN_FLIGHT}"\n'
                "silent\n"
                for i in range(n)
            )
        )
        started = time.monotonic()
        subprocess.run(
            ["curl", "-Z", "--no-progress-meter", "--parallel-max", str(IN_FLIGHT), "-K", config], check=True
        )
        return time.monotonic() - started

    def by_tallyman(self, log: Path, name: str, lines: int) -> tuple[float, float]:
        """Seconds, and CPU seconds of tallyman."""
        agent = self.agent(name, log)
        started = time.monotonic()
        agent.start()
        agent.wait_settled(lines, 600)
        seconds = time.monotonic() - started
        cpu = cpu_seconds(agent.process.pid)
        agent.stop()
        return seconds, cpu

    def rate(self) -> str:
        """The server is the bottleneck: tallyman beside curl with the same bodies."""
        if not shutil.which("curl"):
            raise Skipped("curl is not installed")
        log = self.prepare("rate")
        self.server.template("curl", "curl-*", mapping(1, 0))
        lines = generate(log, RATE_MIB)
        n = self.bodies(log, self.home / "rate/bodies")
        pid = int((self.home.parent / "node1/pid").read_text())
        rounds = []
        for i in range(ROUNDS + 1):
            at = cpu_seconds(pid)
            curl = self.by_curl(self.home / "rate/bodies", n, f"curl-{i}")
            between = cpu_seconds(pid)
            self.server.template(f"rate{i}", f"rate{i}-*", mapping(1, 0))
            mine, cpu = self.by_tallyman(log, f"rate{i}", lines)
            rounds.append((curl / mine, lines / curl, lines / mine, cpu, between - at))
            require(
                self.server.count(f"curl-{i}") == self.server.count(f"rate{i}-*"),
                "both stored the same number",
            )
        rounds = sorted(rounds[1:])  # the first one warms the server up
        ratio, curl, mine, cpu, server_cpu = rounds[len(rounds) // 2]
        return (
            f"events={lines} curl={curl:.0f}/s tallyman={mine:.0f}/s ratio={ratio:.2f} "
            f"cpu: tallyman={cpu:.1f} s server={server_cpu:.1f} s "
            f"ratios={' '.join(f'{r[0]:.2f}' for r in rounds)}"
        )
