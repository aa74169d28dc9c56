# SPDX-License-Identifier: Apache-2.0
"""What a real server answers where something is not as it should be, and what becomes
of the events: one node, a few lines of the bundled log, an index for each case.

What an operator can mend waits, says so, and is delivered once it is mended; what the
event itself is to blame for is a dead letter with the server's reason.
"""

import json
import re
from contextlib import contextmanager
from pathlib import Path
from typing import Callable, Iterator

import auditlog
from agent import Agent
from auditlog import key_of_id
from rollover import Relay
from scenarios import LOG, balance, dead_letters, output
from server import SearchServer
from waiting import Failed, Skipped, require, wait_until

LINES = 40


def is_answered(event: dict) -> bool:
    return "responseStatus" in event


class Verdicts:
    """Each is a row of the table of answers that no other scenario has."""

    all = (
        "malformed_date",
        "strict",
        "too_many_fields",
        "too_deep",
        "long_value",
        "closed",
        "pipeline_drops",
        "pipeline_fails",
        "no_pipeline",
        "no_write_index",
        "no_alias",
        "no_routing",
        "no_auto_create",
        "no_stream",
        "metadata_block",
        "cluster_block",
        "no_shard",
        "content_type",
        "disk_full",
    )

    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.agents: list[Agent] = []
        self.relays: list[Relay] = []
        self.log = home / "few.log"
        self.prepare()

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()
        for relay in self.relays:
            relay.end()

    # ---- parts ----

    def prepare(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        with LOG.open("rb") as lines:
            self.log.write_bytes(b"".join(next(lines) for _ in range(LINES)))
        self.events = auditlog.read([self.log])
        (self.day,) = {
            e.body["stageTimestamp"][:10].replace("-", ".")
            for e in self.events.values()
        }

    def start(
        self, prefix: str, name: str = "", log: Path | None = None, **more: object
    ) -> Agent:
        to = {**output(self.server, prefix), "backoff_max": "200ms", **more}
        to = {key: value for key, value in to.items() if value is not None}
        home = self.home / (name or prefix)
        self.agents.append(Agent(home, log or self.log, {"search": to}))
        return self.agents[-1].start()

    def mapped(self, name: str, mappings: dict, **settings: object) -> None:
        template = {"mappings": mappings, "settings": settings}
        self.server.template(name, f"{name}-*", template)

    def make(self, name: str, **body: object) -> str:
        self.server.ask("PUT", f"/{name}", body)
        return name

    def pipeline(self, name: str, *processors: dict) -> None:
        try:
            body = {"processors": processors}
            self.server.ask("PUT", f"/_ingest/pipeline/{name}", body)
        except Failed as why:
            if "No processor type exists" in str(why):
                raise Skipped("this build has no such processor") from None
            raise

    def put(self, settings: dict) -> None:
        self.server.ask("PUT", "/_cluster/settings", {"transient": settings})

    def set(self, name: str, value: object) -> None:
        self.put({name: value})

    @contextmanager
    def setting(self, name: str, value: object) -> Iterator[None]:
        self.set(name, value)
        try:
            yield
        finally:
            self.set(name, None)

    def all_there(self, agent: Agent, index: str) -> str:
        agent.wait_settled(LINES)
        agent.stop()
        found = self.server.documents(index)
        return balance(self.events, found, dead_letters(agent))

    def refused(self, name: str, reason: str, which: Callable[[dict], bool]) -> str:
        """Those that `which` says are dead letters with that reason, the others in."""
        agent = self.start(name)
        agent.wait_settled(LINES)
        agent.stop()
        return self.dead(agent, f"{name}-*", reason, which)

    def dead(
        self, agent: Agent, index: str, reason: str, which: Callable[[dict], bool]
    ) -> str:
        letters = dead_letters(agent)
        text = balance(self.events, self.server.documents(index), letters)
        expected = {k for k, e in self.events.items() if which(e.body)}
        found = {key_of_id(d["id"]) for d in letters}
        require(expected and found == expected, f"{text}, not {len(expected)}")
        for d in letters:
            said = f"{d['status']} {d['reason'][:300]}"
            require(d["kind"] == "refused" and d["status"] == 400, f"{text}: {said}")
            require(re.search(reason, d["reason"]), f"{text}: {said}")
        return text

    def waits(
        self,
        agent: Agent,
        index: str,
        says: str,
        mend: Callable[[], object],
    ) -> str:
        """It says that, and goes on trying; all are there once it is mended."""
        wait_until(f"tallyman says {says}", lambda: agent.said_ever(says))
        before = agent.counters()

        def goes_on() -> bool:
            now = agent.counters()
            return now["retried"] > before["retried"] + 3

        wait_until("it goes on trying", goes_on)
        now = agent.counters()
        require(now["dead"] == now["delivered"] == 0, f"counters: {now}")
        mend()
        text = self.all_there(agent, index)
        require(agent.said_ever("are taken again after"), "its end is not said")
        return text

    # ---- the event's own fault ----

    def malformed_date(self) -> str:
        resource = {"properties": {"resource": {"type": "date"}}}
        self.mapped("dated", {"dynamic": False, "properties": {"objectRef": resource}})
        return self.refused("dated", "failed to parse date field", lambda e: "objectRef" in e)

    def strict(self) -> str:
        """The mapping has what some of them have, and takes no more."""
        names = {"@timestamp"}.union(
            *(e.body.keys() for e in self.events.values() if not is_answered(e.body))
        )
        fields = {name: {"type": "object", "enabled": False} for name in names}
        self.mapped("strict", {"dynamic": "strict", "properties": fields})
        return self.refused("strict", "strict_dynamic_mapping_exception", is_answered)

    def answers_mapped(self, name: str, **settings: object) -> None:
        """Each field of responseStatus is a field of the mapping, and no other is."""
        fields = {"responseStatus": {"type": "object", "dynamic": True}}
        self.mapped(name, {"dynamic": False, "properties": fields}, **settings)

    def too_many_fields(self) -> str:
        self.answers_mapped("many", **{"index.mapping.total_fields.limit": 1})
        return self.refused("many", r"Limit of total fields \[1\] has been exceeded", is_answered)

    def too_deep(self) -> str:
        self.answers_mapped("deep", **{"index.mapping.depth.limit": 2})
        return self.refused("deep", r"[Dd]epth.* \[2\]", is_answered)

    def closed(self) -> str:
        """An index that somebody has closed is to stay as it is."""
        index = self.make(f"closed-{self.day}")
        self.server.ask("POST", f"/{index}/_close")
        agent = self.start("closed")
        agent.wait_settled(LINES)
        agent.stop()
        self.server.ask("POST", f"/{index}/_open")
        return self.dead(agent, index, "index_closed_exception", lambda e: True)

    def long_value(self) -> str:
        """More than a keyword takes, and no ignore_above: it is cut, not lost."""
        uri = {"requestURI": {"type": "keyword"}}
        self.mapped("long", {"dynamic": False, "properties": uri})
        event = json.loads(self.log.read_bytes().partition(b"\n")[0])
        event["requestURI"] += "?q=" + "x" * 40000
        log = self.home / "long.log"
        log.write_text(json.dumps(event, separators=(",", ":")) + "\n")
        agent = self.start("long", log=log)
        counters = agent.wait_settled(1)
        agent.stop()
        require(counters["delivered"] == counters["repaired"] == 1, f"{counters}")
        ((_, found),) = self.server.documents("long-*")
        uri = found.pop("requestURI")
        require(len(uri) < 32766 and uri[:30] == event["requestURI"][:30], uri[:300])
        return f"events=1 missing=0 repeated=0 dead_letters=0 kept={len(uri)}"

    def pipeline_drops(self) -> str:
        """That is what its owner wants: nothing is stored, and nothing is sent again."""
        self.pipeline("drops", {"drop": {}})
        agent = self.start("drops", pipeline="drops")
        counters = agent.wait_settled(LINES)
        agent.stop()
        require(counters["delivered"] == LINES, f"counters: {counters}")
        return f"events={LINES} dropped={LINES} dead_letters={counters['dead']}"

    # ---- what an operator can mend ----

    def pipeline_fails(self) -> str:
        self.pipeline("fails", {"fail": {"message": "it always does"}})
        return self.waits(
            self.start("fails", pipeline="fails"),
            "fails-*",
            "it always does",
            lambda: self.pipeline("fails"),
        )

    def no_pipeline(self) -> str:
        return self.waits(
            self.start("piped", pipeline="late"),
            "piped-*",
            r"pipeline with id \[late\].*make the ingest pipeline",
            lambda: self.pipeline("late"),
        )

    def no_write_index(self) -> str:
        for i in (1, 2):
            self.make(f"writeless-{i}", aliases={"writeless": {}})
        add = {"index": "writeless-2", "alias": "writeless", "is_write_index": True}
        return self.waits(
            self.start("writeless", index="writeless"),
            "writeless",
            "set is_write_index on",
            lambda: self.server.ask("POST", "/_aliases", {"actions": [{"add": add}]}),
        )

    def no_routing(self) -> str:
        """The mapping asks for one, and the output has none."""
        mapping = {"dynamic": False, "_routing": {"required": True}}
        self.make(f"routed-{self.day}", mappings=mapping)
        self.start("routed", "with-routing", routing="audit").wait_settled(LINES)
        return self.waits(
            self.start("routed"),
            "routed-*",
            "routing_missing_exception.*set `routing`",
            lambda: self.server.ask("DELETE", f"/routed-{self.day}"),
        )

    def no_alias(self) -> str:
        return self.waits(
            self.start("aliased", index="aliased", require_alias="true"),
            "aliased",
            "make the alias first",
            lambda: self.make("aliased-1", aliases={"aliased": {}}),
        )

    def no_auto_create(self) -> str:
        with self.setting("action.auto_create_index", "false"):
            return self.waits(
                self.start("uncreated"),
                "uncreated-*",
                r"index_not_found_exception.*allow it \(action.auto_create_index\)",
                lambda: self.set("action.auto_create_index", None),
            )

    def no_stream(self) -> str:
        """An index has the name of the data stream."""
        self.server.need_data_streams()
        name = "logs-taken-default"
        self.make(name)
        template = {"index_patterns": [name], "priority": 500, "data_stream": {}}
        self.server.ask("PUT", f"/_index_template/{name}", template)
        return self.waits(
            self.start("taken", index=None, data_stream=name),
            name,
            f"{name}.*delete it, or write to it as `index`",
            lambda: self.server.ask("DELETE", f"/{name}"),
        )

    def metadata_block(self) -> str:
        index = self.make(f"unmapped-{self.day}")
        block = "index.blocks.metadata"
        self.server.ask("PUT", f"/{index}/_settings", {block: True})
        return self.waits(
            self.start("unmapped"),
            index,
            r"/9/.*set index.blocks.metadata to null",
            lambda: self.server.ask("PUT", f"/{index}/_settings", {block: None}),
        )

    def cluster_block(self) -> str:
        self.make(f"readonly-{self.day}")
        block = "cluster.blocks.read_only"
        with self.setting(block, True):
            return self.waits(
                self.start("readonly"),
                "readonly-*",
                r"/6/.*set cluster.blocks.read_only to null",
                lambda: self.set(block, None),
            )

    def disk_full(self) -> str:
        """The server itself makes an index read-only, and writable again."""
        index = self.make(f"full-{self.day}")
        disk = "cluster.routing.allocation.disk"
        levels = [f"{disk}.watermark.{m}" for m in ("low", "high", "flood_stage")]
        marks = dict.fromkeys(levels, "1000000gb")
        marks[f"{disk}.threshold_enabled"] = "true"
        marks["cluster.info.update.interval"] = "10s"
        def is_blocked() -> bool:
            settings = self.server.ask("GET", f"/{index}/_settings")[index]["settings"]
            return "read_only_allow_delete" in settings["index"].get("blocks", {})

        try:
            self.put(marks)
            wait_until("the server makes it read-only", is_blocked)
            return self.waits(
                self.start("full"),
                index,
                "flood-stage watermark: free space",
                lambda: self.put({**marks, **dict.fromkeys(levels, "1b")}),
            )
        finally:
            self.put(dict.fromkeys(marks))

    def no_shard(self) -> str:
        """Its primary has no node to be on."""
        index = f"homeless-{self.day}"
        nowhere = "index.routing.allocation.require._name"
        settings = {nowhere: "nobody", "number_of_replicas": 0}
        asked = f"/{index}?wait_for_active_shards=0&timeout=1s"
        self.server.ask("PUT", asked, {"settings": settings})
        return self.waits(
            self.start("homeless", timeout="1s"),
            index,
            "unavailable_shards_exception.*_cluster/allocation/explain",
            lambda: self.server.ask("PUT", f"/{index}/_settings", {nowhere: None}),
        )

    def content_type(self) -> str:
        """Something on the way makes another one of it."""
        relay = Relay(self.server.url, lambda number: False)
        self.relays.append(relay)
        relay.instead = {"Content-Type": "text/plain"}
        return self.waits(
            self.start("typed", hosts=[relay.url]),
            "typed-*",
            r"Content-Type header \[text/plain\] is not supported.*does a proxy",
            relay.instead.clear,
        )
