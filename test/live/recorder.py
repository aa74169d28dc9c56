# SPDX-License-Identifier: Apache-2.0
"""A server that takes every bulk request and keeps its body, so that another client may
send the same bytes to a real one."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Recorder:
    def __init__(self, into: Path):
        into.mkdir()
        self.into = into
        self.count = 0
        self.path = ""  # what was asked for, with its question
        self.lock = threading.Lock()
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.answer({"version": {"number": "3.0.0", "distribution": "opensearch"}})

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                self.answer(recorder.keep(self.path, self.rfile.read(size)))

            def answer(self, said: dict) -> None:
                body = json.dumps(said).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def keep(self, path: str, body: bytes) -> dict:
        with self.lock:
            self.path = path
            name = self.into / f"{self.count:05d}"
            self.count += 1
        name.write_bytes(body)
        items = gzip.decompress(body).count(b"\n") // 2
        return {"errors": False, "items": [{"create": {"status": 201}}] * items}

    def bodies(self) -> list[Path]:
        return sorted(self.into.iterdir())

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
