# SPDX-License-Identifier: Apache-2.0
"""A bulk endpoint that keeps the books and fails on request.

It stores what `_bulk` creates, by (index, _id), answers as Elasticsearch or
OpenSearch do, and carries out the faults of a plan. It is strict: whatever a
careful client would never send is written down as a violation, and a test ends
by asserting that there is none. Knows nothing of the agent.

    server = BulkServer(); server.start()
    server.plan(faults.TOO_MANY, None, faults.LOST)     # one per request
    server.item_fault = lambda item: faults.BAD_DOCUMENT if ... else None

or `python3 bulk_server.py --port 9200 --chaos 0.2 --seed 7` by hand.
"""

from __future__ import annotations

import argparse
import base64
import collections
import gzip
import json
import random
import re
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
import zlib
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Callable
from urllib.parse import parse_qs, urlsplit

import admin_api
import aws
import faults
import questions
from admin_api import Admin
from faults import Chaos, Item, Whole
from wait import wait_until

MIB = 1024 * 1024
ID = re.compile(r"[0-9a-f]{12}[A-Za-z0-9_-]{22}")
INDEX = re.compile(r"[a-z0-9][a-z0-9._+-]*")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)")
GAP = re.compile(rb'\{(?:"@timestamp":"[^"]*",)?"kind":"Gap"')
PAGE = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n"
    b"<center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n"
    b"</body>\r\n</html>\r\n"
)
PHRASES = {200: "OK", 301: "Moved Permanently", 302: "Found",
           307: "Temporary Redirect", 308: "Permanent Redirect", 400: "Bad Request",
           401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           405: "Method Not Allowed", 406: "Not Acceptable",
           408: "Request Timeout", 413: "Request Entity Too Large",
           429: "Too Many Requests", 500: "Internal Server Error",
           502: "Bad Gateway", 503: "Service Unavailable",
           504: "Gateway Time-out"}


@dataclass
class Offered:
    """One item of a request, as item_fault sees it."""

    index: str
    id: str
    doc: bytes
    position: int           # in its request
    problem: str | None     # what a server cannot store about the document
    before: int = 0         # how often this id was offered earlier


@dataclass
class Doc:
    """All that is known of one (index, _id)."""

    index: str
    id: str
    doc: bytes
    offered: int = 0
    stored: int = 0         # more than once only across a rollover
    where: set[int] = field(default_factory=set)    # in which backing indices
    answers: list[int] = field(default_factory=list)
    refused: bool = False   # for what it is; so it may come otherwise
    visible: bool = False   # to a search: it was refreshed

    @property
    def is_gap(self) -> bool:
        """An event of the agent's own that tells what was lost."""
        return bool(GAP.match(self.doc))


@dataclass
class Request:
    """One POST to _bulk, for tests that look at shape rather than content."""

    number: int
    items: int
    body_bytes: int         # after gunzip
    wire_bytes: int
    gzip: bool
    status: int = 0
    fault: Whole | None = None
    at: float = 0.0
    abreast: int = 0        # requests without an answer when it came, with it
    over: bool = False      # its answer is on the way, or will never come
    target: str = ""        # path and query, as they came


class Reset(Exception):
    """The connection is to be reset, now."""


