# SPDX-License-Identifier: Apache-2.0
"""The API server's own habits with its audit log, each seen on a real one.

tallyman writes a file here, so no search server is needed: what that file must be is
the lines of the API server's own files, one after the other, byte for byte.
"""

import gzip
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import stat
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path

import auditlog
from agent import Agent
from scenarios import dead_letters
from server import script
from waiting import Failed, Skipped, require, wait_until

# Building it takes minutes on two cores, once.
BUILD_SECONDS = 1800
# Five and a half hours from UTC: no hour of the one could pass for one of the other.
ZONE, ZONE_HOURS = "Asia/Kolkata", 5.5
# Someone gave the log to a group that may read it, once.
MODE = 0o640
MIB = 1 << 20
# In a name each becomes six bytes, in the URI and again in objectRef and the message.
ESCAPED = "<"
# How often a kill may come too early or too late to leave half a line.
KILLS = 20


class Habits:
    """In the order of `all`; `names`, `rights` and `order` look at what came before."""

    all = ("rotation", "names", "rights", "order", "too_long", "killed", "cut_off")

    def __init__(self, home: Path):
        self.home = home
        self.cluster = home / "cluster"
        self.log = home / "log/audit.log"
        self.archive = home / "archive.log"
        self.group = next((g for g in group_ids() if g != os.getegid()), os.getegid())
        self.agent: Agent | None = None
        self.pool = ThreadPoolExecutor()

    def start(self) -> None:
        """Only that it can be had."""
        script("apiserver", "build", seconds=BUILD_SECONDS)
        self.log.parent.mkdir(parents=True)
        self.log.touch()
        os.chown(self.log, -1, self.group)
        self.log.chmod(MODE)
        archive = {"type": "file", "path": self.archive}
        self.agent = Agent(self.home, self.log, {"archive": archive})
        # Of both of them.
        os.environ["TZ"] = ZONE

    # -- the API server ------------------------------------------------------------

    def serve(self, mib: int) -> None:
        script(
            *("apiserver", "start", "--alone", "--dir", self.cluster),
            *("--audit-log", self.log, "--compress"),
            *("--maxsize", mib, "--maxbackup", 1000),
        )

    def end(self) -> None:
        """Its files are final."""
        script("apiserver", "stop", "--dir", self.cluster)

    def load(self, seconds: int, size: int = 4096) -> str:
        """About a MiB of log per second by 4096."""
        return script(
            *("apiserver", "burst", "--dir", self.cluster, "--rate", 200),
            *("--seconds", seconds, "--bytes", size),
        )

    def ask(self, name: str) -> bytes:
        """For a config map of that name, as nobody: over TLS, without a certificate."""
        port = int((self.cluster / "ports").read_text().split()[0])
        context = ssl.create_default_context(cafile=self.cluster / "pki/ca.crt")
        request = f"GET /api/v1/namespaces/default/configmaps/{name} HTTP/1.1\r\n"
        request += "Host: localhost\r\nConnection: close\r\n\r\n"
        with socket.create_connection(("127.0.0.1", port), timeout=60) as plain:
            with context.wrap_socket(plain, server_hostname="localhost") as tls:
                tls.sendall(request.encode())
                return tls.recv(64)

    def metric(self, name: str) -> int:
        """0 where it does not count such a thing yet."""
        text = script(
            *("apiserver", "kubectl", "--dir", self.cluster, "get", "--raw", "/metrics")
        )
        found = re.search(rf"^{re.escape(name)} (\S+)$", text, re.M)
        return int(float(found[1])) if found else 0

    def said(self, pattern: str) -> list[str]:
        text = (self.cluster / "log/apiserver.log").read_text(errors="replace")
        return re.findall(pattern, text)

    # -- what is true --------------------------------------------------------------

    def texts(self) -> list[bytes]:
        """Of every file of the chain."""
        found: list[bytes] = []
        for path in auditlog.chain(self.log):
            text = path.read_bytes()
            found.append(gzip.decompress(text) if path.suffix == ".gz" else text)
        return found

    def lines(self) -> list[bytes]:
        """Of every file of the chain; half a line is without its newline."""
        return [
            part
            for text in self.texts()
            for line in text.splitlines(keepends=True)
            for part in parts(line)
        ]

    def rotations(self) -> int:
        return len(auditlog.chain(self.log)) - 1

    def follow(self) -> None:
        """Also where the scenario before has failed."""
        self.agent.kill()
        self.agent.start()

    def wait_rotations(self, more: int) -> None:
        want = self.rotations() + more
        wait_until(f"{more} more rotations", lambda: self.rotations() >= want)

    def compare(self) -> str:
        """After `end`: every line that is an event, once, in its place, and every other
        one among the dead letters, once."""
        lines = self.lines()
        events = [line for line in lines if is_event(line)]
        torn = [line.rstrip(b"\n") for line in lines if not is_event(line)]
        want = b"".join(events)
        wait_until(
            "the output has every event",
            lambda: self.archive.exists() and self.archive.stat().st_size >= len(want),
        )
        wait_until(
            "half lines are dead letters",
            lambda: len(dead_letters(self.agent, "archive")) >= len(torn),
        )
        self.agent.stop()
        got = self.archive.read_bytes()
        require(got == want, difference(got.splitlines(True), events))
        letters = dead_letters(self.agent, "archive")
        require(
            [(d["length"], d["sha256"]) for d in letters]
            == [(len(line), hashlib.sha256(line).hexdigest()) for line in torn]
            and all(d["reason"] and d["kind"] == "quarantined" for d in letters),
            f"dead letters: {letters}, for lines of {[len(line) for line in torn]}",
        )
        return f"events={len(events)} missing=0 repeated=0 dead_letters={len(torn)}"

    # -- the scenarios -------------------------------------------------------------

    def rotation(self) -> str:
        """Under load, compressing: tallyman is there, stopped, killed, there again."""
        self.follow()
        self.serve(1)
        self.load(4)
        self.agent.stop()
        self.load(4)
        self.agent.start()
        load = self.pool.submit(self.load, 12)
        self.wait_rotations(2)
        self.agent.kill()
        self.wait_rotations(3)
        self.agent.start()
        load.result()
        written = self.metric("apiserver_audit_event_total")
        require(not self.metric('apiserver_audit_error_total{plugin="log"}'), "lost")
        self.end()
        lines = self.lines()
        require(len(lines) >= written, f"{len(lines)} lines of {written} events")
        require(len(set(lines)) == len(lines), "a line is there twice")
        packed = sum(p.suffix == ".gz" for p in auditlog.chain(self.log))
        require(packed >= 10, f"{packed} compressed files of {self.rotations()}")
        return f"{self.compare()} rotations={self.rotations()} compressed={packed}"

    def names(self) -> str:
        now = datetime.now(timezone.utc)
        # That it knows of the zone at all: the hours of its own log are of there.
        hour, minute = map(int, self.said(r"(?m)^I\d{4} (\d\d):(\d\d)")[-1])
        here = now.hour * 60 + now.minute
        behind = (hour * 60 + minute - here) % 1440
        require(
            ZONE_HOURS * 60 - 10 <= behind <= ZONE_HOURS * 60,
            f"its own log is {behind} minutes from UTC, so TZ={ZONE} is not in force",
        )
        for path in auditlog.chain(self.log)[:-1]:
            made = datetime.strptime(
                path.name[6:29] + "+0000", "%Y-%m-%dT%H-%M-%S.%f%z"
            )
            age = (now - made).total_seconds()
            require(0 <= age < 1800, f"{path.name} is not named in UTC, now {now}")
        return f"{self.rotations()} names in UTC, under TZ={ZONE}"

    def rights(self) -> str:
        """Of the file that was there before the API server, all that came after."""
        for path in auditlog.chain(self.log):
            found = path.stat()
            require(
                stat.S_IMODE(found.st_mode) == MODE and found.st_gid == self.group,
                f"{path.name} has mode {found.st_mode:o}, group {found.st_gid}",
            )
        whose = "another group" if self.group != os.getegid() else "own group, not root"
        return f"mode {MODE:o} and {whose} in {self.rotations() + 1} files"

    def order(self) -> str:
        """Lines are not in the order of their time; the output has the file's order."""
        times = [
            datetime.fromisoformat(json.loads(line)["stageTimestamp"])
            for line in self.archive.read_bytes().splitlines()
        ]
        late, worst, last = 0, 0.0, times[0]
        for time in times:
            late += time < last
            worst = max(worst, (last - time).total_seconds())
            last = max(last, time)
        if not late:
            raise Skipped(f"none of {len(times)} lines came late on this machine")
        return f"{late} of {len(times)} lines late, by {1000 * worst:.0f} ms at most"

    def too_long(self) -> str:
        """A line longer than the file may be: the API server says so, and drops it."""
        self.follow()
        self.serve(1)
        require(b" 403 " in self.ask(ESCAPED * 300_000), "it is not denied")
        self.load(2)
        lost = self.metric('apiserver_audit_error_total{plugin="log"}')
        written = self.metric("apiserver_audit_event_total")
        self.end()
        text = self.compare()
        said = self.said(r"write length (\d+) exceeds maximum file size")
        require(lost == 2 and len(said) == 2, f"{lost} events lost, said of {said}")
        require(min(map(int, said)) > MIB, f"lines of {said} bytes")
        require(max(map(len, self.lines())) <= MIB, "a longer line is in the log")
        return f"{text}; 2 of {written} events, {' and '.join(said)} bytes, never written"

    def killed(self) -> str:
        """Half a line is in the middle: the API server goes on behind it."""
        self.follow()
        kills = self.cut_a_line()
        before = self.log.stat()
        self.serve(100)
        self.load(2)
        self.end()
        after = self.log.stat()
        require(
            after.st_ino == before.st_ino and after.st_size > before.st_size,
            "it did not append to the file that was there",
        )
        lines = self.lines()
        half = [line for line in lines if not is_event(line)]
        require(len(half) == 1 and half[0] != lines[-1], "no half line inside")
        require(half[0][-1:] != b"\n", "nothing was appended to the half line")
        return f"{self.compare()}; half a line of {len(half[0])} bytes, {kills} kills"

    def cut_off(self) -> str:
        """Half a line is the last: the file is full, the API server begins another."""
        self.follow()
        kills = self.cut_a_line()
        before = self.log.stat()
        self.serve(1)
        self.load(2)
        self.end()
        require(self.log.stat().st_ino != before.st_ino, "it did not rotate")
        half = [end for text in self.texts() if (end := text[text.rfind(b"\n") + 1 :])]
        require(len(half) == 1, "no half line at an end")
        return f"{self.compare()}; half a line of {len(half[0])} bytes, {kills} kills"

    # -- the kill ------------------------------------------------------------------

    def cut_a_line(self) -> int:
        """SIGKILL under load, in the middle of a write of 9 MB. How often it took."""
        for kills in range(1, KILLS + 1):
            self.serve(100)
            load = self.pool.submit(self.load, 2, 512)
            request = self.pool.submit(self.ask, ESCAPED * 1_000_000)
            self.kill_while_writing()
            for future in (load, request):
                wait_for(future)
            with self.log.open("rb") as log:
                log.seek(-1, os.SEEK_END)
                if log.read() != b"\n":
                    return kills
        raise Failed(f"{KILLS} kills and no half line")

    def kill_while_writing(self) -> None:
        pid = int((self.cluster / "pid/apiserver").read_text().split()[0])
        with self.log.open("rb") as log:
            last = os.fstat(log.fileno()).st_size

            def leapt() -> bool:
                """In a turn of this loop, by more than any other event has."""
                nonlocal last
                for _ in range(100_000):
                    size = os.fstat(log.fileno()).st_size
                    if size - last > MIB / 8:
                        return True
                    last = size
                return False

            wait_until("the long line is being written", leapt)
        os.kill(pid, signal.SIGKILL)

    def close(self) -> None:
        if self.agent:
            self.agent.kill()
        if self.cluster.exists():
            script("apiserver", "stop", "--dir", self.cluster)
        self.pool.shutdown()
        os.environ.pop("TZ", None)


def group_ids() -> list[int]:
    """Groups that a file of ours may be given to."""
    return [4] if os.geteuid() == 0 else os.getgroups()


def wait_for(future: Future) -> None:
    """Until it is over; what it has come to is not asked, as its server was killed."""
    future.exception(60)


def is_event(line: bytes) -> bool:
    try:
        return line.endswith(b"\n") and "auditID" in json.loads(line)
    except ValueError:
        return False


def parts(line: bytes) -> list[bytes]:
    """An event that was appended to half of another is a line of its own."""
    at = line.rfind(b'{"kind":"Event","apiVersion":"audit.k8s.io/')
    if at > 0 and not is_event(line) and is_event(line[at:]):
        return [line[:at], line[at:]]
    return [line]


def difference(got: list[bytes], want: list[bytes]) -> str:
    at = next((i for i, (g, w) in enumerate(zip(got, want)) if g != w), len(want))
    return (
        f"events={len(want)} missing={len(set(want) - set(got))} "
        f"repeated={len(got) - len(set(got))}: line {at} of the output differs"
    )
