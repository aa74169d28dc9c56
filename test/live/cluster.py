# SPDX-License-Identifier: Apache-2.0
"""What happens to clusters: nodes that die, blocks, too little room, a bad network.

In each scenario a log grows, something goes wrong and is mended; then every event is
in the index, once, by the test's own reading of the log and by `tallyman verify`.
"""

import os
import signal
import threading
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from agent import Agent, verify
from auditlog import key_of_id
from load import Load, event
from network import Network
from scenarios import dead_letters, output
from server import SearchServer
from waiting import Failed, require, wait_until

RATE = 2000  # events a second
SEED = 1


def mapping(shards: int, replicas: int) -> dict:
    """Few fields: the server is to be busy with us, not with its mapping."""
    return {
        "settings": {"number_of_shards": shards, "number_of_replicas": replicas},
        "mappings": {
            "dynamic": False,
            "properties": {"@timestamp": {"type": "date"}, "verb": {"type": "keyword"}},
        },
    }


class Trouble:
    """One agent, one log, one index, and what must be true in the end."""

    def __init__(self, home: Path, server: SearchServer, name: str, rate: int = RATE):
        self.server, self.name = server, name
        log = home / name / "log/audit.log"
        log.parent.mkdir(parents=True)
        self.load = Load(log, rate)
        self.home = home / name / "agent"
        self.log = log
        self.agent: Agent | None = None

    def run(self, **options: object) -> "Trouble":
        search = output(self.server, self.name, timeout="20s", **options)
        self.agent = Agent(self.home, self.log, {"search": search}).start()
        self.load.start()
        return self

    def wait_delivered(self, events: int, seconds: float = 120) -> None:
        wait_until(
            f"{events} events are delivered",
            lambda: self.agent.counters()["delivered"] >= events,
            seconds,
        )

    def wait_some_more(self, events: int = 2000) -> None:
        self.wait_delivered(self.agent.counters()["delivered"] + events)

    def wait_said(self, pattern: str, seconds: float = 60) -> None:
        wait_until(
            f"tallyman says {pattern}",
            lambda: self.agent.said_ever(pattern),
            seconds,
        )

    def end(self) -> str:
        """All is delivered, each once, and nobody disagrees."""
        written = self.load.stop()
        counters = self.agent.wait_settled(written, 300)
        self.agent.stop()
        index = f"{self.name}-*"
        ids = list(self.server.ids(index))
        found = {key_of_id(i) for i in ids}
        missing = len(self.load.keys - found)
        strangers = len(found - self.load.keys)
        repeated = len(ids) - len(found)
        dead = len(dead_letters(self.agent))
        text = (
            f"events={written} missing={missing} repeated={repeated} "
            f"dead_letters={dead} retried={counters['retried']} "
            f"duplicates={counters['duplicate']} rotations={self.load.rotations}"
        )
        require(not (missing or repeated or dead or strangers), text)
        said = verify(self.agent, "search")
        require(said["missing"] == 0 and said["present"] == written, f"verify: {said}")
        return text

    def close(self) -> None:
        self.load.ends.set()
        if self.agent:
            self.agent.kill()


class Scenarios:
    """What one server is put through; each uses an index of its own."""

    all: tuple[str, ...] = ()

    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.troubles: list[Trouble] = []

    def trouble(self, name: str, rate: int = RATE, **options: object) -> Trouble:
        t = Trouble(self.home, self.server, name, rate)
        self.troubles.append(t)
        self.server.template(name, f"{name}-*", self.shape())
        return t.run(**options)

    def shape(self) -> dict:
        return mapping(1, 0)

    def close(self) -> None:
        for t in self.troubles:
            t.close()


