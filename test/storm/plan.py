# SPDX-License-Identifier: Apache-2.0
"""What happens in a storm, and when: the same for the same seed.

Pure. Time is counted in events written, so that a fault hits the same line of
the log each time; only how far the agent has come by then differs. A step is
carried out by the writer (writer.py), which then stands between two lines, or by
the sky (sky.py), which does what is done to the agent, its outputs and its disk.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

CLASSES = ("lumberjack", "lumberjack+gzip", "logrotate", "copytruncate")

# How often each kind is in the bag that faults are drawn from.
ANYWHERE = {
    "kill": 4, "term": 1, "pause": 2, "overflow": 1,
    "refuse": 1, "reset": 1, "unavailable": 1, "busy": 1,
    "disk": 2, "retention": 2, "torn": 2, "partial": 2, "unlink": 1,
}
OF_CLASS = {
    "lumberjack": {"rotate": 4, "rotations": 2, "clock": 1},
    "lumberjack+gzip": {"rotate": 4, "rotations": 2, "clock": 1},
    "logrotate": {"rotate": 4, "rotations": 1},
    "copytruncate": {"copytruncate": 4, "rotations": 1},
}
KINDS = tuple(dict.fromkeys([*ANYWHERE, *(k for c in OF_CLASS.values() for k in c)]))
TO_AGENT = ("kill", "term", "pause", "overflow")
TO_OUTPUT = ("refuse", "reset", "unavailable", "busy")

EVERY = (0.05, 0.25)        # seconds from one fault to the next


@dataclass(frozen=True)
class Step:
    at: int                 # when so many events are written
    by: str                 # "writer" or "sky"
    act: str                # the method that does it
    args: tuple = ()
    kind: str = ""          # as what it is counted; the end of a fault is not

    def __str__(self) -> str:
        args = " ".join(map(str, self.args))
        return f"{self.at:7} {self.kind or '-':12} {self.by}.{self.act} {args}".rstrip()


@dataclass
class Plan:
    seed: int
    cls: str
    rate: int               # events a second
    total: int
    gzip: bool              # rotated files are compressed
    keep: int               # rotated files that a retention leaves
    small_disk: bool        # the state directory has a file system of its own
    batch_events: int
    steps: list[Step] = field(default_factory=list)

    def of(self, by: str) -> list[Step]:
        return [s for s in self.steps if s.by == by]


class Planner:
    """Draws faults that fit to what is going on already."""

    def __init__(self, plan: Plan, r: random.Random, without: tuple[str, ...]) -> None:
        self.plan, self.r = plan, r
        weights = {k: n for k, n in (ANYWHERE | OF_CLASS[plan.cls]).items()
                   if k not in without and (k != "disk" or plan.small_disk)}
        self.kinds = [k for k, n in weights.items() for _ in range(n)]
        self.without = without
        self.bag: list[str] = []
        # Until which event each of them is taken.
        self.agent = self.output = self.disk = self.log = 0

    def events(self, low: float, high: float) -> int:
        return max(1, int(self.plan.rate * self.r.uniform(low, high)))

    def add(self, at: int, by: str, act: str, *args, kind: str = "") -> None:
        at = min(at, self.plan.total)
        self.plan.steps.append(Step(at, by, act, args, kind))

    def make(self) -> None:
        at = self.events(0.1, 0.2)
        while at < self.plan.total:
            kind = self.draw(at)
            if kind:
                getattr(self, f"plan_{kind}")(at)
            at += self.events(*EVERY)
        self.plan.steps.sort(key=lambda s: s.at)

    def draw(self, at: int) -> str | None:
        if not any(self.fits(k, at) for k in self.bag):
            more = self.kinds[:]
            self.r.shuffle(more)
            self.bag += more
        for i, kind in enumerate(self.bag):
            if self.fits(kind, at):
                return self.bag.pop(i)
        return None

    def fits(self, kind: str, at: int) -> bool:
        if kind in TO_AGENT:
            return at >= self.agent
        if kind in TO_OUTPUT:
            return at >= self.output
        if kind == "disk":
            return at >= self.disk
        if kind in ("clock", "unlink"):
            # Their files can be read only by who saw them at the time: somebody
            # must be there to, and nothing in the way.
            return at >= max(self.agent, self.output, self.disk, self.log)
        return at >= self.log

    # -- the agent -------------------------------------------------------------

    def plan_kill(self, at: int) -> None:
        self.add(at, "sky", "kill", kind="kill")
        self.come_back(at)

    def plan_term(self, at: int) -> None:
        self.add(at, "sky", "term", kind="term")
        self.come_back(at)

    def come_back(self, at: int) -> None:
        """At once, or after a while in which the log goes on."""
        down = 0 if self.r.random() < 0.4 else self.events(0.05, 0.6)
        self.agent = at + down + self.events(0.02, 0.3)
        self.add(at + down, "sky", "start", self.r.random() < 0.7)
        if down and at >= self.log and self.r.random() < 0.5:
            for _ in range(self.r.randrange(1, 4)):
                when = at + self.r.randrange(down)
                self.plan_turn(when)
                if self.r.random() < 0.3 and "retention" not in self.without:
                    self.plan_retention(when)

    def plan_pause(self, at: int) -> None:
        self.add(at, "sky", "pause", kind="pause")
        self.agent = at + self.events(0.02, 0.5)
        self.add(self.agent, "sky", "resume")

    def plan_overflow(self, at: int) -> None:
        self.add(at, "sky", "overflow", kind="overflow")
        self.agent = at + self.events(0.1, 0.2)

    # -- outputs and disk --------------------------------------------------------

    def plan_output(self, at: int, kind: str, *args) -> None:
        self.add(at, "sky", kind, *args, kind=kind)
        self.output = at + self.events(0.05, 0.6)
        self.add(self.output, "sky", "heal_output")

    def plan_refuse(self, at: int) -> None:
        self.plan_output(at, "refuse")

    def plan_reset(self, at: int) -> None:
        self.plan_output(at, "reset", self.r.randrange(2**31))

    def plan_unavailable(self, at: int) -> None:
        self.plan_output(at, "unavailable", self.r.randrange(2**31))

    def plan_busy(self, at: int) -> None:
        self.plan_output(at, "busy", self.r.randrange(2**31))

    def plan_disk(self, at: int) -> None:
        self.add(at, "sky", "fill_disk", kind="disk")
        self.disk = at + self.events(0.05, 0.6)
        self.add(self.disk, "sky", "free_disk")

    # -- the log -----------------------------------------------------------------

    def plan_turn(self, at: int) -> None:
        """A rotation as this class does it."""
        cls = self.plan.cls
        kind = "copytruncate" if cls == "copytruncate" else "rotate"
        if kind in self.without:
            return
        late = 0
        if cls == "logrotate" and self.r.random() < 0.6:
            late = self.events(0.002, 0.1)
        self.add(at, "writer", "rotate", late, kind=kind)

    plan_rotate = plan_copytruncate = plan_turn

    def plan_rotations(self, at: int) -> None:
        """Several in a row, some of empty files."""
        for _ in range(self.r.randrange(2, 6)):
            self.add(at, "writer", "rotate", 0, kind="rotations")
            at += self.r.choice((0, 0, 1, 5))
        self.log = at + 1

    def plan_clock(self, at: int) -> None:
        back = self.r.choice((1, 60, 3600, 86400))
        self.add(at, "writer", "rotate_with_clock_back", back, kind="clock")
        self.settle(at)

    def plan_unlink(self, at: int) -> None:
        self.add(at, "writer", "unlink", kind="unlink")
        at += self.events(0.02, 0.15)
        self.log = at + 1
        self.add(at, "writer", "replace")
        self.settle(at)

    def settle(self, at: int) -> None:
        """Nothing is done to the agent before it has read the file concerned."""
        self.add(at + 1, "sky", "settle", at)
        self.agent = self.output = self.disk = at + self.events(0.05, 0.1)

    def plan_retention(self, at: int) -> None:
        self.add(at, "writer", "retain", self.plan.keep, kind="retention")

    def plan_partial(self, at: int) -> None:
        self.add(at, "writer", "write_in_two", self.r.random(),
                 self.r.choice((0.0, 0.005, 0.03)), kind="partial")

    def plan_torn(self, at: int) -> None:
        """The API server is killed within a line; it appends when it is back, or
        finds the file too long by then."""
        self.add(at, "writer", "tear", self.r.random(), self.r.random() < 0.5,
                 kind="torn")
        self.log = at + 2


def make_plan(seed: int, seconds: float = 5.0, cls: str | None = None,
              without: tuple[str, ...] = ()) -> Plan:
    r = random.Random(seed)
    rate = r.choice((1000, 1500, 2000, 3000, 5000))
    own_class = CLASSES[seed % len(CLASSES)]
    gzip = r.random() < 0.6
    cls = cls or own_class
    if cls.startswith("lumberjack"):
        gzip = cls.endswith("gzip")
    plan = Plan(seed, cls, rate, int(rate * seconds), gzip, keep=r.randrange(1, 6),
                small_disk=r.random() < 0.6 and "disk" not in without,
                batch_events=r.choice((100, 500, 5000)))
    Planner(plan, r, without).make()
    return plan
