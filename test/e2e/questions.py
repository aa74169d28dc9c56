# SPDX-License-Identifier: Apache-2.0
"""What the bulk server answers to questions about what it holds: `_mget`, a
search for ids, `_count` of a time or a phrase, `_refresh`.

A search and a count see what was refreshed, `_mget` sees all. As a real server
has them (OpenSearch 3.8, Elasticsearch 9.5): an index that is not there is an
error of each document, and 404 of a search for its plain name.
"""

from __future__ import annotations

import fnmatch
import json
import re
from datetime import datetime

QUESTION = re.compile(r"(?:/([^/_][^/]*))?/(_mget|_search|_count|_refresh)")


class Refused(Exception):
    """An error as an answer: status, type, reason."""


def is_question(path: str) -> bool:
    return QUESTION.fullmatch(path) is not None


def answer(bulk, path: str, query: dict, body: bytes) -> dict:
    """The whole answer, before filter_path; raises Refused."""
    name, what = QUESTION.fullmatch(path).groups()
    try:
        value = json.loads(body) if body else {}
    except ValueError:
        bulk.violate(f"{path}: not JSON: {body[:200]!r}")
        raise Refused(400, "parse_exception", "not JSON")
    with bulk.lock:
        if what == "_mget":
            return mget(bulk, name, value)
        names = expand(bulk, name, query)
        if what == "_refresh":
            for doc in bulk.order:
                doc.visible |= doc.index in names
            bulk.ghosts = [d for d in bulk.ghosts if d.index not in names]
            return {"_shards": {"total": 2, "successful": 1, "failed": 0}}
        docs = [d for d in bulk.order + bulk.ghosts
                if d.index in names and d.visible]
        if what == "_count":
            n = sum(matches(bulk, value["query"], d) for d in docs)
            return {"count": n, "_shards": {"total": 1, "successful": 1,
                                            "skipped": 0, "failed": 0}}
        return search(bulk, value, docs)


def indices(bulk) -> set[str]:
    return {d.index for d in bulk.order} | bulk.empty_indices


def expand(bulk, name: str | None, query: dict) -> set[str]:
    """The indices that a name or a list of patterns stands for."""
    there = indices(bulk)
    found: set[str] = set()
    for part in (name or "*").split(","):
        if "*" in part:
            found |= {i for i in there if fnmatch.fnmatchcase(i, part)}
        elif part in there:
            found.add(part)
        elif query.get("ignore_unavailable") != ["true"]:
            raise Refused(404, "index_not_found_exception",
                          f"no such index [{part}]")
    return found


def mget(bulk, name: str | None, value: dict) -> dict:
    there = indices(bulk)
    docs = []
    for d in value["docs"]:
        index, id_ = d.get("_index", name), d["_id"]
        one = {"_index": index, "_id": id_}
        doc = bulk.docs.get((index, id_))
        if index not in there:
            error = {"type": "index_not_found_exception",
                     "reason": f"no such index [{index}]", "index": index}
            docs.append(one | {"error": {"root_cause": [error], **error}})
        elif doc is None or doc.stored == 0:
            docs.append(one | {"found": False})
        else:
            docs.append(one | {"_version": 1, "_seq_no": 0, "_primary_term": 1,
                               "found": True})
    return {"docs": docs}


def search(bulk, value: dict, docs: list) -> dict:
    size = value.get("size", 10)
    if size > 10000:
        raise Refused(400, "illegal_argument_exception",
                      "Result window is too large")
    hits = [{"_index": d.index, "_id": d.id, "_score": 1.0}
            for d in docs if matches(bulk, value["query"], d)]
    return {"took": 2, "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {"max_score": 1.0, "hits": hits[:size]}}


def matches(bulk, query: dict, doc) -> bool:
    """The few kinds of query that the agent asks."""
    (kind, what), = query.items()
    if kind == "ids":
        return doc.id in what["values"]
    if kind == "bool":
        return all(matches(bulk, q, doc) for q in what["filter"])
    (field, value), = what.items()
    of_doc = json.loads(doc.doc).get(field)
    if kind == "range":
        t = when(of_doc)
        return when(value["gte"]) <= t <= when(value["lte"])
    if kind == "match_phrase":
        return of_doc == value
    bulk.violate(f"a query of kind {kind}")
    return False


def when(text: str) -> datetime:
    """An index of type date has milliseconds."""
    t = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return t.replace(microsecond=t.microsecond // 1000 * 1000)
