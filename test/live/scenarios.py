# SPDX-License-Identifier: Apache-2.0
"""What must come of the bundled log in one search server."""

import json
import subprocess
from collections import Counter
from pathlib import Path
from typing import Iterable

import auditlog
from agent import PROGRAM, TOP, Agent, verify
from auditlog import Event, key_of_id, key_of_line
from server import SearchServer
from waiting import require, wait_until

LOG = TOP / "test/samples/tutorial.log"


def output(server: SearchServer, index: str, **more: object) -> dict:
    return {
        "type": "elasticsearch",
        "hosts": [server.url],
        "index": f"{index}-%Y.%m.%d",
        "backoff_max": "1s",
        **more,
    }


def dead_letters(agent: Agent, name: str = "search") -> list[dict]:
    path = agent.state / f"dead/{name}.ndjson"
    return (
        [json.loads(line) for line in path.read_text().splitlines()]
        if path.exists()
        else []
    )


def same(document: dict, event: Event) -> bool:
    """The event's own fields, and its time."""
    fields = dict(document)
    return (
        fields.pop("@timestamp", None) == event.body["stageTimestamp"]
        and fields == event.body
    )


def balance(
    events: dict[str, Event], found: Iterable[tuple[str, dict]], dead: list[dict]
) -> str:
    """Each event is in the index once, or else among the dead letters once."""
    times = Counter(key_of_id(letter["id"]) for letter in dead)
    for document_id, source in found:
        key = key_of_id(document_id)
        require(key in events, f"{document_id} is no event of the log")
        require(same(source, events[key]), f"{document_id} is not what the log says")
        times[key] += 1
    missing = sum(key not in times for key in events)
    repeated = sum(count - 1 for count in times.values())
    text = (
        f"events={len(events)} missing={missing} repeated={repeated} "
        f"dead_letters={len(dead)}"
    )
    require(not missing and not repeated, text)
    return text


def ship(agent: Agent, events: int) -> dict[str, int]:
    """Runs it over a log that does not grow."""
    agent.start()
    counters = agent.wait_settled(events)
    agent.stop()
    return counters


