# SPDX-License-Identifier: Apache-2.0
"""The API server's own habits with its audit log, each seen on a real one: it rotates
and compresses under load, is killed and comes back, and names files in UTC.

Nothing here needs a search server: tallyman writes a file, and what that must be is
the API server's files themselves, one after the other.
"""

import gzip
import json
import os
import re
import signal
import stat
import subprocess
from pathlib import Path

from agent import Agent
from server import HERE, script
from waiting import require, wait_until

GROUP, MODE = 4, 0o640      # not root's own, as logs often are
TIME = re.compile(r"audit-(\d{4}-\d\d-\d\dT\d\d)-.*\.log(\.gz)?")
# As much as kube-apiserver may write in a line, by --audit-log-maxsize 1.
MAX_LINE = 1 << 20


class Habits:
    def __init__(self, home: Path) -> None:
        self.home = home
        self.cluster = home / "cluster"
        self.log = home / "log/audit.log"
        self.archive = home / "archive.log"
        self.agent: Agent | None = None

    # -- the API server ----------------------------------------------------------

    def start_server(self) -> None:
        script("apiserver", "start", "--alone", "--compress", "--dir", self.cluster,
               "--audit-log", self.log, "--maxsize", 1, "--maxbackup", 1000)

    def burst(self, seconds: int, size: int = 4000) -> None:
        script("apiserver", "burst", "--dir", self.cluster, "--rate", 200,
               "--seconds", seconds, "--bytes", size)

    def files(self) -> list[Path]:
        """Oldest first; a file and the .gz that is being made of it are one."""
        found = {}
        for path in self.log.parent.iterdir():
            if TIME.fullmatch(path.name):
                key = path.name.removesuffix(".gz")
                found[key] = min(path, found.get(key, path), key=lambda p: len(p.name))
        return [found[key] for key in sorted(found)] + [self.log]

    def text(self) -> list[bytes]:
        return [gzip.decompress(p.read_bytes()) if p.suffix == ".gz" else p.read_bytes()
                for p in self.files()]

    def lines(self) -> list[bytes]:
        """What can be delivered: every line that is whole."""
        return [line for text in self.text() for line in text.splitlines(keepends=True)
                if line.endswith(b"}\n") and is_json(line)]

    # -- tallyman ------------------------------------------------------------------

    def start_agent(self) -> None:
        if self.agent is None:
            outputs = {"archive": {"type": "file", "path": self.archive}}
            self.agent = Agent(self.home, self.log, outputs)
        self.agent.start()

    def compare(self) -> str:
        """Once compressing is over, the output is the files, one after the other."""
        def is_at_rest() -> bool:
            names = {p.name for p in self.log.parent.iterdir()}
            return not any(name + ".gz" in names or TIME.fullmatch(name)
                           and not name.endswith(".gz") for name in names)

        wait_until("every rotated file is compressed", is_at_rest, 60)
        want = b"".join(self.lines())
        wait_until("the output has it all",
                   lambda: self.archive.stat().st_size >= len(want), 60)
        got = self.archive.read_bytes()
        require(got == want, f"the output is not the log: {len(got)} bytes of {len(want)}, "
                f"{difference(got, want)}")
        return f"events={want.count(bytes([10]))} missing=0 repeated=0"

    # -- one after the other -------------------------------------------------------

    def rotation(self) -> str:
        """Under load, with tallyman there, not there, and there again."""
        os.environ["TZ"] = "Asia/Kolkata"
        self.log.parent.mkdir(parents=True)
        self.log.touch()
        os.chown(self.log, -1, GROUP if os.geteuid() == 0 else -1)
        self.log.chmod(MODE)
        self.start_agent()
        self.start_server()
        self.burst(6)
        self.agent.stop()
        self.burst(6)
        self.start_agent()
        self.burst(4)
        rotated = len(self.files()) - 1
        require(rotated >= 5, f"only {rotated} rotations")
        return f"{self.compare()} rotations={rotated}"

    def names(self) -> str:
        zone = subprocess.run(["date", "-u", "+%Y-%m-%dT%H"], capture_output=True,
                              text=True, check=True).stdout.strip()
        hours = {TIME.fullmatch(p.name)[1] for p in self.files()[:-1]}
        require(any(hour[:10] == zone[:10] for hour in hours) and max(hours) <= zone,
                f"files are named {sorted(hours)}, and it is {zone} in UTC")
        return f"in UTC under TZ={os.environ['TZ']}: {max(hours)}"

    def rights(self) -> str:
        """A new file has the mode and the group of the one before."""
        if os.geteuid() != 0:
            return "the group is left out: not root"
        for path in self.files():
            st = path.stat()
            require((stat.S_IMODE(st.st_mode), st.st_gid) == (MODE, GROUP),
                    f"{path.name} is {stat.S_IMODE(st.st_mode):o} of group {st.st_gid}")
        return f"mode {MODE:o}, group {GROUP}: in all {len(self.files())} files"

    def killed(self) -> str:
        """SIGKILL while it writes; it comes back and appends to what is there."""
        for _ in range(3):
            inode = self.log.stat().st_ino
            with subprocess.Popen(
                    [HERE / "apiserver", "burst", "--dir", self.cluster, "--rate", "200",
                     "--seconds", "20", "--bytes", "4000"], start_new_session=True,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as load:
                before = self.log.stat().st_size
                wait_until("it writes", lambda: self.log.stat().st_size > before
                           or self.log.stat().st_ino != inode)
                script("apiserver", "stop", "--kill", "--dir", self.cluster)
                os.killpg(load.pid, signal.SIGTERM)
                load.wait()
            inode, size = self.log.stat().st_ino, self.log.stat().st_size
            self.start_server()
            require(self.log.stat().st_ino != inode or self.log.stat().st_size > size,
                    "it does not append")
        torn = sum(not is_json(line) for text in self.text()
                   for line in text.splitlines())
        self.burst(2)
        return f"{self.compare()} kills=3 half_lines={torn}"

    def too_long(self) -> str:
        """A line of more than maxsize is never written, and says so itself."""
        data = self.home / "quotes"
        data.write_text('"' * 700_000)
        script("apiserver", "kubectl", "--dir", self.cluster, "create", "configmap",
               "quotes", f"--from-file={data}")
        said = (self.cluster / "log/apiserver.log").read_text(errors="replace")
        require("exceeds maximum" in said or "exceeds max" in said,
                "the API server does not say that a line is too long")
        require(max(map(len, self.lines())) <= MAX_LINE, "there is a longer line")
        require(not any(b'"name":"quotes"' in line and b'"ResponseComplete"' in line
                        for line in self.lines()), "the line was written")
        return f"{self.compare()}; a line of 1.4 MB was not written"

    def order(self) -> str:
        """Events are written as they end, not by their time; nobody sorts them."""
        times = [json.loads(line)["stageTimestamp"] for line in self.lines()]
        late = sum(a > b for a, b in zip(times, times[1:]))
        require(late > 0, "all lines are in the order of their times")
        return f"{late} of {len(times)} lines are before an earlier one, in the output too"

    all = ("rotation", "names", "rights", "killed", "too_long", "order")

    def close(self) -> None:
        os.environ.pop("TZ", None)
        if self.agent:
            self.agent.kill()
        if self.cluster.exists():
            script("apiserver", "stop", "--dir", self.cluster)


def is_json(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def difference(got: bytes, want: bytes) -> str:
    a, b = got.splitlines(), want.splitlines()
    at = next((i for i, (x, y) in enumerate(zip(a, b)) if x != y), min(len(a), len(b)))
    return f"line {at} of {len(a)} and {len(b)} is another: {a[at:at + 1]!r:.200}"
