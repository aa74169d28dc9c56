# SPDX-License-Identifier: Apache-2.0
"""The log and its writer: an API server that rotates by itself (lumberjack), or a
program that is rotated by logrotate.

One thread writes, rotates, compresses and deletes, one small act after the
other, so the log of a seed is the same each time. What is done in the background
(compressing, logrotate's chain of renames) is a generator, taken one act further
every few events.
"""

from __future__ import annotations

import collections
import os
import random
import threading
import time
import zlib
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Callable, Iterator

from auditlog import make_line
from ledger import Ledger, LogFile, Scrap
from plan import Plan, Step

# Torn lines have numbers of their own, far from those of events.
TORN = 90_000_000
WARM_UP = 50

Acts = Iterator[None]


class Writer(threading.Thread):
    """Follows its part of the plan; `ask` answers for the agent."""

    def __init__(self, plan: Plan, path: Path, ask: "Ask") -> None:
        super().__init__(daemon=True)
        self.plan, self.path, self.ask = plan, path, ask
        self.r = random.Random(f"writer {plan.seed}")
        self.ledger = Ledger()
        self.counts: collections.Counter[str] = collections.Counter()
        self.count = 0                  # events written; the clock of the plan
        self.base = 0                   # and how many when it began to run
        self.error: BaseException | None = None
        self.halt = threading.Event()           # the plan has been carried out
        self.siblings: list[LogFile] = []       # rotated, oldest first
        self.fd = -1
        self.torn = b""
        self.background: Acts | None = None
        self.wait_acts = 0
        self.file = self.open_new()

    # -- the thread --------------------------------------------------------------

    def run(self) -> None:
        try:
            self.follow(collections.deque(self.plan.of("writer")))
        except BaseException as e:
            self.error = e

    def follow(self, steps: collections.deque[Step]) -> None:
        began, base = time.monotonic(), self.base
        total = self.plan.total + base
        while not self.halt.is_set():
            while steps and steps[0].at <= self.count - base:
                self.take(steps.popleft())
            self.turn_crank()
            if self.count >= total:
                # Behind the plan a trickle, until the sky is done with its part.
                self.append()
                self.halt.wait(0.02)
                continue
            due = began + (self.count - base) / self.plan.rate
            ahead = due - time.monotonic()
            if ahead > 0.001:
                time.sleep(ahead)       # not synchronisation: the pace of the load
            elif ahead < -0.5:
                began -= ahead          # it was held up; no need to make up for it
            pad = self.r.randrange(10_000, 200_000) if self.r.random() < 0.006 else 0
            self.append(pad=pad)

    def calm_down(self) -> None:
        """All that was begun is done, and a last few events say so."""
        self.finish_background()
        self.append(20)

    def take(self, step: Step) -> None:
        if getattr(self, step.act)(*step.args) is not False and step.kind:
            self.counts[step.kind] += 1

    def append(self, n: int = 1, pad: int = 0) -> None:
        for _ in range(n):
            line = make_line(self.count, self.plan.seed, pad=pad)
            self.write(line + b"\n")
            self.enter(line)

    def enter(self, line: bytes) -> None:
        self.leave_torn()
        self.ledger.add(line, self.file)
        self.count += 1

    def write(self, raw: bytes) -> None:
        view = memoryview(raw)
        while view:
            view = view[os.write(self.fd, view):]

    def open_new(self) -> LogFile:
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        return self.ledger.new_file(self.path)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1

    # -- background --------------------------------------------------------------

    def turn_crank(self) -> None:
        """One act of what goes on in the background, every few events."""
        if self.background is None:
            return
        self.wait_acts -= 1
        if self.wait_acts <= 0:
            self.wait_acts = self.r.choice((0, 1, 3, 10, 30))
            if next(self.background, self) is self:
                self.background = None
                self.went_quiet()

    def finish_background(self) -> None:
        while self.background is not None:
            self.wait_acts = 0
            self.turn_crank()

    def went_quiet(self) -> None:
        """For subclasses: what waits for the background to be free."""

    def compress(self, file: LogFile) -> Acts:
        """X.gz is written beside X, truncated first; then X is unlinked."""
        plain = file.path
        to = Path(f"{plain}.gz")
        z = zlib.compressobj(1, wbits=31)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with plain.open("rb") as src, open(os.open(to, flags, 0o600), "wb", 0) as dst:
            yield
            while piece := src.read(self.r.randrange(1, 262_144)):
                out = z.compress(piece)
                if self.r.random() < 0.3:
                    out += z.flush(zlib.Z_SYNC_FLUSH)
                dst.write(out)
                yield
            dst.write(z.flush())
        yield                           # both are there, both are whole
        plain.unlink()
        file.move(to)
        self.counts["compress"] += 1

    # -- faults ------------------------------------------------------------------

    def rotate(self, late: int = 0) -> None:
        raise NotImplementedError

    def delete(self, file: LogFile) -> None:
        file.path.unlink()
        Path(f"{file.path}.gz").unlink(missing_ok=True)     # of a cut compression
        self.doom(file, "deleted")
        self.siblings.remove(file)

    def doom(self, file: LogFile, how: str) -> None:
        file.doomed = how
        file.life, file.watched = self.ask.life(), self.ask.is_watching()

    def retain(self, keep: int) -> bool:
        """Deletes all but the `keep` newest of the rotated files."""
        self.finish_background()
        old = self.by_age()[:max(0, len(self.siblings) - keep)]
        for f in old:
            self.delete(f)
        return bool(old)

    def by_age(self) -> list[LogFile]:
        """Oldest first, as their names tell."""
        return list(self.siblings)

    def write_in_two(self, share: float, seconds: float) -> bool:
        if self.torn:
            return False
        line = make_line(self.count, self.plan.seed)
        cut = 1 + int(share * (len(line) - 1))
        self.write(line[:cut])
        time.sleep(seconds)             # the moment is the input
        self.write(line[cut:] + b"\n")
        self.enter(line)
        return True

    def tear(self, share: float, and_rotate: bool) -> bool:
        """The writer is killed within a line and started again."""
        if self.torn:
            return False
        line = make_line(TORN + self.count, self.plan.seed)
        self.torn = line[:1 + int(share * (len(line) - 2))]
        self.write(self.torn)
        self.come_back()
        if and_rotate:
            self.rotate()
        return True

    def come_back(self) -> None:
        """Opens what there is and appends."""
        self.close()
        self.fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def leave_torn(self) -> None:
        """The torn line is not going on: another follows, or another file."""
        if self.torn:
            self.ledger.scraps.append(Scrap(self.torn, self.file))
            self.torn = b""

    def unlink(self) -> bool:
        """Nobody but who has it open can read it from now on."""
        self.finish_background()
        st = os.fstat(self.fd)
        if not self.ask.wait_holds(st.st_dev, st.st_ino):
            return False
        self.path.unlink()
        self.doom(self.file, "unlinked")
        return True

    def replace(self) -> None:
        """A rotation that finds nothing to rename."""
        if self.path.exists():
            return
        self.leave_torn()
        self.close()
        self.file = self.open_new()