class ThreeNodes(Scenarios):
    all = ("rolling", "killed", "quorum", "blocks")
    seconds = 120  # of load, in `rolling`

    def shape(self) -> dict:
        return mapping(3, 1)

    def hosts(self) -> dict:
        return {"hosts": self.server.urls}

    def wait_green(self) -> None:
        """Every shard has its replica, and stays where it is: one node may go."""
        self.server.ask(
            "GET",
            "/_cluster/health?wait_for_status=green&wait_for_no_relocating_shards=true"
            "&timeout=60s",
        )

    def rolling(self) -> str:
        """Each node in turn is stopped and started again, under load."""
        t = self.trouble("rolling", **self.hosts())
        until = time.monotonic() + self.seconds
        t.wait_delivered(RATE)
        for node in range(1, 4):
            self.wait_green()
            self.server.stop_node(node)
            t.wait_some_more()
            self.server.start()
        wait_until(
            f"{self.seconds} s of load",
            lambda: time.monotonic() > until,
            self.seconds + 60,
        )
        return t.end()

    def killed(self) -> str:
        """A node is killed, and comes back; another one follows."""
        t = self.trouble("killed", **self.hosts())
        t.wait_delivered(RATE)
        for node in (2, 1):
            self.wait_green()
            self.server.kill_node(node)
            t.wait_some_more()
            self.server.start()
            t.wait_some_more()
        return t.end()

    def quorum(self) -> str:
        """Two of three are killed at once: nobody may be elected, and what the last
        one has to say of it differs; then they come back."""
        t = self.trouble("quorum", hosts=self.server.urls[:1])
        t.wait_delivered(RATE)
        self.wait_green()
        try:
            for node in (2, 3):
                self.server.kill_node(node)
            # A node may hold a request for longer than the agent waits for it.
            t.wait_said(
                r"no elected master|a node has left|unavailable_shards_exception"
                r"|\b503\b|timed out",
                150,
            )
            self.stands_still(t)
        finally:
            self.server.start()
        t.wait_some_more()
        return t.end()

    def blocks(self) -> str:
        """Every block there is, set and lifted."""
        t = self.trouble("blocks", **self.hosts())
        t.wait_delivered(RATE)
        for name in ("write", "read_only", "read_only_allow_delete"):
            with self.blocked(f"/blocks-*/_settings", f"index.blocks.{name}"):
                t.wait_said(r"cluster_block_exception|read-only|blocked")
                self.stands_still(t)
            t.wait_some_more()
        block = "cluster.blocks.read_only_allow_delete"
        with self.blocked("/_cluster/settings", block, "transient"):
            self.stands_still(t)
        t.wait_some_more()
        return t.end()

    @contextmanager
    def blocked(self, path: str, name: str, part: str = "") -> Iterator[None]:
        def put(value: object) -> None:
            body = {name: value}
            self.server.ask("PUT", path, {part: body} if part else body)

        put(True)
        try:
            yield
        finally:
            put(None)

    @staticmethod
    def stands_still(t: Trouble) -> None:
        """Refused again and again, and nothing is given up for it."""
        before = t.agent.counters()

        def refused() -> bool:
            now = t.agent.counters()
            return now["retried"] + now["blocked"] > before["retried"] + before[
                "blocked"
            ] and (now["dead"] == 0)

        wait_until("it is refused, and waits", refused)


class Cramped(Scenarios):
    """A node with no room: one write thread, a queue of one, little memory."""

    all = ("busy", "pressure")
    settings = (
        "thread_pool.write.size=1",
        "thread_pool.write.queue_size=1",
        "indexing_pressure.memory.limit=512kb",
    )

    def busy(self) -> str:
        """Strangers fill the queue as well: real 429s, item by item and whole."""
        t = self.trouble("busy", batch_bytes="128KiB", in_flight=8)
        t.wait_delivered(RATE)
        ends = threading.Event()
        strangers = [
            threading.Thread(target=self.crowd, args=(ends,), daemon=True)
            for _ in range(8)
        ]
        for s in strangers:
            s.start()
        try:
            wait_until(
                "a 429 comes", lambda: t.agent.counters()["retried"] > 0, seconds=60
            )
            t.wait_some_more()
        finally:
            ends.set()
            for s in strangers:
                s.join()
        return t.end()

    def crowd(self, ends: threading.Event) -> None:
        lines = "".join(
            '{"create":{}}\n' + event(n, time.time()).decode() for n in range(50)
        ).encode()
        while not ends.is_set():
            request = urllib.request.Request(
                self.server.url + "/crowd/_bulk",
                lines,
                {"Content-Type": "application/x-ndjson"},
            )
            try:
                urllib.request.urlopen(request, timeout=30).read()
            except OSError:
                pass  # it is as busy for them

    def pressure(self) -> str:
        """The default request is larger than the node will ever take: 429 for ever."""
        t = self.trouble("pressure", compression="none", linger="2s")
        t.wait_said(r"rejected|429")
        return t.end()


class BadNetwork(Scenarios):
    all = ("network",)

    def network(self) -> str:
        """Resets, cuts, delays and crumbs between tallyman and the server."""
        network = Network(self.server.url, SEED)
        try:
            t = self.trouble("network", rate=1000, hosts=[network.url], linger="5ms")
            wait_until(
                "faults of every kind",
                lambda: all(network.counts[f] > 4 for f in Network.FAULTS),
                120,
            )
            t.wait_some_more()
            network.calm()
            kinds = " ".join(f"{k}={n}" for k, n in sorted(network.counts.items()))
            return t.end() + " " + kinds
        finally:
            network.close()
