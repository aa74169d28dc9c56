#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds what the agent finds in logs against another reading of them.

    cross_check.py .../golden_dump LOG...

Every field's place, the time and the document's id are worked out again here,
with Python's json, datetime and hashlib.
"""
import base64
import hashlib
import json
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

from positions import read

TIMES = ["stageTimestamp", "requestReceivedTimestamp", "timestamp"]
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def time_us(line: bytes, places: dict[str, tuple[int, int]]) -> int | None:
    for name in TIMES:
        if name not in places:
            continue
        at, size = places[name]
        try:
            text = json.loads(line[at : at + size])
            since = datetime.fromisoformat(text) - EPOCH
        except (TypeError, ValueError):
            continue
        return (since.days * 86400 + since.seconds) * 10**6 + since.microseconds
    return None


def expected(line: bytes) -> dict:
    places = read(line)
    us = time_us(line, places)
    out: dict = {name: list(place) for name, place in places.items()}
    out["time_us"] = us
    if us is not None:
        at, size = places["identity"]
        digest = hashlib.sha256(line[at : at + size]).digest()
        tail = base64.urlsafe_b64encode(digest)[:22].decode()
        out["id"] = f"{max(us, 0) // 1000:012x}{tail}"
    return out


def check(dump: str, log: Path) -> int:
    found = subprocess.run(
        [dump, str(log)], stdout=subprocess.PIPE, check=True
    ).stdout.splitlines()
    lines = log.read_bytes().split(b"\n")[:-1]
    if len(found) != len(lines):
        sys.exit(f"{log}: {len(found)} of {len(lines)} lines were read")
    for number, (line, have) in enumerate(zip(lines, found), 1):
        want = expected(line)
        if json.loads(have) != want:
            sys.exit(f"{log}:{number}: found\n  {have.decode()}, not\n  {want}")
    return len(lines)


def main() -> None:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    for log in sys.argv[2:]:
        print(f"{log}: {check(sys.argv[1], Path(log))} lines agree")


if __name__ == "__main__":
    main()
