# SPDX-License-Identifier: Apache-2.0
"""What must be true of the outputs, each with a message that says what is not."""

from __future__ import annotations

import collections
import hashlib
import json
from pathlib import Path

from auditlog import document_of, id_of, index_of, sequence, time_text
from bulk_server import GAP, BulkServer


def assert_once(bulk: BulkServer, lines: list[bytes],
                index: str = "auditing-%Y.%m.%d") -> None:
    """Each line is one document, with the right id, index and bytes; no other."""
    docs = bulk.stored()
    got = collections.Counter(sequence(d.doc) for d in docs)
    want = {sequence(line): line for line in lines}
    missing = sorted(want.keys() - got.keys())
    repeated = sorted(s for s, n in got.items() if n > 1)
    strange = sorted(got.keys() - want.keys())
    assert not (missing or repeated or strange), (
        f"of {len(want)} events {len(missing)} missing {missing[:10]}, "
        f"{len(repeated)} repeated {repeated[:10]}, strange {strange[:10]}")
    for d in docs:
        line = want[sequence(d.doc)]
        assert d.stored == 1
        assert d.doc == document_of(line)
        assert d.id == id_of(line), (d.id, id_of(line), line)
        assert d.index == index_of(line, index)


def has_all(bulk: BulkServer, lines: list[bytes]):
    return lambda: bulk.stored_count() >= len(lines)


def whole_lines(path: Path) -> list[bytes]:
    """With their newlines; the last one may be under way."""
    text = path.read_bytes() if path.exists() else b""
    return text[:text.rfind(b"\n") + 1].splitlines(keepends=True)


def archived(path: Path) -> tuple[bytes, list[bytes]]:
    """What a file output holds: the events' bytes, and apart from them the gap
    records."""
    lines = whole_lines(path)
    return (b"".join(x for x in lines if not GAP.match(x)),
            [x for x in lines if GAP.match(x)])


def archived_gaps(path: Path) -> list[dict]:
    """The gap records of a file output, in order; `behind` is added: how many
    events stand before each."""
    gaps, n = [], 0
    for line in whole_lines(path):
        if GAP.match(line):
            gaps.append(json.loads(line) | {"behind": n})
        else:
            n += 1
    return gaps


def stored_gaps(bulk: BulkServer) -> list[dict]:
    """The gap records of a bulk server, in the order they were stored."""
    return [json.loads(d.doc) for d in bulk.gaps()]


def assert_gap(gap: dict, reason: str, after: bytes | None = None,
               before: bytes | None = None, bytes_: int | None = None,
               file: Path | None = None) -> None:
    """A gap record that says what is known: between which events, how much."""
    assert gap["kind"] == gap["level"] == "Gap"
    assert gap["apiVersion"] == "tallyman/v1" and gap["trail"] == "audit"
    assert gap["reason"] == reason, gap
    assert gap["message"].endswith(".")
    assert gap.get("after") == (time_text(after) if after else None), gap
    assert gap.get("before") == (time_text(before) if before else None), gap
    assert gap.get("bytes") == bytes_, gap
    if file is not None:
        assert gap["file"] == str(file), gap


def file_has(path: Path, text: bytes, gaps_apart: bool = False):
    """For wait_until: the file is as long as it should get."""
    if gaps_apart:
        return lambda: len(archived(path)[0]) >= len(text)
    return lambda: path.exists() and path.stat().st_size >= len(text)


def assert_file_is(path: Path, text: bytes, gaps_apart: bool = False) -> None:
    """Byte for byte; a difference is shown by its first line. Gap records are one,
    unless the caller looks at them himself."""
    got = archived(path)[0] if gaps_apart else path.read_bytes()
    if got == text:
        return
    a, b = got.split(b"\n"), text.split(b"\n")
    for n, (x, y) in enumerate(zip(a, b)):
        if x != y:
            raise AssertionError(
                f"{path.name}: line {n} is {x[:300]!r}, not {y[:300]!r} "
                f"({len(a) - 1} lines, not {len(b) - 1})")
    raise AssertionError(f"{path.name}: {len(a) - 1} lines, not {len(b) - 1}")


def assert_ends_whole(path: Path) -> None:
    """Nobody writes to it any more: its last line is a line."""
    with path.open("rb") as f:
        f.seek(max(0, path.stat().st_size - 1))
        assert f.read() in (b"", b"\n"), f"{path.name} ends in the middle of a line"


def assert_refused(letter: dict, line: bytes, status: int, reason: str,
                   trail: str = "audit") -> None:
    """A dead letter that would let a person find and replay the event."""
    assert letter["kind"] == "refused"
    assert letter["trail"] == trail
    assert letter["status"] == status
    assert reason in letter["reason"], letter["reason"]
    assert letter["id"] == id_of(line)
    document = letter["document"]
    if isinstance(document, str):
        document = json.loads(document)
    assert document == json.loads(document_of(line))
    assert_place(letter, line, document_of(line))


def assert_quarantined(letter: dict, line: bytes, trail: str = "audit") -> None:
    assert letter["kind"] == "quarantined"
    assert letter["trail"] == trail
    assert letter["reason"]
    assert_place(letter, line)


def assert_place(letter: dict, line: bytes, document: bytes | None = None) -> None:
    """The file, and where in it; read back, it is the line. The hash is that of
    the line, or of the document where there is one."""
    assert letter["length"] == len(line), letter
    hashes = [hashlib.sha256(b).hexdigest() for b in (line, document or line)]
    assert letter["sha256"] in hashes, letter
    assert letter["time"].endswith("Z")
    path = Path(letter["file"])
    assert path.is_absolute()
    places = [path, *path.parent.glob(path.stem + "*")]     # rotated since
    for p in places:
        if p.exists():
            with p.open("rb") as f:
                f.seek(letter["offset"])
                if f.read(len(line)) == line:
                    return
    raise AssertionError(f"not found at its place: {letter}")