class Ask:
    """What the writer has to know of the agent."""

    life: Callable[[], int]
    is_watching: Callable[[], bool]
    wait_holds: Callable[[int, int], bool]


class Lumberjack(Writer):
    """Closes, renames, creates; a mill compresses, the newest first."""

    def __init__(self, *args) -> None:
        self.last_ms = 0
        self.mill_again = False
        super().__init__(*args)

    def rotate(self, late: int = 0, back: int = 0) -> None:
        if not self.path.exists():
            return self.replace()
        self.leave_torn()
        self.close()
        to = self.new_name(back)
        os.rename(self.path, to)
        self.file.move(to)
        self.siblings.append(self.file)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.close(os.open(self.path, flags, 0o600))
        self.fd = os.open(self.path, flags, 0o600)      # without O_APPEND
        self.file = self.ledger.new_file(self.path)
        if self.plan.gzip:
            self.mill_again = True
            if self.background is None:
                self.went_quiet()

    def new_name(self, back: int) -> Path:
        """UTC in milliseconds; never one that there is: it would be replaced."""
        now = datetime.now(timezone.utc)
        ms = int(now.timestamp() * 1000)
        if back:
            ms -= back * 1000
        else:
            ms = self.last_ms = max(ms, self.last_ms + 1)
        while True:
            t = datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=ms)
            text = t.strftime("%Y-%m-%dT%H-%M-%S.") + f"{ms % 1000:03d}"
            to = self.path.with_name(f"{self.path.stem}-{text}{self.path.suffix}")
            if not to.exists() and not Path(f"{to}.gz").exists():
                return to
            ms += 1

    def by_age(self) -> list[LogFile]:
        return sorted(self.siblings, key=lambda f: f.names[1])

    def rotate_with_clock_back(self, back: int) -> bool:
        """One name is earlier than the one before it; then the clock is right
        again. The agent is there and sees it."""
        st = os.fstat(self.fd)
        if not self.path.exists() or not self.ask.wait_holds(st.st_dev, st.st_ino):
            return False
        self.rotate(back=back)
        return True

    def went_quiet(self) -> None:
        if self.mill_again:
            self.mill_again = False
            self.background = self.mill()

    def mill(self) -> Acts:
        for file in reversed(self.by_age()):
            if file.path.suffix != ".gz":
                yield from self.compress(file)

    def come_back(self) -> None:
        # What was being compressed stays half done beside its plain file, until
        # the next rotation wakes the mill.
        if self.background is not None:
            self.background.close()
            self.background = None
        super().come_back()


