# SPDX-License-Identifier: Apache-2.0
"""What `tallyman setup` asks: templates, lifecycle policies, data streams, aliases,
and the saved objects of Kibana or OpenSearch Dashboards, on the same port.

It gives back what it got as real servers do: settings nested and as strings, dates
and defaults added. Of ILM, ISM and the consoles, which no real server here has, it
is what their documentation shows. A server that lacks something is `lacks`, who may
not is `forbidden`, one that adds what nobody foresaw has an `oddity`.
"""

from __future__ import annotations

import copy
import email
import fnmatch
import json
import re
import threading
from email.policy import HTTP
from typing import Callable

ADMIN = re.compile(r"/(_component_template|_index_template|_ilm|_plugins/_ism|"
                   r"_data_stream|_alias|api)/|/[a-z][^/]*$")
DATE = 1795881006264
RETRY = {"count": 3, "backoff": "exponential", "delay": "1m"}


class Refused(Exception):
    """(status, type, reason)"""


class Answer(Exception):
    """(status, body): one that is no error of the usual form."""


def nested(settings: dict) -> dict:
    """{"index.codec": 1} as {"index": {"codec": "1"}}."""
    out: dict = {}

    def put(path: list[str], value: object) -> None:
        at = out
        for part in path[:-1]:
            at = at.setdefault(part, {})
        at[path[-1]] = value

    def walk(part: dict, before: list[str]) -> None:
        for name, value in part.items():
            path = before + name.split(".")
            if isinstance(value, dict):
                walk(value, path)
            else:
                path = path if path[0] in ("index",) else ["index", *path]
                put(path, value if isinstance(value, list) else as_text(value))

    walk(settings, [])
    return out


def as_text(value: object) -> str:
    return json.dumps(value) if not isinstance(value, str) else value


def overlap(some: list[str], others: list[str]) -> bool:
    """Whether a name may fit both, as far as tests need it."""
    return any(fnmatch.fnmatch(a, b) or fnmatch.fnmatch(b, a)
               for a in some for b in others)


