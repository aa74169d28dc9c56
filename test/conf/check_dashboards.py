#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""conf/dashboards: as generated, whole, and of fields that the template has.

Reads the files themselves, so that what is wrong in the generator shows as well.
There is no Kibana here; what each panel asks is asked of real servers by
test/live/setup.py.
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
FIELD_OF_KQL = re.compile(r"([\w@.]+)(?::| >=| <)(?= )")
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
    source = json.loads(attributes["kibanaSavedObjectMeta"]["searchSourceJSON"])
    for name in everything(state, "field"):
        must(known.get(name) in BUCKETS,
             f"{where}: {name} is {known.get(name)}: no bucket can be made of it")
    for name in attributes.get("columns", []):
        must(name in known, f"{where}: column {name} is not in the template")
    for query in [*everything(state, "query"), *everything(source, "query")]:
        if isinstance(query, str):
            for name in FIELD_OF_KQL.findall(query):
                must(name in known, f"{where}: {name} is not in the template")


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
    for one in found:
        where = f"{path.name}: {one['type']} {one['id']}"
        must(one["id"].startswith("tallyman-"), f"{where}: not a name of ours")
        check_references(where, one, set(ids))
        if one["type"] == "dashboard":
            shown = json.loads(one["attributes"]["panelsJSON"])
            must(len(shown) == len(one["references"]) > 0, f"{where}: panels")
        elif one["type"] != "index-pattern":
            check_fields(where, one, known)


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
