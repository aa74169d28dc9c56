# SPDX-License-Identifier: Apache-2.0
"""A forward proxy: CONNECT for https, absolute addresses for http. It writes down
what it saw, for a test to ask whether a secret was among it."""

from __future__ import annotations

import base64
import select
import socket
import socketserver
import threading
from urllib.parse import urlsplit


class Proxy:
    def __init__(self, basic: tuple[str, str] | None = None) -> None:
        self.basic = basic
        self.connects: list[str] = []       # "host:port"
        self.forwards: list[str] = []       # addresses
        self.heads: list[bytes] = []        # each request's head, as it came
        self.refused = 0
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.proxy = self
        self.port = self._server.server_address[1]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> "Proxy":
        threading.Thread(target=self._server.serve_forever, args=(0.02,),
                         daemon=True).start()
        return self

    def __exit__(self, *exc) -> None:
        self._server.shutdown()
        self._server.server_close()

    def lets_in(self, head: bytes) -> bool:
        if self.basic is None:
            return True
        pair = base64.b64encode(":".join(self.basic).encode())
        return b"\r\nproxy-authorization: basic " + pair.lower() in head.lower()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    block_on_close = False
    proxy: Proxy

    def handle_error(self, request, client_address) -> None:
        pass        # a client that went away


class _Handler(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        proxy = self.server.proxy
        head = self.read_head()
        if not head:
            return
        proxy.heads.append(head)
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if not proxy.lets_in(head):
            proxy.refused += 1
            self.request.sendall(
                b"HTTP/1.1 407 Proxy Authentication Required\r\n"
                b'Proxy-Authenticate: Basic realm="x"\r\nContent-Length: 0\r\n'
                b"Connection: close\r\n\r\n")
            return
        if method == "CONNECT":
            host, port = target.rsplit(":", 1)
            proxy.connects.append(target)
            with socket.create_connection((host, int(port)), 10) as far:
                self.request.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                self.pump(far)
        else:
            url = urlsplit(target)
            proxy.forwards.append(target)
            with socket.create_connection((url.hostname, url.port), 10) as far:
                path = target[target.index(url.netloc) + len(url.netloc):] or "/"
                first, rest = head.split(b"\r\n", 1)
                far.sendall(b"%s %s HTTP/1.1\r\n" % (method.encode(), path.encode())
                            + rest + self.rest)
                self.pump(far)

    def read_head(self) -> bytes:
        """Up to the empty line; what came behind it is in self.rest."""
        got = b""
        while b"\r\n\r\n" not in got:
            more = self.request.recv(65536)
            if not more:
                return b""
            got += more
        head, self.rest = got.split(b"\r\n\r\n", 1)
        return head + b"\r\n\r\n"

    def pump(self, far: socket.socket) -> None:
        """Both ways until one side ends. A kept connection to http goes to the one
        host there is; the address in further heads is no matter to the server."""
        while True:
            ready, _, _ = select.select([self.request, far], [], [])
            for s in ready:
                data = s.recv(65536)
                if not data:
                    return
                (far if s is self.request else self.request).sendall(data)