class Logrotate(Writer):
    """audit.log.1, .2 and so on: renamed and created, or copied and truncated;
    with compress and delaycompress."""

    def __init__(self, *args) -> None:
        self.wanted: collections.deque[int] = collections.deque()
        self.reopen_at = -1
        super().__init__(*args)

    def rotate(self, late: int = 0) -> None:
        self.wanted.append(late)
        if self.background is None:
            self.went_quiet()

    def went_quiet(self) -> None:
        if self.wanted:
            self.background = self.run_logrotate(self.wanted.popleft())

    def number(self, n: int, gz: bool) -> Path:
        return self.path.with_name(f"{self.path.name}.{n}{'.gz' if gz else ''}")

    def run_logrotate(self, late: int) -> Acts:
        self.reopen()
        yield
        if self.siblings and self.plan.gzip and self.siblings[-1].path.suffix != ".gz":
            yield from self.compress(self.siblings[-1])
        for n, file in enumerate(self.siblings):        # the highest number first
            number = len(self.siblings) - n
            to = self.number(number + 1, file.path.suffix == ".gz")
            os.rename(file.path, to)
            file.move(to)
            yield
        if not self.path.exists():
            self.replace()
        elif self.plan.cls == "copytruncate":
            self.copy_and_truncate()
        else:
            self.rename_and_create()
            yield
            if late:
                self.reopen_at = self.count + late
            else:
                self.reopen()

    def rename_and_create(self) -> None:
        to = self.number(1, False)
        os.rename(self.path, to)
        self.file.move(to)
        self.siblings.append(self.file)
        os.close(os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        self.reopen_at = self.count + 1_000_000         # the writer is still there

    def reopen(self) -> None:
        if self.reopen_at >= 0:
            self.reopen_at = -1
            self.leave_torn()
            self.close()
            self.file = self.open_new()

    def turn_crank(self) -> None:
        if 0 <= self.reopen_at <= self.count:
            self.reopen()
        super().turn_crank()

    def copy_and_truncate(self) -> None:
        """While the writer waits, so nothing can be lost."""
        to = self.number(1, False)
        with self.path.open("rb") as src, to.open("wb", buffering=0) as dst:
            while piece := src.read(self.r.randrange(1, 1_000_000)):
                dst.write(piece)
        self.leave_torn()
        self.file.move(to)
        self.siblings.append(self.file)
        os.truncate(self.path, 0)
        self.file = self.ledger.new_file(self.path)

    def calm_down(self) -> None:
        self.finish_background()
        self.reopen()
        super().calm_down()

    def retain(self, keep: int) -> bool:
        self.finish_background()
        self.reopen()
        return super().retain(keep)

    def unlink(self) -> bool:
        self.finish_background()
        self.reopen()
        return super().unlink()

    def tear(self, share: float, and_rotate: bool) -> bool:
        self.finish_background()
        self.reopen()
        done = super().tear(share, and_rotate)
        if and_rotate:
            self.finish_background()    # before the writer is back
            self.reopen()
        return done


def make_writer(plan: Plan, path: Path, ask: Ask) -> Writer:
    kind = Lumberjack if plan.cls.startswith("lumberjack") else Logrotate
    return kind(plan, path, ask)
