# SPDX-License-Identifier: Apache-2.0
"""What is done to the agent, its outputs and its disk, and who does it."""

from __future__ import annotations

import collections
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import faults
from agent import READY, SANITIZER, STATE, Agent, assert_balanced, parse_counters
from auditlog import SEQUENCE
from bulk_server import BulkServer
from ledger import LogFile
from plan import Plan, Step
from wait import wait_until
from writer import Writer

QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")
# Above this an overflow would take too long to make.
QUEUE_MOST = 200_000

RESETS = (faults.RESET_BODY, faults.LOST, faults.LOST_RESET, faults.CUT,
          faults.BROKEN_OFF)
UNAVAILABLE = (faults.UNAVAILABLE, faults.BAD_GATEWAY, faults.SERVER_ERROR,
               faults.TOO_MANY, faults.GATEWAY_TIMEOUT)


class Broken(AssertionError):
    """The agent did what it must not do whatever happens."""


class Disk:
    """A small file system, all of which can be taken away. Only root can."""

    def __init__(self, at: Path) -> None:
        self.at, self.filler = at, at / "filler"
        at.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755",
                        "tallyman-storm", at], check=True, capture_output=True)

    def fill(self) -> None:
        with self.filler.open("ab", buffering=0) as f:
            for size in (65536, 4096, 512, 1):
                try:
                    while True:
                        f.write(b"\0" * size)
                except OSError:
                    pass

    def free(self) -> None:
        self.filler.unlink(missing_ok=True)

    def remove(self) -> None:
        subprocess.run(["umount", "-l", self.at], check=False)


def why_no_disk(at: Path) -> str:
    """Empty where a small file system can be had."""
    if os.geteuid() != 0:
        return "only root can mount a small file system"
    try:
        Disk(at).remove()
    except (OSError, subprocess.CalledProcessError) as e:
        stderr = getattr(e, "stderr", None) or b""
        return f"cannot mount a tmpfs: {stderr.decode().strip() or e}"
    finally:
        if at.is_dir():
            at.rmdir()
    return ""


def why_no_overflow() -> str:
    try:
        size = int(QUEUE.read_text())
    except OSError as e:
        return str(e)
    return f"{QUEUE.name} is {size}" if size > QUEUE_MOST else ""


