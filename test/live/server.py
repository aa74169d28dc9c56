# SPDX-License-Identifier: Apache-2.0
"""A search server of ./search, and what the tests ask it over HTTP."""

import base64
import json
import os
import signal
import ssl
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator

from waiting import Failed, Skipped, require, wait_until

HERE = Path(__file__).resolve().parent
# Downloading is worth this much waiting, then it counts as not to be had.
FETCH_SECONDS = 300


def script(name: str, *args: object, seconds: float = 300) -> str:
    """Runs ./search or ./apiserver; 77 is Skipped, anything else but 0 Failed."""
    process = subprocess.Popen(
        [HERE / name, *map(str, args)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException as why:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
        if isinstance(why, subprocess.TimeoutExpired):
            raise Skipped(f"{name} {args[0]} takes more than {seconds:.0f} s") from None
        raise
    if process.returncode == 77:
        raise Skipped((out + err).strip().rpartition("skipped: ")[2])
    require(
        process.returncode == 0,
        f"{name} {args[0]} failed ({process.returncode}): {(out + err)[-600:].strip()}",
    )
    return out


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class SearchServer:
    def __init__(
        self, home: Path, product: str, version: str, plugins: tuple[str, ...] = ()
    ):
        self.home, self.product, self.version = home, product, version
        self.plugins = plugins
        self.urls: list[str] = []
        self.name = f"{product}-{version}"
        self.headers, self.ca_file = {"Content-Type": "application/json"}, None

    def login(self, user: str, password: str, ca_file: Path) -> None:
        """For a server with users and TLS."""
        basic = base64.b64encode(f"{user}:{password}".encode()).decode()
        self.headers["Authorization"] = f"Basic {basic}"
        self.ca_file = ca_file

    def start(self, *options: object) -> None:
        """Starts it, or again after kill(); options count the first time only."""
        which = ["--product", self.product, "--version", self.version]
        for plugin in self.plugins:
            which += ["--plugin", plugin]
        script("search", "fetch", *which, seconds=FETCH_SECONDS)
        try:
            out = script("search", "start", "--dir", self.home, *which, *options)
        except Skipped as why:
            raise Failed(f"{self.name} was fetched, but: {why}") from None
        self.urls = out.split()

    @property
    def url(self) -> str:
        return self.urls[0] if self.urls else ""

    def stop(self) -> None:
        script("search", "stop", "--dir", self.home, "--purge")

    def kill(self) -> None:
        self.kill_node(1)

    def kill_node(self, node: int) -> None:
        self.end_node(node, signal.SIGKILL)

    def stop_node(self, node: int) -> None:
        self.end_node(node, signal.SIGTERM)

    def pid(self, node: int) -> int:
        return int((self.home / f"node{node}/pid").read_text())

    def end_node(self, node: int, how: int) -> None:
        pid = self.pid(node)
        os.kill(pid, how)
        wait_until("the server's end", lambda: not is_alive(pid))

    def is_up(self) -> bool:
        try:
            self.ask("GET", "/_cluster/health")
        except (OSError, Failed):
            return False
        return True

    @property
    def has_data_streams(self) -> bool:
        """The build of Elasticsearch 7 that can be had has none."""
        return not self.name.startswith("elasticsearch-7")

    def need_data_streams(self) -> None:
        if not self.has_data_streams:
            raise Skipped("this server has no data streams")

    def ask(self, method: str, path: str, body: dict | None = None) -> dict:
        return self._answer(
            method, path, None if body is None else json.dumps(body).encode()
        )

    def _answer(self, method: str, path: str, body: bytes | None) -> dict:
        request = urllib.request.Request(
            self.url + path, body, self.headers, method=method
        )
        tls = ssl.create_default_context(cafile=self.ca_file) if self.ca_file else None
        try:
            with urllib.request.urlopen(request, timeout=60, context=tls) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise Failed(
                f"{method} {path}: {error.code} {error.read()[:300]!r}"
            ) from None

    def ask_lines(self, path: str, lines: bytes) -> dict:
        """For _msearch and _bulk: JSON a line."""
        return self._answer("POST", path, lines)

    def template(self, name: str, pattern: str, template: dict) -> None:
        self.ask(
            "PUT",
            f"/_index_template/{name}",
            {"index_patterns": [pattern], "template": template},
        )

    def count(self, index: str) -> int:
        self.ask("POST", f"/{index}/_refresh")
        return self.ask("GET", f"/{index}/_count")["count"]

    def documents(self, index: str, **terms: object) -> Iterator[tuple[str, dict]]:
        """(id, source) of all that match; a dot of a field name is written __ here."""
        wanted = [
            {"term": {name.replace("__", "."): value}} for name, value in terms.items()
        ]
        query = {"size": 2000, "query": {"bool": {"filter": wanted}}}
        for hit in self.hits(index, query):
            yield hit["_id"], hit["_source"]

    def ids(self, index: str) -> Iterator[str]:
        """Of all documents, each as often as it is stored."""
        query = {"size": 10000, "_source": False, "sort": ["_doc"]}
        return (hit["_id"] for hit in self.hits(index, query))

    def hits(self, index: str, query: dict) -> Iterator[dict]:
        self.ask("POST", f"/{index}/_refresh")
        page = self.ask("POST", f"/{index}/_search?scroll=1m", query)
        while page["hits"]["hits"]:
            yield from page["hits"]["hits"]
            page = self.ask(
                "POST",
                "/_search/scroll",
                {"scroll": "1m", "scroll_id": page["_scroll_id"]},
            )
        self.ask("DELETE", "/_search/scroll", {"scroll_id": page["_scroll_id"]})
