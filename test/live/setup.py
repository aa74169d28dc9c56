# SPDX-License-Identifier: Apache-2.0
"""`tallyman setup` on a real server, and what its templates and panels are worth."""

import json
import subprocess
import sys
from pathlib import Path

from agent import PROGRAM, TOP, Agent, as_yaml
from scenarios import LOG, dead_letters, ship
from server import SearchServer
from waiting import require

sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "conf/dashboards"))

import generate  # noqa: E402

WIDE = TOP / "test/samples/wide.log"
EVENT = "/_component_template/tallyman-event"


def rows(panel, answer: dict) -> int:
    """How many a person would see, of the innermost kind."""
    if isinstance(panel, generate.Events):
        return len(answer["hits"]["hits"])

    def leaves(part: dict) -> int:
        if "rows" not in part:
            return 1 if part["doc_count"] else 0
        found = part["rows"]["buckets"]
        each = found.values() if isinstance(found, dict) else found
        return sum(map(leaves, each))

    return leaves(answer["aggregations"])


class SetUp:
    """In the order of `all`: each goes on from what the one before left."""

    all = ("dry_run", "installed", "unchanged", "changed", "forced", "clashing",
           "streamed", "panels")

    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.agent: Agent | None = None

    def close(self) -> None:
        if self.agent:
            self.agent.kill()

    def run(self, *args: object, code: int = 0, **expected: str) -> dict[str, dict]:
        """The steps by what they are about; those of `expected` came out so."""
        where = () if "-c" in args else ("--hosts", self.server.url)
        done = subprocess.run(
            [PROGRAM, "setup", "--json", *where, *map(str, args)],
            capture_output=True, text=True, timeout=120,
        )
        require(done.returncode == code,
                f"exit {done.returncode}: {done.stdout}{done.stderr}")
        report = json.loads(done.stdout)
        require(report["product"].lower() == self.server.product
                and report["version"] == self.server.version, f"{report}")
        steps = {step["name"]: step for step in report["steps"]
                 if step["what"] != "lifecycle policy"}
        steps["policy"] = next(step for step in report["steps"]
                               if step["what"] == "lifecycle policy")
        for name, outcome in expected.items():
            step = steps[{"event": "tallyman-event", "settings": "tallyman-settings",
                          "index": "tallyman-auditing"}.get(name, name)]
            require(step["outcome"] == outcome, f"{name}: {step}")
        return steps

    def templates(self) -> list:
        kinds = ("/_component_template", "/_index_template")
        return [self.server.ask("GET", kind) for kind in kinds]

    def event_template(self) -> dict:
        return self.server.ask("GET", EVENT)["component_templates"][0][
            "component_template"]

    def dry_run(self) -> str:
        """It says what it would do, and does not."""
        before = self.templates()
        steps = self.run("--dry-run", event="would create", settings="would create",
                         index="would create", policy="skipped")
        require(before == self.templates(), "something was changed")
        return f"nothing changed; policy: {steps['policy']['why'][:30]}..."

    def installed(self) -> str:
        self.run(event="created", settings="created", index="created",
                 policy="skipped", tallyman="skipped")
        mark = self.event_template()["_meta"]
        require(mark["hash"] == mark["stored"],
                f"this server adds to a template what normal.c does not know: {mark}")
        return f"created, version {mark['version']}, read back as sent"

    def unchanged(self) -> str:
        """The second time there is nothing to do, dry or not."""
        for extra in ((), ("--dry-run",), ("--force",)):
            self.run(*extra, event="unchanged", settings="unchanged",
                     index="unchanged")
        return "nothing to do"

    def changed(self) -> str:
        """What somebody changed stays, and what is older of ours is updated."""
        template = self.event_template()
        mine = json.loads(json.dumps(template))
        for date in ("created_date_millis", "modified_date_millis"):
            mine.pop(date, None)
        mine["template"]["mappings"]["properties"]["mine"] = {"type": "keyword"}
        self.server.ask("PUT", EVENT, mine)
        self.run(code=1, event="refused", settings="unchanged", index="unchanged")
        self.run("--dry-run", code=1, event="refused")
        require("mine" in self.event_template()["template"]["mappings"]["properties"],
                "what somebody added is gone")
        return "refused"

    def forced(self) -> str:
        self.run("--force", "--dry-run", event="would update")
        self.run("--force", event="updated")
        self.run(event="unchanged")
        require("mine" not in
                self.event_template()["template"]["mappings"]["properties"],
                "it is still there")
        return "updated"

    def config(self, **target: str) -> Path:
        path = self.home / "setup.yaml"
        self.home.mkdir(parents=True, exist_ok=True)
        path.write_text(as_yaml({
            "state_dir": self.home / "none",
            "trails": {"audit": {"path": LOG}},
            "outputs": {"search": {"type": "elasticsearch",
                                   "hosts": [self.server.url], **target}}}))
        return path

    def clashing(self) -> str:
        """Another template for the same indices: the server says which."""
        self.server.ask("PUT", "/_index_template/somebodys", {
            "index_patterns": ["clash-*"], "priority": 250 + len("clash-")})
        steps = self.run("-c", self.config(index="clash-%Y"), code=1)
        step = steps["tallyman-clash"]
        require(step["outcome"] == "failed" and "somebodys" in step["why"]
                and "same priority" in step["why"], f"{step}")
        return "failed, with the other's name"

    def streamed(self) -> str:
        """The same for a data stream, where there are any."""
        name = "logs-kubernetes.audit-setup"
        config = self.config(data_stream=name)
        if not self.server.has_data_streams:
            steps = self.run("-c", config, code=1)
            why = steps[f"tallyman-{name}"]["why"]
            require("no data streams" in why, why)
            return "this server has none, and says so"
        steps = self.run("-c", config)
        made = steps[name]["outcome"]
        lacks = self.server.product == "elasticsearch"
        require(made == ("skipped" if lacks else "created"), f"{steps[name]}")
        steps = self.run("-c", config)
        require(steps[name]["outcome"] == ("skipped" if lacks else "unchanged"),
                f"{steps[name]}")
        return f"data stream {made}"

    def panels(self) -> str:
        """The bundled logs, through these templates: each panel has rows."""
        log = self.home / "audit.log"
        log.write_bytes(LOG.read_bytes() + WIDE.read_bytes())
        events = log.read_bytes().count(b"\n")
        self.agent = Agent(self.home / "agent", log, {"search": {
            "type": "elasticsearch", "hosts": [self.server.url],
            "backoff_max": "1s", "batch_bytes": "256KiB"}})
        counters = ship(self.agent, events)
        dead = dead_letters(self.agent)
        # The second log has lines of the first.
        stored = counters["delivered"]
        require(self.server.count(generate.PATTERN) == stored
                and stored + counters["duplicate"] == events - len(dead),
                f"counters: {counters}")
        found = {}
        for panel in generate.all_panels():
            answer = self.server.ask("POST", f"/{generate.PATTERN}/_search",
                                     generate.search(panel))
            found[panel.id] = rows(panel, answer)
        empty = [id for id, count in found.items() if not count]
        require(not empty, f"panels without a row: {', '.join(empty)}")
        fewest = min(found, key=found.get)
        return (f"events={stored} panels={len(found)}, each with rows; the fewest: "
                f"{found[fewest]} ({fewest}); dead_letters={len(dead)}")
