# SPDX-License-Identifier: Apache-2.0
"""Where the members of a JSON object lie in its bytes, read with Python's json.

An independent reading, to hold the agent's against: it shares no code and no
library with it.
"""
import json
import json.decoder
import re

FIELDS = [
    "apiVersion", "level", "auditID", "stage", "requestURI", "verb", "user",
    "objectRef", "responseStatus", "requestObject", "responseObject",
    "requestReceivedTimestamp", "stageTimestamp", "annotations", "timestamp",
    "@timestamp",
]
MEMBERS = {
    "user": ["username", "groups"],
    "objectRef": ["resource", "namespace", "name", "apiGroup", "subresource"],
    "responseStatus": ["code"],
}

_SPACE = re.compile(r"[ \t\n\v\f\r]*")
_DECODER = json.JSONDecoder()


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def members(text: str, at: int = 0) -> tuple[dict[str, tuple[int, int, int]], int]:
    """The object at `at`: key -> (start of key, start and end of value), and
    where the object ends. Of a repeated key the first counts."""
    found: dict[str, tuple[int, int, int]] = {}
    at = _skip(text, at)
    if text[at] != "{":
        raise ValueError("not an object")
    at = _skip(text, at + 1)
    while text[at] != "}":
        key_at = at
        key, at = json.decoder.scanstring(text, at + 1, False)
        at = _skip(text, at)
        if text[at] != ":":
            raise ValueError("no colon")
        value_at = _skip(text, at + 1)
        _, at = _DECODER.raw_decode(text, value_at)
        found.setdefault(key, (key_at, value_at, at))
        at = _skip(text, at)
        if text[at] == ",":
            at = _skip(text, at + 1)
    return found, at + 1


def read(line: bytes) -> dict[str, tuple[int, int]]:
    """Field -> (offset, length) in bytes; also "body" and "identity"."""
    text = line.decode("latin-1")       # one character a byte
    top, end = members(text)
    start = _skip(text, 0)
    out = {"body": (start, end - start)}
    level = top.get("level")
    begin = start
    if level is not None and text.startswith('"level"', level[0]):
        begin = level[0]
    out["identity"] = (begin, end - begin)
    for name in FIELDS:
        if name not in top:
            continue
        _, value_at, value_end = top[name]
        out[name] = (value_at, value_end - value_at)
        if name in MEMBERS and text[value_at] == "{":
            inner, _ = members(text, value_at)
            for member in MEMBERS[name]:
                if member in inner:
                    _, at, stop = inner[member]
                    out[f"{name}.{member}"] = (at, stop - at)
    return out