class Sky:
    def __init__(self, plan: Plan, agent: Agent, bulk: BulkServer, archive: Path,
                 disk: Disk | None) -> None:
        self.plan, self.agent, self.bulk = plan, agent, bulk
        self.archive, self.disk = archive, disk
        self.writer: Writer | None = None
        self.counts: collections.Counter[str] = collections.Counter()
        self.steps = collections.deque(plan.of("sky"))
        self.is_busy = False
        self.should_run = False
        self.is_paused = self.is_deaf = self.is_full = False
        self.met_full = False           # the disk was full in this life
        self.bulk_is_up = True
        self.lives = 0
        self.killed: set[int] = set()
        self.cut_short: set[int] = set()    # stopped, and left something behind
        self.shipped: set[int] = set()  # numbers in the bulk server
        self.looked_at = 0

    # -- following the plan ------------------------------------------------------

    def follow(self, base: int) -> None:
        while self.steps and self.wait_count(base + self.steps[0].at):
            self.is_busy = True
            self.take(self.steps.popleft())
            self.is_busy = False
        # One more: by then the writer has done its last step as well.
        self.wait_count(base + self.plan.total + 1)

    def wait_count(self, count: int) -> bool:
        """Until the log has come so far; False if it never will."""
        while self.writer.count < count:
            if not self.writer.is_alive():
                return False
            self.check_alive()
            time.sleep(0.002)           # between two looks
        return True

    def take(self, step: Step) -> None:
        if getattr(self, step.act)(*step.args) is not False and step.kind:
            self.counts[step.kind] += 1

    def has_caught_up(self, at: int) -> bool:
        return not self.is_busy and not (self.steps and self.steps[0].at <= at)

    def heal(self) -> None:
        """The sun comes out."""
        self.heal_output()
        self.free_disk()
        self.resume()
        if not self.should_run:
            self.start(True)
        self.check_alive()
        self.wait_ready()

    # -- the agent ---------------------------------------------------------------

    def check_alive(self) -> None:
        """It never ends by itself, unless it finds no place for its state."""
        a = self.agent
        if not self.should_run or a.is_running():
            return
        code = a.process.returncode
        if code == STATE and self.met_full:
            self.launch()
            return
        raise Broken(f"the agent ended by itself with {code}")

    def launch(self) -> None:
        self.lives += 1
        self.should_run = True
        self.met_full = self.is_full
        self.agent.launch()

    def start(self, and_wait: bool) -> None:
        self.launch()
        if and_wait:
            self.wait_ready()

    def wait_ready(self) -> None:
        a = self.agent

        def look() -> bool:
            self.check_alive()
            # Without a place for its state it may come and go until there is one.
            return bool(READY.search(a.log())) or self.is_full

        wait_until(look, "the agent is ready", 20, a.log)

    def end(self) -> None:
        """What is true whenever it has ended."""
        log = self.agent.log()
        assert_balanced(parse_counters(log))
        if SANITIZER.search(log):
            raise Broken("a sanitizer spoke")

    def kill(self) -> None:
        self.check_alive()
        self.should_run = False
        self.killed.add(self.lives)
        self.agent.kill()
        self.end()

    def term(self) -> None:
        self.wait_ready()
        self.should_run = False
        a = self.agent
        if not a.is_running():
            return
        a.send(signal.SIGTERM)
        code = a.wait_exit(30)
        self.end()
        if ": left behind: " in a.log():
            self.cut_short.add(self.lives)
        # With no room for a checkpoint it can only say so, or not be ready yet.
        allowed = (0, 1, STATE, -signal.SIGTERM) if self.is_full else (0,)
        if code not in allowed:
            raise Broken(f"SIGTERM: exit code {code}")

    def pause(self) -> None:
        self.check_alive()
        self.is_paused = True
        self.agent.send(signal.SIGSTOP)

    def resume(self) -> None:
        if self.is_paused:
            self.agent.send(signal.SIGCONT)
        self.is_paused = False

    def overflow(self) -> None:
        """More changes in the directory than its queue takes while it stands still;
        two names in turn, since equal ones are merged."""
        was_ready = self.agent.is_ready()
        self.pause()
        wait_until(lambda: self.state_of_agent() in "TZX", "the agent stands still")
        folder = os.open(self.writer.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        names = [f"{self.writer.path.stem}-{x}.tmp" for x in "ab"]
        try:
            for _ in range(int(QUEUE.read_text()) // 4 + 100):
                for name in names:
                    os.close(os.open(name, os.O_CREAT | os.O_WRONLY, dir_fd=folder))
                for name in names:
                    os.unlink(name, dir_fd=folder)
        finally:
            os.close(folder)
            self.resume()
        if was_ready:                   # else it had no queue yet
            self.wait_told()

    def wait_told(self) -> None:
        """Until the agent knows that it was told too little: what comes and goes
        before that may be among what it doubts."""
        self.is_deaf = True
        a = self.agent
        wait_until(lambda: not a.is_running()
                   or a.trail_counters()["inotify_overflows"] > 0,
                   "the overflow is counted", 20, a.log)
        self.is_deaf = False

    def state_of_agent(self) -> str:
        stat = Path(f"/proc/{self.agent.process.pid}/stat").read_text()
        return stat.rsplit(")", 1)[1].split()[0]

    # -- what the writer asks ------------------------------------------------------

    def life(self) -> int:
        return self.lives

    def is_watching(self) -> bool:
        return (self.should_run and not self.is_paused and not self.is_deaf
                and self.agent.is_ready())

    def wait_holds(self, dev: int, ino: int) -> bool:
        """It has that file open and nothing is being done to it; False: not soon."""
        at = self.writer.count - self.writer.base
        try:
            wait_until(lambda: self.has_caught_up(at) and self.is_watching()
                       and self.knows(dev, ino) and self.holds(dev, ino),
                       "the file is held open", 5)
        except AssertionError:
            return False
        return True

    def knows(self, dev: int, ino: int) -> bool:
        """It is on record as the live one; what is open alone may be looked at only."""
        try:
            roll = (self.agent.state / "audit.roll").read_bytes()
        except OSError:
            return False
        return bool(re.search(rb"^file %d %d .* live " % (dev, ino), roll, re.M))

    def holds(self, dev: int, ino: int) -> bool:
        folder = f"/proc/{self.agent.process.pid}/fd"
        try:
            for fd in os.listdir(folder):
                try:
                    st = os.stat(f"{folder}/{fd}")
                except OSError:
                    continue
                if (st.st_dev, st.st_ino) == (dev, ino):
                    return True
        except OSError:
            pass
        return False

    # -- outputs -------------------------------------------------------------------

    def refuse(self) -> None:
        self.bulk_is_up = False
        self.bulk.stop()

    def reset(self, seed: int) -> None:
        r = random.Random(seed)
        self.bulk.whole_fault = lambda _: r.choice(RESETS) if r.random() < 0.8 else None

    def unavailable(self, seed: int) -> None:
        r = random.Random(seed)
        self.bulk.whole_fault = lambda _: r.choice(UNAVAILABLE)

    def busy(self, seed: int) -> None:
        self.bulk.chaos = faults.Chaos(seed, p_whole=0, p_item=1, share=0.5)

    def heal_output(self) -> None:
        self.bulk.heal()
        if not self.bulk_is_up:
            self.bulk.start()
        self.bulk_is_up = True

    # -- disk ------------------------------------------------------------------------

    def fill_disk(self) -> None:
        self.is_full = self.met_full = True
        self.disk.fill()

    def free_disk(self) -> None:
        if self.disk:
            self.disk.free()
        self.is_full = False

    # -- how far it has come -----------------------------------------------------------

    def settle(self, at: int) -> None:
        """Both outputs have all that was written up to there, for good."""
        self.wait_ready()
        # The file that was live then is the last one whose events these are.
        until = self.writer.base + at
        files = [f for f in self.writer.ledger.files if f.last >= 0 and f.born < until]
        if files:
            wait_until(lambda: self.has_shipped(files[-1], until),
                       f"what was written until event {until} is in both outputs",
                       30, self.agent.log)
            self.wait_checkpoints()

    def wait_checkpoints(self) -> None:
        """What is in the outputs now is on record: the second checkpoint from now
        was certainly begun later. The writer goes on, so there is one to write."""
        def look() -> dict[str, int]:
            return {k: c["checkpoints"] for k, c in self.agent.counters().items()}

        first = look()
        wait_until(lambda: all(n >= first[k] + 2 for k, n in look().items()),
                   "checkpoints are written", 30, self.agent.log)

    def has_shipped(self, file: LogFile, until: int) -> bool:
        self.check_alive()
        if file.doomed == "deleted":    # what was not read by then never will be
            return True
        stored = self.bulk.stored()
        for doc in stored[self.looked_at:]:
            if m := SEQUENCE.search(doc.doc):
                self.shipped.add(int(m[1]))
        self.looked_at = len(stored)
        want = range(file.born, min(until, file.last + 1))
        return (all(n in self.shipped for n in want)
                and (not want or self.archive_has(want[-1])))

    def archive_has(self, number: int) -> bool:
        if not self.archive.exists():
            return False
        return b'"name":"e2e-%08d"' % number in self.archive.read_bytes()
