# SPDX-License-Identifier: Apache-2.0
"""Writes an audit log as kube-apiserver does: its lines, its rotation.

Lines are made, the same for the same seed; each has a sequence number in the
name of its object, `e2e-00000042`, by which sequence() finds it again, and an
id, a time and an index that document_of() and friends work out on their own
from what DESIGN says rather than from what the agent does.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import random
import re
import shutil
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Iterable

START = datetime(2026, 11, 23, 17, 0, 0, 123456, tzinfo=timezone.utc)
HEAD = b'{"kind":"Event","apiVersion":"audit.k8s.io/v1",'
# Not the end of a UUID, which may be ...-8e2e-34152176...
SEQUENCE = re.compile(rb"(?<![0-9a-f])e2e-(\d{8})(?!\d)")
# The field an event is filed under; absent or null where the zero time is.
EVENT_TIME = re.compile(rb'"stageTimestamp":"([^"]+)"')

USERS = ("system:kube-scheduler", "system:serviceaccount:kube-system:job-controller",
         "kubernetes-admin", "jai", "veeru", "system:node:node-a")
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
RESOURCES = ("configmaps", "pods", "secrets", "leases", "serviceaccounts")
# What Go's encoder writes: HTML escapes, raw UTF-8, short escapes.
ODDITIES = (r"a\u003cb\u003e\u0026c", "naïve – 東京 🦀", r"line\nbreak\ttab",
            r"quote\"back\\slash", r"\u2028", "", "plain", r"\u0000", r"\ufffd")


def make_line(seq: int, seed: int = 1, at: datetime | None = None,
              pad: int = 0) -> bytes:
    """One event, without newline. `pad` bytes more go into its body."""
    r = random.Random(seed * 1_000_003 + seq)
    at = at or START + timedelta(microseconds=1370 * seq + r.randrange(900))
    name = f"e2e-{seq:08d}"
    verb, resource = r.choice(VERBS), r.choice(RESOURCES)
    user, odd = r.choice(USERS), r.choice(ODDITIES)
    namespace = f"ns-{r.randrange(9)}"
    bodies = pad or r.random() < 0.3
    level = "RequestResponse" if bodies else "Metadata"
    received = r.random() < 0.4 and not bodies
    stage = "RequestReceived" if received else "ResponseComplete"
    audit_id = "%08x-%04x-4%03x-8%03x-%012x" % (
        r.getrandbits(32), r.getrandbits(16), r.getrandbits(12), r.getrandbits(12),
        r.getrandbits(48))
    t0 = at if received else at - timedelta(microseconds=r.randrange(5000))
    text = (
        f'"level":"{level}","auditID":"{audit_id}","stage":"{stage}",'
        f'"requestURI":"/api/v1/namespaces/{namespace}/{resource}/{name}'
        f'?fieldManager={odd if odd.isascii() else "x"}\\u0026timeout=20s",'
        f'"verb":"{verb}","user":{{"username":"{user}","groups":["system:masters",'
        f'"system:authenticated"],"extra":{{"authentication.kubernetes.io/'
        f'credential-id":["X509SHA256={r.getrandbits(256):064x}"]}}}},'
        f'"sourceIPs":["127.0.0.1"],"userAgent":"kubectl/v1.34.0 (linux/amd64) '
        f'kubernetes/f28b4c9","objectRef":{{"resource":"{resource}",'
        f'"namespace":"{namespace}","name":"{name}","apiVersion":"v1"}},'
    )
    if not received:
        code = r.choice((200, 200, 200, 201, 404, 403))
        text += f'"responseStatus":{{"metadata":{{}},"code":{code}}},'
    if bodies:
        body = (f'{{"kind":"ConfigMap","apiVersion":"v1","metadata":{{"name":"{name}",'
                f'"resourceVersion":"{r.randrange(10**6)}"}},"data":{{"value":"{odd}'
                f'{"x" * (pad or r.randrange(600))}","n":1.50E+2,"deep":[[{{}}]]}}}}')
        text += f'"requestObject":{body},'
        text += f'"responseObject":{{"kind":"Status","was":"{name}","ok":[1,2.0]}},'
    text += (f'"requestReceivedTimestamp":"{stamp(t0)}",'
             f'"stageTimestamp":"{stamp(at)}"')
    if not received:
        text += (',"annotations":{"authorization.k8s.io/decision":"allow",'
                 '"authorization.k8s.io/reason":""}')
    return HEAD + text.encode() + b"}"


def stamp(t: datetime) -> str:
    return t.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"


def sequence(line: bytes) -> int:
    m = SEQUENCE.search(line)
    assert m, f"no sequence number in {line[:200]!r}"
    return int(m[1])


def sequences(lines: Iterable[bytes]) -> list[int]:
    return [sequence(line) for line in lines]


# -- what must become of a line in a search server ------------------------------


def time_text(line: bytes) -> str:
    return EVENT_TIME.search(line)[1].decode()


def id_of(line: bytes) -> str:
    """12 hex digits of the time in ms, then the first 22 characters of the base64url
    of the SHA-256 from `"level"` on."""
    t = datetime.strptime(time_text(line), "%Y-%m-%dT%H:%M:%S.%fZ")
    ms = int(t.replace(tzinfo=timezone.utc).timestamp() * 1000 + 1e-6)
    identity = line[line.index(b'"level"'):line.rindex(b"}") + 1]
    digest = base64.urlsafe_b64encode(hashlib.sha256(identity).digest())
    return f"{ms:012x}" + digest[:22].decode()


def document_of(line: bytes) -> bytes:
    return b'{"@timestamp":"%b",' % time_text(line).encode() + line[1:]


def index_of(line: bytes, pattern: str = "auditing-%Y.%m.%d") -> str:
    return datetime.strptime(time_text(line)[:10], "%Y-%m-%d").strftime(pattern)


# -- the writer -------------------------------------------------------------------


def gzip_file(path: Path, keep: bool = False) -> Path:
    """As lumberjack and gzip do: X.gz beside X, with its times, then X is gone."""
    gz, st = path.with_name(path.name + ".gz"), path.stat()
    gz.write_bytes(gzip.compress(path.read_bytes(), 1))
    gz.chmod(st.st_mode & 0o777)
    os.utime(gz, ns=(st.st_atime_ns, st.st_mtime_ns))
    if not keep:
        path.unlink()
    return gz


class AuditLog:
    """The API server's end of a log file: append, rotate, die, come back."""

    def __init__(self, path: Path, seed: int = 1, create: bool = True) -> None:
        self.path = Path(path)
        self.seed = seed
        self.lines: list[bytes] = []        # every whole event, in order
        self.rotated: list[Path] = []
        self.next_seq = 0
        self.fd = -1
        self._last_name_ms = 0
        self._partial = b""
        if create:
            self.open()

    def open(self) -> None:
        """As at the start of an API server: appends to what there is."""
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    def make(self, **kw) -> bytes:
        line = make_line(self.next_seq, self.seed, **kw)
        self.next_seq += 1
        return line

    def append(self, n: int = 1, **kw) -> list[bytes]:
        """n more events, each by one write(2)."""
        new = [self.make(**kw) for _ in range(n)]
        for line in new:
            self.write(line + b"\n")
        self.lines += new
        return new

    def append_at_once(self, n: int, **kw) -> list[bytes]:
        """The same by one write, for tests that want many."""
        new = [self.make(**kw) for _ in range(n)]
        self.write(b"\n".join(new) + b"\n")
        self.lines += new
        return new

    def write(self, raw: bytes) -> None:
        """Any bytes; not counted among the lines."""
        view = memoryview(raw)
        while view:
            view = view[os.write(self.fd, view):]

    def begin_line(self, upto: int | None = None) -> bytes:
        """The first part of an event; finish_line() writes the rest."""
        line = self.make()
        cut = len(line) // 2 if upto is None else upto
        self.write(line[:cut])
        self._partial = line[cut:]
        self._begun = line
        return line

    def finish_line(self) -> bytes:
        self.write(self._partial + b"\n")
        self.lines.append(self._begun)
        self._partial = b""
        return self._begun

    def rotate(self) -> Path:
        """Close, rename, create twice, as lumberjack was seen to do."""
        self.close()
        to = self.rotated_name()
        os.rename(self.path, to)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        mode = to.stat().st_mode & 0o777
        os.close(os.open(self.path, flags, mode))
        self.fd = os.open(self.path, flags, mode)       # without O_APPEND
        self.rotated.append(to)
        return to

    def rotated_name(self) -> Path:
        """NAME-<UTC, ms>EXT; never twice the same, as it would overwrite."""
        now = datetime.now(timezone.utc)
        ms = max(int(now.timestamp() * 1000), self._last_name_ms + 1)
        self._last_name_ms = ms
        t = datetime.fromtimestamp(ms / 1000, timezone.utc)
        text = t.strftime("%Y-%m-%dT%H-%M-%S.") + f"{ms % 1000:03d}"
        return self.path.with_name(f"{self.path.stem}-{text}{self.path.suffix}")

    def logrotate(self, copy: bool = False, compress: str = "") -> Path:
        """As logrotate does: NAME.1 becomes NAME.2 and so on, then the log NAME.1,
        by its name or, `copy`, as a copy of what is then cut off. The writer keeps
        the file it has; reopen() is its own business. compress: "now", or "later":
        with delaycompress all but NAME.1."""
        name = self.path.name
        old = [(int(p.name[len(name) + 1:].split(".")[0]), p)
               for p in self.path.parent.glob(f"{name}.[0-9]*")]
        for n, p in sorted(old, reverse=True):
            gz = ".gz" if p.suffix == ".gz" else ""
            p.rename(p.with_name(f"{name}.{n + 1}{gz}"))
        first = self.path.with_name(f"{name}.1")
        if copy:
            shutil.copyfile(self.path, first)
            os.truncate(self.path, 0)
        else:
            os.rename(self.path, first)
        if compress:
            late = self.path.with_name(name + (".1" if compress == "now" else ".2"))
            if late.exists():
                gzip_file(late)
        return first

    def reopen(self) -> None:
        self.close()
        self.open()

    def text(self) -> bytes:
        """All whole events as one file would hold them."""
        return b"".join(line + b"\n" for line in self.lines)
