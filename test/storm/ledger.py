# SPDX-License-Identifier: Apache-2.0
"""What was written, and into which file: the truth that outputs are held against.

An event's number is its index here. What is not an event, a torn line, has to be
among the dead letters instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(eq=False)
class LogFile:
    """What was written from one rotation to the next, wherever it lies now."""

    path: Path
    born: int                           # the number of its first event, if any
    last: int = -1                      # of its last event
    doomed: str = ""                    # "deleted" or "unlinked", by the storm
    life: int = -1                      # the agent's life in which that was
    watched: bool = False               # it was up and running then
    names: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names.append(self.path.name)

    def move(self, to: Path) -> None:
        self.path = to
        self.names.append(to.name)

    def __str__(self) -> str:
        was = [n for n in dict.fromkeys(self.names) if n != self.path.name]
        text = self.path.name
        if was:
            text += f" (was {', '.join(was[-4:])})"
        return f"{text}, {self.doomed}" if self.doomed else text


@dataclass
class Scrap:
    """Bytes that are no event: up to the one that was appended to them, or the end
    of their file."""

    data: bytes
    file: LogFile


@dataclass
class Ledger:
    lines: list[bytes] = field(default_factory=list)    # without newline
    where: list[LogFile] = field(default_factory=list)
    files: list[LogFile] = field(default_factory=list)
    scraps: list[Scrap] = field(default_factory=list)

    def new_file(self, path: Path) -> LogFile:
        f = LogFile(path, len(self.lines))
        self.files.append(f)
        return f

    def add(self, line: bytes, file: LogFile) -> None:
        file.last = len(self.lines)
        self.where.append(file)
        self.lines.append(line)
