#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""conf/dashboards: as generated, whole, and of fields that the template has.

Reads the files themselves, so that what is wrong in the generator shows as well:
each panel's query, in the console's own language, has to be the search that
generate.py says it amounts to. There is no Kibana here; that search is asked of real
servers by test/live/setup.py.
"""

import json
import re
import sys
from pathlib import Path
from typing import Iterator

CONF = Path(__file__).resolve().parents[2] / "conf"
sys.dont_write_bytecode = True
sys.path.insert(0, str(CONF / "dashboards"))

import generate  # noqa: E402

# What a bucket can be made of.
BUCKETS = {"keyword", "ip", "integer", "long", "date"}
# The attributes that Kibana's own schemas have for these types; it refuses others.
META = {"title", "description", "version", "kibanaSavedObjectMeta"}
ATTRIBUTES = {
    "index-pattern": {"title", "name", "timeFieldName"},
    "search": META | {"columns", "sort", "hits"},
    "visualization": META | {"visState", "uiStateJSON"},
    "dashboard": META | {"hits", "timeRestore", "panelsJSON", "optionsJSON"},
}
# A clause of KQL and a value in it, as far as panels use them.
CLAUSE = re.compile(r'(not )?([\w@.]+)(: | >= | < )(\([^()]*\)|"[^"\\]*"|[\w\\:-]+\*|\d+)')
VALUE = re.compile(r'"([^"\\]*)"|((?:[\w-]|\\:)+)\*|(\d+)')
wrong: list[str] = []


def must(true: object, what: str) -> None:
    if not true:
        wrong.append(what)


def template_fields(properties: dict, before: str = "") -> Iterator[tuple[str, str]]:
    for name, value in properties.items():
        if isinstance(value, str):
            yield before + name, "flat"
        elif "properties" in value:
            yield from template_fields(value["properties"], f"{before}{name}.")
        else:
            yield before + name, value["type"]


def everything(value: object, key: str) -> Iterator[object]:
    """Whatever stands under `key`, at any depth."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if name == key:
                yield inner
            yield from everything(inner, key)
    elif isinstance(value, list):
        for inner in value:
            yield from everything(inner, key)


def value_of(text: str) -> object:
    quoted, prefix, number = VALUE.fullmatch(text).groups()
    if prefix is not None:
        return {"prefix": prefix.replace("\\", "")}
    return quoted if number is None else int(number)


def read_kql(text: str) -> list[tuple]:
    """(not?, field, operator, value) of each clause; they are joined by `and`."""
    out, at = [], 0
    while at < len(text):
        found = CLAUSE.match(text, at)
        if not found:
            raise ValueError(f"no clause of KQL: {text[at:]}")
        no, name, operator, value = found.groups()
        if value.startswith("("):
            value = [value_of(v) for v in value[1:-1].split(" or ")]
        else:
            value = value_of(value)
        out.append((bool(no), name, operator.strip(), value))
        at = found.end()
        if at < len(text):
            if not text.startswith(" and ", at):
                raise ValueError(f"not joined by and: {text[at:]}")
            at += len(" and ")
    return out


def read_dsl(query: dict) -> list[tuple]:
    """The same of what generate.py asks."""
    out = []
    for kind, clauses in query["bool"].items():
        for clause in clauses:
            (what, inner), = clause.items()
            (name, value), = inner.items()
            no = kind == "must_not"
            if what == "range":
                out += [(no, name, ">=", value["gte"]), (no, name, "<", value["lt"])]
            else:
                out.append((no, name, ":", {"prefix": value} if what == "prefix"
                            else value))
    return out


def same_query(where: str, kql: str, query: dict) -> None:
    try:
        ours, theirs = sorted(read_kql(kql), key=str), sorted(read_dsl(query), key=str)
    except (ValueError, AttributeError) as why:
        must(False, f"{where}: {kql}: {why}")
        return
    must(ours == theirs, f"{where}: {kql} is not {query}")


def check_search(where: str, one: dict, search: dict) -> None:
    """The object asks what the search asks."""
    attributes = one["attributes"]
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    must(source["query"]["language"] == "kuery", f"{where}: another language")
    same_query(where, source["query"]["query"], search["query"])
    if one["type"] == "search":
        must(attributes["columns"] == search["_source"], f"{where}: columns")
        return
    aggs = json.loads(attributes["visState"])["aggs"]
    fields = [a["params"]["field"] for a in aggs if "field" in a["params"]]
    must(fields == list(everything(search["aggs"], "field")),
         f"{where}: buckets of {fields}")
    for agg in aggs:
        for filter in agg["params"].get("filters", []):
            asked = next(everything(search["aggs"], "filters"))["filters"]
            same_query(where, filter["input"]["query"], asked[filter["label"]])


def check_references(where: str, one: dict, ids: set[tuple[str, str]]) -> None:
    names = set()
    for reference in one["references"]:
        names.add(reference["name"])
        must((reference["type"], reference["id"]) in ids,
             f"{where}: refers to {reference}, which is not in the file")
    text = json.dumps(one["attributes"]).replace("\\", "")
    used = re.findall(r'"(?:indexRefName|panelRefName)":"([^"]+)"',
                      text.replace(": ", ":"))
    must(sorted(used) == sorted(names), f"{where}: {used} are not {sorted(names)}")


def check_fields(where: str, one: dict, known: dict[str, str]) -> None:
    attributes = one["attributes"]
    state = json.loads(attributes.get("visState", "{}"))
    for name in everything(state, "field"):
        must(known.get(name) in BUCKETS,
             f"{where}: {name} is {known.get(name)}: no bucket can be made of it")
    for name in attributes.get("columns", []):
        must(name in known, f"{where}: column {name} is not in the template")


def check_file(product: str, known: dict[str, str]) -> None:
    path = CONF / "dashboards" / generate.FILES[product]
    text = path.read_text()
    must(text == generate.ndjson(product),
         f"{path.name} is not what generate.py makes: run it")
    must(text.isascii() and text.endswith("\n"), f"{path.name}: not lines of ASCII")
    found = [json.loads(line) for line in text.splitlines()]
    ids = [(one["type"], one["id"]) for one in found]
    must(len(set(ids)) == len(ids), f"{path.name}: an id is there twice")
    must(text.count(f'"title":"{generate.PATTERN}"') == 1 and
         text.count(generate.MARK) == 1,
         f"{path.name}: setup does not find the pattern and the mark once each")
    searches = {generate.object_id(p): generate.search(p)
                for p in generate.all_panels()}
    for one in found:
        where = f"{path.name}: {one['type']} {one['id']}"
        must(one["id"].startswith("tallyman-"), f"{where}: not a name of ours")
        must(set(one["attributes"]) <= ATTRIBUTES[one["type"]],
             f"{where}: an attribute that Kibana does not know")
        check_references(where, one, set(ids))
        if one["type"] == "dashboard":
            shown = json.loads(one["attributes"]["panelsJSON"])
            must(len(shown) == len(one["references"]) > 0, f"{where}: panels")
        elif one["type"] != "index-pattern":
            check_fields(where, one, known)
            check_search(where, one, searches[one["id"]])


def main() -> int:
    event = json.loads((CONF / "templates/event.json").read_text())
    known = dict(template_fields(event["template"]["mappings"]["properties"]))
    for product in generate.FILES:
        check_file(product, known)
    for panel in generate.all_panels():
        for name in generate.fields(panel):
            must(name in known, f"panel {panel.id}: {name} is not in the template")
    must(generate.panels.DISCOVER.columns == [
        "user.username", "user.groups", "objectRef.name", "verb", "stage"],
        "the view of the tutorial has other columns")
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
