#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes kibana.ndjson and opensearch-dashboards.ndjson of panels.py.

    generate.py              writes both, beside this file
    generate.py --check      only says whether they are what it would write
    generate.py --searches   prints the search that each panel amounts to

Standard library alone. The objects have the form of Kibana 7.9 and OpenSearch
Dashboards 1.0, which all later ones take and bring up to date by themselves.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from pathlib import Path

import panels
from panels import Dashboard, Events, Not, Over, Prefix, Query, Range, Share, Top

HERE = Path(__file__).resolve().parent
FILES = {"kibana": "kibana.ndjson", "opensearch": "opensearch-dashboards.ndjson"}

# agent/cli/setup_dashboards.c knows these four.
PATTERN_ID, PATTERN = "tallyman-audit", "auditing-*"
MAIN_ID, MARK = "tallyman-overview", "tallyman dashboards "

TIME = "@timestamp"
ROWS = 10           # of a table and of a split
EVENTS_SHOWN = 500  # as Discover does
# The form that an object has, so that later versions know what to change in it.
FORMS = {"index-pattern": "7.6.0", "search": "7.9.3", "visualization": "7.8.0",
         "dashboard": "7.9.3"}


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


# ---- queries, in both languages ----


def kql_value(value: object) -> str:
    if isinstance(value, Prefix):
        return value.text.replace(":", "\\:") + "*"
    if isinstance(value, list):
        return "(" + " or ".join(map(kql_value, value)) + ")"
    return str(value) if isinstance(value, int) else '"' + value + '"'


def kql(query: Query) -> str:
    """The language of Kibana and of OpenSearch Dashboards, as far as both agree."""
    parts = []
    for one in query:
        if isinstance(one, Not):
            parts.append(f"not {one.field}: {kql_value(one.value)}")
        elif isinstance(one[1], Range):
            parts += [f"{one[0]} >= {one[1].start}", f"{one[0]} < {one[1].below}"]
        else:
            parts.append(f"{one[0]}: {kql_value(one[1])}")
    return " and ".join(parts)


def clause(name: str, value: object) -> dict:
    if isinstance(value, Prefix):
        return {"prefix": {name: value.text}}
    if isinstance(value, Range):
        return {"range": {name: {"gte": value.start, "lt": value.below}}}
    return {"terms" if isinstance(value, list) else "term": {name: value}}


def dsl(query: Query) -> dict:
    """The same for the search API."""
    out: dict[str, list] = {"filter": [], "must_not": []}
    for one in query:
        if isinstance(one, Not):
            out["must_not"].append(clause(one.field, one.value))
        else:
            out["filter"].append(clause(*one))
    return {"bool": {kind: clauses for kind, clauses in out.items() if clauses}}


def fields_of(query: Query) -> set[str]:
    return {one.field if isinstance(one, Not) else one[0] for one in query}


# ---- the searches ----


def terms(name: str, below: dict | None = None) -> dict:
    inner = {"aggs": below} if below else {}
    return {"rows": {"terms": {"field": name, "size": ROWS}, **inner}}


def nested(names: list[str]) -> dict:
    return terms(names[0], nested(names[1:]) if names[1:] else None)


def aggregations(panel) -> dict:
    if isinstance(panel, Top):
        return nested(panel.by)
    if isinstance(panel, Share):
        return terms(panel.by)
    split = (terms(panel.by) if isinstance(panel.by, str) else {
        "rows": {"filters": {"filters": {
            label: dsl(query) for label, query in panel.by.items()}}}})
    over = {"field": TIME, "fixed_interval": "30s", "min_doc_count": 1}
    return {"rows": {"date_histogram": over, "aggs": split}}


def search(panel) -> dict:
    """The body of a _search that asks what the panel asks."""
    body: dict = {"query": dsl(panel.query), "track_total_hits": True}
    if isinstance(panel, Events):
        body |= {"size": EVENTS_SHOWN, "sort": [{TIME: "desc"}],
                 "_source": panel.columns}
    else:
        body |= {"size": 0, "aggs": aggregations(panel)}
    return body


