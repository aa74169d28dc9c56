# SPDX-License-Identifier: Apache-2.0
"""A network that misbehaves: a relay between tallyman and one server, with a seed.

Connections are reset, cut within a request or an answer, kept waiting, and passed on
in crumbs. What a fault did is counted; `calm()` ends them all.
"""

import random
import socket
import struct
import threading
import time
from collections import Counter

CHUNK = 64 << 10
ENDLESS = 1 << 62


def reset(sock: socket.socket) -> None:
    """So that its peer gets a reset, not an end."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.shutdown(socket.SHUT_RD)
    except OSError:
        pass
    sock.close()


class Network:
    FAULTS = ("delay", "crumbs", "cut_request", "cut_answer", "reset")

    def __init__(self, server_url: str, seed: int):
        host, _, port = server_url.rpartition("//")[2].partition(":")
        self.server = (host, int(port))
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.quiet = False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def calm(self) -> None:
        self.quiet = True

    def close(self) -> None:
        self.listener.close()

    def accept(self) -> None:
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.server, timeout=10)
            except OSError:
                reset(near)
                continue
            fault = "calm" if self.quiet else self.random.choice(self.FAULTS)
            self.counts[fault] += 1
            # Every connection ends badly, after so many bytes of that direction.
            requests = self.random.randrange(1, 128 << 10)
            answers = self.random.randrange(1, 4 << 10)
            if fault == "calm" or fault == "cut_answer":
                requests = ENDLESS
            if fault != "cut_answer":
                answers = ENDLESS
            for source, to, limit in ((near, far, requests), (far, near, answers)):
                threading.Thread(
                    target=self.pass_on,
                    args=(source, to, fault, limit),
                    daemon=True,
                ).start()

    def pass_on(
        self, source: socket.socket, to: socket.socket, fault: str, limit: int
    ) -> None:
        try:
            source.settimeout(60)
            while piece := source.recv(CHUNK):
                if fault == "delay":
                    time.sleep(0.02)
                if fault == "crumbs":
                    for i in range(min(200, len(piece))):
                        to.sendall(piece[i : i + 1])
                    piece = piece[200:]
                limit -= len(piece)
                if limit < 0:
                    if fault != "reset":
                        to.sendall(piece[:limit])
                    break
                to.sendall(piece)
            else:
                to.shutdown(socket.SHUT_WR)
                return
        except OSError:
            pass
        reset(source)
        reset(to)
