# SPDX-License-Identifier: Apache-2.0
"""Stored once, also where a data stream is rolled over between a lost answer and the
next try: the server alone would store the event again, in its new backing index."""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Callable

import auditlog
from agent import Agent
from scenarios import LOG, balance, dead_letters, ship
from server import SearchServer
from waiting import require, wait_until

PASSED_ON = ("Content-Type", "Content-Encoding")


class Relay(ThreadingHTTPServer):
    """Passes requests on to the server, and some of its answers to bulk requests not
    back: those for which `lose(number)` is true once the server has answered."""

    daemon_threads = True

    def __init__(self, server_url: str, lose: Callable[[int], bool]):
        super().__init__(("127.0.0.1", 0), Handler)
        self.server_at = server_url.rpartition("//")[2]
        self.lose = lose
        self.instead: dict[str, str] = {}  # headers that it changes
        self.lock = threading.Lock()
        self.bulks = self.lost = self.under_way = 0
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self) -> None:
        self.shutdown()
        self.server_close()

    def handle_error(self, *_: object) -> None:
        """A client that was killed is none of our troubles."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.startswith("/_bulk"):
            return self.give_back(*self.ask(body))
        relay = self.server
        with relay.lock:
            number = relay.bulks
            relay.bulks += 1
            relay.under_way += 1
        try:
            answer = self.ask(body)
        finally:
            with relay.lock:
                relay.under_way -= 1
        if relay.lose(number):
            with relay.lock:
                relay.lost += 1
            self.close_connection = True
            return
        self.give_back(*answer)

    do_GET = do_HEAD = do_POST = do_PUT = do_any

    def ask(self, body: bytes) -> tuple[int, str, bytes]:
        far = http.client.HTTPConnection(self.server.server_at, timeout=60)
        headers = {h: self.headers[h] for h in PASSED_ON if h in self.headers}
        headers |= self.server.instead
        far.request(self.command, self.path, body, headers)
        answer = far.getresponse()
        found = answer.status, answer.headers.get("Content-Type", ""), answer.read()
        far.close()
        return found

    def give_back(self, status: int, kind: str, text: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)


class Rollover:
    """In the order of `all`."""

    all = ("premise", "stream", "alias", "killed")

    def __init__(self, home: Path, server: SearchServer):
        self.home, self.server = home, server
        self.events = auditlog.read([LOG])
        self.agents: list[Agent] = []
        self.relays: list[Relay] = []
        self.rolling = threading.Lock()

    def close(self) -> None:
        for agent in self.agents:
            agent.kill()
        for relay in self.relays:
            relay.end()

    # ---- parts ----

    def make_stream(self, name: str) -> None:
        template = {
            "index_patterns": [name],
            "priority": 500,
            "data_stream": {},
            "template": {"mappings": {"dynamic": False}},
        }
        self.server.need_data_streams()
        self.server.ask("PUT", f"/_index_template/{name}", template)

    def make_alias(self, name: str) -> None:
        self.server.template(name, f"{name}-*", {"mappings": {"dynamic": False}})
        self.server.ask(
            "PUT", f"/{name}-000001", {"aliases": {name: {"is_write_index": True}}}
        )

    def roll(self, name: str) -> None:
        with self.rolling:
            answer = self.server.ask("POST", f"/{name}/_rollover")
        require(answer["rolled_over"], f"no rollover: {answer}")

    def indices(self, name: str) -> int:
        return len(self.server.ask("GET", f"/{name}/_settings"))

    def agent(self, name: str, relay: Relay, **target: object) -> Agent:
        self.relays.append(relay)
        search = {
            "type": "elasticsearch",
            "hosts": [relay.url],
            "batch_events": 100,
            "backoff_max": "1s",
            **target,
        }
        self.agents.append(Agent(self.home / name, LOG, {"search": search}))
        return self.agents[-1]

    def told(self, name: str, agent: Agent, looked_up: int, lost: int) -> str:
        require(looked_up > 0, "nothing was looked up")
        indices = self.indices(name)
        require(indices > lost, f"{lost} rollovers, but {indices} indices")
        return (
            balance(self.events, self.server.documents(name), dead_letters(agent))
            + f" lost_answers={lost} indices={indices} looked_up={looked_up}"
        )

    # ---- scenarios ----

    def premise(self) -> str:
        """The server itself stores an id again after a rollover."""
        name = "logs-premise-default"
        self.make_stream(name)
        document = {"@timestamp": "2026-11-23T19:45:00Z"}
        for _ in range(2):
            self.server.ask("PUT", f"/{name}/_create/one", document)
            self.roll(name)
        require(self.server.count(name) == 2, "it is not stored twice")
        return "a server alone stores an event twice"

    def lossy(self, name: str, **target: object) -> str:
        """Every third answer to a bulk request is lost, and a rollover comes before
        the next try."""

        def lose(number: int) -> bool:
            if number % 3 == 1:
                self.roll(name)
            return number % 3 == 1

        relay = Relay(self.server.url, lose)
        agent = self.agent(name, relay, **target)
        counters = ship(agent, len(self.events))
        require(counters["duplicate"] > 0, f"no answer was lost: {counters}")
        return self.told(name, agent, counters["looked_up"], relay.lost)

    def stream(self) -> str:
        name = "logs-lossy-default"
        self.make_stream(name)
        return self.lossy(name, data_stream=name)

    def alias(self) -> str:
        self.make_alias("lossy-alias")
        return self.lossy("lossy-alias", index="lossy-alias")

    def killed(self) -> str:
        """SIGKILL between a request that is stored and its answer, then a rollover,
        then the next run; five times."""
        name = "logs-killed-default"
        self.make_stream(name)
        stored, go_on = threading.Event(), threading.Event()

        def lose(number: int) -> bool:
            if number % 3 != 2 or relay.lost >= 5 or stored.is_set():
                return False
            stored.set()
            go_on.wait(60)
            go_on.clear()
            return True

        relay = Relay(self.server.url, lose)
        agent = self.agent(
            name, relay, data_stream=name, in_flight=1, batch_events=50
        ).start()
        for life in range(5):
            wait_until("a request is stored, and not answered", stored.is_set)
            agent.kill()
            # What the server only begins with after the next run has asked for it,
            # nobody can know of.
            wait_until("nothing of it is under way", lambda: not relay.under_way)
            stored.clear()
            self.roll(name)
            go_on.set()
            agent.start()
        agent.wait_settled(0)
        wait_until(
            "all is settled",
            lambda: not agent.counters()["in_flight"]
            and self.server.count(name) >= len(self.events),
        )
        counters = agent.counters()
        agent.stop()
        return self.told(name, agent, counters["looked_up"], relay.lost)