def fields(panel) -> set[str]:
    """Every field that a panel uses."""
    used = fields_of(panel.query) | {TIME}
    if isinstance(panel, Events):
        return used | set(panel.columns)
    if isinstance(panel.by, dict):
        return used.union(*map(fields_of, panel.by.values()))
    return used | ({panel.by} if isinstance(panel.by, str) else set(panel.by))


def all_panels() -> list:
    return [panels.DISCOVER, *(p for d in panels.DASHBOARDS for p in d.panels)]


# ---- saved objects ----


def saved(kind: str, id: str, attributes: dict, references: list) -> dict:
    return {"id": id, "type": kind, "attributes": attributes,
            "references": references, "migrationVersion": {kind: FORMS[kind]}}


def source(query: Query) -> dict:
    return {"searchSourceJSON": compact({
        "query": {"query": kql(query), "language": "kuery"}, "filter": [],
        "indexRefName": "kibanaSavedObjectMeta.searchSourceJSON.index"})}


TO_PATTERN = [{"name": "kibanaSavedObjectMeta.searchSourceJSON.index",
               "type": "index-pattern", "id": PATTERN_ID}]


def agg(id: int, type: str, schema: str, params: dict) -> dict:
    return {"id": str(id), "enabled": True, "type": type, "schema": schema,
            "params": params}


def terms_agg(id: int, schema: str, name: str) -> dict:
    return agg(id, "terms", schema, {
        "field": name, "orderBy": "1", "order": "desc", "size": ROWS,
        "otherBucket": schema != "bucket", "otherBucketLabel": "other",
        "missingBucket": False, "missingBucketLabel": "none", "customLabel": name})


def filters_agg(id: int, schema: str, queries: dict[str, Query]) -> dict:
    return agg(id, "filters", schema, {"filters": [
        {"input": {"query": kql(query), "language": "kuery"}, "label": label}
        for label, query in queries.items()]})


COUNT = agg(1, "count", "metric", {"customLabel": "events"})
TIME_AGG = agg(2, "date_histogram", "segment", {
    "field": TIME, "useNormalizedEsInterval": True, "scaleMetricValues": False,
    "interval": "auto", "drop_partials": False, "min_doc_count": 1,
    "extended_bounds": {}, "customLabel": "time"})


def axis(kind: str, position: str, **more: object) -> dict:
    return {"id": f"{kind}Axis-1", "type": kind.lower(), "position": position,
            "show": True, "style": {}, "title": {}, **more}


def over_state(panel: Over) -> dict:
    split = (terms_agg(3, "group", panel.by) if isinstance(panel.by, str)
             else filters_agg(3, "group", panel.by))
    return {"type": "histogram", "aggs": [COUNT, TIME_AGG, split], "params": {
        "type": "histogram", "grid": {"categoryLines": False},
        "categoryAxes": [axis("Category", "bottom", scale={"type": "linear"},
                              labels={"show": True, "filter": True,
                                      "truncate": 100})],
        "valueAxes": [axis("Value", "left", name="LeftAxis-1",
                           scale={"type": "linear", "mode": "normal"},
                           labels={"show": True, "rotate": 0, "filter": False,
                                   "truncate": 100})],
        "seriesParams": [{
            "show": True, "type": "histogram", "mode": "stacked",
            "data": {"label": "events", "id": "1"}, "valueAxis": "ValueAxis-1",
            "drawLinesBetweenPoints": True, "lineWidth": 2, "showCircles": True}],
        "addTooltip": True, "addLegend": True, "legendPosition": "right",
        "times": [], "addTimeMarker": False, "labels": {"show": False},
        "thresholdLine": {"show": False, "value": 10, "width": 1, "style": "full",
                          "color": "#E7664C"}}}


def top_state(panel: Top) -> dict:
    rows = [terms_agg(2 + i, "bucket", name) for i, name in enumerate(panel.by)]
    return {"type": "table", "aggs": [COUNT, *rows], "params": {
        "perPage": ROWS, "showPartialRows": False,
        "showMetricsAtAllLevels": False, "showTotal": False, "totalFunc": "sum",
        "percentageCol": "", "sort": {"columnIndex": None, "direction": None}}}


def share_state(panel: Share) -> dict:
    return {"type": "pie", "aggs": [COUNT, terms_agg(2, "segment", panel.by)],
            "params": {"type": "pie", "addTooltip": True, "addLegend": True,
                       "legendPosition": "right", "isDonut": True,
                       "labels": {"show": True, "values": True,
                                  "last_level": True, "truncate": 100}}}