class Admin:
    def __init__(self, flavour: str) -> None:
        self.flavour = flavour
        self.lock = threading.RLock()
        self.lacks: set[str] = set()        # ilm, ism, data_stream, flat, console
        self.lacking = 400                  # or 405, or 404: how it says so
        self.forbidden: set[str] = set()    # how paths begin
        self.pages: set[str] = set()        # likewise: a proxy's page instead
        self.oddity: Callable[[str, dict], None] | None = None  # (kind, given back)
        self.store: dict[str, dict[str, dict]] = {
            kind: {} for kind in ("component", "index", "ilm", "ism")}
        self.seq_no = 0
        self.streams: set[str] = set()
        self.aliases: dict[str, str] = {}   # alias: index
        self.indices: set[str] = set()
        self.saved: dict[tuple[str, str], dict] = {}
        self.changes: list[str] = []        # "/_ilm/policy/x", as they were made

    # -- the way in --------------------------------------------------------------

    def answer(self, method: str, path: str, query: dict, headers, body: bytes
               ) -> tuple[int, object]:
        with self.lock:
            try:
                return self.dispatch(method, path, query, headers, body)
            except Answer as a:
                return a.args

    def dispatch(self, method: str, path: str, query: dict, headers, body: bytes
                 ) -> tuple[int, object]:
        if any(path.startswith(f) for f in self.forbidden):
            raise Refused(403, "security_exception", "no permissions for this user")
        if any(path.startswith(p) for p in self.pages):
            raise Answer(200, "<html><body>Welcome</body></html>")
        for begin, needs, run in (
            ("/_component_template/", None, self.component),
            ("/_index_template/_simulate", None, self.simulate),
            ("/_index_template/", None, self.index),
            ("/_ilm/policy/", "ilm", self.ilm),
            ("/_plugins/_ism/policies/", "ism", self.ism),
            ("/_data_stream/", "data_stream", self.data_stream),
            ("/_alias/", None, self.alias),
            ("/api/saved_objects/_", "console", self.console),
            ("/", None, self.one_index),
        ):
            if path.startswith(begin):
                if needs in self.lacks or self.foreign(needs):
                    self.no_handler(method, path)
                name = path[len(begin):]
                if run == self.console:
                    return run(name, query, headers, body)
                out = run(method, name, query, json.loads(body or b"{}"))
                if method == "PUT":
                    self.changes.append(path)
                return out
        raise Refused(404, "resource_not_found_exception", path)

    def foreign(self, needs: str | None) -> bool:
        """The other product's."""
        return needs == ("ism" if self.flavour == "elasticsearch" else "ilm")

    def no_handler(self, method: str, path: str) -> None:
        first = path.split("/")[1]
        if self.lacking == 404:     # the oldest take it for an index
            raise Refused(404, "index_not_found_exception", f"no such index [{first}]")
        if self.lacking == 405:
            raise Answer(405, {"error": f"Incorrect HTTP method for uri [{path}] and "
                               f"method [{method}], allowed: [POST]", "status": 405})
        raise Answer(400, {"error": f"no handler found for uri [{path}] and method "
                           f"[{method}]"})

    def given_back(self, kind: str, value: dict) -> dict:
        out = copy.deepcopy(value)
        if self.oddity:
            self.oddity(kind, out)
        return out

    # -- templates ---------------------------------------------------------------

    def put_template(self, kind: str, name: str, query: dict, body: dict) -> None:
        title = "component template" if kind == "component" else "index template"
        if "create" in query and name in self.store[kind]:
            raise Refused(400, "illegal_argument_exception",
                          f"{title} [{name}] already exists")
        settings = nested(body.get("template", {}).get("settings", {}))
        index = settings.get("index", {})
        if ("ilm" in self.lacks or self.foreign("ilm")) and "lifecycle" in index:
            raise Refused(400, "settings_exception",
                          "unknown setting [index.lifecycle.name] please check that "
                          "any required plugins are installed")
        if ("ism" in self.lacks or self.foreign("ism")) and "plugins" in index:
            raise Refused(400, "settings_exception", "unknown setting [index.plugins]")
        stored = copy.deepcopy(body)
        if "settings" in stored.get("template", {}):
            stored["template"]["settings"] = settings
        if self.flavour == "elasticsearch":
            stored |= {"created_date_millis": DATE, "modified_date_millis": DATE}
        if "data_stream" in stored:
            stored["data_stream"] |= (
                {"hidden": False, "allow_custom_routing": False}
                if self.flavour == "elasticsearch"
                else {"timestamp_field": {"name": "@timestamp"}})
        self.store[kind][name] = stored

    def get_template(self, kind: str, name: str) -> dict:
        if name not in self.store[kind]:
            raise Refused(404, "resource_not_found_exception",
                          f"{kind} template matching [{name}] not found")
        inner = self.given_back(kind, self.store[kind][name])
        return {f"{kind}_templates": [{"name": name, f"{kind}_template": inner}]}

    def check_flat(self, body: dict) -> None:
        text = json.dumps(body)
        for type_ in ("flattened", "flat_object"):
            if f'"type": "{type_}"' in text and "flat" in self.lacks:
                raise Refused(400, "mapper_parsing_exception",
                              "Failed to parse mapping [_doc]: No handler for type "
                              f"[{type_}] declared on field [annotations]")

    def component(self, method, name, query, body) -> tuple[int, object]:
        if method == "PUT":
            self.check_flat(body)
            self.put_template("component", name, query, body)
            return 200, {"acknowledged": True}
        return 200, self.get_template("component", name)

    def simulate(self, method, name, query, body) -> tuple[int, object]:
        self.check_flat(body)
        return 200, {"template": body["template"], "overlapping": []}

    def index(self, method, name, query, body) -> tuple[int, object]:
        if method != "PUT":
            return 200, self.get_template("index", name)
        for other, there in self.store["index"].items():
            if other != name and there["priority"] == body["priority"] and (
                    overlap(there["index_patterns"], body["index_patterns"])):
                raise Refused(
                    400, "illegal_argument_exception",
                    f"index template [{name}] has index patterns "
                    f"{body['index_patterns']} matching patterns from existing "
                    f"templates [{other}] that have the same priority "
                    f"[{body['priority']}], multiple index templates may not match "
                    "during index creation, please use a different priority")
        missing = set(body["composed_of"]) - set(self.store["component"])
        if missing:
            raise Refused(400, "invalid_index_template_exception",
                          f"component templates {sorted(missing)} that do not exist")
        self.put_template("index", name, query, body)
        return 200, {"acknowledged": True}

    # -- lifecycle ---------------------------------------------------------------

    def ilm(self, method, name, query, body) -> tuple[int, object]:
        policies = self.store["ilm"]
        if method == "PUT":
            if list(body) != ["policy"] or set(body["policy"]) - {"phases", "_meta"}:
                raise Refused(400, "x_content_parse_exception", "unknown field")
            policies[name] = body["policy"]
            return 200, {"acknowledged": True}
        if name not in policies:
            raise Refused(404, "resource_not_found_exception",
                          f"Lifecycle policy not found: {name}")
        return 200, {name: {"version": 1, "modified_date": "2026-11-28T00:00:00.000Z",
                            "policy": self.given_back("ilm", policies[name]),
                            "in_use_by": {"indices": [], "data_streams": [],
                                          "composable_templates": []}}}

    def ism(self, method, name, query, body) -> tuple[int, object]:
        policies = self.store["ism"]
        if method == "PUT":
            if name in policies and query.get("if_seq_no") != [
                    str(policies[name]["seq_no"])]:
                raise Refused(409, "version_conflict_engine_exception",
                              f"[{name}]: version conflict, document already exists")
            self.seq_no += 1
            policies[name] = {"seq_no": self.seq_no, "policy": body["policy"]}
            return 201, {"_id": name, "_seq_no": self.seq_no, "_primary_term": 1}
        if name not in policies:
            raise Refused(404, "status_exception", "Policy not found")
        policy = self.given_back("ism", policies[name]["policy"])
        policy |= {"policy_id": name, "last_updated_time": DATE,
                   "schema_version": 21, "error_notification": None}
        for state in policy["states"]:
            for action in state["actions"]:
                action["retry"] = RETRY
                if "rollover" in action:
                    action["rollover"]["copy_alias"] = False
        for template in policy["ism_template"]:
            template["last_updated_time"] = DATE
        return 200, {"_id": name, "_version": 1, "_primary_term": 1,
                     "_seq_no": policies[name]["seq_no"], "policy": policy}

    # -- what is written to ------------------------------------------------------

    def data_stream(self, method, name, query, body) -> tuple[int, object]:
        if method == "GET" and name not in self.streams:
            raise Refused(404, "index_not_found_exception", f"no such index [{name}]")
        if method == "PUT":
            if not any("data_stream" in t and any(
                    fnmatch.fnmatch(name, p) for p in t["index_patterns"])
                    for t in self.store["index"].values()):
                raise Refused(400, "illegal_argument_exception",
                              f"no matching index template found for data stream "
                              f"[{name}]")
            self.streams.add(name)
            return 200, {"acknowledged": True}
        return 200, {"data_streams": [{"name": name}]}

    def alias(self, method, name, query, body) -> tuple[int, object]:
        if name not in self.aliases:
            raise Answer(404, {"error": f"alias [{name}] missing", "status": 404})
        return 200, {self.aliases[name]: {"aliases": {name: {}}}}

    def one_index(self, method, name, query, body) -> tuple[int, object]:
        if method == "PUT":
            self.indices.add(name)
            for alias in body.get("aliases", {}):
                self.aliases[alias] = name
            return 200, {"acknowledged": True, "index": name}
        if name not in self.indices:
            raise Refused(404, "index_not_found_exception", f"no such index [{name}]")
        return 200, {name: {}}

    # -- Kibana, OpenSearch Dashboards -------------------------------------------

    def console(self, name, query, headers, body: bytes) -> tuple[int, object]:
        xsrf = "kbn-xsrf" if self.flavour == "elasticsearch" else "osd-xsrf"
        if not headers.get(xsrf):
            raise Answer(400, {"statusCode": 400, "error": "Bad Request",
                               "message": f"Request must contain a {xsrf} header."})
        return self.export(body) if name == "export" else self.take_in(
            headers, body, query.get("overwrite") == ["true"])

    def export(self, body: bytes) -> tuple[int, object]:
        wanted = [(o["type"], o["id"]) for o in json.loads(body)["objects"]]
        missing = [w for w in wanted if w not in self.saved]
        if missing:
            raise Answer(400, {"statusCode": 400, "error": "Bad Request",
                               "message": "Error fetching objects to export",
                               "attributes": {"objects": [
                                   {"type": t, "id": i} for t, i in missing]}})
        lines = [json.dumps(self.saved[w], separators=(",", ":")) for w in wanted]
        return 200, "\n".join(lines)

    def take_in(self, headers, body: bytes, overwrite: bool) -> tuple[int, object]:
        form = email.message_from_bytes(
            b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body,
            policy=HTTP)
        part, = form.iter_parts()
        assert part.get_param("name", header="Content-Disposition") == "file"
        assert part.get_filename().endswith(".ndjson")
        found = [json.loads(line) for line in part.get_payload().splitlines()]
        taken = {(o["type"], o["id"]): o for o in found}
        clash = [key for key in taken if key in self.saved and not overwrite]
        self.saved |= {k: o for k, o in taken.items() if k not in clash}
        self.changes.append("import")
        if clash:
            return 200, {"successCount": len(taken) - len(clash), "success": False,
                         "errors": [{"id": i, "type": t, "error": {"type": "conflict"}}
                                    for t, i in clash]}
        return 200, {"successCount": len(taken), "success": True}


def is_admin(path: str) -> bool:
    return bool(ADMIN.match(path))
