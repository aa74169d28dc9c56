# SPDX-License-Identifier: Apache-2.0
"""What audit logs say, read without tallyman: the truth an index is held against.

Knows the bytes of a log and the rule of the document id; knows no server and no agent.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Event:
    line: bytes
    body: dict

    @property
    def user(self) -> str:
        return self.body["user"].get("username", "")

    @property
    def code(self) -> int | None:
        return self.body.get("responseStatus", {}).get("code")


def key_of_line(line: bytes) -> str:
    """The part of the document id that the event's own bytes decide."""
    digest = hashlib.sha256(line[line.index(b'"level"') :]).digest()
    return base64.urlsafe_b64encode(digest).decode()[:21]


def key_of_id(document_id: str) -> str:
    """The same, out of an id: 12 digits of time lie before it. The last letter is
    left out, since it depends on how many bits of the hash are encoded."""
    return document_id[12:33]


def read(paths: list[Path]) -> dict[str, Event]:
    """Every event of these files, by key, in the files' order."""
    events = {}
    for path in paths:
        for line in path.read_bytes().splitlines():
            events[key_of_line(line)] = Event(line, json.loads(line))
    return events


def chain(live: Path) -> list[Path]:
    """The live file and its rotated siblings, oldest first. A file and the .gz that is
    made of it are one; the .gz is whole when the file is gone."""
    stem, end = re.escape(live.stem), re.escape(live.suffix)
    name = re.compile(rf"({stem}-[\dT.-]+{end})(\.gz)?")
    found: dict[str, Path] = {}
    for path in sorted(live.parent.iterdir()):
        if match := name.fullmatch(path.name):
            found.setdefault(match[1], path)
    return [*found.values(), live]