def command(*args: object, code: int = 0) -> dict:
    """A command of tallyman that ends, with --json: what it says."""
    done = subprocess.run(
        [PROGRAM, *map(str, args), "--json"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    require(
        done.returncode == code,
        f"{args[0]}: exit {done.returncode}: {done.stdout}{done.stderr}",
    )
    return json.loads(done.stdout)


class Scenarios:
    """In the order of `all`; `again` and `search` look at what `ship` left, `replayed`
    at what `refused` did."""

    all = (
        "ship",
        "again",
        "search",
        "halving",
        "refused",
        "replayed",
        "by_hand",
        "deleted",
        "stored_twice",
        "crash",
    )

    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.events = auditlog.read([LOG])
        self.agents: list[Agent] = []

    def agent(self, name: str, log: Path = LOG, **outputs: dict) -> Agent:
        agent = Agent(self.home / name, log, outputs)
        self.agents.append(agent)
        return agent

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()

    def in_index(self, name: str) -> Iterable[tuple[str, dict]]:
        return self.server.documents(f"{name}-*")

    def complete(self, agent: Agent) -> None:
        """`tallyman verify` says so, of as many events as the log holds."""
        said = verify(agent)
        require(
            said["complete"] and said["present"] == len(self.events) and not said["extra"],
            f"verify: {said}",
        )

    def ship(self) -> str:
        """Every line is a document."""
        # Smaller batches than the server's max_content_length, which is for `halving`.
        agent = self.agent(
            "ship", search=output(self.server, "ship", batch_bytes="256KiB")
        )
        counters = ship(agent, len(self.events))
        require(counters["delivered"] == len(self.events), f"counters: {counters}")
        require(
            self.server.count("ship-*") == len(self.events),
            "the count is not the lines",
        )
        self.complete(agent)
        return balance(self.events, self.in_index("ship"), dead_letters(agent))

    def again(self) -> str:
        """The same log with no checkpoint stores nothing twice."""
        agent = self.agent(
            "again", search=output(self.server, "ship", batch_bytes="256KiB")
        )
        counters = ship(agent, len(self.events))
        require(counters["duplicate"] == len(self.events), f"counters: {counters}")
        self.complete(agent)
        return (
            balance(self.events, self.in_index("ship"), dead_letters(agent))
            + f" duplicates={counters['duplicate']}"
        )

    def search(self) -> str:
        """Who did what: each pair of user and verb finds what the log holds of it."""
        pairs: dict[tuple[str, str], set[str]] = {}
        for key, event in self.events.items():
            if event.user:
                pairs.setdefault((event.user, event.body["verb"]), set()).add(key)
        for (user, verb), keys in pairs.items():
            found = [
                key_of_id(i)
                for i, _ in self.server.documents(
                    "ship-*", user__username__keyword=user, verb__keyword=verb
                )
            ]
            require(
                sorted(found) == sorted(keys),
                f"{user} {verb}: found {len(found)}, the log has {len(keys)}",
            )
        hits = sum(map(len, pairs.values()))
        return (
            f"events={hits} missing=0 repeated=0 dead_letters=0 searches={len(pairs)}"
        )

    def halving(self) -> str:
        """The default batch is more than this server takes at once: 413."""
        agent = self.agent("halving", search=output(self.server, "halving"))
        ship(agent, len(self.events))
        self.complete(agent)
        return balance(self.events, self.in_index("halving"), dead_letters(agent))

    def refused(self) -> str:
        """A mapping that has no room for codes above 127 refuses those events alone."""
        self.server.template(
            "refused",
            "refused-*",
            {
                "mappings": {
                    "properties": {
                        "responseStatus": {"properties": {"code": {"type": "byte"}}}
                    }
                }
            },
        )
        refused = {
            k for k, e in self.events.items() if e.code is not None and e.code > 127
        }
        agent = self.agent(
            "refused", search=output(self.server, "refused", batch_bytes="256KiB")
        )
        counters = ship(agent, len(self.events))
        dead = dead_letters(agent)
        text = balance(self.events, self.in_index("refused"), dead)
        require(
            {key_of_id(letter["id"]) for letter in dead} == refused,
            f"{len(dead)} dead letters, but the mapping refuses {len(refused)} events",
        )
        require(counters["dead"] == len(refused), f"counters: {counters}")
        for letter in dead:
            document = letter["document"]
            if isinstance(document, str):
                document = json.loads(document)
            require(
                letter["status"] == 400
                and letter["kind"] == "refused"
                and letter["reason"]
                and same(document, self.events[key_of_id(letter["id"])]),
                f"not the letter of this event: {str(letter)[:400]}",
            )
        said = verify(agent)
        require(
            (said["complete"], said["missing"], said["dead_letters"])
            == (False, 0, len(refused)),
            f"verify: {said}",
        )
        # What is dead is settled: the same state goes on behind it.
        agent.start()
        agent.stop()
        require(
            len(dead_letters(agent)) == len(refused),
            "the next start refused them again",
        )
        return text

    def replayed(self) -> str:
        """Another index has room for them: the dead letters go there, with their ids."""
        (refused,) = (a for a in self.agents if a.home.name == "refused")
        before = dead_letters(refused)
        more = self.agent(
            "replayed", search=output(self.server, "replayed", batch_bytes="256KiB")
        )
        done = command("replay", "-c", more.config, "--state", refused.state)
        require(done["delivered"] == len(before), f"{done}")
        require(not dead_letters(refused), "there are dead letters still")
        found = dict(self.in_index("replayed"))
        require(
            sorted(found) == sorted(letter["id"] for letter in before),
            f"{len(found)} documents of {len(before)} dead letters",
        )
        both = [*found.items(), *self.in_index("refused")]
        return balance(self.events, both, dead_letters(refused))

    def by_hand(self) -> str:
        """`tallyman ship LOG --hosts URL`, twice, then `tallyman verify` likewise."""
        args = ("ship", LOG, "--hosts", self.server.url, "--state", self.home / "hand")
        first, second = command(*args), command(*args)
        require(first["delivered"] == len(self.events), f"{first}")
        require(second["duplicate"] == len(self.events), f"{second}")
        count = self.server.count("auditing-*")
        require(count == len(self.events), f"{count} documents")
        said = command("verify", LOG, "--hosts", self.server.url)
        require(said["present"] == count and said["missing"] == 0, f"verify: {said}")
        text = balance(self.events, self.in_index("auditing"), [])
        command("verify", LOG, "--hosts", self.server.url)
        for index in self.server.ask("GET", "/_cat/indices/auditing-*?format=json"):
            self.server.ask("DELETE", f"/{index['index']}")
        return text + f" duplicates={second['duplicate']}"

    def deleted(self) -> str:
        """Documents are deleted behind its back: verify names exactly these, each by
        its place in the log, and ships them where it is told to."""
        agent = self.agent(
            "deleted", search=output(self.server, "deleted", batch_bytes="256KiB")
        )
        ship(agent, len(self.events))
        hits = self.server.hits("deleted-*", {"size": 2000, "_source": False})
        gone = sorted((h["_id"], h["_index"]) for h in hits)[3::200]
        for document_id, index in gone:
            self.server.ask("DELETE", f"/{index}/_doc/{document_id}")
        said = verify(agent, "search", "--wait", "0s", "--show", "10000")
        named = sorted(m["place"]["_id"] for m in said["first_missing"])
        require(named == [i for i, _ in gone], f"{len(gone)} were deleted: {said}")
        log = LOG.read_bytes()
        for m in said["first_missing"]:
            line = log[m["offset"] : log.index(b"\n", m["offset"])]
            require(
                key_of_line(line) == key_of_id(m["place"]["_id"]),
                f"not the place of this event: {m}",
            )
        said = verify(agent, "search", "--repair")
        require(said["complete"] and said["repaired"] == len(gone), f"verify: {said}")
        self.complete(agent)
        return (
            balance(self.events, self.in_index("deleted"), dead_letters(agent))
            + f" deleted={len(gone)} repaired={said['repaired']}"
        )

    def stored_twice(self) -> str:
        """Behind an alias that was rolled over an id can be there twice, and what is
        in the old index is there."""
        index = {"aliases": {"twice": {"is_write_index": True}}}
        self.server.ask("PUT", "/twice-000001", index)
        to = output(self.server, "x", batch_bytes="256KiB") | {"index": "twice"}
        agent = self.agent("twice", search=to)
        ship(agent, len(self.events))
        self.complete(agent)
        self.server.ask("POST", "/twice/_rollover", {})
        self.complete(agent)
        again = list(self.server.documents("twice"))[:3]
        for document_id, source in again:
            self.server.ask("PUT", f"/twice-000002/_create/{document_id}", source)
        said = verify(agent)
        require(
            (said["complete"], said["missing"], said["stored_twice"], said["extra"])
            == (False, 0, 3, 0),
            f"verify: {said}",
        )
        for document_id, _ in again:
            self.server.ask("DELETE", f"/twice-000002/_doc/{document_id}")
        self.complete(agent)
        return balance(self.events, self.server.documents("twice"), []) + " twice=3"

    def crash(self) -> str:
        """The server is killed while the log grows, and comes back. The file output
        beside it must not wait for it."""
        lines = LOG.read_bytes().splitlines(keepends=True)
        log, archive = (
            self.home / "growing/audit.log",
            self.home / "growing/archive.log",
        )
        log.parent.mkdir()
        log.touch()
        agent = self.agent(
            "crash",
            log,
            search=output(self.server, "crash", batch_events=20, timeout="5s"),
            archive={"type": "file", "path": archive},
        )
        agent.start()
        third = len(lines) // 3
        with log.open("ab", buffering=0) as growing:
            growing.writelines(lines[:third])
            wait_until(
                "the first documents", lambda: agent.counters()["delivered"] > 20
            )
            growing.writelines(lines[third : 2 * third])
            self.server.kill()
            growing.writelines(lines[2 * third :])
        agent.wait_settled(len(lines), output="archive")
        require(archive.read_bytes() == LOG.read_bytes(), "the archive is not the log")
        before = agent.counters()["delivered"]
        require(before < len(lines), "all was delivered before the server was killed")
        self.server.start()
        agent.wait_settled(len(lines))
        agent.stop()
        self.complete(agent)
        return (
            balance(self.events, self.in_index("crash"), dead_letters(agent))
            + f" delivered_before={before}"
        )