STATES = {Over: over_state, Top: top_state, Share: share_state}


def object_id(panel) -> str:
    return f"tallyman-{panel.id}"


def panel_object(panel) -> dict:
    if isinstance(panel, Events):
        return saved("search", object_id(panel), {
            "title": panel.title, "description": "", "hits": 0, "version": 1,
            "columns": panel.columns, "sort": [[TIME, "desc"]],
            "kibanaSavedObjectMeta": source(panel.query)}, TO_PATTERN)
    state = {"title": panel.title, **STATES[type(panel)](panel)}
    return saved("visualization", object_id(panel), {
        "title": panel.title, "description": "", "version": 1,
        "visState": compact(state), "uiStateJSON": "{}",
        "kibanaSavedObjectMeta": source(panel.query)}, TO_PATTERN)


# A dashboard has 48 columns: charts and tables stand in twos, events in full.
WIDTH, HALF, HEIGHT, EVENTS_HEIGHT = 48, 24, 14, 24


def layout(shown: list) -> list[dict]:
    x = y = 0
    places = []
    for i, panel in enumerate(shown):
        alone = isinstance(panel, Events) or (x == 0 and (
            i + 1 == len(shown) or isinstance(shown[i + 1], Events)))
        if alone and x:
            x, y = 0, y + HEIGHT
        height = EVENTS_HEIGHT if isinstance(panel, Events) else HEIGHT
        places.append({"x": x, "y": y, "w": WIDTH if alone else HALF, "h": height,
                       "i": str(i + 1)})
        x = 0 if alone or x else HALF
        y += 0 if x else height
    return places


def dashboard_object(d: Dashboard, mark: str) -> dict:
    shown = [{"version": "7.9.3", "gridData": place, "panelIndex": place["i"],
              "embeddableConfig": {}, "panelRefName": f"panel_{i}"}
             for i, place in enumerate(layout(d.panels))]
    references = [
        {"name": f"panel_{i}", "id": object_id(p),
         "type": "search" if isinstance(p, Events) else "visualization"}
        for i, p in enumerate(d.panels)]
    return saved("dashboard", object_id(d), {
        "title": d.title, "hits": 0, "version": 1, "timeRestore": False,
        "description": d.text + (f" {mark}" if object_id(d) == MAIN_ID else ""),
        "panelsJSON": compact(shown),
        "optionsJSON": compact({"useMargins": True, "hidePanelTitles": False}),
        "kibanaSavedObjectMeta": {"searchSourceJSON": compact(
            {"query": {"query": "", "language": "kuery"}, "filter": []})},
    }, references)


def pattern_object(product: str) -> dict:
    attributes = {"title": PATTERN, "timeFieldName": TIME}
    if product == "kibana":     # its data views have a name beside their title
        attributes["name"] = "Kubernetes audit trail"
    return saved("index-pattern", PATTERN_ID, attributes, [])


def objects(product: str, mark: str) -> list[dict]:
    """Each after those that it refers to."""
    return [pattern_object(product), *map(panel_object, all_panels()),
            *(dashboard_object(d, mark) for d in panels.DASHBOARDS)]


def ndjson(product: str) -> str:
    """The mark is a hash of all else, so that `setup` can tell them apart."""
    plain = "\n".join(map(compact, objects(product, "")))
    mark = MARK + hashlib.sha256(plain.encode()).hexdigest()[:16]
    return "".join(compact(o) + "\n" for o in objects(product, mark))


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    options.add_argument("--check", action="store_true")
    options.add_argument("--searches", action="store_true")
    args = options.parse_args()
    if args.searches:
        print(json.dumps({object_id(p): search(p) for p in all_panels()}, indent=2))
        return 0
    stale = 0
    for product, name in FILES.items():
        path, text = HERE / name, ndjson(product)
        if args.check and (not path.exists() or path.read_text() != text):
            print(f"{path} is not what generate.py makes: run it", file=sys.stderr)
            stale = 1
        elif not args.check:
            path.write_text(text)
    return stale


if __name__ == "__main__":
    sys.exit(main())