class BulkServer:
    def __init__(
        self,
        port: int = 0,
        flavour: str = "elasticsearch",
        max_body: int = 100 * MIB,
        basic: tuple[str, str] | None = None,
        api_key: str | None = None,
        tls: ssl.SSLContext | None = None,
        bearer: str | None = None,
        sigv4: aws.Keys | None = None,
        host: str = "127.0.0.1",
        unix: Path | None = None,
    ) -> None:
        assert flavour in ("elasticsearch", "opensearch")
        self.port = port
        self.flavour = flavour
        self.max_body = max_body
        self.max_pressure: int | None = None    # above: a whole 429, for ever
        self.close_on_413 = False               # ES 9: close while it writes
        self.basic = basic
        self.api_key = api_key
        self.bearer = bearer
        self.sigv4 = sigv4
        self.tls = tls
        self.host = host
        self.unix = unix                        # a socket's path, instead of a port
        self.nodes: dict | None = None          # what GET /_nodes/http answers
        self.streams: set[str] | None = None    # data streams; None: any name is one
        self.template = True                    # that makes any name one
        self.plain: set[str] = set()            # names of indices and aliases
        self.hidden: set[str] = set()           # what a user may not see
        self.may_resolve = True                 # GET /_resolve/index
        self.echoes = False                     # the credentials, in its errors
        self.hides_itself = False               # GET / is forbidden
        # Whether _bulk knows require_data_stream.
        self.knows_require = flavour == "elasticsearch"
        self.with_type = False                  # as Elasticsearch 7, OpenSearch 1
        self.poison: Callable[[Offered], bool] | None = None
        self.admin: Admin | None = None         # for `tallyman setup`
        self.item_fault: Callable[[Offered], Item | None] | None = None
        self.whole_fault: Callable[[int], Whole | None] | None = None
        self.chaos: Chaos | None = None
        # By path, of what is no bulk request; see questions.py.
        self.question_fault: Callable[[str], Whole | None] | None = None
        self.empty_indices: set[str] = set()    # there, without documents
        self.ghosts: list[Doc] = []             # deleted, and not refreshed
        # How often a data stream or an alias was rolled over, by its name: the same
        # id is stored again in another backing index.
        self.rollovers: collections.Counter[str] = collections.Counter()

        self.lock = threading.Lock()
        self.docs: dict[tuple[str, str], Doc] = {}
        self.order: list[Doc] = []              # as they were stored
        self.requests: list[Request] = []
        self.other_requests: list[str] = []     # "GET /"
        self.violations: list[str] = []
        self.auth_failures = 0
        self.connections = 0
        self.open_now = 0                       # requests being answered
        self.most_open = 0
        self.unanswered = 0
        self.most_abreast = 0                   # bulk requests without an answer
        self.calling = 0                        # connections that are not over
        self.callers: set = set()               # addresses of all there were
        self._plan: collections.deque[Whole | None] = collections.deque()
        self._released = threading.Event()
        self._http: _Listener | None = None
        self._thread: threading.Thread | None = None
        self._sockets: set[socket.socket] = set()

    # -- life ----------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http{'s' if self.tls else ''}://{self.host}:{self.port}"

    def start(self) -> "BulkServer":
        """Listens, on the same port as before when it was stopped."""
        self._released.clear()
        self._http = _Listener(self)
        self.port = 9200 if self.unix else self._http.server_address[1]
        self._thread = threading.Thread(
            target=self._http.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Refuses connections from now on and resets those there are."""
        if self._http is None:
            return
        self._http.stopping.set()
        self._released.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()
        with self.lock:
            sockets = list(self._sockets)
        for s in sockets:
            try:
                s.shutdown(socket.SHUT_RDWR)    # wakes its thread, which resets
            except OSError:
                pass
        for t in list(self._http.handlers):
            t.join(10)
        self._http = None

    def close(self) -> None:
        """Stops for good: others may have the port."""
        self.stop()
        let_port_go(self.port)

    def wait_alone(self) -> None:
        """Whatever came from clients that have ended is dealt with: a request may be
        read, and what is in it stored, long after who sent it is gone."""
        # Who comes last is let in last.
        with socket.create_connection((self.host, self.port)) as s:
            mine = s.getsockname()
        wait_until(lambda: mine in self.callers and self.calling == 0,
                   "all connections have come to their ends")

    def hang_up(self) -> None:
        """Closes the connections there are; new ones are welcome."""
        with self.lock:
            for s in self._sockets:
                try:
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def __enter__(self) -> "BulkServer":
        return self.start()

    def __exit__(self, *exc) -> None:
        self.close()

    # -- plans ---------------------------------------------------------------

    def plan(self, *whole: Whole | None) -> None:
        """One per coming request, in order; None is an honest answer."""
        with self.lock:
            self._plan.extend(whole)
            if any(w and w.kind.startswith("hang") for w in whole):
                self._released.clear()

    def plan_left(self) -> int:
        with self.lock:
            return len(self._plan)

    def release(self) -> None:
        """Lets every held request go; the held ones still planned are dropped."""
        with self.lock:
            self._plan = collections.deque(
                w for w in self._plan if not (w and w.kind.startswith("hang"))
            )
        self._released.set()

    def heal(self) -> None:
        """No more faults; what is held goes on."""
        with self.lock:
            self._plan.clear()
            self.chaos = self.item_fault = self.whole_fault = self.poison = None
            self.question_fault = None
            self.max_pressure = None
        self._released.set()

    def _next_whole(self, number: int) -> Whole | None:
        with self.lock:
            if self._plan:
                return self._plan.popleft()
            if self.whole_fault:
                return self.whole_fault(number)
            if self.chaos:
                return self.chaos.next_whole()
        return None

    # -- what was seen -------------------------------------------------------

    def violate(self, text: str) -> None:
        with self.lock:
            if len(self.violations) < 100:
                self.violations.append(text)

    def records(self) -> list[Doc]:
        """All there is: events, and the gap records between them."""
        with self.lock:
            return list(self.order)

    def stored(self) -> list[Doc]:
        """The events alone; see gaps()."""
        return [d for d in self.records() if not d.is_gap]

    def stored_count(self) -> int:
        with self.lock:
            return sum(not d.is_gap for d in self.order)

    def gaps(self) -> list[Doc]:
        """What was lost, as the agent said."""
        return [d for d in self.records() if d.is_gap]

    def forget(self, doc: Doc) -> None:
        """It is deleted, as if by somebody; the index stays, and until it is
        refreshed a search or a count finds the document."""
        with self.lock:
            self.order.remove(doc)
            self.ghosts.append(doc)
            del self.docs[doc.index, doc.id]
            self.empty_indices.add(doc.index)

    def questions(self, kind: str) -> list[str]:
        """What was asked so far: paths that end so."""
        with self.lock:
            return [r for r in self.other_requests
                    if urlsplit(r.split()[1]).path.endswith(kind)]

    def request_count(self) -> int:
        with self.lock:
            return len(self.requests)

    def summary(self) -> str:
        with self.lock:
            return (
                f"requests={len(self.requests)} documents={len(self.order)} "
                f"offered={sum(d.offered for d in self.docs.values())} "
                f"connections={self.connections} most_open={self.most_open} "
                f"violations={len(self.violations)}"
            )

    # -- storing -------------------------------------------------------------

    def authorized(self, header: str | None) -> bool:
        if self.basic:
            want = base64.b64encode(":".join(self.basic).encode()).decode()
            ok = header == "Basic " + want
        elif self.api_key:
            ok = header == "ApiKey " + self.api_key
        elif self.bearer:
            ok = header == "Bearer " + self.bearer
        else:
            ok = True
        if not ok:
            with self.lock:
                self.auth_failures += 1
        return ok

    def unsigned(self, h: "_Handler", body: bytes) -> str | None:
        """Why a request is not signed as it must be."""
        if self.sigv4 is None:
            return None
        why = self.sigv4.complaint(h.command, h.path, h.headers, body)
        if why:
            with self.lock:
                self.auth_failures += 1
        return why

    def take(self, offered: list[Offered]) -> list[dict]:
        """Stores or refuses each item; returns the answer's items."""
        with self.lock:
            chaos = (
                self.chaos.next_items(len(offered))
                if self.chaos
                else [None] * len(offered)
            )
            return [self._take_one(o, f) for o, f in zip(offered, chaos)]

    def _take_one(self, o: Offered, fault: Item | None) -> dict:
        key = (o.index, o.id)
        doc = self.docs.get(key)
        if doc is None:
            doc = self.docs[key] = Doc(o.index, o.id, o.doc)
        elif doc.doc != o.doc:
            # More may be known of a loss; what was refused may have been repaired.
            if not doc.is_gap and not doc.refused:
                self.violations.append(f"id {o.id}: offered with other bytes before")
            doc.doc = o.doc
        o.before = doc.offered
        doc.offered += 1
        if self.item_fault:
            fault = self.item_fault(o) or fault
        if fault is None or fault.status == 409:
            if o.problem:
                fault = Item(400, "document_parsing_exception", o.problem)
        if fault is None and self.rollovers[o.index] in doc.where:
            fault = faults.CONFLICT
        if fault is not None:
            doc.answers.append(fault.status)
            doc.refused |= fault.status == 400 or fault is faults.FAILURE_STORE
            return self._error_item(o, fault)
        doc.stored += 1
        doc.where.add(self.rollovers[o.index])
        doc.answers.append(201)
        self.order.append(doc)
        return {
            "create": {
                "_index": o.index,
                **({"_type": "_doc"} if self.with_type else {}),
                "_id": o.id,
                "_version": 1,
                "result": "created",
                "_shards": {"total": 2, "successful": 1, "failed": 0},
                "_seq_no": len(self.order) - 1,
                "_primary_term": 1,
                "status": 201,
            }
        }

    def _error_item(self, o: Offered, f: Item) -> dict:
        if f is faults.FAILURE_STORE:
            return {"create": {"_index": f".fs-{o.index}-2026.11.23-000002",
                               "_id": "lEu8jZYB_ZAKuDfZNouU", "_version": 1,
                               "result": "created", "failure_store": "used",
                               "status": 201}}
        error = {
            "type": f.type,
            "reason": f.reason.replace("{id}", o.id).replace("{index}", o.index),
        }
        if f.status == 409:
            error |= {"index_uuid": "BpLTRWTjRs2ZdH7DVqzeBQ", "shard": "0",
                      "index": o.index}
        if f.cause:
            error["caused_by"] = {"type": "illegal_argument_exception",
                                  "reason": f.cause}
        return {
            "create": {
                "_index": o.index,
                **({"_type": "_doc"} if self.with_type else {}),
                "_id": o.id,
                "status": f.status,
                "error": error,
            }
        }


# -- reading a request -------------------------------------------------------


def _no_duplicates(pairs: list) -> dict:
    d = dict(pairs)
    if len(d) != len(pairs):
        raise KeyError("duplicate key")
    return d


def check_document(doc: bytes) -> tuple[str | None, str | None]:
    """(violation, problem): why a careful client would not have sent it, and why
    a server cannot store it. Real logs hold lines that are only a problem."""
    problem = None
    try:
        value = json.loads(doc, object_pairs_hook=_no_duplicates)
    except UnicodeDecodeError:
        return None, "[1:1] Invalid UTF-8 start byte"
    except KeyError:
        problem = "[1:1] Duplicate field"
        value = json.loads(doc)
    except (ValueError, RecursionError) as e:
        return f"not JSON: {e}", "[1:1] Unexpected end-of-input"
    if not isinstance(value, dict):
        return "not an object", "not an object"
    stamp = value.get("@timestamp")
    if not isinstance(stamp, str) or not TIME.fullmatch(stamp):
        return f"@timestamp is {stamp!r}", "failed to parse field [@timestamp]"
    return None, problem


def check_action(line: bytes) -> tuple[str, str] | str:
    """(index, id), or what is wrong with an action line."""
    try:
        action = json.loads(line, object_pairs_hook=_no_duplicates)
    except (KeyError, ValueError) as e:
        return f"not JSON: {e}"
    if not isinstance(action, dict) or list(action) != ["create"]:
        return "not one create"
    meta = action["create"]
    if not isinstance(meta, dict) or sorted(meta) != ["_id", "_index"]:
        return "not just _index and _id"
    if not isinstance(meta["_index"], str) or not INDEX.fullmatch(meta["_index"]):
        return f"_index is {meta['_index']!r}"
    if not isinstance(meta["_id"], str) or not ID.fullmatch(meta["_id"]):
        return f"_id is {meta['_id']!r}"
    return meta["_index"], meta["_id"]


def gunzip(data: bytes, limit: int) -> bytes | None:
    """The text, at most a little over `limit` of it; None when damaged."""
    z = zlib.decompressobj(31)
    try:
        text = z.decompress(data, limit + 1)
        if len(text) > limit:
            return text
        text += z.flush()
    except zlib.error:
        return None
    return text if z.eof and not z.unused_data else None


def filter_path(value, patterns: list[list[str]]):
    """What `?filter_path=` leaves of an answer; None for nothing."""
    if any(not p for p in patterns):
        return value
    if isinstance(value, list):
        kept = [filter_path(v, patterns) for v in value]
        return [v for v in kept if v is not None] or None
    if not isinstance(value, dict):
        return None
    out = {}
    for key, v in value.items():
        below = []
        for p in patterns:
            if p[0] == "**":
                below.append(p)
                p = p[1:]
                if not p:
                    below.append([])
                    continue
            if re.fullmatch(re.escape(p[0]).replace(r"\*", ".*"), key):
                below.append(p[1:])
        kept = filter_path(v, below) if below else None
        if kept is not None:
            out[key] = kept
    return out or None


def hang_up(s: socket.socket) -> None:
    """Closes in order what could not be understood: all of it is read first, else
    the kernel would reset."""
    try:
        s.shutdown(socket.SHUT_WR)
        s.settimeout(10)
        while s.recv(65536):
            pass
    except OSError:
        pass
    s.close()


def _reset(s: socket.socket) -> None:
    """Closes with a reset instead of an orderly end."""
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()
    except OSError:
        pass


# Of the ports that are ours, listened to or not: a name that only one has.
claims: dict[int, socket.socket] = {}


def claim_port(port: int) -> bool:
    """Of all test processes at once this one has it, until it lets it go: also while
    its server is down, which is part of many a test."""
    claim = socket.socket(socket.AF_UNIX)
    try:
        claim.bind(f"\0tallyman-test-port-{port}")     # gone with its process
    except OSError:
        claim.close()
        return False
    claims[port] = claim
    return True


def let_port_go(port: int) -> None:
    claim = claims.pop(port, None)
    if claim is not None:
        claim.close()


def free_port(host: str = "127.0.0.1") -> int:
    """Not of the range from which the kernel takes a client's port: while the
    server is down, a client that tries long enough could connect to itself."""
    for port in random.sample(range(20000, 32000), 1000):
        if not claim_port(port):
            continue
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                s.bind((host, port))
                return port
            except OSError:
                let_port_go(port)
    raise OSError("no free port from 20000 to 32000")


class _Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, bulk: BulkServer) -> None:
        self.bulk = bulk
        self.stopping = threading.Event()
        self.handlers: set[threading.Thread] = set()
        address = (bulk.host, bulk.port or free_port(bulk.host))
        if bulk.unix:
            self.address_family = socket.AF_UNIX
            address = str(bulk.unix)
            bulk.unix.unlink(missing_ok=True)
        super().__init__(address, _Handler)

    def process_request(self, request, client_address) -> None:
        with self.bulk.lock:
            self.bulk.callers.add(client_address)
            self.bulk.calling += 1
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address) -> None:
        try:
            self.process_connection(request, client_address)
        finally:
            with self.bulk.lock:
                self.bulk.calling -= 1

    def process_connection(self, request, client_address) -> None:
        self.handlers.add(threading.current_thread())
        # Here and not in get_request(): a handshake must not hold up the others.
        if self.bulk.tls:
            request = self.bulk.tls.wrap_socket(
                request, server_side=True, do_handshake_on_connect=False)
            try:
                request.do_handshake()
            except OSError:
                return hang_up(socket.socket(fileno=request.detach()))
        super().process_request_thread(request, client_address)
        self.handlers.discard(threading.current_thread())

    def server_close(self) -> None:
        # Not ThreadingMixIn's: it would wait for connections that are kept.
        self.socket.close()

    def handle_error(self, request, client_address) -> None:
        kind, error = sys.exc_info()[:2]
        if not issubclass(kind, (OSError, Reset)):
            self.bulk.violate(f"the bulk server itself failed: {error!r}")

    def shutdown_request(self, request) -> None:
        try:
            request.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        request.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    @property
    def disable_nagle_algorithm(self) -> bool:
        return self.bulk.unix is None

    @property
    def bulk(self) -> BulkServer:
        return self.server.bulk

    def setup(self) -> None:
        super().setup()
        with self.bulk.lock:
            self.bulk._sockets.add(self.connection)
            self.bulk.connections += 1

    def finish(self) -> None:
        with self.bulk.lock:
            self.bulk._sockets.discard(self.connection)
        try:
            super().finish()
        except (OSError, ValueError):
            pass

    def handle(self) -> None:
        try:
            super().handle()
        except Reset:
            _reset(self.connection)
        except (ConnectionError, ValueError):
            pass

    def log_message(self, format: str, *args) -> None:
        pass

    # -- methods -------------------------------------------------------------

    def ask_admin(self) -> bool:
        """Whether it was for the part that `tallyman setup` asks."""
        url, admin = urlsplit(self.path), self.bulk.admin
        if admin is None or not admin_api.is_admin(url.path):
            return False
        with self.bulk.lock:
            self.bulk.other_requests.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if not self.bulk.authorized(self.headers.get("Authorization")):
            self.answer_unauthorized()
            return True
        try:
            status, value = admin.answer(self.command, url.path, parse_qs(url.query),
                                         self.headers, body)
        except admin_api.Refused as e:
            self.answer_error(*e.args)
            return True
        if isinstance(value, str):
            self.answer(status, value.encode(), "application/ndjson")
        else:
            self.answer_json(status, value)
        return True

    def do_GET(self) -> None:
        if self.ask_admin():
            return
        with self.bulk.lock:
            self.bulk.other_requests.append(f"{self.command} {self.path}")
        self.discard_body()
        if not self.bulk.authorized(self.headers.get("Authorization")):
            return self.answer_unauthorized()
        if why := self.bulk.unsigned(self, b""):
            return self.answer_unsigned(why)
        path = urlsplit(self.path).path
        if path.startswith("/_resolve/index/") and self.bulk.streams is not None:
            return self.resolve(path.split("/")[3])
        if path == "/_nodes/http" and self.bulk.nodes is not None:
            return self.answer_json(200, {"nodes": self.bulk.nodes})
        if self.bulk.hides_itself:
            return self.answer_error(403, "security_exception", "not for you")
        if path != "/":
            return self.answer_error(404, "resource_not_found_exception", self.path)
        version = {"number": "8.19.21", "build_flavor": "default"}
        if self.bulk.flavour == "opensearch":
            version = {"distribution": "opensearch", "number": "2.19.6"}
        self.answer_json(200, {"name": "node1", "cluster_name": "e2e",
                               "version": version})

    do_HEAD = do_GET

    def resolve(self, name: str) -> None:
        bulk = self.bulk
        if not bulk.may_resolve:
            return self.answer_error(403, "security_exception",
                                     "no permissions for [indices:admin/resolve/index]")
        if name not in (bulk.streams | bulk.plain) - bulk.hidden:
            return self.answer_error(404, "index_not_found_exception",
                                     f"no such index [{name}]")
        self.answer_json(200, {
            "indices": [{"name": n} for n in bulk.plain if n == name],
            "aliases": [],
            "data_streams": [{"name": n} for n in bulk.streams if n == name]})

    def make_stream(self, name: str) -> None:
        bulk = self.bulk
        self.discard_body()
        if not bulk.authorized(self.headers.get("Authorization")):
            return self.answer_unauthorized()
        if name in bulk.streams:
            return self.answer_error(400, "resource_already_exists_exception",
                                     f"data_stream [{name}] already exists")
        if not bulk.template:
            return self.answer_error(400, "illegal_argument_exception", "no matching "
                                     f"index template found for data stream [{name}]")
        bulk.streams.add(name)
        self.answer_json(200, {"acknowledged": True})

    def do_PUT(self) -> None:
        name = urlsplit(self.path).path.removeprefix("/_data_stream/")
        if self.bulk.streams is not None and "/" not in name:
            return self.make_stream(name)
        if self.ask_admin():
            return
        self.bulk.violate(f"unexpected {self.command} {self.path}")
        self.discard_body()
        self.answer_error(405, "illegal_argument_exception", "no handler")

    do_DELETE = do_PUT

    def do_POST(self) -> None:
        bulk = self.bulk
        if self.server.stopping.is_set():
            raise Reset
        with bulk.lock:
            bulk.open_now += 1
            bulk.most_open = max(bulk.most_open, bulk.open_now)
            self.is_open = True
        try:
            self.post()
        finally:
            self.is_over()

    def is_over(self) -> None:
        """From before its answer is sent: what the client sends once it has that
        is not beside it."""
        record = getattr(self, "request_record", None)
        with self.bulk.lock:
            if getattr(self, "is_open", False):
                self.is_open = False
                self.bulk.open_now -= 1
            if record is not None and not record.over:
                record.over = True
                self.bulk.unanswered -= 1

    def post(self) -> None:
        bulk = self.bulk
        if self.ask_admin():
            return
        if questions.is_question(urlsplit(self.path).path):
            return self.question()
        if urlsplit(self.path).path != "/_bulk":
            bulk.violate(f"POST to {self.path}")
            self.discard_body()
            return self.answer_error(404, "resource_not_found_exception", self.path)
        length = self.check_headers()
        with bulk.lock:
            bulk.unanswered += 1
            bulk.most_abreast = max(bulk.most_abreast, bulk.unanswered)
            request = Request(len(bulk.requests), 0, 0, length, False,
                              at=time.monotonic(), abreast=bulk.unanswered,
                              target=self.path)
            bulk.requests.append(request)
        self.request_record = request
        # Who may not come in uses up nothing of the plan.
        if not bulk.authorized(self.headers.get("Authorization")):
            self.rfile.read(length)
            return self.answer_unauthorized()
        fault = request.fault = bulk._next_whole(request.number)
        if fault and fault.kind == "reset_body":
            self.rfile.read(length // 2)
            raise Reset
        if bulk.close_on_413 and length > bulk.max_body:
            self.answer(413, b"", None)     # without reading, as ES 9 does
            self.wfile.flush()
            raise Reset
        raw = self.rfile.read(length)
        if len(raw) < length:
            self.close_connection = True    # the client went away
            return
        if why := bulk.unsigned(self, raw):
            return self.answer_unsigned(why)
        if bulk.echoes:
            shown = [self.headers[n] for n in ("Authorization", "x-amz-security-token")
                     if n in self.headers]
            return self.answer_error(500, "exception", f"got {shown[-1]}")
        self.bulk_request(request, raw, fault)

    def question(self) -> None:
        bulk, path = self.bulk, urlsplit(self.path).path
        query = parse_qs(urlsplit(self.path).query)
        with bulk.lock:
            bulk.other_requests.append(f"POST {self.path}")
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        if body and self.headers.get("Content-Type") != "application/json":
            bulk.violate(f"{path}: Content-Type is "
                         f"{self.headers.get('Content-Type')!r}")
        if not bulk.authorized(self.headers.get("Authorization")):
            return self.answer_unauthorized()
        if why := bulk.unsigned(self, body):
            return self.answer_unsigned(why)
        fault = bulk.question_fault(path) if bulk.question_fault else None
        if fault and fault.kind == "lost":
            self.close_connection = True
            return
        if fault and fault.kind == "html":
            return self.answer(200, PAGE, "text/html")
        if fault and fault.kind == "status":
            return self.answer_status(fault)
        if fault:
            bulk.violate(f"{path}: a question cannot have fault {fault.kind}")
        try:
            value = questions.answer(bulk, path, query, body)
        except questions.Refused as e:
            return self.answer_error(*e.args)
        if "filter_path" in query:
            patterns = [p.split(".") for p in query["filter_path"][0].split(",")]
            value = filter_path(value, patterns) or {}
        self.answer_json(200, value)

    def check_headers(self) -> int:
        bulk, h = self.bulk, self.headers
        if h.get("Content-Type") not in ("application/x-ndjson",
                                         "application/x-ndjson; charset=utf-8"):
            bulk.violate(f"Content-Type is {h.get('Content-Type')!r}")
        if h.get("Expect"):
            bulk.violate(f"Expect: {h.get('Expect')}")
        if h.get("Transfer-Encoding"):
            bulk.violate(f"Transfer-Encoding: {h.get('Transfer-Encoding')}")
        if h.get("Content-Encoding") not in (None, "gzip"):
            bulk.violate(f"Content-Encoding is {h.get('Content-Encoding')!r}")
        if not h.get("Host"):
            bulk.violate("no Host")
        for name in ("Content-Length", "Content-Type", "Authorization", "Host"):
            if len(h.get_all(name, [])) > 1:
                bulk.violate(f"{name} more than once")
        try:
            return int(h["Content-Length"])
        except (TypeError, ValueError):
            bulk.violate(f"Content-Length is {h.get('Content-Length')!r}")
            return 0

    def discard_body(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))

    # -- the bulk request ----------------------------------------------------

    def bulk_request(self, request: Request, raw: bytes, fault: Whole | None) -> None:
        bulk = self.bulk
        body = raw
        if self.headers.get("Content-Encoding") == "gzip":
            request.gzip = True
            body = gunzip(raw, bulk.max_body)
            if body is None:
                bulk.violate("gzip is damaged or has something behind its end")
                return self.answer_error(400, "parse_exception", "not gzip")
        request.body_bytes = len(body)
        if len(body) > bulk.max_body:
            return self.answer(413, b"", None)
        if fault and fault.kind == "status":
            return self.answer_status(fault)
        if fault and fault.kind == "html":
            return self.answer(200, PAGE, "text/html")
        if fault and fault.kind == "liar":
            item = {"create": {"status": 201}}
            text = json.dumps({"errors": False, "items": [item] * body.count(b"\n")})
            return self.answer(500, text.encode(), "application/json")
        if fault and fault.kind == "hang":
            self.hold()
        required = "require_data_stream" in parse_qs(urlsplit(self.path).query)
        if required and not bulk.knows_require:
            return self.answer_error(
                400, "illegal_argument_exception", "request [/_bulk] contains "
                "unrecognized parameter: [require_data_stream]")
        offered = self.split(body)
        if offered is None:
            return
        request.items = len(offered)
        if not self.to_streams(offered, required):
            return
        if bulk.max_pressure is not None and len(body) > bulk.max_pressure:
            return self.answer_error(
                429, faults.QUEUE_FULL.type,
                "rejected execution of coordinating operation "
                f"[coordinating_and_primary_bytes=0, max={bulk.max_pressure}]")
        if bulk.poison and any(bulk.poison(o) for o in offered):
            return self.answer_error(
                400, "action_request_validation_exception",
                "Validation Failed: 1: id [x] is too long, must be no longer than "
                "512 bytes but was: 600;")
        self.answer_items(bulk.take(offered), fault)

    def to_streams(self, offered: list[Offered], required: bool) -> bool:
        """False: answered. An event for what is no data stream would make an index."""
        bulk = self.bulk
        if bulk.streams is None:
            return True
        for o in offered:
            if o.index not in bulk.streams | bulk.plain and bulk.template:
                bulk.streams.add(o.index)
        missing = [o for o in offered if o.index not in bulk.streams]
        if missing and required:
            fault = faults.NO_STREAM_TEMPLATE
            if missing[0].index in bulk.plain:
                fault = faults.NO_STREAM
            self.answer_items([bulk._error_item(o, fault) for o in offered], None)
            return False
        if missing:
            bulk.violate(f"{missing[0].index} has become a plain index")
        return True

    def split(self, body: bytes) -> list[Offered] | None:
        """The items; where it is no bulk body, answers 400 and gives None."""
        bulk = self.bulk
        if not body.endswith(b"\n"):
            bulk.violate("no newline at the end of the body")
            self.answer_error(400, "illegal_argument_exception",
                              "The bulk request must be terminated by a newline")
            return None
        lines = body[:-1].split(b"\n")
        if len(lines) % 2:
            bulk.violate(f"{len(lines)} lines: not pairs")
            self.answer_error(400, "action_request_validation_exception",
                              "Validation Failed: 1: no requests added;")
            return None
        offered = []
        for i in range(0, len(lines), 2):
            action = check_action(lines[i])
            if isinstance(action, str):
                bulk.violate(f"action line {lines[i][:200]!r}: {action}")
                self.answer_error(400, "illegal_argument_exception", "bad action")
                return None
            violation, problem = check_document(lines[i + 1])
            if violation:
                bulk.violate(f"document {lines[i + 1][:200]!r}: {violation}")
            offered.append(Offered(*action, lines[i + 1], i // 2, problem))
        return offered

    def hold(self) -> None:
        self.bulk._released.wait()
        if self.server.stopping.is_set():
            raise Reset

    def await_others(self, n: int) -> None:
        """Until so many were there at once, or none is to be held any more."""
        while self.bulk.most_abreast < n and not self.bulk._released.wait(0.005):
            pass

    # -- answers -------------------------------------------------------------

    def answer_items(self, items: list[dict], fault: Whole | None) -> None:
        kind = fault.kind if fault else ""
        errors = any("error" in i["create"] for i in items)
        if kind == "short":
            items = items[: min(fault.keep, len(items) - 1)]
        if kind == "long":
            items = items + items[-1:] * 2
        value = {"errors": errors, "took": 3, "items": items}
        if self.bulk.flavour == "opensearch":
            value = {"took": 3, "errors": errors, "items": items}
        query = parse_qs(urlsplit(self.path).query)
        if "filter_path" in query:
            patterns = [p.split(".") for p in query["filter_path"][0].split(",")]
            value = filter_path(value, patterns) or {}
        text = json.dumps(value, separators=(",", ":")).encode()
        if kind == "lost":
            self.close_connection = True
            return
        if kind == "lost_reset":
            raise Reset
        if kind == "hang_after":
            self.hold()
        if kind == "abreast":
            self.await_others(fault.keep)
        if kind in ("slow", "abreast"):
            self.server.stopping.wait(fault.seconds)
        if kind == "garbage":
            text = b"\x00\xff}{]not json at all" + text[:40]
        if kind == "truncated":
            text = text[: len(text) // 2]
        if kind in ("cut", "broken_off"):
            self.answer(200, text, "application/json", send=len(text) // 2)
            self.close_connection = True
            if kind == "cut":
                raise Reset
            return
        if kind == "packed":
            return self.answer(200, gzip.compress(text), "application/json",
                               extra={"Content-Encoding": "gzip"})
        self.answer(200, text, "application/json")

    def answer_status(self, fault: Whole) -> None:
        code = fault.status
        if code == 401:
            return self.answer_unauthorized()
        if code in (502, 504):
            return self.answer(code, PAGE, "text/html")
        if code == 413:
            return self.answer(413, b"", None)
        if code // 100 == 3:
            return self.answer(code, b"moved", "text/plain",
                               extra={"Location": fault.location})
        if code == 406:
            return self.answer_json(406, {
                "error": "Content-Type header [text/plain] is not supported",
                "status": 406})
        if fault.type:
            return self.answer_error(code, fault.type, fault.reason)
        types = {403: "security_exception", 404: "index_not_found_exception",
                 429: faults.QUEUE_FULL.type, 503: "cluster_block_exception"}
        reasons = {429: "rejected execution of coordinating operation [...]",
                   503: "blocked by: [SERVICE_UNAVAILABLE/2/no master];"}
        extra = {}
        if fault.retry_after is not None:
            extra["Retry-After"] = str(fault.retry_after)
        self.answer_error(code, types.get(code, "exception"),
                          reasons.get(code, "planned by the test"), extra)

    def answer_unauthorized(self) -> None:
        if self.bulk.flavour == "opensearch":
            return self.answer(
                401, b"Unauthorized", "text/plain; charset=UTF-8",
                extra={"WWW-Authenticate": 'Basic realm="OpenSearch Security"'})
        self.answer_error(
            401, "security_exception", "unable to authenticate user [x] for REST "
            "request [/_bulk]",
            {"WWW-Authenticate": 'Basic realm="security" charset="UTF-8"'})

    def answer_unsigned(self, why: str) -> None:
        """As the gateway before an AWS domain does."""
        self.answer_json(403, {"message": f"The request signature we calculated does "
                               f"not match the signature you provided. ({why})"})

    def answer_error(self, code: int, type_: str, reason: str, extra=None) -> None:
        cause = {"type": type_, "reason": reason}
        self.answer_json(
            code, {"error": {"root_cause": [cause], **cause}, "status": code}, extra)

    def answer_json(self, code: int, value: dict, extra=None) -> None:
        text = json.dumps(value, separators=(",", ":")).encode()
        self.answer(code, text, "application/json", extra=extra)

    def answer(self, code: int, body: bytes, content_type: str | None,
               extra: dict | None = None, send: int | None = None) -> None:
        record = getattr(self, "request_record", None)
        if record is not None and record.status == 0:
            record.status = code
        self.is_over()
        elastic = self.bulk.flavour == "elasticsearch"
        chunked = elastic and code == 200 and content_type == "application/json"
        lines = [f"HTTP/1.1 {code} {PHRASES.get(code, 'Planned')}"]
        if content_type == "application/json" and not elastic:
            content_type += "; charset=UTF-8"
        if content_type:
            lines.append(f"content-type: {content_type}")
        if elastic and code < 500 and code not in (401, 413) and body != PAGE:
            lines.append("X-elastic-product: Elasticsearch")
        for name, value in (extra or {}).items():
            lines.append(f"{name}: {value}")
        if chunked:
            lines.append("Transfer-Encoding: chunked")
        else:
            lines.append(f"content-length: {len(body)}")
        out = "\r\n".join(lines).encode() + b"\r\n\r\n"
        if self.command == "HEAD":
            body, chunked = b"", False
        if chunked:
            # Two chunks, so that a client sees a boundary inside the JSON.
            half = len(body) // 2 + 1
            parts = [p for p in (body[:half], body[half:]) if p]
            if send is not None:
                parts = parts[:1]
            body = b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts)
            if send is None:
                body += b"0\r\n\r\n"
        elif send is not None:
            body = body[:send]
        self.wfile.write(out + body)
        self.wfile.flush()


def main() -> int:
    p = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    p.add_argument("--port", type=int, default=9200)
    p.add_argument("--flavour", default="elasticsearch",
                   choices=["elasticsearch", "opensearch"])
    p.add_argument("--max-body", type=int, default=100 * MIB)
    p.add_argument("--username")
    p.add_argument("--password", default="")
    p.add_argument("--api-key")
    p.add_argument("--chaos", type=float, default=0.0, metavar="P",
                   help="how likely a request is to fail, and its items")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--print", action="store_true", help="print every stored document")
    a = p.parse_args()
    server = BulkServer(
        a.port, a.flavour, a.max_body,
        basic=(a.username, a.password) if a.username else None, api_key=a.api_key)
    if a.chaos:
        server.chaos = Chaos(a.seed, p_whole=a.chaos, p_item=a.chaos)
    stop = threading.Event()
    for s in (signal.SIGINT, signal.SIGTERM):
        signal.signal(s, lambda *_: stop.set())
    with server:
        print(f"listening on {server.url}", flush=True)
        printed = 0
        while not stop.wait(0.5):
            if a.print:
                for doc in server.stored()[printed:]:
                    print(f"{doc.index} {doc.id} {doc.doc.decode()}", flush=True)
                    printed += 1
    print(server.summary())
    for v in server.violations:
        print("violation:", v)
    return 1 if server.violations else 0


if __name__ == "__main__":
    sys.exit(main())
