# SPDX-License-Identifier: Apache-2.0
"""A log that grows at a pace: numbered events, rotated as kube-apiserver does."""

import json
import threading
import time
from datetime import datetime, timezone
from pathlib import Path

from auditlog import key_of_line
from waiting import require

ROTATE_BYTES = 16 << 20
TICK_SECONDS = 0.02


def stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%S.%fZ"
    )


def event(n: int, now: float) -> bytes:
    """A line as kube-apiserver 1.34 writes it at level Metadata, some 700 bytes."""
    body = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"live-{n:09d}",
        "stage": "ResponseComplete",
        "requestURI": f"/api/v1/namespaces/load/configmaps/c{n}",
        "verb": ("create", "get", "update", "delete")[n % 4],
        "user": {
            "username": f"user-{n % 7}",
            "groups": ["system:authenticated", "load"],
        },
        "sourceIPs": ["127.0.0.1"],
        "userAgent": "kubectl/v1.34.0 (linux/amd64) kubernetes/1234567",
        "objectRef": {
            "resource": "configmaps",
            "namespace": "load",
            "name": f"c{n}",
            "apiVersion": "v1",
        },
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": stamp(now - 0.003),
        "stageTimestamp": stamp(now),
        "annotations": {
            "authorization.k8s.io/decision": "allow",
            "authorization.k8s.io/reason": "",
        },
    }
    return json.dumps(body, separators=(",", ":")).encode() + b"\n"


class Load:
    """Writes on a thread of its own until stop(); knows the key of every event."""

    def __init__(self, log: Path, rate: int):
        self.log, self.rate = log, rate
        self.keys: set[str] = set()
        self.written = self.rotations = 0
        self.file = log.open("ab", buffering=0)
        self.ends = threading.Event()
        self.failed: BaseException | None = None
        self.thread = threading.Thread(target=self.run, daemon=True)

    def start(self) -> "Load":
        self.thread.start()
        return self

    def write(self, count: int) -> None:
        now = time.time()
        for n in range(self.written, self.written + count):
            line = event(n, now)
            self.file.write(line)
            self.keys.add(key_of_line(line[:-1]))
        self.written += count
        if self.file.tell() >= ROTATE_BYTES:
            self.rotate()

    def rotate(self) -> None:
        self.file.close()
        name = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H-%M-%S.%f")[:-3]
        self.log.rename(self.log.with_name(f"{self.log.stem}-{name}{self.log.suffix}"))
        self.file = self.log.open("ab", buffering=0)
        self.rotations += 1

    def run(self) -> None:
        started = time.monotonic()
        try:
            while not self.ends.is_set():
                due = int((time.monotonic() - started) * self.rate) - self.written
                self.write(min(due, self.rate))
                self.ends.wait(TICK_SECONDS)
        except BaseException as why:
            self.failed = why

    def stop(self) -> int:
        """How many there are in all."""
        self.ends.set()
        self.thread.join()
        self.file.close()
        require(self.failed is None, f"the load ended: {self.failed!r}")
        return self.written
