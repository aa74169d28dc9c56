# SPDX-License-Identifier: Apache-2.0
"""No event that kube-apiserver can write is refused: the templates of `tallyman
setup`, events that are hard for an index (hard.py), and the bundled logs."""

import json
import subprocess
import sys
from pathlib import Path

import hard
from agent import PROGRAM, TOP, Agent
from auditlog import key_of_id, key_of_line
from scenarios import dead_letters, output
from server import SearchServer
from waiting import require

SAMPLES = TOP / "test/samples"
STREAM = "logs-kubernetes.audit-hard"
sys.set_int_max_str_digits(0)  # one event has a number of 40,000


def strictly(pairs: list[tuple[str, object]]) -> dict:
    if len({k for k, _ in pairs}) != len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


def body_of(line: bytes) -> dict | None:
    """What Python makes of it; None where it takes it as little as an index."""
    try:
        return json.loads(line.decode(), object_pairs_hook=strictly)
    except (ValueError, RecursionError):
        return None


class Accept:
    all = ("install", "hard", "found", "stream", "samples")

    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.agents: list[Agent] = []
        self.log = home / "hard.log"

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()

    def setup(self, *where: object) -> None:
        command = [PROGRAM, "setup", *map(str, where)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        require(done.returncode == 0, f"setup: {done.stdout}{done.stderr}")

    def install(self) -> None:
        self.setup("--hosts", self.server.url)
        self.home.mkdir(parents=True, exist_ok=True)
        self.log.write_bytes(b"".join(line + b"\n" for line in hard.events()))

    def agent(self, name: str, log: Path, search: dict) -> Agent:
        archive = {"type": "file", "path": self.home / name / "archive.log"}
        agent = Agent(self.home / name, log, {"search": search, "archive": archive})
        self.agents.append(agent)
        return agent

    def ship(self, agent: Agent, log: Path) -> dict[str, int]:
        """All of a log; no dead letter, and the file output has its bytes."""
        lines = len(log.read_bytes().splitlines())
        agent.start()
        agent.wait_settled(lines, output="archive")
        counters = agent.wait_settled(lines)
        agent.stop()
        letters = [x["reason"][:200] for x in dead_letters(agent)]
        require(not letters, f"{len(letters)} dead letters, as: {letters[:3]}")
        require(counters["delivered"] == lines, f"counters: {counters}")
        archive = agent.outputs["archive"]["path"]
        require(archive.read_bytes() == log.read_bytes(), "the archive is not the log")
        return counters

    def to_index(self, name: str, log: Path) -> str:
        agent = self.agent(name, log, output(self.server, f"auditing-{name}"))
        counters = self.ship(agent, log)
        return self.balance(log, f"auditing-{name}-*", counters["repaired"])

    def balance(self, log: Path, index: str, repaired: int) -> str:
        """Each line is one document, and the line itself, but for those repaired."""
        lines = {key_of_line(line): line for line in log.read_bytes().splitlines()}
        found, changed = [], 0
        for document_id, source in self.server.documents(index):
            key = key_of_id(document_id)
            require(key in lines, f"{document_id} is no event of the log")
            found.append(key)
            source.pop("@timestamp")
            changed += source != body_of(lines[key])
        missing = len(lines.keys() - set(found))
        repeated = len(found) - len(set(found))
        text = (
            f"events={len(lines)} missing={missing} repeated={repeated} "
            f"dead_letters=0 repaired={repaired}"
        )
        require(not missing and not repeated, text)
        require(changed == repaired, f"{text}, but {changed} are not as the log has it")
        require(self.server.count(index) == len(lines), "the count is not the lines")
        return text

    def hard(self) -> str:
        return self.to_index("hard", self.log)

    def found(self) -> str:
        """Who did what to what, of each event."""
        lines = self.log.read_bytes().splitlines()
        queries = b""
        for line in lines:
            event = json.loads(line[: line.index(b',"responseStatus"')] + b"}")
            wanted = {
                "verb": event["verb"],
                "user.username": event["user"]["username"],
                "objectRef.name": event["objectRef"]["name"],
            }
            terms = [{"term": {field: value}} for field, value in wanted.items()]
            query = {"query": {"bool": {"filter": terms}}, "_source": False}
            queries += b"{}\n" + json.dumps(query).encode() + b"\n"
        answers = self.server.ask_lines("/auditing-hard-*/_msearch", queries)["responses"]
        for line, answer in zip(lines, answers, strict=True):
            hits = [key_of_id(hit["_id"]) for hit in answer["hits"]["hits"]]
            require(hits == [key_of_line(line)], f"{line[:400]!r}: found {hits}")
        return f"searches={len(lines)} missing=0"

    def stream(self) -> str:
        self.server.need_data_streams()
        search = output(self.server, "") | {"data_stream": STREAM}
        del search["index"]
        agent = self.agent("stream", self.log, search)
        self.setup("-c", agent.config)
        counters = self.ship(agent, self.log)
        return self.balance(self.log, STREAM, counters["repaired"])

    def samples(self) -> str:
        """What a real API server wrote; a line that is in both once."""
        log = self.home / "samples.log"
        lines = [
            line
            for path in sorted(SAMPLES.glob("*.log"))
            for line in path.read_bytes().splitlines(keepends=True)
        ]
        log.write_bytes(b"".join(dict.fromkeys(lines)))
        return self.to_index("samples", log)
